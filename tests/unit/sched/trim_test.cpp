// What is given back, and when; the looks of sysmon's are made here, in runtimes
// that have none.
#include "../objects.hpp"
#include "sched/ready.hpp"

using namespace unit;

namespace {

mem::ArenaCounts counts(Runtime* rt) {
  return rt->arenas.counts(rt->config.stack_class);
}
void trim_all(Runtime* rt) {
  Enter e;
  trim(e.m, rt);
}

// So many Gs at once, each with a stack; then all end.
void crowd(u32 n) {
  Waitgroup parked{}, go_on{};
  (void)add(parked, static_cast<i32>(n));
  (void)add(go_on, 1);
  for (u32 i = 0; i < n; ++i) {
    (void)go([&] {
      (void)add(parked, -1);
      (void)wait(go_on);
    });
  }
  (void)wait(parked);
  (void)add(go_on, -1);
  until([] { return live_gs(this_m()->rt) == 1; });
  (void)yield();  // the last one's body comes back in the next switch
}

THRUM_NOINLINE void go_down(u32 kib) {
  volatile char frame[1024];
  frame[0] = 1;
  if (kib) {
    go_down(kib - 1);
  }
  frame[1] = frame[0];
}

u32 stock_of(const P* p) {
  u32 bodies = 0, slots = p->bump_end - p->bump;
  for (Body* b = p->bodies; b; b = b->next) {
    ++bodies;
  }
  for (G* g = p->free_g; g; g = g->next) {
    ++slots;
  }
  CHECK(bodies == p->body_count);
  return bodies + slots;
}

}  // namespace

TEST_CASE("trim: bodies move between a P and the arenas in batches") {
  in_g(still(), [] {
    Runtime* rt = this_m()->rt;
    P* p = my_p();
    crowd(3 * kBodyCache);
    {
      Enter e;
      body_flush(rt, p);
    }
    CHECK(p->body_count == 0);
    u64 vacant = counts(rt).vacant;
    CHECK(vacant >= 3 * kBodyCache);
    // An empty cache is filled by a batch.
    u64 h = go([] { (void)park(); });
    wait_parked(h);
    CHECK(p->body_count == kBodyBatch - 1);
    CHECK(counts(rt).vacant == vacant - kBodyBatch);
    (void)unpark(h);
    (void)join(h);
    let_run(1);
    CHECK(p->body_count == kBodyBatch);
    // Up to the bound nothing goes back; one more, and the colder half does.
    crowd(kBodyCache);
    CHECK(p->body_count == kBodyCache);
    CHECK(counts(rt).vacant == vacant - 2 * kBodyBatch);
    crowd(kBodyCache + 1);
    constexpr u32 kColder = kBodyCache + 1 - kBodyCache / 2;
    CHECK(p->body_count == kBodyCache + kBodyBatch - kColder);
    CHECK(counts(rt).vacant == vacant - 3 * kBodyBatch + kColder);
  });
}

TEST_CASE("trim: the stock of a P that rests, after two looks") {
  Rt rt(hosted());
  (void)go_in(rt.rt, [] { crowd(300); });
  CHECK(rt.pump() == 0);
  P* p = rt->ps[0];
  CHECK(stock_of(p) > 0);
  i64 time = os::now_ns();
  CHECK(trim_look(rt.rt, time) > time);
  CHECK(stock_of(p) > 0);  // it had run since the last one: never
  i64 next = rt->trim_at;
  CHECK(trim_look(rt.rt, next - 1) == next);  // too early
  CHECK(stock_of(p) > 0);
  // Flushed; then the stacks' pages age; then they are gone, and that was it.
  u32 looks = 0;
  while (next != kForever && looks < 10) {
    next = trim_look(rt.rt, next);
    CHECK(stock_of(p) == 0);
    ++looks;
  }
  CHECK(looks <= 4);
  CHECK(counts(rt.rt).warm == 0);
  CHECK(counts(rt.rt).vacant == counts(rt.rt).cut);
  // It is all there again when it is wanted.
  (void)go_in(rt.rt, [] { crowd(300); });
  CHECK(rt.pump() == 0);
  CHECK(counts(rt.rt).cut <= 301 + kBodyBatch);
}

TEST_CASE("trim: while Gs run, a little at a time") {
  Rt rt(hosted());
  (void)go_in(rt.rt, [] { crowd(1000); });
  CHECK(rt.pump() == 0);
  i64 time = os::now_ns();
  u64 before = counts(rt.rt).warm;
  CHECK(before > 600);
  for (int i = 0; i < 3; ++i) {
    (void)go_in(rt.rt, [] {});
    CHECK(rt.pump() == 0);
    time = trim_look(rt.rt, time);
    CHECK(time != kForever);
  }
  u64 after = counts(rt.rt).warm;
  CHECK(after < before);
  CHECK(after + 3 * 128 >= before);
}

TEST_CASE("trim: now, and all of what nobody has") {
  Rt rt(hosted());
  (void)go_in(rt.rt, [] { crowd(300); });
  CHECK(rt.pump() == 0);
  trim_all(rt.rt);
  CHECK(stock_of(rt->ps[0]) == 0);
  CHECK(counts(rt.rt).warm == 0);
  // Not of a P that runs: it is its own.
  (void)go_in(rt.rt, [&] {
    crowd(50);
    u32 had = stock_of(my_p());
    trim_all(rt.rt);
    CHECK(stock_of(my_p()) == had);
  });
  CHECK(rt.pump() == 0);
}

TEST_CASE("trim: a wait gives its unused pages once") {
  if (kFibreNotes) {
    UNIT_SKIP("frames are larger, and stacks are used for other things");
  }
  in_g(still(), [] {
    Runtime* rt = this_m()->rt;
    u64 h = go([] {
      for (int i = 0; i < 2; ++i) {
        go_down(100);
        (void)park();
      }
    });
    wait_parked(h);
    G* g = g_at(rt, h);
    auto pages = [&] {
      const mem::Stack& s = g->body->stack;
      char* lowest;
      return os::vm_resident(s.lo(), s.bytes, &lowest) / os::page_size();
    };
    for (int round = 0; round < 2; ++round) {
      u64 trimmed = rt->scan.trimmed.load();
      CHECK(pages() >= 20);
      trim_all(rt);
      CHECK(pages() <= 2);
      CHECK((g->word.load() & kTrimmed) != 0);
      CHECK(rt->scan.trimmed.load() == trimmed + 1);
      trim_all(rt);
      CHECK(rt->scan.trimmed.load() == trimmed + 1);
      (void)unpark(h);
      let_run();
      CHECK((g->word.load() & kTrimmed) == 0);
    }
    (void)join(h);
  });
}

TEST_CASE("trim: nobody starves while a P that rests has stacks") {
#if defined(THRUM_ASAN) || defined(THRUM_TSAN)
  UNIT_SKIP("the sanitizers need the address space");
#endif
  Child c = in_child([] {
    if (!limits_work()) {
      _exit(kNoLimits);
    }
    Config two = hosted();
    two.procs = 2;
    Rt rt(two);
    (void)go_in(rt.rt, [&] {
      crowd(60);
      // As if another M had been here.
      P* mine = my_p();
      P* other = rt->ps[mine == rt->ps[0] ? 1 : 0];
      u32 had = mine->body_count;
      bool apart = other->state.load() == PState::idle && !other->bodies;
      std::swap(mine->bodies, other->bodies);
      std::swap(mine->body_count, other->body_count);
      rlimit all, tight;
      getrlimit(RLIMIT_AS, &all);
      tight = all;
      tight.rlim_cur = 1;
      setrlimit(RLIMIT_AS, &tight);
      u32 n = 0;
      while (!rt->said_starved.load() && n < 10'000) {
        n += go([] { (void)park(); }) != 0;
        let_run(1);
      }
      setrlimit(RLIMIT_AS, &all);
      u32 left = other->body_count + mine->body_count;
      bool good = apart && n > had && !left && counts(rt.rt).vacant == 0;
      _exit(good ? 0 : 1);
    });
    (void)rt.pump();
    _exit(2);
  });
  if (c.exited(kNoLimits)) {
    UNIT_SKIP("no limit on address space here");
  }
  CHECK_CHILD(c.exited(0), c);
  CHECK_CHILD(c.said("waits: no memory for its stack"), c);
}
