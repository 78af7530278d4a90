/* The end of the interpreter, and forks.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"

void runtimes_forget(struct state* s) {
  while (s->runtimes) {
    Runtime* rt = s->runtimes;
    list_remove(rt);
    if (rt->attached) {
      Py_DECREF(rt);
    }
  }
  PyList_SetSlice(s->dropped, 0, PyList_GET_SIZE(s->dropped), NULL);
}

/* Nobody may want the GIL once the interpreter ends: CPython would end that M on
 * a G's stack. First asks, then interrupts what computes, then leaves behind what
 * blocks in C. */
PyObject* shutdown_all(PyObject* module, PyObject* none) {
  (void)none;
  struct state* s = PyModule_GetState(module);
  s->ending = 1;
  PyObject* all = PyList_New(0);
  for (Runtime* rt = s->runtimes; all && rt; rt = rt->next) {
    PyList_Append(all, (PyObject*)rt);
  }
  for (Py_ssize_t i = 0; all && i < PyList_GET_SIZE(all); ++i) {
    Runtime* rt = (Runtime*)PyList_GET_ITEM(all, i);
    if (!rt->attached &&
        stop_until(rt, thrum_after(50000000)) == THRUM_ETIMEDOUT) {
      interrupt_all(rt);
      interps_interrupt(rt);
      /* CPython aborts if an interpreter is left, or a thread state in one:
       * those are waited for, as it waits for their threads. */
      int all_of_it =
          rt->interp_count || s->interp != PyInterpreterState_Main();
      if (stop_until(rt, all_of_it ? THRUM_FOREVER : thrum_after(150000000)) ==
          THRUM_ETIMEDOUT) {
        thrum_domain_close(rt->domain);
      }
    }
    PyErr_Clear();
  }
  Py_XDECREF(all);
  Py_RETURN_NONE;
}

/* In the child: all Ms and all other thread states are gone. */
PyObject* forked(PyObject* module, PyObject* none) {
  (void)none;
  struct state* s = PyModule_GetState(module);
  ++s->forks;
  tstate_forget(s);
  bell_forget();
  PyList_SetSlice(s->entered, 0, PyList_GET_SIZE(s->entered), NULL);
  runtimes_forget(s);
  Py_RETURN_NONE;
}
