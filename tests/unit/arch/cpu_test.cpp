#include "../unit.hpp"
#include "arch/cpu.hpp"

using namespace unit;

TEST_CASE("cpu: ticks go on, and not backwards on one thread") {
  u64 last = cpu_ticks(), first = last;
  u32 back = 0;
  for (int i = 0; i < 100'000; ++i) {
    u64 t = cpu_ticks();
    back += t < last;
    last = t;
  }
  CHECK(back == 0);
  i64 t0 = os::now_ns();
  until([&] { return os::now_ns() - t0 > kMs; });
  CHECK(cpu_ticks() > first);
}

TEST_CASE("cpu: a thread pointer is one live thread's own") {
  u64 mine = thread_pointer();
  Atomic<u64> theirs[2] = {};
  Atomic<bool> go{false};
  {
    auto body = [&](int i) {
      return [&theirs, &go, i] {
        theirs[i] = thread_pointer();
        until([&] { return go.load(); });  // alive until all have been seen
      };
    };
    Thread a(body(0)), b(body(1));
    until([&] { return theirs[0].load() && theirs[1].load(); });
    go = true;
  }
  CHECK(mine == thread_pointer());
  CHECK(mine != 0);
  CHECK(theirs[0].load() != mine);
  CHECK(theirs[1].load() != mine);
  CHECK(theirs[0].load() != theirs[1].load());
  // sync uses its upper bits and keeps six for flags: two threads' control
  // blocks are never that near.
  CHECK((theirs[0].load() & ~u64{63}) != (theirs[1].load() & ~u64{63}));
}

TEST_CASE("cpu: relax returns") {
  for (int i = 0; i < 1000; ++i) {
    cpu_relax();
  }
}
