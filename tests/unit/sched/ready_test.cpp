#include "../objects.hpp"

using namespace unit;

TEST_CASE("ready: a broadcast overflows the ring and loses nobody") {
  // Gs that have run: they go through the ring, which spills to the global
  // queue.
  static constexpr u32 kMany = kScale > 1 ? 1500 : 5000;
  for (u32 procs : {1u, 2u, 4u}) {
    Config c = config(procs);
    c.stack_class = 0;
    in_g(c, [] {
      for (u32 round = 0; round < 2; ++round) {
        Waitgroup parked{}, go_on{}, ended{};
        (void)add(parked, kMany);
        (void)add(ended, kMany);
        (void)add(go_on, 1);
        Atomic<u32> ran{0};
        for (u32 i = 0; i < kMany; ++i) {
          (void)go([&] {
            (void)add(parked, -1);
            (void)wait(go_on);
            ran.fetch_add(1, relaxed);
            (void)yield();
            (void)add(ended, -1);
          });
        }
        (void)wait(parked);
        (void)add(go_on, -1);
        (void)wait(ended);
        CHECK(ran.load() == kMany);
      }
      until([] { return live_gs(this_m()->rt) == 1; });
    });
  }
}

TEST_CASE("ready: many yielders on many Ps, each has all its turns") {
  static constexpr u32 kMany = 600, kTurns = rounds(100);
  Config c = config(4);
  c.stack_class = 0;
  in_g(c, [] {
    Waitgroup ended{};
    (void)add(ended, kMany);
    Atomic<u64> turns{0};
    for (u32 i = 0; i < kMany; ++i) {
      (void)go([&] {
        for (u32 k = 0; k < kTurns; ++k) {
          turns.fetch_add(1, relaxed);
          (void)yield();
        }
        (void)add(ended, -1);
      });
    }
    (void)wait(ended);
    CHECK(turns.load() == u64{kMany} * kTurns);
  });
}

TEST_CASE("ready: waiters are served in the order in which they came") {
  // The order of values, whoever runs first.
  in_g(still(), [] {
    static constexpr u32 kWaiters = 40;
    Semaphore s{};
    static u64 h[kWaiters];
    bool served[kWaiters] = {};
    for (u32 i = 0; i < kWaiters; ++i) {
      h[i] = go([&, i] {
        (void)take(s);
        served[i] = true;
      });
      wait_parked(h[i]);
    }
    for (u32 i = 0; i < kWaiters; ++i) {
      (void)post(s);
      (void)join(h[i]);
      for (u32 k = 0; k < kWaiters; ++k) {
        bool due = k <= i;
        CHECK(served[k] == due);
      }
    }
  });
}

TEST_CASE("ready: wakes across runtimes") {
  // Gs of two runtimes and a thread share a channel.
  Rt a(1), b(2);
  Channel ping(0), pong(0);
  static constexpr u64 kRounds = rounds(2000);
  u64 sum = 0;
  u64 h = go_in(a.rt, [&] {
    u64 v;
    while (recv(ping, &v) == 0) {
      (void)send(pong, v + 1);
    }
  });
  u64 driver = go_in(b.rt, [&] {
    for (u64 i = 0; i < kRounds; ++i) {
      u64 v = 0;
      (void)send(ping, i);
      (void)recv(pong, &v);
      sum += v;
    }
  });
  CHECK(join(driver, b.rt) == 0);
  CHECK(sum == kRounds * (kRounds + 1) / 2);
  for (u64 i = 0; i < 100; ++i) {  // and this thread
    u64 v = 0;
    (void)send(ping, i);
    (void)recv(pong, &v);
    CHECK(v == i + 1);
  }
  (void)close(ping);
  CHECK(join(h, a.rt) == 0);
}

TEST_CASE("ready: a thread's wait, its deadline and its waker race") {
  Rt rt(2);
  static constexpr u32 kRounds = rounds(4000);
  Semaphore s{};
  Atomic<u32> posted{0};
  Atomic<bool> stop{false};
  u64 h = go_in(rt.rt, [&] {
    Choice c{1};
    while (!stop.load()) {
      (void)post(s);
      posted.fetch_add(1);
      for (u32 k = c.below(300); k > 0; --k) {
        cpu_relax();
      }
      (void)yield();
    }
  });
  Choice c{2};
  u32 got = 0, odd = 0;
  for (u32 i = 0; i < kRounds; ++i) {
    int rc = take(s, os::now_ns() + c.below(20'000));
    got += rc == 0;
    odd += rc != 0 && rc != kETIMEDOUT;
  }
  stop.store(true);
  (void)join(h, rt.rt);
  u32 left = 0;
  while (take(s, kTry) == 0) {
    ++left;
  }
  CHECK(odd == 0);
  CHECK(got + left == posted.load());
  CHECK(is_idle(s));
}
