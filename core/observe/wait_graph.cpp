// Taking the graph while its Gs go on.
//
// It is not taken at one moment, but what is said of a G that has waited all the
// while was true all the while: nobody but the owner gives a mutex away, and an owner
// that waits gives nothing away. So all nodes are marked first (kLooked, which goes
// with the wait), then the edges of marked ones are read, and at the end only those
// count that are marked still.
//
// An object may be gone as soon as a waiter has seen its wait end, so a node is frozen
// while the object is looked at.
// SPDX-License-Identifier: MIT
#include "observe/wait_graph.hpp"

#include <string.h>

#include "chan/chan.hpp"
#include "mem/heap.hpp"
#include "sync/sync.hpp"

namespace thrum {

namespace {

bool may_be_stuck(const Body* b) {
  switch (b->why.load(relaxed)) {
    case Why::join:
    case Why::chan_send:
    case Why::chan_recv:
    case Why::select:
    case Why::mutex:
    case Why::rwmutex_read:
    case Why::rwmutex_write:
    case Why::cond:
    case Why::waitgroup:
    case Why::semaphore:
    case Why::once:
      // acquire: pairs with TimerHeap::fired.
      return b->timer.id.load(acquire) == Timer::kIdle;
    default:
      return false;
  }
}

// The slot of a G of this runtime; 0: it is a thread's, or another runtime's.
u32 slot_at(Runtime* rt, u64 at) {
  Table& t = rt->table;
  u64 base = at & ~(u64{kChunkBytes} - 1);
  for (u32 i = 0; i < kChunks; ++i) {
    char* chunk = t.chunks[i].load(acquire);
    if (!chunk) {
      return 0;
    }
    if (reinterpret_cast<u64>(chunk) == base) {
      return i * kChunkGs + static_cast<u32>((at - base) / sizeof(G));
    }
  }
  return 0;
}

void add(WaitGraph& graph, const WaitEdge& edge) {
  if (graph.edge_count == graph.edge_room) {
    u32 room = max(graph.edge_room * 2, 64u);
    auto* to = static_cast<WaitEdge*>(
        mem::realloc(graph.edges, room * sizeof(WaitEdge)));
    if (!to) {
      graph.short_of_memory = true;
      return;
    }
    graph.edges = to;
    graph.edge_room = room;
  }
  graph.edges[graph.edge_count++] = edge;
}

// holder(object): what who_of gave, 0: not known. It is asked once more if its G has
// ended: that may have let go just before.
WaitEdge owned(WaitGraph& graph, WaitEdge e, u64 (*holder)(const void*)) {
  u64 at = holder(e.object);
  if (u32 slot = at ? slot_at(graph.rt, at) : 0) {
    G* g = table_g(graph.rt->table, slot);
    u64 word = g->word.load(acquire);  // pairs with retire
    if (word & kLive) {
      e.on = On::owner;
      e.owner = handle_of(graph.rt->tag, slot, word);
    } else if (holder(e.object) == at && g->word.load(acquire) == word) {
      e.on = On::ended;
    }
  }
  return e;
}

u64 mutex_holder(const void* object) {
  u64 v = static_cast<const Mutex*>(object)->word.word.load(acquire);
  return v >> 32 == kMutexLeaving ? 0 : v & ~kMutexFlags;
}

u64 rwmutex_holder(const void* object) {
  auto* x = static_cast<const Rwmutex*>(object);
  // Who reads is not known.
  return x->word.word.load(acquire) & kRwmutexWriter ? glance(x->owner) : 0;
}

u64 once_holder(const void* object) {
  auto* o = static_cast<const Once*>(object);
  return o->word.word.load(acquire) & kOnceRunning ? glance(o->owner) : 0;
}

u64 joined(const void* object) { return reinterpret_cast<u64>(object); }

WaitEdge on_chan(WaitEdge e) {
  auto* c = static_cast<const Chan*>(e.object);
  if (c->counted.load(relaxed)) {
    e.on = On::handles;
    e.refs = c->refs.load(acquire);
  }
  return e;
}

// g is frozen.
void add_edges(WaitGraph& graph, u32 node, const Body* b) {
  WaitEdge e{node, On::anybody, b->on, 0, 0};
  switch (b->why.load(relaxed)) {
    case Why::mutex:
      return add(graph, owned(graph, e, mutex_holder));
    case Why::rwmutex_read:
    case Why::rwmutex_write:
      return add(graph, owned(graph, e, rwmutex_holder));
    case Why::once:
      return add(graph, owned(graph, e, once_holder));
    case Why::join:
      e = owned(graph, e, joined);
      e.object = nullptr;
      e.on = e.on == On::ended ? On::anybody : e.on;  // it is being woken
      return add(graph, e);
    case Why::chan_send:
    case Why::chan_recv:
      return add(graph, on_chan(e));
    case Why::select:
      for (u32 i = 0; i < b->rare()->node_count; ++i) {
        if (u64 chan = b->nodes[i].data) {
          e.object = reinterpret_cast<const void*>(chan);
          add(graph, on_chan(e));
        }
      }
      return;
    default:
      return add(graph, e);
  }
}

void mark(G* g) {
  u64 v = g->word.load(relaxed);
  while ((v & kLive) && (v & kPhase) && !(v & kLooked)) {
    if (frozen(v)) {
      v = thawed(g->word);
    } else if (g->word.compare_exchange_weak(v, v | kLooked, acq_rel,
                                             relaxed)) {
      return;
    }
  }
}

// Takes g in, if it is marked and waits for another.
void look_at(WaitGraph& graph, G* g) {
  u64 v = g->word.load(acquire);
  if (frozen(v)) {
    v = thawed(g->word);
  }
  if (!(v & kLooked) || !(v & kPhase) || !freeze(g, v)) {
    return;  // it goes on just now, or has done so
  }
  // Of a select the rare part lies on the stack.
  Body* b = body_of(g);
  bool packed = !g->body && b->why.load(relaxed) == Why::select;
  bool in = !packed && may_be_stuck(b);
  if (in) {
    u32 node = graph.node_count++;
    u32 first = graph.edge_count;
    add_edges(graph, node, b);
    graph.nodes[node] = WaitNode{g,
                                 handle_of(graph.rt->tag, g->slot, v),
                                 false,
                                 0,
                                 graph.edge_count - first,
                                 0};
  }
  thaw(g, v & kPhase, 0);
}

// A heap sort: no allocation, no recursion.
template <class T>
void sort(T* list, u32 n, bool (*before)(const T&, const T&)) {
  auto sift = [&](u32 at, u32 end) {
    for (u32 child; (child = 2 * at + 1) < end; at = child) {
      if (child + 1 < end && before(list[child], list[child + 1])) {
        ++child;
      }
      if (!before(list[at], list[child])) {
        return;
      }
      T t = list[at];
      list[at] = list[child];
      list[child] = t;
    }
  };
  for (u32 i = n / 2; i-- > 0;) {
    sift(i, n);
  }
  for (u32 end = n; end-- > 1;) {
    T t = list[0];
    list[0] = list[end];
    list[end] = t;
    sift(0, end);
  }
}

bool edge_before(const WaitEdge& a, const WaitEdge& b) {
  return a.object != b.object ? a.object < b.object : a.node < b.node;
}
bool waker_before(const Waker& a, const Waker& b) {
  return a.object < b.object;
}

bool copy_wakers(WaitGraph& graph) {
  Wakers& w = graph.rt->wakers;
  {
    Locked held(w.lock);
    if (!w.count) {
      return true;
    }
    graph.wakers = static_cast<Waker*>(mem::alloc(w.count * sizeof(Waker)));
    if (!graph.wakers) {
      return false;
    }
    memcpy(graph.wakers, w.list, w.count * sizeof(Waker));
    graph.waker_count = w.count;
  }
  sort(graph.wakers, graph.waker_count, waker_before);
  return true;
}

}  // namespace

WaitGraph::~WaitGraph() {
  mem::free(nodes);
  mem::free(edges);
  mem::free(wakers);
}

WaitNode* WaitGraph::find(u64 handle) const {
  u32 slot = handle_slot(handle);
  u32 lo = 0;
  u32 hi = node_count;
  while (lo < hi) {
    u32 mid = (lo + hi) / 2;
    if (nodes[mid].g->slot < slot) {
      lo = mid + 1;
    } else {
      hi = mid;
    }
  }
  return lo < node_count && nodes[lo].handle == handle ? nodes + lo : nullptr;
}

bool still_waits(const WaitNode& n) {
  u64 word = n.g->word.load(acquire);  // pairs with who ends its wait
  return (word & kPhase) && (word & kLooked) &&
         handle_gen(n.handle) == word >> kGenShift;
}

bool g_lives(Runtime* rt, u64 handle) {
  if (handle_tag(handle) != rt->tag) {
    return true;  // another runtime's: not known
  }
  G* g = table_g(rt->table, handle_slot(handle));
  u64 word = g ? g->word.load(acquire) : 0;
  return (word & kLive) && handle_of(rt->tag, g->slot, word) == handle;
}

bool wait_graph_fill(WaitGraph& graph) {
  u32 end = table_end(graph.rt->table);
  graph.nodes = static_cast<WaitNode*>(
      mem::alloc(size_t{max(end, 1u)} * sizeof(WaitNode)));
  if (!graph.nodes || !copy_wakers(graph)) {
    return false;
  }
  for (u32 slot = 0; slot < end; ++slot) {
    if (G* g = table_g(graph.rt->table, slot)) {
      mark(g);
    }
  }
  for (u32 slot = 0; slot < end; ++slot) {
    if (G* g = table_g(graph.rt->table, slot)) {
      look_at(graph, g);
    }
  }
  sort(graph.edges, graph.edge_count, edge_before);
  for (u32 i = 0; i < graph.edge_count; ++i) {
    graph.nodes[graph.edges[i].node].edge = i;
  }
  return !graph.short_of_memory;
}

}  // namespace thrum
