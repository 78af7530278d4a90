#include "../objects.hpp"

using namespace unit;

namespace {

constexpr u64 kWoken = 4, kStarving = 8;

u64 word(const Mutex& x) { return x.word.word.load(); }

// What the caller holds: its word without flags.
u64 mine() { return who_of(this_m()); }

void calm_down(Mutex& x, u32 unlocks) {
  while (unlocks--) {
    (void)lock(x);
    (void)unlock(x);
  }
}

// Lets others run, soon to be back.
void relax() {
  if (me()) {
    (void)yield();
  } else {
    os::thread_yield();
  }
}

// On a thread: returns soon after done() is true.
template <class F>
void spin_until(F done) {
  for (u32 i = 1; !done(); ++i) {
    if (i % 64) {
      cpu_relax();
    } else {
      os::thread_yield();
    }
  }
}

// Some kernels have no fence for all threads; a bias needs one, and somebody
// who has asked for it: a runtime.
bool no_fence() {
  Rt rt(1);
  return !os::fence_all_ready();
}

// The next unlock that nobody disturbs makes it biased. By the holder.
void nearly_biased(Mutex& x) {
  x.revoked.store(0);
  x.calm.store(kMutexCalm);
}

}  // namespace

TEST_CASE("mutex: locked and unlocked, and all zero again") {
  auto body = [] {
    Mutex x{};
    CHECK(lock(x) == 0);
    CHECK((word(x) & ~kMutexFlags) == who_of(this_m()));
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
      CHECK((word(x) & ~kMutexFlags) ==
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
      CHECK((word(x) & ~kMutexFlags) == 0);
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

TEST_CASE("mutex: biased after a thousand calm unlocks") {
  bool fence = !no_fence();
  auto body = [=] {
    Mutex x{};
    calm_down(x, kMutexCalm - 1);
    CHECK(word(x) == 0);
    CHECK(lock(x) == 0);
    CHECK(word(x) == mine());
    CHECK(unlock(x) == 0);
    // Only where there is a fence that ends it.
    CHECK(word(x) == (fence ? kMutexBiased : 0));
    for (i64 deadline : {kForever, soon(), kTry}) {
      CHECK(lock(x, deadline) == 0);
      CHECK(word(x) == (mine() | (fence ? kMutexBiased : 0)));
      CHECK(unlock(x) == 0);
      CHECK(word(x) == (fence ? kMutexBiased : 0));
    }
    CHECK(is_idle(x));
  };
  body();
  in_g(still(), body);
}

TEST_CASE("mutex: a biased one is nobody's in particular") {
  if (no_fence()) {
    UNIT_SKIP("no fence for all threads: no mutex is ever biased");
  }
  Mutex x{};
  calm_down(x, kMutexCalm);
  auto body = [&] {
    CHECK(word(x) == kMutexBiased);
    CHECK(lock(x) == 0);
    CHECK(word(x) == (mine() | kMutexBiased));
    CHECK(unlock(x) == 0);
    CHECK(word(x) == kMutexBiased);
  };
  body();
  { Thread t(body); }
  in_g(still(), body);
  CHECK(x.revoked.load() == 0);
}

TEST_CASE("mutex: misuse of a biased one is an answer, and leaves it biased") {
  if (no_fence()) {
    UNIT_SKIP("no fence for all threads: no mutex is ever biased");
  }
  auto body = [] {
    Mutex x{};
    calm_down(x, kMutexCalm);
    CHECK(unlock(x) == kEPERM);
    CHECK(word(x) == kMutexBiased);
    CHECK(lock(x) == 0);
    CHECK(lock(x) == kEDEADLOCK);
    CHECK(lock(x, soon()) == kEDEADLOCK);
    CHECK(lock(x, 1) == kEDEADLOCK);
    CHECK(lock(x, kTry) == kEAGAIN);
    CHECK(word(x) == (mine() | kMutexBiased));
    {
      Thread stranger([&] {
        CHECK(unlock(x) == kEPERM);
        CHECK(lock(x, kTry) == kEAGAIN);
      });
    }
    CHECK(word(x) == (mine() | kMutexBiased));
    CHECK(unlock(x) == 0);
    CHECK(word(x) == kMutexBiased);
    CHECK(unlock(x) == kEPERM);
    {
      Thread stranger([&] { CHECK(unlock(x) == kEPERM); });
    }
    CHECK(word(x) == kMutexBiased);
  };
  body();
  in_g(still(), body);
}

TEST_CASE("mutex: a waiter ends the bias and is served; the next takes twice") {
  if (no_fence()) {
    UNIT_SKIP("no fence for all threads: no mutex is ever biased");
  }
  in_g(seeded(1), [] {
    Mutex x{};
    // Up to 1024 times the calm; the count is put forward where it gets long.
    for (u32 revoked = 0; revoked < 13; ++revoked) {
      u32 need = kMutexCalm << (revoked < 10 ? revoked : 10);
      CHECK(x.revoked.load() == (revoked < 10 ? revoked : 10));
      CHECK(x.calm.load() == 0);
      if (need > 4 * kMutexCalm) {
        x.calm.store(need - 5);
        calm_down(x, 4);
      } else {
        calm_down(x, need - 1);
      }
      CHECK(word(x) == 0);
      calm_down(x, 1);
      CHECK(word(x) == kMutexBiased);
      (void)lock(x);
      CHECK(word(x) == (mine() | kMutexBiased));
      int got = -1;
      u64 h = go([&] {
        got = lock(x);
        CHECK(word(x) == mine());
        (void)unlock(x);
      });
      wait_parked(h);
      CHECK(word(x) == (mine() | kMutexWaiters));
      (void)unlock(x);
      (void)join(h);
      CHECK(got == 0);
      CHECK(word(x) == 0);
      x.calm.store(0);  // the waiter's own unlock was a calm one
    }
  });
}

TEST_CASE("mutex: a biased one is waited for with a deadline, tried, kept") {
  if (no_fence()) {
    UNIT_SKIP("no fence for all threads: no mutex is ever biased");
  }
  auto body = [] {
    for (int how = 0; how < 3; ++how) {
      Mutex x{};
      calm_down(x, kMutexCalm);
      (void)lock(x);
      int got = -1;
      {
        Thread t([&] {
          i64 deadline = how == 0   ? kTry
                         : how == 1 ? 1
                                    : os::now_ns() + kMs / 10;
          got = lock(x, deadline);
        });
      }
      CHECK(got == (how ? kETIMEDOUT : kEAGAIN));
      CHECK((word(x) & ~kMutexFlags) == mine());  // still held by the same
      CHECK(!(word(x) & kMutexWaiters));
      CHECK(x.queue.empty());
      CHECK(unlock(x) == 0);
      CHECK(lock(x, kTry) == 0);
      CHECK(unlock(x) == 0);
      CHECK(is_idle(x));
    }
  };
  body();
  in_g(still(), body);
}

TEST_CASE("mutex: canceled Gs wait for a biased one as for any") {
  if (no_fence()) {
    UNIT_SKIP("no fence for all threads: no mutex is ever biased");
  }
  in_g(seeded(1), [] {
    Mutex x{};
    calm_down(x, kMutexCalm);
    (void)lock(x);
    int ever = -1, timed = -1;
    u64 a = go([&] {
      ever = lock(x);  // not ended by a cancel
      if (ever == 0) {
        (void)unlock(x);
      }
    });
    wait_parked(a);
    i64 deadline = now() + kSecond;
    u64 b = go([&] {
      timed = lock(x, deadline);
      if (timed == 0) {
        (void)unlock(x);
      }
    });
    wait_parked(b);
    (void)cancel(a);
    (void)cancel(b);
    (void)join(b);
    CHECK(timed == kECANCELED);
    CHECK(ever == -1);
    CHECK(word(x) == (mine() | kMutexWaiters));
    (void)unlock(x);
    (void)join(a);
    CHECK(ever == 0);
    CHECK(is_idle(x));
  });
}

TEST_CASE("mutex: a cond lets go of a biased one and comes back") {
  if (no_fence()) {
    UNIT_SKIP("no fence for all threads: no mutex is ever biased");
  }
  in_g(seeded(1), [] {
    Mutex x{};
    Cond c{};
    calm_down(x, kMutexCalm);
    bool flag = false;
    u64 h = go([&] {
      (void)lock(x);
      CHECK(word(x) == (mine() | kMutexBiased));
      while (!flag) {
        (void)wait(c, x);
      }
      CHECK((word(x) & ~kMutexFlags) == mine());
      (void)unlock(x);
    });
    wait_parked(h);
    CHECK(word(x) == kMutexBiased);
    (void)lock(x);
    flag = true;
    (void)signal(c);
    (void)unlock(x);
    (void)join(h);
    CHECK(is_idle(x));
    CHECK(is_idle(c));
  });
}

TEST_CASE("mutex: calm and crowd in turns, by Gs and threads") {
  Rt rt(2);
  Mutex x{};
  u32 plain = 0, expected = 0;
  Atomic<u32> worst{0};
  bool fence = os::fence_all_ready();
  auto once = [&] {
    worst.fetch_or(static_cast<u32>(lock(x)));
    ++plain;
    worst.fetch_or(static_cast<u32>(unlock(x)));
  };
  for (u32 phase = 0; phase < rounds(60); ++phase) {
    // Calm: alone, until it is biased.
    x.revoked.store(0);
    x.calm.store(0);
    for (u32 i = 0; i < kMutexCalm + 1; ++i, ++expected) {
      once();
    }
    CHECK(word(x) == (fence ? kMutexBiased : 0));
    // The crowd comes while this one is still at it.
    static constexpr u32 kEach = 300;
    Waitgroup ended{};
    (void)add(ended, 4);
    for (int i = 0; i < 4; ++i) {
      (void)go_in(rt.rt, [&] {
        for (u32 k = 0; k < kEach; ++k) {
          once();
        }
        (void)add(ended, -1);
      });
    }
    auto several = [&] {
      for (u32 k = 0; k < kEach; ++k) {
        once();
      }
    };
    {
      Thread a(several), b(several);
      several();
    }
    (void)wait(ended);
    expected += 7 * kEach;
    CHECK(plain == expected);
    CHECK(is_idle(x));
  }
  CHECK(worst.load() == 0);
}

TEST_CASE("mutex: biased again by each holder, revoked by each waiter") {
  // What takes a thousand calm unlocks, at every chance.
  Rt rt(2);
  Mutex x{};
  u32 plain = 0;
  Atomic<u32> worst{0};
  static constexpr u32 kTimes = rounds(100'000);
  auto body = [&](u32 i) {
    for (u32 k = 0; k < kTimes; ++k) {
      int err = 0;
      // Neither parks each time, and the holder may wait for this P.
      if ((k + i) % 5 == 0) {
        while ((err = lock(x, kTry)) == kEAGAIN) {
          relax();
        }
      } else if ((k + i) % 5 == 1) {
        while ((err = lock(x, os::now_ns() + 1000)) == kETIMEDOUT) {
          relax();
        }
      } else {
        err = lock(x);
      }
      worst.fetch_or(static_cast<u32>(err));
      nearly_biased(x);
      ++plain;
      worst.fetch_or(static_cast<u32>(unlock(x)));
    }
  };
  Waitgroup ended{};
  (void)add(ended, 3);
  for (u32 i = 0; i < 3; ++i) {
    (void)go_in(rt.rt, [&, i] {
      body(i);
      (void)add(ended, -1);
    });
  }
  {
    Thread a([&] { body(3); });
    Thread b([&] { body(4); });
    Thread c([&] { body(5); });
  }
  (void)wait(ended);
  CHECK(worst.load() == 0);
  CHECK(plain == 6 * kTimes);
  CHECK(is_idle(x));
}

TEST_CASE("mutex: a word that is not whole is nobody's to store") {
  // An owner that was stopped between its look at a biased word and its unlock
  // says "leaving" when the bias is over already, sees that, and takes it back.
  // A waiter that comes just then must not bring the upper half back later.
  Mutex x{};
  u32 bad = 0;
  for (u32 round = 0; round < rounds(1000); ++round) {
    (void)lock(x);
    u64 whole = mine();
    int got = -1;
    {
      Thread t([&] {
        got = lock(x);
        (void)unlock(x);
      });
      u64 v = 0;
      while (!(v & kMutexWaiters)) {
        store_upper(x.word.word, kMutexLeaving);
        cpu_relax();
        store_upper(x.word.word, static_cast<u32>(whole >> 32));
        for (int i = 0; i < 10 && !(v & kMutexWaiters); ++i) {
          cpu_relax();
          v = word(x);
        }
        if (!(v & kMutexWaiters)) {
          os::thread_yield();
        }
      }
      bad += (word(x) & ~kMutexFlags) != whole;
      store_upper(x.word.word, static_cast<u32>(whole >> 32));
      bad += unlock(x) != 0;
    }
    bad += got != 0;
  }
  CHECK(bad == 0);
  CHECK(is_idle(x));
}

TEST_CASE("mutex: the unlock of a biased one does not touch it afterwards") {
  // Who gets the mutex next may free it: here it is filled, and must stay so.
  if (no_fence()) {
    UNIT_SKIP("no fence for all threads: no mutex is ever biased");
  }
  static constexpr u32 kRounds = rounds(4000);
  static constexpr u64 kFilled = 0x5a5a5a5a5a5a5a5a;
  struct alignas(64) Slot {
    Mutex x{};
    Atomic<u32> held{0}, gone{0};
  };
  Slot* slots = new Slot[kRounds];
  u32 bad = 0;
  {
    Thread owner([=] {
      for (u32 i = 0; i < kRounds; ++i) {
        Mutex& x = slots[i].x;
        (void)lock(x);
        nearly_biased(x);
        (void)unlock(x);
        (void)lock(x);
        slots[i].held.store(1, release);
        (void)unlock(x);
        spin_until([=] { return slots[i].gone.load(acquire); });
      }
    });
    for (u32 i = 0; i < kRounds; ++i) {
      Mutex& x = slots[i].x;
      spin_until([=] { return slots[i].held.load(acquire); });
      if (i % 3 == 0) {  // sees the unlock with its own eyes
        while (word(x) & ~kMutexFlags) {}
      } else if (i % 3 == 1) {
        while (lock(x, kTry) == kEAGAIN) {}
        (void)unlock(x);
      }
      (void)lock(x);
      (void)unlock(x);
      u64 filled[sizeof(Mutex) / sizeof(u64)];
      for (u64& w : filled) {
        w = kFilled;
      }
      memcpy(static_cast<void*>(&x), filled, sizeof x);
      slots[i].gone.store(1, release);
    }
  }
  for (u32 i = 0; i < kRounds; ++i) {
    u64 now[sizeof(Mutex) / sizeof(u64)];
    memcpy(now, static_cast<void*>(&slots[i].x), sizeof now);
    for (u64 w : now) {
      bad += w != kFilled;
    }
  }
  CHECK(bad == 0);
  delete[] slots;
}
