// SPDX-License-Identifier: MIT
#include "net/datagram.hpp"

#include "net/stream.hpp"

namespace thrum {

int datagram_new(Runtime* rt, const os::Address& at, u32 flags,
                 Datagram** out) {
  *out = nullptr;
  int fd = os::sock_open(os::family_of(at), os::kDatagram);
  if (fd < 0) {
    return fd;
  }
  int err = 0;
  if (os::family_of(at) == os::Family::v6) {
    err = os::sock_set(fd, os::Option::v6_only, (flags & kV6Only) != 0);
  }
  if (!err && (flags & kReusePort)) {
    err = os::sock_set(fd, os::Option::reuse_port, 1);
  }
  err = err ? err : os::sock_bind(fd, at);
  err = err ? err
            : fd_new(rt, fd, false, sizeof(Datagram),
                     reinterpret_cast<PollFd**>(out));
  if (err) {
    os::fd_close(fd);
  }
  return err;
}

i64 datagram_send(M*& m, Datagram* d, const void* buf, size_t n,
                  const os::Address* to, i64 deadline) {
  return fd_call(m, &d->fd, Dir::write, deadline,
                 [&] { return os::sock_send_to(d->fd.fd, buf, n, to); });
}

i64 datagram_recv(M*& m, Datagram* d, void* buf, size_t n, os::Address* from,
                  i64 deadline) {
  return fd_call(m, &d->fd, Dir::read, deadline,
                 [&] { return os::sock_recv_from(d->fd.fd, buf, n, from); });
}

}  // namespace thrum
