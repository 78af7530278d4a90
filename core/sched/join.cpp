// Handles: join, cancel, unpark.
//
// A handle is checked against G::word, which carries the generation, in the same
// RMW that changes it: a request never reaches a successor in the slot.
// SPDX-License-Identifier: MIT
#include "sched/domain.hpp"
#include "sched/wait.hpp"

namespace thrum {

namespace {

enum class Found { alive, ended, never };

// Generations are compared by distance, so they may wrap.
Found judge(Runtime* rt, u64 word, u64 handle) {
  u64 gen = handle_gen(handle);
  u64 now = word >> kGenShift;
  if (THRUM_UNLIKELY(now == 0)) {  // never used, or given back with its chunk
    now = glance(rt->table.floors[handle_slot(handle) / kChunkGs]);
  }
  if (now == gen) {
    return word & kLive ? Found::alive : Found::never;
  }
  u64 distance = (now - gen) & ((u64{1} << 30) - 1);
  return gen && distance < (u64{1} << 29) ? Found::ended : Found::never;
}

G* g_from(Runtime* rt, u64 handle) {
  return handle_tag(handle) == rt->tag ? table_g(rt->table, handle_slot(handle))
                                       : nullptr;
}

}  // namespace

Waiter* claim_joiners(G* g, int result) {
  Waiter* list = nullptr;
  while (Waiter* w = g->joiners) {
    g->joiners = w->next;
    w->linked = false;
    if (claim(w->wake)) {
      w->wake->result = result;
      w->next = list;
      list = w;
    }
  }
  return list;
}

namespace {

void unlink_joiner(WordLock& lock, G* g, Waiter* w) {
  Locked held(lock);
  if (!w->linked) {
    return;
  }
  w->linked = false;
  (w->prev ? w->prev->next : g->joiners) = w->next;
  if (w->next) {
    w->next->prev = w->prev;
  }
}

// One try of a cancel; false: the word changed meanwhile.
// `stays`: a kCancel that answers do not take away.
bool cancel_once(M* m, G* g, u64 v, u64 stays) {
  if (THRUM_UNLIKELY(frozen(v))) {
    (void)thawed(g->word);
    return false;
  }
  bool waits = (v & (kPhase | kLost)) == kWait;
  if (stays ? (v & kCancel) && !waits : v & (kCancel | kAnswering)) {
    return true;
  }
  if (!waits) {
    return g->word.compare_exchange_weak(v, v | kCancel, acq_rel, relaxed);
  }
  // It waits: claim it and deliver the request in one step.
  if (!g->word.compare_exchange_weak(
          v, (v & ~kWaitBits) | kCancelled | kAnswering | stays, acq_rel,
          relaxed)) {
    return false;
  }
  Wake* wake = &body_of(g)->wake;
  wake->result = kECANCELED;
  ready(m, wake);
  return true;
}

}  // namespace

int join(M*& m, Runtime* rt, u64 handle, i64 deadline) {
  G* g = g_from(rt, handle);
  if (!g) {
    return kEINVAL;
  }
  if (g == g_of(m) &&
      judge(rt, g->word.load(relaxed), handle) == Found::alive) {
    return kEDEADLOCK;
  }
  u64 v = g->word.load(acquire);  // pairs with the RMW in retire
  Found found = judge(rt, v, handle);
  if (found != Found::alive) {
    return found == Found::ended ? 0 : kEINVAL;
  }
  ThreadWake own_wake;
  Waiter own;
  Wake* wake = wake_of(m, own_wake);
  Waiter* node = waiter_of(m, own);
  WordLock& lock = rt->join_locks[g->slot % kJoinLocks];
  lock.lock();
  // kJoined is set in the word that ends the G: either it sees the flag and
  // looks for us under the lock, or we see that it has ended.
  v = g->word.load(acquire);
  do {
    if (judge(rt, v, handle) != Found::alive) {
      lock.unlock();
      return 0;
    }
  } while (!g->word.compare_exchange_weak(v, v | kJoined, acq_rel, acquire));
  if (v & kLost) {
    lock.unlock();
    return kECLOSED;
  }
  Wait w{.deadline = deadline, .why = Why::join, .on = g};
  if (int err = wait_begin(m, w)) {
    lock.unlock();
    return err;
  }
  node->wake = wake;
  node->linked = true;
  node->prev = nullptr;
  node->next = g->joiners;
  if (node->next) {
    node->next->prev = node;
  }
  g->joiners = node;
  int result = wait(m, wake, w, Unlock{&lock});
  if (result) {
    unlink_joiner(lock, g, node);
  }
  return result;
}

namespace {

// False: it has ended, or is lost already.
bool write_off(G* g) {
  u64 v = g->word.load(relaxed);
  do {
    if (!(v & kLive) || (v & kLost)) {
      return false;
    }
  } while (!g->word.compare_exchange_weak(v, v | kLost, acq_rel, relaxed));
  return true;
}

}  // namespace

// A G whose domain was closed: it never runs again. Joiners go on with an error,
// it counts as ended, and what it waits in passes it by.
void lose_g(M* m, Runtime* rt, G* g, Domain* d) {
  Waiter* list = nullptr;
  {
    Locked held(rt->join_locks[g->slot % kJoinLocks]);
    Ext* e = g->word.load(acquire) & kLive ? g->ext : nullptr;
    if (!e || e->domain != d || e->outside || !write_off(g)) {
      return;
    }
    list = claim_joiners(g, kECLOSED);
  }
  rt->foreign_exited.fetch_add(1, release);
  domain_g_gone(d);
  ready_list(m, list);
}

void close_gs(M* m, Runtime* rt, Domain* d) {
  u32 end = table_end(rt->table);
  for (u32 slot = 0; slot < end; ++slot) {
    if (G* g = table_g(rt->table, slot)) {
      lose_g(m, rt, g, d);
    }
  }
}

int cancel(M* m, Runtime* rt, u64 handle) {
  G* g = g_from(rt, handle);
  if (!g) {
    return kEINVAL;
  }
  for (;;) {
    u64 v = g->word.load(acquire);
    Found found = judge(rt, v, handle);
    if (found != Found::alive) {
      return found == Found::ended ? kESTALE : kEINVAL;
    }
    if (cancel_once(m, g, v, 0)) {
      return 0;
    }
  }
}

void cancel_all(M* m, Runtime* rt) {
  u32 end = table_end(rt->table);
  for (u32 slot = 0; slot < end; ++slot) {
    G* g = table_g(rt->table, slot);
    for (;;) {
      u64 v = g ? g->word.load(acquire) : 0;
      if (!(v & kLive) || cancel_once(m, g, v, kCancel)) {
        break;
      }
    }
  }
}

int unpark(M* m, Runtime* rt, u64 handle) {
  G* g = g_from(rt, handle);
  if (!g) {
    return kEINVAL;
  }
  u64 v = g->word.load(acquire);
  for (;;) {
    Found found = judge(rt, v, handle);
    if (found != Found::alive) {
      return found == Found::ended ? kESTALE : kEINVAL;
    }
    if (THRUM_UNLIKELY(frozen(v))) {
      v = thawed(g->word);
      continue;
    }
    bool parked = (v & kParked) && (v & kPhase) && !(v & kLost);
    u64 to = parked ? v & ~kWaitBits : v | kPermit;
    // acq_rel: what the caller did before is seen after the park.
    if (g->word.compare_exchange_weak(v, to, acq_rel, relaxed)) {
      if (parked) {
        Wake* wake = &body_of(g)->wake;
        wake->result = 0;
        ready(m, wake);
      }
      return 0;
    }
  }
}

}  // namespace thrum
