// SPDX-License-Identifier: MIT
#include "place/pace.hpp"

namespace thrum {

namespace {

constexpr i64 kRoomLeast = 500'000;
constexpr i64 kLookLeast = 200'000, kLookMost = 5'000'000;
constexpr i64 kPauseMost = 10'000'000;

// CPU time per wall time, in 1/1'000'000.
i64 rate(const Pace& p) { return i64{p.quota_milli} * p.share; }

// How long `busy` CPUs can go on with so many tokens.
i64 lasts(const Pace& p, i64 tokens, u32 busy) {
  i64 drain = i64{max(busy, 1u)} * 1'000'000 - rate(p);
  if (drain <= 0 || tokens > kLookMost * 1000) {
    return kLookMost;
  }
  return min(max(tokens * 1'000'000 / drain, kLookLeast), kLookMost);
}

}  // namespace

// In any window of a period less than the quota is used: what is in the bucket, and
// what flows in meanwhile, leave half of the rest. The kernel hands a quota out to
// CPUs by pieces of 5 ms, and some of them lie where nobody needs them.
i64 pace_room(const Pace& p) {
  i64 left = p.period / 1'000'000 * i64{p.quota_milli} * (1000 - p.share);
  return max(left / 2, kRoomLeast);
}

void pace_set(Pace& p, u32 quota_milli, i64 period, u32 procs, i64 now,
              i64 cpu) {
  bool binds = quota_milli && quota_milli < u64{procs} * 1000;
  bool was = p.quota_milli != 0;
  p.quota_milli = binds ? quota_milli : 0;
  p.period = min(max(period, i64{1'000'000}), i64{1'000'000'000});
  if (binds && !was) {
    p.share = p.share ? p.share : kShareFirst;
    p.tokens = pace_room(p) / 2;
    p.at = now;
    p.cpu = cpu;
  }
}

Pause pace_step(Pace& p, i64 now, i64 cpu, u32 busy) {
  i64 room = pace_room(p);
  i64 wall = min(now - p.at, i64{1'000'000'000});
  p.tokens += wall / 1000 * rate(p) / 1000 - (cpu - p.cpu);
  p.tokens = min(max(p.tokens, -room * 8), room);
  p.at = now;
  p.cpu = cpu;
  if (p.tokens > 0) {
    return Pause{0, false, now + lasts(p, p.tokens, busy)};
  }
  // Until the bucket is half full again.
  i64 missing = room / 2 - p.tokens;
  i64 pause = min(missing * 1'000 / rate(p) * 1'000, kPauseMost);
  // One P may go on where the quota feeds it, until that has cost the reserve.
  bool all = rate(p) < 1'000'000 || p.tokens < -room / 2;
  return Pause{now + pause, all, now + pause + lasts(p, room / 2, busy)};
}

void pace_adapt(Pace& p, bool throttled) {
  if (!p.quota_milli) {
    return;
  }
  if (throttled) {
    p.share = max(p.share - min(p.share, kShareDown), kShareLeast);
  } else {
    p.share = max(min(p.share + kShareUp, kShareMost), p.share);
  }
}

}  // namespace thrum
