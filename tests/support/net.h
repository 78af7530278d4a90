/* net.h: what the tests of <thrum/net.h> share: kinds of runtime that have a
 * world outside, connections whose other end is a plain socket of the test's,
 * bytes that tell where they belong. */
#ifndef THRUM_TESTS_NET_H
#define THRUM_TESTS_NET_H

#include "rt.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thrum/net.h>

/* A bound that passes for sure while somebody waits, and a time that has. */
#define LATE(ns) thrum_after(ns)
#define PAST 1

/* In each kind of runtime that has a world outside. */
static inline void on_net(thrum_fn fn, void* arg) {
  on_threads(fn, arg);
  in_rt(RT_HOSTED, fn, arg);
}
/* Where a G that has parked stays so until somebody yields. */
static inline void on_one_p(thrum_fn fn, void* arg) {
  in_rt(RT_SEQ, fn, arg);
  in_rt(RT_HOSTED, fn, arg);
}

/* The first loop of a process opens two descriptors that libuv keeps. */
static inline void net_first_wait(void* arg) {
  int fds[2];
  (void)arg;
  REQUIRE(pipe2(fds, O_CLOEXEC) == 0);
  CHECK_EQ(thrum_poll_fd(NULL, fds[1], THRUM_WRITABLE, SOON), THRUM_WRITABLE);
  close(fds[0]);
  close(fds[1]);
}
static inline void net_warm_up(void) { in_rt(RT_P1, net_first_wait, NULL); }

#define NET_MAIN(cases)                                       \
  int main(int argc, char** argv) {                           \
    net_warm_up();                                            \
    return check_main(argc, argv, cases, CHECK_COUNT(cases)); \
  }

/* ---- bytes --------------------------------------------------------------- */

static inline unsigned char byte_at(size_t i) {
  return (unsigned char)((i * 2654435761u) >> 11);
}
static inline void fill(unsigned char* p, size_t n, size_t at) {
  for (size_t i = 0; i < n; i++)
    p[i] = byte_at(at + i);
}
/* The first place where they are not as fill made them, or n. */
static inline size_t first_wrong(const unsigned char* p, size_t n, size_t at) {
  size_t i = 0;
  while (i < n && p[i] == byte_at(at + i))
    i++;
  return i;
}

/* ---- plain sockets ------------------------------------------------------- */

/* The port that an IP socket has. (The two families keep it at one place.) */
static inline int port_of(int fd) {
  struct sockaddr_in6 at;
  socklen_t size = sizeof at;
  REQUIRE_EQ(getsockname(fd, (struct sockaddr*)&at, &size), 0);
  return ntohs(at.sin6_port);
}
static inline int raw_listen(int backlog, uint16_t* port) {
  struct sockaddr_in at;
  socklen_t size = sizeof at;
  memset(&at, 0, sizeof at);
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(fd >= 0);
  REQUIRE_EQ(bind(fd, (struct sockaddr*)&at, sizeof at), 0);
  REQUIRE_EQ(listen(fd, backlog), 0);
  REQUIRE_EQ(getsockname(fd, (struct sockaddr*)&at, &size), 0);
  *port = ntohs(at.sin_port);
  return fd;
}
static inline int raw_dial(uint16_t port) {
  struct sockaddr_in to;
  memset(&to, 0, sizeof to);
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(port);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(fd >= 0);
  REQUIRE_EQ(connect(fd, (struct sockaddr*)&to, sizeof to), 0);
  return fd;
}
static inline void raw_write(int fd, const void* p, size_t n) {
  const char* from = p;
  while (n > 0) {
    ssize_t k = send(fd, from, n, MSG_NOSIGNAL);
    REQUIRE(k > 0);
    from += k;
    n -= (size_t)k;
  }
}
static inline void raw_read(int fd, void* p, size_t n) {
  char* to = p;
  while (n > 0) {
    ssize_t k = recv(fd, to, n, 0);
    REQUIRE(k > 0);
    to += k;
    n -= (size_t)k;
  }
}
/* Closes so that the peer gets ECONNRESET. */
static inline void raw_reset(int fd) {
  struct linger l = {1, 0};
  REQUIRE_EQ(setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l), 0);
  close(fd);
}
/* What was sent is there in a moment, not at once: where the kernel has much to
 * do, a thread of its own carries it from socket to socket. For calls that must
 * not wait. */
static inline void is_there(int fd) {
  struct pollfd p = {fd, POLLIN, 0};
  REQUIRE_EQ(poll(&p, 1, 20000), 1);
}
static inline int is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }
static inline int has_v6(void) {
  struct sockaddr_in6 at;
  memset(&at, 0, sizeof at);
  at.sin6_family = AF_INET6;
  at.sin6_addr = in6addr_loopback;
  int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int has = fd >= 0 && bind(fd, (struct sockaddr*)&at, sizeof at) == 0;
  if (fd >= 0)
    close(fd);
  return has;
}

/* ---- connections --------------------------------------------------------- */

/* A TCP connection of rt (NULL: the caller's) to a plain socket, which is
 * returned. */
static inline int tcp_to_raw(thrum_rt* rt, thrum_conn** out) {
  uint16_t port;
  int listener = raw_listen(1, &port);
  int ours = raw_dial(port);
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  REQUIRE(fd >= 0);
  close(listener);
  REQUIRE_EQ(thrum_conn_adopt(rt, fd, out), 0);
  return ours;
}
static inline int unix_to_raw(thrum_rt* rt, thrum_conn** out) {
  int fds[2];
  REQUIRE_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  REQUIRE_EQ(thrum_conn_adopt(rt, fds[0], out), 0);
  return fds[1];
}
static inline int to_raw(int tcp, thrum_rt* rt, thrum_conn** out) {
  return tcp ? tcp_to_raw(rt, out) : unix_to_raw(rt, out);
}

/* Both ends in the calling G's runtime: by dial and accept. */
static inline void tcp_pair(thrum_conn** a, thrum_conn** b) {
  thrum_listener* l = NULL;
  REQUIRE_EQ(thrum_tcp_listen(NULL, "127.0.0.1", 0, 0, &l), 0);
  REQUIRE_EQ(thrum_tcp_dial(NULL, "127.0.0.1", thrum_listener_port(l), a, SOON),
             0);
  REQUIRE_EQ(thrum_accept(l, b, SOON), 0);
  thrum_listener_release(l);
}

/* Exactly n bytes, or the end. */
static inline size_t read_full(thrum_conn* c, void* buf, size_t n) {
  size_t got = 0;
  while (got < n) {
    int64_t k = thrum_read(c, (char*)buf + got, n - got, SOON);
    if (k <= 0) {
      CHECK_MSG(k == 0, "read: %s", thrum_errname((int)k));
      break;
    }
    got += (size_t)k;
  }
  return got;
}

static inline thrum_addr addr_of(const char* text, uint16_t port) {
  thrum_addr a;
  REQUIRE_EQ(thrum_addr_parse(&a, text, port), 0);
  return a;
}

/* ---- one call in a G or a thread, and its answer ------------------------- */

struct call {
  thrum_conn* c;
  thrum_listener* l;
  thrum_udp* u;
  thrum_fd* f;
  void* buf;
  size_t n;
  int events;
  int64_t deadline;
  int64_t result;
  thrum_conn* accepted;
  int place; /* in the order of ends */
  word* ends;
  thrum_g g;
};
static inline void call_ended(struct call* k) {
  if (k->ends)
    k->place = (int)add(k->ends, 1);
}
static inline void do_read(void* arg) {
  struct call* k = arg;
  k->result = thrum_read(k->c, k->buf, k->n, k->deadline);
  call_ended(k);
}
static inline void do_write(void* arg) {
  struct call* k = arg;
  k->result = thrum_write(k->c, k->buf, k->n, k->deadline);
  call_ended(k);
}
static inline void do_accept(void* arg) {
  struct call* k = arg;
  k->result = thrum_accept(k->l, &k->accepted, k->deadline);
  call_ended(k);
}
static inline void do_udp_recv(void* arg) {
  struct call* k = arg;
  k->result = thrum_udp_recv(k->u, k->buf, k->n, NULL, k->deadline);
  call_ended(k);
}
static inline void do_fd_wait(void* arg) {
  struct call* k = arg;
  k->result = thrum_fd_wait(k->f, k->events, k->deadline);
  call_ended(k);
}

/* Writes until nothing more fits. Returns how much did. */
static inline size_t stuff(thrum_conn* c) {
  static unsigned char page[65536];
  size_t n = 0;
  for (;;) {
    int64_t k = thrum_write(c, page, sizeof page, THRUM_TRY);
    if (k == THRUM_EAGAIN)
      return n;
    REQUIRE(k > 0);
    n += (size_t)k;
  }
}

#endif
