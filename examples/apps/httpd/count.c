/* count.c: what has happened, and how long it took; see httpd.h.
 *
 * Connections share a few counts, so that those of several Ps seldom meet in one.
 * Times go into a histogram with eight steps per doubling: what it tells is right
 * to within 12 %.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include <stdio.h>
#include <string.h>

#include "httpd.h"

enum { COUNTS = 16, STEPS = 64 * 8 };

/* All atomic. */
struct count {
  uint64_t bytes;
  uint64_t statuses[6]; /* by their first digit */
  uint64_t times[STEPS];
};

struct counts {
  uint64_t conns, open, most; /* atomic */
  /* On cache lines of their own. */
  __attribute__((aligned(128))) struct count of[COUNTS];
};

static void add(uint64_t* n, uint64_t more) {
  __atomic_fetch_add(n, more, __ATOMIC_RELAXED);
}

static uint64_t get(const uint64_t* n) {
  return __atomic_load_n(n, __ATOMIC_RELAXED);
}

struct counts* counts_new(void) {
  return thrum_alloc_aligned(sizeof(struct counts), 128);
}

void counts_free(struct counts* counts) { thrum_free(counts); }

struct count* count_of_conn(struct counts* counts) {
  uint64_t i = __atomic_fetch_add(&counts->conns, 1, __ATOMIC_RELAXED);
  uint64_t open = __atomic_add_fetch(&counts->open, 1, __ATOMIC_RELAXED);
  uint64_t most = get(&counts->most);
  while (open > most &&
         !__atomic_compare_exchange_n(&counts->most, &most, open, 1,
                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
  return &counts->of[i % COUNTS];
}

void count_conn_end(struct counts* counts) { add(&counts->open, UINT64_MAX); }

void count_status(struct count* c, int status) {
  add(&c->statuses[status / 100], 1);
}

void count_bytes(struct count* c, int64_t n) { add(&c->bytes, (uint64_t)n); }

void count_handled(struct count* c, uint32_t requests, int64_t ns) {
  uint64_t t = ns > 8 ? (uint64_t)ns : 8;
  unsigned high = 63 - (unsigned)__builtin_clzll(t);
  add(&c->times[high * 8 + (t >> (high - 3) & 7)], requests);
}

/* The time in us below which `share` of all lie: the upper end of a step. */
static double quantile(const uint64_t* times, uint64_t all, double share) {
  uint64_t sum = 0;
  for (unsigned i = 0; i < STEPS; i++) {
    sum += times[i];
    if (sum > 0 && (double)sum >= share * (double)all) {
      return (double)((uint64_t)(i % 8 + 9) << (i / 8)) / 8e3;
    }
  }
  return 0;
}

void counts_summary(struct counts* counts, double seconds) {
  static uint64_t times[STEPS];
  uint64_t bytes = 0, handled = 0, requests = 0, statuses[6] = {0};
  memset(times, 0, sizeof times);
  for (int i = 0; i < COUNTS; i++) {
    bytes += get(&counts->of[i].bytes);
    for (int k = 1; k < 6; k++) {
      statuses[k] += get(&counts->of[i].statuses[k]);
      requests += get(&counts->of[i].statuses[k]);
    }
    for (unsigned k = 0; k < STEPS; k++) {
      times[k] += get(&counts->of[i].times[k]);
      handled += get(&counts->of[i].times[k]);
    }
  }
  fprintf(stderr,
          "httpd: %llu requests (2xx %llu, 3xx %llu, 4xx %llu, 5xx %llu), %llu "
          "connections (at most %llu at once), %llu bytes, %.1f s\n",
          (unsigned long long)requests, (unsigned long long)statuses[2],
          (unsigned long long)statuses[3], (unsigned long long)statuses[4],
          (unsigned long long)statuses[5],
          (unsigned long long)get(&counts->conns),
          (unsigned long long)get(&counts->most), (unsigned long long)bytes,
          seconds);
  fprintf(stderr, "httpd: handling p50 %.0f us, p99 %.0f us; cut off: %llu\n",
          quantile(times, handled, 0.5), quantile(times, handled, 0.99),
          (unsigned long long)get(&counts->open));
}
