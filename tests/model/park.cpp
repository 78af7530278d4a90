// The word of a G (sched/g.hpp, park.cpp, join.cpp, timers.cpp): a park against
// an unpark, a cancel and a deadline. Exactly one of them ends a wait, none is
// lost, what the waker wrote is there, and nobody touches the G's body after its
// wait is over. Threads 0 and 1 are Ms; a G that parked may go on on either.
// SPDX-License-Identifier: MIT
#include "explore/explore.hpp"
#include "explore/rig.hpp"
#include "sched/ready.hpp"

namespace {

using namespace thrum;

constexpr i64 kDue = 5000;

struct Shared {
  u64 g;
  bool may_end;                  // const: without the other thread
  int told;                      // by the unparker, before it unparks
  int zeros, cancels, timeouts;  // the G's results
};
Shared* s;

void prepare(void (*fn)(void*)) {
  s = explore::make<Shared>();
  rig::ideal(2);
  s->g = rig::go(fn, nullptr);
}

// What a G does with its body once a wait is over: anything. Whoever ended the
// wait, or tried to, must be done with it.
void reuse_body(M* m) {
  Body* b = m->cur->body;
  MUST(b->timer.id.load(relaxed) == Timer::kIdle);
  Atomic<u64>* word = b->wake.word;
  G* g = b->wake.g;
  b->wake.word = nullptr;
  b->wake.g = nullptr;
  b->wake.result = 77;
  b->timer_home = nullptr;
  b->sp = nullptr;
  asm volatile("" ::: "memory");  // those were stores
  b->wake.word = word;
  b->wake.g = g;
}

int park_once(i64 deadline) {
  M* m = this_m();
  int result = park(m, "model", deadline);
  MUST(m == this_m());
  reuse_body(m);
  if (result == 0) {
    MUST(s->told == 1);
    ++s->zeros;
  } else if (result == kECANCELED) {
    ++s->cancels;
  } else {
    MUST(result == kETIMEDOUT);
    ++s->timeouts;
  }
  return result;
}

void tell() {
  s->told = 1;
  int err = unpark(nullptr, rig::rt, s->g);
  MUST(err == 0 || (err == kESTALE && s->may_end));
}

void ask() {
  int err = cancel(nullptr, rig::rt, s->g);
  MUST(err == 0 || (err == kESTALE && s->may_end));
}

// ---- one waker ----------------------------------------------------------------

void parks_once(void*) { park_once(kForever); }

void unpark_before() { prepare(parks_once); }
void unpark_thread(unsigned i) { i < 2 ? rig::run(i) : tell(); }
void unpark_after() { MUST(s->zeros == 1); }

void cancel_thread(unsigned i) { i < 2 ? rig::run(i) : ask(); }
void cancel_after() { MUST(s->cancels == 1); }

// ---- a permit and a request: each is delivered once -----------------------------

void parks_twice(void*) {
  park_once(kForever);
  park_once(kForever);
}

void both_before() { prepare(parks_twice); }
void both_thread(unsigned i) { i < 2 ? rig::run(i) : i == 2 ? tell() : ask(); }
void both_after() { MUST(s->zeros == 1 && s->cancels == 1); }

// One thread after the other, so that three are enough.
void series_thread(unsigned i) {
  if (i < 2) {
    return rig::run(i);
  }
  tell();
  ask();
}

// ---- a shield: the request waits, the permit does not ---------------------------

void parks_shielded(void*) {
  Body* b = this_m()->cur->body;
  b->shield = 1;
  MUST(park_once(kForever) == 0);
  b->shield = 0;
  MUST(park_once(kForever) == kECANCELED);
}

void shield_before() { prepare(parks_shielded); }
void shield_thread(unsigned i) {
  if (i < 2) {
    return rig::run(i);
  }
  ask();
  tell();
}

// ---- deadlines ------------------------------------------------------------------

void parks_until(void*) { park_once(kDue); }

// A thief that fires what is due on the P of M 0, and then runs Gs itself.
void fire_then_run(bool until_fired) {
  M* m = rig::m(1);
  set_this_m(m);
  while (!run_timers(m, rig::rt->ps[0], kDue) && until_fired) {
    explore::pause();
  }
  rig::run(1);
}

void until_before() {
  prepare(parks_until);
  s->may_end = true;
}
void due_thread(unsigned i) { i == 0 ? rig::run(0) : fire_then_run(true); }
void due_after() { MUST(s->timeouts == 1); }

void due_unpark_thread(unsigned i) {
  i == 0 ? rig::run(0) : i == 1 ? fire_then_run(false) : tell();
}
void due_unpark_after() { MUST(s->timeouts + s->zeros == 1); }
void due_cancel_thread(unsigned i) {
  i == 0 ? rig::run(0) : i == 1 ? fire_then_run(false) : ask();
}
void due_cancel_after() { MUST(s->timeouts + s->cancels == 1); }

}  // namespace

const explore::Scenario explore::scenarios[] = {
    {"unpark", 3, unpark_before, unpark_thread, unpark_after, 3, 20000},
    {"cancel", 3, unpark_before, cancel_thread, cancel_after, 3, 20000},
    {"both", 4, both_before, both_thread, both_after, 2, 20000},
    {"series", 3, both_before, series_thread, both_after, 2, 20000},
    {"shield", 3, shield_before, shield_thread, both_after, 2, 20000},
    {"due", 2, until_before, due_thread, due_after, 3, 20000},
    {"due_unpark", 3, until_before, due_unpark_thread, due_unpark_after, 2,
     20000},
    {"due_cancel", 3, until_before, due_cancel_thread, due_cancel_after, 2,
     20000},
};
const unsigned explore::scenario_count =
    sizeof explore::scenarios / sizeof *explore::scenarios;
