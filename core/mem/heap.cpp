// mimalloc behind these functions, and the choice of whose heap serves a P: that
// of the M which holds it. In every version the pages of a heap belong to
// threads, and only the thread that owns a page allocates from it without atomic
// operations:
//
// 2.x        a heap is bound to the thread that made it.
// 3.0, 3.1   so are pages. Allocating elsewhere seems to work; but a free looks
//            only whether the page's thread is its own, so it and an allocation
//            from another thread would change one list at once.
// 3.2        a heap may be used by all threads at once: each has a part of its
//            own in it, with pages of its own.
//
// So a heap per P moves no page from M to M in any of them; with 3.2 it would
// just divide the pages of each M by the Ps that it had: n Ms times procs sets of
// pages for every size. What 3.2 can do is tell whose a block is, so there each M
// has a heap of its own, and before the thread's default heap is the M's.
// SPDX-License-Identifier: MIT
#include "mem/heap.hpp"

#include "os/posix/errno.hpp"

#if defined(THRUM_ASAN) || defined(THRUM_TSAN)

// The sanitizers know libc's allocator and not mimalloc: here they shall see
// every block.
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

namespace thrum::mem {

namespace {

constexpr size_t kLeast = 1;

void* get(Heap*, size_t size) { return ::malloc(size); }
void* get_zeroed(Heap*, size_t size) { return ::calloc(1, size); }
void* get_aligned(Heap*, size_t size, size_t align) {
  void* p = nullptr;
  return posix_memalign(&p, max(align, sizeof p), size) ? nullptr
                                                        : memset(p, 0, size);
}
void* resize(Heap*, void* p, size_t size) { return ::realloc(p, size); }
void put(void* p) { ::free(p); }
size_t size_of(const void* p) {
  return malloc_usable_size(const_cast<void*>(p));
}
bool foreign(const Heap*, const void*) { return false; }
void* begin(void*) { return nullptr; }

}  // namespace

void heap_end(Heap&) {}
void collect() {}

}  // namespace thrum::mem

#else

#include <mimalloc.h>

// 2.0.9 is 209 and 3.1.5 is 315; from 2.3 and 3.2 on each part has two digits.
#if MI_MALLOC_VERSION < 200
#error "thrum needs mimalloc 2.0 or newer"
#endif
#define THRUM_HEAP_PER_M (MI_MALLOC_VERSION >= 30200)

namespace thrum::mem {

namespace {

// mimalloc aligns blocks of 16 bytes and more to 16 (MI_MAX_ALIGN_SIZE), those
// below to 8; the contract promises 16 for all.
constexpr size_t kLeast = 16;

#if THRUM_HEAP_PER_M

mi_heap_t* of(const Heap* h) {
  return h && h->own ? static_cast<mi_heap_t*>(h->own) : mi_heap_main();
}
void* get(Heap* h, size_t size) { return mi_heap_malloc(of(h), size); }
void* get_zeroed(Heap* h, size_t size) { return mi_heap_zalloc(of(h), size); }
void* get_aligned(Heap* h, size_t size, size_t align) {
  return mi_heap_zalloc_aligned(of(h), size, align);
}
void* resize(Heap* h, void* p, size_t size) {
  return mi_heap_realloc(of(h), p, size);
}
bool foreign(const Heap* h, const void* p) { return mi_heap_of(p) != of(h); }
void* begin(void* before) { return before ? before : mi_heap_new(); }

#else

void* get(Heap*, size_t size) { return mi_malloc(size); }
void* get_zeroed(Heap*, size_t size) { return mi_zalloc(size); }
void* get_aligned(Heap*, size_t size, size_t align) {
  return mi_zalloc_aligned(size, align);
}
void* resize(Heap*, void* p, size_t size) { return mi_realloc(p, size); }
bool foreign(const Heap* h, const void* p) {
  return !mi_heap_contains_block(static_cast<mi_heap_t*>(h->own), p);
}
void* begin(void*) { return mi_heap_get_default(); }

#endif

void put(void* p) { mi_free(p); }
size_t size_of(const void* p) { return mi_usable_size(p); }

}  // namespace

void heap_end([[maybe_unused]] Heap& h) {
#if THRUM_HEAP_PER_M
  os::ErrnoKeep keep;
  if (h.own) {
    mi_heap_delete(of(&h));
    h.own = nullptr;
  }
#endif
}

void collect() {
  os::ErrnoKeep keep;
  mi_collect(true);
}

}  // namespace thrum::mem

#endif

namespace thrum::mem {

namespace {

// Whose a block is costs a nanosecond to ask, a third of what a free may cost
// beside mimalloc's. So it is asked of one in kSample, drawn by a hash of the
// address: no pattern in the order of frees can hide from that.
constexpr u64 kSample = 16;
bool sampled(const void* p) {
  u64 x = reinterpret_cast<uintptr_t>(p) * 0x9E37'79B9'7F4A'7C15u;
  return x >> 60 == 0;
}

int* errno_of(Heap* h) {
  return THRUM_LIKELY(h != nullptr) ? h->error : os::errno_place();
}

void* counted(Heap* h, void* p) {
  if (h && p) {
    bump(h->tally.allocs);
    bump(h->tally.alloc_bytes, size_of(p));
  }
  return p;
}

// A block's size is a call, and all of a class are alike: it is asked once.
constexpr size_t class_of(size_t size) { return (size + 15) / 16; }

// Behind the fast paths of alloc and free, so that these save few registers.
THRUM_NOINLINE void* alloc_slow(size_t size, Heap* h) {
  os::ErrnoKeep keep(errno_of(h));
  void* p = counted(h, get(h, size));
  size_t c = class_of(size);
  if (h && p && c <= Heap::kClasses && h->classed) {
    h->whole[c] = static_cast<u16>(size_of(p));
  }
  return p;
}

THRUM_NOINLINE void free_slow(void* p) {
  os::ErrnoKeep keep;
  put(p);
}

void count_free(Tally& t, size_t bytes, bool cross) {
  bump(t.frees);
  bump(t.free_bytes, bytes);
  if (THRUM_UNLIKELY(cross)) {
    bump(t.cross_frees, kSample);
  }
}

}  // namespace

void heap_begin(Heap& h) {
  h.error = os::errno_place();
  os::ErrnoKeep keep(h.error);
  h.own = begin(h.own);
  // Not so where mimalloc pads blocks to find overruns.
  void* odd = get(&h, 17);
  h.classed = size_of(odd) > 17;
  put(odd);
}

void* alloc(size_t size, Heap* h) {
  size = max(size, kLeast);
  size_t c = class_of(size);
  size_t whole = THRUM_LIKELY(h && c <= Heap::kClasses) ? h->whole[c] : 0;
  if (THRUM_UNLIKELY(!whole)) {
    return alloc_slow(size, h);
  }
  int before = *h->error;
  void* p = get(h, size);
  os::errno_restore(h->error, before);
  if (THRUM_LIKELY(p != nullptr)) {
    bump(h->tally.allocs);
    bump(h->tally.alloc_bytes, whole);
  }
  return p;
}

void* zalloc(size_t count, size_t size, Heap* h) {
  size_t bytes;
  if (__builtin_mul_overflow(count, size, &bytes)) {
    return nullptr;
  }
  os::ErrnoKeep keep(errno_of(h));
  return counted(h, get_zeroed(h, max(bytes, kLeast)));
}

void* alloc_aligned(size_t size, size_t align, Heap* h) {
  os::ErrnoKeep keep(errno_of(h));
  return counted(h, get_aligned(h, max(size, kLeast), align));
}

void* realloc(void* p, size_t size, Heap* h) {
  os::ErrnoKeep keep(errno_of(h));
  size_t before = h ? size_of(p) : 0;
  bool cross = h && p && sampled(p) && foreign(h, p);
  void* now = counted(h, resize(h, p, max(size, kLeast)));
  if (h && p && now) {
    count_free(h->tally, before, cross);
  }
  return now;
}

void free(void* p, Heap* h) {
  if (THRUM_UNLIKELY(!h || !p)) {
    return free_slow(p);
  }
  count_free(h->tally, size_of(p), sampled(p) && foreign(h, p));
  int before = *h->error;
  put(p);
  os::errno_restore(h->error, before);
}

size_t usable(const void* p) { return size_of(p); }

}  // namespace thrum::mem
