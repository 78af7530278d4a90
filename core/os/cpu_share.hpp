// What the kernel's scheduler says of threads and groups of ours: whether they got the
// CPU when they could have used it. Needs no privilege.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

namespace thrum::os {

// Of one thread, since it began, in ns.
struct CpuShare {
  u64 ran;
  u64 delayed;  // could have run, and did not
};
// A descriptor for share_read, -errno; fd_close ends it.
int share_open(u32 tid);
// Of the calling thread: schedstat's own figure of what it ran is that of the last
// tick. False: nothing is known.
bool share_read(int fd, CpuShare* out);

// For how long the quota of one of our control groups has kept us from running, added
// up over groups and CPUs, in ns.
struct Throttle {
  static constexpr u32 kMost = 8;
  int fds[kMost];  // cpu.stat of each group that can be read
  u32 n;
  bool v2[kMost];
};
void throttle_open(Throttle& t);
void throttle_close(Throttle& t);
u64 throttle_read(const Throttle& t);

}  // namespace thrum::os
