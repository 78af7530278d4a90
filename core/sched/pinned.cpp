// Gs that run on one M only (THRUM_PIN_M, a started THRUM_PIN_STARTED,
// thrum_lock_thread), and Ms that want a P.
//
// A ready pinned G queues on its M: in `own`, without a lock, if that M readies it
// and has a P; else in `pinned`, which `own` takes in. If the M has a P it takes the
// G at its next dispatch; if it sleeps it gets an idle P or, when all are busy,
// stands in the `wanting` queue. An M hands its P over to the head of that queue when
// it runs out of work, at its fairness tick, or when sysmon asks (once a tick): not
// at once, or Ms with pinned Gs would pass one P round for every dispatch.
//
// Once begun they can't be balanced, so they are before: a G that accepts
// connections would have all of them on its own M, for each begins as it parks.
// SPDX-License-Identifier: MIT
#include "sched/ready.hpp"

namespace thrum {

namespace {

// How many more than its share an M may have. A few may well talk to each other, and
// from M to M that costs a wake; many are strangers, of which each M gets its part.
u32 crowd(u32 share) { return share < 24 ? 8 - share / 4 : 2; }

// Has m more than its share of pinned Gs, and a crowd more? *to: an idle P, if so.
bool crowded(Runtime* rt, M* m, P** to) {
  Locked held(rt->lock);
  u32 all = 0;
  for (M* each = rt->ms; each; each = each->next_m) {
    all += each->bound.load(relaxed);
  }
  u32 mine = m->bound.load(relaxed);
  u32 share = all / max(rt->procs.load(relaxed), 1u);
  u32 most = share + crowd(share);
  if (mine <= most) {
    m->crowd_at = mine + crowd(share);
    return false;
  }
  m->crowd_at = most;
  *to = idle_p_pop(rt);
  return true;
}

}  // namespace

// It will be pinned where it begins: on an M that has many, elsewhere.
void spawn_pinned(M* m, G* g) {
  Runtime* rt = m->rt;
  P* to = nullptr;
  if (m->bound.load(relaxed) < m->crowd_at || !owns_threads(rt) ||
      !crowded(rt, m, &to)) {
    fresh_put(m->p, g);
  } else if (!to) {
    push_batch(rt, &g, 1);
    sysmon_prompt(rt);
  } else if (!start_m(rt, to, g, false, true)) {
    give_p(rt, to, false);
    fresh_put(m->p, g);
  }
}

void next_p_or_wait(Runtime* rt, M* m) {
  if (m->wanting) {
    return;
  }
  m->next_p = idle_p_pop(rt);
  if (m->next_p) {
    return;
  }
  wanted_append(rt, m);
  sysmon_prompt(rt);  // the Ps' Ms may be outside
}

namespace {

void own_push(M* m, G* g) {
  m->own.push(g);
  m->own_n.store(m->own.count, relaxed);
}

// As P::prefetch_ahead, but for several at once: each stack is a page of its own, and
// CPUs look for two pages at a time (Intel's since Skylake). First the bodies of those
// behind, then, the next time, what these point to. A few are warm anyway.
void fetch_own(M* m) {
  constexpr u32 kFetch = 8;
  constexpr u32 kFew = 64;
  if (!kReadAhead || m->bound.load(relaxed) < kFew) {
    return;
  }
  u32 n = 0;
  G* g = m->own.head;
  for (; g && n < kFetch; g = g->next, ++n) {
    if (const Body* b = g->body) {
      prefetch_context(b);
    }
  }
  m->own_fetched = n;
  for (n = 0; g && n < kFetch; g = g->next, ++n) {
    prefetch_body(g->body);
  }
}

}  // namespace

G* own_pop(M* m) {
  G* g = m->own.pop();
  m->own_n.store(m->own.count, relaxed);
  if (m->own_fetched) {
    --m->own_fetched;
  } else {
    fetch_own(m);
  }
  return g;
}

void take_in(M* m) {
  m->own.splice(m->pinned);
  m->own_n.store(m->own.count, relaxed);
  m->pinned_n.store(0, relaxed);
}

void ready_pinned(M* m, M* pin, G* g) {
  Runtime* rt = pin->rt;
  if (pin == m && m->p) {
    own_push(m, g);
    if (THRUM_UNLIKELY(rt->preempt_on.load(relaxed))) {
      sysmon_prompt(rt);
    }
    return;
  }
  M* wake = nullptr;
  {
    Locked held(rt->lock);
    pin->pinned.push(g);
    pin->pinned_n.store(pin->pinned.count, relaxed);
    bool asleep = pin->locked_asleep ? pin->locked == g : pin->idle;
    if (pin != m && asleep && !pin->wanting) {
      if (pin->idle) {
        idle_m_remove(rt, pin);
      }
      pin->locked_asleep = false;
      next_p_or_wait(rt, pin);
      wake = pin->next_p ? pin : nullptr;
    }
  }
  if (wake) {
    note_wake(wake);
  } else if (pin->lent && !owns_threads(rt)) {
    raise_wake_fd(rt);
  } else {
    sysmon_prompt(rt);
  }
}

namespace {

// Sleeps, as an OS thread, until m has a P; or, if it is lent and its call is
// over, goes home without one.
void await_p(M* m) {
  for (;;) {
    P* p;
    {
      Locked held(m->rt->lock);
      p = m->next_p;
      m->next_p = nullptr;
      if (!p && !m->wanting && (m->slow.load(relaxed) & kSlowStop)) {
        m->locked_asleep = false;
        return;
      }
    }
    if (p) {
      take_p(m, p);
      return;
    }
    note_wait(m, kForever);
  }
}

// The first of the ready Gs that `is` it; the others keep their order.
template <class Is>
G* take_first(M* m, Is is) {
  G* found = nullptr;
  for (u32 n = m->own.count; n > 0; --n) {
    G* g = own_pop(m);
    if (!found && is(g)) {
      found = g;
    } else {
      own_push(m, g);
    }
  }
  return found;
}

// On a locked thread: its G, if it is ready, in turns with those that had been
// stopped here before it was locked and can go on nowhere else. Others pinned
// here wait for the unlock.
G* take_locked(M* m, bool served) {
  auto locked = [=](G* g) { return g == m->locked; };
  auto bound = [](G* g) { return g->body && g->body->bound; };
  bool turn = m->bound_n && ++m->pinned_turn % 2;
  G* g = turn ? take_first(m, bound) : nullptr;
  if (!g && served) {
    g = take_first(m, locked);
  }
  return g || !m->bound_n ? g : take_first(m, bound);
}

}  // namespace

// An M that belongs to a G which is not ready gives its P away and sleeps.
void sleep_locked(M* m) {
  Runtime* rt = m->rt;
  drop_p(m);
  {
    Locked held(rt->lock);
    take_in(m);
    bool ready = false;
    for (G* g = m->own.head; g; g = g->next) {
      ready |= g == m->locked;
    }
    if (!ready) {
      m->locked_asleep = true;
    } else {
      next_p_or_wait(rt, m);
    }
  }
  await_p(m);
}

G* take_pinned(M* m) {
  if (m->pinned_n.load(relaxed)) {
    Locked held(m->rt->lock);
    take_in(m);
  }
  if (m->own.empty()) {
    return nullptr;
  }
  if (m->rt->preempt_on.load(relaxed)) {
    sysmon_prompt(m->rt);  // it may have rested since before m had its P
  }
  bool others = m->p->queued() || between(m->rt);
  if (m->slow.load(relaxed) & kSlowLocked) {
    // A yield is a yield: the others need the P on another M.
    m->locked_served = !(others && m->locked_served);
    return take_locked(m, m->locked_served);
  }
  // One that was preempted comes after those that stood here then. Otherwise every
  // other dispatch, so that pinned Gs and the P's own share the M.
  if (others && m->bound_wait) {
    --m->bound_wait;
    return nullptr;
  }
  if (others && !m->bound_n && ++m->pinned_turn % 2) {
    return nullptr;
  }
  return own_pop(m);
}

G* pick_pinned(M* m) {
  P* p = m->p;
  if (p->attention.load(relaxed) || m->slow.load(relaxed) ||
      m->pinned_n.load(relaxed) || between(m->rt) ||
      m->rt->preempt_on.load(relaxed)) {
    return nullptr;
  }
  // In turns, as in take_pinned.
  if (p->queued() && ++m->pinned_turn % 2) {
    return pick_plain(m, p);
  }
  if (--p->fair_in == 0) {
    if (G* g = pick_fair(m, p)) {
      return g;
    }
  }
  return own_pop(m);
}

void want_p(M* m) {
  if (THRUM_UNLIKELY(forked(m))) {
    return;
  }
  {
    Locked held(m->rt->lock);
    next_p_or_wait(m->rt, m);
  }
  await_p(m);
}

bool pinned_ready(Runtime* rt, u64 who) {
  Locked held(rt->lock);
  for (M* m = rt->ms; m; m = m->next_m) {
    if (m->lent && (!who || m->lender == who) && pinned_waits(m)) {
      return true;
    }
  }
  return false;
}

int lock_thread(M* m) {
  G* g = m->cur;
  if (inside_domain(g)) {
    return kEPERM;  // its next turn may be on another M
  }
  Body* b = g->body;
  if (b->rare()->lock_depth++ == 0) {
    if (!b->pin) {
      b->pin = m;
      b->lock_pinned = true;
      g->flags |= kRouted;
    }
    if (owns_threads(m->rt)) {  // else the M is all there may be
      m->locked = g;
      m->slow.fetch_or(kSlowLocked, relaxed);
    }
  }
  return 0;
}

// A G has ended without unlocking: its thread is in whatever state it left it in
// (signal mask, namespaces, affinity), and ends too, as Go's does. A lent one is
// the host's, and one that others are bound to must stay.
void thread_is_spoilt(M* m) {
  if (!m->lent && owns_threads(m->rt) && !m->bound.load(relaxed)) {
    m->slow.fetch_or(kSlowStop, relaxed);
  }
}

int unlock_thread(M* m) {
  G* g = m->cur;
  Body* b = g->body;
  if (b->rare()->lock_depth == 0) {
    return kEPERM;
  }
  if (--b->rare()->lock_depth > 0) {
    return 0;
  }
  if (m->pinned_cpus) {
    unpin_cpus(m);
  }
  m->locked = nullptr;
  m->slow.fetch_and(~kSlowLocked, relaxed);
  if (b->lock_pinned) {
    b->lock_pinned = false;
    b->pin = nullptr;
    unroute(m->rt, g);
  }
  return 0;
}

}  // namespace thrum
