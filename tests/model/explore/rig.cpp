// SPDX-License-Identifier: MIT
#include "explore/rig.hpp"

#include <new>
#include <string.h>

#include "explore/explore.hpp"
#include "sched/domain.hpp"
#include "sched/ready.hpp"

namespace rig {

using namespace thrum;

Runtime* rt;

namespace {

constexpr unsigned kGs = 6;
constexpr size_t kStack = 48 << 10;
constexpr u64 kFirstGen = u64{1} << kGenShift;

alignas(kChunkBytes) char chunk[kChunkBytes];
alignas(64) char stacks[kGs][kStack];

M* ms[explore::kThreads];
M* current[explore::kThreads];  // the one thread-local, per explorer's thread
u32 g_count;

G* slot(u32 i) { return reinterpret_cast<G*>(chunk) + i; }

bool live(G* g) {
  u64 word = explore::glance(&g->word, sizeof g->word);
  return (word & kLive) && (word & kGenMask) == kFirstGen;
}

bool all_ended() {
  for (u32 i = 1; i <= g_count; ++i) {
    if (live(slot(i))) {
      return false;
    }
  }
  return true;
}

template <class T>
void hide(T& field) {
  explore::quiet(&field, sizeof field);
}

}  // namespace

void build(unsigned n) {
  g_count = 0;
  memset(current, 0, sizeof current);
  memset(static_cast<void*>(slot(0)), 0, sizeof(G) * (kGs + 1));
  rt = explore::make<Runtime>();
  rt->tag = 1;
  rt->config.procs = n;
  rt->refs.store(1, relaxed);
  rt->sleep_until.store(kForever, relaxed);
  auto* head = reinterpret_cast<ChunkHead*>(chunk);
  head->rt = rt;
  head->first_slot = 0;
  rt->table.chunks[0].store(chunk, relaxed);
  rt->table.chunk_count = 1;
  rt->table.bump = kGs + 1;
  rt->procs.store(n, relaxed);
  rt->p_count.store(n, relaxed);
  for (unsigned i = 0; i < n; ++i) {
    P* p = new (explore::alloc(sizeof(P))) P{};
    p->id = i;
    p->rt = rt;
    p->earliest.store(kForever, relaxed);
    p->fair_in = kFairEvery;
    p->state.store(PState::running, relaxed);
    rt->ps[i] = p;
    M* m = new (explore::alloc(sizeof(M))) M{};
    m->rt = rt;
    m->id = i;
    m->p = p;
    m->slow.store(kSlowPump, relaxed);
    p->m = m;
    ms[i] = m;
    hide(p->dispatches);
    hide(p->parks);
    hide(p->spawned);
    hide(p->exited);
    hide(p->attention);
    hide(m->in_core);
    hide(m->slow);
    hide(m->pinned_n);
  }
  hide(rt->p_count);
  hide(rt->table.chunks[0]);
}

u64 go(void (*fn)(void*), void* arg) {
  u32 i = ++g_count;
  G* g = slot(i);
  g->slot = i;
  g->fn = fn;
  g->arg = arg;
  Body* b = new (explore::alloc(sizeof(Body))) Body{};
  b->timer.id.store(Timer::kIdle, relaxed);
  b->stack.lo = stacks[i - 1];
  b->stack.hi = stacks[i - 1] + kStack;
  b->sp = context_make(b->stack.hi, g_main);
  body_dress(ms[0], g, b);
  b->pin = ms[0];
  g->flags |= kRouted;
  g->word.store(kFirstGen | kLive, relaxed);
  explore::hand(g);
  return handle_of(rt->tag, i, kFirstGen);
}

G* g(u64 handle) { return slot(handle_slot(handle)); }
M* m(unsigned i) { return ms[i]; }

void run(unsigned i) {
  M* m = ms[i];
  set_this_m(m);
  while (void* g = explore::take()) {
    execute(m, static_cast<G*>(g));
    if (all_ended()) {
      explore::shut();
    }
  }
}

}  // namespace rig

namespace thrum {

M* this_m() { return rig::current[explore::thread()]; }
void set_this_m(M* m) { rig::current[explore::thread()] = m; }

void ready_pinned(M*, M*, G* g) { explore::hand(g); }

}  // namespace thrum
