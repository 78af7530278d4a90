// The CPU quota, through the one public function. This program's own open()
// stands between it and the files of proc and cgroup: while a Fake is alive,
// they are what it says, and nothing else exists.
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "../unit.hpp"

using namespace unit;

namespace {

struct File {
  const char* path;
  const char* text;
};

struct Fake {
  const File* files;
  size_t count;
  u32 opened = 0, missed = 0;
};

Fake* g_fake = nullptr;

int fake_open(const char* path) {
  for (size_t i = 0; i < g_fake->count; ++i) {
    if (strcmp(g_fake->files[i].path, path) == 0) {
      ++g_fake->opened;
      const char* text = g_fake->files[i].text;
      int fd = memfd_create("fake", MFD_CLOEXEC);
      (void)!write(fd, text, strlen(text));
      lseek(fd, 0, SEEK_SET);
      return fd;
    }
  }
  ++g_fake->missed;
  errno = ENOENT;
  return -1;
}

int any_open(const char* path, int flags, mode_t mode) {
  return g_fake ? fake_open(path)
                : static_cast<int>(
                      syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}

template <size_t N>
u32 quota(const File (&files)[N], Fake* out = nullptr) {
  Fake fake{files, N};
  g_fake = &fake;
  u32 got = os::cpu_quota_milli();
  g_fake = nullptr;
  if (out) {
    *out = fake;
  }
  return got;
}

}  // namespace

// By symbol: the header renames open() for large files.
#define UNIT_OPEN(name, symbol)                                          \
  extern "C" int name(const char* path, int flags, ...) __asm__(symbol); \
  extern "C" int name(const char* path, int flags, ...) {                \
    va_list args;                                                        \
    va_start(args, flags);                                               \
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;            \
    va_end(args);                                                        \
    return any_open(path, flags, mode);                                  \
  }
UNIT_OPEN(unit_open, "open")
UNIT_OPEN(unit_open64, "open64")

namespace {

constexpr const char* kMounts = "/proc/self/mountinfo";
constexpr const char* kGroups = "/proc/self/cgroup";
constexpr const char* kV2 =
    "22 1 254:0 / / rw,relatime - ext4 /dev/root rw\n"
    "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
constexpr const char* kV1 =
    "22 1 254:0 / / rw,relatime - ext4 /dev/root rw\n"
    "33 32 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "34 32 0:30 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup "
    "rw,cpu,cpuacct\n";

}  // namespace

TEST_CASE("cgroup: the fake is in between") {
  Fake fake;
  const File files[] = {{kMounts, kV2},
                        {kGroups, "0::/a\n"},
                        {"/sys/fs/cgroup/a/cpu.max", "150000 100000\n"}};
  CHECK(quota(files, &fake) == 1500);
  CHECK(fake.opened == 3);
}

TEST_CASE("cgroup v2: the tightest on the path from the leaf to the mount") {
  const File leaf[] = {{kMounts, kV2},
                       {kGroups, "0::/a/b/c\n"},
                       {"/sys/fs/cgroup/a/b/c/cpu.max", "50000 100000\n"},
                       {"/sys/fs/cgroup/a/b/cpu.max", "max 100000\n"},
                       {"/sys/fs/cgroup/a/cpu.max", "200000 100000\n"}};
  CHECK(quota(leaf) == 500);
  const File middle[] = {{kMounts, kV2},
                         {kGroups, "0::/a/b/c\n"},
                         {"/sys/fs/cgroup/a/b/c/cpu.max", "400000 100000\n"},
                         {"/sys/fs/cgroup/a/b/cpu.max", "150000 50000\n"},
                         {"/sys/fs/cgroup/a/cpu.max", "max 100000\n"}};
  CHECK(quota(middle) == 3000);
  const File top[] = {{kMounts, kV2},
                      {kGroups, "0::/a/b\n"},
                      {"/sys/fs/cgroup/a/b/cpu.max", "max 100000\n"},
                      {"/sys/fs/cgroup/a/cpu.max", "max 100000\n"},
                      {"/sys/fs/cgroup/cpu.max", "25000 100000\n"}};
  CHECK(quota(top) == 250);
}

TEST_CASE("cgroup v2: none") {
  const File max[] = {{kMounts, kV2},
                      {kGroups, "0::/a\n"},
                      {"/sys/fs/cgroup/a/cpu.max", "max 100000\n"}};
  CHECK(quota(max) == 0);
  const File no_controller[] = {{kMounts, kV2}, {kGroups, "0::/a\n"}};
  CHECK(quota(no_controller) == 0);
  const File root[] = {{kMounts, kV2}, {kGroups, "0::/\n"}};
  CHECK(quota(root) == 0);
  const File no_mount[] = {{kMounts, "22 1 254:0 / / rw - ext4 /dev/root rw\n"},
                           {kGroups, "0::/a\n"},
                           {"/sys/fs/cgroup/a/cpu.max", "50000 100000\n"}};
  CHECK(quota(no_mount) == 0);
  const File no_proc[] = {{"/nowhere", ""}};
  CHECK(quota(no_proc) == 0);
  const File no_group[] = {{kMounts, kV2}};
  CHECK(quota(no_group) == 0);
}

TEST_CASE("cgroup v2: a mount that shows a part of the tree") {
  // In a container: the mount's root is our group.
  const File files[] = {
      {kMounts,
       "30 22 0:26 /docker/x /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n"},
      {kGroups, "0::/docker/x/y\n"},
      {"/sys/fs/cgroup/y/cpu.max", "max 100000\n"},
      {"/sys/fs/cgroup/cpu.max", "75000 100000\n"},
      {"/sys/fs/cgroup/docker/x/y/cpu.max", "1000 100000\n"}};
  CHECK(quota(files) == 750);
}

TEST_CASE("cgroup v1: quota over period, -1 is none") {
  const File files[] = {
      {kMounts, kV1},
      {kGroups, "5:memory:/m\n4:cpuset:/s\n3:cpu,cpuacct:/a/b\n"},
      {"/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n"},
      {"/sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n"},
      {"/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "30000\n"},
      {"/sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "20000\n"},
      {"/sys/fs/cgroup/memory/m/cpu.cfs_quota_us", "1\n"},
      {"/sys/fs/cgroup/memory/m/cpu.cfs_period_us", "100000\n"}};
  CHECK(quota(files) == 1500);
  const File none[] = {
      {kMounts, kV1},
      {kGroups, "3:cpu,cpuacct:/\n"},
      {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"},
      {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"}};
  CHECK(quota(none) == 0);
}

TEST_CASE("cgroup v1: cpuset is not cpu") {
  const File files[] = {
      {kMounts,
       "35 32 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"},
      {kGroups, "4:cpuset:/s\n"},
      {"/sys/fs/cgroup/cpuset/s/cpu.cfs_quota_us", "1000\n"},
      {"/sys/fs/cgroup/cpuset/s/cpu.cfs_period_us", "100000\n"}};
  CHECK(quota(files) == 0);
}

TEST_CASE("cgroup: v1 and v2 side by side, the tighter counts") {
  const char* both =
      "30 22 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
      "34 32 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
  const File files[] = {{kMounts, both},
                        {kGroups, "3:cpu:/a\n0::/b\n"},
                        {"/sys/fs/cgroup/unified/b/cpu.max", "3000 1000\n"},
                        {"/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "2000\n"},
                        {"/sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "1000\n"}};
  CHECK(quota(files) == 2000);
}

TEST_CASE("cgroup: odd numbers, odd files") {
  struct Odd {
    const char* text;
    u32 want;
  };
  for (Odd odd :
       {Odd{"1 1000000\n", 1}, Odd{"0 100000\n", 0}, Odd{"-5 100000\n", 0},
        Odd{"100000 0\n", 0}, Odd{"100000\n", 0}, Odd{"", 0}, Odd{"\n", 0},
        Odd{"garbage here\n", 0}, Odd{"100000 100000", 1000},
        Odd{"9000000000000000 1000\n", 100'000'000}}) {
    const File files[] = {{kMounts, kV2},
                          {kGroups, "0::/a\n"},
                          {"/sys/fs/cgroup/a/cpu.max", odd.text}};
    u32 got = quota(files);
    CHECK_ROW(got == odd.want, odd.text);
  }
  for (const char* groups :
       {"", "\n", "0", "0:", "0::", "::::", "nonsense\n", "0::relative\n"}) {
    const File files[] = {{kMounts, kV2}, {kGroups, groups}};
    CHECK(quota(files) == 0);
  }
  for (const char* mounts :
       {"", "\n", " - \n", " - cgroup2\n", "a b c d e - cgroup2 x y\n",
        "1 2 3 / - cgroup2 cgroup2 rw\n"}) {
    const File files[] = {{kMounts, mounts}, {kGroups, "0::/a\n"}};
    CHECK(quota(files) == 0);
  }
}

TEST_CASE("cgroup: a path too long for the buffer is skipped") {
  static char group[8000], text[8100];
  memset(group, 'x', sizeof group - 1);
  snprintf(text, sizeof text, "0::/%s\n", group);
  const File files[] = {{kMounts, kV2}, {kGroups, text}};
  CHECK(quota(files) == 0);
}

TEST_CASE("cgroup: on this machine it answers") {
  u32 milli = os::cpu_quota_milli();
  CHECK(milli <= 100'000'000);
}
