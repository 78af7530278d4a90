/* child.h: cases that run a part of their own program as a child process,
 * because it may crash, hang, print or change what cannot be changed back.
 *
 *   CHILD(loses) { ... }                        a child's part, by name
 *   TEST(loses) { run_child("loses", NULL); CHECK_EQ(child.code, 0); }
 *   CHILD_MAIN(cases, children)
 *
 * A child's checks print to its output; it exits with 1 if one failed. Parent
 * and children are the same executable. */
#ifndef THRUM_TESTS_CHILD_H
#define THRUM_TESTS_CHILD_H

#include "check.h"

#include <sys/mman.h>
#include <sys/wait.h>

struct child_part {
  const char* name;
  void (*fn)(const char* arg);
};
#define CHILD(name) static void child_##name(const char* arg)
#define PART(name) \
  { #name, child_##name }

/* What the last child left. */
static struct {
  int code, signal; /* code: exit status, -1 if a signal ended it */
  char out[65536], err[65536];
} child;

static inline void child_read(int fd, char* text, size_t size) {
  ssize_t n = pread(fd, text, size - 1, 0);
  text[n > 0 ? n : 0] = 0;
  close(fd);
}

/* Starts the part with output to two memory files. */
static inline pid_t child_start(const char* part, const char* arg, int* out,
                                int* err) {
  *out = memfd_create("out", MFD_CLOEXEC);
  *err = memfd_create("err", MFD_CLOEXEC);
  REQUIRE(*out >= 0 && *err >= 0);
  pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    dup2(*out, 1);
    dup2(*err, 2);
    /* a child that hangs ends before its parent gives up */
    alarm((unsigned)check_seconds * 9 / 10 + 1);
    execl("/proc/self/exe", "child", "--child", part, arg ? arg : "",
          (char*)NULL);
    _exit(126);
  }
  /* the case may take that long for each of its children */
  alarm((unsigned)check_seconds);
  return pid;
}
static inline void child_end(pid_t pid, int out, int err) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
  child.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  child.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  child_read(out, child.out, sizeof child.out);
  child_read(err, child.err, sizeof child.err);
}
static inline void run_child(const char* part, const char* arg) {
  int out, err;
  pid_t pid = child_start(part, arg, &out, &err);
  child_end(pid, out, err);
}
/* The usual expectation: it ended with this status, and otherwise is quoted. A
 * skip is not a failure. */
static inline void expect_child(const char* part, const char* arg, int code) {
  run_child(part, arg);
  CHECK_MSG(
      child.code == code || child.code == 77,
      "child %s %s: status %d, signal %d, not %d; it printed: %.300s%.300s",
      part, arg ? arg : "", child.code, child.signal, code, child.out,
      child.err);
}
/* A child says "skipped: reason" and exits with 77 where the machine cannot do
 * it. */
static inline int child_skipped(void) {
  if (child.code != 77)
    return 0;
  static char reason[200];
  snprintf(reason, sizeof reason, "%s",
           strstr(child.out, "skipped: ") ? strstr(child.out, "skipped: ") + 9
                                          : "no reason");
  reason[strcspn(reason, "\n")] = 0;
  check_skipped = reason;
  return 1;
}
__attribute__((noreturn)) static inline void child_skip(const char* reason) {
  printf("skipped: %s\n", reason);
  fflush(stdout);
  _exit(77);
}

/* For children that end with work unfinished: what they leave is no leak. */
static inline void child_may_leak(void) {
  setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
  setenv("TSAN_OPTIONS", "atexit_sleep_ms=0", 1);
}

static inline int child_lines(const char* text) {
  int n = 0;
  for (; *text; text++)
    n += *text == '\n';
  return n;
}
static inline int child_times(const char* text, const char* part) {
  int n = 0;
  for (const char* p = text; (p = strstr(p, part)) != NULL; p += strlen(part))
    n++;
  return n;
}

static inline int child_main(int argc, char** argv,
                             const struct check_case* cases, size_t count,
                             const struct child_part* parts,
                             size_t part_count) {
  if (argc < 3 || strcmp(argv[1], "--child") != 0)
    return check_main(argc, argv, cases, count);
  for (size_t i = 0; i < part_count; i++)
    if (strcmp(parts[i].name, argv[2]) == 0) {
      check_name = parts[i].name;
      check_warm_up();
      parts[i].fn(argc > 3 ? argv[3] : "");
      fflush(NULL);
      return __atomic_load_n(&check_failures, __ATOMIC_SEQ_CST) ? 1 : 0;
    }
  return 125;
}
#define CHILD_MAIN(cases, parts)                                    \
  int main(int argc, char** argv) {                                 \
    return child_main(argc, argv, cases, CHECK_COUNT(cases), parts, \
                      CHECK_COUNT(parts));                          \
  }

#endif
