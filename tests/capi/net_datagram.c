/* net_datagram.c: UDP sockets, connected and not, over both families. */
#include "../support/check.h"

#include "../support/net.h"

static thrum_udp* udp_at(const char* host) {
  thrum_addr at = addr_of(host, 0);
  thrum_udp* u = NULL;
  REQUIRE_EQ(thrum_udp_open(NULL, &at, 0, &u), 0);
  return u;
}
static thrum_addr local_of(thrum_udp* u) {
  thrum_addr a;
  REQUIRE_EQ(thrum_udp_local(u, &a), 0);
  return a;
}
static int same_addr(const thrum_addr* a, const thrum_addr* b) {
  char x[64], y[64];
  return thrum_addr_port(a) == thrum_addr_port(b) &&
         thrum_addr_text(a, x, 64) > 0 && thrum_addr_text(b, y, 64) > 0 &&
         strcmp(x, y) == 0;
}

static void by_address(void* arg) {
  thrum_udp *a = udp_at(arg), *b = udp_at(arg);
  thrum_addr to = local_of(b), me = local_of(a), from;
  unsigned char out[3000], in[3000];
  CHECK(thrum_addr_port(&to) > 0);
  CHECK_EQ(port_of(thrum_udp_fd(b)), thrum_addr_port(&to));
  for (size_t n = 0; n <= sizeof out; n += 500) {
    fill(out, n, n);
    memset(&from, 0, sizeof from);
    CHECK_EQ(thrum_udp_send(a, out, n, &to, SOON), n);
    CHECK_EQ(thrum_udp_recv(b, in, sizeof in, &from, SOON), n);
    CHECK_EQ(first_wrong(in, n, n), n);
    CHECK(same_addr(&from, &me));
  }
  /* what does not fit is lost, the next one is whole */
  fill(out, 100, 0);
  CHECK_EQ(thrum_udp_send(a, out, 100, &to, SOON), 100);
  CHECK_EQ(thrum_udp_send(a, out, 7, &to, SOON), 7);
  CHECK_EQ(thrum_udp_recv(b, in, 10, NULL, SOON), 10);
  CHECK_EQ(first_wrong(in, 10, 0), 10);
  CHECK_EQ(thrum_udp_recv(b, in, 10, NULL, SOON), 7);
  CHECK_EQ(thrum_udp_recv(b, in, 10, NULL, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_udp_recv(b, in, 10, NULL, PAST), THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_udp_recv(b, in, 10, NULL, thrum_after(MS)), THRUM_ETIMEDOUT);
  /* none is too short to be taken */
  CHECK_EQ(thrum_udp_send(a, NULL, 0, &to, SOON), 0);
  CHECK_EQ(thrum_udp_recv(b, NULL, 0, NULL, SOON), 0);
  CHECK_EQ(thrum_udp_send(a, out, 10, NULL, SOON), THRUM_EDESTADDRREQ);
  static char huge[70000];
  CHECK_EQ(thrum_udp_send(a, huge, sizeof huge, &to, SOON), THRUM_EMSGSIZE);
  thrum_udp_release(a);
  thrum_udp_release(b);
}
TEST(v4) { on_net(by_address, "127.0.0.1"); }
TEST(v6) {
  if (!has_v6())
    SKIP("no IPv6 here");
  on_net(by_address, "::1");
}

static void connected(void* arg) {
  thrum_udp *a = udp_at("127.0.0.1"), *b = udp_at("127.0.0.1"),
            *c = udp_at("127.0.0.1");
  thrum_addr at_a = local_of(a), at_b = local_of(b), none;
  char buf[16];
  (void)arg;
  CHECK_EQ(thrum_udp_connect(a, &at_b), 0);
  CHECK_EQ(thrum_udp_send(a, "one", 3, NULL, SOON), 3);
  CHECK_EQ(thrum_udp_recv(b, buf, 16, NULL, SOON), 3);
  /* from there alone */
  CHECK_EQ(thrum_udp_send(c, "no", 2, &at_a, SOON), 2);
  CHECK_EQ(thrum_udp_send(b, "yes!", 4, &at_a, SOON), 4);
  CHECK_EQ(thrum_udp_recv(a, buf, 16, NULL, SOON), 4);
  CHECK_EQ(thrum_udp_recv(a, buf, 16, NULL, THRUM_TRY), THRUM_EAGAIN);
  memset(&none, 0, sizeof none);
  CHECK(thrum_udp_connect(a, &none) < 0);
  CHECK(thrum_udp_send(c, "x", 1, &none, SOON) < 0);
  /* nobody there: told by a later call; and it goes on afterwards */
  thrum_udp_release(b);
  for (int i = 0; i < 3; i++) {
    CHECK_EQ(thrum_udp_send(a, "x", 1, NULL, SOON), 1);
    CHECK_EQ(thrum_udp_recv(a, buf, 16, NULL, SOON), THRUM_ECONNREFUSED);
  }
  CHECK_EQ(thrum_udp_recv(a, buf, 16, NULL, thrum_after(MS)), THRUM_ETIMEDOUT);
  thrum_udp_release(a);
  thrum_udp_release(c);
}
TEST(connect) { on_net(connected, NULL); }

/* An error that comes while somebody waits, and data after it. */
static void error_wakes(void* arg) {
  thrum_udp *a = udp_at("127.0.0.1"), *b = udp_at("127.0.0.1");
  thrum_addr at_a = local_of(a), at_b = local_of(b);
  char buf[16];
  struct call k = {.u = a, .buf = buf, .n = 16, .deadline = SOON};
  (void)arg;
  thrum_udp_release(b);
  CHECK_EQ(thrum_udp_connect(a, &at_b), 0);
  for (int i = 0; i < 3; i++) {
    thrum_g g = go(do_udp_recv, &k);
    wait_parked(thrum_rt_current(), g);
    CHECK_EQ(thrum_udp_send(a, "x", 1, NULL, SOON), 1);
    join_g(g);
    CHECK_EQ(k.result, THRUM_ECONNREFUSED);
  }
  REQUIRE_EQ(thrum_udp_open(NULL, &at_b, 0, &b), 0);
  for (int i = 0; i < 3; i++) {
    thrum_g g = go(do_udp_recv, &k);
    wait_parked(thrum_rt_current(), g);
    CHECK_EQ(thrum_udp_send(b, "back", 4, &at_a, SOON), 4);
    join_g(g);
    CHECK_EQ(k.result, 4);
  }
  thrum_udp_release(a);
  thrum_udp_release(b);
}
TEST(errors) { on_net(error_wakes, NULL); }

static void order(void* arg) {
  thrum_udp *a = udp_at("127.0.0.1"), *b = udp_at("127.0.0.1");
  thrum_addr to = local_of(b);
  struct call k[6];
  char got[6];
  (void)arg;
  for (int i = 0; i < 6; i++) {
    memset(&k[i], 0, sizeof k[i]);
    k[i].u = b;
    k[i].buf = &got[i];
    k[i].n = 1;
    k[i].deadline = THRUM_FOREVER;
    k[i].g = go(do_udp_recv, &k[i]);
    wait_parked(thrum_rt_current(), k[i].g);
  }
  for (int i = 0; i < 6; i++) {
    char c = (char)('a' + i);
    CHECK_EQ(thrum_udp_send(a, &c, 1, &to, SOON), 1);
  }
  for (int i = 0; i < 6; i++) {
    join_g(k[i].g);
    CHECK_EQ(k[i].result, 1);
    CHECK_EQ(got[i], 'a' + i);
  }
  /* cancel one, close on the others */
  for (int i = 0; i < 3; i++) {
    k[i].g = go(do_udp_recv, &k[i]);
    wait_parked(thrum_rt_current(), k[i].g);
  }
  CHECK_EQ(thrum_cancel(NULL, k[0].g), 0);
  join_g(k[0].g);
  CHECK_EQ(k[0].result, THRUM_ECANCELED);
  CHECK_EQ(thrum_udp_close(b), 0);
  CHECK_EQ(thrum_udp_close(b), 0);
  for (int i = 1; i < 3; i++) {
    join_g(k[i].g);
    CHECK_EQ(k[i].result, THRUM_ECLOSED);
  }
  CHECK_EQ(thrum_udp_recv(b, got, 1, NULL, SOON), THRUM_ECLOSED);
  CHECK_EQ(thrum_udp_send(b, got, 1, &to, SOON), THRUM_ECLOSED);
  CHECK_EQ(thrum_udp_local(b, &to), THRUM_ECLOSED);
  CHECK_EQ(thrum_udp_fd(b), THRUM_ECLOSED);
  CHECK_EQ(thrum_udp_connect(b, &to), THRUM_ECLOSED);
  thrum_udp_release(b);
  k[0].u = a;
  k[0].g = go(do_udp_recv, &k[0]);
  wait_parked(thrum_rt_current(), k[0].g);
  thrum_udp_release(a); /* while a call holds it */
  join_g(k[0].g);
  CHECK_EQ(k[0].result, THRUM_ECLOSED);
}
TEST(waits) { on_net(order, NULL); }

static void opened(void* arg) {
  thrum_udp *a = udp_at("127.0.0.1"), *b = (thrum_udp*)arg;
  thrum_addr at = local_of(a), path = addr_of("@thrum-no-udp", 0);
  CHECK_EQ(thrum_udp_open(NULL, &at, 0, &b), THRUM_EADDRINUSE);
  CHECK(b == NULL);
  CHECK_EQ(thrum_udp_open(NULL, &path, 0, &b), THRUM_EINVAL);
  CHECK_EQ(thrum_udp_open(NULL, &at, 4, &b), THRUM_EINVAL);
  thrum_udp_release(a);
  thrum_addr any = addr_of("127.0.0.1", 0);
  REQUIRE_EQ(thrum_udp_open(NULL, &any, THRUM_LISTEN_REUSEPORT, &a), 0);
  at = local_of(a);
  CHECK_EQ(thrum_udp_open(NULL, &at, THRUM_LISTEN_REUSEPORT, &b), 0);
  thrum_udp_release(a);
  thrum_udp_release(b);
}
TEST(open) { on_net(opened, NULL); }

static const struct check_case cases[] = {
    CASE(v4), CASE(v6), CASE(connect), CASE(errors), CASE(waits), CASE(open)};
NET_MAIN(cases)
