// The directed signal, what differs per CPU and kernel: sending, and the layout of
// what the kernel pushes.
// SPDX-License-Identifier: MIT
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "os/posix/errno.hpp"
#include "os/posix/signal.hpp"

namespace thrum::os {

int signal_queue(u32 thread_id, int signo, void* cookie) {
  siginfo_t info{};
  info.si_signo = signo;
  info.si_code = SI_QUEUE;
  info.si_pid = getpid();
  info.si_uid = getuid();
  info.si_value.sival_ptr = cookie;
  return static_cast<int>(
      syscall(SYS_rt_tgsigqueueinfo, info.si_pid, thread_id, signo, &info));
}

size_t signal_frame_bytes() {
  constexpr size_t kOldKernels = 8192;  // more than any frame before they told
  size_t told = getauxval(AT_MINSIGSTKSZ);
  return told ? told : kOldKernels;
}

#if defined(__x86_64__)

namespace {

constexpr size_t kRedZone = 128;
constexpr u64 kTiles = 3u << 17;
constexpr u32 kExtended = 0x46505853;  // FP_XSTATE_MAGIC1

// Is there anything live that the entry does not save (arch)? The frame tells it:
// behind the 512 bytes of FXSAVE, whose last 48 are the kernel's, is the header.
bool has_tiles(const ucontext_t* uc) {
  const char* fp = reinterpret_cast<const char*>(uc->uc_mcontext.fpregs);
  u32 magic = 0;
  u64 states = 0;
  if (fp) {
    memcpy(&magic, fp + 464, sizeof magic);
  }
  if (magic == kExtended) {
    memcpy(&states, fp + 512, sizeof states);
  }
  return states & kTiles;
}

}  // namespace

Stopped stopped_at(void* context) {
  const ucontext_t* uc = static_cast<ucontext_t*>(context);
  const greg_t* regs = uc->uc_mcontext.gregs;
  return Stopped{static_cast<u64>(regs[REG_RIP]),
                 static_cast<u64>(regs[REG_RSP]),
                 has_tiles(uc) ? 0 : kRedZone + sizeof(u64), context};
}

// As a call from there would, but past the red zone. ASan may still have shadow of
// frames that were left by longjmp down there.
__attribute__((no_sanitize("address"))) void detour(const Stopped& at,
                                                    void (*entry)()) {
  greg_t* regs = static_cast<ucontext_t*>(at.context)->uc_mcontext.gregs;
  u64* sp = reinterpret_cast<u64*>(at.sp - kRedZone) - 1;
  *sp = at.pc;
  regs[REG_RSP] = reinterpret_cast<greg_t>(sp);
  regs[REG_RIP] = reinterpret_cast<greg_t>(entry);
}

void detour_end(void* frame) { (void)frame; }

#else

namespace {

constexpr u64 kBranchType = 3u << 10;  // PSTATE.BTYPE

struct Frame {  // the kernel's rt_sigframe
  siginfo_t info;
  ucontext_t uc;
};
struct Record {
  u32 magic, size;
};
constexpr u32 kExtra = 0x45585401;  // the rest lies elsewhere (very long SVE)
constexpr u32 kZa = 0x54366345;
constexpr u32 kSve = 0x53564501;
constexpr u16 kStreaming = 1;

// Bytes of the record list with its end mark; 0: a state in it that C++ cannot run
// with (streaming mode, ZA) or that does not move (the extra record's pointer).
size_t records_bytes(const ucontext_t* uc) {
  const char* at = reinterpret_cast<const char*>(uc->uc_mcontext.__reserved);
  const char* const begin = at;
  for (;;) {
    Record r;
    memcpy(&r, at, sizeof r);
    if (r.magic == 0) {
      return static_cast<size_t>(at - begin) + 16;
    }
    u16 words[2];  // the vector length, flags
    memcpy(words, at + sizeof r, sizeof words);
    if (r.magic == kExtra || (r.magic == kZa && r.size > 16) ||
        (r.magic == kSve && (words[1] & kStreaming)) || r.size == 0) {
      return 0;
    }
    at += r.size;
  }
}

constexpr size_t kHead =
    offsetof(Frame, uc) + offsetof(ucontext_t, uc_mcontext.__reserved);

}  // namespace

Stopped stopped_at(void* context) {
  const ucontext_t* uc = static_cast<ucontext_t*>(context);
  size_t records = records_bytes(uc);
  return Stopped{uc->uc_mcontext.pc, uc->uc_mcontext.sp,
                 records ? kHead + records + 16 : 0, context};
}

// The kernel's frame moves to the stopped stack (there is no red zone); the entry
// goes back by it.
__attribute__((no_sanitize("address"))) void detour(const Stopped& at,
                                                    void (*entry)()) {
  ucontext_t* uc = static_cast<ucontext_t*>(at.context);
  u64 sp = (at.sp - (at.bytes - 16)) & ~u64{15};
  Frame* copy = reinterpret_cast<Frame*>(sp);
  memcpy(static_cast<void*>(&copy->uc), uc,
         at.bytes - 16 - offsetof(Frame, uc));
  uc->uc_mcontext.sp = sp;
  uc->uc_mcontext.pc = reinterpret_cast<u64>(entry);
  uc->uc_mcontext.pstate &= ~kBranchType;
}

// rt_sigreturn sets these two as well: to what they are on this thread.
void detour_end(void* frame) {
  ErrnoKeep keep;
  ucontext_t& uc = static_cast<Frame*>(frame)->uc;
  sigaltstack(nullptr, &uc.uc_stack);
  uc.uc_stack.ss_flags &= ~SS_ONSTACK;
  pthread_sigmask(SIG_BLOCK, nullptr, &uc.uc_sigmask);
}

#endif

bool holds_libc(u64 lo, u64 hi) {
  // Where the parts live that hold locks; in a static program that is the program.
  const void* places[] = {
      reinterpret_cast<void*>(&malloc), reinterpret_cast<void*>(&abort),
      reinterpret_cast<void*>(&pthread_mutex_lock),
      reinterpret_cast<void*>(&dlsym), reinterpret_cast<void*>(&memcpy)};
  for (const void* place : places) {
    u64 at = reinterpret_cast<u64>(place);
    if (at >= lo && at < hi) {
      return true;
    }
  }
  return false;
}

#if defined(THRUM_TSAN)
// What they have on the stack is nobody's business: one begins as one fiber, and the
// other ends it as another.
__attribute__((no_sanitize("thread"))) u64 signals_hold() {
  u64 all = ~u64{0}, before = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
  return before;
}

__attribute__((no_sanitize("thread"))) void signals_let(u64 before) {
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, nullptr, sizeof before);
}
#endif

}  // namespace thrum::os
