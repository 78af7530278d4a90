// Where ready Gs come from besides other Gs: the world outside. net plugs one in
// for a runtime, at the first descriptor that is waited for, and it stays; sched
// never includes net.
//
// Who looks: an M that finds nothing else to do; a busy one every 61st dispatch, if
// nobody has lately; one idle M at a time, the watcher, sleeps in it; and sysmon
// when for a tick nobody did. That is all on threads' own stacks: a look needs more
// than a small G has.
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/api.hpp"

namespace thrum {

struct Source {
  // Readies what has come, without waiting: on m's P, or (m null) from the global
  // queue. Returns how many.
  u32 (*poll)(Source* s, M* m);
  // A descriptor that is readable when poll would find something, or after
  // interrupt.
  int fd;
  // From any thread: the watcher, whose note is set, wakes up, whoever polls.
  void (*interrupt)(Source* s);
  // The runtime's Gs have ended: threads that wait get kECLOSED.
  void (*stop)(Source* s);
  void (*free)(Source* s);  // nobody waits or will

  // schedstat of the M that has watched last; the watcher's, from one to the next
  // under the runtime's lock. One, and kept: a file that is open during some sleeps only
  // looks like a leak from outside.
  int share = -1;
  u32 share_tid = 0;
};

void source_set(Runtime* rt, Source* s);  // once, under source_lock

// Claimed waiters, as ready_list, but behind the others and in order; m null: not
// one of the caller's Ps gets them.
u32 ready_batch(M* m, Waiter* list);

// Is there a watcher that was woken and has not seen it yet?
bool watcher_noted(Runtime* rt);

// This M looks before it runs another G.
inline void source_prompt(M* m) { m->slow.fetch_or(kSlowPoll, relaxed); }

}  // namespace thrum
