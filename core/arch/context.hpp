// The CPU seam: making a stack ready to run and switching between two.
// SPDX-License-Identifier: MIT
#pragma once
#include <string.h>

#include "base/defs.hpp"

extern "C" {
// Saves the caller's context below its stack pointer, stores that pointer in
// *save_sp and goes on at load_sp. Returns `carry` there. See switch.S.
void* thrum_switch(void** save_sp, void* load_sp, void* carry);
void thrum_entry();
}

namespace thrum {

#if defined(__x86_64__)
constexpr size_t kFrameBytes = 64;  // words: fp, rbx, rbp, r12-r15, rip
constexpr size_t kFrameEntry = 1;   // rbx
constexpr size_t kFramePc = 7;
constexpr size_t kFrameFp = 0;
#elif defined(__aarch64__)
constexpr size_t kFrameBytes = 176;  // x19-x30, d8-d15, fpcr, pad
constexpr size_t kFrameEntry = 0;    // x19
constexpr size_t kFramePc = 11;      // x30
constexpr size_t kFrameFp = 20;
#else
#error "thrum has no context switch for this CPU"
#endif

// The default floating-point environment of a new G: round to nearest, no
// flush to zero, every exception masked.
#if defined(__x86_64__)
constexpr u64 kDefaultFp = 0x1f80u | (u64{0x037f} << 32);
#else
constexpr u64 kDefaultFp = 0;
#endif

// Prepares the stack that ends below `top` so that a switch to the returned
// stack pointer calls entry(carry). entry never returns.
inline void* context_make(void* top, void (*entry)(void*)) {
  uintptr_t hi = reinterpret_cast<uintptr_t>(top) & ~uintptr_t{15};
  u64* frame = reinterpret_cast<u64*>(hi - kFrameBytes);
  memset(frame, 0, kFrameBytes);
  frame[kFrameFp] = kDefaultFp;
  frame[kFrameEntry] = reinterpret_cast<u64>(entry);
  frame[kFramePc] = reinterpret_cast<u64>(&thrum_entry);
  return frame;
}

// Brings the control words of the calling thread back to the default.
inline void fp_reset() {
#if defined(__x86_64__)
  u32 mxcsr;
  u16 cw;
  asm volatile("stmxcsr %0; fnstcw %1" : "=m"(mxcsr), "=m"(cw));
  if (THRUM_UNLIKELY(mxcsr != static_cast<u32>(kDefaultFp) ||
                     cw != static_cast<u16>(kDefaultFp >> 32))) {
    mxcsr = static_cast<u32>(kDefaultFp);
    cw = static_cast<u16>(kDefaultFp >> 32);
    asm volatile("ldmxcsr %0; fldcw %1" : : "m"(mxcsr), "m"(cw));
  }
#else
  u64 fpcr;
  asm volatile("mrs %0, fpcr" : "=r"(fpcr));
  if (THRUM_UNLIKELY(fpcr != kDefaultFp)) {
    fpcr = kDefaultFp;
    asm volatile("msr fpcr, %0" : : "r"(fpcr));
  }
#endif
}

}  // namespace thrum
