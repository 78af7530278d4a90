// A runtime in numbers, of about one moment: added up over its Ps, as text for people
// and for what collects metrics.
// SPDX-License-Identifier: MIT
#pragma once
#include "observe/text.hpp"
#include "sched/runtime.hpp"

namespace thrum {

struct Numbers {
  u32 procs, procs_idle, threads, threads_idle, threads_spinning;
  u64 gs, queued_global;
  u64 dispatches, spawns, exits, steals, handoffs, retakes, preemptions;
  u64 waits[kWhys];
  u64 parks;   // all of them
  u64 yields;  // dispatches that ended in neither a wait nor an exit
  Sums ready[kClasses];
  Sums mutex, timer, poll, idle;
  Sums net[kNetParts];

  Sums ready_all() const;
};

void numbers_of(Runtime* rt, Numbers& out);

// 0, kENOMEM. Prometheus' text format 0.0.4; JSON as Go's expvar has it.
int metrics_prometheus(Runtime* rt, Text& out);
int metrics_json(Runtime* rt, Text& out);

}  // namespace thrum
