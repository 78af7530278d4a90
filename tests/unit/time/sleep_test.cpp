#include "../objects.hpp"

using namespace unit;

TEST_CASE("later: saturates, and is never 0") {
  CHECK(later(100, 50) == 150);
  CHECK(later(100, 0) == 100);
  CHECK(later(100, -5) == 100);
  CHECK(later(100, INT64_MIN) == 100);
  CHECK(later(100, kForever) == kForever);
  CHECK(later(100, kForever - 100) == kForever);
  CHECK(later(100, kForever - 101) == kForever - 1);
  CHECK(later(0, 0) == 1);  // 0 would be a try
  CHECK(later(0, -1) == 1);
}

TEST_CASE("sleep: at least as long as asked, on a G and on a thread") {
  auto body = [] {
    for (i64 ns : {i64{1}, i64{1000}, 3 * kMs}) {
      i64 from = now();
      int rc = sleep_ns(ns);
      CHECK(rc == 0);
      CHECK(now() - from >= ns);
    }
  };
  body();
  in_g(still(), body);
  in_g(config(2), body);
  in_g(seeded(1), body);
}

TEST_CASE("sleep: 0 or less is a yield") {
  in_g(still(), [] {
    u32 ran = 0;
    (void)go([&] { ++ran; });
    int rc = sleep_ns(0);
    CHECK(rc == 0);
    CHECK(ran == 1);
    (void)go([&] { ++ran; });
    rc = sleep_ns(-kSecond);
    CHECK(rc == 0);
    CHECK(ran == 2);
    CHECK(my_p()->timers.count() == 0);
  });
  CHECK(sleep_ns(0) == 0);  // on a thread: nothing
  CHECK(sleep_ns(-1) == 0);
}

TEST_CASE("sleep: a limit that comes first is a time-out, its end is none") {
  in_g(seeded(1), [] {
    me()->body->limit = now() + 10;
    int rc = sleep_ns(11);
    CHECK(rc == kETIMEDOUT);
    me()->body->limit = now() + 10;
    rc = sleep_ns(10);
    CHECK(rc == 0);
    rc = sleep_ns(1);  // the limit has passed
    CHECK(rc == kETIMEDOUT);
    me()->body->limit = kForever;
    rc = sleep_ns(1);
    CHECK(rc == 0);
  });
}

TEST_CASE("sleep: a cancel ends it, before and during") {
  in_g(still(), [] {
    int rc[2] = {-1, -1};
    u64 h = go([&] {
      rc[0] = sleep_ns(1000 * kSecond);
      rc[1] = sleep_ns(1000);
    });
    (void)cancel(h);
    (void)join(h);
    CHECK(rc[0] == kECANCELED);
    CHECK(rc[1] == 0);
    h = go([&] { rc[0] = sleep_ns(1000 * kSecond); });
    wait_parked(h);
    (void)cancel(h);
    (void)join(h);
    CHECK(rc[0] == kECANCELED);
  });
}

TEST_CASE("sleep: for ever is not woken by an unpark") {
  in_g(still(), [] {
    int rc = -1;
    u64 h = go([&] { rc = sleep_ns(kForever); });
    wait_parked(h);
    CHECK(g_at(this_m()->rt, h)->body->why.load() == Why::sleep);
    (void)unpark(h);
    let_run();
    CHECK(is_parked(this_m()->rt, h));
    (void)cancel(h);
    (void)join(h);
    CHECK(rc == kECANCELED);
  });
}
