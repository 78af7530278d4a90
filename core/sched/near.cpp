// Where Ps are, and Ms that are pinned where their P shall be.
//
// A thread is pinned by itself, in its loop, when it has taken a P whose CPUs are
// others than those it has: 29 us if it must move. So who wakes an M for a P looks
// for one that is there already.
// SPDX-License-Identifier: MIT
#include "sched/near.hpp"

#include "sched/govern.hpp"
#include "sched/ready.hpp"

namespace thrum {

namespace {

u8 here(const Near& near) {
  int cpu = os::cpu_now();
  return near.of_cpu[min(static_cast<u32>(max(cpu, 0)), kCpus - 1)];
}

// The plan by which m is to be pinned; 0: it is not ours, or its host has said
// where it runs.
u32 plan_for(const M* m) {
  bool free =
      !m->lent && !m->pinned_cpus && !(m->slow.load(relaxed) & kSlowLocked);
  return free ? m->rt->plan.load(acquire) : 0;
}

bool at_home(const M* m, const P* p, u32 plan) {
  return m->plan == plan && m->home == p->id + 1;
}

void pin(const Near& near, M* m, P* p, u32 plan) {
  Runtime* rt = m->rt;
  CpuSet want;
  CpuSet got{};
  u8 place = rt->config.govern->home(rt->config.govern, p->id, &want);
  int err = os::affinity_set(0, want.words, kCpuWords);
  if (!err) {
    err = os::affinity_get(0, got.words, kCpuWords);
  }
  if (!err && !(got == want)) {
    err = kENOTSUP;  // some of them are not there any more
  }
  // Also if it was refused: tried again with the next plan only.
  m->plan = plan;
  m->home = p->id + 1;
  m->placed = !err;
  m->place = err ? here(near) : place;
  i32 memory = near.memory[near.node[m->place]];
  int memory_err = memory < 0 ? 0 : os::memory_prefer(static_cast<u32>(memory));
  Locked held(rt->lock);
  PinCounts& n = rt->pins;
  ++n.pinned;
  if (err) {
    ++n.refused;
    n.error = err;
  }
  if (memory_err) {
    ++n.memory_refused;
    n.memory_error = memory_err;
  }
}

}  // namespace

void near_set(Runtime* rt, const Near* near) {
  if (near) {
    rt->arenas.nodes(near->memory);
  }
  rt->near.store(near, release);  // pairs with all who load it
}

void near_again(Runtime* rt) {
  for (u32 i = 0; i < rt->p_count.load(acquire); ++i) {
    P* p = rt->ps[i];
    if (p->state.load(relaxed) == PState::running) {
      p->attention.fetch_or(kAttnPlace, relaxed);
    }
  }
}

void arrive(const Near& near, M* m, P* p) {
  u32 plan = plan_for(m);
  if (!plan || !m->placed) {
    m->place = here(near);
  }
  p->place.store(m->place, relaxed);
  if ((plan && !at_home(m, p, plan)) || near.node[m->place] != p->node()) {
    p->attention.fetch_or(kAttnPlace, relaxed);
  }
}

void take_place(M* m, P* p) {
  Runtime* rt = m->rt;
  const Near* near = rt->near.load(acquire);
  if (!near) {
    return;
  }
  u32 plan = plan_for(m);
  if (plan && !at_home(m, p, plan)) {
    pin(*near, m, p, plan);
  } else if (!plan || !m->placed) {
    m->place = here(*near);
  }
  p->place.store(m->place, relaxed);
  u16 stock = mem::Stack::kind_of(rt->config.stack_class, near->node[m->place]);
  if (stock != p->stock) {
    body_flush(rt, p);  // stacks of another node
    p->stock = stock;
  }
}

P** idle_nearest(const Near& near, Runtime* rt) {
  M* m = this_m();
  u32 plan = rt->plan.load(relaxed);
  u8 from = here(near);
  u32 least = UINT32_MAX;
  P** best = nullptr;
  for (P** at = &rt->idle_p; *at && least; at = &(*at)->next_idle) {
    u32 far = 2 * near.ring[from][(*at)->place.load(relaxed)];
    // The one that it is pinned for, if that is who asks.
    far += plan && m && m->rt == rt && !at_home(m, *at, plan);
    if (far < least) {
      least = far;
      best = at;
    }
  }
  return best;
}

u32 m_apart(const Near& near, const M* m, const P* p) {
  u32 plan = m->rt->plan.load(relaxed);
  return 2 * near.ring[m->place][p->place.load(relaxed)] +
         (plan && !at_home(m, p, plan));
}

}  // namespace thrum
