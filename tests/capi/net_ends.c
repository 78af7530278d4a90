/* net_ends.c: how waits on streams end: data, deadlines, closing, cancel, and
 * the errors of the network. In each case exactly one of them wins, nothing is
 * left behind, and what was done is told. */
#include "../support/check.h"

#include <dlfcn.h>
#include <sys/sendfile.h>

#include "../support/net.h"

static thrum_rt* own(void) { return thrum_rt_current(); }

/* ---- deadlines ----------------------------------------------------------- */

static void read_deadlines(void* arg) {
  thrum_conn* c = NULL;
  int fd = to_raw(*(int*)arg, NULL, &c);
  char buf[16];
  for (int round = 0; round < 3; round++) {
    CHECK_EQ(thrum_read(c, buf, 16, THRUM_TRY), THRUM_EAGAIN);
    CHECK_EQ(thrum_read(c, buf, 16, PAST), THRUM_ETIMEDOUT);
    int64_t at = thrum_after(2 * MS);
    CHECK_EQ(thrum_read(c, buf, 16, at), THRUM_ETIMEDOUT);
    CHECK(thrum_now() >= at);
    /* what is there is read, whatever the deadline; also behind a short read */
    raw_write(fd, "abc", 3);
    is_there(thrum_conn_fd(c));
    CHECK_EQ(thrum_read(c, buf, 2, PAST), 2);
    CHECK_EQ(thrum_read(c, buf, 16, PAST), 1);
    raw_write(fd, "de", 2);
    is_there(thrum_conn_fd(c));
    CHECK_EQ(thrum_read(c, buf, 16, PAST), 2);
    raw_write(fd, "f", 1);
    is_there(thrum_conn_fd(c));
    CHECK_EQ(thrum_read(c, buf, 16, THRUM_TRY), 1);
    raw_write(fd, "g", 1);
    CHECK_EQ(thrum_read(c, buf, 16, THRUM_FOREVER), 1);
  }
  int64_t former = thrum_limit(thrum_after(2 * MS));
  CHECK_EQ(thrum_read(c, buf, 16, THRUM_FOREVER), THRUM_ETIMEDOUT);
  thrum_limit(former);
  raw_write(fd, "h", 1);
  CHECK_EQ(thrum_read(c, buf, 16, SOON), 1);
  close(fd);
  is_there(thrum_conn_fd(c));
  CHECK_EQ(thrum_read(c, buf, 16, PAST), 0);
  thrum_conn_release(c);
}
static void write_deadlines(void* arg) {
  thrum_conn* c = NULL;
  int fd = unix_to_raw(NULL, &c);
  size_t in = stuff(c), n = 4 * in;
  unsigned char *out = malloc(n), *got = malloc(n);
  (void)arg;
  fill(out, n, 0);
  CHECK_EQ(thrum_write(c, out, n, PAST), THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_write_some(c, out, n, PAST), THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_write_some(c, out, n, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_write_some(c, out, n, thrum_after(MS)), THRUM_ETIMEDOUT);
  raw_read(fd, got, in);
  /* room for a part: it tells how much */
  int64_t k = thrum_write(c, out, n, PAST);
  CHECK_MSG(k > 0 && k < (int64_t)n, "%lld", (long long)k);
  raw_read(fd, got, (size_t)k);
  CHECK_EQ(first_wrong(got, (size_t)k, 0), k);
  k = thrum_write(c, out, n, thrum_after(2 * MS));
  CHECK_MSG(k > 0 && k < (int64_t)n, "%lld", (long long)k);
  thrum_buf b[2] = {{out, 10}, {out + 10, n - 10}};
  CHECK_EQ(thrum_writev(c, b, 2, thrum_after(MS)), THRUM_ETIMEDOUT);
  raw_read(fd, got, (size_t)k);
  CHECK_EQ(first_wrong(got, (size_t)k, 0), k);
  k = thrum_writev(c, b, 2, THRUM_TRY);
  CHECK_MSG(k > 10 && k < (int64_t)n, "%lld", (long long)k);
  raw_read(fd, got, (size_t)k);
  CHECK_EQ(first_wrong(got, (size_t)k, 0), k);
  close(fd);
  thrum_conn_release(c);
  free(out);
  free(got);
}
static void accept_deadlines(void* arg) {
  thrum_listener* l = NULL;
  thrum_conn* c = NULL;
  (void)arg;
  REQUIRE_EQ(thrum_tcp_listen(NULL, "127.0.0.1", 0, 0, &l), 0);
  CHECK_EQ(thrum_accept(l, &c, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_accept(l, &c, PAST), THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_accept(l, &c, thrum_after(MS)), THRUM_ETIMEDOUT);
  CHECK(c == NULL);
  for (int i = 0; i < 2; i++) {
    int fd = raw_dial(thrum_listener_port(l));
    is_there(thrum_listener_fd(l));
    CHECK_EQ(thrum_accept(l, &c, i ? PAST : THRUM_TRY), 0);
    thrum_conn_release(c);
    close(fd);
  }
  thrum_listener_release(l);
}
TEST(deadlines) {
  for (int tcp = 0; tcp < 2; tcp++)
    on_net(read_deadlines, &tcp);
  on_net(write_deadlines, NULL);
  on_net(accept_deadlines, NULL);
}

/* Queues that never answer: a deadline and a cancel end the dial. */
static void dial_alone(void* arg) {
  thrum_addr* to = arg;
  thrum_conn* c = NULL;
  CHECK_EQ(thrum_dial(NULL, to, &c, THRUM_FOREVER), THRUM_ECANCELED);
  CHECK(c == NULL);
}
/* Of a TCP listener: no other connection is let in. */
static int is_full(int listener) {
  struct tcp_info info;
  socklen_t size = sizeof info;
  REQUIRE_EQ(getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
  return info.tcpi_unacked > info.tcpi_sacked; /* how many wait, may wait */
}
static void dial_deadlines(void* arg) {
  int local = *(int*)arg;
  uint16_t port;
  int listener;
  thrum_addr to;
  thrum_conn* c = NULL;
  if (local) {
    struct sockaddr_un at;
    char name[64];
    memset(&at, 0, sizeof at);
    at.sun_family = AF_UNIX;
    snprintf(name, sizeof name, "@thrum-full-%d", (int)getpid());
    memcpy(at.sun_path + 1, name + 1, strlen(name) - 1);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size =
        (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    REQUIRE_EQ(bind(listener, (struct sockaddr*)&at, size), 0);
    REQUIRE_EQ(listen(listener, 0), 0);
    to = addr_of(name, 0);
  } else {
    listener = raw_listen(0, &port);
    to = addr_of("127.0.0.1", port);
  }
  int rc;
  do { /* until its queue is full: a dial may be late for other reasons, too */
    rc = thrum_dial(NULL, &to, &c, thrum_after(20 * MS));
    if (rc == 0)
      thrum_conn_release(c);
  } while (rc == 0 || (rc == THRUM_ETIMEDOUT && !local && !is_full(listener)));
  CHECK_EQ(rc, THRUM_ETIMEDOUT);
  rc = thrum_dial(NULL, &to, &c, THRUM_TRY);
  CHECK_EQ(rc, THRUM_EAGAIN);
  thrum_g g = go(dial_alone, &to);
  wait_parked(own(), g);
  CHECK_EQ(thrum_cancel(NULL, g), 0);
  join_g(g);
  if (local) { /* one gets in when there is room */
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(fd >= 0);
    CHECK_EQ(thrum_dial(NULL, &to, &c, SOON), 0);
    thrum_conn_release(c);
    close(fd);
  }
  close(listener);
}
TEST(dials) {
  for (int local = 0; local < 2; local++)
    on_net(dial_deadlines, &local);
}

/* ---- closing ------------------------------------------------------------- */

/* how: 0 closes, 1 gives the last reference back while they wait */
static void close_wakes(void* arg) {
  int how = *(int*)arg;
  thrum_conn* c = NULL;
  int fd = unix_to_raw(NULL, &c);
  size_t in = stuff(c);
  char buf[8], page[100];
  struct call k[6];
  memset(k, 0, sizeof k);
  memset(page, 0, sizeof page);
  for (int i = 0; i < 6; i++) {
    k[i].c = c;
    k[i].buf = i % 2 ? page : buf;
    k[i].n = i % 2 ? sizeof page : 8;
    k[i].deadline = i < 4 ? THRUM_FOREVER : SOON;
    k[i].g = go(i % 2 ? do_write : do_read, &k[i]);
    wait_parked(own(), k[i].g);
  }
  if (how == 0) {
    CHECK_EQ(thrum_conn_close(c), 0);
    CHECK_EQ(thrum_conn_close(c), 0);
  } else {
    thrum_conn_release(c);
  }
  for (int i = 0; i < 6; i++) {
    join_g(k[i].g);
    CHECK_EQ(k[i].result, THRUM_ECLOSED);
  }
  if (how == 0) {
    CHECK_EQ(thrum_read(c, buf, 8, THRUM_TRY), THRUM_ECLOSED);
    CHECK_EQ(thrum_read(c, buf, 8, THRUM_FOREVER), THRUM_ECLOSED);
    CHECK_EQ(thrum_write(c, buf, 8, THRUM_FOREVER), THRUM_ECLOSED);
    CHECK_EQ(thrum_conn_close(c), 0);
    thrum_conn_release(c);
  }
  char* all = malloc(in + 1);
  raw_read(fd, all, in);
  /* the last call out has closed it */
  CHECK_EQ(recv(fd, all, 1, MSG_DONTWAIT), 0);
  free(all);
  close(fd);
}
/* A write that was under way tells how far it came. */
static void close_tells(void* arg) {
  thrum_conn* c = NULL;
  int fd = unix_to_raw(NULL, &c);
  size_t n = 4u << 20;
  unsigned char* out = malloc(n);
  struct call k = {.c = c, .buf = out, .n = n, .deadline = THRUM_FOREVER};
  (void)arg;
  fill(out, n, 0);
  thrum_g g = go(do_write, &k);
  wait_parked(own(), g);
  CHECK_EQ(thrum_conn_close(c), 0);
  join_g(g);
  CHECK_MSG(k.result > 0 && k.result < (int64_t)n, "%lld", (long long)k.result);
  size_t got = 0;
  for (ssize_t r; (r = recv(fd, out, n, 0)) > 0;) {
    CHECK_EQ(first_wrong(out, (size_t)r, got), r);
    got += (size_t)r;
  }
  CHECK_EQ(got, k.result);
  close(fd);
  thrum_conn_release(c);
  free(out);
}
static void close_wakes_accepts(void* arg) {
  int how = *(int*)arg;
  thrum_listener* l = NULL;
  struct call k[3];
  REQUIRE_EQ(thrum_tcp_listen(NULL, "127.0.0.1", 0, 0, &l), 0);
  for (int i = 0; i < 3; i++) {
    memset(&k[i], 0, sizeof k[i]);
    k[i].l = l;
    k[i].deadline = THRUM_FOREVER;
    k[i].g = go(do_accept, &k[i]);
    wait_parked(own(), k[i].g);
  }
  if (how == 0) {
    CHECK_EQ(thrum_listener_close(l), 0);
    CHECK_EQ(thrum_listener_close(l), 0);
  } else {
    thrum_listener_release(l);
  }
  for (int i = 0; i < 3; i++) {
    join_g(k[i].g);
    CHECK_EQ(k[i].result, THRUM_ECLOSED);
    CHECK(k[i].accepted == NULL);
  }
  if (how == 0) {
    CHECK_EQ(thrum_accept(l, &k[0].accepted, THRUM_FOREVER), THRUM_ECLOSED);
    thrum_listener_release(l);
  }
}
TEST(closing) {
  for (int how = 0; how < 2; how++) {
    on_net(close_wakes, &how);
    on_net(close_wakes_accepts, &how);
  }
  on_net(close_tells, NULL);
}

/* ---- cancel -------------------------------------------------------------- */

static void cancels(void* arg) {
  thrum_conn *c = NULL, *full = NULL;
  thrum_listener* l = NULL;
  int fd = to_raw(*(int*)arg, NULL, &c), other = unix_to_raw(NULL, &full);
  char buf[8];
  static char page[100];
  REQUIRE_EQ(thrum_tcp_listen(NULL, "127.0.0.1", 0, 0, &l), 0);
  stuff(full);
  struct call k[6];
  memset(k, 0, sizeof k);
  for (int i = 0; i < 6; i++) { /* each in its turn, and one behind it */
    k[i].c = i / 2 == 1 ? full : c;
    k[i].l = l;
    k[i].buf = i / 2 == 1 ? page : buf;
    k[i].n = i / 2 == 1 ? sizeof page : 8;
    k[i].deadline = i % 2 ? THRUM_FOREVER : SOON;
    k[i].g = go(i / 2 == 0   ? do_read
                : i / 2 == 1 ? do_write
                             : do_accept,
                &k[i]);
    wait_parked(own(), k[i].g);
  }
  /* those behind first, then those in front */
  for (int i = 5; i >= 0; i--) {
    CHECK_EQ(thrum_cancel(NULL, k[i].g), 0);
    join_g(k[i].g);
    CHECK_EQ(k[i].result, THRUM_ECANCELED);
  }
  raw_write(fd, "ok", 2);
  CHECK_EQ(thrum_read(c, buf, 8, SOON), 2);
  thrum_listener_release(l);
  thrum_conn_release(c);
  thrum_conn_release(full);
  close(fd);
  close(other);
}
/* The turn of one that was cancelled goes to the next. */
static void cancel_passes_on(void* arg) {
  thrum_conn* c = NULL;
  int fd = to_raw(*(int*)arg, NULL, &c);
  char got[3];
  struct call k[3];
  for (int i = 0; i < 3; i++) {
    memset(&k[i], 0, sizeof k[i]);
    k[i].c = c;
    k[i].buf = &got[i];
    k[i].n = 1;
    k[i].deadline = THRUM_FOREVER;
    k[i].g = go(do_read, &k[i]);
    wait_parked(own(), k[i].g);
  }
  CHECK_EQ(thrum_cancel(NULL, k[1].g), 0);
  CHECK_EQ(thrum_cancel(NULL, k[0].g), 0);
  join_g(k[0].g);
  join_g(k[1].g);
  CHECK_EQ(k[0].result, THRUM_ECANCELED);
  CHECK_EQ(k[1].result, THRUM_ECANCELED);
  raw_write(fd, "z", 1);
  join_g(k[2].g);
  CHECK_EQ(k[2].result, 1);
  CHECK_EQ(got[2], 'z');
  close(fd);
  thrum_conn_release(c);
}
/* A request that came before: what can be done at once is, and it stays. */
static void cancelled_before(void* arg) {
  thrum_conn* c = arg;
  char buf[8];
  while (!thrum_cancelled())
    thrum_shield(1), thrum_yield(), thrum_shield(-1);
  CHECK_EQ(thrum_read(c, buf, 8, THRUM_TRY), 2); /* there */
  CHECK_EQ(thrum_read(c, buf, 8, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_read(c, buf, 8, THRUM_FOREVER), THRUM_ECANCELED);
  CHECK_EQ(thrum_write(c, "x", 1, THRUM_FOREVER), 1);
}
static void cancel_before(void* arg) {
  thrum_conn* c = NULL;
  int fd = to_raw(*(int*)arg, NULL, &c);
  char buf[4];
  raw_write(fd, "hi", 2);
  is_there(thrum_conn_fd(c));
  thrum_g g = go(cancelled_before, c);
  CHECK_EQ(thrum_cancel(NULL, g), 0);
  join_g(g);
  raw_read(fd, buf, 1);
  close(fd);
  thrum_conn_release(c);
}
/* k bytes are the answer; the request is still there for the next call. */
static void write_then_read(void* arg) {
  struct call* k = arg;
  do_write(k);
  char buf[4];
  CHECK_EQ(thrum_read(k->c, buf, 4, SOON), THRUM_ECANCELED);
  CHECK_EQ(thrum_read(k->c, buf, 4, SOON), 2);
}
static void cancel_tells(void* arg) {
  thrum_conn* c = NULL;
  int fd = unix_to_raw(NULL, &c);
  size_t n = 4u << 20;
  char* out = calloc(n, 1);
  struct call k = {.c = c, .buf = out, .n = n, .deadline = THRUM_FOREVER};
  (void)arg;
  thrum_g g = go(write_then_read, &k);
  wait_parked(own(), g);
  CHECK_EQ(thrum_cancel(NULL, g), 0);
  thrum_g_info info;
  (void)info;
  while (thrum_yield() == 0 && thrum_join(NULL, g, THRUM_TRY) == THRUM_EAGAIN)
    if (k.result > 0) {
      raw_write(fd, "ok", 2);
      break;
    }
  join_g(g);
  CHECK_MSG(k.result > 0 && k.result < (int64_t)n, "%lld", (long long)k.result);
  close(fd);
  thrum_conn_release(c);
  free(out);
}
static void shielded_read(void* arg) {
  struct call* k = arg;
  CHECK_EQ(thrum_shield(1), 0);
  do_read(k);
  CHECK_EQ(thrum_shield(-1), 0);
  CHECK_EQ(thrum_read(k->c, k->buf, 1, SOON), THRUM_ECANCELED);
}
static void shields(void* arg) {
  thrum_conn* c = NULL;
  int fd = to_raw(*(int*)arg, NULL, &c);
  char buf[8];
  struct call k = {.c = c, .buf = buf, .n = 8, .deadline = THRUM_FOREVER};
  thrum_g g = go(shielded_read, &k);
  wait_parked(own(), g);
  CHECK_EQ(thrum_cancel(NULL, g), 0);
  let_others_run();
  CHECK_EQ(thrum_join(NULL, g, THRUM_TRY), THRUM_EAGAIN);
  raw_write(fd, "data", 4);
  join_g(g);
  CHECK_EQ(k.result, 4);
  close(fd);
  thrum_conn_release(c);
}
TEST(cancel) {
  for (int tcp = 0; tcp < 2; tcp++) {
    on_net(cancels, &tcp);
    on_net(cancel_passes_on, &tcp);
    on_net(cancel_before, &tcp);
    on_net(shields, &tcp);
  }
  on_one_p(cancel_tells, NULL);
}

/* ---- errors of the network ----------------------------------------------- */

static void refused(void* arg) {
  /* a port that is taken, so that nobody else listens there */
  thrum_conn* c = (thrum_conn*)arg;
  struct sockaddr_in at = {.sin_family = AF_INET};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int taken = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE_EQ(bind(taken, (struct sockaddr*)&at, sizeof at), 0);
  uint16_t port = (uint16_t)port_of(taken);
  CHECK_EQ(thrum_tcp_dial(NULL, "127.0.0.1", port, &c, SOON),
           THRUM_ECONNREFUSED);
  CHECK(c == NULL);
  CHECK_EQ(thrum_tcp_dial(NULL, "localhost", port, &c, SOON),
           THRUM_ECONNREFUSED);
  CHECK(c == NULL);
  close(taken);
}
TEST(connection_refused) { on_net(refused, NULL); }

static void resets(void* arg) {
  char buf[8];
  (void)arg;
  for (int waits = 0; waits < 2; waits++) {
    thrum_conn* c = NULL;
    int fd = tcp_to_raw(NULL, &c);
    struct call k = {.c = c, .buf = buf, .n = 8, .deadline = SOON};
    thrum_g g = 0;
    if (waits) {
      g = go(do_read, &k);
      wait_parked(own(), g);
    }
    raw_reset(fd);
    if (waits)
      join_g(g);
    else
      do_read(&k);
    CHECK_EQ(k.result, THRUM_ECONNRESET);
    CHECK_EQ(thrum_read(c, buf, 8, SOON), 0);
    CHECK_EQ(thrum_write(c, buf, 8, SOON), THRUM_EPIPE);
    thrum_conn_release(c);
  }
}
TEST(connection_reset) { on_net(resets, NULL); }

/* The kernel sends a file in steps: a peer may go between two of them. */
static word goes_amid;
ssize_t sendfile(int to, int from, off_t* at, size_t n) {
  ssize_t (*real)(int, int, off_t*, size_t) =
      (ssize_t(*)(int, int, off_t*, size_t))dlsym(RTLD_NEXT, "sendfile64");
  if (!get(&goes_amid))
    return real(to, from, at, n);
  ssize_t half = real(to, from, at, n / 2);
  shutdown(to, SHUT_WR);
  CHECK_EQ(real(to, from, at, n / 2), -1);
  CHECK_EQ(errno, EPIPE);
  return half;
}

/* A close does not wait for a peer that does not read, however long the socket
 * would. */
struct lingers {
  thrum_conn* c;
  int fd;
};
static void fill_up(struct lingers* l, int by_host) {
  static char much[1 << 20];
  struct linger long_one = {1, 10000};
  l->fd = tcp_to_raw(NULL, &l->c);
  if (by_host)
    setsockopt(thrum_conn_fd(l->c), SOL_SOCKET, SO_LINGER, &long_one,
               sizeof long_one);
  else
    CHECK_EQ(thrum_conn_set(l->c, THRUM_OPT_LINGER, 10000), 0);
  while (thrum_write(l->c, much, sizeof much, LATE(5 * MS)) > 0) {}
}
static void lingers(void* arg) {
  struct lingers* last = arg;
  for (int by_host = 0; by_host < 2; by_host++) {
    struct lingers l;
    fill_up(&l, by_host);
    CHECK_EQ(thrum_conn_close(l.c), 0);
    thrum_conn_release(l.c);
    close(l.fd);
  }
  fill_up(last, 0);
}
TEST(a_close_does_not_linger) {
  struct lingers last;
  thrum_rt* rt = rt_make(RT_P1);
  CHECK_EQ(thrum_run(rt, lingers, &last), 0);
  rt_end(rt); /* its stop closes, too */
  thrum_conn_release(last.c);
  close(last.fd);
}

/* SIGPIPE keeps its default here: one of them would end the process. */
static void pipes(void* arg) {
  char buf[8] = {0};
  int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  REQUIRE(file >= 0);
  (void)arg;
  for (int tcp = 0; tcp < 2; tcp++) {
    thrum_conn* c = NULL;
    int fd = to_raw(tcp, NULL, &c);
    if (tcp)
      raw_reset(fd), (void)thrum_read(c, buf, 8, SOON);
    else
      close(fd);
    thrum_buf b = {buf, 8};
    for (int i = 0; i < 2; i++) {
      CHECK_EQ(thrum_write(c, buf, 8, SOON), THRUM_EPIPE);
      CHECK_EQ(thrum_write_some(c, buf, 8, SOON), THRUM_EPIPE);
      CHECK_EQ(thrum_writev(c, &b, 1, SOON), THRUM_EPIPE);
      CHECK_EQ(thrum_sendfile(c, file, 0, 100, SOON), THRUM_EPIPE);
    }
    thrum_conn_release(c);
    fd = to_raw(tcp, NULL, &c);
    set(&goes_amid, 1);
    CHECK_EQ(thrum_sendfile(c, file, 0, 100, THRUM_TRY), 50);
    set(&goes_amid, 0);
    close(fd);
    sigset_t now;
    CHECK_EQ(sigpending(&now), 0);
    CHECK_EQ(sigismember(&now, SIGPIPE), 0);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, NULL, &now), 0);
    CHECK_EQ(sigismember(&now, SIGPIPE), 0);
    thrum_conn_release(c);
  }
  close(file);
}
TEST(no_sigpipe) {
  struct sigaction old, plain;
  memset(&plain, 0, sizeof plain);
  plain.sa_handler = SIG_DFL;
  sigaction(SIGPIPE, &plain, &old);
  on_net(pipes, NULL);
  sigaction(SIGPIPE, &old, NULL);
}

/* Not all descriptors: files of /proc the runtime may open and keep at any time. */
static int sockets(void) {
  int n = 0;
  for (int fd = 0; fd < 256; fd++) {
    char path[40], to[8];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    n += readlink(path, to, sizeof to) > 6 && memcmp(to, "socket:", 7) == 0;
  }
  return n;
}
static void no_descriptors(void* arg) {
  struct rlimit old, none;
  thrum_listener* l = NULL;
  thrum_conn* c = NULL;
  thrum_fd* f = NULL;
  (void)arg;
  REQUIRE_EQ(thrum_tcp_listen(NULL, "127.0.0.1", 0, 0, &l), 0);
  int a = raw_dial(thrum_listener_port(l)),
      b = raw_dial(thrum_listener_port(l));
  REQUIRE_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
  int before = sockets();
  none = old;
  none.rlim_cur = 3;
  REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  for (int i = 0; i < 3; i++) {
    CHECK_EQ(thrum_accept(l, &c, SOON), THRUM_EMFILE);
    CHECK(c == NULL);
  }
  CHECK_EQ(thrum_tcp_dial(NULL, "127.0.0.1", 1, &c, SOON), THRUM_EMFILE);
  CHECK_EQ(thrum_poll_fd(NULL, a, THRUM_WRITABLE, SOON), THRUM_EMFILE);
  CHECK_EQ(thrum_fd_new(NULL, a, &f), THRUM_EMFILE);
  REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
  CHECK_EQ(sockets(), before);
  /* they have waited */
  for (int i = 0; i < 2; i++) {
    char x = 0;
    REQUIRE_EQ(thrum_accept(l, &c, SOON), 0);
    raw_write(i ? b : a, "y", 1);
    CHECK_EQ(thrum_read(c, &x, 1, SOON), 1);
    thrum_conn_release(c);
  }
  thrum_listener_release(l);
  close(a);
  close(b);
}
/* It is not to be said then that there is no such name. */
static void no_name(void* arg) {
  struct rlimit old, none;
  thrum_addr found;
  (void)arg;
  REQUIRE_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
  none = old;
  none.rlim_cur = 3;
  REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  int rc = thrum_resolve(NULL, "localhost", 1, &found, 1, SOON);
  REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
  CHECK_MSG(rc == THRUM_EMFILE || rc == THRUM_EAGAIN, "it is %d", rc);
}
/* None for all of a runtime's first loop: as many as there are go back. */
static void first_listener(void* arg) {
  thrum_listener* l = NULL;
  *(int*)arg = thrum_tcp_listen(NULL, "127.0.0.1", 0, 0, &l);
  thrum_listener_release(l);
}
TEST(out_of_descriptors) {
  enum { BELOW = 40 };
  int taken[BELOW], n = 0;
  on_net(no_descriptors, NULL);
  on_net(no_name, NULL);
  do
    taken[n++] = fcntl(1, F_DUPFD_CLOEXEC, 0);
  while (taken[n - 1] >= 0 && taken[n - 1] < BELOW - 1);
  REQUIRE_EQ(taken[n - 1], BELOW - 1);
  for (int left = 0, rc = THRUM_EMFILE; rc; left++) {
    struct rlimit old, few;
    int before = check_fds();
    REQUIRE_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = old;
    few.rlim_cur = (rlim_t)(BELOW + left);
    thrum_rt* rt = rt_make(RT_P1);
    REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    CHECK_EQ(thrum_run(rt, first_listener, &rc), 0);
    REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
    rt_end(rt);
    CHECK(rc == 0 || rc == THRUM_EMFILE);
    CHECK_EQ(check_fds(), before);
  }
  while (n > 0)
    close(taken[--n]);
}

/* ---- short reads that are no end of the data ----------------------------- */

/* A read ends at the mark of urgent data; what lies behind has come in the same
 * event. */
static void urgent(void* arg) {
  char buf[64];
  (void)arg;
  for (int waits = 0; waits < 2; waits++) {
    thrum_conn* c = NULL;
    int fd = tcp_to_raw(NULL, &c);
    size_t got = 0;
    CHECK_EQ(thrum_read(c, buf, 64, THRUM_TRY), THRUM_EAGAIN);
    CHECK_EQ(thrum_read(c, buf, 64, thrum_after(MS)), THRUM_ETIMEDOUT);
    raw_write(fd, "abc", 3);
    CHECK_EQ(send(fd, "X", 1, MSG_OOB), 1);
    raw_write(fd, "def", 3);
    if (waits)
      CHECK_EQ(thrum_sleep(2 * MS), 0);
    while (got < 6) {
      int64_t n = thrum_read(c, buf + got, 64 - got, SOON);
      REQUIRE(n > 0);
      got += (size_t)n;
    }
    CHECK_EQ(memcmp(buf, "abcdef", 6), 0);
    close(fd);
    CHECK_EQ(thrum_read(c, buf, 64, SOON), 0);
    thrum_conn_release(c);
  }
}
/* Likewise a message with a descriptor, on a Unix socket. */
static void send_with_fd(int to, const char* text, int fd) {
  union {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec v = {(void*)(uintptr_t)text, strlen(text)};
  struct msghdr m;
  memset(&m, 0, sizeof m);
  memset(&control, 0, sizeof control);
  m.msg_iov = &v;
  m.msg_iovlen = 1;
  m.msg_control = &control;
  m.msg_controllen = sizeof control.bytes;
  control.head.cmsg_level = SOL_SOCKET;
  control.head.cmsg_type = SCM_RIGHTS;
  control.head.cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(&control.head), &fd, sizeof fd);
  REQUIRE_EQ(sendmsg(to, &m, 0), (ssize_t)strlen(text));
}
static void passed(void* arg) {
  char buf[64];
  thrum_conn* c = NULL;
  int fd = unix_to_raw(NULL, &c);
  size_t got = 0;
  (void)arg;
  CHECK_EQ(thrum_read(c, buf, 64, thrum_after(MS)), THRUM_ETIMEDOUT);
  send_with_fd(fd, "abc", 0);
  send_with_fd(fd, "de", 0);
  raw_write(fd, "f", 1);
  CHECK_EQ(thrum_sleep(2 * MS), 0);
  while (got < 6) {
    int64_t n = thrum_read(c, buf + got, 64 - got, SOON);
    REQUIRE(n > 0);
    got += (size_t)n;
  }
  CHECK_EQ(memcmp(buf, "abcdef", 6), 0);
  close(fd);
  thrum_conn_release(c);
}
TEST(short_reads) {
  on_net(urgent, NULL);
  on_net(passed, NULL);
}

static const struct check_case cases[] = {
    CASE(deadlines),
    CASE(dials),
    CASE(closing),
    CASE(cancel),
    CASE(connection_refused),
    CASE(connection_reset),
    CASE(a_close_does_not_linger),
    CASE(no_sigpipe),
    CASE(out_of_descriptors),
    CASE(short_reads),
};
NET_MAIN(cases)
