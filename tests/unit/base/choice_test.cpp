#include <doctest/doctest.h>

#include <initializer_list>

#include "base/choice.hpp"

using namespace thrum;

TEST_CASE("choice: the generator is SplitMix64") {
  // The reference sequence of seed 1234567.
  const u64 want[] = {6457827717110365317u, 3203168211198807973u,
                      9817491932198370423u, 4593380528125082431u,
                      16408922859458223821u};
  Choice c{1234567};
  for (u64 w : want) {
    u64 got = c.next();
    CHECK(got == w);
  }
}

TEST_CASE("choice: the seed decides") {
  Choice a{7}, b{7}, other{8};
  u32 same = 0;
  for (int i = 0; i < 1000; ++i) {
    u32 x = a.below(1u << 30);
    CHECK(x == b.below(1u << 30));
    same += x == other.below(1u << 30);
  }
  CHECK(same < 5);
}

TEST_CASE("choice: below stays below and meets both ends") {
  for (u32 n : {1u, 2u, 3u, 7u, 61u, 256u, 1000u}) {
    Choice c{n};
    bool low = false, high = false, out = false;
    for (u32 i = 0; i < 50 * n + 100; ++i) {
      u32 v = c.below(n);
      out |= v >= n;
      low |= v == 0;
      high |= v == n - 1;
    }
    CHECK(!out);
    CHECK(low);
    CHECK(high);
  }
  Choice c{3};
  CHECK(c.below(UINT32_MAX) < UINT32_MAX);
}

TEST_CASE("choice: uniform") {
  // Chi-square, 99.9 % quantiles; the seeds are fixed, so is the answer.
  struct Row {
    u32 n;
    double limit;
  };
  for (Row row : {Row{2, 10.83}, Row{3, 13.82}, Row{5, 18.47}, Row{8, 24.32},
                  Row{16, 37.70}}) {
    Choice c{row.n * 977};
    u32 count[16] = {};
    constexpr u32 kDraws = 160'000;
    for (u32 i = 0; i < kDraws; ++i) {
      ++count[c.below(row.n)];
    }
    double expect = double{kDraws} / row.n, chi = 0;
    for (u32 i = 0; i < row.n; ++i) {
      chi += (count[i] - expect) * (count[i] - expect) / expect;
    }
    CHECK(chi < row.limit);
  }
}
