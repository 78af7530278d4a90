/* ping_pong: two Gs hand one number to and fro over two channels.
 *
 * A channel of capacity 0 is a rendezvous: send returns when the other side has
 * received. The receiver is parked and the sender hands over to it directly, so
 * a round trip costs two switches and no kernel call.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <thrum/thrum.h>

enum { ROUNDS = 200000 };

struct table {
  thrum_chan* ping;
  thrum_chan* pong;
};

static void player(void* arg) {
  struct table* table = arg;
  uint64_t ball;
  /* Until the other side closes. */
  while (thrum_chan_recv(table->ping, &ball, THRUM_FOREVER) == 0) {
    ball++;
    if (thrum_chan_send(table->pong, &ball, THRUM_FOREVER) < 0) {
      break;
    }
  }
}

static void first(void* arg) {
  struct table* table = arg;
  uint64_t ball = 0;
  thrum_g g;
  int rc = thrum_spawn(NULL, NULL, player, table, &g);
  if (rc < 0) {
    return;
  }
  int64_t start = thrum_now();
  for (int i = 0; i < ROUNDS && rc == 0; i++) {
    rc = thrum_chan_send(table->ping, &ball, THRUM_FOREVER);
    rc = rc < 0 ? rc : thrum_chan_recv(table->pong, &ball, THRUM_FOREVER);
  }
  int64_t took = thrum_now() - start;
  thrum_chan_close(table->ping);
  thrum_join(NULL, g, THRUM_FOREVER);
  printf("%llu round trips, %lld ns each\n", (unsigned long long)ball,
         (long long)(took / ROUNDS));
}

int main(void) {
  thrum_rt* rt;
  struct table table = {NULL, NULL};
  int rc = thrum_rt_new(&rt, NULL);
  if (rc < 0) {
    fprintf(stderr, "ping_pong: %s\n", thrum_strerror(rc));
    return 1;
  }
  rc = thrum_chan_new(sizeof(uint64_t), 0, &table.ping);
  rc = rc < 0 ? rc : thrum_chan_new(sizeof(uint64_t), 0, &table.pong);
  rc = rc < 0 ? rc : thrum_run(rt, first, &table);
  if (rc < 0) {
    fprintf(stderr, "ping_pong: %s\n", thrum_strerror(rc));
  }
  thrum_rt_stop(rt, THRUM_FOREVER);
  thrum_rt_free(rt);
  thrum_chan_release(table.ping);
  thrum_chan_release(table.pong);
  return rc < 0;
}
