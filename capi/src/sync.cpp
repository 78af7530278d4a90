// SPDX-License-Identifier: MIT
#include "sync/sync.hpp"

#include "translate.hpp"

using namespace thrum;
using namespace thrum::capi;

static_assert(sizeof(Mutex) == sizeof(thrum_mutex) &&
              sizeof(Rwmutex) == sizeof(thrum_rwmutex) &&
              sizeof(Cond) == sizeof(thrum_cond) &&
              sizeof(Waitgroup) == sizeof(thrum_wg) &&
              sizeof(Semaphore) == sizeof(thrum_sem) &&
              sizeof(Once) == sizeof(thrum_once));

namespace {

Mutex* core(thrum_mutex* x) { return reinterpret_cast<Mutex*>(x); }
Rwmutex* core(thrum_rwmutex* x) { return reinterpret_cast<Rwmutex*>(x); }
Cond* core(thrum_cond* x) { return reinterpret_cast<Cond*>(x); }
Waitgroup* core(thrum_wg* x) { return reinterpret_cast<Waitgroup*>(x); }
Semaphore* core(thrum_sem* x) { return reinterpret_cast<Semaphore*>(x); }
Once* core(thrum_once* x) { return reinterpret_cast<Once*>(x); }

}  // namespace

extern "C" {

int thrum_mutex_lock(thrum_mutex* m, int64_t deadline_ns) {
  if (THRUM_UNLIKELY(!m)) {
    return kEINVAL;
  }
  M* me = this_m();
  if (THRUM_LIKELY(mutex_try(me, core(m)))) {  // touches nothing of a P
    return 0;
  }
  EnterParking e(deadline_ns);
  return mutex_lock(e.m, core(m), deadline_ns);
}

int thrum_mutex_unlock(thrum_mutex* m) {
  if (THRUM_UNLIKELY(!m)) {
    return kEINVAL;
  }
  M* me = this_m();
  if (THRUM_LIKELY(mutex_untry(me, core(m)))) {
    return 0;
  }
  Enter e;
  return mutex_unlock_slow(e.m, core(m));
}

int thrum_rwmutex_rlock(thrum_rwmutex* m, int64_t deadline_ns) {
  if (!m) {
    return kEINVAL;
  }
  EnterParking e(deadline_ns);
  return rwmutex_rlock(e.m, core(m), deadline_ns);
}

int thrum_rwmutex_runlock(thrum_rwmutex* m) {
  if (!m) {
    return kEINVAL;
  }
  Enter e;
  return rwmutex_runlock(e.m, core(m));
}

int thrum_rwmutex_lock(thrum_rwmutex* m, int64_t deadline_ns) {
  if (!m) {
    return kEINVAL;
  }
  EnterParking e(deadline_ns);
  return rwmutex_lock(e.m, core(m), deadline_ns);
}

int thrum_rwmutex_unlock(thrum_rwmutex* m) {
  if (!m) {
    return kEINVAL;
  }
  Enter e;
  return rwmutex_unlock(e.m, core(m));
}

int thrum_cond_wait(thrum_cond* c, thrum_mutex* m, int64_t deadline_ns) {
  if (!c || !m) {
    return kEINVAL;
  }
  EnterParking e(deadline_ns);
  return cond_wait(e.m, core(c), core(m), deadline_ns);
}

int thrum_cond_signal(thrum_cond* c) {
  if (!c) {
    return kEINVAL;
  }
  Enter e;
  return cond_signal(e.m, core(c));
}

int thrum_cond_broadcast(thrum_cond* c) {
  if (!c) {
    return kEINVAL;
  }
  Enter e;
  return cond_broadcast(e.m, core(c));
}

int thrum_wg_add(thrum_wg* wg, int32_t delta) {
  if (!wg) {
    return kEINVAL;
  }
  Enter e;
  return waitgroup_add(e.m, core(wg), delta);
}

int thrum_wg_done(thrum_wg* wg) { return thrum_wg_add(wg, -1); }

int thrum_wg_wait(thrum_wg* wg, int64_t deadline_ns) {
  if (!wg) {
    return kEINVAL;
  }
  EnterParking e(deadline_ns);
  return waitgroup_wait(e.m, core(wg), deadline_ns);
}

int thrum_sem_release(thrum_sem* s, uint32_t n) {
  if (!s) {
    return kEINVAL;
  }
  Enter e;
  return sem_release(e.m, core(s), n);
}

int thrum_sem_acquire(thrum_sem* s, int64_t deadline_ns) {
  if (!s) {
    return kEINVAL;
  }
  EnterParking e(deadline_ns);
  return sem_acquire(e.m, core(s), deadline_ns);
}

int thrum_once_do(thrum_once* o, thrum_fn fn, void* arg) {
  if (!o || !fn) {
    return kEINVAL;
  }
  EnterParking e;
  bool run;
  int err = once_begin(e.m, core(o), &run);
  if (run) {
    call_guest(e.m, [&] { fn(arg); });
    once_done(e.m, core(o));
  }
  return err;
}

}  // extern "C"
