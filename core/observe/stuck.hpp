// Gs that nobody will ever wake: a graph of who waits for whom, without a collector.
//
// A G that waits without a deadline can only be woken by certain others: the owner of
// the mutex, the G that it joins, who has a handle of the channel. Taken as stuck are
// first all such Gs; then whoever might be woken by one that is not among them is not
// either, until nothing changes. What is left waits for itself. Where it cannot be
// known who might come (a channel that is not counted, a wait group without declared
// wakers), somebody might: what is reported is certain. A wait for a descriptor, with a
// timer, or by a thread is never in it.
// SPDX-License-Identifier: MIT
#pragma once
#include "observe/each.hpp"

namespace thrum {

enum class Stuck : u32 {
  none,
  cycle,   // it waits for itself, over others
  behind,  // for one that is stuck
  ended,   // its owner has ended without letting go
  leak,  // whoever has a handle, or was declared to come, is stuck or has ended
};

constexpr u32 kStuckFrames = 16;

struct StuckView {
  GView g;
  Stuck kind;
  const void* object;  // null: a join, or several (a select)
  u64 on;  // the G that would have to let go or to end; 0: no single one
  u32 frames;
  u64 pcs[kStuckFrames];  // innermost first, as os::stack_calls finds them
};

// Calls fn for each; returns how many, or kENOMEM.
i64 stuck_each(Runtime* rt, void (*fn)(void* arg, const StuckView& v),
               void* arg);
// Says them on stderr.
void stuck_tell(void* arg, const StuckView& v);

// g may end waits in object; as soon as there is one, only such Gs count (of a
// counted channel: g has one of its references).
int waker_add(Runtime* rt, const void* object, u64 g);
void waker_remove(Runtime* rt, const void* object, u64 g);  // 0: all

}  // namespace thrum
