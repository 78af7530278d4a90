// Select: lock all channels in one order, look for a ready arm from a random
// start, else wait in all of them; the first peer to claim wins, and the loser
// nodes are taken out before the call returns. After Go's select.go.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "chan/chan.hpp"
#include "mem/heap.hpp"

namespace thrum {

namespace {

constexpr u32 kInline = 8;  // arms without an allocation

struct Arms {
  SelectCase* cases;
  u32 n;
  u16* order;     // live arms by Chan::order, for locking
  u16* poll;      // live arms in the order they are tried
  Waiter* nodes;  // one per case
  u32 live;
};

Chan* chan_at(const Arms& a, u32 i) { return a.cases[a.order[i]].chan; }

void lock_all(const Arms& a) {
  for (u32 i = 0; i < a.live; ++i) {
    if (i == 0 || chan_at(a, i) != chan_at(a, i - 1)) {
      chan_at(a, i)->lock.lock();
    }
  }
}

// Each channel once, from the last to the first. A woken select takes the first
// lock before all others, so until our last store it is still there, and after it
// we touch nothing of it.
template <class Unlock>
void each_from_last(const Arms& a, Unlock unlock) {
  for (u32 i = a.live; i-- > 0;) {
    if (i == 0 || chan_at(a, i) != chan_at(a, i - 1)) {
      unlock(chan_at(a, i));
    }
  }
}

void unlock_all(void* arms) {
  each_from_last(*static_cast<const Arms*>(arms),
                 [](Chan* c) { c->lock.unlock(); });
}

// Heap sort: no allocation, no recursion, n log n also for 65535 arms.
void sort_by_order(const Arms& a) {
  auto key = [&](u32 i) { return a.cases[a.order[i]].chan->order; };
  auto sift = [&](u32 at, u32 end) {
    for (u32 child; (child = 2 * at + 1) < end; at = child) {
      if (child + 1 < end && key(child) < key(child + 1)) {
        ++child;
      }
      if (key(at) >= key(child)) {
        return;
      }
      u16 t = a.order[at];
      a.order[at] = a.order[child];
      a.order[child] = t;
    }
  };
  for (u32 i = a.live / 2; i-- > 0;) {
    sift(i, a.live);
  }
  for (u32 end = a.live; end-- > 1;) {
    u16 t = a.order[0];
    a.order[0] = a.order[end];
    a.order[end] = t;
    sift(0, end);
  }
}

u32 choose(M* m, u32 n) {
  if (m && seeded(m->rt)) {
    return m->rt->seeded.below(n);
  }
  if (m && m->p) {
    return m->p->choice.below(n);
  }
  Choice c{cpu_ticks()};  // a foreign thread
  return c.below(n);
}

void prepare(M* m, Arms& a) {
  a.live = 0;
  for (u32 i = 0; i < a.n; ++i) {
    if (a.cases[i].chan) {
      a.order[a.live] = static_cast<u16>(i);
      // Inside-out Fisher-Yates: a uniform order, so a uniform winner.
      u32 j = a.live ? choose(m, a.live + 1) : 0;
      a.poll[a.live] = a.poll[j];
      a.poll[j] = static_cast<u16>(i);
      ++a.live;
    }
  }
  if (a.live == 2) {  // by hand: the common case
    if (a.cases[a.order[1]].chan->order < a.cases[a.order[0]].chan->order) {
      u16 t = a.order[0];
      a.order[0] = a.order[1];
      a.order[1] = t;
    }
  } else if (a.live > 2) {
    sort_by_order(a);
  }
}

// Under all locks: completes one ready arm; -1: none.
int try_arms(M* m, Arms& a) {
  for (u32 i = 0; i < a.live; ++i) {
    u32 at = a.poll[i];
    SelectCase& k = a.cases[at];
    Served s =
        k.op == kSend ? try_send(k.chan, k.elem) : try_recv(k.chan, k.elem);
    if (!s.done) {
      continue;
    }
    u32 size = k.chan->elem_size;
    unlock_all(&a);
    if (s.peer) {
      if (s.copy) {
        bool send = k.op == kSend;
        copy_elem(send ? s.peer->elem : k.elem, send ? k.elem : s.peer->elem,
                  size);
      }
      s.peer->wake->result = 0;
      s.peer->wake->by = s.peer;
      ready(m, s.peer->wake);
    }
    k.result = s.result;
    return static_cast<int>(at);
  }
  return -1;
}

void link_all(Arms& a, Wake* wake) {
  for (u32 i = 0; i < a.live; ++i) {
    u32 at = a.order[i];
    SelectCase& k = a.cases[at];
    Waiter& w = a.nodes[at];
    w.wake = wake;
    w.elem = k.elem;
    w.size = k.chan->elem_size;
    w.data = reinterpret_cast<u64>(k.chan);  // for observe/stuck.cpp
    (k.op == kSend ? k.chan->sendq : k.chan->recvq).push(&w);
    ++k.chan->selects;
  }
}

void unlink_all(Arms& a) {
  lock_all(a);
  for (u32 i = 0; i < a.live; ++i) {
    SelectCase& k = a.cases[a.order[i]];
    Waiter& w = a.nodes[a.order[i]];
    w.data = 0;
    if (w.linked) {
      (k.op == kSend ? k.chan->sendq : k.chan->recvq).remove(&w);
    }
    --k.chan->selects;
  }
  each_from_last(a, chan_leave);
}

int run_select(M*& m, Arms& a, i64 deadline) {
  prepare(m, a);
  lock_all(a);
  int won = try_arms(m, a);
  if (won >= 0) {
    return won;
  }
  if (a.live == 0 && deadline == kForever) {
    return kEDEADLOCK;
  }
  Wait w{deadline, Why::select};
  if (int err = wait_begin(m, w)) {
    unlock_all(&a);
    return err;
  }
  ThreadWake own_wake;
  Wake* wake = wake_of(m, own_wake);
  wake->by = nullptr;
  link_all(a, wake);
  // Without a lock to stop at, who is woken leaves this frame at once.
  Unlock unlock;
  if (a.live) {
    unlock = {nullptr, 0, unlock_all, &a};
  }
  int result = wait(m, wake, w, unlock);
  Waiter* by = wake->by;
  unlink_all(a);
  if (result == kETIMEDOUT || result == kECANCELED) {
    return result;
  }
  auto won_by = by - a.nodes;
  a.cases[won_by].result = result;
  return static_cast<int>(won_by);
}

}  // namespace

int select(M*& m, SelectCase* cases, u32 n, i64 deadline) {
  u16 stack[2 * kInline];
  Waiter own[kInline];
  Arms a{cases, n, stack, stack + kInline, own, 0};
  void* block = nullptr;
  if (G* g = g_of(m)) {
    // Nodes live with the G, not on its stack; the body keeps them.
    Body* b = g->body;
    if (!b->nodes || n > b->rare()->node_count) {
      u32 room = max(n, kInline);
      void* p = mem::realloc(b->nodes, room * sizeof(Waiter));
      if (!p) {
        return kENOMEM;
      }
      b->nodes = static_cast<Waiter*>(p);
      memset(b->nodes, 0, room * sizeof(Waiter));  // hibernate.cpp reads all
      b->rare()->node_count = room;
    }
    a.nodes = b->nodes;
  }
  if (n > kInline) {
    size_t orders = 2 * sizeof(u16) * n;
    size_t nodes = g_of(m) ? 0 : sizeof(Waiter) * n;
    block = mem::alloc(nodes + orders);
    if (!block) {
      return kENOMEM;
    }
    if (nodes) {
      a.nodes = static_cast<Waiter*>(block);
    }
    a.order = reinterpret_cast<u16*>(static_cast<char*>(block) + nodes);
    a.poll = a.order + n;
  }
  int result = run_select(m, a, deadline);
  mem::free(block);
  return result;
}

}  // namespace thrum
