// The door between guest and core, once per call (DESIGN 4).
//
// Entering: in_core = 1, then a look at `retake`. Leaving: in_core = what it was,
// with a release store and nothing of the P touched after it. `prev_` lives in
// the frame and moves with the G, so callbacks nest.
// retake != none: the G is in a declared blocking call and gave its P away
// (non-parking calls then run without one: m->p is null, so global pools and the
// global queue; parking calls take a P for their time), or its domain went to
// another M (a parking call queues the G there).
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/wait.hpp"

namespace thrum {

// For calls that neither wait nor change the OS thread.
class Enter {
 public:
  Enter() : m(this_m()) {
    if (m) {
      prev_ = m->in_core.load(relaxed);
      m->in_core.store(1, relaxed);
      compiler_fence();
    }
  }
  ~Enter() {
    if (m) {
      m->in_core.store(prev_, release);  // pairs with sysmon's acquire
    }
  }
  Enter(const Enter&) = delete;
  Enter& operator=(const Enter&) = delete;

  M* m;

 private:
  u32 prev_ = 0;
};

// For calls that may park: they leave the M they return on in `m`.
class EnterParking {
 public:
  // With kTry a call does not park, and then needs no P either.
  explicit EnterParking(i64 deadline = kForever) : m(this_m()) {
    if (m) {
      prev_ = m->in_core.load(relaxed);
      m->in_core.store(1, relaxed);
      compiler_fence();
      if (THRUM_UNLIKELY(m->retake.load(relaxed) != kRetakeNone) && m->cur &&
          deadline != kTry) {
        paused_ = enter_slow(m);
      }
    }
  }
  ~EnterParking() {
    if (m) {
      if (THRUM_UNLIKELY(paused_)) {
        block_resume(m);
      }
      m->in_core.store(prev_, release);
    }
  }
  EnterParking(const EnterParking&) = delete;
  EnterParking& operator=(const EnterParking&) = delete;

  M* m;

 private:
  u32 prev_ = 0;
  bool paused_ = false;
};

// Around a callback into the host, from a G's stack: guest code runs with
// in_core = 0.
template <class F>
void call_guest(M*& m, F f) {
  if (!m) {
    return f();
  }
  m->in_core.store(0, release);
  f();
  m = this_m();
  m->in_core.store(1, relaxed);
  compiler_fence();
}

}  // namespace thrum
