// How many Ps the OS grants, from its facts.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

namespace thrum {

// min(CPUs of the affinity mask, CPU quota rounded up), at least 1.
u32 budget_procs();

}  // namespace thrum
