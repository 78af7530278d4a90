#include <doctest/doctest.h>

#include "base/list.hpp"

using thrum::Fifo;

namespace {

struct Item {
  Item* next = nullptr;
  int value = 0;
};

struct Items {
  Item at[8];
  Items() {
    for (int i = 0; i < 8; ++i) {
      at[i].value = i;
    }
  }
};

// Pops all; true: they were first, first + 1, ... last.
bool drains(Fifo<Item>& f, int first, int last) {
  for (int v = first; v <= last; ++v) {
    Item* t = f.pop();
    if (!t || t->value != v) {
      return false;
    }
  }
  return !f.pop() && f.empty() && f.count == 0 && !f.tail;
}

}  // namespace

TEST_CASE("list: empty") {
  Fifo<Item> f;
  CHECK(f.empty());
  CHECK(f.count == 0);
  CHECK(f.pop() == nullptr);
  CHECK(f.count == 0);
}

TEST_CASE("list: first in, first out, and counted") {
  Items items;
  Fifo<Item> f;
  for (int i = 0; i < 8; ++i) {
    f.push(&items.at[i]);
    CHECK(f.count == static_cast<unsigned>(i + 1));
    CHECK(!f.empty());
  }
  CHECK(drains(f, 0, 7));
}

TEST_CASE("list: usable again after it was drained") {
  Items items;
  Fifo<Item> f;
  for (int round = 0; round < 3; ++round) {
    f.push(&items.at[0]);
    CHECK(f.pop() == &items.at[0]);
    f.push(&items.at[1]);
    f.push(&items.at[2]);
    CHECK(drains(f, 1, 2));
  }
}

TEST_CASE("list: a pushed item ends the list whatever it pointed at") {
  Items items;
  items.at[1].next = &items.at[7];
  Fifo<Item> f;
  f.push(&items.at[0]);
  f.push(&items.at[1]);
  CHECK(drains(f, 0, 1));
}

TEST_CASE("list: splice") {
  Items items;
  Fifo<Item> a, b;
  a.splice(b);  // nothing to nothing
  CHECK(a.empty());

  b.push(&items.at[0]);
  b.push(&items.at[1]);
  a.splice(b);  // something to nothing
  CHECK(b.empty());
  CHECK(b.count == 0);
  CHECK(b.pop() == nullptr);
  CHECK(a.count == 2);

  a.splice(b);  // nothing to something
  CHECK(a.count == 2);

  b.push(&items.at[2]);
  b.push(&items.at[3]);
  b.push(&items.at[4]);
  a.splice(b);  // something to something
  CHECK(a.count == 5);
  a.push(&items.at[5]);  // the tail is the other's
  b.push(&items.at[6]);  // and the other is a list of its own
  CHECK(drains(b, 6, 6));
  CHECK(drains(a, 0, 5));
}
