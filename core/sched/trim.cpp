// What has been used and is not needed any more goes back to the system: the
// stocks of Ps that rest, stacks nobody has used for a while, chunks of the table
// without a live G.
//
// sysmon sees to it, ten times a second at most: a little at a time while Gs are
// dispatched, all of it when none has been since the last look, and then no more. Where there is no
// sysmon (hosted, deterministic) the host may ask. A G that finds no stack asks for
// the stocks alone.
// SPDX-License-Identifier: MIT
#include "sched/ready.hpp"

namespace thrum {

namespace {

constexpr i64 kTrimEvery = 100'000'000;
constexpr u32 kTrimBusy = 64;  // stacks, while Gs run: some 20 us

// The stocks of Ps that nobody holds and that have not run since the last look.
void flush_idle(Runtime* rt, bool now) {
  Locked held(rt->lock);
  for (u32 i = 0; i < rt->p_count.load(relaxed); ++i) {
    P* p = rt->ps[i];
    u64 d = p->dispatches.load(relaxed);
    PState s = p->state.load(relaxed);
    if ((s == PState::idle || s == PState::dead) &&
        (now || p->trim_dispatches == d)) {
      body_flush(rt, p);
      table_flush(rt, p);
    }
    p->trim_dispatches = d;
  }
}

}  // namespace

void stocks_flush(Runtime* rt) { flush_idle(rt, true); }

void trim(M* m, Runtime* rt) {
  scan_all(rt, m);
  flush_idle(rt, true);
  rt->arenas.trim(true, UINT32_MAX, nullptr);
  table_trim(rt, nullptr);
}

i64 trim_look(Runtime* rt, i64 now) {
  if (now < rt->trim_at) {
    return rt->trim_at;
  }
  u64 d = dispatched(rt);
  bool still = d == rt->trim_dispatches;
  rt->trim_dispatches = d;
  rt->trim_at = now + kTrimEvery;
  flush_idle(rt, false);
  bool left =
      rt->arenas.trim(false, still ? UINT32_MAX : kTrimBusy, &rt->sysmon_note);
  if (still && !left) {
    table_trim(rt, &rt->sysmon_note);
    return kForever;
  }
  return rt->trim_at;
}

}  // namespace thrum
