// What is measured while nobody asked for anything: see P::metrics.
// SPDX-License-Identifier: MIT
#pragma once
#include "probe/usdt.hpp"
#include "sched/runtime.hpp"

namespace thrum {

// metrics.cpp
// cpu_ticks in so many ns, from a short look at both clocks.
u64 ticks_of(i64 ns);
void sample_ready(P* p, G* g);
void sample_run(M* m, G* g);
void sample_event(P* p, G* g);
void sample_on(M* m, G* g);

inline u32 affinity_class_of(const G* g) {
  bool pinned = g->affinity == kPinM || (g->body && g->body->pin);
  return g->ext && g->ext->domain ? 2 : pinned ? 1 : 0;
}
// By the priority that it was spawned with.
inline u32 rank_class_of(const G* g) {
  return kAffinities + (g->rank.load(relaxed) & 3);
}

// A clock read at both ends of every wait would cost as much as the switch between:
// one ready in kSampleEvery is stamped, and its dispatch tells the time.
THRUM_INLINE void measure_ready(P* p, G* g) {
  if (kProbes && THRUM_UNLIKELY(--p->sample_in == 0)) {
    sample_ready(p, g);
  }
}
THRUM_INLINE void measure_run(M* m, G* g) {
  if (kProbes && THRUM_UNLIKELY(g->flags & kSampled)) {
    sample_run(m, g);
  }
}

// Of a G that the poller wakes, in place of measure_ready; and when it has gone on.
THRUM_INLINE void measure_event(P* p, G* g) {
  if (kProbes && THRUM_UNLIKELY(--p->net_in == 0)) {
    sample_event(p, g);
  } else {
    measure_ready(p, g);
  }
}
THRUM_INLINE void measure_on(M* m, G* g) {
  if (kProbes && THRUM_UNLIKELY(g->flags & kFromNet)) {
    sample_on(m, g);
  }
}

__extension__ using Wide = unsigned __int128;
inline u64 ticks_to_ns(const Runtime* rt, u64 ticks) {
  // No floating point: this runs in the guest's environment for it.
  return static_cast<u64>((static_cast<Wide>(ticks) * rt->ns_per_tick) >> 32);
}

}  // namespace thrum
