// SPDX-License-Identifier: MIT
#include "sched/metrics.hpp"

namespace thrum {

namespace {

Stamp& stamp_of(Runtime* rt, const G* g) {
  return rt->stamps[g->slot % kStamps];
}

// Both clocks at one moment, as far as nobody stops us between the two.
struct Moment {
  i64 ns;
  u64 ticks;
};
Moment moment() {
  constexpr i64 kClose = 1'000;
  Moment best{};
  i64 least = kForever;
  for (int tries = 0; tries < 16 && least > kClose; ++tries) {
    i64 before = os::now_ns();
    u64 ticks = cpu_ticks();
    i64 took = os::now_ns() - before;
    if (took < least) {
      least = took;
      best = Moment{before + took / 2, ticks};
    }
  }
  return best;
}

}  // namespace

u64 ticks_of(i64 ns) {
  constexpr i64 kLook = 20'000;
  Moment first = moment();
  while (os::now_ns() - first.ns < kLook) {}
  Moment last = moment();
  return max((last.ticks - first.ticks) * static_cast<u64>(ns) /
                 static_cast<u64>(max(last.ns - first.ns, i64{1})),
             u64{1});
}

// Its owner is whoever readies it. A stamp that another G of the same place
// overwrites is a sample less.
static void stamp(Runtime* rt, const G* g, u64 ticks) {
  Stamp& s = stamp_of(rt, g);
  s.slot.store(g->slot, relaxed);
  s.ticks.store(ticks, release);  // pairs with stamped
}

// Since when; 0: another G's by now.
static u64 stamped(Runtime* rt, const G* g) {
  Stamp& s = stamp_of(rt, g);
  u64 at = s.ticks.load(acquire);  // pairs with stamp
  return s.slot.load(relaxed) == g->slot ? at : 0;
}

void sample_ready(P* p, G* g) {
  p->sample_in = kSampleEvery;
  stamp(p->rt, g, cpu_ticks());
  g->flags |= kSampled;
}

void sample_run(M* m, G* g) {
  g->flags &= static_cast<u8>(~kSampled);
  u64 at = stamped(m->rt, g);
  u64 now = cpu_ticks();
  if (!at || now <= at) {
    g->flags &= static_cast<u8>(~kFromNet);
    return;
  }
  u64 ns = ticks_to_ns(m->rt, now - at);
  Metrics& to = m->p->metrics;
  if (g->flags & kFromNet) {
    to.net[kNetQueue].add(ns);
    stamp(m->rt, g, now);
  } else {  // the others are a sample of all
    to.ready[affinity_class_of(g)].add(ns);
    to.ready[rank_class_of(g)].add(ns);
  }
}

void sample_event(P* p, G* g) {
  p->net_in = kNetEvery;
  u64 now = cpu_ticks();
  u64 looked = p->rt->polled.load(relaxed);
  if (now > looked) {
    p->metrics.net[kNetPoll].add(ticks_to_ns(p->rt, now - looked));
  }
  stamp(p->rt, g, now);
  g->flags |= kSampled | kFromNet;
}

void sample_on(M* m, G* g) {
  g->flags &= static_cast<u8>(~kFromNet);
  u64 at = stamped(m->rt, g);
  u64 now = cpu_ticks();
  if (m->p && at && now > at) {
    m->p->metrics.net[kNetDispatch].add(ticks_to_ns(m->rt, now - at));
  }
}

}  // namespace thrum
