/* blocked: one P, and a G that blocks its thread in read(2) on a pipe; how long
 * does the other G wait that was ready at that moment?
 *
 * Each runtime lives for a few such calls from one place in the code, because
 * thrum learns which places block: the first calls of each runtime are reported
 * apart from those where it knows. A call from elsewhere goes before, so that
 * the runtime has its threads. The pipe is written by a plain thread when the
 * read has lasted block-ms, whatever became of the other G.
 *
 * Between two rounds the runtime is idle for a random time of up to gap-ms, so that
 * sysmon is met in any mood: at its tick, idle for a while, or asleep.
 *
 * The baseline (support/ping.h) is taken right before each round and again while
 * the read still lasts; a round is calm if the p99 of its pings is below 100 us.
 *
 * SPDX-License-Identifier: MIT */
#include "support/lab.h"
#include "support/ping.h"

enum { CALM_NS = 100000 };

static int64_t slice_us = 10000, block_ms = 200, runtimes = 34, calls = 4;
static int64_t pings = 50, gap_ms = 60;
static const char* mode = "undeclared";

static thrum_sem go_blocker = THRUM_SEM_INIT, go_other = THRUM_SEM_INIT;
static thrum_sem done = THRUM_SEM_INIT;
static int ends[2];
static int64_t entered, resumed; /* atomic: when, ns; 0: not yet */

static lab_ping pinger;
static int64_t* base; /* all pings */
static int64_t bases;
static uint64_t draws;

/* Some waits; those of calm rounds a second time. */
typedef struct group {
  const char *key, *words;
  int64_t *all, *calm;
  int64_t count, calms;
} group;

/* Where the wait of a runtime's nth call belongs. */
enum { FIRST, SECOND, LATER, GROUPS };
static group groups[GROUPS];
static int64_t late; /* rounds in which the other waited for the read's end */

/* ---- the two Gs ------------------------------------------------------------ */

static void read_byte(void) {
  char byte;
  if (read(ends[0], &byte, 1) != 1) {
    perror("read");
    exit(1);
  }
}

/* From here, not from where it is measured. */
static void warm_up(void) {
  BENCH_MUST(thrum_sem_release(&go_other, 1));
  BENCH_MUST(thrum_enter_blocking());
  lab_nap(5000000);
  BENCH_MUST(thrum_exit_blocking());
  BENCH_MUST(thrum_sem_release(&done, 1));
}

static void blocker(void* arg) {
  (void)arg;
  int declared = strcmp(mode, "declared") == 0;
  warm_up();
  for (int64_t i = 0; i < calls; i++) {
    BENCH_MUST(thrum_sem_acquire(&go_blocker, THRUM_FOREVER));
    BENCH_MUST(thrum_sem_release(&go_other, 1));
    lab_store(&entered, bench_now());
    if (declared) {
      BENCH_MUST(thrum_enter_blocking());
    }
    read_byte();
    if (declared) {
      BENCH_MUST(thrum_exit_blocking());
    }
    BENCH_MUST(thrum_sem_release(&done, 1));
  }
}

static void other(void* arg) {
  (void)arg;
  for (int64_t i = 0; i < 1 + calls; i++) {
    BENCH_MUST(thrum_sem_acquire(&go_other, THRUM_FOREVER));
    lab_store(&resumed, bench_now());
    BENCH_MUST(thrum_sem_release(&done, 1));
  }
}

/* ---- rounds ----------------------------------------------------------------- */

static void await_both(void) {
  BENCH_MUST(thrum_sem_acquire(&done, THRUM_FOREVER));
  BENCH_MUST(thrum_sem_acquire(&done, THRUM_FOREVER));
}

static void note(group* g, int64_t wait, int calm) {
  g->all[g->count++] = wait;
  if (calm) {
    g->calm[g->calms++] = wait;
  }
}

static int is_calm(int64_t* round, int64_t count) {
  if (count == 0) {
    return 0;
  }
  bench_sort(round, count);
  return bench_percentile(round, count, 0.99) < CALM_NS;
}

static void one_round(group* g) {
  int64_t* round = base + bases;
  int64_t count = lab_ping_now(&pinger, round, pings), from;
  lab_nap((int64_t)(bench_random(draws++) % (uint64_t)(gap_ms * 1000000)));
  lab_store(&entered, 0);
  lab_store(&resumed, 0);
  BENCH_MUST(thrum_sem_release(&go_blocker, 1));
  lab_nap(block_ms * 1000000 / 2);
  if (lab_load(&resumed) != 0) {
    count += lab_ping_now(&pinger, round + count, pings);
  }
  while ((from = lab_load(&entered)) == 0) {
    lab_nap(1000000);
  }
  lab_nap_until(from + block_ms * 1000000);
  late += lab_load(&resumed) == 0;
  if (write(ends[1], "", 1) != 1) {
    perror("write");
    exit(1);
  }
  await_both();
  bases += count;
  note(g, lab_load(&resumed) - from, is_calm(round, count));
}

/* Undeclared, the first three calls are alike: from the fourth on the place is
 * known. Declared, the first call is, and the third is promised to be quick. */
static int group_of(int64_t call) {
  if (strcmp(mode, "declared") == 0) {
    return call == 0 ? FIRST : (call == 1 ? SECOND : LATER);
  }
  return call < 3 ? FIRST : LATER;
}

static void one_runtime(void) {
  thrum_rt* rt = lab_rt(1, slice_us, 0);
  lab_spawn(rt, other, NULL);
  lab_spawn(rt, blocker, NULL);
  await_both();
  for (int64_t i = 0; i < calls; i++) {
    one_round(&groups[group_of(i)]);
  }
  lab_stop(rt);
}

/* ---- the report -------------------------------------------------------------- */

static void make_groups(void) {
  int declared = strcmp(mode, "declared") == 0;
  groups[FIRST].key = "first";
  groups[FIRST].words =
      declared ? "wait, first call" : "wait, calls 1 to 3 of a place";
  groups[SECOND].key = "second";
  groups[SECOND].words = "wait, second call";
  groups[LATER].key = "later";
  groups[LATER].words =
      declared ? "wait, third call and later" : "wait, call 4 and later";
  for (int i = 0; i < GROUPS; i++) {
    groups[i].all = bench_alloc(runtimes * calls, sizeof(int64_t));
    groups[i].calm = bench_alloc(runtimes * calls, sizeof(int64_t));
  }
  base = bench_alloc(runtimes * calls * pings * 2 + 1, sizeof *base);
}

static void report_group(group* g) {
  char key[32];
  if (g->count == 0) {
    return;
  }
  lab_spread(g->key, g->words, g->all, g->count);
  snprintf(key, sizeof key, "%s_calm", g->key);
  lab_spread(key, "  in calm rounds", g->calm, g->calms);
  lab_histogram(g->key, g->all, g->count);
}

static void report(void) {
  lab_begin("blocked",
            "procs=1; one G in read(2) on a pipe that a plain thread writes, "
            "another runnable; wait = from before the read to the other's "
            "first line; baseline = one-way futex wake between pinned threads, "
            "before and during each read");
  lab_text("mode", "calls are", mode);
  lab_int("procs", "procs", 1);
  lab_int("slice_us", "slice, us", slice_us);
  lab_int("block_ms", "the read lasts, ms", block_ms);
  lab_int("gap_ms", "pauses before it, up to, ms", gap_ms);
  lab_int("runtimes", "runtimes", runtimes);
  lab_int("calls", "calls in each", calls);
  for (int i = 0; i < GROUPS; i++) {
    report_group(&groups[i]);
  }
  lab_int("late", "rounds in which only the read's end helped", late);
  lab_spread("base", "baseline, futex wake", base, bases);
  lab_end();
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_WORD("mode", "is thrum told", &mode, "undeclared|declared"),
      {"slice-us", "the slice", &slice_us, 100, 1000000, NULL, NULL},
      {"block-ms", "how long the read lasts", &block_ms, 1, 10000, NULL, NULL},
      BENCH_FLAG_GS("runtimes", "runtimes, one after the other", &runtimes),
      BENCH_FLAG_GS("calls", "calls in each", &calls),
      BENCH_FLAG_NUMBER("pings", "of the baseline, per round, twice", &pings,
                        0),
      {"gap-ms", "longest pause between rounds", &gap_ms, 1, 10000, NULL, NULL},
  };
  lab_flags(argc, argv, flags, BENCH_COUNT(flags));
  if (pipe(ends) != 0) {
    perror("pipe");
    return 1;
  }
  make_groups();
  lab_ping_start(&pinger);
  for (int64_t i = 0; i < runtimes; i++) {
    one_runtime();
  }
  lab_ping_stop(&pinger);
  report();
  return 0;
}
