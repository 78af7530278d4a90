// Source: kernel Documentation/scheduler/sched-stats.rst (the fields of schedstat).
// SPDX-License-Identifier: MIT
#include "os/cpu_share.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "os/linux/file.hpp"
#include "os/posix/errno.hpp"

namespace thrum::os {

namespace {

// The file from its beginning, with a zero behind; false: nothing.
bool again(int fd, char* text, size_t size) {
  ssize_t n = pread(fd, text, size - 1, 0);
  text[n > 0 ? n : 0] = 0;
  return n > 0;
}

}  // namespace

int share_open(u32 tid) {
  ErrnoKeep keep;
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%u/schedstat", tid);
  int fd = above_std(open(path, O_RDONLY | O_CLOEXEC));
  return fd >= 0 ? fd : -errno;
}

bool share_read(int fd, CpuShare* out) {
  ErrnoKeep keep;
  char text[96];
  if (!again(fd, text, sizeof text)) {
    return false;
  }
  char* end;
  (void)strtoull(text, &end, 10);  // as of the last tick
  out->delayed = strtoull(end, nullptr, 10);
  timespec t;
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) != 0) {
    return false;
  }
  out->ran =
      static_cast<u64>(t.tv_sec) * 1'000'000'000 + static_cast<u64>(t.tv_nsec);
  return true;
}

}  // namespace thrum::os
