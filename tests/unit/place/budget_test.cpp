#include <sched.h>

#include "../unit.hpp"
#include "place/budget.hpp"

using namespace unit;

TEST_CASE("budget: at least one, at most the CPUs of the mask") {
  u32 n = budget_procs();
  CHECK(n >= 1);
  CHECK(n <= static_cast<u32>(os::cpus_allowed()));
  if (u32 quota = os::cpu_quota_milli()) {
    CHECK(n <= (quota + 999) / 1000);
  } else {
    CHECK(n == static_cast<u32>(os::cpus_allowed()));
  }
}

TEST_CASE("budget: follows the affinity mask") {
  cpu_set_t all, some;
  REQUIRE(sched_getaffinity(0, sizeof all, &all) == 0);
  CPU_ZERO(&some);
  u32 want = 0, before = budget_procs();
  for (int cpu = 0; cpu < CPU_SETSIZE && want < before; ++cpu) {
    if (CPU_ISSET(cpu, &all)) {
      CPU_SET(cpu, &some);
      ++want;
      REQUIRE(sched_setaffinity(0, sizeof some, &some) == 0);
      u32 got = budget_procs();
      CHECK(got == want);
    }
  }
  sched_setaffinity(0, sizeof all, &all);
  CHECK(budget_procs() == before);
}
