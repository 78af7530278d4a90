// The one thread-local of the library. A file of its own, never inlined, and the
// result laundered: GCC and Clang keep the address of a thread_local across a
// call that comes back on another thread (reference: bindings 5.1).
// SPDX-License-Identifier: MIT
#include "sched/enter.hpp"

namespace thrum {

namespace {
thread_local M* t_m = nullptr;
}

THRUM_NOINLINE M* this_m() {
  M* m = t_m;
  asm volatile("" : "+r"(m)::"memory");
  return m;
}

// Here, so that a safepoint is a few loads and no call. Nothing is kept across a
// park: the slow part begins with this_m().
int check_here() {
  M* m = t_m;
  G* g = m ? m->cur : nullptr;
  if (THRUM_UNLIKELY(!g)) {
    return no_g();
  }
  return THRUM_LIKELY(!must_check(m, g)) ? 0 : check_slow();
}

// Likewise: of three nanoseconds that a call may cost beside mimalloc, finding the
// M would be one. They do not park.
void* heap_alloc(size_t size) { return mem::alloc(size, heap_of(t_m)); }
void heap_free(void* p) { mem::free(p, heap_of(t_m)); }

THRUM_NOINLINE void set_this_m(M* m) {
  t_m = m;
  asm volatile("" ::: "memory");
}

}  // namespace thrum
