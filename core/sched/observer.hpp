// Who looks at a runtime from a thread of its own: the seam to observe, above.
// SPDX-License-Identifier: MIT
#pragma once
#include "os/os.hpp"
#include "sched/runtime.hpp"

namespace thrum {

constexpr u32 kOnlooker = 0;
constexpr u32 kServer = 1;

struct Observer {
  Runtime* rt;              // const
  os::Thread thread;        // const after it was made
  Atomic<bool> leave;       // observer_stop writes: the thread must end
  void (*wake)(Observer*);  // const: so that it sees that
  void (*free)(Observer*);  // const: after the thread has ended
};

// run(o) on a thread of its own, in a place of Runtime::observers that is taken only
// once. kEBUSY: it is taken; kECLOSED: the runtime stops; kENOTSUP: it may have no
// threads of its own, or no more of them.
int observer_start(Observer* o, u32 place, void (*run)(void*),
                   const char* name);
void observer_stop(Runtime* rt);
void observer_free(Runtime* rt);  // and what was recorded

}  // namespace thrum
