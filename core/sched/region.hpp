// Ranges of machine code that the host has declared preemptible. They belong to
// the process.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

namespace thrum {

constexpr u32 kRegionMigrate = 1;  // THRUM_PREEMPT_MIGRATE

int region_add(u64 lo, u64 hi, u32 flags);
int region_drop(u64 lo, u64 hi);  // one of those with these bounds

// Is this code preemptible? Async-signal-safe. `flags`: what all ranges that hold
// it allow.
bool region_find(u64 pc, u32& flags);

}  // namespace thrum
