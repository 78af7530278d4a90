// Log2 histogram of ns: one writer, any readers. Bucket n has what is below 2^n and not
// below 2^(n-1); bucket 0 has zeroes.
// SPDX-License-Identifier: MIT
#pragma once
#include <bit>

#include "base/count.hpp"

namespace thrum {

constexpr u32 kBuckets = 40;  // the last also has what is more than 9 minutes

inline u32 bucket_of(u64 ns) {
  return min(static_cast<u32>(std::bit_width(ns)), kBuckets - 1);
}

struct Histogram {
  Atomic<u64> counts[kBuckets];
  Atomic<u64> sum;

  void add(u64 ns) {
    bump(counts[bucket_of(ns)]);
    bump(sum, ns);
  }
};

// A copy that adds up those of many Ps.
struct Sums {
  u64 counts[kBuckets] = {};
  u64 sum = 0;
  u64 count = 0;

  void add(const Histogram& h) {
    for (u32 i = 0; i < kBuckets; ++i) {
      u64 n = h.counts[i].load(relaxed);
      counts[i] += n;
      count += n;
    }
    sum += h.sum.load(relaxed);
  }

  // An upper bound of the q-th part (0..1) of all, a power of two; 0: there are none.
  u64 quantile(double q) const {
    u64 need = static_cast<u64>(q * static_cast<double>(count));
    u64 seen = 0;
    for (u32 i = 0; i < kBuckets && count; ++i) {
      seen += counts[i];
      if (seen > need || seen == count) {
        // The last has no bound of its own; none is longer than all together.
        u64 bound = u64{1} << i;
        return i + 1 < kBuckets ? bound : std::bit_ceil(max(sum, bound));
      }
    }
    return 0;
  }
};

}  // namespace thrum
