/* CPython 3.11 never tells its gilstate slot about PyThreadState_Swap, so code
 * that calls PyGILState_Ensure inside a G (a ctypes callback, pybind11, Cython)
 * would wait for a GIL that its own M holds. This is the one file that looks
 * inside; 3.12 and later do it themselves.
 * SPDX-License-Identifier: MIT
 */
#include <patchlevel.h>
#if PY_VERSION_HEX < 0x030c0000
#define Py_BUILD_CORE 1
#include "core.h"
#include <internal/pycore_runtime.h>

void gilstate_repair(PyThreadState* ts) {
  PyThread_tss_set(&_PyRuntime.gilstate.autoTSSkey, ts);
}
#endif
