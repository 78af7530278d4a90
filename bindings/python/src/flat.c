/* What the flat layer, _thrum, asks of the hot path.
 * SPDX-License-Identifier: MIT
 */
#include "flat.h"

/* Of the calling interpreter: it has been imported before _thrum. NULL, with an
 * exception, if somebody took it out of sys.modules. */
static struct state* core_state(void) {
  PyObject* module = PyImport_ImportModule("thrum._core");
  struct state* s = module ? PyModule_GetState(module) : NULL;
  Py_XDECREF(module);
  return s;
}

int flat_wait(PyThreadState** outside) {
  struct green* g = green_here();
  *outside = NULL;
  if (!thrum_self()) {
    *outside = PyEval_SaveThread();
    return 1;
  }
  if (g && !g->apart) {
    return 1;
  }
  raise_no_wait();
  return 0;
}

PyObject* flat_raise(int64_t code) {
  struct state* s = core_state();
  return s ? raise_code(s, (int)code) : NULL;
}

PyObject* flat_result(int64_t value) {
  return value < 0 ? flat_raise(value) : PyLong_FromLongLong(value);
}

int flat_runtime(PyObject* object, thrum_rt** out) {
  struct state* s = core_state();
  *out = NULL;
  if (!s || object == Py_None) {
    return s != NULL;
  }
  if (!PyObject_TypeCheck(object, s->RuntimeType)) {
    PyErr_SetString(PyExc_TypeError, "a Runtime or None is needed");
    return 0;
  }
  *out = ((Runtime*)object)->rt;
  return 1;
}
