// Work from elsewhere: the global queue, other Ps, the fairness tick.
// SPDX-License-Identifier: MIT
#include "sched/ready.hpp"
#include "sched/source.hpp"

namespace thrum {

namespace {

// A runnext is its P's next breath: stealing it while the P is about to take it
// moves a chattering pair to two CPUs. Go waits 3 us first (runqgrab).
constexpr int kNextPatience = 64;  // pauses, some 40 ns each

bool next_is_stale(P* victim) {
  u64 before = victim->dispatches.load(relaxed);
  for (int i = 0; i < kNextPatience; ++i) {
    cpu_relax();
  }
  return victim->runq.has_next() && victim->dispatches.load(relaxed) == before;
}

G* steal_from(M* m, P* p, P* victim, bool last_round) {
  if (victim->runq.size()) {
    G* half[kRing / 2];
    u32 n = victim->runq.grab(half);
    if (n) {
      bump(p->steals);
      trace(m, p->rt, Event::steal, half[n - 1], victim->id);
      for (u32 i = 0; i + 1 < n; ++i) {
        runq_put(m, p, half[i]);
      }
      return half[n - 1];
    }
  }
  // The oldest of the unstarted ones: each stands for a whole subtree.
  if (victim->fresh.size()) {
    if (G* g = victim->fresh.steal()) {
      bump(p->steals);
      trace(m, p->rt, Event::steal, g, victim->id);
      for (u32 more = min(victim->fresh.size() / 2, kRing / 4); more; --more) {
        G* also = victim->fresh.steal();
        if (!also) {
          break;
        }
        runq_put(m, p, also);
      }
      return g;
    }
  }
  if (last_round && victim->runq.has_next() && next_is_stale(victim)) {
    if (G* g = victim->runq.take_next()) {
      bump(p->steals);
      trace(m, p->rt, Event::steal, g, victim->id);
      return g;
    }
  }
  return nullptr;
}

}  // namespace

G* take_global(M* m, P* p, bool batch) {
  Runtime* rt = m->rt;
  if (!rt->global.size()) {
    return nullptr;
  }
  Fifo<G> rest;
  G* first;
  {
    Locked held(rt->lock);
    first = rt->global.pop();
    if (first && batch) {
      // A fair share, at most half a ring (Go's globrunqget).
      u32 share = min(rt->global.size() / max(rt->procs.load(relaxed), 1u) + 1,
                      kRing / 2);
      while (G* g = rest.count + 1 < share ? rt->global.pop() : nullptr) {
        __builtin_prefetch(g->body);
        rest.push(g);
      }
    }
  }
  // They will run one after the other, and of many each is cold: the context
  // first, then the stack it points to. Before they can be stolen.
  for (G* g = rest.head; g; g = g->next) {
    if (Body* b = g->body) {
      prefetch_context(b);
    }
  }
  while (G* g = rest.pop()) {
    runq_put(m, p, g);
  }
  return first;
}

// Every kFairEvery dispatches: due timers, the global queue, the oldest
// unstarted G, in turn; and a sample of how long a dispatch takes.
G* pick_fair(M* m, P* p) {
  Runtime* rt = m->rt;
  p->fair_in = kFairEvery;
  u64 now = cpu_ticks();
  u64 per = (now - p->sampled) / kFairEvery;
  u32 mean = p->mean_run.load(relaxed);
  u32 fresh = static_cast<u32>(min(per, u64{UINT32_MAX / 8}));
  p->mean_run.store(mean ? (mean * 3 + fresh) / 4 + 1 : fresh + 1, relaxed);
  p->sampled = now;
  if (THRUM_UNLIKELY(rt->source.load(relaxed)) &&
      now - rt->polled.load(relaxed) > rt->long_ticks) {
    source_prompt(m);
  }
  if (THRUM_UNLIKELY(rt->ranked_count.load(relaxed))) {
    m->slow.fetch_or(kSlowRank, relaxed);
  }
  if (rt->wanting.load(relaxed)) {
    p->attention.fetch_or(kAttnWanted, relaxed);
    return nullptr;
  }
  if (p->earliest.load(relaxed) != kForever) {
    run_timers(m, p, os::now_ns());
  }
  if (G* g = take_global(m, p, false)) {
    return g;
  }
  return ++p->turn & 1 ? p->fresh.steal() : p->take_ring();
}

namespace {

// Of the Ps in some order at random those that `near` takes.
template <class F>
G* steal_round(M* m, P* p, u32 n, bool last, F near) {
  u32 at = p->choice.below(n);
  for (u32 i = 0; i < n; ++i, at = at + 1 == n ? 0 : at + 1) {
    P* victim = m->rt->ps[at];
    if (victim == p || !near(victim)) {
      continue;
    }
    if (last && victim->earliest.load(relaxed) != kForever) {
      // A busy P may be late for its own timers.
      if (run_timers(m, victim, os::now_ns())) {
        if (G* g = p->runq.get()) {
          return g;
        }
      }
    }
    if (G* g = steal_from(m, p, victim, last)) {
      return g;
    }
  }
  return nullptr;
}

// The nearest first; at random among those that are equally far.
G* steal_near(const Near& near, M* m, P* p, u32 n, bool last) {
  const u8* rings = near.ring[p->place.load(relaxed)];
  for (u32 ring = 0; ring < near.rings; ++ring) {
    G* g = steal_round(m, p, n, last, [&](P* victim) {
      return rings[victim->place.load(relaxed)] == ring;
    });
    if (g) {
      bump(p->steals_far, ring != 0);
      return g;
    }
  }
  return nullptr;
}

}  // namespace

G* steal(M* m) {
  Runtime* rt = m->rt;
  P* p = m->p;
  u32 n = rt->p_count.load(acquire);
  if (n < 2) {
    return nullptr;
  }
  const Near* near = rt->near.load(acquire);  // pairs with near_set
  if (THRUM_UNLIKELY(near != nullptr)) {
    arrive(*near, m, p);  // it has done nothing for a while
  }
  constexpr int kRounds = 4;
  for (int round = 0; round < kRounds; ++round) {
    bool last = round == kRounds - 1;
    G* g = THRUM_UNLIKELY(near != nullptr)
               ? steal_near(*near, m, p, n, last)
               : steal_round(m, p, n, last, [](P*) { return true; });
    if (g) {
      return g;
    }
  }
  return nullptr;
}

}  // namespace thrum
