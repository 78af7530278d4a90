// The atomics seam. Every order is spelled at the call, and every acquire or
// release names its partner in a comment. tests/model puts a file of the same
// name first on the include path, so that the very headers that ship run under
// the Relacy explorer.
// SPDX-License-Identifier: MIT
#pragma once
#include <atomic>
#include <bit>

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

// The same where nothing is read through it.
template <class T>
void show(T& field, T value) {
  __atomic_store_n(&field, value, __ATOMIC_RELAXED);
}
template <class T>
T glance(const T& field) {
  return __atomic_load_n(&field, __ATOMIC_RELAXED);
}

// A word by halves, for an owner whose store and load must not be one (the biased
// mutex, sync/mutex.cpp). Both CPUs are little-endian.
using Half [[gnu::may_alias]] = unsigned;
template <class T>
void store_upper(Atomic<T>& word, unsigned v) {
  static_assert(sizeof(T) == 8 && std::endian::native == std::endian::little);
  __atomic_store_n(reinterpret_cast<Half*>(&word) + 1, v, __ATOMIC_RELAXED);
}
template <class T>
unsigned load_lower(const Atomic<T>& word) {
  return __atomic_load_n(reinterpret_cast<const Half*>(&word),
                         __ATOMIC_RELAXED);
}

inline void fence(std::memory_order order) { std::atomic_thread_fence(order); }
inline void compiler_fence() {
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

}  // namespace thrum
