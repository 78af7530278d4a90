// SPDX-License-Identifier: MIT
#include "mem/attic.hpp"

#include <new>

#include "mem/heap.hpp"
#include "os/os.hpp"

namespace thrum::mem {

namespace {
constexpr size_t kChunk = size_t{2} << 20;
constexpr size_t kRow = 64 * kChunk;
}  // namespace

struct Attic::Row {
  Row* older;
  char* base;
};

Attic::Chunk* Attic::chunk_of(void* block) const {
  return reinterpret_cast<Chunk*>(reinterpret_cast<uintptr_t>(block) &
                                  ~(kChunk - 1));
}

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

void* Attic::take(size_t bytes) {
  bytes = (bytes + 7) / 8 * 8;
  if (!open_ || open_->used + bytes > kChunk) {
    Chunk* c = chunk_take();
    if (!c) {
      return nullptr;
    }
    if (open_) {
      chunk_leave(open_);
    }
    c->live.store(1, relaxed);
    c->used = sizeof(Chunk);
    open_ = c;
  }
  void* block = reinterpret_cast<char*>(open_) + open_->used;
  open_->used += static_cast<u32>(bytes);
  open_->live.fetch_add(1, relaxed);
  return block;
}

void Attic::give(void* block) { chunk_leave(chunk_of(block)); }

void Attic::release_all() {
  while (Row* row = rows_) {
    rows_ = row->older;
    os::vm_release(row->base, kRow);
    mem::free(row);
  }
}

}  // namespace thrum::mem
