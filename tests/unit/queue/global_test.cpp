#include "queue/global.hpp"

#include "../unit.hpp"

using namespace unit;

namespace {

struct Item {
  u32 value;
  Item* next;
};

}  // namespace

TEST_CASE("global: each kind in order, by turns, then what is left") {
  Global<Item> q;
  Item items[7];
  Fifo<Item> woken, rest;
  for (u32 i = 0; i < 7; ++i) {
    items[i].value = i;
    (i < 2 ? woken : rest).push(&items[i]);
  }
  q.push(rest.pop());
  q.splice(rest);
  CHECK(q.size() == 5);
  CHECK(q.woken() == 0);
  q.splice_woken(woken);
  CHECK(q.size() == 7);
  CHECK(q.woken() == 2);
  for (u32 value : {0, 2, 1, 3, 4, 5, 6}) {
    CHECK(q.pop()->value == value);
  }
  CHECK(q.size() == 0);
  CHECK(q.pop() == nullptr);
}
