/* What /proc tells about this process: how many threads it has, and what CPU time
 * a thread of some name has used.
 *
 * SPDX-License-Identifier: MIT */
#ifndef THRUM_TESTS_LAB_PROC_H
#define THRUM_TESTS_LAB_PROC_H

#include "lab.h"

#include <dirent.h>

/* Threads of this process, those that have begun and not ended. */
static inline int64_t lab_threads(void) {
  DIR* folder = opendir("/proc/self/task");
  if (folder == NULL) {
    return -1;
  }
  int64_t count = 0;
  struct dirent* entry;
  while ((entry = readdir(folder)) != NULL) {
    count += entry->d_name[0] != '.';
  }
  closedir(folder);
  return count;
}

/* CPU time, and how often it was given a CPU, of one thread; cpu_ns -1: it does
 * not exist, or the kernel does not say. */
typedef struct lab_usage {
  int64_t cpu_ns, runs;
} lab_usage;

static inline int lab_read_line(const char* path, char* line, int size) {
  FILE* f = fopen(path, "r");
  if (f == NULL) {
    return 0;
  }
  int ok = fgets(line, size, f) != NULL;
  fclose(f);
  return ok;
}

static inline int lab_is_named(const char* tid, const char* name) {
  char path[320], line[64];
  snprintf(path, sizeof path, "/proc/self/task/%s/comm", tid);
  size_t length = strlen(name);
  return lab_read_line(path, line, sizeof line) &&
         strncmp(line, name, length) == 0 && line[length] == '\n';
}

/* Of the first thread of that name. schedstat counts in ns: what a thread ran
 * between two ticks is in it. */
static inline lab_usage lab_usage_of(const char* name) {
  lab_usage usage = {-1, 0};
  DIR* folder = opendir("/proc/self/task");
  struct dirent* entry;
  while (folder != NULL && (entry = readdir(folder)) != NULL) {
    if (!lab_is_named(entry->d_name, name)) {
      continue;
    }
    char path[320], line[128];
    int64_t cpu, waited, runs;
    snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", entry->d_name);
    if (lab_read_line(path, line, sizeof line) &&
        sscanf(line, "%" SCNd64 " %" SCNd64 " %" SCNd64, &cpu, &waited,
               &runs) == 3) {
      usage.cpu_ns = cpu;
      usage.runs = runs;
    }
    break;
  }
  if (folder != NULL) {
    closedir(folder);
  }
  return usage;
}

static inline int64_t lab_clock(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

#endif
