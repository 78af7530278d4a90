// Classes of Gs: high and low ones wait in two queues of the runtime, normal ones
// where they always did. A G of a class is kRouted, so the paths of normal ones do
// not know of it; while one waits or runs, M::slow sends its M through the loop,
// and the loop comes here.
//
// Shares: each P keeps what it has spent on a class, in ticks times a price (high
// 1, normal 3, low 9), and serves of those that wait the one that has had least.
// So, under load, of 13 parts of the time 9, 3 and 1 go to each, and nobody
// starves; a class that was away gets no credit for it. A high G that comes to a
// P which runs less asks for it at the next check of what runs there.
// SPDX-License-Identifier: MIT
#include "sched/rank.hpp"

namespace thrum {

namespace {

constexpr u64 kPrice[kRanks] = {3, 1, 9};

// What has run since the last look is paid for by its class. Not more than for
// two slices: nobody looks while normal ones are alone.
void charge(P* p) {
  u64 now = cpu_ticks();
  if (p->rank_since) {
    u64 ran = min(now - p->rank_since, 2 * p->rt->slice_ticks);
    p->spent[p->rank_on.load(relaxed)] +=
        ran * kPrice[p->rank_on.load(relaxed)];
  }
  p->rank_since = now;
}

// With Runtime.lock held: the waiting class that has had least; the others do not
// save up.
u8 choose(Runtime* rt, P* p) {
  bool waits[kRanks];
  waits[kNormal] = p->queued() || rt->global.size();
  waits[kHigh] = !rt->ranked[kHigh].empty();
  waits[kLow] = !rt->ranked[kLow].empty();
  u8 best = kNormal;
  bool any = false;
  for (u8 rank : {kHigh, kNormal, kLow}) {
    if (waits[rank] && (!any || p->spent[rank] < p->spent[best])) {
      best = rank;
      any = true;
    }
  }
  for (u8 rank = 0; any && rank < kRanks; ++rank) {
    if (!waits[rank]) {
      p->spent[rank] = max(p->spent[rank], p->spent[best]);
    }
  }
  return best;
}

// Somebody who runs less than `rank` and is at a check soon, if there is anybody.
void ask_lower(Runtime* rt, u8 rank) {
  P* lowest = nullptr;
  for (u32 i = 0; i < rt->p_count.load(acquire); ++i) {
    P* p = rt->ps[i];
    u8 on = p->rank_on.load(relaxed);
    if (p->state.load(relaxed) == PState::running && above(rank, on) &&
        (!lowest || above(lowest->rank_on.load(relaxed), on))) {
      lowest = p;
    }
  }
  if (lowest) {
    lowest->attention.fetch_or(kAttnRank, relaxed);
  }
}

void slow_set(M* m, bool on) {
  if (on != !!(m->slow.load(relaxed) & kSlowRank)) {
    on ? m->slow.fetch_or(kSlowRank, relaxed)
       : m->slow.fetch_and(~kSlowRank, relaxed);
  }
}

void count(Runtime* rt) {
  rt->ranked_count.store(rt->ranked[kHigh].count + rt->ranked[kLow].count,
                         relaxed);
}

// Takes g out of a queue if it is among the first thousand.
bool unlink(Fifo<G>& q, G* g) {
  G* before = nullptr;
  u32 left = 1000;
  for (G* at = q.head; at && left--; before = at, at = at->next) {
    if (at != g) {
      continue;
    }
    (before ? before->next : q.head) = g->next;
    q.tail = q.tail == g ? before : q.tail;
    --q.count;
    return true;
  }
  return false;
}

}  // namespace

void push_between(Runtime* rt, G* g) {
  if (u8 rank = rank_now(g); THRUM_UNLIKELY(rank != kNormal)) {
    rt->ranked[rank].push(g);
    count(rt);
  } else {
    rt->global.push(g);
  }
}

void rank_put(M* m, Runtime* rt, G* g) {
  P* p = m && m->rt == rt ? m->p : nullptr;
  u8 rank = rank_now(g);
  {
    Locked held(rt->lock);
    push_between(rt, g);  // from here on g may be anywhere
  }
  if (!p) {
    announce(rt);
    ask_lower(rt, rank);
    return;
  }
  slow_set(m, true);
  maybe_wake(p);
  if (rank == kLow) {
    return;
  }
  if (!above(rank, p->rank_on.load(relaxed))) {
    ask_lower(rt, rank);
  } else if (m->cur) {
    p->attention.fetch_or(kAttnRank, relaxed);
  }
}

G* rank_pick(M* m, P* p) {
  Runtime* rt = m->rt;
  charge(p);
  u8 rank = kNormal;
  G* g = nullptr;
  if (rt->ranked_count.load(relaxed)) {
    Locked held(rt->lock);
    rank = choose(rt, p);
    g = rank == kNormal ? nullptr : rt->ranked[rank].pop();
    count(rt);
  }
  p->rank_on.store(rank, relaxed);
  slow_set(m, g || rt->ranked_count.load(relaxed));
  return g;
}

// ---- lending ---------------------------------------------------------------------

u8 rank_of_caller(M* m) {
  G* g = g_of(m);
  return g ? g->rank.load(seq_cst) >> 2 & 3 : kNormal;
}

u8 rank_of_queue(const WaitQueue& q) {
  u8 best = kLow;
  u32 left = 64;
  for (const Waiter* w = q.head; w && left--; w = w->next) {
    u8 rank = w->wake->g ? rank_now(w->wake->g) : kNormal;
    best = above(rank, best) ? rank : best;
  }
  return best;
}

G* rank_g(M* m, u64 who) {
  Runtime* rt = m ? m->rt : nullptr;
  if (!rt || !rt->ranks_used.load(relaxed)) {
    return nullptr;
  }
  char* chunk = reinterpret_cast<char*>(who & ~u64{kChunkBytes - 1});
  for (const Atomic<char*>& c : rt->table.chunks) {
    char* at = c.load(acquire);  // pairs with the release of who makes it
    if (!at) {
      break;
    }
    if (at == chunk) {
      return reinterpret_cast<G*>(who);
    }
  }
  return nullptr;
}

// Under the lock of a mutex, so `who` holds it and does not end. True: one lend
// more; whoever unlocks takes it back.
bool rank_lend(M* m, u64 who, u8 rank, bool again) {
  G* g = rank_g(m, who);
  if (!g) {
    return false;
  }
  u8 v = g->rank.load(relaxed);
  u8 to;
  do {
    u8 now = v >> 2 & 3;
    if (!above(rank, again ? now : v & 3) || (!again && v >= 15 * kLentOne)) {
      return false;
    }
    to =
        static_cast<u8>((v & ~(3 << 2)) | (above(rank, now) ? rank : now) << 2);
    to = static_cast<u8>(to + (again ? 0 : kLentOne));
    // seq_cst: then one looks where it waits (sync/mutex.cpp).
  } while (!g->rank.compare_exchange_weak(v, to, seq_cst, relaxed));
  // If it waits among the low ones it goes on from its new place. Whoever queues
  // it later reads its rank under this lock (push_between).
  Runtime* rt = m->rt;
  Locked held(rt->lock);
  if ((v >> 2 & 3) == kLow && unlink(rt->ranked[kLow], g)) {
    push_between(rt, g);
    count(rt);
  }
  return true;
}

// The calling G has unlocked a mutex that lent it a rank.
void rank_back(M* m) {
  G* g = g_of(m);
  if (!g) {
    return;
  }
  u8 v = g->rank.load(relaxed);
  u8 to;
  do {
    to = static_cast<u8>(v - kLentOne);
    if (to < kLentOne) {
      to = rank_bits(v & 3);
    }
  } while (!g->rank.compare_exchange_weak(v, to, relaxed, relaxed));
  if (m->p) {  // whom it readies now is compared with what it is
    m->p->rank_on.store(to >> 2 & 3, relaxed);
  }
}

}  // namespace thrum
