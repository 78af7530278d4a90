/* What every lab program shares: a report for people, or with --json one JSON
 * object, which says what machine this was, how it was measured and how often;
 * and short forms for runtimes, naps and clocks. The rest is the benchmarks'
 * (tests/bench/support/bench.h): flags, percentiles, and that every result of a
 * thrum call is looked at.
 *
 * SPDX-License-Identifier: MIT */
#ifndef THRUM_TESTS_LAB_H
#define THRUM_TESTS_LAB_H

#include "../../bench/support/bench.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

/* ---- words that Gs and threads share -------------------------------------- */

static inline int64_t lab_load(const int64_t* word) {
  return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}
static inline void lab_store(int64_t* word, int64_t value) {
  __atomic_store_n(word, value, __ATOMIC_RELEASE);
}
static inline int64_t lab_add(int64_t* word, int64_t more) {
  return __atomic_fetch_add(word, more, __ATOMIC_ACQ_REL);
}

/* ---- threads of the program ----------------------------------------------- */

static inline void lab_thread(pthread_t* thread, void* (*fn)(void*),
                              void* arg) {
  int error = pthread_create(thread, NULL, fn, arg);
  if (error != 0) {
    fprintf(stderr, "pthread_create: %s\n", strerror(error));
    exit(1);
  }
}

/* Sleeps as a thread, or as a G that does not tell thrum, until then. */
static inline void lab_nap_until(int64_t when) {
  struct timespec t = {when / 1000000000, when % 1000000000};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {}
}
static inline void lab_nap(int64_t ns) { lab_nap_until(bench_now() + ns); }

/* The nth CPU that this process may use; -1: there are fewer. */
static inline int lab_cpu(int nth) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) {
    return -1;
  }
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (CPU_ISSET(cpu, &set) && nth-- == 0) {
      return cpu;
    }
  }
  return -1;
}
static inline int lab_cpus(void) {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* ---- runtimes --------------------------------------------------------------- */

/* slice_us and max_threads 0: the library's default. */
static inline thrum_rt* lab_rt(int64_t procs, int64_t slice_us,
                               int64_t max_threads) {
  thrum_config config;
  thrum_config_init(&config, sizeof config);
  config.procs = (uint32_t)procs;
  config.slice_ns = slice_us * 1000;
  config.max_threads = (uint32_t)max_threads;
  thrum_rt* rt = NULL;
  BENCH_MUST(thrum_rt_new(&rt, &config));
  return rt;
}
static inline void lab_stop(thrum_rt* rt) {
  BENCH_MUST(thrum_rt_stop(rt, thrum_after(INT64_C(60000000000))));
  thrum_rt_free(rt);
}
static inline void lab_spawn(thrum_rt* rt, thrum_fn fn, void* arg) {
  BENCH_MUST(thrum_spawn(rt, NULL, fn, arg, NULL));
}

/* ---- the report --------------------------------------------------------------- */

static int lab_json;
static int lab_machine_cpus; /* before a program pins itself */

/* Flags as the benchmarks take them, and --json. */
static inline void lab_flags(int argc, char** argv, const bench_flag* flags,
                             int count) {
  int kept = 1;
  lab_machine_cpus = lab_cpus();
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--json") == 0) {
      lab_json = 1;
    } else {
      argv[kept++] = argv[i];
    }
  }
  argv[kept] = NULL;
  bench_flags(kept, argv, flags, count);
}

/* A line of /proc/cpuinfo, behind its colon; aarch64 has no model name. */
static inline void lab_cpu_name(char* to, size_t size) {
  char line[512];
  snprintf(to, size, "unknown CPU");
  FILE* f = fopen("/proc/cpuinfo", "r");
  while (f != NULL && fgets(line, sizeof line, f) != NULL) {
    char* colon = strchr(line, ':');
    if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
      colon[strcspn(colon, "\n")] = '\0';
      snprintf(to, size, "%s", colon + 2);
      break;
    }
  }
  if (f != NULL) {
    fclose(f);
  }
}

/* The kernel's tick, in ns: the coarse clock moves once a tick. 0: unknown. */
static inline int64_t lab_tick(void) {
  struct timespec t;
  return clock_getres(CLOCK_MONOTONIC_COARSE, &t) == 0 ? t.tv_nsec : 0;
}

static inline void lab_machine(void) {
  char cpu[256];
  struct utsname system;
  int64_t tick = lab_tick();
  uname(&system);
  lab_cpu_name(cpu, sizeof cpu);
  if (lab_json) {
    bench_json_text("cpu", cpu);
    bench_json_text("arch", system.machine);
    bench_json_int("cpus", lab_machine_cpus);
    bench_json_text("kernel", system.release);
    bench_json_number("tick_us", (double)tick / 1e3);
    return;
  }
  printf("machine: %s, %s, %d CPUs, %s %s, ", cpu, system.machine,
         lab_machine_cpus, system.sysname, system.release);
  if (tick > 0) {
    printf("tick %.2f ms (HZ %.0f)\n", (double)tick / 1e6, 1e9 / (double)tick);
  } else {
    printf("tick unknown\n");
  }
}

/* method: how it is measured, some lines. */
static inline void lab_begin(const char* name, const char* method) {
  if (lab_json) {
    printf("{\"bench\": ");
    bench_json_string(name);
    bench_json_text("runtime", "thrum");
    bench_json_text("version", thrum_version_string());
    bench_json_text("build", thrum_build_info());
    bench_json_text("method", method);
    lab_machine();
    return;
  }
  printf("%s\n", name);
  lab_machine();
  printf("thrum: %s, %s\nmethod: %s\n", thrum_version_string(),
         thrum_build_info(), method);
}

static inline void lab_end(void) {
  printf(lab_json ? "}\n" : "\n");
  if (fflush(stdout) != 0 || ferror(stdout)) {
    exit(1);
  }
}

/* One figure: its key in the JSON, and its words for people. */
static inline void lab_int(const char* key, const char* words, int64_t value) {
  if (lab_json) {
    bench_json_int(key, value);
  } else {
    printf("  %-46s %12" PRId64 "\n", words, value);
  }
}
static inline void lab_number(const char* key, const char* words,
                              const char* unit, double value) {
  if (lab_json) {
    bench_json_number(key, value);
  } else {
    printf("  %-46s %12.3f %s\n", words, value, unit);
  }
}
static inline void lab_text(const char* key, const char* words,
                            const char* value) {
  if (lab_json) {
    bench_json_text(key, value);
  } else {
    printf("  %-46s %s\n", words, value);
  }
}

static inline void lab_key(char* to, size_t size, const char* key,
                           const char* tail) {
  snprintf(to, size, "%s_%s", key, tail);
}

/* n, p50, p99 and maximum of times in ns, reported in us; sorts them. */
static inline void lab_spread(const char* key, const char* words, int64_t* ns,
                              int64_t count) {
  char name[64];
  if (lab_json) {
    lab_key(name, sizeof name, key, "n");
    bench_json_int(name, count);
  }
  if (count == 0) {
    if (!lab_json) {
      printf("  %-38s none\n", words);
    }
    return;
  }
  bench_sort(ns, count);
  double p50 = (double)bench_percentile(ns, count, 0.50) / 1e3;
  double p99 = (double)bench_percentile(ns, count, 0.99) / 1e3;
  double most = (double)ns[count - 1] / 1e3;
  if (!lab_json) {
    printf("  %-38s n %6" PRId64 "  p50 %10.1f  p99 %10.1f  max %10.1f us\n",
           words, count, p50, p99, most);
    return;
  }
  lab_key(name, sizeof name, key, "p50_us");
  bench_json_number(name, p50);
  lab_key(name, sizeof name, key, "p99_us");
  bench_json_number(name, p99);
  lab_key(name, sizeof name, key, "max_us");
  bench_json_number(name, most);
}

/* ---- histograms ------------------------------------------------------------- */

/* Bucket k is [10^(k/10), 10^((k+1)/10)) us; below 1 us is bucket 0. */
enum { LAB_BUCKETS = 71 };

static inline int lab_bucket(int64_t ns) {
  int k = ns < 1000 ? 0 : (int)floor(10 * log10((double)ns / 1e3));
  return k < LAB_BUCKETS ? k : LAB_BUCKETS - 1;
}

/* As [[bucket, count], ...] in the JSON under KEY_hist, as bars in the text. */
static inline void lab_histogram(const char* key, const int64_t* ns,
                                 int64_t count) {
  int64_t buckets[LAB_BUCKETS] = {0}, most = 1;
  for (int64_t i = 0; i < count; i++) {
    int64_t now = ++buckets[lab_bucket(ns[i])];
    most = now > most ? now : most;
  }
  const char* comma = "";
  if (lab_json) {
    char name[64];
    lab_key(name, sizeof name, key, "hist");
    bench_json_key(name);
    printf("[");
  }
  for (int k = 0; k < LAB_BUCKETS; k++) {
    if (buckets[k] == 0) {
      continue;
    }
    if (lab_json) {
      printf("%s[%d, %" PRId64 "]", comma, k, buckets[k]);
      comma = ", ";
    } else {
      printf("  %12.4g us %8" PRId64 "  %.*s\n", pow(10, k / 10.0), buckets[k],
             (int)(40 * buckets[k] / most),
             "########################################");
    }
  }
  if (lab_json) {
    printf("]");
  }
}

#endif
