#include "place/budget.hpp"

#include <sched.h>
#include <string>

#include "../unit.hpp"

using namespace unit;

namespace {

std::string reason(const Budget& b, const char* whose) {
  char text[512];
  budget_reason(b, whose, text, sizeof text);
  return text;
}

bool says(const std::string& text, const char* what) {
  return text.find(what) != std::string::npos;
}

}  // namespace

TEST_CASE("budget: the least of mask, quota rounded up, and cap") {
  struct Row {
    u32 cpus, milli, cap, procs;
    Bound bound;
  };
  for (Row r :
       {Row{8, 0, 0, 8, Bound::affinity}, Row{8, 2500, 0, 3, Bound::quota},
        Row{8, 2000, 0, 2, Bound::quota}, Row{8, 1, 0, 1, Bound::quota},
        Row{2, 2000, 0, 2, Bound::affinity},
        Row{2, 9000, 0, 2, Bound::affinity}, Row{8, 6000, 4, 4, Bound::cap},
        Row{8, 3000, 4, 3, Bound::quota}, Row{1, 500, 0, 1, Bound::affinity},
        Row{0, 0, 0, 1, Bound::affinity}, Row{4096, 0, 0, 1024, Bound::limit},
        Row{64, 4294967295u, 0, 64, Bound::affinity}}) {
    Budget b = budget_of(r.cpus, r.milli, r.cap);
    CHECK(b.procs == r.procs);
    CHECK(b.bound == r.bound);
  }
}

TEST_CASE("budget: says in words why") {
  CHECK(says(reason(budget_of(8, 2500, 0), "/g"),
             "quota of /g is 2.500 CPUs, rounded up"));
  CHECK(says(reason(budget_of(8, 0, 0), nullptr), "no CPU quota is seen"));
  CHECK(says(reason(budget_of(2, 9000, 0), "/g"), "is no tighter"));
  CHECK(says(reason(budget_of(8, 0, 3), nullptr), "max_procs"));
  CHECK(says(reason(budget_of(4096, 0, 0), nullptr), "1024"));
}

TEST_CASE("budget: now, at least one and at most the CPUs of the mask") {
  Budget b = budget_now(0);
  CHECK(b.procs >= 1);
  CHECK(b.procs <= b.cpus);
  CHECK(b.cpus == static_cast<u32>(os::cpus_allowed()));
}

TEST_CASE("budget: follows the affinity mask") {
  cpu_set_t all, some;
  REQUIRE(sched_getaffinity(0, sizeof all, &all) == 0);
  CPU_ZERO(&some);
  u32 want = 0, before = budget_now(0).procs;
  for (int cpu = 0; cpu < CPU_SETSIZE && want < before; ++cpu) {
    if (CPU_ISSET(cpu, &all)) {
      CPU_SET(cpu, &some);
      ++want;
      REQUIRE(sched_setaffinity(0, sizeof some, &some) == 0);
      u32 got = budget_now(0).procs;
      CHECK(got == want);
    }
  }
  sched_setaffinity(0, sizeof all, &all);
  CHECK(budget_now(0).procs == before);
}
