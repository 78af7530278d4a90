// Alternate signal stacks of the threads that can be asked (signal.cpp): the host's
// own if it is large enough, else one of ours for as long as the thread is ours. A
// G's stack has no room for what the kernel pushes.
// SPDX-License-Identifier: MIT
#include "os/posix/errno.hpp"
#include "os/posix/signal.hpp"

namespace thrum::os {

namespace {

// The handler's own frames, a domain's hook, a former handler of the host's.
constexpr size_t kHandlerRoom = size_t{64} << 10;
constexpr size_t kHandlerLeast = size_t{2} << 10;

int stack_make(SignalThread& t) {
  size_t page = page_size();
  size_t size = (signal_frame_bytes() + kHandlerRoom + page - 1) & ~(page - 1);
  char* p = static_cast<char*>(vm_reserve(page + size));
  if (!p) {
    return -ENOMEM;
  }
  vm_guard(p, page, true);
  t.stack = p;
  t.stack_size = page + size;
  return 0;
}

}  // namespace

int signal_stack_enter(SignalThread& t) {
  stack_t now{};
  sigaltstack(nullptr, &now);
  if (!(now.ss_flags & SS_DISABLE) &&
      now.ss_size >= signal_frame_bytes() + kHandlerLeast) {
    return 0;  // the host's own serves us too
  }
  if (int err = t.stack ? 0 : stack_make(t)) {
    return err;
  }
  stack_t mine{};
  mine.ss_sp = t.stack + page_size();
  mine.ss_size = t.stack_size - page_size();
  if (sigaltstack(&mine, nullptr) != 0) {
    return -errno;
  }
  t.stack_used = true;
  t.former_stack = now.ss_sp;
  t.former_stack_size = now.ss_size;
  t.former_stack_flags = now.ss_flags;
  return 0;
}

void signal_stack_leave(SignalThread& t) {
  if (!t.stack_used) {
    return;
  }
  t.stack_used = false;
  stack_t now{};
  sigaltstack(nullptr, &now);
  if (now.ss_sp != t.stack + page_size()) {
    return;  // the host has set another meanwhile
  }
  stack_t former{};
  former.ss_sp = t.former_stack;
  former.ss_size = t.former_stack_size;
  former.ss_flags = t.former_stack_flags & ~SS_ONSTACK;
  sigaltstack(&former, nullptr);
}

void signal_forget(SignalThread& t) {
  if (t.stack) {
    vm_release(t.stack, t.stack_size);
    t.stack = nullptr;
  }
}

}  // namespace thrum::os
