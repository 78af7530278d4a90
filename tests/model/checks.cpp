// The explorer itself: each of these must be found to fail, or must not.
// SPDX-License-Identifier: MIT
#include "base/atomic.hpp"
#include "explore/explore.hpp"
#include "mem/heap.hpp"
#include "os/os.hpp"

namespace {

using namespace thrum;

struct Shared {
  int plain;
  Atomic<u32> flag;
  Atomic<u32> x, y;
  Atomic<void*> slot;
  u32 seen[2];
  int* object;
};
Shared* s;

void before() {
  s = explore::make<Shared>();
  s->object = explore::make<int>();
}

// Two plain writes.
void race(unsigned i) { s->plain = static_cast<int>(i); }

// A message without release, without acquire, and with both.
template <std::memory_order Store, std::memory_order Load>
void message(unsigned i) {
  if (i == 0) {
    s->plain = 1;
    s->flag.store(1, Store);
  } else if (s->flag.load(Load)) {
    MUST(s->plain == 1);
  }
}

// Store, then load, on both sides: with weak orders both may read the old value.
template <std::memory_order Store, std::memory_order Load>
void dekker(unsigned i) {
  (i ? s->x : s->y).store(1, Store);
  s->seen[i] = (i ? s->y : s->x).load(Load);
}
void dekker_after() { MUST(s->seen[0] || s->seen[1]); }

void freed(unsigned i) {
  if (i == 0) {
    explore::dispose(s->object);
    s->flag.store(1, release);
  } else if (s->flag.load(acquire)) {
    *s->object = 1;
  }
}

void still_used(unsigned i) {
  if (i == 0) {
    *s->object = 1;
    s->flag.store(1, relaxed);
  } else if (s->flag.load(relaxed)) {
    explore::dispose(s->object);
  }
}

// A note that is missed: the waker looks before the sleeper is there.
void lost_wake(unsigned i) {
  if (i == 0) {
    if (!s->flag.load(relaxed)) {
      explore::step();
      explore::sleep_on(&s->flag, false);
    }
  } else {
    s->flag.store(1, relaxed);
    explore::wake(&s->flag, 1);
  }
}
void kept_wake(unsigned i) {
  if (i == 0) {
    while (!s->flag.load(relaxed)) {
      os::futex_wait(&s->flag, 0, kForever);
    }
  } else {
    s->flag.store(1, relaxed);
    os::futex_wake(&s->flag, 1);
  }
}
void in_time(unsigned i) {
  if (i == 0) {
    while (!s->flag.load(relaxed) && os::now_ns() < 5000) {
      os::futex_wait(&s->flag, 0, 5000);
    }
  }
}

// A taker that says too weakly that it has read.
template <std::memory_order Order>
void slot(unsigned i) {
  if (i == 0) {
    s->slot.store(s->object, relaxed);
    s->flag.store(1, release);
    if (s->flag.load(acquire) == 2) {
      s->slot.store(nullptr, relaxed);
    }
  } else if (s->flag.load(acquire) == 1) {
    void* got = s->slot.load(relaxed);
    u32 one = 1;
    if (s->flag.compare_exchange_strong(one, 2, Order, relaxed)) {
      explore::took(got);
    }
  }
}
void slot_before() {
  before();
  explore::slots(&s->slot, sizeof s->slot);
}

}  // namespace

const explore::Scenario explore::scenarios[] = {
    {"race", 2, before, race, nullptr, 2, 0, "write after write"},
    {"no_release", 2, before, message<relaxed, acquire>, nullptr, 2, 0,
     "read after write"},
    {"no_acquire", 2, before, message<release, relaxed>, nullptr, 2, 0,
     "read after write"},
    {"message", 2, before, message<release, acquire>, nullptr, 2, 1000},
    {"dekker_weak", 2, before, dekker<release, acquire>, dekker_after, 2, 0,
     "s->seen[0] || s->seen[1]"},
    {"dekker", 2, before, dekker<seq_cst, seq_cst>, dekker_after, 2, 1000},
    {"freed", 2, before, freed, nullptr, 2, 0, "access to freed memory"},
    {"still_used", 2, before, still_used, nullptr, 2, 0, "write after write"},
    {"lost_wake", 2, before, lost_wake, nullptr, 2, 0, "DEADLOCK"},
    {"kept_wake", 2, before, kept_wake, nullptr, 2, 1000},
    {"in_time", 2, before, in_time, nullptr, 2, 1000},
    {"slot_weak", 2, slot_before, slot<acquire>, nullptr, 2, 0,
     "a slot was reused"},
    {"slot", 2, slot_before, slot<acq_rel>, nullptr, 2, 1000},
};
const unsigned explore::scenario_count =
    sizeof explore::scenarios / sizeof *explore::scenarios;
