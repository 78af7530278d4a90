// The part of the watchdog that sysmon does: finds Gs that have not come to a
// scheduling point for long, with their P or after it was taken. Telling people
// is the business of observe (Runtime::watch.tell).
// SPDX-License-Identifier: MIT
#include "sched/ready.hpp"

namespace thrum {

namespace {

void tell(Runtime* rt, M* m, i64 since, i64 now, Done done) {
  if (G* g = glance(m->cur)) {
    rt->watch.tell(rt, Stall{g, m, now - since, done});
  }
}

// With its P still: because nobody waited, or no thread was to be had.
void look_at_ps(Runtime* rt, i64 limit, i64 now) {
  for (u32 i = 0; i < rt->p_count.load(acquire); ++i) {
    P* p = rt->ps[i];
    Look& seen = rt->looks[i];
    M* m = p->m.load(acquire);  // pairs with take_p
    if (p->state.load(relaxed) != PState::running || !m ||
        p->dispatches.load(relaxed) != seen.dispatches ||
        now - seen.since < limit || seen.said == seen.dispatches + 1 ||
        (m->door.word.load(relaxed) & kDeclared)) {
      continue;
    }
    seen.said = seen.dispatches + 1;
    bool inside = m->door.in_core.load(relaxed);
    tell(rt, m, seen.since, now, inside ? Done::inside : Done::kept);
  }
}

// Without: since sysmon took it (M::taken_at).
void look_at_ms(Runtime* rt, i64 limit, i64 now) {
  M* stalled[16];
  i64 since[16];
  u32 n = 0;
  {
    Locked held(rt->lock);
    for (M* m = rt->ms; m && n < 16; m = m->next_m) {
      u32 w = m->door.word.load(relaxed);
      if ((w & (kTaken | kApart)) && !(w & kDeclared) && m->taken_at &&
          m->taken_at != m->said_at && now - m->taken_at >= limit) {
        since[n] = m->said_at = m->taken_at;
        stalled[n++] = m;
      }
    }
  }
  for (u32 i = 0; i < n; ++i) {
    tell(rt, stalled[i], since[i], now, Done::retaken);
  }
}

}  // namespace

i64 watch_look(Runtime* rt, i64 now) {
  Watch& w = rt->watch;
  if (w.limit.load(relaxed) == 0) {
    return kForever;
  }
  w.teller.store(thread_pointer(), seq_cst);  // Dekker with watch_pause
  i64 limit = w.limit.load(seq_cst);
  if (limit) {
    look_at_ps(rt, limit, now);
    look_at_ms(rt, limit, now);
  }
  w.teller.store(0, release);
  return limit ? now + max(limit / 4, i64{50'000}) : kForever;
}

bool watch_pause(Runtime* rt) {
  Watch& w = rt->watch;
  if (w.teller.load(relaxed) == thread_pointer()) {
    return false;
  }
  w.limit.store(0, seq_cst);
  while (w.teller.load(seq_cst)) {
    os::thread_yield();
  }
  return true;
}

void watch_begin(Runtime* rt, i64 limit) {
  rt->watch.limit.store(limit, release);  // pairs with watch_look
  sysmon_wake(rt);
}

}  // namespace thrum
