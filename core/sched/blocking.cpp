// Declared blocking: the only file that lets a P go while its M lives on.
//
// enter: if work waits, and the last call from this place in the code was a long
// one, the P goes to another M at once; else it stays within reach in state
// `blocking`, and whoever needs a P takes it by CAS (sysmon after 200 us, if work
// waits). exit: one CAS takes it back, or the G gets another P, or queues.
// SPDX-License-Identifier: MIT
#include "sched/domain.hpp"

namespace thrum {

namespace {

BlockSite& site_of(M* m, u64 pc) {
  BlockSite& site = m->sites[(pc * 0x9e3779b97f4a7c15u) >> 60];
  if (site.pc != pc) {  // never seen here, or pushed out: taken for a long one
    site = BlockSite{pc, false};
  }
  return site;
}

void let_go(M* m, bool may_wait) {
  Runtime* rt = m->rt;
  P* p = m->p;
  m->retake.store(kRetakeBlocked, relaxed);
  m->p = nullptr;
  m->blocked_p = nullptr;
  rt->blocking.fetch_add(1, seq_cst);
  bool work = p->queued() || rt->global_count.load(relaxed);
  if ((work && !may_wait) || p->attention.load(relaxed)) {
    give_p(rt, p, false);
    return;
  }
  if (p->earliest.load(relaxed) != kForever || !owns_threads(rt)) {
    // Somebody must be there when its timers are due.
    if (owns_threads(rt)) {
      give_p(rt, p, false);
    } else {
      Locked held(rt->lock);
      note_wake(free_p(rt, p));
    }
    return;
  }
  m->blocked_p = p;
  // release: pairs with the CAS of whoever takes it.
  p->state.store(PState::blocking, release);
  rt->blocked_ps.fetch_add(1, seq_cst);
  if (!may_wait && rt->global_count.load(seq_cst)) {  // Dekker with wake_p
    retake_blocked(rt);
  }
}

// Back with a P; may change the M.
M* come_back(M*& m) {
  Runtime* rt = m->rt;
  if (P* p = m->blocked_p) {
    m->blocked_p = nullptr;
    PState was = PState::blocking;
    if (p->state.compare_exchange_strong(was, PState::running, acq_rel,
                                         relaxed)) {
      rt->blocked_ps.fetch_sub(1, relaxed);
      take_p(m, p);
    }
  }
  if (!m->p) {
    P* p;
    {
      Locked held(rt->lock);
      p = idle_p_pop(rt);
    }
    if (p) {
      take_p(m, p);
    }
  }
  m->retake.store(kRetakeNone, relaxed);
  G* g = m->cur;
  // It counts as blocking until it has a P or is queued: a deadlock verdict in
  // between would see nobody.
  if (m->p || (g->flags & kRouted)) {
    if (!m->p) {  // bound to this M, or inside its domain
      want_p(m);
    }
    rt->blocking.fetch_sub(1, seq_cst);
    return m;
  }
  m->after = After{.kind = AfterKind::yield_global, .g = g};
  return switch_to_loop(m, g->body);
}

}  // namespace

bool retake_if_blocked(Runtime* rt, P* p) {
  PState was = PState::blocking;
  if (p->state.load(relaxed) != was ||
      !p->state.compare_exchange_strong(was, PState::running, acq_rel,
                                        relaxed)) {
    return false;
  }
  rt->blocked_ps.fetch_sub(1, relaxed);
  bump(p->handoffs);
  give_p(rt, p, false);
  return true;
}

// Takes a P whose M is in a blocking call and gives it to another.
void retake_blocked(Runtime* rt) {
  if (!rt->blocked_ps.load(seq_cst)) {
    return;
  }
  u32 n = rt->p_count.load(acquire);
  for (u32 i = 0; i < n; ++i) {
    if (retake_if_blocked(rt, rt->ps[i])) {
      return;
    }
  }
}

void retake_surplus(Runtime* rt) {
  u32 n = rt->p_count.load(acquire);
  for (u32 i = rt->procs.load(relaxed); i < n; ++i) {
    retake_if_blocked(rt, rt->ps[i]);  // whoever gets it retires it
  }
}

int enter_blocking(M*& m, u64 site) {
  Body* b = m->cur->body;
  if (b->block_depth++ == 0) {
    if (THRUM_UNLIKELY(m->retake.load(relaxed) != kRetakeNone)) {
      domain_left_behind(m);
    }
    m->cur->state.store(State::blocking, relaxed);
    b->why.store(Why::blocking, relaxed);
    b->block_site = site;
    b->block_since = cpu_ticks();
    let_go(m, site_of(m, site).quick);
  }
  return 0;
}

int exit_blocking(M*& m) {
  Body* b = m->cur->body;
  if (b->block_depth == 0) {
    return kEPERM;
  }
  if (--b->block_depth == 0) {
    site_of(m, b->block_site).quick =
        b->block_site && cpu_ticks() - b->block_since <= m->rt->long_ticks;
    m = come_back(m);
    m->cur->state.store(State::running, relaxed);
    b->why.store(Why::none, relaxed);
  }
  return 0;
}

bool enter_slow(M*& m) {
  if (m->retake.load(relaxed) == kRetakeBlocked) {
    m = come_back(m);
    return true;
  }
  domain_left_behind(m);
  return false;
}

void block_resume(M*& m) {
  if (m->cur->body->block_depth) {
    let_go(m, false);
  }
}

}  // namespace thrum
