// A small runtime for models whose parties are Gs: real Gs with stacks of their
// own and the library's own switch, on Ms that are the explorer's threads.
//
// What is the library's: parking, claiming, cancel, unpark, join, exit, timers,
// ready() and execute(). What is not: the run queues. Every G is "pinned", so
// that ready() hands it to ready_pinned(), which is the rig's: an ideal queue
// from which any M takes, with no happens-before but from who puts to who takes.
// (queue/ has models of its own.) Every M has M::slow set, so that a parking G
// switches to its M's loop and not to the next G.
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/api.hpp"
#include "sched/switch.hpp"

namespace rig {

extern thrum::Runtime* rt;

// In before(): a runtime with `ms` Ms (threads 0 … ms-1) and no Gs.
void build(unsigned ms);
// A G that runs fn(arg) as soon as an M takes it.
thrum::u64 go(void (*fn)(void*), void* arg);
thrum::G* g(thrum::u64 handle);
// The thread of M i: runs Gs until all have ended.
void run(unsigned i);
thrum::M* m(unsigned i);

}  // namespace rig
