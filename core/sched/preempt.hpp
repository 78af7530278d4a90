// Preemption inside sched. See preempt.cpp.
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/runtime.hpp"

namespace thrum {

// The calling thread is m's. join: if preemption is on; leave: if it had joined.
void preempt_join(M* m);
void preempt_leave(M* m);

// Asks what runs on m to stop, by a signal; false: it cannot be asked (preemption
// is off, or m has not joined). Whether it stops is its handler's decision: see
// M::refusals.
bool preempt_send(M* m);

// Does anything wait for this very M, or for its domain?
bool preempt_waits(M* m);

// sysmon, with preemption on, for a P whose M is m, while work waits: asks a G that
// computes outside past its slice. `seen` has been brought up to date; where the
// slice began is known better afterwards. True: a signal is on its way that may yet
// do it; false: a retake's turn. Brings *next forward.
bool preempt_look(P* p, M* m, Look& seen, i64 now, i64* next);
// The same for Ms that lost their P. Returns when to look again.
i64 preempt_apart(Runtime* rt, i64 now);

}  // namespace thrum
