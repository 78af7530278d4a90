// SPDX-License-Identifier: MIT
#include "mem/attic.hpp"

#include <string.h>

#include <new>

#include "mem/heap.hpp"
#include "os/os.hpp"

namespace thrum::mem {

namespace {
constexpr size_t kRow = 64 * Attic::kChunk;

size_t round_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

char* base_of(const void* in_chunk) {
  return reinterpret_cast<char*>(reinterpret_cast<uintptr_t>(in_chunk) &
                                 ~(Attic::kChunk - 1));
}
}  // namespace

struct Attic::Row {
  Row* older;
  char* base;
};

Attic::Chunk* Attic::chunk_take() {
  if (!free_) {
    free_ = given_.exchange(nullptr, acquire);  // pairs with chunk_leave
  }
  if (Chunk* c = free_) {
    free_ = c->next;
    return c;
  }
  if (next_ == end_) {
    auto* row = make<Row>();
    char* at = row ? os::vm_reserve_aligned(kRow, kChunk) : nullptr;
    if (!at) {
      mem::free(row);
      return nullptr;
    }
    *row = Row{rows_, at};
    rows_ = row;
    next_ = at;
    end_ = at + kRow;
  }
  Chunk* c = new (next_) Chunk{};
  next_ += kChunk;
  return c;
}

// One of those who keep it: its blocks and its being open.
void Attic::chunk_leave(Chunk* c) {
  // acq_rel: what its users did with the chunk is done when it goes.
  if (c->live.fetch_sub(1, acq_rel) != 1) {
    return;
  }
  size_t page = os::page_size();
  os::vm_drop(reinterpret_cast<char*>(c) + page, kChunk - page);
  Chunk* first = given_.load(relaxed);
  do {
    c->next = first;
  } while (!given_.compare_exchange_weak(first, c, release, relaxed));
}

bool Attic::open(size_t bytes) {
  if (open_ && open_->used + bytes <= kChunk) {
    return true;
  }
  Chunk* c = chunk_take();
  if (!c) {
    return false;
  }
  if (open_) {
    chunk_leave(open_);
  }
  c->live.store(1, relaxed);
  c->used = sizeof(Chunk);
  c->pattern_count = 0;
  open_ = c;
  return true;
}

// There is room.
void* Attic::cut(size_t bytes) {
  void* at = reinterpret_cast<char*>(open_) + open_->used;
  open_->used += static_cast<u32>(round_up(bytes, 8));
  return at;
}

void* Attic::take(size_t bytes) {
  if (!open(round_up(bytes, 8))) {
    return nullptr;
  }
  open_->live.fetch_add(1, relaxed);
  return cut(bytes);
}

const void* Attic::pattern_find(u64 key) const {
  for (u32 i = 0; i < open_->pattern_count; ++i) {
    if (open_->keys[i] == key) {
      return open_->patterns[i];
    }
  }
  return nullptr;
}

const void* Attic::pattern_add(u64 key, const void* data, size_t bytes) {
  u32 i = open_->pattern_count;
  size_t from = round_up(open_->used, kCacheLine);
  if (i == kPatterns || from + bytes > kChunk) {
    return nullptr;
  }
  open_->used = static_cast<u32>(from);
  open_->keys[i] = key;
  open_->patterns[i] = memcpy(cut(bytes), data, bytes);
  open_->pattern_count = i + 1;
  return open_->patterns[i];
}

u16 Attic::place_of(const void* pattern) {
  static_assert(kChunk / kCacheLine <= UINT16_MAX + 1);
  auto offset = reinterpret_cast<uintptr_t>(pattern) % kChunk;
  return static_cast<u16>(offset / kCacheLine);
}

const void* Attic::pattern_at(const void* block, u16 place) {
  return place ? base_of(block) + place * kCacheLine : nullptr;
}

void Attic::give(void* block) {
  chunk_leave(reinterpret_cast<Chunk*>(base_of(block)));
}

void Attic::release_all() {
  while (Row* row = rows_) {
    rows_ = row->older;
    os::vm_release(row->base, kRow);
    mem::free(row);
  }
}

}  // namespace thrum::mem
