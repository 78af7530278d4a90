// Fibre notes for ASan, TSan and valgrind: the only place that knows them.
// A StackNote belongs to one stack (a G's, or the native stack of an M).
//
// note_leave() just before a switch, note_arrive() just after it, on the other
// side. In plain builds all of it is empty.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

#if defined(THRUM_ASAN)
extern "C" {
void __sanitizer_start_switch_fiber(void** fake_save, const void* bottom,
                                    size_t size);
void __sanitizer_finish_switch_fiber(void* fake_save, const void** bottom_old,
                                     size_t* size_old);
void __asan_unpoison_memory_region(void const volatile* addr, size_t size);
}
#endif
#if defined(THRUM_TSAN)
extern "C" {
void* __tsan_get_current_fiber(void);
void* __tsan_create_fiber(unsigned flags);
void __tsan_destroy_fiber(void* fiber);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}
namespace thrum::os {
u64 signals_hold();  // all of the calling thread's; what was held before
void signals_let(u64 before);
}  // namespace thrum::os
#endif
#if defined(THRUM_VALGRIND)
#include <valgrind/valgrind.h>
#endif

namespace thrum {

#if defined(THRUM_ASAN) || defined(THRUM_TSAN) || defined(THRUM_VALGRIND)
constexpr bool kFibreNotes = true;
#else
constexpr bool kFibreNotes = false;
#endif

// Threads that the tool itself keeps in the process.
#if defined(THRUM_TSAN)
constexpr int kToolThreads = 1;
#else
constexpr int kToolThreads = 0;
#endif

// TSan keeps asynchronous signals until the next call that it intercepts, and its
// handler sees a copy of the context: code cannot be stopped by one.
#if defined(THRUM_TSAN)
constexpr bool kSignalsLate = true;
#else
constexpr bool kSignalsLate = false;
#endif

struct StackNote {
#if defined(THRUM_ASAN)
  void* fake = nullptr;
  const void* lo = nullptr;
  size_t size = 0;
#endif
#if defined(THRUM_TSAN)
  void* fiber = nullptr;
#endif
#if defined(THRUM_VALGRIND)
  unsigned id = 0;
#endif
};

// A stack that thrum made.
inline void note_stack(StackNote& n, void* lo, size_t size) {
  (void)n, (void)lo, (void)size;
#if defined(THRUM_ASAN)
  n.lo = lo;
  n.size = size;
  __asan_unpoison_memory_region(lo, size);
#endif
#if defined(THRUM_TSAN)
  // A new one for each G: an ended G leaves its frames on TSan's own stack. The
  // thread is either for a moment: a signal that came then would go with it.
  u64 held = os::signals_hold();
  if (n.fiber) {
    __tsan_destroy_fiber(n.fiber);
  }
  n.fiber = __tsan_create_fiber(0);
  os::signals_let(held);
#endif
#if defined(THRUM_VALGRIND)
  if (!n.id) {
    n.id = VALGRIND_STACK_REGISTER(lo, static_cast<char*>(lo) + size);
  }
#endif
}

inline void note_forget(StackNote& n) {
  (void)n;
#if defined(THRUM_TSAN)
  if (n.fiber) {
    u64 held = os::signals_hold();
    __tsan_destroy_fiber(n.fiber);
    os::signals_let(held);
    n.fiber = nullptr;
  }
#endif
#if defined(THRUM_VALGRIND)
  if (n.id) {
    VALGRIND_STACK_DEREGISTER(n.id);
    n.id = 0;
  }
#endif
}

// The memory of stacks goes back to the OS: what was poisoned must not meet its
// next user.
inline void note_unmap(void* lo, size_t size) {
  (void)lo, (void)size;
#if defined(THRUM_ASAN)
  __asan_unpoison_memory_region(lo, size);
#endif
}

// The calling thread's native stack becomes an M's.
inline void note_native(StackNote& n) {
  (void)n;
#if defined(THRUM_TSAN)
  n.fiber = __tsan_get_current_fiber();
#endif
}

// `last`: the stack that is left will never be returned to. Inlined, for TSan
// counts entries and exits: a call would begin on one stack and end on the other.
THRUM_INLINE void note_leave(StackNote& from, StackNote& to, bool last) {
  (void)from, (void)to, (void)last;
#if defined(THRUM_ASAN)
  __sanitizer_start_switch_fiber(last ? nullptr : &from.fake, to.lo, to.size);
#endif
#if defined(THRUM_TSAN)
  // A signal that has come is kept for the fiber that it came on, until that does
  // something atomic: for good, if it ends or waits for the signal. So none comes
  // from that on until the other is on.
  constexpr unsigned kNoOrder = 1;
  void* next = to.fiber;
  __tsan_release(next);
  u64 held = os::signals_hold();
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
  __tsan_switch_to_fiber(next, kNoOrder);
  os::signals_let(held);
  __tsan_acquire(next);
#endif
}

// `native`: where to keep the bounds of the stack that was left, if it is the
// M's own (ASan tells them only here).
inline void note_arrive(StackNote& self, StackNote* native) {
  (void)self, (void)native;
#if defined(THRUM_ASAN)
  const void* lo = nullptr;
  size_t size = 0;
  __sanitizer_finish_switch_fiber(self.fake, &lo, &size);
  self.fake = nullptr;
  if (native) {
    native->lo = lo;
    native->size = size;
  }
#endif
}

}  // namespace thrum
