/* echo: the TCP echo server, one G per connection; echo_load drives it. Prints
 * its port and serves until it is killed.
 *
 * SPDX-License-Identifier: MIT */
#include "support/bench.h"

#include <thrum/net.h>

static int64_t procs = 1, hogs = 0;

static void echo(void* arg) {
  thrum_conn* conn = arg;
  char buffer[4096];
  int64_t n;
  while ((n = thrum_read(conn, buffer, sizeof buffer, THRUM_FOREVER)) > 0 &&
         thrum_write(conn, buffer, (size_t)n, THRUM_FOREVER) == n) {}
  thrum_conn_release(conn);
}

/* Computes for ever, and asks as a loop of a compiler with safepoints does. */
static void hog(void* arg) {
  (void)arg;
  for (uint64_t x = 1; x != 0; x = (x * UINT64_C(6364136223846793005)) | 1) {
    BENCH_MUST(thrum_check());
  }
}

static void serve(void* arg) {
  (void)arg;
  thrum_listener* listener = NULL;
  BENCH_MUST(
      thrum_tcp_listen(thrum_rt_current(), "127.0.0.1", 0, 4096, &listener));
  printf("%d\n", thrum_listener_port(listener));
  fflush(stdout);
  for (int64_t i = 0; i < hogs; i++) {
    bench_spawn(hog, NULL);
  }
  for (;;) {
    thrum_conn* conn = NULL;
    BENCH_MUST(thrum_accept(listener, &conn, THRUM_FOREVER));
    bench_spawn(echo, conn);
  }
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_PROCS(&procs),
      {"hogs", "Gs that compute", &hogs, 0, 1000, NULL, NULL},
  };
  bench_flags(argc, argv, flags, BENCH_COUNT(flags));
  bench_run(procs, serve, NULL);
  return 0;
}
