/* procs: threads and a G change the number of Ps at random while Gs compute, are
 * born and end; is a G lost, and what does a pair that plays ping-pong notice?
 *
 * Beside it, with the same load and pair, the number stands still: at 1, at the
 * number of CPUs, and at the largest that the callers draw. That one is the
 * baseline: with more Ps than CPUs the kernel makes threads wait, whoever changes
 * what.
 *
 * SPDX-License-Identifier: MIT */
#include "support/lab.h"

#include <thrum/observe.h>

enum { CALLERS = 3, WORK_NS = 20000, PACE_NS = 100000, MOST_PINGS = 1 << 20 };

static int64_t seconds = 4, most = 8, load = 16, churners = 4;

static int64_t over;                  /* atomic: the phase is */
static int64_t changes, begun, ended; /* atomic counts */
static thrum_wg running = THRUM_WG_INIT;
static thrum_chan *there, *back;
static int64_t *pings, *lates, ping_count;

static int going(void) { return lab_load(&over) == 0; }

/* ---- load ------------------------------------------------------------------------- */

static void compute(void) {
  int64_t until = bench_now() + WORK_NS;
  while (bench_now() < until) {}
}

static void computer(void* arg) {
  (void)arg;
  while (going()) {
    compute();
    BENCH_MUST(thrum_yield());
  }
  BENCH_MUST(thrum_wg_done(&running));
}

static void child(void* arg) {
  (void)arg;
  lab_add(&ended, 1);
}

/* Births and deaths, with a wait in between. */
static void churner(void* arg) {
  (void)arg;
  while (going()) {
    thrum_g children[8];
    for (int i = 0; i < 8; i++) {
      BENCH_MUST(thrum_spawn(NULL, NULL, child, NULL, &children[i]));
      lab_add(&begun, 1);
    }
    for (int i = 0; i < 8; i++) {
      BENCH_MUST(thrum_join(NULL, children[i], THRUM_FOREVER));
    }
    BENCH_MUST(thrum_yield());
  }
  BENCH_MUST(thrum_wg_done(&running));
}

/* ---- the pair ---------------------------------------------------------------------- */

static void pinger(void* arg) {
  (void)arg;
  int64_t value = 0;
  ping_count = 0;
  while (going() && ping_count < MOST_PINGS) {
    int64_t begin = bench_now();
    BENCH_MUST(thrum_chan_send(there, &value, THRUM_FOREVER));
    BENCH_MUST(thrum_chan_recv(back, &value, THRUM_FOREVER));
    int64_t end = bench_now();
    pings[ping_count] = end - begin;
    BENCH_MUST(thrum_sleep(PACE_NS));
    lates[ping_count++] = bench_now() - end - PACE_NS;
  }
  value = -1;
  BENCH_MUST(thrum_chan_send(there, &value, THRUM_FOREVER));
  BENCH_MUST(thrum_wg_done(&running));
}

static void ponger(void* arg) {
  (void)arg;
  for (;;) {
    int64_t value;
    BENCH_MUST(thrum_chan_recv(there, &value, THRUM_FOREVER));
    if (value < 0) {
      break;
    }
    /* Through a queue: a hand-over alone would stay on one P all the way. */
    BENCH_MUST(thrum_yield());
    BENCH_MUST(thrum_chan_send(back, &value, THRUM_FOREVER));
  }
  BENCH_MUST(thrum_wg_done(&running));
}

/* ---- who changes the number -------------------------------------------------------- */

static thrum_rt* changed;

static void change(uint64_t* draw) {
  uint32_t to = 1 + (uint32_t)(bench_random((*draw)++) % (uint64_t)most);
  BENCH_MUST(thrum_set_procs(changed, to));
  lab_add(&changes, 1);
}

static void* caller(void* arg) {
  uint64_t draw = (uint64_t)(1 + (intptr_t)arg) << 32;
  while (going()) {
    change(&draw);
    lab_nap((int64_t)(bench_random(draw++) % 2000000));
  }
  return NULL;
}

static void g_caller(void* arg) {
  (void)arg;
  uint64_t draw = 0;
  while (going()) {
    change(&draw);
    BENCH_MUST(thrum_sleep((int64_t)(bench_random(draw++) % 2000000)));
  }
  BENCH_MUST(thrum_wg_done(&running));
}

/* ---- a phase ------------------------------------------------------------------------ */

static void start(thrum_rt* rt, thrum_fn fn, int64_t count) {
  BENCH_MUST(thrum_wg_add(&running, (int32_t)count));
  for (int64_t i = 0; i < count; i++) {
    lab_spawn(rt, fn, NULL);
  }
}

/* How many Gs still live when all should have ended. */
static int64_t left_over(thrum_rt* rt) {
  for (int i = 0; i < 1000 && thrum_live(rt) > 0; i++) {
    lab_nap(1000000);
  }
  return thrum_live(rt);
}

/* procs 0: it is changed all the time. Returns the Gs that are left. */
static int64_t phase(int64_t procs, int64_t ns) {
  thrum_rt* rt = lab_rt(procs == 0 ? most : procs, 0, 0);
  pthread_t callers[CALLERS];
  lab_store(&over, 0);
  changed = rt;
  start(rt, computer, load);
  start(rt, churner, churners);
  start(rt, ponger, 1);
  start(rt, pinger, 1);
  if (procs == 0) {
    start(rt, g_caller, 1);
    for (intptr_t i = 0; i < CALLERS; i++) {
      lab_thread(&callers[i], caller, (void*)i);
    }
  }
  lab_nap(ns);
  lab_store(&over, 1);
  for (int i = 0; i < CALLERS && procs == 0; i++) {
    pthread_join(callers[i], NULL);
  }
  BENCH_MUST(thrum_wg_wait(&running, thrum_after(INT64_C(60000000000))));
  int64_t left = left_over(rt);
  lab_stop(rt);
  return left;
}

static void report_pair(const char* key, const char* words) {
  char name[32];
  lab_spread(key, words, pings, ping_count);
  lab_key(name, sizeof name, key, "late");
  lab_spread(name, "  its sleeps, late", lates, ping_count);
}

static void still(const char* key, const char* words, int64_t procs) {
  phase(procs, seconds * 1000000000 / 4);
  report_pair(key, words);
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      {"seconds", "of changing", &seconds, 1, 3600, NULL, NULL},
      {"most", "largest number of Ps", &most, 1, 1024, NULL, NULL},
      BENCH_FLAG_GS("load", "Gs that compute and yield", &load),
      BENCH_FLAG_GS("churners", "Gs that spawn and join", &churners),
  };
  lab_flags(argc, argv, flags, BENCH_COUNT(flags));
  pings = bench_alloc(MOST_PINGS, sizeof *pings);
  lates = bench_alloc(MOST_PINGS, sizeof *lates);
  BENCH_MUST(thrum_chan_new(sizeof(int64_t), 0, &there));
  BENCH_MUST(thrum_chan_new(sizeof(int64_t), 0, &back));
  lab_begin("procs",
            "a round trip over two unbuffered channels, the other side yields "
            "before it answers, with 100 us of sleep between, beside Gs "
            "that compute 20 us and yield and Gs that spawn 8 and join them; "
            "3 threads and a G draw the number of Ps every 0 to 2 ms");
  lab_int("seconds", "it changes for, s", seconds);
  lab_int("most", "largest number of Ps", most);
  lab_int("load", "Gs that compute", load);
  lab_int("churners", "Gs that spawn", churners);
  still("one", "round trip, 1 P", 1);
  still("cpus", "round trip, as many Ps as CPUs", lab_cpus());
  still("base", "round trip, most Ps", most);
  int64_t left = phase(0, seconds * 1000000000);
  report_pair("ping", "round trip, changing");
  lab_histogram("ping", pings, ping_count);
  lab_int("changes", "changes", changes);
  lab_int("spawned", "Gs spawned in all", begun);
  lab_int("lost", "Gs lost", begun - ended + left);
  lab_end();
  thrum_chan_release(there);
  thrum_chan_release(back);
  return 0;
}
