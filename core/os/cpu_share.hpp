// What the kernel's scheduler says of our threads: whether they got the CPU when they
// could have used it. Needs no privilege.
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

}  // namespace thrum::os
