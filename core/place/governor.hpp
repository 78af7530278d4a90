// What a runtime does about its place on the machine while it runs: follows the
// CPUs and the quota that it is granted, and paces itself under a quota.
//
// Everything here is done by sysmon, which calls `look`; reports copy what they
// need under the lock.
// SPDX-License-Identifier: MIT
#pragma once
#include "os/cgroup.hpp"
#include "mem/source.hpp"
#include "os/lock.hpp"
#include "place/budget.hpp"
#include "place/pace.hpp"
#include "sched/govern.hpp"

namespace thrum {

struct GovernOpts {
  mem::Source source{};   // for the governor itself
  bool follows = false;   // how many Ps is the system's to say, now and later
  bool paces = false;     // under a quota
  u32 cap = 0;            // of Ps; 0: none
  const char* root = "";  // of the system's files; "": the real one
};

struct Governor {
  Govern seam;      // const; first: sched knows this part
  GovernOpts opts;  // const
  i64 at;           // sysmon: reads again then
  i64 pace_at;      // sysmon: looks at the bucket again then
  u32 mask_cpus;    // sysmon: of its own affinity mask at the first look
  bool opened;      // sysmon
  WordLock lock;    // sysmon writes the rest, reports read
  u32 changes;      // how often it has set the number of Ps
  Budget budget;    // the last one
  os::CpuGroups groups;
  os::Throttled first, last;  // of the groups: when opened, and now
  Pace pace;
};

// Null: no memory. Of one that follows the budget is read at once.
Governor* governor_make(const GovernOpts& opts);

Governor* governor_of(Govern* g);  // null: none

struct Governed {  // a copy
  bool follows;
  u32 changes;
  Budget budget;
  Pace pace;
  os::Throttled throttled;  // since the runtime began
};
Governed governed(Governor* g);

}  // namespace thrum
