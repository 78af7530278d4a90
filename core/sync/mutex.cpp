// Mutex: barging while the wait is short, FIFO hand-over once a waiter has waited
// for a millisecond (the scheme of Go's sync.Mutex: normal and starvation mode).
// SPDX-License-Identifier: MIT
#include "sync/sync.hpp"

namespace thrum {

namespace {

constexpr u64 kWaiters = 2;   // the queue is not empty
constexpr u64 kWoken = 4;     // a waiter was woken and has not had its try yet
constexpr u64 kStarving = 8;  // hand over in order; nobody barges
constexpr u64 kFlags = 63;

constexpr i64 kStarvedAfter = 1'000'000;  // Go's starvationThresholdNs
constexpr int kSpins = 4;                 // Go: active_spin 4, 30 pauses each
constexpr int kPauses = 30;

constexpr int kHanded = 1;  // result of a wait: the mutex is ours

bool held(u64 v) { return v & ~kFlags; }

// Flags that speak of the queue, recomputed under the lock.
u64 trim(const Mutex* x, u64 v) {
  return x->queue.empty() ? v & ~(kWaiters | kStarving) : v | kWaiters;
}

bool spin_for(Mutex* x, u64 me) {
  for (int i = 0; i < kSpins; ++i) {
    u64 v = x->word.word.load(relaxed);
    if (v & kStarving) {
      return false;
    }
    if (!held(v) && !(v & 1) &&
        x->word.word.compare_exchange_weak(v, v | me, acquire, relaxed)) {
      return true;
    }
    for (int p = 0; p < kPauses; ++p) {
      cpu_relax();
    }
  }
  return false;
}

// Spinning helps only while the holder runs on another CPU.
bool may_spin(M* m) {
  return !m || m->rt->procs.load(relaxed) > m->rt->idle_count.load(relaxed) + 1;
}

THRUM_NOINLINE int lock_slow(M*& m, Mutex* x, i64 deadline, u64 me) {
  if ((x->word.word.load(relaxed) & ~kFlags) == me) {
    return deadline == kTry ? kEAGAIN : kEDEADLOCK;
  }
  if (deadline != kTry && may_spin(m) && spin_for(x, me)) {
    return 0;
  }
  i64 since = 0;
  bool woken = false;  // we own kWoken
  bool starving = false;
  for (;;) {
    u64 v = x->word.lock();
    if (woken) {
      v &= ~kWoken;
    }
    if (!held(v) && !(v & kStarving)) {
      x->word.unlock(v | me);
      return 0;
    }
    Wait w{deadline, Why::mutex, deadline == kForever};
    if (int err = wait_begin(m, w)) {
      x->word.unlock(trim(x, v));
      return err;
    }
    if (!since) {
      since = now_of(m);
    }
    u64 to = v | kWaiters | (starving ? kStarving : 0);
    int result = wait_queued(m, x->word, to, x->queue, w, me,
                             reinterpret_cast<void*>(since), woken,
                             [&](u64 now) { return trim(x, now); });
    if (result < 0) {
      return result;
    }
    starving = now_of(m) - since > kStarvedAfter;
    if (result == kHanded) {
      if (!starving) {  // nobody waits long any more: back to barging
        u64 now = x->word.lock();
        x->word.unlock(now & ~kStarving);
      }
      return 0;
    }
    woken = true;
  }
}

bool head_waits_long(M* m, const Mutex* x) {
  const Waiter* w = x->queue.head;
  return w && now_of(m) - reinterpret_cast<i64>(w->elem) > kStarvedAfter;
}

THRUM_NOINLINE int unlock_slow(M* m, Mutex* x, u64 me) {
  u64 seen = x->word.word.load(relaxed);
  if ((seen & ~kFlags) != me) {
    return kEPERM;
  }
  u64 v = x->word.lock() & kFlags;
  bool hand = (v & kStarving) || head_waits_long(m, x);
  Waiter* w = hand || !(v & kWoken) ? pop_claimed(x->queue) : nullptr;
  v = trim(x, hand ? v | kStarving : v);
  hand = hand && w;
  if (w) {
    w->wake->result = hand ? kHanded : 0;
    v |= hand ? w->data : kWoken;
  }
  x->word.unlock(v);  // the last touch of x
  if (w) {
    ready(m, w->wake);
  }
  return 0;
}

}  // namespace

int mutex_lock(M*& m, Mutex* x, i64 deadline) {
  return mutex_try(m, x) ? 0 : lock_slow(m, x, deadline, who_of(m));
}

int mutex_unlock(M* m, Mutex* x) {
  return mutex_untry(m, x) ? 0 : unlock_slow(m, x, who_of(m));
}

bool mutex_held_by(M* m, const Mutex* x) {
  return (x->word.word.load(relaxed) & ~kFlags) == who_of(m);
}

}  // namespace thrum
