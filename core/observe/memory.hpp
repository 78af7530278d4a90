// What a runtime's memory is: for reports.
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/runtime.hpp"

namespace thrum {

// JSON, with a zero behind it as far as it fits. Returns its length.
size_t memory_report(Runtime* rt, char* out, size_t size);
// How far down the stack of a live G has been used, in bytes; -: a thrum error.
i64 high_water(Runtime* rt, u64 handle);

}  // namespace thrum
