// Sleeping: a wait that only its deadline (or a cancel) ends.
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/wait.hpp"

namespace thrum {

int sleep_for(M*& m, i64 ns);
// now + ns, saturating, never 0.
i64 later(i64 now, i64 ns);

}  // namespace thrum
