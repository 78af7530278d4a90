// The CPU seam: making a stack ready to run and switching between two.
//
// A switch saves what the ABI calls callee-saved plus the floating-point control
// words, and loads the latter only when they differ (4 ns saved).
//
// On x86-64 it is inline, and ends in an indirect jump. A called switch leaves a
// return address in the CPU's return stack that nobody returns to, and from then
// on every `ret` of the resumed side is mispredicted (measured: a yield of 36 ns
// instead of 20). Inline, the compiler also saves only the registers it uses.
// SPDX-License-Identifier: MIT
#pragma once
#include <string.h>

#include "base/defs.hpp"

extern "C" {
void thrum_entry();  // first frame of a G, see switch.S
// Calls fn(arg) as the outermost frame of those who walk frame pointers.
void thrum_guest(void* arg, void (*fn)(void*));
#if defined(__aarch64__)
void* thrum_switch(void** save_sp, void* load_sp, void* carry);
#endif
}

namespace thrum {

// Saves the caller's context on its stack, stores the stack pointer in *save_sp
// and goes on where load_sp was saved. Returns `carry` there: the M that switches
// is by nature the M on which the other side wakes up.
#if defined(__x86_64__)
THRUM_INLINE void* context_switch(void** save_sp, void* load_sp, void* carry) {
  // Frame, upwards: mxcsr(4) x87cw(2) pad(2) rbx rbp rip. The core is built
  // without a red zone (meson.build): it would cost each waiting G 128 bytes.
  asm volatile("leaq 1f(%%rip), %%rcx\n\t"
               "subq $32, %%rsp\n\t"
               "movq %%rcx, 24(%%rsp)\n\t"
               "movq %%rbp, 16(%%rsp)\n\t"
               "movq %%rbx, 8(%%rsp)\n\t"
               "stmxcsr (%%rsp)\n\t"
               "fnstcw 4(%%rsp)\n\t"
               "movl (%%rsp), %%r8d\n\t"
               "movzwl 4(%%rsp), %%r9d\n\t"
               "movq %%rsp, (%%rdi)\n\t"
               "movq %%rsi, %%rsp\n\t"
               "movzwl 4(%%rsp), %%r10d\n\t"
               "movq 24(%%rsp), %%rcx\n\t"
               "movq 16(%%rsp), %%rbp\n\t"
               "movq 8(%%rsp), %%rbx\n\t"
               "cmpl (%%rsp), %%r8d\n\t"
               "jne 2f\n"
               "4:\tcmpl %%r10d, %%r9d\n\t"
               "jne 3f\n"
               "5:\taddq $32, %%rsp\n\t"
               "notrack jmp *%%rcx\n"
               "2:\tldmxcsr (%%rsp)\n\t"
               "jmp 4b\n"
               "3:\tfldcw 4(%%rsp)\n\t"
               "jmp 5b\n"
               "1:\n"
               : "+a"(carry), "+D"(save_sp), "+S"(load_sp)
               :
               : "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                 "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
                 "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13",
                 "xmm14", "xmm15", "st", "st(1)", "st(2)", "st(3)", "st(4)",
                 "st(5)", "st(6)", "st(7)", "cc", "memory");
  return carry;
}
constexpr size_t kFrameBytes = 32;
// The same for debuggers: names as theirs, offsets.
#define THRUM_FRAME_REGISTERS(X) X(rbx, 8) X(rbp, 16) X(rip, 24)
constexpr size_t kFrameEntry = 1;  // rbx
constexpr size_t kFramePc = 3;
constexpr size_t kFrameFp = 0;
// Round to nearest, no flush to zero, every exception masked.
constexpr u64 kDefaultFp = 0x1f80u | (u64{0x037f} << 32);
#elif defined(__aarch64__)
inline void* context_switch(void** save_sp, void* load_sp, void* carry) {
  return thrum_switch(save_sp, load_sp, carry);
}
constexpr size_t kFrameBytes = 176;  // x19-x30, d8-d15, fpcr, pad
#define THRUM_FRAME_REGISTERS(X) \
  X(x19, 0)                      \
  X(x20, 8)                      \
  X(x21, 16)                     \
  X(x22, 24)                     \
  X(x23, 32)                     \
  X(x24, 40)                     \
  X(x25, 48) X(x26, 56) X(x27, 64) X(x28, 72) X(x29, 80) X(x30, 88) X(pc, 88)
constexpr size_t kFrameEntry = 0;    // x19
constexpr size_t kFramePc = 11;      // x30
constexpr size_t kFrameFp = 20;
constexpr u64 kDefaultFp = 0;
#else
#error "thrum has no context switch for this CPU"
#endif

// Prepares the stack that ends below `top` so that a switch to the returned
// stack pointer calls entry(carry). entry never returns.
inline void* context_make(void* top, void (*entry)(void*)) {
  uintptr_t hi = reinterpret_cast<uintptr_t>(top) & ~uintptr_t{15};
  u64* frame = reinterpret_cast<u64*>(hi - kFrameBytes);
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
