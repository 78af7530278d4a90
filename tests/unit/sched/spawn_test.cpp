#include "../objects.hpp"

using namespace unit;

namespace {

Atomic<u32> g_ran;
void count(void*) { g_ran.fetch_add(1, relaxed); }

// Ever made, and of these those that nobody has.
u64 bodies(Runtime* rt) {
  return rt->arenas.counts(rt->config.stack_class).cut;
}
u64 shared_bodies(Runtime* rt) {
  return rt->arenas.counts(rt->config.stack_class).vacant;
}

}  // namespace

TEST_CASE("spawn: a record without a stack until it first runs") {
  in_g(still(), [] {
    bool ran = false;
    u64 h = go([&] { ran = true; });
    G* g = g_at(this_m()->rt, h);
    CHECK(g->body == nullptr);
    CHECK(g->state.load() == State::runnable);
    CHECK((g->word.load() & kLive) != 0);
    u64 gen = handle_gen(h);
    (void)join(h);
    CHECK(ran);
    CHECK((g->word.load() & kLive) == 0);
    u64 next = g->word.load() >> kGenShift;
    CHECK(next == gen + 1);
  });
}

TEST_CASE("spawn: 100,000 at once, with and without thieves, all run") {
  static constexpr u32 kMany = rounds(100'000);
  for (u32 procs : {1u, 2u, 4u}) {
    g_ran = 0;
    in_g(config(procs), [] {
      u32 refused = 0;
      for (u32 i = 0; i < kMany; ++i) {
        refused += !spawn_fn(nullptr, count, nullptr);
      }
      CHECK(refused == 0);
      until([] { return g_ran.load(relaxed) == kMany; });
    });
    CHECK(g_ran.load() == kMany);
  }
}

TEST_CASE("spawn: 100,000 from outside, all run") {
  static constexpr u32 kMany = rounds(100'000);
  for (u32 procs : {1u, 4u}) {
    g_ran = 0;
    Rt rt(procs);
    u32 refused = 0;
    for (u32 i = 0; i < kMany; ++i) {
      refused += !spawn_fn(rt.rt, count, nullptr);
    }
    CHECK(refused == 0);
    until([] { return g_ran.load(relaxed) == kMany; });
  }
}

TEST_CASE("spawn: a fan-out keeps few stacks alive") {
  static constexpr u32 kMany = rounds(100'000);
  g_ran = 0;
  Rt rt(still());
  (void)rt.run([&] {
    for (u32 i = 0; i < kMany; ++i) {
      (void)spawn_fn(nullptr, count, nullptr);
    }
    until([] { return g_ran.load(relaxed) == kMany; });
    CHECK(bodies(rt.rt) <= 4);
  });
  // A tree, two children each, 2^15 leaves: the young run first, so what is
  // alive is about its depth and not its breadth.
  static Atomic<u32> leaves;
  leaves = 0;
  struct Node {
    static void grow(void* arg) {
      auto depth = reinterpret_cast<uintptr_t>(arg);
      if (depth == 0) {
        leaves.fetch_add(1, relaxed);
        return;
      }
      for (int i = 0; i < 2; ++i) {
        (void)spawn_fn(nullptr, grow, reinterpret_cast<void*>(depth - 1));
      }
    }
  };
  static constexpr uintptr_t kDepth = kScale > 1 ? 11 : 15;
  (void)rt.run([&] {
    Node::grow(reinterpret_cast<void*>(kDepth));
    until([] { return leaves.load(relaxed) == 1u << kDepth; });
    CHECK(bodies(rt.rt) <= 64);
    CHECK(rt->table.end <= max(kMany * 2, 4096u));
  });
}

TEST_CASE("spawn: the youngest child runs first") {
  in_g(still(), [] {
    static u32 order[5], n;
    n = 0;
    for (u32 i = 0; i < 5; ++i) {
      (void)go([i] { order[n++] = i; });
    }
    until([] { return n == 5; });
    for (u32 i = 0; i < 5; ++i) {
      CHECK(order[i] == 4 - i);
    }
  });
}

TEST_CASE("spawn: stacks come back warm") {
  in_g(still(), [] {
    Runtime* rt = this_m()->rt;
    static void* where;
    static u32 elsewhere;
    where = nullptr;
    elsewhere = 0;
    for (u32 i = 0; i < 10'000 / kScale; ++i) {
      u64 h = go([] {
        void* here = me()->body->stack.hi;
        elsewhere += where && here != where;
        where = here;
      });
      (void)join(h);
    }
    CHECK(elsewhere == 0);
    CHECK(bodies(rt) <= 4);
  });
}

TEST_CASE("spawn: the cache of bodies is bounded, and reused") {
  static constexpr u32 kMany = 600;
  Config c = still();
  c.stack_class = 0;
  Rt rt(c);
  for (u32 round = 0; round < 3; ++round) {
    (void)rt.run([&] {
      Waitgroup parked{}, go_on{};
      (void)add(parked, kMany);
      (void)add(go_on, 1);
      Waitgroup ended{};
      (void)add(ended, kMany);
      for (u32 i = 0; i < kMany; ++i) {
        (void)go([&] {
          (void)add(parked, -1);
          (void)wait(go_on);
          (void)add(ended, -1);
        });
      }
      (void)wait(parked);
      CHECK(bodies(rt.rt) >= kMany);
      (void)add(go_on, -1);
      (void)wait(ended);
      until([&] { return live_gs(rt.rt) == 1; });
      (void)yield();  // the last one's body comes back in the next switch
      CHECK(my_p()->body_count <= kBodyCache);
      u32 n = 0;
      for (Body* b = my_p()->bodies; b; b = b->next) {
        ++n;
      }
      CHECK(n == my_p()->body_count);
      // All but this G's own are in one cache or the other.
      CHECK(n + shared_bodies(rt.rt) + 1 == bodies(rt.rt));
    });
    CHECK(bodies(rt.rt) <= kMany + 2);  // the second round made none
  }
}

TEST_CASE("spawn: what a G finds is its own, not its predecessor's") {
  in_g(still(), [] {
    for (int round = 0; round < 3; ++round) {
      u64 h = go([] {
        Body* b = me()->body;
        CHECK(b->limit == kForever);
        CHECK(b->shield == 0);
        CHECK(b->rare()->lock_depth == 0);
        CHECK(b->rare()->block_depth == 0);
        CHECK(b->pin == nullptr);
        CHECK(b->eh.caught == nullptr);
        CHECK((me()->word.load() & ~(kGenMask | kLive | kJoined)) == 0);
        CHECK(me()->ext == nullptr);
        // A bad guest leaves everything behind.
        b->limit = 5;
        b->shield = 3;
        (void)cancel(self());
        (void)unpark(self());
        Enter e;
        (void)lock_thread(e.m);
      });
      (void)join(h);
    }
  });
}

TEST_CASE("spawn: floating-point control is the default at start") {
#if defined(__x86_64__)
  in_g(still(), [] {
    for (int round = 0; round < 4; ++round) {
      u64 h = go([] {
        u32 mxcsr;
        u16 cw;
        asm volatile("stmxcsr %0; fnstcw %1" : "=m"(mxcsr), "=m"(cw));
        CHECK((mxcsr & ~63u) == 0x1f80);
        CHECK(cw == 0x037f);
        mxcsr = 0x1f80 | 0x6000 | 0x8000;
        cw = 0x0c7f;
        asm volatile("ldmxcsr %0; fldcw %1" ::"m"(mxcsr), "m"(cw));
        (void)yield();
        u32 after;
        asm volatile("stmxcsr %0" : "=m"(after));
        CHECK((after & ~63u) == mxcsr);
        // and leaves it so
      });
      (void)join(h);
      u32 mxcsr;
      asm volatile("stmxcsr %0" : "=m"(mxcsr));
      CHECK((mxcsr & ~63u) == 0x1f80);
    }
  });
#endif
}

TEST_CASE("spawn: options") {
  static u32 drops;
  static void* dropped;
  drops = 0;
  Rt rt(still());
  (void)rt.run([&] {
    SpawnOpts o;
    o.name = "a name of more than forty-seven characters, which is cut";
    o.stack_class = 1;
    o.priority = 2;
    o.drop = [](void* arg) {
      ++drops;
      dropped = arg;
      (void)yield();  // guest code: may park
    };
    static int word;
    static bool ran;
    ran = false;
    u64 h = spawn_fn(
        nullptr,
        [](void* arg) {
          CHECK(arg == &word);
          CHECK(drops == 0);
          auto size = static_cast<size_t>(me()->body->stack.hi -
                                          me()->body->stack.lo());
          CHECK(size > (size_t{63} << 10));
          CHECK(size <= (size_t{64} << 10));
          ran = true;
        },
        &word, &o);
    G* g = g_at(rt.rt, h);
    REQUIRE(g->ext);
    CHECK(strlen(g->ext->name) == 47);
    CHECK(strncmp(g->ext->name, o.name, 47) == 0);
    CHECK((g->rank.load() & 3) == 2);
    (void)join(h);
    CHECK(ran);
    CHECK(drops == 1);
    CHECK(dropped == &word);
    CHECK(g->ext == nullptr);
  });
}

TEST_CASE("spawn: refused while stopping; what never ran is dropped") {
  static u32 drops, ran;
  drops = ran = 0;
  {
    Rt rt(hosted());
    SpawnOpts o;
    o.drop = [](void*) { ++drops; };
    for (int i = 0; i < 10; ++i) {
      (void)spawn_fn(
          rt.rt, [](void*) { ++ran; }, nullptr, &o);
    }
    CHECK(rt_stop(nullptr, rt.rt, soon()) == 0);
    u64 h;
    CHECK(spawn(nullptr, rt.rt, nullptr, count, nullptr, &h) == kECLOSED);
  }
  CHECK(drops == 10);
  CHECK(ran == 0);  // their arguments were looked after without them
}

TEST_CASE("spawn: no memory for a stack: the G waits, others run on") {
#if defined(THRUM_ASAN) || defined(THRUM_TSAN)
  UNIT_SKIP("the sanitizers need the address space");
#endif
  Child c = in_child([] {
    if (!limits_work()) {
      _exit(kNoLimits);
    }
    Rt rt(still());
    int rc = rt.run([] {
      (void)join(go([] {}));  // a warm body of the usual class
      rlimit all, tight;
      getrlimit(RLIMIT_AS, &all);
      tight = all;
      tight.rlim_cur = 1;
      static bool large = false;
      static u32 small = 0;
      SpawnOpts o;
      o.stack_class = 4;
      setrlimit(RLIMIT_AS, &tight);
      u64 h = go([] { large = true; }, &o);
      until([] { return this_m()->rt->said_starved.load() != 0; });
      for (int i = 0; i < 5; ++i) {
        (void)join(go([] { ++small; }));
      }
      bool waited = !large && small == 5;
      setrlimit(RLIMIT_AS, &all);
      (void)join(h);
      if (!waited || !large) {
        _exit(1);
      }
    });
    _exit(rc == 0 ? 0 : 2);
  });
  if (c.exited(kNoLimits)) {
    UNIT_SKIP("no limit on address space here");
  }
  CHECK_CHILD(c.exited(0), c);
  CHECK_CHILD(c.said("waits: no memory for its stack"), c);
}
