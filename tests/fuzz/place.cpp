// What the kernel says about control groups and CPUs, as os/cgroup.hpp and
// os/topology.hpp read it: whatever comes, paths stay in their room and numbers mean
// what they say.
//
// SPDX-License-Identifier: MIT
#include "os/cgroup.hpp"
#include "os/topology.hpp"

extern "C" {
#include "fuzz.h"
}

using namespace thrum;

const char* const fuzz_seeds[] = {
    "30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n|0::/a/b\n",
    "552 551 0:30 /docker/0f6e /sys/fs/cgroup/cpu rw,relatime master:11 - "
    "cgroup cgroup rw,cpu,cpuacct\n|5:cpu,cpuacct:/docker/0f6e/x\n",
    "90 22 0:26 / /mnt/my\\040groups rw - cgroup2 none rw\n|0::/../a\n",
    "150000 100000\n",
    "max 100000\n",
    "-1\n",
    "9223372036854775800\n",
    "nr_periods 25\nnr_throttled 7\nthrottled_usec 71\n",
    "0-3,8,10-1023\n",
    "10 16 22 32\n",
    nullptr};

namespace {

void check_dirs(const char* mounts, const char* self) {
  static os::GroupDir trees[os::kTrees];
  os::groups_find(mounts, self, trees);
  for (const os::GroupDir& d : trees) {
    size_t n = strnlen(d.path, sizeof d.path);
    FUZZ_CHECK(n < sizeof d.path);
    FUZZ_CHECK(d.found ? d.top <= n && d.top > 0 : n == 0);
    // Below the mount point each step up ends at a slash (tree_open).
    FUZZ_CHECK(!d.found || n == d.top || d.path[d.top] == '/');
  }
}

void check_numbers(const char* text) {
  i64 quota = 0, period = 0;
  if (os::cpu_max_parse(text, &quota, &period)) {
    u32 milli = os::milli_of(quota, period);
    FUZZ_CHECK(milli <= os::kMostMilli);
    FUZZ_CHECK((milli == 0) == (quota <= 0 || period <= 0));
  }
  if (os::number_parse(text, &quota)) {
    FUZZ_CHECK(quota == strtoll(text, nullptr, 10));
  }
  os::Throttled t = os::throttled_parse(text);
  FUZZ_CHECK(!t.throttled || strstr(text, "nr_throttled "));
  FUZZ_CHECK(!t.ns || strstr(text, "throttled_"));
}

// A list has numbers with nothing but '-' and ',' between; of distances each is
// written, as far as there is room.
void check_topology(const char* text) {
  CpuSet cpus;
  bool list = os::cpu_list_parse(text, &cpus);
  size_t plain = strspn(text, "0123456789,-\n");
  FUZZ_CHECK(!list || text[plain] == 0);
  FUZZ_CHECK(list || cpus.count() == 0);
  u16 few[3] = {7, 7, 7};
  u32 n = os::numbers_parse(text, few, 2);
  FUZZ_CHECK(few[2] == 7);
  FUZZ_CHECK(n <= (strlen(text) + 1) / 2);
  FUZZ_CHECK(n == 0 || few[0] == strtoul(text, nullptr, 10));
  FUZZ_CHECK(!list || cpus.count() == 0 || n <= 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Of malloc'd texts the sanitizer sees each end.
  char* text = static_cast<char*>(malloc(size + 1));
  memcpy(text, data, size);
  text[size] = 0;
  check_numbers(text);
  check_topology(text);
  char* bar = strchr(text, '|');
  char* self = strdup(bar ? bar + 1 : text);
  if (bar) {
    *bar = 0;
  }
  check_dirs(text, self);
  free(self);
  free(text);
  return 0;
}
