/* overrun: with preemption on, how long after the end of its slice does a G that
 * computes go on? One P, one hog at a time in declared code, others that wait.
 * `end` is counted from the end of the slice, `decision` from the moment at which
 * sysmon decided to stop the G.
 *
 * steady: two hogs take turns, so that each slice begins with a preemption, whose
 * time sysmon knows. cold: a slice begins somewhere between two looks of sysmon,
 * after Gs that have yielded. The hog itself reads the CPU's counter all the time;
 * what it read last before it was stopped is its end. `plain`: how late a thread without
 * a runtime wakes that sleeps a slice at a time beside one that computes, afterwards.
 *
 * SPDX-License-Identifier: MIT */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "support/lab.h"

#include <thrum/host.h>
#include <thrum/observe.h>

#include <pthread.h>

#define COMPUTES __attribute__((noinline, section("computes")))
extern const char __start_computes[], __stop_computes[];

static int64_t wanted = 100000, slice_us = 1000, slice_ns;
static const char *mode = "steady", *bound = "thread";

/* ---- time ---------------------------------------------------------------------- */

/* In declared code: no call. */
static inline __attribute__((always_inline)) uint64_t ticks(void) {
#if defined(__x86_64__)
  uint32_t lo, hi;
  __asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
  return (uint64_t)hi << 32 | lo;
#else
  uint64_t t;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(t));
  return t;
#endif
}
static double ns_per_tick;
static void calibrate(void) {
  int64_t t0 = bench_now();
  uint64_t c0 = ticks();
  while (bench_now() - t0 < 50000000) {}
  uint64_t c1 = ticks();
  ns_per_tick = (double)(bench_now() - t0) / (double)(c1 - c0);
}

/* ---- samples -------------------------------------------------------------------- */

static int64_t count, early; /* early: stopped before the end of the slice */
static int64_t* from_end;    /* ns */
static int64_t* from_decision;
static int stop;

static void last_delay(void* arg, const thrum_p_stats* stats) {
  *(int64_t*)arg = stats->preempt_ns;
}
/* Of a run that has been cut just now. */
static void sample(uint64_t begin, uint64_t end) {
  if (count == wanted)
    return;
  int64_t ns = 0;
  BENCH_MUST(thrum_p_each(NULL, last_delay, &ns));
  from_decision[count] = ns;
  int64_t over = (int64_t)((double)(end - begin) * ns_per_tick) - slice_ns;
  early += over < 0;
  from_end[count++] = over;
  if (count == wanted)
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
}

/* ---- steady ----------------------------------------------------------------------- */

static volatile int turn; /* whose run it is */
struct run {
  int me;
  volatile uint64_t begin, last;
};
static struct run runs[3];

/* Returns when another had a turn meanwhile, or when it is over. */
COMPUTES static void compute(struct run* r) {
  while (turn == r->me && !__atomic_load_n(&stop, __ATOMIC_RELAXED))
    r->last = ticks();
}
static void steady_hog(void* arg) {
  struct run* r = arg;
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
    int other = turn;
    r->begin = r->last = ticks();
    turn = r->me;
    if (other && other != r->me && runs[other].begin)
      sample(runs[other].begin, runs[other].last);
    compute(r);
  }
}
static void steady(void* arg) {
  thrum_g g[2];
  (void)arg;
  for (int i = 0; i < 2; i++) {
    runs[i + 1].me = i + 1;
    BENCH_MUST(thrum_spawn(NULL, NULL, steady_hog, &runs[i + 1], &g[i]));
  }
  for (int i = 0; i < 2; i++)
    BENCH_MUST(thrum_join(NULL, g[i], THRUM_FOREVER));
}

/* ---- cold --------------------------------------------------------------------------- */

static struct run cold_run;
static volatile int released, cut;
static uint64_t draws;

static void cold_hog(void* arg) {
  (void)arg;
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
    while (!released && !__atomic_load_n(&stop, __ATOMIC_RELAXED))
      BENCH_MUST(thrum_park("release", THRUM_FOREVER));
    released = 0;
    turn = cold_run.me;
    cold_run.begin = cold_run.last = ticks();
    compute(&cold_run);
  }
}
/* Yields all the time; when it comes to its turn and the hog was in the middle of
 * its run, that has been cut. */
static void chatter(void* arg) {
  (void)arg;
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
    if (turn == cold_run.me && cold_run.begin) {
      turn = 0;
      sample(cold_run.begin, cold_run.last);
      cut = 1;
    }
    uint64_t until = ticks() + (uint64_t)(5000 / ns_per_tick);
    while (ticks() < until) {}
    BENCH_MUST(thrum_yield());
  }
}
static void cold(void* arg) {
  thrum_g hog, others[2];
  (void)arg;
  cold_run.me = 1;
  BENCH_MUST(thrum_spawn(NULL, NULL, cold_hog, NULL, &hog));
  for (int i = 0; i < 2; i++)
    BENCH_MUST(thrum_spawn(NULL, NULL, chatter, NULL, &others[i]));
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
    /* Its last run is over, and some time has gone by. */
    BENCH_MUST(thrum_sleep(
        (int64_t)(bench_random(draws++) % (uint64_t)slice_ns) + 1000));
    cut = 0;
    released = 1;
    (void)thrum_unpark(NULL, hog); /* it may have ended: ESTALE */
    while (!cut && !__atomic_load_n(&stop, __ATOMIC_RELAXED))
      BENCH_MUST(thrum_sleep(slice_ns / 4));
  }
  (void)thrum_unpark(NULL, hog);
  BENCH_MUST(thrum_join(NULL, hog, THRUM_FOREVER));
  for (int i = 0; i < 2; i++)
    BENCH_MUST(thrum_join(NULL, others[i], THRUM_FOREVER));
}

/* ---- the machine itself ---------------------------------------------------------------- */

static void* plain_hog(void* arg) {
  (void)arg;
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {}
  return NULL;
}

static void sleep_beside(int64_t* late, int64_t n) {
  pthread_t beside;
  const struct timespec nap = {slice_ns / 1000000000, slice_ns % 1000000000};
  stop = 0;
  if (pthread_create(&beside, NULL, plain_hog, NULL) != 0) {
    bench_wrong("a thread", 0, 1);
  }
  for (int64_t i = 0; i < n; i++) {
    int64_t begin = bench_now();
    clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
    late[i] = bench_now() - begin - slice_ns;
  }
  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
  pthread_join(beside, NULL);
}

/* ---- report --------------------------------------------------------------------------- */

struct totals {
  uint64_t preemptions, refusals;
};
static void add_up(void* arg, const thrum_p_stats* stats) {
  struct totals* t = arg;
  t->preemptions += stats->preemptions;
  t->refusals += stats->refusals;
}

static void report(const char* key, const char* words, int64_t* ns, int64_t n) {
  char name[32];
  lab_spread(key, words, ns, n); /* sorts */
  lab_key(name, sizeof name, key, "p999_us");
  lab_number(name, "  p99.9", "us",
             (double)bench_percentile(ns, n, 0.999) / 1e3);
  lab_histogram(key, ns, n);
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_GS("samples", "preemptions", &wanted),
      {"slice-us", "the slice", &slice_us, 100, 1000000, NULL, NULL},
      BENCH_FLAG_WORD("mode", "how a slice begins", &mode, "steady|cold"),
      BENCH_FLAG_WORD("bound",
                      "where a stopped G goes on: on its thread, or "
                      "anywhere",
                      &bound, "thread|free"),
  };
  lab_flags(argc, argv, flags, BENCH_COUNT(flags));
  slice_ns = slice_us * 1000;
  from_end = bench_alloc(wanted, sizeof *from_end);
  from_decision = bench_alloc(wanted, sizeof *from_decision);
  calibrate();
  thrum_rt* rt = lab_rt(1, slice_us, 0);
  int signo = thrum_preempt_enable(rt, 0);
  if (signo < 0) {
    printf("skipped: no preemption here: %s\n", thrum_strerror(signo));
    lab_stop(rt);
    return 77;
  }
  BENCH_MUST(thrum_preempt_region(
      __start_computes, __stop_computes,
      strcmp(bound, "free") == 0 ? THRUM_PREEMPT_MIGRATE : 0));
  BENCH_MUST(thrum_run(rt, strcmp(mode, "cold") == 0 ? cold : steady, NULL));
  struct totals t = {0, 0};
  BENCH_MUST(thrum_p_each(rt, add_up, &t));
  lab_stop(rt);
  const int64_t plain_n = (wanted + 3) / 4;
  int64_t* plain = bench_alloc(plain_n, sizeof *plain);
  sleep_beside(plain, plain_n);
  lab_begin("overrun",
            "one P; a G that computes in declared code and reads the CPU's "
            "counter all the time is stopped by a signal, since others wait; "
            "its last reading against the end of its slice, and the switch "
            "against sysmon's decision");
  lab_int("samples", "preemptions looked at", count);
  lab_int("slice_us", "slice, us", slice_us);
  lab_text("mode", "a slice begins", mode);
  lab_text("bound", "a stopped G goes on on its thread, or free", bound);
  lab_int("preemptions", "preemptions", (int64_t)t.preemptions);
  lab_int("refusals", "signals that found nothing to stop",
          (int64_t)t.refusals);
  lab_int("early", "stopped before the end of the slice", early);
  report("end", "from the end of the slice", from_end, count);
  report("decision", "from sysmon's decision", from_decision, count);
  report("plain", "a plain thread's sleep ends late by", plain, plain_n);
  lab_end();
  free(from_end);
  free(from_decision);
  free(plain);
  return 0;
}
