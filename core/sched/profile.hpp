// Who profiles: the seam between sync and sched, below, and observe, above.
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
  // In the handler of the directed signal: m was stopped there, as it was asked to be.
  void (*stopped)(Profile* self, M* m, const os::Stopped& at);
  void (*end)(Profile* self);  // with the runtime
};

// preempt.cpp. While it is on, Ms can be asked where they are. Errors as
// preempt_enable's, of which it shares the signal.
int sample_enable(Runtime* rt);
void sample_disable(Runtime* rt);
// False: it cannot be asked, not yet or not now.
bool sample_send(M* m);

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
