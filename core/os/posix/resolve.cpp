// SPDX-License-Identifier: MIT
#include "os/resolve.hpp"

#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "os/posix/errno.hpp"

namespace thrum::os {

namespace {

int from_eai(int code) {
  switch (code) {
    case EAI_AGAIN:
      return -EAGAIN;
    case EAI_MEMORY:
      return -ENOMEM;
    case EAI_SYSTEM:
      return errno ? -errno : -EIO;
    default:  // of what it could not open it says that there is none
      return errno == EMFILE || errno == ENFILE ? -errno : -ENODATA;
  }
}

}  // namespace

int resolve(const char* host, u16 port, Address* out, u32 most) {
  ErrnoKeep keep;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;  // each address once
  addrinfo* list = nullptr;
  errno = 0;
  if (int code = getaddrinfo(host, nullptr, &hints, &list)) {
    return from_eai(code);
  }
  u32 n = 0;
  for (addrinfo* a = list; a && n < most; a = a->ai_next) {
    if (a->ai_addrlen > sizeof out[n].bytes) {
      continue;
    }
    memcpy(out[n].bytes, a->ai_addr, a->ai_addrlen);
    out[n].size = a->ai_addrlen;
    Family family = family_of(out[n]);
    if (family == Family::v4 || family == Family::v6) {
      address_set_port(out[n++], port);
    }
  }
  freeaddrinfo(list);
  return n ? static_cast<int>(n) : -ENODATA;
}

}  // namespace thrum::os
