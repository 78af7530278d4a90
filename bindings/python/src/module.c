/* The module thrum._core: the hot path. What is pleasant is in the package.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"

/* ---- Functions --------------------------------------------------------------- */
static PyObject* go(PyObject* module, PyObject* const* args, Py_ssize_t n,
                    PyObject* kwnames) {
  struct state* s = PyModule_GetState(module);
  Runtime* rt = runtime_here(s);
  return rt ? (PyObject*)task_spawn(s, rt, args, n, kwnames) : NULL;
}

static PyObject* yield(PyObject* module, PyObject* none) {
  (void)none;
  struct green* g = green_here();
  int code = THRUM_ENOTG;
  if (g && !g->apart) {
    code = thrum_yield();
  }
  if (code < 0) {
    return raise_code(PyModule_GetState(module), code);
  }
  Py_RETURN_NONE;
}

static int sleep_call(void* ns, void* none, int64_t deadline) {
  (void)none;
  if (green_here()) {
    return deadline == THRUM_TRY ? THRUM_EAGAIN : thrum_sleep(*(int64_t*)ns);
  }
  /* A thread sleeps in slices, as wait_call wants it. */
  int64_t end = *(int64_t*)ns;
  if (deadline == THRUM_TRY) {
    return THRUM_EAGAIN;
  }
  int64_t now = thrum_now();
  if (now < end) {
    thrum_sleep((deadline < end ? deadline : end) - now);
  }
  return thrum_now() < end ? THRUM_ETIMEDOUT : 0;
}

static PyObject* sleep_(PyObject* module, PyObject* seconds) {
  int64_t ns;
  if (nanoseconds(seconds, &ns) < 0) {
    return NULL;
  }
  if (!green_here()) {
    ns = thrum_after(ns);
  }
  int code = wait_call(sleep_call, &ns, NULL, THRUM_FOREVER);
  if (code < 0) {
    return raise_code(PyModule_GetState(module), code);
  }
  Py_RETURN_NONE;
}

static PyObject* current(PyObject* module, PyObject* none) {
  (void)module;
  (void)none;
  struct green* g = green_here();
  return Py_NewRef(g && g->task ? (PyObject*)g->task : Py_None);
}

/* get_ident(): of the thread state. A Task's goes with it from M to M, and is what
 * sys._current_frames and PyThreadState_SetAsyncExc know it by. */
static PyObject* get_ident(PyObject* module, PyObject* none) {
  (void)module;
  (void)none;
  return PyLong_FromUnsignedLong(PyThreadState_Get()->thread_id);
}

static PyObject* in_green(PyObject* module, int64_t code) {
  return code < 0 ? raise_code(PyModule_GetState(module), (int)code)
                  : PyLong_FromLongLong(code);
}

/* limit(deadline): the former one; both in ns of now(). */
static PyObject* limit(PyObject* module, PyObject* deadline) {
  int64_t ns = PyLong_AsLongLong(deadline);
  if (ns == -1 && PyErr_Occurred()) {
    return NULL;
  }
  return in_green(module, thrum_limit(ns));
}

static PyObject* now(PyObject* module, PyObject* none) {
  (void)module;
  (void)none;
  return PyLong_FromLongLong(thrum_now());
}

static PyObject* shield(PyObject* module, PyObject* delta) {
  long by = PyLong_AsLong(delta);
  if (by == -1 && PyErr_Occurred()) {
    return NULL;
  }
  return in_green(module, thrum_shield((int32_t)by));
}

/* can_park(): in a Task that is not offloaded. */
static PyObject* can_park(PyObject* module, PyObject* none) {
  (void)module;
  (void)none;
  struct green* g = green_here();
  return PyBool_FromLong(g && !g->apart);
}

/* hold(task, delta): of locks of threading, for debug_locks. Whoever gives one
 * back, it is that Task's no more. */
static PyObject* hold(PyObject* module, PyObject* args) {
  struct state* s = PyModule_GetState(module);
  PyObject* task;
  int by;
  if (!PyArg_ParseTuple(args, "O!i", s->TaskType, &task, &by)) {
    return NULL;
  }
  struct green* g = ((Task*)task)->green;
  if (g) {
    g->held += by;
  }
  Py_RETURN_NONE;
}

static PyObject* cancel_clear(PyObject* module, PyObject* none) {
  (void)none;
  return in_green(module, thrum_cancel_clear());
}

static PyObject* here(PyObject* module, PyObject* none) {
  (void)none;
  return Py_XNewRef((PyObject*)runtime_here(PyModule_GetState(module)));
}

static PyMethodDef functions[] = {
    {"go", (PyCFunction)(void (*)(void))go, METH_FASTCALL | METH_KEYWORDS,
     "go(fn, /, *args, **kwargs)\n--\n\nRuns fn(*args, **kwargs) as a green "
     "thread: a Task. It sees a copy of the caller's context variables.\n\n"
     ">>> thrum.run(lambda: thrum.go(pow, 2, 10).result())\n"
     "1024\n"},
    {"yield_", yield, METH_NOARGS,
     "yield_()\n--\n\nLets others run.\n\n"
     ">>> thrum.run(thrum.yield_)\n"},
    {"sleep", sleep_, METH_O,
     "sleep(seconds, /)\n--\n\nAt least so long.\n\n"
     ">>> thrum.run(thrum.sleep, 0.001)\n"},
    {"offload", (PyCFunction)(void (*)(void))offload,
     METH_FASTCALL | METH_KEYWORDS,
     "offload(fn, /, *args, **kwargs)\n--\n\nfn(*args, **kwargs) beside the "
     "others, for calls that block or give the GIL up. It must not wait by "
     "thrum's own means.\n\n"
     ">>> thrum.run(thrum.offload, sum, [1, 2])\n"
     "3\n"},
    {"native_call", (PyCFunction)(void (*)(void))native_call, METH_FASTCALL,
     NULL},
    {"current_task", current, METH_NOARGS,
     "current_task()\n--\n\nThe Task that this is; None in a thread.\n\n"
     ">>> thrum.run(lambda: thrum.current_task().name)\n"
     "'<lambda>'\n"
     ">>> thrum.current_task() is None\n"
     "True\n"},
    {"current_runtime", here, METH_NOARGS,
     "current_runtime()\n--\n\nThe Runtime that go() spawns in here.\n\n"
     ">>> thrum.run(lambda: thrum.current_runtime().procs, procs=2)\n"
     "2\n"},
    {"get_ident", get_ident, METH_NOARGS, NULL},
    {"select_cases", (PyCFunction)(void (*)(void))select_cases, METH_FASTCALL,
     NULL},
    {"limit", limit, METH_O, NULL},
    {"can_park", can_park, METH_NOARGS, NULL},
    {"hold", hold, METH_VARARGS, NULL},
    {"shield", shield, METH_O, NULL},
    {"cancel_clear", cancel_clear, METH_NOARGS, NULL},
    {"now", now, METH_NOARGS, NULL},
    {"attach", interp_attach, METH_VARARGS, NULL},
    {"stacks", stacks, METH_O, NULL},
    {"shutdown", shutdown_all, METH_NOARGS, NULL},
    {"forked", forked, METH_NOARGS, NULL},
    {0}};

/* ---- The module ---------------------------------------------------------------- */
static PyObject* error_new(PyObject* module, const char* name, const char* text,
                           PyObject* base) {
  char full[64];
  PyOS_snprintf(full, sizeof full, "thrum.%s", name);
  PyObject* error = PyErr_NewExceptionWithDoc(full, text, base, NULL);
  return error && PyModule_AddObjectRef(module, name, error) == 0 ? error
                                                                  : NULL;
}

static PyTypeObject* type_new(PyObject* module, PyType_Spec* spec) {
  PyObject* type = PyType_FromModuleAndSpec(module, spec, NULL);
  return type && PyModule_AddType(module, (PyTypeObject*)type) == 0
             ? (PyTypeObject*)type
             : NULL;
}

static int module_exec(PyObject* module) {
  struct state* s = PyModule_GetState(module);
  s->interp = PyInterpreterState_Get();
  s->dropped = PyList_New(0);
  s->entered = PyList_New(0);
  s->Error = error_new(module, "Error",
                       "What thrum's calls raise when nothing "
                       "else fits.\n\n"
                       ">>> issubclass(thrum.Error, RuntimeError)\n"
                       "True\n",
                       PyExc_RuntimeError);
  s->Timeout = error_new(module, "Timeout",
                         "A wait's time has passed.\n\n"
                         ">>> thrum.Channel().recv(timeout=0.001)\n"
                         "Traceback (most recent call last):\n"
                         "thrum.Timeout: deadline passed\n",
                         PyExc_TimeoutError);
  s->Closed = error_new(module, "ClosedError",
                        "A channel or socket is closed, or a "
                        "runtime has stopped.\n\n"
                        ">>> channel = thrum.Channel()\n"
                        ">>> channel.close()\n"
                        ">>> channel.recv()\n"
                        "Traceback (most recent call last):\n"
                        "thrum.ClosedError: closed\n",
                        PyExc_EOFError);
  s->Deadlock = error_new(module, "DeadlockError",
                          "This wait could never end.\n\n"
                          ">>> def main():\n"
                          "...     with thrum.Mutex() as mutex:\n"
                          "...         mutex.lock()\n"
                          ">>> thrum.run(main)\n"
                          "Traceback (most recent call last):\n"
                          "thrum.DeadlockError: this wait could never end\n",
                          PyExc_RuntimeError);
  s->Cancelled = error_new(module, "Cancelled",
                           "The Task has been asked to end. A BaseException: "
                           "`except Exception` lets it through.\n\n"
                           ">>> def main():\n"
                           "...     nap = thrum.go(thrum.sleep, 60)\n"
                           "...     nap.cancel()\n"
                           "...     return nap.exception()\n"
                           ">>> thrum.run(main)\n"
                           "Cancelled('cancelled')\n",
                           PyExc_BaseException);
  s->RuntimeType = type_new(module, &runtime_spec);
  s->TaskType = type_new(module, &task_spec);
  s->ChannelType = type_new(module, &channel_spec);
  s->PortType = type_new(module, &port_spec);
  if (!s->dropped || !s->entered || !s->Error || !s->Timeout || !s->Closed ||
      !s->Deadlock || !s->Cancelled || !s->RuntimeType || !s->TaskType ||
      !s->ChannelType || !s->PortType) {
    return -1;
  }
  for (int i = 0; sync_specs[i]; ++i) {
    PyTypeObject* type = type_new(module, sync_specs[i]);
    if (!type) {
      return -1;
    }
    Py_DECREF(type);
  }
  if (net_add(module) < 0) {
    return -1;
  }
  if (PyModule_AddStringConstant(module, "version", thrum_version_string()) ||
      PyModule_AddStringConstant(module, "build_info", thrum_build_info()) ||
      PyModule_AddObject(module, "FOREVER",
                         PyLong_FromLongLong(THRUM_FOREVER))) {
    return -1;
  }
  int code = green_key_make();
  if (code < 0) {
    raise_code(s, code);
    return -1;
  }
  return 0;
}

/* Its objects stay: thread states and Ms may outlive it. */
static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030c0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL}};

struct PyModuleDef core_module = {
    PyModuleDef_HEAD_INIT, .m_name = "thrum._core",
    .m_size = sizeof(struct state), .m_methods = functions, .m_slots = slots};

PyMODINIT_FUNC PyInit__core(void) { return PyModuleDef_Init(&core_module); }
