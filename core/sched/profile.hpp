// Who profiles locks: the seam between sync, below, and observe, above.
// SPDX-License-Identifier: MIT
#pragma once
#include "probe/usdt.hpp"
#include "sched/api.hpp"
#include "sched/runtime.hpp"

namespace thrum {

struct Profile {
  Atomic<u32> mutex_rate;  // anyone: one contended unlock in so many; 0: none
  // The G or thread of m lets go of a lock for which somebody has waited for ns.
  void (*unlocked)(Profile* self, M* m, i64 ns);
  void (*end)(Profile* self);  // with the runtime
};

// On the slow path of an unlock; since: when the wait of who is woken began.
inline void profile_unlock(M* m, i64 since) {
  if (kProbes && m) {
    Profile* p = m->rt->profile.load(acquire);  // pairs with who makes it
    if (THRUM_UNLIKELY(p && p->mutex_rate.load(relaxed))) {
      p->unlocked(p, m, now_of(m) - since);
    }
  }
}

}  // namespace thrum
