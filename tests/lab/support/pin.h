/* Pinning the thread of a locked G, read back from the kernel and from thrum.
 *
 * SPDX-License-Identifier: MIT */
#ifndef THRUM_TESTS_LAB_PIN_H
#define THRUM_TESTS_LAB_PIN_H

#include "lab.h"

enum { LAB_PIN_WORDS = CPU_SETSIZE / 64 };

/* 1: the calling thread may run on this CPU and on no other. */
static inline int lab_is_pinned(int cpu) {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1 &&
         CPU_ISSET(cpu, &set);
}

static inline void lab_pin_g(int cpu) {
  uint64_t mask[LAB_PIN_WORDS] = {0}, got[LAB_PIN_WORDS] = {0};
  mask[cpu / 64] = UINT64_C(1) << (cpu % 64);
  BENCH_MUST(thrum_pin_cpu(mask, LAB_PIN_WORDS));
  bench_check("CPUs that thrum_cpus counts", thrum_cpus(got, LAB_PIN_WORDS), 1);
  bench_check("mask that thrum_cpus reads", memcmp(got, mask, sizeof got), 0);
  bench_check("the thread is pinned", lab_is_pinned(cpu), 1);
}

static inline void lab_unpin_g(void) { BENCH_MUST(thrum_pin_cpu(NULL, 0)); }

#endif
