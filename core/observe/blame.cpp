// SPDX-License-Identifier: MIT
#include <stdio.h>

#include "base/err.hpp"
#include "observe/columns.hpp"
#include "observe/each.hpp"
#include "observe/heatmap.hpp"

namespace thrum {

namespace {

using Count = unsigned long long;

constexpr u32 kWorst = 20;

struct Sufferer {
  u64 g;
  char name[48];
  u64 causes[kCauses];

  // What it did not choose.
  u64 delay() const {
    return causes[static_cast<u32>(Cause::queued)] +
           causes[static_cast<u32>(Cause::kernel)] +
           causes[static_cast<u32>(Cause::throttled)];
  }
};

struct Blame {
  u64 classes[kClasses][kCauses] = {};
  u64 all[kCauses] = {};
  Runtime* rt;
  Sufferer worst[kWorst];
  u32 n = 0;
};

void keep_worst(void* arg, const GView& v) {
  Blame& b = *static_cast<Blame*>(arg);
  Sufferer s{v.handle, {}, {}};
  if (waits_of_g(b.rt, v.handle, s.causes) != 0) {
    return;
  }
  plain_text(v.name, s.name, sizeof s.name);
  u32 at = b.n < kWorst ? b.n++ : kWorst;
  while (at > 0 && b.worst[at - 1].delay() < s.delay()) {
    if (at < kWorst) {
      b.worst[at] = b.worst[at - 1];
    }
    --at;
  }
  if (at < kWorst) {
    b.worst[at] = s;
  }
}

int blame_of(Runtime* rt, Blame& b) {
  Waits* w = waits_of(rt);
  if (!w) {
    return kEINVAL;
  }
  b.rt = rt;
  for (const Atomic<Lane*>& at : w->lanes) {
    const Lane* lane = at.load(acquire);  // pairs with lane_of
    for (u32 k = 0; lane && k < kClasses; ++k) {
      for (u32 i = 0; i < kCauses; ++i) {
        u64 ns = lane->classes[k][i].load(relaxed);
        b.classes[k][i] += ns;
        b.all[i] += k < kAffinities ? ns : 0;
      }
    }
  }
  each_g(rt, keep_worst, &b);
  return 0;
}

void causes_json(Text& t, const u64 (&causes)[kCauses]) {
  t.add("{");
  for (u32 i = 0; i < kCauses; ++i) {
    t.add("%s\"%s\": %llu", i ? ", " : "", cause_name(static_cast<Cause>(i)),
          Count{causes[i]});
  }
  t.add("}");
}

void over_time(Text& t, const Columns& c) {
  t.add("\"begin_ns\": %lld, \"column_ns\": ", static_cast<long long>(c.begin));
  t.decimal(static_cast<u64>(c.width * 1000), 3);
  t.add(", \"columns\": [");
  for (u32 x = 0; x < c.count; ++x) {
    t.add("%s[", x ? ", " : "");
    for (u32 i = 0; i < kCauses; ++i) {
      t.add("%s%llu", i ? ", " : "", Count{c.at[x].causes[i]});
    }
    t.add("]");
  }
  t.add("]");
}

void line(Text& t, const char* who, const u64 (&causes)[kCauses]) {
  t.add("%-24s", who);
  for (u64 ns : causes) {
    t.add(" %14.3f", static_cast<double>(ns) / 1e6);
  }
  t.add("\n");
}

}  // namespace

int blame_json(Runtime* rt, Text& t) {
  Blame b;
  Columns c;
  int err = blame_of(rt, b);
  if (err || (err = columns_take(rt, c))) {
    return err;
  }
  t.add("{\"kind\": \"thrum-blame\", \"version\": 1, \"unit\": \"ns\", "
        "\"causes\": [");
  for (u32 i = 0; i < kCauses; ++i) {
    t.add("%s\"%s\"", i ? ", " : "", cause_name(static_cast<Cause>(i)));
  }
  t.add("],\n\"all\": ");
  causes_json(t, b.all);
  t.add(",\n\"classes\": {");
  for (u32 k = 0; k < kClasses; ++k) {
    t.add("%s\"%s\": ", k ? ", " : "", kClassNames[k]);
    causes_json(t, b.classes[k]);
  }
  t.add("},\n\"worst\": [");
  for (u32 i = 0; i < b.n; ++i) {
    t.add("%s{\"g\": %u, \"name\": ", i ? ",\n  " : "",
          handle_slot(b.worst[i].g));
    t.quoted(b.worst[i].name);
    t.add(", \"causes\": ");
    causes_json(t, b.worst[i].causes);
    t.add("}");
  }
  t.add("],\n");
  over_time(t, c);
  t.add("}\n");
  mem::free(c.at);
  return 0;
}

int blame_text(Runtime* rt, Text& t) {
  Blame b;
  if (int err = blame_of(rt, b)) {
    return err;
  }
  t.add("%-24s", "ms");
  for (u32 i = 0; i < kCauses; ++i) {
    t.add(" %14s", cause_name(static_cast<Cause>(i)));
  }
  t.add("\n");
  line(t, "all", b.all);
  for (u32 k = 0; k < kClasses; ++k) {
    line(t, kClassNames[k], b.classes[k]);
  }
  for (u32 i = 0; i < b.n; ++i) {
    char who[64];
    snprintf(who, sizeof who, "G %u %s", handle_slot(b.worst[i].g),
             b.worst[i].name);
    line(t, who, b.worst[i].causes);
  }
  return 0;
}

}  // namespace thrum
