// The table of Gs: slot -> G and slot -> generation.
//
// A chunk is 2 MiB of G records at a 2 MiB boundary (so a huge page when the
// chunk is not the first: a million unstarted Gs are 32 page faults), its first
// record a header that leads from any G to its runtime. The generation is in
// G::word: spawn takes what stands there, exit adds one.
//
// A chunk without a live G may give its memory back (table_trim). It reads as
// zeroes then: no handle fits. Its slots begin anew behind the highest generation
// that any of them has had.
//
// thrum_g: runtime tag (8) | slot (26) | generation (30).
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/g.hpp"

namespace thrum {

constexpr size_t kChunkBytes = size_t{2} << 20;
constexpr u32 kChunkGs = kChunkBytes / sizeof(G);  // 32768; record 0: header
constexpr u32 kChunks = (1u << 26) / kChunkGs;
constexpr u32 kRowChunks = 32;

struct ChunkHead {
  Runtime* rt;
  u32 first_slot;
};

struct Table {
  WordLock lock;
  Atomic<char*> chunks[kChunks];  // lock writes, anyone reads
  u32 chunk_count;                // lock
  char* row;                      // lock: chunks reserved and not made yet
  char* row_end;                  // lock
  u32 bump, bump_end;             // lock: slots to be used for the first time
  u32 end;                        // lock: one past the last slot ever made
  G* free;                        // lock: batches given back
  u32 free_count;                 // lock
  u64 dropped[kChunks / 64];      // lock: chunks without memory, a bit each
  u32 floors[kChunks];            // lock; seen: where their generations go on
};

inline Runtime* rt_of(const G* g) {
  return reinterpret_cast<ChunkHead*>(reinterpret_cast<uintptr_t>(g) &
                                      ~(kChunkBytes - 1))
      ->rt;
}

inline u64 handle_of(u32 tag, u32 slot, u64 word) {
  return (u64{tag} << 56) | (u64{slot} << 30) |
         ((word & kGenMask) >> kGenShift);
}

inline u32 handle_tag(u64 h) { return static_cast<u32>(h >> 56); }
inline u32 handle_slot(u64 h) {
  return static_cast<u32>(h >> 30) & ((1u << 26) - 1);
}
inline u64 handle_gen(u64 h) { return h & ((u64{1} << 30) - 1); }

// The G of a slot, or null if the slot was never made.
G* table_g(Table& t, u32 slot);
u32 table_end(Table& t);  // one past the last slot ever made

// Takes a free slot for P (null: from the shared list); null: out of memory.
G* table_take(Runtime* rt, P* p);
void table_put(Runtime* rt, P* p, G* g);
// All that P has in stock, to the shared list.
void table_flush(Runtime* rt, P* p);
// Gives the memory of chunks without a live G back, unless *stop comes first.
void table_trim(Runtime* rt, const Atomic<u32>* stop);
void table_destroy(Table& t);

}  // namespace thrum
