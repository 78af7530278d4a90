// SPDX-License-Identifier: MIT
#pragma once
#include "os/posix/errno.hpp"

namespace thrum::os {

// A system call's result or its negated errno, errno as before; again after a
// signal.
template <class Call>
auto result(Call call) {
  ErrnoKeep keep;
  decltype(call()) n;
  do {
    n = call();
  } while (n < 0 && errno == EINTR);
  return n < 0 ? static_cast<decltype(n)>(-errno) : n;
}

}  // namespace thrum::os
