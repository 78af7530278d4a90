/* echo_load: drives a TCP echo server. One thread over raw epoll holds conns
 * connections, each with one message of 64 bytes under way: it waits for the
 * echo, compares every byte, and sends the next. One op is one such round.
 *
 * It starts the server itself (--server LINE, a shell line; --procs and, if
 * there are any, --hogs are put behind it) and reads the CPU time that all the
 * server's threads used while it measured.
 *
 * SPDX-License-Identifier: MIT */
#include "support/bench.h"

#include "support/histogram.h"
#include "support/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

enum {
  MESSAGE = 64,
  WORDS = MESSAGE / 8,
  EVENTS = 512,
  STALL_MS = 10000,
  /* Of the ports that one source address has by default. */
  CONNS_PER_ADDRESS = 20000
};

static int64_t procs = 1, conns = 64, hogs = 0, cpu = -1, server_cpu = -1;
static int64_t warm_ms = 500, run_ms = 3000;
static const char* server_line = "";

typedef struct client {
  int fd;
  int got; /* bytes of the echo so far */
  int64_t sent_at;
  uint64_t message[WORDS];
  char echo[MESSAGE + 1]; /* one more: a server that sends too much is seen */
} client;

static client* clients;
static int epoll_fd;
static bench_histogram* histogram;

static int64_t send_next(client* c, int64_t now) {
  c->message[0]++;
  c->got = 0;
  c->sent_at = now;
  ssize_t n = write(c->fd, c->message, MESSAGE);
  if (n < 0) {
    bench_errno("write");
  }
  bench_check("bytes written", n, MESSAGE);
  return now;
}

/* Returns the time at which an echo was complete, or 0. */
static int64_t take(client* c) {
  ssize_t n = read(c->fd, c->echo + c->got, sizeof c->echo - (size_t)c->got);
  if (n < 0 && errno == EAGAIN) {
    return 0;
  }
  if (n < 0) {
    bench_errno("read");
  }
  if (n == 0) {
    bench_wrong("connection closed by the server, number", c - clients, -1);
  }
  c->got += (int)n;
  if (c->got < MESSAGE) {
    return 0;
  }
  bench_check("bytes of an echo", c->got, MESSAGE);
  bench_check("echo differs", memcmp(c->echo, c->message, MESSAGE), 0);
  return bench_now();
}

/* Keeps all connections busy until that time; returns the echoes. */
static int64_t drive(int64_t until, bench_histogram* into) {
  struct epoll_event events[EVENTS];
  int64_t ops = 0, now = 0;
  while (now < until) {
    int n = epoll_wait(epoll_fd, events, EVENTS, STALL_MS);
    if (n == 0) {
      bench_wrong("ms without an echo", STALL_MS, 0);
    }
    if (n < 0 && errno != EINTR) {
      bench_errno("epoll_wait");
    }
    for (int i = 0; i < n; i++) {
      client* c = events[i].data.ptr;
      int64_t done = take(c);
      if (done != 0) {
        if (into != NULL) {
          bench_histogram_add(into, done - c->sent_at);
        }
        ops++;
        now = send_next(c, done);
      }
    }
  }
  return ops;
}

static void dial(client* c, int64_t number, int port) {
  BENCH_SYS(c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  int on = 1;
  BENCH_SYS(setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
  BENCH_SYS(
      setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on));
  struct sockaddr_in at;
  memset(&at, 0, sizeof at);
  at.sin_family = AF_INET;
  at.sin_addr.s_addr =
      htonl(INADDR_LOOPBACK + (uint32_t)(number / CONNS_PER_ADDRESS));
  BENCH_SYS(bind(c->fd, (struct sockaddr*)&at, sizeof at));
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  at.sin_port = htons((uint16_t)port);
  BENCH_SYS(connect(c->fd, (struct sockaddr*)&at, sizeof at));
  BENCH_SYS(fcntl(c->fd, F_SETFL, O_NONBLOCK));
  struct epoll_event event;
  event.events = EPOLLIN | EPOLLET;
  event.data.ptr = c;
  BENCH_SYS(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event));
  for (int64_t i = 0; i < WORDS; i++) {
    c->message[i] = bench_random((uint64_t)(number * WORDS + i));
  }
}

/* For both sides: the server inherits it. */
static void raise_descriptors(void) {
  struct rlimit limit;
  BENCH_SYS(getrlimit(RLIMIT_NOFILE, &limit));
  limit.rlim_cur = limit.rlim_max;
  BENCH_SYS(setrlimit(RLIMIT_NOFILE, &limit));
  if (limit.rlim_cur < (rlim_t)conns + 100) {
    bench_wrong("descriptors that the system grants", (int64_t)limit.rlim_cur,
                conns + 100);
  }
}

static void start_server(bench_server* server) {
  char line[4096];
  int length = snprintf(line, sizeof line, "exec %s --procs %" PRId64,
                        server_line, procs);
  if (hogs > 0) {
    length += snprintf(line + length, sizeof line - (size_t)length,
                       " --hogs %" PRId64, hogs);
  }
  bench_check("the server's line fits", length < (int)sizeof line, 1);
  bench_server_start(server, line, server_cpu);
}

static void report(const bench_span* span, int64_t ops, int64_t all_ops,
                   int64_t server_ns) {
  double each = 1.0 / (double)ops;
  printf("{\"bench\": \"echo\"");
  bench_json_text("server", server_line);
  bench_json_int("procs", procs);
  bench_json_int("n", conns);
  bench_json_int("conns", conns);
  bench_json_int("hogs", hogs);
  bench_json_int("cpu", cpu);
  bench_json_int("server_cpu", server_cpu);
  bench_json_int("ops", ops);
  bench_json_int("all_ops", all_ops);
  bench_json_number("ns_per_op", (double)span->wall_ns * each);
  bench_json_number("cpu_ns_per_op", (double)server_ns * each);
  bench_json_number("elapsed_s", (double)span->wall_ns / 1e9);
  bench_json_number("cpu_s", (double)server_ns / 1e9);
  bench_json_number("requests_per_s",
                    (double)ops / ((double)span->wall_ns / 1e9));
  bench_json_number("p50_us", bench_histogram_at(histogram, 0.5) / 1e3);
  bench_json_number("p99_us", bench_histogram_at(histogram, 0.99) / 1e3);
  bench_json_number("p999_us", bench_histogram_at(histogram, 0.999) / 1e3);
  bench_json_number("max_us", (double)histogram->max_ns / 1e3);
  bench_json_number("server_us", (double)server_ns * each / 1e3);
  bench_json_number("client_us", (double)span->cpu_ns * each / 1e3);
  bench_json_end();
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      {"server", "the server's shell line", NULL, 0, 0, &server_line, NULL},
      BENCH_FLAG_PROCS(&procs),
      {"conns", "connections", &conns, 1, 1000000, NULL, NULL},
      {"hogs", "Gs of the server that compute", &hogs, 0, 1000, NULL, NULL},
      {"cpu", "where this program runs; -1: anywhere", &cpu, -1, 1023, NULL,
       NULL},
      {"server-cpu", "where the server runs; -1: anywhere", &server_cpu, -1,
       1023, NULL, NULL},
      BENCH_FLAG_NUMBER("warm-ms", "load before the measured one", &warm_ms, 0),
      BENCH_FLAG_NUMBER("run-ms", "measured load", &run_ms, 1),
  };
  bench_flags(argc, argv, flags, BENCH_COUNT(flags));
  bench_pin(cpu);
  raise_descriptors();
  bench_server server;
  start_server(&server);
  BENCH_SYS(epoll_fd = epoll_create1(EPOLL_CLOEXEC));
  histogram = bench_alloc(1, sizeof *histogram);
  clients = bench_alloc(conns, sizeof *clients);
  for (int64_t i = 0; i < conns; i++) {
    dial(&clients[i], i, server.port);
  }
  for (int64_t i = 0; i < conns; i++) {
    send_next(&clients[i], bench_now());
  }
  int64_t all_ops = drive(bench_now() + warm_ms * 1000000, NULL);
  bench_span span;
  int64_t server_ns = bench_server_cpu(&server);
  bench_start(&span);
  int64_t ops = drive(span.wall_ns + run_ms * 1000000, histogram);
  bench_stop(&span);
  server_ns = bench_server_cpu(&server) - server_ns;
  bench_server_stop(&server);
  report(&span, ops, all_ops + ops, server_ns);
  return 0;
}
