// Hosted runtimes, threads of the host as Ms, and verdicts about deadlocks.
#include <poll.h>

#include "../objects.hpp"
#include "sched/ready.hpp"

using namespace unit;

namespace {

bool readable(Runtime* rt, int ms = 0) {
  pollfd p{wake_fd(rt), POLLIN, 0};
  return poll(&p, 1, ms) > 0;
}

}  // namespace

TEST_CASE("pump: hosted, no thread of its own") {
  int threads = os::thread_count();
  Rt rt(hosted());
  u32 ran = 0;
  for (int i = 0; i < 100; ++i) {
    (void)go_in(rt.rt, [&] {
      (void)yield();
      (void)sleep_ns(1000);
      ++ran;
    });
  }
  while (rt.pump() != 0) {
    CHECK(os::thread_count() == threads);
  }
  CHECK(ran == 100);
  CHECK(os::thread_count() == threads);
}

TEST_CASE("pump: what it returns, and one dispatch for a try") {
  Rt rt(hosted());
  CHECK(rt.pump() == 0);
  u32 ran = 0;
  for (int i = 0; i < 3; ++i) {
    (void)go_in(rt.rt, [&] { ++ran; });
  }
  for (u32 i = 1; i <= 3; ++i) {
    int rc = rt.pump(kTry);
    CHECK(ran == i);
    CHECK(rc == (i < 3 ? 2 : 0));
  }
  u64 h = go_in(rt.rt, [] { (void)park(); });
  CHECK(rt.pump() == 1);  // all that are left wait
  CHECK(rt.pump(kTry) == 1);
  CHECK(unpark(h, rt.rt) == 0);
  CHECK(rt.pump() == 0);
}

TEST_CASE("pump: a deadline ends it while work is left") {
  Rt rt(hosted());
  bool stop = false;
  u64 turns = 0;
  (void)go_in(rt.rt, [&] {
    while (!stop) {
      ++turns;
      (void)yield();
    }
  });
  CHECK(rt.pump(1) == 2);  // long past: one dispatch
  CHECK(turns == 1);
  while (turns <= 100) {  // on a busy machine 2 ms may be few turns
    i64 deadline = os::now_ns() + 2 * kMs;
    CHECK(rt.pump(deadline) == 2);
    CHECK(os::now_ns() >= deadline);
  }
  stop = true;
  CHECK(rt.pump() == 0);
}

TEST_CASE("pump: next_wake and wake_fd tell when pumping is worth while") {
  Rt rt(hosted());
  CHECK_FALSE(readable(rt.rt));
  CHECK(next_wake(rt.rt) == kForever);

  u64 h = go_in(rt.rt, [] { (void)park(); });
  CHECK(readable(rt.rt));
  i64 wake = next_wake(rt.rt);
  CHECK(wake <= os::now_ns());
  CHECK(rt.pump() == 1);
  CHECK_FALSE(readable(rt.rt));
  CHECK(next_wake(rt.rt) == kForever);

  CHECK(unpark(h, rt.rt) == 0);  // from outside
  CHECK(readable(rt.rt));
  CHECK(rt.pump() == 0);
  CHECK_FALSE(readable(rt.rt));

  i64 deadline = 0;
  (void)go_in(rt.rt, [&] {
    deadline = now() + 10 * kMs;
    (void)park(deadline);
  });
  CHECK(rt.pump() == 1);
  CHECK(next_wake(rt.rt) == deadline);
  CHECK(readable(rt.rt, 20'000));
  CHECK(os::now_ns() >= deadline);
  CHECK(rt.pump() == 0);
  CHECK_FALSE(readable(rt.rt));

  // Work that a budget left over.
  (void)go_in(rt.rt, [] { (void)yield(); });
  CHECK(rt.pump(kTry) == 2);
  CHECK(readable(rt.rt));
  CHECK(rt.pump() == 0);
  CHECK_FALSE(readable(rt.rt));

  // A channel served by a thread of the host.
  Channel c(0);
  (void)go_in(rt.rt, [&] {
    u64 v;
    (void)recv(c, &v);
  });
  CHECK(rt.pump() == 1);
  CHECK_FALSE(readable(rt.rt));
  CHECK(send(c, 1, soon()) == 0);
  CHECK(readable(rt.rt));
  CHECK(rt.pump() == 0);

  Rt threads(1);
  CHECK(wake_fd(threads.rt) == kENOTSUP);
}

TEST_CASE("pump: wake_fd tells of the timers that a run leaves behind") {
  Rt rt(hosted());
  int rc = rt.run([&] {
    u64 h = go([] { (void)sleep_ns(10 * kMs); });
    wait_parked(h);
  });
  CHECK(rc == 0);
  CHECK(readable(rt.rt, 20'000));
  while (rt.pump() != 0) {
    CHECK(readable(rt.rt, 20'000));
  }
}

TEST_CASE("pump: wake_fd tells of a G that another thread is to run") {
  Rt rt(hosted());
  SpawnOpts pinned;
  pinned.affinity = kPinStarted;
  u64 h = go_in(
      rt.rt, [] { (void)park(); }, &pinned);
  Atomic<u32> begun{0}, go_on{0};
  {
    Thread t([&] {
      CHECK(rt.pump() == 1);
      begun.store(1);
      until([&] { return go_on.load() != 0; });
      CHECK(rt.pump() == 0);
    });
    until([&] { return begun.load() != 0; });
    CHECK_FALSE(readable(rt.rt));
    CHECK(unpark(h, rt.rt) == 0);
    CHECK(readable(rt.rt));
    CHECK(rt.pump() == 1);  // nothing for us
    CHECK(readable(rt.rt));
    go_on.store(1);
  }
  CHECK_FALSE(readable(rt.rt));
}

TEST_CASE("pump: not from a G, not when stopped, by one thread at a time") {
  Rt rt(hosted());
  int inner = 0, run_inner = 0;
  (void)go_in(rt.rt, [&] {
    EnterParking e;
    inner = thrum::pump(e.m, rt.rt, kTry);
    run_inner = thrum::run(
        e.m, rt.rt, [](void*) {}, nullptr);
  });
  CHECK(rt.pump() == 0);
  CHECK(inner == kEPERM);
  CHECK(run_inner == kEPERM);

  // Another thread pumps already: no P is free.
  Atomic<u32> inside{0}, go_on{0};
  (void)go_in(rt.rt, [&] {
    inside.store(1);
    while (!go_on.load()) {
      os::thread_yield();
    }
  });
  {
    Thread t([&] { (void)rt.pump(); });
    until([&] { return inside.load() != 0; });
    CHECK(rt.pump() == kEAGAIN);
    go_on.store(1);
  }
  CHECK(rt_stop(nullptr, rt.rt, soon()) == 0);
  EnterParking e;
  CHECK(thrum::pump(e.m, rt.rt, kTry) == kECLOSED);
  CHECK(thrum::run(
            e.m, rt.rt, [](void*) {}, nullptr) == kECLOSED);
}

TEST_CASE("pump: a runtime with threads lends itself as well") {
  Rt rt(2);
  Atomic<u32> ran{0};
  for (int i = 0; i < 200; ++i) {
    (void)go_in(rt.rt, [&] {
      (void)yield();
      ran.fetch_add(1);
    });
  }
  until([&] {
    (void)rt.pump(os::now_ns() + 100'000);
    return ran.load() == 200;
  });
}

TEST_CASE("run: returns when its own G has ended, whatever the others do") {
  for (u32 procs : {1u, 3u}) {
    Rt rt(procs);
    Atomic<bool> stop{false};
    u64 h = 0;
    int rc = rt.run([&] {
      h = go([&] {
        while (!stop.load()) {
          (void)yield();
        }
      });
      (void)yield();
    });
    CHECK(rc == 0);
    CHECK(live_gs(rt.rt) == 1);
    // Again, on several threads at once.
    Atomic<u32> ended{0};
    {
      auto body = [&] {
        for (u32 i = 0; i < rounds(50); ++i) {
          int again = rt.run([] {
            (void)sleep_ns(1000);
            (void)yield();
          });
          ended.fetch_add(again == 0);
        }
      };
      Thread a(body), b(body);
    }
    CHECK(ended.load() == 2 * rounds(50));
    stop.store(true);
    CHECK(join(h, rt.rt, soon()) == 0);
  }
}

TEST_CASE("run: what its G did is seen by its caller") {
  Rt rt(2);
  for (u32 i = 0; i < rounds(1000); ++i) {
    u32 plain = 0;
    (void)rt.run([&] {
      (void)yield();
      plain = i + 1;
    });
    CHECK(plain == i + 1);
  }
}

// ---- verdicts ----------------------------------------------------------------

TEST_CASE("deadlock: all blocked for ever, on threads") {
  if (os::thread_count() - kToolThreads > 1) {
    UNIT_SKIP("a thread of the emulator's own might wake somebody: no verdict");
  }
  for (u32 procs : {1u, 3u}) {
    Rt rt(procs);
    for (int round = 0; round < 3; ++round) {
      Channel c(0);
      u64 left = 0;
      int rc = rt.run([&] {
        u64 h = go([&] {
          u64 v;
          (void)recv(c, &v);
        });
        left = self();
        (void)join(h);
      });
      CHECK(rc == kEDEADLOCK);
      (void)close(c);
      CHECK(join(left, rt.rt, soon()) == 0);
    }
  }
}

TEST_CASE("deadlock: no verdict while somebody may come") {
  for (u32 procs : {1u, 3u}) {
    Rt rt(procs);
    // A timer.
    CHECK(rt.run([] {
      u64 main_g = self();
      (void)go([=] {
        (void)sleep_ns(20 * kMs);
        (void)unpark(main_g);
      });
      (void)park();
    }) == 0);
    // A thread of the host.
    Atomic<u64> handle{0};
    Thread t([&] {
      until([&] { return handle.load() != 0; });
      wait_parked(rt.rt, handle.load());
      os::thread_sleep(20 * kMs);
      (void)unpark(handle.load(), rt.rt);
    });
    CHECK(rt.run([&] {
      handle.store(self());
      (void)park();
    }) == 0);
  }
}

TEST_CASE("deadlock: no verdict in passing") {
  // The class of golang/go #61454: at the moment when the last G but one ends,
  // the last one has been readied, and is in no queue that one looks at.
  for (u32 procs : {1u, 2u, 4u}) {
    Rt rt(procs);
    u32 bad = 0;
    for (u32 i = 0; i < rounds(2000); ++i) {
      bad += rt.run([&] {
        Waitgroup wg{};
        (void)add(wg, 3);
        for (u32 k = 0; k < 3; ++k) {
          (void)go([&, k] {
            for (u32 n = 0; n < k; ++n) {
              (void)yield();
            }
            (void)add(wg, -1);
          });
        }
        (void)wait(wg);
      }) != 0;
    }
    CHECK(bad == 0);
  }
}

TEST_CASE("pump: a wake that comes as the thread leaves is passed back whole") {
  Rt rt(hosted());
  M* m = m_lend(rt.rt);
  REQUIRE(m);
  P* p;
  {
    Locked held(rt->lock);
    idle_m_push(rt.rt, m);
    p = idle_p_pop(rt.rt);
  }
  REQUIRE(p);
  rt->spinning.fetch_add(1);  // as wake_p does
  CHECK(start_m(rt.rt, p, nullptr, true, false));
  m_unlend(m);
  CHECK(rt->spinning.load() == 0);
  CHECK(rt->idle_count.load() == 1);
}

TEST_CASE("pump: work that such a wake was for is not left behind") {
  Rt rt(2);
  M* m = m_lend(rt.rt);
  REQUIRE(m);
  while (!rt->sysmon_rest.load()) {  // it would find it
    os::thread_yield();
  }
  P* p;
  {
    Locked held(rt->lock);
    idle_m_push(rt.rt, m);
    p = idle_p_pop(rt.rt);
  }
  REQUIRE(p);
  rt->spinning.fetch_add(1);
  CHECK(start_m(rt.rt, p, nullptr, true, false));
  u64 g = 0;
  CHECK(spawn(
            nullptr, rt.rt, nullptr, [](void*) {}, nullptr, &g) == 0);
  m_unlend(m);
  M* none = nullptr;
  CHECK(join(none, rt.rt, g, os::now_ns() + 10'000'000'000) == 0);
}
