// The directed signal: who has it, which threads can be asked, and the handler.
//
// A signal is ours by its cookie, the address of the receiver's slot: slots lie in
// a mapping of this copy of the library, so no other sender can mean one. They are
// never given back to the OS, so a late signal finds one, if only a free one.
//
// The handler always returns to the kernel (a detour only changes where to), so
// the signal mask and the alternate stack are as before, and the signal may stay
// blocked meanwhile: with SA_NODEFER a burst of foreign signals would stack up
// their frames, 3 to 12 KiB each, until the alternate stack is full.
// SPDX-License-Identifier: MIT
#include "os/posix/signal.hpp"

#include <pthread.h>
#include <unistd.h>

#include "arch/cpu.hpp"
#include "os/lock.hpp"
#include "os/posix/chain.hpp"
#include "os/posix/errno.hpp"

namespace thrum::os {

namespace {

struct alignas(kCacheLine) Slot {
  Atomic<u64> thread;  // its thread pointer, 0: free; the thread itself writes
  Atomic<void*> arg;   // the thread itself writes
  Atomic<u32> seen;    // the thread's handler writes
  Atomic<u32> sent;    // lock writes
  Slot* next;          // lock: of the free ones
};
constexpr size_t kSlots = 65536;  // 4 MiB of addresses; touched as used

struct Signal {
  WordLock lock;         // never taken by the handler; held over tgkill
  u32 users;             // lock
  Atomic<bool> covered;  // lock writes: one of the host's was over ours
  Chain chain;           // lock
  SignalFn ask;          // const while installed
  void (*entry)();       // const while installed
  Slot* slots;           // const after the first user
  Atomic<u32> used;      // lock writes: of slots
  Slot* free;            // lock
};
constinit Signal g_signal = {};

// Both threads of a pair go through g_signal.lock, but for these: the handler
// runs on the thread that wrote thread and arg; sent and seen only tell whether
// one is on its way.
bool on_its_way(const Slot& s) {
  return s.sent.load(relaxed) != s.seen.load(acquire);
}

// ---- the handler -------------------------------------------------------------

Slot* slot_of(const siginfo_t* info) {
  char* at = static_cast<char*>(info->si_value.sival_ptr);
  char* lo = reinterpret_cast<char*>(g_signal.slots);
  bool ours = info->si_code == SI_QUEUE && at >= lo &&
              at < lo + g_signal.used.load(acquire) * sizeof(Slot) &&
              (at - lo) % static_cast<ptrdiff_t>(sizeof(Slot)) == 0;
  return ours ? reinterpret_cast<Slot*>(at) : nullptr;
}

// Python's faulthandler chains by raising the signal once more, and the cookie is
// lost: where a handler lies over ours, a plain raise on a thread that waits for
// one of ours is taken for it. Nothing can be stopped from there, but the former
// handler, which may be the default one, must not see it.
Slot* slot_of_raised(const siginfo_t* info) {
  if (!g_signal.covered.load(relaxed) || info->si_code != SI_TKILL ||
      info->si_pid != getpid()) {
    return nullptr;
  }
  u64 me = thread_pointer();
  u32 used = g_signal.used.load(acquire);
  for (u32 i = 0; i < used; ++i) {
    Slot& s = g_signal.slots[i];
    if (s.thread.load(relaxed) == me && on_its_way(s)) {
      return &s;
    }
  }
  return nullptr;
}

void on_signal(int signo, siginfo_t* info, void* context) {
  ErrnoKeep keep;
  Slot* s = slot_of(info);
  if (!s && !(s = slot_of_raised(info))) {
    return chain_hand_on(g_signal.chain, signo, info, context);
  }
  s->seen.store(s->sent.load(relaxed), release);
  if (s->thread.load(relaxed) != thread_pointer()) {
    return;  // it has left meanwhile
  }
  Stopped at = stopped_at(context);
  if (g_signal.ask(s->arg.load(relaxed), at)) {
    detour(at, g_signal.entry);
  }
}

// ---- the disposition; with the lock held ----------------------------------------

// Not from either end, which is where hosts begin (and an emulator has fewer than
// it says).
int find_free() {
  int count = SIGRTMAX - SIGRTMIN + 1;
  for (int i = 0; i < count; ++i) {
    int signo = SIGRTMIN + (count - 8 - i + count) % count;
    struct sigaction now = chain_current(signo);
    if (!(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL) {
      return signo;
    }
  }
  return -EBUSY;
}

bool any_on_its_way() {
  u32 used = g_signal.used.load(relaxed);
  for (u32 i = 0; i < used; ++i) {
    if (on_its_way(g_signal.slots[i])) {
      return true;
    }
  }
  return false;
}

// Without users, and when none of ours can meet the former handler any more.
// True: nothing is left to do.
bool restore() {
  if (g_signal.users || !g_signal.chain.installed) {
    return true;
  }
  if (any_on_its_way()) {
    return false;
  }
  chain_remove(g_signal.chain);
  return true;
}

// A child has our handler and none of the threads that could be asked; who held
// the lock is not there.
void in_child() {
  g_signal.lock.unlock();
  g_signal.users = 0;
  g_signal.free = nullptr;
  u32 used = g_signal.used.load(relaxed);
  for (u32 i = 0; i < used; ++i) {
    Slot& s = g_signal.slots[i];
    s.thread.store(0, relaxed);
    s.seen.store(s.sent.load(relaxed), relaxed);
  }
}

int open_locked(int signo) {
  if (!g_signal.slots) {
    g_signal.slots = static_cast<Slot*>(vm_reserve(kSlots * sizeof(Slot)));
    if (!g_signal.slots) {
      return -ENOMEM;
    }
  }
  Chain& c = g_signal.chain;
  if (c.installed && chain_is_none(chain_current(c.signo))) {
    c.installed = g_signal.users != 0;  // the host has removed it
  }
  if (c.installed) {
    return signo && signo != c.signo ? -EBUSY : c.signo;
  }
  int pick = signo ? signo : find_free();
  if (pick < 0) {
    return pick;
  }
  int err = chain_install(c, pick, on_signal, SA_RESTART, 0);
  if (err) {
    return err;
  }
  g_signal.covered.store(false, relaxed);
  return pick;
}

// ---- threads -------------------------------------------------------------------

Slot* slot_take() {
  Locked held(g_signal.lock);
  if (Slot* s = g_signal.free) {
    g_signal.free = s->next;
    return s;
  }
  u32 used = g_signal.used.load(relaxed);
  if (!g_signal.users || used == kSlots) {
    return nullptr;
  }
  g_signal.used.store(used + 1, release);  // pairs with slot_of
  return &g_signal.slots[used];
}

}  // namespace

int signal_open(int signo, SignalFn ask, void (*entry)()) {
  ErrnoKeep keep;
  if (signo && (signo < SIGRTMIN || signo > SIGRTMAX)) {
    return -EINVAL;
  }
  if (!fork_watch(in_child)) {
    return -ENOMEM;
  }
  Locked held(g_signal.lock);
  g_signal.ask = ask;
  g_signal.entry = entry;
  int got = open_locked(signo);
  g_signal.users += got > 0;
  return got;
}

void signal_close() {
  ErrnoKeep keep;
  {
    Locked held(g_signal.lock);
    --g_signal.users;
  }
  // A thread may have the signal blocked, or a handler of the host's have kept it:
  // then ours stays until the last of them leaves.
  for (int tries = 0; tries < 200; ++tries) {
    {
      Locked held(g_signal.lock);
      if (restore()) {
        return;
      }
    }
    thread_sleep(100'000);
  }
}

int signal_join(SignalThread& t, void* arg) {
  ErrnoKeep keep;
  Slot* s = slot_take();
  if (!s) {
    return -EAGAIN;
  }
  s->seen.store(s->sent.load(relaxed), relaxed);
  s->arg.store(arg, relaxed);
  s->thread.store(thread_pointer(), relaxed);
  int err = alt_stack_enter(t.stack);
  Locked held(g_signal.lock);
  if (err) {
    s->thread.store(0, relaxed);
    s->next = g_signal.free;
    g_signal.free = s;
    return err;
  }
  t.signo = g_signal.chain.signo;
  t.was_blocked = signal_mask(t.signo, SIG_UNBLOCK);
  t.id.store(os::thread_id(), relaxed);
  t.slot = s;
  return 0;
}

void signal_leave(SignalThread& t) {
  ErrnoKeep keep;
  Slot* s;
  {
    Locked held(g_signal.lock);
    s = static_cast<Slot*>(t.slot);
    t.slot = nullptr;  // from here on none is sent
  }
  if (!s) {
    return;
  }
  // What was sent is delivered before this call returns, at the latest.
  signal_mask(t.signo, SIG_UNBLOCK);
  t.id.store(0, relaxed);
  s->thread.store(0, relaxed);
  alt_stack_leave(t.stack);
  if (t.was_blocked) {
    signal_mask(t.signo, SIG_BLOCK);
  }
  Locked held(g_signal.lock);
  s->seen.store(s->sent.load(relaxed), relaxed);
  s->next = g_signal.free;
  g_signal.free = s;
  restore();
}

int signal_send(SignalThread& t) {
  ErrnoKeep keep;
  Locked held(g_signal.lock);
  Slot* s = static_cast<Slot*>(t.slot);
  if (!s || !g_signal.users || t.signo != g_signal.chain.signo) {
    return -ESRCH;
  }
  if (on_its_way(*s)) {
    return 1;
  }
  if (chain_is_none(chain_current(g_signal.chain.signo))) {
    return -EPERM;  // the host has removed our handler: it would end the process
  }
  g_signal.covered.store(!chain_on_top(g_signal.chain), relaxed);
  s->sent.store(s->sent.load(relaxed) + 1, relaxed);
  if (signal_queue(t.id.load(relaxed), g_signal.chain.signo, s) != 0) {
    s->sent.store(s->sent.load(relaxed) - 1, relaxed);
    return -errno;
  }
  return 0;
}

}  // namespace thrum::os
