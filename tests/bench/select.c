/* select: --mode fanin: four Gs send n numbers, each on a channel of its own
 * (--cap), and one G receives them all in one select loop; one op is a number.
 * --mode ready: one G selects among two arms of which exactly one is ready,
 * by turns a send and a receive on a channel of capacity 1; one op is a select.
 *
 * SPDX-License-Identifier: MIT */
#include "support/bench.h"

enum { SOURCES = 4 };

static int64_t procs = 1, n = 2000000, cap = 0;
static const char* mode = "fanin";

static bench_span span;
static thrum_chan* sources[SOURCES];
static int64_t sum;

static void source(void* arg) {
  thrum_chan* chan = arg;
  for (int64_t i = 0; i < n / SOURCES; i++) {
    BENCH_MUST(thrum_chan_send(chan, &i, THRUM_FOREVER));
  }
}

static void fan_in(void* arg) {
  (void)arg;
  thrum_case arms[SOURCES];
  int64_t value[SOURCES];
  memset(arms, 0, sizeof arms);
  for (int i = 0; i < SOURCES; i++) {
    BENCH_MUST(thrum_chan_new(sizeof(int64_t), (uint32_t)cap, &sources[i]));
    arms[i].chan = sources[i];
    arms[i].elem = &value[i];
    arms[i].op = THRUM_RECV;
  }
  bench_start(&span);
  for (int i = 0; i < SOURCES; i++) {
    bench_spawn(source, sources[i]);
  }
  for (int64_t left = n / SOURCES * SOURCES; left > 0; left--) {
    int chosen = thrum_select(arms, SOURCES, THRUM_FOREVER);
    BENCH_MUST(chosen);
    BENCH_MUST(arms[chosen].result);
    sum += value[chosen];
  }
  bench_stop(&span);
  for (int i = 0; i < SOURCES; i++) {
    thrum_chan_release(sources[i]);
  }
}

static void one_ready(void* arg) {
  (void)arg;
  thrum_chan *live, *silent;
  BENCH_MUST(thrum_chan_new(sizeof(int64_t), 1, &live));
  BENCH_MUST(thrum_chan_new(sizeof(int64_t), 1, &silent));
  int64_t out, in, never = -1;
  thrum_case send[2] = {{live, &out, THRUM_SEND, 0},
                        {silent, &never, THRUM_RECV, 0}};
  thrum_case recv[2] = {{live, &in, THRUM_RECV, 0},
                        {silent, &never, THRUM_RECV, 0}};
  bench_start(&span);
  for (int64_t i = 0; i < n / 2; i++) {
    out = i;
    bench_check("arm of the send", thrum_select(send, 2, THRUM_FOREVER), 0);
    bench_check("arm of the receive", thrum_select(recv, 2, THRUM_FOREVER), 0);
    sum += in;
  }
  bench_stop(&span);
  thrum_chan_release(live);
  thrum_chan_release(silent);
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_PROCS(&procs),
      BENCH_FLAG_NUMBER("n", "numbers, or selects", &n, SOURCES),
      BENCH_FLAG_NUMBER("cap", "capacity of each of the four", &cap, 0),
      BENCH_FLAG_WORD("mode", "what to measure", &mode, "fanin|ready"),
  };
  bench_flags(argc, argv, flags, BENCH_COUNT(flags));
  int fanin = strcmp(mode, "fanin") == 0;
  int64_t parts = fanin ? SOURCES : 2, each = n / parts;
  bench_run(procs, fanin ? fan_in : one_ready, NULL);
  bench_check("sum of what was received", sum,
              (fanin ? SOURCES : 1) * (each * (each - 1) / 2));
  bench_json_begin("select", procs, n, each * parts, &span);
  bench_json_text("mode", mode);
  bench_json_int("cap", cap);
  bench_json_end();
  return 0;
}
