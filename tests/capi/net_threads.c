/* net_threads.c: the network from threads of the host, and a runtime that the
 * host pumps: who waits is a thread, and somebody of the runtime, or whoever
 * pumps it, sees to the descriptors. */
#include "../support/check.h"

#include <thrum/observe.h>

#include "../support/net.h"

/* ---- threads ------------------------------------------------------------- */

static void* echo_thread(void* arg) {
  thrum_conn* c = arg;
  char buf[512];
  int64_t n;
  while ((n = thrum_read(c, buf, sizeof buf, SOON)) > 0)
    CHECK_EQ(thrum_write(c, buf, (size_t)n, SOON), n);
  CHECK_EQ(n, 0);
  thrum_conn_release(c);
  return NULL;
}
TEST(echo_between_threads) {
  thrum_rt* rt = rt_make(RT_P2);
  thrum_listener* l = NULL;
  REQUIRE_EQ(thrum_tcp_listen(rt, "127.0.0.1", 0, 0, &l), 0);
  for (int k = 0; k < 3; k++) {
    thrum_conn *a = NULL, *b = NULL;
    pthread_t t;
    const char* host = k == 2 ? "localhost" : "127.0.0.1";
    REQUIRE_EQ(thrum_tcp_dial(rt, host, thrum_listener_port(l), &a, SOON), 0);
    REQUIRE_EQ(thrum_accept(l, &b, SOON), 0);
    REQUIRE_EQ(pthread_create(&t, NULL, echo_thread, b), 0);
    for (size_t i = 0; i < (size_t)ROUNDS(300); i++) {
      unsigned char out[512], in[512];
      size_t n = 1 + i % 512;
      fill(out, n, i);
      CHECK_EQ(thrum_write(a, out, n, SOON), n);
      CHECK_EQ(read_full(a, in, n), n);
      CHECK_EQ(first_wrong(in, n, i), n);
    }
    thrum_conn_release(a);
    pthread_join(t, NULL);
  }
  thrum_listener_release(l);
  rt_end(rt);
}

/* Each wait of a thread: data, a deadline, and another thread that closes. */
struct tcall {
  struct call k;
  void (*fn)(void*);
  word tid;
  pthread_t t;
};
static void* tcall_body(void* arg) {
  struct tcall* c = arg;
  set(&c->tid, thread_id());
  c->fn(&c->k);
  return NULL;
}
static void tcall_start(struct tcall* c, void (*fn)(void*)) {
  c->fn = fn;
  set(&c->tid, 0);
  REQUIRE_EQ(pthread_create(&c->t, NULL, tcall_body, c), 0);
  wait_asleep(&c->tid);
}
static int64_t tcall_end(struct tcall* c) {
  pthread_join(c->t, NULL);
  return c->k.result;
}
TEST(waits_of_threads) {
  thrum_rt* rt = rt_make(RT_P2);
  thrum_conn* c = NULL;
  thrum_listener* l = NULL;
  thrum_fd* f = NULL;
  int fd = tcp_to_raw(rt, &c), p[2];
  char buf[8];
  REQUIRE_EQ(pipe2(p, O_CLOEXEC), 0);
  REQUIRE_EQ(thrum_fd_new(rt, p[0], &f), 0);
  REQUIRE_EQ(thrum_tcp_listen(rt, "127.0.0.1", 0, 0, &l), 0);
  CHECK_EQ(thrum_read(c, buf, 8, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_read(c, buf, 8, PAST), THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_read(c, buf, 8, thrum_after(MS)), THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_poll_fd(rt, p[0], THRUM_READABLE, thrum_after(MS)),
           THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_poll_fd(rt, p[1], THRUM_WRITABLE, SOON), THRUM_WRITABLE);
  struct tcall r[2], a, w;
  for (int close_it = 0; close_it < 2; close_it++) {
    memset(r, 0, sizeof r);
    memset(&a, 0, sizeof a);
    memset(&w, 0, sizeof w);
    for (int i = 0; i < 2; i++) {
      r[i].k = (struct call){
          .c = c, .buf = buf + i, .n = 1, .deadline = THRUM_FOREVER};
      tcall_start(&r[i], do_read);
    }
    a.k = (struct call){.l = l, .deadline = THRUM_FOREVER};
    tcall_start(&a, do_accept);
    w.k = (struct call){
        .f = f, .events = THRUM_READABLE, .deadline = THRUM_FOREVER};
    tcall_start(&w, do_fd_wait);
    if (close_it) {
      CHECK_EQ(thrum_conn_close(c), 0);
      CHECK_EQ(thrum_listener_close(l), 0);
      thrum_fd_release(f);
      for (int i = 0; i < 2; i++)
        CHECK_EQ(tcall_end(&r[i]), THRUM_ECLOSED);
      CHECK_EQ(tcall_end(&a), THRUM_ECLOSED);
      CHECK_EQ(tcall_end(&w), THRUM_ECLOSED);
    } else {
      raw_write(fd, "xy", 2);
      for (int i = 0; i < 2; i++)
        CHECK_EQ(tcall_end(&r[i]), 1);
      CHECK_EQ(buf[0], 'x');
      CHECK_EQ(buf[1], 'y');
      int client = raw_dial(thrum_listener_port(l));
      CHECK_EQ(tcall_end(&a), 0);
      thrum_conn_release(a.k.accepted);
      close(client);
      CHECK_EQ(write(p[1], "x", 1), 1);
      CHECK_EQ(tcall_end(&w), THRUM_READABLE);
      CHECK_EQ(read(p[0], buf, 1), 1);
    }
  }
  thrum_conn_release(c);
  thrum_listener_release(l);
  close(fd);
  close(p[0]);
  close(p[1]);
  rt_end(rt);
}

/* Not what the system says of a listener that is shut down. */
static void* accepts_till_closed(void* arg) {
  struct call* k = arg;
  do {
    add(k->ends, 1);
    k->result = thrum_accept(k->l, &k->accepted, THRUM_TRY);
  } while (k->result == THRUM_EAGAIN);
  return NULL;
}
TEST(a_close_beside_accepts) {
  thrum_rt* rt = rt_make(RT_P2);
  for (int i = 0; i < ROUNDS(1000); i++) {
    word tries = 0;
    struct call k = {.ends = &tries};
    pthread_t thread;
    REQUIRE_EQ(thrum_tcp_listen(rt, "127.0.0.1", 0, 0, &k.l), 0);
    REQUIRE_EQ(pthread_create(&thread, NULL, accepts_till_closed, &k), 0);
    while (get(&tries) < 1 + i % 5)
      sched_yield();
    CHECK_EQ(thrum_listener_close(k.l), 0);
    pthread_join(thread, NULL);
    CHECK_EQ(k.result, THRUM_ECLOSED);
    thrum_listener_release(k.l);
  }
  rt_end(rt);
}

/* Threads and Gs queue behind each other. */
static void g_reads(void* arg) { do_read(arg); }
TEST(threads_and_gs_in_order) {
  thrum_rt* rt = rt_make(RT_P2);
  thrum_conn* c = NULL;
  int fd = unix_to_raw(rt, &c);
  char got[6];
  struct tcall t[6];
  memset(t, 0, sizeof t);
  for (int i = 0; i < 6; i++) {
    t[i].k = (struct call){
        .c = c, .buf = &got[i], .n = 1, .deadline = THRUM_FOREVER};
    if (i % 2) {
      t[i].k.g = go_in(rt, g_reads, &t[i].k);
      wait_parked(rt, t[i].k.g);
    } else {
      tcall_start(&t[i], do_read);
    }
  }
  raw_write(fd, "abcdef", 6);
  for (int i = 0; i < 6; i++) {
    if (i % 2)
      CHECK_EQ(thrum_join(rt, t[i].k.g, SOON), 0);
    else
      tcall_end(&t[i]);
    CHECK_EQ(t[i].k.result, 1);
    CHECK_EQ(got[i], 'a' + i);
  }
  close(fd);
  thrum_conn_release(c);
  rt_end(rt);
}

/* Who turns the loop must not swallow the sign that an idle M was woken by. */
static void nothing(void* arg) { (void)arg; }
struct turner {
  thrum_rt* rt;
  word stop;
};
static void* turns(void* arg) {
  struct turner* t = arg;
  int p[2];
  REQUIRE_EQ(pipe2(p, O_CLOEXEC), 0);
  while (!get(&t->stop)) {
    thrum_fd* f = NULL;
    REQUIRE_EQ(thrum_fd_new(t->rt, p[0], &f), 0);
    thrum_fd_release(f); /* takes a turn */
  }
  close(p[0]);
  close(p[1]);
  return NULL;
}
TEST(a_wake_is_not_swallowed) {
  struct turner t = {rt_make(RT_P2), 0};
  pthread_t thread;
  REQUIRE_EQ(pthread_create(&thread, NULL, turns, &t), 0);
  for (int i = 0; i < ROUNDS(3000); i++)
    CHECK_EQ(thrum_run(t.rt, nothing, NULL), 0);
  set(&t.stop, 1);
  pthread_join(thread, NULL);
  rt_end(t.rt);
}

/* ---- Gs of another runtime ----------------------------------------------- */

struct visit {
  thrum_conn* c;
  thrum_rt* rt;
  int fd;
  word done;
};
static void visitor(void* arg) {
  struct visit* v = arg;
  char b = 0;
  for (int i = 0; i < 20; i++) {
    raw_write(v->fd, "v", 1);
    CHECK_EQ(thrum_read(v->c, &b, 1, SOON), 1);
    CHECK_EQ(thrum_read(v->c, &b, 1, thrum_after(100000)), THRUM_ETIMEDOUT);
    CHECK_EQ(thrum_poll_fd(v->rt, v->fd, THRUM_WRITABLE, SOON), THRUM_WRITABLE);
    CHECK_EQ(thrum_poll_fd(v->rt, v->fd, THRUM_READABLE, thrum_after(100000)),
             THRUM_ETIMEDOUT);
  }
  thrum_conn_release(v->c);
  /* the last that keeps it: it goes from this stack */
  CHECK_EQ(thrum_rt_stop(v->rt, SOON), 0);
  thrum_rt_free(v->rt);
  set(&v->done, 1);
}
/* The smallest stack there is has no room for a turn of the loop. */
static void spawn_visitor(void* arg) {
  thrum_spawn_opts o = spawn_opts();
  o.stack_size = 16384;
  join_g(go_with(&o, visitor, arg));
}
TEST(visitors_with_small_stacks) {
  for (int i = 0; i < 3; i++) {
    struct visit v = {NULL, rt_make(RT_P2), 0, 0};
    v.fd = tcp_to_raw(v.rt, &v.c);
    in_rt(i ? RT_P2 : RT_P1, spawn_visitor, &v);
    CHECK_EQ(v.done, 1);
    close(v.fd);
  }
}
static void small_echo(void* arg) {
  struct visit* v = arg;
  char b = 0;
  thrum_conn *x = NULL, *y = NULL;
  for (int i = 0; i < 20; i++) {
    tcp_pair(&x, &y);
    CHECK_EQ(thrum_write(x, "s", 1, SOON), 1);
    CHECK_EQ(thrum_read(y, &b, 1, SOON), 1);
    CHECK_EQ(thrum_read(y, &b, 1, thrum_after(100000)), THRUM_ETIMEDOUT);
    thrum_conn_release(x);
    thrum_conn_release(y);
    CHECK_EQ(thrum_poll_fd(NULL, v->fd, THRUM_READABLE, thrum_after(100000)),
             THRUM_ETIMEDOUT);
  }
  set(&v->done, 1);
}
static void spawn_small(void* arg) {
  thrum_spawn_opts o = spawn_opts();
  o.stack_size = 16384;
  join_g(go_with(&o, small_echo, arg));
}
TEST(small_stacks) {
  int p[2];
  REQUIRE_EQ(pipe2(p, O_CLOEXEC), 0);
  struct visit v = {NULL, NULL, p[0], 0};
  on_net(spawn_small, &v);
  close(p[0]);
  close(p[1]);
}

/* ---- a runtime that the host pumps --------------------------------------- */

static int readable(int fd, int ms) {
  struct pollfd p = {fd, POLLIN, 0};
  return poll(&p, 1, ms) == 1;
}
static void pump_until_idle(thrum_rt* rt) {
  while (thrum_pump(rt, THRUM_FOREVER) == 2) {}
}
TEST(hosted_wake_fd) {
  thrum_rt* rt = rt_make(RT_HOSTED);
  thrum_conn* c = NULL;
  int fd = tcp_to_raw(rt, &c);
  char buf[8];
  int wake = thrum_wake_fd(rt);
  REQUIRE(wake >= 0);
  for (int i = 0; i < 5; i++) {
    struct call k = {.c = c, .buf = buf, .n = 8, .deadline = THRUM_FOREVER};
    k.g = go_in(rt, do_read, &k);
    CHECK(readable(wake, 0));
    pump_until_idle(rt);
    CHECK_EQ(thrum_pump(rt, THRUM_TRY), 1);
    CHECK(!readable(wake, 0));
    CHECK_EQ(thrum_next_wake(rt), THRUM_FOREVER);
    raw_write(fd, "now", 3);
    CHECK(readable(wake, 20000));
    CHECK(thrum_next_wake(rt) <= thrum_now());
    CHECK_EQ(thrum_join(rt, k.g, THRUM_TRY), THRUM_EAGAIN);
    while (thrum_pump(rt, THRUM_FOREVER) != 0) {}
    CHECK_EQ(k.result, 3);
    CHECK(!readable(wake, 0));
    /* a deadline: by the clock */
    k.deadline = thrum_after(3 * MS);
    k.g = go_in(rt, do_read, &k);
    pump_until_idle(rt);
    if (thrum_live(rt) > 0) { /* it is not over yet */
      CHECK_EQ(thrum_next_wake(rt), k.deadline);
      CHECK(readable(wake, 20000));
      while (thrum_pump(rt, THRUM_FOREVER) != 0) {}
    }
    CHECK_EQ(k.result, THRUM_ETIMEDOUT);
    CHECK(!readable(wake, 0));
  }
  close(fd);
  thrum_conn_release(c);
  pump_until_idle(rt);
  rt_end(rt);
}
/* A thread waits, and the one that pumps serves it. */
TEST(hosted_thread_waits) {
  thrum_rt* rt = rt_make(RT_HOSTED);
  thrum_conn* c = NULL;
  int fd = unix_to_raw(rt, &c), wake = thrum_wake_fd(rt);
  char buf[8];
  for (int i = 0; i < 5; i++) {
    struct tcall t;
    word ends = 0;
    memset(&t, 0, sizeof t);
    t.k = (struct call){
        .c = c, .buf = buf, .n = 8, .deadline = THRUM_FOREVER, .ends = &ends};
    tcall_start(&t, do_read);
    raw_write(fd, "hi", 2);
    while (get(&ends) == 0) {
      readable(wake, 100);
      thrum_pump(rt, THRUM_TRY);
    }
    CHECK_EQ(tcall_end(&t), 2);
  }
  close(fd);
  thrum_conn_release(c);
  rt_end(rt);
}

/* ---- a runtime without a world ------------------------------------------- */

static void no_world(void* arg) {
  thrum_rt* rt = arg; /* NULL in a G */
  thrum_listener* l = (thrum_listener*)&rt;
  thrum_conn* c = (thrum_conn*)&rt;
  thrum_udp* u = (thrum_udp*)&rt;
  thrum_fd* f = (thrum_fd*)&rt;
  int s[2];
  char path[64];
  thrum_addr at = addr_of("127.0.0.1", 0), file;
  REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
  snprintf(path, sizeof path, "/tmp/thrum-none-%d", (int)getpid());
  file = addr_of(path, 0);
  CHECK_EQ(thrum_tcp_listen(rt, "127.0.0.1", 0, 0, &l), THRUM_ENOTSUP);
  CHECK(l == NULL);
  CHECK_EQ(thrum_listen(rt, &at, 0, 0, &l), THRUM_ENOTSUP);
  CHECK_EQ(thrum_listen(rt, &file, 0, 0, &l), THRUM_ENOTSUP);
  CHECK_EQ(access(path, F_OK), -1);
  CHECK_EQ(thrum_tcp_dial(rt, "127.0.0.1", 9, &c, SOON), THRUM_ENOTSUP);
  CHECK_EQ(thrum_dial(rt, &at, &c, SOON), THRUM_ENOTSUP);
  CHECK_EQ(thrum_conn_adopt(rt, s[0], &c), THRUM_ENOTSUP);
  CHECK(c == NULL);
  CHECK_EQ(fcntl(s[0], F_GETFL) & O_NONBLOCK, 0);
  CHECK_EQ(thrum_udp_open(rt, &at, 0, &u), THRUM_ENOTSUP);
  CHECK(u == NULL);
  CHECK_EQ(thrum_fd_new(rt, s[0], &f), THRUM_ENOTSUP);
  CHECK(f == NULL);
  CHECK_EQ(thrum_poll_fd(rt, s[0], THRUM_READABLE, SOON), THRUM_ENOTSUP);
  close(s[0]);
  close(s[1]);
}
TEST(deterministic) {
  in_rt(RT_DET1, no_world, NULL);
  thrum_rt* rt = rt_make(RT_DET1);
  no_world(rt);
  rt_end(rt);
}

static const struct check_case cases[] = {
    CASE(echo_between_threads),
    CASE(waits_of_threads),
    CASE(a_close_beside_accepts),
    CASE(threads_and_gs_in_order),
    CASE(a_wake_is_not_swallowed),
    CASE(visitors_with_small_stacks),
    CASE(small_stacks),
    CASE(hosted_wake_fd),
    CASE(hosted_thread_waits),
    CASE(deterministic),
};
NET_MAIN(cases)
