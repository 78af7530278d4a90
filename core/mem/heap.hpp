// The allocator: the only door to mimalloc. Never throws, never parks, leaves
// errno alone.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/count.hpp"

namespace thrum::mem {

// What was taken and given back. Bytes are those of the whole blocks (usable), so
// that a free counts what the allocation did, without a word in front of each.
struct Tally {
  Atomic<u64> allocs, alloc_bytes;  // owner writes; observers read
  Atomic<u64> frees, free_bytes;    // likewise
  Atomic<u64> cross_frees;          // likewise: of other heaps' blocks, sampled

  // Adds what `from` has counted since `seen`, which then is the same.
  void add(const Tally& from, Tally& seen) {
    one(allocs, from.allocs, seen.allocs);
    one(alloc_bytes, from.alloc_bytes, seen.alloc_bytes);
    one(frees, from.frees, seen.frees);
    one(free_bytes, from.free_bytes, seen.free_bytes);
    one(cross_frees, from.cross_frees, seen.cross_frees);
  }

 private:
  static void one(Atomic<u64>& to, const Atomic<u64>& now, Atomic<u64>& old) {
    u64 n = now.load(relaxed);
    bump(to, n - old.load(relaxed));
    old.store(n, relaxed);
  }
};

// What serves an M, and so the P that it holds; see heap.cpp.
struct Heap {
  static constexpr size_t kClasses = 64;  // of 16 bytes: up to 1 KiB

  void* own;                // owner: mimalloc's
  int* error;               // owner: its thread's errno
  bool classed;             // owner: usable depends on the class alone
  Tally tally;              // owner
  u16 whole[kClasses + 1];  // owner: usable by class; 0: not seen yet
};
// For a thread that begins as an M; zeroed before the first time.
void heap_begin(Heap& h);
void heap_end(Heap& h);  // blocks of it live on

// All may be called by any thread; heap null: whatever serves the calling one, and
// nothing is counted.
void* alloc(size_t size,
            Heap* h = nullptr);  // 16-byte aligned; null: no memory
void* zalloc(size_t count, size_t size,
             Heap* h = nullptr);  // zeroed; null also on overflow
void* alloc_aligned(size_t size, size_t align, Heap* h = nullptr);  // zeroed
// Counts as a free and an allocation, whether the block moves or not.
void* realloc(void* p, size_t size, Heap* h = nullptr);
void free(void* p, Heap* h = nullptr);

size_t usable(const void* p);  // null: 0

// Takes in what others have freed, and gives the system what is not in use. For a
// thread that will sleep for long.
void collect();

template <class T>
T* make() {  // zeroed storage of a T that is valid when all zero
  return static_cast<T*>(zalloc(1, sizeof(T)));
}

}  // namespace thrum::mem
