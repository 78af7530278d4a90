/* A control group of the program's own with a CPU quota, of the first version,
 * where the program may make one. What it makes it removes.
 *
 * SPDX-License-Identifier: MIT */
#ifndef THRUM_TESTS_LAB_GROUP_H
#define THRUM_TESTS_LAB_GROUP_H

#include "lab.h"

#include <errno.h>
#include <sys/stat.h>

static char group_dir[256], group_parent[256];

static inline int group_write(const char* dir, const char* name,
                              const char* text) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  FILE* f = fopen(path, "w");
  if (!f) {
    return 0;
  }
  int ok = fputs(text, f) >= 0;
  return fclose(f) == 0 && ok;
}

static inline int64_t group_stat(const char* key) {
  char path[512], name[64];
  long long value, found = -1;
  snprintf(path, sizeof path, "%s/cpu.stat", group_dir);
  FILE* f = fopen(path, "r");
  while (f && fscanf(f, "%63s %lld", name, &value) == 2) {
    if (strcmp(name, key) == 0) {
      found = value;
    }
  }
  if (f) {
    fclose(f);
  }
  return found;
}

static inline void group_leave(void) {
  char pid[32];
  snprintf(pid, sizeof pid, "%d\n", (int)getpid());
  group_write(group_parent, "cgroup.procs", pid);
  rmdir(group_dir);
}

/* quota_us -1: none, just apart from the neighbours. 0: it may not be made. */
static inline int group_try(int64_t quota_us, int64_t period_us) {
  static const char* const places[] = {"/sys/fs/cgroup/cpu",
                                       "/sys/fs/cgroup/cpu,cpuacct"};
  char text[64];
  for (size_t i = 0; i < BENCH_COUNT(places); i++) {
    snprintf(group_parent, sizeof group_parent, "%s", places[i]);
    snprintf(group_dir, sizeof group_dir, "%s/thrum-lab-%d", places[i],
             (int)getpid());
    if (mkdir(group_dir, 0755) != 0) {
      continue;
    }
    snprintf(text, sizeof text, "%lld\n", (long long)period_us);
    int ok = group_write(group_dir, "cpu.cfs_period_us", text);
    /* What is measured is this program, not its neighbours. */
    ok = ok && group_write(group_dir, "cpu.shares", "100000\n");
    snprintf(text, sizeof text, "%lld\n", (long long)quota_us);
    ok = ok && group_write(group_dir, "cpu.cfs_quota_us", text);
    snprintf(text, sizeof text, "%d\n", (int)getpid());
    ok = ok && group_write(group_dir, "cgroup.procs", text);
    if (ok) {
      atexit(group_leave);
      return 1;
    }
    rmdir(group_dir);
  }
  return 0;
}

/* Ends the program with status 77 where there is none to be had. */
static inline void group_enter(int64_t quota_us, int64_t period_us) {
  if (!group_try(quota_us, period_us)) {
    printf("skipped: no control group with a CPU quota can be made here (%s)\n",
           strerror(errno));
    exit(77);
  }
}

#endif
