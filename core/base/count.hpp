// SPDX-License-Identifier: MIT
#pragma once
#include "base/atomic.hpp"
#include "base/defs.hpp"

namespace thrum {

// Owner-only counters: a plain add, visible to observers.
inline void bump(Atomic<u64>& counter, u64 by = 1) {
  counter.store(counter.load(relaxed) + by, relaxed);
}

}  // namespace thrum
