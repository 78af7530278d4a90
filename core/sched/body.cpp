// Bodies: each P keeps some warm, of the default class; the rest are in the arenas
// (mem/stack.hpp), which batches come from and go to.
// SPDX-License-Identifier: MIT
#include "mem/heap.hpp"
#include "sched/ready.hpp"

namespace thrum {

namespace {

Body* body_make(const mem::Slot& slot) {
  Body* b = new (slot.body) Body{};
  b->stack = slot.stack;
  return b;
}

// Gives a list back to the arenas.
void give(Runtime* rt, Body* list) {
  mem::Slot slots[kBodyBatch];
  u32 n = 0;
  while (list) {
    Body* b = list;
    list = b->next;
    note_forget(b->note);
    mem::free(b->nodes);
    slots[n++] = mem::Slot{b, b->stack};
    if (n == kBodyBatch || !list) {
      rt->arenas.give(slots, n);
      n = 0;
    }
  }
}

}  // namespace

Body* body_take(Runtime* rt, P* p, u32 size_class) {
  bool plain = size_class == rt->config.stack_class;
  u32 node = p->node();
  if (plain) {
    if (Body* b = p->bodies) {
      p->bodies = b->next;
      --p->body_count;
      return b;
    }
  }
  mem::Slot slots[kBodyBatch];
  u32 n = rt->arenas.take(size_class, slots, plain ? kBodyBatch : 1, node);
  if (THRUM_UNLIKELY(!n)) {
    if (!plain) {
      return nullptr;
    }
    // What others that rest keep warm is more than nothing.
    stocks_flush(rt);
    n = rt->arenas.take(size_class, slots, 1, node);
    if (!n) {
      return nullptr;
    }
  }
  while (n-- > 1) {
    Body* b = body_make(slots[n]);
    b->next = p->bodies;
    p->bodies = b;
    ++p->body_count;
  }
  return body_make(slots[0]);
}

void body_put(M* m, Body* b) {
  Runtime* rt = m->rt;
  P* p = m->p;
  show<Body*>(b->next, nullptr);
  bool wanted = rt->starved_count.load(relaxed) != 0;
  if (THRUM_UNLIKELY(!p || wanted || b->stack.kind() != p->stock)) {
    give(rt, b);
    sysmon_prompt(rt);  // to trim
    if (wanted) {
      feed_starved(rt, 1);
    }
    return;
  }
  show(b->next, p->bodies);
  p->bodies = b;
  if (THRUM_LIKELY(++p->body_count <= kBodyCache)) {
    return;
  }
  for (u32 i = 1; i < kBodyCache / 2; ++i) {  // the warmest stay
    b = b->next;
  }
  Body* cold = b->next;
  b->next = nullptr;
  p->body_count = kBodyCache / 2;
  give(rt, cold);
  sysmon_prompt(rt);  // to trim
}

void body_flush(Runtime* rt, P* p) {
  Body* list = p->bodies;
  p->bodies = nullptr;
  p->body_count = 0;
  give(rt, list);
}

}  // namespace thrum
