/* check.h: the harness of the C test programs.
 *
 * A program is a list of small cases that run one after the other in one
 * process:
 *
 *   TEST(adds) { CHECK_EQ(1 + 1, 2); }
 *   static const struct check_case cases[] = {CASE(adds)};
 *   CHECK_MAIN(cases)
 *
 *   ./program              runs every case, prints "ok NAME",
 *                          "FAIL NAME: why" or "skipped NAME: reason"
 *   ./program --list       prints the names
 *   ./program NAME...      runs these
 *   ./program --repeat N   runs everything N times
 *
 * Exit status: 0 all passed, 1 something failed, 77 everything was skipped.
 *
 * A check that fails is printed and counted, and the case goes on: a check may
 * stand in a G or in any thread, where nothing could be unwound. REQUIRE ends
 * the process instead, for what the rest of the case cannot do without.
 *
 * Every case runs under a watchdog: $THRUM_TEST_TIMEOUT seconds (60; five times
 * that under a sanitizer), then the name of the case is printed and the process
 * aborts. And every case must leave as many threads and descriptors behind as
 * it found: each stops the runtimes that it made.
 *
 * Include this file first: it asks for the GNU interfaces of the C library. */
#ifndef THRUM_TESTS_CHECK_H
#define THRUM_TESTS_CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define CHECK_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CHECK_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define CHECK_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CHECK_TSAN 1
#endif
#endif
#ifndef CHECK_ASAN
#define CHECK_ASAN 0
#endif
#ifndef CHECK_TSAN
#define CHECK_TSAN 0
#endif
#define CHECK_SANITIZED (CHECK_ASAN || CHECK_TSAN)

/* A count of rounds: fewer under a sanitizer, where each costs more. */
#define ROUNDS(n) \
  (CHECK_TSAN ? ((n) + 9) / 10 : CHECK_ASAN ? ((n) + 3) / 4 : (n))

/* How many times the short measure a stress program shall run: $THRUM_STRESS;
 * 20 with $THRUM_LONG; else 1. */
static inline int check_stress(void) {
  const char *stress = getenv("THRUM_STRESS"), *longer = getenv("THRUM_LONG");
  int n = stress                                          ? atoi(stress)
          : longer && *longer && strcmp(longer, "0") != 0 ? 20
                                                          : 1;
  return n > 0 ? n : 1;
}

struct check_case {
  const char* name;
  void (*fn)(void);
};

#define TEST(name) static void case_##name(void)
#define CASE(name) \
  { #name, case_##name }
#define CHECK_COUNT(array) (sizeof(array) / sizeof(*(array)))
#define CHECK_MAIN(cases)                                     \
  int main(int argc, char** argv) {                           \
    return check_main(argc, argv, cases, CHECK_COUNT(cases)); \
  }

/* ---- the running case: one process, one case at a time ------------------- */

static const char* check_name = "(no case)";
/* which variant of the case runs; set between variants only */
static const char* check_context = "";
static const char* check_skipped;
static int check_failures; /* atomic */

#define CHECK_MOST_LINES 20

static inline void check_write(int fd, const char* text, size_t n) {
  while (n > 0) {
    ssize_t k = write(fd, text, n);
    if (k <= 0)
      return;
    text += k;
    n -= (size_t)k;
  }
}

__attribute__((format(printf, 3, 4))) static inline void
check_fail(const char* file, int line, const char* format, ...) {
  int saved = errno;
  int before = __atomic_fetch_add(&check_failures, 1, __ATOMIC_SEQ_CST);
  if (before < CHECK_MOST_LINES) {
    char text[1024];
    const char* base = strrchr(file, '/');
    int n = snprintf(text, sizeof text - 2, "FAIL %s:%s%s %s:%d: ", check_name,
                     *check_context ? " " : "", check_context,
                     base ? base + 1 : file, line);
    va_list args;
    va_start(args, format);
    n += vsnprintf(text + n, sizeof text - 2 - (size_t)n, format, args);
    va_end(args);
    if (n > (int)sizeof text - 3)
      n = (int)sizeof text - 3;
    text[n++] = '\n';
    check_write(1, text, (size_t)n);
  }
  errno = saved;
}

#define CHECK(expr)                                \
  do {                                             \
    if (!(expr))                                   \
      check_fail(__FILE__, __LINE__, "%s", #expr); \
  } while (0)

#define CHECK_MSG(expr, ...)                       \
  do {                                             \
    if (!(expr))                                   \
      check_fail(__FILE__, __LINE__, __VA_ARGS__); \
  } while (0)

/* Integers of any type; both sides are printed. */
#define CHECK_EQ(got, want)                                                   \
  do {                                                                        \
    long long check_got_ = (long long)(got), check_want_ = (long long)(want); \
    if (check_got_ != check_want_)                                            \
      check_fail(__FILE__, __LINE__, "%s is %lld, not %s (%lld)", #got,       \
                 check_got_, #want, check_want_);                             \
  } while (0)

#define CHECK_LE(small, big)                                                 \
  do {                                                                       \
    long long check_small_ = (long long)(small),                             \
              check_big_ = (long long)(big);                                 \
    if (check_small_ > check_big_)                                           \
      check_fail(__FILE__, __LINE__, "%s (%lld) is above %s (%lld)", #small, \
                 check_small_, #big, check_big_);                            \
  } while (0)

#define CHECK_STR(got, want)                                           \
  do {                                                                 \
    const char *check_s_ = (got), *check_t_ = (want);                  \
    if (!check_s_ || strcmp(check_s_, check_t_) != 0)                  \
      check_fail(__FILE__, __LINE__, "%s is \"%s\", not \"%s\"", #got, \
                 check_s_ ? check_s_ : "(null)", check_t_);            \
  } while (0)

#define REQUIRE(expr)                                             \
  do {                                                            \
    if (!(expr)) {                                                \
      check_fail(__FILE__, __LINE__, "%s (cannot go on)", #expr); \
      _exit(1);                                                   \
    }                                                             \
  } while (0)

#define REQUIRE_EQ(got, want)                                                  \
  do {                                                                         \
    long long check_got_ = (long long)(got), check_want_ = (long long)(want);  \
    if (check_got_ != check_want_) {                                           \
      check_fail(__FILE__, __LINE__,                                           \
                 "%s is %lld, not %s (%lld) (cannot go on)", #got, check_got_, \
                 #want, check_want_);                                          \
      _exit(1);                                                                \
    }                                                                          \
  } while (0)

#define SKIP(reason)          \
  do {                        \
    check_skipped = (reason); \
    return;                   \
  } while (0)

/* ---- what a case must not leave behind ----------------------------------- */

/* Entries of a directory below /proc/self; -1 where there is none. */
static inline int check_entries(const char* path) {
  DIR* dir = opendir(path);
  if (!dir)
    return -1;
  int n = 0;
  for (struct dirent* e; (e = readdir(dir)) != NULL;)
    if (e->d_name[0] != '.')
      n++;
  closedir(dir);
  return n;
}
static inline int check_threads(void) {
  return check_entries("/proc/self/task");
}
static inline int check_fds(void) { return check_entries("/proc/self/fd"); }

static inline void check_pause(void) {
  struct timespec t = {0, 1000000};
  nanosleep(&t, NULL);
}

/* A joined thread leaves /proc a moment after its join returned: wait for the
 * count, and return what it settled on. */
static inline int check_threads_settle(int want) {
  int n = check_threads();
  for (int i = 0; i < 5000 && n > want; i++) {
    check_pause();
    n = check_threads();
  }
  return n;
}

/* ---- watchdog ------------------------------------------------------------ */

static int check_seconds = 60;

static inline void check_on_alarm(int sig) {
  (void)sig;
  char text[256];
  size_t n = 0;
  const char* parts[] = {"FAIL ",
                         check_name,
                         *check_context ? ": " : "",
                         check_context,
                         ": still running after ",
                         NULL,
                         " s; giving up\n"};
  char digits[16];
  int k = (int)sizeof digits;
  digits[--k] = 0;
  for (int v = check_seconds; v > 0; v /= 10)
    digits[--k] = (char)('0' + v % 10);
  parts[5] = digits + k;
  for (size_t i = 0; i < CHECK_COUNT(parts); i++)
    for (const char* p = parts[i]; *p && n < sizeof text; p++)
      text[n++] = *p;
  check_write(1, text, n);
  signal(SIGABRT, SIG_DFL);
  abort();
}

static inline void* check_nothing(void* arg) { return arg; }

/* What the C library or a sanitizer keeps for the life of the process is there
 * before anything is counted. */
static inline void check_warm_up(void) {
  int before = check_threads();
  pthread_t t;
  if (pthread_create(&t, NULL, check_nothing, NULL) == 0)
    pthread_join(t, NULL);
  check_threads_settle(before + CHECK_TSAN);
}

static inline int check_run(const struct check_case* c, int leaks) {
  check_name = c->name;
  check_context = "";
  check_skipped = NULL;
  __atomic_store_n(&check_failures, 0, __ATOMIC_SEQ_CST);
  int threads = check_threads(), fds = check_fds();
  alarm((unsigned)check_seconds);
  c->fn();
  check_context = "";
  if (leaks && threads > 0) {
    int now = check_threads_settle(threads);
    CHECK_MSG(now <= threads, "leaves %d thread(s) behind", now - threads);
    CHECK_MSG(check_fds() == fds, "had %d descriptors before and %d after", fds,
              check_fds());
  }
  alarm(0);
  char line[300];
  int failed = __atomic_load_n(&check_failures, __ATOMIC_SEQ_CST), n;
  if (failed)
    n = snprintf(line, sizeof line, "FAIL %s: %d check(s)\n", c->name, failed);
  else if (check_skipped)
    n = snprintf(line, sizeof line, "skipped %s: %s\n", c->name, check_skipped);
  else
    n = snprintf(line, sizeof line, "ok %s\n", c->name);
  check_write(1, line, (size_t)n);
  return failed ? 1 : check_skipped ? 77 : 0;
}

static inline int check_main(int argc, char** argv,
                             const struct check_case* cases, size_t count) {
  int repeat = 1, leaks = 1, ran = 0, failed = 0, skipped = 0, named = 0;
  if (CHECK_SANITIZED)
    check_seconds *= 5;
  if (check_stress() > 1)
    check_seconds *= check_stress();
  const char* seconds = getenv("THRUM_TEST_TIMEOUT");
  if (seconds && atoi(seconds) > 0)
    check_seconds = atoi(seconds);
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--list") == 0) {
      for (size_t k = 0; k < count; k++)
        printf("%s\n", cases[k].name);
      return 0;
    }
    if (strcmp(argv[i], "--repeat") == 0 && i + 1 < argc) {
      repeat = atoi(argv[++i]);
      continue;
    }
    named++;
    int known = 0;
    for (size_t k = 0; k < count; k++)
      known |= strcmp(argv[i], cases[k].name) == 0;
    if (!known) {
      fprintf(stderr, "%s: no case of that name: %s\n", argv[0], argv[i]);
      return 1;
    }
  }
  struct sigaction on_alarm;
  memset(&on_alarm, 0, sizeof on_alarm);
  on_alarm.sa_handler = check_on_alarm;
  sigaction(SIGALRM, &on_alarm, NULL);
  check_warm_up();
  for (int r = 0; r < repeat; r++)
    for (size_t k = 0; k < count; k++) {
      int wanted = named == 0;
      for (int i = 1; i < argc && !wanted; i++)
        wanted = strcmp(argv[i], cases[k].name) == 0;
      if (!wanted)
        continue;
      int rc = check_run(&cases[k], leaks);
      ran++;
      failed += rc == 1;
      skipped += rc == 77;
    }
  if (failed)
    return 1;
  return ran > 0 && skipped == ran ? 77 : 0;
}

#endif
