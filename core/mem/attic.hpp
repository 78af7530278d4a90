// Where packed stacks lie (sched/hibernate.cpp): many small blocks that stay for
// long and then go all together. A general allocator would round each up, and keep
// what is free.
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
  // 8-byte aligned; null: no memory. One caller at a time.
  void* take(size_t bytes);
  // Any thread, also in a signal handler.
  void give(void* block);
  void release_all();  // no block may be in use

 private:
  struct Row;
  struct Chunk {
    Chunk* next;       // the list that holds it
    Atomic<u32> live;  // atomic: blocks, and 1 while it is open
    u32 used;          // taker: bytes
  };

  Chunk* chunk_of(void* block) const;
  Chunk* chunk_take();
  void chunk_leave(Chunk* c);

  Chunk* open_ = nullptr;  // taker: where the next block comes from
  Chunk* free_ = nullptr;  // taker
  Atomic<Chunk*> given_ =
      nullptr;            // atomic: pushed by anyone, all taken by taker
  Row* rows_ = nullptr;   // taker
  char* next_ = nullptr;  // taker: chunks of the newest row
  char* end_ = nullptr;   // taker
};

}  // namespace thrum::mem
