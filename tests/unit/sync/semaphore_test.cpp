#include "../objects.hpp"

using namespace unit;

TEST_CASE("semaphore: permits, and all zero again") {
  auto body = [] {
    Semaphore s{};
    CHECK(take(s, kTry) == kEAGAIN);
    CHECK(post(s, 3) == 0);
    CHECK(take(s) == 0);
    CHECK(take(s, kTry) == 0);
    CHECK(post(s, 0) == 0);
    CHECK(take(s) == 0);
    CHECK(take(s, kTry) == kEAGAIN);
    CHECK(is_idle(s));
    CHECK(take(s, os::now_ns() + 1000) == kETIMEDOUT);
    CHECK(is_idle(s));
  };
  body();
  in_g(still(), body);
  // A bound on permits, of which nothing is lost.
  Semaphore s{};
  int rc = 0;
  u64 posted = 0;
  while ((rc = post(s, UINT32_MAX)) == 0 && posted < 1000) {
    ++posted;
  }
  CHECK(rc == kEINVAL);
  CHECK(posted == 256);
  CHECK(s.word.word.load() == posted * UINT32_MAX << 2);
}

TEST_CASE("semaphore: in order of arrival, nobody passes") {
  for (u32 n : {1u, 2u, 4u, 16u, 64u}) {
    in_g(still(), [=] {
      Semaphore s{};
      bool got[64] = {};
      u64 h[64];
      for (u32 i = 0; i < n; ++i) {
        h[i] = go([&, i] {
          (void)take(s);
          got[i] = true;
        });
        wait_parked(h[i]);
      }
      for (u32 i = 0; i < n;) {
        u32 most = min(i % 3 + 1, n - i);
        (void)post(s, most);
        int rc = take(s, kTry);  // these are spoken for
        CHECK(rc == kEAGAIN);
        for (u32 k = 0; k < most; ++k) {
          (void)join(h[i + k]);
        }
        i += most;
        let_run();
        for (u32 k = 0; k < n; ++k) {
          bool due = k < i;
          CHECK(got[k] == due);
        }
      }
      (void)post(s, 5);  // beyond the waiters: kept
      for (int k = 0; k < 5; ++k) {
        int rc = take(s, kTry);
        CHECK(rc == 0);
      }
      CHECK(is_idle(s));
    });
  }
}

TEST_CASE("semaphore: more than there are waiters") {
  in_g(still(), [] {
    Semaphore s{};
    u64 h[3];
    for (u64& x : h) {
      x = go([&] { (void)take(s); });
      wait_parked(x);
    }
    (void)post(s, 10);
    for (u64 x : h) {
      (void)join(x);
    }
    for (int i = 0; i < 7; ++i) {
      int rc = take(s, kTry);
      CHECK(rc == 0);
    }
    CHECK(is_idle(s));
  });
}

TEST_CASE("semaphore: waiters that give up take no permit along") {
  in_g(still(), [] {
    Semaphore s{};
    u64 h[5];
    u32 got = 0;
    for (u64& x : h) {
      x = go([&] { got += take(s) == 0; });
      wait_parked(x);
    }
    (void)cancel(h[0]);
    (void)cancel(h[3]);
    (void)post(s, 3);
    for (u64 x : h) {
      (void)join(x);
    }
    CHECK(got == 3);
    CHECK(is_idle(s));
  });
}

TEST_CASE("semaphore: conserved under load, never more inside than permits") {
  for (u32 procs : {1u, 2u, 4u}) {
    in_g(config(procs), [] {
      static constexpr u32 kGs = 30, kPermits = 3, kTimes = rounds(300);
      Semaphore s{};
      (void)post(s, kPermits);
      Atomic<u32> inside{0}, wrong{0};
      Waitgroup ended{};
      (void)add(ended, kGs);
      for (u32 i = 0; i < kGs; ++i) {
        (void)go([&, i] {
          for (u32 k = 0; k < kTimes; ++k) {
            int rc = take(s, (i + k) % 5 ? kForever : now() + 1000);
            if (rc) {
              continue;
            }
            wrong.fetch_add(inside.fetch_add(1) >= kPermits);
            (void)(k % 3 ? 0 : yield());
            inside.fetch_sub(1);
            (void)post(s);
          }
          (void)add(ended, -1);
        });
      }
      (void)wait(ended);
      CHECK(wrong.load() == 0);
      for (u32 i = 0; i < kPermits; ++i) {
        int rc = take(s, kTry);
        CHECK(rc == 0);
      }
      CHECK(is_idle(s));
    });
  }
}
