// SPDX-License-Identifier: MIT
#include "sched/table.hpp"

#include "base/list.hpp"
#include "mem/heap.hpp"
#include "os/os.hpp"
#include "sched/runtime.hpp"

namespace thrum {

namespace {

constexpr u32 kNoSlot = UINT32_MAX;

void chunk_open(Runtime* rt, char* records, u32 index) {
  auto* head = reinterpret_cast<ChunkHead*>(records);
  head->rt = rt;
  head->first_slot = index * kChunkGs;
}

// Later chunks come in rows, side by side: one mapping to the kernel. Short ones
// where address space is.
bool chunk_make(Runtime* rt, u32 index) {
  Table& t = rt->table;
  if (t.row == t.row_end) {
    u32 n = index ? kRowChunks : 1;
    do {
      t.row = os::vm_reserve_aligned(n * kChunkBytes, kChunkBytes);
    } while (!t.row && (n /= 2));
    if (!t.row) {
      t.row_end = nullptr;
      return false;
    }
    t.row_end = t.row + n * kChunkBytes;
    // A runtime with few Gs stays small; one that needs a second chunk has many.
    os::vm_huge(t.row, n * kChunkBytes, index > 0);
  }
  char* records = t.row;
  t.row += kChunkBytes;
  chunk_open(rt, records, index);
  t.chunks[index].store(records, release);  // pairs with table_g
  return true;
}

// A chunk whose slots are all to be used for the first time, or again;
// kNoSlot: there is none.
u32 chunk_next(Runtime* rt) {
  Table& t = rt->table;
  for (u32 w = 0; w < kChunks / 64; ++w) {
    if (t.dropped[w]) {
      u32 index = w * 64 + static_cast<u32>(__builtin_ctzll(t.dropped[w]));
      t.dropped[w] &= t.dropped[w] - 1;
      chunk_open(rt, t.chunks[index].load(relaxed), index);
      return index;
    }
  }
  bool made = t.chunk_count < kChunks && chunk_make(rt, t.chunk_count);
  return made ? t.chunk_count++ : kNoSlot;
}

// Under t.lock: the first of n fresh slots in one chunk.
u32 bump_slots(Runtime* rt, u32& n) {
  Table& t = rt->table;
  if (t.bump == t.bump_end) {
    u32 index = chunk_next(rt);
    if (index == kNoSlot) {
      return kNoSlot;
    }
    t.bump = index * kChunkGs + 1;  // record 0 is the header
    t.bump_end = (index + 1) * kChunkGs;
  }
  n = min(n, t.bump_end - t.bump);
  u32 first = t.bump;
  t.bump += n;
  t.end = max(t.end, t.bump);
  return first;
}

G* first_use(Table& t, u32 slot) {
  G* g = table_g(t, slot);
  g->slot = slot;
  if (u64 gen = t.floors[slot / kChunkGs]) {
    g->word.store(gen << kGenShift, relaxed);
  }
  return g;
}

// To the shared list; last->next is free.
void put_list(Table& t, G* first, G* last, u32 n) {
  Locked held(t.lock);
  last->next = t.free;
  t.free = first;
  t.free_count += n;
}

}  // namespace

G* table_g(Table& t, u32 slot) {
  u32 at = slot % kChunkGs;
  char* records = t.chunks[slot / kChunkGs].load(acquire);
  return records && at ? reinterpret_cast<G*>(records) + at : nullptr;
}

u32 table_end(Table& t) {
  Locked held(t.lock);
  return t.end;
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
    put_list(t, first, last, 2 * kSlotBatch);
    return;
  }
  put_list(t, g, g, 1);
}

void table_flush(Runtime* rt, P* p) {
  while (p->bump != p->bump_end) {
    table_put(rt, nullptr, first_use(rt->table, p->bump++));
  }
  while (G* g = p->free_g) {
    p->free_g = g->next;
    table_put(rt, nullptr, g);
  }
  p->free_g_count = 0;
}

// What there is of the shared list, chunk by chunk.
struct TableCensus {
  u32 free[kChunks];
  u32 floor[kChunks];  // the highest generation
};

void table_trim(Runtime* rt, const Atomic<u32>* stop) {
  Table& t = rt->table;
  auto* c = mem::make<TableCensus>();
  G* list = nullptr;
  if (c) {
    Locked held(t.lock);
    list = t.free;
    t.free = nullptr;
    t.free_count = 0;
  }
  // The list is ours meanwhile; who wants a slot takes one that is new.
  u32 n = 0;
  bool stopped = false;
  for (G* g = list; g && !stopped; g = g->next) {
    u32 at = g->slot / kChunkGs;
    c->free[at]++;
    c->floor[at] =
        max(c->floor[at], static_cast<u32>(g->word.load(relaxed) >> kGenShift));
    stopped = stop && ++n % 1024 == 0 && stop->load(relaxed);
  }
  auto whole = [&](u32 at) { return !stopped && c->free[at] == kChunkGs - 1; };
  Fifo<G> rest;
  while (G* g = list) {
    list = g->next;
    if (!whole(g->slot / kChunkGs)) {
      rest.push(g);
    }
  }
  if (rest.count) {
    put_list(t, rest.head, rest.tail, rest.count);
  }
  for (u32 at = 0; c && at < kChunks; ++at) {
    if (whole(at)) {
      // First: who looks up a handle meanwhile finds one or the other.
      show(t.floors[at], c->floor[at]);
      os::vm_drop(t.chunks[at].load(relaxed), kChunkBytes);
      Locked held(t.lock);
      t.dropped[at / 64] |= u64{1} << at % 64;
    }
  }
  mem::free(c);
}

void table_destroy(Table& t) {
  if (t.row != t.row_end) {
    os::vm_release(t.row, static_cast<size_t>(t.row_end - t.row));
  }
  for (u32 i = 0; i < t.chunk_count; ++i) {
    os::vm_release(t.chunks[i].load(relaxed), kChunkBytes);
  }
}

}  // namespace thrum
