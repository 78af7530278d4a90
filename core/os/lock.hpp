// A lock in one 64-bit word whose upper bits belong to the object it guards.
//
// Rule: bit 0 is the lock; whoever holds it alone may change the word, except
// that fast paths may CAS a word whose bit 0 is clear. So unlocking is a plain
// release store of the new value, and that store is the last touch of the
// object: the moment at which others see the effect is the moment from which
// they may free it (destruction safety, DESIGN 3).
//
// It spins, then yields, then naps: sections are some tens of instructions long
// and never park (the one that is held across a switch is released right after
// it, see sched/switch.hpp).
// SPDX-License-Identifier: MIT
#pragma once
#include "arch/cpu.hpp"
#include "base/atomic.hpp"
#include "base/defs.hpp"

namespace thrum {

class WordLock {
 public:
  // Returns the word without the lock bit.
  u64 lock() {
    u64 v = 0;
    // acquire: pairs with the release store in unlock().
    if (THRUM_LIKELY(word.compare_exchange_strong(v, 1, acquire, relaxed))) {
      return 0;
    }
    return lock_slow();
  }

  // The same, of a word with other bits in it at most times: a first try for 0
  // would be one more.
  u64 lock_marked() {
    u64 v = word.load(relaxed) & ~u64{1};
    if (THRUM_LIKELY(
            word.compare_exchange_strong(v, v | 1, acquire, relaxed))) {
      return v;
    }
    return lock_slow();
  }

  void unlock(u64 v = 0) {
    word.store(v, release);  // pairs with the CAS in lock()
  }

  Atomic<u64> word{0};

 private:
  u64 lock_slow();
};

// Frees the lock at the end of a block; the word keeps no other bits.
class Locked {
 public:
  explicit Locked(WordLock& l) : l_(l) { l_.lock(); }
  ~Locked() { l_.unlock(); }
  Locked(const Locked&) = delete;
  Locked& operator=(const Locked&) = delete;

 private:
  WordLock& l_;
};

}  // namespace thrum
