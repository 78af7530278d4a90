// The hot path: choosing the next G on this P and going there directly, from G
// to G, without a detour over the loop's stack. For sched only.
//
// Whoever leaves writes M::after; whoever arrives calls finish(), on the same M
// and P, with the leaver's registers saved. Only finish() makes the leaver
// visible to others.
// SPDX-License-Identifier: MIT
#pragma once
#include "arch/context.hpp"
#include "sched/api.hpp"
#include "sched/metrics.hpp"
#include "sched/probes.hpp"

namespace thrum {

// loop.cpp, park.cpp, ready.cpp, exit.cpp: the parts behind the hot path
G* pick_fair(M* m, P* p);  // the fairness tick
G* pick_pinned(M* m);      // pinned.cpp: for pick_next, which sees a reason
bool bind(M* m, G* g);     // a body for a G that has none; false: the
                           // loop must see to it (M::next_g)
void finish_slow(M* m);
// hibernate.cpp. Owner: the stack of a started G is there again, and g->body.
void stack_awake(Runtime* rt, G* g);
void commit_timed(M* m, const After& a);
void commit_late(M* m, const After& a, u64 old);
void timer_armed(P* p, i64 when, bool busy);
void runq_put(M* m, P* p,
              G* g);  // tail of the ring; spills to the global queue
void push_batch(Runtime* rt, G** items, u32 n);  // to the global queue
void body_put(M* m, Body* b);
void body_dress(M* m, G* g, Body* b);  // what a G finds in its body
void loop(M* m);
void loop_switch(M* m, Body* from);
void g_main(void* carry);

// What is next in the queues of P.
THRUM_INLINE G* pick_plain(M* m, P* p) {
  if (THRUM_UNLIKELY(--p->fair_in == 0)) {
    if (G* g = pick_fair(m, p)) {
      return g;
    }
  }
  if (G* g = p->take_next()) {
    // What a G readies shares its turn, but not for ever: a chattering pair
    // would starve the ring.
    if (THRUM_LIKELY(++p->streak < kNextStreak)) {
      return g;
    }
    runq_put(m, p, g);
  }
  p->streak = 0;
  // Young ones first (see queue/fresh.hpp), but every eighth pick is the
  // ring's: a storm of spawns may slow the others, never stop them.
  if (THRUM_LIKELY(++p->turn % 8 != 0)) {
    if (G* g = p->take_fresh()) {
      return g;
    }
    return p->take_ring();
  }
  if (G* g = p->take_ring()) {
    return g;
  }
  return p->take_fresh();
}

// Null: the loop knows.
THRUM_INLINE G* pick_next(M* m) {
  P* p = m->p;
  if (THRUM_UNLIKELY(p->attention.load(relaxed) | m->slow.load(relaxed) |
                     m->pinned_n.load(relaxed) | m->own_n.load(relaxed))) {
    return pick_pinned(m);
  }
  return pick_plain(m, p);
}

inline void eh_save(M* m, Body* b) {
  EhGlobals* eh = m->eh;
  if (eh && THRUM_UNLIKELY(eh->caught || static_cast<u32>(eh->uncaught))) {
    b->eh = *eh;
    *eh = EhGlobals{};
  }
}

inline void eh_restore(M* m, Body* b) {
  if (THRUM_UNLIKELY(b->eh.caught || static_cast<u32>(b->eh.uncaught))) {
    if (m->eh) {
      *m->eh = b->eh;
    }
    b->eh = EhGlobals{};
  }
}

inline u64 phase_of(const After& a) {
  return (a.hard ? kWaitHard : kWait) | (a.parked ? kParked : 0);
}

// The park of a G whose context is saved now: publishes the phase, then lets go
// of the object's lock.
THRUM_INLINE void commit_park(M* m, const After& a) {
  a.g->state.store(State::waiting, relaxed);
  if (THRUM_UNLIKELY(a.deadline != kForever)) {
    return commit_timed(m, a);
  }
  // acq_rel: releases the saved context and the node to whoever claims.
  u64 old = a.g->word.fetch_add(phase_of(a), acq_rel);
  a.unlock.go();  // from here on g may be anywhere
  if (THRUM_UNLIKELY(old & (kCancel | kPermit))) {
    commit_late(m, a, old);
  }
}

THRUM_INLINE void finish(M* m) {
  if (THRUM_LIKELY(m->after.kind == AfterKind::park)) {
    m->after.kind = AfterKind::none;
    commit_park(m, m->after);
  } else if (m->after.kind == AfterKind::yield) {
    m->after.kind = AfterKind::none;
    if (kMigrateAlways) {
      push_batch(m->rt, &m->after.g, 1);
    } else {
      runq_put(m, m->p, m->after.g);
    }
  } else if (m->after.kind != AfterKind::none) {
    finish_slow(m);
  }
}

inline void start_running(M* m, G* g) {
  measure_run(m, g);
  show(m->cur, g);
  g->state.store(State::running, relaxed);
  bump(m->p->dispatches);
}

// Leaves `from` for `g`, which has a body; returns when `from` runs again, with
// the M it runs on.
THRUM_INLINE M* switch_to(M* m, Body* from, G* g) {
  Body* to = g->body;
  eh_save(m, from);
  trace_switch(m, g);
  start_running(m, g);
  m->arrived_native = false;
  note_leave(from->note, to->note, false);
  m = static_cast<M*>(context_switch(&from->sp, to->sp, m));
  note_arrive(from->note, m->arrived_native ? &m->note0 : nullptr);
  finish(m);
  eh_restore(m, from);
  return m;
}

// Leaves `from` for the loop of this M.
THRUM_INLINE M* switch_to_loop(M* m, Body* from) {
  eh_save(m, from);
  trace_leave(m);
  note_leave(from->note, m->note0, false);
  m = static_cast<M*>(context_switch(&from->sp, m->sp0, m));
  note_arrive(from->note, m->arrived_native ? &m->note0 : nullptr);
  finish(m);
  eh_restore(m, from);
  return m;
}

// Leaves the loop of m, or what it drains, for g, which has a body; returns when m
// is there again. Inline for the CPU's return stack (see wait.hpp): a domain's Gs
// come and go here.
THRUM_INLINE void switch_from_loop(M* m, G* g) {
  trace(m, m->rt, Event::run, g, m->id);
  start_running(m, g);
  m->arrived_native = true;
  note_leave(m->note0, g->body->note, false);
  context_switch(&m->sp0, g->body->sp, m);
  note_arrive(m->note0, nullptr);
  show<G*>(m->cur, nullptr);
  if (THRUM_UNLIKELY(m->slow.load(relaxed) & kSlowDebug) &&
      m->after.kind == AfterKind::park) {
    m->rt->config.parks(m->rt, m, m->after.g);
  }
  finish(m);
}

// Leaves the calling G for whatever is next; m->after is set.
THRUM_INLINE M* switch_away(M* m, Body* from) {
  G* g = pick_next(m);
  if (THRUM_LIKELY(g != nullptr) && (g->body || bind(m, g))) {
    return switch_to(m, from, g);
  }
  return switch_to_loop(m, from);
}

}  // namespace thrum
