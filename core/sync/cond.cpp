// Cond: a queue of waiters, each of which holds the mutex when its wait returns.
// SPDX-License-Identifier: MIT
#include "sync/sync.hpp"

namespace thrum {

bool mutex_held_by(M* m, const Mutex* x);  // mutex.cpp

namespace {

int wake(M* m, Cond* c, bool all) {
  c->word.lock();
  Waiter* list = claim_list(c->queue, all ? UINT64_MAX : 1, 0);
  c->word.unlock();
  ready_list(m, list);
  return 0;
}

}  // namespace

int cond_wait(M*& m, Cond* c, Mutex* x, i64 deadline) {
  if (!mutex_held_by(m, x)) {
    return kEPERM;
  }
  c->word.lock();
  Wait w{deadline, Why::cond};
  if (int err = wait_begin(m, w)) {
    c->word.unlock();
    return err;
  }
  // The node is linked before the mutex is free (wait_queued links first, the
  // lock of c is ours until the park is committed): a signal that follows the
  // unlock finds it.
  mutex_unlock(m, x);
  int result = wait_queued(m, c->word, 0, c->queue, w, 0, nullptr, false,
                           [](u64) { return u64{0}; });
  mutex_lock(m, x, kForever);
  return result;
}

int cond_signal(M* m, Cond* c) { return wake(m, c, false); }
int cond_broadcast(M* m, Cond* c) { return wake(m, c, true); }

}  // namespace thrum
