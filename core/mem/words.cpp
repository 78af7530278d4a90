// Four bits per word say what it is; behind them the upper halves that occur more
// than once, then what else is needed of each word, in order.
// SPDX-License-Identifier: MIT
#include "mem/words.hpp"

#include <string.h>

namespace thrum::mem {

namespace {

constexpr u32 kZero = 0;
constexpr u32 kSame = 1;  // as the word before
constexpr u32 kUpper =
    2;  // from here: the upper half with this number; the lower
        // half follows
constexpr u32 kUppers = 11;
constexpr u32 kNear = 13;   // so many bytes below `end`, in two bytes
constexpr u32 kSmall = 14;  // below 256, in one byte
constexpr u32 kFull = 15;   // all of it follows
static_assert(kUpper + kUppers == kNear);

// How often upper halves occur, by a hash: of two that meet the first counts.
struct Census {
  static constexpr u32 kSlots = 64;
  u32 upper[kSlots];
  u8 count[kSlots];
  u8 number[kSlots];  // among those that are listed, + 1

  static u32 slot(u32 upper) { return upper * 0x9e3779b1u >> 26; }
  void see(u32 u) {
    u32 s = slot(u);
    if (!count[s]) {
      upper[s] = u;
    }
    count[s] = static_cast<u8>(count[s] + (upper[s] == u && count[s] < 2));
  }
  bool often(u32 u) const { return upper[slot(u)] == u && count[slot(u)] == 2; }
};

u32 class_of(u64 v, u64 before, u64 end) {
  return v == 0              ? kZero
         : v == before       ? kSame
         : v < 256           ? kSmall
         : end - v <= 0xffff ? kNear
                             : kFull;
}

}  // namespace

size_t pack_words(const u64* words, u32 n, u64 end, u8* out) {
  Census c{};
  u64 before = 0;
  for (u32 i = 0; i < n; ++i) {
    if (class_of(words[i], before, end) == kFull) {
      c.see(static_cast<u32>(words[i] >> 32));
    }
    before = words[i];
  }
  u8* codes = out;
  size_t code_bytes = (n + 1) / 2;
  memset(codes, 0, code_bytes);
  // How many uppers will be listed is not known yet: there is room for all.
  u32 uppers[kUppers];
  u32 known = 0;
  u8* const list = codes + code_bytes;
  u8* const rest = list + 1 + sizeof uppers;
  u8* to = rest;
  before = 0;
  for (u32 i = 0; i < n; ++i) {
    u64 v = words[i];
    u32 code = class_of(v, before, end);
    before = v;
    size_t bytes = code == kFull ? 8 : code == kNear ? 2 : code == kSmall;
    u64 follows = code == kNear ? end - v : v;
    u32 upper = static_cast<u32>(v >> 32);
    if (code == kFull && c.often(upper)) {
      u8& number = c.number[Census::slot(upper)];
      if (!number && known < kUppers) {
        uppers[known++] = upper;
        number = static_cast<u8>(known);
      }
      if (number) {
        code = kUpper + number - 1u;
        bytes = 4;  // the lower half: little-endian
      }
    }
    codes[i / 2] |= static_cast<u8>(code << i % 2 * 4);
    memcpy(to, &follows, sizeof follows);  // there is room for 8 at the end
    to += bytes;
  }
  *list = static_cast<u8>(known);
  memcpy(list + 1, uppers, known * sizeof(u32));
  memmove(list + 1 + known * sizeof(u32), rest, static_cast<size_t>(to - rest));
  return code_bytes + 1 + known * sizeof(u32) + static_cast<size_t>(to - rest);
}

size_t unpack_words(const u8* in, u64* words, u32 n, u64 end) {
  const u8* codes = in;
  const u8* list = codes + (n + 1) / 2;
  u32 uppers[kUppers];
  memcpy(uppers, list + 1, *list * sizeof(u32));
  const u8* from = list + 1 + *list * sizeof(u32);
  u64 before = 0;
  for (u32 i = 0; i < n; ++i) {
    u32 code = codes[i / 2] >> i % 2 * 4 & 15;
    u64 v = 0;
    u32 lower;
    u16 distance;
    switch (code) {
      case kZero:
        break;
      case kSame:
        v = before;
        break;
      case kFull:
        memcpy(&v, from, sizeof v);
        from += sizeof v;
        break;
      case kNear:
        memcpy(&distance, from, sizeof distance);
        v = end - distance;
        from += sizeof distance;
        break;
      case kSmall:
        v = *from++;
        break;
      default:
        memcpy(&lower, from, sizeof lower);
        v = u64{uppers[code - kUpper]} << 32 | lower;
        from += sizeof lower;
    }
    words[i] = before = v;
  }
  return static_cast<size_t>(from - in);
}

}  // namespace thrum::mem
