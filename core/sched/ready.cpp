// Making Gs runnable, and waking Ms for them. The only file that starts an M.
//
// Who is woken: at most one M at a time looks for work (`spinning`); when it
// finds some it wakes the next. An idle P is woken only if what is queued, times
// how long a dispatch takes here, is worth more than the wake itself, which costs
// the waker too (13 us on a virtual machine): so a chattering pair wakes nobody,
// and a G that hands over and goes on computing does. Where other threads have the
// CPUs, and who is woken would find the work done, it takes more (wake_late). What
// was not worth it is found by sysmon within a tick.
// SPDX-License-Identifier: MIT
#include "sched/ready.hpp"

#include "sched/domain.hpp"
#include "sched/rank.hpp"
#include "sched/source.hpp"

namespace thrum {

namespace {

void push_global(Runtime* rt, G* g) {
  Locked held(rt->lock);
  rt->global.push(g);
}

void queue(M* m, Runtime* rt, G* g, bool next) {
  M* pin = (g->flags & kStarted) ? body_of(g)->pin
                                 : (g->ext ? g->ext->pin : nullptr);
  Domain* d = g->ext && !g->ext->outside ? g->ext->domain : nullptr;
  if (d && (g->word.load(relaxed) & kLost)) {
    return;  // never runs again; its storage goes with the runtime
  }
  if (d) {
    domain_ready(m, d, g);
  } else if (pin) {
    ready_pinned(m, pin, g);
  } else if (seeded(rt)) {
    drawer_put(rt, g);
    if (!m || m->rt != rt) {
      announce(rt);
    }
  } else if (THRUM_UNLIKELY(rank_now(g) != kNormal)) {
    rank_put(m, rt, g);
  } else if (m && m->rt == rt && m->p) {
    G* behind = next ? m->p->runq.put_next(g) : g;
    if (behind) {
      runq_put(m, m->p, behind);
    }
  } else {
    push_global(rt, g);
    announce(rt);
  }
}

}  // namespace

void announce(Runtime* rt) {
  if (!owns_threads(rt)) {
    raise_wake_fd(rt);
  }
  wake_p(rt);
}

void raise_wake_fd(Runtime* rt) {
  // One write until the next pump clears it. acq_rel: orders the queue's store
  // before the flag that pump exchanges.
  if (rt->wake_fd.epoll >= 0 && !rt->wake_raised.exchange(1, acq_rel)) {
    os::wake_fd_raise(rt->wake_fd);
  }
}

void lower_wake_fd(Runtime* rt) {
  if (rt->wake_fd.epoll >= 0 && rt->wake_raised.load(relaxed)) {
    // In this order: who raises in between need not write, for we see what it is
    // for.
    os::wake_fd_clear(rt->wake_fd);
    rt->wake_raised.exchange(0, acq_rel);
  }
}

void push_batch(Runtime* rt, G** items, u32 n) {
  Fifo<G> batch;
  for (u32 i = 0; i < n; ++i) {
    batch.push(items[i]);
  }
  Locked held(rt->lock);
  rt->global.splice(batch);
}

void push_unblocked(Runtime* rt, G* g) {
  Locked held(rt->lock);
  push_between(rt, g);
  rt->blocking.fetch_sub(1, seq_cst);  // before g can run on
}

void runq_put(M* m, P* p, G* g) {
  while (THRUM_UNLIKELY(!p->runq.put(g))) {
    G* half[kRing / 2];
    push_batch(m->rt, half, p->runq.spill(half));
  }
  maybe_wake(p);
}

void put_all(M* m, Fifo<G>& gs) {
  Runtime* rt = m->rt;
  // What the ring cannot hold goes to the global queue as it is; and what comes
  // while that is waiting there must not overtake it.
  if (gs.count + m->p->runq.size() > kRing || rt->global.woken()) {
    {
      Locked held(rt->lock);
      rt->global.splice_woken(gs);
    }
    maybe_wake(m->p);
    return;
  }
  // One for an M that looks for work is nobody else's.
  if (G* g = m->cur ? nullptr : gs.pop(); g && !m->p->runq.put(g)) {
    runq_put(m, m->p, g);
  }
  while (G* g = gs.pop()) {
    runq_put(m, m->p, g);
  }
}

void fresh_put(P* p, G* g) {
  while (THRUM_UNLIKELY(!p->fresh.push(g))) {
    G* half[kRing / 2];
    push_batch(p->rt, half, p->fresh.spill(half));
  }
  maybe_wake(p);
}

void route(M* m, G* g, bool next) {
  Runtime* rt = rt_of(g);
  if (THRUM_LIKELY(m && m->rt == rt)) {
    queue(m, rt, g, next);
    return;
  }
  if (THRUM_UNLIKELY(forked(rt))) {
    return;  // a G of the parent, which is not here to be run
  }
  // From elsewhere: the moment it is queued it may run, and be the last for which
  // its runtime lives on; destroy waits for us (release, pairs with its acquire).
  rt->visitors.fetch_add(1, relaxed);
  queue(m, rt, g, next);
  rt->visitors.fetch_sub(1, release);
}

// release: what its claimer did to it is done (pairs with all_awake).
static void set_runnable(G* g) { g->state.store(State::runnable, release); }

void ready(M* m, Wake* wake) {
  G* g = wake->g;
  if (THRUM_UNLIKELY(!g)) {
    // From the store on the thread may return and its stack be gone: the wake
    // only names the address.
    Atomic<u32>* note = &wake->note;
    note->store(1, release);  // pairs with the acquire in wait_as_thread
    os::futex_wake(note, 1);
    return;
  }
  trace_ready(m, g);
  set_runnable(g);
  if (kMigrateAlways && !(g->flags & kRouted)) {
    if (m && m->p && rt_of(g) == m->rt) {
      measure_ready(m->p, g);
    }
    route(nullptr, g, true);
    return;
  }
  if (THRUM_LIKELY(m && m->p && !(g->flags & kRouted) && rt_of(g) == m->rt)) {
    measure_ready(m->p, g);
    if (G* behind = m->p->runq.put_next(g)) {
      runq_put(m, m->p, behind);
    } else {
      maybe_wake(m->p);
    }
    return;
  }
  route(m, g, true);
}

void ready_list(M* m, Waiter* list) {
  while (Waiter* w = list) {  // claimed: it stays until it is readied
    list = w->next;
    ready(m, w->wake);
  }
}

u32 ready_batch(M* m, Waiter* list) {
  Fifo<G> plain;
  u32 n = 0;
  while (Waiter* w = list) {
    list = w->next;
    ++n;
    Wake* wake = w->wake;
    G* g = wake->g;
    if (g && m && m->p && !(g->flags & kRouted) && rt_of(g) == m->rt) {
      trace_ready(m, g);
      measure_event(m->p, g);
      set_runnable(g);
      if (Body* b = g->body) {
        prefetch_context(b);
      }
      plain.push(g);
    } else if (g) {
      trace_ready(m, g);
      // To no P in particular, but what is bound to this thread. Without a P that is
      // asleep, as for others.
      bool here = m && m->p && body_of(g)->pin == m && !inside_domain(g);
      ready_behind(here ? m : nullptr, g);
    } else {
      ready(nullptr, wake);
    }
  }
  if (!plain.empty()) {
    put_all(m, plain);
  }
  return n;
}

void ready_behind(M* m, G* g) {
  if (m && m->p && rt_of(g) == m->rt) {
    measure_ready(m->p, g);
  }
  set_runnable(g);
  route(m, g, false);
}

// ---- Ms --------------------------------------------------------------------------

namespace {

void list_remove_idle(Runtime* rt, M* m) {
  (m->prev_idle ? m->prev_idle->next_idle : rt->idle_m) = m->next_idle;
  if (m->next_idle) {
    m->next_idle->prev_idle = m->prev_idle;
  }
  m->idle = false;
  --rt->idle_ms;
}

// The warmest idle M, but not one that waits for a timer or watches if another is
// there, one close to p if all are not, and an owned one for a G that a lent thread
// may not start.
M* pop_idle_m(Runtime* rt, P* p, bool owned) {
  M* sleeper = rt->sleeper.load(relaxed);
  M* watcher = rt->watcher.load(relaxed);
  const Near* near = rt->near.load(acquire);  // pairs with near_set
  M* found = nullptr;
  u32 least = UINT32_MAX;
  for (M* m = rt->idle_m; m && least; m = m->next_idle) {
    if (owned && m->lent) {
      continue;
    }
    u32 apart = m == sleeper || m == watcher ? UINT32_MAX
                : near && p                  ? m_apart(*near, m, p)
                                             : 0;
    if (apart <= least) {
      least = apart;
      found = m;
    }
  }
  if (found) {
    list_remove_idle(rt, found);
  }
  return found;
}

void idle_p_push(Runtime* rt, P* p) {
  p->state.store(PState::idle, relaxed);
  p->next_idle = rt->idle_p;
  rt->idle_p = p;
  rt->idle_count.store(rt->idle_count.load(relaxed) + 1, seq_cst);
}

}  // namespace

void idle_m_push(Runtime* rt, M* m) {
  m->prev_idle = nullptr;
  m->next_idle = rt->idle_m;
  if (rt->idle_m) {
    rt->idle_m->prev_idle = m;
  }
  rt->idle_m = m;
  m->idle = true;
  ++rt->idle_ms;
}

void idle_m_remove(Runtime* rt, M* m) { list_remove_idle(rt, m); }

M* wanted_pop(Runtime* rt) {
  M* m = rt->wanting_head;
  if (m) {
    rt->wanting_head = m->next_wanting;
    if (!rt->wanting_head) {
      rt->wanting_tail = nullptr;
    }
    rt->wanting.store(rt->wanting.load(relaxed) - 1, relaxed);
    m->wanting = false;
  }
  return m;
}

void wanted_append(Runtime* rt, M* m) {
  m->wanting = true;
  m->next_wanting = nullptr;
  if (rt->wanting_tail) {
    rt->wanting_tail->next_wanting = m;
  } else {
    rt->wanting_head = m;
  }
  rt->wanting_tail = m;
  rt->wanting.store(rt->wanting.load(relaxed) + 1, seq_cst);
}

void wanted_remove(Runtime* rt, M* m) {
  // Once round, so that the others keep their order.
  for (u32 n = m->wanting ? rt->wanting.load(relaxed) : 0; n > 0; --n) {
    M* first = wanted_pop(rt);
    if (first != m) {
      wanted_append(rt, first);
    }
  }
}

M* free_p(Runtime* rt, P* p) {
  if (p->id >= rt->procs.load(relaxed) && !p->queued()) {
    p->state.store(PState::dead, relaxed);  // surplus: nobody is to wake it
    return nullptr;
  }
  M* to = rt->world.load(relaxed) ? nullptr : wanted_pop(rt);
  if (to) {
    p->state.store(PState::running, relaxed);
    to->next_p = p;
  } else {
    idle_p_push(rt, p);
  }
  return to;
}

P* idle_p_pop(Runtime* rt) {
  P* p = rt->world.load(relaxed) ? nullptr : rt->idle_p;
  if (p) {
    P** at = &rt->idle_p;
    const Near* near = rt->near.load(acquire);  // pairs with near_set
    if (THRUM_UNLIKELY(near != nullptr)) {
      at = idle_nearest(*near, rt);
      p = *at;
    }
    *at = p->next_idle;
    rt->idle_count.store(rt->idle_count.load(relaxed) - 1, seq_cst);
    p->state.store(PState::running, relaxed);
  }
  return p;
}

bool start_m(Runtime* rt, P* p, G* g, bool spinning, bool owned) {
  bool create = false;
  M* m;
  {
    Locked held(rt->lock);
    m = pop_idle_m(rt, p, owned);
    if (m) {
      m->next_p = p;
      m->called_at = cpu_ticks();
      m->next_g = g;
      m->spinning = spinning;
    } else if (owns_threads(rt) && rt->m_count < rt->config.max_threads &&
               !rt->closing) {
      ++rt->m_count;
      ++rt->m_creating;
      create = true;
    }
  }
  if (m) {
    note_wake(m);
    return true;
  }
  if (create) {
    bool made = m_create(rt, p, g, spinning);
    Locked held(rt->lock);
    --rt->m_creating;
    if (made) {
      return true;
    }
    --rt->m_count;
  }
  return false;
}

void give_p(Runtime* rt, P* p, bool spinning) {
  if (!start_m(rt, p, nullptr, spinning, false)) {
    M* to;
    {
      Locked held(rt->lock);
      to = free_p(rt, p);
      if (spinning) {
        rt->spinning.fetch_sub(1, seq_cst);
      }
    }
    note_wake(to);
    raise_wake_fd(rt);
  }
}

void wake_p(Runtime* rt) {
  if (rt->idle_count.load(seq_cst) == 0) {
    sysmon_prompt(rt);
    return;
  }
  u32 none = 0;
  // seq_cst: pairs with the decrement of an M that stops looking (loop.cpp): it
  // re-checks every queue after it, we queued before this.
  if (rt->spinning.load(seq_cst) != 0 ||
      !rt->spinning.compare_exchange_strong(none, 1, seq_cst, relaxed)) {
    return;
  }
  P* p = nullptr;
  M* lent = nullptr;
  {
    Locked held(rt->lock);
    if (owns_threads(rt)) {
      p = idle_p_pop(rt);
    } else if (rt->idle_m && rt->idle_p) {
      // In one step: a pump that comes meanwhile finds the P or an M at work.
      lent = pop_idle_m(rt, nullptr, false);
      lent->next_p = idle_p_pop(rt);
      lent->spinning = true;
    }
    if (!p && !lent) {
      // Under the lock: whoever makes a P idle next sees no spinner.
      rt->spinning.fetch_sub(1, seq_cst);
    }
  }
  if (p) {
    give_p(rt, p, true);
  }
  note_wake(lent);
}

}  // namespace thrum
