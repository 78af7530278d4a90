// SPDX-License-Identifier: MIT
#include "sched/observer.hpp"

#include "sched/profile.hpp"
#include "sched/recorder.hpp"

namespace thrum {

void observer_stop(Runtime* rt) {
  Observer* o;
  {
    // Who wants one now sees that the runtime stops.
    Locked held(rt->source_lock);
    o = rt->observer.load(relaxed);
  }
  if (o) {
    o->stop(o);
  }
}

void observer_free(Runtime* rt) {
  if (Observer* o = rt->observer.load(relaxed)) {
    o->free(o);
  }
  recorder_free(rt);
  if (Profile* p = rt->profile.load(relaxed)) {
    p->end(p);
  }
}

}  // namespace thrum
