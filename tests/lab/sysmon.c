/* sysmon: how often the monitor looks, against how soon a G that computes gives
 * way, what the looking costs, and what the kernel's virtual run times do.
 *
 * One P on one CPU, and two Gs that call thrum_check all the time: each keeps the
 * P for a slice and until its next check after the monitor has told it so. The
 * figure is how much longer than the slice it ran. One that the kernel lets wait
 * may lose its P to the other meanwhile (a retake) and has run for less. Beside them threads that
 * compute on the same CPU (the load). For each period and load: that, the CPU
 * time of the monitor, how often it ran, and the spread of se.vruntime
 * (/proc/<pid>/task/<tid>/sched, looked at every 20 ms) between the thread that
 * runs the Gs and its rivals, which share one queue of the kernel.
 *
 * The document that thrum grew from holds that a monitor that looks every 10 ms
 * lets the virtual run times drift apart.
 *
 * SPDX-License-Identifier: MIT */
#include "support/group.h"
#include "support/ping.h"
#include "support/proc.h"

#include <thrum/observe.h>
#include <thrum/place.h>

static int64_t slice_ms = 40, turn_ms = 3000, csv;

enum { PERIODS = 3, LOADS = 3, MOST_RIVALS = 3, LOOK_NS = 20000000 };
static const int64_t period_us[PERIODS] = {100, 1000, 10000};
static const int64_t rivals_of[LOADS] = {0, 1, MOST_RIVALS};

static struct cell {
  int64_t *over, overs, *spread, spreads, first, last, retakes;
  double sysmon_percent, sysmon_runs;
} cells[PERIODS][LOADS];
static struct cell* now;
static int64_t most;

static int64_t stop;  /* atomic */
static int64_t m_tid; /* atomic: who runs the Gs */
static int64_t rival_tid[MOST_RIVALS];
static thrum_wg over = THRUM_WG_INIT;

/* ---- the Gs ------------------------------------------------------------------------ */

/* All atomic: one whose P is taken from it goes on to its next check. */
static struct run { int64_t begin, last; } runs[2];
static int64_t turn_of; /* whose run it is */

/* The run of the other one is over. */
static void my_turn(int64_t me) {
  int64_t begin = lab_load(&runs[!me].begin), end = lab_load(&runs[!me].last);
  if (begin && now->overs < most) {
    now->over[now->overs++] = end - begin - slice_ms * 1000000;
  }
  lab_store(&turn_of, me);
  lab_store(&runs[me].begin, bench_now());
  lab_store(&m_tid, syscall(SYS_gettid));
}

static void compute(void* arg) {
  int64_t me = (intptr_t)arg;
  while (!lab_load(&stop)) {
    if (lab_load(&turn_of) != me) {
      my_turn(me);
    }
    lab_store(&runs[me].last, bench_now());
    thrum_check();
  }
  BENCH_MUST(thrum_wg_done(&over));
}

static void* rival(void* arg) {
  lab_pin_thread(lab_cpu(0));
  lab_store(&rival_tid[(intptr_t)arg], syscall(SYS_gettid));
  while (!lab_load(&stop)) {}
  return NULL;
}

/* ---- virtual run times ------------------------------------------------------------ */

/* In ns; -1: the kernel does not tell. */
static int64_t vruntime(int64_t tid) {
  char path[64], line[128];
  double ms = -1e-6;
  snprintf(path, sizeof path, "/proc/self/task/%d/sched", (int)tid);
  FILE* f = fopen(path, "r");
  while (f && fgets(line, sizeof line, f)) {
    if (sscanf(line, "se.vruntime : %lf", &ms) == 1) {
      break;
    }
  }
  if (f) {
    fclose(f);
  }
  return (int64_t)(ms * 1e6);
}

static void look(struct cell* c, int64_t rivals) {
  int64_t low = vruntime(lab_load(&m_tid)), high = low;
  for (int64_t i = 0; i < rivals; i++) {
    int64_t v = vruntime(lab_load(&rival_tid[i]));
    low = v < low ? v : low;
    high = v > high ? v : high;
  }
  if (rivals > 0 && low >= 0 && c->spreads < most) {
    c->spread[c->spreads++] = high - low;
    c->first = c->spreads == 1 ? high - low : c->first;
    c->last = high - low;
  }
}

/* ---- one period, one load ---------------------------------------------------------- */

static thrum_rt* on_one_cpu(int64_t period) {
  thrum_rt* rt;
  thrum_config config;
  thrum_config_init(&config, sizeof config);
  config.procs = 1;
  config.slice_ns = slice_ms * 1000000;
  config.sysmon_ns = period * 1000;
  BENCH_MUST(thrum_rt_new(&rt, &config));
  uint64_t mask[CPU_SETSIZE / 64] = {0};
  mask[lab_cpu(0) / 64] = UINT64_C(1) << (lab_cpu(0) % 64);
  BENCH_MUST(thrum_pin_threads(rt, mask, CPU_SETSIZE / 64));
  return rt;
}

static void add_retakes(void* arg, const thrum_p_stats* stats) {
  *(int64_t*)arg += (int64_t)stats->retakes;
}

static void measure(int period, int load) {
  pthread_t threads[MOST_RIVALS];
  struct cell* c = now = &cells[period][load];
  thrum_rt* rt = on_one_cpu(period_us[period]);
  lab_store(&stop, 0);
  lab_store(&m_tid, 0);
  memset(runs, 0, sizeof runs);
  BENCH_MUST(thrum_wg_add(&over, 2));
  lab_spawn(rt, compute, (void*)0);
  lab_spawn(rt, compute, (void*)1);
  for (int64_t i = 0; i < rivals_of[load]; i++) {
    lab_thread(&threads[i], rival, (void*)(intptr_t)i);
  }
  lab_nap(slice_ms * 2000000); /* all are there */
  lab_usage before = lab_usage_of("thrum-sysmon");
  int64_t begin = bench_now(), end = begin + turn_ms * 1000000;
  for (int64_t at = begin; at < end; at += LOOK_NS) {
    lab_nap_until(at);
    look(c, rivals_of[load]);
  }
  lab_usage after = lab_usage_of("thrum-sysmon");
  double wall = (double)(bench_now() - begin);
  c->sysmon_percent = (double)(after.cpu_ns - before.cpu_ns) * 100 / wall;
  c->sysmon_runs = (double)(after.runs - before.runs) * 1e9 / wall;
  lab_store(&stop, 1);
  BENCH_MUST(thrum_wg_wait(&over, THRUM_FOREVER));
  for (int64_t i = 0; i < rivals_of[load]; i++) {
    pthread_join(threads[i], NULL);
  }
  BENCH_MUST(thrum_p_each(rt, add_retakes, &c->retakes));
  lab_stop(rt);
}

static void report_cell(int period, int load) {
  struct cell* c = &cells[period][load];
  char name[32], key[64];
  long long us = period_us[period], rivals = rivals_of[load];
  snprintf(name, sizeof name, "p%lld_r%lld", us, rivals);
  for (int64_t i = 0; csv && i < c->overs; i++) {
    printf("csv,over,%lld,%lld,%" PRId64 "\n", us, rivals, c->over[i]);
  }
  for (int64_t i = 0; csv && i < c->spreads; i++) {
    printf("csv,spread,%lld,%lld,%" PRId64 "\n", us, rivals, c->spread[i]);
  }
  if (!lab_json) {
    printf("  every %lld us, %lld rivals\n", us, rivals);
  }
  lab_key(key, sizeof key, name, "over");
  lab_spread(key, "    runs longer than the slice by", c->over, c->overs);
  lab_key(key, sizeof key, name, "retakes");
  lab_int(key, "    retakes", c->retakes);
  lab_key(key, sizeof key, name, "sysmon_percent");
  lab_number(key, "    the monitor, of a CPU", "%", c->sysmon_percent);
  lab_key(key, sizeof key, name, "sysmon_runs");
  lab_number(key, "    it ran, times a second", "", c->sysmon_runs);
  if (rivals > 0) {
    lab_key(key, sizeof key, name, "spread");
    lab_spread(key, "    spread of vruntime", c->spread, c->spreads);
    lab_key(key, sizeof key, name, "drift_ms");
    lab_number(key, "    last less first", "ms",
               (double)(c->last - c->first) / 1e6);
  }
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      {"slice-ms", "how long a G keeps its P", &slice_ms, 1, 10000, NULL, NULL},
      {"turn-ms", "each period with each load", &turn_ms, 10, 600000, NULL,
       NULL},
      {"csv", "every run and every look", &csv, 0, 1, NULL, NULL},
  };
  lab_flags(argc, argv, flags, BENCH_COUNT(flags));
  most = turn_ms + 1000;
  int64_t apart = group_try(-1, 100000);
  for (int period = 0; period < PERIODS; period++) {
    for (int load = 0; load < LOADS; load++) {
      cells[period][load].over = bench_alloc(most, sizeof(int64_t));
      cells[period][load].spread = bench_alloc(most, sizeof(int64_t));
      measure(period, load);
    }
  }
  lab_begin("sysmon",
            "one P on one CPU, two Gs that call thrum_check all the time, "
            "threads that compute on the same CPU: how much longer than its "
            "slice a G runs, what the monitor uses, and the spread of "
            "se.vruntime among the threads, every 20 ms");
  lab_int("slice_ms", "slice, ms", slice_ms);
  lab_int("turn_ms", "each period with each load, ms", turn_ms);
  lab_int("apart", "in a control group of its own", apart);
  for (int period = 0; period < PERIODS; period++) {
    for (int load = 0; load < LOADS; load++) {
      report_cell(period, load);
    }
  }
  lab_end();
  return 0;
}
