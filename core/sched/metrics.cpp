// SPDX-License-Identifier: MIT
#include "sched/metrics.hpp"

namespace thrum {

namespace {

u32 class_of(const G* g) {
  return g->ext && g->ext->domain ? 2 : (g->flags & kRouted ? 1 : 0);
}

Stamp& stamp_of(Runtime* rt, const G* g) {
  return rt->stamps[g->slot % kStamps];
}

}  // namespace

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
    m->p->metrics.ready[class_of(g)].add(ticks_to_ns(m->rt, now - at));
  }
}

}  // namespace thrum
