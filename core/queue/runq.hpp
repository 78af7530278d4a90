// A P's run queue: a ring with one owner and many thieves, and `next`, the slot
// for a G that was handed over and runs as soon as the current one parks.
//
// One-writer rule: only the owner writes `tail_` and the slots; `head_` moves by
// CAS, by the owner (get) or by a thief (grab), and never backwards. A slot is
// read only between head and tail; whoever moves head past it owns its content.
// Owner and thief are two sets of functions on purpose: names say who may call.
// After Go's runqput/runqget/runqgrab (src/runtime/proc.go) and tokio's
// queue.rs; tests/model shrinks N to 4 so that full, empty and wrap are met.
//
// `next_`: the owner stores it when it reads null (only the owner makes it
// non-null), everyone takes it by exchange.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/atomic.hpp"
#include "base/defs.hpp"

namespace thrum {

template <class T, u32 N>
class Runq {
  static_assert((N & (N - 1)) == 0, "a power of two: indices wrap at 2^32");

 public:
  // ---- owner ---------------------------------------------------------------

  // false: full; the caller moves half away with `spill` and tries again.
  bool put(T* t) {
    u32 tail = tail_.load(relaxed);  // own
    // acquire: pairs with the release CAS of get and grab: the slots below head
    // have been read before we write them again.
    if (tail - head_.load(acquire) >= N) {
      return false;
    }
    ring_[tail % N].store(t, relaxed);
    // release: pairs with the acquire load of tail in grab: the slot is written.
    tail_.store(tail + 1, release);
    return true;
  }

  T* get() {
    u32 head = head_.load(relaxed);
    for (;;) {
      if (head == tail_.load(relaxed)) {  // own
        return nullptr;
      }
      T* t = ring_[head % N].load(relaxed);
      // release: our read of the slot comes before its reuse in put. The relaxed
      // failure order is enough: the slot was written by this thread.
      if (head_.compare_exchange_weak(head, head + 1, release, relaxed)) {
        return t;
      }
    }
  }

  // Takes half of a full ring out, oldest first. Returns how many (0: thieves
  // were faster and there is room again).
  u32 spill(T** out) {
    u32 head = head_.load(acquire);
    u32 tail = tail_.load(relaxed);
    u32 n = (tail - head) / 2;
    if (n < N / 2) {
      return 0;
    }
    for (u32 i = 0; i < n; ++i) {
      out[i] = ring_[(head + i) % N].load(relaxed);
    }
    return head_.compare_exchange_strong(head, head + n, release, relaxed) ? n
                                                                           : 0;
  }

  // Makes t the next to run; returns the one it displaces, or null.
  T* put_next(T* t) {
    if (!next_.load(relaxed)) {  // nobody else makes it non-null
      next_.store(t, release);   // pairs with the exchange in take_next
      return nullptr;
    }
    return next_.exchange(t, acq_rel);
  }

  // The same while there are no thieves (P::alone): no locked instruction.
  T* get_alone() {
    u32 head = head_.load(relaxed);
    if (head == tail_.load(relaxed)) {
      return nullptr;
    }
    T* t = ring_[head % N].load(relaxed);
    head_.store(head + 1, relaxed);
    return t;
  }
  T* take_next_alone() {
    T* t = next_.load(relaxed);
    if (t) {
      next_.store(nullptr, relaxed);
    }
    return t;
  }

  // The i-th that get will give if nobody else takes: a guess, for prefetching.
  T* ahead(u32 i) const {
    u32 head = head_.load(relaxed);
    return i < tail_.load(relaxed) - head ? ring_[(head + i) % N].load(relaxed)
                                          : nullptr;
  }

  // ---- anyone --------------------------------------------------------------

  T* take_next() {
    if (!next_.load(relaxed)) {
      return nullptr;
    }
    return next_.exchange(nullptr, acq_rel);  // pairs with put_next
  }

  bool has_next() const { return next_.load(relaxed) != nullptr; }

  u32 size() const {
    u32 head = head_.load(relaxed);
    u32 n = tail_.load(relaxed) - head;
    return n <= N ? n : 0;  // torn: head moved between the two loads
  }

  // ---- thief ---------------------------------------------------------------

  // Copies the older half into `out` (at least N / 2 long); returns how many.
  u32 grab(T** out) {
    for (;;) {
      // acquire: pairs with the CAS of other takers; orders it before tail.
      u32 head = head_.load(acquire);
      u32 tail = tail_.load(acquire);  // pairs with the release store in put
      u32 n = tail - head;
      n -= n / 2;
      if (n == 0) {
        return 0;
      }
      if (n > N / 2) {  // head and tail are not of one moment
        continue;
      }
      for (u32 i = 0; i < n; ++i) {
        out[i] = ring_[(head + i) % N].load(relaxed);
      }
      // release: our reads come before the slots' reuse (acquire of head in
      // put).
      if (head_.compare_exchange_strong(head, head + n, release, relaxed)) {
        return n;
      }
    }
  }

 private:
  alignas(kCacheLine) Atomic<u32> head_{0};  // atomic: owner and thieves
  alignas(kCacheLine) Atomic<u32> tail_{0};  // owner
  Atomic<T*> next_{nullptr};  // owner makes it non-null, anyone takes
  Atomic<T*> ring_[N] = {};   // owner
};

}  // namespace thrum
