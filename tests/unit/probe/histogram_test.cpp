#include "../unit.hpp"
#include "probe/histogram.hpp"

using namespace unit;

TEST_CASE("histogram: a bucket is a power of two") {
  CHECK(bucket_of(0) == 0);
  CHECK(bucket_of(1) == 1);
  CHECK(bucket_of(2) == 2);
  CHECK(bucket_of(3) == 2);
  CHECK(bucket_of(4) == 3);
  CHECK(bucket_of(~u64{0}) == kBuckets - 1);
}

TEST_CASE("histogram: quantiles are bounds of those below") {
  Histogram h{};
  Sums none;
  none.add(h);
  CHECK(none.quantile(0.5) == 0);
  for (int i = 0; i < 90; ++i) {
    h.add(1000);
  }
  for (int i = 0; i < 10; ++i) {
    h.add(1'000'000);
  }
  Sums s;
  s.add(h);
  s.add(h);
  CHECK(s.count == 200);
  CHECK(s.sum == 2 * (90 * 1000 + 10 * 1'000'000));
  CHECK(s.quantile(0.5) == 1024);
  CHECK(s.quantile(0.89) == 1024);
  CHECK(s.quantile(0.9) == 1 << 20);
  CHECK(s.quantile(1) == 1 << 20);
  h.add(u64{1} << 45);  // ten hours
  h.add(u64{1} << 45);
  Sums longer;
  longer.add(h);
  CHECK(longer.quantile(0.5) == 1024);
  CHECK(longer.quantile(0.99) >= u64{1} << 45);
}
