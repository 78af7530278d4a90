// Who looks at a running process from outside: a thread that answers on a local socket
// of this user's (thrum_top). Peers of other users are sent away; a child of fork has
// neither the thread nor the descriptors.
//
// A peer writes lines, and each is answered with a JSON document and a zero byte:
//   snapshot   what the runtime is and does now (snapshot.hpp)
//   measure    null; from now on, until the last who asked for it has gone, waits are
//              measured (waits.hpp), which costs what a trace does
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/runtime.hpp"

namespace thrum {

// From now on until rt stops. path: %p in it becomes the process's id, %r the
// runtime's number, which differs from those of the process's others. kEINVAL (no
// path), kENAMETOOLONG, kEBUSY (it is served already), other errors as
// observer_start's and those of a bind.
int serve(Runtime* rt, const char* path);

}  // namespace thrum
