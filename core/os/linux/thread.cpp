// SPDX-License-Identifier: MIT
#include <dirent.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "arch/sanitize.hpp"
#include "os/linux/file.hpp"
#include "os/os.hpp"
#include "os/posix/errno.hpp"

namespace thrum::os {

u32 thread_id() {
  ErrnoKeep keep;
  return static_cast<u32>(syscall(SYS_gettid));
}

int thread_count() {
  ErrnoKeep keep;
  DIR* dir = opendir("/proc/self/task");
  if (!dir) {
    return -errno;
  }
  int n = 0;
  while (dirent* e = readdir(dir)) {
    n += e->d_name[0] != '.';
  }
  closedir(dir);
  return n;
}

void timer_slack(u64 ns) {
  ErrnoKeep keep;
  prctl(PR_SET_TIMERSLACK, ns, 0, 0, 0);
}

// The clock of one thread by its id, as the kernel encodes it (glibc makes them
// from a pthread_t only).
i64 thread_cpu_ns(u32 thread_id) {
  ErrnoKeep keep;
  constexpr int kSched = 2, kPerThread = 4;
  clockid_t id = static_cast<clockid_t>(~thread_id << 3 | kSched | kPerThread);
  timespec ts;
  if (clock_gettime(id, &ts) != 0) {
    return -errno;
  }
  return static_cast<i64>(ts.tv_sec) * 1'000'000'000 + ts.tv_nsec;
}

bool thread_runs(u32 thread_id) {
  ErrnoKeep keep;
  char text[256];
  if (!read_thread(thread_id, "stat", text, sizeof text)) {
    return false;
  }
  const char* after = strrchr(text, ')');  // the name may hold anything
  return after && after[1] == ' ' && after[2] == 'R';
}

// FUTEX_WAIT_BITSET takes an absolute CLOCK_MONOTONIC deadline, so an early
// return never stretches the wait.
void futex_wait(Atomic<u32>* word, u32 expected, i64 deadline) {
  ErrnoKeep keep;
  timespec ts;
  timespec* at = nullptr;
  // Without a deadline the kernel goes on with the sleep after a handler, and a
  // signal that TSan has put off would be so until somebody wakes the thread.
  if (deadline != kForever || kSignalsLate) {
    ts.tv_sec = static_cast<time_t>(deadline / 1'000'000'000);
    ts.tv_nsec = static_cast<long>(deadline % 1'000'000'000);
    at = &ts;
  }
  syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected, at,
          nullptr, FUTEX_BITSET_MATCH_ANY);
}

void futex_wake(Atomic<u32>* word, int n) {
  ErrnoKeep keep;
  syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, n, nullptr, nullptr,
          0);
}

namespace {
Atomic<bool> g_fence_ready;  // atomic: set once
}

// membarrier(2), 4.14: PRIVATE_EXPEDITED. The numbers are the kernel's ABI.
bool fence_all_register() {
  ErrnoKeep keep;
  constexpr int kRegisterPrivateExpedited = 1 << 4;
  if (syscall(SYS_membarrier, kRegisterPrivateExpedited, 0, 0) != 0) {
    return false;
  }
  g_fence_ready.store(true, release);
  return true;
}

bool fence_all_ready() { return g_fence_ready.load(acquire); }

void fence_all() {
  ErrnoKeep keep;
  if (!fence_all_ready()) {
    return fence(seq_cst);  // the other side takes one too
  }
  constexpr int kPrivateExpedited = 1 << 3;
  syscall(SYS_membarrier, kPrivateExpedited, 0, 0);
}

int cpus_allowed() {
  ErrnoKeep keep;
  u64 mask[8192 / 64] = {};  // as many as Linux can be built for
  if (syscall(SYS_sched_getaffinity, 0, sizeof mask, mask) < 0) {
    return 1;
  }
  int n = 0;
  for (u64 word : mask) {
    n += __builtin_popcountll(word);
  }
  return n > 0 ? n : 1;
}

bool fd_readable(int fd) {
  ErrnoKeep keep;
  pollfd p{fd, POLLIN, 0};
  return poll(&p, 1, 0) > 0;
}

}  // namespace thrum::os
