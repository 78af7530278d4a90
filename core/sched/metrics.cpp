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
void sample_ready(P* p, G* g) {
  p->sample_in = kSampleEvery;
  Stamp& s = stamp_of(p->rt, g);
  s.slot.store(g->slot, relaxed);
  s.ticks.store(cpu_ticks(), release);  // pairs with sample_run
  g->flags |= kSampled;
}

void sample_run(M* m, G* g) {
  g->flags &= static_cast<u8>(~kSampled);
  Stamp& s = stamp_of(m->rt, g);
  u64 at = s.ticks.load(acquire);  // pairs with sample_ready
  u64 now = cpu_ticks();
  if (s.slot.load(relaxed) == g->slot && now > at) {
    u64 ns = ticks_to_ns(m->rt, now - at);
    Metrics& to = m->p->metrics;
    to.ready[affinity_class_of(g)].add(ns);
    to.ready[rank_class_of(g)].add(ns);
  }
}

}  // namespace thrum
