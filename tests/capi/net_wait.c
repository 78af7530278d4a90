/* net_wait.c: waits of a connection: for bytes or for room without a buffer, those that
 * its timeout ends, and many that end at once. */
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

/* ---- its timeout ----------------------------------------------------------------- */

static void times_out(void* arg) {
  thrum_conn *c, *again;
  struct waits w;
  char buf[4096] = {0};
  int fd = to_raw(*(int*)arg, NULL, &c);
  CHECK_EQ(thrum_conn_set_timeout(c, THRUM_READABLE, -1), THRUM_EINVAL);
  CHECK_EQ(thrum_conn_set_timeout(c, 0, MS), THRUM_EINVAL);
  CHECK_EQ(thrum_conn_set_timeout(c, THRUM_READABLE | THRUM_WRITABLE, MS),
           THRUM_EINVAL);
  CHECK_EQ(thrum_conn_timeout(c, 0), THRUM_EINVAL);
  CHECK_EQ(thrum_conn_timeout(c, THRUM_READABLE), 0);
  thrum_g g = waiting(&w, c, THRUM_READABLE); /* its wait has begun */
  CHECK_EQ(thrum_conn_set_timeout(c, THRUM_READABLE, 2 * MS), 0);
  CHECK_EQ(thrum_conn_timeout(c, THRUM_READABLE), 2 * MS);
  CHECK_EQ(thrum_conn_timeout(c, THRUM_WRITABLE), 0);
  /* also of a call that never has its turn */
  CHECK_EQ(thrum_read(c, buf, 1, THRUM_FOREVER), THRUM_ETIMEDOUT);
  raw_write(fd, "x", 1);
  join_g(g);
  CHECK_EQ(w.result, 0);
  thrum_conn_retain(again = c); /* one for all handles */
  CHECK_EQ(thrum_read(again, buf, sizeof buf, THRUM_FOREVER), 1);
  CHECK_EQ(thrum_read(again, buf, sizeof buf, THRUM_FOREVER), THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_conn_wait(again, THRUM_READABLE, THRUM_FOREVER),
           THRUM_ETIMEDOUT);
  thrum_conn_release(again);
  /* a deadline is the call's own, a later one too */
  CHECK_EQ(thrum_read(c, buf, 1, THRUM_TRY), THRUM_EAGAIN);
  int64_t late = LATE(20 * MS);
  CHECK_EQ(thrum_read(c, buf, 1, late), THRUM_ETIMEDOUT);
  CHECK(thrum_now() >= late);
  /* of the other way */
  CHECK_EQ(thrum_conn_set_timeout(c, THRUM_WRITABLE, 2 * MS), 0);
  int64_t n;
  while ((n = thrum_write(c, buf, sizeof buf, THRUM_FOREVER)) ==
         (int64_t)sizeof buf) {}
  CHECK(n > 0 || n == THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_conn_wait(c, THRUM_WRITABLE, THRUM_FOREVER), THRUM_ETIMEDOUT);
  /* for ever again; the most there is as well */
  for (int64_t ns = 0; ns >= 0; ns = ns ? -1 : INT64_MAX) {
    CHECK_EQ(thrum_conn_set_timeout(c, THRUM_READABLE, ns), 0);
    g = waiting(&w, c, THRUM_READABLE);
    raw_write(fd, "y", 1);
    join_g(g);
    CHECK_EQ(w.result, 0);
    CHECK_EQ(thrum_read(c, buf, 1, SOON), 1);
  }
  close(fd);
  thrum_conn_release(c);
}
TEST(its_timeout) {
  for (int tcp = 0; tcp < 2; tcp++)
    on_one_p(times_out, &tcp);
}

/* ---- many ------------------------------------------------------------------------ */

/* More than the loop notes before it handles any. */
enum { CROWD = 150 };
struct crowd {
  thrum_conn* c[CROWD];
  word inside;
  word next;
};
static void crowd_reads(void* arg) {
  struct crowd* crowd = arg;
  char byte;
  size_t i = (size_t)add(&crowd->next, 1) - 1;
  add(&crowd->inside, 1);
  for (int round = 0; round < 3; round++)
    CHECK_EQ(thrum_read(crowd->c[i], &byte, 1, SOON), 1);
}
static void all_at_once(void* arg) {
  static struct crowd crowd;
  int ends[CROWD][2];
  thrum_g gs[CROWD];
  (void)arg;
  memset(&crowd, 0, sizeof crowd);
  for (int i = 0; i < CROWD; i++) {
    REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[i]), 0);
    REQUIRE_EQ(thrum_conn_adopt(NULL, ends[i][0], &crowd.c[i]), 0);
  }
  for (int i = 0; i < CROWD; i++)
    gs[i] = go(crowd_reads, &crowd);
  yield_until(&crowd.inside, CROWD);
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < CROWD;
         i++) /* no G in between: one turn finds them all */
      raw_write(ends[i][1], "z", 1);
    let_others_run();
  }
  for (int i = 0; i < CROWD; i++)
    join_g(gs[i]);
  for (int i = 0; i < CROWD; i++) {
    thrum_conn_release(crowd.c[i]);
    close(ends[i][1]);
  }
}
TEST(many_at_once) {
  on_one_p(all_at_once, NULL);
  on_threads(all_at_once, NULL);
}

static const struct check_case cases[] = {
    CASE(until_there_is_something),
    CASE(who_wakes_it),
    CASE(its_timeout),
    CASE(many_at_once),
};
NET_MAIN(cases)
