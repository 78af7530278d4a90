/* net_wait.c: thrum_conn_wait: a wait for bytes, or for room, without a buffer. */
#include "../support/check.h"

#include "../support/net.h"

static void readable(void* arg) {
  thrum_conn* c;
  int fd = to_raw(*(int*)arg, NULL, &c);
  char buf[64];
  CHECK_EQ(thrum_conn_wait(c, 0, SOON), THRUM_EINVAL);
  CHECK_EQ(thrum_conn_wait(c, THRUM_READABLE | THRUM_WRITABLE, SOON),
           THRUM_EINVAL);
  CHECK_EQ(thrum_conn_wait(c, THRUM_READABLE, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_conn_wait(c, THRUM_READABLE, PAST), THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_conn_wait(c, THRUM_READABLE, LATE(2 * MS)), THRUM_ETIMEDOUT);
  for (int i = 0; i < 10; i++) {
    raw_write(fd, "abc", 3);
    CHECK_EQ(thrum_conn_wait(c, THRUM_READABLE, SOON), 0);
    CHECK_EQ(thrum_conn_wait(c, THRUM_READABLE, SOON), 0); /* it stays */
    CHECK_EQ(thrum_read(c, buf, 2, SOON), 2);
    CHECK_EQ(thrum_conn_wait(c, THRUM_READABLE, THRUM_TRY), 0);
    CHECK_EQ(thrum_read(c, buf, sizeof buf, SOON), 1); /* a short read */
    /* Once it may say so of what has just been read. */
    int rc = thrum_conn_wait(c, THRUM_READABLE, LATE(MS));
    if (rc == 0)
      rc = thrum_conn_wait(c, THRUM_READABLE, LATE(MS));
    CHECK_EQ(rc, THRUM_ETIMEDOUT);
    raw_write(fd, "d", 1);
    is_there(thrum_conn_fd(c));
    /* what has come counts, also where the wait would be over */
    CHECK_EQ(thrum_conn_wait(c, THRUM_READABLE, PAST), 0);
    CHECK_EQ(thrum_read(c, buf, sizeof buf, THRUM_TRY), 1);
  }
  close(fd);
  CHECK_EQ(thrum_conn_wait(c, THRUM_READABLE, SOON), 0); /* the end is */
  CHECK_EQ(thrum_read(c, buf, sizeof buf, SOON), 0);
  thrum_conn_release(c);
}
TEST(until_there_is_something) {
  for (int tcp = 0; tcp < 2; tcp++)
    on_net(readable, &tcp);
}

struct waits {
  thrum_conn* c;
  int events, result;
  word about;
};
static void wait_for_it(void* arg) {
  struct waits* w = arg;
  add(&w->about, 1);
  w->result = thrum_conn_wait(w->c, w->events, THRUM_FOREVER);
}
static thrum_g waiting(struct waits* w, thrum_conn* c, int events) {
  *w = (struct waits){c, events, 1, 0};
  thrum_g g = go(wait_for_it, w);
  yield_until(&w->about, 1);
  let_others_run();
  CHECK_EQ(w->result, 1);
  return g;
}
static void woken(void* arg) {
  thrum_conn* c;
  struct waits w;
  char buf[4096];
  (void)arg;
  int fd = tcp_to_raw(NULL, &c);
  thrum_g g = waiting(&w, c, THRUM_READABLE);
  raw_write(fd, "x", 1);
  join_g(g);
  CHECK_EQ(w.result, 0);
  CHECK_EQ(thrum_read(c, buf, 1, SOON), 1);
  g = waiting(&w, c, THRUM_READABLE);
  CHECK_EQ(thrum_cancel(NULL, g), 0);
  join_g(g);
  CHECK_EQ(w.result, THRUM_ECANCELED);
  /* no room: until the peer has read */
  CHECK_EQ(thrum_conn_wait(c, THRUM_WRITABLE, SOON), 0);
  memset(buf, 0, sizeof buf);
  size_t in = 0;
  for (int64_t n; (n = thrum_write(c, buf, sizeof buf, THRUM_TRY)) > 0;)
    in += (size_t)n;
  g = waiting(&w, c, THRUM_WRITABLE);
  for (size_t out = 0; out < in;) {
    ssize_t n = recv(fd, buf, sizeof buf, 0);
    REQUIRE(n > 0);
    out += (size_t)n;
  }
  join_g(g);
  CHECK_EQ(w.result, 0);
  g = waiting(&w, c, THRUM_READABLE);
  CHECK_EQ(thrum_conn_close(c), 0);
  join_g(g);
  CHECK_EQ(w.result, THRUM_ECLOSED);
  CHECK_EQ(thrum_conn_wait(c, THRUM_READABLE, SOON), THRUM_ECLOSED);
  thrum_conn_release(c);
  close(fd);
}
TEST(who_wakes_it) { on_one_p(woken, NULL); }

static const struct check_case cases[] = {
    CASE(until_there_is_something),
    CASE(who_wakes_it),
};
NET_MAIN(cases)
