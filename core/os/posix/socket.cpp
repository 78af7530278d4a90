// SPDX-License-Identifier: MIT
#include "os/socket.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/posix/quietly.hpp"

namespace thrum::os {

namespace {

sockaddr* raw(Address& a) { return reinterpret_cast<sockaddr*>(a.bytes); }
const sockaddr* raw(const Address& a) {
  return reinterpret_cast<const sockaddr*>(a.bytes);
}
template <class T>
T& as(Address& a) {
  static_assert(sizeof(T) <= sizeof a.bytes);
  memset(a.bytes, 0, sizeof a.bytes);
  a.size = sizeof(T);
  return *reinterpret_cast<T*>(a.bytes);
}

template <class Call>
int named(Address& out, Call call) {
  socklen_t size = sizeof out.bytes;
  memset(out.bytes, 0, sizeof out.bytes);
  int err = result([&] { return call(raw(out), &size); });
  out.size = min(static_cast<u32>(size), u32{sizeof out.bytes});
  return err;
}

const iovec* vec(const Span* spans) {
  static_assert(sizeof(Span) == sizeof(iovec) &&
                offsetof(Span, bytes) == offsetof(iovec, iov_len));
  return reinterpret_cast<const iovec*>(spans);
}

int set(int fd, int level, int name, const void* value, socklen_t size) {
  return result([&] { return setsockopt(fd, level, name, value, size); });
}
int set(int fd, int level, int name, int value) {
  return set(fd, level, name, &value, sizeof value);
}

int keep_alive(int fd, int seconds) {
  int err = set(fd, SOL_SOCKET, SO_KEEPALIVE, seconds > 0);
  if (!err && seconds > 0) {
    err = set(fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds);
    err = err ? err : set(fd, IPPROTO_TCP, TCP_KEEPINTVL, max(seconds / 4, 1));
  }
  return err;
}

}  // namespace

i64 fd_read(int fd, const Span* spans, u32 n) {
  return result([&] { return readv(fd, vec(spans), static_cast<int>(n)); });
}

i64 fd_write_quietly(int fd, const Span* spans, u32 n) {
  return quietly([&] { return writev(fd, vec(spans), static_cast<int>(n)); });
}

int fd_close(int fd) {
  ErrnoKeep keep;
  return close(fd) < 0 ? -errno : 0;  // never again: it is closed after EINTR
}

int fd_dup(int fd) {
  // Not one that the host may have closed to open another there.
  return result([&] { return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1); });
}

int fd_flags(int fd) {
  return result([&] { return fcntl(fd, F_GETFL); });
}

int fd_set_flags(int fd, int flags) {
  return flags < 0 ? flags : result([&] { return fcntl(fd, F_SETFL, flags); });
}

int fd_nonblocking(int fd) {
  int flags = fd_flags(fd);
  return flags < 0 || (flags & O_NONBLOCK)
             ? min(flags, 0)
             : fd_set_flags(fd, flags | O_NONBLOCK);
}

Family family_of(const Address& a) {
  switch (a.size ? raw(a)->sa_family : AF_UNSPEC) {
    case AF_INET:
      return Family::v4;
    case AF_INET6:
      return Family::v6;
    case AF_UNIX:
      return Family::local;
    default:
      return Family::none;
  }
}

bool address_parse(Address& a, const char* literal, u16 port) {
  auto& v4 = as<sockaddr_in>(a);
  if (inet_pton(AF_INET, literal, &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    return true;
  }
  char host[INET6_ADDRSTRLEN];
  const char* zone = strchr(literal, '%');
  size_t n = zone ? static_cast<size_t>(zone - literal) : strlen(literal);
  auto& v6 = as<sockaddr_in6>(a);
  if (n >= sizeof host) {
    return false;
  }
  memcpy(host, literal, n);
  host[n] = 0;
  if (inet_pton(AF_INET6, host, &v6.sin6_addr) != 1) {
    return false;
  }
  if (zone) {
    ErrnoKeep keep;
    char* end;
    unsigned long index = strtoul(zone + 1, &end, 10);
    v6.sin6_scope_id =
        *end ? if_nametoindex(zone + 1) : static_cast<u32>(index);
    if (!v6.sin6_scope_id) {
      return false;
    }
  }
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  return true;
}

bool address_local(Address& a, const char* path) {
  auto& un = as<sockaddr_un>(a);
  size_t n = strlen(path);
  if (n == 0 || n >= sizeof un.sun_path) {
    return false;
  }
  un.sun_family = AF_UNIX;
  memcpy(un.sun_path, path, n);
  a.size = static_cast<u32>(offsetof(sockaddr_un, sun_path) + n + 1);
  if (path[0] == '@') {  // no file: a name of the network namespace
    un.sun_path[0] = 0;
    --a.size;
  }
  return true;
}

u16 address_port(const Address& a) {
  switch (family_of(a)) {
    case Family::v4:
      return ntohs(reinterpret_cast<const sockaddr_in*>(a.bytes)->sin_port);
    case Family::v6:
      return ntohs(reinterpret_cast<const sockaddr_in6*>(a.bytes)->sin6_port);
    default:
      return 0;
  }
}

void address_set_port(Address& a, u16 port) {
  if (family_of(a) == Family::v4) {
    reinterpret_cast<sockaddr_in*>(a.bytes)->sin_port = htons(port);
  } else if (family_of(a) == Family::v6) {
    reinterpret_cast<sockaddr_in6*>(a.bytes)->sin6_port = htons(port);
  }
}

int address_text(const Address& a, char* out, size_t size) {
  char text[sizeof(sockaddr_un::sun_path) + 1] = "";
  ErrnoKeep keep;
  Family family = family_of(a);
  if (family == Family::v4) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(a.bytes)->sin_addr,
              text, sizeof text);
  } else if (family == Family::v6) {
    auto* v6 = reinterpret_cast<const sockaddr_in6*>(a.bytes);
    inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
    if (v6->sin6_scope_id) {
      size_t n = strlen(text);
      snprintf(text + n, sizeof text - n, "%%%u", v6->sin6_scope_id);
    }
  } else if (family == Family::local &&
             a.size > offsetof(sockaddr_un, sun_path)) {
    auto* un = reinterpret_cast<const sockaddr_un*>(a.bytes);
    size_t n = a.size - offsetof(sockaddr_un, sun_path);
    memcpy(text, un->sun_path, min(n, sizeof un->sun_path));
    if (!text[0]) {
      text[0] = '@';
    }
  }
  size_t n = strlen(text);
  if (n >= size) {
    return -ENOSPC;
  }
  memcpy(out, text, n + 1);
  return static_cast<int>(n);
}

int sock_open(Family family, int kind) {
  int domain = family == Family::v4   ? AF_INET
               : family == Family::v6 ? AF_INET6
                                      : AF_UNIX;
  int type = kind == kStream ? SOCK_STREAM : SOCK_DGRAM;
  int fd = result(
      [&] { return socket(domain, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); });
  if (fd >= 0 && kind == kStream && domain != AF_UNIX) {
    set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  }
  return fd;
}

int sock_pair(int fds[2]) {
  return result([&] {
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                      fds);
  });
}

int sock_bind(int fd, const Address& at) {
  return result([&] { return bind(fd, raw(at), at.size); });
}

int sock_listen(int fd, int backlog) {
  return result([&] { return listen(fd, backlog); });
}

int sock_connect(int fd, const Address& to) {
  ErrnoKeep keep;
  if (connect(fd, raw(to), to.size) == 0) {
    return 0;
  }
  return errno == EINTR ? -EINPROGRESS : -errno;
}

int sock_type(int fd) {
  int value = 0;
  socklen_t size = sizeof value;
  int err = result(
      [&] { return getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &size); });
  return err                    ? err
         : value == SOCK_STREAM ? kStream
         : value == SOCK_DGRAM  ? kDatagram
                                : 0;
}

int sock_error(int fd) {
  int value = 0;
  socklen_t size = sizeof value;
  int err = result(
      [&] { return getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &size); });
  return err ? err : -value;
}

int sock_name(int fd, Address& out) {
  return named(
      out, [&](sockaddr* a, socklen_t* n) { return getsockname(fd, a, n); });
}

int sock_peer(int fd, Address& out) {
  return named(
      out, [&](sockaddr* a, socklen_t* n) { return getpeername(fd, a, n); });
}

int sock_shutdown(int fd, int directions) {
  int how = directions == kReadable   ? SHUT_RD
            : directions == kWritable ? SHUT_WR
                                      : SHUT_RDWR;
  return result([&] { return shutdown(fd, how); });
}

void sock_close_soon(int fd) {
  ErrnoKeep keep;
  linger l{};
  socklen_t size = sizeof l;
  if (getsockopt(fd, SOL_SOCKET, SO_LINGER, &l, &size) == 0 && l.l_onoff &&
      l.l_linger) {
    l.l_onoff = 0;
    set(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
  }
}

i64 sock_send_span(int fd, const Span* spans, u32 n) {
  msghdr msg{};
  msg.msg_iov = const_cast<iovec*>(vec(spans));
  msg.msg_iovlen = n;
  return result([&] { return sendmsg(fd, &msg, MSG_NOSIGNAL); });
}

i64 sock_send_to(int fd, const void* buf, size_t n, const Address* to) {
  return result([&] {
    return sendto(fd, buf, n, MSG_NOSIGNAL, to ? raw(*to) : nullptr,
                  to ? to->size : 0);
  });
}

i64 sock_recv_from(int fd, void* buf, size_t n, Address* from) {
  if (!from) {
    return sock_recv(fd, buf, n);
  }
  socklen_t size = sizeof from->bytes;
  memset(from->bytes, 0, sizeof from->bytes);
  i64 got = result([&] { return recvfrom(fd, buf, n, 0, raw(*from), &size); });
  from->size = min(static_cast<u32>(size), u32{sizeof from->bytes});
  return got;
}

int sock_set(int fd, Option option, int value) {
  switch (option) {
    case Option::reuse_address:
      return set(fd, SOL_SOCKET, SO_REUSEADDR, value);
    case Option::reuse_port:
      return set(fd, SOL_SOCKET, SO_REUSEPORT, value);
    case Option::v6_only:
      return set(fd, IPPROTO_IPV6, IPV6_V6ONLY, value);
    case Option::no_delay:
      return set(fd, IPPROTO_TCP, TCP_NODELAY, value);
    case Option::keep_alive:
      return keep_alive(fd, value);
    case Option::linger: {
      linger l{1, value};
      return set(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    }
    case Option::receive_buffer:
      return set(fd, SOL_SOCKET, SO_RCVBUF, value);
    case Option::send_buffer:
      return set(fd, SOL_SOCKET, SO_SNDBUF, value);
  }
  return -EINVAL;
}

}  // namespace thrum::os
