// Classes of Gs: whose turn it is, that nobody starves, and what a mutex lends. On
// hosted runtimes, whose only thread is the test's.
#include "sched/rank.hpp"

#include <string>

#include "../objects.hpp"

using namespace unit;

namespace {

SpawnOpts of(u8 rank) {
  SpawnOpts o;
  o.priority = rank;
  return o;
}

template <class F>
G* go_as(Runtime* rt, u8 rank, F f) {
  SpawnOpts o = of(rank);
  u64 h = go_in(rt, std::move(f), &o);
  REQUIRE(h != 0);
  return g_at(rt, h);
}

u32 low_ones(Runtime* rt) { return rt->ranked[kLow].count; }
u32 high_ones(Runtime* rt) { return rt->ranked[kHigh].count; }

}  // namespace

TEST_CASE("rank: high before normal before low") {
  CHECK(above(kHigh, kNormal));
  CHECK(above(kNormal, kLow));
  CHECK(above(kHigh, kLow));
  CHECK(!above(kNormal, kHigh));
  for (u8 rank : {kNormal, kHigh, kLow}) {
    CHECK(!above(rank, rank));
  }
}

TEST_CASE(
    "rank: they wait in queues of their own, and the higher begin first") {
  Rt x(hosted());
  std::string seen;
  for (int i = 0; i < 2; ++i) {
    go_as(x.rt, kLow, [&] { seen += 'l'; });
    go_as(x.rt, kNormal, [&] { seen += 'n'; });
    go_as(x.rt, kHigh, [&] { seen += 'h'; });
  }
  CHECK(low_ones(x.rt) == 2);
  CHECK(high_ones(x.rt) == 2);
  CHECK(x->ranked_count.load() == 4);
  CHECK(x->global.size() == 2);
  CHECK(has_work(x.rt));
  CHECK(x.pump() == 0);
  CHECK(seen.size() == 6);
  CHECK(seen[0] == 'h');
  CHECK(x->ranked_count.load() == 0);
}

TEST_CASE("rank: whoever saturates, the others go on") {
  for (u8 busy : {kHigh, kNormal, kLow}) {
    for (u8 rank : {kHigh, kNormal, kLow}) {
      Rt x(hosted());
      u32 steps = 0;
      for (int i = 0; i < 3; ++i) {
        go_as(x.rt, busy, [&] { until([&] { return steps >= 20; }); });
      }
      go_as(x.rt, rank, [&] {
        for (; steps < 20; ++steps) {
          (void)yield();
        }
      });
      CHECK(x.pump() == 0);
      CHECK(steps == 20);
    }
  }
}

TEST_CASE("rank: where there are no classes any more all is as it was") {
  Rt x(hosted());
  go_as(x.rt, kNormal, [&] {
    go_as(x.rt, kHigh, [] {});
    CHECK((this_m()->slow.load() & kSlowRank) != 0);
    until([&] { return !(this_m()->slow.load() & kSlowRank); });
    CHECK(my_p()->rank_on.load() == kNormal);
  });
  CHECK(x.pump() == 0);
}

TEST_CASE("rank: a higher one asks for the P at the next check") {
  Rt x(hosted());
  bool ran = false;
  go_as(x.rt, kLow, [&] {
    go_as(x.rt, kHigh, [&] { ran = true; });
    CHECK((my_p()->attention.load() & kAttnRank) != 0);
    CHECK(!ran);
    (void)check_slow();
    CHECK(ran);
    go_as(x.rt, kLow, [] {});
    CHECK((my_p()->attention.load() & kAttnRank) == 0);
  });
  CHECK(x.pump() == 0);
}

TEST_CASE(
    "rank: a mutex lends its waiter's class to the owner until it unlocks") {
  Rt x(hosted());
  Mutex lock_of{};
  bool got = false;
  go_as(x.rt, kLow, [&] {
    REQUIRE(lock(lock_of) == 0);
    CHECK(rank_now(me()) == kLow);
    go_as(x.rt, kHigh, [&] {
      REQUIRE(lock(lock_of) == 0);
      got = true;
      REQUIRE(unlock(lock_of) == 0);
    });
    until([&] { return rank_now(me()) == kHigh; });
    CHECK(!got);
    REQUIRE(unlock(lock_of) == 0);
    CHECK(rank_now(me()) == kLow);
    CHECK(me()->rank.load() == rank_bits(kLow));
    until([&] { return got; });
  });
  CHECK(x.pump() == 0);
  CHECK(got);
  CHECK(lock_of.word.word.load() == 0);
}

namespace {

// The classic: low holds, high waits, normal ones take all the time there is. Did the
// fourth normal one see it? Where all is slow, low may have gone on before it looks:
// for it has a share of its own.
bool three_classes() {
  Rt x(hosted());
  Mutex lock_of{};
  bool got = false, went_on = false, seen = false;
  G* low = nullptr;
  low = go_as(x.rt, kLow, [&] {
    REQUIRE(lock(lock_of) == 0);
    (void)park();
    went_on = true;
    REQUIRE(unlock(lock_of) == 0);
  });
  CHECK(x.pump() == 1);  // it holds, and waits
  for (int i = 0; i < 3; ++i) {
    go_as(x.rt, kNormal, [&] { until([&] { return got; }); });
  }
  u64 handle = handle_of(x->tag, low->slot, low->word.load());
  go_as(x.rt, kNormal, [&, handle] {
    CHECK(unpark(handle) == 0);
    CHECK(low_ones(x.rt) == 1);  // ready, behind all normal ones
    G* high = go_as(x.rt, kHigh, [&] {
      REQUIRE(lock(lock_of) == 0);
      got = true;
      REQUIRE(unlock(lock_of) == 0);
    });
    // (Once is enough, unless a normal one is so late that it comes before.)
    until([&] {
      (void)check_slow();
      return rank_now(low) == kHigh || went_on;
    });
    if (!went_on) {
      // The high one has run and waits: what it waits for is among its like.
      CHECK((high->word.load() & kPhase) != 0);
      CHECK(rank_now(low) == kHigh);
      CHECK(low_ones(x.rt) == 0);
      seen = true;
    }
  });
  CHECK(x.pump() == 0);
  CHECK(got);
  return seen;
}

}  // namespace

TEST_CASE("rank: three classes, no inversion") {
  while (!three_classes()) {}
}

TEST_CASE("rank: two mutexes lend until both are unlocked") {
  Rt x(hosted());
  Mutex a{}, b{};
  go_as(x.rt, kLow, [&] {
    REQUIRE(lock(a) == 0);
    REQUIRE(lock(b) == 0);
    for (Mutex* m : {&a, &b}) {
      go_as(x.rt, kHigh, [m] {
        REQUIRE(lock(*m) == 0);
        REQUIRE(unlock(*m) == 0);
      });
    }
    until([&] { return me()->rank.load() >= 2 * kLentOne; });
    REQUIRE(unlock(a) == 0);
    CHECK(rank_now(me()) == kHigh);
    REQUIRE(unlock(b) == 0);
    CHECK(rank_now(me()) == kLow);
  });
  CHECK(x.pump() == 0);
}

// Each holds a mutex and waits for the next one's; the last one is ready, behind
// normal ones that take all the time.
TEST_CASE("rank: what is lent goes on along a chain of mutexes") {
  for (bool late : {false, true}) {
    constexpr u32 kLinks = 5;
    Rt x(hosted());
    Mutex link[kLinks] = {};
    G* low[kLinks];
    bool got = false;
    for (u32 i = 0; i < kLinks; ++i) {
      low[i] = go_as(x.rt, kLow, [&, i] {
        REQUIRE(lock(link[i]) == 0);
        if (i == 0 || late) {
          (void)park();
        }
        if (i > 0) {
          REQUIRE(lock(link[i - 1]) == 0);
          REQUIRE(unlock(link[i - 1]) == 0);
        }
        REQUIRE(unlock(link[i]) == 0);
        CHECK(me()->rank.load() == rank_bits(kLow));
      });
    }
    CHECK(x.pump() == 1);  // they hold, and wait
    for (int i = 0; i < 3; ++i) {
      go_as(x.rt, kNormal, [&] { until([&] { return got; }); });
    }
    go_as(x.rt, kHigh, [&] {
      REQUIRE(lock(link[kLinks - 1]) == 0);
      got = true;
      REQUIRE(unlock(link[kLinks - 1]) == 0);
    });
    go_as(x.rt, kNormal, [&] {
      until([&] { return rank_now(low[kLinks - 1]) == kHigh; });
      for (u32 i = kLinks; i-- > 0;) {
        CHECK(rank_now(low[i]) == kHigh);
        if (late) {  // what it has been lent it lends on when it waits
          CHECK(unpark(handle_of(x->tag, low[i]->slot, low[i]->word.load())) ==
                0);
          until([&] { return i == 0 || rank_now(low[i - 1]) == kHigh; });
        }
      }
      if (!late) {
        CHECK(unpark(handle_of(x->tag, low[0]->slot, low[0]->word.load())) ==
              0);
        CHECK(low_ones(x.rt) == 0);
      }
    });
    CHECK(x.pump() == 0);
    CHECK(got);
    for (Mutex& m : link) {
      CHECK(m.word.word.load() == 0);
    }
  }
}

TEST_CASE("rank: a ring of mutexes is followed once") {
  Rt x(hosted());
  Mutex a{}, b{};
  G* low[2];
  for (int i = 0; i < 2; ++i) {
    low[i] = go_as(x.rt, kLow, [&, i] {
      Mutex& other = i ? a : b;
      REQUIRE(lock(i ? b : a) == 0);
      (void)park();
      REQUIRE(lock(other, os::now_ns() + 3'600'000 * kMs) == kECANCELED);
      REQUIRE(unlock(i ? b : a) == 0);
    });
  }
  CHECK(x.pump() == 1);
  go_as(x.rt, kNormal, [&] {
    for (G* g : low) {
      CHECK(unpark(handle_of(x->tag, g->slot, g->word.load())) == 0);
    }
    until([&] { return a.queue.head && b.queue.head; });
    go_as(x.rt, kHigh, [&] {
      REQUIRE(lock(a) == 0);
      REQUIRE(unlock(a) == 0);
    });
    until([&] { return rank_now(low[0]) == kHigh; });
    CHECK(rank_now(low[1]) == kHigh);
    for (G* g : low) {
      CHECK(cancel(handle_of(x->tag, g->slot, g->word.load())) == 0);
    }
  });
  CHECK(x.pump() == 0);
}

TEST_CASE("rank: a mutex is handed to a lower one that a higher waits behind") {
  Rt x(hosted());
  Mutex lock_of{};
  bool got = false;
  G* second = nullptr;
  go_as(x.rt, kLow, [&] {
    REQUIRE(lock(lock_of) == 0);
    second = go_as(x.rt, kLow, [&] {
      REQUIRE(lock(lock_of) == 0);
      CHECK(rank_now(me()) == kHigh);
      REQUIRE(unlock(lock_of) == 0);
      CHECK(rank_now(me()) == kLow);
    });
    until([&] { return lock_of.queue.head != nullptr; });
    go_as(x.rt, kHigh, [&] {
      REQUIRE(lock(lock_of) == 0);
      got = true;
      REQUIRE(unlock(lock_of) == 0);
    });
    until([&] { return lock_of.queue.head && lock_of.queue.head->next; });
    REQUIRE(unlock(lock_of) == 0);
    CHECK((lock_of.word.word.load() & ~kMutexFlags) ==
          reinterpret_cast<u64>(second));
    CHECK(rank_now(second) == kHigh);
    CHECK(low_ones(x.rt) == 0);
  });
  CHECK(x.pump() == 0);
  CHECK(got);
  CHECK(lock_of.word.word.load() == 0);
}

TEST_CASE("rank: nobody of a lower class lends, nor does a thread") {
  Rt x(hosted());
  Mutex lock_of{};
  go_as(x.rt, kHigh, [&] {
    REQUIRE(lock(lock_of) == 0);
    G* low = go_as(x.rt, kLow, [&] {
      REQUIRE(lock(lock_of) == 0);
      REQUIRE(unlock(lock_of) == 0);
    });
    until([&] { return (low->word.load() & kPhase) != 0; });
    CHECK(me()->rank.load() == rank_bits(kHigh));
    REQUIRE(unlock(lock_of) == 0);
  });
  CHECK(x.pump() == 0);
}
