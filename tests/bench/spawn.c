/* spawn: one G spawns n Gs that only tell a wait group that they ran, and
 * waits for them; all n before the first wait, or (--batch) in batches, each
 * waited for. One op is the whole life of one G.
 *
 * SPDX-License-Identifier: MIT */
#include "support/bench.h"

static int64_t procs = 1, n = 1000000, batch = 0;

static thrum_wg ended = THRUM_WG_INIT;
static bench_span span;

static void child(void* arg) { BENCH_MUST(thrum_wg_done(arg)); }

static void first(void* arg) {
  (void)arg;
  bench_start(&span);
  for (int64_t left = n; left > 0;) {
    int64_t now = batch == 0 || batch > left ? left : batch;
    BENCH_MUST(thrum_wg_add(&ended, (int32_t)now));
    for (int64_t i = 0; i < now; i++) {
      bench_spawn(child, &ended);
    }
    BENCH_MUST(thrum_wg_wait(&ended, THRUM_FOREVER));
    left -= now;
  }
  bench_stop(&span);
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_PROCS(&procs),
      BENCH_FLAG_GS("n", "Gs", &n),
      BENCH_FLAG_NUMBER("batch", "Gs per batch, 0: all at once", &batch, 0),
  };
  bench_flags(argc, argv, flags, BENCH_COUNT(flags));
  bench_run(procs, first, NULL);
  bench_json_begin("spawn", procs, n, n, &span);
  bench_json_int("batch", batch);
  bench_json_end();
  return 0;
}
