// Four bits per word say what it is; behind them the upper halves that occur, then
// what else is needed of each word, in order.
// SPDX-License-Identifier: MIT
#include "mem/words.hpp"

#include <string.h>

namespace thrum::mem {

namespace {
// From 2 on: the upper half is the one with this number, the lower half follows.
constexpr u32 kZero = 0;
constexpr u32 kSame = 1;  // as the word before
constexpr u32 kHalf = 2;
constexpr u32 kFull = 15;  // all of it follows
constexpr u32 kUppers = kFull - kHalf;
}  // namespace

size_t pack_words(const u64* words, u32 n, u8* out) {
  u32 uppers[kUppers];
  u32 known = 0;
  u8* codes = out;
  size_t code_bytes = (n + 1) / 2;
  memset(codes, 0, code_bytes);
  // The uppers are not known yet: what follows goes behind room for all.
  u8* const list = codes + code_bytes;
  u8* const rest = list + 1 + sizeof uppers;
  u8* to = rest;
  u64 before = 0;
  for (u32 i = 0; i < n; ++i) {
    u64 v = words[i];
    if (v == 0) {
      before = 0;
      continue;
    }
    u32 code = kFull;
    size_t bytes = sizeof v;
    if (v == before) {
      code = kSame;
      bytes = 0;
    } else {
      u32 upper = static_cast<u32>(v >> 32);
      u32 k = 0;
      while (k < known && uppers[k] != upper) {
        ++k;
      }
      if (k < kUppers) {
        known = max(known, k + 1);
        uppers[k] = upper;
        code = kHalf + k;
        bytes = sizeof upper;  // the lower half: little-endian
      }
    }
    codes[i / 2] |= static_cast<u8>(code << i % 2 * 4);
    memcpy(to, &v, bytes);
    to += bytes;
    before = v;
  }
  *list = static_cast<u8>(known);
  memcpy(list + 1, uppers, known * sizeof(u32));
  memmove(list + 1 + known * sizeof(u32), rest, static_cast<size_t>(to - rest));
  return code_bytes + 1 + known * sizeof(u32) + static_cast<size_t>(to - rest);
}

size_t unpack_words(const u8* in, u64* words, u32 n) {
  const u8* codes = in;
  const u8* list = codes + (n + 1) / 2;
  u32 uppers[kUppers];
  memcpy(uppers, list + 1, *list * sizeof(u32));
  const u8* from = list + 1 + *list * sizeof(u32);
  u64 before = 0;
  for (u32 i = 0; i < n; ++i) {
    u32 code = codes[i / 2] >> i % 2 * 4 & 15;
    u64 v = 0;
    if (code == kSame) {
      v = before;
    } else if (code == kFull) {
      memcpy(&v, from, sizeof v);
      from += sizeof v;
    } else if (code != kZero) {
      u32 lower;
      memcpy(&lower, from, sizeof lower);
      from += sizeof lower;
      v = u64{uppers[code - kHalf]} << 32 | lower;
    }
    words[i] = before = v;
  }
  return static_cast<size_t>(from - in);
}

}  // namespace thrum::mem
