// SPDX-License-Identifier: MIT
#include "observe/stuck.hpp"

#include "base/die.hpp"
#include "base/err.hpp"
#include "mem/heap.hpp"
#include "observe/wait_graph.hpp"

namespace thrum {

namespace {

struct Solver {
  WaitGraph& graph;

  bool may_come(u64 handle) const {
    if (WaitNode* n = graph.find(handle)) {
      return n->free;
    }
    return g_lives(graph.rt, handle);
  }

  // Does node wait in the object of edges [from, to)?
  bool among(u64 handle, u32 from, u32 to) const {
    for (u32 i = from; i < to; ++i) {
      if (graph.nodes[graph.edges[i].node].handle == handle) {
        return true;
      }
    }
    return false;
  }

  // The declared wakers of an object: the first, and behind the last.
  const Waker* wakers_of(const void* object, const Waker** end) const {
    u32 lo = 0;
    u32 hi = graph.waker_count;
    while (lo < hi) {
      u32 mid = (lo + hi) / 2;
      if (graph.wakers[mid].object < object) {
        lo = mid + 1;
      } else {
        hi = mid;
      }
    }
    for (hi = lo;
         hi < graph.waker_count && graph.wakers[hi].object == object;) {
      ++hi;
    }
    *end = graph.wakers + hi;
    return graph.wakers + lo;
  }

  // Handles of a channel with Gs that will not use them: one of each that waits in
  // it, and of each that is declared and waits elsewhere. Who has ended has let go.
  u64 held(u32 from, u32 to) const {
    u64 n = 0;
    for (u32 i = from; i < to; ++i) {
      bool first = i == from || graph.edges[i].node != graph.edges[i - 1].node;
      n += first && !graph.nodes[graph.edges[i].node].free;
    }
    const Waker* end;
    const Waker* w = wakers_of(graph.edges[from].object, &end);
    for (; w != end; ++w) {
      WaitNode* waits = graph.find(w->g);
      n += waits && !waits->free && !among(w->g, from, to);
    }
    return n;
  }

  // Might somebody come to the object of edges [from, to)?
  bool group_open(u32 from, u32 to) const {
    const WaitEdge& e = graph.edges[from];
    if (e.on == On::handles) {
      return e.refs > held(from, to);
    }
    const Waker* end;
    const Waker* w = wakers_of(e.object, &end);
    if (w == end) {
      return true;
    }
    while (w != end && !may_come(w->g)) {
      ++w;
    }
    return w != end;
  }

  bool open(const WaitEdge& e, bool group) const {
    if (e.on == On::owner) {
      // One that has ended since the edge was read has run since.
      WaitNode* n = graph.find(e.owner);
      return !n || n->free;
    }
    return e.on != On::ended && group;
  }

  // One round; false: nothing has changed.
  bool round() {
    bool changed = false;
    for (u32 from = 0, to; from < graph.edge_count; from = to) {
      for (to = from + 1; to < graph.edge_count &&
                          graph.edges[to].object == graph.edges[from].object;) {
        ++to;
      }
      // Joins have no object, and end with the G alone.
      bool group = !graph.edges[from].object || group_open(from, to);
      for (u32 i = from; i < to; ++i) {
        WaitNode& n = graph.nodes[graph.edges[i].node];
        if (!n.free && open(graph.edges[i], group)) {
          n.free = changed = true;
        }
      }
    }
    return changed;
  }

  // Whoever has gone on meanwhile; false: nobody.
  bool gone_on() {
    bool any = false;
    for (u32 i = 0; i < graph.node_count; ++i) {
      WaitNode& n = graph.nodes[i];
      if (!n.free && !still_waits(n)) {
        n.free = any = true;
      }
    }
    return any;
  }

  void solve() {
    for (u32 i = 0; i < graph.node_count; ++i) {
      // A select of no channel that could be seen: not known.
      graph.nodes[i].free = graph.nodes[i].edges == 0;
    }
    do {
      while (round()) {}
    } while (gone_on());
  }

  u64 owner_of(const WaitNode& n) const {
    const WaitEdge& e = graph.edges[n.edge];
    return n.edges == 1 && e.on == On::owner ? e.owner : 0;
  }

  Stuck kind_of(WaitNode& n) const {
    const WaitEdge& e = graph.edges[n.edge];
    if (n.edges == 1 && e.on == On::ended) {
      return Stuck::ended;
    }
    if (!owner_of(n)) {
      return Stuck::leak;
    }
    u32 colour = static_cast<u32>(&n - graph.nodes) + 1;
    WaitNode* at = &n;
    while (at && at->colour != colour) {
      at->colour = colour;
      at = graph.find(owner_of(*at));
    }
    return at == &n ? Stuck::cycle : Stuck::behind;
  }
};

const char* kind_text(Stuck kind) {
  switch (kind) {
    case Stuck::cycle:
      return "waits for itself, over";
    case Stuck::behind:
      return "waits for one that is stuck,";
    case Stuck::ended:
      return "waits for an owner that has ended without letting go";
    case Stuck::leak:
      return "waits, and nobody is left who could wake it";
    case Stuck::none:
      break;
  }
  return "";
}

}  // namespace

i64 stuck_each(Runtime* rt, void (*fn)(void* arg, const StuckView& v),
               void* arg) {
  WaitGraph graph{};
  graph.rt = rt;
  Solver solver{graph};
  {
    Locked held(rt->wakers.looking);
    if (!wait_graph_fill(graph)) {
      return kENOMEM;
    }
    solver.solve();
  }
  i64 count = 0;
  for (u32 i = 0; i < graph.node_count && !forked(rt); ++i) {
    WaitNode& n = graph.nodes[i];
    StuckView v{};
    char name[48];
    if (n.free || !view_g(rt, n.g->slot, v.g, name) || v.g.handle != n.handle) {
      continue;
    }
    ++count;
    if (fn) {
      v.kind = solver.kind_of(n);
      const WaitEdge& e = graph.edges[n.edge];
      v.object = n.edges == 1 ? e.object : nullptr;
      v.on = solver.owner_of(n);
      v.frames = stack_of(rt, n.handle, v.pcs, kStuckFrames);
      fn(arg, v);
    }
  }
  return count;
}

void stuck_tell(void*, const StuckView& v) {
  char name[sizeof Ext::name];
  plain_text(v.g.name, name, sizeof name);
  if (v.on) {
    say("G %u \"%s\" (%s) %s G %u", handle_slot(v.g.handle), name, v.g.reason,
        kind_text(v.kind), handle_slot(v.on));
  } else {
    say("G %u \"%s\" (%s) %s", handle_slot(v.g.handle), name, v.g.reason,
        kind_text(v.kind));
  }
  say_frames(v.pcs, v.frames);
}

int waker_add(Runtime* rt, const void* object, u64 g) {
  Wakers& w = rt->wakers;
  Locked held(w.lock);
  for (u32 i = 0; i < w.count; ++i) {
    if (w.list[i].object == object && w.list[i].g == g) {
      return 0;
    }
  }
  if (w.count == w.room) {
    u32 room = max(w.room * 2, 16u);
    auto* to = static_cast<Waker*>(mem::realloc(w.list, room * sizeof(Waker)));
    if (!to) {
      return kENOMEM;
    }
    w.list = to;
    w.room = room;
  }
  w.list[w.count++] = Waker{object, g};
  return 0;
}

void waker_remove(Runtime* rt, const void* object, u64 g) {
  Wakers& w = rt->wakers;
  Locked held(w.lock);
  for (u32 i = 0; i < w.count;) {
    if (w.list[i].object == object && (!g || w.list[i].g == g)) {
      w.list[i] = w.list[--w.count];
    } else {
      ++i;
    }
  }
}

}  // namespace thrum
