#include <vector>

#include "../unit.hpp"
#include "mem/attic.hpp"

using namespace unit;
using mem::Attic;

TEST_CASE(
    "attic: blocks of any size keep what they hold; all chunks come back") {
  Attic attic;
  struct Block {
    unsigned char* at;
    u32 bytes;
    unsigned char mark;
  };
  std::vector<Block> blocks;
  Choice c{11};
  u32 bad = 0;
  for (u32 round = 0; round < 3; ++round) {
    for (u32 i = 0; i < 20'000; ++i) {
      u32 bytes = 1 + c.below(700);
      auto* at = static_cast<unsigned char*>(attic.take(bytes));
      REQUIRE(at);
      bad += reinterpret_cast<uintptr_t>(at) % 8 != 0;
      blocks.push_back({at, bytes, static_cast<unsigned char>(i)});
      memset(at, blocks.back().mark, bytes);
      if (c.below(3) == 0) {  // in any order
        u32 k = c.below(static_cast<u32>(blocks.size()));
        Block b = blocks[k];
        bad += b.at[0] != b.mark || b.at[b.bytes - 1] != b.mark;
        blocks[k] = blocks.back();
        blocks.pop_back();
        attic.give(b.at);
      }
    }
    for (const Block& b : blocks) {
      bad += b.at[0] != b.mark || b.at[b.bytes - 1] != b.mark;
      attic.give(b.at);
    }
    blocks.clear();
  }
  CHECK(bad == 0);
  attic.release_all();
}

TEST_CASE("attic: what is given back costs nothing") {
#if defined(THRUM_ASAN) || defined(THRUM_TSAN)
  UNIT_SKIP("the shadow of the sanitizers makes pages");
#endif
  Attic attic;
  std::vector<void*> blocks;
  u64 before, full, after, tables;
  os::memory_of_process(&before, &tables);
  for (u32 i = 0; i < 100'000; ++i) {
    blocks.push_back(memset(attic.take(400), 1, 400));
  }
  os::memory_of_process(&full, &tables);
  CHECK(full > before + (30u << 20));
  for (void* b : blocks) {
    attic.give(b);
  }
  os::memory_of_process(&after, &tables);
  CHECK(after < before + (8u << 20));
  attic.release_all();
}

TEST_CASE("attic: patterns are each chunk's own") {
  Attic attic;
  std::vector<void*> blocks;
  const void* last = nullptr;
  u32 made = 0;
  for (u32 i = 0; i < 3 * (Attic::kChunk >> 10); ++i) {
    REQUIRE(attic.open(1024 + 8));
    const void* found = attic.pattern_find(7);
    if (!found) {
      found = attic.pattern_add(7, &i, sizeof i);
      CHECK(found != last);
      ++made;
    }
    CHECK(attic.pattern_find(8) == nullptr);
    last = found;
    blocks.push_back(attic.take(1024));
    CHECK(Attic::pattern_at(blocks.back(), Attic::place_of(found)) == found);
  }
  CHECK(Attic::pattern_at(last, Attic::place_of(nullptr)) == nullptr);
  CHECK(made >= 3);
  CHECK(made <= 5);
  u32 room = 0;
  for (u64 key = 100; attic.pattern_add(key, &key, sizeof key); ++key) {
    u64 kept;
    memcpy(&kept, attic.pattern_find(key), sizeof kept);
    CHECK(kept == key);
    ++room;
  }
  CHECK(room == 7);  // and the one that was there
  for (void* b : blocks) {
    attic.give(b);
  }
  attic.release_all();
}

TEST_CASE("attic: given back by many threads at once") {
  Attic attic;
  for (u32 round = 0; round < rounds(20); ++round) {
    std::vector<void*> blocks;
    for (u32 i = 0; i < 30'000; ++i) {
      void* p = attic.take(256);
      REQUIRE(p);
      blocks.push_back(p);
    }
    Atomic<u32> next{0};
    auto giver = [&] {
      for (u32 i; (i = next.fetch_add(1)) < blocks.size();) {
        attic.give(blocks[i]);
      }
    };
    Thread a(giver), b(giver), c(giver);
  }
  attic.release_all();
}
