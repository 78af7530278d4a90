// Gs that have not run yet: a bounded deque, owner at the young end, thieves at
// the old one. Running children youngest first keeps few stacks alive in a
// fan-out (ten instead of a million), and a thief gets the oldest, so the
// largest subtree.
//
// Chase, Lev, "Dynamic circular work-stealing deque" (SPAA 2005), in the C11
// form of Le, Pop, Cohen, Zappa Nardelli, "Correct and efficient work-stealing
// for weak memory models" (PPoPP 2013), without growth: a full deque gives its
// older half away.
//
// One-writer rule: only the owner writes `bottom_` and the slots; `top_` moves
// by CAS.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/atomic.hpp"
#include "base/defs.hpp"

namespace thrum {

template <class T, u32 N>
class Fresh {
  static_assert((N & (N - 1)) == 0, "a power of two: indices wrap at 2^32");

 public:
  // ---- owner ---------------------------------------------------------------

  bool push(T* t) {
    u32 b = bottom_.load(relaxed);  // own
    // acquire: pairs with the CAS of takers: they have read the slot we reuse.
    if (b - top_.load(acquire) >= N) {
      return false;
    }
    ring_[b % N].store(t, relaxed);
    bottom_.store(b + 1, release);  // pairs with the acquire load in steal
    return true;
  }

  T* pop() {
    u32 b = bottom_.load(relaxed);  // own
    if (b == top_.load(relaxed)) {  // empty: top never passes our bottom
      return nullptr;
    }
    --b;
    // seq_cst, both sides: the store to bottom must be seen before we read top,
    // or owner and thief take the same last element (Dekker with steal). An
    // exchange is the fence and the store in one instruction.
    bottom_.exchange(b, seq_cst);
    u32 t = top_.load(seq_cst);
    i32 left = static_cast<i32>(b - t);
    if (left < 0) {  // a thief emptied it
      bottom_.store(b + 1, relaxed);
      return nullptr;
    }
    T* item = ring_[b % N].load(relaxed);
    if (left > 0) {
      return item;
    }
    // The last one: the CAS decides between us and a thief.
    bool mine = top_.compare_exchange_strong(t, t + 1, seq_cst, relaxed);
    bottom_.store(b + 1, relaxed);
    return mine ? item : nullptr;
  }

  // The same while there are no thieves (P::alone): no fence.
  T* pop_alone() {
    u32 b = bottom_.load(relaxed);
    if (b == top_.load(relaxed)) {
      return nullptr;
    }
    bottom_.store(b - 1, relaxed);
    return ring_[(b - 1) % N].load(relaxed);
  }

  // Takes the older half of a full deque out, oldest first; 0: there is room.
  // Only the owner takes several at once: a thief could not see how far the
  // owner has popped meanwhile.
  u32 spill(T** out) {
    u32 t = top_.load(acquire);
    u32 n = (bottom_.load(relaxed) - t) / 2;
    if (n < N / 2) {
      return 0;
    }
    for (u32 i = 0; i < n; ++i) {
      out[i] = ring_[(t + i) % N].load(relaxed);
    }
    return top_.compare_exchange_strong(t, t + n, seq_cst, relaxed) ? n : 0;
  }

  // ---- thief (and the owner, for the oldest) ---------------------------------

  // null: empty, or another taker was faster.
  T* steal() {
    u32 t = top_.load(seq_cst);
    u32 b = bottom_.load(seq_cst);  // Dekker with the exchange in pop; also
                                    // acquire: pairs with push
    if (static_cast<i32>(b - t) <= 0) {
      return nullptr;
    }
    T* item = ring_[t % N].load(relaxed);
    return top_.compare_exchange_strong(t, t + 1, seq_cst, relaxed) ? item
                                                                    : nullptr;
  }

  u32 size() const {
    u32 t = top_.load(relaxed);
    i32 n = static_cast<i32>(bottom_.load(relaxed) - t);
    return n > 0 ? static_cast<u32>(n) : 0;
  }

 private:
  alignas(kCacheLine) Atomic<u32> top_{0};     // atomic: takers
  alignas(kCacheLine) Atomic<u32> bottom_{0};  // owner
  Atomic<T*> ring_[N] = {};                    // owner
};

}  // namespace thrum
