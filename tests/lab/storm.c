/* storm: many Gs that each block their thread for 10 ms without a word, more of
 * them than the runtime may have threads, beside Gs that behave. Do all end, how
 * many threads are there, how many stay, and how long are the gaps in which a
 * well-behaved G did not come to run?
 *
 * A well-behaved G yields and sleeps 1 ms, for ever; its gap is from one sleep's
 * end to the next, so the 1 ms is in it. --batch 0 starts all at once.
 *
 * SPDX-License-Identifier: MIT */
#include "support/lab.h"
#include "support/proc.h"

enum { NAP_NS = 1000000 };

static int64_t procs = 2, slice_us = 1000, max_threads = 64;
static int64_t n = 1000, batch = 128, block_ms = 10, behaved = 100;
static int64_t after_ms = 5000;

static thrum_wg blocked = THRUM_WG_INIT, running = THRUM_WG_INIT;
static thrum_wg begun = THRUM_WG_INIT;
static int64_t over; /* atomic: the storm is */
static int64_t *stalls, *gaps;
static int64_t interrupted, cut_short, ended; /* atomic counts */

/* ---- the Gs --------------------------------------------------------------------- */

/* Not static: the report names the places from which threads left thrum. */
void storm_blocker(void* arg);
void storm_blocker(void* arg) {
  struct timespec t = {block_ms / 1000, block_ms % 1000 * 1000000};
  int64_t begin = bench_now();
  int result = nanosleep(&t, NULL);
  int64_t took = bench_now() - begin;
  if (result != 0) {
    lab_add(&interrupted, 1);
  } else if (took < block_ms * 1000000) {
    lab_add(&cut_short, 1);
  }
  stalls[(intptr_t)arg] = took;
  lab_add(&ended, 1);
  BENCH_MUST(thrum_wg_done(&blocked));
}

static void well_behaved(void* arg) {
  int64_t* gap = arg;
  int64_t last = bench_now();
  BENCH_MUST(thrum_wg_done(&begun));
  while (lab_load(&over) == 0) {
    BENCH_MUST(thrum_yield());
    BENCH_MUST(thrum_sleep(NAP_NS));
    int64_t now = bench_now();
    if (now - last > *gap) {
      *gap = now - last;
    }
    last = now;
  }
  BENCH_MUST(thrum_wg_done(&running));
}

/* ---- how many threads there are -------------------------------------------------- */

static int64_t most_threads, stop_counting;

static void* counter(void* arg) {
  (void)arg;
  while (lab_load(&stop_counting) == 0) {
    int64_t now = lab_threads();
    if (now > lab_load(&most_threads)) {
      lab_store(&most_threads, now);
    }
    lab_nap(2000000);
  }
  return NULL;
}

/* ---- the storm --------------------------------------------------------------------- */

/* Far more than it can take: 10,000 at once, two at a time, are 50 s. */
static int64_t patience(void) { return thrum_after(INT64_C(100000000000)); }

static void storm(thrum_rt* rt) {
  for (int64_t i = 0; i < n;) {
    int64_t now = batch == 0 || batch > n - i ? n - i : batch;
    BENCH_MUST(thrum_wg_add(&blocked, (int32_t)now));
    for (int64_t k = 0; k < now; k++, i++) {
      lab_spawn(rt, storm_blocker, (void*)(intptr_t)i);
    }
    BENCH_MUST(thrum_wg_wait(&blocked, patience()));
  }
}

static void start_behaved(thrum_rt* rt) {
  BENCH_MUST(thrum_wg_add(&begun, (int32_t)behaved));
  BENCH_MUST(thrum_wg_add(&running, (int32_t)behaved));
  for (int64_t i = 0; i < behaved; i++) {
    lab_spawn(rt, well_behaved, &gaps[i]);
  }
  BENCH_MUST(thrum_wg_wait(&begun, patience()));
}

/* What the bound of the gap counts with: all but two threads are blocked. */
static double promised_gap_ms(void) {
  int64_t together = batch == 0 ? n : batch;
  return (double)(together * block_ms) / (double)(max_threads - 2) + 50;
}

static void report(int64_t before, int64_t peak, int64_t after, int64_t ns) {
  lab_begin("storm",
            "Gs in undeclared nanosleep(2) beside well-behaved ones (yield, "
            "sleep 1 ms); threads counted in /proc/self/task every 2 ms");
  lab_int("procs", "procs", procs);
  lab_int("max_threads", "max_threads", max_threads);
  lab_int("slice_us", "slice, us", slice_us);
  lab_int("n", "Gs that block", n);
  lab_int("batch", "started together (0: all)", batch);
  lab_int("block_ms", "each blocks, ms", block_ms);
  lab_int("behaved", "well-behaved Gs", behaved);
  lab_int("ended", "ended", ended);
  lab_int("interrupted", "interrupted (EINTR)", interrupted);
  lab_int("cut_short", "sleeps that were too short", cut_short);
  lab_number("took_ms", "the storm took", "ms", (double)ns / 1e6);
  lab_int("threads_own", "threads of the program itself", before);
  lab_int("threads_peak", "most threads at once", peak);
  lab_int("threads_after", "threads some time after", after);
  lab_number("gap_bound_ms", "largest gap, promised", "ms", promised_gap_ms());
  lab_spread("gap", "largest gap of each well-behaved G", gaps, behaved);
  lab_number("gap_max_ms", "largest gap of all", "ms",
             (double)gaps[behaved - 1] / 1e6);
  lab_spread("stall", "the blocking calls took", stalls, n);
  lab_end();
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_PROCS(&procs),
      BENCH_FLAG_GS("n", "Gs that block", &n),
      BENCH_FLAG_NUMBER("batch", "started together, 0: all", &batch, 0),
      {"block-ms", "how long each blocks", &block_ms, 1, 10000, NULL, NULL},
      BENCH_FLAG_GS("behaved", "Gs that behave", &behaved),
      {"max-threads", "of the runtime", &max_threads, 4, 10000, NULL, NULL},
      {"slice-us", "the slice", &slice_us, 100, 1000000, NULL, NULL},
      BENCH_FLAG_NUMBER("after-ms", "until threads are counted again",
                        &after_ms, 0),
  };
  lab_flags(argc, argv, flags, BENCH_COUNT(flags));
  stalls = bench_alloc(n, sizeof *stalls);
  gaps = bench_alloc(behaved, sizeof *gaps);
  pthread_t counting;
  lab_thread(&counting, counter, NULL);
  int64_t own = lab_threads();

  thrum_rt* rt = lab_rt(procs, slice_us, max_threads);
  start_behaved(rt);
  int64_t begin = bench_now();
  storm(rt);
  int64_t took = bench_now() - begin, peak = lab_load(&most_threads);
  lab_store(&over, 1);
  BENCH_MUST(thrum_wg_wait(&running, patience()));
  lab_nap(after_ms * 1000000);
  int64_t after = lab_threads();
  lab_stop(rt);

  lab_store(&stop_counting, 1);
  pthread_join(counting, NULL);
  bench_check("Gs that ended", lab_load(&ended), n);
  report(own, peak, after, took);
  return 0;
}
