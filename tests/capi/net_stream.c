/* net_stream.c: byte streams, as they work when nothing goes wrong: TCP over
 * both families and Unix sockets, names, ports, order, partial progress, files,
 * options. What ends a wait is in net_ends.c. */
#include "../support/check.h"

#include <sys/stat.h>

#include "../support/net.h"

/* ---- addresses: plain values --------------------------------------------- */

TEST(address_text) {
  static const struct {
    const char* in;
    uint16_t port;
    const char* out;
  } rows[] = {{"127.0.0.1", 80, "127.0.0.1"},
              {"::1", 443, "::1"},
              {"0:0:0:0:0:0:0:1", 1, "::1"},
              {"255.255.255.255", 65535, "255.255.255.255"},
              {"/tmp/a.sock", 0, "/tmp/a.sock"},
              {"./a", 0, "./a"},
              {"@name", 0, "@name"},
              {"fe80::1%1", 5, "fe80::1%1"}};
  char text[128];
  for (size_t i = 0; i < CHECK_COUNT(rows); i++) {
    thrum_addr a;
    check_context = rows[i].in;
    REQUIRE_EQ(thrum_addr_parse(&a, rows[i].in, rows[i].port), 0);
    CHECK_EQ(thrum_addr_port(&a), rows[i].port);
    int n = thrum_addr_text(&a, text, sizeof text);
    CHECK_EQ(n, (int)strlen(rows[i].out));
    CHECK_MSG(strcmp(text, rows[i].out) == 0, "%s", text);
    CHECK_EQ(thrum_addr_text(&a, text, (size_t)n + 1), n);
    CHECK_EQ(thrum_addr_text(&a, text, (size_t)n), THRUM_ENOSPC);
    CHECK_EQ(thrum_addr_text(&a, text, 0), THRUM_ENOSPC);
  }
}
TEST(address_refused) {
  static const char* const bad[] = {
      "",      "localhost", "1.2.3",       "1.2.3.4.5",
      "::1::", "1.2.3.256", "::1%nosuchif"};
  thrum_addr a;
  char text[8];
  for (size_t i = 0; i < CHECK_COUNT(bad); i++) {
    check_context = bad[i];
    memset(&a, 0xff, sizeof a);
    CHECK_EQ(thrum_addr_parse(&a, bad[i], 1), THRUM_EINVAL);
    CHECK_EQ(thrum_addr_port(&a), 0);
    CHECK_EQ(thrum_addr_text(&a, text, sizeof text), THRUM_EINVAL);
  }
  check_context = "";
  char path[200];
  memset(path, 'x', sizeof path);
  path[0] = '/';
  path[108] = 0;
  CHECK_EQ(thrum_addr_parse(&a, path, 0), THRUM_EINVAL);
  path[107] = 0;
  CHECK_EQ(thrum_addr_parse(&a, path, 0), 0);
  /* a path has no port */
  CHECK_EQ(thrum_addr_parse(&a, "/a", 5), THRUM_EINVAL);
}

/* ---- echo ---------------------------------------------------------------- */

enum { CLIENTS = 8, TRIPS = 40, MOST = 5000 };
struct echo {
  thrum_listener* l;
  const char* host;
  const thrum_addr* at; /* instead of a host */
  word served;
};
static void echo_one(void* arg) {
  thrum_conn* c = arg;
  char* buf = malloc(MOST);
  int64_t n;
  while ((n = thrum_read(c, buf, MOST, SOON)) > 0)
    CHECK_EQ(thrum_write(c, buf, (size_t)n, SOON), n);
  CHECK_EQ(n, 0);
  free(buf);
  thrum_conn_release(c);
}
static void echo_server(void* arg) {
  struct echo* e = arg;
  thrum_g gs[CLIENTS];
  for (int i = 0; i < CLIENTS; i++) {
    thrum_conn* c = NULL;
    REQUIRE_EQ(thrum_accept(e->l, &c, SOON), 0);
    gs[i] = go(echo_one, c);
    add(&e->served, 1);
  }
  for (int i = 0; i < CLIENTS; i++)
    join_g(gs[i]);
}
static void echo_client(void* arg) {
  struct echo* e = arg;
  thrum_conn** c = malloc(sizeof *c);
  unsigned char *out = malloc(MOST), *in = malloc(MOST);
  if (e->at)
    REQUIRE_EQ(thrum_dial(NULL, e->at, c, SOON), 0);
  else
    REQUIRE_EQ(
        thrum_tcp_dial(NULL, e->host, thrum_listener_port(e->l), c, SOON), 0);
  for (size_t i = 0; i < TRIPS; i++) {
    size_t n = 1 + i * i * 3 % MOST;
    fill(out, n, i);
    CHECK_EQ(thrum_write(*c, out, n, SOON), n);
    CHECK_EQ(read_full(*c, in, n), n);
    CHECK_EQ(first_wrong(in, n, i), n);
  }
  CHECK_EQ(thrum_conn_shutdown(*c), 0);
  CHECK_EQ(thrum_read(*c, in, MOST, SOON), 0);
  thrum_conn_release(*c);
  free(c);
  free(out);
  free(in);
}
static void echo_all(struct echo* e) {
  thrum_g gs[CLIENTS], server = go(echo_server, e);
  for (int i = 0; i < CLIENTS; i++)
    gs[i] = go(echo_client, e);
  for (int i = 0; i < CLIENTS; i++)
    join_g(gs[i]);
  join_g(server);
  CHECK_EQ(e->served, CLIENTS);
}
static void echo_tcp(void* arg) {
  struct echo* e = malloc(sizeof *e);
  memset(e, 0, sizeof *e);
  e->host = arg;
  REQUIRE_EQ(thrum_tcp_listen(NULL, arg, 0, 0, &e->l), 0);
  CHECK(thrum_listener_port(e->l) > 0);
  echo_all(e);
  thrum_listener_release(e->l);
  free(e);
}
TEST(echo_v4) {
  on_net(echo_tcp, "127.0.0.1");
  in_rt(RT_SLEEPY, echo_tcp, "127.0.0.1");
}
TEST(echo_v6) {
  if (!has_v6())
    SKIP("no IPv6 here");
  on_net(echo_tcp, "::1");
}
TEST(echo_name) { on_net(echo_tcp, "localhost"); }

static void echo_at(void* arg) {
  struct echo* e = malloc(sizeof *e);
  thrum_addr at = addr_of(arg, 0), *kept = malloc(sizeof *kept);
  *kept = at;
  memset(e, 0, sizeof *e);
  e->at = kept;
  REQUIRE_EQ(thrum_listen(NULL, &at, 0, 0, &e->l), 0);
  CHECK_EQ(thrum_listener_port(e->l), 0);
  echo_all(e);
  thrum_listener_release(e->l);
  free(kept);
  free(e);
}
static void at_path(void* arg) {
  char* path = arg;
  echo_at(path);
  struct stat s;
  CHECK_EQ(stat(path, &s), 0); /* it stays */
  thrum_addr at = addr_of(path, 0);
  thrum_listener* l = (thrum_listener*)&s;
  CHECK_EQ(thrum_listen(NULL, &at, 0, 0, &l), THRUM_EADDRINUSE);
  CHECK(l == NULL);
  thrum_conn* c = (thrum_conn*)&s;
  CHECK_EQ(thrum_dial(NULL, &at, &c, SOON), THRUM_ECONNREFUSED);
  CHECK(c == NULL);
  CHECK_EQ(unlink(path), 0);
  CHECK_EQ(thrum_dial(NULL, &at, &c, SOON), THRUM_ENOENT);
}
TEST(echo_unix) {
  char dir[] = "/tmp/thrum-net-XXXXXX", path[64], name[64];
  REQUIRE(mkdtemp(dir) != NULL);
  snprintf(path, sizeof path, "%s/socket", dir);
  on_net(at_path, path);
  snprintf(name, sizeof name, "@thrum-net-%d", (int)getpid());
  on_net(echo_at, name);
  CHECK_EQ(rmdir(dir), 0);
}

/* ---- listening ----------------------------------------------------------- */

static void one_trip(thrum_listener* l, const char* host) {
  thrum_conn *a = NULL, *b = NULL;
  char c = 0;
  REQUIRE_EQ(thrum_tcp_dial(NULL, host, thrum_listener_port(l), &a, SOON), 0);
  REQUIRE_EQ(thrum_accept(l, &b, SOON), 0);
  CHECK_EQ(thrum_write(a, "x", 1, SOON), 1);
  CHECK_EQ(thrum_read(b, &c, 1, SOON), 1);
  CHECK_EQ(c, 'x');
  thrum_conn_release(a);
  thrum_conn_release(b);
}
static void both_families(void* arg) {
  thrum_listener* l = NULL;
  (void)arg;
  REQUIRE_EQ(thrum_tcp_listen(NULL, NULL, 0, 5, &l), 0);
  one_trip(l, "127.0.0.1");
  one_trip(l, NULL);
  one_trip(l, "localhost");
  if (has_v6())
    one_trip(l, "::1");
  thrum_listener_release(l);
}
TEST(listen_on_all) { on_net(both_families, NULL); }

static void v6_alone(void* arg) {
  thrum_addr any = addr_of("::", 0);
  thrum_listener* l = NULL;
  thrum_conn* c = NULL;
  (void)arg;
  REQUIRE_EQ(thrum_listen(NULL, &any, 0, THRUM_LISTEN_V6ONLY, &l), 0);
  one_trip(l, "::1");
  CHECK_EQ(thrum_tcp_dial(NULL, "127.0.0.1", thrum_listener_port(l), &c, SOON),
           THRUM_ECONNREFUSED);
  thrum_listener_release(l);
}
TEST(listen_v6_only) {
  if (!has_v6())
    SKIP("no IPv6 here");
  on_net(v6_alone, NULL);
}

static void ports(void* arg) {
  thrum_listener *l = NULL, *other = NULL;
  thrum_addr at = addr_of("127.0.0.1", 0);
  (void)arg;
  REQUIRE_EQ(thrum_tcp_listen(NULL, "127.0.0.1", 0, 0, &l), 0);
  uint16_t port = thrum_listener_port(l);
  CHECK_EQ(port_of(thrum_listener_fd(l)), port);
  CHECK_EQ(thrum_tcp_listen(NULL, "127.0.0.1", port, 0, &other),
           THRUM_EADDRINUSE);
  CHECK(other == NULL);
  thrum_listener_release(l);
  /* at once again, though connections of the former may linger */
  REQUIRE_EQ(thrum_tcp_listen(NULL, "127.0.0.1", port, 0, &l), 0);
  CHECK_EQ(thrum_listener_port(l), port);
  CHECK_EQ(thrum_listener_close(l), 0);
  CHECK_EQ(thrum_listener_fd(l), THRUM_ECLOSED);
  thrum_listener_release(l);
  REQUIRE_EQ(thrum_listen(NULL, &at, 0, THRUM_LISTEN_REUSEPORT, &l), 0);
  at = addr_of("127.0.0.1", thrum_listener_port(l));
  CHECK_EQ(thrum_listen(NULL, &at, 0, THRUM_LISTEN_REUSEPORT, &other), 0);
  CHECK_EQ(thrum_listener_port(other), thrum_listener_port(l));
  thrum_listener_release(l);
  one_trip(other, "127.0.0.1");
  thrum_listener_release(other);
}
TEST(listen_ports) { on_net(ports, NULL); }

static void resolved(void* arg) {
  thrum_addr a[4];
  char text[64];
  (void)arg;
  int n = thrum_resolve(NULL, "localhost", 7, a, 4, SOON);
  CHECK_MSG(n >= 1 && n <= 4, "%d", n);
  for (int i = 0; i < n; i++)
    CHECK_EQ(thrum_addr_port(&a[i]), 7);
  CHECK_EQ(thrum_resolve(NULL, "localhost", 7, a, 1, SOON), 1);
  n = thrum_resolve(NULL, "localhost", 7, a, 1, PAST);
  CHECK(n == 1 || n == THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_resolve(NULL, "127.0.0.9", 8, a, 4, THRUM_TRY), 1);
  CHECK_EQ(thrum_addr_text(&a[0], text, sizeof text), 9);
  CHECK_EQ(strcmp(text, "127.0.0.9"), 0);
  CHECK_EQ(thrum_resolve(NULL, NULL, 8, a, 4, THRUM_TRY), 1);
  /* "invalid" is no domain (RFC 6761); without a server nobody can say */
  n = thrum_resolve(NULL, "no.such.name.invalid", 0, a, 4, THRUM_FOREVER);
  CHECK_MSG(n == THRUM_ENODATA || n == THRUM_EAGAIN, "%d", n);
  char longest[400];
  memset(longest, 'a', sizeof longest);
  longest[399] = 0;
  CHECK_EQ(thrum_resolve(NULL, longest, 0, a, 4, SOON), THRUM_ENAMETOOLONG);
  /* more room than an int can say */
  thrum_addr* many = calloc(64, sizeof *many);
  n = thrum_resolve(NULL, "localhost", 7, many, UINT32_MAX, SOON);
  CHECK_MSG(n >= 1 && n <= 64, "%d", n);
  free(many);
}
TEST(resolve) { on_net(resolved, NULL); }

/* ---- what one end says --------------------------------------------------- */

static void addresses(void* arg) {
  thrum_conn *a = NULL, *b = NULL;
  thrum_addr la, lb, pa, pb;
  char t1[64], t2[64];
  (void)arg;
  tcp_pair(&a, &b);
  REQUIRE_EQ(thrum_conn_local(a, &la), 0);
  REQUIRE_EQ(thrum_conn_peer(a, &pa), 0);
  REQUIRE_EQ(thrum_conn_local(b, &lb), 0);
  REQUIRE_EQ(thrum_conn_peer(b, &pb), 0);
  CHECK_EQ(thrum_addr_port(&la), thrum_addr_port(&pb));
  CHECK_EQ(thrum_addr_port(&lb), thrum_addr_port(&pa));
  CHECK(thrum_addr_text(&la, t1, 64) > 0 && thrum_addr_text(&pb, t2, 64) > 0);
  CHECK_EQ(strcmp(t1, t2), 0);
  thrum_conn_release(a);
  CHECK_EQ(thrum_conn_close(b), 0);
  CHECK_EQ(thrum_conn_local(b, &lb), THRUM_ECLOSED);
  CHECK_EQ(thrum_conn_peer(b, &lb), THRUM_ECLOSED);
  CHECK_EQ(thrum_conn_shutdown(b), THRUM_ECLOSED);
  CHECK_EQ(thrum_conn_set(b, THRUM_OPT_NODELAY, 1), THRUM_ECLOSED);
  thrum_conn_release(b);
}
TEST(conn_addresses) { on_net(addresses, NULL); }

static int option_of(int fd, int level, int name) {
  int v = -1;
  socklen_t size = sizeof v;
  REQUIRE_EQ(getsockopt(fd, level, name, &v, &size), 0);
  return v;
}
static void options(void* arg) {
  thrum_conn *a = NULL, *b = NULL;
  (void)arg;
  tcp_pair(&a, &b);
  for (int i = 0; i < 2; i++) {
    thrum_conn* c = i ? b : a;
    int fd = thrum_conn_fd(c);
    CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
    CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    CHECK(option_of(fd, IPPROTO_TCP, TCP_NODELAY) != 0);
    CHECK_EQ(thrum_conn_set(c, THRUM_OPT_NODELAY, 0), 0);
    CHECK_EQ(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 0);
    CHECK_EQ(thrum_conn_set(c, THRUM_OPT_KEEPALIVE, 77), 0);
    CHECK_EQ(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    CHECK_EQ(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 77);
    CHECK_EQ(thrum_conn_set(c, THRUM_OPT_KEEPALIVE, 0), 0);
    CHECK_EQ(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    CHECK_EQ(thrum_conn_set(c, THRUM_OPT_RCVBUF, 20000), 0);
    CHECK(option_of(fd, SOL_SOCKET, SO_RCVBUF) >= 20000);
    CHECK_EQ(thrum_conn_set(c, THRUM_OPT_SNDBUF, 20000), 0);
    CHECK(option_of(fd, SOL_SOCKET, SO_SNDBUF) >= 20000);
    CHECK_EQ(thrum_conn_set(c, 0, 1), THRUM_EINVAL);
    CHECK_EQ(thrum_conn_set(c, 99, 1), THRUM_EINVAL);
    CHECK_EQ(thrum_conn_set(c, THRUM_OPT_NODELAY, -1), THRUM_EINVAL);
  }
  /* a close that resets */
  char c;
  CHECK_EQ(thrum_conn_set(a, THRUM_OPT_LINGER, 0), 0);
  thrum_conn_release(a);
  CHECK_EQ(thrum_read(b, &c, 1, SOON), THRUM_ECONNRESET);
  thrum_conn_release(b);
}
TEST(conn_options) { on_net(options, NULL); }

static void half_closed(void* arg) {
  thrum_conn *a = NULL, *b = NULL;
  char buf[8];
  (void)arg;
  tcp_pair(&a, &b);
  CHECK_EQ(thrum_write(a, "ask", 3, SOON), 3);
  CHECK_EQ(thrum_conn_shutdown(a), 0);
  CHECK_EQ(thrum_write(a, "more", 4, SOON), THRUM_EPIPE);
  CHECK_EQ(read_full(b, buf, 3), 3);
  for (int i = 0; i < 3; i++)
    CHECK_EQ(thrum_read(b, buf, sizeof buf, SOON), 0);
  /* the other direction goes on */
  for (int i = 0; i < 3; i++) {
    CHECK_EQ(thrum_write(b, "answer", 6, SOON), 6);
    CHECK_EQ(read_full(a, buf, 6), 6);
  }
  thrum_conn_release(b);
  CHECK_EQ(thrum_read(a, buf, sizeof buf, SOON), 0);
  CHECK_EQ(thrum_read(a, buf, sizeof buf, THRUM_TRY), 0);
  thrum_conn_release(a);
}
TEST(half_close) { on_net(half_closed, NULL); }

/* The end of a stream that lies behind data, in one event, must not wait for
 * another. */
static void end_behind_data(void* arg) {
  char buf[64];
  (void)arg;
  for (int tcp = 0; tcp < 2; tcp++)
    for (int waits = 0; waits < 2; waits++) {
      thrum_conn* c = NULL;
      int fd = to_raw(tcp, NULL, &c);
      struct call k = {.c = c, .buf = buf, .n = sizeof buf, .deadline = SOON};
      thrum_g g = 0;
      if (waits) {
        g = go(do_read, &k);
        wait_parked(thrum_rt_current(), g);
      }
      raw_write(fd, "last", 4);
      close(fd);
      if (waits)
        join_g(g);
      else
        do_read(&k);
      CHECK_EQ(k.result, 4);
      CHECK_EQ(thrum_read(c, buf, sizeof buf, SOON), 0);
      CHECK_EQ(thrum_read(c, buf, sizeof buf, SOON), 0);
      thrum_conn_release(c);
    }
}
TEST(end_of_stream) { on_net(end_behind_data, NULL); }

/* ---- order --------------------------------------------------------------- */

enum { QUEUE = 8 };
static void reads_in_order(void* arg) {
  thrum_conn* c = NULL;
  int fd = to_raw(*(int*)arg, NULL, &c);
  struct call k[QUEUE];
  char got[QUEUE];
  word ends = 0;
  for (int i = 0; i < QUEUE; i++) {
    memset(&k[i], 0, sizeof k[i]);
    k[i].c = c;
    k[i].buf = &got[i];
    k[i].n = 1;
    k[i].deadline = THRUM_FOREVER;
    k[i].ends = &ends;
    k[i].g = go(do_read, &k[i]);
    wait_parked(thrum_rt_current(), k[i].g);
  }
  raw_write(fd, "abc", 3);
  raw_write(fd, "defgh", 5);
  for (int i = 0; i < QUEUE; i++) {
    join_g(k[i].g);
    CHECK_EQ(k[i].result, 1);
    CHECK_EQ(got[i], 'a' + i);
  }
  close(fd);
  thrum_conn_release(c);
}
/* A write is one piece, whoever else writes: the reader finds blocks of one
 * letter. */
enum { BLOCK = 200000 };
static void writes_whole(void* arg) {
  thrum_conn* c = NULL;
  int fd = to_raw(*(int*)arg, NULL, &c);
  thrum_conn* reader = NULL;
  REQUIRE_EQ(thrum_conn_adopt(NULL, fd, &reader), 0);
  struct call k[QUEUE];
  char* block = malloc(QUEUE * (size_t)BLOCK);
  for (int i = 0; i < QUEUE; i++) {
    memset(&k[i], 0, sizeof k[i]);
    k[i].c = c;
    k[i].buf = block + i * (size_t)BLOCK;
    k[i].n = BLOCK;
    k[i].deadline = THRUM_FOREVER;
    memset(k[i].buf, 'a' + i, BLOCK);
    k[i].g = go(do_write, &k[i]);
  }
  char* in = malloc(BLOCK);
  unsigned seen = 0;
  for (int i = 0; i < QUEUE; i++) {
    CHECK_EQ(read_full(reader, in, BLOCK), BLOCK);
    int same = 1;
    for (int j = 1; j < BLOCK; j++)
      same &= in[j] == in[0];
    CHECK(same);
    seen |= 1u << (in[0] - 'a');
  }
  CHECK_EQ(seen, (1u << QUEUE) - 1);
  for (int i = 0; i < QUEUE; i++) {
    join_g(k[i].g);
    CHECK_EQ(k[i].result, BLOCK);
  }
  free(in);
  free(block);
  thrum_conn_release(reader);
  thrum_conn_release(c);
}
TEST(order) {
  for (int tcp = 0; tcp < 2; tcp++) {
    on_net(reads_in_order, &tcp);
    on_net(writes_whole, &tcp);
  }
}

/* ---- more than a buffer holds -------------------------------------------- */

enum { LARGE = 3000000 };
struct flow {
  thrum_conn* c;
  size_t chunk, total;
};
static void slow_reader(void* arg) {
  struct flow* f = arg;
  unsigned char* in = malloc(f->chunk);
  size_t at = 0;
  for (int64_t n; (n = thrum_read(f->c, in, f->chunk, SOON)) > 0;) {
    CHECK_EQ(first_wrong(in, (size_t)n, at), n);
    at += (size_t)n;
    thrum_yield();
  }
  CHECK_EQ(at, f->total);
  free(in);
}
static void large_write(void* arg) {
  int tcp = *(int*)arg;
  unsigned char* out = malloc(LARGE);
  fill(out, LARGE, 0);
  for (int how = 0; how < 3; how++) {
    thrum_conn *c = NULL, *r = NULL;
    int fd = to_raw(tcp, NULL, &c);
    REQUIRE_EQ(thrum_conn_adopt(NULL, fd, &r), 0);
    struct flow f = {r, 30011, LARGE};
    thrum_g reader = go(slow_reader, &f);
    if (how == 0) {
      CHECK_EQ(thrum_write(c, out, LARGE, SOON), LARGE);
    } else if (how == 1) {
      for (size_t at = 0; at < LARGE;) {
        int64_t n = thrum_write_some(c, out + at, LARGE - at, SOON);
        REQUIRE(n > 0);
        at += (size_t)n;
      }
    } else {
      /* pieces that begin and end anywhere, and empty ones */
      thrum_buf b[500];
      size_t at = 0;
      for (int i = 0; i < 500; i++) {
        size_t n = i == 499 ? LARGE - at : i % 7 == 3 ? 0 : (size_t)i * 23 + 1;
        b[i].base = n ? out + at : NULL;
        b[i].size = n;
        at += n;
      }
      CHECK_EQ(thrum_writev(c, b, 500, SOON), LARGE);
    }
    CHECK_EQ(thrum_conn_shutdown(c), 0);
    join_g(reader);
    thrum_conn_release(c);
    thrum_conn_release(r);
  }
  free(out);
}
TEST(more_than_fits) {
  for (int tcp = 0; tcp < 2; tcp++)
    on_net(large_write, &tcp);
}

static void vectors(void* arg) {
  thrum_conn* c = NULL;
  int fd = to_raw(*(int*)arg, NULL, &c);
  unsigned char out[300], in[300];
  fill(out, sizeof out, 0);
  memset(in, 0, sizeof in);
  thrum_buf b[4] = {{in, 10}, {NULL, 0}, {in + 10, 90}, {in + 100, 200}};
  CHECK_EQ(thrum_readv(c, b, 4, THRUM_TRY), THRUM_EAGAIN);
  raw_write(fd, out, 105);
  CHECK_EQ(thrum_readv(c, b, 4, SOON), 105);
  CHECK_EQ(first_wrong(in, 105, 0), 105);
  CHECK_EQ(in[105], 0);
  /* nothing to read into is nothing to wait for */
  thrum_buf none[2] = {{NULL, 0}, {in, 0}};
  CHECK_EQ(thrum_readv(c, none, 2, SOON), 0);
  CHECK_EQ(thrum_writev(c, none, 2, SOON), 0);
  CHECK_EQ(thrum_read(c, in, 0, SOON), 0);
  CHECK_EQ(thrum_write(c, in, 0, SOON), 0);
  /* as many as there may be, and one more */
  thrum_buf* many = calloc(1025, sizeof *many);
  unsigned char* letters = malloc(1025);
  fill(letters, 1025, 0);
  for (int i = 0; i < 1025; i++) {
    many[i].base = letters + i;
    many[i].size = 1;
  }
  CHECK_EQ(thrum_writev(c, many, 1025, SOON), THRUM_EINVAL);
  CHECK_EQ(thrum_readv(c, many, 1025, THRUM_TRY), THRUM_EINVAL);
  thrum_buf huge[2] = {{in, SIZE_MAX}, {in, 1}}; /* none, by their sum */
  CHECK_EQ(thrum_readv(c, huge, 2, THRUM_TRY), THRUM_EINVAL);
  CHECK_EQ(thrum_writev(c, huge, 2, SOON), THRUM_EINVAL);
  CHECK_EQ(thrum_writev(c, many, 1024, SOON), 1024);
  unsigned char back[1024];
  raw_read(fd, back, 1024);
  CHECK_EQ(first_wrong(back, 1024, 0), 1024);
  raw_write(fd, back, 1024);
  memset(letters, 0, 1025);
  CHECK_EQ(thrum_readv(c, many, 1024, SOON), 1024);
  CHECK_EQ(first_wrong(letters, 1024, 0), 1024);
  free(letters);
  free(many);
  close(fd);
  thrum_conn_release(c);
}
TEST(pieces) {
  for (int tcp = 0; tcp < 2; tcp++)
    on_net(vectors, &tcp);
}

/* ---- files --------------------------------------------------------------- */

static int a_file(size_t n) {
  char path[] = "/tmp/thrum-net-XXXXXX";
  int fd = mkostemp(path, O_CLOEXEC);
  REQUIRE(fd >= 0);
  unlink(path);
  unsigned char* p = malloc(n);
  fill(p, n, 0);
  REQUIRE_EQ(write(fd, p, n), n);
  free(p);
  return fd;
}
static void send_files(void* arg) {
  int tcp = *(int*)arg, file = a_file(LARGE);
  thrum_conn *c = NULL, *r = NULL;
  int fd = to_raw(tcp, NULL, &c);
  REQUIRE_EQ(thrum_conn_adopt(NULL, fd, &r), 0);
  struct flow f = {r, 65536, LARGE};
  thrum_g reader = go(slow_reader, &f);
  CHECK_EQ(thrum_sendfile(c, file, 0, 1000, SOON), 1000);
  CHECK_EQ(thrum_sendfile(c, file, 1000, LARGE - 2000, SOON), LARGE - 2000);
  /* fewer at the file's end */
  CHECK_EQ(thrum_sendfile(c, file, LARGE - 1000, 5000, SOON), 1000);
  CHECK_EQ(thrum_sendfile(c, file, LARGE, 5000, SOON), 0);
  CHECK_EQ(thrum_sendfile(c, file, LARGE, 0, SOON), 0);
  CHECK_EQ(thrum_sendfile(c, file, -1, 1, SOON), THRUM_EINVAL);
  CHECK_EQ(thrum_sendfile(c, -1, 0, 1, SOON), THRUM_EBADF);
  CHECK_EQ(lseek(file, 0, SEEK_CUR), LARGE); /* its place is the host's */
  CHECK_EQ(thrum_conn_shutdown(c), 0);
  join_g(reader);
  thrum_conn_release(c);
  thrum_conn_release(r);
  close(file);
}
TEST(files) {
  for (int tcp = 0; tcp < 2; tcp++)
    on_net(send_files, &tcp);
}

/* ---- sockets of the host's ----------------------------------------------- */

static void adopted(void* arg) {
  thrum_conn* c = (thrum_conn*)arg;
  int fds[2], p[2];
  CHECK_EQ(thrum_conn_adopt(NULL, -1, &c), THRUM_EBADF);
  CHECK(c == NULL);
  REQUIRE_EQ(pipe2(p, O_CLOEXEC), 0);
  REQUIRE_EQ(thrum_conn_adopt(NULL, p[0], &c), 0);
  char in;
  CHECK_EQ(write(p[1], "x", 1), 1);
  CHECK_EQ(thrum_read(c, &in, 1, THRUM_FOREVER), 1);
  close(p[1]);
  CHECK_EQ(thrum_read(c, &in, 1, THRUM_FOREVER), 0);
  thrum_conn_release(c);
  int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  CHECK_EQ(thrum_conn_adopt(NULL, file, &c), THRUM_EPERM);
  CHECK_EQ(fcntl(file, F_GETFL) & O_NONBLOCK, 0);
  close(file);
  REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  REQUIRE_EQ(thrum_conn_adopt(NULL, fds[0], &c), 0);
  CHECK_EQ(thrum_conn_fd(c), fds[0]);
  CHECK(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
  thrum_conn_retain(c);
  thrum_conn_release(c);
  CHECK(is_open(fds[0]));
  thrum_conn_release(c);
  char b;
  CHECK_EQ(recv(fds[1], &b, 1, MSG_DONTWAIT), 0);
  close(fds[1]);
  /* no stream: its short reads would say nothing */
  int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  CHECK_EQ(thrum_conn_adopt(NULL, udp, &c), THRUM_EINVAL);
  CHECK(is_open(udp));
  close(udp);
}
TEST(adopt) { on_net(adopted, NULL); }

static const struct check_case cases[] = {
    CASE(address_text),   CASE(address_refused), CASE(echo_v4),
    CASE(echo_v6),        CASE(echo_name),       CASE(echo_unix),
    CASE(listen_on_all),  CASE(listen_v6_only),  CASE(listen_ports),
    CASE(resolve),        CASE(conn_addresses),  CASE(conn_options),
    CASE(half_close),     CASE(end_of_stream),   CASE(order),
    CASE(more_than_fits), CASE(pieces),          CASE(files),
    CASE(adopt),
};
NET_MAIN(cases)
