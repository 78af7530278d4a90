// The verbs of time, sync and chan for the unit tests, each through the door as
// the C ABI goes.
#pragma once
#include "unit.hpp"

#include "chan/chan.hpp"
#include "sync/sync.hpp"
#include "time/sleep.hpp"

namespace unit {

inline int sleep_ns(i64 ns) {
  EnterParking e;
  return sleep_for(e.m, ns);
}
inline i64 in_ns(i64 ns) { return later(now(), ns); }

inline int lock(Mutex& x, i64 deadline = kForever) {
  EnterParking e(deadline);
  return mutex_lock(e.m, &x, deadline);
}
inline int unlock(Mutex& x) {
  Enter e;
  return mutex_unlock(e.m, &x);
}
inline int rlock(Rwmutex& x, i64 deadline = kForever) {
  EnterParking e(deadline);
  return rwmutex_rlock(e.m, &x, deadline);
}
inline int runlock(Rwmutex& x) {
  Enter e;
  return rwmutex_runlock(e.m, &x);
}
inline int wlock(Rwmutex& x, i64 deadline = kForever) {
  EnterParking e(deadline);
  return rwmutex_lock(e.m, &x, deadline);
}
inline int wunlock(Rwmutex& x) {
  Enter e;
  return rwmutex_unlock(e.m, &x);
}
inline int wait(Cond& c, Mutex& x, i64 deadline = kForever) {
  EnterParking e(deadline);
  return cond_wait(e.m, &c, &x, deadline);
}
inline int signal(Cond& c) {
  Enter e;
  return cond_signal(e.m, &c);
}
inline int broadcast(Cond& c) {
  Enter e;
  return cond_broadcast(e.m, &c);
}
inline int add(Waitgroup& g, i32 n) {
  Enter e;
  return waitgroup_add(e.m, &g, n);
}
inline int wait(Waitgroup& g, i64 deadline = kForever) {
  EnterParking e(deadline);
  return waitgroup_wait(e.m, &g, deadline);
}
inline int post(Semaphore& s, u32 n = 1) {
  Enter e;
  return sem_release(e.m, &s, n);
}
inline int take(Semaphore& s, i64 deadline = kForever) {
  EnterParking e(deadline);
  return sem_acquire(e.m, &s, deadline);
}
inline int begin(Once& o, bool* run) {
  EnterParking e;
  return once_begin(e.m, &o, run);
}
inline void done(Once& o) {
  Enter e;
  once_done(e.m, &o);
}

// A channel of u64, or of elements of `size` bytes.
struct Channel {
  Chan* c = nullptr;
  explicit Channel(u32 capacity, u32 size = sizeof(u64)) {
    REQUIRE(chan_new(size, capacity, &c) == 0);
  }
  ~Channel() {
    CHECK(c->recvq.empty());
    CHECK(c->sendq.empty());
    CHECK(c->lock.word.load() == 0);
    chan_release(c);
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
};

inline int send(Channel& c, u64 v, i64 deadline = kForever) {
  EnterParking e(deadline);
  return chan_send(e.m, c.c, &v, deadline);
}
inline int recv(Channel& c, u64* v, i64 deadline = kForever) {
  EnterParking e(deadline);
  return chan_recv(e.m, c.c, v, deadline);
}
inline int close(Channel& c) {
  Enter e;
  return chan_close(e.m, c.c);
}
inline int choose(SelectCase* cases, u32 n, i64 deadline = kForever) {
  EnterParking e(deadline);
  return thrum::select(e.m, cases, n, deadline);
}

// All-zero storage is a valid object, and an idle object is all zero again.
template <class T>
bool is_idle(const T& object) {
  const char* bytes = reinterpret_cast<const char*>(&object);
  for (size_t i = 0; i < sizeof object; ++i) {
    if (bytes[i]) {
      return false;
    }
  }
  return true;
}
// But for what a mutex remembers of its past.
inline bool is_idle(const Mutex& x) {
  return !(x.word.word.load() & ~kMutexBiased) && x.queue.empty();
}

}  // namespace unit
