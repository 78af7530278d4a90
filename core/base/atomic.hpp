// The atomics seam. Every order is spelled at the call, and every acquire or
// release names its partner in a comment. tests/model puts a file of the same
// name first on the include path, so that the very headers that ship run under
// the Relacy explorer.
// SPDX-License-Identifier: MIT
#pragma once
#include <atomic>

namespace thrum {

template <class T>
using Atomic = std::atomic<T>;

constexpr std::memory_order relaxed = std::memory_order_relaxed;
constexpr std::memory_order acquire = std::memory_order_acquire;
constexpr std::memory_order release = std::memory_order_release;
constexpr std::memory_order acq_rel = std::memory_order_acq_rel;
constexpr std::memory_order seq_cst = std::memory_order_seq_cst;

inline void fence(std::memory_order order) { std::atomic_thread_fence(order); }
inline void compiler_fence() {
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

}  // namespace thrum
