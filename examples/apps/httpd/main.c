/* httpd: serves the files below a directory by HTTP/1.1, one G per connection.
 *
 *   httpd [options] ROOT
 *     -a ADDRESS  where to listen (default 127.0.0.1; "*" is everywhere)
 *     -p PORT     0: any (default 8080)
 *     -P PROCS    how many Gs run at once (default: what the machine grants)
 *     -n CONNS    connections at a time (default 10000); more of them wait
 *     -c MIB      contents that are kept in memory (default 64)
 *     --idle S    a connection may be silent between requests (default 60)
 *     --head S    and take so long to send a request's head (default 10)
 *     --body S    or its body (default 30)
 *     --write S   and take nothing of an answer (default 30)
 *     --drain S   after SIGTERM or SIGINT what was begun may take (default 10)
 *
 * The first signal starts the drain, a second one kills. Exit status: 0 everybody
 * was answered, 1 somebody was cut off, 2 it could not start. See httpd.h for how
 * the parts fit together. This file: options, the runtime, the G that accepts,
 * signals, the drain.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <thrum/os.h>
#include <unistd.h>

#include "httpd.h"

/* ---- accepting ----------------------------------------------------------- */

/* Who finds no place waits here, and others in the kernel's queue; meanwhile those
 * who have one leave after their next answer. */
static int place_take(struct app* app) {
  int rc = thrum_sem_acquire(&app->places, THRUM_TRY);
  if (rc == THRUM_EAGAIN) {
    __atomic_store_n(&app->full, 1, __ATOMIC_RELAXED);
    rc = thrum_sem_acquire(&app->places, THRUM_FOREVER);
    __atomic_store_n(&app->full, 0, __ATOMIC_RELAXED);
  }
  return rc;
}

static int accept_one(struct app* app) {
  thrum_conn* peer;
  int rc = thrum_accept(app->listener, &peer, THRUM_FOREVER);
  if (rc < 0) {
    return rc;
  }
  rc = place_take(app);
  if (rc == 0 && (rc = conn_start(app, peer)) < 0) {
    thrum_sem_release(&app->places, 1);
  }
  if (rc < 0) {
    thrum_conn_release(peer);
  }
  return rc;
}

static void accept_main(void* arg) {
  int rc;
  while ((rc = accept_one(arg)) != THRUM_ECLOSED && rc != THRUM_ECANCELED) {
    if (rc <
        0) { /* no descriptor, no memory: others give theirs back in time */
      fprintf(stderr, "httpd: accept: %s\n", thrum_strerror(rc));
      thrum_sleep(SECOND / 10);
    }
  }
}

/* ---- signals and the drain ----------------------------------------------- */

static int signals_begin(thrum_rt* rt, thrum_chan** signals) {
  int rc = thrum_chan_new(sizeof(int32_t), 1, signals);
  rc = rc < 0 ? rc : thrum_signal_notify(rt, SIGTERM, *signals);
  return rc < 0 ? rc : thrum_signal_notify(rt, SIGINT, *signals);
}

/* The first G: lives until a signal comes. Another one then does what signals do. */
static void run_main(void* arg) {
  struct app* app = arg;
  const struct options* o = &app->o;
  thrum_spawn_opts opts = {.struct_size = sizeof opts, .name = "accept"};
  thrum_g accepting;
  thrum_chan* signals = NULL;
  int32_t signo;
  int rc = signals_begin(app->rt, &signals);
  if (rc == 0) {
    rc = thrum_tcp_listen(app->rt, o->host, o->port, 0, &app->listener);
  }
  if (rc == 0) {
    rc = thrum_spawn(app->rt, &opts, accept_main, app, &accepting);
  }
  app->error = rc;
  if (rc == 0) {
    printf("httpd: http://%s:%d/ is %s, on %d Ps\n", o->host ? o->host : "*",
           thrum_listener_port(app->listener), o->root, thrum_procs(app->rt));
    fflush(stdout);
    thrum_chan_recv(signals, &signo, THRUM_FOREVER);
    thrum_listener_close(app->listener);
    thrum_cancel(app->rt, accepting); /* it may wait for a place */
    thrum_join(app->rt, accepting, THRUM_FOREVER);
    thrum_signal_stop(app->rt, signals);
  }
  thrum_chan_release(signals);
}

static int serve(struct app* app) {
  int64_t began = thrum_now();
  int rc = thrum_run(app->rt, run_main, app);
  if (rc < 0 || app->error < 0) {
    fprintf(stderr, "httpd: %s\n", thrum_strerror(rc < 0 ? rc : app->error));
    return 2;
  }
  rc = thrum_rt_stop(app->rt, thrum_after(app->o.drain_ns));
  counts_summary(app->counts, (double)(thrum_now() - began) / 1e9);
  if (rc < 0) { /* somebody still reads: he is cut off */
    _exit(1);
  }
  return 0;
}

/* ---- options ------------------------------------------------------------- */

static int usage(void) {
  fputs("usage: httpd [-a address] [-p port] [-P procs] [-n connections]\n"
        "  [-c MiB] [--idle s] [--head s] [--body s] [--write s] [--drain s] "
        "ROOT\n",
        stderr);
  return 2;
}

/* Below 0: it is no number, or too large. */
static double number(const char* text, double most) {
  char* end;
  double n = strtod(text, &end);
  return *text && !*end && n >= 0 && n <= most ? n : -1;
}

static int options_read(int argc, char** argv, struct options* o) {
  enum { IDLE = 256, HEAD_S, BODY_S, WRITE_S, DRAIN };
  static const struct option longs[] = {
      {"idle", 1, NULL, IDLE},   {"head", 1, NULL, HEAD_S},
      {"body", 1, NULL, BODY_S}, {"write", 1, NULL, WRITE_S},
      {"drain", 1, NULL, DRAIN}, {NULL, 0, NULL, 0}};
  for (int c; (c = getopt_long(argc, argv, "a:p:P:n:c:", longs, NULL)) != -1;) {
    double n =
        c == 'a' || c == '?' ? 0 : number(optarg, c == 'p' ? 65535 : 1e6);
    if (c == '?' || n < 0 || (c == 'n' && n < 1)) {
      return -1;
    }
    int64_t ns = (int64_t)(n * (double)SECOND);
    switch (c) {
      case 'a':
        o->host = strcmp(optarg, "*") == 0 ? NULL : optarg;
        break;
      case 'p':
        o->port = (uint16_t)n;
        break;
      case 'P':
        o->procs = (uint32_t)n;
        break;
      case 'n':
        o->conns = (uint32_t)n;
        break;
      case 'c':
        o->cache = (uint64_t)(n * (1 << 20));
        break;
      case IDLE:
        o->idle_ns = ns;
        break;
      case HEAD_S:
        o->head_ns = ns;
        break;
      case BODY_S:
        o->body_ns = ns;
        break;
      case WRITE_S:
        o->write_ns = ns;
        break;
      default:
        o->drain_ns = ns;
        break;
    }
  }
  if (optind + 1 != argc) {
    return -1;
  }
  o->root = argv[optind];
  return 0;
}

int main(int argc, char** argv) {
  static struct app app = {.o = {.host = "127.0.0.1",
                                 .port = 8080,
                                 .conns = 10000,
                                 .cache = 64 << 20,
                                 .idle_ns = 60 * SECOND,
                                 .head_ns = 10 * SECOND,
                                 .body_ns = 30 * SECOND,
                                 .write_ns = 30 * SECOND,
                                 .drain_ns = 10 * SECOND}};
  if (options_read(argc, argv, &app.o) < 0) {
    return usage();
  }
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  int rc;
  app.files = files_new(app.o.root, app.o.cache, &rc);
  if (!app.files) {
    fprintf(stderr, "httpd: %s: %s\n", app.o.root, thrum_strerror(rc));
    return 2;
  }
  thrum_config config;
  thrum_config_init(&config, sizeof config);
  config.procs = app.o.procs;
  app.counts = counts_new();
  rc = app.counts ? thrum_rt_new(&app.rt, &config) : THRUM_ENOMEM;
  if (rc < 0) {
    fprintf(stderr, "httpd: %s\n", thrum_strerror(rc));
    return 2;
  }
  thrum_sem_release(&app.places, app.o.conns);
  int status = serve(&app);
  thrum_listener_release(app.listener);
  thrum_rt_stop(app.rt, THRUM_FOREVER);
  thrum_rt_free(app.rt);
  files_free(app.files);
  counts_free(app.counts);
  return status;
}
