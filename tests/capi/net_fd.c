/* net_fd.c: descriptors of the host's: thrum_poll_fd and thrum_fd. What libuv's
 * own tests of uv_poll show (both directions, one direction, closing, many
 * handles, what cannot be polled, hang-ups) is asked here of the functions that
 * stand on it. */
#include "../support/check.h"

#include <sys/eventfd.h>
#include <sys/timerfd.h>

#include "../support/net.h"

enum { R = THRUM_READABLE, W = THRUM_WRITABLE };

struct ends {
  int r, w;
};
static struct ends a_pipe(void) {
  int fds[2];
  REQUIRE_EQ(pipe2(fds, O_CLOEXEC), 0);
  return (struct ends){fds[0], fds[1]};
}
static void fill_pipe(int fd) {
  char page[4096] = {0};
  int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  while (write(fd, page, sizeof page) > 0) {}
  fcntl(fd, F_SETFL, flags);
}
static thrum_fd* watched(int fd) {
  thrum_fd* f = NULL;
  REQUIRE_EQ(thrum_fd_new(NULL, fd, &f), 0);
  return f;
}

/* Waits by thrum_poll_fd or, if there is one, by the handle. */
struct wait {
  thrum_rt* rt;
  thrum_fd* f;
  int fd, events;
  int64_t deadline;
  int result;
};
static void do_wait(void* arg) {
  struct wait* w = arg;
  w->result = w->f ? thrum_fd_wait(w->f, w->events, w->deadline)
                   : thrum_poll_fd(w->rt, w->fd, w->events, w->deadline);
}
static int wait_now(struct wait w, int events, int64_t deadline) {
  w.events = events;
  w.deadline = deadline;
  do_wait(&w);
  return w.result;
}
static struct wait* start(struct wait w, int events, thrum_g* g) {
  struct wait* k = malloc(sizeof *k);
  *k = w;
  k->events = events;
  k->deadline = THRUM_FOREVER;
  *g = go(do_wait, k);
  wait_parked(thrum_rt_current(), *g);
  return k;
}
static int end_of(struct wait* k, thrum_g g) {
  join_g(g);
  int result = k->result;
  free(k);
  return result;
}

static void one_direction(void* arg) {
  for (int handle = 0; handle < 2; handle++) {
    struct ends p = a_pipe();
    struct wait r = {NULL, handle ? watched(p.r) : NULL, p.r, 0, 0, 0},
                w = {NULL, handle ? watched(p.w) : NULL, p.w, 0, 0, 0};
    thrum_g g;
    char c;
    (void)arg;
    for (int round = 0; round < 3; round++) {
      CHECK_EQ(wait_now(w, W, SOON), W);
      CHECK_EQ(wait_now(w, R | W, SOON), W);
      CHECK_EQ(wait_now(r, R, THRUM_TRY), THRUM_EAGAIN);
      CHECK_EQ(wait_now(r, R, PAST), THRUM_ETIMEDOUT);
      CHECK_EQ(wait_now(r, R, thrum_after(MS)), THRUM_ETIMEDOUT);
      struct wait* k = start(r, R, &g);
      CHECK_EQ(write(p.w, "ab", 2), 2);
      CHECK_EQ(end_of(k, g), R);
      /* it is level: as long as there is something */
      CHECK_EQ(wait_now(r, R, PAST), R);
      CHECK_EQ(read(p.r, &c, 1), 1);
      CHECK_EQ(wait_now(r, R, SOON), R);
      CHECK_EQ(read(p.r, &c, 1), 1);
      CHECK_EQ(wait_now(r, R, THRUM_TRY), THRUM_EAGAIN);
    }
    fill_pipe(p.w);
    CHECK_EQ(wait_now(w, W, thrum_after(MS)), THRUM_ETIMEDOUT);
    struct wait* k = start(w, W, &g);
    char* all = malloc(1 << 20);
    CHECK(read(p.r, all, 1 << 20) > 0);
    free(all);
    CHECK_EQ(end_of(k, g), W);
    thrum_fd_release(r.f);
    thrum_fd_release(w.f);
    close(p.r);
    close(p.w);
  }
}
TEST(pipes) { on_net(one_direction, NULL); }

/* The writer goes while somebody waits: a hang-up counts as all. */
static void hang_ups(void* arg) {
  (void)arg;
  for (int handle = 0; handle < 2; handle++)
    for (int data = 0; data < 2; data++)
      for (int events = R; events <= (R | W); events++) {
        struct ends p = a_pipe();
        struct wait r = {NULL, handle ? watched(p.r) : NULL, p.r, 0, 0, 0};
        thrum_g g;
        if (data && !(events & R))
          CHECK_EQ(write(p.w, "x", 1), 1);
        struct wait* k = start(r, events, &g);
        close(p.w);
        CHECK_EQ(end_of(k, g), events);
        CHECK_EQ(wait_now(r, events, THRUM_TRY), events);
        thrum_fd_release(r.f);
        close(p.r);
        /* the reader goes, and the pipe is full */
        p = a_pipe();
        fill_pipe(p.w);
        struct wait w = {NULL, handle ? watched(p.w) : NULL, p.w, 0, 0, 0};
        k = start(w, events, &g);
        close(p.r);
        CHECK_EQ(end_of(k, g), events);
        thrum_fd_release(w.f);
        close(p.w);
      }
}
TEST(hang_up) { on_net(hang_ups, NULL); }

static void both_directions(void* arg) {
  int s[2];
  (void)arg;
  REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
  struct wait a = {NULL, watched(s[0]), s[0], 0, 0, 0};
  thrum_g reader, writer, either[3];
  char page[65536] = {0};
  while (send(s[0], page, sizeof page, MSG_DONTWAIT) > 0) {}
  struct wait *r = start(a, R, &reader), *w = start(a, W, &writer), *e[3];
  for (int i = 0; i < 3; i++)
    e[i] = start(a, R | W, &either[i]);
  CHECK_EQ(send(s[1], "x", 1, 0), 1);
  CHECK_EQ(end_of(r, reader), R);
  for (int i = 0; i < 3; i++)
    CHECK_EQ(end_of(e[i], either[i]), R);
  CHECK_EQ(thrum_join(NULL, writer, THRUM_TRY), THRUM_EAGAIN);
  while (recv(s[1], page, sizeof page, MSG_DONTWAIT) > 0) {}
  CHECK_EQ(end_of(w, writer), W);
  CHECK_EQ(wait_now(a, R | W, SOON), R | W);
  CHECK_EQ(recv(s[0], page, 1, 0), 1);
  CHECK_EQ(wait_now(a, R | W, SOON), W);
  /* its peer ends writing: readable, and nothing else */
  while (send(s[0], page, sizeof page, MSG_DONTWAIT) > 0) {}
  r = start(a, R, &reader);
  w = start(a, W, &writer);
  CHECK_EQ(shutdown(s[1], SHUT_WR), 0);
  CHECK_EQ(end_of(r, reader), R);
  CHECK_EQ(thrum_join(NULL, writer, THRUM_TRY), THRUM_EAGAIN);
  close(s[1]);
  CHECK_EQ(end_of(w, writer), W);
  thrum_fd_release(a.f);
  close(s[0]);
}
TEST(duplex) { on_net(both_directions, NULL); }

static void other_kinds(void* arg) {
  int e = eventfd(0, EFD_CLOEXEC),
      t = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  uint64_t n = 1;
  thrum_g g;
  (void)arg;
  struct wait w = {NULL, NULL, e, 0, 0, 0};
  for (int i = 0; i < 3; i++) {
    struct wait* k = start(w, R, &g);
    CHECK_EQ(write(e, &n, 8), 8);
    CHECK_EQ(end_of(k, g), R);
    CHECK_EQ(read(e, &n, 8), 8);
    n = 1;
  }
  struct itimerspec in = {{0, 0}, {0, 1000000}};
  w.fd = t;
  CHECK_EQ(wait_now(w, R, THRUM_TRY), THRUM_EAGAIN);
  REQUIRE_EQ(timerfd_settime(t, 0, &in, NULL), 0);
  CHECK_EQ(wait_now(w, R, SOON), R);
  close(t);
  close(e);
}
TEST(eventfds_and_timers) { on_net(other_kinds, NULL); }

static void refusals(void* arg) {
  thrum_fd* f = (thrum_fd*)arg;
  int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC),
      dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (int i = 0; i < 2; i++) {
    int fd = i ? dir : file;
    CHECK_EQ(thrum_poll_fd(NULL, fd, R, SOON), THRUM_EPERM);
    CHECK_EQ(thrum_fd_new(NULL, fd, &f), THRUM_EPERM);
    CHECK(f == NULL);
  }
  CHECK_EQ(thrum_poll_fd(NULL, -1, R, SOON), THRUM_EBADF);
  CHECK_EQ(thrum_poll_fd(NULL, 999999, R, SOON), THRUM_EBADF);
  CHECK_EQ(thrum_fd_new(NULL, -1, &f), THRUM_EBADF);
  for (int bad = -1; bad < 5; bad += bad == 0 ? 4 : 1)
    CHECK_EQ(thrum_poll_fd(NULL, 0, bad, SOON), THRUM_EINVAL);
  close(file);
  close(dir);
}
TEST(refused) { on_net(refusals, NULL); }

/* The number is the host's: closing it wakes nobody, and it may be another's. */
static void closed_meanwhile(void* arg) {
  (void)arg;
  for (int handle = 0; handle < 2; handle++) {
    struct ends p = a_pipe(), q;
    struct wait r = {NULL, handle ? watched(p.r) : NULL, p.r, 0, 0, 0};
    thrum_g g, g2;
    struct wait* k = start(r, R, &g);
    int was = p.r;
    close(p.r);
    q = a_pipe(); /* most likely with that number */
    let_others_run();
    CHECK_EQ(thrum_join(NULL, g, THRUM_TRY), THRUM_EAGAIN);
    struct wait other = {NULL, NULL, q.r, 0, 0, 0};
    struct wait* k2 = start(other, R, &g2);
    CHECK_EQ(write(p.w, "x", 1), 1); /* the duplicate keeps it open */
    CHECK_EQ(end_of(k, g), R);
    CHECK_EQ(thrum_join(NULL, g2, THRUM_TRY), THRUM_EAGAIN);
    CHECK_EQ(write(q.w, "x", 1), 1);
    CHECK_EQ(end_of(k2, g2), R);
    (void)was;
    thrum_fd_release(r.f);
    close(p.w);
    close(q.r);
    close(q.w);
  }
}
TEST(host_closes) { on_net(closed_meanwhile, NULL); }

static void released(void* arg) {
  struct ends p = a_pipe();
  thrum_fd* f = watched(p.r);
  struct wait w = {NULL, f, p.r, 0, 0, 0};
  thrum_g g[3];
  struct wait* k[3];
  (void)arg;
  for (int i = 0; i < 3; i++)
    k[i] = start(w, i == 2 ? R | W : R, &g[i]);
  CHECK_EQ(thrum_cancel(NULL, g[1]), 0);
  CHECK_EQ(end_of(k[1], g[1]), THRUM_ECANCELED);
  thrum_fd_release(f);
  CHECK_EQ(end_of(k[0], g[0]), THRUM_ECLOSED);
  CHECK_EQ(end_of(k[2], g[2]), THRUM_ECLOSED);
  w.f = NULL;
  k[0] = start(w, R, &g[0]);
  CHECK_EQ(thrum_cancel(NULL, g[0]), 0);
  CHECK_EQ(end_of(k[0], g[0]), THRUM_ECANCELED);
  CHECK(is_open(p.r));
  close(p.r);
  /* no duplicate is left: a writer sees it */
  struct sigaction old, ignore;
  memset(&ignore, 0, sizeof ignore);
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, &old);
  CHECK(write(p.w, "x", 1) == -1 && errno == EPIPE);
  sigaction(SIGPIPE, &old, NULL);
  close(p.w);
}
TEST(release_and_cancel) { on_net(released, NULL); }

/* A thread of the host that reads at the same time must never find the
 * descriptor non-blocking. */
struct looker {
  int fd;
  word stop, looks, odd;
};
static void* look(void* arg) {
  struct looker* l = arg;
  while (!get(&l->stop)) {
    if (fcntl(l->fd, F_GETFL) & O_NONBLOCK)
      add(&l->odd, 1);
    add(&l->looks, 1);
  }
  return NULL;
}
static void flags_stay(void* arg) {
  struct ends p = a_pipe();
  struct looker l = {p.r, 0, 0, 0};
  pthread_t t;
  (void)arg;
  REQUIRE_EQ(pthread_create(&t, NULL, look, &l), 0);
  for (int i = 0; i < ROUNDS(500) || get(&l.looks) < 1000; i++)
    CHECK_EQ(thrum_poll_fd(NULL, p.r, R, thrum_after(10000)), THRUM_ETIMEDOUT);
  set(&l.stop, 1);
  pthread_join(t, NULL);
  CHECK_EQ(l.odd, 0);
  /* nor does one that is non-blocking become blocking */
  fcntl(p.r, F_SETFL, O_NONBLOCK);
  CHECK_EQ(thrum_poll_fd(NULL, p.r, R, thrum_after(10000)), THRUM_ETIMEDOUT);
  CHECK(fcntl(p.r, F_GETFL) & O_NONBLOCK);
  close(p.r);
  close(p.w);
}
TEST(flags) { on_net(flags_stay, NULL); }

/* Many handles, one of them ready at a time. */
enum { MANY = 100 };
static void many_handles(void* arg) {
  struct ends p[MANY];
  struct wait* k[MANY];
  thrum_g g[MANY];
  (void)arg;
  for (int i = 0; i < MANY; i++) {
    p[i] = a_pipe();
    struct wait w = {NULL, i % 2 ? watched(p[i].r) : NULL, p[i].r, 0, 0, 0};
    k[i] = start(w, R, &g[i]);
  }
  for (int j = 0; j < MANY; j++) {
    int i = (j * 37 + 11) % MANY;
    thrum_fd* f = k[i]->f;
    CHECK_EQ(write(p[i].w, "x", 1), 1);
    CHECK_EQ(end_of(k[i], g[i]), R);
    thrum_fd_release(f);
    close(p[i].r);
    close(p[i].w);
  }
}
TEST(handles) { on_net(many_handles, NULL); }

/* The host polls the same file by itself. */
static void beside_epoll(void* arg) {
  struct ends p = a_pipe();
  thrum_fd* f = watched(p.r);
  struct wait w = {NULL, f, p.r, 0, 0, 0};
  char c;
  (void)arg;
  for (int i = 0; i < 20; i++) {
    thrum_g g;
    struct wait* k = start(w, R, &g);
    CHECK_EQ(write(p.w, "x", 1), 1);
    struct pollfd host = {p.r, POLLIN, 0};
    CHECK_EQ(poll(&host, 1, 10000), 1);
    CHECK_EQ(end_of(k, g), R);
    CHECK_EQ(read(p.r, &c, 1), 1);
  }
  thrum_fd_release(f);
  close(p.r);
  close(p.w);
}
TEST(host_polls_too) { on_net(beside_epoll, NULL); }

static const struct check_case cases[] = {
    CASE(pipes),          CASE(hang_up),     CASE(duplex),
    CASE(refused),        CASE(host_closes), CASE(eventfds_and_timers),
    CASE(flags),          CASE(handles),     CASE(release_and_cancel),
    CASE(host_polls_too),
};
NET_MAIN(cases)
