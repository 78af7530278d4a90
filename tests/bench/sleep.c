/* sleep: one G of an otherwise idle process sleeps n times for length-us;
 * reports how late the sleeps ended. One op is one sleep.
 *
 * SPDX-License-Identifier: MIT */
#include "support/bench.h"

static int64_t procs = 2, n = 1000, length_us = 1000;

static bench_span span;
static int64_t* late;

static void first(void* arg) {
  (void)arg;
  const int64_t length = length_us * 1000;
  bench_start(&span);
  for (int64_t i = 0; i < n; i++) {
    int64_t begin = bench_now();
    BENCH_MUST(thrum_sleep(length));
    late[i] = bench_now() - begin - length;
  }
  bench_stop(&span);
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_PROCS(&procs),
      {"n", "sleeps", &n, 1, 100000000, NULL, NULL},
      {"length-us", "length of each", &length_us, 1, 60000000, NULL, NULL},
  };
  bench_flags(argc, argv, flags, BENCH_COUNT(flags));
  late = bench_alloc(n, sizeof *late);
  memset(late, 0xff, (size_t)n * sizeof *late);
  bench_run(procs, first, NULL);
  bench_json_begin("sleep", procs, n, n, &span);
  bench_json_int("length_us", length_us);
  bench_json_lateness(late, n);
  bench_json_end();
  free(late);
  return 0;
}
