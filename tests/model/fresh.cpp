// queue/fresh.hpp with four slots: owner at the young end, two thieves at the
// old one. No item is lost or taken twice, its content is there for whoever
// takes it, and no slot is reused while a taker reads it.
// SPDX-License-Identifier: MIT
#include "queue/fresh.hpp"

#include "explore/explore.hpp"

namespace {

using thrum::u32;

struct Item {
  int written;  // by the owner, before the item is queued
  int taken;    // by whoever takes it, alone
};

constexpr u32 kItems = 8;
using Deque = thrum::Fresh<Item, 4>;

Deque* deque;
Item* items;
u32 made;  // owner

void before() {
  deque = explore::make<Deque>();
  items = static_cast<Item*>(explore::alloc(sizeof(Item) * kItems));
  made = 0;
  explore::slots(deque, sizeof *deque);
}

void take(Item* t) {
  MUST(t->written == 1);
  MUST(t->taken == 0);
  t->taken = 1;
  explore::took(t);
}

void push() {
  Item* t = &items[made++];
  t->written = 1;
  while (!deque->push(t)) {
    Item* half[2];
    u32 n = deque->spill(half);
    for (u32 i = 0; i < n; ++i) {
      take(half[i]);
    }
  }
}

void pop() {
  if (Item* t = deque->pop()) {
    take(t);
  }
}

void steal() {
  if (Item* t = deque->steal()) {
    take(t);
  }
}

void after() {
  while (Item* t = deque->steal()) {
    MUST(t->taken == 0);
    t->taken = 1;
  }
  for (u32 i = 0; i < made; ++i) {
    MUST(items[i].taken == 1);
  }
}

// Pops and steals around the last item, twice over.
void last(unsigned thread) {
  if (thread) {
    return steal();
  }
  push();
  push();
  pop();
  pop();
  push();
  pop();
}

// A full deque that spills and wraps.
void full(unsigned thread) {
  if (thread) {
    steal();
    return steal();
  }
  for (int i = 0; i < 6; ++i) {
    push();
  }
  pop();
}

// The fairness tick: the owner takes the oldest.
void oldest(unsigned thread) {
  if (thread) {
    return steal();
  }
  push();
  push();
  steal();
  pop();
  push();
  steal();
}

}  // namespace

const explore::Scenario explore::scenarios[] = {
    {"last", 3, before, last, after, 2, 20000},
    {"full", 3, before, full, after, 2, 20000},
    {"oldest", 3, before, oldest, after, 2, 20000},
};
const unsigned explore::scenario_count = 3;
