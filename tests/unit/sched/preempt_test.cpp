// Preemption from inside: regions, who is bound to what, what a G keeps.
#include <stdexcept>

#include "../objects.hpp"
#include "arch/preempt.hpp"
#include "sched/preempt.hpp"
#include "sched/region.hpp"

using namespace unit;

#define COMPUTES __attribute__((noinline, section("unit_computes")))
extern "C" const char __start_unit_computes[], __stop_unit_computes[];

namespace {

COMPUTES void spin(const Atomic<bool>& over, Atomic<u64>& n) {
  while (!over.load(relaxed)) {
    n.store(n.load(relaxed) + 1, relaxed);
  }
}
THRUM_NOINLINE void spin_outside(const Atomic<bool>& over, Atomic<u64>& n) {
  while (!over.load(relaxed)) {
    n.store(n.load(relaxed) + 1, relaxed);
  }
}

struct Hog {
  Atomic<bool> over{false};
  Atomic<u64> n{0};
  void run() { spin(over, n); }
};

Config quick(u32 procs) {
  Config c = config(procs);
  c.slice_ns = kMs;
  return c;
}
// No P is taken from who refuses: there are no threads for it.
Config capped(u32 procs) {
  Config c = quick(procs);
  c.max_threads = procs;
  return c;
}

u64 preemptions(Runtime* rt) {
  u64 n = 0;
  for (u32 i = 0; i < rt->p_count.load(); ++i) {
    n += rt->ps[i]->preemptions.load();
  }
  return n;
}
// In a G: others compute until so many more preemptions were.
void await_preemptions(u64 more) {
  Runtime* rt = this_m()->rt;
  u64 want = preemptions(rt) + more;
  until([&] { return preemptions(rt) >= want; });
}

struct Declared {
  explicit Declared(u32 flags) {
    REQUIRE(preempt_region(reinterpret_cast<u64>(__start_unit_computes),
                           reinterpret_cast<u64>(__stop_unit_computes),
                           flags) == 0);
  }
  ~Declared() {
    CHECK(preempt_forget(reinterpret_cast<u64>(__start_unit_computes),
                         reinterpret_cast<u64>(__stop_unit_computes)) == 0);
  }
  Declared(const Declared&) = delete;
  Declared& operator=(const Declared&) = delete;
};

bool can(Runtime* rt) { return preempt_enable(rt, 0) > 0; }

#define SKIP_UNLESS_IT_CAN                                              \
  {                                                                     \
    Rt probe(1);                                                        \
    if (!can(probe.rt)) {                                               \
      UNIT_SKIP("Gs cannot be preempted here: TSan, or shadow stacks"); \
    }                                                                   \
  }

// f is the first G of a runtime that preempts; owned: not on the calling thread.
template <class F>
void preempting(const Config& c, bool owned, F f) {
  Rt rt(c);
  REQUIRE(can(rt.rt));
  if (owned) {
    u64 h = spawn_fn(rt.rt, call_it<F>, &f);
    CHECK(join(h, rt.rt) == 0);
  } else {
    CHECK(rt.run(f) == 0);
  }
}

}  // namespace

// ---- regions -----------------------------------------------------------------------

TEST_CASE("region: what holds an address, and what all of them allow") {
  u32 flags = 7;
  CHECK(!region_find(100, flags));
  REQUIRE(region_add(100, 200, kRegionMigrate) == 0);
  CHECK(!region_find(99, flags));
  CHECK(region_find(100, flags));
  CHECK(flags == kRegionMigrate);
  CHECK(region_find(199, flags));
  CHECK(!region_find(200, flags));
  REQUIRE(region_add(150, 300, 0) == 0);
  CHECK(region_find(149, flags));
  CHECK(flags == kRegionMigrate);
  CHECK(region_find(150, flags));
  CHECK(flags == 0);
  CHECK(region_find(299, flags));
  CHECK(region_drop(150, 200) == kENOENT);
  REQUIRE(region_drop(100, 200) == 0);
  CHECK(!region_find(149, flags));
  CHECK(region_find(150, flags));
  REQUIRE(region_drop(150, 300) == 0);
  CHECK(!region_find(150, flags));
  CHECK(region_drop(150, 300) == kENOENT);
}

TEST_CASE("region: twice the same is two") {
  u32 flags;
  REQUIRE(region_add(100, 200, 0) == 0);
  REQUIRE(region_add(100, 200, 0) == 0);
  REQUIRE(region_drop(100, 200) == 0);
  CHECK(region_find(100, flags));
  REQUIRE(region_drop(100, 200) == 0);
  CHECK(!region_find(100, flags));
}

TEST_CASE("region: looked up while it changes") {
  constexpr u64 kFixed = 1'000'000;
  REQUIRE(region_add(kFixed, kFixed + 10, kRegionMigrate) == 0);
  Atomic<bool> over{false};
  Atomic<u64> looks{0}, lost{0}, odd{0};
  {
    auto look = [&] {
      while (!over.load()) {
        u32 flags;
        bool found = region_find(kFixed + 5, flags);
        lost.fetch_add(!found);
        odd.fetch_add(found && flags != kRegionMigrate);
        looks.fetch_add(1);
      }
    };
    Thread a(look), b(look);
    until([&] { return looks.load() > 100; });
    for (u32 i = 0; i < rounds(3000); ++i) {
      CHECK(region_add(i * 10, i * 10 + 10, 0) == 0);
      if (i >= 20) {
        CHECK(region_drop((i - 20) * 10, (i - 20) * 10 + 10) == 0);
      }
    }
    over.store(true);
  }
  for (u32 i = rounds(3000) - 20; i < rounds(3000); ++i) {
    CHECK(region_drop(i * 10, i * 10 + 10) == 0);
  }
  CHECK(region_drop(kFixed, kFixed + 10) == 0);
  CHECK(lost.load() == 0);
  CHECK(odd.load() == 0);
}

TEST_CASE("region: neither thrum's own code nor the C library's") {
  u64 own = reinterpret_cast<u64>(&thrum_preempt_entry);
  u64 libc = reinterpret_cast<u64>(&malloc);
  CHECK(preempt_region(own, own + 1, 0) == kEINVAL);
  CHECK(preempt_region(own - 4096, own + 4096, 0) == kEINVAL);
  CHECK(preempt_region(libc, libc + 1, 0) == kEINVAL);
  CHECK(preempt_region(libc - 4096, libc + 4096, 0) == kEINVAL);
  CHECK(preempt_region(0, UINT64_MAX, 0) == kEINVAL);
  CHECK(preempt_region(100, 100, 0) == kEINVAL);
  CHECK(preempt_region(200, 100, 0) == kEINVAL);
  CHECK(preempt_region(100, 200, 2) == kEINVAL);
}

// ---- what a G keeps ------------------------------------------------------------------

TEST_CASE("preempt: a G that was stopped is as before when it goes on") {
  SKIP_UNLESS_IT_CAN;
  for (bool owned : {false, true}) {
    for (u32 flags : {0u, kRegionMigrate}) {
      Declared code(flags);
      preempting(quick(1), owned, [&] {
        Hog hog;
        G* seen = nullptr;
        M* home = nullptr;
        u64 h = go([&] {
          seen = me();
          home = this_m();
          hog.run();
          CHECK(me()->body->pin == nullptr);
          CHECK(!me()->body->bound);
          CHECK((me()->flags & kRouted) == 0);
          CHECK(this_m()->bound_n == 0);
          CHECK(this_m()->door.in_core.load() == 0);
          if (!flags) {
            CHECK(this_m() == home);
          }
        });
        await_preemptions(3);
        // With one P it does not run while we do, unless on a busy machine that
        // was taken from it; then it is stopped without one.
        until([&] { return seen->state.load() == State::runnable; });
        CHECK(seen->body->bound == !flags);
        CHECK(seen->body->pin == (flags ? nullptr : home));
        CHECK(home->bound_n == (flags ? 0 : 1));
        hog.over.store(true);
        CHECK(join(h) == 0);
      });
    }
  }
}

TEST_CASE("preempt: a G that is pinned for another reason stays so") {
  SKIP_UNLESS_IT_CAN;
  Declared code(0);
  preempting(quick(1), true, [&] {
    Hog hog;
    M* home = this_m();
    SpawnOpts o;
    o.affinity = kPinM;
    u64 h = go(
        [&] {
          hog.run();
          CHECK(me()->body->pin == home);
          CHECK((me()->flags & kRouted) != 0);
          CHECK(this_m() == home);
        },
        &o);
    await_preemptions(3);
    hog.over.store(true);
    CHECK(join(h) == 0);
  });
}

TEST_CASE("preempt: exceptions in flight are each G's own") {
  SKIP_UNLESS_IT_CAN;
  for (u32 flags : {0u, kRegionMigrate}) {
    Declared code(flags);
    preempting(quick(2), true, [&] {
      constexpr int kGs = 6;
      Hog hog;
      Atomic<int> right{0};
      u64 h[kGs];
      for (int i = 0; i < kGs; ++i) {
        h[i] = go([&, i] {
          try {
            try {
              throw i;
            } catch (int) {
              hog.run();  // stopped with an exception caught
              throw;
            }
          } catch (int got) {
            right.fetch_add(got == i && std::uncaught_exceptions() == 0);
          }
        });
      }
      for (u64 n = 0; n < 20; ++n) {
        try {
          await_preemptions(1);
          throw std::runtime_error("other");
        } catch (const std::runtime_error&) {
          await_preemptions(1);
        }
      }
      hog.over.store(true);
      for (u64 g : h) {
        CHECK(join(g) == 0);
      }
      CHECK(right.load() == kGs);
    });
  }
}

// ---- threads -----------------------------------------------------------------------

TEST_CASE("preempt: a thread is locked while a stopped G is bound to it") {
  SKIP_UNLESS_IT_CAN;
  Declared code(0);
  preempting(capped(1), true, [&] {
    for (u32 round = 0; round < 4; ++round) {
      Hog hog;
      u64 h = go([&] { hog.run(); });
      await_preemptions(1);
      CHECK(this_m()->bound_n == 1);
      {
        Enter e;
        CHECK(lock_thread(e.m) == 0);
      }
      M* home = this_m();
      home->pinned_turn = round;  // whoever's turn it is
      // The hog can go on nowhere else, so it has its turns, but is not stopped
      // again: so it ends by itself.
      u64 before = hog.n.load();
      Thread ends([&] {
        until([&] { return hog.n.load() != before; });
        hog.over.store(true);
      });
      CHECK(join(h) == 0);
      CHECK(this_m() == home);
      Enter e;
      CHECK(unlock_thread(e.m) == 0);
    }
  });
}

TEST_CASE("preempt: a locked G is stopped, and others have its P meanwhile") {
  SKIP_UNLESS_IT_CAN;
  Declared code(0);
  preempting(quick(1), true, [&] {
    Hog hog;
    u64 h = go([&] {
      {
        Enter e;
        CHECK(lock_thread(e.m) == 0);
      }
      u32 home = os::thread_id();
      hog.run();
      CHECK(os::thread_id() == home);
      Enter e;
      CHECK(unlock_thread(e.m) == 0);
    });
    await_preemptions(5);
    hog.over.store(true);
    CHECK(join(h) == 0);
  });
}

TEST_CASE("preempt: a P is given up under a hog, and it goes on where it was") {
  SKIP_UNLESS_IT_CAN;
  Declared code(0);
  Rt rt(quick(4));
  REQUIRE(can(rt.rt));
  constexpr int kHogs = 6;
  Hog hogs[kHogs];
  Atomic<int> moved{0};
  u64 h[kHogs];
  for (int i = 0; i < kHogs; ++i) {
    h[i] = go_in(rt.rt, [&, i] {
      u32 home = os::thread_id();
      hogs[i].run();
      moved.fetch_add(os::thread_id() != home);
    });
  }
  for (u32 n : {1u, 3u, 2u, 4u, 1u, 2u}) {
    CHECK(set_procs(nullptr, rt.rt, n) > 0);
    u64 want = preemptions(rt.rt) + 10;
    until([&] { return preemptions(rt.rt) >= want; });
  }
  // Each of them goes on, with two Ps for six.
  for (Hog& hog : hogs) {
    u64 before = hog.n.load();
    until([&] { return hog.n.load() != before; });
  }
  for (int i = 0; i < kHogs; ++i) {
    hogs[i].over.store(true);
    CHECK(join(h[i], rt.rt) == 0);
  }
  CHECK(moved.load() == 0);
}

// ---- who is asked, and says no --------------------------------------------------------

namespace {

// The hog refuses for a while, and why.
Refusal refused(Runtime* rt, u64 n) {
  u64 want = n;
  for (u32 i = 0; i < rt->p_count.load(); ++i) {
    want += rt->ps[i]->refusals.load();
  }
  Refusal last = Refusal::none;
  until([&] {
    u64 sum = 0;
    for (u32 i = 0; i < rt->p_count.load(); ++i) {
      sum += rt->ps[i]->refusals.load();
    }
    return sum >= want;
  });
  Locked held(rt->lock);
  for (M* m = rt->ms; m; m = m->next_m) {
    if (m->last_refusal.load() != Refusal::none) {
      last = m->last_refusal.load();
    }
  }
  return last;
}

}  // namespace

TEST_CASE("preempt: why not") {
  SKIP_UNLESS_IT_CAN;
  struct Row {
    const char* name;
    Refusal want;
    void (*run)(Hog&);
  };
  const Row rows[] = {
      {"code", Refusal::code, [](Hog& h) { spin_outside(h.over, h.n); }},
      {"held", Refusal::held,
       [](Hog& h) {
         me()->body->rare()->hold = 1;
         h.run();
         me()->body->rare()->hold = 0;
       }},
      {"thread", Refusal::thread,  // another G's
       [](Hog& h) {
         this_m()->slow.fetch_or(kSlowPump);
         h.run();
         this_m()->slow.fetch_and(~kSlowPump);
       }},
  };
  for (const Row& row : rows) {
    Declared code(0);
    Rt rt(capped(1));
    REQUIRE(can(rt.rt));
    Hog hog;
    u64 h = go_in(rt.rt, [&] { row.run(hog); });
    u64 other = go_in(rt.rt, [] {});
    CHECK_ROW(refused(rt.rt, 3) == row.want, row.name);
    CHECK_ROW(preemptions(rt.rt) == 0, row.name);
    hog.over.store(true);
    CHECK(join(h, rt.rt) == 0);
    CHECK(join(other, rt.rt) == 0);
  }
}

TEST_CASE("preempt: a declared block is none of its business") {
  SKIP_UNLESS_IT_CAN;
  Declared code(0);
  Rt rt(quick(1));
  REQUIRE(can(rt.rt));
  Hog hog;
  Atomic<u32> ran{0};
  M* where = nullptr;
  u64 h = go_in(rt.rt, [&] {
    where = this_m();
    {
      Enter e;
      (void)enter_blocking(e.m);
    }
    hog.run();
    Enter e;
    (void)exit_blocking(e.m);
  });
  until([&] { return hog.n.load() > 0; });
  for (u32 i = 1; i <= 20; ++i) {  // its P serves others
    u64 g = go_in(rt.rt, [&] { ran.fetch_add(1); });
    CHECK(join(g, rt.rt) == 0);
    (void)preempt_send(where);
  }
  until([&] { return where->refusals.load() > 0; });
  CHECK(where->last_refusal.load() == Refusal::blocked);
  CHECK(preemptions(rt.rt) == 0);
  hog.over.store(true);
  CHECK(join(h, rt.rt) == 0);
}

TEST_CASE("preempt: inside the core, wherever its code lies") {
  SKIP_UNLESS_IT_CAN;
  Declared code(0);
  Rt rt(capped(1));
  REQUIRE(can(rt.rt));
  Hog hog;
  M* where = nullptr;
  u64 h = go_in(rt.rt, [&] {
    where = this_m();
    where->door.in_core.store(1);
    hog.run();
    where->door.in_core.store(0);
  });
  until([&] { return hog.n.load() > 0; });
  u64 other = go_in(rt.rt, [] {});
  until([&] {
    (void)preempt_send(where);
    return where->refusals.load() >= 3;
  });
  CHECK(where->last_refusal.load() == Refusal::core);
  CHECK(preemptions(rt.rt) == 0);
  hog.over.store(true);
  CHECK(join(h, rt.rt) == 0);
  CHECK(join(other, rt.rt) == 0);
}

TEST_CASE("preempt: a G whose P was taken comes back for one") {
  SKIP_UNLESS_IT_CAN;
  for (u32 flags : {0u, kRegionMigrate}) {
    Declared code(flags);
    Rt rt(quick(1));
    REQUIRE(can(rt.rt));
    Hog hog;
    M* where = nullptr;
    Atomic<Body*> body{nullptr};
    u64 h = go_in(rt.rt, [&] {
      where = this_m();
      me()->body->rare()->hold = 1;
      body.store(me()->body);
      hog.run();
    });
    until([&] { return hog.n.load() > 0; });
    u64 other = go_in(rt.rt, [] {});
    CHECK(join(other, rt.rt) == 0);  // on another M
    CHECK((where->door.word.load() & (kTaken | kApart)) != 0);
    CHECK(preemptions(rt.rt) == 0);
    __atomic_store_n(&body.load()->rare()->hold, 0, __ATOMIC_RELAXED);
    until([&] { return preemptions(rt.rt) > 0; });
    hog.over.store(true);
    CHECK(join(h, rt.rt) == 0);
  }
}

TEST_CASE("preempt: off, nobody is asked") {
  Rt rt(quick(1));
  M* m = nullptr;
  u64 h = go_in(rt.rt, [&] { m = this_m(); });
  CHECK(join(h, rt.rt) == 0);
  CHECK(!preempt_send(m));
  CHECK(m->signal.slot == nullptr);
  CHECK(preempt_disable(rt.rt) == 0);
}
