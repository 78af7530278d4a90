// SPDX-License-Identifier: MIT
#include "observe/heatmap.hpp"

#include <stdio.h>

#include "observe/columns.hpp"

namespace thrum {

namespace {

using Count = unsigned long long;

i64 begin_of(const Columns& c, u32 column) {
  return c.begin + static_cast<i64>(c.width * column);
}

// Which counts of a column: of all, the kernel's part, or of one class.
using Layer = const u64* (*)(const Stretch& s, u32 k);
const u64* latency_of(const Stretch& s, u32) { return s.latency; }
const u64* kernel_of(const Stretch& s, u32) { return s.kernel; }
const u64* class_of(const Stretch& s, u32 k) { return s.classes[k]; }

void layer_json(Text& t, const char* name, const Columns& c, Layer layer,
                u32 k) {
  t.add("\"%s\": [", name);
  bool first = true;
  for (u32 x = 0; x < c.count; ++x) {
    for (u32 y = 0; y < kRows; ++y) {
      if (u64 n = layer(c.at[x], k)[y]) {
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

void picture(Text& t, const Columns& c, const char* title, Layer layer, u32 k) {
  u32 low, high;
  rows_used(c, low, high);
  u32 from = c.count > kWidth ? c.count - kWidth : 0;
  u64 most = 0;
  for (u32 x = from; x < c.count; ++x) {
    for (u32 y = low; y < high; ++y) {
      most = max(most, layer(c.at[x], k)[y]);
    }
  }
  t.add("%s; a column is %.3g ms, the brightest cell %llu\n", title,
        c.width / 1e6, Count{most});
  for (u32 y = high; y-- > low;) {
    bound(t, y);
    for (u32 x = from; x < c.count; ++x) {
      u64 n = layer(c.at[x], k)[y];
      if (n) {
        t.add("\x1b[48;5;%um ", colour(n, most));
      } else {
        t.add("\x1b[0m ");
      }
    }
    t.add("\x1b[0m\n");
  }
}

// Does it have some Gs and not all?
bool is_part(const Columns& c, u32 k) {
  u64 all = 0, mine = 0;
  for (u32 x = 0; x < c.count; ++x) {
    for (u32 y = 0; y < kRows; ++y) {
      all += c.at[x].latency[y];
      mine += c.at[x].classes[k][y];
    }
  }
  return mine && mine < all;
}

}  // namespace

int heatmap_json(Runtime* rt, Text& t) {
  Columns c;
  if (int err = columns_take(rt, c)) {
    return err;
  }
  t.add("{\"kind\": \"thrum-heatmap\", \"version\": 1, \"begin_ns\": %lld, "
        "\"column_ns\": ",
        static_cast<long long>(c.begin));
  t.decimal(static_cast<u64>(c.width * 1000), 3);
  t.add(", \"columns\": %u, \"rows\": %u,\n", c.count, kRows);
  layer_json(t, "latency", c, latency_of, 0);
  t.add(",\n");
  layer_json(t, "kernel", c, kernel_of, 0);
  t.add(",\n\"classes\": {");
  for (u32 k = 0; k < kClasses; ++k) {
    t.add(k ? ",\n" : "");
    layer_json(t, kClassNames[k], c, class_of, k);
  }
  t.add("}}\n");
  mem::free(c.at);
  return 0;
}

int heatmap_csv(Runtime* rt, Text& t) {
  Columns c;
  if (int err = columns_take(rt, c)) {
    return err;
  }
  t.add("begin_ns,below_ns,count,kernel_count");
  for (const char* name : kClassNames) {
    t.add(",%s", name);
  }
  t.add("\n");
  for (u32 x = 0; x < c.count; ++x) {
    for (u32 y = 0; y < kRows; ++y) {
      if (c.at[x].latency[y] || c.at[x].kernel[y]) {
        t.add("%lld,%llu,%llu,%llu", static_cast<long long>(begin_of(c, x)),
              Count{u64{1} << y}, Count{c.at[x].latency[y]},
              Count{c.at[x].kernel[y]});
        for (const auto& counts : c.at[x].classes) {
          t.add(",%llu", Count{counts[y]});
        }
        t.add("\n");
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
  picture(t, c, "ready to run", latency_of, 0);
  picture(t, c, "of it, taken by the kernel or a quota", kernel_of, 0);
  for (u32 k = 0; k < kClasses; ++k) {
    if (is_part(c, k)) {
      char title[48];
      snprintf(title, sizeof title, "ready to run: %s", kClassNames[k]);
      picture(t, c, title, class_of, k);
    }
  }
  mem::free(c.at);
  return 0;
}

}  // namespace thrum
