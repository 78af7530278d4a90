/* hog: one P, and a G that computes for ever in plain C (until it is told); how
 * long do its neighbours wait?
 *
 * n hogs, one after the other. `first`: neighbours that were ready when the hog
 * began, until their first line. `late`: from then on they sleep 1 ms at a time
 * beside the hog, and this is how late each sleep ended: once thrum has taken the
 * P, the hog runs on without one and is in nobody's way, where Go gives it a slice
 * again and again. A runtime lives for four hogs, of which the last may be known
 * by its place in the code and is reported apart (`known`).
 *
 * The twin is tests/bench/peers/go/hog.go.
 * SPDX-License-Identifier: MIT */
#include "support/lab.h"

enum { PER_RUNTIME = 4, KNOWN = 3, NAP_NS = 1000000 };

static int64_t procs = 1, n = 60, neighbours = 4, length_ms = 100;
static int64_t slice_us = 10000;

static thrum_sem gate = THRUM_SEM_INIT, waiting = THRUM_SEM_INIT;
static thrum_sem gone = THRUM_SEM_INIT;
static int64_t began, told; /* atomic */

/* Times of all neighbours; a slot is taken by lab_add. */
typedef struct series {
  int64_t *ns, count, most;
} series;
static series first_waits, known_waits, lates;

static void push(series* s, int64_t ns) {
  int64_t at = lab_add(&s->count, 1);
  if (at < s->most) {
    s->ns[at] = ns;
  }
}

static void hog(void* arg) {
  (void)arg;
  BENCH_MUST(thrum_sem_release(&gate, (uint32_t)neighbours));
  lab_store(&began, bench_now());
  while (lab_load(&told) == 0) {}
  BENCH_MUST(thrum_sem_release(&gone, 1));
}

static void neighbour(void* arg) {
  BENCH_MUST(thrum_sem_release(&waiting, 1));
  BENCH_MUST(thrum_sem_acquire(&gate, THRUM_FOREVER));
  push(arg, bench_now() - lab_load(&began));
  while (lab_load(&told) == 0) {
    int64_t begin = bench_now();
    BENCH_MUST(thrum_sleep(NAP_NS));
    push(&lates, bench_now() - begin - NAP_NS);
  }
  BENCH_MUST(thrum_sem_release(&gone, 1));
}

static void await(thrum_sem* sem, int64_t count) {
  for (; count > 0; count--) {
    BENCH_MUST(thrum_sem_acquire(sem, THRUM_FOREVER));
  }
}

static void one_hog(thrum_rt* rt, series* waits) {
  lab_store(&told, 0);
  for (int64_t i = 0; i < neighbours; i++) {
    lab_spawn(rt, neighbour, waits);
  }
  await(&waiting, neighbours);
  lab_spawn(rt, hog, NULL);
  lab_nap(length_ms * 1000000);
  lab_store(&told, 1);
  await(&gone, neighbours + 1);
}

/* So that the runtime has its threads before the first hog. */
static void warm_up(void* arg) {
  (void)arg;
  BENCH_MUST(thrum_sem_acquire(&gate, THRUM_FOREVER));
  BENCH_MUST(thrum_sem_release(&gone, 1));
}
static void block_once(void* arg) {
  (void)arg;
  BENCH_MUST(thrum_sem_release(&gate, 1));
  BENCH_MUST(thrum_enter_blocking());
  lab_nap(5000000);
  BENCH_MUST(thrum_exit_blocking());
  BENCH_MUST(thrum_sem_release(&gone, 1));
}

static void make(series* s, int64_t most) {
  s->most = most;
  s->ns = bench_alloc(most, sizeof *s->ns);
}

static void report(const char* key, const char* words, series* s) {
  int64_t count = s->count < s->most ? s->count : s->most;
  lab_spread(key, words, s->ns, count);
  lab_histogram(key, s->ns, count);
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_PROCS(&procs),
      BENCH_FLAG_GS("n", "hogs, one after the other", &n),
      BENCH_FLAG_GS("neighbours", "Gs beside each", &neighbours),
      {"length-ms", "how long one spins", &length_ms, 1, 60000, NULL, NULL},
      {"slice-us", "the slice", &slice_us, 100, 1000000, NULL, NULL},
  };
  lab_flags(argc, argv, flags, BENCH_COUNT(flags));
  make(&first_waits, n * neighbours);
  make(&known_waits, n * neighbours);
  make(&lates, n * neighbours * (length_ms + 1));
  for (int64_t i = 0; i < n;) {
    thrum_rt* rt = lab_rt(procs, slice_us, 0);
    lab_spawn(rt, warm_up, NULL);
    lab_spawn(rt, block_once, NULL);
    await(&gone, 2);
    for (int64_t k = 0; k < PER_RUNTIME && i < n; k++, i++) {
      one_hog(rt, k < KNOWN ? &first_waits : &known_waits);
    }
    lab_stop(rt);
  }
  lab_begin("hog",
            "one G spins in plain C beside Gs that were ready when it began "
            "(first; known: from the fourth hog of a place on) and then sleep "
            "1 ms at a time (late: how late the sleeps ended)");
  lab_int("procs", "procs", procs);
  lab_int("n", "hogs", n);
  lab_int("neighbours", "neighbours", neighbours);
  lab_int("length_ms", "one hog spins, ms", length_ms);
  lab_int("slice_us", "slice, us", slice_us);
  report("first", "wait when a hog begins", &first_waits);
  report("known", "the same, place known", &known_waits);
  report("late", "sleeps of 1 ms beside it, late", &lates);
  lab_end();
  return 0;
}
