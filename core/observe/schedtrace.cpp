// SPDX-License-Identifier: MIT
#include "observe/schedtrace.hpp"

#include "base/die.hpp"
#include "observe/metrics.hpp"
#include "observe/onlooker.hpp"

namespace thrum {

void schedtrace(Runtime* rt, i64 ms) {
  Numbers n;
  numbers_of(rt, n);
  char queues[256];
  Text q(queues, sizeof queues);
  u32 ps = min(rt->p_count.load(acquire), n.procs);
  for (u32 i = 0; i < ps; ++i) {
    q.add("%s%u", i ? " " : "", rt->ps[i]->queued());
  }
  say("SCHED %lldms: gomaxprocs=%u idleprocs=%u threads=%u "
      "spinningthreads=%u idlethreads=%u runqueue=%llu [%s] gs=%llu",
      static_cast<long long>(ms), n.procs, n.procs_idle, n.threads,
      n.threads_spinning, n.threads_idle,
      static_cast<unsigned long long>(n.queued_global), queues,
      static_cast<unsigned long long>(n.gs));
}

int schedtrace_every(Runtime* rt, i64 every) {
  Onlooker* o;
  if (int err = onlooker_of(rt, &o)) {
    return err;
  }
  o->trace_every.store(every, relaxed);
  onlooker_wake(o);
  return 0;
}

}  // namespace thrum
