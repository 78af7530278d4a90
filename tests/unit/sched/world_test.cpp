// Stopping the world: nobody runs guest code until it starts again.
#include "../objects.hpp"
#include "sched/ready.hpp"

using namespace unit;

namespace {

Config brisk(u32 procs) {
  Config c = config(procs);
  c.slice_ns = kMs / 2;
  c.sysmon_ns = 50'000;
  return c;
}

int stop(Runtime* rt, i64 deadline = kForever) {
  EnterParking e;
  return world_stop(e.m, rt_or_own(e.m, rt), deadline);
}
int start(Runtime* rt) {
  Enter e;
  return world_start(e.m, rt_or_own(e.m, rt));
}

void enter() {
  Enter e;
  (void)enter_blocking(e.m);
}
void leave() {
  Enter e;
  (void)exit_blocking(e.m);
}

// Gs of all kinds that count while they run guest code which a collector would
// mind, and stand still while the world does.
struct Crowd {
  Atomic<u64> steps{0};
  Atomic<u32> end{0};
  Atomic<u32> declared{0};

  void yielder() {
    while (!end.load()) {
      steps.fetch_add(1);
      (void)yield();
    }
  }
  void checker() {  // a hog that knows its manners
    while (!end.load()) {
      steps.fetch_add(1);
      EnterParking e;
      (void)check(e.m);
    }
  }
  void sleeper() {
    while (!end.load()) {
      steps.fetch_add(1);
      (void)sleep_ns(50'000);
    }
  }
  void blocker() {
    while (!end.load()) {
      steps.fetch_add(1);
      enter();
      declared.fetch_add(1);
      os::thread_sleep(200'000);
      leave();
    }
  }
  void locked() {
    {
      Enter e;
      (void)lock_thread(e.m);
    }
    while (!end.load()) {
      steps.fetch_add(1);
      (void)yield();
    }
  }
};

template <class F>
u64 crowd(Runtime* rt, F f) {
  return go_in(rt, f);
}

// It really stands still, while others may look.
void stands(Crowd& c) {
  u64 before = c.steps.load();
  i64 until = os::now_ns() + kMs / 2;
  while (os::now_ns() < until) {}
  CHECK(c.steps.load() == before);
}

}  // namespace

TEST_CASE("world: stopped from a thread, it stands still and runs on") {
  for (u32 procs : {1u, 2u, 4u}) {
    Rt rt(brisk(procs));
    Crowd c;
    (void)go_in(rt.rt, [&] { c.yielder(); });
    (void)go_in(rt.rt, [&] { c.checker(); });
    (void)go_in(rt.rt, [&] { c.sleeper(); });
    (void)go_in(rt.rt, [&] { c.blocker(); });
    (void)go_in(rt.rt, [&] { c.locked(); });
    (void)go_in(rt.rt, [&] { c.yielder(); });
    for (u32 i = 0; i < rounds(60); ++i) {
      int rc = stop(rt.rt, soon());
      CHECK(rc == 0);
      stands(c);
      CHECK(stop(rt.rt) == 0);  // nests
      CHECK(start(rt.rt) == 0);
      stands(c);
      CHECK(start(rt.rt) == 0);
      CHECK(start(rt.rt) == kEPERM);
      u64 seen = c.steps.load();
      until([&] { return c.steps.load() > seen; });
    }
    c.end.store(1);
    until([&] { return live_gs(rt.rt) == 0; });
  }
}

TEST_CASE("world: stopped by a G, which runs on") {
  for (u32 procs : {1u, 2u}) {
    in_g(brisk(procs), [] {
      Crowd c;
      u64 hs[4] = {go([&] { c.yielder(); }), go([&] { c.checker(); }),
                   go([&] { c.sleeper(); }), go([&] { c.blocker(); })};
      for (u32 i = 0; i < rounds(50); ++i) {
        int rc = stop(nullptr, soon());
        CHECK(rc == 0);
        stands(c);
        CHECK(start(nullptr) == 0);
        (void)sleep_ns(200'000);
      }
      c.end.store(1);
      for (u64 h : hs) {
        (void)join(h);
      }
    });
  }
}

TEST_CASE(
    "world: who sleeps for a timer is woken, though another is idle too") {
  Rt rt(2);
  Atomic<u32> end{0};
  u64 last = go_in(rt.rt, [&] {
    while (!end.load()) {
      cpu_relax();
    }
  });
  u64 sleeper = go_in(rt.rt, [] { (void)sleep_ns(100 * kMs); });
  M* m = nullptr;
  until([&] { return (m = rt->sleeper.load()) != nullptr; });
  end.store(1);
  CHECK(join(last, rt.rt, soon()) == 0);
  until([&] { return rt->idle_count.load() == 2; });
  CHECK(stop(rt.rt, soon()) == 0);
  note_wake(m);  // it looks again, and sleeps until the world starts
  os::thread_sleep(10 * kMs);
  CHECK(start(rt.rt) == 0);
  CHECK(join(sleeper, rt.rt, soon()) == 0);
}

TEST_CASE("world: several stop it at once; each has it to itself") {
  Rt rt(brisk(2));
  Crowd c;
  Atomic<u32> inside{0}, bad{0}, ended{0};
  (void)go_in(rt.rt, [&] { c.yielder(); });
  (void)go_in(rt.rt, [&] { c.blocker(); });
  auto stopper = [&] {
    for (u32 i = 0; i < rounds(40); ++i) {
      bad.fetch_add(stop(rt.rt, soon()) != 0);
      bad.fetch_add(inside.fetch_add(1) != 0);
      cpu_relax();
      inside.fetch_sub(1);
      bad.fetch_add(start(rt.rt) != 0);
      if (me()) {
        (void)yield();
      }
    }
    ended.fetch_add(1);
  };
  (void)go_in(rt.rt, stopper);
  (void)go_in(rt.rt, stopper);
  { Thread one(stopper), two(stopper); }
  until([&] { return ended.load() == 4; });
  CHECK(bad.load() == 0);
  c.end.store(1);
  until([&] { return live_gs(rt.rt) == 0; });
}

TEST_CASE("world: one that calls no thrum is waited for, then named") {
  Rt rt(brisk(2));
  Atomic<u32> inside{0}, end{0}, ran{0};
  u64 hog = go_in(rt.rt, [&] {
    inside.store(1);
    while (!end.load()) {
      cpu_relax();
    }
  });
  until([&] { return inside.load() != 0; });
  CHECK(stop(rt.rt, os::now_ns() + 5 * kMs) == kETIMEDOUT);
  CHECK(stop(rt.rt, kTry) == kEAGAIN);
  // The world runs on, and the hog, its P taken by now, stops nothing else.
  u64 h = go_in(rt.rt, [&] { ran.store(1); });
  CHECK(join(h, rt.rt, soon()) == 0);
  end.store(1);
  CHECK(join(hog, rt.rt, soon()) == 0);
  CHECK(stop(rt.rt, soon()) == 0);
  CHECK(start(rt.rt) == 0);
}

TEST_CASE("world: what others spawn meanwhile waits") {
  Rt rt(brisk(2));
  CHECK(stop(rt.rt, soon()) == 0);
  Atomic<u32> ran{0};
  u64 h = go_in(rt.rt, [&] { ran.store(1); });
  os::thread_sleep(3 * kMs);
  CHECK(ran.load() == 0);
  CHECK(start(rt.rt) == 0);
  CHECK(join(h, rt.rt, soon()) == 0);
  CHECK(ran.load() == 1);
}

TEST_CASE("world: a declared block is no straggler, with a P or without") {
  for (bool apart : {false, true}) {
    Rt rt(still(1));
    Atomic<u32> inside{0}, end{0}, back{0};
    u64 h = go_in(rt.rt, [&] {
      if (apart) {  // the P goes at once, as if its slice were over
        this_m()->p->attention.fetch_or(kAttnSlice);
      }
      enter();
      inside.store(this_m()->door.word.load());
      while (!end.load()) {
        os::futex_wait(&end, 0, os::now_ns() + kSecond);
      }
      leave();
      back.store(1);
    });
    until([&] { return inside.load() != 0; });
    CHECK((inside.load() & kDeclared) != 0);
    CHECK(((inside.load() & kApart) != 0) == apart);
    CHECK(stop(rt.rt, soon()) == 0);
    end.store(1);
    os::futex_wake(&end, 1);
    os::thread_sleep(3 * kMs);
    CHECK(back.load() == 0);  // it is held where it comes back
    CHECK(start(rt.rt) == 0);
    CHECK(join(h, rt.rt, soon()) == 0);
  }
}
