// Once: the first caller runs, the others wait, later ones pass.
// SPDX-License-Identifier: MIT
#include "sync/sync.hpp"

namespace thrum {

namespace {

constexpr u64 kRunning = kOnceRunning;
constexpr u64 kDone = 8;

}  // namespace

int once_begin(M*& m, Once* o, bool* run) {
  *run = false;
  // acquire: pairs with the release in once_done: what fn did is seen.
  if (THRUM_LIKELY(o->word.word.load(acquire) == kDone)) {
    return 0;
  }
  u64 v = o->word.lock();
  if (v & kDone) {
    o->word.unlock(v);
    return 0;
  }
  u64 me = who_of(m);
  if (!(v & kRunning)) {
    show(o->owner, me);
    o->word.unlock(v | kRunning);
    *run = true;
    return 0;
  }
  if (o->owner == me) {
    o->word.unlock(v);
    return kEDEADLOCK;
  }
  Wait w{kForever, Why::once, true};
  if (int err = wait_begin(m, w)) {
    o->word.unlock(v);
    return err;
  }
  return wait_queued(m, o->word, v, o->queue, w, 0, nullptr, false,
                     [](u64 now) { return now; });
}

void once_done(M* m, Once* o) {
  o->word.lock();
  Waiter* list = claim_list(o->queue, UINT64_MAX, 0);
  o->word.unlock(kDone);  // the last touch of o
  ready_list(m, list);
}

}  // namespace thrum
