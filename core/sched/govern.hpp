// Who decides from outside how many Ps a runtime has and when they rest: the seam
// between sysmon and place, which sched never includes. The composition root
// plugs one in; it belongs to the runtime.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

namespace thrum {

struct Runtime;

struct Govern {
  // On sysmon, in each of its rounds while Gs run. Returns when to look again.
  i64 (*look)(Govern* g, Runtime* rt, i64 now);
  void (*free)(Govern* g);  // sysmon has ended
};

inline void govern_free(Govern* g) {
  if (g) {
    g->free(g);
  }
}

}  // namespace thrum
