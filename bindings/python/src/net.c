/* Addresses, names, descriptors of the host's; the sockets' types.
 * SPDX-License-Identifier: MIT
 */
#include "net.h"

struct state* net_state(PyTypeObject* type) {
  PyObject* module = PyType_GetModuleByDef(type, &core_module);
  return module ? PyModule_GetState(module) : NULL;
}

PyObject* net_raise(PyObject* self, int code) {
  return raise_code(net_state(Py_TYPE(self)), code);
}

PyObject* net_done(PyObject* self, int code) {
  if (code < 0) {
    return net_raise(self, code);
  }
  Py_RETURN_NONE;
}

/* ---- Addresses --------------------------------------------------------------- */
PyObject* addr_object(const thrum_addr* addr) {
  char text[128];
  int n = thrum_addr_text(addr, text, sizeof text);
  if (n <= 0 || text[0] == '/' || text[0] == '@') {
    return PyUnicode_DecodeFSDefaultAndSize(text, n < 0 ? 0 : n);
  }
  return Py_BuildValue("s#i", text, (Py_ssize_t)n, thrum_addr_port(addr));
}

int addr_literal(const char* host, int port, thrum_addr* out) {
  return port < 0 || port > UINT16_MAX
             ? THRUM_EINVAL
             : thrum_addr_parse(out, host, (uint16_t)port);
}

static int resolve_call(void* object, void* arg, int64_t deadline) {
  struct asked* asked = object;
  (void)arg;
  return thrum_resolve(asked->rt, asked->host, (uint16_t)asked->port,
                       asked->all, 16, deadline);
}

static PyObject* resolve(PyObject* module, PyObject* args) {
  struct state* s = PyModule_GetState(module);
  struct asked asked = {0};
  PyObject* timeout = NULL;
  int64_t deadline;
  Runtime* rt = runtime_here(s);
  if (!rt ||
      !PyArg_ParseTuple(args, "zi|O", &asked.host, &asked.port, &timeout) ||
      deadline_of(timeout, &deadline) < 0) {
    return NULL;
  }
  asked.rt = rt->rt;
  if (asked.port < 0 || asked.port > UINT16_MAX) {
    return raise_code(s, THRUM_EINVAL);
  }
  Py_INCREF(rt);
  int n = wait_whole(resolve_call, &asked, NULL, deadline);
  Py_DECREF(rt);
  PyObject* list = n < 0 ? raise_code(s, n) : PyList_New(0);
  for (int i = 0; list && i < n; ++i) {
    PyObject* one = addr_object(&asked.all[i]);
    if (!one || PyList_Append(list, one) < 0) {
      Py_CLEAR(list);
    }
    Py_XDECREF(one);
  }
  return list;
}

/* ---- Descriptors of the host's --------------------------------------------------------- */
struct watched {
  thrum_rt* rt;
  int fd, events;
};

static int poll_call(void* object, void* arg, int64_t deadline) {
  struct watched* w = object;
  (void)arg;
  return thrum_poll_fd(w->rt, w->fd, w->events, deadline);
}

PyObject* raise_of_fd(struct state* s, int code, int fd) {
  if (code != THRUM_EPERM) {
    return raise_code(s, code);
  }
  PyObject* error = PyObject_CallFunction(
      PyExc_PermissionError, "iN", -code,
      PyUnicode_FromFormat(
          "nobody can wait for descriptor %d: what it is, a file "
          "perhaps, is always ready",
          fd));
  if (error) {
    PyErr_SetObject(PyExc_PermissionError, error);
    Py_DECREF(error);
  }
  return NULL;
}

static PyObject* poll_fd(PyObject* module, PyObject* const* args, Py_ssize_t n,
                         PyObject* kwnames) {
  struct state* s = PyModule_GetState(module);
  Runtime* rt = runtime_here(s);
  int64_t deadline;
  if (!rt || timeout_of("poll_fd", args, n, kwnames, 2, &deadline) < 0) {
    return NULL;
  }
  struct watched w = {rt->rt, PyObject_AsFileDescriptor(args[0]), 0};
  if (w.fd < 0) {
    return NULL;
  }
  w.events = (int)PyLong_AsLong(args[1]);
  if (w.events == -1 && PyErr_Occurred()) {
    return NULL;
  }
  Py_INCREF(rt);
  int code = wait_call(poll_call, &w, NULL, deadline);
  Py_DECREF(rt);
  return code < 0 ? raise_of_fd(s, code, w.fd) : PyLong_FromLong(code);
}

/* ---- Into the module ---------------------------------------------------------------------- */
static PyMethodDef functions[] = {
    {"resolve", resolve, METH_VARARGS, NULL},
    {"poll_fd", FAST(poll_fd),
     "poll_fd(fd, events, timeout=None)\n--\n\nUntil a descriptor is ready to "
     "be read (1) or written (2): what it is ready for.\n\n"
     ">>> import os\n"
     ">>> reads, writes = os.pipe()\n"
     ">>> os.write(writes, b'x')\n"
     "1\n"
     ">>> thrum.run(net.poll_fd, reads, 1, timeout=5.0)\n"
     "1\n"},
    {0}};

int net_add(PyObject* module) {
  struct state* s = PyModule_GetState(module);
  PyType_Spec* specs[] = {&conn_spec, &listener_spec, &udp_spec};
  for (int i = 0; i < 3; ++i) {
    PyTypeObject* type =
        (PyTypeObject*)PyType_FromModuleAndSpec(module, specs[i], NULL);
    if (!type || PyModule_AddType(module, type) < 0) {
      return -1;
    }
    if (i == 0) {
      s->ConnType = type;
    }
  }
  return PyModule_AddFunctions(module, functions);
}
