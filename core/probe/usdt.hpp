// Probes for tools outside (bpftrace, perf, gdb, SystemTap): an instruction that does
// nothing, and a note in the file that tells where it stands and what its arguments
// are in. The format is SystemTap's, version 3 of the note "stapsdt"; written by hand
// so that a build needs no package.
//
// A tool that attaches adds one to the lower half of g_probing (the note names it as the
// semaphore of every probe), a runtime that is traced to the upper half: what is off
// costs one load and one predicted branch, whoever might look.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/atomic.hpp"
#include "base/defs.hpp"

namespace thrum {

// meson's -Dprobes=false: to measure what they cost.
#if defined(THRUM_NO_PROBES)
constexpr bool kProbes = false;
#else
constexpr bool kProbes = true;
#endif

extern Atomic<u32> g_probing asm("_thrum_probing");

constexpr u32 kTraced = 1u << 16;  // one traced runtime
constexpr u32 kAttached = 0xffff;  // tools

THRUM_INLINE bool probing() {
  return kProbes && THRUM_UNLIKELY(g_probing.load(relaxed) != 0);
}

}  // namespace thrum

// One site. Four arguments of 8 bytes; local labels, for a compiler may copy it.
#define THRUM_USDT(name, a, b, c, d)                                      \
  asm volatile(                                                           \
      "990: nop\n"                                                        \
      ".pushsection .note.stapsdt, \"?\", \"note\"\n"                     \
      ".balign 4\n"                                                       \
      ".4byte 992f-991f, 994f-993f, 3\n"                                  \
      "991: .asciz \"stapsdt\"\n"                                         \
      "992: .balign 4\n"                                                  \
      "993: .8byte 990b\n"                                                \
      ".8byte _.stapsdt.base\n"                                           \
      ".8byte _thrum_probing\n"                                           \
      ".asciz \"thrum\"\n"                                                \
      ".asciz \"" name "\"\n"                                             \
      ".asciz \"8@%0 8@%1 -8@%2 -8@%3\"\n"                                \
      "994: .balign 4\n"                                                  \
      ".popsection\n"                                                     \
      ".ifndef _.stapsdt.base\n"                                          \
      ".pushsection .stapsdt.base, \"aG\", \"progbits\", .stapsdt.base, " \
      "comdat\n"                                                          \
      ".weak _.stapsdt.base\n"                                            \
      ".hidden _.stapsdt.base\n"                                          \
      "_.stapsdt.base: .space 1\n"                                        \
      ".size _.stapsdt.base, 1\n"                                         \
      ".popsection\n"                                                     \
      ".endif\n" ::"nor"(a),                                              \
      "nor"(b), "nor"(c), "nor"(d))
