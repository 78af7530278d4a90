// The allocator's part of the header.
// SPDX-License-Identifier: MIT
#include "mem/group_heap.hpp"
#include "sched/tls.hpp"
#include "thrum/host.h"
#include "translate.hpp"

using namespace thrum;

namespace {

mem::GroupHeap* core(thrum_heap* heap) {
  return reinterpret_cast<mem::GroupHeap*>(heap);
}

}  // namespace

extern "C" {

THRUM_NOINLINE void* thrum_alloc(size_t size) { return heap_alloc(size); }

void* thrum_calloc(size_t count, size_t size) {
  return mem::zalloc(count, size, heap_of(this_m()));
}

void* thrum_alloc_aligned(size_t size, size_t align) {
  if (!align || (align & (align - 1))) {
    return nullptr;
  }
  return mem::alloc_aligned(size, max(align, size_t{16}), heap_of(this_m()));
}

void* thrum_realloc(void* p, size_t size) {
  return mem::realloc(p, size, heap_of(this_m()));
}

THRUM_NOINLINE void thrum_free(void* p) { heap_free(p); }

size_t thrum_usable_size(const void* p) { return mem::usable(p); }

int thrum_heap_new(thrum_heap** out) {
  Enter e;
  if (!out) {
    return kEINVAL;
  }
  *out = reinterpret_cast<thrum_heap*>(mem::GroupHeap::make());
  return *out ? 0 : kENOMEM;
}

void* thrum_heap_alloc(thrum_heap* heap, size_t size) {
  Enter e;
  return heap ? core(heap)->alloc(size, heap_of(e.m)) : nullptr;
}

void* thrum_heap_calloc(thrum_heap* heap, size_t count, size_t size) {
  Enter e;
  return heap ? core(heap)->zalloc(count, size, heap_of(e.m)) : nullptr;
}

void* thrum_heap_realloc(thrum_heap* heap, void* p, size_t size) {
  Enter e;
  return heap ? core(heap)->realloc(p, size, heap_of(e.m)) : nullptr;
}

void thrum_heap_free(thrum_heap* heap, void* p) {
  Enter e;
  if (heap) {
    core(heap)->free(p);
  }
}

int thrum_heap_destroy(thrum_heap* heap) {
  Enter e;
  if (!heap) {
    return kEINVAL;
  }
  mem::GroupHeap::destroy(core(heap));
  return 0;
}

}  // extern "C"
