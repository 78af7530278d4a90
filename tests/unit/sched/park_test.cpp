// The word of a G: parks, permits and requests that cross each other.
#include "../objects.hpp"

using namespace unit;

namespace {

// The requests in the calling G's word.
u64 requests() { return me()->word.load() & ~(kGenMask | kLive | kJoined); }

u64 word_of(u64 h) { return g_at(this_m()->rt, h)->word.load(); }

}  // namespace

TEST_CASE("park: the permit, before and after") {
  in_g(still(), [] {
    (void)unpark(self());
    CHECK(requests() == kPermit);
    (void)unpark(self());  // one permit, not two
    CHECK(requests() == kPermit);
    int rc = park();
    CHECK(rc == 0);
    CHECK(requests() == 0);
    rc = park(kTry);
    CHECK(rc == kEAGAIN);

    u32 woken = 0;
    u64 h = go([&] {
      for (int i = 0; i < 3; ++i) {
        woken += park() == 0;
      }
    });
    for (u32 i = 1; i <= 3; ++i) {
      wait_parked(h);
      CHECK((word_of(h) & (kPhase | kParked)) == (kWait | kParked));
      CHECK(g_at(this_m()->rt, h)->state.load() == State::waiting);
      CHECK(g_at(this_m()->rt, h)->body->why.load() == Why::park);
      CHECK(woken == i - 1);
      (void)unpark(h);
      until([&] { return woken == i; });
    }
    (void)join(h);
  });
}

TEST_CASE("park: a permit does not end another wait, and is kept") {
  in_g(still(), [] {
    Waitgroup go_on{};
    (void)add(go_on, 1);
    int waited = -1, parked = -1;
    u64 h = go([&] {
      waited = wait(go_on);
      parked = park(kTry);
    });
    wait_parked(h);
    (void)unpark(h);
    let_run();
    CHECK(is_parked(this_m()->rt, h));
    CHECK((word_of(h) & kPermit) != 0);
    (void)add(go_on, -1);
    (void)join(h);
    CHECK(waited == 0);
    CHECK(parked == 0);
  });
}

TEST_CASE("park: a deadline in the past, soon, and with a permit") {
  in_g(still(), [] {
    int rc = park(1);
    CHECK(rc == kETIMEDOUT);
    i64 deadline = now() + 2 * kMs;
    rc = park(deadline);
    CHECK(rc == kETIMEDOUT);
    CHECK(now() >= deadline);
    (void)unpark(self());
    rc = park(now() + 1000 * kSecond);
    CHECK(rc == 0);
    (void)unpark(self());
    rc = park(1);  // what is there needs no wait
    CHECK(rc == 0);
    CHECK(my_p()->timers.count() == 0);
  });
}

TEST_CASE("park: the reason is shown while it waits") {
  in_g(still(), [] {
    u64 h = go([] { (void)park(kForever, "knots"); });
    wait_parked(h);
    Body* b = g_at(this_m()->rt, h)->body;
    CHECK(strcmp(static_cast<const char*>(b->on), "knots") == 0);
    (void)unpark(h);
    (void)join(h);
  });
}

TEST_CASE("cancel: before the wait, and once") {
  in_g(still(), [] {
    u64 h = go([] {
      CHECK(requests() == kCancel);
      int rc = park();
      CHECK(rc == kECANCELED);
      CHECK(requests() == kCancelled);  // delivered, remembered
      rc = park(now() + kMs);
      CHECK(rc == kETIMEDOUT);  // and not delivered again
    });
    (void)cancel(h);
    (void)cancel(h);
    (void)join(h);
  });
}

TEST_CASE("cancel: during the wait, and again before it is answered") {
  in_g(still(), [] {
    u32 cancelled = 0, timed_out = 0;
    u64 h = go([&] {
      cancelled += park() == kECANCELED;
      timed_out += park(now() + kMs) == kETIMEDOUT;
      cancelled += park() == kECANCELED;
    });
    wait_parked(h);
    for (int i = 0; i < 3; ++i) {
      (void)cancel(h);  // three requests before the G runs are one
    }
    CHECK((word_of(h) & kAnswering) != 0);
    CHECK((word_of(h) & kCancel) == 0);
    until([&] { return timed_out == 1; });
    CHECK(cancelled == 1);
    CHECK((word_of(h) & kAnswering) == 0);
    wait_parked(h);
    (void)cancel(h);  // a later one is another
    (void)join(h);
    CHECK(cancelled == 2);
  });
}

TEST_CASE("cancel: yield and check deliver it as well") {
  in_g(still(), [] {
    (void)cancel(self());
    int rc = yield();
    CHECK(rc == kECANCELED);
    rc = yield();
    CHECK(rc == 0);
    (void)cancel(self());
    {
      EnterParking e;
      rc = check(e.m);
    }
    CHECK(rc == kECANCELED);
    {
      EnterParking e;
      rc = check(e.m);
    }
    CHECK(rc == 0);
    CHECK(requests() == kCancelled);
  });
}

TEST_CASE("cancel: a shield holds it off") {
  in_g(still(), [] {
    u32 step = 0;
    u64 h = go([&] {
      me()->body->shield = 2;
      step = 1;
      int rc = park();
      CHECK(rc == 0);  // the permit's
      rc = yield();
      CHECK(rc == 0);
      CHECK((requests() & kCancel) != 0);
      me()->body->shield = 1;
      rc = park(now() + kMs);
      CHECK(rc == kETIMEDOUT);
      me()->body->shield = 0;
      rc = park();
      CHECK(rc == kECANCELED);
      step = 2;
    });
    wait_parked(h);
    CHECK((word_of(h) & kPhase) == kWaitHard);
    (void)cancel(h);
    let_run();
    CHECK(step == 1);
    CHECK(is_parked(this_m()->rt, h));
    (void)unpark(h);
    (void)join(h);
    CHECK(step == 2);
  });
}

TEST_CASE("cancel: a permit and a request at once are both seen") {
  for (int order = 0; order < 2; ++order) {
    in_g(still(), [=] {
      u64 h = go([] {
        // The permit needs no wait, so it comes first; the request stays.
        int rc = park();
        CHECK(rc == 0);
        CHECK(requests() == kCancel);
        rc = park();
        CHECK(rc == kECANCELED);
      });
      (void)(order ? cancel(h) : unpark(h));
      (void)(order ? unpark(h) : cancel(h));
      (void)join(h);
    });
  }
}

TEST_CASE("limit: cuts every wait, but not a hard one") {
  in_g(still(), [] {
    me()->body->limit = now() + 2 * kMs;
    int rc = park();
    CHECK(rc == kETIMEDOUT);
    rc = sleep_ns(1000 * kSecond);
    CHECK(rc == kETIMEDOUT);
    me()->body->limit = kForever;
    rc = sleep_ns(kMs);
    CHECK(rc == 0);
    // A mutex locked for ever is not to be left by a limit.
    Mutex x{};
    (void)lock(x);
    int got = -1;
    u64 h = go([&] {
      me()->body->limit = now() + kMs;
      got = lock(x);
      (void)unlock(x);
    });
    wait_parked(h);
    (void)sleep_ns(3 * kMs);
    CHECK(is_parked(this_m()->rt, h));
    (void)unlock(x);
    (void)join(h);
    CHECK(got == 0);
  });
}

TEST_CASE("park: unpark and cancel from threads, none lost") {
  // A permit or a request sent at any moment of the park ends it.
  Rt rt(2);
  static constexpr u32 kRounds = rounds(20'000);
  Atomic<u32> turn{0};
  u32 bad = 0, lost = 0;
  u64 h = go_in(rt.rt, [&] {
    for (u32 i = 1; i <= kRounds; ++i) {
      int rc = park();
      lost += rc != (i % 2 ? 0 : kECANCELED);
      turn.store(i, release);
    }
  });
  for (u32 i = 1; i <= kRounds; ++i) {
    int rc = i % 2 ? unpark(h, rt.rt) : cancel(h, rt.rt);
    bad += rc != 0;
    while (turn.load(acquire) != i) {
      os::thread_yield();
    }
  }
  (void)join(h, rt.rt);
  CHECK(bad == 0);
  CHECK(lost == 0);
}
