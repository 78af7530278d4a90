/* A log-linear histogram of times in ns: 128 cells per power of two, so that a
 * percentile is off by less than half a per cent however many samples it took.
 *
 * SPDX-License-Identifier: MIT */
#ifndef THRUM_TESTS_BENCH_HISTOGRAM_H
#define THRUM_TESTS_BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
  BENCH_CELL_BITS = 7,
  BENCH_CELLS = (64 - BENCH_CELL_BITS + 1) << BENCH_CELL_BITS
};

typedef struct bench_histogram {
  int64_t count, max_ns;
  int64_t cells[BENCH_CELLS];
} bench_histogram;

/* How many low bits a cell of this value forgets. */
static inline int bench_cell_shift_(uint64_t ns) {
  int top = 63 - __builtin_clzll(ns | 1);
  return top > BENCH_CELL_BITS ? top - BENCH_CELL_BITS : 0;
}

static inline void bench_histogram_add(bench_histogram* h, int64_t ns) {
  uint64_t value = ns < 0 ? 0 : (uint64_t)ns;
  int shift = bench_cell_shift_(value);
  h->cells[((uint64_t)shift << BENCH_CELL_BITS) + (value >> shift)]++;
  h->count++;
  h->max_ns = ns > h->max_ns ? ns : h->max_ns;
}

/* Nearest rank, told as the middle of its cell. 0 without a sample. */
static inline double bench_histogram_at(const bench_histogram* h, double q) {
  double rank = q * (double)h->count;
  int64_t seen = 0;
  for (int64_t cell = 0; cell < BENCH_CELLS; cell++) {
    seen += h->cells[cell];
    if (seen > 0 && (double)seen >= rank) {
      int64_t shift = cell >> BENCH_CELL_BITS;
      shift = shift > 0 ? shift - 1 : 0;
      int64_t low = (cell - (shift << BENCH_CELL_BITS)) << shift;
      return (double)low + (double)((INT64_C(1) << shift) - 1) / 2;
    }
  }
  return 0;
}

#endif
