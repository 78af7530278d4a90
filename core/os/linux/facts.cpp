// SPDX-License-Identifier: MIT
#include "os/facts.hpp"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/linux/file.hpp"
#include "os/linux/mman.hpp"
#include "os/posix/errno.hpp"

namespace thrum::os {

namespace {

// 0 or errno.
int read_below(const char* root, const char* name, char* text, size_t size) {
  char path[512];
  snprintf(path, sizeof path, "%s%s", root, name);
  errno = 0;
  if (read_text(path, text, size)) {
    return 0;
  }
  return errno ? errno : ENODATA;
}

// Arguments that the kernel rejects with `rejects`, if it gets to see them.
int rejected(long rc, int rejects) {
  return rc >= 0 || errno == rejects ? 0 : errno;
}

int membarrier_error() {
  constexpr long kQuery = 0, kPrivateExpedited = 8;
  long rc = syscall(SYS_membarrier, kQuery, 0, 0);
  return rc < 0 ? errno : rc & kPrivateExpedited ? 0 : EINVAL;
}

}  // namespace

CpuPressure cpu_pressure(const char* root) {
  ErrnoKeep keep;
  CpuPressure out{};
  char text[512];
  out.error = read_below(root, "/proc/pressure/cpu", text, sizeof text);
  unsigned whole, part;
  unsigned long long total;
  // some avg10=0.00 avg60=0.00 avg300=0.00 total=0
  if (!out.error) {
    if (sscanf(text, "some avg10=%3u.%2u avg60=%*s avg300=%*s total=%19llu",
               &whole, &part, &total) == 3) {
      out.avg10_centi = whole * 100 + part;
      out.total_us = total;
    } else {
      out.error = ENODATA;
    }
  }
  return out;
}

Autogroup autogroup(const char* root) {
  ErrnoKeep keep;
  Autogroup out{};
  char text[128];
  out.error = read_below(root, "/proc/sys/kernel/sched_autogroup_enabled", text,
                         sizeof text);
  out.on = !out.error && text[0] == '1';
  if (out.on) {
    // /autogroup-12 nice 0
    out.error = read_below(root, "/proc/self/autogroup", text, sizeof text);
    const char* nice = out.error ? nullptr : strstr(text, " nice ");
    out.nice = nice ? strtol(nice + 6, nullptr, 10) : 0;
  }
  return out;
}

void optional_calls(OptionalCall out[kOptionalCalls]) {
  ErrnoKeep keep;
  u64 mask;
  out[0] = {"membarrier", membarrier_error()};
  out[1] = {"sched_getaffinity",
            rejected(syscall(SYS_sched_getaffinity, 0, 0, &mask), EINVAL)};
  out[2] = {"sched_setaffinity",
            rejected(syscall(SYS_sched_setaffinity, 0, 8, nullptr), EFAULT)};
  out[3] = {"sched_setattr",
            rejected(syscall(SYS_sched_setattr, 0, nullptr, 0), EINVAL)};
  out[4] = {"process_madvise", rejected(syscall(SYS_process_madvise, kPidfdSelf,
                                                nullptr, 0, MADV_DONTNEED, 0),
                                        0)};
  out[5] = {"madvise_guard", rejected(madvise(nullptr, 0, kGuardInstall), 0)};
}

}  // namespace thrum::os
