// Domains: host code that must not run twice at once (a GIL, a lua_State).
//
// A runnable G of a domain queues on the domain, never on a P. The domain itself
// stands in the run queues as a token; the M that draws it becomes the holder
// and drains the queue, one switch_to hook per switch, until it is empty or has
// had its turn. acquire runs without a P, so no M ever waits for a GIL while it
// holds one. States under Domain.lock:
//   idle -> queued (first runnable G) -> held (an M drew the token) -> idle or
//   queued again. A pumped domain has no token: its thread drains it.
// SPDX-License-Identifier: MIT
#include "sched/domain.hpp"

#include "mem/heap.hpp"
#include "sched/enter.hpp"

namespace thrum {

namespace {

enum class Hold : u8 { idle, queued, held };

constexpr u32 kTurn = 256;  // switches before other work of the P gets a look

}  // namespace

struct Domain {
  Atomic<u32> refs;   // atomic
  Atomic<u32> gs;     // atomic: its Gs alive
  Runtime* rt;        // const; retained
  DomainOps ops;      // const
  void* arg;          // const
  WordLock lock;
  Fifo<G> queue;      // lock
  Hold hold;          // lock
  Atomic<bool> closed;  // lock writes
  M* holder;          // lock
  G token;            // in a run queue while `queued`
  os::WakeFd wake;    // const; pumped ones
  bool raised;        // lock
};

namespace {

bool pumped(const Domain* d) { return d->ops.flags & kDomainPumped; }

// The token is no table G: it is routed by hand.
void queue_token(M* m, Domain* d) {
  Runtime* rt = d->rt;
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

G* next_of(Domain* d) {
  Locked held(d->lock);
  return d->closed.load(relaxed) ? nullptr : d->queue.pop();
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
  m->domain = d;
  m->slow.fetch_or(kSlowDomain, relaxed);
  while (G* g = more() ? next_of(d) : nullptr) {
    u64 word = g->word.load(relaxed);
    void* arg = g->arg;
    hook_switch(d, from, arg);
    execute(m, g);
    if (!m->p) {
      want_p(m);
    }
    // An ended G's argument is gone: the next switch comes from nothing.
    bool ended = (g->word.load(relaxed) & (kGenMask | kLive)) !=
                 (word & (kGenMask | kLive));
    from = ended ? nullptr : arg;
    if (ended) {
      hook_switch(d, arg, nullptr);
    }
  }
  hook_switch(d, from, nullptr);
  m->slow.fetch_and(~kSlowDomain, relaxed);
  m->domain = nullptr;
}

bool acquire_host(M* m, Domain* d) {
  if (!d->ops.acquire) {
    return true;
  }
  if (pumped(d)) {  // its thread has no P yet
    return d->ops.acquire(d->arg) >= 0;
  }
  // Between two Ps, but not idle: no deadlock verdict meanwhile.
  d->rt->blocking.fetch_add(1, seq_cst);
  drop_p(m);
  bool held = d->ops.acquire(d->arg) >= 0;
  want_p(m);
  d->rt->blocking.fetch_sub(1, seq_cst);
  return held;
}

void release_host(Domain* d) {
  if (d->ops.release) {
    d->ops.release(d->arg);
  }
}

// Gives the hold up; queues the domain again if Gs wait.
void let_go(M* m, Domain* d) {
  bool again;
  {
    Locked held(d->lock);
    d->holder = nullptr;
    again = !d->queue.empty() && !d->closed.load(relaxed) && !pumped(d);
    d->hold = again ? Hold::queued : Hold::idle;
  }
  if (again) {
    queue_token(m, d);
  }
}

}  // namespace

int domain_new(Runtime* rt, const DomainOps& ops, void* arg, Domain** out) {
  if (rt->stopping.load(relaxed)) {
    return kECLOSED;
  }
  Domain* d =
      static_cast<Domain*>(mem::alloc_aligned(sizeof(Domain), alignof(Domain)));
  if (!d) {
    return kENOMEM;
  }
  d->refs.store(1, relaxed);
  d->rt = rt;
  d->ops = ops;
  d->arg = arg;
  d->token.flags = kToken;
  d->token.arg = d;
  d->wake.epoll = d->wake.event = d->wake.timer = -1;
  if (pumped(d)) {
    int err = os::wake_fd_open(d->wake);
    if (err) {
      mem::free(d);
      return err;
    }
  }
  if (seeded(rt) && !drawer_reserve(rt, 1)) {
    os::wake_fd_close(d->wake);
    mem::free(d);
    return kENOMEM;
  }
  rt_retain(rt);
  *out = d;
  return 0;
}

void domain_retain(Domain* d) { d->refs.fetch_add(1, relaxed); }

void domain_release(Domain* d) {
  if (d->refs.fetch_sub(1, acq_rel) != 1) {
    return;
  }
  os::wake_fd_close(d->wake);
  Runtime* rt = d->rt;
  mem::free(d);
  rt_release(rt);
}

void domain_g_born(Domain* d) {
  domain_retain(d);
  d->gs.fetch_add(1, relaxed);
}

void domain_g_gone(Domain* d) {
  d->gs.fetch_sub(1, relaxed);
  domain_release(d);
}

Runtime* domain_rt(Domain* d) { return d->rt; }
bool domain_closed(Domain* d) { return d->closed.load(acquire); }

void domain_ready(M* m, Domain* d, G* g) {
  bool first = false;
  bool raise = false;
  {
    Locked held(d->lock);
    if (d->closed.load(relaxed)) {
      return;  // never runs again; its storage goes with the runtime
    }
    d->queue.push(g);
    if (pumped(d)) {
      raise = !d->raised && d->hold == Hold::idle;
      d->raised |= raise;
    } else if (d->hold == Hold::idle) {
      d->hold = Hold::queued;
      first = true;
    }
  }
  if (first) {
    queue_token(m, d);
  }
  if (raise) {
    os::wake_fd_raise(d->wake);
  }
}

void domain_run(M* m, G* token) {
  Domain* d = static_cast<Domain*>(token->arg);
  domain_retain(d);
  {
    Locked held(d->lock);
    d->hold = Hold::held;
    d->holder = m;
  }
  if (acquire_host(m, d)) {
    u32 left = kTurn;
    drain(m, d, [&] { return left-- > 0; });
    release_host(d);
  } else {
    domain_close(m, d);
  }
  let_go(m, d);
  domain_release(d);
}

int domain_leave(M*& m) {
  G* g = m->cur;
  if (!g->ext || !g->ext->domain || g->ext->outside) {
    return kEPERM;
  }
  g->ext->outside = true;
  g->flags &= static_cast<u8>(~kRouted);
  if (g->body->pin || seeded(m->rt)) {
    g->flags |= kRouted;
  }
  m->after = After{.kind = AfterKind::route, .g = g};
  m = switch_away(m, g->body);
  return 0;
}

int domain_enter(M*& m) {
  G* g = m->cur;
  if (!g->ext || !g->ext->domain || !g->ext->outside) {
    return kEPERM;
  }
  if (domain_closed(g->ext->domain)) {
    return kECLOSED;
  }
  g->ext->outside = false;
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
    }
    d->raised = false;
  }
  os::wake_fd_clear(d->wake);
  int err = mine ? 0 : kEBUSY;
  if (!err && acquire_host(lender, d)) {
    if (lend_p(lender, false)) {
      u32 ran = 0;
      drain(lender, d, [&] {
        return ran++ == 0 || deadline == kForever ||
               (deadline != kTry && os::now_ns() < deadline);
      });
      drop_p(lender);
    } else {
      err = kEAGAIN;
    }
    release_host(d);
  }
  bool more = false;
  if (mine) {
    let_go(lender, d);
    Locked held(d->lock);
    more = !d->queue.empty();
    if (more) {
      d->raised = true;
    }
  }
  if (more) {
    os::wake_fd_raise(d->wake);
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
