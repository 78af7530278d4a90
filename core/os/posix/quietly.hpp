// For descriptors that know no MSG_NOSIGNAL.
// SPDX-License-Identifier: MIT
#pragma once
#include <signal.h>

#include "os/posix/result.hpp"

namespace thrum::os {

// A call that may raise SIGPIPE, without it. The signal would be this thread's: it
// is held back, and taken if it has come. `wanted`: one that moves fewer bytes may
// have met the end behind them, and raised it all the same.
template <class Call>
i64 quietly(Call call, size_t wanted = 0) {
  sigset_t pipe, before, pending;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  sigpending(&pending);
  pthread_sigmask(SIG_BLOCK, &pipe, &before);
  i64 done = result(call);
  if ((done == -EPIPE || (done > 0 && static_cast<size_t>(done) < wanted)) &&
      !sigismember(&pending, SIGPIPE)) {
    timespec none{};
    ErrnoKeep keep;
    sigtimedwait(&pipe, nullptr, &none);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return done;
}

}  // namespace thrum::os
