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
u32 run_timers(M* m, P* p, i64 now) {
  // acquire is not needed: the lock orders; this only saves taking it.
  if (p->earliest.load(relaxed) > now) {
    return 0;
  }
  Fifo<G> fired;
  {
    Locked held(p->timer_lock);
    while (Timer* t = p->timers.due(now)) {
      Body* b = body_of(t);
      // Claim before disarming: an owner that sees the timer idle skips this
      // lock, so by then we must be done with it.
      bool mine = claim(&b->wake);
      if (mine) {
        b->wake.result = kETIMEDOUT;
        fired.push(b->wake.g);
      }
      p->timers.disarm(t);
    }
    p->earliest.store(p->timers.earliest(), seq_cst);
  }
  u32 n = fired.count;
  while (G* g = fired.pop()) {
    ready_behind(m, g);
  }
  return n;
}

i64 earliest_timer(Runtime* rt) {
  i64 first = kForever;
  u32 n = rt->p_count.load(acquire);
  for (u32 i = 0; i < n; ++i) {
    first = min(first, rt->ps[i]->earliest.load(seq_cst));
  }
  return first;
}

// Must an idle M wake earlier for it? If this P has nothing else to do it will
// be idle itself in a moment and take the sleeper's place.
void timer_armed(P* p, i64 when) {
  Runtime* rt = p->rt;
  if (when >= rt->sleep_until.load(seq_cst) || !p->queued()) {
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
  }
}

}  // namespace thrum
