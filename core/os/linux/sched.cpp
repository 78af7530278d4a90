// What a thread asks of the kernel's scheduler: CPUs and slices.
// SPDX-License-Identifier: MIT
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/os.hpp"
#include "os/posix/errno.hpp"

namespace thrum::os {

namespace {

// The kernel's struct sched_attr, first version (Documentation of
// sched_setattr(2)); glibc 2.36 has none.
struct Attr {
  u32 size;
  u32 policy;
  u64 flags;
  i32 nice;
  u32 priority;
  u64 runtime;
  u64 deadline;
  u64 period;
};
static_assert(sizeof(Attr) == 48);

}  // namespace

int affinity_set(u32 tid, const u64* mask, u32 words) {
  ErrnoKeep keep;
  long rc = syscall(SYS_sched_setaffinity, tid, words * sizeof *mask, mask);
  return rc < 0 ? -errno : 0;
}

int affinity_get(u32 tid, u64* mask, u32 words) {
  ErrnoKeep keep;
  memset(mask, 0, words * sizeof *mask);
  long rc = syscall(SYS_sched_getaffinity, tid, words * sizeof *mask, mask);
  return rc < 0 ? -errno : 0;
}

int cpu_now() {
  ErrnoKeep keep;
  int cpu = sched_getcpu();
  return cpu < 0 ? -errno : cpu;
}

int thread_sched_get(u32 tid, ThreadSched* out) {
  ErrnoKeep keep;
  Attr a{};
  if (syscall(SYS_sched_getattr, tid, &a, sizeof a, 0) != 0) {
    *out = ThreadSched{};
    return -errno;
  }
  *out = ThreadSched{a.nice, a.runtime};
  return 0;
}

int thread_sched_set(u32 tid, const ThreadSched& want) {
  ErrnoKeep keep;
  constexpr u64 kResetOnFork = 1;
  Attr a{};
  if (syscall(SYS_sched_getattr, tid, &a, sizeof a, 0) != 0) {
    return -errno;
  }
  if (a.policy != SCHED_OTHER && a.policy != SCHED_BATCH) {
    return -EINVAL;  // the host's choice
  }
  a.size = sizeof a;
  a.flags |= kResetOnFork;
  a.nice = want.nice;
  a.runtime = want.slice_ns;
  return syscall(SYS_sched_setattr, tid, &a, 0) == 0 ? 0 : -errno;
}

// EEVDF's request size (6.12); older kernels take it and read back 0. Anything
// but a normal thread is left as it is.
u64 slice_set(u32 tid, u64 ns) {
  ErrnoKeep keep;
  Attr a{};
  if (syscall(SYS_sched_getattr, tid, &a, sizeof a, 0) != 0 ||
      (a.policy != SCHED_OTHER && a.policy != SCHED_BATCH)) {
    return 0;
  }
  u64 was = a.runtime;
  a.size = sizeof a;
  a.runtime = ns;
  return syscall(SYS_sched_setattr, tid, &a, 0) == 0 ? was : 0;
}

}  // namespace thrum::os
