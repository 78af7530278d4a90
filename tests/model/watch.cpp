// The world outside (source.hpp, source.cpp, idle.cpp): an event is never left
// while an M sleeps, whenever it comes; a watcher is woken for work and to leave;
// and beside another M there is one watcher at most.
// SPDX-License-Identifier: MIT
#include "explore/explore.hpp"
#include "explore/rig.hpp"
#include "sched/ready.hpp"
#include "sched/source.hpp"

namespace {

using namespace thrum;

constexpr u32 kEvent = 1;
constexpr u32 kInterrupt = 2;

struct Shared : Source {
  Atomic<u32> bits;  // the descriptor: readable while it is not 0
  G* event;          // who waits for the event
  G* pushed;         // who is queued by another thread
  int ran[2];        // by its G
  Atomic<u32> left;  // Gs that have not run
};
Shared* s;

void runs(void* arg) {
  auto i = static_cast<int>(reinterpret_cast<intptr_t>(arg));
  MUST(s->ran[i]++ == 0);
  if (s->left.fetch_sub(1, acq_rel) == 1) {
    explore::wake(&s->left, explore::kThreads);
  }
}

void raise(u32 bit) {
  s->bits.fetch_or(bit, release);
  explore::wake(&s->bits, explore::kThreads);
}

u32 poll(Source*, M* m) {
  u32 bits = s->bits.exchange(0, acq_rel);
  // As poller.cpp: a turn may take the sign that was meant for the watcher.
  if ((bits & kInterrupt) && watcher_noted(rig::rt)) {
    raise(kInterrupt);
  }
  if (!(bits & kEvent)) {
    return 0;
  }
  route(m && m->p ? m : nullptr, s->event, false);
  return 1;
}

void interrupt(Source*) { raise(kInterrupt); }

void prepare(unsigned ms, unsigned ps, int gs) {
  s = explore::make<Shared>();
  rig::real(ms, ps);
  s->poll = poll;
  s->interrupt = interrupt;
  s->event = rig::make(runs, nullptr);
  s->pushed = gs > 1 ? rig::make(runs, reinterpret_cast<void*>(1)) : nullptr;
  s->left.store(static_cast<u32>(gs), relaxed);
  rig::readable = &s->bits;
  rig::rt->source.store(s, relaxed);
  explore::quiet(&s->left, sizeof s->left);
}

void wait_for_all() {
  while (s->left.load(relaxed)) {
    explore::sleep_on(&s->left, false);
  }
  rig::dismiss();
}

// What sysmon does for queued work.
void tick_until_all() {
  while (s->left.load(relaxed)) {
    explore::pause();
    if (has_work(rig::rt)) {
      wake_p(rig::rt);
    }
  }
  rig::dismiss();
}

void all_ran() {
  MUST(rig::all_ended());
  MUST(s->ran[0] == 1 && (!s->pushed || s->ran[1] == 1));
  MUST(!rig::rt->watcher.load(relaxed));
}

// An M about to sleep, and one that sleeps.
void event_before() {
  prepare(1, 1, 1);
  take_p(rig::m(0), idle_p_pop(rig::rt));
}
void asleep_before() { prepare(1, 1, 1); }
void event_thread(unsigned i) {
  if (i == 0) {
    return rig::work(0);
  }
  raise(kEvent);
  wait_for_all();
}

// Work from another thread before or after the event.
void work_before() {
  prepare(1, 1, 2);
  take_p(rig::m(0), idle_p_pop(rig::rt));
}
void work_thread(unsigned i) {
  if (i == 0) {
    return rig::work(0);
  }
  raise(kEvent);
  route(nullptr, s->pushed, false);
  tick_until_all();
}
void work_first_thread(unsigned i) {
  if (i == 0) {
    return rig::work(0);
  }
  route(nullptr, s->pushed, false);
  raise(kEvent);
  tick_until_all();
}

// Two Ms: one watches, the other sleeps on its note.
void two_before() { prepare(2, 2, 1); }
void two_thread(unsigned i) {
  if (i < 2) {
    return rig::work(i);
  }
  raise(kEvent);
  wait_for_all();
}

}  // namespace

const explore::Scenario explore::scenarios[] = {
    {"event", 2, event_before, event_thread, all_ran, 2, 20000},
    {"asleep", 2, asleep_before, event_thread, all_ran, 2, 20000},
    {"work", 2, work_before, work_thread, all_ran, 1, 20000},
    {"work_first", 2, work_before, work_first_thread, all_ran, 1, 20000},
    {"two", 3, two_before, two_thread, all_ran, 1, 20000},
};
const unsigned explore::scenario_count =
    sizeof explore::scenarios / sizeof *explore::scenarios;
