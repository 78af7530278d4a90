// A small runtime for models whose parties are Gs: real Gs with stacks of their
// own and the library's own switch, on Ms that are the explorer's threads. Two
// kinds:
//
// ideal   For what Gs do to each other. The library's: parking, claiming, cancel,
//         unpark, join, exit, timers, ready() and execute(). Not the library's:
//         the run queues. Every G is "pinned", so that ready() hands it to
//         ready_pinned(), which is the rig's (explore/ideal.cpp): an ideal queue
//         from which any M takes, with no happens-before but from who puts to
//         who takes. Every M has M::slow set, so that a parking G switches to
//         its M's loop and not to the next G.
// real    For how Ms find Gs, sleep and are woken: all of it is the library's.
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/api.hpp"
#include "sched/switch.hpp"

namespace rig {

extern thrum::Runtime* rt;
// What os::fd_sleep sleeps on until it is not 0: set by who sets Runtime::source.
extern thrum::Atomic<thrum::u32>* readable;
// A wake fd's eventfd and timerfd; null: nobody asks for them.
struct Bell {
  thrum::Atomic<thrum::u32> rung;
  thrum::Atomic<thrum::i64> at;
};
extern Bell* bell;

// In before(): a runtime with `ms` Ms, for the threads 0 … ms-1, and no Gs.
void ideal(unsigned ms);  // each M has a P
// No M has one, all Ps are idle. `doors`: Gs go out and in, and others look.
// `timers`: some park with a deadline.
void real(unsigned ms, unsigned ps, bool doors = false, bool timers = false);
thrum::M* m(unsigned i);

// A G that runs fn(arg), in no queue.
thrum::G* make(void (*fn)(void*), void* arg);
// One in the ideal queue.
thrum::u64 go(void (*fn)(void*), void* arg);
thrum::u64 handle(thrum::G* g);
thrum::G* g(thrum::u64 handle);
bool all_ended();

// The thread of M i. ideal: runs Gs until all have ended.
void run(unsigned i);
// real: what m_main does; returns when the M was told to leave.
void work(unsigned i);
// What join_ms does, but for the joining: all Ms are to leave.
void dismiss();

}  // namespace rig
