#include "../objects.hpp"

using namespace unit;

TEST_CASE("rwmutex: alone, and all zero again") {
  auto body = [] {
    Rwmutex x{};
    CHECK(rlock(x) == 0);
    CHECK(rlock(x) == 0);
    CHECK(wlock(x, kTry) == kEAGAIN);
    CHECK(runlock(x) == 0);
    CHECK(runlock(x) == 0);
    CHECK(is_idle(x));
    CHECK(wlock(x) == 0);
    CHECK(rlock(x, kTry) == kEAGAIN);
    CHECK(wlock(x, kTry) == kEAGAIN);
    CHECK(wlock(x) == kEDEADLOCK);
    CHECK(rlock(x) == kEDEADLOCK);
    CHECK(runlock(x) == kEPERM);
    CHECK(wunlock(x) == 0);
    CHECK(is_idle(x));
    CHECK(wunlock(x) == kEPERM);
    CHECK(runlock(x) == kEPERM);
    CHECK(is_idle(x));
  };
  body();
  in_g(still(), body);
}

TEST_CASE("rwmutex: only the writer unlocks its lock") {
  Rwmutex x{};
  CHECK(wlock(x) == 0);
  {
    Thread t([&] {
      CHECK(wunlock(x) == kEPERM);
      CHECK(runlock(x) == kEPERM);
      CHECK(rlock(x, os::now_ns() + kMs) == kETIMEDOUT);
      CHECK(wlock(x, os::now_ns() + kMs) == kETIMEDOUT);
    });
  }
  CHECK(wunlock(x) == 0);
  CHECK(is_idle(x));
}

TEST_CASE("rwmutex: readers share, writers do not") {
  for (u32 procs : {1u, 2u, 4u}) {
    for (u32 n : {1u, 2u, 8u, 64u}) {
      in_g(config(procs), [=] {
        Rwmutex x{};
        Atomic<u32> readers{0}, writers{0}, wrong{0}, shared{0};
        u32 plain = 0;
        Waitgroup ended{};
        (void)add(ended, static_cast<i32>(n));
        u32 times = rounds(1500) / n + 5, written = 0;
        for (u32 i = 0; i < n; ++i) {
          for (u32 k = 0; k < times; ++k) {
            written += (i + k) % 4 == 0;
          }
          (void)go([&, i] {
            for (u32 k = 0; k < times; ++k) {
              if ((i + k) % 4 == 0) {
                (void)wlock(x);
                wrong.fetch_add(writers.fetch_add(1) || readers.load());
                ++plain;
                (void)(k % 3 ? 0 : yield());
                writers.fetch_sub(1);
                (void)wunlock(x);
              } else {
                (void)rlock(x);
                shared.fetch_add(readers.fetch_add(1) > 0);
                wrong.fetch_add(writers.load());
                (void)(k % 2 ? 0 : yield());
                readers.fetch_sub(1);
                (void)runlock(x);
              }
            }
            (void)add(ended, -1);
          });
        }
        (void)wait(ended);
        CHECK(wrong.load() == 0);
        CHECK(plain == written);
        CHECK((n < 8 || shared.load() > 0));
        CHECK(is_idle(x));
      });
    }
  }
}

TEST_CASE(
    "rwmutex: granted in order: a writer, or all readers up to the next") {
  in_g(still(), [] {
    Rwmutex x{};
    (void)wlock(x);
    // R R W R W W R R
    const char* kinds = "rrwrwwrr";
    static u32 inside, ended, at[8], n;
    static bool go_on[8];
    inside = ended = n = 0;
    u64 h[8];
    for (u32 i = 0; i < 8; ++i) {
      go_on[i] = false;
      h[i] = go([&x, kinds, i] {
        bool reads = kinds[i] == 'r';
        (void)(reads ? rlock(x) : wlock(x));
        at[n] = i;
        ++n;
        ++inside;
        until([&] { return go_on[i]; });
        --inside;
        (void)(reads ? runlock(x) : wunlock(x));
        ++ended;
      });
      wait_parked(h[i]);
    }
    const u32 groups[][2] = {{0, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6}, {6, 8}};
    (void)wunlock(x);
    for (auto& g : groups) {
      until([&] { return n >= g[1]; });
      let_run();
      CHECK(n == g[1]);              // no further than this group
      CHECK(inside == g[1] - g[0]);  // and all of it at once
      for (u32 k = g[0]; k < g[1]; ++k) {
        bool member = at[k] >= g[0] && at[k] < g[1];
        CHECK(member);
      }
      for (u32 i = g[0]; i < g[1]; ++i) {
        go_on[i] = true;
        (void)join(h[i]);
      }
    }
    CHECK(ended == 8);
    CHECK(is_idle(x));
  });
}

TEST_CASE("rwmutex: a waiting writer stops new readers") {
  in_g(still(), [] {
    Rwmutex x{};
    (void)rlock(x);
    bool wrote = false;
    u64 w = go([&] {
      (void)wlock(x);
      wrote = true;
      (void)wunlock(x);
    });
    wait_parked(w);
    int rc = rlock(x, kTry);
    CHECK(rc == kEAGAIN);
    bool read = false;
    u64 r = go([&] {
      (void)rlock(x);
      CHECK(wrote);
      read = true;
      (void)runlock(x);
    });
    wait_parked(r);
    CHECK_FALSE(read);
    (void)runlock(x);
    (void)join(w);
    (void)join(r);
    CHECK(read);
    CHECK(is_idle(x));
  });
}

TEST_CASE("rwmutex: a writer that gives up lets the readers behind it in") {
  for (int how = 0; how < 2; ++how) {
    // In virtual time: all of them wait before the writer gives up.
    in_g(seeded(1), [=] {
      Rwmutex x{};
      (void)rlock(x);
      int got = -1;
      u64 w = go([&] { got = wlock(x, how ? now() + kMs : soon()); });
      wait_parked(w);
      u32 read = 0;
      u64 r[3];
      for (u64& h : r) {
        h = go([&] {
          (void)rlock(x);
          ++read;
          (void)runlock(x);
        });
        wait_parked(h);
      }
      if (!how) {
        (void)cancel(w);
      }
      (void)join(w);
      CHECK(got == (how ? kETIMEDOUT : kECANCELED));
      for (u64 h : r) {
        (void)join(h);
      }
      CHECK(read == 3);  // while the first reader is still inside
      (void)runlock(x);
      CHECK(is_idle(x));
    });
  }
}

TEST_CASE("rwmutex: a reader in the middle gives up, the order stays") {
  in_g(still(), [] {
    Rwmutex x{};
    (void)wlock(x);
    static u32 order[3], n;
    n = 0;
    int left = -1;
    u64 a = go([&] {
      (void)wlock(x);
      order[n++] = 0;
      (void)wunlock(x);
    });
    wait_parked(a);
    u64 b = go([&] { left = rlock(x, soon()); });
    wait_parked(b);
    u64 c = go([&] {
      (void)wlock(x);
      order[n++] = 1;
      (void)wunlock(x);
    });
    wait_parked(c);
    (void)cancel(b);
    (void)join(b);
    CHECK(left == kECANCELED);
    (void)wunlock(x);
    (void)join(a);
    (void)join(c);
    CHECK(n == 2);
    CHECK(order[0] == 0);
    CHECK(order[1] == 1);
    CHECK(is_idle(x));
  });
}
