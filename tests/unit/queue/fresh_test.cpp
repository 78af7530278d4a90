#include "../unit.hpp"
#include "queue/fresh.hpp"
#include "reach.hpp"

using namespace unit;

namespace {

using Small = Fresh<u32, 4>;
using Big = Fresh<u32, 256>;
UNIT_REACH(small_top, Small, Atomic<u32>, top_);
UNIT_REACH(small_bottom, Small, Atomic<u32>, bottom_);
UNIT_REACH(big_top, Big, Atomic<u32>, top_);
UNIT_REACH(big_bottom, Big, Atomic<u32>, bottom_);

void begin_at(Small& q, u32 at) {
  (q.*small_top(Tag_small_top{})).store(at);
  (q.*small_bottom(Tag_small_bottom{})).store(at);
}
void begin_at(Big& q, u32 at) {
  (q.*big_top(Tag_big_top{})).store(at);
  (q.*big_bottom(Tag_big_bottom{})).store(at);
}

u32 g_items[1u << 16];
u32* item(u32 i) { return &g_items[i]; }
u32 index(const u32* p) { return static_cast<u32>(p - g_items); }

constexpr u32 kStarts[] = {
    0,          UINT32_MAX, UINT32_MAX - 1, UINT32_MAX - 3, UINT32_MAX - 200,
    0x7fffffff, 0x80000000};

}  // namespace

TEST_CASE("fresh: the owner takes the youngest, a thief the oldest") {
  for (u32 start : kStarts) {
    Small q;
    begin_at(q, start);
    CHECK(q.pop() == nullptr);
    CHECK(q.steal() == nullptr);
    for (u32 i = 0; i < 4; ++i) {
      CHECK(q.size() == i);
      CHECK(q.push(item(i)));
    }
    CHECK_FALSE(q.push(item(9)));
    CHECK(q.pop() == item(3));
    CHECK(q.steal() == item(0));
    CHECK(q.size() == 2);
    CHECK(q.push(item(4)));
    CHECK(q.push(item(5)));
    CHECK_FALSE(q.push(item(9)));
    CHECK(q.steal() == item(1));
    CHECK(q.pop() == item(5));
    CHECK(q.pop() == item(4));
    CHECK(q.pop() == item(2));  // the last one, uncontended
    CHECK(q.size() == 0);
    CHECK(q.pop() == nullptr);
    CHECK(q.pop() == nullptr);
    CHECK(q.steal() == nullptr);
    CHECK(q.push(item(6)));
    CHECK(q.steal() == item(6));
    CHECK(q.pop() == nullptr);
    CHECK(q.push(item(7)));
    CHECK(q.pop() == item(7));
  }
}

TEST_CASE("fresh: against a model, through the wrap of its indices") {
  for (u32 start : kStarts) {
    Big q;
    begin_at(q, start);
    static u32 model[8192];
    u32 lo = 0, hi = 0, next = 0, bad = 0;
    Choice c{start};
    for (u32 step = 0; step < 5000; ++step) {
      switch (c.below(5)) {
        case 0:
        case 1: {
          bool room = hi - lo < 256;
          bad += q.push(item(next)) != room;
          if (room) {
            model[hi++] = next++;
          }
          break;
        }
        case 2:
        case 3: {
          u32* got = q.pop();
          bad += got != (lo == hi ? nullptr : item(model[hi - 1]));
          hi -= got != nullptr;
          break;
        }
        default: {
          u32* got = q.steal();
          bad += got != (lo == hi ? nullptr : item(model[lo]));
          lo += got != nullptr;
        }
      }
      bad += q.size() != hi - lo;
    }
    CHECK(bad == 0);
  }
}

TEST_CASE("fresh: spill takes the older half of a full deque, oldest first") {
  for (u32 start : kStarts) {
    Small q;
    begin_at(q, start);
    u32* out[2] = {};
    for (u32 i = 0; i < 4; ++i) {
      CHECK(q.spill(out) == 0);
      CHECK(q.push(item(i)));
    }
    CHECK(q.spill(out) == 2);
    CHECK(out[0] == item(0));
    CHECK(out[1] == item(1));
    CHECK(q.size() == 2);
    CHECK(q.pop() == item(3));
    CHECK(q.steal() == item(2));
    CHECK(q.pop() == nullptr);
  }
  Big big;
  static u32* out[128];
  for (u32 i = 0; i < 256; ++i) {
    REQUIRE(big.push(item(i)));
  }
  CHECK(big.spill(out) == 128);
  CHECK(out[0] == item(0));
  CHECK(out[127] == item(127));
  CHECK(big.steal() == item(128));
  CHECK(big.pop() == item(255));
}

namespace {

struct Ledger {
  Atomic<u8> taken[1u << 16];
  Atomic<u32> count;
  Atomic<u32> twice;
  Atomic<u32> stolen;  // never cleared
  void take(u32* p) {
    twice.fetch_add(taken[index(p)].exchange(1, relaxed), relaxed);
    count.fetch_add(1, relaxed);
  }
};
Ledger g_ledger;

template <u32 N>
void hammer(Fresh<u32, N>& q, u32 seed) {
  constexpr u32 kItems = rounds(1u << 16);
  for (u32 i = 0; i < kItems; ++i) {
    g_ledger.taken[i].store(0);
  }
  g_ledger.count.store(0);
  g_ledger.twice.store(0);
  Atomic<bool> over{false};
  {
    auto thief = [&] {
      while (!over.load(acquire)) {
        if (u32* p = q.steal()) {
          g_ledger.take(p);
          g_ledger.stolen.fetch_add(1, relaxed);
        } else {
          os::thread_yield();
        }
      }
    };
    Thread a(thief), b(thief);
    Choice c{seed};
    u32* half[N / 2];
    // Seed by seed another habit: nearly empty (the last element is fought
    // for), or nearly full (spills).
    u32 pops = 1 + seed % 3;
    for (u32 i = 0; i < kItems; ++i) {
      while (!q.push(item(i))) {
        u32 n = q.spill(half);
        for (u32 k = 0; k < n; ++k) {
          g_ledger.take(half[k]);
        }
      }
      for (u32 k = c.below(pops + 1); k > 0; --k) {
        if (u32* p = q.pop()) {
          g_ledger.take(p);
        }
      }
      if (c.below(1024) == 0) {
        os::thread_yield();
      }
    }
    while (u32* p = q.pop()) {
      g_ledger.take(p);
    }
    over.store(true, release);
  }
  CHECK(g_ledger.twice.load() == 0);
  CHECK(g_ledger.count.load() == kItems);
  CHECK(q.size() == 0);
}

}  // namespace

TEST_CASE("fresh: owner and thieves lose nothing and double nothing") {
  // Until thieves had their share, which a busy machine may keep from them.
  constexpr u32 kStolen = rounds(300'000);
  for (u32 seed = 1; seed <= 300 && g_ledger.stolen < kStolen; ++seed) {
    Small small;
    begin_at(small, seed % 2 ? 0 : UINT32_MAX - 1000);
    hammer(small, seed);
    Big big;
    begin_at(big, seed % 2 ? 0 : UINT32_MAX - 1000);
    hammer(big, seed);
  }
}
