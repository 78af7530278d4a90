// Profiles as files: pprof's protobuf (github.com/google/pprof, profile.proto), which go
// tool pprof and speedscope open, and folded stacks, which flame graphs are made of.
// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <string.h>

#include "base/err.hpp"
#include "observe/profile.hpp"

namespace thrum {

namespace {

// A message in the making. Too long: `full`, and nothing more is taken.
struct Proto {
  char* at;
  size_t n, room;
  bool full = false;

  void byte(u8 b) {
    full |= n == room;
    if (!full) {
      at[n++] = static_cast<char>(b);
    }
  }
  void varint(u64 v) {
    for (; v >= 0x80; v >>= 7) {
      byte(static_cast<u8>(v | 0x80));
    }
    byte(static_cast<u8>(v));
  }
  void number(u32 field, u64 v) {
    varint(field << 3);
    varint(v);
  }
  void bytes(u32 field, const char* from, size_t size) {
    varint(field << 3 | 2);
    varint(size);
    for (size_t i = 0; i < size; ++i) {
      byte(static_cast<u8>(from[i]));
    }
  }
};

template <size_t kRoom>
struct Message : Proto {
  char room_[kRoom];
  Message() : Proto{room_, 0, kRoom} {}
};

void add(Text& out, u32 field, const Proto& m) {
  char head[16];
  Proto h{head, 0, sizeof head};
  h.varint(field << 3 | 2);
  h.varint(m.n);
  out.bytes(head, h.n);
  out.bytes(m.at, m.n);
}

// Fields of Profile.
constexpr u32 kSampleType = 1, kSample = 2, kMapping = 3, kLocation = 4,
              kFunction = 5, kString = 6, kPeriodType = 11, kPeriod = 12;

// The first strings; those of functions and files follow.
enum Word : u32 {
  kEmpty,
  kContentions,
  kCountUnit,
  kDelay,
  kNs,
  kReason,
  kQuota,
  kSamples,
  kCpu
};
constexpr const char* kWords[] = {"",          "contentions", "count",
                                  "delay",     "nanoseconds", "reason",
                                  "throttled", "samples",     "cpu"};
constexpr u32 kFirstWhy = 9;
constexpr u32 kFirstName = kFirstWhy + kWhys;

// Addresses that occur, each once, sorted by where they were met first.
struct Places {
  u64* pcs;
  u32 n;

  // Its number, from 1.
  u32 of(u64 pc) {
    u32 i = 0;
    while (i < n && pcs[i] != pc) {
      ++i;
    }
    if (i == n) {
      pcs[n++] = pc;
    }
    return i + 1;
  }
};

void string(Text& out, const char* s) {
  char head[16];
  Proto h{head, 0, sizeof head};
  size_t n = strlen(s);
  h.varint(kString << 3 | 2);
  h.varint(n);
  out.bytes(head, h.n);
  out.bytes(s, n);
}

void value_type(Text& out, u32 field, u32 type, u32 unit) {
  Message<32> m;
  m.number(1, type);
  m.number(2, unit);
  add(out, field, m);
}

void sample(Text& out, const Met& met, Places& places) {
  Message<1024> m;
  for (u32 i = 0; i < met.frames; ++i) {
    m.number(1, places.of(met.pcs[i]));
  }
  m.number(2, met.count);
  m.number(2, met.ns);
  if (met.kind != Kind::cpu) {
    Message<32> why;
    why.number(1, kReason);
    why.number(2, kFirstWhy + static_cast<u32>(met.why));
    m.bytes(3, why.at, why.n);
  }
  if (met.throttled) {
    Message<32> quota;
    quota.number(1, kQuota);
    quota.number(3, 1);
    m.bytes(3, quota.at, quota.n);
  }
  add(out, kSample, m);
}

// Mappings, each with its file as a string.
struct Range {
  u64 lo, hi;
};
constexpr u32 kMaps = 256;
struct Maps {
  Text& out;
  Range* at;  // kMaps
  u32 n = 0;
};

void map_file(void* arg, u64, u64, u64, const char* file) {
  Maps& maps = *static_cast<Maps*>(arg);
  if (maps.n++ < kMaps) {
    string(maps.out, file);
  }
}

void map_code(void* arg, u64 lo, u64 hi, u64 offset, const char*) {
  Maps& maps = *static_cast<Maps*>(arg);
  if (maps.n == kMaps) {
    return;
  }
  maps.at[maps.n].lo = lo;
  maps.at[maps.n].hi = hi;
  Message<128> m;
  m.number(1, ++maps.n);
  m.number(2, lo);
  m.number(3, hi);
  m.number(4, offset);
  m.number(5, kFirstName + maps.n - 1);
  add(maps.out, kMapping, m);
}

u32 map_of(const Maps& maps, u64 pc) {
  for (u32 i = 0; i < maps.n; ++i) {
    if (pc >= maps.at[i].lo && pc < maps.at[i].hi) {
      return i + 1;
    }
  }
  return 0;
}

// A function for each place whose name is known; else pprof looks it up in the file.
void places(Text& out, const Places& p, const Maps& maps, u32 first_name) {
  for (u32 i = 0; i < p.n; ++i) {
    char name[256];
    bool known = os::function_name(p.pcs[i] - 1, name, sizeof name);
    Message<128> m;
    m.number(1, i + 1);
    m.number(2, map_of(maps, p.pcs[i]));
    m.number(3, p.pcs[i]);
    if (known) {
      Message<32> line;
      line.number(1, i + 1);
      m.bytes(4, line.at, line.n);
    }
    add(out, kLocation, m);
    if (known) {
      Message<64> f;
      f.number(1, i + 1);
      f.number(2, first_name + i);
      f.number(3, first_name + i);
      add(out, kFunction, f);
    }
  }
  for (u32 i = 0; i < p.n; ++i) {
    char name[256];
    string(out, os::function_name(p.pcs[i] - 1, name, sizeof name) ? name : "");
  }
}

u64 frames_of(const Met* met, u32 n) {
  u64 frames = 0;
  for (u32 i = 0; i < n; ++i) {
    frames += met[i].frames;
  }
  return frames;
}

void write(Text& out, Kind kind, const Met* met, u32 n, u64* room,
           Range* ranges) {
  u32 counted = kind == Kind::cpu ? kSamples : kContentions;
  value_type(out, kSampleType, counted, kCountUnit);
  value_type(out, kSampleType, kind == Kind::cpu ? kCpu : kDelay, kNs);
  value_type(out, kPeriodType, counted, kCountUnit);
  Message<32> period;
  period.number(kPeriod, 1);
  out.bytes(period.at, period.n);
  for (const char* word : kWords) {
    string(out, word);
  }
  for (u32 i = 0; i < kWhys; ++i) {
    string(out, why_name(static_cast<Why>(i)));
  }
  Places where{room, 0};
  for (u32 i = 0; i < n; ++i) {
    sample(out, met[i], where);
  }
  Maps files{out, nullptr};
  os::each_text(map_file, &files);
  Maps maps{out, ranges};
  os::each_text(map_code, &maps);
  places(out, where, maps, kFirstName + min(files.n, kMaps));
}

void fold(Text& out, const Met& met) {
  bool cpu = met.kind == Kind::cpu;
  for (u32 i = met.frames; i-- > 0;) {
    const char* end = cpu && i == 0 ? "" : ";";
    char name[256];
    if (os::function_name(met.pcs[i] - 1, name, sizeof name)) {
      out.add("%s%s", name, end);
    } else {
      out.add("%#llx%s", static_cast<unsigned long long>(met.pcs[i]), end);
    }
  }
  if (!cpu) {
    out.add("[%s]", why_name(met.why));
  } else if (!met.frames) {
    out.add("[thrum]");
  }
  out.add(" %llu\n", static_cast<unsigned long long>(met.ns));
}

}  // namespace

i64 profile_pprof(Runtime* rt, Kind kind, Text& out) {
  Met* met;
  u32 n;
  if (int err = profile_copy(rt, kind, &met, &n)) {
    return err;
  }
  auto* ranges = static_cast<Range*>(mem::alloc(kMaps * sizeof(Range)));
  auto* room = static_cast<u64*>(mem::alloc((frames_of(met, n) + 1) * 8));
  bool fits = ranges && room;
  if (fits) {
    write(out, kind, met, n, room, ranges);
    out.flush();
  }
  mem::free(ranges);
  mem::free(room);
  mem::free(met);
  return !fits ? i64{kENOMEM} : out.refused() ? i64{kECANCELED} : i64{n};
}

i64 profile_folded(Runtime* rt, Kind kind, Text& out) {
  Met* met;
  u32 n;
  if (int err = profile_copy(rt, kind, &met, &n)) {
    return err;
  }
  for (u32 i = 0; i < n; ++i) {
    fold(out, met[i]);
  }
  out.flush();
  mem::free(met);
  return out.refused() ? i64{kECANCELED} : i64{n};
}

}  // namespace thrum
