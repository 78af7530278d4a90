/* fib: fib(n) without cutoff: spawn n-1, compute n-2 inline, wait for the
 * spawned G. One op is the whole of fib(n). --join says how to wait: thrum's
 * own join, a wait group, or a channel of capacity 1 made for each pair.
 *
 * SPDX-License-Identifier: MIT */
#include "support/bench.h"

static int64_t procs = 1, n = 27;
static const char* join = "join";
static bench_span span;

/* What parent and child share lies on the parent's stack: it does not leave
 * before it has seen that the child is done with it. */
typedef struct pair {
  int64_t n, result;
  thrum_wg wg;
  thrum_chan* chan;
} pair;

static int64_t fib_join(int64_t k);
static int64_t fib_wg(int64_t k);
static int64_t fib_chan(int64_t k);

static void joined(void* arg) {
  pair* p = arg;
  p->result = fib_join(p->n);
}

static int64_t fib_join(int64_t k) {
  if (k < 2) {
    return k;
  }
  pair p;
  p.n = k - 1;
  thrum_g g;
  BENCH_MUST(thrum_spawn(NULL, NULL, joined, &p, &g));
  int64_t mine = fib_join(k - 2);
  BENCH_MUST(thrum_join(NULL, g, THRUM_FOREVER));
  return p.result + mine;
}

static void counted(void* arg) {
  pair* p = arg;
  p->result = fib_wg(p->n);
  BENCH_MUST(thrum_wg_done(&p->wg));
}

static int64_t fib_wg(int64_t k) {
  if (k < 2) {
    return k;
  }
  pair p;
  p.n = k - 1;
  memset(&p.wg, 0, sizeof p.wg);
  BENCH_MUST(thrum_wg_add(&p.wg, 1));
  bench_spawn(counted, &p);
  int64_t mine = fib_wg(k - 2);
  BENCH_MUST(thrum_wg_wait(&p.wg, THRUM_FOREVER));
  return p.result + mine;
}

static void sent(void* arg) {
  const pair* p = arg;
  thrum_chan* chan = p->chan;
  int64_t result = fib_chan(p->n);
  BENCH_MUST(thrum_chan_send(chan, &result, THRUM_FOREVER));
}

static int64_t fib_chan(int64_t k) {
  if (k < 2) {
    return k;
  }
  pair p;
  p.n = k - 1;
  BENCH_MUST(thrum_chan_new(sizeof(int64_t), 1, &p.chan));
  bench_spawn(sent, &p);
  int64_t mine = fib_chan(k - 2), theirs;
  BENCH_MUST(thrum_chan_recv(p.chan, &theirs, THRUM_FOREVER));
  thrum_chan_release(p.chan);
  return theirs + mine;
}

static void first(void* arg) {
  int64_t* result = arg;
  bench_start(&span);
  *result = strcmp(join, "join") == 0 ? fib_join(n)
            : strcmp(join, "wg") == 0 ? fib_wg(n)
                                      : fib_chan(n);
  bench_stop(&span);
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_PROCS(&procs),
      {"n", "which Fibonacci number", &n, 0, 40, NULL, NULL},
      BENCH_FLAG_WORD("join", "how to wait", &join, "join|wg|chan"),
  };
  bench_flags(argc, argv, flags, BENCH_COUNT(flags));
  int64_t want = 0, next = 1;
  for (int64_t i = 0; i < n; i++) {
    int64_t sum = want + next;
    want = next;
    next = sum;
  }
  int64_t result = -1;
  bench_run(procs, first, &result);
  bench_check("fib", result, want);
  int64_t spawns = next - 1;
  bench_json_begin("fib", procs, n, 1, &span);
  bench_json_text("join", join);
  bench_json_int("spawns", spawns);
  if (spawns > 0) {
    bench_json_number("ns_per_spawn", (double)span.wall_ns / (double)spawns);
  }
  bench_json_number("elapsed_ms", (double)span.wall_ns / 1e6);
  bench_json_end();
  return 0;
}
