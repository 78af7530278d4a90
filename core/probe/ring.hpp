// A ring of records that its owner overwrites for ever, and that anybody may copy
// meanwhile. The owner never waits; what a reader misses is counted.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/atomic.hpp"
#include "base/defs.hpp"
#include "probe/event.hpp"

namespace thrum {

// As it is in the ring. `what`: the event's number in the upper 8 bits, arg in the
// others (a handle fits: without its runtime's tag it has 56).
struct Record {
  u64 ticks;
  u64 g;
  u64 what;

  Event event() const { return static_cast<Event>(what >> 56); }
  u64 arg() const { return what & kArg; }

  static constexpr u64 kArg = (u64{1} << 56) - 1;
};

class Ring {
 public:
  // size: a power of two.
  Ring(Record* at, u64 size) : at_(at), mask_(size - 1) {}

  // Owner.
  THRUM_INLINE void put(u64 ticks, Event e, u64 g, u64 arg) {
    u64 n = head_.load(relaxed);
    // Pairs with the fence in copy: who sees what is written below sees this n.
    fence(release);
    Record& r = at_[n & mask_];
    show(r.ticks, ticks);
    show(r.g, g);
    show(r.what, u64{static_cast<u8>(e)} << 56 | (arg & Record::kArg));
    head_.store(n + 1, release);  // pairs with the acquire in copy
  }

  u64 size() const { return mask_ + 1; }
  u64 written() const { return head_.load(acquire); }

  // Anybody: the records from number `from` on that are whole, oldest first, into `to`
  // (room for size()). Returns how many; *first: the number of the first.
  u64 copy(Record* to, u64 from, u64* first) const;

 private:
  Record* at_;           // const
  u64 mask_;             // const
  Atomic<u64> head_{0};  // owner writes: records ever written
};

}  // namespace thrum
