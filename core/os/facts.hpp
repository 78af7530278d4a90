// What else the kernel tells about CPU time, for reports. Paths lie below a root,
// "" for the real one; `error` is an errno, 0: told.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

namespace thrum::os {

// /proc/pressure/cpu: some thread of the machine waited for a CPU.
struct CpuPressure {
  int error;
  u32 avg10_centi;  // 1/100 per cent of the last 10 s
  u64 total_us;
};
CpuPressure cpu_pressure(const char* root);

// With autogroups on, nice counts among threads of one session only.
struct Autogroup {
  int error;
  bool on;
  i64 nice;  // of this session's group
};
Autogroup autogroup(const char* root);

// A system call that thrum can do without, asked in a way that changes nothing.
// error: of a kernel that does not have it, or of a filter that refuses it.
struct OptionalCall {
  const char* name;
  int error;
};
constexpr u32 kOptionalCalls = 6;
void optional_calls(OptionalCall out[kOptionalCalls]);

}  // namespace thrum::os
