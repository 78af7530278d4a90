#include "../unit.hpp"
#include "queue/runq.hpp"
#include "reach.hpp"

using namespace unit;

namespace {

using Small = Runq<u32, 4>;
using Big = Runq<u32, 256>;
UNIT_REACH(small_head, Small, Atomic<u32>, head_);
UNIT_REACH(small_tail, Small, Atomic<u32>, tail_);
UNIT_REACH(big_head, Big, Atomic<u32>, head_);
UNIT_REACH(big_tail, Big, Atomic<u32>, tail_);

void begin_at(Small& q, u32 at) {
  (q.*small_head(Tag_small_head{})).store(at);
  (q.*small_tail(Tag_small_tail{})).store(at);
}
void begin_at(Big& q, u32 at) {
  (q.*big_head(Tag_big_head{})).store(at);
  (q.*big_tail(Tag_big_tail{})).store(at);
}

u32 g_items[1u << 16];
u32* item(u32 i) { return &g_items[i]; }
u32 index(const u32* p) { return static_cast<u32>(p - g_items); }

// Where indices begin: at 0, and just before they wrap.
constexpr u32 kStarts[] = {
    0,          UINT32_MAX, UINT32_MAX - 1, UINT32_MAX - 3, UINT32_MAX - 200,
    0x7fffffff, 0x80000000};

}  // namespace

TEST_CASE("runq: first in, first out; empty; full") {
  for (u32 start : kStarts) {
    Small q;
    begin_at(q, start);
    CHECK(q.get() == nullptr);
    for (u32 round = 0; round < 3; ++round) {
      for (u32 i = 0; i < 4; ++i) {
        CHECK(q.size() == i);
        CHECK(q.put(item(i)));
      }
      CHECK(q.size() == 4);
      CHECK_FALSE(q.put(item(9)));
      CHECK(q.get() == item(0));
      CHECK(q.put(item(4)));  // one came free
      CHECK_FALSE(q.put(item(9)));
      for (u32 i = 1; i < 5; ++i) {
        CHECK(q.get() == item(i));
      }
      CHECK(q.get() == nullptr);
      CHECK(q.size() == 0);
    }
  }
}

TEST_CASE("runq: 256 long, through the wrap of its indices") {
  for (u32 start : kStarts) {
    Big q;
    begin_at(q, start);
    u32 in = 0, out = 0, bad = 0;
    Choice c{start};
    for (u32 step = 0; step < 5000; ++step) {
      if (c.below(2)) {
        bool room = in - out < 256;
        bad += q.put(item(in)) != room;
        in += room;
      } else {
        u32* got = q.get();
        bad += got != (in == out ? nullptr : item(out));
        out += got != nullptr;
      }
      bad += q.size() != in - out;
    }
    CHECK(bad == 0);
  }
}

TEST_CASE("runq: spill takes the older half of a full ring, else nothing") {
  for (u32 start : kStarts) {
    Small q;
    begin_at(q, start);
    u32* out[2] = {};
    for (u32 i = 0; i < 4; ++i) {
      CHECK(q.spill(out) == 0);
      CHECK(q.put(item(i)));
    }
    CHECK(q.spill(out) == 2);
    CHECK(out[0] == item(0));
    CHECK(out[1] == item(1));
    CHECK(q.size() == 2);
    CHECK(q.put(item(4)));
    CHECK(q.get() == item(2));
    CHECK(q.get() == item(3));
    CHECK(q.get() == item(4));
  }
  Big big;
  static u32* out[128];
  for (u32 i = 0; i < 256; ++i) {
    REQUIRE(big.put(item(i)));
  }
  CHECK(big.spill(out) == 128);
  CHECK(out[0] == item(0));
  CHECK(out[127] == item(127));
  CHECK(big.get() == item(128));
}

TEST_CASE("runq: grab takes the older half, rounded up, in order") {
  for (u32 start : kStarts) {
    for (u32 n = 0; n <= 4; ++n) {
      Small q;
      begin_at(q, start);
      u32* out[2] = {};
      for (u32 i = 0; i < n; ++i) {
        REQUIRE(q.put(item(i)));
      }
      u32 half = n - n / 2;
      CHECK(q.grab(out) == half);
      for (u32 i = 0; i < half; ++i) {
        CHECK(out[i] == item(i));
      }
      for (u32 i = half; i < n; ++i) {
        CHECK(q.get() == item(i));
      }
      CHECK(q.get() == nullptr);
    }
  }
}

TEST_CASE("runq: next") {
  Small q;
  CHECK_FALSE(q.has_next());
  CHECK(q.take_next() == nullptr);
  CHECK(q.put_next(item(1)) == nullptr);
  CHECK(q.has_next());
  CHECK(q.size() == 0);  // it is no part of the ring
  CHECK(q.get() == nullptr);
  CHECK(q.put_next(item(2)) == item(1));  // the newer one displaces it
  CHECK(q.take_next() == item(2));
  CHECK_FALSE(q.has_next());
  CHECK(q.take_next() == nullptr);
  CHECK(q.put_next(item(3)) == nullptr);
  CHECK(q.take_next() == item(3));
}

namespace {

// Every item is somewhere exactly once, whoever takes it.
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

void clear_ledger(u32 n) {
  for (u32 i = 0; i < n; ++i) {
    g_ledger.taken[i].store(0);
  }
  g_ledger.count.store(0);
  g_ledger.twice.store(0);
}

template <u32 N>
void hammer(Runq<u32, N>& q, u32 seed) {
  constexpr u32 kItems = rounds(1u << 16);
  clear_ledger(kItems);
  Atomic<bool> over{false};
  Atomic<u32> disorder{0};
  {
    // Thieves see the ring's items in order, for they come from one producer.
    auto thief = [&] {
      u32* half[N / 2];
      u32 last = 0;
      while (!over.load(acquire)) {
        u32 n = q.grab(half);
        for (u32 i = 0; i < n; ++i) {
          u32 at = index(half[i]) + 1;
          disorder.fetch_add(at <= last, relaxed);
          last = at;
          g_ledger.take(half[i]);
        }
        g_ledger.stolen.fetch_add(n, relaxed);
        if (u32* p = q.take_next()) {
          g_ledger.take(p);
        }
        if (n == 0) {
          os::thread_yield();
        }
      }
    };
    Thread a(thief), b(thief);
    Choice c{seed};
    u32* half[N / 2];
    for (u32 i = 0; i < kItems; ++i) {
      u32* p = item(i);
      if (c.below(8) == 0) {  // a hand-over; the displaced one is done with
        if (u32* behind = q.put_next(p)) {
          g_ledger.take(behind);
        }
      } else {
        while (!q.put(p)) {
          u32 n = q.spill(half);
          for (u32 k = 0; k < n; ++k) {
            g_ledger.take(half[k]);
          }
        }
      }
      for (u32 k = c.below(4); k > 2; --k) {
        if (u32* mine = q.get()) {
          g_ledger.take(mine);
        }
        if (u32* next = q.take_next()) {
          g_ledger.take(next);
        }
      }
      if (c.below(1024) == 0) {
        os::thread_yield();
      }
    }
    while (u32* p = q.get()) {
      g_ledger.take(p);
    }
    if (u32* p = q.take_next()) {
      g_ledger.take(p);
    }
    over.store(true, release);
  }
  CHECK(g_ledger.twice.load() == 0);
  CHECK(g_ledger.count.load() == kItems);
  CHECK(disorder.load() == 0);
  CHECK(q.size() == 0);
  CHECK_FALSE(q.has_next());
}

}  // namespace

TEST_CASE("runq: owner and thieves lose nothing and double nothing") {
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
