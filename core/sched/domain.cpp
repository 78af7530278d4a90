// Domains: host code that must not run twice at once (a GIL, a lua_State).
//
// A runnable G of a domain queues on the domain, never on a P. The domain itself
// stands in the run queues as a token; the M that draws it becomes the holder
// and drains the queue, one switch_to hook per switch, until it is empty or has
// had its turn. acquire runs without a P, so that no M waits for a GIL while it
// holds one (but see acquire_host). States under Domain.lock:
//   idle -> queued (first runnable G) -> held (an M drew the token) -> idle or
//   queued again. A pumped domain has no token: its thread drains it.
// SPDX-License-Identifier: MIT
#include "sched/domain.hpp"

#include "sched/domain_body.hpp"
#include "sched/enter.hpp"

namespace thrum {

namespace {

constexpr u32 kHosts = 16;  // domains with a host's lock that are looked after
constexpr u32 kTurn = 256;  // switches before other work of the P gets a look;
                            // fewer if the P is called

// Whoever has the lock of such a host never waits for a P meanwhile: those that
// have the Ps may be waiting for the lock, be it in a hook (CPython's switch of
// thread states gives the GIL up for a moment).
bool host_locked(const Domain* d) {
  return (d->ops.flags & (kDomainHostLock | kDomainPumped)) == kDomainHostLock;
}

// The token is no table G: it is routed by hand. It holds a reference while it
// is queued, for a domain may be closed and released meanwhile.
void queue_token(M* m, Domain* d) {
  Runtime* rt = d->rt;
  domain_retain(d);
  if (seeded(rt)) {
    drawer_put(rt, &d->token);
    raise_wake_fd(rt);
    return;
  }
  if (m && m->rt == rt && m->p) {
    runq_put(m, m->p, &d->token);
    return;
  }
  G* one[1] = {&d->token};
  push_batch(rt, one, 1);
  raise_wake_fd(rt);
  wake_p(rt);
}

// With d->lock held, of a pumped one.
void raise_wake(Domain* d) {
  if (!d->raised) {
    d->raised = true;
    os::wake_fd_raise(d->wake);
  }
}

// null: nothing to run, or m holds it no longer.
G* next_of(M* m, Domain* d) {
  Locked held(d->lock);
  return d->closed.load(relaxed) || d->holder != m ? nullptr : d->queue.pop();
}

void hook_switch(Domain* d, void* from, void* to) {
  if (d->ops.switch_to && from != to) {
    d->ops.switch_to(d->arg, from, to);
  }
}

// Runs Gs of d on m, which holds it and a P, until `more` says no.
template <class More>
void drain(M* m, Domain* d, More more) {
  void* from = nullptr;
  publish(m->domain, d);
  m->slow.fetch_or(kSlowDomain, relaxed);
  while (G* g = !forked(m) && more() ? next_of(m, d) : nullptr) {
    if (THRUM_UNLIKELY(d->rt->world.load(relaxed))) {
      world_wait(m);
    }
    u64 word = g->word.load(relaxed);
    void* arg = g->arg;
    hook_switch(d, from, arg);
    bump(d->switches);
    if (THRUM_LIKELY(g->body && !forked(m))) {
      switch_from_loop(m, g);
    } else {
      execute(m, g);
    }
    if (!m->p && !host_locked(d)) {
      want_p(m);
    }
    // An ended G's argument is gone: the next switch comes from nothing.
    bool ended = (g->word.load(relaxed) & (kGenMask | kLive)) !=
                 (word & (kGenMask | kLive));
    from = ended ? nullptr : arg;
    if (ended) {
      hook_switch(d, arg, nullptr);
    }
    if (!m->p) {
      break;
    }
    source_prompted(m);  // the next one may block for long
  }
  hook_switch(d, from, nullptr);
  m->slow.fetch_and(~kSlowDomain, relaxed);
  publish<Domain*>(m->domain, nullptr);
}

bool acquire_lock(Domain* d) {
  return !d->ops.acquire || d->ops.acquire(d->arg) >= 0;
}

void release_host(Domain* d) {
  if (d->ops.release) {
    d->ops.release(d->arg);
  }
}

bool take_idle_p(M* m) {
  Locked held(m->rt->lock);
  P* p = idle_p_pop(m->rt);
  if (p) {
    take_p(m, p);
  }
  return p;
}

bool acquire_host(M* m, Domain* d) {
  if (!d->ops.acquire || pumped(d)) {  // a pump's thread has no P yet
    return acquire_lock(d);
  }
  // Between two Ps, but not idle: no deadlock verdict meanwhile.
  d->rt->blocking.fetch_add(1, seq_cst);
  drop_p(m);
  bool held = acquire_lock(d);
  if (held && host_locked(d) && !take_idle_p(m)) {
    // No P without waiting: then in the other order, for once.
    release_host(d);
    want_p(m);
    held = acquire_lock(d);
  }
  if (!m->p) {
    want_p(m);
  }
  d->rt->blocking.fetch_sub(1, seq_cst);
  return held;
}

// Gives the hold up; queues the domain again if Gs wait.
void let_go(M* m, Domain* d) {
  bool again;
  {
    Locked held(d->lock);
    if (d->holder != m) {
      return;  // another M has it already
    }
    d->holder = nullptr;
    again = !d->queue.empty() && !d->closed.load(relaxed) && !pumped(d);
    d->hold = again ? Hold::queued : Hold::idle;
  }
  if (again) {
    queue_token(m, d);
  }
}

}  // namespace

bool domain_preempt(G* g) {
  Domain* d = g->ext->domain;
  if (!d->ops.preempt) {
    return false;
  }
  d->ops.preempt(d->arg, g->arg);
  return true;
}

bool domain_waits(Domain* d) { return peek(d->queue.head) != nullptr; }

Runtime* domain_rt(Domain* d) { return d->rt; }
bool domain_closed(Domain* d) { return d->closed.load(acquire); }

void domain_ready(M* m, Domain* d, G* g) {
  bool first = false;
  bool closed;
  // Once queued, g may run, end, and be the last that did. Who drains d has a
  // reference.
  bool drains = m && m->domain == d;
  if (!drains) {
    domain_retain(d);
  }
  {
    Locked held(d->lock);
    closed = d->closed.load(relaxed);
    if (!closed) {
      d->queue.push(g);
      bool idle = d->hold == Hold::idle;
      if (idle && pumped(d)) {
        raise_wake(d);
      } else if (idle) {
        d->hold = Hold::queued;
        first = true;
      }
    }
  }
  sysmon_prompt(d->rt);  // the one inside may be outside thrum
  if (closed) {
    lose_g(m, d->rt, g, d);
  } else if (first) {
    queue_token(m, d);
  } else if (THRUM_UNLIKELY(!glance(d->rt->sysmon_on)) && !pumped(d)) {
    wake_p(d->rt);  // it may stand there because no thread could be had
  }
  if (!drains) {
    domain_release(d);
  }
}

void domain_run(M* m, G* token) {
  Domain* d = static_cast<Domain*>(token->arg);  // with the token's reference
  {
    Locked held(d->lock);
    d->hold = Hold::held;
    d->holder = m;
  }
  if (acquire_host(m, d)) {
    u32 left = kTurn;
    drain(m, d, [&] {
      return left-- == kTurn || (left && !m->p->attention.load(relaxed));
    });
    release_host(d);
    if (!m->p) {
      want_p(m);
    }
  } else if (!forked(m)) {
    domain_close(m, d);
  }
  if (THRUM_UNLIKELY(forked(m))) {
    return;
  }
  let_go(m, d);
  domain_release(d);
}

void domain_token_drop(G* token) {
  domain_release(static_cast<Domain*>(token->arg));
}

bool domain_shares_lock(const G* g) {
  const Ext* e = g->ext;
  return e && e->domain && !e->outside && host_locked(e->domain);
}

void domain_left_behind(M*& m) {
  m->door.change(kDomainTaken, 0);
  m->after = After{.kind = AfterKind::route, .g = m->cur};
  m = switch_to_loop(m, m->cur->body);
}

namespace {

// A claim on the domain that m holds is one on its slice, too.
bool claim(Runtime* rt, M* m) {
  for (u32 i = 0; i < rt->p_count.load(acquire); ++i) {
    if (P* p = rt->ps[i]; p->m.load(relaxed) == m) {
      p->claimed.store(p->dispatches.load(relaxed), relaxed);
    }
  }
  return m->door.take(kDomainTaken, os::fence_all, [] { return true; });
}

// Nobody has been dispatched for long, others wait, and the G is outside thrum:
// the domain goes, whatever becomes of the P.
// Returns when to look again.
i64 look_at(Runtime* rt, Domain* d, i64 now) {
  i64 limit = d->ops.handover_ns ? d->ops.handover_ns : rt->config.slice_ns;
  u64 n = d->switches.load(relaxed);
  if (n != d->seen) {
    d->seen = n;
    d->since = now;
  }
  {
    Locked held(d->lock);
    M* m = d->holder;
    if (d->queue.empty()) {
      return kForever;  // domain_ready prompts
    }
    if (d->hold != Hold::held || !m || now - d->since < limit ||
        !claim(rt, m)) {
      return now + limit / 2;
    }
    d->holder = nullptr;
    d->hold = Hold::queued;
  }
  queue_token(nullptr, d);
  return now + limit / 2;
}

}  // namespace

bool domains_wait(Runtime* rt) {
  Locked held(rt->lock);
  u32 n = 0;
  for (Domain* d = rt->domains; d && n < kHosts; d = d->next) {
    if (host_locked(d)) {
      ++n;
      Locked inner(d->lock);
      if (!d->queue.empty()) {
        return true;
      }
    }
  }
  return false;
}

i64 domains_look(Runtime* rt, i64 now) {
  i64 again = kForever;
  Domain* hosts[kHosts];
  u32 n = 0;
  {
    Locked held(rt->lock);
    for (Domain* d = rt->domains; d && n < kHosts; d = d->next) {
      u32 refs = d->refs.load(relaxed);
      // One that is being released must not come back to life.
      if (host_locked(d) && refs &&
          d->refs.compare_exchange_strong(refs, refs + 1, relaxed, relaxed)) {
        hosts[n++] = d;
      }
    }
  }
  for (u32 i = 0; i < n; ++i) {
    Domain* d = hosts[i];
    again = min(again, look_at(rt, d, now));
    domain_release(d);
  }
  return again;
}

namespace {

// close_gs looks at it meanwhile. One that is written off stays inside: it never
// runs again.
void set_outside(Runtime* rt, G* g, bool outside) {
  Locked held(rt->join_locks[g->slot % kJoinLocks]);
  g->ext->outside = outside && !(g->word.load(relaxed) & kLost);
}

}  // namespace

int domain_leave(M*& m) {
  G* g = m->cur;
  if (!inside_domain(g)) {
    return kEPERM;
  }
  set_outside(m->rt, g, true);
  unroute(m->rt, g);
  m->after = After{.kind = AfterKind::route, .g = g};
  m = switch_away(m, g->body);
  return 0;
}

int domain_enter(M*& m) {
  G* g = m->cur;
  if (!g->ext || !g->ext->domain || !g->ext->outside ||
      g->body->rare()->lock_depth) {
    return kEPERM;
  }
  if (domain_closed(g->ext->domain)) {
    return kECLOSED;
  }
  set_outside(m->rt, g, false);
  g->flags |= kRouted;
  m->after = After{.kind = AfterKind::route, .g = g};
  m = switch_away(m, g->body);
  return 0;
}

int domain_pump(M* m, Domain* d, i64 deadline) {
  if (!pumped(d)) {
    return kEINVAL;
  }
  if (g_of(m)) {
    return kEPERM;
  }
  if (domain_closed(d)) {
    return kECLOSED;
  }
  M* lender = m_lend(d->rt);
  if (!lender) {
    return kENOMEM;
  }
  bool mine;
  {
    Locked held(d->lock);
    mine = d->hold == Hold::idle;
    if (mine) {
      d->hold = Hold::held;
      d->holder = lender;
      if (d->raised) {
        d->raised = false;
        os::wake_fd_clear(d->wake);
      }
    }
  }
  int err = mine ? 0 : kEBUSY;
  if (!err && acquire_host(lender, d)) {
    // Another M sees to what the P is called for, and gives it back.
    constexpr u32 kOthers = kAttnTimers | kAttnWanted | kAttnRetire;
    u32 ran = 0;
    bool called = true;
    while (called && lend_p(lender, false)) {
      called = false;
      u32 before = ran;
      drain(lender, d, [&] {
        called =
            ran != before && (lender->p->attention.load(relaxed) & kOthers);
        return !called && (ran++ == 0 || deadline == kForever ||
                           (deadline != kTry && os::now_ns() < deadline));
      });
      drop_p(lender);
    }
    err = ran ? 0 : kEAGAIN;
    release_host(d);
  }
  if (THRUM_UNLIKELY(forked(lender))) {
    return leave_forked(lender);
  }
  bool more = false;
  if (mine) {
    let_go(lender, d);
    Locked held(d->lock);
    more = !d->queue.empty();
    if (more && d->hold == Hold::idle) {  // else another thread pumps it
      raise_wake(d);
    }
  }
  m_unlend(lender);
  return err ? err : (more ? 2 : (d->gs.load(relaxed) ? 1 : 0));
}

int domain_wake_fd(Domain* d) { return pumped(d) ? d->wake.epoll : kEINVAL; }

int domain_close(M* m, Domain* d) {
  Runtime* rt = d->rt;
  {
    Locked held(d->lock);
    if (d->closed.load(relaxed)) {
      return kECLOSED;
    }
    d->closed.store(true, release);
    d->queue = Fifo<G>{};
  }
  close_gs(m, rt, d);
  return 0;
}

}  // namespace thrum
