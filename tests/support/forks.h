/* forks.h: children that go on in the middle of a case, without an exec.
 *
 *   pid_t pid = fork_child();
 *   if (pid == 0) {
 *     CHECK(...);
 *     child_done();
 *   }
 *   CHECK_EQ(child_status(pid), 0);
 *
 * A child's failed checks are printed like its parent's, and make its status 1.
 * One that hangs is ended by its watchdog. */
#ifndef THRUM_TESTS_FORKS_H
#define THRUM_TESTS_FORKS_H

#include "check.h"

#include <dirent.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "atomics.h"

/* Is this a child? Of no interest to anybody: what lies on the stacks of threads
 * that stayed behind would be a leak to the sanitizer. */
static int fork_is_child;
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void) { return fork_is_child; }

/* TSan does not watch the child of several threads, but lets it run. Of a child
 * that goes from the fibre that forked to another it has a wrong idea: where that
 * is the test, it is to report nothing (FORKS_UNWATCHED). */
const char* __tsan_default_options(void);
const char* __tsan_default_options(void) {
#ifdef FORKS_UNWATCHED
  return "die_after_fork=0:report_bugs=0:atexit_sleep_ms=0";
#else
  return "die_after_fork=0";
#endif
}

/* For a child that ends by exit(0). */
static inline void fork_verdict(void) {
  if (fork_is_child && __atomic_load_n(&check_failures, __ATOMIC_SEQ_CST))
    _exit(1);
}

/* GCC 12's ASan forks without its allocator's locks: a child whose parent had a
 * thread inside it, as at a thread's start, waits for ever. So under ASan the
 * others should sleep by then, if they do at all. */
static inline int others_run(void) {
  DIR* d = opendir("/proc/self/task");
  REQUIRE(d != NULL);
  int n = 0;
  for (struct dirent* e; (e = readdir(d)) != NULL;) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/self/task/%.20s/stat", e->d_name);
    FILE* f = e->d_name[0] == '.' ? NULL : fopen(path, "re");
    if (!f)
      continue;
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    const char* p = strrchr(text, ')');
    n += p && p[1] && p[2] == 'R';
  }
  closedir(d);
  return n > 1; /* one is the caller */
}
static inline void others_sleep(void) {
  for (int i = 0, calm = 0; i < 100 && calm < 3; i++) {
    calm = others_run() ? 0 : calm + 1;
    usleep(1000);
  }
}

static inline pid_t fork_child(void) {
  fflush(stdout);
  if (CHECK_ASAN)
    others_sleep();
  pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    fork_is_child = 1;
    __atomic_store_n(&check_failures, 0, __ATOMIC_SEQ_CST);
    atexit(fork_verdict);
    alarm((unsigned)check_seconds / 3 + 1); /* before its parent gives up */
  }
  return pid;
}

__attribute__((noreturn)) static inline void child_done(void) {
  _exit(__atomic_load_n(&check_failures, __ATOMIC_SEQ_CST) ? 1 : 0);
}

static inline int child_status(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
  return status;
}

/* A page that parents and children share. */
static inline word* shared_words(void) {
  void* p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                 -1, 0);
  REQUIRE(p != MAP_FAILED);
  return p;
}

#endif
