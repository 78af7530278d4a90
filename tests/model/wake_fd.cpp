// The descriptor of a hosted runtime (ready.cpp, pump.cpp), with several threads that
// pump: where work is left nobody sleeps on a descriptor that says nothing, and its
// timer is the earliest there is.
// SPDX-License-Identifier: MIT
#include "explore/explore.hpp"
#include "explore/rig.hpp"
#include "sched/ready.hpp"

namespace {

using namespace thrum;

struct Shared {
  Atomic<u32> work;
};
Shared* s;

void prepare() {
  s = explore::make<Shared>();
  rig::ideal(1);
  rig::bell = explore::make<rig::Bell>();
  rig::bell->at.store(kForever, relaxed);
}

void makes_work() {
  s->work.fetch_add(1, relaxed);
  raise_wake_fd(rig::rt);
}

void pumps() {
  lower_wake_fd(rig::rt);
  u32 seen = s->work.load(relaxed);
  while (seen && !s->work.compare_exchange_weak(seen, 0, relaxed, relaxed)) {}
}

// ---- work from outside ------------------------------------------------------------

void one_thread(unsigned i) {
  if (i == 0) {
    makes_work();
    makes_work();
  } else {
    pumps();
  }
}
void two_thread(unsigned i) { i == 0 ? makes_work() : pumps(); }
void two_before() {
  prepare();
  makes_work();
}
void told_after() {
  MUST(s->work.load(relaxed) == 0 || rig::bell->rung.load(relaxed));
  makes_work();  // the next one is told of, too
  MUST(rig::bell->rung.load(relaxed));
}

// ---- timers -----------------------------------------------------------------------

void timers_before() {
  prepare();
  rig::rt->ps[0]->earliest.store(kForever, relaxed);
}
void timers_thread(unsigned i) {
  if (i == 0) {
    rig::rt->ps[0]->earliest.store(5000, relaxed);
  }
  time_wake_fd(rig::rt);
}
void timers_after() { MUST(rig::bell->at.load(relaxed) == 5000); }

}  // namespace

const explore::Scenario explore::scenarios[] = {
    {"one", 2, prepare, one_thread, told_after, 3, 20000},
    {"two", 3, two_before, two_thread, told_after, 3, 20000},
    {"timers", 2, timers_before, timers_thread, timers_after, 3, 20000},
};
const unsigned explore::scenario_count =
    sizeof explore::scenarios / sizeof *explore::scenarios;
