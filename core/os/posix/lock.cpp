// SPDX-License-Identifier: MIT
#include "os/lock.hpp"

#include "os/os.hpp"

namespace thrum {

// The holder may have been descheduled: on a loaded machine spinning longer
// than a few hundred cycles only keeps the CPU from it.
THRUM_COLD u64 WordLock::lock_slow() {
  for (u32 round = 0;; ++round) {
    u64 v = word.load(relaxed);
    if (!(v & 1) && word.compare_exchange_weak(v, v | 1, acquire, relaxed)) {
      return v;
    }
    if (round < 64) {
      cpu_relax();
    } else if (round < 256) {
      os::thread_yield();
    } else {
      os::thread_sleep(20'000);
    }
  }
}

}  // namespace thrum
