// Debug mode: a G that parks while its thread holds a pthread mutex. Its unlock
// may come on another thread, and until then whoever wants the mutex blocks a
// whole thread.
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/runtime.hpp"

namespace thrum {

// On the M that g has just left, before anybody may resume it. Says on stderr what
// it finds.
void check_held_locks(Runtime* rt, M* m, G* g);

}  // namespace thrum
