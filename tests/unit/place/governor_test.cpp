// A runtime follows what a system of files grants it. Looks are called by hand, at
// times of the test's own.
#include "place/governor.hpp"

#include "sched/api.hpp"
#include "tree.hpp"

using namespace unit;

namespace {

constexpr i64 kSecond = 1'000'000'000;

struct Place {
  Tree tree;
  Runtime* rt = nullptr;
  Governor* g = nullptr;
  i64 now = kSecond;

  Place(const char* quota, bool follows, u32 cap = 0) {
    GovernOpts opts;
    opts.follows = opts.paces = follows;
    opts.cap = cap;
    tree.put("/proc/self/mountinfo",
             "30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    tree.put("/proc/self/cgroup", "0::/a\n");
    set(quota);
    opts.root = tree.root();
    g = governor_make(opts);
    REQUIRE(g);
    Config c = config(1);
    c.procs = opts.follows ? g->budget.procs : 3;
    REQUIRE(rt_new(&rt, c) == 0);
  }
  ~Place() {
    g->seam.free(&g->seam);
    CHECK(rt_stop(nullptr, rt, kForever) == 0);
    rt_release(rt);
  }
  void set(const char* quota) { tree.put("/sys/fs/cgroup/a/cpu.max", quota); }
  u32 look() {
    now += 2 * kSecond;
    CHECK(g->seam.look(&g->seam, rt, now, true) > now);
    return rt->procs.load(relaxed);
  }
};

}  // namespace

TEST_CASE("governor: the number of Ps follows the quota, up and down") {
  Place p("50000 100000\n", true);
  u32 cpus = static_cast<u32>(os::cpus_allowed());
  CHECK(p.rt->procs.load(relaxed) == 1);
  p.look();
  p.set("max 100000\n");
  CHECK(p.look() == cpus);
  p.set("100000 100000\n");
  CHECK(p.look() == 1);
  CHECK(p.look() == 1);
  CHECK(governed(p.g).changes == (cpus > 1 ? 2u : 0u));
}

TEST_CASE("governor: pacing knows at once for how many Ps") {
  if (os::cpus_allowed() < 2) {
    UNIT_SKIP("one CPU only");
  }
  Place p("50000 100000\n", true);
  p.look();
  CHECK(governed(p.g).pace.quota_milli == 500);
  p.set("150000 100000\n");  // for one P it would be no bound
  CHECK(p.look() == 2);
  CHECK(governed(p.g).pace.quota_milli == 1500);
}

TEST_CASE("governor: what was throttled is that of the time of the runtime") {
  Place p("50000 100000\n", true);
  auto stat = [&](const char* group, u32 periods, u32 throttled) {
    std::string n = std::to_string(throttled);
    p.tree.put(std::string("/sys/fs/cgroup/") + group + "/cpu.stat",
               "nr_periods " + std::to_string(periods) + "\nnr_throttled " + n +
                   "\nthrottled_usec " + n + "\n");
  };
  auto is = [&](u64 periods, u64 throttled) {
    os::Throttled t = governed(p.g).throttled;
    return t.periods == periods && t.throttled == throttled &&
           t.ns == throttled * 1000;
  };
  stat("a", 1000, 100);
  p.look();
  p.look();  // the file was not there when the runtime was made
  CHECK(is(1000, 100));
  stat("a", 1010, 105);
  p.look();
  CHECK(is(1010, 105));
  p.set("max 100000\n");  // no quota: nothing is counted
  p.look();
  CHECK(is(1010, 105));
  p.set("50000 100000\n");
  p.look();
  CHECK(is(1010, 105));
  stat("a", 1011, 106);
  p.look();
  CHECK(is(1011, 106));
  p.tree.put("/sys/fs/cgroup/b/cpu.max", "50000 100000\n");
  stat("b", 9, 3);
  p.tree.put("/proc/self/cgroup", "0::/b\n");
  for (u32 i = 0; i < os::kGroupTurns; ++i) {
    p.look();
  }
  CHECK(is(1011, 106));
  stat("b", 10, 4);
  p.look();
  CHECK(is(1012, 107));
}

TEST_CASE("governor: throttling after a long calm is seen at the second look") {
  for (u32 calm = 0; calm < 20; ++calm) {
    Place p("50000 100000\n", true);
    auto stat = [&](const char* n) {
      p.tree.put("/sys/fs/cgroup/a/cpu.stat",
                 std::string("nr_periods 100\nnr_throttled ") + n +
                     "\nthrottled_usec 10\n");
    };
    stat("3");
    p.look();
    for (u32 i = 0; i < calm; ++i) {
      p.look();
    }
    u64 before = governed(p.g).throttled.throttled;
    stat("7");
    p.look();
    p.look();
    CHECK(governed(p.g).throttled.throttled == before + 4);
  }
}

TEST_CASE("governor: what the program has said stays") {
  Place told("50000 100000\n", false);
  CHECK(told.look() == 3);
  CHECK(told.look() == 3);
  CHECK(governed(told.g).budget.procs == 1);
  Place later("max 100000\n", true);
  later.rt->procs_told.store(true, relaxed);
  u32 before = later.rt->procs.load(relaxed);
  later.set("50000 100000\n");
  later.look();
  CHECK(later.look() == before);
}

TEST_CASE("governor: a cap holds whatever is granted") {
  Place p("max 100000\n", true, 1);
  CHECK(p.rt->procs.load(relaxed) == 1);
  CHECK(p.look() == 1);
}

TEST_CASE("governor: a mask that changes counts, a first one does not") {
  u64 all[kCpuWords], one[2][kCpuWords] = {};
  REQUIRE(os::affinity_get(0, all, kCpuWords) == 0);
  u32 cpus = static_cast<u32>(os::cpus_allowed()), found = 0;
  for (u32 cpu = 0; cpu < kCpus && found < 2; ++cpu) {
    if (all[cpu / 64] >> cpu % 64 & 1) {
      one[found++][cpu / 64] = u64{1} << cpu % 64;
    }
  }
  u64* other = one[found - 1];
  auto look = [](Place& p, const u64* mask) {
    REQUIRE(os::affinity_set(0, mask, kCpuWords) == 0);
    p.look();  // the first of all only says when to look
    return p.look();
  };
  // The thread that looks was pinned before: as many as the maker had.
  Place p("max 100000\n", true);
  u32 first = look(p, one[0]), wide = look(p, all), narrow = look(p, one[0]);
  CHECK(look(p, all) == cpus);
  // To another CPU: its own mask, as narrow as before.
  Place moved("max 100000\n", true);
  u32 before = look(moved, one[0]), after = look(moved, other);
  REQUIRE(os::affinity_set(0, all, kCpuWords) == 0);
  CHECK(first == cpus);
  CHECK(wide == cpus);
  CHECK(narrow == 1);
  CHECK(before == cpus);
  CHECK(after == 1);
}

TEST_CASE("governor: a long look is put off while Gs wait, but not for ever") {
  for (bool calm : {false, true}) {
    Place p("50000 100000\n", false);
    i64 next = p.g->seam.look(&p.g->seam, p.rt, p.now, false);
    CHECK(next > p.now);
    p.now += 20 * kMs;
    next = p.g->seam.look(&p.g->seam, p.rt, p.now, calm);
    CHECK(p.g->seen == calm);
    CHECK((p.g->budget.quota_milli != 0) == calm);  // no file was opened
    CHECK(next > p.now);
    p.now = calm ? p.now : next;
    CHECK(p.g->seam.look(&p.g->seam, p.rt, p.now, false) > p.now);
    CHECK(p.g->seen);
    CHECK(p.g->budget.quota_milli == 500);
  }
}
