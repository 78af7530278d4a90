// Who decides from outside how many Ps a runtime has, when they rest, and where they
// are: the seam between sched and place, which sched never includes. The
// composition root plugs one in; it belongs to the runtime.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

namespace thrum {

struct CpuSet;
struct Near;
struct Runtime;

struct Govern {
  // On sysmon, in each of its rounds while Gs run. Returns when to look again. calm:
  // no G waits behind a busy P, for which sysmon should look again soon.
  i64 (*look)(Govern* g, Runtime* rt, i64 now, bool calm);
  void (*free)(Govern* g);  // sysmon has ended
  // Where Ms are pinned (Runtime.plan): the CPUs of those that hold P number p, and
  // the place of these. On any M, with no lock held.
  u8 (*home)(Govern* g, u32 p, CpuSet* cpus);
  const Near* near;  // const: at the runtime's beginning; see near_set
  u32 plan;          // const: Runtime.plan then
};

inline void govern_free(Govern* g) {
  if (g) {
    g->free(g);
  }
}

}  // namespace thrum
