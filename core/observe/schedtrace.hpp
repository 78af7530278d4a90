// SPDX-License-Identifier: MIT
#pragma once
#include "sched/runtime.hpp"

namespace thrum {

// A line on stderr as Go's GODEBUG=schedtrace prints it: what every P has to do.
// ms: since when there are such lines.
void schedtrace(Runtime* rt, i64 ms);
// One every `every` ns from now on (0: no more). Errors as onlooker_of.
int schedtrace_every(Runtime* rt, i64 every);

}  // namespace thrum
