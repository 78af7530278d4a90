// Stacks and what goes with them: arenas that cost nothing until touched, each
// one mapping, cut into slots of a body (what the scheduler knows of a started G)
// and a stack with a guard at its low end.
//
//   | bodies, one behind the other | guard stack | guard stack | ...
//
// stride = size + an odd number of pages, and tops are coloured by slot: with a
// power of two every stack top would fall into the same cache sets. A slot is
// handed out without its stack being touched, the lowest vacant one first, so
// that what is in use stays together; the caches (per P, sched/body.cpp) are
// LIFO. Slots that stay vacant give their pages back (trim), their guards last.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/atomic.hpp"
#include "base/defs.hpp"
#include "mem/source.hpp"
#include "os/lock.hpp"

namespace thrum::mem {

struct Stack {
  char* hi =
      nullptr;  // first byte above; a cache line of the slot is left there
  u32 bytes = 0;
  u16 arena = 0;
  u8 size_class = 0;
  bool guarded = false;  // else what lies below lo is a gap: see stack_whole

  char* lo() const {
    return hi - bytes;
  }  // lowest usable byte, above the guard
  char* end() const { return hi + kCacheLine; }
};

constexpr u32 kStackClasses = 5;
constexpr size_t kStackSizes[kStackClasses] = {
    size_t{16} << 10, size_t{64} << 10, size_t{256} << 10, size_t{1} << 20,
    size_t{8} << 20};

// A frame as large as this finds the guard wherever it begins; a larger one may
// reach over it into the next stack, unless its code was built to touch each page
// (-fstack-clash-protection). One page more costs a stack 8 bytes of page tables
// and 30 ns, once.
constexpr size_t kGuardWide = size_t{108} << 10;
// Where each stack is to cost as little as possible.
constexpr size_t kGuardNarrow = size_t{4} << 10;
constexpr size_t kGuardNarrowSmall = size_t{20} << 10;  // up to 64 KiB

// The class that holds `size` bytes; kStackClasses: too large.
u32 stack_class(size_t size);

struct Slot {
  void* body;
  Stack stack;
};

// Of a stack without a guard: was the gap below it never written? Until then it
// reads as zeroes, and costs no memory.
bool stack_whole(const Stack& s);

struct ArenaCounts {
  u32 arenas;
  u64 slots;   // reserved
  u64 bytes;   // of address space
  u64 cut;     // of these, ever used
  u64 vacant;  // of these, not in use now
  u64 warm;    // of these, with pages
  u64 split;   // guards, of all classes, that cost two mappings each
};

// One per runtime.
class Arenas {
 public:
  // `source` lives as long.
  void init(const Source* source, size_t body_bytes, bool narrow);
  // Up to n slots: vacant ones, else one that is new. 0: no address space.
  u32 take(u32 size_class, Slot* out, u32 n);
  void give(const Slot* slots, u32 n);
  // Drops the pages of slots that were vacant at the last call already, or
  // (`now`) of all vacant ones; of about `most`, and only until *stop. Returns
  // whether vacant slots with pages are left.
  bool trim(bool now, u32 most, const Atomic<u32>* stop);
  // Whose is `at`? Its body (null: none yet), and whether it lies in the guard.
  // false: no arena's. Async-signal-safe.
  bool find(const char* at, void*& body, bool& in_guard) const;
  void release_all();  // no slot may be in use
  ArenaCounts counts(u32 size_class);

 private:
  struct Arena {
    Arena* older;    // const
    char* base;      // const: of the mapping: the bodies
    char* stacks;    // const
    size_t bytes;    // const
    u32 slots;       // const
    u32 size_class;  // const
    u32 cut;         // lock; seen: below it, slots have been in use
    u32 guarded;     // lock: below it, slots have had their guard tried
    u32 vacant;      // lock: how many
    u32 warm;        // lock: how many of them have pages
    u32 first;       // lock: no vacant slot in words below
  };
  // Of 64 slots each, behind the Arena.
  struct Bits {
    u64 vacant;     // lock
    u64 warm;       // lock: vacant, and their pages are there
    u64 aged;       // lock: were that at the last trim
    u64 unguarded;  // lock
  };
  struct Class {
    Arena** arenas;  // lock
    u32 count;       // lock
    u32 room;        // lock
    u32 first;       // lock: no vacant slot in arenas below
  };

  size_t guard_bytes(u32 size_class) const;
  size_t stride(u32 size_class) const;
  Bits* bits(Arena* a) const { return reinterpret_cast<Bits*>(a + 1); }
  Slot slot_of(u32 size_class, u32 arena, u32 i) const;
  u32 take_vacant(u32 size_class, Slot* out, u32 n);
  Arena* make_arena(u32 size_class, u32 last);
  bool add(Arena* a);  // false: no memory, and a is gone
  bool cut(u32 size_class, Slot& out);
  void guard(Arena* a, u32 size_class);
  void drop(Arena* a, u32 size_class, u32 word, u64 mask);
  u32 trim_word(u32 size_class, u32 arena, u32 word, bool now);
  void trim_bodies(u32 size_class, u32 arena);

  WordLock lock_;
  Arena* newest_ = nullptr;         // lock; seen: all of them
  const Source* source_ = nullptr;  // const
  size_t body_bytes_ = kCacheLine;  // const
  bool narrow_ = false;             // const
  size_t page_ = 0;                 // const
  u32 split_guards_ = 0;            // lock: guards that cost two mappings each
  u32 split_most_ = 1;              // lock: of these
  Class classes_[kStackClasses] = {};
};

}  // namespace thrum::mem
