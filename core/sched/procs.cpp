// Ps: making them, and changing their number while everything runs.
//
// A surplus P (id >= procs) is asked to retire; at its next scheduling point its
// M moves the queues to the global one and lets go. Nothing stops; no G is lost.
// P structs are never freed before the runtime: their timers are still looked at
// by everyone.
// SPDX-License-Identifier: MIT
#include <new>

#include "sched/pace.hpp"
#include "sched/ready.hpp"
#include "sched/signals.hpp"

namespace thrum {

namespace {

void empty_queues(M* m, P* p) {
  Fifo<G> all;
  if (G* g = p->take_next()) {
    all.push(g);
  }
  while (G* g = p->take_ring()) {
    all.push(g);
  }
  while (G* g = p->take_fresh()) {
    all.push(g);
  }
  Locked held(m->rt->lock);
  m->rt->global.splice(all);
}

bool surplus(P* p) { return p->id >= p->rt->procs.load(relaxed); }

// Before there are thieves: P 0 must know. Its M takes without locked
// instructions only inside the core; after the fence it sees the flag when it
// enters, and one that is in the core now has passed its taking when it has left
// or dispatched. One that holds no P will see the flag with its next.
void end_alone(M* self, Runtime* rt) {
  P* p = rt->ps[0];
  if (!p || !p->alone.load(relaxed)) {
    return;
  }
  u64 before = p->dispatches.load(relaxed);
  p->alone.store(false, seq_cst);
  os::fence_all();
  for (;;) {
    M* m = p->m.load(acquire);
    if (!m || m == self || p->state.load(acquire) != PState::running ||
        !m->door.in_core.load(acquire) ||
        p->dispatches.load(relaxed) != before) {
      return;
    }
    os::thread_yield();
  }
}

P* p_make(Runtime* rt, u32 id) {
  P* p = rt->config.source.make<P>();
  if (!p) {
    return nullptr;
  }
  new (p) P{};
  p->id = id;
  p->rt = rt;
  p->fair_in = kFairEvery;
  p->sample_in = 1;
  p->net_in = 1;
  p->earliest.store(kForever, relaxed);
  p->stock = mem::Stack::kind_of(rt->config.stack_class, 0);
  p->choice.state = rt->config.seed ^ (u64{id} << 32) ^ 0x7468726d;
  return p;
}

void ps_free(Runtime* rt, P* p) {
  while (p) {
    P* next = p->next_idle;
    rt->config.source.give(p, sizeof *p);
    p = next;
  }
}

// Those that n Ps need and that there are not yet, by their numbers; false: no
// memory. Before the lock: it may be the host's allocator that makes them.
bool ps_make(Runtime* rt, u32 n, P** out) {
  *out = nullptr;
  for (u32 id = n; id-- > rt->p_count.load(acquire);) {
    P* p = p_make(rt, id);
    if (!p) {
      ps_free(rt, *out);
      return false;
    }
    p->alone.store(n == 1 && rt->fence_all, relaxed);
    p->state.store(PState::dead, relaxed);
    p->next_idle = *out;
    *out = p;
  }
  return true;
}

// With Runtime.lock held: adds those that nobody else has added meanwhile.
u32 ps_add(Runtime* rt, P** at, u32 made) {
  while (P* p = *at) {
    if (p->id != made) {
      at = &p->next_idle;
      continue;
    }
    *at = p->next_idle;
    p->next_idle = nullptr;
    rt->ps[made++] = p;
    rt->p_count.store(made, release);  // pairs with the acquire of readers
  }
  return made;
}

}  // namespace

bool give_wanted(M* m) {
  Runtime* rt = m->rt;
  M* to;
  if (!rt->wanting.load(seq_cst)) {
    return false;
  }
  {
    Locked held(rt->lock);
    to = wanted_pop(rt);
    if (!to) {
      return false;
    }
    to->next_p = leave_p(m);
  }
  stop_spinning(m);
  note_wake(to);
  return true;
}

// What the P has, and what its M has counted since. While the M lets go of it
// some may be missing.
void tally_of(P* p, mem::Tally& out) {
  mem::Tally none{};
  M* m = p->m.load(acquire);  // pairs with take_p
  mem::Tally seen{};
  if (m) {
    seen.add(m->tallied, none);
  }
  mem::Tally zero{};
  out.add(p->tally, zero);
  if (m) {
    out.add(m->heap.tally, seen);
  }
}

void take_p(M* m, P* p) {
  m->p = p;
  p->rank_since = 0;
  p->m.store(m, release);  // pairs with end_alone: m is made
  p->state.store(PState::running, relaxed);
  if (THRUM_UNLIKELY(m->signals_seen != m->rt->signals_set.load(relaxed))) {
    p->attention.fetch_or(kAttnSignals, relaxed);
  }
  const Near* near = m->rt->near.load(acquire);  // pairs with near_set
  if (THRUM_UNLIKELY(near != nullptr)) {
    arrive(*near, m, p);
  }
}

bool attend(M* m, P* p) {
  u32 bits = p->attention.exchange(0, relaxed);
  if (THRUM_UNLIKELY(bits & kAttnWorld)) {
    world_wait(m);
  }
  if (THRUM_UNLIKELY(bits & kAttnPace)) {
    p->attention.fetch_or(bits & ~(kAttnPace | kAttnWorld), relaxed);
    pace_wait(m);
    return false;  // the world may have been stopped meanwhile
  }
  if (bits & kAttnTimers) {
    late_ones_first(m, p, os::now_ns());
  }
  if (bits & kAttnPlace) {
    take_place(m, p);
  }
  if (bits & kAttnSignals) {
    signals_rejoin(m);
  }
  if (bits & kAttnSlice) {
    source_poll(m->rt, m);
    if (G* g = p->runq.has_next() ? p->take_next() : nullptr) {
      runq_put(m, p, g);
    }
  }
  if ((bits & kAttnRetire) && surplus(p)) {
    empty_queues(m, p);
    {
      Locked held(m->rt->lock);
      if (surplus(p)) {  // still: procs may have grown meanwhile
        leave_p(m)->state.store(PState::dead, relaxed);
      }
    }
    if (!m->p) {
      stop_spinning(m);
      wake_p(m->rt);
      return false;
    }
  }
  return !((bits & kAttnWanted) && give_wanted(m));
}

int set_procs(M* m, Runtime* rt, u32 n) {
  if (n > 1) {
    end_alone(m, rt);
  }
  u32 old;
  u32 fresh = 0;
  P* more;
  if (!ps_make(rt, n, &more)) {
    return kENOMEM;
  }
  {
    Locked held(rt->lock);
    old = rt->procs.load(relaxed);
    u32 made = rt->p_count.load(relaxed);
    made = ps_add(rt, &more, made);
    rt->procs.store(n, relaxed);
    for (u32 i = 0; i < made; ++i) {
      P* p = rt->ps[i];
      if (i < n) {
        p->attention.fetch_and(~kAttnRetire, relaxed);
        if (p->state.load(relaxed) == PState::dead) {
          note_wake(free_p(rt, p));
          ++fresh;
        }
      } else if (p->state.load(relaxed) != PState::dead) {
        p->attention.fetch_or(kAttnRetire, relaxed);
      }
    }
    // Idle surplus Ps go at once.
    P** at = &rt->idle_p;
    while (P* p = *at) {
      if (p->id < n) {
        at = &p->next_idle;
        continue;
      }
      *at = p->next_idle;
      p->state.store(PState::dead, relaxed);
      rt->idle_count.store(rt->idle_count.load(relaxed) - 1, seq_cst);
    }
  }
  ps_free(rt, more);
  sysmon_prompt(rt);  // Ms outside may hold surplus ones
  while (fresh-- && has_work(rt)) {
    wake_p(rt);
  }
  return static_cast<int>(old);
}

}  // namespace thrum
