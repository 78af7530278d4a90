// All of what a runtime can tell of one moment, as one JSON document: for who looks
// again and again.
// SPDX-License-Identifier: MIT
#pragma once
#include "observe/text.hpp"
#include "sched/runtime.hpp"

namespace thrum {

// What one who looks has seen.
struct Seen {
  i64 at = 0;  // when he looked last
  u64* ran =
      nullptr;  // CPU time of each G then, by slot; null: there is no memory for
                // it, and he is told what Gs have used since they began
};
void seen_begin(Seen& s);
void seen_end(Seen& s);

//   ps       each with what it has to do, and its counters
//   metrics  thrum_report's
//   waits, heatmap  likewise, or null: never measured
//   top      the Gs that used most CPU since he looked last
void snapshot(Runtime* rt, Seen& seen, Text& out);

}  // namespace thrum
