// Semaphore: permits, handed to waiters in order of arrival.
// SPDX-License-Identifier: MIT
#include "sync/sync.hpp"

namespace thrum {

namespace {

constexpr u64 kWaiters = 2;
constexpr u32 kShift = 2;
constexpr u64 kOne = u64{1} << kShift;
constexpr u64 kMost = u64{1} << 40;

}  // namespace

int sem_release(M* m, Semaphore* s, u32 n) {
  u64 v = s->word.word.load(relaxed);
  while (!(v & 3)) {
    if ((v >> kShift) + n > kMost) {
      return kEINVAL;
    }
    // release: pairs with the acquire in sem_acquire.
    if (s->word.word.compare_exchange_weak(v, v + n * kOne, release, relaxed)) {
      return 0;
    }
  }
  v = s->word.lock();
  if ((v >> kShift) + n > kMost) {
    s->word.unlock(v);
    return kEINVAL;
  }
  Waiter* list = claim_list(s->queue, n, 0);
  u64 left = n;
  for (Waiter* w = list; w; w = w->next) {
    --left;
  }
  v = (v & ~kWaiters) + left * kOne;
  s->word.unlock(s->queue.empty() ? v : v | kWaiters);
  ready_list(m, list);
  return 0;
}

int sem_acquire(M*& m, Semaphore* s, i64 deadline) {
  u64 v = s->word.word.load(relaxed);
  while (v >= kOne && !(v & 3)) {
    if (s->word.word.compare_exchange_weak(v, v - kOne, acquire, relaxed)) {
      return 0;
    }
  }
  v = s->word.lock();
  if (v >= kOne && s->queue.empty()) {
    s->word.unlock(v - kOne);
    return 0;
  }
  Wait w{deadline, Why::semaphore};
  if (int err = wait_begin(m, w)) {
    s->word.unlock(v);
    return err;
  }
  return wait_queued(
      m, s->word, v | kWaiters, s->queue, w, 0, nullptr, false,
      [s](u64 now) { return s->queue.empty() ? now & ~kWaiters : now; });
}

}  // namespace thrum
