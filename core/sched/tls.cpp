// A file of its own, never inlined, and the result laundered: GCC and Clang keep the
// address of a thread_local across a call that comes back on another thread
// (reference: bindings 5.1).
// SPDX-License-Identifier: MIT
#include "sched/tls.hpp"

namespace thrum {

constinit thread_local M* t_m = nullptr;

THRUM_NOINLINE M* this_m() {
  M* m = t_m;
  asm volatile("" : "+r"(m)::"memory");
  return m;
}

THRUM_NOINLINE void set_this_m(M* m) {
  t_m = m;
  asm volatile("" ::: "memory");
}

}  // namespace thrum
