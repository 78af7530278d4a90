// When a G hibernates, when not, and who waits for whom meanwhile.
#include "../sleeper.hpp"
#include "observe/each.hpp"

using namespace unit;

namespace {

// What keeps a G awake, beside an object of its own.
template <class F>
void stays_awake(F f) {
  in_g(still(), [&] {
    u64 h = sleeper(f);
    look();
    CHECK_FALSE(is_asleep(h));
    CHECK(asleep() == 0);
    (void)cancel(h);
    (void)join(h);
  });
}

// A wait for `object`, which lies on the stack of who waits.
template <class T, class F>
void waits_for_its_own(F f) {
  stays_awake([=] {
    T object{};
    f(object);
  });
}

}  // namespace

TEST_CASE("hibernate: not in a wait for an object on its own stack") {
  UNIT_NEEDS_HIBERNATION
  waits_for_its_own<Waitgroup>([](Waitgroup& x) {
    (void)add(x, 1);
    (void)wait(x);
    (void)add(x, -1);
  });
  waits_for_its_own<Semaphore>([](Semaphore& x) { (void)take(x); });
  waits_for_its_own<Cond>([](Cond& x) {
    static Mutex mutex;
    (void)lock(mutex);
    (void)wait(x, mutex);
    (void)unlock(mutex);
  });
  waits_for_its_own<Rwmutex>([](Rwmutex& x) {
    (void)rlock(x);
    (void)wlock(x, kForever - 1);
    (void)runlock(x);
  });
}

TEST_CASE("hibernate: that wait only; the next one may") {
  UNIT_NEEDS_HIBERNATION
  in_g(still(), [] {
    u64 h = sleeper([] {
      Semaphore own{};
      (void)take(own);
      (void)park();
    });
    look();
    CHECK_FALSE(is_asleep(h));
    CHECK(g_at(this_m()->rt, h)->body->awake);
    (void)cancel(h);
    let_run();
    look();
    CHECK(is_asleep(h));
    (void)unpark(h);
    (void)join(h);
  });
}

TEST_CASE(
    "hibernate: not with more than 16 KiB in use, nor locked, nor unasked") {
  UNIT_NEEDS_HIBERNATION
  stays_awake([] {
    volatile char much[17000];
    much[0] = 1;
    much[16999] = 1;
    (void)park();
    much[1] = much[0];
  });
  stays_awake([] {
    {
      Enter e;
      (void)lock_thread(e.m);
    }
    (void)park();
  });
  stays_awake([] {
    me()->flags &= static_cast<u8>(~kHibernate);
    (void)park();
  });
}

TEST_CASE("hibernate: not where it was refused; unused pages go all the same") {
  UNIT_NEEDS_HIBERNATION
  in_g(still(), [] {
    Runtime* rt = this_m()->rt;
    rt->scan.refused = true;
    u64 h = sleeper([] { (void)park(); });
    look();
    CHECK_FALSE(is_asleep(h));
    CHECK((g_at(rt, h)->word.load() & kTrimmed) != 0);
    (void)unpark(h);
    (void)join(h);
  });
}

TEST_CASE("hibernate: two looks, and a wait that ends in between starts anew") {
  UNIT_NEEDS_HIBERNATION
  Config c = seeded(3);
  c.idle_ns = kSecond;
  in_g(c, [&] {
    Runtime* rt = this_m()->rt;
    u32 waits = 0;
    u64 h = sleeper([&] {
      for (; waits < 2; ++waits) {
        (void)park();
      }
    });
    G* g = g_at(rt, h);
    // As sysmon does, from outside. Returns whether it was made.
    i64 time = os::now_ns();
    auto sysmon_looks = [&] {
      time += 2 * kSecond;
      return scan_look(rt, time) >= time + kSecond;
    };
    CHECK(sysmon_looks());  // the first call sets the time only
    CHECK((g->word.load() & kSeen) == 0);
    CHECK(sysmon_looks());
    CHECK((g->word.load() & kSeen) != 0);
    CHECK_FALSE(is_asleep(h));
    (void)unpark(h);
    let_run(8);
    CHECK(waits == 1);
    CHECK((g->word.load() & (kSeen | kTrimmed)) == 0);
    CHECK(sysmon_looks());
    CHECK_FALSE(is_asleep(h));
    CHECK((g->word.load() & kSeen) != 0);
    CHECK(sysmon_looks());
    CHECK(is_asleep(h));
    (void)unpark(h);
    (void)join(h);
  });
}

TEST_CASE("hibernate: who is like the one before takes few bytes, each time") {
  UNIT_NEEDS_HIBERNATION
  in_g(still(), [] {
    Runtime* rt = this_m()->rt;
    u64 hs[20];
    for (u64& h : hs) {
      h = sleeper([] {
        for (int times = 0; times < 2; ++times) {
          volatile u64 mine[40];
          fill(mine, 40);
          (void)park();
        }
      });
    }
    for (int times = 0; times < 2; ++times) {
      look();
      CHECK(asleep() == 20);
      CHECK(rt->scan.bytes.load() < 20 * 100);
      for (u64 h : hs) {
        (void)unpark(h);
      }
      for (u64 h : hs) {
        times ? (void)join(h) : (void)wait_parked(h);
      }
    }
  });
}

TEST_CASE("hibernate: no look while an M may be about to park") {
  UNIT_NEEDS_HIBERNATION
  Config c = seeded(3);
  c.idle_ns = kSecond;
  in_g(c, [&] {
    Runtime* rt = this_m()->rt;
    u64 h = sleeper([] { (void)park(); });
    i64 time = os::now_ns();
    auto looks = [&](bool inside) {
      time += 2 * kSecond;
      i64 next;
      if (inside) {
        Enter e;
        next = scan_look(rt, time);
      } else {
        next = scan_look(rt, time);
      }
      return next >= time + kSecond;
    };
    CHECK(looks(true));        // sets the time
    CHECK(looks(true));        // since ever: this P has dispatched
    CHECK_FALSE(looks(true));  // not since, and its M is inside
    CHECK_FALSE(looks(true));
    CHECK_FALSE(is_asleep(h));
    let_run(1);  // it is another dispatch
    CHECK(looks(true));
    CHECK(is_asleep(h));
    CHECK(looks(false));  // outside it is in no park
    (void)unpark(h);
    (void)join(h);
  });
}

TEST_CASE("frozen: a claim waits until it thaws") {
  Atomic<u64> word{kFrozen | kLive | kPermit};
  Wake wake{};
  wake.word = &word;
  Atomic<u32> begun{0}, won{0};
  {
    Thread t([&] {
      begun.store(1);
      won.store(claim(&wake) ? 1 : 2);
    });
    until([&] { return begun.load() != 0; });
    os::thread_sleep(3 * kMs);
    CHECK(won.load() == 0);
    word.fetch_add(kWait - kFrozen);
  }
  CHECK(won.load() == 1);
  CHECK(word.load() == (kLive | kPermit));
}

TEST_CASE("frozen: cancel, unpark and a timeout wait") {
  struct Way {
    int result;
    i64 ns;  // until it times out
    void (*end)(Runtime*, u64);
  };
  const Way ways[] = {
      {0, kSecond * 600, [](Runtime* rt, u64 h) { (void)unpark(h, rt); }},
      {kECANCELED, kSecond * 600,
       [](Runtime* rt, u64 h) { (void)cancel(h, rt); }},
      {kETIMEDOUT, 50 * kMs, [](Runtime*, u64) { os::thread_sleep(70 * kMs); }},
  };
  for (const Way& way : ways) {
    Rt rt(2);
    Atomic<int> result{1};
    u64 h = go_in(rt.rt, [&] { result.store(park(in_ns(way.ns))); });
    G* g = g_at(rt.rt, h);
    u64 v = kWait;
    until([&] {  // frozen in time, or it has timed out on a slow machine
      v = g->word.load();
      return has_ended(rt.rt, h) ||
             ((v & kPhase) == kWait &&
              g->word.compare_exchange_strong(v, v | kFrozen));
    });
    if (!has_ended(rt.rt, h)) {
      Atomic<u32> asked{0};
      Thread t([&] {
        asked.store(1);
        way.end(rt.rt, h);
      });
      until([&] { return asked.load() != 0; });
      os::thread_sleep(way.ns < kSecond ? 100 * kMs : 3 * kMs);
      CHECK(result.load() == 1);
      CHECK(frozen(g->word.load()));
      g->word.fetch_add(kWait - kFrozen);
    }
    CHECK(join(h, rt.rt, soon()) == 0);
    CHECK(result.load() == way.result);
  }
}

TEST_CASE("hibernate: a world that stops has all stacks") {
  UNIT_NEEDS_HIBERNATION
  in_g(still(), [] {
    Runtime* rt = this_m()->rt;
    static u64 hs[100];
    static u32 well;
    well = 0;
    for (u64& h : hs) {
      h = sleeper([] {
        volatile u64 mine[40];
        fill(mine, 40);
        (void)park();
        well += filled(mine, 40);
      });
    }
    struct Seen {
      u32 all, with_sp;
    };
    auto seen = [&] {
      Seen s{};
      each_g(
          rt,
          [](void* arg, const GView& v) {
            if (v.why == Why::park) {
              static_cast<Seen*>(arg)->all++;
              static_cast<Seen*>(arg)->with_sp += v.sp != nullptr;
            }
          },
          &s);
      return s;
    };
    for (int round = 0; round < 2; ++round) {
      look();
      CHECK(asleep() == 100);
      CHECK((seen().all == 100 && seen().with_sp == 0));
      {
        EnterParking e;
        CHECK(world_stop(e.m, rt, kForever) == 0);
      }
      CHECK(asleep() == 0);
      CHECK((seen().all == 100 && seen().with_sp == 100));
      look();  // not while it stands
      CHECK(asleep() == 0);
      for (i64 hours = 2; hours < 6; ++hours) {  // nor sysmon, if it comes late
        (void)scan_look(rt, os::now_ns() + hours * 3600 * kSecond);
      }
      CHECK(asleep() == 0);
      Enter e;
      CHECK(world_start(e.m, rt) == 0);
    }
    look();
    for (u64 h : hs) {
      (void)unpark(h);
      (void)join(h);
    }
    CHECK(well == 100);
  });
}

TEST_CASE("hibernate: a world that stops waits for who has claimed one") {
  UNIT_NEEDS_HIBERNATION
  Rt rt(still());
  SpawnOpts o;
  o.flags = kHibernate;
  Atomic<int> result{1};
  u64 h = go_in(
      rt.rt, [&] { result.store(park()); }, &o);
  G* g = g_at(rt.rt, h);
  until([&] {
    scan_all(rt.rt, nullptr);
    return asleep(rt.rt) == 1;
  });
  Wake& wake = g->away->wake;
  CHECK(claim(&wake));  // as a sender does before it copies
  Atomic<u32> stands{0};
  {
    Thread t([&] {
      M* none = nullptr;
      CHECK(world_stop(none, rt.rt, kForever) == 0);
      stands.store(1);
      CHECK(world_start(none, rt.rt) == 0);
    });
    os::thread_sleep(10 * kMs);
    CHECK(stands.load() == 0);
    CHECK(asleep(rt.rt) == 1);
    wake.result = 0;
    ready(nullptr, &wake);
  }
  CHECK(stands.load() == 1);
  CHECK(join(h, rt.rt, soon()) == 0);
  CHECK(result.load() == 0);
}

TEST_CASE("hibernate: a stack that is touched comes back, and its G waits on") {
  UNIT_NEEDS_HIBERNATION
  in_g(still(), [] {
    Runtime* rt = this_m()->rt;
    bool well = false;
    u64 h = sleeper([&] {
      volatile u64 mine[40];
      fill(mine, 40);
      (void)park();
      well = filled(mine, 40);
    });
    G* g = g_at(rt, h);
    Body* b = g->body;
    CHECK_FALSE(stack_touched(rt, b));  // it was there: some other fault
    look();
    CHECK(is_asleep(h));
    CHECK(stack_touched(rt, b));
    CHECK_FALSE(is_asleep(h));
    CHECK((g->word.load() & kPhase) == kWait);
    look();
    CHECK(is_asleep(h));
    (void)unpark(h);
    (void)join(h);
    CHECK(well);
    CHECK_FALSE(stack_touched(rt, b));  // nobody's
  });
}

TEST_CASE("hibernate: a runtime that stops wakes those that do") {
  UNIT_NEEDS_HIBERNATION
  static u32 ended;
  ended = 0;
  Channel never(0);
  Rt rt(still());
  (void)rt.run([&] {
    for (int i = 0; i < 70; ++i) {  // more than a batch
      (void)sleeper([&] {
        u64 v = 5;
        int err = recv(never, &v);
        ended += err == kECANCELED && v == 5;
      });
    }
    look();
    CHECK(asleep() == 70);
  });
  CHECK(rt_stop(this_m(), rt.rt, soon()) == 0);
  CHECK(ended == 70);
  CHECK(asleep(rt.rt) == 0);
}
