// The deterministic runtime: one M, every free choice from the seed, and a clock
// that stands still while a G can run and jumps to the next timer when none can.
//
// The event trace is a hash over (which slot, at what virtual time) of every
// dispatch: equal hashes mean equal orders.
// SPDX-License-Identifier: MIT
#include "mem/heap.hpp"
#include "sched/ready.hpp"

namespace thrum {

namespace {

// FNV-1a over the words of an event.
void trace(Runtime* rt, u64 word) {
  rt->trace = (rt->trace ^ word) * 0x100000001b3u;
}

// One of the ready Gs: of the drawer, or of those that run on m alone. The caller
// holds Runtime.lock.
G* ready_one(M* m, Drawer& d) {
  take_in(m);
  u32 n = d.count + m->own.count;
  if (!n) {
    return nullptr;
  }
  u32 at = m->rt->seeded.below(n);
  if (at < d.count) {
    G* g = d.items[at];
    d.items[at] = d.items[--d.count];
    return g;
  }
  // Of a long queue one of the first: each step over one costs.
  for (u32 over = (at - d.count) % 64; over; --over) {
    m->own.push(m->own.pop());
  }
  return own_pop(m);
}

}  // namespace

G* draw(M* m) {
  Runtime* rt = m->rt;
  for (;;) {
    {
      Locked held(rt->lock);
      if (G* g = ready_one(m, rt->drawer)) {
        trace(rt, g->slot);
        trace(rt, static_cast<u64>(rt->virtual_now.load(relaxed)));
        return g;
      }
    }
    i64 first = earliest_timer(rt);
    if (first == kForever) {
      return nullptr;
    }
    rt->virtual_now.store(max(first, rt->virtual_now.load(relaxed)), relaxed);
    run_timers(m, m->p, rt->virtual_now.load(relaxed));
  }
}

bool drawer_reserve(Runtime* rt, u32 domains) {
  u64 live = live_gs(rt);
  Locked held(rt->lock);
  Drawer& d = rt->drawer;
  d.domains += domains;
  u64 need = live + d.domains + 1;
  if (d.capacity >= need) {
    return true;
  }
  u32 n = max(d.capacity * 2, static_cast<u32>(need) + 64);
  void* p = mem::realloc(d.items, n * sizeof(G*));
  if (!p) {
    d.domains -= domains;
    return false;
  }
  d.items = static_cast<G**>(p);
  d.capacity = n;
  return true;
}

void drawer_put(Runtime* rt, G* g) {
  Locked held(rt->lock);
  Drawer& d = rt->drawer;
  THRUM_CHECK(d.count < d.capacity);  // spawn made room
  d.items[d.count++] = g;
}

}  // namespace thrum
