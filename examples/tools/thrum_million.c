/* thrum_million: what a million green threads cost while they wait.
 *
 *   thrum_million [--n N] [--stack-kib N] [--hibernate] [--procs N] [--json]
 *
 * Makes N Gs (default 1,000,000). Each fills 200 bytes of its stack with a
 * pattern of its own, then waits in one and the same channel for an element that
 * lies on its stack too. They are woken by N sends, and each looks whether its
 * pattern is what it was and the element what was sent; every element must have
 * arrived once. Without --stack-kib, --hibernate and --json every mode runs, one
 * after the other, each in a fresh process.
 *
 * The phases, and what is printed at the end of each:
 *   unstarted  spawned; none has run
 *   parked     all wait, with a stack
 *   asleep     (--hibernate) the stacks are stored away: thrum_trim
 *   ended      all were woken, found everything right, and have ended
 *   idle       a second later
 * ns and CPU ns are of the phase alone, per G. RSS and tables (page tables) are
 * VmRSS and VmPTE of /proc/self/status in MiB, B/G is the growth of both since the
 * start, per G; VMAs counts the lines of /proc/self/maps. The channel and what the
 * program itself needs are there before the start.
 *
 * tests/bench/run --rows million puts Go's figures beside.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <thrum/host.h>
#include <thrum/thrum.h>
#include <time.h>
#include <unistd.h>

struct mode {
  uint32_t stack_kib;
  int hibernate;
};

enum phase { START, UNSTARTED, PARKED, ASLEEP, ENDED, IDLE, PHASES };
static const char* const names[PHASES] = {"start",  "unstarted", "parked",
                                          "asleep", "ended",     "idle"};

struct figures {
  int64_t wall_ns, cpu_ns;   /* of this phase */
  int64_t rss, tables, vmas; /* at its end; rss and tables in bytes */
};

struct elem {
  uint64_t number, check;
};

enum { WORDS = 25 }; /* 200 bytes */
#define MIB 1048576.0

static int64_t n = 1000000;
static uint32_t procs = 1;
static int json;

static struct mode mode;
static struct figures found[PHASES];
static thrum_chan* elems; /* struct elem, no buffer */
static thrum_wg parked, ended;
static unsigned char* arrived; /* [n] how often each element did */

static void must(const char* what, int rc) {
  if (rc < 0) {
    fprintf(stderr, "thrum_million: %s: %s\n", what, thrum_strerror(rc));
    exit(1);
  }
}

static void wrong(const char* what, uint64_t number) {
  fprintf(stderr, "thrum_million: %s of %" PRIu64 " is wrong\n", what, number);
  exit(1);
}

/* splitmix64: no two Gs have a word in common, and nothing about it can be
 * stored in fewer bytes. */
static uint64_t mix(uint64_t index) {
  uint64_t z = (index + 1) * UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return z ^ (z >> 31);
}

/* ---- a G ---------------------------------------------------------------- */

static void waiter(void* arg) {
  uint64_t base = (uint64_t)(uintptr_t)arg * WORDS;
  volatile uint64_t own[WORDS]; /* volatile: it must lie there, and be read */
  struct elem elem = {0, 0};
  for (uint64_t i = 0; i < WORDS; i++) {
    own[i] = mix(base + i);
  }
  thrum_wg_done(&parked); /* nobody looks before it really is: see settle */
  must("receive", thrum_chan_recv(elems, &elem, THRUM_FOREVER));
  for (uint64_t i = 0; i < WORDS; i++) {
    if (own[i] != mix(base + i)) {
      wrong("the stack", base / WORDS);
    }
  }
  if (elem.number >= (uint64_t)n || elem.check != mix(~elem.number) ||
      arrived[elem.number]++) {
    wrong("the element", elem.number);
  }
  thrum_wg_done(&ended);
}

/* ---- measuring ---------------------------------------------------------- */

static int64_t wall_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t cpu_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void look(struct figures* f) {
  char line[4096];
  FILE* file = fopen("/proc/self/status", "r");
  while (file && fgets(line, sizeof line, file)) {
    if (!strncmp(line, "VmRSS:", 6)) {
      f->rss = strtoll(line + 6, NULL, 10) * 1024;
    } else if (!strncmp(line, "VmPTE:", 6)) {
      f->tables = strtoll(line + 6, NULL, 10) * 1024;
    }
  }
  if (!file || !(file = freopen("/proc/self/maps", "r", file))) {
    must("/proc", THRUM_ENOTSUP);
  }
  for (f->vmas = 0; fgets(line, sizeof line, file);) {
    f->vmas++;
  }
  fclose(file);
}

static double total(enum phase phase) {
  return (double)(found[phase].rss + found[phase].tables);
}

static double bytes_per_g(enum phase phase) {
  return (total(phase) - total(START)) / (double)n;
}

static double ns_per_g(enum phase phase) {
  return (double)found[phase].wall_ns / (double)n;
}

static double cpu_ns_per_g(enum phase phase) {
  return (double)found[phase].cpu_ns / (double)n;
}

static int64_t began_wall, began_cpu;

static void begin(enum phase phase) {
  if (!json && isatty(STDERR_FILENO)) {
    fprintf(stderr, "... %s\r", names[phase]); /* the line takes its place */
  }
  began_cpu = cpu_ns();
  began_wall = wall_ns();
}

static void end(enum phase phase) {
  struct figures* f = &found[phase];
  f->wall_ns = wall_ns() - began_wall;
  f->cpu_ns = cpu_ns() - began_cpu;
  look(f);
  if (!json) {
    printf("%4u KiB%-11s %-10s %6.2f %7.0f %7.0f %7.0f %7.0f %7.0f %5" PRId64
           "\n",
           mode.stack_kib, mode.hibernate ? ", hibernate" : "", names[phase],
           (double)f->wall_ns / 1e9, ns_per_g(phase), cpu_ns_per_g(phase),
           (double)f->rss / MIB, (double)f->tables / MIB, bytes_per_g(phase),
           f->vmas);
    fflush(stdout);
  }
}

static void head(void) {
  if (!json) {
    printf("%" PRId64 " Gs, procs %u, %s\n\n", n, procs, thrum_build_info());
    printf("%-19s %-10s %6s %7s %7s %7s %7s %7s %5s\n", "mode", "phase", "s",
           "ns", "CPU ns", "RSS", "tables", "B/G", "VMAs");
    fflush(stdout);
  }
}

static void number(const char* key, double value) {
  printf(", \"%s\": %.9g", key, value);
}

/* One object, as the programs of tests/bench print it. An op is one G made and
 * parked. */
static void print_json(void) {
  double wall = ns_per_g(UNSTARTED) + ns_per_g(PARKED);
  double cpu = cpu_ns_per_g(UNSTARTED) + cpu_ns_per_g(PARKED);
  printf("{\"bench\": \"million\", \"runtime\": \"thrum\"");
  printf(", \"version\": \"%s\"", thrum_version_string());
  printf(", \"procs\": %u, \"n\": %" PRId64 ", \"ops\": %" PRId64, procs, n, n);
  printf(", \"stack_kib\": %u, \"hibernate\": %d", mode.stack_kib,
         mode.hibernate);
  number("ns_per_op", wall);
  number("cpu_ns_per_op", cpu);
  number("elapsed_s", wall * (double)n / 1e9);
  number("cpu_s", cpu * (double)n / 1e9);
  number("spawn_ns", ns_per_g(UNSTARTED));
  number("unstarted_bytes", bytes_per_g(UNSTARTED));
  number("parked_bytes", bytes_per_g(PARKED));
  number("parked_gib", total(PARKED) / MIB / 1024);
  number("vmas", (double)found[PARKED].vmas);
  number("wake_ns", ns_per_g(ENDED));
  number("wake_cpu_ns", cpu_ns_per_g(ENDED));
  if (mode.hibernate) {
    number("hibernate_ns", ns_per_g(ASLEEP));
    number("hibernate_cpu_ns", cpu_ns_per_g(ASLEEP));
    number("asleep_bytes", bytes_per_g(ASLEEP));
    number("asleep_gib", total(ASLEEP) / MIB / 1024);
  }
  number("left_mib", (double)(found[IDLE].rss - found[START].rss) / MIB);
  printf("}\n");
}

/* ---- the phases --------------------------------------------------------- */

/* While the world is stopped nobody else runs a G: what is spawned waits, also
 * for the Ps that have nothing to do. */
static void spawn_all(void) {
  must("stop the world", thrum_world_stop(NULL, THRUM_FOREVER));
  begin(UNSTARTED);
  for (int64_t i = 0; i < n; i++) {
    must("spawn", thrum_spawn(NULL, NULL, waiter, (void*)(intptr_t)i, NULL));
  }
  end(UNSTARTED);
  must("start the world", thrum_world_start(NULL));
}

/* The last ones have said so, and are about to park. */
static void settle(void) { must("sleep", thrum_sleep(10000000)); }

static void send_all(void) {
  for (int64_t i = 0; i < n; i++) {
    struct elem elem = {(uint64_t)i, mix(~(uint64_t)i)};
    must("send", thrum_chan_send(elems, &elem, THRUM_FOREVER));
  }
  must("wait", thrum_wg_wait(&ended, THRUM_FOREVER));
}

static void first(void* arg) {
  (void)arg;
  must("add", thrum_wg_add(&parked, (int32_t)n));
  must("add", thrum_wg_add(&ended, (int32_t)n));
  begin(START);
  end(START);
  spawn_all();
  begin(PARKED);
  must("wait", thrum_wg_wait(&parked, THRUM_FOREVER));
  end(PARKED);
  settle();
  if (mode.hibernate) {
    begin(ASLEEP);
    must("trim", thrum_trim(NULL));
    end(ASLEEP);
  }
  begin(ENDED);
  send_all();
  end(ENDED);
  begin(IDLE);
  must("sleep", thrum_sleep(1000000000));
  end(IDLE);
  for (int64_t i = 0; i < n; i++) {
    if (arrived[i] != 1) {
      wrong("the element", (uint64_t)i);
    }
  }
}

static int run(void) {
  thrum_rt* rt;
  thrum_config config;
  thrum_config_init(&config, sizeof config);
  config.procs = procs;
  config.stack_size = (uint64_t)mode.stack_kib << 10;
  if (mode.hibernate) {
    config.flags = THRUM_RT_HIBERNATE;
    config.idle_ns = INT64_C(3600000000000); /* when we say so, not before */
  }
  arrived = malloc((size_t)n);
  if (!arrived) {
    must("memory", THRUM_ENOMEM);
  }
  memset(arrived, 0, (size_t)n); /* touched, so that it counts at the start */
  must("channel", thrum_chan_new(sizeof(struct elem), 0, &elems));
  must("runtime", thrum_rt_new(&rt, &config));
  must("run", thrum_run(rt, first, NULL));
  must("stop", thrum_rt_stop(rt, THRUM_FOREVER));
  thrum_rt_free(rt);
  thrum_chan_release(elems);
  free(arrived);
  if (json) {
    print_json();
  }
  return 0;
}

/* ---- options ------------------------------------------------------------ */

/* The first runtime is made in the child: as good as another program. */
static int run_all(void) {
  static const struct mode modes[] = {{64, 0}, {64, 1}, {256, 0}, {256, 1}};
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
    int status = 0;
    mode = modes[i];
    pid_t child = fork();
    if (child == 0) {
      exit(run());
    }
    if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0) {
      return 1; /* it has said why */
    }
  }
  return 0;
}

static int64_t count(const char* text, int64_t most) {
  char* rest;
  long long value = strtoll(text, &rest, 10);
  if (*rest || value < 1 || value > most) {
    fprintf(stderr, "thrum_million: %s: not from 1 to %" PRId64 "\n", text,
            most);
    exit(2);
  }
  return value;
}

static int usage(void) {
  fputs("usage: thrum_million [--n N] [--stack-kib N] [--hibernate] "
        "[--procs N] [--json]\n",
        stderr);
  return 2;
}

int main(int argc, char** argv) {
  static const struct option options[] = {
      {"n", required_argument, NULL, 'n'},
      {"stack-kib", required_argument, NULL, 's'},
      {"hibernate", no_argument, NULL, 'h'},
      {"procs", required_argument, NULL, 'p'},
      {"json", no_argument, NULL, 'j'},
      {NULL, 0, NULL, 0},
  };
  int choice, all = 1;
  mode.stack_kib = 64;
  while ((choice = getopt_long(argc, argv, "", options, NULL)) != -1) {
    all = all && (choice == 'n' || choice == 'p');
    switch (choice) {
      case 'n':
        n = count(optarg, 50000000);
        break;
      case 's':
        mode.stack_kib = (uint32_t)count(optarg, 8192);
        break;
      case 'h':
        mode.hibernate = 1;
        break;
      case 'p':
        procs = (uint32_t)count(optarg, 1024);
        break;
      case 'j':
        json = 1;
        break;
      default:
        return usage();
    }
  }
  if (optind != argc) {
    return usage();
  }
  head();
  return all ? run_all() : run();
}
