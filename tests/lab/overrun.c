/* overrun.c: how long after the end of its slice does a G that computes go on,
 * when Gs are preempted? One P, one hog at a time in declared code, others that
 * wait. Prints JSON: a distribution counted from the end of the slice, one counted
 * from the moment at which the observer has decided to stop the G.
 *
 *   overrun [--samples N] [--slice-us N] [--mode steady|cold|both] [--migrate]
 *
 * steady: two hogs take turns, so that each slice begins with a preemption, whose
 * time the observer knows. cold: a slice begins somewhere between two looks of the
 * observer, after Gs that have yielded. The hog itself reads the CPU's counter all
 * the time; what it read last before it was stopped is the end. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <thrum/host.h>
#include <thrum/observe.h>

#define COMPUTES __attribute__((noinline, section("computes")))
extern const char __start_computes[], __stop_computes[];

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
static int64_t clock_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
static void calibrate(void) {
  int64_t t0 = clock_ns();
  uint64_t c0 = ticks();
  while (clock_ns() - t0 < 50000000) {}
  uint64_t c1 = ticks();
  ns_per_tick = (double)(clock_ns() - t0) / (double)(c1 - c0);
}

/* ---- samples -------------------------------------------------------------------- */

static int64_t slice_ns = 1000000;
static uint32_t wanted = 2000, count;
static int64_t* from_end;      /* ns; below 0: stopped early */
static int64_t* from_decision; /* ns */
static int stop;

static void last_delay(void* arg, const thrum_p_stats* stats) {
  *(int64_t*)arg = stats->preempt_ns;
}
/* Of a run that has been cut just now. */
static void sample(uint64_t begin, uint64_t end) {
  if (count == wanted)
    return;
  int64_t ns = 0;
  thrum_p_each(NULL, last_delay, &ns);
  from_decision[count] = ns;
  from_end[count++] = (int64_t)((double)(end - begin) * ns_per_tick) - slice_ns;
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
    thrum_spawn(NULL, NULL, steady_hog, &runs[i + 1], &g[i]);
  }
  for (int i = 0; i < 2; i++)
    thrum_join(NULL, g[i], THRUM_FOREVER);
}

/* ---- cold --------------------------------------------------------------------------- */

static struct run cold_run;
static volatile int released, cut;

static void cold_hog(void* arg) {
  (void)arg;
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
    while (!released && !__atomic_load_n(&stop, __ATOMIC_RELAXED))
      thrum_park("release", THRUM_FOREVER);
    released = 0;
    turn = cold_run.me;
    cold_run.begin = cold_run.last = ticks();
    compute(&cold_run);
  }
}
static uint64_t seed = 1;
static uint64_t draw(void) {
  uint64_t z = (seed += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
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
    thrum_yield();
  }
}
static void cold(void* arg) {
  thrum_g hog, others[2];
  (void)arg;
  cold_run.me = 1;
  thrum_spawn(NULL, NULL, cold_hog, NULL, &hog);
  for (int i = 0; i < 2; i++)
    thrum_spawn(NULL, NULL, chatter, NULL, &others[i]);
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
    /* Its last run is over, and some time has gone by. */
    thrum_sleep((int64_t)(draw() % (uint64_t)slice_ns) + 1000);
    cut = 0;
    released = 1;
    thrum_unpark(NULL, hog);
    while (!cut && !__atomic_load_n(&stop, __ATOMIC_RELAXED))
      thrum_sleep(slice_ns / 4);
  }
  thrum_unpark(NULL, hog);
  thrum_join(NULL, hog, THRUM_FOREVER);
  for (int i = 0; i < 2; i++)
    thrum_join(NULL, others[i], THRUM_FOREVER);
}

/* ---- report --------------------------------------------------------------------------- */

static int by_value(const void* a, const void* b) {
  int64_t x = *(const int64_t*)a, y = *(const int64_t*)b;
  return (x > y) - (x < y);
}
static double us_at(const int64_t* sorted, double part) {
  uint32_t i = (uint32_t)(part * (double)(count - 1) + 0.5);
  return (double)sorted[i] / 1000;
}
static void report_one(const char* name, int64_t* v) {
  static const int64_t kEdgesUs[] = {0,   10,   20,   30,   50,       75,
                                     100, 125,  150,  200,  250,      350,
                                     500, 1000, 2000, 5000, INT64_MAX};
  qsort(v, count, sizeof *v, by_value);
  printf("\"%s\": {\"min\": %.1f, \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, "
         "\"p99_9\": %.1f, \"max\": %.1f, \"below_us\": [",
         name, us_at(v, 0), us_at(v, 0.5), us_at(v, 0.9), us_at(v, 0.99),
         us_at(v, 0.999), us_at(v, 1));
  uint32_t at = 0;
  for (size_t i = 0; i < sizeof kEdgesUs / sizeof *kEdgesUs; i++) {
    uint32_t n = 0;
    int last = kEdgesUs[i] == INT64_MAX;
    for (; at < count && (last || v[at] < kEdgesUs[i] * 1000); at++)
      n++;
    if (last)
      printf("[null, %" PRIu32 "]", n);
    else
      printf("[%" PRId64 ", %" PRIu32 "], ", kEdgesUs[i], n);
  }
  printf("]}");
}
struct totals {
  uint64_t preemptions, refusals;
};
static void add_up(void* arg, const thrum_p_stats* stats) {
  struct totals* t = arg;
  t->preemptions += stats->preemptions;
  t->refusals += stats->refusals;
}

/* 77: this machine cannot. */
static int measure(const char* mode, thrum_fn fn, uint32_t flags) {
  thrum_config c;
  thrum_config_init(&c, sizeof c);
  c.procs = 1;
  c.slice_ns = slice_ns;
  thrum_rt* rt;
  int err = thrum_rt_new(&rt, &c);
  if (err)
    return fprintf(stderr, "overrun: %s\n", thrum_strerror(err)), 1;
  int signo = thrum_preempt_enable(rt, 0);
  if (signo < 0) {
    printf("skipped: preemption is not possible here: %s\n",
           thrum_strerror(signo));
    thrum_rt_stop(rt, THRUM_FOREVER);
    thrum_rt_free(rt);
    return 77;
  }
  thrum_preempt_region(__start_computes, __stop_computes, flags);
  count = 0;
  stop = 0;
  turn = 0;
  struct timespec cpu0, cpu1;
  int64_t t0 = clock_ns();
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu0);
  err = thrum_run(rt, fn, NULL);
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu1);
  double seconds = (double)(clock_ns() - t0) / 1e9;
  double cpu = (double)(cpu1.tv_sec - cpu0.tv_sec) +
               (double)(cpu1.tv_nsec - cpu0.tv_nsec) / 1e9;
  struct totals t = {0, 0};
  thrum_p_each(rt, add_up, &t);
  thrum_preempt_forget(__start_computes, __stop_computes);
  thrum_rt_stop(rt, THRUM_FOREVER);
  thrum_rt_free(rt);
  if (err)
    return fprintf(stderr, "overrun: %s\n", thrum_strerror(err)), 1;
  printf("{\"program\": \"overrun\", \"mode\": \"%s\", \"slice_us\": %" PRId64
         ", \"samples\": %" PRIu32 ", \"bound\": %s, \"cpus\": %ld, "
         "\"seconds\": %.2f, \"cpu_seconds\": %.2f, \"preemptions\": %" PRIu64
         ", \"refusals\": %" PRIu64 ", ",
         mode, slice_ns / 1000, count, flags ? "false" : "true",
         sysconf(_SC_NPROCESSORS_ONLN), seconds, cpu, t.preemptions,
         t.refusals);
  report_one("from_slice_end_us", from_end);
  printf(", ");
  report_one("from_decision_us", from_decision);
  printf("}\n");
  return 0;
}

int main(int argc, char** argv) {
  const char* mode = "both";
  uint32_t flags = 0;
  for (int i = 1; i < argc; i++) {
    const char* value = i + 1 < argc ? argv[i + 1] : NULL;
    if (strcmp(argv[i], "--migrate") == 0) {
      flags = THRUM_PREEMPT_MIGRATE;
      continue;
    }
    if (value && strcmp(argv[i], "--samples") == 0 && atoi(value) > 0)
      wanted = (uint32_t)atoi(value);
    else if (value && strcmp(argv[i], "--slice-us") == 0 && atoi(value) > 0)
      slice_ns = 1000 * (int64_t)atoi(value);
    else if (value && strcmp(argv[i], "--mode") == 0)
      mode = value;
    else
      return fprintf(stderr, "usage: overrun [--samples N] [--slice-us N] "
                             "[--mode steady|cold|both] [--migrate]\n"),
             2;
    i++;
  }
  from_end = calloc(wanted, sizeof *from_end);
  from_decision = calloc(wanted, sizeof *from_decision);
  if (!from_end || !from_decision)
    return 1;
  calibrate();
  int rc = 0;
  if (strcmp(mode, "cold") != 0)
    rc = measure("steady", steady, flags);
  if (rc == 0 && strcmp(mode, "steady") != 0)
    rc = measure("cold", cold, flags);
  free(from_end);
  free(from_decision);
  return rc;
}
