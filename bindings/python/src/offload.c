/* Calls beside the domain: offload, for Python that blocks or gives the GIL up,
 * and native functions.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"

/* Nothing of Python's may be touched any more, so this G must not return into
 * it; a stop of its runtime gives up waiting for it. */
static void stay_outside(void) {
  thrum_shield(1);
  for (;;) {
    thrum_park("the interpreter has ended", THRUM_FOREVER);
  }
}

/* The G leaves its domain, whose M goes on with the others, and takes the GIL as
 * any thread does. It stays on its M meanwhile, for it must not park. */
PyObject* offload(PyObject* module, PyObject* const* args, Py_ssize_t n,
                  PyObject* kwnames) {
  struct state* s = PyModule_GetState(module);
  if (n < 1) {
    PyErr_SetString(PyExc_TypeError, "offload needs a function");
    return NULL;
  }
  struct green* g = green_here();
  if (!g || g->apart || thrum_domain_leave() < 0) {
    return PyObject_Vectorcall(args[0], args + 1, (size_t)(n - 1), kwnames);
  }
  thrum_enter_blocking();
  struct carrier* c = carrier_here(s);
  PyObject* result = NULL;
  unsigned forks = s->forks;
  if (c) {
    g->apart = 1;
    PyEval_RestoreThread(c->home);
    gilstate_repair(c->home);
    c->active = c->home;
    carrier_switch(s, c, g);
    result = PyObject_Vectorcall(args[0], args + 1, (size_t)(n - 1), kwnames);
    if (s->forks != forks) {
      g->apart = 0;
      return result; /* in the child: this thread state is all that is left */
    }
    carrier_home(s, c);
    PyEval_SaveThread();
    g->apart = 0;
  }
  thrum_exit_blocking();
  if (thrum_domain_enter() < 0) {
    stay_outside();
  }
  return c ? result : PyErr_NoMemory();
}

/* native_call(function, argument): both are addresses, the function's type is
 * void (*)(void*). Meanwhile the G has nothing of Python's and moves between Ms as
 * any other does. */
PyObject* native_call(PyObject* module, PyObject* const* args, Py_ssize_t n) {
  (void)module;
  void* fn = n == 2 ? PyLong_AsVoidPtr(args[0]) : NULL;
  void* arg = fn ? PyLong_AsVoidPtr(args[1]) : NULL;
  if (PyErr_Occurred()) {
    return NULL;
  }
  if (!fn) {
    PyErr_SetString(PyExc_ValueError, "the function is NULL");
    return NULL;
  }
  struct green* g = green_here();
  if (!g || g->apart || thrum_domain_leave() < 0) {
    PyErr_SetString(PyExc_RuntimeError, "only inside a Task");
    return NULL;
  }
  g->apart = 1; /* of Python code that it calls back */
  ((thrum_fn)fn)(arg);
  g->apart = 0;
  if (thrum_domain_enter() < 0) {
    stay_outside();
  }
  Py_RETURN_NONE;
}
