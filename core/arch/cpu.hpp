// Small instructions of the CPU.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

namespace thrum {

// May memory be read ahead of its owner, as a guess? Not under TSan, which would
// report it, nor in tests/model.
#if defined(THRUM_TSAN)
constexpr bool kReadAhead = false;
#else
constexpr bool kReadAhead = true;
#endif

inline void cpu_relax() {
#if defined(__x86_64__)
  asm volatile("pause" ::: "memory");
#else
  asm volatile("yield" ::: "memory");
#endif
}

// A cheap monotonic counter (tsc, cntvct). Used for rates, never for time.
inline u64 cpu_ticks() {
#if defined(__x86_64__)
  u32 lo, hi;
  asm volatile("rdtsc" : "=a"(lo), "=d"(hi));
  return (u64{hi} << 32) | lo;
#else
  u64 t;
  asm volatile("mrs %0, cntvct_el0" : "=r"(t));
  return t;
#endif
}

// The callee-saved registers go to the caller's frame, and that lies above.
#define THRUM_SPILLED_SP() (__builtin_unwind_init(), ::thrum::stack_pointer())
THRUM_INLINE void* stack_pointer() {
  void* sp;
#if defined(__x86_64__)
  asm volatile("movq %%rsp, %0" : "=r"(sp));
#else
  asm volatile("mov %0, sp" : "=r"(sp));
#endif
  return sp;
}

// An address that no other live thread has: who a foreign thread is. volatile,
// because compilers keep a thread pointer across a park otherwise.
inline u64 thread_pointer() {
  u64 tp;
#if defined(__x86_64__)
  asm volatile("movq %%fs:0, %0" : "=r"(tp));
#else
  asm volatile("mrs %0, tpidr_el0" : "=r"(tp));
#endif
  return tp;
}

}  // namespace thrum
