// A G's first and last moments on its stack.
// SPDX-License-Identifier: MIT
#include "sched/domain.hpp"
#include "sched/enter.hpp"
#include "sched/overflow.hpp"
#include "sched/ready.hpp"

namespace thrum {

void locals_drop(M*& m, G* g);  // local.cpp

namespace {

// Ends the G's word: from here on its handle is stale. Joiners go on. Returns whether
// its domain was closed under it: then it has been counted as ended already.
bool retire(M* m, G* g) {
  u64 v = g->word.load(relaxed);
  u64 dead;
  do {
    u64 gen = (v + (u64{1} << kGenShift)) & kGenMask;
    dead = gen ? gen : u64{1} << kGenShift;
    // acq_rel: releases all the G did to whoever joins it; acquires kJoined's
    // node.
  } while (!g->word.compare_exchange_weak(v, dead, acq_rel, relaxed));
  g->state.store(State::dead, relaxed);
  if (THRUM_UNLIKELY((v & kJoined) != 0)) {
    WordLock& lock = m->rt->join_locks[g->slot % kJoinLocks];
    lock.lock();
    Waiter* list = claim_joiners(g, 0);
    lock.unlock();
    ready_list(m, list);
  }
  return v & kLost;
}

// A G that ends locked to its thread.
THRUM_INLINE void unlock_for_good(M* m, G* g) {
  Rare* r = g->body->rare();
  if (THRUM_UNLIKELY(r->lock_depth != 0)) {
    r->lock_depth = 1;
    unlock_thread(m);
    thread_is_spoilt(m);
  }
}

// What a G with an Ext owes its spawner. Guest code: may park, may move.
void settle(M*& m, G* g) {
  Ext* e = g->ext;
  ++g->body->shield;
  if (e->outside) {
    unlock_for_good(m, g);
    if (domain_enter(m) == kECLOSED) {
      return;  // its domain is gone: nobody to give the argument back to
    }
  }
  locals_drop(m, g);
  if (e->drop && m) {
    call_guest(m, [&] {
      e->drop(g->arg);
      publish<void*>(g->arg, nullptr);  // no hook or observer sees it now
    });
  }
}

// Frees what is left, after the last guest code of g has run.
void dismiss(M* m, G* g, bool lost) {
  Ext* e = g->ext;
  {
    // Observers and close_gs read the Ext under this lock.
    Locked held(m->rt->join_locks[g->slot % kJoinLocks]);
    publish<Ext*>(g->ext, nullptr);
  }
  if (e->domain && !lost) {
    domain_g_gone(e->domain);
  }
  ext_free(m->rt, e);
}

// Never ran and its runtime stops: fn is not started any more if someone else
// (drop) looks after its argument.
bool skip_fn(M* m, G* g) {
  return m->rt->stopping.load(relaxed) && g->ext && g->ext->drop;
}

// A G without Ext and class that can run on the stack that is free now.
bool fits(M* m, Body* b, G* g) {
  return !kFibreNotes && !g->body && !(g->flags & (kToken | kStarted)) &&
         !g->ext && g->affinity == 0 && b->stack.kind() == m->p->stock;
}

// Ends the calling G and goes on with another. Returns only to run a fresh G
// on this very stack.
M* leave_for_good(M* m, G* g) {
  Body* b = g->body;
  RunCall* run = nullptr;
  if (THRUM_UNLIKELY(g->ext != nullptr)) {
    run = g->ext->run ? run_take(m->rt, g->ext) : nullptr;
  }
  if (THRUM_UNLIKELY(!b->stack.guarded)) {
    overflow_check(g);
  }
  b->eh = EhGlobals{};
  if (THRUM_UNLIKELY(g->affinity != kMigrate)) {
    b->pin->bound.fetch_sub(1, relaxed);
  }
  trace(m, m->rt, Event::exit, g);  // while its handle is good
  bool lost = retire(m, g);
  if (THRUM_UNLIKELY(g->ext != nullptr)) {
    dismiss(m, g, lost);  // after the handle is stale: observers read the Ext
  }
  bump(m->p->exited, lost ? 0 : 1);
  table_put(m->rt, m->p, g);
  if (THRUM_UNLIKELY(run != nullptr)) {
    run_ended(m, run);
  }
  if (THRUM_UNLIKELY(m->rt->stopping.load(relaxed))) {
    exit_counted(m, m->rt);
  }
  G* next = pick_next(m);
  if (THRUM_LIKELY(next != nullptr)) {
    if (fits(m, b, next)) {
      fp_reset();
      body_dress(m, next, b);
      trace_switch(m, next);
      start_running(m, next);
      return m;
    }
    if (!next->body && !bind(m, next)) {
      next = nullptr;
    }
  }
  m->after = After{.kind = AfterKind::exit, .body = b};
  if (next) {
    trace_switch(m, next);
    start_running(m, next);
    m->arrived_native = false;
    note_leave(b->note, next->body->note, true);
    context_switch(&b->sp, next->body->sp, m);
  } else {
    note_leave(b->note, m->note0, true);
    context_switch(&b->sp, m->sp0, m);
  }
  THRUM_DIE("a G that has ended was resumed");
}

// The guest code that has just returned forked, and this is the child: nothing of
// the G is here but the stack and this thread. See fork.cpp.
[[noreturn]] THRUM_COLD void end_in_child() {
  M* m = forked_m();
  Body* b = m->cur->body;
  note_leave(b->note, m->note0, true);
  context_switch(&b->sp, m->sp0, m);
  THRUM_DIE("a G that its process had left was resumed");
}

}  // namespace

void g_main(void* carry) {
  M* m = static_cast<M*>(carry);
  note_arrive(m->cur->body->note, m->arrived_native ? &m->note0 : nullptr);
  finish(m);
  for (;;) {
    G* g = m->cur;
    if (THRUM_LIKELY(!skip_fn(m, g))) {
      m->door.leave(0, reinterpret_cast<u64>(g->fn));
      thrum_guest(g->arg, g->fn);
      m = this_m();
      if (THRUM_UNLIKELY(!m)) {
        end_in_child();
      }
      m->door.enter();
    }
    if (THRUM_UNLIKELY(m->door.called())) {
      m->cur->body->rare()->block_depth = 0;  // left inside a declared block
      enter_slow(m, true);
    }
    if (THRUM_UNLIKELY(g->ext != nullptr)) {
      settle(m, g);
      if (THRUM_UNLIKELY(!m)) {
        end_in_child();
      }
    }
    // After the last guest code, which may have bound others to the thread.
    unlock_for_good(m, g);
    m = leave_for_good(m, g);
  }
}

void finish_slow(M* m) {
  // Only what it needs, as it was stored: see After::park.
  AfterKind kind = m->after.kind;
  G* g = m->after.g;
  m->after.kind = AfterKind::none;
  switch (kind) {
    case AfterKind::exit:
      body_put(m, m->after.body);
      break;
    case AfterKind::route:
      ready_behind(m, g);
      break;
    case AfterKind::behind:
      g->state.store(State::runnable, relaxed);
      push_batch(m->rt, &g, 1);
      break;
    case AfterKind::yield_global: {
      g->state.store(State::runnable, relaxed);
      push_unblocked(m->rt, g);
      wake_p(m->rt);  // a P may have gone idle since come_back looked
      break;
    }
    default:
      break;
  }
}

}  // namespace thrum
