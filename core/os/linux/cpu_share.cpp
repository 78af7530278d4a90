// Sources: kernel Documentation/scheduler/sched-stats.rst (the fields of schedstat),
// admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst (cpu.stat).
// SPDX-License-Identifier: MIT
#include "os/cpu_share.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "os/linux/group.hpp"
#include "os/posix/errno.hpp"

namespace thrum::os {

namespace {

// The file from its beginning, with a zero behind; false: nothing.
bool again(int fd, char* text, size_t size) {
  ssize_t n = pread(fd, text, size - 1, 0);
  text[n > 0 ? n : 0] = 0;
  return n > 0;
}

void open_group(void* arg, const char* dir, bool v2) {
  auto& t = *static_cast<Throttle*>(arg);
  char path[4200];
  snprintf(path, sizeof path, "%s/cpu.stat", dir);
  int fd = t.n < Throttle::kMost ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd >= 0) {
    t.v2[t.n] = v2;
    t.fds[t.n++] = fd;
  }
}

}  // namespace

int share_open(u32 tid) {
  ErrnoKeep keep;
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%u/schedstat", tid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
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

void throttle_open(Throttle& t) {
  ErrnoKeep keep;
  t = Throttle{};
  each_cpu_group(open_group, &t);
}

void throttle_close(Throttle& t) {
  ErrnoKeep keep;
  while (t.n) {
    close(t.fds[--t.n]);
  }
}

u64 throttle_read(const Throttle& t) {
  ErrnoKeep keep;
  u64 sum = 0;
  for (u32 i = 0; i < t.n; ++i) {
    char text[1024];
    const char* key = t.v2[i] ? "throttled_usec " : "throttled_time ";
    if (again(t.fds[i], text, sizeof text)) {
      if (const char* at = strstr(text, key)) {
        u64 value = strtoull(at + strlen(key), nullptr, 10);
        sum += t.v2[i] ? value * 1000 : value;
      }
    }
  }
  return sum;
}

}  // namespace thrum::os
