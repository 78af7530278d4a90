// The deterministic runtime: one seed, one order, virtual time.
#include "../objects.hpp"

using namespace unit;

namespace {

struct Life {
  u64 trace = 0;
  i64 end = 0;                        // virtual
  u64 order = 14695981039346656037u;  // of what the guests saw
  void see(u64 x) { order = (order ^ x) * 1099511628211u; }
};

// Seven Gs that do a bit of everything.
Life live(u64 seed) {
  Life life;
  Rt rt(seeded(seed));
  (void)rt.run([&] {
    Channel a(0), b(2);
    Mutex x{};
    Semaphore s{};
    static constexpr u32 kGs = 7;
    u64 h[kGs];
    for (u32 i = 0; i < kGs; ++i) {
      h[i] = go([&, i] {
        u64 v = 0;
        for (u32 k = 0; k < 12; ++k) {
          int rc = 0;
          switch ((i * 5 + k) % 7) {
            case 0:
              rc = yield();
              break;
            case 1:
              rc = send(a, i, now() + 3000);
              break;
            case 2:
              rc = recv(a, &v, now() + 2000);
              break;
            case 3: {
              u64 out = i;
              SelectCase cases[] = {{b.c, &out, kSend, 0},
                                    {b.c, &v, kRecv, 0},
                                    {a.c, &v, kRecv, 0}};
              rc = choose(cases, 3, now() + 1000);
              break;
            }
            case 4:
              (void)lock(x);
              (void)yield();
              rc = unlock(x);
              break;
            case 5:
              rc = sleep_ns(k % 3 * 1000);
              break;
            default:
              rc = k % 2 ? post(s) : take(s, now() + 1500);
          }
          life.see(i << 16 | (static_cast<u64>(rc) & 0xffff));
          life.see(v);
          life.see(static_cast<u64>(now()));
        }
      });
    }
    for (u64 g : h) {
      (void)join(g);
    }
  });
  life.trace = rt->trace;
  life.end = rt->virtual_now.load();
  return life;
}

}  // namespace

TEST_CASE("seeded: 1000 seeds, each twice: the same life") {
  u32 other_trace = 0, other_order = 0, other_end = 0;
  for (u64 seed = 0; seed < rounds(1000); ++seed) {
    Life a = live(seed), b = live(seed);
    other_trace += a.trace != b.trace;
    other_order += a.order != b.order;
    other_end += a.end != b.end;
  }
  CHECK(other_trace == 0);
  CHECK(other_order == 0);
  CHECK(other_end == 0);
}

TEST_CASE("seeded: 100 seeds, nearly 100 lives") {
  static constexpr u32 kSeeds = 100;
  u64 trace[kSeeds], order[kSeeds];
  u32 same_trace = 0, same_order = 0;
  for (u32 i = 0; i < kSeeds; ++i) {
    Life life = live(1000 + i);
    trace[i] = life.trace;
    order[i] = life.order;
    for (u32 k = 0; k < i; ++k) {
      same_trace += trace[k] == trace[i];
      same_order += order[k] == order[i];
    }
  }
  CHECK(same_trace <= 2);
  CHECK(same_order <= 5);
}

TEST_CASE("seeded: the noise of the machine does not show") {
  // Another thread, real pauses and memory elsewhere change nothing.
  Life quiet = live(5);
  Atomic<bool> stop{false};
  Thread noise([&] {
    while (!stop.load()) {
      free(malloc(12345));
      os::thread_sleep(10'000);
    }
  });
  void* hole = mem::alloc(100'000);
  for (int i = 0; i < 3; ++i) {
    os::thread_sleep(300'000);
    Life loud = live(5);
    CHECK(loud.trace == quiet.trace);
    CHECK(loud.order == quiet.order);
  }
  mem::free(hole);
  stop.store(true);
}

TEST_CASE("seeded: 10,000 random timers, lateness 0") {
  static constexpr u32 kGs = rounds(2000), kSleeps = 5;
  Config c = seeded(77);
  c.stack_class = 0;
  Rt rt(c);
  i64 real = os::now_ns(), start = 0, end = 0;
  u32 late = 0, slept = 0;
  (void)rt.run([&] {
    start = now();
    Waitgroup ended{};
    (void)add(ended, kGs);
    for (u32 i = 0; i < kGs; ++i) {
      (void)go([&, i] {
        Choice choice{i};
        for (u32 k = 0; k < kSleeps; ++k) {
          // Nanoseconds to an hour, and many ties.
          i64 ns = k % 2 ? i64{choice.below(50)} * 1'000'000
                         : i64{choice.below(3600)} * 1'000'000'000 +
                               choice.below(1000);
          i64 deadline = now() + max(ns, i64{0});
          (void)sleep_ns(ns);
          late += now() != deadline;
          ++slept;
        }
        (void)add(ended, -1);
      });
    }
    (void)wait(ended);
    end = now();
  });
  CHECK(slept == kGs * kSleeps);
  CHECK(late == 0);
  CHECK(end - start > 3600 * kSecond);        // hours of it
  CHECK(os::now_ns() - real < 60 * kSecond);  // and nobody waited for them
}

TEST_CASE("seeded: time stands still while a G can run") {
  Rt rt(seeded(3));
  (void)rt.run([] {
    i64 from = now();
    bool over = false;
    u64 h = go([&] {
      (void)sleep_ns(1);
      over = true;
    });
    for (int i = 0; i < 1000; ++i) {
      (void)yield();
    }
    CHECK(now() == from);
    CHECK_FALSE(over);
    (void)join(h);
    CHECK(now() == from + 1);
    // Deadlines of every wait are as exact.
    Channel c(0);
    u64 v;
    from = now();
    int rc = recv(c, &v, from + 12'345);
    CHECK(rc == kETIMEDOUT);
    CHECK(now() == from + 12'345);
    Mutex x{};
    Cond cond{};
    (void)lock(x);
    rc = wait(cond, x, now() + 7);
    CHECK(rc == kETIMEDOUT);
    CHECK(now() == from + 12'352);
    (void)unlock(x);
  });
}

TEST_CASE("seeded: every runnable G may be next") {
  // Over many seeds each of five Gs is the first, about equally often.
  static constexpr u32 kGs = 5, kSeeds = rounds(1000);
  u32 first[kGs] = {};
  for (u64 seed = 0; seed < kSeeds; ++seed) {
    Rt rt(seeded(seed));
    i32 winner = -1;
    (void)rt.run([&] {
      u64 h[kGs];
      for (i32 i = 0; i < static_cast<i32>(kGs); ++i) {
        h[i] = go([&, i] { winner = winner < 0 ? i : winner; });
      }
      for (u64 g : h) {
        (void)join(g);
      }
    });
    ++first[winner];
  }
  for (u32 n : first) {
    CHECK(n > kSeeds / kGs / 2);
    CHECK(n < kSeeds / kGs * 2);
  }
}

TEST_CASE("seeded: one M, so no two Gs at once, whatever spawns outside") {
  Rt rt(seeded(1));
  u32 n = 0;  // no lock, no atomic
  {
    // Threads may bring Gs; they run when the runtime runs.
    auto body = [&] {
      for (int i = 0; i < 100; ++i) {
        (void)go_in(rt.rt, [&] { ++n; });
      }
    };
    Thread a(body), b(body);
  }
  int rc = rt.run([&] { until([&] { return n == 200; }); });
  CHECK(rc == 0);
  CHECK(n == 200);
}

namespace {
const char* g_title;
u32 g_reports, g_seen;
void report(Runtime* rt, const char* title) {
  g_title = title;
  ++g_reports;
  g_seen = static_cast<u32>(live_gs(rt));
}
}  // namespace

TEST_CASE("seeded: all blocked for ever is a verdict at once") {
  for (u64 seed = 0; seed < 20; ++seed) {
    Config c = seeded(seed);
    c.report = report;
    g_reports = g_seen = 0;
    Rt rt(c);
    Semaphore a{}, b{};  // one permit each: two locks, taken crosswise
    (void)post(a);
    (void)post(b);
    auto cross = [&](Semaphore& first, Semaphore& second) {
      (void)take(first);
      until([&] { return a.word.word.load() < 4 && b.word.word.load() < 4; });
      (void)take(second);
    };
    int rc = rt.run([&] {
      u64 h = go([&] { (void)park(); });
      u64 x = go([&] { cross(a, b); });
      cross(b, a);
      (void)join(x);
      (void)join(h);
    });
    CHECK(rc == kEDEADLOCK);
    CHECK(g_reports == 1);
    CHECK(g_seen >= 2);
    CHECK(strstr(g_title, "deadlock") != nullptr);
  }
}
