// A heap for a group of Gs: blocks that are freed one by one or all at once.
//
// Each block is linked to its heap by the 16 bytes in front of it. (A heap of
// mimalloc's own may be shared between threads only from 3.2 on, so this is
// needed anyway; and it is the same with every version and the sanitizers.) The
// lists are sharded by address: 64 KiB of addresses are one page of mimalloc's,
// which one thread allocates from, so two threads rarely meet in a shard.
// SPDX-License-Identifier: MIT
#pragma once
#include "mem/heap.hpp"
#include "os/lock.hpp"

namespace thrum::mem {

class GroupHeap {
 public:
  static GroupHeap* make();  // null: no memory
  // Frees all its blocks and itself. No call on it may be under way.
  static void destroy(GroupHeap* heap);

  void* alloc(size_t size, Heap* h);
  void* zalloc(size_t count, size_t size, Heap* h);
  void* realloc(void* p, size_t size, Heap* h);
  void free(void* p);

 private:
  struct Link {
    Link* next;  // shard's lock
    Link* prev;  // shard's lock
  };
  struct alignas(kCacheLine) Shard {
    WordLock lock;
    Link all;  // lock
  };
  static constexpr u32 kShards = 8;

  Shard& shard_of(const Link* l) {
    return shards_[(reinterpret_cast<uintptr_t>(l) >> 16) % kShards];
  }
  void* link(void* block);
  Link* unlink(void* p);

  Shard shards_[kShards];
};

}  // namespace thrum::mem
