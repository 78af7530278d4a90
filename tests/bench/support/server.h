/* A server under load: a program of its own that prints its port as its first
 * line and serves until SIGTERM. Whoever drives it also starts it, pins it, and
 * reads what CPU time it used.
 *
 * SPDX-License-Identifier: MIT */
#ifndef THRUM_TESTS_BENCH_SERVER_H
#define THRUM_TESTS_BENCH_SERVER_H

#include "bench.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct bench_server {
  pid_t pid;
  int port;
  clockid_t clock; /* CPU time of all its threads, also of those that ended */
} bench_server;

static inline void bench_errno(const char* what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

#define BENCH_SYS(call)   \
  do {                    \
    if ((call) < 0) {     \
      bench_errno(#call); \
    }                     \
  } while (0)

/* The calling thread and what it starts later; -1: anywhere. */
static inline void bench_pin(int64_t cpu) {
  if (cpu >= 0) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    BENCH_SYS(sched_setaffinity(0, sizeof set, &set));
  }
}

/* The line is the shell's, which the program replaces: the pid is its own. */
static inline void bench_server_start(bench_server* s, const char* line,
                                      int64_t cpu) {
  int ends[2];
  BENCH_SYS(pipe(ends));
  fflush(stdout);
  BENCH_SYS(s->pid = fork());
  if (s->pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    bench_pin(cpu);
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    execl("/bin/sh", "sh", "-c", line, (char*)NULL);
    _exit(127);
  }
  close(ends[1]);
  FILE* said = fdopen(ends[0], "r");
  if (said == NULL || fscanf(said, "%d", &s->port) != 1) {
    fprintf(stderr, "no port from: %s\n", line);
    exit(1);
  }
  fclose(said);
  errno = clock_getcpuclockid(s->pid, &s->clock);
  BENCH_SYS(errno == 0 ? 0 : -1);
}

static inline int64_t bench_server_cpu(const bench_server* s) {
  struct timespec t;
  BENCH_SYS(clock_gettime(s->clock, &t));
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* It must still be there, and end by the signal or because of it. */
static inline void bench_server_stop(const bench_server* s) {
  int status = 0;
  pid_t ended = waitpid(s->pid, &status, WNOHANG);
  if (ended == 0) {
    kill(s->pid, SIGTERM);
    for (int ms = 0; ended == 0 && ms < 10000; ms++) {
      const struct timespec one_ms = {0, 1000000};
      nanosleep(&one_ms, NULL);
      ended = waitpid(s->pid, &status, WNOHANG);
    }
  } else {
    bench_wrong("the server ended by itself, status", status, 0);
  }
  if (ended == 0) {
    kill(s->pid, SIGKILL);
    bench_wrong("seconds the server took to end", 10, 0);
  }
  if (WIFSIGNALED(status) ? WTERMSIG(status) != SIGTERM
                          : WEXITSTATUS(status) != 0) {
    bench_wrong("status with which the server ended", status, SIGTERM);
  }
}

#endif
