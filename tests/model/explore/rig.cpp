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
Atomic<u32>* readable;
Bell* bell;

namespace {

constexpr unsigned kGs = 6;
constexpr size_t kStack = 48 << 10;
constexpr u64 kFirstGen = u64{1} << kGenShift;

alignas(kChunkBytes) char chunk[kChunkBytes];
alignas(64) char stacks[kGs][kStack];

M* ms[explore::kThreads];
M* current[explore::kThreads];  // the one thread-local, per explorer's thread
u32 m_count, g_count;

G* slot(u32 i) { return reinterpret_cast<G*>(chunk) + i; }

bool live(G* g) {
  u64 word = explore::glance(&g->word, sizeof g->word);
  return (word & kLive) && (word & kGenMask) == kFirstGen;
}

template <class T>
void hide(T& field) {
  explore::quiet(&field, sizeof field);
}

// What only observers read, and what never changes here.
void hide_dull(Runtime* r, M* m, P* p) {
  if (r) {
    hide(r->p_count);
    hide(r->procs);
    hide(r->sysmon_rest);
    hide(r->world);
    hide(r->starved_count);
    hide(r->visitors);
    hide(r->epoch);
    hide(r->table.chunks[0]);
    hide(r->signals_set);
    hide(r->near);
  }
  if (m) {
    hide(m->door.site);
    hide(m->heap.tally);
    hide(m->tallied);
  }
  if (p) {
    hide(p->dispatches);
    for (auto& n : p->waits) {
      hide(n);
    }
    hide(p->spawned);
    hide(p->exited);
    hide(p->steals);
    hide(p->handoffs);
    hide(p->mean_run);
    hide(p->tally);
  }
}

void build(unsigned n, unsigned p_count) {
  m_count = n;
  g_count = 0;
  memset(current, 0, sizeof current);
  memset(static_cast<void*>(slot(0)), 0, sizeof(G) * (kGs + 1));
  rt = explore::make<Runtime>();
  rt->tag = 1;
  rt->config.procs = p_count;
  rt->config.max_threads = n;
  rt->config.slice_ns = 10'000'000;
  rt->refs.store(1, relaxed);
  rt->sleep_until.store(kForever, relaxed);
  auto* head = reinterpret_cast<ChunkHead*>(chunk);
  head->rt = rt;
  head->first_slot = 0;
  rt->table.chunks[0].store(chunk, relaxed);
  rt->table.chunk_count = 1;
  rt->table.bump = rt->table.end = kGs + 1;
  rt->procs.store(p_count, relaxed);
  rt->p_count.store(p_count, relaxed);
  hide_dull(rt, nullptr, nullptr);
  for (unsigned i = 0; i < p_count; ++i) {
    P* p = new (explore::alloc(sizeof(P))) P{};
    p->id = i;
    p->rt = rt;
    p->earliest.store(kForever, relaxed);
    p->fair_in = kFairEvery;
    rt->ps[i] = p;
    hide_dull(nullptr, nullptr, p);
  }
  for (unsigned i = n; i-- > 0;) {
    M* m = new (explore::alloc(sizeof(M))) M{};
    m->rt = rt;
    m->id = i;
    m->next_m = rt->ms;
    rt->ms = m;
    ms[i] = m;
    hide_dull(nullptr, m, nullptr);
  }
  rt->m_count = n;
}

}  // namespace

void ideal(unsigned n) {
  build(n, n);
  for (unsigned i = 0; i < n; ++i) {
    take_p(ms[i], rt->ps[i]);
    ms[i]->slow.store(kSlowPump, relaxed);
    hide(ms[i]->slow);
    hide(ms[i]->pinned_n);
    hide(ms[i]->own_n);
    hide(ms[i]->door.in_core);
    hide(rt->ps[i]->attention);
    hide(rt->ps[i]->alone);
  }
}

void real(unsigned n, unsigned p_count, bool doors, bool timers) {
  build(n, p_count);
  // Nothing here pins or retires.
  if (!timers) {
    hide(rt->sleeper);
    hide(rt->sleep_until);
  }
  hide(rt->wanting);
  hide(rt->blocking);
  hide(rt->lent);
  hide(rt->running);
  hide(rt->stopping);
  for (unsigned i = 0; i < p_count; ++i) {
    hide(rt->ps[i]->alone);
    if (!timers) {
      hide(rt->ps[i]->earliest);
    }
    hide(rt->ps[i]->attention);
  }
  for (unsigned i = 0; i < n; ++i) {
    hide(ms[i]->slow);
    hide(ms[i]->pinned_n);
    hide(ms[i]->own_n);
    if (doors) {
      ms[i]->door.in_core.store(1, relaxed);
    } else {
      hide(ms[i]->door.in_core);
      hide(ms[i]->door.word);
    }
  }
  for (unsigned i = p_count; i-- > 0;) {
    free_p(rt, rt->ps[i]);
  }
}

M* m(unsigned i) { return ms[i]; }

G* make(void (*fn)(void*), void* arg) {
  u32 i = ++g_count;
  G* g = slot(i);
  g->slot = i;
  g->fn = fn;
  g->arg = arg;
  Body* b = new (explore::alloc(sizeof(Body))) Body{};
  b->timer.id.store(Timer::kIdle, relaxed);
  b->stack.bytes = kStack - sizeof(Rare);
  b->stack.hi = stacks[i - 1] + b->stack.bytes;
  b->stack.guarded = true;
  b->sp = context_make(b->stack.hi, g_main);
  body_dress(ms[0], g, b);
  g->word.store(kFirstGen | kLive, relaxed);
  return g;
}

u64 go(void (*fn)(void*), void* arg) {
  G* g = make(fn, arg);
  g->body->pin = ms[0];
  g->flags |= kRouted;
  explore::hand(g);
  return handle(g);
}

u64 handle(G* g) { return handle_of(rt->tag, g->slot, kFirstGen); }
G* g(u64 handle) { return slot(handle_slot(handle)); }

bool all_ended() {
  for (u32 i = 1; i <= g_count; ++i) {
    if (live(slot(i))) {
      return false;
    }
  }
  return true;
}

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

void work(unsigned i) {
  M* m = ms[i];
  set_this_m(m);
  loop(m);
  P* late;  // given to it as it was dismissed
  {
    Locked held(rt->lock);
    late = m->next_p;
    m->next_p = nullptr;
  }
  if (late) {
    take_p(m, late);
  }
  if (m->p) {
    drop_p(m);
  }
}

void dismiss() {
  {
    Locked held(rt->lock);
    for (M* m = rt->ms; m; m = m->next_m) {
      m->leaving.store(true, relaxed);
      if (m->idle) {
        idle_m_remove(rt, m);
      }
    }
  }
  for (M* m = rt->ms; m; m = m->next_m) {
    note_wake(m);
  }
}

}  // namespace rig

namespace thrum {

M* this_m() { return rig::current[explore::thread()]; }
void set_this_m(M* m) { rig::current[explore::thread()] = m; }

}  // namespace thrum
