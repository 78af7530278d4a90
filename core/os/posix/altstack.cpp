// Alternate signal stacks of the threads that can be asked (signal.cpp) or tell of
// faults (fault.cpp): the host's own if it is large enough, else one of ours for as long as the thread is ours. A
// G's stack has no room for what the kernel pushes.
// SPDX-License-Identifier: MIT
#include "os/posix/errno.hpp"
#include "os/posix/signal.hpp"

namespace thrum::os {

namespace {

// The handler's own frames, a domain's hook, a former handler of the host's.
constexpr size_t kHandlerRoom = size_t{64} << 10;
constexpr size_t kHandlerLeast = size_t{8} << 10;  // a walk up a stack

int stack_make(AltStack& s) {
  size_t page = page_size();
  size_t size = (signal_frame_bytes() + kHandlerRoom + page - 1) & ~(page - 1);
  char* p = static_cast<char*>(vm_reserve(page + size));
  if (!p) {
    return -ENOMEM;
  }
  vm_guard(p, page, true);
  s.base = p;
  s.size = page + size;
  return 0;
}

}  // namespace

int alt_stack_enter(AltStack& s) {
  if (s.users++) {
    return 0;
  }
  stack_t now{};
  sigaltstack(nullptr, &now);
  if (!(now.ss_flags & SS_DISABLE) &&
      now.ss_size >= signal_frame_bytes() + kHandlerLeast) {
    return 0;  // the host's own serves us too
  }
  int err = s.base ? 0 : stack_make(s);
  if (!err) {
    stack_t mine{};
    mine.ss_sp = s.base + page_size();
    mine.ss_size = s.size - page_size();
    err = sigaltstack(&mine, nullptr) == 0 ? 0 : -errno;
  }
  if (err) {
    s.users = 0;
    return err;
  }
  s.in_force = true;
  s.former = now.ss_sp;
  s.former_size = now.ss_size;
  s.former_flags = now.ss_flags;
  return 0;
}

void alt_stack_leave(AltStack& s) {
  if (--s.users || !s.in_force) {
    return;
  }
  s.in_force = false;
  stack_t now{};
  sigaltstack(nullptr, &now);
  if (now.ss_sp != s.base + page_size()) {
    return;  // the host has set another meanwhile
  }
  stack_t former{};
  former.ss_sp = s.former;
  former.ss_size = s.former_size;
  former.ss_flags = s.former_flags & ~SS_ONSTACK;
  sigaltstack(&former, nullptr);
}

void signal_forget(SignalThread& t) {
  if (t.stack.base) {
    vm_release(t.stack.base, t.stack.size);
    t.stack.base = nullptr;
  }
}

bool signal_mask(int signo, int how) {
  sigset_t set, old;
  sigemptyset(&set);
  sigaddset(&set, signo);
  pthread_sigmask(how, &set, &old);
  return sigismember(&old, signo) == 1;
}

}  // namespace thrum::os
