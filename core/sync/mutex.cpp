// Mutex: barging while the wait is short, FIFO hand-over once a waiter has waited
// for a millisecond (the scheme of Go's sync.Mutex: normal and starvation mode).
//
// A mutex that nobody has contended for a thousand unlocks becomes biased: its
// owner unlocks by plain stores instead of a CAS (biased locking as in the JVMs
// of old, but towards no thread in particular). Three stores and loads of its
// own word: the upper half says "leaving", the lower half is looked at once more,
// and if it has no request the word is stored whole, the last touch.
//
// Whoever has to wait ends that first (unbias): under a lock of the process it
// sets kMutexRevoke, lets every thread of the process run a fence, and looks. If
// the owner is not leaving now, it has not looked at its lower half yet and will
// see the request: the word belongs to CAS again. If it is leaving, that is over
// in some instructions; it may have missed the request, and then the word no
// longer has it. Only a holder of that lock sets kMutexRevoke, so to find it is to
// find one's own. Fences are dear, so the calm that is asked for doubles each
// time.
//
// Classes (sched/rank.cpp): who waits lends its own to the owner (priority
// inheritance), and where that one waits for a mutex itself, to that one's owner,
// and so on (lend_along). Each has shown what it waits in before it reads its class
// and lends it, so what is lent to it in between is passed on by one side or the
// other.
// SPDX-License-Identifier: MIT
#include "sched/profile.hpp"
#include "sched/rank.hpp"
#include "sync/sync.hpp"

namespace thrum {

namespace {

constexpr u64 kWaiters = kMutexWaiters;
constexpr u64 kWoken = kMutexWoken;
constexpr u64 kStarving = kMutexStarving;
constexpr u64 kLent = kMutexLent;

constexpr i64 kStarvedAfter = 1'000'000;  // Go's starvationThresholdNs
constexpr int kSpins = 4;                 // Go: active_spin 4, 30 pauses each
constexpr int kPauses = 30;

constexpr int kHanded = 1;  // result of a wait: the mutex is ours

WordLock g_revoking;  // one unbias at a time, in all of the process
WordLock
    g_lending;  // one lend_along at a time; taken with no mutex's lock held

// Another thread of the parent's may have held them, and is not in this child.
void let_go_in_child() {
  g_revoking.word.store(0, relaxed);
  g_lending.word.store(0, relaxed);
}

bool held(u64 v) { return v & ~kMutexFlags; }
bool leaving(u64 v) { return v >> 32 == kMutexLeaving; }

// Flags that speak of the queue, recomputed under the lock.
u64 trim(const Mutex* x, u64 v) {
  return x->queue.empty() ? v & ~(kWaiters | kStarving) : v | kWaiters;
}

void back_off(u32& round) {
  if (round++ < 64) {
    cpu_relax();
  } else {
    os::thread_yield();
  }
}

// Until the word belongs to CAS alone.
THRUM_COLD void unbias(Mutex* x) {
  Locked one(g_revoking);
  Atomic<u64>& word = x->word.word;
  x->calm.store(0, relaxed);
  for (u32 round = 0;;) {
    u64 v = word.load(relaxed);
    if (!(v & kMutexBiased)) {
      return;
    }
    if (!held(v)) {
      if (word.compare_exchange_weak(v, v & ~kMutexBiased, relaxed, relaxed)) {
        break;
      }
    } else if (leaving(v) || !word.compare_exchange_weak(v, v | kMutexRevoke,
                                                         relaxed, relaxed)) {
      back_off(round);
    } else {
      os::fence_all();  // pairs with the compiler fence in mutex_untry
      while (leaving(v = word.load(relaxed))) {
        back_off(round);
      }
      if ((v & kMutexRevoke) &&
          word.compare_exchange_strong(v, v & ~(kMutexBiased | kMutexRevoke),
                                       relaxed, relaxed)) {
        break;
      }
    }
  }
  x->biased.store(0, relaxed);
  u16 n = x->revoked.load(relaxed);
  x->revoked.store(static_cast<u16>(min(n + 1, 10)), relaxed);
}

// The lock over the queue; the word is not biased while it is held.
u64 lock_queue(Mutex* x) {
  for (u32 round = 0;;) {
    u64 v = x->word.word.load(relaxed);
    if (v & kMutexBiased) {
      unbias(x);
      // Leaving: its owner looked before the bias ended, and takes that back.
    } else if ((v & 1) || leaving(v)) {
      back_off(round);
      // acquire: pairs with WordLock::unlock.
    } else if (x->word.word.compare_exchange_weak(v, v | 1, acquire, relaxed)) {
      return v;
    }
  }
}

// Under the lock over the queue: the owner named in v has at least this class until
// it unlocks. It holds on to x, so it cannot end. True: it had a lower one.
bool lend(M* m, u64& v, u8 rank) {
  bool raised = rank_lend(m, v & ~kMutexFlags, rank, v & kLent);
  v |= raised ? kLent : 0;
  return raised;
}

constexpr u32 kChain = 64;  // mutexes: what is further away is lent nothing

// From here on the caller is in a wait for x. It reads its class later.
void show_wait(M* m, Mutex* x) {
  if (G* g = g_of(m)) {
    publish(g->body->on, static_cast<const void*>(x));
    g->body->why.store(Why::mutex, seq_cst);  // Dekker with awaited_by
  }
}

// And no longer. Who has followed what was lent to it may still look at the mutex,
// which the caller may free as soon as it returns.
void hide_wait(M* m) {
  if (G* g = g_of(m)) {
    g->body->why.store(Why::none, seq_cst);  // Dekker with awaited_by
    if (rank_lent(g)) {
      Locked until_gone(g_lending);
    }
  }
}

// What the owner named in v waits in, if it is in a wait for a mutex and something
// is lent to it: then it stays there for as long as g_lending is held. Under the lock
// of a mutex that it owns.
Mutex* awaited_by(M* m, u64 v) {
  const G* g = rank_g(m, v & ~kMutexFlags);
  if (!g || !rank_lent(g)) {
    return nullptr;
  }
  const Body* b = peek(g->body);
  b = b ? b : peek(g->away);
  return b->why.load(seq_cst) == Why::mutex
             ? static_cast<Mutex*>(const_cast<void*>(peek(b->on)))
             : nullptr;
}

// Lends the caller's class to the owner of x, to the owner of what that one waits
// for, and so on, until one has it already.
THRUM_COLD void lend_along(M* m, Mutex* x) {
  if (!os::fork_watch(let_go_in_child)) {
    return;
  }
  Locked one(g_lending);
  u8 rank = rank_of_caller(m);
  for (u32 i = 0; x && i < kChain; ++i) {
    u64 v = lock_queue(x);
    bool on = lend(m, v, rank) || i == 0;
    Mutex* next = on ? awaited_by(m, v) : nullptr;
    x->word.unlock(v);
    x = next;
  }
}

bool spin_for(M* m, Mutex* x) {
  for (int i = 0; i < kSpins; ++i) {
    if (mutex_try(m, x)) {
      return true;
    }
    if (x->word.word.load(relaxed) & kStarving) {
      return false;
    }
    for (int p = 0; p < kPauses; ++p) {
      cpu_relax();
    }
  }
  return false;
}

// Spinning helps only while the holder runs on another CPU.
bool may_spin(M* m) {
  return !m || m->rt->procs.load(relaxed) > m->rt->idle_count.load(relaxed) + 1;
}

// When the wait of a G began: for observers, and for who unlocks.
void stamp(M* m, i64 since) {
  if (G* g = g_of(m)) {
    publish(g->body->since, since);
  }
}
i64 since_of(const Waiter* w) {
  const G* g = w->wake->g;
  i64 own = g ? peek(body_of(g)->since) : 0;
  return own ? own : reinterpret_cast<i64>(w->elem);
}

void waited_for(M* m, i64 ns) {
  if (m && m->p) {
    m->p->metrics.mutex.add(static_cast<u64>(ns));
  }
}

// For somebody who has waited in vain otherwise.
int lock_queued(M*& m, Mutex* x, i64 deadline, u64 me) {
  i64 since = 0;
  i64 round = 0;       // of this wait: woken ones may have to wait again
  bool woken = false;  // we own kWoken
  bool front = false;  // for we have waited before
  bool starving = false;
  for (;;) {
    u64 v = lock_queue(x);
    if (woken) {
      v &= ~kWoken;
      woken = false;
    }
    if (!held(v) && !(v & kStarving)) {
      v |= me;
      lend(m, v, rank_of_queue(x->queue));
      x->word.unlock(v);
      if (since) {
        waited_for(m, now_of(m) - since);
      }
      return 0;
    }
    Wait w{deadline, Why::mutex, deadline == kForever};
    if (int err = wait_begin(m, w)) {
      x->word.unlock(trim(x, v));
      return err;
    }
    if (!since) {
      since = round = now_of(m);
    }
    show_wait(m, x);
    if (lend(m, v, rank_of_caller(m)) && awaited_by(m, v)) {
      x->word.unlock(trim(x, v));
      lend_along(m, x);
      continue;  // next time there is nothing to lend
    }
    stamp(m, round);
    u64 to = v | kWaiters | (starving ? kStarving : 0);
    int result = wait_queued(
        m, x->word, to, x->queue, w, me, reinterpret_cast<void*>(since), front,
        [&] { return lock_queue(x); }, [&](u64 now) { return trim(x, now); });
    stamp(m, 0);
    if (result < 0) {
      return result;
    }
    round = now_of(m);
    i64 waited = round - since;
    starving = waited > kStarvedAfter;
    if (result == kHanded) {
      waited_for(m, waited);
      if (!starving) {  // nobody waits long any more: back to barging
        u64 now = lock_queue(x);
        x->word.unlock(now & ~kStarving);
      }
      return 0;
    }
    woken = front = true;
  }
}

THRUM_NOINLINE int lock_slow(M*& m, Mutex* x, i64 deadline, u64 me) {
  if ((x->word.word.load(relaxed) & ~kMutexFlags) == me) {
    return deadline == kTry ? kEAGAIN : kEDEADLOCK;
  }
  if (deadline == kTry) {
    if (held(x->word.word.load(relaxed))) {
      return kEAGAIN;  // and a bias stays
    }
  } else if (may_spin(m) && spin_for(m, x)) {
    return 0;
  }
  int err = lock_queued(m, x, deadline, me);
  hide_wait(m);
  return err;
}

bool head_waits_long(M* m, const Mutex* x) {
  const Waiter* w = x->queue.head;
  return w && now_of(m) - reinterpret_cast<i64>(w->elem) > kStarvedAfter;
}

// Does a higher one wait behind the head? Who is only woken is no owner yet, and
// is lent nothing.
bool head_is_lower(M* m, const Mutex* x) {
  const Waiter* w = x->queue.head;
  if (!w || !m || !m->rt->ranks_used.load(relaxed)) {
    return false;
  }
  const G* g = w->wake->g;
  return above(rank_of_queue(x->queue), g ? rank_now(g) : kNormal);
}

}  // namespace

THRUM_NOINLINE int mutex_unlock_slow(M* m, Mutex* x) {
  u64 v = x->word.word.load(relaxed);
  if (!same_who(v & ~kMutexFlags, who_of(m))) {
    return kEPERM;
  }
  x->calm.store(0, relaxed);
  // Nobody to wake: no waiter, or one that is awake and will look for itself (and
  // hand over in order if it has waited long).
  while (!(v & (1 | kStarving | kLent)) && (!(v & kWaiters) || (v & kWoken))) {
    u64 to = v & kMutexFlags & ~(kMutexBiased | kMutexRevoke);
    // release: pairs with the acquire of the next owner.
    if (x->word.word.compare_exchange_weak(v, to, release, relaxed)) {
      return 0;
    }
  }
  v = lock_queue(x) & kMutexFlags;
  bool lent = v & kLent;
  v &= ~kLent;
  bool hand = (v & kStarving) || head_waits_long(m, x) || head_is_lower(m, x);
  Waiter* w = hand || !(v & kWoken) ? pop_claimed(x->queue) : nullptr;
  v = trim(x, hand ? v | kStarving : v);
  hand = hand && w;
  if (w) {
    w->wake->result = hand ? kHanded : 0;
    v |= hand ? w->data : kWoken;
  }
  if (hand) {
    lend(m, v, rank_of_queue(x->queue));
  }
  x->word.unlock(v);  // the last touch of x
  if (lent) {
    rank_back(m);
  }
  if (w) {
    profile_unlock(m, since_of(w));
    ready(m, w->wake);
  }
  return 0;
}

// Enough for a bias? A fence of all threads must be there to end it.
THRUM_NOINLINE bool mutex_grows_calm(Mutex* x) {
  u32 need = kMutexCalm << min(x->revoked.load(relaxed), u16{10});
  bool yes = x->calm.load(relaxed) >= need && os::fence_all_ready() &&
             os::fork_watch(let_go_in_child);
  x->biased.store(yes, relaxed);
  return yes;
}

int mutex_lock(M*& m, Mutex* x, i64 deadline) {
  return mutex_try(m, x) ? 0 : lock_slow(m, x, deadline, who_of(m));
}

int mutex_unlock(M* m, Mutex* x) {
  return mutex_untry(m, x) ? 0 : mutex_unlock_slow(m, x);
}

bool mutex_held_by(M* m, const Mutex* x) {
  return same_who(x->word.word.load(relaxed) & ~kMutexFlags, who_of(m));
}

}  // namespace thrum
