// os/lock.hpp and its slow path: one holder at a time, the object's bits beside
// the lock are not lost, fast paths may CAS them while nobody holds the lock, and
// the unlock is the last touch.
// SPDX-License-Identifier: MIT
#include "os/lock.hpp"

#include "explore/explore.hpp"

namespace {

using namespace thrum;

constexpr u64 kOne = 2;  // a count above the lock bit
constexpr u64 kDone = 1 << 8;

struct Shared {
  WordLock lock;
  int inside;  // lock
  int count;   // lock
};
Shared* s;

void before() { s = explore::make<Shared>(); }

void hold(bool marked = false) {
  u64 v = marked ? s->lock.lock_marked() : s->lock.lock();
  MUST(!(v & 1));
  MUST(s->inside++ == 0);
  ++s->count;
  --s->inside;
  s->lock.unlock(v + kOne);
}

void three(unsigned) { hold(); }
void marked(unsigned i) { hold(i != 0); }
void three_after() {
  MUST(s->count == 3);
  MUST(s->lock.word.load(relaxed) == 3 * kOne);
}

void scoped(unsigned) {
  Locked held(s->lock);
  MUST(s->inside++ == 0);
  ++s->count;
  --s->inside;
}
void scoped_after() { MUST(s->count == 3); }

// A fast path beside two holders.
void fast(unsigned i) {
  if (i < 2) {
    return hold();
  }
  u64 v = s->lock.word.load(relaxed);
  while ((v & 1) ||
         !s->lock.word.compare_exchange_weak(v, v + kOne, acq_rel, relaxed)) {
    if (v & 1) {
      explore::pause();
      v = s->lock.word.load(relaxed);
    }
  }
}
void fast_after() {
  MUST(s->count == 2);
  MUST(s->lock.word.load(relaxed) == 3 * kOne);
}

// Whoever sees the last effect frees the object.
void last_touch(unsigned i) {
  if (i == 0) {
    s->lock.lock();
    ++s->count;
    s->lock.unlock(kDone);
    return;
  }
  while (!(s->lock.word.load(acquire) == kDone)) {
    explore::pause();
  }
  MUST(s->count == 1);
  explore::dispose(s);
}

}  // namespace

const explore::Scenario explore::scenarios[] = {
    {"three", 3, before, three, three_after, 3, 20000},
    {"marked", 3, before, marked, three_after, 3, 20000},
    {"scoped", 3, before, scoped, scoped_after, 3, 20000},
    {"fast", 3, before, fast, fast_after, 3, 20000},
    {"last_touch", 2, before, last_touch, nullptr, 4, 20000},
};
const unsigned explore::scenario_count =
    sizeof explore::scenarios / sizeof *explore::scenarios;
