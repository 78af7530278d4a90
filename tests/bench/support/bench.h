/* What every benchmark program shares: flags, clocks, percentiles, one JSON
 * object on stdout. Included first: it chooses the feature macros of libc.
 *
 * A program measures between bench_start and bench_stop, inside the G that
 * thrum_run made, so creating and stopping the runtime is never part of a
 * figure. Every result of a thrum call is checked (BENCH_MUST): a benchmark
 * that goes wrong must end with a message, not with a good number.
 *
 * SPDX-License-Identifier: MIT */
#ifndef THRUM_TESTS_BENCH_H
#define THRUM_TESTS_BENCH_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <thrum/thrum.h>

/* ---- failure ------------------------------------------------------------- */

static inline void bench_die(const char* what, int code) {
  fprintf(stderr, "%s: %s (%s)\n", what, thrum_strerror(code),
          thrum_errname(code));
  exit(1);
}

static inline void bench_wrong(const char* what, int64_t got, int64_t want) {
  fprintf(stderr, "%s: got %" PRId64 ", want %" PRId64 "\n", what, got, want);
  exit(1);
}

#define BENCH_MUST(call)             \
  do {                               \
    int bench_code_ = (call);        \
    if (bench_code_ < 0) {           \
      bench_die(#call, bench_code_); \
    }                                \
  } while (0)

static inline void bench_check(const char* what, int64_t got, int64_t want) {
  if (got != want) {
    bench_wrong(what, got, want);
  }
}

static inline void* bench_alloc(int64_t count, size_t size) {
  void* p = calloc((size_t)count, size);
  if (p == NULL) {
    fprintf(stderr, "out of memory\n");
    exit(1);
  }
  return p;
}

/* ---- flags --------------------------------------------------------------- */

/* A number (value, low, high) or, where text is set, one of the words in
 * words, separated by '|' (NULL: any text). The fields hold the default before
 * bench_flags. */
typedef struct bench_flag {
  const char* name;
  const char* help;
  int64_t* value;
  int64_t low, high;
  const char** text;
  const char* words;
} bench_flag;

enum { BENCH_MAX_FLAGS = 16, BENCH_HELP = 1000 };

static inline int bench_is_word(const char* words, const char* word) {
  size_t length = strlen(word);
  const char* at = words;
  while (length > 0 && at != NULL) {
    if (strncmp(at, word, length) == 0 &&
        (at[length] == '|' || at[length] == '\0')) {
      return 1;
    }
    at = strchr(at, '|');
    at = at == NULL ? NULL : at + 1;
  }
  return 0;
}

static inline void bench_usage(FILE* to, const char* program,
                               const bench_flag* flags, int count) {
  fprintf(to, "usage: %s [flags]; prints one JSON object\n", program);
  for (int i = 0; i < count; i++) {
    if (flags[i].text != NULL) {
      fprintf(to, "  --%s %s  %s (%s)\n", flags[i].name,
              flags[i].words == NULL ? "TEXT" : flags[i].words, flags[i].help,
              *flags[i].text);
    } else {
      fprintf(to, "  --%s N  %s (%" PRId64 ")\n", flags[i].name, flags[i].help,
              *flags[i].value);
    }
  }
}

static inline void bench_set_flag(const bench_flag* flag, const char* given) {
  if (flag->text != NULL) {
    if (flag->words != NULL && !bench_is_word(flag->words, given)) {
      fprintf(stderr, "--%s: %s is none of %s\n", flag->name, given,
              flag->words);
      exit(2);
    }
    *flag->text = given;
    return;
  }
  char* end = NULL;
  errno = 0;
  long long number = strtoll(given, &end, 10);
  if (errno != 0 || end == given || *end != '\0' || number < flag->low ||
      number > flag->high) {
    fprintf(stderr,
            "--%s: %s is not a number from %" PRId64 " to %" PRId64 "\n",
            flag->name, given, flag->low, flag->high);
    exit(2);
  }
  *flag->value = number;
}

static inline void bench_flags(int argc, char** argv, const bench_flag* flags,
                               int count) {
  struct option options[BENCH_MAX_FLAGS + 2];
  memset(options, 0, sizeof options);
  for (int i = 0; i < count && i < BENCH_MAX_FLAGS; i++) {
    options[i].name = flags[i].name;
    options[i].has_arg = required_argument;
    options[i].val = i;
  }
  options[count].name = "help";
  options[count].val = BENCH_HELP;
  int choice;
  while ((choice = getopt_long(argc, argv, "", options, NULL)) != -1) {
    if (choice == BENCH_HELP) {
      bench_usage(stdout, argv[0], flags, count);
      exit(0);
    }
    if (choice < 0 || choice >= count) {
      bench_usage(stderr, argv[0], flags, count);
      exit(2);
    }
    bench_set_flag(&flags[choice], optarg);
  }
  if (optind != argc) {
    bench_usage(stderr, argv[0], flags, count);
    exit(2);
  }
}

/* The numbers that every program takes. */
#define BENCH_FLAG_PROCS(where) \
  { "procs", "how many Gs may run at once", (where), 1, 1024, NULL, NULL }
#define BENCH_FLAG_NUMBER(word, text, where, min) \
  { (word), (text), (where), (min), INT64_C(1) << 40, NULL, NULL }
/* A number of Gs, producers and the like: fits a wait group's int32_t. */
#define BENCH_FLAG_GS(word, text, where) \
  { (word), (text), (where), 1, 100000000, NULL, NULL }
#define BENCH_FLAG_WORD(word, text, where, choices) \
  { (word), (text), NULL, 0, 0, (where), (choices) }
#define BENCH_COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

/* ---- clocks -------------------------------------------------------------- */

static inline int64_t bench_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* User and system time of the whole process, in ns. */
static inline int64_t bench_cpu(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return ((int64_t)u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000 +
         ((int64_t)u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
}

typedef struct bench_span {
  int64_t wall_ns, cpu_ns;
} bench_span;

static inline void bench_start(bench_span* span) {
  span->cpu_ns = bench_cpu();
  span->wall_ns = bench_now();
}

static inline void bench_stop(bench_span* span) {
  span->wall_ns = bench_now() - span->wall_ns;
  span->cpu_ns = bench_cpu() - span->cpu_ns;
}

/* ---- percentiles and pseudo-random numbers ------------------------------- */

static inline int bench_compare_(const void* a, const void* b) {
  int64_t x = *(const int64_t*)a, y = *(const int64_t*)b;
  return (x > y) - (x < y);
}

static inline void bench_sort(int64_t* values, int64_t count) {
  qsort(values, (size_t)count, sizeof *values, bench_compare_);
}

/* Nearest rank: the smallest value that at least q of all do not exceed.
 * The values are sorted and there is at least one. */
static inline int64_t bench_percentile(const int64_t* sorted, int64_t count,
                                       double q) {
  double exact = q * (double)count;
  int64_t rank = (int64_t)exact;
  if ((double)rank < exact) {
    rank++;
  }
  if (rank < 1) {
    rank = 1;
  }
  return sorted[(rank > count ? count : rank) - 1];
}

/* splitmix64 of an index: every program and its twin in another language draw
 * the same numbers without sharing any state between Gs. */
static inline uint64_t bench_random(uint64_t index) {
  uint64_t z = (index + 1) * UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return z ^ (z >> 31);
}

/* ---- the runtime --------------------------------------------------------- */

/* Runs fn as a G of a fresh runtime, the calling thread lending itself. */
static inline void bench_run(int64_t procs, thrum_fn fn, void* arg) {
  thrum_config config;
  thrum_config_init(&config, sizeof config);
  config.procs = (uint32_t)procs;
  thrum_rt* rt = NULL;
  BENCH_MUST(thrum_rt_new(&rt, &config));
  BENCH_MUST(thrum_run(rt, fn, arg));
  BENCH_MUST(thrum_rt_stop(rt, thrum_after(INT64_C(30000000000))));
  thrum_rt_free(rt);
}

static inline void bench_spawn(thrum_fn fn, void* arg) {
  BENCH_MUST(thrum_spawn(NULL, NULL, fn, arg, NULL));
}

/* ---- JSON ---------------------------------------------------------------- */

static inline void bench_json_string(const char* text) {
  putchar('"');
  for (; *text != '\0'; text++) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') {
      putchar('\\');
      putchar(c);
    } else if (c < 0x20) {
      printf("\\u%04x", c);
    } else {
      putchar(c);
    }
  }
  putchar('"');
}

static inline void bench_json_key(const char* key) {
  printf(", ");
  bench_json_string(key);
  printf(": ");
}

static inline void bench_json_text(const char* key, const char* value) {
  bench_json_key(key);
  bench_json_string(value);
}

static inline void bench_json_int(const char* key, int64_t value) {
  bench_json_key(key);
  printf("%" PRId64, value);
}

static inline void bench_json_number(const char* key, double value) {
  bench_json_key(key);
  printf("%.9g", value);
}

/* Opens the object with the figures that every program reports: ops is what
 * ns_per_op divides by. The program adds its own keys, then bench_json_end. */
static inline void bench_json_begin(const char* bench, int64_t procs, int64_t n,
                                    int64_t ops, const bench_span* span) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  printf("{\"bench\": ");
  bench_json_string(bench);
  bench_json_text("runtime", "thrum");
  bench_json_text("version", thrum_version_string());
  bench_json_text("build", thrum_build_info());
  bench_json_int("procs", procs);
  bench_json_int("n", n);
  bench_json_int("ops", ops);
  bench_json_number("ns_per_op", (double)span->wall_ns / (double)ops);
  bench_json_number("cpu_ns_per_op", (double)span->cpu_ns / (double)ops);
  bench_json_number("elapsed_s", (double)span->wall_ns / 1e9);
  bench_json_number("cpu_s", (double)span->cpu_ns / 1e9);
  bench_json_int("max_rss_kib", u.ru_maxrss);
}

/* Reports how late count sleeps ended; sorts them. Negative is too early. */
static inline void bench_json_lateness(int64_t* late, int64_t count) {
  bench_sort(late, count);
  bench_json_number("late_min_us", (double)late[0] / 1e3);
  bench_json_number("late_p50_us",
                    (double)bench_percentile(late, count, 0.50) / 1e3);
  bench_json_number("late_p99_us",
                    (double)bench_percentile(late, count, 0.99) / 1e3);
  bench_json_number("late_max_us", (double)late[count - 1] / 1e3);
}

static inline void bench_json_end(void) {
  printf("}\n");
  if (fflush(stdout) != 0 || ferror(stdout)) {
    exit(1);
  }
}

#endif
