#include "../objects.hpp"

using namespace unit;

TEST_CASE("waitgroup: counts, and all zero again") {
  auto body = [] {
    Waitgroup g{};
    CHECK(wait(g) == 0);  // nothing to wait for
    CHECK(add(g, 3) == 0);
    CHECK(wait(g, kTry) == kEAGAIN);
    CHECK(add(g, -1) == 0);
    CHECK(add(g, -2) == 0);
    CHECK(wait(g) == 0);
    CHECK(is_idle(g));
    CHECK(add(g, -1) == kEINVAL);
    CHECK(is_idle(g));
    CHECK(add(g, 2) == 0);
    CHECK(add(g, -3) == kEINVAL);
    CHECK(add(g, 0) == 0);
    CHECK(add(g, -2) == 0);
    CHECK(is_idle(g));
    CHECK(add(g, INT32_MAX) == 0);
    CHECK(add(g, 1) == kEINVAL);
    CHECK(add(g, -INT32_MAX) == 0);
    CHECK(is_idle(g));
  };
  body();
  in_g(still(), body);
}

TEST_CASE("waitgroup: the last done wakes all, 1 to 64 of them") {
  for (u32 procs : {1u, 3u}) {
    for (u32 n : {1u, 2u, 3u, 5u, 16u, 64u}) {
      in_g(config(procs), [=] {
        Waitgroup g{}, ended{};
        Atomic<u32> woken{0}, early{0};
        bool over = false;
        (void)add(g, 2);
        (void)add(ended, static_cast<i32>(n));
        u64 last = 0;
        for (u32 i = 0; i < n; ++i) {
          last = go([&] {
            int rc = wait(g);
            early.fetch_add(!over || rc);
            woken.fetch_add(1);
            (void)add(ended, -1);
          });
          wait_parked(last);
        }
        (void)add(g, -1);
        let_run(10);
        CHECK(woken.load() == 0);
        over = true;
        (void)add(g, -1);
        (void)wait(ended);
        CHECK(woken.load() == n);
        CHECK(early.load() == 0);
        CHECK(is_idle(g));
      });
    }
  }
}

TEST_CASE("waitgroup: waiters that give up") {
  in_g(seeded(1), [] {
    Waitgroup g{};
    (void)add(g, 1);
    int got[4] = {-1, -1, -1, -1};
    u64 h[4];
    for (u32 i = 0; i < 4; ++i) {
      h[i] = go([&, i] { got[i] = wait(g, i == 3 ? now() + kMs : kForever); });
      wait_parked(h[i]);
    }
    (void)cancel(h[1]);
    (void)join(h[1]);
    (void)join(h[3]);
    CHECK(got[1] == kECANCELED);
    CHECK(got[3] == kETIMEDOUT);
    (void)add(g, -1);
    (void)join(h[0]);
    (void)join(h[2]);
    CHECK(got[0] == 0);
    CHECK(got[2] == 0);
    CHECK(is_idle(g));
    // All of them: the flag goes with the last one.
    (void)add(g, 1);
    u64 only = go([&] { (void)wait(g); });
    wait_parked(only);
    (void)cancel(only);
    (void)join(only);
    (void)add(g, -1);
    CHECK(is_idle(g));
  });
}

TEST_CASE("waitgroup: done by many, on several Ps and threads") {
  Rt rt(3);
  for (u32 round = 0; round < rounds(200); ++round) {
    Waitgroup g{};
    Atomic<u32> sum{0};
    static constexpr u32 kGs = 20;
    (void)add(g, kGs);
    for (u32 i = 0; i < kGs; ++i) {
      (void)go_in(rt.rt, [&, i] {
        sum.fetch_add(i);
        (void)add(g, -1);
      });
    }
    int rc = wait(g);  // as a thread
    CHECK(rc == 0);
    CHECK(sum.load() == kGs * (kGs - 1) / 2);
    CHECK(is_idle(g));
  }
}

TEST_CASE("waitgroup: gone the moment its waiter returns") {
  // Each lives on the waiter's stack for one round.
  for (u32 procs : {1u, 3u}) {
    in_g(config(procs), [] {
      for (u32 i = 0; i < rounds(5000); ++i) {
        Waitgroup g{};
        (void)add(g, 1);
        (void)go([&] { (void)add(g, -1); });
        (void)wait(g);
        memset(static_cast<void*>(&g), 0xee, sizeof g);
      }
    });
  }
}
