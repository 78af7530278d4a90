/* Where the CPUs of this machine are, as sysfs tells: their cores and nodes.
 *
 * SPDX-License-Identifier: MIT */
#ifndef THRUM_TESTS_LAB_NODES_H
#define THRUM_TESTS_LAB_NODES_H

#include "proc.h"

enum { LAB_MOST_NODES = 64 };

/* Is n in a list like "0-3,8" of this file? */
static inline int lab_listed(const char* path, int n) {
  char line[4096];
  const char* at = lab_read_line(path, line, sizeof line) ? line : "";
  int low, high, used;
  while (sscanf(at, "%d%n", &low, &used) == 1) {
    at += used;
    high = low;
    if (sscanf(at, "-%d%n", &high, &used) == 1) {
      at += used;
    }
    if (low <= n && n <= high) {
      return 1;
    }
    at += *at == ',';
  }
  return 0;
}

/* 0 also where sysfs does not tell. */
static inline int lab_node_of(int cpu) {
  char path[128];
  for (int node = 0; node < LAB_MOST_NODES; node++) {
    snprintf(path, sizeof path, "/sys/devices/system/node/node%d/cpulist",
             node);
    if (lab_listed(path, cpu)) {
      return node;
    }
  }
  return 0;
}

static inline int lab_same_core(int a, int b) {
  char path[128];
  snprintf(path, sizeof path,
           "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", a);
  return a == b || lab_listed(path, b);
}

static inline int lab_node_has(const char* what, int node) {
  char path[128];
  snprintf(path, sizeof path, "/sys/devices/system/node/%s", what);
  return lab_listed(path, node);
}

/* From SLIT; 0: sysfs does not tell. */
static inline int lab_distance(int from, int to) {
  char path[128], line[1024];
  snprintf(path, sizeof path, "/sys/devices/system/node/node%d/distance", from);
  char* at = lab_read_line(path, line, sizeof line) ? line : NULL;
  for (int node = 0; at && node < LAB_MOST_NODES; node++) {
    if (!lab_node_has("online", node)) {
      continue; /* the line has those that are there, in order */
    }
    long here = strtol(at, &at, 10);
    if (node == to) {
      return (int)here;
    }
  }
  return 0;
}

#endif
