/* What the flat layer, _thrum, asks of the hot path, _core. SWIG's wrappers of
 * thrum_python.i are its only caller.
 * SPDX-License-Identifier: MIT
 */
#ifndef THRUM_PYTHON_FLAT_H
#define THRUM_PYTHON_FLAT_H
#include "core.h"

/* Before a call that may wait: a thread gives up the GIL, and gets it back by
 * *outside; a G's M keeps it. 0, with an exception: nobody may wait here. */
HIDDEN int flat_wait(PyThreadState** outside);

/* Raises what a negative code means and returns NULL. */
HIDDEN PyObject* flat_raise(int64_t code);

/* An int, or what a negative one raises. */
HIDDEN PyObject* flat_result(int64_t value);

/* The runtime of a thrum.Runtime; NULL for None. 0, with an exception: it is
 * something else. */
HIDDEN int flat_runtime(PyObject* object, thrum_rt** out);

#endif
