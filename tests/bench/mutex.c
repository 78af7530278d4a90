/* mutex: gs Gs each lock, count and unlock n/gs times on one mutex; one op is
 * a lock with its unlock. With one G it is the uncontended price.
 *
 * SPDX-License-Identifier: MIT */
#include "support/bench.h"

static int64_t procs = 1, n = 20000000, gs = 1;

static thrum_wg ended = THRUM_WG_INIT;
static thrum_mutex lock = THRUM_MUTEX_INIT;
static bench_span span;
static int64_t counter;

static void locker(void* arg) {
  (void)arg;
  for (int64_t left = n / gs; left > 0; left--) {
    BENCH_MUST(thrum_mutex_lock(&lock, THRUM_FOREVER));
    counter++;
    BENCH_MUST(thrum_mutex_unlock(&lock));
  }
  BENCH_MUST(thrum_wg_done(&ended));
}

static void first(void* arg) {
  (void)arg;
  BENCH_MUST(thrum_wg_add(&ended, (int32_t)gs));
  bench_start(&span);
  for (int64_t i = 0; i < gs; i++) {
    bench_spawn(locker, NULL);
  }
  BENCH_MUST(thrum_wg_wait(&ended, THRUM_FOREVER));
  bench_stop(&span);
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_PROCS(&procs),
      BENCH_FLAG_NUMBER("n", "locks of all Gs together", &n, 1),
      BENCH_FLAG_GS("gs", "Gs that lock", &gs),
  };
  bench_flags(argc, argv, flags, BENCH_COUNT(flags));
  bench_run(procs, first, NULL);
  bench_check("count under the lock", counter, n / gs * gs);
  bench_json_begin("mutex", procs, n, n / gs * gs, &span);
  bench_json_int("gs", gs);
  bench_json_end();
  return 0;
}
