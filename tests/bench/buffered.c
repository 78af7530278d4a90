/* buffered: producers send n numbers through one channel of cap elements to
 * consumers, which receive until it is closed; one op is one number.
 *
 * SPDX-License-Identifier: MIT */
#include "support/bench.h"

static int64_t procs = 1, n = 10000000, producers = 1, consumers = 1, cap = 128;

static thrum_wg sent = THRUM_WG_INIT, received = THRUM_WG_INIT;
static thrum_chan* items;
static bench_span span;

static void producer(void* arg) {
  (void)arg;
  for (int64_t i = 0; i < n / producers; i++) {
    BENCH_MUST(thrum_chan_send(items, &i, THRUM_FOREVER));
  }
  BENCH_MUST(thrum_wg_done(&sent));
}

static void consumer(void* arg) {
  int64_t sum = 0, value;
  int code;
  while ((code = thrum_chan_recv(items, &value, THRUM_FOREVER)) == 0) {
    sum += value;
  }
  if (code != THRUM_ECLOSED) {
    bench_die("thrum_chan_recv", code);
  }
  *(int64_t*)arg = sum;
  BENCH_MUST(thrum_wg_done(&received));
}

static void first(void* arg) {
  int64_t* sums = arg;
  BENCH_MUST(thrum_chan_new(sizeof(int64_t), (uint32_t)cap, &items));
  BENCH_MUST(thrum_wg_add(&sent, (int32_t)producers));
  BENCH_MUST(thrum_wg_add(&received, (int32_t)consumers));
  bench_start(&span);
  for (int64_t i = 0; i < consumers; i++) {
    bench_spawn(consumer, &sums[i]);
  }
  for (int64_t i = 0; i < producers; i++) {
    bench_spawn(producer, NULL);
  }
  BENCH_MUST(thrum_wg_wait(&sent, THRUM_FOREVER));
  BENCH_MUST(thrum_chan_close(items));
  BENCH_MUST(thrum_wg_wait(&received, THRUM_FOREVER));
  bench_stop(&span);
  thrum_chan_release(items);
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_PROCS(&procs),
      BENCH_FLAG_NUMBER("n", "elements of all producers together", &n, 1),
      BENCH_FLAG_GS("producers", "Gs that send", &producers),
      BENCH_FLAG_GS("consumers", "Gs that receive", &consumers),
      BENCH_FLAG_NUMBER("cap", "capacity of the channel", &cap, 0),
  };
  bench_flags(argc, argv, flags, BENCH_COUNT(flags));
  int64_t* sums = bench_alloc(consumers, sizeof *sums);
  bench_run(procs, first, sums);
  int64_t sum = 0, each = n / producers;
  for (int64_t i = 0; i < consumers; i++) {
    sum += sums[i];
  }
  free(sums);
  bench_check("sum of what was received", sum,
              producers * (each * (each - 1) / 2));
  bench_json_begin("buffered", procs, n, each * producers, &span);
  bench_json_int("producers", producers);
  bench_json_int("consumers", consumers);
  bench_json_int("cap", cap);
  bench_json_end();
  return 0;
}
