// The CPU limit of the control groups this process is in: the least
// quota / period over every directory from the leaf to the mount root, as an
// ancestor throttles without a word in the leaf's files (linux.md 3).
// Sources: kernel Documentation/admin-guide/cgroup-v2.rst and
// cgroup-v1/../scheduler/sched-bwc.rst.
// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/linux/file.hpp"
#include "os/linux/group.hpp"
#include "os/os.hpp"
#include "os/posix/errno.hpp"

namespace thrum::os {

namespace {

constexpr size_t kPath = 4096;

// 1/1000 CPU granted by one directory, 0: no limit.
u32 limit_of(const char* dir, bool v2) {
  char path[kPath + 32];
  char text[128];
  long long quota = -1, period = 0;
  if (v2) {
    snprintf(path, sizeof path, "%s/cpu.max", dir);
    if (!read_text(path, text, sizeof text) ||
        sscanf(text, "%lld %lld", &quota, &period) != 2) {
      return 0;  // "max", the root, or denied
    }
  } else {
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", dir);
    if (!read_text(path, text, sizeof text) ||
        sscanf(text, "%lld", &quota) != 1) {
      return 0;
    }
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", dir);
    if (!read_text(path, text, sizeof text) ||
        sscanf(text, "%lld", &period) != 1) {
      return 0;
    }
  }
  if (quota <= 0 || period <= 0) {
    return 0;
  }
  long long milli = quota * 1000 / period;
  return static_cast<u32>(milli < 1 ? 1 : min(milli, 100'000'000LL));
}

// Our path in the hierarchy that carries the cpu controller. `line` is one of
// /proc/self/cgroup: "id:controllers:path".
bool group_path(char* line, bool v2, char** path) {
  char* controllers = strchr(line, ':');
  if (!controllers) {
    return false;
  }
  char* p = strchr(++controllers, ':');
  if (!p) {
    return false;
  }
  *p = 0;
  *path = p + 1;
  if (v2) {
    return *controllers == 0;
  }
  char* save = nullptr;
  for (char* c = strtok_r(controllers, ",", &save); c;
       c = strtok_r(nullptr, ",", &save)) {
    if (strcmp(c, "cpu") == 0) {
      return true;
    }
  }
  return false;
}

using EachDir = void (*)(void* arg, const char* dir, bool v2);

void each_dir(const char* mount, const char* root, const char* group, bool v2,
              EachDir fn, void* arg) {
  // The mount shows the tree from `root` on; strip that from our path.
  size_t cut = strcmp(root, "/") == 0 ? 0 : strlen(root);
  if (strncmp(group, root, cut) != 0) {
    cut = 0;
  }
  char dir[kPath];
  int n = snprintf(dir, sizeof dir, "%s%s", mount, group + cut);
  if (n <= 0 || static_cast<size_t>(n) >= sizeof dir) {
    return;
  }
  size_t base = strlen(mount);
  for (;;) {
    fn(arg, dir, v2);
    char* slash = strrchr(dir, '/');
    if (!slash || static_cast<size_t>(slash - dir) < base) {
      return;
    }
    *slash = 0;
  }
}

void take_least(void* arg, const char* dir, bool v2) {
  u32& least = *static_cast<u32*>(arg);
  u32 here = limit_of(dir, v2);
  if (here && (!least || here < least)) {
    least = here;
  }
}

}  // namespace

void each_cpu_group(EachDir fn, void* arg) {
  constexpr size_t kText = 64 * 1024;
  char* text = static_cast<char*>(malloc(2 * kText));
  if (!text) {
    return;
  }
  char* mounts = text + kText;
  if (read_text("/proc/self/mountinfo", mounts, kText)) {
    // Fields: id parent dev root mount options [tags] - type source super.
    char* save = nullptr;
    for (char* m = strtok_r(mounts, "\n", &save); m;
         m = strtok_r(nullptr, "\n", &save)) {
      char root[1024], mount[1024], type[64], super[1024];
      char* dash = strstr(m, " - ");
      if (!dash || sscanf(m, "%*s %*s %*s %1023s %1023s", root, mount) != 2 ||
          sscanf(dash, " - %63s %*s %1023s", type, super) != 2) {
        continue;
      }
      bool v2 = strcmp(type, "cgroup2") == 0;
      if (!v2 && strcmp(type, "cgroup") != 0) {
        continue;
      }
      if (!read_text("/proc/self/cgroup", text, kText)) {
        continue;
      }
      char* next = nullptr;
      for (char* line = strtok_r(text, "\n", &next); line;
           line = strtok_r(nullptr, "\n", &next)) {
        char* group = nullptr;
        if (group_path(line, v2, &group) && (v2 || strstr(super, "cpu"))) {
          each_dir(mount, root, group, v2, fn, arg);
        }
      }
    }
  }
  free(text);
}

u32 cpu_quota_milli() {
  ErrnoKeep keep;
  u32 least = 0;
  each_cpu_group(take_least, &least);
  return least;
}

}  // namespace thrum::os
