// Faults of threads that have asked to be told.
//
// Which thread it is the handler finds out by its thread pointer, in a table: a
// thread_local may be allocated at its first use, and a foreign thread may have
// faulted inside malloc.
//
// SIGSEGV only: a guard gives SEGV_MAPERR (MADV_GUARD_INSTALL) or SEGV_ACCERR
// (mprotect), and SIGBUS on Linux is about files.
// SPDX-License-Identifier: MIT
#include "arch/cpu.hpp"
#include "os/lock.hpp"
#include "os/posix/chain.hpp"
#include "os/posix/errno.hpp"
#include "os/posix/signal.hpp"

namespace thrum::os {

namespace {

struct Slot {
  Atomic<u64> thread;  // its thread pointer, 0: free, kTaken: not yet in use
  Atomic<void*> arg;   // the thread itself writes
};
constexpr u64 kTaken = 1;
constexpr u32 kSlots = 65536;  // 1 MiB of addresses; touched as used

struct Fault {
  WordLock lock;     // never taken by the handler
  u32 users;         // lock
  Chain chain;       // lock
  FaultFn tell;      // const while installed
  Slot* slots;       // const after the first user
  Atomic<u32> used;  // atomic: of slots, at most
};
constinit Fault g_fault = {};

// A thread may be in the table more than once: a G may run another runtime.
Faulted tell(u64 address, void* context) {
  Stopped at = stopped_at(context);
  u64 me = thread_pointer();
  for (u32 i = g_fault.used.load(acquire); i-- > 0;) {
    Slot& s = g_fault.slots[i];
    if (s.thread.load(relaxed) != me) {
      continue;
    }
    Faulted f = g_fault.tell(s.arg.load(relaxed), address, at);
    if (f != Faulted::other) {
      return f;
    }
  }
  return Faulted::other;
}

void on_fault(int signo, siginfo_t* info, void* context) {
  ErrnoKeep keep;
  if ((info->si_code == SEGV_MAPERR || info->si_code == SEGV_ACCERR) &&
      tell(reinterpret_cast<u64>(info->si_addr), context) == Faulted::mended) {
    return;
  }
  chain_hand_on(g_fault.chain, signo, info, context);
}

// Only the thread that forked is there, and who held the lock is not. What is
// installed serves it on: its G may go on in the child.
void in_child() {
  g_fault.lock.unlock();
  g_fault.users = 0;
  u64 me = thread_pointer();
  u32 used = g_fault.used.load(relaxed);
  for (u32 i = 0; i < used; ++i) {
    Slot& s = g_fault.slots[i];
    if (s.thread.load(relaxed) != me) {
      s.thread.store(0, relaxed);
    }
  }
}

int open_locked() {
  if (!g_fault.slots) {
    g_fault.slots = static_cast<Slot*>(vm_reserve(kSlots * sizeof(Slot)));
    if (!g_fault.slots) {
      return -ENOMEM;
    }
  }
  Chain& c = g_fault.chain;
  if (c.installed && chain_is_none(chain_current(SIGSEGV))) {
    c.installed = g_fault.users != 0;  // the host has removed it
  }
  return c.installed
             ? 0
             : chain_install(c, SIGSEGV, on_fault, 0, SA_NODEFER | SA_RESTART);
}

Slot* slot_take() {
  for (u32 i = 0; i < kSlots; ++i) {
    Slot& s = g_fault.slots[i];
    u64 free = 0;
    if (!s.thread.load(relaxed) &&
        s.thread.compare_exchange_strong(free, kTaken, relaxed, relaxed)) {
      u32 used = g_fault.used.load(relaxed);
      while (used <= i && !g_fault.used.compare_exchange_weak(
                              used, i + 1, release, relaxed)) {}
      return &s;
    }
  }
  return nullptr;
}

}  // namespace

int fault_open(FaultFn tell) {
  ErrnoKeep keep;
  if (!fork_watch(in_child)) {
    return -ENOMEM;
  }
  Locked held(g_fault.lock);
  g_fault.tell = tell;
  int err = open_locked();
  g_fault.users += err == 0;
  return err;
}

void fault_close() {
  ErrnoKeep keep;
  Locked held(g_fault.lock);
  if (--g_fault.users == 0) {
    chain_remove(g_fault.chain);
  }
}

int fault_join(SignalThread& t, void* arg) {
  ErrnoKeep keep;
  if (t.fault_slot) {
    return 0;
  }
  if (int err = alt_stack_enter(t.stack)) {
    return err;
  }
  Slot* s = slot_take();
  if (!s) {
    alt_stack_leave(t.stack);
    return -EAGAIN;
  }
  s->arg.store(arg, relaxed);
  s->thread.store(thread_pointer(), relaxed);
  t.fault_slot = s;
  t.fault_was_blocked = signal_mask(SIGSEGV, SIG_UNBLOCK);
  return 0;
}

void fault_leave(SignalThread& t) {
  ErrnoKeep keep;
  Slot* s = static_cast<Slot*>(t.fault_slot);
  if (!s) {
    return;
  }
  if (t.fault_was_blocked) {
    signal_mask(SIGSEGV, SIG_BLOCK);
  }
  t.fault_slot = nullptr;
  s->thread.store(0, relaxed);
  alt_stack_leave(t.stack);
}

}  // namespace thrum::os
