// Pauses of Ps, which place decides on (place/pace.hpp): until then Ms with a P
// sleep in their loop, and keep it.
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/runtime.hpp"

namespace thrum {

// From sysmon. All Ps, or all but the first, rest at their next scheduling point.
void pace_pause(Runtime* rt, i64 until, bool all);
// Before the CPU clock of the process is read. Returns how many Ps are held.
u32 clocks_refresh(Runtime* rt);
// On the loop of an M, with its P: due timers.
void late_ones_first(M* m, P* p, i64 now);
// The same, when kAttnPace says so.
void pace_wait(M* m);

}  // namespace thrum
