// UDP sockets.
// SPDX-License-Identifier: MIT
#pragma once
#include "net/pollfd.hpp"

namespace thrum {

struct Datagram {  // thrum_udp
  PollFd fd;
};

int datagram_new(Runtime* rt, const os::Address& at, u32 flags, Datagram** out);
// to null: the peer of a connected one.
i64 datagram_send(M*& m, Datagram* d, const void* buf, size_t n,
                  const os::Address* to, i64 deadline);
i64 datagram_recv(M*& m, Datagram* d, void* buf, size_t n, os::Address* from,
                  i64 deadline);

}  // namespace thrum
