// SPDX-License-Identifier: MIT
#include "sched/pace.hpp"

#include "sched/ready.hpp"

namespace thrum {

void pace_pause(Runtime* rt, i64 until, bool all) {
  rt->pace_all.store(all, relaxed);
  rt->pace_until.store(until, release);  // pairs with pace_wait
  for (u32 i = 0; i < rt->p_count.load(acquire); ++i) {
    // The end of a slice, too: pauses come more often than slices end, and whoever
    // is stopped for one must not stay before all that is in the global queue.
    rt->ps[i]->attention.fetch_or(kAttnPace | kAttnSlice, relaxed);
  }
}

// The kernel brings the clock of a thread on another CPU up to date at its tick
// (4 ms here) or when that thread's own is read; the clock of the process only
// adds up what it has.
u32 clocks_refresh(Runtime* rt) {
  u32 n = 0;
  for (u32 i = 0; i < rt->p_count.load(acquire); ++i) {
    P* p = rt->ps[i];
    M* m = p->m.load(acquire);  // pairs with take_p
    if (m && p->state.load(relaxed) == PState::running) {
      (void)os::thread_cpu_ns(m->tid.load(relaxed));
      ++n;
    }
  }
  return n;
}

// Whose timer is due has waited already: it goes before those that were stopped
// for it or for the pause, or each pause would cost it one more.
void late_ones_first(M* m, P* p, i64 now) {
  u32 before = p->runq.size();
  if (!run_timers(m, p, now) || !m->rt->pace_until.load(relaxed)) {
    return;
  }
  while (before--) {
    if (G* g = p->take_ring()) {
      runq_put(m, p, g);
    }
  }
}

// The first P goes on while there is a reserve: it has the timers and the world
// outside, and steals what the others cannot run. Whoever stops the world, or the
// runtime, waits for the end of a pause (at most 10 ms, place/pace.cpp).
void pace_wait(M* m) {
  Runtime* rt = m->rt;
  i64 begin = 0;
  i64 now = os::now_ns();
  stop_spinning(m);
  while (now < rt->pace_until.load(acquire) &&
         (m->p->id != 0 || rt->pace_all.load(relaxed))) {
    begin = begin ? begin : now;
    os::thread_sleep(rt->pace_until.load(relaxed) - now);
    now = os::now_ns();
  }
  if (begin) {
    rt->pauses.fetch_add(1, relaxed);
    rt->paused_ns.fetch_add(static_cast<u64>(now - begin), relaxed);
    late_ones_first(m, m->p, now);
  }
}

}  // namespace thrum
