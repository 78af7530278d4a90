/* connections: what is left in the server after many have come and gone, and what
 * one costs there that has had a message echoed and waits for the next. A G each,
 * with its buffer on its stack. The clients are a process of their own.
 *
 * SPDX-License-Identifier: MIT */
#include "support/proc.h"

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <thrum/net.h>

enum { MESSAGE = 64, WARM = 500 };

static int64_t procs = 2, idle = 10000, comings = 50000, settle_ms = 3000,
               buffer = 512, hibernate = 0;
static int64_t port;
static int64_t served; /* atomic: connections that are open */

/* ---- the server ------------------------------------------------------------ */

static void echo(thrum_conn* conn, char* to, size_t size) {
  int64_t n;
  while ((n = thrum_read(conn, to, size, THRUM_FOREVER)) > 0 &&
         thrum_write(conn, to, (size_t)n, THRUM_FOREVER) == n) {}
  thrum_conn_release(conn);
  lab_add(&served, -1);
}
static void echo_512(void* conn) {
  char to[512];
  echo(conn, to, sizeof to);
}
static void echo_4096(void* conn) {
  char to[4096];
  echo(conn, to, sizeof to);
}

static void serve(void* arg) {
  thrum_listener* listener = arg;
  thrum_conn* conn;
  while (thrum_accept(listener, &conn, THRUM_FOREVER) == 0) {
    lab_add(&served, 1);
    bench_spawn(buffer <= 512 ? echo_512 : echo_4096, conn);
  }
}

/* ---- the clients ------------------------------------------------------------ */

static void must(int ok, const char* what) {
  if (!ok) {
    fprintf(stderr, "connections: %s: %s\n", what, strerror(errno));
    exit(1);
  }
}

static int dial(int to) {
  struct sockaddr_in a = {.sin_family = AF_INET,
                          .sin_port = htons((uint16_t)to)};
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  must(fd >= 0 && connect(fd, (struct sockaddr*)&a, sizeof a) == 0, "connect");
  return fd;
}

static void one_message(int fd) {
  char out[MESSAGE] = {1}, in[MESSAGE];
  must(send(fd, out, sizeof out, 0) == MESSAGE &&
           recv(fd, in, sizeof in, MSG_WAITALL) == MESSAGE,
       "echo");
}

/* Every other one goes without a word. Resets: ports in TIME_WAIT would run out. */
static void come_and_go(int to, int64_t n) {
  struct linger reset = {1, 0};
  for (int64_t i = 0; i < n; i++) {
    int fd = dial(to);
    if (i % 2 == 0) {
      one_message(fd);
    }
    must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0,
         "linger");
    close(fd);
  }
}

static void stay(int to, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    one_message(dial(to));
  }
}

/* ---- the two together: what to do one way, that it is done the other ---------- */

typedef struct order {
  void (*what)(int to, int64_t n);
  int64_t n;
  int to;
} order;

static int orders[2], answers[2];

static int clients(void) {
  close(orders[1]);
  close(answers[0]);
  order o;
  while (read(orders[0], &o, sizeof o) == (ssize_t)sizeof o) {
    o.what(o.to, o.n);
    must(write(answers[1], "", 1) == 1, "answer");
  }
  return 0;
}

static void let_clients(void (*what)(int to, int64_t n), int64_t n) {
  order o = {what, n, (int)port};
  char done;
  must(write(orders[1], &o, sizeof o) == (ssize_t)sizeof o, "order");
  must(read(answers[0], &done, 1) == 1, "the clients have ended");
}

/* ---- what is measured ---------------------------------------------------------- */

static int64_t status_kib(const char* key) {
  char line[128];
  int64_t kib = -1;
  FILE* f = fopen("/proc/self/status", "r");
  while (f != NULL && kib < 0 && fgets(line, sizeof line, f) != NULL) {
    if (strncmp(line, key, strlen(key)) == 0) {
      kib = strtoll(line + strlen(key), NULL, 10);
    }
  }
  must(f != NULL && kib >= 0, key);
  fclose(f);
  return kib;
}
static int64_t memory_kib(void) {
  return status_kib("VmRSS:") + status_kib("VmPTE:");
}

static int64_t descriptors(void) {
  int64_t n = 0;
  DIR* folder = opendir("/proc/self/fd");
  while (folder != NULL && readdir(folder) != NULL) {
    n++;
  }
  must(n > 0, "/proc/self/fd");
  closedir(folder);
  return n;
}

/* Once the server has seen the last go, and has had time to tidy up. */
static void all_gone(void) {
  while (lab_load(&served) != 0) {
    lab_nap(1000000);
  }
  lab_nap(settle_ms * 1000000);
}

static void room_for(int64_t n) {
  struct rlimit limit;
  must(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
  if (limit.rlim_max < (rlim_t)n) {
    printf("skipped: %" PRId64 " descriptors are needed, the limit is %" PRIu64
           "\n",
           n, (uint64_t)limit.rlim_max);
    exit(77);
  }
  limit.rlim_cur = limit.rlim_max;
  must(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
}

static thrum_rt* server(void) {
  thrum_config config;
  thrum_config_init(&config, sizeof config);
  config.procs = (uint32_t)procs;
  config.flags = hibernate ? THRUM_RT_HIBERNATE : 0;
  thrum_rt* rt = NULL;
  BENCH_MUST(thrum_rt_new(&rt, &config));
  return rt;
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_PROCS(&procs),
      {"idle", "connections that stay", &idle, 1, 1000000, NULL, NULL},
      {"comings", "connections that come and go", &comings, 1, 100000000, NULL,
       NULL},
      {"settle-ms", "time to tidy up", &settle_ms, 0, 600000, NULL, NULL},
      {"buffer", "bytes of each G's buffer, 512 or 4096", &buffer, 512, 4096,
       NULL, NULL},
      {"hibernate", "1: the Gs may hibernate", &hibernate, 0, 1, NULL, NULL},
  };
  lab_flags(argc, argv, flags, BENCH_COUNT(flags));
  room_for(idle + 200);
  must(pipe(orders) == 0 && pipe(answers) == 0, "pipe");
  pid_t child = fork();
  must(child >= 0, "fork");
  if (child == 0) {
    return clients();
  }
  close(orders[0]);
  close(answers[1]);

  thrum_rt* rt = server();
  thrum_listener* listener = NULL;
  BENCH_MUST(thrum_tcp_listen(rt, "127.0.0.1", 0, 4096, &listener));
  port = thrum_listener_port(listener);
  lab_spawn(rt, serve, listener);

  lab_begin(
      "connections",
      "the server's VmRSS and VmPTE (/proc/self/status) and its entries "
      "of /proc/self/fd, before and after, each read when nothing has "
      "happened for the time to tidy up; 500 connections come and go first");
  lab_int("buffer", "buffer of each, bytes", buffer <= 512 ? 512 : 4096);
  lab_int("settle_ms", "time to tidy up, ms", settle_ms);
  let_clients(come_and_go, WARM);
  all_gone();
  int64_t kib = memory_kib(), fds = descriptors();
  let_clients(come_and_go, comings);
  all_gone();
  lab_int("came", "came and went", comings);
  lab_int("left_fds", "  descriptors left", descriptors() - fds);
  lab_int("left_kib", "  memory left, KiB", memory_kib() - kib);

  kib = memory_kib();
  let_clients(stay, idle);
  lab_nap(settle_ms * 1000000);
  lab_int("idle", "wait for their next message", idle);
  lab_number("kib_each", "  memory of each", "KiB",
             (double)(memory_kib() - kib) / (double)idle);
  lab_end();

  close(orders[1]);
  must(waitpid(child, NULL, 0) == child, "waitpid");
  BENCH_MUST(thrum_listener_close(listener));
  thrum_listener_release(listener);
  while (lab_load(&served) != 0) {
    lab_nap(1000000);
  }
  lab_stop(rt);
  return 0;
}
