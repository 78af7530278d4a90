// Parking, inline: what a waiting call of sync, chan or time becomes. Inline for
// the CPU's return stack: each frame between the switch and the guest is one more
// `ret` to be predicted on the other side.
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/switch.hpp"

namespace thrum {

// park.cpp
int wait_as_thread(Wake* wake, const Wait& w, const Unlock& unlock);
void disarm(Body* b);
int yield_slow(M*& m, G* g);
int wait_begin_slow(M* m, Wait& w);

// See sched/api.hpp. Inline: the wait of a G without deadline, limit, shield or
// request.
inline int wait_begin(M* m, Wait& w) {
  G* g = g_of(m);
  if (THRUM_LIKELY(g && w.deadline == kForever)) {
    Body* b = g->body;
    if (THRUM_LIKELY(b->limit == kForever && b->shield == 0 &&
                     !(g->word.load(relaxed) & kCancel))) {
      return 0;
    }
  }
  return wait_begin_slow(m, w);
}

// Would a wait end at once, for a request that came before it?
inline bool cancel_pends(M* m) {
  G* g = g_of(m);
  return g && (g->word.load(relaxed) & kCancel);
}

// A wait was ended by a request, but the call has another answer: it stays.
inline void cancel_again(M* m) {
  if (G* g = g_of(m)) {
    g->word.fetch_or(kCancel, relaxed);
  }
}

inline bool on_stack(const Body* b, const void* p) {
  auto* at = static_cast<const char*>(p);
  return at >= b->stack.lo() && at < b->stack.end();
}

// Parks the caller (G or thread) until someone claims `wake`; releases what
// `unlock` names once the caller's context is saved. Returns wake->result: what
// the claimer wrote, kETIMEDOUT or kECANCELED; m is the M it returns on.
THRUM_INLINE int wait(M*& m, Wake* wake, const Wait& w, Unlock unlock) {
  G* g = wake->g;
  if (THRUM_UNLIKELY(!g)) {
    return wait_as_thread(wake, w, unlock);
  }
  Body* b = g->body;
  b->why.store(w.why, relaxed);
  publish(b->on, w.on ? w.on : static_cast<const void*>(unlock.lock));
  if (THRUM_UNLIKELY(g->flags & kHibernate)) {
    // What it waits in belongs to itself: others touch it.
    b->awake = on_stack(b, unlock.lock);
  }
  bump(m->p->waits[static_cast<u8>(w.why)]);
  m->after.park(g, w.hard, w.parked, unlock, w.deadline);
  m = switch_away(m, b);
  b->why.store(Why::none, relaxed);
  if (THRUM_UNLIKELY(w.deadline != kForever)) {
    disarm(b);
  }
  int result = b->wake.result;
  if (THRUM_UNLIKELY(result == kECANCELED)) {
    g->word.fetch_and(~kAnswering, relaxed);
  }
  return result;
}

// The waiting party of the caller: its G's, or `own` on a foreign thread.
inline Wake* wake_of(M* m, ThreadWake& own) {
  if (G* g = g_of(m)) {
    return &g->body->wake;
  }
  own.word = &own.own;
  own.g = nullptr;
  own.by = nullptr;
  return &own;
}

// What a wake touches, as a guess: a thread's node lies in no body.
THRUM_INLINE void prefetch_waiter(const Waiter* w) {
  if (w) {
    prefetch_body(reinterpret_cast<const Body*>(
        reinterpret_cast<const char*>(w) - offsetof(Body, waiter)));
  }
}

// A node for one wait of the caller: its G's, or `own`.
inline Waiter* waiter_of(M* m, Waiter& own) {
  G* g = g_of(m);
  return g ? &g->body->waiter : &own;
}

THRUM_INLINE int yield(M*& m) {
  G* g = m->cur;
  if (THRUM_UNLIKELY((g->word.load(relaxed) & kCancel) ||
                     (g->flags & kRouted))) {
    return yield_slow(m, g);
  }
  g->state.store(State::runnable, relaxed);
  m->after.kind = AfterKind::yield;
  m->after.g = g;
  m = switch_away(m, g->body);
  return 0;
}

}  // namespace thrum
