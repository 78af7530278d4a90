// What thrum_preempt_entry saves on this CPU: every user state that the OS has
// enabled, in the compacted format where there is one.
// SPDX-License-Identifier: MIT
#include "arch/preempt.hpp"

extern "C" {
// Read by preempt.S at these offsets.
struct PreemptCpu {
  void (*then)(void* frame);  // 0
  unsigned long long mask;    // 8: the states to save
  unsigned bytes;             // 16: of the area, a multiple of 64
  unsigned how;               // 20: 0 FXSAVE, 1 XSAVE, 2 XSAVEC
  unsigned avx;               // 24: there are upper halves to clear
  unsigned mxcsr;             // 28: the default
};
PreemptCpu thrum_preempt_cpu;  // written before the first signal, then const
}

namespace thrum {

namespace {

constexpr u64 kAvx = 1u << 2;
// Tiles are 8 KiB, and a G that has some live is not stopped (os::detour): the
// area has no room for them.
constexpr u64 kTiles = 3u << 17;
constexpr u32 kLegacy = 512, kHeader = 64;

struct Cpuid {
  u32 a, b, c, d;
};
Cpuid cpuid(u32 leaf, u32 sub) {
  Cpuid r;
  asm volatile("cpuid"
               : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d)
               : "a"(leaf), "c"(sub));
  return r;
}

u64 xcr0() {
  u32 lo, hi;
  asm volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
  return (u64{hi} << 32) | lo;
}

// Bytes of an XSAVE area with these states.
u32 area_bytes(u64 mask, bool compacted) {
  u32 end = kLegacy + kHeader;
  for (u32 i = 2; i < 63; ++i) {
    if (mask >> i & 1) {
      Cpuid part = cpuid(0xd, i);  // a: size, b: place in the standard format
      if (!compacted) {
        end = max(end, part.b + part.a);
      } else {
        end = (part.c & 2 ? (end + 63) & ~63u : end) + part.a;
      }
    }
  }
  return (end + 63) & ~63u;
}

// Does the CPU keep return addresses on a stack of its own? A switch would trip
// it. An unknown instruction of this space does nothing.
bool shadow_stack() {
  u64 ssp = 0;
  asm volatile("rdsspq %0" : "+r"(ssp));
  return ssp != 0;
}

constexpr u32 kSavedBytes = 16 * 8;  // flags and registers
constexpr u32 kAlign = 64;

}  // namespace

size_t preempt_prepare(void (*then)(void* frame)) {
  PreemptCpu cpu{then, 3, kLegacy, 0, 0, 0x1f80};
  if (shadow_stack()) {
    return 0;
  }
  constexpr u32 kOsxsave = 1u << 27;
  if (cpuid(1, 0).c & kOsxsave) {
    cpu.mask = xcr0() & ~kTiles;
    cpu.how = cpuid(0xd, 1).a & 2 ? 2 : 1;
    cpu.bytes = area_bytes(cpu.mask, cpu.how == 2);
    cpu.avx = (cpu.mask & kAvx) != 0;
  }
  thrum_preempt_cpu = cpu;
  return kSavedBytes + kAlign + cpu.bytes;
}

}  // namespace thrum
