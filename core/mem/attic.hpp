// Where packed stacks lie (sched/hibernate.cpp): many small blocks that stay for
// long and then go all together. A general allocator would round each up, and keep
// what is free. And they are much like each other: what many have in common a chunk
// keeps once (a pattern), for as long as blocks of its own lie there.
//
// Blocks are cut from chunks of 2 MiB; a chunk whose last block goes gives its
// memory back at once. Chunks lie side by side in rows: one mapping to the kernel.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/atomic.hpp"
#include "base/defs.hpp"

namespace thrum::mem {

class Attic {
 public:
  static constexpr size_t kChunk = size_t{2} << 20;

  // One caller at a time:
  // What is taken next, up to so many bytes, comes from one chunk. false: no memory.
  bool open(size_t bytes);
  // The open chunk's pattern with that key; null: it has none.
  const void* pattern_find(u64 key) const;
  // A copy of `data` becomes one; null: it has as many as it may, or no room.
  const void* pattern_add(u64 key, const void* data, size_t bytes);
  // A pattern in few bits, and what they mean beside a block of its chunk. Null is 0.
  static u16 place_of(const void* pattern);
  static const void* pattern_at(const void* block, u16 place);
  // 8-byte aligned; null: no memory.
  void* take(size_t bytes);

  // Any thread, also in a signal handler.
  void give(void* block);
  void release_all();  // no block may be in use

 private:
  static constexpr u32 kPatterns = 8;  // of a chunk

  struct Row;
  struct Chunk {
    Chunk* next;                // the list that holds it
    Atomic<u32> live;           // atomic: blocks, and 1 while it is open
    u32 used;                   // taker: bytes
    u32 pattern_count;          // taker
    u64 keys[kPatterns];        // taker
    void* patterns[kPatterns];  // taker
  };

  Chunk* chunk_take();
  void chunk_leave(Chunk* c);
  void* cut(size_t bytes);

  Chunk* open_ = nullptr;  // taker: where the next block comes from
  Chunk* free_ = nullptr;  // taker
  Atomic<Chunk*> given_ =
      nullptr;            // atomic: pushed by anyone, all taken by taker
  Row* rows_ = nullptr;   // taker
  char* next_ = nullptr;  // taker: chunks of the newest row
  char* end_ = nullptr;   // taker
};

}  // namespace thrum::mem
