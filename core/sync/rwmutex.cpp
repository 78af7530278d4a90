// Rwmutex: readers share, a waiting writer stops new readers, the queue is FIFO:
// whoever unlocks grants to the head of the queue (one writer, or all readers up
// to the next writer).
// SPDX-License-Identifier: MIT
#include "sync/sync.hpp"

namespace thrum {

namespace {

constexpr u64 kWaiters = 2;
constexpr u64 kWriter = kRwmutexWriter;
constexpr u64 kReader = 256;  // one reader
constexpr u64 kIsWriter = 1;  // Waiter::data, beside who waits

u64 with_queue(const Rwmutex* x, u64 v) {
  return x->queue.empty() ? v & ~kWaiters : v | kWaiters;
}

// Under the lock: grants what the queue's head may have. Returns the new word
// and the granted waiters.
u64 grant(Rwmutex* x, u64 v, Waiter** out) {
  *out = nullptr;
  Waiter* last = nullptr;
  while (!(v & kWriter) && !x->queue.empty()) {
    bool writer = x->queue.head->data & kIsWriter;
    if (writer && v >= kReader) {
      break;
    }
    Waiter* w = x->queue.pop();
    if (!claim(w->wake)) {
      continue;
    }
    if (writer) {
      v |= kWriter;
      show(x->owner, w->data & ~u64{63});
    } else {
      v += kReader;
    }
    w->wake->result = 0;
    w->next = nullptr;
    (last ? last->next : *out) = w;
    last = w;
  }
  return with_queue(x, v);
}

int wait_turn(M*& m, Rwmutex* x, u64 v, i64 deadline, Why why, u64 data) {
  Wait w{deadline, why, deadline == kForever};
  if (int err = wait_begin(m, w)) {
    x->word.unlock(v);
    return err;
  }
  Waiter* granted = nullptr;
  // Leaving the queue may set free those behind: a writer that gives up no
  // longer stops readers.
  int result =
      wait_queued(m, x->word, v | kWaiters, x->queue, w, data, nullptr, false,
                  [&](u64 now) { return grant(x, now, &granted); });
  ready_list(m, granted);
  return result;
}

bool owned_by(const Rwmutex* x, u64 v, u64 me) {
  return (v & kWriter) && x->owner == me;
}

}  // namespace

int rwmutex_rlock(M*& m, Rwmutex* x, i64 deadline) {
  u64 v = x->word.word.load(relaxed);
  while (!(v & 255)) {
    // acquire: pairs with the writer's unlock.
    if (x->word.word.compare_exchange_weak(v, v + kReader, acquire, relaxed)) {
      return 0;
    }
  }
  v = x->word.lock();
  if (!(v & (kWriter | kWaiters))) {
    x->word.unlock(v + kReader);
    return 0;
  }
  u64 me = who_of(m);
  if (owned_by(x, v, me) && deadline != kTry) {
    x->word.unlock(v);
    return kEDEADLOCK;
  }
  return wait_turn(m, x, v, deadline, Why::rwmutex_read, me);
}

int rwmutex_runlock(M* m, Rwmutex* x) {
  u64 v = x->word.word.load(relaxed);
  while (v >= kReader && !(v & 255)) {
    // release: pairs with the next writer's lock.
    if (x->word.word.compare_exchange_weak(v, v - kReader, release, relaxed)) {
      return 0;
    }
  }
  v = x->word.lock();
  if (v < kReader) {
    x->word.unlock(v);
    return kEPERM;
  }
  Waiter* granted;
  u64 to = grant(x, v - kReader, &granted);
  x->word.unlock(to);
  ready_list(m, granted);
  return 0;
}

int rwmutex_lock(M*& m, Rwmutex* x, i64 deadline) {
  u64 me = who_of(m);
  u64 v = x->word.lock();
  if (!v) {
    show(x->owner, me);
    x->word.unlock(kWriter);
    return 0;
  }
  if (owned_by(x, v, me) && deadline != kTry) {
    x->word.unlock(v);
    return kEDEADLOCK;
  }
  return wait_turn(m, x, v, deadline, Why::rwmutex_write, me | kIsWriter);
}

int rwmutex_unlock(M* m, Rwmutex* x) {
  u64 v = x->word.lock();
  if (!(v & kWriter) || !same_who(x->owner, who_of(m))) {
    x->word.unlock(v);
    return kEPERM;
  }
  show(x->owner, u64{0});
  Waiter* granted;
  u64 to = grant(x, v & ~kWriter, &granted);
  x->word.unlock(to);
  ready_list(m, granted);
  return 0;
}

}  // namespace thrum
