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
  struct sigaction ours;    // libuv's
  bool inherited;  // this is a child, whose libuv takes itself to be in force
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

// On the alternate stack, if the thread has one: a G's has no room for what the
// kernel pushes, and a goroutine's has less.
void former_replaced(int signo) {
  Locked held(g_former_lock);
  Former& f = g_former[signo];
  if (f.users > 1) {
    return;
  }
  ErrnoKeep keep;
  if (!f.inherited) {
    sigaction(signo, nullptr, &f.ours);
    f.ours.sa_flags |= SA_ONSTACK;
  }
  sigaction(signo, &f.ours, nullptr);
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
  if (sigaction(signo, nullptr, &now) == 0 &&
      (now.sa_handler == SIG_DFL ||
       (f.inherited && now.sa_handler == f.ours.sa_handler))) {
    sigaction(signo, &f.action, nullptr);  // else somebody has it still
  }
}

// Who held the lock is not here.
void former_in_child() {
  g_former_lock.unlock();
  ErrnoKeep keep;
  for (int signo = 1; signo < NSIG; ++signo) {
    Former& f = g_former[signo];
    struct sigaction now;
    if (f.users && sigaction(signo, nullptr, &now) == 0 &&
        now.sa_handler == f.ours.sa_handler) {
      sigaction(signo, &f.action, nullptr);
      f.inherited = true;
    }
    f.users = 0;
  }
}

}  // namespace thrum::os
