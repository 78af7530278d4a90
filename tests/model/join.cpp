// The end of a G (exit.cpp) against those who join it (join.cpp): a joiner
// returns once, after the G has ended and with all that the G did in sight, or
// because it was cancelled or its time was over; then its node is unlinked.
// A slot used anew is not taken for its former G.
// SPDX-License-Identifier: MIT
#include "explore/explore.hpp"
#include "explore/rig.hpp"
#include "sched/ready.hpp"

namespace {

using namespace thrum;

constexpr i64 kDue = 5000;

struct Shared {
  u64 child, other;
  int done;  // by the child, at its end
  int zeros;
};
Shared* s;

void count(int result) {
  if (result == 0) {
    MUST(s->done == 1);
  }
  MUST(result == 0 || result == kECANCELED || result == kETIMEDOUT);
}

void child(void*) { s->done = 1; }

// What the wait node of the caller is used for next.
void reuse_node(M* m) {
  if (G* g = g_of(m)) {
    g->body->waiter.next = nullptr;
    g->body->waiter.prev = nullptr;
    g->body->wake.result = 77;
  }
}

int join_child(i64 deadline) {
  M* m = this_m();
  int result = join(m, rig::rt, s->child, deadline);
  count(result);
  reuse_node(m);
  return result;
}

// ---- one joiner -----------------------------------------------------------------

void parent(void*) { s->zeros += join_child(kForever) == 0; }

void g_before() {
  s = explore::make<Shared>();
  rig::ideal(2);
  s->child = rig::go(child, nullptr);
  s->other = rig::go(parent, nullptr);
}
void run_both(unsigned i) { rig::run(i); }
void one_after() { MUST(s->zeros == 1); }

void thread_before() {
  s = explore::make<Shared>();
  rig::ideal(1);
  s->child = rig::go(child, nullptr);
}
void thread_thread(unsigned i) {
  if (i == 0) {
    return rig::run(0);
  }
  s->zeros += join_child(kForever) == 0;
}

// Two threads join: the list has two nodes.
void two_thread(unsigned i) {
  if (i == 0) {
    return rig::run(0);
  }
  MUST(join_child(kForever) == 0);
}

// A joiner that is cancelled.
void fickle(void*) { join_child(kForever); }
void cancel_before() {
  s = explore::make<Shared>();
  rig::ideal(2);
  s->child = rig::go(child, nullptr);
  s->other = rig::go(fickle, nullptr);
}
void cancel_thread(unsigned i) {
  if (i < 2) {
    return rig::run(i);
  }
  int err = cancel(nullptr, rig::rt, s->other);
  MUST(err == 0 || err == kESTALE);
}

// A thread whose time may be over.
void late_thread(unsigned i) {
  if (i == 0) {
    return rig::run(0);
  }
  join_child(kDue);
}

// ---- the slot's next G ------------------------------------------------------------

// Has the child's slot, word and body. Nobody has a handle of it.
void next_life(void*) {
  M* m = this_m();
  MUST(m->cur == rig::g(s->child));
  MUST(check(m) == 0);
  MUST(m->cur->joiners == nullptr);
  reuse_node(m);
}

void heir(void*) {
  M* m = this_m();
  SpawnOpts o;
  o.affinity = kPinM;  // to the rig's queue
  u64 handle;
  MUST(spawn(m, rig::rt, &o, next_life, nullptr, &handle) == 0);
  MUST(handle != s->child);
}

void anew_before() {
  s = explore::make<Shared>();
  rig::ideal(1);
  s->child = rig::go(child, nullptr);
  s->other = rig::go(heir, nullptr);
}
void anew_thread(unsigned i) {
  if (i == 0) {
    return rig::run(0);
  }
  if (i == 1) {
    MUST(join_child(kForever) == 0);
    return;
  }
  int err = cancel(nullptr, rig::rt, s->child);
  MUST(err == 0 || err == kESTALE);
  err = unpark(nullptr, rig::rt, s->child);
  MUST(err == 0 || err == kESTALE);
}

}  // namespace

const explore::Scenario explore::scenarios[] = {
    {"g", 2, g_before, run_both, one_after, 4, 20000},
    {"thread", 2, thread_before, thread_thread, one_after, 4, 20000},
    {"two", 3, thread_before, two_thread, nullptr, 2, 20000},
    {"cancel", 3, cancel_before, cancel_thread, nullptr, 2, 20000},
    {"anew", 3, anew_before, anew_thread, nullptr, 2, 20000},
    {"late", 2, thread_before, late_thread, nullptr, 3, 20000},
};
const unsigned explore::scenario_count =
    sizeof explore::scenarios / sizeof *explore::scenarios;
