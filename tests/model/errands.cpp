// queue/errands.hpp: what is wanted is done, once for each wish or together with
// others for the same node, by one holder at a time; a node may end while it is
// served, and be wanted again.
// SPDX-License-Identifier: MIT
#include "queue/errands.hpp"

#include "explore/explore.hpp"

namespace {

using namespace thrum;

struct Node {
  Atomic<u32> wants;
  Node* next;
  int made;   // before a wish, read by who serves it
  u32 done;   // holder: bits served
  int times;  // holder
};
struct Shared {
  Errands<Node> errands;
  Node* nodes[3];
  int inside;  // holder
};
Shared* s;

void before() {
  s = explore::make<Shared>();
  for (Node*& n : s->nodes) {
    n = explore::make<Node>();
  }
}

// What poller.cpp does.
void serve() {
  bool again = true;
  while (again && s->errands.try_hold()) {
    MUST(s->inside++ == 0);
    s->errands.take([](Node* n, u32 what) {
      MUST(what != 0 && n->made != 0);
      n->done |= what;
      ++n->times;
      return false;
    });
    --s->inside;
    again = s->errands.let_go();
  }
}

void wish(Node* n, u32 what) {
  s->errands.want(n, what);
  serve();
}

// Each a node of its own.
void each(unsigned i) {
  s->nodes[i]->made = 1;
  wish(s->nodes[i], 1);
}
void each_after() {
  for (Node* n : s->nodes) {
    MUST(n->done == 1 && n->times == 1);
  }
  MUST(s->errands.try_hold() && !s->errands.let_go());
}

// Two things of one node, and another beside it.
void same_before() {
  before();
  s->nodes[0]->made = 1;
}
void same(unsigned i) {
  if (i == 2) {
    s->nodes[1]->made = 1;
  }
  wish(s->nodes[i == 2], i == 1 ? 2 : 1);
}
void same_after() {
  MUST(s->nodes[0]->done == 3 && s->nodes[1]->done == 1);
  MUST(s->nodes[0]->times <= 2);
}

// The same again, by its maker.
void twice(unsigned i) {
  Node* n = s->nodes[i];
  n->made = 1;
  wish(n, 1);
  wish(n, 2);
}
void twice_after() { MUST(s->nodes[0]->done == 3 && s->nodes[1]->done == 3); }

// One wish is the last: the node's memory goes with it.
void ends(unsigned i) {
  Node* n = s->nodes[i];
  n->made = 1;
  s->errands.want(n, 1);
  bool again = true;
  while (again && s->errands.try_hold()) {
    s->errands.take([](Node* it, u32) {
      explore::dispose(it);
      return true;
    });
    again = s->errands.let_go();
  }
}
void ends_after() { MUST(s->errands.try_hold() && !s->errands.let_go()); }

}  // namespace

const explore::Scenario explore::scenarios[] = {
    {"each", 3, before, each, each_after, 2, 20000},
    {"same", 3, same_before, same, same_after, 2, 20000},
    {"twice", 2, before, twice, twice_after, 3, 20000},
    {"ends", 3, before, ends, ends_after, 2, 20000},
};
const unsigned explore::scenario_count =
    sizeof explore::scenarios / sizeof *explore::scenarios;
