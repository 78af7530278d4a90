/* locked: ping-pong over two unbuffered channels between a G that is locked to
 * its thread and one that is free, or (--locked 2) two that are locked. One op is
 * a round trip. Where a locked G has to go on, its thread has to be woken: what
 * this measures is the hand-over between threads.
 *
 * SPDX-License-Identifier: MIT */
#include "support/bench.h"

static int64_t procs = 1, n = 50000, locked = 1;

static thrum_wg ended = THRUM_WG_INIT;
static thrum_chan *there, *back;
static bench_span span;
static int64_t returned;

static void server(void* arg) {
  (void)arg;
  BENCH_MUST(thrum_lock_thread());
  for (int64_t i = 0; i < n; i++) {
    int64_t value;
    BENCH_MUST(thrum_chan_send(there, &i, THRUM_FOREVER));
    BENCH_MUST(thrum_chan_recv(back, &value, THRUM_FOREVER));
    returned += value;
  }
  BENCH_MUST(thrum_unlock_thread());
  BENCH_MUST(thrum_wg_done(&ended));
}

static void returner(void* arg) {
  (void)arg;
  if (locked == 2) {
    BENCH_MUST(thrum_lock_thread());
  }
  for (int64_t i = 0; i < n; i++) {
    int64_t value;
    BENCH_MUST(thrum_chan_recv(there, &value, THRUM_FOREVER));
    BENCH_MUST(thrum_chan_send(back, &value, THRUM_FOREVER));
  }
  if (locked == 2) {
    BENCH_MUST(thrum_unlock_thread());
  }
  BENCH_MUST(thrum_wg_done(&ended));
}

static void first(void* arg) {
  (void)arg;
  BENCH_MUST(thrum_chan_new(sizeof(int64_t), 0, &there));
  BENCH_MUST(thrum_chan_new(sizeof(int64_t), 0, &back));
  BENCH_MUST(thrum_wg_add(&ended, 2));
  bench_start(&span);
  bench_spawn(returner, NULL);
  bench_spawn(server, NULL);
  BENCH_MUST(thrum_wg_wait(&ended, THRUM_FOREVER));
  bench_stop(&span);
  thrum_chan_release(there);
  thrum_chan_release(back);
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_PROCS(&procs),
      BENCH_FLAG_NUMBER("n", "round trips", &n, 1),
      {"locked", "how many of the two are locked", &locked, 1, 2, NULL, NULL},
  };
  bench_flags(argc, argv, flags, BENCH_COUNT(flags));
  bench_run(procs, first, NULL);
  bench_check("sum of what came back", returned, n * (n - 1) / 2);
  bench_json_begin("locked", procs, n, n, &span);
  bench_json_int("locked", locked);
  bench_json_end();
  return 0;
}
