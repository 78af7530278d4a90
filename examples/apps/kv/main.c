/* kv: a Redis-compatible server of strings with expiry, publish/subscribe and an
 * append-only log.
 *
 *   kv [OPTION VALUE]...
 *     --port N          where it listens (6379; 0: the system picks one)
 *     --host ADDRESS    127.0.0.1; "all": on every address
 *     --log FILE        kv.aof; what is in it comes back at the next start
 *     --appendfsync P   always: an answer leaves when the disk has it, one fsync
 *                       for all who wait; everysec (the default): what the last
 *                       second brought may be lost; no: the system decides
 *     --no-log          keeps nothing
 *     --procs N         how many Gs run at once (what the machine grants)
 *     --max-clients N   10000
 *     --max-request N   MiB that one request may take (64)
 *     --max-behind N    MiB that a subscriber may be behind before it is shut out
 *                       (32)
 *
 * SIGTERM and SIGINT end it: answers go out, the log is synced. Exit status 0; 1:
 * it could not start, and says why; 2: wrong options. See kv.h for how the parts
 * fit together.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <thrum/os.h>
#include <unistd.h>

#include "kv.h"

#define SECOND 1000000000LL
enum {
  GRACE_S = 5,            /* for answers on their way at the end */
  STACK_SIZE = 64 * 1024, /* of each G, touched as needed */
  FILES_BESIDES = 32,     /* descriptors that are no clients */
  MIB = 1024 * 1024
};

struct options options = {.host = "127.0.0.1",
                          .log = "kv.aof",
                          .port = 6379,
                          .clients_max = 10000,
                          .request_max = 64 * MIB,
                          .output_max = 32 * MIB};
thrum_rt* runtime;
int64_t server_started;

/* ---- signals ------------------------------------------------------------ */

static thrum_chan* signals; /* int32_t */

static int catch_signals(void) {
  int rc = thrum_chan_new(sizeof(int32_t), 1, &signals);
  rc = rc < 0 ? rc : thrum_signal_notify(NULL, SIGTERM, signals);
  return rc < 0 ? rc : thrum_signal_notify(NULL, SIGINT, signals);
}

/* Waits for the first; closing the listener ends the G that accepts. */
static void watch_main(void* listener) {
  int32_t sig = 0;
  if (thrum_chan_recv(signals, &sig, THRUM_FOREVER) == 0) {
    printf("kv: %s: ending\n", sig == SIGINT ? "interrupted" : "terminated");
    fflush(stdout);
  }
  thrum_listener_close(listener);
}

/* ---- the first G -------------------------------------------------------- */

static void accept_all(thrum_listener* listener) {
  int rc, full = 0;
  thrum_conn* conn;
  while ((rc = thrum_accept(listener, &conn, THRUM_FOREVER)) != THRUM_ECLOSED &&
         rc != THRUM_ECANCELED) {
    if (rc == 0) {
      full = 0;
      client_start(conn);
    } else { /* no descriptors or no memory: they wait in the queue meanwhile */
      if (!full) {
        fprintf(stderr, "kv: cannot accept just now: %s\n", thrum_strerror(rc));
      }
      full = 1;
      thrum_sleep(SECOND / 10);
    }
  }
}

static thrum_listener* listen_or_say(void) {
  thrum_listener* listener = NULL;
  const char* host = strcmp(options.host, "all") == 0 ? NULL : options.host;
  int rc = thrum_tcp_listen(NULL, host, options.port, 0, &listener);
  if (rc < 0) {
    fprintf(stderr, "kv: cannot listen on %s, port %u: %s; %s\n", options.host,
            options.port, thrum_strerror(rc),
            rc == THRUM_EADDRINUSE
                ? "end what listens there, or take another port (--port N)"
                : "try another address (--host ADDRESS) or port (--port N)");
    return NULL;
  }
  options.port = thrum_listener_port(listener);
  return listener;
}

/* Everybody answers what he has read, then ends. */
static void end_clients(void) {
  clients_end(0);
  if (clients_wait(thrum_after(GRACE_S * SECOND)) < 0) {
    fprintf(stderr, "kv: some clients do not take their answers: closed\n");
    clients_end(1);
    clients_wait(THRUM_FOREVER);
  }
}

static void run_main(void* status) {
  thrum_g log = 0, sweep = 0, watch = 0;
  thrum_listener* listener = listen_or_say();
  if (!listener) {
    return;
  }
  int rc = catch_signals();
  rc = rc < 0 ? rc : thrum_spawn(NULL, NULL, log_main, NULL, &log);
  rc = rc < 0 ? rc : thrum_spawn(NULL, NULL, store_sweep, NULL, &sweep);
  rc = rc < 0 ? rc : thrum_spawn(NULL, NULL, watch_main, listener, &watch);
  if (rc < 0) {
    fprintf(stderr, "kv: cannot start: %s\n", thrum_strerror(rc));
    _exit(1);
  }
  printf("kv: ready on %s, port %u, %d P, log: %s\n", options.host,
         options.port, thrum_procs(runtime),
         log_is_open() ? log_sync_name(log_get_sync()) : "none");
  fflush(stdout);
  accept_all(listener);
  thrum_listener_close(listener);
  thrum_cancel(runtime, watch);
  end_clients();
  thrum_cancel(runtime, sweep);
  log_close();
  thrum_join(NULL, log, THRUM_FOREVER);
  thrum_join(NULL, sweep, THRUM_FOREVER);
  thrum_join(NULL, watch, THRUM_FOREVER);
  thrum_listener_release(listener);
  thrum_signal_stop(NULL, signals);
  thrum_chan_release(signals);
  *(int*)status = 0;
}

/* ---- start and end ------------------------------------------------------ */

static int usage(const char* why, const char* what) {
  fprintf(stderr,
          "kv: %s%s\nusage: kv [--port N] [--host ADDRESS] [--log FILE | "
          "--no-log] [--appendfsync always|everysec|no]\n          [--procs N] "
          "[--max-clients N] [--max-request MIB] [--max-behind MIB]\n",
          why, what);
  return 0;
}

static int read_options(int argc, char** argv) {
  static const struct {
    const char* name;
    uint32_t least, most, unit;
    uint32_t* to;
  } numbers[] = {{"--procs", 1, 1024, 1, &options.procs},
                 {"--max-clients", 1, 1000000, 1, &options.clients_max},
                 {"--max-request", 1, 1024, MIB, &options.request_max},
                 {"--max-behind", 1, 1024, MIB, &options.output_max},
                 {"--port", 0, 65535, 1, NULL}};
  log_set_sync(SYNC_EVERYSEC);
  for (int i = 1; i < argc; i += 2) {
    const char *name = argv[i], *text = i + 1 < argc ? argv[i + 1] : NULL;
    enum log_sync sync;
    int64_t n = -1;
    if (strcmp(name, "--no-log") == 0) {
      options.log = NULL;
      i--;
      continue;
    }
    size_t k = 0, all = sizeof numbers / sizeof numbers[0];
    while (k < all && strcmp(name, numbers[k].name) != 0) {
      k++;
    }
    if (!text) {
      return usage("an unknown option, or one without its value: ", name);
    }
    if (strcmp(name, "--host") == 0) {
      options.host = text;
    } else if (strcmp(name, "--log") == 0) {
      options.log = text;
    } else if (strcmp(name, "--appendfsync") == 0) {
      if (!log_sync_named(slice_of(text), &sync)) {
        return usage("--appendfsync takes always, everysec or no: ", text);
      }
      log_set_sync(sync);
    } else if (k == all) {
      return usage("an unknown option: ", name);
    } else if (!text_to_int(slice_of(text), &n) || n < numbers[k].least ||
               n > numbers[k].most) {
      return usage("no number that can be: ", text);
    } else if (numbers[k].to) {
      *numbers[k].to = (uint32_t)n * numbers[k].unit;
    } else {
      options.port = (uint16_t)n;
    }
  }
  return 1;
}

/* As many descriptors as clients may come, or as many clients as descriptors. */
static void fit_clients(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return;
  }
  rlim_t want = options.clients_max + (rlim_t)FILES_BESIDES;
  if (limit.rlim_cur < want) {
    limit.rlim_cur = want < limit.rlim_max ? want : limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  if (limit.rlim_cur < want) {
    options.clients_max = limit.rlim_cur > 2 * FILES_BESIDES
                              ? (uint32_t)limit.rlim_cur - FILES_BESIDES
                              : FILES_BESIDES;
    fprintf(stderr,
            "kv: at most %u clients, for there are %llu descriptors; raise "
            "the limit (ulimit -n %llu) for more\n",
            options.clients_max, (unsigned long long)limit.rlim_cur,
            (unsigned long long)want);
  }
}

int main(int argc, char** argv) {
  thrum_config config;
  int status = 1;
  if (!read_options(argc, argv)) {
    return 2;
  }
  fit_clients();
  commands_init();
  thrum_config_init(&config, sizeof config);
  config.procs = options.procs;
  config.stack_size = STACK_SIZE;
  config.idle_ns = SECOND; /* who waits gives the rest of its stack back */
  int rc = store_open();
  rc = rc < 0 ? rc : thrum_rt_new(&runtime, &config);
  if (rc < 0) {
    fprintf(stderr, "kv: cannot start: %s\n", thrum_strerror(rc));
    return 1;
  }
  server_started = thrum_now();
  if (log_open(options.log)) {
    rc = thrum_run(runtime, run_main, &status);
    if (rc < 0) {
      fprintf(stderr, "kv: %s\n", thrum_strerror(rc));
    }
  }
  thrum_rt_stop(runtime, THRUM_FOREVER);
  thrum_rt_free(runtime);
  log_free();
  pubsub_close();
  store_close();
  return status;
}
