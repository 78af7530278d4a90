/* Calls of a nanosecond or two, measured in blocks: the figure is the block whose
 * time is the median, so that what other programs take between two blocks, or
 * within a few of them, is not in it. A block is shorter than a time slice of the
 * kernel and long against the two clocks around it.
 *
 * SPDX-License-Identifier: MIT */
#ifndef THRUM_TESTS_BENCH_BLOCKS_H
#define THRUM_TESTS_BENCH_BLOCKS_H

#include "bench.h"

enum { BENCH_BLOCK = 100000 }; /* calls */

typedef struct bench_blocks {
  int64_t *wall, *cpu;
  int64_t count;
} bench_blocks;

/* How many blocks n calls are. */
static inline int64_t bench_blocks_of(int64_t n) {
  return (n + BENCH_BLOCK - 1) / BENCH_BLOCK;
}

static inline bench_blocks bench_blocks_new(int64_t most) {
  bench_blocks blocks = {NULL, NULL, 0};
  blocks.wall = (int64_t*)bench_alloc(most, sizeof(int64_t));
  blocks.cpu = (int64_t*)bench_alloc(most, sizeof(int64_t));
  return blocks;
}

static inline void bench_blocks_add(bench_blocks* blocks,
                                    const bench_span* span) {
  blocks->wall[blocks->count] = span->wall_ns;
  blocks->cpu[blocks->count++] = span->cpu_ns;
}

/* Frees the blocks. */
static inline bench_span bench_blocks_median(bench_blocks* blocks) {
  bench_span span;
  bench_sort(blocks->wall, blocks->count);
  bench_sort(blocks->cpu, blocks->count);
  span.wall_ns = bench_percentile(blocks->wall, blocks->count, 0.5);
  span.cpu_ns = bench_percentile(blocks->cpu, blocks->count, 0.5);
  free(blocks->wall);
  free(blocks->cpu);
  return span;
}

#endif
