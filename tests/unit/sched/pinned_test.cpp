#include "../objects.hpp"

using namespace unit;

namespace {

// Waits of several kinds, after each of which a G may be elsewhere.
template <class F>
void wander(u32 times, u32 seed, F each) {
  Choice c{seed};
  for (u32 i = 0; i < times; ++i) {
    switch (c.below(4)) {
      case 0:
        (void)sleep_ns(1 + c.below(20'000));
        break;
      case 1: {
        u64 v;
        Channel ch(0);
        u64 h = go([&] { (void)send(ch, 1); });
        (void)recv(ch, &v);
        (void)join(h);
        break;
      }
      default:
        (void)yield();
    }
    each();
  }
}

}  // namespace

TEST_CASE("pinned: a PIN_STARTED G stays where it started") {
  for (u32 procs : {1u, 4u}) {
    Rt rt(procs);
    int rc = rt.run([&] {
      static constexpr u32 kGs = 12;
      Waitgroup ended{};
      (void)add(ended, kGs);
      Atomic<u32> moved{0}, on_lent{0};
      SpawnOpts o;
      o.affinity = kPinStarted;
      for (u32 i = 0; i < kGs; ++i) {
        (void)go(
            [&, i] {
              u32 home = os::thread_id();
              on_lent.fetch_add(this_m()->lent);
              wander(rounds(100), i, [&] {
                moved.fetch_add(os::thread_id() != home);
                moved.fetch_add(this_m()->cur->body->pin != this_m());
              });
              (void)add(ended, -1);
            },
            &o);
      }
      (void)wait(ended);
      CHECK(moved.load() == 0);
      CHECK(on_lent.load() == 0);  // a lent thread may be gone later
    });
    CHECK(rc == 0);
  }
}

// As one that accepts connections does: each begins as its maker parks. Nobody is
// woken for what is ready.
TEST_CASE("pinned: who makes many, one by one, does not keep them all") {
  in_owned(still(2), [] {
    static constexpr u32 kGs = 100;
    Runtime* rt = this_m()->rt;
    SpawnOpts o;
    o.affinity = kPinStarted;
    u64 h[kGs];
    for (u64& x : h) {
      until([rt] { return rt->idle_count.load() == 1; });
      my_p()->mean_run.store(1);  // short dispatches: no reason to wake anybody
      x = go([] { (void)park(); }, &o);
      wait_parked(x);
    }
    u32 most = 0, all = 0;
    for (M* m = rt->ms; m; m = m->next_m) {
      most = max(most, m->bound.load());
      all += m->bound.load();
    }
    CHECK(all >= kGs);
    CHECK(most <= kGs * 2 / 3);
    for (u64 x : h) {
      (void)unpark(x);
      (void)join(x);
    }
  });
}

TEST_CASE("pinned: a PIN_STARTED G may be stolen until it starts") {
  in_g(config(3), [] {
    // This G computes: whoever runs the child is another thread.
    SpawnOpts o;
    o.affinity = kPinStarted;
    for (u32 i = 0; i < 3; ++i) {
      Atomic<u32> where{0};
      u64 h = go([&] { where.store(os::thread_id()); }, &o);
      i64 from = os::now_ns();
      while (!where.load() && os::now_ns() - from < 3 * kSecond) {
        cpu_relax();
      }
      CHECK(where.load() != 0);
      CHECK(where.load() != os::thread_id());
      (void)join(h);
    }
  });
}

TEST_CASE("pinned: a PIN_M G runs on its spawner's M only") {
  for (u32 procs : {1u, 3u}) {
    in_g(config(procs), [] {
      // The spawner itself must not wander off meanwhile.
      SpawnOpts started;
      started.affinity = kPinStarted;
      Waitgroup ended{};
      (void)add(ended, 4);
      Atomic<u32> moved{0};
      for (u32 k = 0; k < 4; ++k) {
        (void)go(
            [&] {
              u32 home = os::thread_id();
              SpawnOpts o;
              o.affinity = kPinM;
              u64 h[3];
              for (u64& x : h) {
                x = go(
                    [&] {
                      moved.fetch_add(os::thread_id() != home);
                      wander(rounds(60), 5,
                             [&] { moved.fetch_add(os::thread_id() != home); });
                    },
                    &o);
              }
              for (u64 x : h) {
                (void)join(x);
              }
              (void)add(ended, -1);
            },
            &started);
      }
      (void)wait(ended);
      CHECK(moved.load() == 0);
    });
  }
}

TEST_CASE("pinned: pinned and plain Gs share an M") {
  in_g(still(), [] {
    // One P: plain yielders must not starve pinned ones, nor the other way.
    SpawnOpts o;
    o.affinity = kPinStarted;
    Atomic<u32> plain{0}, pinned{0};
    Atomic<bool> stop{false};
    Waitgroup ended{};
    (void)add(ended, 4);
    for (u32 i = 0; i < 4; ++i) {
      (void)go(
          [&, i] {
            while (!stop.load()) {
              (i < 2 ? plain : pinned).fetch_add(1);
              (void)yield();
            }
            (void)add(ended, -1);
          },
          i < 2 ? nullptr : &o);
    }
    i64 from = os::now_ns();
    until([&] {
      return (plain.load() > 2000 && pinned.load() > 2000) ||
             os::now_ns() - from > 3 * kSecond;
    });
    CHECK(plain.load() > 2000);
    CHECK(pinned.load() > 2000);
    stop.store(true);
    (void)wait(ended);
  });
}

TEST_CASE("lock_thread: the thread is the G's alone") {
  for (u32 procs : {1u, 2u, 4u}) {
    Rt rt(procs);
    int rc = rt.run([&] {
      Atomic<u32> owned{0};  // the thread that belongs to the locked G
      Atomic<u32> intruders{0}, moved{0}, turns{0};
      Atomic<bool> stop{false};
      static constexpr u32 kOthers = 6;
      Waitgroup ended{};
      (void)add(ended, kOthers);
      for (u32 i = 0; i < kOthers; ++i) {
        (void)go([&] {
          while (!stop.load()) {
            u32 here = os::thread_id();
            intruders.fetch_add(owned.load() == here);
            turns.fetch_add(1);
            (void)yield();
          }
          (void)add(ended, -1);
        });
      }
      u64 h = go([&] {
        for (u32 round = 0; round < rounds(20); ++round) {
          {
            Enter e;
            (void)lock_thread(e.m);
          }
          {
            Enter e;
            (void)lock_thread(e.m);  // it nests
          }
          u32 home = os::thread_id();
          owned.store(home);
          wander(10, round, [&] { moved.fetch_add(os::thread_id() != home); });
          {
            Enter e;
            (void)unlock_thread(e.m);
          }
          wander(3, round, [&] { moved.fetch_add(os::thread_id() != home); });
          owned.store(0);
          {
            Enter e;
            (void)unlock_thread(e.m);
          }
          (void)yield();
        }
      });
      (void)join(h);
      stop.store(true);
      (void)wait(ended);
      CHECK(intruders.load() == 0);
      CHECK(moved.load() == 0);
      CHECK(turns.load() > 0);
    });
    CHECK(rc == 0);
  }
}

TEST_CASE("lock_thread: a yield of the locked G lets the others run") {
  for (u32 procs : {1u, 2u}) {
    in_g(config(procs), [] {
      Atomic<u32> turns{0};
      Atomic<bool> stop{false};
      u64 other = go([&] {
        while (!stop.load()) {
          turns.fetch_add(1);
          (void)yield();
        }
      });
      u32 seen = 0;
      u64 h = go([&] {
        {
          Enter e;
          (void)lock_thread(e.m);
        }
        u32 from = turns.load();
        for (i64 t0 = os::now_ns();
             turns.load() < from + 10 && os::now_ns() - t0 < 3 * kSecond;) {
          (void)yield();
        }
        seen = turns.load() - from;
        Enter e;
        (void)unlock_thread(e.m);
      });
      (void)join(h);
      CHECK(seen >= 10);
      stop.store(true);
      (void)join(other);
    });
  }
}

TEST_CASE("lock_thread: depth, misuse, and what is left after it") {
  in_g(still(), [] {
    u64 h = go([] {
      {
        Enter e;
        CHECK(unlock_thread(e.m) == kEPERM);
      }
      M* home;
      {
        Enter e;
        home = e.m;
        CHECK(lock_thread(e.m) == 0);
        CHECK(lock_thread(e.m) == 0);
      }
      CHECK((me()->flags & kRouted) != 0);
      CHECK(me()->body->pin == home);
      (void)yield();
      {
        Enter e;
        CHECK(e.m == home);
        CHECK(unlock_thread(e.m) == 0);
        CHECK(me()->body->pin == home);
        CHECK(unlock_thread(e.m) == 0);
        CHECK(unlock_thread(e.m) == kEPERM);
      }
      CHECK((me()->flags & kRouted) == 0);
      CHECK(me()->body->pin == nullptr);
      (void)yield();
    });
    (void)join(h);
    // One that ends locked gives the thread back.
    for (int i = 0; i < 10; ++i) {
      h = go([] {
        Enter e;
        (void)lock_thread(e.m);
      });
      (void)join(h);
      bool locked = this_m()->slow.load() & kSlowLocked;
      CHECK_FALSE(locked);
    }
  });
}
