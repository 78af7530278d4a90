// The sites of probe/events.def in the scheduler: a load and a predicted branch each,
// unless something is traced (probe/usdt.hpp).
// SPDX-License-Identifier: MIT
#pragma once
#include "probe/event.hpp"
#include "probe/usdt.hpp"
#include "sched/m.hpp"

namespace thrum {

// probes.cpp. m: the caller's, may be null.
void probe_event(M* m, Runtime* rt, Event e, G* g, u64 arg);
void probe_ready(M* m, G* g);
void probe_switch(M* m, G* to);
void probe_leave(M* m);
void probe_timer(M* m, G* g, i64 late);

// Who leaves, then who comes: before m->cur changes.
THRUM_INLINE void trace_switch(M* m, G* to) {
  if (probing()) {
    probe_switch(m, to);
  }
}
// Who leaves for the loop.
THRUM_INLINE void trace_leave(M* m) {
  if (probing()) {
    probe_leave(m);
  }
}
// Before it is queued: from then on it may run.
THRUM_INLINE void trace_ready(M* m, G* g) {
  if (probing()) {
    probe_ready(m, g);
  }
}
// Before its ready: the wait ends so late after its time, in ns.
THRUM_INLINE void trace_timer(M* m, G* g, i64 late) {
  if (probing()) {
    probe_timer(m, g, late);
  }
}
THRUM_INLINE void trace(M* m, Runtime* rt, Event e, G* g = nullptr,
                        u64 arg = 0) {
  if (probing()) {
    probe_event(m, rt, e, g, arg);
  }
}

}  // namespace thrum
