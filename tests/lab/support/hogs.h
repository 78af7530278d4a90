/* Gs that compute, and one beside them that notes how late it wakes.
 *
 * SPDX-License-Identifier: MIT */
#ifndef THRUM_TESTS_LAB_HOGS_H
#define THRUM_TESTS_LAB_HOGS_H

#include "lab.h"

enum { UNIT_NS = 50000, NAP_NS = 2000000 };

static int64_t stop;                     /* atomic: all of them end */
static thrum_wg over = THRUM_WG_INIT;    /* who makes one adds one */
static int64_t *late, lates, lates_most; /* the probe's, in ns */

/* Calls thrum_check after each unit. arg: an int64_t that counts them, or NULL. */
static void hog(void* arg) {
  while (!lab_load(&stop)) {
    int64_t until = bench_now() + UNIT_NS;
    while (bench_now() < until) {}
    if (arg) {
      lab_add(arg, 1);
    }
    thrum_check();
  }
  BENCH_MUST(thrum_wg_done(&over));
}

static void probe(void* arg) {
  (void)arg;
  while (!lab_load(&stop) && lates < lates_most) {
    int64_t due = bench_now() + NAP_NS;
    BENCH_MUST(thrum_sleep(NAP_NS));
    late[lates++] = bench_now() - due;
  }
  BENCH_MUST(thrum_wg_done(&over));
}

#endif
