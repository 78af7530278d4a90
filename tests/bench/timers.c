/* timers: n Gs each sleep rounds times for a random 1 to 100 ms. Reports CPU
 * time, elapsed time and how late the sleeps ended; one op is one sleep. The
 * lengths depend on the indices only, so the twin sleeps the same ones.
 *
 * SPDX-License-Identifier: MIT */
#include "support/bench.h"

static int64_t procs = 1, n = 100000, rounds = 10;

static thrum_wg ended = THRUM_WG_INIT;
static bench_span span;
static int64_t* late;

static void sleeper(void* arg) {
  int64_t index = (intptr_t)arg * rounds;
  for (int64_t i = index; i < index + rounds; i++) {
    int64_t length = 1000000 + (int64_t)(bench_random((uint64_t)i) % 99000001);
    int64_t begin = bench_now();
    BENCH_MUST(thrum_sleep(length));
    late[i] = bench_now() - begin - length;
  }
  BENCH_MUST(thrum_wg_done(&ended));
}

static void first(void* arg) {
  (void)arg;
  BENCH_MUST(thrum_wg_add(&ended, (int32_t)n));
  bench_start(&span);
  for (int64_t i = 0; i < n; i++) {
    bench_spawn(sleeper, (void*)(intptr_t)i);
  }
  BENCH_MUST(thrum_wg_wait(&ended, THRUM_FOREVER));
  bench_stop(&span);
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_PROCS(&procs),
      BENCH_FLAG_GS("n", "Gs that sleep", &n),
      {"rounds", "sleeps of each", &rounds, 1, 100000, NULL, NULL},
  };
  bench_flags(argc, argv, flags, BENCH_COUNT(flags));
  late = bench_alloc(n * rounds, sizeof *late);
  /* Touched before the clock runs: its page faults are not thrum's. */
  memset(late, 0xff, (size_t)(n * rounds) * sizeof *late);
  bench_run(procs, first, NULL);
  bench_json_begin("timers", procs, n, n * rounds, &span);
  bench_json_int("rounds", rounds);
  bench_json_lateness(late, n * rounds);
  bench_json_end();
  free(late);
  return 0;
}
