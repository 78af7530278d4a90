// SPDX-License-Identifier: MIT
#include <signal.h>

#include "os/lock.hpp"
#include "os/os.hpp"
#include "os/posix/errno.hpp"

namespace thrum::os {

namespace {

struct Former {
  u32 users;
  struct sigaction action;  // before the first of them
};
WordLock g_former_lock;
Former g_former[NSIG];  // g_former_lock

}  // namespace

void former_keep(int signo) {
  if (signo <= 0 || signo >= NSIG) {
    return;
  }
  Locked held(g_former_lock);
  Former& f = g_former[signo];
  if (f.users++ == 0) {
    ErrnoKeep keep;
    sigaction(signo, nullptr, &f.action);
  }
}

void former_back(int signo) {
  if (signo <= 0 || signo >= NSIG) {
    return;
  }
  Locked held(g_former_lock);
  Former& f = g_former[signo];
  if (--f.users) {
    return;
  }
  ErrnoKeep keep;
  struct sigaction now;
  if (sigaction(signo, nullptr, &now) == 0 && now.sa_handler == SIG_DFL) {
    sigaction(signo, &f.action, nullptr);  // else somebody has it still
  }
}

}  // namespace thrum::os
