// SPDX-License-Identifier: MIT
#include "observe/heatmap.hpp"

#include "observe/columns.hpp"

namespace thrum {

namespace {

using Count = unsigned long long;

i64 begin_of(const Columns& c, u32 column) {
  return c.begin + static_cast<i64>(c.width * column);
}

void layer_json(Text& t, const char* name, const Columns& c,
                u64 (Stretch::*layer)[kRows]) {
  t.add("\"%s\": [", name);
  bool first = true;
  for (u32 x = 0; x < c.count; ++x) {
    for (u32 y = 0; y < kRows; ++y) {
      if (u64 n = (c.at[x].*layer)[y]) {
        t.add("%s[%u, %u, %llu]", first ? "" : ", ", x, y, Count{n});
        first = false;
      }
    }
  }
  t.add("]");
}

// The rows that have something, in both layers.
void rows_used(const Columns& c, u32& low, u32& high) {
  low = kRows;
  high = 0;
  for (u32 x = 0; x < c.count; ++x) {
    for (u32 y = 0; y < kRows; ++y) {
      if (c.at[x].latency[y]) {
        low = min(low, y);
        high = max(high, y + 1);
      }
    }
  }
}

// "below 2 us": the upper bound of a row.
void bound(Text& t, u32 row) {
  constexpr const char* kUnits[] = {"ns", "us", "ms", "s"};
  double ns = static_cast<double>(u64{1} << row);
  u32 unit = 0;
  while (ns >= 1000 && unit < 3) {
    ns /= 1000;
    ++unit;
  }
  t.add("%7.3g %-2s ", ns, kUnits[unit]);
}

// Of 256 colours the 24 greys would look alike: black, blue, red, yellow, white.
u32 colour(u64 n, u64 most) {
  constexpr u8 kSteps[] = {17,  18,  19,  54,  89,  124, 160, 196,
                           202, 208, 214, 220, 226, 228, 230, 231};
  double part =
      static_cast<double>(static_cast<u32>(std::bit_width(n))) /
      static_cast<double>(max(static_cast<u32>(std::bit_width(most)), 1u));
  return kSteps[static_cast<u32>(part * 15)];
}

constexpr u32 kWidth = 100;

void picture(Text& t, const Columns& c, const char* title,
             u64 (Stretch::*layer)[kRows]) {
  u32 low, high;
  rows_used(c, low, high);
  u32 from = c.count > kWidth ? c.count - kWidth : 0;
  u64 most = 0;
  for (u32 x = from; x < c.count; ++x) {
    for (u32 y = low; y < high; ++y) {
      most = max(most, (c.at[x].*layer)[y]);
    }
  }
  t.add("%s; a column is %.3g ms, the brightest cell %llu\n", title,
        c.width / 1e6, Count{most});
  for (u32 y = high; y-- > low;) {
    bound(t, y);
    for (u32 x = from; x < c.count; ++x) {
      u64 n = (c.at[x].*layer)[y];
      if (n) {
        t.add("\x1b[48;5;%um ", colour(n, most));
      } else {
        t.add("\x1b[0m ");
      }
    }
    t.add("\x1b[0m\n");
  }
}

}  // namespace

int heatmap_json(Runtime* rt, Text& t) {
  Columns c;
  if (int err = columns_take(rt, c)) {
    return err;
  }
  t.add("{\"kind\": \"thrum-heatmap\", \"version\": 1, \"begin_ns\": %lld, "
        "\"column_ns\": %.3f, \"columns\": %u, \"rows\": %u,\n",
        static_cast<long long>(c.begin), c.width, c.count, kRows);
  layer_json(t, "latency", c, &Stretch::latency);
  t.add(",\n");
  layer_json(t, "kernel", c, &Stretch::kernel);
  t.add("}\n");
  mem::free(c.at);
  return 0;
}

int heatmap_csv(Runtime* rt, Text& t) {
  Columns c;
  if (int err = columns_take(rt, c)) {
    return err;
  }
  t.add("begin_ns,below_ns,count,kernel_count\n");
  for (u32 x = 0; x < c.count; ++x) {
    for (u32 y = 0; y < kRows; ++y) {
      if (c.at[x].latency[y] || c.at[x].kernel[y]) {
        t.add("%lld,%llu,%llu,%llu\n", static_cast<long long>(begin_of(c, x)),
              Count{u64{1} << y}, Count{c.at[x].latency[y]},
              Count{c.at[x].kernel[y]});
      }
    }
  }
  mem::free(c.at);
  return 0;
}

int heatmap_ansi(Runtime* rt, Text& t) {
  Columns c;
  if (int err = columns_take(rt, c)) {
    return err;
  }
  picture(t, c, "ready to run", &Stretch::latency);
  picture(t, c, "of it, taken by the kernel or a quota", &Stretch::kernel);
  mem::free(c.at);
  return 0;
}

}  // namespace thrum
