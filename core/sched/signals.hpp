// What a thread gets for as long as it is an M: the signals that runtimes have asked
// for (preempt.cpp, overflow.cpp).
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/overflow.hpp"
#include "sched/preempt.hpp"

namespace thrum {

inline void signals_leave(M* m) {
  preempt_leave(m);
  overflow_leave(m);
}

inline void signals_join(M* m) {
  m->signals_seen = m->rt->signals_set.load(acquire);  // pairs with below
  preempt_join(m);
  overflow_join(m);
}

// One of them went on or off meanwhile.
inline void signals_rejoin(M* m) {
  signals_leave(m);
  signals_join(m);
}

// Under signals_lock, after a change: Ms with a P at their next switch, others when
// they take one.
inline void signals_changed(Runtime* rt) {
  // release: who has seen this number has seen what it stands for.
  rt->signals_set.fetch_add(1, release);
  u32 n = rt->p_count.load(acquire);
  for (u32 i = 0; i < n; ++i) {
    rt->ps[i]->attention.fetch_or(kAttnSignals, relaxed);
  }
}

}  // namespace thrum
