// Waitgroup: a count that waiters see reach zero.
// SPDX-License-Identifier: MIT
#include "sync/sync.hpp"

namespace thrum {

namespace {

constexpr u64 kWaiters = 2;
constexpr u32 kShift = 2;
constexpr i64 kMost = INT32_MAX;

i64 count_of(u64 v) { return static_cast<i64>(v >> kShift); }

}  // namespace

int waitgroup_add(M* m, Waitgroup* g, i32 delta) {
  u64 v = g->word.word.load(relaxed);
  for (;;) {
    i64 n = count_of(v) + delta;
    if (v & 1 || (n == 0 && (v & kWaiters))) {
      break;
    }
    if (n < 0 || n > kMost) {
      return kEINVAL;
    }
    // acq_rel: each done is ordered before the wait that its zero ends.
    if (g->word.word.compare_exchange_weak(
            v, (static_cast<u64>(n) << kShift) | (v & kWaiters), acq_rel,
            relaxed)) {
      return 0;
    }
  }
  v = g->word.lock();
  i64 n = count_of(v) + delta;
  if (n < 0 || n > kMost) {
    g->word.unlock(v);
    return kEINVAL;
  }
  Waiter* list = n ? nullptr : claim_list(g->queue, UINT64_MAX, 0);
  // The last touch: from here on a waiter may free g.
  g->word.unlock((static_cast<u64>(n) << kShift) |
                 (g->queue.empty() ? 0 : kWaiters));
  ready_list(m, list);
  return 0;
}

int waitgroup_wait(M*& m, Waitgroup* g, i64 deadline) {
  // acquire: pairs with the release of the last done. A zero under the lock is
  // not yet to be believed: its maker still touches g.
  if ((g->word.word.load(acquire) & ~kWaiters) == 0) {
    return 0;
  }
  u64 v = g->word.lock();
  if (count_of(v) == 0) {
    g->word.unlock(v);
    return 0;
  }
  Wait w{deadline, Why::waitgroup};
  if (int err = wait_begin(m, w)) {
    g->word.unlock(v);
    return err;
  }
  return wait_queued(
      m, g->word, v | kWaiters, g->queue, w, 0, nullptr, false,
      [g](u64 now) { return g->queue.empty() ? now & ~kWaiters : now; });
}

}  // namespace thrum
