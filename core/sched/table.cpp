// SPDX-License-Identifier: MIT
#include "sched/table.hpp"

#include "os/os.hpp"
#include "sched/runtime.hpp"

namespace thrum {

namespace {

constexpr u32 kNoSlot = UINT32_MAX;

bool chunk_make(Runtime* rt, u32 index) {
  Table& t = rt->table;
  char* raw = static_cast<char*>(os::vm_reserve(2 * kChunkBytes));
  if (!raw) {
    return false;
  }
  uintptr_t at = reinterpret_cast<uintptr_t>(raw);
  uintptr_t aligned = (at + kChunkBytes - 1) & ~(kChunkBytes - 1);
  if (aligned > at) {
    os::vm_release(raw, aligned - at);
  }
  char* end = raw + 2 * kChunkBytes;
  char* records = reinterpret_cast<char*>(aligned);
  if (end > records + kChunkBytes) {
    os::vm_release(records + kChunkBytes,
                   static_cast<size_t>(end - (records + kChunkBytes)));
  }
  // A runtime with few Gs stays small; one that needs a second chunk has many.
  os::vm_huge(records, kChunkBytes, index > 0);
  auto* head = reinterpret_cast<ChunkHead*>(records);
  head->rt = rt;
  head->first_slot = index * kChunkGs;
  t.chunks[index].store(records, release);  // pairs with table_g
  return true;
}

// Under t.lock: the first of n fresh slots in one chunk.
u32 bump_slots(Runtime* rt, u32& n) {
  Table& t = rt->table;
  if (t.bump == t.chunk_count * kChunkGs) {
    if (t.chunk_count == kChunks || !chunk_make(rt, t.chunk_count)) {
      return kNoSlot;
    }
    ++t.chunk_count;
    ++t.bump;  // record 0 is the header
  }
  n = min(n, t.chunk_count * kChunkGs - t.bump);
  u32 first = t.bump;
  t.bump += n;
  return first;
}

G* first_use(Table& t, u32 slot) {
  G* g = table_g(t, slot);
  g->slot = slot;
  return g;
}

}  // namespace

G* table_g(Table& t, u32 slot) {
  u32 at = slot % kChunkGs;
  char* records = t.chunks[slot / kChunkGs].load(acquire);
  return records && at ? reinterpret_cast<G*>(records) + at : nullptr;
}

u32 table_end(Table& t) {
  Locked held(t.lock);
  return t.bump;
}

G* table_take(Runtime* rt, P* p) {
  Table& t = rt->table;
  if (THRUM_LIKELY(p && p->free_g)) {
    G* g = p->free_g;
    p->free_g = g->next;
    --p->free_g_count;
    return g;
  }
  if (p && p->bump != p->bump_end) {
    return first_use(t, p->bump++);
  }
  Locked held(t.lock);
  if (t.free) {
    G* g = t.free;
    t.free = g->next;
    --t.free_count;
    for (u32 i = 1; p && i < kSlotBatch && t.free; ++i) {
      G* more = t.free;
      t.free = more->next;
      --t.free_count;
      more->next = p->free_g;
      p->free_g = more;
      ++p->free_g_count;
    }
    return g;
  }
  u32 n = p ? kSlotBatch : 1;
  u32 slot = bump_slots(rt, n);
  if (slot == kNoSlot) {
    return nullptr;
  }
  if (p) {
    p->bump = slot + 1;
    p->bump_end = slot + n;
  }
  return first_use(t, slot);
}

void table_put(Runtime* rt, P* p, G* g) {
  Table& t = rt->table;
  if (THRUM_LIKELY(p != nullptr)) {
    g->next = p->free_g;
    p->free_g = g;
    if (THRUM_LIKELY(++p->free_g_count < 4 * kSlotBatch)) {
      return;
    }
    // Keep half: the next spawns find warm records.
    G* first = p->free_g;
    G* last = first;
    for (u32 i = 1; i < 2 * kSlotBatch; ++i) {
      last = last->next;
    }
    p->free_g = last->next;
    p->free_g_count -= 2 * kSlotBatch;
    Locked held(t.lock);
    last->next = t.free;
    t.free = first;
    t.free_count += 2 * kSlotBatch;
    return;
  }
  Locked held(t.lock);
  g->next = t.free;
  t.free = g;
  ++t.free_count;
}

void table_destroy(Table& t) {
  for (u32 i = 0; i < t.chunk_count; ++i) {
    os::vm_release(t.chunks[i].load(relaxed), kChunkBytes);
  }
}

}  // namespace thrum
