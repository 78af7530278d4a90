#include "../objects.hpp"

using namespace unit;

namespace {

constexpr i64 kNever = 3 * kSecond;

// Computes without a call into thrum until done(), or for kNever; returns for
// how long.
template <class F>
i64 hogs_until(F done) {
  i64 from = os::now_ns(), t = from;
  while (!done() && t - from < kNever) {
    for (int i = 0; i < 100; ++i) {
      cpu_relax();
    }
    t = os::now_ns();
  }
  return t - from;
}

// Of several, for a busy machine may be late for one.
constexpr int kTries = 5;
constexpr i64 kInTime = 100 * kMs;

// A G whose timer of `ns` is in the heap of the caller's P; `fired` is set when
// it has run again. Thieves may be faster, hence the loop.
u64 sleeper_here(i64 ns, Atomic<bool>& fired) {
  for (;;) {
    fired.store(false);
    u64 h = go([ns, &fired] {
      (void)park(now() + ns);
      fired.store(true);
    });
    while (!is_parked(this_m()->rt, h) && !fired.load()) {
      (void)yield();
    }
    Body* b = g_at(this_m()->rt, h)->body;
    if (!fired.load() && b && glance(b->timer_home) == my_p()) {
      return h;
    }
    (void)unpark(h);
    (void)join(h);
  }
}

}  // namespace

TEST_CASE(
    "timers: in order of their deadlines, equal ones in order of arming") {
  in_g(still(), [] {
    static constexpr u32 kGs = 60;
    static u32 order[kGs], n;
    u32 armed = 0;
    // Again, and later, if the first was due before the last was armed.
    for (i64 ms = 20; armed != kGs && ms < 10'000; ms *= 2) {
      n = 0;
      i64 base = now() + ms * kMs;
      for (u32 i = 0; i < kGs; ++i) {
        // Six deadlines, armed in a shuffled order.
        i64 deadline = base + (i * 5 % 6) * 10;
        u64 h = go([i, deadline] {
          (void)park(deadline);
          order[n++] = i;
        });
        until([&] { return is_parked(this_m()->rt, h) || n; });
      }
      armed = my_p()->timers.count();
      until([] { return n == kGs; });
    }
    CHECK(armed == kGs);
    u32 bad = 0;
    for (u32 k = 1; k < kGs; ++k) {
      u32 a = order[k - 1] * 5 % 6, b = order[k] * 5 % 6;
      bad += a > b || (a == b && order[k - 1] > order[k]);
    }
    CHECK(bad == 0);
    CHECK(my_p()->timers.count() == 0);
    CHECK(my_p()->earliest.load() == kForever);
  });
}

TEST_CASE("timers: a wait that ends early takes its timer along") {
  in_g(still(), [] {
    for (u32 round = 0; round < 100; ++round) {
      u64 h[3];
      for (u64& x : h) {
        x = go([&x, &h] { (void)park(now() + (&x - h + 1) * 1000 * kSecond); });
        wait_parked(x);
      }
      CHECK(my_p()->timers.count() == 3);
      (void)unpark(h[round % 3]);  // the earliest, the middle, the latest
      (void)join(h[round % 3]);
      CHECK(my_p()->timers.count() == 2);
      CHECK(my_p()->earliest.load() == my_p()->timers.earliest());
      for (u64 x : h) {
        (void)unpark(x);
        (void)join(x);
      }
      CHECK(my_p()->timers.count() == 0);
      CHECK(my_p()->earliest.load() == kForever);
    }
  });
}

TEST_CASE("timers: 10,000 Gs sleep, none early, none lost") {
  static constexpr u32 kGs = rounds(10'000);
  for (u32 procs : {1u, 3u}) {
    Config c = config(procs);
    c.stack_class = 0;
    in_g(c, [] {
      Atomic<u32> early{0}, ran{0};
      Waitgroup ended{};
      (void)add(ended, kGs);
      for (u32 i = 0; i < kGs; ++i) {
        (void)go([&, i] {
          for (u32 k = 0; k < 2; ++k) {
            i64 ns = (i * 7919 + k) % 3000 * 1000 + 1;
            i64 deadline = now() + ns;
            (void)sleep_ns(ns);
            early.fetch_add(now() < deadline, relaxed);
          }
          ran.fetch_add(1, relaxed);
          (void)add(ended, -1);
        });
      }
      (void)wait(ended);
      CHECK(early.load() == 0);
      CHECK(ran.load() == kGs);
    });
  }
}

// sysmon would rescue a late timer at its next look. Here it is none that is due.
TEST_CASE("timers: an earlier one shortens the sleep of an idle M") {
  in_owned(still(2), [] {
    static constexpr i64 kHour = 3600 * kSecond;
    Runtime* rt = this_m()->rt;
    u64 later = go([] { (void)park(now() + 2 * kHour); });
    u64 earlier = go([] {
      (void)park();
      (void)park(now() + kHour);
    });
    wait_parked(later);
    wait_parked(earlier);
    auto sleeps_to = [rt](i64 when) { return rt->sleep_until.load() <= when; };
    CHECK(hogs_until([&] { return sleeps_to(now() + 2 * kHour); }) < kNever);
    my_p()->mean_run.store(1);  // as after short dispatches: nobody is woken
    (void)unpark(earlier);
    (void)yield();  // it parks again, and this G keeps the P
    CHECK(!sleeps_to(now()));
    CHECK(hogs_until([&] { return sleeps_to(now() + kHour); }) < kNever);
    for (u64 h : {later, earlier}) {
      (void)unpark(h);
      (void)join(h);
    }
  });
}

// A storm of blocking calls leaves Ms over. The warmest, which ends as the others do,
// is the one that sleeps for the only timer.
TEST_CASE("timers: an M that ends leaves them to another") {
  static constexpr u32 kGs = 5, kProcs = 2;
  Rt rt(config(kProcs));
  auto idle_ms = [&] {
    Locked held(rt->lock);
    return rt->idle_ms;
  };
  Atomic<u32> inside{0}, over{0};
  for (u32 i = 0; i < kGs; ++i) {
    (void)go_in(rt.rt, [&] {
      {
        Enter e;
        (void)enter_blocking(e.m);
      }
      inside.fetch_add(1);
      while (!over.load()) {
        os::futex_wait(&over, 0, os::now_ns() + kSecond);
      }
      Enter e;
      (void)exit_blocking(e.m);
    });
  }
  until([&] { return inside.load() == kGs; });
  over.store(1);
  os::futex_wake(&over, kGs);
  until([&] { return idle_ms() >= kGs; });
  u64 h = go_in(rt.rt, [] { (void)park(now() + 3600 * kSecond); });
  wait_parked(rt.rt, h);
  i64 give_up = soon();
  until([&] { return idle_ms() <= kProcs || os::now_ns() > give_up; });
  CHECK(idle_ms() == kProcs);
  until([&] {
    return rt->sleep_until.load() != kForever || os::now_ns() > give_up;
  });
  CHECK(rt->sleep_until.load() != kForever);
  (void)unpark(h, rt.rt);
  (void)join(h, rt.rt);
}

TEST_CASE("timers: of a P whose G hogs, fired by others") {
  in_owned(config(2), [] {
    i64 best = kForever;
    for (int i = 0; i < kTries && best >= kInTime; ++i) {
      Atomic<bool> fired;
      u64 h = sleeper_here(5 * kMs, fired);
      best = min(best, hogs_until([&] { return fired.load(); }));
      (void)join(h);
    }
    CHECK(best < kInTime);
  });
}

TEST_CASE("timers: an earlier one shortens the sleep of an idle M") {
  in_owned(config(2), [] {
    Runtime* rt = this_m()->rt;
    // Another M sleeps, and until a far deadline.
    Atomic<bool> far_fired;
    u64 far = sleeper_here(1000 * kSecond, far_fired);
    auto sleeps_long = [&] {
      i64 until = rt->sleep_until.load();
      return rt->sleeper.load() && until != kForever &&
             until > os::now_ns() + 100 * kSecond;
    };
    i64 best = kForever;
    for (int i = 0; i < kTries && best >= kInTime; ++i) {
      // Computing keeps this P busy, so the other M is the one that sleeps.
      i64 to_sleep = hogs_until(sleeps_long);
      CHECK(to_sleep < kNever);
      Atomic<bool> fired;
      u64 h = sleeper_here(5 * kMs, fired);
      best = min(best, hogs_until([&] { return fired.load(); }));
      (void)join(h);
    }
    CHECK(best < kInTime);
    (void)unpark(far);
    (void)join(far);
  });
}

TEST_CASE("timers: armed by a G that leaves its P to a hog") {
  // The sleeper parks, and the very next G on that P computes: nothing is
  // queued there, and yet nobody there looks at timers.
  in_owned(config(2), [] {
    Runtime* rt = this_m()->rt;
    i64 best = kForever;
    for (int i = 0; i < kTries && best >= kInTime; ++i) {
      // The other M has gone to sleep, with no timer to wait for.
      i64 settle = os::now_ns();
      i64 to_sleep = hogs_until([&] {
        if (rt->idle_count.load() != 1 || rt->spinning.load() != 0) {
          settle = os::now_ns();
        }
        return os::now_ns() - settle > 5 * kMs;
      });
      CHECK(to_sleep < kNever);
      // Gs of this P run short: a wake for two of them is not worth while.
      my_p()->mean_run.store(1);
      Atomic<bool> fired;
      u64 h = sleeper_here(5 * kMs, fired);
      best = min(best, hogs_until([&] { return fired.load(); }));
      (void)join(h);
    }
    CHECK(best < kInTime);
  });
}

TEST_CASE("timers: a far one, then a near one, on an idle runtime") {
  // Everything idles when the near one is armed by a G that came from outside.
  Rt rt(2);
  u64 far = go_in(rt.rt, [] { (void)park(now() + 1000 * kSecond); });
  wait_parked(rt.rt, far);
  for (u32 round = 0; round < 20; ++round) {
    until([&] { return rt->sleeper.load() != nullptr; });
    i64 from = os::now_ns();
    u64 h = go_in(rt.rt, [] { (void)sleep_ns(kMs); });
    int rc = join(h, rt.rt, from + kNever);
    CHECK(rc == 0);
  }
  (void)unpark(far, rt.rt);
  (void)join(far, rt.rt);
}

TEST_CASE("timers: of one P only, all busy: due ones fire at a dispatch") {
  in_g(still(), [] {
    // No sysmon tick, no other P: only the fairness tick looks at the clock.
    Atomic<bool> fired;
    u64 h = sleeper_here(kMs, fired);
    u32 other = 0;
    u64 y = go([&] {
      while (!fired.load() && other < 1'000'000'000) {
        ++other;
        (void)yield();
      }
    });
    i64 from = now();
    u32 after_due = 0;
    while (!fired.load() && after_due < 10 * kFairEvery) {
      after_due += now() > from + 2 * kMs;
      (void)yield();
    }
    CHECK(fired.load());
    CHECK(after_due <= 2 * kFairEvery);
    fired.store(true);
    (void)join(h);
    (void)join(y);
  });
}

TEST_CASE("timers: what is due passes a storm of spawns") {
  in_g(still(), [] {
    static constexpr u32 kStorm = 20 * kRing;  // most wait in the global queue
    Atomic<bool> fired;
    u64 h = sleeper_here(kMs, fired);
    u32 begun = 0, before = 0;
    for (u32 i = 0; i < kStorm; ++i) {
      (void)go([&] {
        ++begun;
        before += !fired.load();
      });
    }
    for (i64 due = now() + 2 * kMs; now() < due;) {}
    (void)join(h);
    while (begun < kStorm) {
      (void)yield();
    }
    CHECK(before < 4 * kRing);
  });
}

TEST_CASE("timers: those of idle Ps, while the M that slept for them works") {
  // A timer in each of two Ps; the M takes a third, and the G of the earlier one
  // computes there until the other has run. By then sysmon has long come to rest.
  for (i64 apart : {i64{0}, 50 * kMs}) {
    Rt rt(3);
    Atomic<u32> there{0}, fired{0};
    auto on_a_p_of_its_own = [&] {
      there.fetch_add(1);
      (void)hogs_until([&] { return there.load() == 3; });
    };
    i64 waited = kNever;
    u64 first = go_in(rt.rt, [&] {
      on_a_p_of_its_own();
      (void)park(now() + 600 * kMs);
      waited = hogs_until([&] { return fired.load() != 0; });
    });
    u64 second = go_in(rt.rt, [&, apart] {
      on_a_p_of_its_own();
      (void)park(now() + 600 * kMs + apart);
      fired.store(1);
    });
    u64 last = go_in(rt.rt, [&] {
      on_a_p_of_its_own();
      (void)hogs_until([&] { return rt->idle_count.load() == 2; });
      for (u32 i = 0; i < 3; ++i) {  // Gs run short: nobody is woken for one
        rt->ps[i]->mean_run.store(1);
      }
    });
    CHECK(join(last, rt.rt) == 0);
    CHECK(join(first, rt.rt) == 0);
    CHECK(waited < kNever);
    CHECK(join(second, rt.rt) == 0);
  }
}
