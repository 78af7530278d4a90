// Timers: one heap per P, absolute deadlines in ns. The owner fires its own in
// the loop and every 61st dispatch; others fire them when they steal; an idle M
// sleeps until the earliest of all; sysmon minds busy Ps.
// SPDX-License-Identifier: MIT
#include "sched/ready.hpp"

namespace thrum {

namespace {

Body* body_of(Timer* t) {
  return reinterpret_cast<Body*>(reinterpret_cast<char*>(t) -
                                 offsetof(Body, timer));
}

}  // namespace

i64 now_of(M* m) {
  if (THRUM_UNLIKELY(m && seeded(m->rt))) {
    return m->rt->virtual_now.load(relaxed);
  }
  return os::now_ns();
}

// Fires what is due on `p` and readies it on the caller's P; returns how many.
//
// In three passes over a batch, as each timer of many is a chain of cache misses
// (body, then G): the first fetches the bodies, the second the Gs, the third
// claims. All under the lock, so an owner that finds its timer armed waits until
// we are done with it; one that finds it idle knows that we are.
u32 run_timers(M* m, P* p, i64 now) {
  if (p->earliest.load(relaxed) > now) {  // saves the lock; the lock orders
    return 0;
  }
  constexpr u32 kBatch = 32;
  Timer* due[kBatch];
  Fifo<G> fired;
  Fifo<G> routed;
  i64 late = now - p->earliest.load(relaxed);  // of the first, for events
  p->timer_lock.lock();
  for (u32 n = kBatch; n == kBatch;) {
    n = 0;
    while (n < kBatch && (due[n] = p->timers.take_due(now))) {
      char* b = reinterpret_cast<char*>(body_of(due[n++]));
      __builtin_prefetch(b);
      __builtin_prefetch(b + kCacheLine, 1);  // Wake::result
    }
    for (u32 i = 0; i < n; ++i) {
      __builtin_prefetch(body_of(due[i])->wake.g, 1);
    }
    for (u32 i = 0; i < n; ++i) {
      Body* b = body_of(due[i]);
      G* g = b->wake.g;
      bool mine = claim(&b->wake);
      if (mine) {
        if (fired.count < kBatch) {  // these run in a moment
          prefetch_context(b);
        }
        b->wake.result = kETIMEDOUT;
        trace_timer(m, g, late);
        if (m && m->p) {
          measure_ready(m->p, g);
        }
        g->state.store(State::runnable, relaxed);
      }
      TimerHeap::fired(due[i]);  // from here on b is its owner's, if not ours
      if (mine) {
        (g->flags & kRouted ? routed : fired).push(g);
      }
    }
  }
  p->earliest.store(p->timers.earliest(), seq_cst);
  p->timer_lock.unlock();
  u32 n = fired.count + routed.count;
  if (n && m && m->p && m->rt == p->rt && !seeded(p->rt)) {
    m->p->metrics.timer.add(static_cast<u64>(max(late, i64{0})));
  }
  while (G* g = routed.pop()) {
    route(m, g, false);
  }
  put_all(m, fired);
  return n;
}

i64 earliest_timer(Runtime* rt, const P* but) {
  i64 first = kForever;
  u32 n = rt->p_count.load(acquire);
  for (u32 i = 0; i < n; ++i) {
    const P* p = rt->ps[i];
    first = p == but ? first : min(first, p->earliest.load(seq_cst));
  }
  return first;
}

// Must an idle M wake earlier for it? If this P has nothing else to do it will
// be idle itself in a moment and take the sleeper's place.
void timer_armed(P* p, i64 when, bool busy) {
  Runtime* rt = p->rt;
  if (when >= rt->sleep_until.load(seq_cst) || !(busy || p->queued())) {
    return;
  }
  M* m;
  {
    Locked held(rt->lock);
    m = rt->sleeper.load(relaxed);
    if (!m && rt->idle_m) {
      m = rt->idle_m;
    }
  }
  if (m) {
    note_wake(m);  // it looks at the timers and sleeps again
  } else {
    sysmon_prompt(rt);
  }
}

}  // namespace thrum
