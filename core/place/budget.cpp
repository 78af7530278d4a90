// SPDX-License-Identifier: MIT
#include "place/budget.hpp"

#include "os/os.hpp"

namespace thrum {

u32 budget_procs() {
  u32 n = static_cast<u32>(os::cpus_allowed());
  u32 quota = os::cpu_quota_milli();
  if (quota) {
    n = min(n, (quota + 999) / 1000);
  }
  return max(n, 1u);
}

}  // namespace thrum
