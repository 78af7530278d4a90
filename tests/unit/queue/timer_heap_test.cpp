#include <map>

#include "../unit.hpp"
#include "queue/timer_heap.hpp"

using namespace unit;

namespace {

struct Item {
  Timer timer;
  i64 when = 0;
  u32 tie = 0;
};

struct Heap : TimerHeap {
  ~Heap() { destroy(); }
};

Item* item_of(Timer* t) { return reinterpret_cast<Item*>(t); }

bool armed(const Item& x) { return x.timer.id.load() != Timer::kIdle; }

// Takes what is due at `now` out, as the scheduler does; null: nothing.
Item* take(Heap& h, i64 now) {
  Timer* t = h.take_due(now);
  if (t) {
    TimerHeap::fired(t);
  }
  return t ? item_of(t) : nullptr;
}

}  // namespace

TEST_CASE("timer_heap: empty, one, empty") {
  Heap h;
  Item x;
  CHECK(h.count() == 0);
  CHECK(h.earliest() == kForever);
  CHECK(h.take_due(kForever) == nullptr);
  CHECK_FALSE(h.has_room());
  REQUIRE(h.reserve());
  CHECK(h.has_room());
  CHECK(h.arm(&x.timer, 100, 0));
  CHECK(armed(x));
  CHECK(h.count() == 1);
  CHECK(h.earliest() == 100);
  CHECK(h.take_due(99) == nullptr);
  CHECK(h.count() == 1);
  CHECK(h.take_due(100) == &x.timer);
  CHECK(armed(x));  // until its owner has been served
  CHECK(h.count() == 0);
  CHECK(h.earliest() == kForever);
  CHECK(h.take_due(100) == nullptr);
  TimerHeap::fired(&x.timer);
  CHECK_FALSE(armed(x));
  CHECK(h.arm(&x.timer, 7, 0));
  h.disarm(&x.timer);
  CHECK_FALSE(armed(x));
  CHECK(h.earliest() == kForever);
}

TEST_CASE("timer_heap: arm says whether it is the earliest now") {
  Heap h;
  Item x[5];
  const i64 when[] = {50, 70, 30, 30, 10};
  const bool first[] = {true, false, true, false, true};
  for (int i = 0; i < 5; ++i) {
    REQUIRE(h.reserve());
    CHECK(h.arm(&x[i].timer, when[i], static_cast<u32>(i)) == first[i]);
  }
  CHECK(h.earliest() == 10);
}

TEST_CASE("timer_heap: equal deadlines in order of arming") {
  constexpr u32 kItems = 500;
  Heap h;
  static Item x[kItems];
  for (u32 i = 0; i < kItems; ++i) {
    REQUIRE(h.reserve());
    h.arm(&x[i].timer, 1000 + i % 3, i);
  }
  u32 bad = 0;
  for (u32 rest = 0; rest < 3; ++rest) {
    for (u32 i = rest; i < kItems; i += 3) {
      bad += take(h, 2000) != &x[i];
    }
  }
  CHECK(bad == 0);
  CHECK(h.count() == 0);
}

TEST_CASE("timer_heap: any order in, sorted out, at every size") {
  static Item x[300];
  u32 bad = 0;
  for (u32 n = 1; n <= 300; n += n < 100 ? 1 : 37) {
    for (u32 shape = 0; shape < 4; ++shape) {
      Heap h;
      Choice c{n * 4 + shape};
      for (u32 i = 0; i < n; ++i) {
        const i64 when[] = {i64{i}, i64{n} - i, i64{c.below(n)},
                            i64{i % 2 ? i : n - i}};
        x[i].when = when[shape];
        bad += !h.reserve();
        h.arm(&x[i].timer, x[i].when, i);
      }
      i64 last = 0;
      for (u32 i = 0; i < n; ++i) {
        bad += h.count() != n - i;
        Item* t = take(h, kForever - 1);
        bad += !t || t->when < last;
        last = t ? t->when : last;
      }
      bad += take(h, kForever) != nullptr;
    }
  }
  CHECK(bad == 0);
}

TEST_CASE("timer_heap: 100,000 random steps against a model") {
  constexpr u32 kItems = 3000, kSteps = rounds(100'000);
  using Key = std::pair<i64, u64>;
  static Item x[kItems];
  Heap h;
  std::multimap<Key, Item*> model;
  Choice c{20};
  u32 tie = 0;
  i64 now = 0;
  u32 bad = 0, fired = 0, disarmed = 0, most = 0;
  for (u32 step = 0; step < kSteps; ++step) {
    Item& a = x[c.below(kItems)];
    u32 what = c.below(16);
    if (what < 9) {
      if (armed(a)) {
        continue;
      }
      // Few distinct deadlines, so that ties are common.
      a.when = now + c.below(2000);
      a.tie = tie++;
      bad += !h.reserve();
      bool first = h.arm(&a.timer, a.when, a.tie);
      auto at = model.emplace(Key{a.when, a.tie}, &a);
      bad += first != (at == model.begin());
    } else if (what < 13) {
      if (!armed(a)) {
        continue;
      }
      h.disarm(&a.timer);
      bad += armed(a);
      bad += model.erase(Key{a.when, a.tie}) != 1;
      ++disarmed;
    } else {
      now += c.below(20);
      for (;;) {
        bool due = !model.empty() && model.begin()->first.first <= now;
        Item* got = take(h, now);
        bad += got != (due ? model.begin()->second : nullptr);
        if (!got || !due) {
          break;
        }
        model.erase(model.begin());
        ++fired;
      }
    }
    bad += h.count() != model.size();
    bad +=
        h.earliest() != (model.empty() ? kForever : model.begin()->first.first);
    most = max(most, h.count());
    if (bad) {
      break;
    }
  }
  for (Item& a : x) {
    a.timer.id.store(Timer::kIdle);
  }
  CHECK(bad == 0);
  CHECK(most > 200);
  CHECK(fired > kSteps / 50);
  CHECK(disarmed > kSteps / 50);
}

TEST_CASE("timer_heap: reserve grows, keeps what is armed, and is reusable") {
  constexpr u32 kItems = 1000;
  static Item x[kItems];
  Heap h;
  for (int round = 0; round < 3; ++round) {
    u32 bad = 0;
    for (u32 i = 0; i < kItems; ++i) {
      bad += !h.reserve() || !h.reserve();  // one time too many costs nothing
      h.arm(&x[i].timer, (i * 7919) % kItems, i);
    }
    CHECK(h.count() == kItems);
    for (u32 i = 0; i < kItems; i += 2) {  // out of the middle
      h.disarm(&x[i].timer);
      bad += armed(x[i]);
    }
    for (u32 i = 0; i < kItems; i += 2) {  // freed places serve again
      bad += !h.reserve();
      h.arm(&x[i].timer, i, i);
    }
    i64 last = -1;
    for (u32 i = 0; i < kItems; ++i) {
      bad += h.earliest() < last;
      last = h.earliest();
      bad += !take(h, kForever - 1);
    }
    CHECK(bad == 0);
    CHECK(h.count() == 0);
    if (round == 1) {
      h.destroy();
      CHECK(h.earliest() == kForever);
    }
  }
}
