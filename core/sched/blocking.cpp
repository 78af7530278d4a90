// Declared blocking: the only file that lets a P go while its M lives on.
//
// enter: if work waits, and the last call from this place in the code was a long
// one, the P goes to another M at once. Else the M keeps it, and only says in its
// door's word that it may be taken: sysmon does, after 200 us in which work
// waited. exit: nothing to do, or the G gets another P, or queues.
// SPDX-License-Identifier: MIT
#include "sched/domain.hpp"

namespace thrum {

namespace {

BlockSite& site_of(P* p, u64 pc) {
  BlockSite& site = p->sites[(pc * 0x9e3779b97f4a7c15u) >> 60];
  if (site.pc != pc) {
    site = BlockSite{pc, false};
  }
  return site;
}

void let_go(M* m) {
  Runtime* rt = m->rt;
  rt->blocking.fetch_add(1, seq_cst);
  trace(m, rt, Event::handoff, m->cur, m->id);
  P* p = leave_p(m);
  bump(p->handoffs);
  m->door.change(0, kApart | kDeclared);
  if (owns_threads(rt) || p->queued() || between(rt)) {
    give_p(rt, p, false);
  } else {
    Locked held(rt->lock);
    note_wake(free_p(rt, p));
  }
}

// The block begins, or goes on behind a parking call.
THRUM_INLINE void declare(M* m, Rare* rare) {
  Runtime* rt = m->rt;
  P* p = m->p;
  bool work = p->queued() || between(rt) || rt->wanting.load(relaxed);
  // The clock costs as much as all the rest: it is read when it may matter.
  u64 since = work ? cpu_ticks() : 0;
  rare->block_since = since;
  m->declared_at.store(since, relaxed);
  if ((work && site_of(p, rare->block_site).slow) ||
      p->attention.load(relaxed) || !owns_threads(rt)) {
    let_go(m);
  } else {
    m->door.change(0, kDeclared);
  }
}

}  // namespace

M* come_back(M*& m) {
  Runtime* rt = m->rt;
  {
    Locked held(rt->lock);
    if (P* p = idle_p_pop(rt)) {
      take_p(m, p);
    }
  }
  m->door.change(kApart | kDeclared, 0);
  G* g = m->cur;
  if (THRUM_UNLIKELY(!m->p && domain_shares_lock(g))) {
    rt->blocking.fetch_sub(1, seq_cst);  // its domain is not idle
    domain_left_behind(m);
    return m;
  }
  // It counts as blocking until it has a P or is queued: a deadlock verdict in
  // between would see nobody.
  if (m->p || ((g->flags & kRouted) && (tied(g) || seeded(rt)))) {
    if (!m->p) {  // bound to this M, or inside its domain
      void* held = g->body->held_sp;
      publish(g->body->held_sp, THRUM_SPILLED_SP());
      want_p(m);
      publish(g->body->held_sp, held);
    }
    rt->blocking.fetch_sub(1, seq_cst);
    return m;
  }
  m->after = After{.kind = AfterKind::yield_global, .g = g};
  return switch_to_loop(m, g->body);
}

// Both keep the M in a register: only their rare parts change it.
int enter_blocking(M*& at, u64 site) {
  M* m = at;
  G* g = m->cur;
  Body* b = g->body;
  Rare* rare = b->rare();
  if (rare->block_depth++ == 0) {
    publish(b->held_sp, stack_pointer());
    if (THRUM_UNLIKELY(m->door.calls() & kDomainTaken)) {
      domain_left_behind(at);
      m = at;
    }
    trace(m, m->rt, Event::block, g);
    g->state.store(State::blocking, relaxed);
    b->why.store(Why::blocking, relaxed);
    rare->block_site = site;
    if (THRUM_LIKELY(m->p != nullptr)) {
      declare(m, rare);
    } else {
      m->door.change(0, kDeclared);
    }
  }
  return 0;
}

int exit_blocking(M*& at) {
  M* m = at;
  G* g = m->cur;
  Body* b = g->body;
  Rare* rare = b->rare();
  if (rare->block_depth == 0) {
    return kEPERM;
  }
  if (--rare->block_depth == 0) {
    u64 since = rare->block_since;
    bool taken = m->door.calls() & kApart;
    if (THRUM_UNLIKELY(taken || since)) {
      bool slow = since ? cpu_ticks() - since > m->rt->long_ticks : taken;
      if (taken) {
        m = at = come_back(at);
      } else {
        m->door.change(kDeclared, 0);
      }
      site_of(m->p, rare->block_site).slow = slow;
    } else {
      m->door.change(kDeclared, 0);
    }
    trace(m, m->rt, Event::unblock, g);
    g->state.store(State::running, relaxed);
    b->why.store(Why::none, relaxed);
    publish<void*>(b->held_sp, nullptr);
    if (THRUM_UNLIKELY(m->door.calls() & (kDomainTaken | kWorld))) {
      enter_slow(at, true);
    }
  }
  return 0;
}

void block_resume(M*& m) {
  Rare* rare = m->cur->body->rare();
  if (rare->block_depth && m->p) {
    declare(m, rare);
  }
}

}  // namespace thrum
