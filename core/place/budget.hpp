// How many Ps the OS grants, from its facts, and why so many.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

namespace thrum {

enum class Bound : u8 {  // what decided
  affinity,              // the CPUs of the mask
  quota,                 // the tightest control group, rounded up
  cap,                   // thrum_config.max_procs
  limit,                 // kMaxProcs
};

struct Budget {
  u32 procs;        // at least 1
  u32 cpus;         // of the affinity mask
  u32 quota_milli;  // 1/1000 CPU; 0: none
  u32 cap;          // 0: none
  Bound bound;
};

Budget budget_of(u32 cpus, u32 quota_milli, u32 cap);
// From this process's facts, read now.
Budget budget_now(u32 cap);
// In words; `whose`: the group that has the quota, null: not known.
void budget_reason(const Budget& b, const char* whose, char* out, size_t size);

}  // namespace thrum
