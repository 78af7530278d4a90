// SPDX-License-Identifier: MIT
#include "os/lock.hpp"

#include "os/os.hpp"

namespace thrum {

namespace {
constexpr u32 kPausesMost = 256;  // between two looks; some us
constexpr u32 kLooks = 16;        // before the CPU is given away
}  // namespace

// Each look takes the cache line from a holder who works on it, so the pauses
// between looks double: of two CPUs at one object one gets some dozen operations
// done while the other waits, instead of both waiting for the line each time. The
// holder may also have been descheduled: on a loaded machine spinning longer only
// keeps the CPU from it.
THRUM_COLD u64 WordLock::lock_slow() {
  u32 pauses = 16;
  for (u32 round = 0;; ++round) {
    u64 v = word.load(relaxed);
    if (!(v & 1) && word.compare_exchange_weak(v, v | 1, acquire, relaxed)) {
      return v;
    }
    if (round < kLooks) {
      for (u32 i = 0; i < pauses; ++i) {
        cpu_relax();
      }
      pauses = min(2 * pauses, kPausesMost);
    } else if (round < 16 * kLooks) {
      os::thread_yield();
    } else {
      os::thread_sleep(20'000);
    }
  }
}

}  // namespace thrum
