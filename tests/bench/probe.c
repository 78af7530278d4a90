/* probe: what it costs to be traced. Blocks of --block round trips over two unbuffered
 * channels, with the recorder off and on by turns in the same process; --what waits
 * measures every wait as well (which, once on, stays with the recorder). ns_per_op is
 * a round trip while it is on; that events were recorded is checked. clock_share: what
 * it costs with the recorder off to read the clock so often, and do nothing with it.
 *
 * SPDX-License-Identifier: MIT */
#include "support/blocks.h"

#include <thrum/observe.h>

static int64_t n = 3000000;
static const char* what = "ring";
static bench_blocks off, on, clocked;
static thrum_chan *there, *back;
static int64_t recorded;

/* Of a round trip: two readies, two parks, two runs; who leaves and who comes share a
 * reading of the clock. */
enum { EVENTS = 6, READINGS = 4 };

static inline uint64_t ticks(void) {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  uint64_t t;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
  return t;
#endif
}

static void echo(void* arg) {
  (void)arg;
  int64_t v;
  while (thrum_chan_recv(there, &v, THRUM_FOREVER) == 0) {
    BENCH_MUST(thrum_chan_send(back, &v, THRUM_FOREVER));
  }
}

static void block(bench_blocks* into, int readings) {
  bench_span span;
  int64_t v = 1;
  volatile uint64_t read = 0;
  bench_start(&span);
  for (int i = 0; i < BENCH_BLOCK; i++) {
    for (int k = 0; k < readings; k++) {
      read = ticks();
    }
    BENCH_MUST(thrum_chan_send(there, &v, THRUM_FOREVER));
    BENCH_MUST(thrum_chan_recv(back, &v, THRUM_FOREVER));
  }
  bench_stop(&span);
  (void)read;
  bench_blocks_add(into, &span);
}

static int add_up(void* arg, const char* bytes, size_t size) {
  (void)arg, (void)bytes, (void)size;
  return 0;
}

static void first(void* arg) {
  (void)arg;
  BENCH_MUST(thrum_chan_new(sizeof(int64_t), 0, &there));
  BENCH_MUST(thrum_chan_new(sizeof(int64_t), 0, &back));
  thrum_g g;
  BENCH_MUST(thrum_spawn(NULL, NULL, echo, NULL, &g));
  int waits = strcmp(what, "waits") == 0;
  for (int64_t k = bench_blocks_of(n); k > 0; k--) {
    block(&off, 0);
    block(&clocked, READINGS);
    BENCH_MUST(waits ? thrum_waits_start(NULL, 0) : thrum_trace_start(NULL, 0));
    block(&on, 0);
    BENCH_MUST(thrum_trace_stop(NULL));
  }
  recorded = thrum_trace_write(NULL, THRUM_FOREVER, add_up, NULL);
  BENCH_MUST((int)recorded);
  BENCH_MUST(thrum_chan_close(there));
  BENCH_MUST(thrum_join(NULL, g, THRUM_FOREVER));
}

/* CPU time: other programs disturb it less, and one P does nothing else. */
static double per_op(const bench_span* span) {
  return (double)span->cpu_ns / BENCH_BLOCK;
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_NUMBER("n", "round trips, of which half are traced", &n, 1),
      BENCH_FLAG_WORD("what", "what is on", &what, "ring|waits"),
  };
  bench_flags(argc, argv, flags, BENCH_COUNT(flags));
  off = bench_blocks_new(bench_blocks_of(n));
  on = bench_blocks_new(bench_blocks_of(n));
  clocked = bench_blocks_new(bench_blocks_of(n));
  bench_run(1, first, NULL);
  if (recorded < 60000) {
    bench_wrong("events in the ring", recorded, 65536);
  }
  bench_span without = bench_blocks_median(&off);
  bench_span with = bench_blocks_median(&on);
  bench_span read = bench_blocks_median(&clocked);
  bench_json_begin("probe", 1, n, BENCH_BLOCK, &with);
  bench_json_text("what", what);
  bench_json_number("off_ns", per_op(&without));
  bench_json_number("event_ns", (per_op(&with) - per_op(&without)) / EVENTS);
  bench_json_number("share", per_op(&with) / per_op(&without) - 1);
  bench_json_number("clock_share", per_op(&read) / per_op(&without) - 1);
  bench_json_end();
  return 0;
}
