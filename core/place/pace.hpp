// Pacing under a CPU quota: a bucket of CPU time that wall time fills at a little
// less than the quota, and the process empties. Who pauses for a millisecond when
// it is empty is not stopped by the kernel for the rest of its period (50 ms of
// 100 at a quota of half a CPU, linux.md 3). Pure arithmetic; ns.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

namespace thrum {

// Of the quota, in 1/1000: what is left pays for what the process clock does not
// see in time. Less when the kernel has throttled all the same.
constexpr u32 kShareFirst = 960, kShareLeast = 500, kShareMost = 970;
constexpr u32 kShareDown = 20, kShareUp = 2;

struct Pace {
  u32 quota_milli;  // 1/1000 CPU; 0: off
  u32 share;        // 1/1000 of it that is used
  i64 period;       // the kernel's
  i64 tokens;
  i64 at;   // when it was looked at
  i64 cpu;  // what the process had used then
};

struct Pause {
  i64 until;  // 0: none
  bool all;   // else one P goes on
  i64 next;   // look again then
};

// Off if the quota does not bind so many Ps.
void pace_set(Pace& p, u32 quota_milli, i64 period, u32 procs, i64 now,
              i64 cpu);
Pause pace_step(Pace& p, i64 now, i64 cpu, u32 busy);
// Was the group throttled since it was asked last, a second or two ago?
void pace_adapt(Pace& p, bool throttled);
i64 pace_room(const Pace& p);  // of the bucket

}  // namespace thrum
