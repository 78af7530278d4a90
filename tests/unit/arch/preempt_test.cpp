// The entry by itself: a thread that computes is stopped by a signal, everything
// that may be changed is, and it goes on; no scheduler.
#include <unwind.h>

#include "../unit.hpp"
#include "arch/preempt.hpp"
#include "arch/sanitize.hpp"
#include "registers.h"

using namespace unit;

namespace {

// What the handler and the entry share with the case that runs.
struct Trial {
  u64 lo = 0, hi = 0;  // code that may be stopped
  void (*meanwhile)() = nullptr;
  Atomic<u32> detours{0}, elsewhere{0};
  Atomic<bool> ready{false}, over{false};
};
Trial* g_trial;

bool ask(void* arg, const os::Stopped& at) {
  Trial& t = *static_cast<Trial*>(arg);
  bool here = at.pc >= t.lo && at.pc < t.hi && at.bytes;
  (here ? t.detours : t.elsewhere).fetch_add(1);
  return here;
}

void then(void* frame) {
  int kept = os::errno_get();
  g_trial->meanwhile();
  os::errno_set(kept);
  os::detour_end(frame);
}

// f runs on a thread that is stopped `times` times.
template <class F>
void stop_often(Trial& t, u32 times, F f) {
  g_trial = &t;
  REQUIRE(preempt_prepare(then) > 0);
  int signo = os::signal_open(0, ask, thrum_preempt_entry);
  REQUIRE(signo > 0);
  os::SignalThread st;
  {
    Thread thread([&] {
      REQUIRE(os::signal_join(st, &t) == 0);
      t.ready.store(true);
      f();
      os::signal_leave(st);
    });
    until([&] { return t.ready.load(); });
    // On a machine with much else to do each of them takes some ms.
    i64 enough = os::now_ns() + 3 * kSecond;
    u32 failed = 0;
    while (t.detours.load() < (os::now_ns() < enough ? times : 5)) {
      failed += os::signal_send(st) < 0;
      os::thread_yield();
    }
    CHECK(failed == 0);
    t.over.store(true);
  }
  os::signal_forget(st);
  os::signal_close();
}

// C++ may count on these at a call.
Atomic<u32> g_not_as_at_a_call;
void look_at_state() {
#if defined(__x86_64__)
  u64 flags;
  u32 mxcsr;
  u32 env[7];
  asm volatile("pushfq; popq %0" : "=r"(flags));
  asm volatile("stmxcsr %0; fnstenv %1; fldenv %1" : "=m"(mxcsr), "=m"(env));
  bool forward = !(flags & 0x400);
  bool x87 = (env[0] & 0xffff) == 0x037f && (env[2] & 0xffff) == 0xffff;
  g_not_as_at_a_call.fetch_add(!(forward && mxcsr == 0x1f80 && x87));
#endif
}

// Nothing survives this but what the entry saves.
void use_all_registers() {
  look_at_state();
  static registers r;
  registers_init(&r, os::thread_id());
  registers_kernels()->run(&r, 2);
#if defined(__x86_64__)
  // Left behind: control words, a full x87 stack, upper halves.
  u32 mxcsr = 0x1f80 | 0x4000;
  u16 cw = 0x037f | 0x0400;
  asm volatile("ldmxcsr %0; fldcw %1" ::"m"(mxcsr), "m"(cw));
  asm volatile("fldpi; fldpi; fldpi; fldpi; fldpi; fldpi; fldpi; fldpi" ::
                   : "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)",
                     "st(7)");
  if (__builtin_cpu_supports("avx2")) {
    asm volatile("vpcmpeqd %%ymm7, %%ymm7, %%ymm7" ::: "xmm7");
  }
#else
  u64 fpcr = 1u << 22;
  asm volatile("msr fpcr, %0" ::"r"(fpcr));
  asm volatile("msr nzcv, %0" ::"r"(u64{15} << 28) : "cc");
#endif
}

}  // namespace

TEST_CASE("preempt entry: every register is as it was") {
  if (kSignalsLate) {
    UNIT_SKIP("TSan delays signals until the next call that it intercepts");
  }
  const void *lo, *hi;
  registers_code(&lo, &hi);
  for (const registers_kernel* k = registers_kernels(); k->run; ++k) {
    Trial t;
    t.lo = reinterpret_cast<u64>(lo);
    t.hi = reinterpret_cast<u64>(hi);
    t.meanwhile = use_all_registers;
    // Short enough for an emulator, long enough to be met in the middle.
    constexpr u64 kRounds = 4000;
    static registers want, got;
    registers_init(&want, 1);
    k->run(&want, kRounds);
    Atomic<u32> ran{0}, wrong{0};
    const char* what = nullptr;
    stop_often(t, rounds(400), [&] {
      do {
        registers_init(&got, 1);
        os::errno_set(1234);
        k->run(&got, kRounds);
        if (const char* differs = registers_differ(&want, &got)) {
          what = differs;
          wrong.fetch_add(1);
        }
        wrong.fetch_add(os::errno_get() != 1234);
        ran.fetch_add(1);
      } while (!t.over.load());
    });
    CHECK_MESSAGE(wrong.load() == 0, k->name, ": ", what ? what : "errno");
    CHECK(ran.load() > 0);
    CHECK(g_not_as_at_a_call.load() == 0);
  }
}

// ---- where it was stopped ---------------------------------------------------------

namespace {

// With the flag that ends it in a register only its frame knows.
THRUM_NOINLINE u64 spin_here(const Atomic<bool>& over) {
  u64 n = 0;
  while (!over.load(relaxed)) {
    asm volatile("" : "+r"(n));
    ++n;
  }
  return n;
}
THRUM_NOINLINE u64 spin_outer(const Atomic<bool>& over) {
  u64 n = spin_here(over);
  asm volatile("" : "+r"(n));  // no tail call
  return n;
}

struct Walk {
  u32 frames = 0, entry = 0, inner = 0, outer = 0;
  u64 pc = 0;
};
Walk g_walk;

_Unwind_Reason_Code step(_Unwind_Context* context, void*) {
  Walk& w = g_walk;
  u32 at = ++w.frames;
  int before = 0;
  u64 ip = _Unwind_GetIPInfo(context, &before);
  void* start = _Unwind_FindEnclosingFunction(
      reinterpret_cast<void*>(before ? ip : ip - 1));
  if (start == reinterpret_cast<void*>(&spin_here) && !w.inner) {
    w.inner = at;
    w.pc = ip;
  } else if (start == reinterpret_cast<void*>(&spin_outer) && !w.outer) {
    w.outer = at;
  }
  return at > 60 ? _URC_NORMAL_STOP : _URC_NO_REASON;
}

void walk() {
  g_walk = Walk{};
  _Unwind_Backtrace(step, nullptr);
}

}  // namespace

TEST_CASE("preempt entry: unwinders walk through it") {
  if (kSignalsLate) {
    UNIT_SKIP("TSan delays signals until the next call that it intercepts");
  }
  Trial t;
  t.lo = reinterpret_cast<u64>(&spin_here);
  t.hi = t.lo + 64;
  t.meanwhile = walk;
  stop_often(t, 5, [&] { CHECK(spin_outer(t.over) > 0); });
  CHECK(g_walk.inner > 0);
  CHECK(g_walk.outer == g_walk.inner + 1);
  CHECK(g_walk.frames > g_walk.outer);
  CHECK(g_walk.pc >= t.lo);
  CHECK(g_walk.pc < t.hi);
}
