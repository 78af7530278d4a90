// The one thread-local of the library, for public calls of a nanosecond or two: to ask
// this_m() would be half of it. They look at it once, before anything that may park, and
// whoever calls them must not inline them (THRUM_NOINLINE): see tls.cpp.
// SPDX-License-Identifier: MIT
#pragma once
#include "mem/heap.hpp"
#include "sched/wait.hpp"

namespace thrum {

// In a program's own block of thread-locals, as in the static library, one load finds
// it; a shared one asks the dynamic linker.
#ifdef THRUM_STATIC_TLS
extern constinit thread_local M* t_m [[gnu::tls_model("initial-exec")]];
#else
extern constinit thread_local M* t_m;
#endif

THRUM_INLINE int check_here() {
  M* m = t_m;
  G* g = m ? m->cur : nullptr;
  if (THRUM_UNLIKELY(!g)) {
    return no_g();
  }
  return must_check(m, g) ? check_slow() : 0;
}

// The heap of an M needs no P: these pass no door.
THRUM_INLINE void* heap_alloc(size_t size) {
  return mem::alloc(size, heap_of(t_m));
}
THRUM_INLINE void heap_free(void* p) { mem::free(p, heap_of(t_m)); }

}  // namespace thrum
