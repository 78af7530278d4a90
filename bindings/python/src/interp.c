/* Further interpreters of a runtime, each with a GIL of its own, which makes it one
 * more domain on the same Ps. A Task there (thrum/_interpreters.py) waits at a port
 * for calls. Made and ended by a thread that is in the main one.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"

struct interp {
  PyThreadState* ts; /* its first; current only while it is made and ended */
  thrum_chan* port;  /* owned */
  Runtime* runtime;  /* its own; belongs to that interpreter */
};

#if PY_VERSION_HEX >= 0x030c0000

/* What attach() is told of, by its address. */
struct attach {
  thrum_rt* rt;
  thrum_chan* port;
  Runtime* runtime; /* out; borrowed of that interpreter's set of all */
};

/* attach(address, type): (runtime, port), the port of the type. */
PyObject* interp_attach(PyObject* module, PyObject* args) {
  struct state* s = PyModule_GetState(module);
  PyObject *address, *type;
  if (!PyArg_ParseTuple(args, "OO!", &address, &PyType_Type, &type)) {
    return NULL;
  }
  struct attach* a = PyLong_AsVoidPtr(address);
  if (!a) {
    return NULL;
  }
  PyObject* port = port_of((PyTypeObject*)type, a->port);
  a->runtime = port ? runtime_attach(s, a->rt) : NULL;
  return a->runtime ? Py_BuildValue("NN", a->runtime, port) : NULL;
}

/* In the new interpreter. path: the main one's, as the text of a list. */
static int interp_begin(struct attach* a, const char* path) {
  PyObject* sys = PyImport_ImportModule("sys");
  PyObject* ast = PyImport_ImportModule("ast");
  PyObject* list =
      sys && ast ? PyObject_CallMethod(ast, "literal_eval", "s", path) : NULL;
  int code = list ? PyObject_SetAttrString(sys, "path", list) : -1;
  PyObject* package =
      code < 0 ? NULL : PyImport_ImportModule("thrum._interpreters");
  PyObject* began = package ? PyObject_CallMethod(package, "serve", "N",
                                                  PyLong_FromVoidPtr(a))
                            : NULL;
  Py_XDECREF(began);
  Py_XDECREF(package);
  Py_XDECREF(list);
  Py_XDECREF(ast);
  Py_XDECREF(sys);
  return began ? 0 : -1;
}

/* In an interpreter that nobody runs in any more, but for runtimes of its own. */
static void interp_finish(PyThreadState* ts, PyThreadState* back) {
  PyObject* package = PyImport_ImportModule("thrum._interpreters");
  PyObject* ended =
      package ? PyObject_CallMethod(package, "finish", NULL) : NULL;
  PyErr_Clear();
  PyObject* core = PyImport_ImportModule("thrum._core");
  struct state* s = core ? PyModule_GetState(core) : NULL;
  if (s) {
    runtimes_forget(s);
    tstate_free_spares(s);
  }
  PyErr_Clear();
  Py_XDECREF(core);
  Py_XDECREF(ended);
  Py_XDECREF(package);
  Py_EndInterpreter(ts);
  PyEval_RestoreThread(back);
}

static int interp_new(Runtime* rt, struct interp* out, const char* path) {
  PyInterpreterConfig config = {.allow_threads = 1,
                                .check_multi_interp_extensions = 1,
                                .gil = PyInterpreterConfig_OWN_GIL};
  PyThreadState* back = PyThreadState_Get();
  struct attach a = {.rt = rt->rt, .port = out->port};
  PyStatus status = Py_NewInterpreterFromConfig(&out->ts, &config);
  if (PyStatus_Exception(status)) {
    PyErr_Format(PyExc_RuntimeError, "no interpreter can be made: %s",
                 status.err_msg ? status.err_msg : "?");
    return -1;
  }
  int code = interp_begin(&a, path);
  out->runtime = a.runtime;
  if (code < 0) {
    PyErr_Print();
    if (!a.runtime) {
      interp_finish(out->ts, back);
      out->ts = NULL;
      PyErr_SetString(PyExc_RuntimeError,
                      "an interpreter cannot begin; see stderr");
      return -1;
    }
  }
  PyThreadState_Swap(back);
  if (code < 0) {
    PyErr_SetString(PyExc_RuntimeError,
                    "an interpreter cannot begin; see stderr");
  }
  return code;
}

int interps_new(Runtime* rt, unsigned n) {
  if (thrum_self() || PyInterpreterState_Get() != PyInterpreterState_Main()) {
    PyErr_SetString(PyExc_RuntimeError,
                    "interpreters are made by a thread of the main one");
    return -1;
  }
  PyObject* list = PySys_GetObject("path"); /* borrowed */
  PyObject* text = list ? PyObject_Repr(list) : NULL;
  const char* path = text ? PyUnicode_AsUTF8(text) : NULL;
  rt->interps = path ? PyMem_Calloc(n, sizeof *rt->interps) : NULL;
  int code = 0;
  if (!rt->interps) {
    code = -1;
    if (!PyErr_Occurred()) {
      PyErr_NoMemory();
    }
  }
  for (unsigned i = 0; code == 0 && i < n; ++i) {
    struct interp* one = &rt->interps[i];
    one->port = port_chan_new(16);
    code = one->port ? 0 : -1;
    if (code == 0) {
      ++rt->interp_count;
      code = interp_new(rt, one, path);
    } else {
      PyErr_NoMemory();
    }
  }
  Py_XDECREF(text);
  return code;
}

void interps_interrupt(Runtime* rt) {
  for (unsigned i = 0; i < rt->interp_count; ++i) {
    struct interp* one = &rt->interps[i];
    if (one->ts && one->runtime) {
      PyThreadState* back = PyThreadState_Swap(one->ts);
      interrupt_all(one->runtime);
      PyThreadState_Swap(back);
    }
  }
}

void interps_end(Runtime* rt) {
  /* Another thread may stop rt, too, whenever this one waits for a GIL. */
  struct interp* all = rt->interps;
  unsigned count = rt->interp_count;
  rt->interps = NULL;
  rt->interp_count = 0;
  for (unsigned i = 0; i < count; ++i) {
    struct interp* one = &all[i];
    if (one->ts) {
      PyThreadState* back = PyThreadState_Swap(one->ts);
      interp_finish(one->ts, back);
    }
    thrum_chan_release(one->port);
  }
  PyMem_Free(all);
}

#else /* no GIL but one */

PyObject* interp_attach(PyObject* module, PyObject* args) {
  (void)args;
  return raise_code(PyModule_GetState(module), THRUM_ENOTSUP);
}

int interps_new(Runtime* rt, unsigned n) {
  (void)rt;
  (void)n;
  PyErr_SetString(PyExc_RuntimeError,
                  "interpreters with a GIL each need CPython 3.12");
  return -1;
}

void interps_interrupt(Runtime* rt) { (void)rt; }
void interps_end(Runtime* rt) { (void)rt; }

#endif

/* port_(type, n): where calls go in; of the type, a subclass of Port. */
PyObject* interp_port(PyObject* runtime, PyObject* args) {
  Runtime* rt = (Runtime*)runtime;
  PyTypeObject* type;
  unsigned n;
  if (!PyArg_ParseTuple(args, "O!I", &PyType_Type, &type, &n)) {
    return NULL;
  }
  if (!PyType_IsSubtype(type, rt->state->PortType)) {
    PyErr_SetString(PyExc_TypeError, "a subclass of Port is needed");
    return NULL;
  }
  if (n >= rt->interp_count) {
    PyErr_SetString(PyExc_IndexError, "no such interpreter");
    return NULL;
  }
  return port_of(type, rt->interps[n].port);
}
