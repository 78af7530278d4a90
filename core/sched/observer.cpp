// SPDX-License-Identifier: MIT
#include "sched/observer.hpp"

#include "base/err.hpp"
#include "sched/profile.hpp"
#include "sched/recorder.hpp"

namespace thrum {

int observer_start(Observer* o, u32 place, void (*run)(void*),
                   const char* name) {
  Runtime* rt = o->rt;
  if (!owns_threads(rt)) {
    return kENOTSUP;
  }
  Locked held(rt->source_lock);
  if (rt->stopping.load(relaxed)) {
    return kECLOSED;  // observer_stop may have been here
  }
  if (rt->observers[place].load(relaxed)) {
    return kEBUSY;
  }
  rt->looking.fetch_add(1, seq_cst);  // before all_dead can count the thread
  if (os::thread_start(o->thread, run, o, name) != 0) {
    rt->looking.fetch_sub(1, relaxed);
    return kENOTSUP;
  }
  // release: pairs with the acquires of who finds it.
  rt->observers[place].store(o, release);
  return 0;
}

void observer_stop(Runtime* rt) {
  {
    // Who wants one now sees that the runtime stops.
    Locked held(rt->source_lock);
  }
  for (Atomic<Observer*>& at : rt->observers) {
    if (Observer* o = at.load(relaxed)) {
      o->leave.store(true, release);
      o->wake(o);
      os::thread_join(o->thread);
      rt->looking.fetch_sub(1, relaxed);
    }
  }
}

void observer_free(Runtime* rt) {
  for (Atomic<Observer*>& at : rt->observers) {
    if (Observer* o = at.load(relaxed)) {
      o->free(o);
    }
  }
  recorder_free(rt);
  if (Profile* p = rt->profile.load(relaxed)) {
    p->end(p);
  }
}

}  // namespace thrum
