// SPDX-License-Identifier: MIT
#include "place/budget.hpp"

#include <stdio.h>

#include "os/os.hpp"
#include "sched/runtime.hpp"

namespace thrum {

Budget budget_of(u32 cpus, u32 quota_milli, u32 cap) {
  Budget b{max(cpus, 1u), cpus, quota_milli, cap, Bound::affinity};
  auto lower = [&](u32 to, Bound why) {
    if (to < b.procs) {
      b.procs = to;
      b.bound = why;
    }
  };
  if (quota_milli) {
    // Up, not down: what is left of the last P is used, and pacing (pace.cpp)
    // sees to it that the kernel need not stop all of them.
    lower(quota_milli / 1000 + (quota_milli % 1000 ? 1 : 0), Bound::quota);
  }
  if (cap) {
    lower(cap, Bound::cap);
  }
  lower(kMaxProcs, Bound::limit);
  return b;
}

Budget budget_now(u32 cap) {
  return budget_of(static_cast<u32>(os::cpus_allowed()), os::cpu_quota_milli(),
                   cap);
}

void budget_reason(const Budget& b, const char* whose, char* out, size_t size) {
  const char* group = whose ? whose : "a control group";
  u32 whole = b.quota_milli / 1000, part = b.quota_milli % 1000;
  switch (b.bound) {
    case Bound::quota:
      snprintf(out, size,
               "the CPU quota of %s is %u.%03u CPUs, rounded up; the affinity "
               "mask would allow %u",
               group, whole, part, b.cpus);
      return;
    case Bound::cap:
      snprintf(out, size,
               "the program allows %u at most (max_procs); the system would "
               "allow more",
               b.cap);
      return;
    case Bound::limit:
      snprintf(out, size, "a runtime has %u Ps at most", kMaxProcs);
      return;
    case Bound::affinity:
      break;
  }
  if (b.quota_milli) {
    snprintf(
        out, size,
        "the affinity mask has %u CPUs; the CPU quota of %s, %u.%03u CPUs, "
        "is no tighter",
        b.cpus, group, whole, part);
  } else {
    snprintf(out, size, "the affinity mask has %u CPUs; no CPU quota is seen",
             b.cpus);
  }
}

}  // namespace thrum
