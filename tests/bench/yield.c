/* yield: gs Gs each yield n/gs times; one op is one yield of any of them.
 * --verify 1 also counts the yields after which the same G went on: with one P
 * there must be next to none, or the figure would not be that of a switch.
 *
 * SPDX-License-Identifier: MIT */
#include "support/bench.h"

static int64_t procs = 1, n = 10000000, gs = 2, verify = 0;

static thrum_wg ended = THRUM_WG_INIT;
static bench_span span;
static int64_t last = -1, repeats;

static void yielder(void* arg) {
  (void)arg;
  for (int64_t left = n / gs; left > 0; left--) {
    BENCH_MUST(thrum_yield());
  }
  BENCH_MUST(thrum_wg_done(&ended));
}

/* Only with one P: last and repeats are shared without a lock. */
static void verifier(void* arg) {
  int64_t me = (intptr_t)arg;
  for (int64_t left = n / gs; left > 0; left--) {
    repeats += last == me;
    last = me;
    BENCH_MUST(thrum_yield());
  }
  BENCH_MUST(thrum_wg_done(&ended));
}

static void first(void* arg) {
  (void)arg;
  BENCH_MUST(thrum_wg_add(&ended, (int32_t)gs));
  bench_start(&span);
  for (int64_t i = 0; i < gs; i++) {
    bench_spawn(verify ? verifier : yielder, (void*)(intptr_t)i);
  }
  BENCH_MUST(thrum_wg_wait(&ended, THRUM_FOREVER));
  bench_stop(&span);
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_PROCS(&procs),
      BENCH_FLAG_NUMBER("n", "yields of all Gs together", &n, 1),
      BENCH_FLAG_GS("gs", "Gs that yield", &gs),
      {"verify", "count repeats (one P only)", &verify, 0, 1, NULL, NULL},
  };
  bench_flags(argc, argv, flags, BENCH_COUNT(flags));
  if (verify && procs != 1) {
    fprintf(stderr, "--verify 1 needs --procs 1\n");
    return 2;
  }
  bench_run(procs, first, NULL);
  if (verify && gs > 1 && repeats > n / 100) {
    bench_wrong("yields that did not switch", repeats, 0);
  }
  bench_json_begin("yield", procs, n, n / gs * gs, &span);
  bench_json_int("gs", gs);
  if (verify) {
    bench_json_int("repeats", repeats);
  }
  bench_json_end();
  return 0;
}
