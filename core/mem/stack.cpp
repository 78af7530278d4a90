// SPDX-License-Identifier: MIT
#include "mem/stack.hpp"

#include "arch/sanitize.hpp"
#include "mem/heap.hpp"
#include "os/os.hpp"

namespace thrum::mem {

namespace {
// The first arena of a class is small, later ones double up to 1 GiB: a host
// that runs ten Gs under a tight address-space limit must not reserve a
// gigabyte.
constexpr u32 kFirstSlots = 16;
constexpr size_t kArenaMax = size_t{1} << 30;
constexpr u32 kColours = 16;  // steps of one cache line
}  // namespace

u32 stack_class(size_t size) {
  u32 c = 0;
  while (c < kStackClasses && kStackSizes[c] < size) {
    ++c;
  }
  return c;
}

bool StackArenas::take(u32 size_class, Stack& out) {
  size_t page = os::page_size();
  size_t size = kStackSizes[size_class];
  size_t stride = size + page;
  char* slot;
  u64 colour;
  {
    Locked held(lock_);
    Class& c = classes_[size_class];
    if (c.used == c.slots) {
      u32 slots = c.slots ? c.slots * 2 : kFirstSlots;
      while (slots > kFirstSlots && slots * stride > kArenaMax) {
        slots /= 2;
      }
      Arena* a = make<Arena>();
      if (!a) {
        return false;
      }
      // A tight limit on address space may leave room for fewer.
      for (slots *= 2; !a->base && slots > 1;) {
        slots /= 2;
        a->bytes = slots * stride;
        a->base = static_cast<char*>(os::vm_reserve(a->bytes));
      }
      if (!a->base) {
        mem::free(a);
        return false;
      }
      // A huge page under a stack top would commit 2 MiB for one page.
      os::vm_huge(a->base, a->bytes, false);
      a->next = c.arenas;
      c.arenas = a;
      c.slots = slots;
      c.used = 0;
    }
    slot = c.arenas->base + size_t{c.used++} * stride;
    colour = c.cut++ % kColours;
  }
  out.guarded = os::vm_guard(slot, page) == 0;
  out.lo = out.guarded ? slot + page : slot;
  out.hi = slot + stride - colour * kCacheLine;
  out.size_class = size_class;
  return true;
}

void StackArenas::release_all() {
  Locked held(lock_);
  for (Class& c : classes_) {
    while (Arena* a = c.arenas) {
      c.arenas = a->next;
      note_unmap(a->base, a->bytes);
      os::vm_release(a->base, a->bytes);
      mem::free(a);
    }
    c = Class{};
  }
}

}  // namespace thrum::mem
