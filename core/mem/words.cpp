// A bit per word says whether it is what was expected. Of the others, the odd ones,
// four bits say what each is; behind them the upper halves that occur more than
// once, then what else is needed of each, in order.
// SPDX-License-Identifier: MIT
#include "mem/words.hpp"

#include <string.h>

namespace thrum::mem {

namespace {

constexpr u32 kZero = 0;
constexpr u32 kSame = 1;  // as the odd one before
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

bool near(u64 v, u64 end) { return end - v <= 0xffff; }

u32 class_of(u64 v, u64 before, u64 end) {
  return v == 0         ? kZero
         : v == before  ? kSame
         : v < 256      ? kSmall
         : near(v, end) ? kNear
                        : kFull;
}

// With no pattern all are expected to be zero.
u64 expected(const Pattern& like, u32 i, u64 end) {
  if (!like.words) {
    return 0;
  }
  u64 v = like.words[i];
  return near(v, like.end) ? end - (like.end - v) : v;
}

// Writes the bits; returns how many are set.
u32 mark_odd(const u64* words, u32 n, u64 end, const Pattern& like, u8* bits) {
  memset(bits, 0, (n + 7) / 8);
  u32 odd = 0;
  for (u32 i = 0; i < n; ++i) {
    bool differs = words[i] != expected(like, i, end);
    bits[i / 8] |= static_cast<u8>(differs << i % 8);
    odd += differs;
  }
  return odd;
}

// fn(word) for those whose bit is set, in order.
template <class Fn>
void each_odd(const u64* words, u32 n, const u8* bits, Fn fn) {
  for (u32 i = 0; i < n; i += 8) {
    for (u32 rest = bits[i / 8]; rest; rest &= rest - 1) {
      fn(words[i + static_cast<u32>(__builtin_ctz(rest))]);
    }
  }
}

size_t pack_odd(const u64* words, u32 n, u64 end, const u8* bits, u32 odd,
                u8* codes) {
  Census c{};
  u64 before = 0;
  each_odd(words, n, bits, [&](u64 v) {
    if (class_of(v, before, end) == kFull) {
      c.see(static_cast<u32>(v >> 32));
    }
    before = v;
  });
  size_t code_bytes = (odd + 1) / 2;
  memset(codes, 0, code_bytes);
  // How many uppers will be listed is not known yet: there is room for all.
  u32 uppers[kUppers];
  u32 known = 0;
  u8* const list = codes + code_bytes;
  u8* const rest = list + 1 + sizeof uppers;
  u8* to = rest;
  before = 0;
  u32 i = 0;
  each_odd(words, n, bits, [&](u64 v) {
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
    ++i;
  });
  *list = static_cast<u8>(known);
  memcpy(list + 1, uppers, known * sizeof(u32));
  memmove(list + 1 + known * sizeof(u32), rest, static_cast<size_t>(to - rest));
  return code_bytes + 1 + known * sizeof(u32) + static_cast<size_t>(to - rest);
}

// Reads them one by one.
struct OddReader {
  const u8* codes;
  u32 uppers[kUppers];
  const u8* from;
  u64 end;
  u64 before = 0;
  u32 i = 0;

  OddReader(const u8* in, u32 n, u64 end_) : codes(in), end(end_) {
    const u8* list = codes + (n + 1) / 2;
    memcpy(uppers, list + 1, *list * sizeof(u32));
    from = list + 1 + *list * sizeof(u32);
  }

  u64 next() {
    u32 code = codes[i / 2] >> i % 2 * 4 & 15;
    ++i;
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
    return before = v;
  }
};

u32 count_bits(const u8* bits, u32 n) {
  u32 count = 0;
  for (u32 i = 0; i < (n + 7) / 8; ++i) {
    count += static_cast<u32>(__builtin_popcount(bits[i]));
  }
  return count;
}

}  // namespace

size_t pack_words(const u64* words, u32 n, u64 end, const Pattern& like,
                  u8* out) {
  u8* behind = out + (n + 7) / 8;
  u32 odd = mark_odd(words, n, end, like, out);
  return static_cast<size_t>(behind - out) +
         pack_odd(words, n, end, out, odd, behind);
}

size_t unpack_words(const u8* in, u64* words, u32 n, u64 end,
                    const Pattern& like) {
  OddReader odd(in + (n + 7) / 8, count_bits(in, n), end);
  for (u32 i = 0; i < n; ++i) {
    bool differs = in[i / 8] >> i % 8 & 1;
    words[i] = differs ? odd.next() : expected(like, i, end);
  }
  return static_cast<size_t>(odd.from - in);
}

}  // namespace thrum::mem
