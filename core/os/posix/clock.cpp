// SPDX-License-Identifier: MIT
#include <time.h>

#include "os/os.hpp"

namespace thrum::os {

namespace {
i64 read_clock(clockid_t id) {
  timespec ts;
  clock_gettime(id, &ts);  // cannot fail for these ids; keeps errno
  return static_cast<i64>(ts.tv_sec) * 1'000'000'000 + ts.tv_nsec;
}
}  // namespace

i64 now_ns() { return read_clock(CLOCK_MONOTONIC); }
i64 cpu_ns() { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

}  // namespace thrum::os
