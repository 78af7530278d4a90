// How a public call comes in: once per call, by class (see door.hpp).
//
// Entering: the door, then a look at its word. Leaving: the door, and nothing of
// the P touched after it. `was_` lives in the frame and moves with the G, so
// callbacks nest. With something in the word: the P was taken (non-parking calls
// then run without one: m->p is null, so global pools and the global queue;
// parking calls get a P or queue the G), or lent to a declared block, or the
// domain went to another M (a parking call queues the G there).
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/wait.hpp"

namespace thrum {

// Where the guest's code goes on after the public call that this is inlined in.
#define THRUM_SITE() reinterpret_cast<u64>(__builtin_return_address(0))

// For calls that neither wait nor change the OS thread.
class Enter {
 public:
  THRUM_INLINE Enter() : m(this_m()) {
    if (m) {
      was_ = m->door.enter();
      if (THRUM_UNLIKELY(m->door.called())) {
        enter_apart(m);
      }
    }
  }
  THRUM_INLINE ~Enter() {
    if (m) {
      m->door.leave(was_, THRUM_SITE());
    }
  }
  Enter(const Enter&) = delete;
  Enter& operator=(const Enter&) = delete;

  M* m;

 private:
  u32 was_ = 0;
};

// For calls that may park: they leave the M they return on in `m`.
class EnterParking {
 public:
  // With kTry a call does not park, and then needs no P either.
  THRUM_INLINE explicit EnterParking(i64 deadline = kForever) : m(this_m()) {
    if (m) {
      was_ = m->door.enter();
      if (THRUM_UNLIKELY(m->door.called())) {
        paused_ = enter_slow(m, deadline != kTry);
      }
    }
  }
  THRUM_INLINE ~EnterParking() {
    if (m) {
      if (THRUM_UNLIKELY(paused_)) {
        block_resume(m);
      }
      m->door.leave(was_, THRUM_SITE());
    }
  }
  EnterParking(const EnterParking&) = delete;
  EnterParking& operator=(const EnterParking&) = delete;

  M* m;

 private:
  u32 was_ = 0;
  bool paused_ = false;
};

// Around a callback into the host, from a G's stack: guest code runs outside.
template <class F>
void call_guest(M*& m, F f) {
  if (!m) {
    return f();
  }
  m->door.leave(0, THRUM_SITE());
  f();
  m = this_m();
  if (THRUM_UNLIKELY(!m)) {
    return;  // f forked, and this is the child
  }
  m->door.enter();
  if (THRUM_UNLIKELY(m->door.called())) {
    enter_after_guest(m);
  }
}

}  // namespace thrum
