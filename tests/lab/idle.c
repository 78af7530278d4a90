/* idle: what a runtime costs that has little to do. CPU time over a window of
 * the whole process (without the thread that measures) and of sysmon alone, while
 * nothing lives, while a G sleeps 100 ms or 10 ms at a time, and while a G
 * computes alone. Beside each the same by a plain thread without any runtime.
 *
 * SPDX-License-Identifier: MIT */
#include "support/lab.h"
#include "support/proc.h"

/* Long enough for sysmon to have seen that there is nothing more to come. */
enum { SETTLE_NS = 400000000 };

static int64_t procs = 2, window_ms = 2000;

static int64_t over;  /* atomic */
static int64_t nap;   /* ns; 0: compute */
static int64_t turns; /* atomic: of the computation */
static thrum_wg ended = THRUM_WG_INIT;

/* ---- the work ------------------------------------------------------------------------ */

static void compute(void) {
  volatile uint64_t x = 1;
  while (lab_load(&over) == 0) {
    for (int i = 0; i < 10000; i++) {
      x = x * 6364136223846793005u + 1442695040888963407u;
    }
    lab_store(&turns, turns + 1);
  }
}

static void g_work(void* arg) {
  (void)arg;
  while (nap != 0 && lab_load(&over) == 0) {
    BENCH_MUST(thrum_sleep(nap));
  }
  compute();
  BENCH_MUST(thrum_wg_done(&ended));
}

static void* thread_work(void* arg) {
  (void)arg;
  while (nap != 0 && lab_load(&over) == 0) {
    lab_nap(nap);
  }
  compute();
  return NULL;
}

static void nothing(void* arg) { (void)arg; }

/* ---- a window -------------------------------------------------------------------------- */

typedef struct window {
  int64_t wall, cpu, sysmon_cpu, sysmon_runs, turns;
} window;

/* CPU time of the process less this thread's: what the looking costs is not what
 * is looked at. The inner clock is the thread's, so that what the two readings
 * cost comes in as a microsecond too much, never as one too little. */
static window look(void) {
  window w;
  int64_t begin = bench_now(), done = lab_load(&turns);
  lab_usage before = lab_usage_of("thrum-sysmon");
  int64_t process = lab_clock(CLOCK_PROCESS_CPUTIME_ID);
  int64_t own = lab_clock(CLOCK_THREAD_CPUTIME_ID);
  lab_nap(window_ms * 1000000);
  own = lab_clock(CLOCK_THREAD_CPUTIME_ID) - own;
  w.cpu = lab_clock(CLOCK_PROCESS_CPUTIME_ID) - process - own;
  lab_usage after = lab_usage_of("thrum-sysmon");
  w.wall = bench_now() - begin;
  w.turns = lab_load(&turns) - done;
  w.sysmon_cpu = after.cpu_ns < 0 ? -1 : after.cpu_ns - before.cpu_ns;
  w.sysmon_runs = after.runs - before.runs;
  return w;
}

/* nap < 0: nothing lives; it did, so that there are threads. */
static window with_g(int64_t ns) {
  thrum_rt* rt = lab_rt(procs, 0, 0);
  nap = ns < 0 ? 0 : ns;
  lab_store(&over, 0);
  lab_store(&turns, 0);
  for (int i = 0; i < 100; i++) {
    lab_spawn(rt, nothing, NULL);
  }
  if (ns >= 0) {
    BENCH_MUST(thrum_wg_add(&ended, 1));
    lab_spawn(rt, g_work, NULL);
  }
  lab_nap(SETTLE_NS);
  window w = look();
  lab_store(&over, 1);
  BENCH_MUST(thrum_wg_wait(&ended, THRUM_FOREVER));
  lab_stop(rt);
  return w;
}

static window with_thread(int64_t ns) {
  pthread_t thread;
  nap = ns;
  lab_store(&over, 0);
  lab_store(&turns, 0);
  lab_thread(&thread, thread_work, NULL);
  lab_nap(SETTLE_NS);
  window w = look();
  lab_store(&over, 1);
  pthread_join(thread, NULL);
  return w;
}

/* ---- the report --------------------------------------------------------------------------- */

static double percent(int64_t ns, int64_t of) {
  return 100.0 * (double)ns / (double)of;
}

static void report_cpu(const char* key, const char* words, window w) {
  char name[64];
  lab_key(name, sizeof name, key, "cpu_us");
  lab_number(name, words, "us", (double)w.cpu / 1e3);
}

static void report_sysmon(const char* key, window w) {
  char name[64];
  if (w.sysmon_cpu < 0) {
    lab_key(name, sizeof name, key, "sysmon");
    lab_text(name, "  sysmon", "no such thread, or no schedstat");
    return;
  }
  lab_key(name, sizeof name, key, "sysmon_us");
  lab_number(name, "  of this sysmon", "us", (double)w.sysmon_cpu / 1e3);
  lab_key(name, sizeof name, key, "sysmon_percent");
  lab_number(name, "  sysmon, of one CPU", "%", percent(w.sysmon_cpu, w.wall));
  lab_key(name, sizeof name, key, "sysmon_runs");
  lab_int(name, "  times sysmon ran", w.sysmon_runs);
}

static void sleeping(const char* key, const char* words, int64_t ns) {
  char name[64];
  window own = with_thread(ns), w = with_g(ns);
  report_cpu(key, words, w);
  report_sysmon(key, w);
  snprintf(name, sizeof name, "%s_thread", key);
  report_cpu(name, "  the same in a plain thread", own);
}

static void computing(void) {
  window own = with_thread(0), w = with_g(0);
  report_cpu("compute", "one G computes, CPU time", w);
  report_sysmon("compute", w);
  lab_number("compute_rate", "  work done, of a plain thread's", "%",
             100.0 * ((double)w.turns / (double)w.wall) /
                 ((double)own.turns / (double)own.wall));
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_PROCS(&procs),
      {"window-ms", "how long each is watched", &window_ms, 10, 600000, NULL,
       NULL},
  };
  lab_flags(argc, argv, flags, BENCH_COUNT(flags));
  lab_begin("idle",
            "CPU time of the process without the measuring thread "
            "(CLOCK_PROCESS_CPUTIME_ID less CLOCK_THREAD_CPUTIME_ID) and of "
            "thrum-sysmon (/proc/self/task/*/schedstat) over a window that "
            "begins 0.4 s after the work did");
  lab_int("procs", "procs", procs);
  lab_int("window_ms", "window, ms", window_ms);
  window none = with_g(-1);
  report_cpu("quiet", "no G lives, CPU time", none);
  report_sysmon("quiet", none);
  sleeping("sleep100", "one G sleeps 100 ms at a time", 100000000);
  sleeping("sleep10", "one G sleeps 10 ms at a time", 10000000);
  computing();
  lab_end();
  return 0;
}
