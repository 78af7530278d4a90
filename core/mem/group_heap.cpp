// SPDX-License-Identifier: MIT
#include "mem/group_heap.hpp"

#include <new>

namespace thrum::mem {

GroupHeap* GroupHeap::make() {
  void* at = alloc_aligned(sizeof(GroupHeap), alignof(GroupHeap));
  if (!at) {
    return nullptr;
  }
  GroupHeap* heap = new (at) GroupHeap{};
  for (Shard& s : heap->shards_) {
    s.all.next = s.all.prev = &s.all;
  }
  return heap;
}

void GroupHeap::destroy(GroupHeap* heap) {
  for (Shard& s : heap->shards_) {
    for (Link* l = s.all.next; l != &s.all;) {
      Link* next = l->next;
      __builtin_prefetch(next->next);
      mem::free(l);
      l = next;
    }
  }
  mem::free(heap);
}

void* GroupHeap::alloc(size_t size, Heap* h) {
  return size <= SIZE_MAX - sizeof(Link)
             ? link(mem::alloc(size + sizeof(Link), h))
             : nullptr;
}

void* GroupHeap::zalloc(size_t count, size_t size, Heap* h) {
  size_t bytes;
  return __builtin_mul_overflow(count, size, &bytes) ||
                 bytes > SIZE_MAX - sizeof(Link)
             ? nullptr
             : link(mem::zalloc(1, bytes + sizeof(Link), h));
}

void* GroupHeap::realloc(void* p, size_t size, Heap* h) {
  if (!p) {
    return alloc(size, h);
  }
  if (size > SIZE_MAX - sizeof(Link)) {
    return nullptr;
  }
  Link* old = unlink(p);
  void* block = mem::realloc(old, size + sizeof(Link), h);
  if (!block) {
    link(old);
    return nullptr;
  }
  return link(block);
}

void GroupHeap::free(void* p) {
  if (p) {
    mem::free(unlink(p));
  }
}

void* GroupHeap::link(void* block) {
  if (!block) {
    return nullptr;
  }
  Link* l = static_cast<Link*>(block);
  Shard& s = shard_of(l);
  Locked held(s.lock);
  l->prev = &s.all;
  l->next = s.all.next;
  l->next->prev = l;
  s.all.next = l;
  return l + 1;
}

GroupHeap::Link* GroupHeap::unlink(void* p) {
  Link* l = static_cast<Link*>(p) - 1;
  Locked held(shard_of(l).lock);
  l->prev->next = l->next;
  l->next->prev = l->prev;
  return l;
}

}  // namespace thrum::mem
