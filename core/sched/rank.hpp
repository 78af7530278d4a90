// Ranks: the class a G was spawned with (THRUM_PRIO_*), and the one it is lent while
// it holds a mutex that a higher one waits for. See rank.cpp.
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/ready.hpp"

namespace thrum {

// G::rank: the class of its spawn in two bits, the one it has now in two, and how
// many mutexes lend it that.
constexpr u8 kLentOne = 16;

inline u8 rank_bits(u8 rank) { return static_cast<u8>(rank | rank << 2); }
inline u8 rank_now(const G* g) { return g->rank.load(relaxed) >> 2 & 3; }
inline bool rank_lent(const G* g) { return g->rank.load(seq_cst) >= kLentOne; }

// Is a served before b?
inline bool above(u8 a, u8 b) {
  constexpr u8 kPlace[kRanks] = {1, 0, 2};  // kNormal, kHigh, kLow
  return kPlace[a] < kPlace[b];
}

// With rt->lock held: the queue between Ps that g belongs in, by its rank.
void push_between(Runtime* rt, G* g);
// A G that is not normal now, from m's P or (m null, or without) from elsewhere.
void rank_put(M* m, Runtime* rt, G* g);
// In the loop: a G of the class whose turn it is; null: it is the normal ones'.
G* rank_pick(M* m, P* p);
inline bool rank_waits(const M* m, const P* p) {
  return (m->rt->ranked_count.load(relaxed) | p->rank_on.load(relaxed) |
          (m->slow.load(relaxed) & kSlowRank)) != 0;
}

}  // namespace thrum
