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

// A plain field of one writer that observers read at any time: written with
// publish, read with peek by others and plainly by its owner.
template <class T>
void publish(T& field, T value) {
  __atomic_store_n(&field, value, __ATOMIC_RELEASE);  // pairs with peek
}
template <class T>
T peek(const T& field) {
  return __atomic_load_n(&field, __ATOMIC_ACQUIRE);
}

inline void fence(std::memory_order order) { std::atomic_thread_fence(order); }
inline void compiler_fence() {
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

}  // namespace thrum
