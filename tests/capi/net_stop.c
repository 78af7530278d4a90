/* net_stop.c: the end of a runtime, and its copy in a forked child: who waits is
 * told, objects may be given back in any order and at any time, and nothing stays
 * open. */
#include "../support/check.h"

#include <sys/wait.h>

#include "../support/net.h"

struct all {
  thrum_listener* l;
  thrum_conn *c, *untouched;
  thrum_udp* u;
  thrum_fd* f;
  int peer, other, pipe[2];
};
static void open_all(thrum_rt* rt, struct all* a) {
  thrum_addr at = addr_of("127.0.0.1", 0);
  memset(a, 0, sizeof *a);
  REQUIRE_EQ(thrum_tcp_listen(rt, "127.0.0.1", 0, 0, &a->l), 0);
  REQUIRE_EQ(thrum_udp_open(rt, &at, 0, &a->u), 0);
  a->peer = tcp_to_raw(rt, &a->c);
  a->other = unix_to_raw(rt, &a->untouched);
  REQUIRE_EQ(pipe2(a->pipe, O_CLOEXEC), 0);
  REQUIRE_EQ(thrum_fd_new(rt, a->pipe[0], &a->f), 0);
}
static void close_ours(struct all* a) {
  close(a->peer);
  close(a->other);
  close(a->pipe[0]);
  close(a->pipe[1]);
}
static void release_all(struct all* a) {
  thrum_listener_release(a->l);
  thrum_conn_release(a->c);
  thrum_conn_release(a->untouched);
  thrum_udp_release(a->u);
  thrum_fd_release(a->f);
}
/* Each call, whatever it waits for. */
static void all_give(struct all* a, int want) {
  char buf[8] = {0};
  thrum_conn* c = NULL;
  thrum_addr at = addr_of("127.0.0.1", 9), out;
  thrum_buf b = {buf, 8};
  CHECK_EQ(thrum_accept(a->l, &c, THRUM_FOREVER), want);
  CHECK_EQ(thrum_read(a->c, buf, 8, THRUM_FOREVER), want);
  CHECK_EQ(thrum_read(a->untouched, buf, 8, THRUM_FOREVER), want);
  CHECK_EQ(thrum_readv(a->untouched, &b, 1, THRUM_FOREVER), want);
  CHECK_EQ(thrum_write(a->untouched, buf, 8, THRUM_FOREVER), want);
  CHECK_EQ(thrum_write_some(a->c, buf, 8, THRUM_FOREVER), want);
  CHECK_EQ(thrum_writev(a->c, &b, 1, THRUM_FOREVER), want);
  CHECK_EQ(thrum_sendfile(a->c, 0, 0, 1, THRUM_FOREVER), want);
  CHECK_EQ(thrum_conn_shutdown(a->c), want);
  CHECK_EQ(thrum_conn_local(a->untouched, &out), want);
  CHECK_EQ(thrum_conn_peer(a->c, &out), want);
  CHECK_EQ(thrum_conn_set(a->c, THRUM_OPT_NODELAY, 1), want);
  CHECK_EQ(thrum_udp_recv(a->u, buf, 8, NULL, THRUM_FOREVER), want);
  CHECK_EQ(thrum_udp_send(a->u, buf, 8, &at, THRUM_FOREVER), want);
  CHECK_EQ(thrum_udp_connect(a->u, &at), want);
  CHECK_EQ(thrum_udp_local(a->u, &out), want);
  CHECK_EQ(thrum_fd_wait(a->f, THRUM_READABLE, THRUM_FOREVER), want);
  int closes = want == THRUM_ECLOSED ? 0 : want;
  CHECK_EQ(thrum_conn_set_timeout(a->c, THRUM_READABLE, 1), closes);
  CHECK_EQ(thrum_conn_close(a->c), closes);
  CHECK_EQ(thrum_listener_close(a->l), closes);
  CHECK_EQ(thrum_udp_close(a->u), closes);
}
/* fd: a stream socket. */
static void new_ones_give(thrum_rt* rt, int fd, int want) {
  thrum_listener* l = NULL;
  thrum_conn* c = NULL;
  thrum_udp* u = NULL;
  thrum_fd* f = NULL;
  thrum_addr at = addr_of("127.0.0.1", 0), out;
  CHECK_EQ(thrum_tcp_listen(rt, "127.0.0.1", 0, 0, &l), want);
  CHECK_EQ(thrum_listen(rt, &at, 0, 0, &l), want);
  CHECK_EQ(thrum_tcp_dial(rt, "127.0.0.1", 9, &c, THRUM_FOREVER), want);
  CHECK_EQ(thrum_dial(rt, &at, &c, THRUM_FOREVER), want);
  CHECK_EQ(thrum_conn_adopt(rt, fd, &c), want);
  CHECK_EQ(thrum_udp_open(rt, &at, 0, &u), want);
  CHECK_EQ(thrum_fd_new(rt, fd, &f), want);
  CHECK_EQ(thrum_poll_fd(rt, fd, THRUM_READABLE, THRUM_FOREVER), want);
  CHECK_EQ(thrum_resolve(rt, "localhost", 0, &out, 1, THRUM_FOREVER), want);
}

/* ---- Gs that wait are cancelled, as in any wait -------------------------- */

static void reads_until_cancelled(void* arg) {
  struct all* a = arg;
  char buf[8];
  CHECK_EQ(thrum_read(a->c, buf, 8, THRUM_FOREVER), THRUM_ECANCELED);
  CHECK_EQ(thrum_read(a->untouched, buf, 8, THRUM_FOREVER), THRUM_ECANCELED);
  /* it may still say good-bye */
  CHECK_EQ(thrum_write(a->c, "bye", 3, THRUM_FOREVER), 3);
}
static void accepts_until_cancelled(void* arg) {
  struct all* a = arg;
  thrum_conn* c = NULL;
  CHECK_EQ(thrum_accept(a->l, &c, THRUM_FOREVER), THRUM_ECANCELED);
  CHECK_EQ(thrum_poll_fd(NULL, a->pipe[0], THRUM_READABLE, THRUM_FOREVER),
           THRUM_ECLOSED);
}
TEST(gs_that_wait) {
  static const struct rt_kind* const kinds[] = {&RT_P1, &RT_P2, &RT_HOSTED};
  for (int i = 0; i < 3; i++) {
    thrum_rt* rt = rt_make(*kinds[i]);
    struct all a;
    char buf[4];
    check_context = kinds[i]->name;
    open_all(rt, &a);
    go_in(rt, reads_until_cancelled, &a);
    go_in(rt, accepts_until_cancelled, &a);
    if (i == 2)
      while (thrum_pump(rt, THRUM_TRY) == 2) {}
    CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
    raw_read(a.peer, buf, 3);
    /* each is closed, also what was never waited for */
    CHECK_EQ(recv(a.peer, buf, 1, 0), 0);
    CHECK_EQ(recv(a.other, buf, 1, 0), 0);
    all_give(&a, THRUM_ECLOSED);
    new_ones_give(rt, a.peer, THRUM_ECLOSED);
    if (i == 1) {
      thrum_rt_free(rt); /* they hold it */
      all_give(&a, THRUM_ECLOSED);
      release_all(&a);
    } else {
      release_all(&a);
      thrum_rt_free(rt);
    }
    close_ours(&a);
  }
}

/* ---- threads that wait --------------------------------------------------- */

enum { THREADS = 5 };
struct stopped {
  struct all* a;
  int what;
  word tid;
  int64_t result;
};
static void* waits(void* arg) {
  struct stopped* s = arg;
  char buf[8];
  thrum_conn* c = NULL;
  set(&s->tid, thread_id());
  switch (s->what) {
    case 0:
      s->result = thrum_accept(s->a->l, &c, THRUM_FOREVER);
      break;
    case 1:
    case 2: /* behind the other */
      s->result = thrum_read(s->a->c, buf, 8, THRUM_FOREVER);
      break;
    case 3:
      s->result = thrum_udp_recv(s->a->u, buf, 8, NULL, THRUM_FOREVER);
      break;
    default:
      s->result = thrum_fd_wait(s->a->f, THRUM_READABLE, THRUM_FOREVER);
  }
  return NULL;
}
TEST(threads_that_wait) {
  for (int hosted = 0; hosted < 2; hosted++) {
    thrum_rt* rt = rt_make(hosted ? RT_HOSTED : RT_P2);
    struct all a;
    struct stopped s[THREADS];
    pthread_t t[THREADS];
    open_all(rt, &a);
    memset(s, 0, sizeof s);
    for (int i = 0; i < THREADS; i++) {
      s[i].a = &a;
      s[i].what = i;
      REQUIRE_EQ(pthread_create(&t[i], NULL, waits, &s[i]), 0);
      wait_asleep(&s[i].tid);
    }
    CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
    for (int i = 0; i < THREADS; i++) {
      pthread_join(t[i], NULL);
      CHECK_EQ(s[i].result, THRUM_ECLOSED);
    }
    thrum_rt_free(rt);
    release_all(&a);
    close_ours(&a);
  }
}
/* Waits that begin while it stops: told, too. */
static void* begins(void* arg) {
  struct all* a = arg;
  char buf[8];
  int64_t n;
  do
    n = thrum_read(a->untouched, buf, 8, thrum_after(20000));
  while (n == THRUM_ETIMEDOUT);
  CHECK_EQ(n, THRUM_ECLOSED);
  CHECK_EQ(thrum_read(a->c, buf, 8, THRUM_FOREVER), THRUM_ECLOSED);
  return NULL;
}
TEST(waits_begin_while_it_stops) {
  for (int i = 0; i < ROUNDS(60); i++) {
    thrum_rt* rt = rt_make(RT_P1);
    struct all a;
    pthread_t t[3];
    open_all(rt, &a);
    for (int k = 0; k < 3; k++)
      REQUIRE_EQ(pthread_create(&t[k], NULL, begins, &a), 0);
    if (i % 2)
      check_pause();
    CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
    for (int k = 0; k < 3; k++)
      pthread_join(t[k], NULL);
    release_all(&a);
    thrum_rt_free(rt);
    close_ours(&a);
  }
}

/* A dial that looks again and again for room in a queue, too: its descriptor may be
 * another's by then. */
struct dials {
  thrum_rt* rt;
  thrum_addr to;
  word tid;
  int result;
};
static void* dials(void* arg) {
  struct dials* d = arg;
  thrum_conn* c = NULL;
  set(&d->tid, thread_id());
  d->result = thrum_dial(d->rt, &d->to, &c, THRUM_FOREVER);
  return NULL;
}
TEST(a_dial_that_looks_again) {
  struct sockaddr_un at;
  socklen_t size = sizeof(sa_family_t);
  struct dials d;
  pthread_t t;
  memset(&at, 0, sizeof at);
  at.sun_family = AF_UNIX;
  int full = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE_EQ(bind(full, (struct sockaddr*)&at, size),
             0); /* a name of its own */
  REQUIRE_EQ(listen(full, 0), 0);
  size = sizeof at;
  REQUIRE_EQ(getsockname(full, (struct sockaddr*)&at, &size), 0);
  char name[16] = "@";
  memcpy(name + 1, at.sun_path + 1, size - sizeof(sa_family_t) - 1);
  int one = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE_EQ(connect(one, (struct sockaddr*)&at, size), 0);
  memset(&d, 0, sizeof d);
  d.rt = rt_make(RT_P1);
  REQUIRE_EQ(thrum_addr_parse(&d.to, name, 0), 0);
  REQUIRE_EQ(pthread_create(&t, NULL, dials, &d), 0);
  wait_asleep(&d.tid);
  CHECK_EQ(thrum_rt_stop(d.rt, THRUM_FOREVER), 0);
  pthread_join(t, NULL);
  CHECK_EQ(d.result, THRUM_ECLOSED);
  thrum_rt_free(d.rt);
  close(one);
  close(full);
}

/* ---- the child of a fork ------------------------------------------------- */

/* Takes descriptors until it has this number. */
struct held {
  int fds[64], n;
};
static void take_number(struct held* h, int want) {
  do
    h->fds[h->n++] = dup(0);
  while (h->n < 64 && h->fds[h->n - 1] < want);
  REQUIRE_EQ(h->fds[h->n - 1], want);
}
static void in_child(thrum_rt* rt, struct all* a, int closed) {
  struct held h = {{0}, 0};
  int fd = thrum_conn_fd(a->c);
  alarm((unsigned)check_seconds);
  /* what the parent had closed has a number that is another's by now */
  thrum_conn_release(a->untouched);
  CHECK(is_open(closed));
  a->untouched = a->c;
  all_give(a, THRUM_EFORKED);
  new_ones_give(rt, a->peer, THRUM_EFORKED);
  CHECK(is_open(fd));
  thrum_conn_retain(a->c);
  thrum_conn_release(a->c); /* the child's copy, once */
  CHECK(!is_open(fd));
  take_number(&h, fd);
  thrum_conn_release(a->c);
  CHECK(is_open(fd));
  thrum_listener_release(a->l);
  thrum_udp_release(a->u);
  thrum_fd_release(a->f);
  /* a new one works */
  thrum_rt* own = rt_make(RT_P1);
  struct all b;
  char x = 0;
  open_all(own, &b);
  raw_write(b.peer, "x", 1);
  CHECK_EQ(thrum_read(b.c, &x, 1, SOON), 1);
  release_all(&b);
  rt_end(own);
  _exit(check_failures ? 1 : 0);
}
TEST(forked) {
  if (CHECK_TSAN)
    SKIP("TSan does not follow forks of programs with threads");
  thrum_rt* rt = rt_make(RT_P2);
  struct all a;
  struct held h = {{0}, 0};
  char buf[8];
  int status = 0;
  open_all(rt, &a);
  CHECK_EQ(thrum_read(a.c, buf, 8, thrum_after(MS)), THRUM_ETIMEDOUT);
  int closed = thrum_conn_fd(a.untouched);
  CHECK_EQ(thrum_conn_close(a.untouched), 0);
  while (is_open(closed))
    sched_yield(); /* the number, when the loop has let go of it */
  take_number(&h, closed);
  pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0)
    in_child(rt, &a, closed);
  REQUIRE_EQ(waitpid(pid, &status, 0), pid);
  CHECK_EQ(status, 0);
  /* the parent's are as they were */
  raw_write(a.peer, "on", 2);
  CHECK_EQ(thrum_read(a.c, buf, 8, SOON), 2);
  while (h.n > 0)
    close(h.fds[--h.n]);
  release_all(&a);
  rt_end(rt);
  close_ours(&a);
}

static const struct check_case cases[] = {
    CASE(gs_that_wait),
    CASE(threads_that_wait),
    CASE(waits_begin_while_it_stops),
    CASE(a_dial_that_looks_again),
    CASE(forked),
};
NET_MAIN(cases)
