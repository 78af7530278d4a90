#include "../objects.hpp"

using namespace unit;

namespace {

void enter(u64 site = 0) {
  Enter e;
  (void)enter_blocking(e.m, site);
}
int leave() {
  Enter e;
  return exit_blocking(e.m);
}

// As a call into the operating system does: the thread sleeps.
void sleep_until_set(Atomic<u32>& word) {
  while (!word.load()) {
    os::futex_wait(&word, 0, os::now_ns() + kSecond);
  }
}
void set(Atomic<u32>& word) {
  word.store(1);
  os::futex_wake(&word, INT32_MAX);
}

// What the owner wrote at its door.
u32 word_of(M* m) { return m->door.word.load() & ~(kAsked | kWatched); }

}  // namespace

TEST_CASE("blocking: the P goes to the Gs that wait for it") {
  in_g(config(1), [] {
    // One P: the G that ends the blocking call can only run on it.
    Atomic<u32> word{0};
    u32 turns = 0;
    u64 h = go([&] {
      (void)yield();
      for (; turns < 100; ++turns) {
        (void)yield();
      }
      set(word);
    });
    enter();
    CHECK(me()->state.load() == State::blocking);
    CHECK(me()->body->why.load() == Why::blocking);
    sleep_until_set(word);
    int rc = leave();
    CHECK(rc == 0);
    CHECK(me()->state.load() == State::running);
    CHECK(me()->body->why.load() == Why::none);
    CHECK(my_p() != nullptr);
    CHECK(turns == 100);
    CHECK(this_m()->rt->blocking.load() == 0);
    CHECK(word_of(this_m()) == 0);
    (void)join(h);
  });
}

TEST_CASE("blocking: a place whose calls are quick keeps its P for them") {
  constexpr u64 kQuick = 4711;
  Rt own(still());
  own.rt->quick_ticks =
      UINT64_MAX;  // sysmon takes nothing, however slow this is
  u64 all = go_in(own.rt, [] {
    // Without a limit to what is quick: a stopped test is no slow call.
    Runtime* rt = this_m()->rt;
    u64 limit = rt->long_ticks;
    rt->long_ticks = UINT64_MAX;
    u32 ran = 0;
    u64 h = go([&] { ++ran; });
    P* p = my_p();
    for (int i = 0; i < 3; ++i) {
      enter(kQuick);
      CHECK(my_p() == p);
      CHECK(word_of(this_m()) == kDeclared);
      (void)leave();
      CHECK(my_p() == p);
      CHECK(word_of(this_m()) == 0);
      CHECK(ran == 0);
    }
    // Slow once, and the next call hands over; quick once, and it does not.
    rt->long_ticks = 0;
    enter(kQuick);
    (void)leave();
    rt->long_ticks = UINT64_MAX;
    enter(kQuick);
    CHECK(my_p() == nullptr);
    CHECK(word_of(this_m()) == (kApart | kDeclared));
    CHECK(rt->blocking.load() == 1);
    (void)leave();
    CHECK(rt->blocking.load() == 0);
    (void)join(h);
    h = go([&] { ++ran; });
    enter(kQuick);
    CHECK(my_p() != nullptr);
    (void)leave();
    rt->long_ticks = limit;
    (void)join(h);
    CHECK(ran == 2);
  });
  CHECK(join(all, own.rt, soon()) == 0);
}

TEST_CASE("blocking: a quick place that is slow for once is found by sysmon") {
  constexpr u64 kQuick = 4711;
  in_g(config(1), [] {
    this_m()->rt->long_ticks = UINT64_MAX;
    enter(kQuick);
    (void)leave();
    Atomic<u32> word{0};
    u64 h = go([&] { set(word); });
    enter(kQuick);
    sleep_until_set(word);
    (void)leave();
    (void)join(h);
    // The one that was to run next waits no longer than the others.
    word.store(0);
    h = go([&] {
      (void)park();
      set(word);
    });
    wait_parked(h);
    (void)unpark(h);
    enter(kQuick);
    sleep_until_set(word);
    (void)leave();
    (void)join(h);
  });
}

TEST_CASE("blocking: work that comes later takes the P away") {
  for (u32 round = 0; round < rounds(100); ++round) {
    Rt rt(1);
    Atomic<u32> word{0}, inside{0};
    u64 h = go_in(rt.rt, [&] {
      enter();
      inside.store(1);
      sleep_until_set(word);
      (void)leave();
    });
    until([&] { return inside.load() != 0; });
    // From outside, a fresh G; it ends the call.
    u64 other = go_in(rt.rt, [&] { set(word); });
    CHECK(join(other, rt.rt, soon()) == 0);
    CHECK(join(h, rt.rt, soon()) == 0);
    CHECK(rt->ps[0]->handoffs.load() <= 1);
  }
}

TEST_CASE("blocking: a timer that is due while the P's G blocks") {
  in_g(config(1), [] {
    Atomic<u32> word{0};
    u64 h = go([&] {
      (void)sleep_ns(2 * kMs);
      set(word);
    });
    // On a busy machine it is due already, and the call short.
    until([&] { return is_parked(this_m()->rt, h) || word.load(); });
    enter();
    sleep_until_set(word);
    (void)leave();
    (void)join(h);
  });
}

TEST_CASE("blocking: nobody wanted the P, so it is still there") {
  in_g(still(), [] {
    P* p = my_p();
    M* m = this_m();
    u64 before = p->dispatches.load();
    for (int i = 0; i < 1000; ++i) {
      enter();
      CHECK(word_of(this_m()) == kDeclared);
      int rc = leave();
      CHECK(rc == 0);
    }
    CHECK(this_m() == m);
    CHECK(my_p() == p);
    CHECK(p->dispatches.load() == before);
    CHECK(p->handoffs.load() == 0);
  });
}

TEST_CASE("blocking: depth, misuse, and an end inside") {
  in_g(still(), [] {
    int rc = leave();
    CHECK(rc == kEPERM);
    enter();
    enter();
    rc = leave();
    CHECK(rc == 0);
    CHECK(me()->state.load() == State::blocking);
    CHECK(word_of(this_m()) == kDeclared);
    rc = leave();
    CHECK(rc == 0);
    rc = leave();
    CHECK(rc == kEPERM);
    for (int i = 0; i < 10; ++i) {
      (void)join(go([] { enter(); }));
      CHECK(this_m()->rt->blocking.load() == 0);
    }
  });
}

TEST_CASE("blocking: thrum calls inside a declared block") {
  for (u32 procs : {1u, 3u}) {
    in_g(config(procs), [] {
      Channel c(1);
      enter();
      u32 bad = 0;
      for (u64 i = 0; i < 50; ++i) {
        u64 v = 0;
        bad += send(c, i) != 0;         // non-parking in effect
        bad += recv(c, &v, kTry) != 0;  // non-parking by its deadline
        bad += v != i;
        bad += yield() != 0;  // parking: takes a P for its time
        bad += sleep_ns(1000) != 0;
        u64 h = go([&] { (void)send(c, 7); });
        bad += recv(c, &v) != 0;
        bad += v != 7;
        bad += join(h) != 0;
        bad += me()->body->rare()->block_depth != 1;
        bad += !(word_of(this_m()) & (kApart | kDeclared | kTaken));
      }
      int rc = leave();
      CHECK(rc == 0);
      CHECK(bad == 0);
      CHECK(this_m()->rt->blocking.load() == 0);
    });
  }
}

TEST_CASE("blocking: many at once, on few Ps") {
  for (u32 procs : {1u, 2u}) {
    in_g(config(procs), [] {
      static constexpr u32 kGs = 20;
      Atomic<u32> inside{0}, word{0}, worst{0};
      Waitgroup ended{};
      (void)add(ended, kGs);
      for (u32 i = 0; i < kGs; ++i) {
        (void)go([&] {
          enter();
          u32 n = inside.fetch_add(1) + 1;
          if (n > worst.load()) {
            worst.store(n);
          }
          sleep_until_set(word);
          inside.fetch_sub(1);
          (void)leave();
          (void)yield();
          (void)add(ended, -1);
        });
      }
      // All of them block at the same time, each on a thread of its own.
      until([&] { return inside.load() == kGs; });
      set(word);
      (void)wait(ended);
      CHECK(worst.load() == kGs);
      CHECK(this_m()->rt->blocking.load() == 0);
    });
  }
}

TEST_CASE("blocking: in and out, again and again, on several Ps") {
  in_g(config(3), [] {
    static constexpr u32 kGs = 10;
    Waitgroup ended{};
    (void)add(ended, kGs);
    Atomic<u64> turns{0};
    for (u32 i = 0; i < kGs; ++i) {
      (void)go([&, i] {
        for (u32 k = 0; k < rounds(1000); ++k) {
          enter();
          if (k % 16 == i) {
            os::thread_sleep(20'000);
          }
          (void)leave();
          turns.fetch_add(1, relaxed);
          if (k % 3 == 0) {
            (void)yield();
          }
        }
        (void)add(ended, -1);
      });
    }
    (void)wait(ended);
    CHECK(turns.load() == u64{kGs} * rounds(1000));
    CHECK(this_m()->rt->blocking.load() == 0);
  });
}

TEST_CASE("blocking: a G that blocks is no deadlock") {
  for (u32 procs : {1u, 2u}) {
    Rt rt(procs);
    u64 main_g = 0;
    int rc = rt.run([&] {
      main_g = self();
      (void)go([&] {
        enter();
        os::thread_sleep(30 * kMs);
        (void)leave();
        (void)unpark(main_g);
      });
      (void)park();
    });
    CHECK(rc == 0);
  }
}
