/* switch: two contexts that switch to each other, no scheduler: the price of
 * context_switch itself. Rows: plain (the control words are equal, their load is
 * skipped), fp (the two sides round differently, so every switch loads them),
 * and eh (C++ exception globals looked at on both sides, as the scheduler does).
 * words is no switch: the reading of the control words alone, which no switch
 * that keeps to the ABI can do without; what it costs differs much among CPUs.
 * SPDX-License-Identifier: MIT */
#include "support/bench.h"

#include <fenv.h>

#include "arch/context.hpp"
#include "sched/switch.hpp"

namespace {

using namespace thrum;

alignas(64) char g_stack[64 * 1024];
void* g_here;
void* g_there;
EhGlobals g_eh;
Body g_bodies[2];
M g_m;

template <bool kEh>
THRUM_INLINE void hop(void** from, void* to, Body* body) {
  if (kEh) {
    eh_save(&g_m, body);
  }
  context_switch(from, to, nullptr);
  if (kEh) {
    eh_restore(&g_m, body);
  }
}

template <bool kEh, int kRound>
void echo(void*) {
  fesetround(kRound);
  for (;;) {
    hop<kEh>(&g_there, g_here, &g_bodies[1]);
  }
}

template <bool kEh, int kRound>
void measure(int64_t n, bench_span* span) {
  g_m.eh = &g_eh;
  g_there = context_make(g_stack + sizeof g_stack, echo<kEh, kRound>);
  hop<kEh>(&g_here, g_there, &g_bodies[0]);
  bench_start(span);
  for (int64_t i = 0; i < n / 2; ++i) {
    hop<kEh>(&g_here, g_there, &g_bodies[0]);
  }
  bench_stop(span);
}

void measure_words(int64_t n, bench_span* span) {
  bench_start(span);
  for (int64_t i = 0; i < n; ++i) {
#if defined(__x86_64__)
    u32 mxcsr;
    u16 cw;
    asm volatile("stmxcsr %0; fnstcw %1" : "=m"(mxcsr), "=m"(cw));
#else
    u64 fpcr;
    asm volatile("mrs %0, fpcr" : "=r"(fpcr));
#endif
  }
  bench_stop(span);
}

}  // namespace

int main(int argc, char** argv) {
  int64_t n = 100000000, mode = 0;
  const bench_flag flags[] = {
      BENCH_FLAG_NUMBER("n", "switches, both ways together", &n, 2),
      {"mode",
       "0 plain, 1 control words differ, 2 exception globals looked at, "
       "3 control words read, no switch",
       &mode, 0, 3, nullptr, nullptr},
  };
  bench_flags(argc, argv, flags, BENCH_COUNT(flags));
  bench_span span;
  if (mode == 0) {
    measure<false, FE_TONEAREST>(n, &span);
  } else if (mode == 1) {
    measure<false, FE_DOWNWARD>(n, &span);
  } else if (mode == 2) {
    measure<true, FE_TONEAREST>(n, &span);
  } else {
    measure_words(n, &span);
  }
  bench_json_begin("switch", 1, n, n, &span);
  bench_json_int("mode", mode);
  bench_json_end();
  return 0;
}
