// Objects in caller-owned storage, all-zero valid: mutex, rwmutex, cond,
// waitgroup, semaphore, once. Usable by Gs of any runtime and by threads.
//
// One scheme for all (destruction safety, DESIGN 3): the state is one 64-bit word
// whose bit 0 is the lock over the waiter queue. Fast paths CAS a word with bit 0
// clear; slow paths hold the lock, change what they must, and publish state and
// unlock in one release store, the last touch of the object. Waiters are claimed
// before and readied after it.
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/wait.hpp"

namespace thrum {

struct Mutex {       // thrum_mutex
  WordLock word;     // bits 0-5 flags; above them who holds it, see who_of
  WaitQueue queue;   // word
  Atomic<u32> calm;  // owner writes: uncontended unlocks since a contended one
  Atomic<u16> biased;   // owner writes: most likely the word is, see mutex.cpp
  Atomic<u16> revoked;  // holder of g_revoking: how often it was biased in vain
};

struct Rwmutex {    // thrum_rwmutex
  WordLock word;    // bit 0 lock; bit 1 waiters; bit 2 writer; readers above
  u64 owner;        // word: the writer; seen
  WaitQueue queue;  // word: readers and writers in order of arrival
  u64 spare[4];
};

struct Cond {  // thrum_cond
  WordLock word;
  WaitQueue queue;  // word
  u64 spare;
};

struct Waitgroup {  // thrum_wg
  WordLock word;    // bit 0 lock; bit 1 waiters; count above
  WaitQueue queue;  // word
  u64 spare;
};

struct Semaphore {  // thrum_sem
  WordLock word;    // bit 0 lock; bit 1 waiters; permits above
  WaitQueue queue;  // word
  u64 spare;
};

struct Once {       // thrum_once
  WordLock word;    // bit 0 lock; kRunning, kDone
  u64 owner;        // word: who runs fn; seen
  WaitQueue queue;  // word
};

static_assert(sizeof(Mutex) == 32 && sizeof(Rwmutex) == 64 &&
              sizeof(Cond) == 32 && sizeof(Waitgroup) == 32 &&
              sizeof(Semaphore) == 32 && sizeof(Once) == 32);

// Who calls, for owners: the address of the G or of the thread's control block;
// both are aligned to 64, so six bits are left for flags.
inline u64 who_of(M* m) {
  G* g = g_of(m);
  return g ? reinterpret_cast<u64>(g) : thread_pointer() & ~u64{63};
}

// Is the caller, who_of `me`, that holder? Or was it, as a G that forked: what it
// held it may let go of in the child.
inline bool same_who(u64 holder, u64 me) {
  return THRUM_LIKELY(holder == me) || (holder && holder == was_who());
}

// A node in q, a park that releases `word` to `to`, and, if the wait was not
// ended by a peer, the node taken out again under the lock that `take` gets; then
// `fix` turns the word it finds into the word it leaves (flags that speak of the
// queue). `data` and `elem` are for the object.
template <class Take, class Fix>
int wait_queued(M*& m, WordLock& word, u64 to, WaitQueue& q, const Wait& w,
                u64 data, void* elem, bool front, Take take, Fix fix) {
  ThreadWake own_wake;
  Waiter own;
  Wake* wake = wake_of(m, own_wake);
  Waiter* node = waiter_of(m, own);
  node->wake = wake;
  node->elem = elem;
  node->data = data;
  if (front) {
    q.push_front(node);
  } else {
    q.push(node);
  }
  int result = wait(m, wake, w, Unlock{&word, to});
  if (result == kETIMEDOUT || result == kECANCELED) {
    u64 v = take();
    if (node->linked) {
      q.remove(node);
    }
    word.unlock(fix(v));
  }
  return result;
}
template <class Fix>
int wait_queued(M*& m, WordLock& word, u64 to, WaitQueue& q, const Wait& w,
                u64 data, void* elem, bool front, Fix fix) {
  return wait_queued(
      m, word, to, q, w, data, elem, front, [&] { return word.lock(); }, fix);
}

// Flags in Mutex::word.
constexpr u64 kMutexLock = 1;      // WordLock's, over the queue
constexpr u64 kMutexWaiters = 2;   // the queue is not empty
constexpr u64 kMutexWoken = 4;     // a waiter was woken and has not had its try
constexpr u64 kMutexStarving = 8;  // hand over in order; nobody barges
constexpr u64 kMutexBiased = 16;   // the owner unlocks by plain stores
constexpr u64 kMutexRevoke = 32;   // somebody waits for the end of that
constexpr u64 kMutexLent = 32;     // not biased: its owner has a waiter's class
constexpr u64 kMutexFlags = 63;
// The upper half of the word while the owner of a biased mutex is about to let go;
// no address looks like that.
constexpr u32 kMutexLeaving = UINT32_MAX;
constexpr u32 kMutexCalm = 1000;  // uncontended unlocks before it is biased

constexpr u64 kRwmutexWriter = 4;  // in Rwmutex::word
constexpr u64 kOnceRunning = 4;    // in Once::word

// The uncontended cases: nothing of the scheduler touched, one locked instruction
// (5 ns each, the price of a switch) for both of a biased mutex.
inline bool mutex_try(M* m, Mutex* x) {
  u64 me = who_of(m);
  if (x->biased.load(relaxed)) {
    u64 free = kMutexBiased;
    // acquire: pairs with the release of the unlock.
    if (THRUM_LIKELY(x->word.word.compare_exchange_strong(
            free, me | kMutexBiased, acquire, relaxed))) {
      return true;
    }
  }
  // Looked at first: a CAS in vain costs as much as one that succeeds. Waiters
  // that are not starving may be overtaken.
  u64 v = x->word.word.load(relaxed);
  return !(v & (~kMutexFlags | kMutexLock | kMutexStarving)) &&
         x->word.word.compare_exchange_strong(v, v | me, acquire, relaxed);
}

bool mutex_grows_calm(Mutex* x);

inline bool mutex_untry(M* m, Mutex* x) {
  u64 me = who_of(m);
  u64 v = x->word.word.load(relaxed);
  if (v == (me | kMutexBiased)) {
    // Store, then load: Dekker with unbias, whose fence is fence_all.
    store_upper(x->word.word, kMutexLeaving);
    compiler_fence();
    if (THRUM_LIKELY((load_lower(x->word.word) & kMutexFlags) ==
                     kMutexBiased)) {
      x->word.word.store(kMutexBiased, release);
      return true;
    }
    store_upper(x->word.word, static_cast<u32>(me >> 32));
    return false;
  }
  if (v != me) {
    return false;
  }
  u32 calm = x->calm.load(relaxed) + 1;
  x->calm.store(calm, relaxed);
  u64 to = calm >= kMutexCalm && mutex_grows_calm(x) ? kMutexBiased : 0;
  return x->word.word.compare_exchange_strong(v, to, release, relaxed);
}
int mutex_lock(M*& m, Mutex* x, i64 deadline);
int mutex_unlock(M* m, Mutex* x);
int mutex_unlock_slow(M* m, Mutex* x);  // after mutex_untry has failed
int rwmutex_rlock(M*& m, Rwmutex* x, i64 deadline);
int rwmutex_runlock(M* m, Rwmutex* x);
int rwmutex_lock(M*& m, Rwmutex* x, i64 deadline);
int rwmutex_unlock(M* m, Rwmutex* x);
int cond_wait(M*& m, Cond* c, Mutex* x, i64 deadline);
int cond_signal(M* m, Cond* c);
int cond_broadcast(M* m, Cond* c);
int waitgroup_add(M* m, Waitgroup* g, i32 delta);
int waitgroup_wait(M*& m, Waitgroup* g, i64 deadline);
int sem_release(M* m, Semaphore* s, u32 n);
int sem_acquire(M*& m, Semaphore* s, i64 deadline);
// once: 0 with *run set: the caller runs fn and then calls once_done.
int once_begin(M*& m, Once* o, bool* run);
void once_done(M* m, Once* o);

}  // namespace thrum
