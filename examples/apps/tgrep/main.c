/* tgrep: searches files and directory trees for fixed strings, on all cores.
 *
 *   tgrep [-p procs] [-j open] [-q] PATTERN [PATH...]
 *
 * Prints what `LC_ALL=C grep -rIF -- PATTERN PATH...` prints, file by file in
 * the order of a sorted depth-first walk, and ends with grep's exit status: 0 a
 * line matched, 1 none did, 2 something could not be read; 130 after Ctrl-C. A
 * summary goes to standard error.
 *   -p procs  how many Gs run at once (default: what the machine grants)
 *   -j open   how many files and directories may be open at once (default 64)
 *   -q        prints nothing, ends at the first match
 * See tgrep.h for how the parts fit together. This file: options, the runtime,
 * Ctrl-C, the exit status.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "match.h"
#include "sys.h"
#include "tgrep.h"

#define GRACE_NS 1000000000LL /* for what Ctrl-C finds running */

/* ---- Ctrl-C ------------------------------------------------------------- */

/* No thrum call is async-signal-safe, and a handler may run on any thread. It
 * only writes to a pipe that a G waits for; that G may call what it likes. It
 * writes two bytes: the G takes one, to see which it is, and the other keeps
 * the pipe readable for everyone else who polls it. */
static int wake_pipe[2];

static void wake_all(const char* why) {
  int err = errno;
  ssize_t n = write(wake_pipe[1], why, 2);
  (void)n; /* full: readable anyway */
  errno = err;
}

static void on_interrupt(int sig) {
  (void)sig;
  wake_all("!!");
}

void end_waits(void) { wake_all(".."); }

/* The first Ctrl-C is for us, a second one kills. An interrupt that was ignored
 * when we were started (nohup, a background job) stays ignored. */
static void catch_interrupt(void) {
  struct sigaction old, act;
  memset(&act, 0, sizeof act);
  act.sa_handler = on_interrupt;
  act.sa_flags = (int)(SA_RESTART | SA_RESETHAND);
  if (sigaction(SIGINT, NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
    sigaction(SIGINT, &act, NULL);
  }
}

/* A G that waits for the pipe in a declared blocking call. It cancels the
 * writer, which ends all the others; what does not end then (a read from a dead
 * disk) must not keep the user waiting. */
static void watch_main(void* arg) {
  struct app* app = arg;
  char why = 0;
  if (sys_wait_readable(wake_pipe[0], -1) == 1 &&
      sys_read(wake_pipe[0], &why, 1) == 1 && why == '!') {
    thrum_cancel(app->rt, app->writer);
    if (thrum_sleep(GRACE_NS) == 0) {
      static const char text[] = "\ntgrep: interrupted, not all reads ended\n";
      ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);
      (void)n;
      _exit(130);
    }
  }
}

/* ---- the first G -------------------------------------------------------- */

struct run {
  struct app app;
  struct report report;
};

static void run_main(void* arg) {
  struct run* run = arg;
  thrum_rt* rt = run->app.rt;
  thrum_spawn_opts opts = {.struct_size = sizeof opts, .name = "watch"};
  thrum_g watch = 0;
  run->app.writer = thrum_self();
  int rc = thrum_spawn(rt, &opts, watch_main, &run->app, &watch);
  if (rc < 0) {
    report_error("start", rc);
    run->report.outcome = FAILED;
    run->report.errors++;
    return;
  }
  report_write(&run->app, &run->report);
  thrum_shield(+1);
  end_waits();
  thrum_cancel(rt, watch);
  thrum_join(rt, watch, THRUM_FOREVER);
  thrum_shield(-1);
  run->app.spawned += 3; /* the walk, the watch, and this one */
}

/* ---- start and end ------------------------------------------------------ */

static int usage(void) {
  fputs("usage: tgrep [-p procs] [-j open] [-q] PATTERN [PATH...]\n", stderr);
  return 2;
}

static uint32_t number(const char* text) { /* 0: is none */
  char* end;
  unsigned long n = strtoul(text, &end, 10);
  return *end || text[0] == '-' || n > INT32_MAX ? 0 : (uint32_t)n;
}

static int exit_status(const struct report* r) {
  if (r->outcome == INTERRUPTED) {
    return 130;
  }
  if (r->outcome == FOUND_QUIETLY) {
    return 0;
  }
  return r->errors ? 2 : r->matched == 0;
}

/* Sets up what the Gs share; below 0: could not. */
static int app_init(struct app* app, uint32_t procs, uint32_t open_max) {
  thrum_config config;
  struct stat st;
  int rc = thrum_chan_new(sizeof(struct file*), FILES_AHEAD, &app->order);
  thrum_sem_release(&app->permits, open_max);
  if (fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode)) {
    app->out_is_file = 1;
    app->out_dev = st.st_dev;
    app->out_ino = st.st_ino;
  }
  if (pipe(wake_pipe) != 0) {
    return -errno;
  }
  for (int i = 0; i < 2; i++) {
    fcntl(wake_pipe[i], F_SETFL, O_NONBLOCK);
    fcntl(wake_pipe[i], F_SETFD, FD_CLOEXEC);
  }
  app->wake_fd = wake_pipe[0];
  thrum_config_init(&config, sizeof config);
  config.procs = procs;
  return rc < 0 ? rc : thrum_rt_new(&app->rt, &config);
}

static int app_run(struct run* run) {
  struct app* app = &run->app;
  int64_t start = thrum_now();
  int rc = thrum_run(app->rt, run_main, run);
  if (rc < 0) {
    report_error("run", rc);
    run->report.errors++;
  } else if (!app->quiet) {
    report_summary(app, &run->report, (double)(thrum_now() - start) / 1e9);
  }
  rc = thrum_rt_stop(app->rt, thrum_after(GRACE_NS));
  if (rc < 0) { /* something is still inside a system call: leave it there */
    report_error("stop", rc);
    _exit(exit_status(&run->report));
  }
  thrum_rt_free(app->rt);
  return exit_status(&run->report);
}

int main(int argc, char** argv) {
  static struct run run; /* zeroed: also a valid semaphore */
  struct app* app = &run.app;
  uint32_t procs = 0, open_max = 64;
  for (int c; (c = getopt(argc, argv, "p:j:q")) != -1;) {
    uint32_t n = c == 'q' || c == '?' ? 1 : number(optarg);
    if (c == '?' || n == 0) {
      return usage();
    }
    procs = c == 'p' ? n : procs;
    open_max = c == 'j' ? n : open_max;
    app->quiet = c == 'q' ? 1 : app->quiet;
  }
  if (optind == argc) {
    return usage();
  }
  struct patterns* patterns = patterns_new(argv[optind++]);
  int paths = argc - optind;
  struct stat st;
  app->patterns = patterns;
  app->paths = paths > 0 ? argv + optind : NULL;
  /* Like grep: one file alone is not named. */
  app->with_names =
      paths != 1 || (stat(app->paths[0], &st) == 0 && S_ISDIR(st.st_mode));
  int rc = patterns ? app_init(app, procs, open_max) : THRUM_ENOMEM;
  if (rc < 0) {
    report_error("start", rc);
    return 2;
  }
  catch_interrupt();
  int status = app_run(&run);
  thrum_chan_release(app->order);
  patterns_free(patterns);
  return status;
}
