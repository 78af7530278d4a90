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
//
// On a machine with several nodes each has arenas of its own (nodes).
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
  u16 arena : 15 = 0;
  u16 guarded : 1 = 0;  // else what lies below lo is a gap: see stack_whole
  u8 size_class = 0;
  u8 node = 0;

  char* lo() const {
    return hi - bytes;
  }  // lowest usable byte, above the guard
  char* end() const { return hi + kCacheLine; }
  u16 kind() const { return kind_of(size_class, node); }
  static u16 kind_of(u32 size_class, u32 node) {
    return static_cast<u16>(size_class | node << 8);
  }
};

static_assert(sizeof(Stack) == 16);

constexpr u32 kStackClasses = 5;
constexpr u32 kStackNodes = 65;  // 0: wherever it is touched first
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
  u32 placed;  // arenas, of all classes, that lie on the node that they are for
  u32 unplaced;     // those that were refused it
  int place_error;  // why, the last one
};

// One per runtime.
class Arenas {
 public:
  // `source` lives as long.
  void init(const Source* source, size_t body_bytes, bool narrow);
  // From now on arenas of node i get memory of what the kernel calls memory[i],
  // below 0: where it is touched first. It lives as long as the arenas.
  void nodes(const i32* memory) { memory_.store(memory, release); }
  // Up to n slots: vacant ones of that node, else one that is new, else of another
  // node. 0: no address space.
  u32 take(u32 size_class, Slot* out, u32 n, u32 node = 0);
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
    Arena* older;     // const
    char* base;       // const: of the mapping: the bodies
    char* stacks;     // const
    size_t bytes;     // const
    u32 slots;        // const
    u8 size_class;    // const
    u8 node;          // const
    u16 index;        // const: in its class
    int place_error;  // const: of memory from its node
    bool placed;      // const
    u32 cut;          // lock; seen: below it, slots have been in use
    u32 guarded;      // lock: below it, slots have had their guard tried
    u32 vacant;       // lock: how many
    u32 warm;         // lock: how many of them have pages
    u32 first;        // lock: no vacant slot in words below
  };
  // Of 64 slots each, behind the Arena.
  struct Bits {
    u64 vacant;     // lock
    u64 warm;       // lock: vacant, and their pages are there
    u64 aged;       // lock: were that at the last trim
    u64 unguarded;  // lock
  };
  struct Class {     // of one size, on one node
    Arena** arenas;  // lock
    u32 count;       // lock
    u32 room;        // lock
    u32 first;       // lock: no vacant slot in arenas below
  };

  size_t guard_bytes(u32 size_class) const;
  size_t stride(u32 size_class) const;
  Class& class_of(const Arena* a) { return classes_[a->node][a->size_class]; }
  Bits* bits(Arena* a) const { return reinterpret_cast<Bits*>(a + 1); }
  Slot slot_of(Arena* a, u32 i) const;
  u32 take_vacant(Class& c, Slot* out, u32 n);
  u32 take_elsewhere(u32 size_class, Slot* out, u32 n);
  Arena* make_arena(u32 size_class, u32 node, u32 last);
  void place(Arena* a) const;
  bool add(Arena* a);  // false: no memory, and a is gone
  bool cut(Class& c, Slot& out);
  void guard(Arena* a);
  void drop(Arena* a, u32 word, u64 mask);
  u32 trim_word(Arena* a, u32 word, bool now);
  void trim_bodies(Arena* a);

  WordLock lock_;
  Arena* newest_ = nullptr;         // lock; seen: all of them
  const Source* source_ = nullptr;  // const
  size_t body_bytes_ = kCacheLine;  // const
  bool narrow_ = false;             // const
  size_t page_ = 0;                 // const
  u32 split_guards_ = 0;            // lock: guards that cost two mappings each
  u32 split_most_ = 1;              // lock: of these
  u32 placed_ = 0, unplaced_ = 0;   // lock
  int place_error_ = 0;             // lock
  Atomic<const i32*> memory_{nullptr};  // atomic: see nodes
  Class classes_[kStackNodes][kStackClasses] = {};
};

}  // namespace thrum::mem
