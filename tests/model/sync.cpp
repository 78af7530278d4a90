// sync/: what one side did before is seen by the other after, one holder at a
// time, nobody waits for ever, and whoever has seen the last effect of an object
// may free it. Foreign threads and Gs.
// SPDX-License-Identifier: MIT
#include "sync/sync.hpp"

#include <stddef.h>

#include "explore/explore.hpp"
#include "explore/rig.hpp"
#include "sched/ready.hpp"

namespace {

using namespace thrum;

constexpr i64 kDue = 5000;

struct Shared {
  Mutex* mutex;
  Rwmutex* rw;
  Cond* cond;
  Waitgroup* wg;
  Semaphore* sem;
  Once* once;
  int inside;   // the mutex
  int count;    // the mutex
  int written;  // by who does, before
  bool ready;   // the mutex
  bool slow;    // const
  u64 g;
};
Shared* s;

void prepare(unsigned ms) {
  s = explore::make<Shared>();
  s->mutex = explore::make<Mutex>();
  // What guesses whether a bias would pay: no protocol.
  char* guesses = reinterpret_cast<char*>(s->mutex) + offsetof(Mutex, queue) +
                  sizeof s->mutex->queue;
  explore::quiet(guesses, sizeof(Mutex) - offsetof(Mutex, queue) -
                              sizeof s->mutex->queue);
  s->rw = explore::make<Rwmutex>();
  s->cond = explore::make<Cond>();
  s->wg = explore::make<Waitgroup>();
  s->sem = explore::make<Semaphore>();
  s->once = explore::make<Once>();
  rig::ideal(ms);
}
void threads_before() { prepare(1); }
void slow_before() {
  prepare(1);
  s->slow = true;
}
void run_g(unsigned i) { rig::run(i); }

// ---- mutex ------------------------------------------------------------------------

void lock(i64 deadline = kForever) {
  M* m = this_m();
  MUST(mutex_lock(m, s->mutex, deadline) == 0);
  MUST(s->inside++ == 0);
}
void unlock() {
  --s->inside;
  MUST(mutex_unlock(this_m(), s->mutex) == 0);
}

// Long enough for the others to stop spinning and to park.
void linger() {
  for (int i = 0; i < 6; ++i) {
    explore::step();
  }
}

void locks(void*) {
  lock();
  ++s->count;
  if (s->slow) {
    linger();
  }
  unlock();
}
void mutex_thread(unsigned) { locks(nullptr); }
void mutex3_after() { MUST(s->count == 3 && s->mutex->queue.empty()); }
void mutex2_after() { MUST(s->count == 2 && s->mutex->queue.empty()); }
void mutex_g_before() {
  prepare(2);
  rig::rt->idle_count.store(1, relaxed);  // so spinning does not pay
  rig::go(locks, nullptr);
  rig::go(locks, nullptr);
}
void mutex_g_thread(unsigned i) { i < 2 ? rig::run(i) : locks(nullptr); }

// The second to come knows that nobody else will, and frees it.
void lock_and_free(void*) {
  lock();
  bool last = ++s->count == 2;
  if (s->slow) {
    linger();
  }
  unlock();
  if (last) {
    explore::dispose(s->mutex);
  }
}
void free_thread(unsigned) { lock_and_free(nullptr); }
void free_g_before() {
  prepare(2);
  rig::rt->idle_count.store(1, relaxed);
  rig::go(lock_and_free, nullptr);
  rig::go(lock_and_free, nullptr);
}

// A waiter that gives up beside one that does not.
void impatient(unsigned i) {
  if (i < 2) {
    return locks(nullptr);
  }
  M* m = this_m();
  int result = mutex_lock(m, s->mutex, kDue);
  MUST(result == 0 || result == kETIMEDOUT);
  if (result == 0) {
    MUST(s->inside++ == 0);
    unlock();
  }
}

// ---- waitgroup ----------------------------------------------------------------------

void wg_before() {
  prepare(1);
  MUST(waitgroup_add(nullptr, s->wg, 1) == 0);
}
void waits(void*) {
  M* m = this_m();
  MUST(waitgroup_wait(m, s->wg, kForever) == 0);
  MUST(s->written == 1);
  explore::dispose(s->wg);
}
void does(void*) {
  s->written = 1;
  MUST(waitgroup_add(this_m(), s->wg, -1) == 0);
}
void wg_thread(unsigned i) { i == 0 ? waits(nullptr) : does(nullptr); }
void wg_g_before() {
  prepare(2);
  MUST(waitgroup_add(nullptr, s->wg, 1) == 0);
  rig::go(waits, nullptr);
  rig::go(does, nullptr);
}

// Two that do, of which the last ends the wait.
void wg2_before() {
  prepare(1);
  MUST(waitgroup_add(nullptr, s->wg, 2) == 0);
}
void wg2_thread(unsigned i) {
  if (i == 0) {
    M* m = this_m();
    MUST(waitgroup_wait(m, s->wg, kForever) == 0);
    MUST(s->inside == 1 && s->written == 1);
    explore::dispose(s->wg);
    return;
  }
  (i == 1 ? s->inside : s->written) = 1;
  MUST(waitgroup_add(nullptr, s->wg, -1) == 0);
}
void wg2_g_before() {
  prepare(1);
  MUST(waitgroup_add(nullptr, s->wg, 2) == 0);
  rig::go(
      [](void*) {
        M* m = this_m();
        MUST(waitgroup_wait(m, s->wg, kForever) == 0);
        MUST(s->inside == 1 && s->written == 1);
        explore::dispose(s->wg);
      },
      nullptr);
}
void wg2_g_thread(unsigned i) { i == 0 ? rig::run(0) : wg2_thread(i); }

// A wait that may end in time or not.
void wg_late_thread(unsigned i) {
  if (i) {
    return does(nullptr);
  }
  M* m = this_m();
  int result = waitgroup_wait(m, s->wg, kDue);
  MUST(result == 0 || result == kETIMEDOUT);
  if (result == 0) {
    MUST(s->written == 1);
  }
}
void wg_late_after() { MUST(s->wg->queue.empty()); }

// ---- semaphore ----------------------------------------------------------------------

void acquires(void*) {
  M* m = this_m();
  MUST(sem_acquire(m, s->sem, kForever) == 0);
  MUST(s->written == 1);
  explore::dispose(s->sem);
}
void releases(void*) {
  s->written = 1;
  MUST(sem_release(this_m(), s->sem, 1) == 0);
}
void sem_thread(unsigned i) { i == 0 ? acquires(nullptr) : releases(nullptr); }
void sem_g_before() {
  prepare(2);
  rig::go(acquires, nullptr);
  rig::go(releases, nullptr);
}
// Two permits at once for two that wait, one of them impatient.
void sem2_thread(unsigned i) {
  M* m = this_m();
  if (i == 0) {
    s->written = 1;
    MUST(sem_release(m, s->sem, 2) == 0);
    return;
  }
  int result = sem_acquire(m, s->sem, i == 1 ? kForever : kDue);
  MUST(result == 0 || (i == 2 && result == kETIMEDOUT));
  if (result == 0) {
    MUST(s->written == 1);
  }
}

// ---- once -----------------------------------------------------------------------------

void runs_once(void*) {
  M* m = this_m();
  bool run = false;
  MUST(once_begin(m, s->once, &run) == 0);
  if (run) {
    MUST(s->count++ == 0);
    s->written = 1;
    once_done(m, s->once);
  }
  MUST(s->written == 1);
}
void once_thread(unsigned) { runs_once(nullptr); }
void once_after() { MUST(s->count == 1); }
void once_g_before() {
  prepare(2);
  rig::go(runs_once, nullptr);
  rig::go(runs_once, nullptr);
}

// ---- cond -------------------------------------------------------------------------------

void awaits(void*) {
  M* m = this_m();
  lock();
  while (!s->ready) {
    --s->inside;
    MUST(cond_wait(m, s->cond, s->mutex, kForever) == 0);
    MUST(s->inside++ == 0);
  }
  MUST(s->written == 1);
  unlock();
}
void signals(void*) {
  s->written = 1;
  lock();
  s->ready = true;
  unlock();
  MUST(cond_signal(this_m(), s->cond) == 0);
}
void cond_thread(unsigned i) { i == 0 ? awaits(nullptr) : signals(nullptr); }
void cond_g_before() {
  prepare(2);
  rig::go(awaits, nullptr);
  rig::go(signals, nullptr);
}
void cond_after() { MUST(s->cond->queue.empty()); }

void broadcasts(unsigned i) {
  if (i) {
    return awaits(nullptr);
  }
  s->written = 1;
  lock();
  s->ready = true;
  MUST(cond_broadcast(nullptr, s->cond) == 0);
  unlock();
}

// ---- rwmutex ------------------------------------------------------------------------------

void writes(void*) {
  M* m = this_m();
  MUST(rwmutex_lock(m, s->rw, kForever) == 0);
  ++s->count;
  MUST(rwmutex_unlock(m, s->rw) == 0);
}
void reads(void*) {
  M* m = this_m();
  MUST(rwmutex_rlock(m, s->rw, kForever) == 0);
  MUST(s->count >= 0);
  MUST(rwmutex_runlock(m, s->rw) == 0);
}
void rw_thread(unsigned i) { i < 2 ? reads(nullptr) : writes(nullptr); }
void rw2_thread(unsigned i) { i < 2 ? writes(nullptr) : reads(nullptr); }
void rw_g_before() {
  prepare(2);
  rig::go(writes, nullptr);
  rig::go(reads, nullptr);
}
// A writer that gives up sets free the reader behind it.
void rw_late_thread(unsigned i) {
  if (i < 2) {
    return reads(nullptr);
  }
  M* m = this_m();
  int result = rwmutex_lock(m, s->rw, kDue);
  MUST(result == 0 || result == kETIMEDOUT);
  if (result == 0) {
    ++s->count;
    MUST(rwmutex_unlock(m, s->rw) == 0);
  }
}
void rw_after() { MUST(s->rw->queue.empty()); }

}  // namespace

const explore::Scenario explore::scenarios[] = {
    {"mutex", 3, threads_before, mutex_thread, mutex3_after, 2, 20000},
    {"mutex_g", 2, mutex_g_before, run_g, mutex2_after, 3, 20000},
    {"mutex_mixed", 3, mutex_g_before, mutex_g_thread, mutex3_after, 1, 20000},
    {"mutex_slow", 2, slow_before, mutex_thread, mutex2_after, 4, 20000},
    {"mutex_slow3", 3, slow_before, mutex_thread, mutex3_after, 2, 20000},
    {"mutex_slow_free", 2, slow_before, free_thread, nullptr, 4, 20000},
    {"mutex_slow_late", 3, slow_before, impatient, mutex2_after, 2, 20000},
    {"mutex_free", 2, threads_before, free_thread, nullptr, 4, 20000},
    {"mutex_free_g", 2, free_g_before, run_g, nullptr, 3, 20000},
    {"mutex_late", 3, threads_before, impatient, mutex2_after, 2, 20000},
    {"wg", 2, wg_before, wg_thread, nullptr, 4, 20000},
    {"wg_g", 2, wg_g_before, run_g, nullptr, 3, 20000},
    {"wg2", 3, wg2_before, wg2_thread, nullptr, 2, 20000},
    {"wg2_g", 3, wg2_g_before, wg2_g_thread, nullptr, 2, 20000},
    {"wg_late", 2, wg_before, wg_late_thread, wg_late_after, 3, 20000},
    {"sem", 2, threads_before, sem_thread, nullptr, 4, 20000},
    {"sem_g", 2, sem_g_before, run_g, nullptr, 3, 20000},
    {"sem2", 3, threads_before, sem2_thread, nullptr, 2, 20000},
    {"once", 3, threads_before, once_thread, once_after, 2, 20000},
    {"once_g", 2, once_g_before, run_g, once_after, 3, 20000},
    {"cond", 2, threads_before, cond_thread, cond_after, 3, 20000},
    {"cond_g", 2, cond_g_before, run_g, cond_after, 2, 20000},
    {"broadcast", 3, threads_before, broadcasts, cond_after, 1, 20000},
    {"rw", 3, threads_before, rw_thread, rw_after, 2, 20000},
    {"rw2", 3, threads_before, rw2_thread, rw_after, 2, 20000},
    {"rw_g", 2, rw_g_before, run_g, rw_after, 3, 20000},
    {"rw_late", 3, threads_before, rw_late_thread, rw_after, 2, 20000},
};
const unsigned explore::scenario_count =
    sizeof explore::scenarios / sizeof *explore::scenarios;
