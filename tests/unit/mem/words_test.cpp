#include "../unit.hpp"
#include "mem/words.hpp"

using namespace unit;
using namespace thrum::mem;

namespace {

constexpr u32 kMost = kMostWords;
constexpr u64 kEnd = 0x7fff'1234'5678;

// Packs, unpacks, compares; returns how many bytes it took.
size_t there_and_back(const u64* words, u32 n, const Pattern& like = {}) {
  static u8 packed[packed_most(kMost) + 16];
  memset(packed, 0xee, sizeof packed);
  size_t bytes = pack_words(words, n, kEnd, like, packed);
  CHECK(bytes <= packed_most(n));
  CHECK(packed[packed_most(n)] == 0xee);
  u64 back[kMost];
  memset(back, 0x55, sizeof back);
  CHECK(unpack_words(packed, back, n, kEnd, like) == bytes);
  CHECK(memcmp(back, words, n * sizeof(u64)) == 0);
  return bytes;
}

}  // namespace

TEST_CASE("words: of every kind and number, there and back") {
  Choice c{42};
  u64 words[kMost];
  u64 others[kMost] = {};
  for (u32 round = 0; round < 3000; ++round) {
    u32 n = c.below(round < 20 ? round + 1 : kMost + 1);
    u32 kinds = 1 + c.below(6);
    for (u32 i = 0; i < n; ++i) {
      u64 any = u64{c.below(UINT32_MAX)} << 32 | c.below(UINT32_MAX);
      switch (c.below(kinds)) {
        case 5:  // itself: below the end, at it, above, far
          words[i] = kEnd + 100 - c.below(66'000);
          break;
        case 0:
          words[i] = 0;
          break;
        case 1:
          words[i] = i ? words[i - 1] : 7;
          break;
        case 2:
          words[i] = 0x7fff00000000 + c.below(UINT32_MAX);
          break;
        case 3:  // many regions
          words[i] = u64{c.below(40)} << 32 | c.below(9);
          break;
        default:
          words[i] = any;
      }
    }
    (void)there_and_back(words, n);
    (void)there_and_back(words, n, Pattern{others, kEnd + c.below(100'000)});
    memcpy(others, words, sizeof words);
    if (n) {
      others[c.below(n)] = c.below(UINT32_MAX);
    }
  }
}

TEST_CASE("words: what a stack has takes little") {
  u64 words[100] = {};
  CHECK(there_and_back(words, 100) == 13 + 1);  // zeroes: a bit each
  for (u64& w : words) {
    w = 0x0101010101010101;
  }
  CHECK(there_and_back(words, 100) <= 64 + 8);
  for (u32 i = 0; i < 100; ++i) {
    words[i] = 0x00007fff00000000 + i;
  }
  CHECK(there_and_back(words, 100) == 64 + 4 + 400);
  for (u32 i = 0; i < 100; ++i) {
    words[i] = i % 2 ? kEnd - 300 * i : 1 + i;
  }
  CHECK(there_and_back(words, 100) == 64 + 50 * (2 + 1));
  // Words that have nothing in common do not keep others from being short.
  for (u32 i = 0; i < 100; ++i) {
    words[i] = i < 50 ? 0x9e3779b97f4a7c15 * (i + 1) : 0x00007fff00000000 + i;
  }
  CHECK(there_and_back(words, 100) <= 64 + 4 + 50 * 8 + 50 * 4 + 8);
}

TEST_CASE("words: what is like the pattern takes a bit") {
  u64 words[100];
  u64 others[100];
  constexpr u64 kOther = kEnd + 1'000'000;
  for (u32 i = 0; i < 100; ++i) {
    words[i] = 0x9e3779b97f4a7c15 * (i + 1);
    others[i] = words[i];
  }
  words[7] = kEnd - 50;  // the same place in each
  others[7] = kOther - 50;
  CHECK(there_and_back(words, 100, Pattern{others, kOther}) == 13 + 1);
  words[50] = 1;
  words[60] = 0;
  others[70] = kOther - 9;
  CHECK(there_and_back(words, 100, Pattern{others, kOther}) ==
        13 + 2 + 1 + 1 + 8);
}
