// A P is taken from a G that is outside thrum (retake.cpp, blocking.cpp, enter.hpp,
// exit.cpp), with the loop of Ms as it is: the fields of the P are its owner's,
// one at a time; the G that lost it comes back like any other; nobody is lost.
// The door by itself, in more schedules: door.cpp.
// SPDX-License-Identifier: MIT
#include "explore/explore.hpp"
#include "explore/rig.hpp"
#include "sched/enter.hpp"
#include "sched/ready.hpp"

namespace {

using namespace thrum;

struct Shared {
  G* hog;
  G* other;
  bool waits;       // the hog, for the other
  Atomic<u32> ran;  // the other has
};
Shared* s;

void other(void*) { s->ran.store(1, release); }

void wait_outside() {
  while (s->waits && !s->ran.load(acquire)) {
    explore::pause();
  }
}

// Comes back by a call that parks.
void parks(void*) {
  wait_outside();
  {
    EnterParking e;
    (void)yield(e.m);
  }
}

// Comes back by a call that does not, and is gone again.
void goes_on(void*) {
  wait_outside();
  { Enter e; }
}

// With a word.
void declares(void*) {
  {
    Enter e;
    (void)enter_blocking(e.m);
  }
  wait_outside();
  {
    Enter e;
    (void)exit_blocking(e.m);
  }
}

void prepare(void (*hog)(void*), bool waits, bool bound) {
  s = explore::make<Shared>();
  rig::real(2, 1, true);
  s->waits = waits;
  s->hog = rig::make(hog, nullptr);
  s->other = rig::make(other, nullptr);
  if (bound) {
    s->hog->body->pin = rig::m(0);
    s->hog->flags |= kRouted;
  }
  M* m = rig::m(0);
  take_p(m, idle_p_pop(rig::rt));
  m->p->runq.put(s->hog);
  G* one[1] = {s->other};
  push_batch(rig::rt, one, 1);
}

template <void Hog(void*), bool Waits, bool Bound>
void before() {
  prepare(Hog, Waits, Bound);
}

// sysmon, as often as it takes.
void asks() {
  Runtime* rt = rig::rt;
  P* p = rt->ps[0];
  while (!rig::all_ended()) {
    explore::pause();
    Look seen{};
    seen.dispatches = p->dispatches.load(relaxed);
    M* m = p->m.load(acquire);
    if (p->state.load(relaxed) == PState::running) {
      if (m) {
        (void)retake(rt, p, m, seen);
      }
    } else if (has_work(rt)) {
      wake_p(rt);
    }
  }
  rig::dismiss();
}

void threads(unsigned i) { i < 2 ? rig::work(i) : asks(); }

void after() {
  Runtime* rt = rig::rt;
  MUST(rig::all_ended());
  MUST(rt->idle_count.load(relaxed) == 1);
  MUST(rt->idle_p == rt->ps[0]);
  MUST(rt->ps[0]->m.load(relaxed) == nullptr);
  MUST(rt->blocking.load(relaxed) == 0);
  MUST(rt->wanting.load(relaxed) == 0);
  MUST(rt->spinning.load(relaxed) == 0);
}

}  // namespace

const explore::Scenario explore::scenarios[] = {
    {"parks", 3, before<parks, true, false>, threads, after, 0, 100000},
    {"goes_on", 3, before<goes_on, true, false>, threads, after, 0, 100000},
    {"declares", 3, before<declares, true, false>, threads, after, 0, 100000},
    {"bound", 3, before<parks, true, true>, threads, after, 0, 100000},
    {"returns", 3, before<parks, false, false>, threads, after, 1, 100000},
};
const unsigned explore::scenario_count =
    sizeof explore::scenarios / sizeof *explore::scenarios;
