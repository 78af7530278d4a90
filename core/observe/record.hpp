// What the recorder holds, in order: for whoever tells a story of it.
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/recorder.hpp"

namespace thrum {

struct Seen {
  i64 ns;  // CLOCK_MONOTONIC
  u64 g;   // a handle, or 0
  u64 arg;
  u64 order;  // within its ring
  i32 p;      // -1: by who had no P
  Event event;
};

struct Recording {
  Seen* at = nullptr;  // oldest first; mem::free
  u64 count = 0;
  u64 lost = 0;  // overwritten, or had no ring to go to
  i64 begin = 0, end = 0;
};

// ns on CLOCK_MONOTONIC of a reading of cpu_ticks.
struct Scale {
  i64 ns(u64 ticks) const {
    return ns0 + static_cast<i64>(static_cast<double>(ticks - ticks0) * per);
  }
  u64 ticks0;
  i64 ns0;
  double per;
};
Scale scale_of(const Runtime* rt, const Recorder& r);

// The events of the last `last` ns (kForever: all). kEINVAL: never traced.
int recording_take(Runtime* rt, i64 last, Recording& out);

}  // namespace thrum
