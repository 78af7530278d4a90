// queue/runq.hpp with four slots: no item is lost or taken twice, what the owner
// wrote into an item is there for whoever takes it, and no slot is reused while
// a taker reads it.
// SPDX-License-Identifier: MIT
#include "queue/runq.hpp"

#include "explore/explore.hpp"

namespace {

using thrum::u32;

struct Item {
  int written;  // by the owner, before the item is queued
  int taken;    // by whoever takes it, alone
};

constexpr u32 kItems = 8;
using Queue = thrum::Runq<Item, 4>;

Queue* queue;
Item* items;
u32 made;  // owner

void before() {
  queue = explore::make<Queue>();
  items = static_cast<Item*>(explore::alloc(sizeof(Item) * kItems));
  made = 0;
  explore::slots(queue, sizeof *queue);
}

void take(Item* t, bool from_ring) {
  MUST(t->written == 1);
  MUST(t->taken == 0);
  t->taken = 1;
  if (from_ring) {
    explore::took(t);
  }
}

Item* fresh_item() {
  Item* t = &items[made++];
  t->written = 1;
  return t;
}

void put() {
  Item* t = fresh_item();
  while (!queue->put(t)) {
    Item* half[2];
    u32 n = queue->spill(half);
    for (u32 i = 0; i < n; ++i) {
      take(half[i], true);
    }
  }
}

void thief() {
  Item* half[2];
  u32 n = queue->grab(half);
  for (u32 i = 0; i < n; ++i) {
    take(half[i], true);
  }
}

void after() {
  while (Item* t = queue->get()) {
    take(t, false);
  }
  if (Item* t = queue->take_next()) {
    take(t, false);
  }
  for (u32 i = 0; i < made; ++i) {
    MUST(items[i].taken == 1);
  }
}

// The ring fills, spills and wraps under two thieves.
void ring(unsigned thread) {
  if (thread) {
    return thief();
  }
  for (int i = 0; i < 5; ++i) {
    put();
  }
  if (Item* t = queue->get()) {
    take(t, true);
  }
  put();
}

// Gets against grabs around the last items.
void drain(unsigned thread) {
  if (thread) {
    return thief();
  }
  put();
  put();
  for (int i = 0; i < 3; ++i) {
    if (Item* t = queue->get()) {
      take(t, true);
    }
  }
  put();
}

// The slot for a hand-over.
void next(unsigned thread) {
  if (thread) {
    if (Item* t = queue->take_next()) {
      take(t, false);
    }
    return;
  }
  for (int i = 0; i < 3; ++i) {
    if (Item* t = queue->put_next(fresh_item())) {
      take(t, false);
    }
  }
  if (Item* t = queue->take_next()) {
    take(t, false);
  }
}

}  // namespace

const explore::Scenario explore::scenarios[] = {
    {"ring", 3, before, ring, after, 2, 20000},
    {"drain", 3, before, drain, after, 2, 20000},
    {"next", 3, before, next, after, 3, 20000},
};
const unsigned explore::scenario_count = 3;
