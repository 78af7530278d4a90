// The bucket alone, on a machine that exists in numbers only.
#include "place/pace.hpp"

#include "../unit.hpp"

using namespace unit;

namespace {

constexpr i64 kMilli = 1'000'000;
constexpr i64 kPeriod = 100 * kMilli;

// `busy` CPUs burn but for pauses; all of them rest in those that are for all.
struct Machine {
  Pace p{};
  i64 now = 5 * kPeriod, cpu = 77;
  i64 longest = 0;  // pause
  i64 most = 0;     // used in any window of a period that was looked at
  u32 busy;

  Machine(u32 quota_milli, u32 procs, u32 ran) : busy(ran) {
    pace_set(p, quota_milli, kPeriod, procs, now, cpu);
  }
  void live(i64 ns) {
    i64 end = now + ns, begin = now, from = cpu;
    while (now < end) {
      Pause pause = pace_step(p, now, cpu, busy);
      if (pause.until) {
        longest = max(longest, pause.until - now);
        cpu += pause.all ? 0 : pause.until - now;  // one goes on
        now = pause.until;
      }
      i64 step = max(pause.next - now, i64{0});
      cpu += step * busy;
      now += step;
      if (now - begin >= kPeriod) {
        most = max(most, (cpu - from) * kPeriod / (now - begin));
        begin = now;
        from = cpu;
      }
    }
  }
};

}  // namespace

TEST_CASE("pace: uses most of the quota and never more") {
  struct Row {
    u32 quota, procs, busy;
  };
  for (Row r : {Row{500, 1, 1}, Row{500, 2, 2}, Row{1200, 2, 2},
                Row{2500, 3, 3}, Row{2500, 3, 8}}) {
    Machine m(r.quota, r.procs, r.busy);
    i64 begin = m.now, from = m.cpu;
    m.live(20 * kPeriod);
    double share = static_cast<double>(m.cpu - from) /
                   static_cast<double>(m.now - begin) * 1000 / r.quota;
    CHECK(share > 0.92);
    CHECK(share < 1.0);
    CHECK(m.most <= kPeriod / 1000 * r.quota * 102 / 100);
    CHECK(m.longest <= 10 * kMilli);
  }
}

TEST_CASE("pace: short pauses at half a CPU") {
  Machine m(500, 2, 2);
  m.live(20 * kPeriod);
  CHECK(m.longest < 5 * kMilli);
}

TEST_CASE("pace: one that uses less than its quota is left alone") {
  Machine m(1500, 2, 1);
  m.live(10 * kPeriod);
  CHECK(m.longest == 0);
}

TEST_CASE("pace: off where the quota does not bind, on when it does") {
  Pace p{};
  pace_set(p, 2000, kPeriod, 2, 0, 0);
  CHECK(p.quota_milli == 0);
  pace_set(p, 0, kPeriod, 2, 0, 0);
  CHECK(p.quota_milli == 0);
  pace_set(p, 1999, kPeriod, 2, 0, 0);
  CHECK(p.quota_milli == 1999);
  CHECK(p.share == kShareFirst);
}

TEST_CASE("pace: idleness saves up no more than the bucket holds") {
  Pace p{};
  pace_set(p, 500, kPeriod, 1, 0, 0);
  Pause none = pace_step(p, 60'000 * kMilli, 0, 0);
  CHECK(none.until == 0);
  CHECK(p.tokens == pace_room(p));
  CHECK(pace_room(p) == kMilli);
}

TEST_CASE("pace: less when the kernel throttled, slowly more when it did not") {
  Pace p{};
  pace_adapt(p, false);  // before there is a quota: nothing
  pace_set(p, 500, kPeriod, 1, 0, 0);
  CHECK(p.share == kShareFirst);
  pace_adapt(p, true);
  CHECK(p.share == kShareFirst - kShareDown);
  pace_adapt(p, false);
  CHECK(p.share == kShareFirst - kShareDown + kShareUp);
  for (int i = 0; i < 1000; ++i) {
    pace_adapt(p, true);
  }
  CHECK(p.share == kShareLeast);
  for (int i = 0; i < 1000; ++i) {
    pace_adapt(p, false);
  }
  CHECK(p.share == kShareMost);
}
