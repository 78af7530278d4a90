// Columns of all Ps, added up: for heatmap.cpp and blame.cpp.
// SPDX-License-Identifier: MIT
#pragma once
#include "observe/waits.hpp"

namespace thrum {

struct Stretch {
  u64 latency[kRows];  // of all
  u64 classes[kClasses][kRows];
  u64 kernel[kRows];
  u64 causes[kCauses];
};

struct Columns {
  Stretch* at = nullptr;  // oldest first; mem::free
  u32 count = 0;
  u64 first = 0;     // the number of the oldest
  i64 begin = 0;     // when that one begins, on CLOCK_MONOTONIC
  double width = 0;  // ns
};

// kEINVAL: never measured. kENOMEM.
int columns_take(Runtime* rt, Columns& out);

}  // namespace thrum
