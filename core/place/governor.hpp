// What a runtime does about its place on the machine while it runs: follows the
// CPUs and the quota that it is granted, paces itself under a quota, and knows what
// is near what.
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
#include "place/topology.hpp"
#include "sched/govern.hpp"

namespace thrum {

struct Shape {
  Shape* older;
  Near near;
};

struct GovernOpts {
  mem::Source source{};  // for the governor itself
  bool follows = false;  // how many Ps is the system's to say, now and later
  bool paces = false;    // under a quota
  bool flat = false;     // all CPUs are alike
  Pins pins = Pins::none;
  u32 cap = 0;            // of Ps; 0: none
  const char* root = "";  // of the system's files; "": the real one
};

struct Governor {
  Govern seam;         // const; first: sched knows this part
  GovernOpts opts;     // const
  i64 at;              // sysmon: reads again then
  i64 patience;        // sysmon: with the machine's shape until then
  i64 pace_at;         // sysmon: looks at the bucket again then
  u32 mask_cpus;       // sysmon: of its own affinity mask; 0: not looked at yet
  CpuSet own;          // sysmon: that mask at the last look
  bool seen;           // sysmon: the machine's shape
  bool ours;           // const: nobody has said where memory comes from
  bool opened;         // sysmon
  WordLock lock;       // sysmon writes the rest, reports read
  u32 changes;         // how often it has set the number of Ps
  Budget budget;       // the last one
  u32 smooth;          // how often in a row nothing was throttled
  bool rests;          // throttling was not asked for at the last look
  os::Throttled last;  // of the groups, as it was read last
  os::Throttled since;  // what came to that since the runtime began
  Pace pace;
  CpuSet mask;           // the maker's CPUs, until sysmon's own change
  CpuOrder order;        // those that Ms may have
  Shape* shapes;         // of the machine, as it was found; until the end
  const Near* near;      // one of these; null: not looked at
  os::CpuGroups groups;  // large: behind the rest
};

// Null: no memory. Of one that follows the budget is read at once, and of one that
// pins the shape of the machine.
Governor* governor_make(const GovernOpts& opts);

Governor* governor_of(Govern* g);  // null: none

// thrum_pin_threads has been called: Ms are to be pinned within that.
void governor_told(Governor* g, Runtime* rt);

struct Governed {  // a copy
  bool follows;
  u32 changes;
  Budget budget;
  Pace pace;
  os::Throttled throttled;  // since the runtime began
  Pins pins;
};
Governed governed(Governor* g);

}  // namespace thrum
