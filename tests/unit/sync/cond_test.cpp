#include "../objects.hpp"

using namespace unit;

TEST_CASE("cond: only by the mutex's holder") {
  auto body = [] {
    Cond c{};
    Mutex x{};
    CHECK(wait(c, x) == kEPERM);
    CHECK(signal(c) == 0);
    CHECK(broadcast(c) == 0);
    CHECK(is_idle(c));
    CHECK(lock(x) == 0);
    CHECK(wait(c, x, kTry) == kEAGAIN);  // and it holds the mutex still
    CHECK(unlock(x) == 0);
    CHECK(is_idle(x));
  };
  body();
  in_g(still(), body);
}

TEST_CASE("cond: the mutex is free during the wait and held after it") {
  in_g(still(), [] {
    Cond c{};
    Mutex x{};
    bool ready = false, woken = false;
    u64 h = go([&] {
      (void)lock(x);
      while (!ready) {
        int rc = wait(c, x);
        CHECK(rc == 0);
      }
      CHECK((x.word.word.load() & ~u64{63}) == who_of(this_m()));
      woken = true;
      (void)unlock(x);
    });
    wait_parked(h);
    CHECK(is_idle(x));
    (void)lock(x);
    ready = true;
    (void)signal(c);
    CHECK_FALSE(woken);  // we hold the mutex
    (void)yield();
    CHECK_FALSE(woken);
    (void)unlock(x);
    (void)join(h);
    CHECK(woken);
    CHECK(is_idle(c));
    CHECK(is_idle(x));
  });
}

TEST_CASE("cond: signal wakes the first that came, broadcast all") {
  for (u32 n : {1u, 2u, 3u, 4u, 5u, 16u, 64u}) {
    in_g(still(), [=] {
      Cond c{};
      Mutex x{};
      static u32 order[64], woken;
      woken = 0;
      u64 h[64];
      auto all_wait = [&] {
        for (u32 i = 0; i < n; ++i) {
          h[i] = go([&, i] {
            (void)lock(x);
            int rc = wait(c, x);
            CHECK(rc == 0);
            order[woken++] = i;
            (void)unlock(x);
          });
          wait_parked(h[i]);
        }
      };
      all_wait();
      for (u32 i = 0; i < n; ++i) {
        (void)signal(c);
        (void)join(h[i]);
        let_run();
        CHECK(woken == i + 1);
        CHECK(order[i] == i);
      }
      CHECK(is_idle(c));
      woken = 0;
      all_wait();
      (void)broadcast(c);
      for (u32 i = 0; i < n; ++i) {
        (void)join(h[i]);
      }
      CHECK(woken == n);
      CHECK(is_idle(c));
      CHECK(is_idle(x));
      (void)signal(c);  // nobody there: it is not kept
      (void)broadcast(c);
      (void)lock(x);
      int rc = wait(c, x, now() + kMs);
      CHECK(rc == kETIMEDOUT);
      (void)unlock(x);
    });
  }
}

TEST_CASE("cond: those that give up are not counted") {
  in_g(still(), [] {
    Cond c{};
    Mutex x{};
    u32 woken = 0, gave_up = 0;
    u64 h[6];
    for (u32 i = 0; i < 6; ++i) {
      h[i] = go([&] {
        (void)lock(x);
        int rc = wait(c, x);
        woken += rc == 0;
        gave_up += rc == kECANCELED;
        (void)unlock(x);
      });
      wait_parked(h[i]);
    }
    for (u32 i : {0u, 2u, 5u}) {
      (void)cancel(h[i]);
      (void)join(h[i]);
    }
    CHECK(gave_up == 3);
    (void)signal(c);
    (void)join(h[1]);
    CHECK(woken == 1);
    (void)broadcast(c);
    (void)join(h[3]);
    (void)join(h[4]);
    CHECK(woken == 3);
    CHECK(is_idle(c));
  });
}

TEST_CASE("cond: a bounded queue between Gs and threads") {
  Rt rt(2);
  Cond not_empty{}, not_full{};
  Mutex x{};
  static constexpr u32 kItems = rounds(8000), kRoom = 3;
  u32 queue[kRoom], count = 0, head = 0;
  u64 in_sum = 0, out_sum = 0;
  auto put = [&](u32 v) {
    (void)lock(x);
    while (count == kRoom) {
      (void)wait(not_full, x);
    }
    queue[(head + count++) % kRoom] = v;
    in_sum += v;
    (void)signal(not_empty);
    (void)unlock(x);
  };
  auto take_one = [&] {
    (void)lock(x);
    while (count == 0) {
      (void)wait(not_empty, x);
    }
    out_sum += queue[head];
    head = (head + 1) % kRoom;
    --count;
    (void)signal(not_full);
    (void)unlock(x);
  };
  Waitgroup ended{};
  (void)add(ended, 4);
  for (int i = 0; i < 2; ++i) {
    (void)go_in(rt.rt, [&] {
      for (u32 k = 0; k < kItems; ++k) {
        put(k);
      }
      (void)add(ended, -1);
    });
    (void)go_in(rt.rt, [&] {
      for (u32 k = 0; k < kItems; ++k) {
        take_one();
      }
      (void)add(ended, -1);
    });
  }
  {
    Thread a([&] {
      for (u32 k = 0; k < kItems; ++k) {
        put(k);
      }
    });
    Thread b([&] {
      for (u32 k = 0; k < kItems; ++k) {
        take_one();
      }
    });
  }
  (void)wait(ended);
  CHECK(count == 0);
  CHECK(in_sum == out_sum);
  CHECK(is_idle(x));
  CHECK(is_idle(not_empty));
  CHECK(is_idle(not_full));
}

TEST_CASE("cond: broadcasts against waits on several Ps, nobody forgotten") {
  // Each round all must have seen the round's number.
  in_g(config(3), [] {
    static constexpr u32 kGs = 12, kRounds = rounds(500);
    Cond c{}, back{};
    Mutex x{};
    u32 round = 0, seen = 0;
    Waitgroup ended{};
    (void)add(ended, kGs);
    for (u32 i = 0; i < kGs; ++i) {
      (void)go([&] {
        (void)lock(x);
        for (u32 mine = 0; mine < kRounds;) {
          while (round == mine) {
            (void)wait(c, x);
          }
          mine = round;
          if (++seen == kGs) {
            (void)signal(back);
          }
        }
        (void)unlock(x);
        (void)add(ended, -1);
      });
    }
    (void)lock(x);
    for (u32 r = 1; r <= kRounds; ++r) {
      round = r;
      seen = 0;
      (void)broadcast(c);
      while (seen < kGs) {
        (void)wait(back, x);
      }
    }
    (void)unlock(x);
    (void)wait(ended);
    CHECK(is_idle(c));
    CHECK(is_idle(back));
    CHECK(is_idle(x));
  });
}
