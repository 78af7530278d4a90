/* skynet: a tree of Gs with fan-out 10 and n leaves; every leaf sends its
 * number, every inner G the sum of its ten children, through an unbuffered
 * channel per inner G. One op is the whole tree.
 *
 * A child's arguments lie on its parent's stack: the parent stays until it has
 * received from every child, and a child reads them before it sends.
 *
 * SPDX-License-Identifier: MIT */
#include "support/bench.h"

enum { FAN_OUT = 10 };

static int64_t procs = 1, n = 1000000;
static bench_span span;

typedef struct node {
  thrum_chan* parent;
  int64_t number, leaves;
} node;

static void grow(void* arg) {
  const node self = *(const node*)arg;
  if (self.leaves == 1) {
    BENCH_MUST(thrum_chan_send(self.parent, &self.number, THRUM_FOREVER));
    return;
  }
  node children[FAN_OUT];
  thrum_chan* sums;
  BENCH_MUST(thrum_chan_new(sizeof(int64_t), 0, &sums));
  for (int i = 0; i < FAN_OUT; i++) {
    children[i].parent = sums;
    children[i].leaves = self.leaves / FAN_OUT;
    children[i].number = self.number + i * children[i].leaves;
    bench_spawn(grow, &children[i]);
  }
  int64_t sum = 0;
  for (int i = 0; i < FAN_OUT; i++) {
    int64_t value;
    BENCH_MUST(thrum_chan_recv(sums, &value, THRUM_FOREVER));
    sum += value;
  }
  thrum_chan_release(sums);
  BENCH_MUST(thrum_chan_send(self.parent, &sum, THRUM_FOREVER));
}

static void first(void* arg) {
  node root = {NULL, 0, n};
  bench_start(&span);
  BENCH_MUST(thrum_chan_new(sizeof(int64_t), 0, &root.parent));
  bench_spawn(grow, &root);
  BENCH_MUST(thrum_chan_recv(root.parent, arg, THRUM_FOREVER));
  bench_stop(&span);
  thrum_chan_release(root.parent);
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_PROCS(&procs),
      BENCH_FLAG_NUMBER("n", "leaves, a power of ten", &n, 1),
  };
  bench_flags(argc, argv, flags, BENCH_COUNT(flags));
  int64_t gs = 1;
  for (int64_t level = n; level > 1; level /= FAN_OUT) {
    if (level % FAN_OUT != 0) {
      fprintf(stderr, "--n: not a power of ten\n");
      return 2;
    }
    gs = gs * FAN_OUT + 1;
  }
  int64_t sum = 0;
  bench_run(procs, first, &sum);
  bench_check("sum of the leaves", sum, n * (n - 1) / 2);
  bench_json_begin("skynet", procs, n, 1, &span);
  bench_json_int("gs", gs);
  bench_json_number("elapsed_ms", (double)span.wall_ns / 1e6);
  bench_json_end();
  return 0;
}
