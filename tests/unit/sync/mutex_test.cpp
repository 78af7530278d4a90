#include "../objects.hpp"

using namespace unit;

namespace {

constexpr u64 kWoken = 4, kStarving = 8;

u64 word(const Mutex& x) { return x.word.word.load(); }

}  // namespace

TEST_CASE("mutex: locked and unlocked, and all zero again") {
  auto body = [] {
    Mutex x{};
    CHECK(lock(x) == 0);
    CHECK((word(x) & ~u64{63}) == who_of(this_m()));
    CHECK((word(x) & 63) == 0);
    CHECK(unlock(x) == 0);
    CHECK(is_idle(x));
    CHECK(lock(x, kTry) == 0);
    CHECK(lock(x, kTry) == kEAGAIN);
    CHECK(unlock(x) == 0);
    CHECK(lock(x, soon()) == 0);
    CHECK(unlock(x) == 0);
    CHECK(is_idle(x));
  };
  body();  // on a thread
  in_g(still(), body);
}

TEST_CASE("mutex: misuse is an answer") {
  auto body = [] {
    Mutex x{};
    CHECK(unlock(x) == kEPERM);
    CHECK(is_idle(x));
    CHECK(lock(x) == 0);
    CHECK(lock(x) == kEDEADLOCK);
    CHECK(lock(x, soon()) == kEDEADLOCK);
    CHECK(unlock(x) == 0);
    CHECK(unlock(x) == kEPERM);
    CHECK(is_idle(x));
  };
  body();
  in_g(still(), body);
  // By somebody else than the holder.
  Mutex x{};
  CHECK(lock(x) == 0);
  {
    Thread t([&] {
      CHECK(unlock(x) == kEPERM);
      CHECK(lock(x, kTry) == kEAGAIN);
      CHECK(lock(x, os::now_ns() + kMs) == kETIMEDOUT);
      CHECK(lock(x, 1) == kETIMEDOUT);
    });
  }
  CHECK(unlock(x) == 0);
  CHECK(is_idle(x));
}

TEST_CASE("mutex: one at a time, for 1 to 64 Gs, nobody forgotten") {
  for (u32 procs : {1u, 2u, 4u}) {
    for (u32 n : {1u, 2u, 3u, 8u, 64u}) {
      in_g(config(procs), [=] {
        Mutex x{};
        u32 plain = 0;
        Atomic<u32> inside{0}, worst{0};
        Waitgroup ended{};
        (void)add(ended, static_cast<i32>(n));
        u32 times = rounds(3000) / n + 5;
        for (u32 i = 0; i < n; ++i) {
          (void)go([&, i] {
            for (u32 k = 0; k < times; ++k) {
              (void)lock(x);
              if (inside.fetch_add(1) != 0) {
                worst.store(1);
              }
              ++plain;
              if ((k + i) % 7 == 0) {
                (void)yield();
              }
              inside.fetch_sub(1);
              (void)unlock(x);
            }
            (void)add(ended, -1);
          });
        }
        (void)wait(ended);
        CHECK(plain == n * times);
        CHECK(worst.load() == 0);
        CHECK(is_idle(x));
      });
    }
  }
}

TEST_CASE("mutex: Gs and threads together") {
  Rt rt(2);
  Mutex x{};
  u32 plain = 0;
  static constexpr u32 kTimes = rounds(5000);
  Waitgroup ended{};
  (void)add(ended, 4);
  auto body = [&] {
    for (u32 k = 0; k < kTimes; ++k) {
      (void)lock(x);
      ++plain;
      (void)unlock(x);
    }
  };
  for (int i = 0; i < 4; ++i) {
    (void)go_in(rt.rt, [&] {
      body();
      (void)add(ended, -1);
    });
  }
  { Thread a(body), b(body); }
  (void)wait(ended);
  CHECK(plain == 6 * kTimes);
  CHECK(is_idle(x));
}

TEST_CASE("mutex: parked waiters get it in the order in which they came") {
  // Each unlock wakes one; nobody else is about, so it is theirs.
  in_g(still(), [] {
    static constexpr u32 kWaiters = 20;
    Mutex x{};
    static u32 order[kWaiters], n;
    n = 0;
    (void)lock(x);
    u64 h[kWaiters];
    for (u32 i = 0; i < kWaiters; ++i) {
      h[i] = go([&, i] {
        (void)lock(x);
        order[n++] = i;
        (void)unlock(x);
      });
      wait_parked(h[i]);
    }
    (void)unlock(x);
    for (u64 g : h) {
      (void)join(g);
    }
    u32 bad = 0;
    for (u32 i = 0; i < kWaiters; ++i) {
      bad += order[i] != i;
    }
    CHECK(bad == 0);
    CHECK(is_idle(x));
  });
}

TEST_CASE("mutex: whoever runs may pass a woken waiter, once") {
  // In virtual time: after a real millisecond it would be the waiter's.
  in_g(seeded(1), [] {
    Mutex x{};
    (void)lock(x);
    bool got = false;
    u64 h = go([&] {
      (void)lock(x);
      got = true;
      (void)unlock(x);
    });
    wait_parked(h);
    (void)unlock(x);
    CHECK((word(x) & kWoken) != 0);
    int rc = lock(x, kTry);  // it has not run yet
    CHECK(rc == 0);
    (void)unlock(x);
    CHECK((word(x) & kWoken) != 0);  // one was woken, so no second is
    (void)join(h);
    CHECK(got);
    CHECK(is_idle(x));
  });
}

TEST_CASE("mutex: a waiter of a millisecond is handed it, in order") {
  // Virtual time makes "a millisecond" exact.
  for (u64 seed = 0; seed < 20; ++seed) {
    in_g(seeded(seed), [] {
      Mutex x{};
      static u32 order[4], n;
      n = 0;
      (void)lock(x);
      u64 h[3];
      for (u32 i = 0; i < 3; ++i) {
        h[i] = go([&, i] {
          (void)lock(x);
          order[n++] = i;
          (void)sleep_ns(10);
          (void)unlock(x);
        });
        wait_parked(h[i]);
      }
      (void)sleep_ns(2 * kMs);
      (void)unlock(x);
      // It is theirs already: nobody barges in, though nobody of them has run.
      CHECK((word(x) & ~u64{63}) ==
            reinterpret_cast<u64>(g_at(this_m()->rt, h[0])));
      CHECK((word(x) & kStarving) != 0);
      int rc = lock(x, kTry);
      CHECK(rc == kEAGAIN);
      rc = lock(x);  // behind them
      CHECK(rc == 0);
      order[n++] = 3;
      CHECK((word(x) & kStarving) == 0);  // over: this one waited for 30 ns
      (void)unlock(x);
      for (u32 i = 0; i < 4; ++i) {
        CHECK(order[i] == i);
      }
      for (u64 g : h) {
        (void)join(g);
      }
      CHECK(is_idle(x));
    });
  }
}

TEST_CASE("mutex: under a millisecond it is not handed over") {
  for (u64 seed = 0; seed < 20; ++seed) {
    in_g(seeded(seed), [] {
      Mutex x{};
      (void)lock(x);
      u64 h = go([&] {
        (void)lock(x);
        (void)unlock(x);
      });
      wait_parked(h);
      (void)sleep_ns(kMs / 2);
      (void)unlock(x);
      CHECK((word(x) & ~u64{63}) == 0);
      CHECK((word(x) & kStarving) == 0);
      (void)join(h);
      CHECK(is_idle(x));
    });
  }
}

TEST_CASE("mutex: a hog that never lets go for long does not starve others") {
  // One P: the hog unlocks and locks again at once, and yields while it holds
  // the mutex. Barging alone would keep the other out for ever.
  in_g(still(), [] {
    Mutex x{};
    bool stop = false;
    u32 hogged = 0, got = 0;
    u64 hog = go([&] {
      while (!stop && hogged < 3'000'000) {
        (void)lock(x);
        (void)yield();
        ++hogged;
        (void)unlock(x);
      }
    });
    u64 other = go([&] {
      for (; got < 5; ++got) {
        (void)lock(x);
        (void)unlock(x);
      }
    });
    (void)join(other);
    CHECK(got == 5);
    CHECK(hogged < 3'000'000);
    stop = true;
    (void)join(hog);
    CHECK(is_idle(x));
  });
}

TEST_CASE("mutex: waiters that give up, and those that stay") {
  // In virtual time: all of them wait before the first one gives up.
  in_g(seeded(1), [] {
    Mutex x{};
    for (u32 round = 0; round < 10; ++round) {
      (void)lock(x);
      static constexpr u32 kWaiters = 6;
      u64 h[kWaiters];
      int got[kWaiters];
      i64 deadline = now() + 500'000;
      for (u32 i = 0; i < kWaiters; ++i) {
        bool leaves = (round + i) % 2;
        h[i] = go([&, i, leaves] {
          got[i] = lock(x, leaves ? deadline : kForever);
          if (got[i] == 0) {
            (void)unlock(x);
          }
        });
        wait_parked(h[i]);
      }
      (void)sleep_ns(kMs);
      for (u32 i = 0; i < kWaiters; ++i) {
        if ((round + i) % 2) {
          (void)join(h[i]);
          CHECK(got[i] == kETIMEDOUT);
        }
      }
      (void)unlock(x);
      for (u32 i = 0; i < kWaiters; ++i) {
        (void)join(h[i]);
        bool leaves = (round + i) % 2;
        CHECK(got[i] == (leaves ? kETIMEDOUT : 0));
      }
      CHECK(is_idle(x));
    }
  });
}

TEST_CASE("mutex: the woken waiter gives up: the next one is woken") {
  // A waiter that was woken, found the mutex taken, and then ran into its
  // deadline must not take the only wake with it.
  for (u64 seed = 0; seed < rounds(200); ++seed) {
    in_g(seeded(seed), [] {
      Mutex x{};
      (void)lock(x);
      i64 deadline = now() + 100;
      int first = -1, second = -1;
      u64 a = go([&] {
        first = lock(x, deadline);
        if (first == 0) {
          (void)unlock(x);
        }
      });
      wait_parked(a);
      u64 b = go([&] {
        second = lock(x);
        (void)unlock(x);
      });
      wait_parked(b);
      (void)unlock(x);         // wakes a
      int rc = lock(x, kTry);  // and is faster, perhaps
      if (rc == 0) {
        (void)sleep_ns(200);  // beyond a's deadline
        (void)unlock(x);
      }
      (void)join(a);
      (void)join(b);
      CHECK(second == 0);
      CHECK((first == 0 || first == kETIMEDOUT));
      CHECK(is_idle(x));
    });
  }
}
