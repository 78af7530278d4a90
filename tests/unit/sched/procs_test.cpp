#include "../objects.hpp"

using namespace unit;

namespace {

int set(Runtime* rt, u32 n) {
  Enter e;
  return set_procs(e.m, rt, n);
}

u32 idle_listed(Runtime* rt) {
  Locked held(rt->lock);
  u32 n = 0;
  for (P* p = rt->idle_p; p; p = p->next_idle) {
    n += p->id < rt->procs.load() && p->state.load() == PState::idle;
  }
  return n;
}

}  // namespace

TEST_CASE("procs: the former number is the answer; Ps are made once") {
  Rt rt(2);
  CHECK(rt->p_count.load() == 2);
  CHECK(set(rt.rt, 5) == 2);
  CHECK(set(rt.rt, 1) == 5);
  CHECK(set(rt.rt, 3) == 1);
  CHECK(set(rt.rt, 3) == 3);
  CHECK(rt->p_count.load() == 5);
  CHECK(rt->procs.load() == 3);
  for (u32 i = 0; i < 5; ++i) {
    CHECK(rt->ps[i]->id == i);
    CHECK(rt->ps[i]->rt == rt.rt);
  }
  CHECK(idle_listed(rt.rt) == 3);
  CHECK(rt->idle_count.load() == 3);
}

TEST_CASE("procs: never more at once than there are Ps") {
  Rt rt(still());  // a G that is held up would lose its P, and run beside them
  Atomic<u32> running{0}, worst{0}, allowed{1}, changes{0};
  Atomic<bool> stop{false};
  static constexpr u32 kGs = 8;
  Waitgroup ended{};
  (void)add(ended, kGs);
  for (u32 i = 0; i < kGs; ++i) {
    (void)go_in(rt.rt, [&] {
      while (!stop.load()) {
        u32 before = changes.load();
        u32 n = running.fetch_add(1) + 1;
        if (n > allowed.load() && changes.load() == before) {
          worst.store(n);
        }
        for (int k = 0; k < 200; ++k) {
          cpu_relax();
        }
        running.fetch_sub(1);
        (void)yield();
      }
      (void)add(ended, -1);
    });
  }
  for (u32 n : {1u, 2u, 3u, 1u}) {
    changes.fetch_add(1);  // no count across a change says anything
    allowed.store(max(n, allowed.load()));
    (void)set(rt.rt, n);
    // Until each surplus P has retired, which takes a dispatch of it.
    until([&] {
      Locked held(rt->lock);
      u32 in_service = 0;
      for (u32 i = 0; i < rt->p_count.load(); ++i) {
        in_service += rt->ps[i]->state.load() != PState::dead;
      }
      return in_service == n;
    });
    allowed.store(n);
    changes.fetch_add(1);
    worst.store(0);
    os::thread_sleep(2 * kMs);
    CHECK(worst.load() == 0);
  }
  stop.store(true);
  (void)wait(ended);
}

TEST_CASE("procs: a surplus P's Gs and timers are not lost") {
  in_g(config(4), [] {
    Runtime* rt = this_m()->rt;
    for (u32 round = 0; round < rounds(50); ++round) {
      static constexpr u32 kGs = 300;
      Waitgroup ended{};
      (void)add(ended, kGs);
      for (u32 i = 0; i < kGs; ++i) {
        (void)go([&, i] {
          if (i % 3 == 0) {
            (void)sleep_ns(1 + i * 1000);
          } else if (i % 3 == 1) {
            (void)yield();
          }
          (void)yield();
          (void)add(ended, -1);
        });
      }
      (void)set(rt, 1 + round % 2);
      (void)yield();
      (void)set(rt, 4 - round % 3);
      (void)wait(ended);
    }
  });
}

TEST_CASE("procs: a storm of changes under load") {
  Rt rt(4);
  static constexpr u32 kGs = 40;
  Atomic<bool> stop{false};
  Atomic<u64> turns{0};
  Waitgroup ended{};
  (void)add(ended, kGs);
  Channel c(3);
  Mutex x{};
  u64 plain = 0, counted = 0;
  Atomic<u64> sent{0}, received{0};
  for (u32 i = 0; i < kGs; ++i) {
    (void)go_in(rt.rt, [&, i] {
      u64 v;
      while (!stop.load()) {
        switch (i % 6) {
          case 0:
            (void)yield();
            break;
          case 1:
            (void)sleep_ns(20'000);
            break;
          case 2:
            sent.fetch_add(send(c, i, now() + 100'000) == 0);
            break;
          case 3:
            received.fetch_add(recv(c, &v, now() + 100'000) == 0);
            break;
          case 4:
            (void)lock(x);
            ++plain;
            (void)unlock(x);
            break;
          default:
            (void)join(go([] { (void)yield(); }));
        }
        counted += 0;
        turns.fetch_add(1, relaxed);
      }
      (void)add(ended, -1);
    });
  }
  Choice choice{4};
  u64 last = 0;
  for (u32 i = 0; i < rounds(2000); ++i) {
    (void)set(rt.rt, 1 + choice.below(8));
    if (i % 16 == 0) {  // and it goes on
      until([&] { return turns.load(relaxed) > last; });
      last = turns.load(relaxed);
    }
  }
  stop.store(true);
  int rc = wait(ended, soon());
  CHECK(rc == 0);
  u64 v;
  while (recv(c, &v, kTry) == 0) {
    received.fetch_add(1);
  }
  CHECK(sent.load() == received.load());
  (void)set(rt.rt, 3);
  until([&] { return live_gs(rt.rt) == 0; });
  until([&] { return idle_listed(rt.rt) == 3; });
  for (u32 i = 3; i < rt->p_count.load(); ++i) {
    until([&] { return rt->ps[i]->state.load() == PState::dead; });
    CHECK(rt->ps[i]->queued() == 0);
  }
  CHECK(is_idle(x));
}

TEST_CASE("procs: changed by a G of the runtime itself, down to its own P") {
  for (u32 round = 0; round < rounds(100); ++round) {
    Rt rt(4);
    int rc = rt.run([&] {
      Atomic<u32> ran{0};
      for (u32 i = 0; i < 50; ++i) {
        (void)go([&] {
          (void)yield();
          ran.fetch_add(1);
        });
      }
      (void)set(rt.rt, 1);
      until([&] { return ran.load() == 50; });
      (void)set(rt.rt, 2);
      (void)yield();
    });
    CHECK(rc == 0);
  }
}
