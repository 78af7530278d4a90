// How Ms sleep and are woken (loop.cpp, ready.cpp, steal.cpp, pump.cpp): whatever
// is queued is run, whoever pushed it and whenever; counters and lists are right
// again when all is quiet; every M leaves when told to.
// SPDX-License-Identifier: MIT
#include "explore/explore.hpp"
#include "explore/rig.hpp"
#include "sched/ready.hpp"

namespace {

using namespace thrum;

struct Shared {
  G* gs[3];
  int ran[3];        // by its G
  int total;         // how many Gs there are
  Atomic<u32> done;  // Gs that have run
};
Shared* s;

void runs(void* arg) {
  int i = static_cast<int>(reinterpret_cast<intptr_t>(arg));
  MUST(s->ran[i]++ == 0);
  if (s->done.fetch_add(1, acq_rel) + 1 == static_cast<u32>(s->total)) {
    explore::wake(&s->done, explore::kThreads);
  }
}

G* make(int i) {
  return rig::make(runs, reinterpret_cast<void*>(static_cast<intptr_t>(i)));
}

void prepare(unsigned ms, unsigned ps, int total, bool timers = false) {
  s = explore::make<Shared>();
  rig::real(ms, ps, false, timers);
  s->total = total;
  for (int i = 0; i < total; ++i) {
    s->gs[i] = make(i);
  }
  explore::quiet(&s->done, sizeof s->done);
}

// M i begins with the next idle P.
void awake(unsigned i) { take_p(rig::m(i), idle_p_pop(rig::rt)); }

void wait_for_all() {
  while (s->done.load(relaxed) != static_cast<u32>(s->total)) {
    explore::sleep_on(&s->done, false);
  }
  rig::dismiss();
}

// What sysmon does for queued work. The explorer may put many ticks anywhere, but
// lets the others go on between two.
void tick_until_all() {
  while (s->done.load(relaxed) != static_cast<u32>(s->total)) {
    explore::pause();
    if (has_work(rig::rt)) {
      wake_p(rig::rt);
    }
  }
  rig::dismiss();
}

void quiet_after() {
  MUST(rig::all_ended());
  for (int i = 0; i < s->total; ++i) {
    MUST(s->ran[i] == 1);
  }
  MUST(rig::rt->spinning.load(relaxed) == 0);
  MUST(rig::rt->idle_count.load(relaxed) == rig::rt->procs.load(relaxed));
  MUST(rig::rt->global.size() == 0);
  u32 n = 0;
  for (P* p = rig::rt->idle_p; p; p = p->next_idle) {
    ++n;
  }
  MUST(n == rig::rt->procs.load(relaxed));
}

// ---- work from outside ------------------------------------------------------------

// An M about to go to sleep, and a thread that pushes.
void push_before() {
  prepare(1, 1, 1);
  awake(0);
}
void push_thread(unsigned i) {
  if (i == 0) {
    return rig::work(0);
  }
  route(nullptr, s->gs[0], false);
  wait_for_all();
}
void push_tick_thread(unsigned i) {
  if (i == 0) {
    return rig::work(0);
  }
  route(nullptr, s->gs[0], false);
  tick_until_all();
}

// One that sleeps, and perhaps goes to sleep again before the next.
void asleep_before() { prepare(1, 1, 1); }
void again_before() { prepare(1, 1, 2); }
void asleep_thread(unsigned i) {
  if (i == 0) {
    return rig::work(0);
  }
  for (int g = 0; g < s->total; ++g) {
    route(nullptr, s->gs[g], false);
  }
  tick_until_all();
}

// The same where an M looks for its note for a while before it sleeps.
void spins_before() {
  again_before();
  rig::rt->spin_ns = 1;
  rig::rt->wake_ticks = 4;
}

// Two Ms with a P each.
void two_before() {
  prepare(2, 2, 2);
  awake(0);
}
void two_thread(unsigned i) {
  if (i < 2) {
    return rig::work(i);
  }
  route(nullptr, s->gs[0], false);
  route(nullptr, s->gs[1], false);
  tick_until_all();
}

// ---- work from inside ---------------------------------------------------------------

// A G that queues others on its P; another M may come and steal.
void breeds(void* arg) {
  M* m = this_m();
  m->door.in_core.store(1, relaxed);
  for (int g = 1; g < s->total; ++g) {
    runq_put(m, m->p, s->gs[g]);
  }
  m->door.in_core.store(0, relaxed);
  runs(arg);
}
void breed(int total) {
  prepare(2, 2, total);
  s->gs[0]->fn = breeds;
  awake(0);
  rig::m(0)->p->runq.put(s->gs[0]);
}
void breed_before() { breed(2); }
void breed2_before() { breed(3); }
void breed_thread(unsigned i) {
  if (i < 2) {
    return rig::work(i);
  }
  wait_for_all();
}

// ---- timers ---------------------------------------------------------------------------

// A G waits until a time beside one that does not give way: the M that slept for
// nothing sleeps until then.
void waits_until(void* arg) {
  M* m = this_m();
  MUST(park(m, "model", 5000) == kETIMEDOUT);
  runs(arg);
  explore::wake(&s->done, explore::kThreads);
}
void hogs(void* arg) {
  while (!s->done.load(relaxed)) {
    explore::sleep_on(&s->done, false);
  }
  runs(arg);
}
void timer_before() {
  prepare(2, 2, 2, true);
  s->gs[0]->fn = waits_until;
  s->gs[1]->fn = hogs;
  awake(0);
  rig::m(0)->p->runq.put(s->gs[0]);
  rig::m(0)->p->runq.put(s->gs[1]);
}

}  // namespace

const explore::Scenario explore::scenarios[] = {
    {"push", 2, push_before, push_thread, quiet_after, 2, 0, "DEADLOCK"},
    {"push_tick", 2, push_before, push_tick_thread, quiet_after, 2, 20000},
    {"asleep", 2, asleep_before, asleep_thread, quiet_after, 2, 20000},
    {"again", 2, again_before, asleep_thread, quiet_after, 1, 20000},
    {"spins", 2, spins_before, asleep_thread, quiet_after, 1, 20000},
    {"two", 3, two_before, two_thread, quiet_after, 1, 20000},
    {"breed", 3, breed_before, breed_thread, quiet_after, 1, 20000},
    {"breed2", 3, breed2_before, breed_thread, quiet_after, 0, 20000},
    {"timer", 3, timer_before, breed_thread, quiet_after, 0, 20000},
};
const unsigned explore::scenario_count =
    sizeof explore::scenarios / sizeof *explore::scenarios;
