#include "../objects.hpp"

using namespace unit;

namespace {

// Lets the slot of an ended G stand just before its generations wrap.
void age(G* g, u64 gen) { g->word.store(gen << kGenShift); }

}  // namespace

TEST_CASE("join: waits for the end, before it and after it") {
  for (u32 procs : {1u, 2u}) {
    in_g(config(procs), [] {
      u32 done = 0;
      u64 h = go([&] {
        (void)yield();
        (void)sleep_ns(100'000);
        done = 1;
      });
      int rc = join(h);
      CHECK(rc == 0);
      CHECK(done == 1);
      rc = join(h);
      CHECK(rc == 0);
      rc = join(h, nullptr, kTry);
      CHECK(rc == 0);
    });
  }
}

TEST_CASE("join: many joiners, Gs and threads, all go on") {
  for (u32 n : {1u, 2u, 3u, 8u, 64u}) {
    Rt rt(2);
    Atomic<u32> joined{0}, wrong{0};
    Atomic<u32> tid{0};
    Waitgroup open{};
    (void)add(open, 1);
    u64 target = go_in(rt.rt, [&] { (void)wait(open); });
    u64 last = 0;
    for (u32 i = 0; i < n; ++i) {
      last = go_in(rt.rt, [&] {
        int rc = join(target);
        wrong.fetch_add(rc != 0);
        joined.fetch_add(1);
      });
      wait_parked(rt.rt, last);
    }
    Thread t([&] {
      tid.store(os::thread_id());
      int rc = join(target, rt.rt);
      wrong.fetch_add(rc != 0);
      joined.fetch_add(1);
    });
    wait_asleep(tid);
    CHECK(joined.load() == 0);
    (void)add(open, -1);
    until([&] { return joined.load() == n + 1; });
    CHECK(wrong.load() == 0);
  }
}

TEST_CASE("join: a deadline and a try leave nothing behind") {
  in_g(seeded(1), [] {
    u64 h = go([] { (void)park(); });
    wait_parked(h);
    int rc = join(h, nullptr, kTry);
    CHECK(rc == kEAGAIN);
    rc = join(h, nullptr, now() + kMs);
    CHECK(rc == kETIMEDOUT);
    rc = join(h, nullptr, 1);
    CHECK(rc == kETIMEDOUT);
    CHECK(g_at(this_m()->rt, h)->joiners == nullptr);
    // Joiners before and after one that gives up are not lost.
    u32 ok = 0;
    auto joiner = [&](i64 deadline) {
      u64 j = go([&ok, h, deadline] {
        int got = join(h, nullptr, deadline);
        ok += got == (deadline == kForever ? 0 : kETIMEDOUT);
      });
      wait_parked(j);
      return j;
    };
    i64 soon_over = now() + 5 * kMs;
    u64 a = joiner(kForever), b = joiner(soon_over), c = joiner(kForever),
        d = joiner(soon_over), e = joiner(soon_over);
    (void)join(b);
    (void)join(d);
    (void)join(e);
    CHECK(ok == 3);
    u32 left = 0;
    for (Waiter* w = g_at(this_m()->rt, h)->joiners; w; w = w->next) {
      ++left;
    }
    CHECK(left == 2);
    (void)unpark(h);
    (void)join(a);
    (void)join(c);
    CHECK(ok == 5);
  });
}

TEST_CASE("join: of oneself, of nonsense") {
  in_g(still(), [] {
    Runtime* rt = this_m()->rt;
    int rc = join(self());
    CHECK(rc == kEDEADLOCK);
    u64 gen = u64{1} << 30;
    for (u64 h : {u64{0}, ~u64{0}, u64{1}, self() ^ (u64{1} << 56),
                  (u64{rt->tag} << 56) | 1,                // slot 0: a header
                  (u64{rt->tag} << 56) | (gen << 20) | 1,  // never made
                  self() + 1, self() & ~(gen - 1)}) {  // gen 0, a future one
      rc = join(h);
      CHECK(rc == kEINVAL);
      rc = cancel(h);
      CHECK(rc == kEINVAL);
      rc = unpark(h);
      CHECK(rc == kEINVAL);
    }
    // A slot that was made, but no G of it ever spawned.
    rc = join((u64{rt->tag} << 56) | (u64{40} << 30) | 1);
    CHECK(rc == kEINVAL);
  });
}

TEST_CASE("join: a handle of another runtime is nonsense here") {
  Rt a(hosted()), b(hosted());
  u64 h = go_in(a.rt, [] {});
  CHECK(join(h, b.rt, kTry) == kEINVAL);
  CHECK(a.pump() == 0);
  CHECK(join(h, a.rt, kTry) == 0);
}

TEST_CASE("join: 10,000 generations of a slot, and every old handle is stale") {
  static constexpr u32 kGenerations = rounds(10'000);
  static u64 handle[10'000];
  in_g(still(), [] {
    Runtime* rt = this_m()->rt;
    u32 bad = 0, slots = 0;
    u64 ran = 0;
    for (u32 i = 0; i < kGenerations; ++i) {
      handle[i] = go([&] { ++ran; });
      bad += join(handle[i]) != 0;
      bool known = false;
      for (u32 k = 0; k < i && k < 4; ++k) {
        known |= handle_slot(handle[k]) == handle_slot(handle[i]);
      }
      slots += !known;
    }
    CHECK(ran == kGenerations);
    CHECK(slots <= 4);
    for (u32 i = 0; i < kGenerations; ++i) {
      bad += join(handle[i]) != 0;
      bad += cancel(handle[i]) != kESTALE;
      bad += unpark(handle[i]) != kESTALE;
      bad += i > 0 && handle[i] == handle[i - 1];
    }
    // None of it reached the slot's present G.
    u64 h = go([] { (void)park(); });
    wait_parked(h);
    for (u32 i = 0; i < kGenerations; ++i) {
      (void)cancel(handle[i]);
      (void)unpark(handle[i]);
    }
    CHECK(is_parked(rt, h));
    (void)unpark(h);
    bad += join(h) != 0;
    CHECK(bad == 0);
  });
}

TEST_CASE("join: generations wrap past 0") {
  in_g(still(), [] {
    u64 h = go([] {});
    (void)join(h);
    G* g = g_at(this_m()->rt, h);
    static constexpr u64 kLast = (u64{1} << 30) - 1;
    age(g, kLast - 1);
    u64 before[4];
    for (u64& x : before) {
      x = go([] {});
      (void)join(x);
      CHECK(handle_slot(x) == handle_slot(h));
    }
    CHECK(handle_gen(before[0]) == kLast - 1);
    CHECK(handle_gen(before[1]) == kLast);
    CHECK(handle_gen(before[2]) == 1);
    CHECK(handle_gen(before[3]) == 2);
    for (u64 x : before) {
      int rc = cancel(x);
      CHECK(rc == kESTALE);
      rc = join(x);
      CHECK(rc == 0);
    }
  });
}

TEST_CASE("join: a race between the end and its joiners") {
  // The G ends while others are about to join it: nobody sleeps for ever.
  Rt rt(2);
  (void)rt.run([] {
    u32 bad = 0;
    for (u32 i = 0; i < rounds(20'000); ++i) {
      u64 h = go([] {});
      if (i % 3 == 0) {
        (void)yield();
      }
      bad += join(h) != 0;
    }
    CHECK(bad == 0);
  });
  u32 bad = 0;
  for (u32 i = 0; i < rounds(3000); ++i) {
    u64 h = go_in(rt.rt, [] {});
    bad += join(h, rt.rt, i % 2 ? kForever : soon()) != 0;
  }
  CHECK(bad == 0);
}
