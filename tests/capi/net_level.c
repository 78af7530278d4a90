/* net_level.c: the streams once more where the kernel refuses the edge trigger,
 * as an older or another one may: this program's epoll_ctl does. And how often
 * epoll_ctl is called where it is not refused. */
#include "../support/check.h"

#include <sys/epoll.h>
#include <sys/syscall.h>

#include "../support/net.h"

#define EXPORT __attribute__((visibility("default")))
static word refuses, calls;
EXPORT int epoll_ctl(int epoll, int op, int fd, struct epoll_event* e);
EXPORT int epoll_ctl(int epoll, int op, int fd, struct epoll_event* e) {
  add(&calls, 1);
  if (get(&refuses) && e && op != EPOLL_CTL_DEL && (e->events & EPOLLET)) {
    errno = EINVAL;
    return -1;
  }
  return (int)syscall(SYS_epoll_ctl, epoll, op, fd, e);
}

/* Waits that begin before there is something, while there is, and after. */
enum { PAIRS = 10, TRIPS = 200 };
struct side {
  thrum_conn *c, *other;
  int trips;
};
static void answers(void* arg) {
  struct side* s = arg;
  char buf[100];
  int64_t n;
  while ((n = thrum_read(s->other, buf, sizeof buf, SOON)) > 0)
    CHECK_EQ(thrum_write(s->other, buf, (size_t)n, SOON), n);
  CHECK_EQ(n, 0);
  thrum_conn_release(s->other);
}
static void asks(void* arg) {
  struct side* s = arg;
  unsigned char out[100], in[100];
  for (size_t i = 0; i < (size_t)s->trips; i++) {
    size_t n = 1 + i % 100;
    fill(out, n, i);
    CHECK_EQ(thrum_write(s->c, out, n, SOON), n);
    CHECK_EQ(read_full(s->c, in, n), n);
    CHECK_EQ(first_wrong(in, n, i), n);
  }
  thrum_conn_release(s->c);
}
static void echoes(void* arg) {
  struct side s[PAIRS];
  thrum_g g[PAIRS], h[PAIRS];
  for (int i = 0; i < PAIRS; i++) {
    s[i].trips = *(int*)arg;
    tcp_pair(&s[i].c, &s[i].other);
    g[i] = go(asks, &s[i]);
    h[i] = go(answers, &s[i]);
  }
  for (int i = 0; i < PAIRS; i++) {
    join_g(g[i]);
    join_g(h[i]);
  }
}
static void level(thrum_fn fn, void* arg) {
  set(&refuses, 1);
  on_net(fn, arg);
  set(&refuses, 0);
}
TEST(echo) {
  int trips = ROUNDS(TRIPS);
  level(echoes, &trips);
}

enum { LARGE = 4000000 };
static void drain(void* arg) {
  thrum_conn* c = arg;
  unsigned char* in = malloc(70001);
  size_t at = 0;
  for (int64_t n; (n = thrum_read(c, in, 70001, SOON)) > 0; at += (size_t)n) {
    CHECK_EQ(first_wrong(in, (size_t)n, at), n);
    thrum_yield();
  }
  CHECK_EQ(at, LARGE);
  free(in);
}
static void transfers(void* arg) {
  thrum_conn *a = NULL, *b = NULL;
  unsigned char* out = malloc(LARGE);
  (void)arg;
  fill(out, LARGE, 0);
  tcp_pair(&a, &b);
  thrum_g g = go(drain, b);
  CHECK_EQ(thrum_write(a, out, LARGE, SOON), LARGE);
  CHECK_EQ(thrum_conn_shutdown(a), 0);
  join_g(g);
  thrum_conn_release(a);
  thrum_conn_release(b);
  free(out);
}
TEST(transfer) { level(transfers, NULL); }

static void ends(void* arg) {
  thrum_conn* c = NULL;
  thrum_rt* rt = thrum_rt_current();
  char buf[8];
  int fd = unix_to_raw(NULL, &c);
  struct call k = {.c = c, .buf = buf, .n = 8, .deadline = THRUM_FOREVER};
  (void)arg;
  for (int i = 0; i < 20; i++) {
    thrum_g g = go(do_read, &k);
    wait_parked(rt, g);
    raw_write(fd, "abc", 3);
    join_g(g);
    CHECK_EQ(k.result, 3);
    CHECK_EQ(thrum_read(c, buf, 8, thrum_after(100000)), THRUM_ETIMEDOUT);
    raw_write(fd, "de", 2);
    CHECK_EQ(thrum_sleep(100000), 0); /* told, and nobody waits */
    CHECK_EQ(thrum_read(c, buf, 8, SOON), 2);
  }
  thrum_g g = go(do_read, &k);
  wait_parked(rt, g);
  CHECK_EQ(thrum_cancel(NULL, g), 0);
  join_g(g);
  CHECK_EQ(k.result, THRUM_ECANCELED);
  g = go(do_read, &k);
  wait_parked(rt, g);
  close(fd);
  join_g(g);
  CHECK_EQ(k.result, 0);
  thrum_conn_release(c);
}
TEST(how_it_ends) { level(ends, NULL); }

static int64_t cpu_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}
/* When the runtime most likely sleeps. */
static void* makes_room(void* arg) {
  char* all = malloc(1 << 20);
  for (int i = 0; i < 10; i++)
    check_pause();
  while (recv(*(int*)arg, all, 1 << 20, MSG_DONTWAIT) > 0) {}
  free(all);
  return NULL;
}
/* A peer that has ended its half is readable for good: who waits to write must
 * not make anybody turn in circles. */
static void half_ended(void* arg) {
  thrum_conn* c = NULL;
  int fd = unix_to_raw(NULL, &c);
  static char page[100];
  char buf[8];
  (void)arg;
  stuff(c);
  struct call k = {.c = c, .buf = page, .n = 100, .deadline = THRUM_FOREVER};
  CHECK_EQ(thrum_read(c, buf, 8, thrum_after(MS)), THRUM_ETIMEDOUT);
  thrum_g g = go(do_write, &k);
  wait_parked(thrum_rt_current(), g);
  CHECK_EQ(shutdown(fd, SHUT_WR), 0);
  CHECK_EQ(thrum_sleep(5 * MS), 0);
  /* the best of several tries: others may use this process' CPUs */
  int64_t best = INT64_MAX;
  for (int i = 0; i < 5; i++) {
    int64_t from = cpu_ns();
    CHECK_EQ(thrum_sleep(50 * MS), 0);
    int64_t took = cpu_ns() - from;
    best = took < best ? took : best;
  }
  CHECK_MSG(best < 25 * MS, "%lld of 50 ms", (long long)best / MS);
  /* and room still wakes him */
  pthread_t t;
  REQUIRE_EQ(pthread_create(&t, NULL, makes_room, &fd), 0);
  join_g(g);
  CHECK_EQ(k.result, 100);
  pthread_join(t, NULL);
  CHECK_EQ(thrum_read(c, buf, 8, SOON), 0);
  thrum_conn_release(c);
  close(fd);
}
/* Something to read, of which nobody wants to know, comes first. */
static void passed_over(void* arg) {
  thrum_conn* c = NULL;
  int fd = unix_to_raw(NULL, &c);
  static char page[100];
  char buf[8];
  (void)arg;
  stuff(c);
  struct call k = {.c = c, .buf = page, .n = 100, .deadline = THRUM_FOREVER};
  CHECK_EQ(thrum_read(c, buf, 8, thrum_after(MS)), THRUM_ETIMEDOUT);
  thrum_g g = go(do_write, &k);
  wait_parked(thrum_rt_current(), g);
  raw_write(fd, "x", 1);
  pthread_t t;
  REQUIRE_EQ(pthread_create(&t, NULL, makes_room, &fd), 0);
  join_g(g);
  CHECK_EQ(k.result, 100);
  pthread_join(t, NULL);
  CHECK_EQ(thrum_read(c, buf, 8, SOON), 1);
  thrum_conn_release(c);
  close(fd);
}
TEST(a_half_closed_peer) {
  level(half_ended, NULL);
  on_net(half_ended, NULL); /* and with the edge */
  level(passed_over, NULL);
  on_net(passed_over, NULL);
}

/* Steady traffic costs no epoll_ctl: 2 % of the reads at most. */
static void counted(void* arg) {
  thrum_conn *a = NULL, *b = NULL;
  (void)arg;
  tcp_pair(&a, &b);
  struct side s = {a, b, ROUNDS(10000)};
  word before = get(&calls);
  thrum_g g = go(asks, &s), h = go(answers, &s);
  join_g(g);
  join_g(h);
  word used = get(&calls) - before;
  CHECK_MSG(used <= 2 * s.trips / 50, "%d calls for %d round trips", (int)used,
            s.trips);
}
TEST(calls_per_echo) {
  word before = get(&calls);
  in_rt(RT_P1, net_first_wait, NULL);
  if (get(&calls) == before)
    SKIP("epoll_ctl of this program is not the library's");
  on_net(counted, NULL);
}

static const struct check_case cases[] = {
    CASE(echo),           CASE(transfer),
    CASE(how_it_ends),    CASE(a_half_closed_peer),
    CASE(calls_per_echo),
};
NET_MAIN(cases)
