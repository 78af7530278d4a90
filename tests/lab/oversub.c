/* oversub: what more Ps than CPUs do. The document that thrum grew from raises
 * the number from 4 to 16 and finds the kernel's queues uneven.
 *
 * The same Gs do units of a fixed amount of work and yield after each; a probe
 * sleeps for 2 ms at a time and notes how late it wakes. By turns with 1 P, with
 * as many as there are CPUs, and with two, three, ... times as many. Beside the
 * units done: how many threads of the process waited for a CPU, in mean (their
 * run delay, from schedstat, over the time), how often the kernel took one off
 * its CPU, and how many threads of the whole machine were runnable
 * (/proc/loadavg, looked at every 10 ms, without the one that looks). An M that the kernel lets
 * wait keeps its P for up to eight slices: another in its place would wait, too.
 *
 * SPDX-License-Identifier: MIT */
#include "support/group.h"
#include "support/proc.h"

#include <fcntl.h>

static int64_t turns = 3, turn_ms = 1000, most = 4, gs = 32, unit_us = 50, csv;

enum { NAP_NS = 2000000, LOOK_NS = 10000000, MOST = 16 };

static struct step {
  const char* key;
  int64_t procs, units, ns, waited, switches, threads;
  int64_t *late, lates, *runnable, looks;
} steps[MOST + 1];
static int64_t lates_most, looks_most;
static int64_t stop;       /* atomic */
static int64_t units;      /* atomic */
static int64_t unit_turns; /* of the loop below that are one unit */
static thrum_wg over = THRUM_WG_INIT;

/* ---- the work ---------------------------------------------------------------------- */

static void unit(int64_t count) {
  volatile uint64_t x = 1;
  for (int64_t i = 0; i < count; i++) {
    x = x * 6364136223846793005u + 1442695040888963407u;
  }
}

/* The quickest of some: what others take is not in it. */
static void calibrate(void) {
  enum { TRIAL = 20000 };
  int64_t best = INT64_MAX;
  for (int i = 0; i < 100; i++) {
    int64_t begin = bench_now();
    unit(TRIAL);
    int64_t ns = bench_now() - begin;
    best = ns < best ? ns : best;
  }
  unit_turns = TRIAL * unit_us * 1000 / best + 1;
}

static void work(void* arg) {
  (void)arg;
  while (!lab_load(&stop)) {
    unit(unit_turns);
    lab_add(&units, 1);
    BENCH_MUST(thrum_yield());
  }
  BENCH_MUST(thrum_wg_done(&over));
}

static void probe(void* arg) {
  struct step* s = arg;
  while (!lab_load(&stop) && s->lates < lates_most) {
    int64_t due = bench_now() + NAP_NS;
    BENCH_MUST(thrum_sleep(NAP_NS));
    s->late[s->lates++] = bench_now() - due;
  }
  BENCH_MUST(thrum_wg_done(&over));
}

/* ---- the kernel's queues ------------------------------------------------------------- */

/* How long this process's threads have waited for a CPU in sum, ns. */
static int64_t waited(void) {
  int64_t sum = 0;
  DIR* folder = opendir("/proc/self/task");
  struct dirent* entry;
  while (folder != NULL && (entry = readdir(folder)) != NULL) {
    char path[320], line[128];
    int64_t cpu, delay;
    snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", entry->d_name);
    if (lab_read_line(path, line, sizeof line) &&
        sscanf(line, "%" SCNd64 " %" SCNd64, &cpu, &delay) == 2) {
      sum += delay;
    }
  }
  if (folder != NULL) {
    closedir(folder);
  }
  return sum;
}

static int64_t switched_out(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u.ru_nivcsw;
}

/* Looks until then. */
static void look_until(struct step* s, int64_t until) {
  int fd = open("/proc/loadavg", O_RDONLY);
  for (int64_t next = bench_now(); next < until; next += LOOK_NS) {
    char text[128];
    int runnable;
    lab_nap_until(next);
    ssize_t n = fd < 0 ? 0 : pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    if (s->looks < looks_most &&
        sscanf(text, "%*f %*f %*f %d/", &runnable) == 1) {
      s->runnable[s->looks++] = runnable - 1;
    }
  }
  if (fd >= 0) {
    close(fd);
  }
}

/* ---- a turn ------------------------------------------------------------------------- */

static void turn(struct step* s) {
  thrum_rt* rt = lab_rt(s->procs, 0, 0);
  lab_store(&stop, 0);
  BENCH_MUST(thrum_wg_add(&over, (int32_t)gs + 1));
  for (int64_t i = 0; i < gs; i++) {
    lab_spawn(rt, work, NULL);
  }
  lab_spawn(rt, probe, s);
  int64_t begin = bench_now(), done = lab_load(&units);
  int64_t delay = waited(), switches = switched_out();
  look_until(s, begin + turn_ms * 1000000);
  s->switches += switched_out() - switches;
  int64_t threads = lab_threads();
  s->threads = threads > s->threads ? threads : s->threads;
  s->waited += waited() - delay;
  s->units += lab_load(&units) - done;
  s->ns += bench_now() - begin;
  lab_store(&stop, 1);
  BENCH_MUST(thrum_wg_wait(&over, THRUM_FOREVER));
  lab_stop(rt);
}

static double rate(const struct step* s) {
  return (double)s->units * 1e9 / (double)s->ns;
}

static void number(const struct step* s, const char* tail, const char* words,
                   double value) {
  char key[32];
  lab_key(key, sizeof key, s->key, tail);
  lab_number(key, words, "", value);
}

static void report_step(struct step* s) {
  char key[32];
  for (int64_t i = 0; csv && i < s->lates; i++) {
    printf("csv,late,%" PRId64 ",%" PRId64 "\n", s->procs, s->late[i]);
  }
  for (int64_t i = 0; csv && i < s->looks; i++) {
    printf("csv,runnable,%" PRId64 ",%" PRId64 "\n", s->procs, s->runnable[i]);
  }
  lab_key(key, sizeof key, s->key, "procs");
  lab_int(key, "Ps", s->procs);
  number(s, "units", "  units a second", rate(s));
  number(s, "speed", "  of what as many Ps as CPUs do",
         rate(s) / rate(&steps[1]));
  lab_key(key, sizeof key, s->key, "late");
  lab_spread(key, "  probe late", s->late, s->lates);
  double seconds = (double)s->ns / 1e9;
  lab_key(key, sizeof key, s->key, "threads");
  lab_int(key, "  threads of the process, at most", s->threads);
  number(s, "waiting", "  own threads that wait for a CPU, in mean",
         (double)s->waited / (double)s->ns);
  number(s, "switched", "  threads put off a CPU, a second",
         (double)s->switches / seconds);
  bench_sort(s->runnable, s->looks);
  lab_key(key, sizeof key, s->key, "runnable");
  lab_int(key, "  runnable on the whole machine, p50",
          s->looks ? bench_percentile(s->runnable, s->looks, 0.5) : -1);
  lab_key(key, sizeof key, s->key, "runnable_max");
  lab_int(key, "  at most", s->looks ? s->runnable[s->looks - 1] : -1);
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_GS("turns", "of each number", &turns),
      {"turn-ms", "one turn", &turn_ms, 10, 600000, NULL, NULL},
      {"most", "Ps for a CPU", &most, 1, MOST, NULL, NULL},
      BENCH_FLAG_GS("gs", "Gs that work", &gs),
      {"unit-us", "one unit of work", &unit_us, 1, 100000, NULL, NULL},
      {"csv", "every wake and every look", &csv, 0, 1, NULL, NULL},
  };
  lab_flags(argc, argv, flags, BENCH_COUNT(flags));
  lates_most = turns * turn_ms;
  looks_most = lates_most;
  for (int64_t i = 0; i <= most; i++) {
    steps[i].procs = i == 0 ? 1 : i * lab_cpus();
    char* key = bench_alloc(1, 8);
    snprintf(key, 8, i ? "x%d" : "one", (int)i);
    steps[i].key = key;
    steps[i].late = bench_alloc(lates_most, sizeof(int64_t));
    steps[i].runnable = bench_alloc(looks_most, sizeof(int64_t));
  }
  int64_t apart = group_try(-1, 100000);
  calibrate();
  for (int64_t i = 0; i < turns; i++) {
    for (int64_t k = 0; k <= most; k++) {
      turn(&steps[k]);
    }
  }
  lab_begin("oversub",
            "the same Gs do units of a fixed amount of work and yield after "
            "each; a probe sleeps 2 ms at a time and notes how late it wakes; "
            "by turns with 1 P, as many as CPUs, and multiples");
  lab_int("turns", "turns of each", turns);
  lab_int("turn_ms", "one turn, ms", turn_ms);
  lab_int("gs", "Gs that work", gs);
  lab_int("unit_us", "one unit, us", unit_us);
  lab_int("apart", "in a control group of its own", apart);
  for (int64_t i = 0; i <= most; i++) {
    report_step(&steps[i]);
  }
  lab_end();
  return 0;
}
