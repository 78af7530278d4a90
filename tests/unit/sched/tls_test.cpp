// What belongs to an OS thread and must not be believed across a park: the M,
// errno, and the address of both.
#include "../objects.hpp"

using namespace unit;

namespace {

// The calling G comes back on another thread: its P goes away while it blocks,
// and it takes a turn behind others.
void move() {
  {
    Enter e;
    (void)enter_blocking(e.m);
  }
  Enter e;
  (void)exit_blocking(e.m);
}

}  // namespace

TEST_CASE("tls: after every park the M is the one of this thread") {
  in_owned(config(2), [] {
    static constexpr u32 kGs = 8;
    this_m()->rt->long_ticks = 0;  // every call counts as slow
    Waitgroup ended{};
    (void)add(ended, kGs);
    Atomic<u32> wrong{0}, moved{0};
    for (u32 i = 0; i < kGs; ++i) {
      (void)go([&, i] {
        G* g = me();
        u64 h = self();
        for (u32 k = 0; k < rounds(4000) || moved.load() <= 100; ++k) {
          u32 before = os::thread_id();
          M* there = this_m();
          if (k % 8 == i) {
            (void)sleep_ns(1000);
          } else if (k % 2) {
            move();
          } else {
            (void)yield();
          }
          M* here = this_m();
          u32 after = os::thread_id();
          moved.fetch_add(before != after, relaxed);
          wrong.fetch_add((here == there) != (before == after), relaxed);
          wrong.fetch_add(!here || here->cur != g || g != me(), relaxed);
          wrong.fetch_add(here->p == nullptr || here->p->m != here, relaxed);
          wrong.fetch_add(self() != h, relaxed);
          wrong.fetch_add(here->door.in_core.load() != 0, relaxed);
        }
        (void)add(ended, -1);
      });
    }
    (void)wait(ended);
    CHECK(wrong.load() == 0);
    CHECK(moved.load() > 100);
  });
}

TEST_CASE("tls: outside a runtime there is no M, and after it neither") {
  CHECK(this_m() == nullptr);
  Rt rt(2);
  (void)rt.run([] { (void)yield(); });
  CHECK(this_m() == nullptr);
  Rt host(hosted());
  (void)go_in(host.rt, [] { (void)park(); });
  CHECK(host.pump() == 1);
  CHECK(this_m() == nullptr);
}

TEST_CASE(
    "tls: a G of one runtime may not run another, but a lent thread may") {
  // A thread of the host inside run(a) is not inside a G while a's loop calls
  // nothing of it; a G is.
  Rt a(1), b(1);
  int inner = 0;
  CHECK(a.run([&] {
    EnterParking e;
    inner = thrum::run(
        e.m, b.rt, [](void*) {}, nullptr);
  }) == 0);
  CHECK(inner == kEPERM);
}

TEST_CASE("errno: thrum's calls leave it as it was, on the thread of return") {
  in_owned(config(2), [] {
    Channel c(1);
    Mutex x{};
    u32 wrong = 0;
    u64 v;
    auto kept = [&](auto call) {
      // Pinned, or errno would be another thread's.
      {
        Enter e;
        (void)lock_thread(e.m);
      }
      errno = 4711;
      call();
      wrong += errno != 4711;
      Enter e;
      (void)unlock_thread(e.m);
    };
    for (int round = 0; round < 20; ++round) {
      kept([&] { (void)yield(); });
      kept([&] { (void)sleep_ns(1000); });
      kept([&] { (void)send(c, 1); });
      kept([&] { (void)recv(c, &v); });
      kept([&] { (void)recv(c, &v, now() + 1000); });
      kept([&] { (void)lock(x); });
      kept([&] { (void)unlock(x); });
      kept([&] { (void)join(go([] {})); });
      kept([&] { move(); });
      kept([&] { (void)cancel(1); });
    }
    CHECK(wrong == 0);
  });
  errno = 4711;
  {
    Rt rt(2);
    (void)rt.run([] { (void)sleep_ns(1000); });
    (void)go_in(rt.rt, [] {});
  }
  CHECK(errno == 4711);
}
