// Work is taken from, and given to, those nearby. The Near is made by hand: all CPUs
// of this machine are in place 0, others are where a case puts them.
#include "sched/near.hpp"

#include <memory>
#include <string>

#include "../objects.hpp"
#include "sched/ready.hpp"

using namespace unit;

namespace {

constexpr u8 kRings[4][4] = {
    {0, 1, 2, 3}, {1, 0, 3, 2}, {2, 3, 0, 1}, {3, 2, 1, 0}};

// Two nodes with two places each; seen from 0, place 3 is the farthest.
std::unique_ptr<Near> four_places() {
  auto near = std::make_unique<Near>();
  near->places = near->rings = 4;
  near->nodes = 2;
  for (u32 i = 0; i < 4; ++i) {
    near->node[i] = i < 2 ? 1 : 2;
    memcpy(near->ring[i], kRings[i], 4);
  }
  near->id[2] = 1;
  for (i32& m : near->memory) {
    m = -1;
  }
  return near;
}

void put_at(Runtime* rt, std::initializer_list<u8> places) {
  u32 i = 0;
  for (u8 place : places) {
    rt->ps[i++]->place.store(place);
  }
}

Config many_ps(u32 procs, u64 seed) {
  Config c = hosted();
  c.procs = procs;
  c.seed = seed;
  c.slice_ns = 3600 * kSecond;
  return c;
}

// In a G of a hosted runtime: each P but its own gets one G. Where they come back
// from, as text: the how manieth other P, from 1 on.
std::string stolen_from(Runtime* rt, const u8* places, u32 others) {
  M* m = this_m();
  std::string order;
  P* victims[9] = {};
  G* of[9] = {};
  for (u32 i = 0, n = 0; i < rt->p_count.load(); ++i) {
    if (rt->ps[i] != m->p) {
      victims[++n] = rt->ps[i];
      victims[n]->place.store(places[n - 1]);
      (void)go([] {});
    }
  }
  EnterParking e;
  for (u32 i = 1; i <= others; ++i) {
    of[i] = m->p->take_fresh();
    if (!of[i] || !victims[i]->runq.put(of[i])) {
      return "nothing to steal";
    }
  }
  for (u32 n = 1; n <= others; ++n) {
    G* g = steal(m);
    for (u32 i = 1; i <= others; ++i) {
      order += g && of[i] == g ? std::to_string(i) : "";
    }
  }
  for (u32 i = 1; i <= others; ++i) {
    fresh_put(m->p, of[i]);
  }
  return order;
}

std::string order_with(const Near* near, std::initializer_list<u8> places,
                       u64 seed) {
  std::string order;
  u32 n = static_cast<u32>(places.size());
  Rt rt(many_ps(n + 1, seed));
  (void)go_in(rt.rt, [&] {
    near_set(rt.rt, near);
    order = stolen_from(rt.rt, places.begin(), n);
    near_set(rt.rt, nullptr);
    u64 far = 0;
    for (u8 place : places) {
      far += near && place;
    }
    CHECK(my_p()->steals.load() == n);
    CHECK(my_p()->steals_far.load() == far);
  });
  CHECK(rt.pump() >= 0);
  return order;
}

}  // namespace

TEST_CASE("near: thieves go from place to place, the nearest first") {
  auto near = four_places();
  for (u64 seed = 0; seed < 40; ++seed) {
    CHECK(order_with(near.get(), {3, 2, 1, 0}, seed) == "4321");
    CHECK(order_with(near.get(), {1, 3, 0, 2}, seed) == "3142");
  }
}

TEST_CASE("near: inside a place, and where there are none, by chance") {
  auto near = four_places();
  u32 swapped = 0, differ = 0;
  for (u64 seed = 0; seed < 40; ++seed) {
    std::string order = order_with(near.get(), {2, 2, 1, 2}, seed);
    CHECK(order[0] == '3');
    swapped += order != "3124";
    differ += order_with(nullptr, {3, 2, 1, 0}, seed) != "4321";
  }
  CHECK(swapped > 5);
  CHECK(swapped < 40);
  CHECK(differ > 5);
}

TEST_CASE("near: of the idle Ps the nearest is woken") {
  auto near = four_places();
  Rt rt(many_ps(5, 1));
  put_at(rt.rt, {3, 2, 0, 1, 2});
  near_set(rt.rt, near.get());
  std::string order;
  P* taken[5];
  {
    Locked held(rt->lock);
    for (P*& p : taken) {
      p = idle_p_pop(rt.rt);
      order += std::to_string(p->id);
    }
    CHECK(!idle_p_pop(rt.rt));
    CHECK(rt->idle_count.load() == 0);
    for (P* p : taken) {
      CHECK(!free_p(rt.rt, p));
    }
  }
  // Of two that are equally far the one that became idle last: 4 or 1.
  CHECK((order == "23140" || order == "23410"));
  near_set(rt.rt, nullptr);
}

TEST_CASE("near: stacks come from arenas of the P's node, and go back there") {
  auto near = four_places();
  Rt rt(many_ps(2, 1));
  u32 before = 99, after = 99, other = 99, kept = 99;
  (void)go_in(rt.rt, [&] { before = me()->body->stack.node; });
  CHECK(rt.pump() >= 0);
  memset(near->of_cpu, 3, sizeof near->of_cpu);  // all of this machine
  near_set(rt.rt, near.get());
  (void)go_in(rt.rt, [&] {
    (void)go([&] { after = me()->body->stack.node; });
    (void)yield();
    P* p = my_p();
    CHECK(p->node() == 2);
    EnterParking e;
    u16 stock = p->stock;
    body_flush(rt.rt, p);
    p->stock = mem::Stack::kind_of(rt->config.stack_class, 1);
    Body* b = body_take(rt.rt, p, rt->config.stack_class);
    body_flush(rt.rt, p);
    p->stock = stock;
    other = b->stack.node;
    body_put(e.m, b);
    kept = p->body_count;
  });
  CHECK(rt.pump() >= 0);
  CHECK(before == 0);
  CHECK(after == 2);
  CHECK(other == 1);
  CHECK(kept == 0);
  near_set(rt.rt, nullptr);
}

TEST_CASE("near: a P is where its M was seen") {
  auto near = four_places();
  auto other = four_places();
  memset(near->of_cpu, 2, sizeof near->of_cpu);
  memset(other->of_cpu, 1, sizeof other->of_cpu);
  Rt rt(config(2));
  near_set(rt.rt, near.get());
  u64 h = go_in(rt.rt, [] { CHECK(my_p()->place.load() == 2); });
  CHECK(join(h, rt.rt) == 0);
  near_set(rt.rt, other.get());
  h = go_in(rt.rt, [&] {
    near_again(rt.rt);
    until([] { return my_p()->place.load() == 1; });
  });
  CHECK(join(h, rt.rt) == 0);
  near_set(rt.rt, nullptr);
}
