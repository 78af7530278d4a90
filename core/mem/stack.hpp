// Stacks: large reservations that cost nothing until touched, cut into slots
// with a guard at the low end.
//
// stride = size + an odd number of pages, and tops are coloured by slot: with a
// power of two every stack top would fall into the same cache sets. A stack is
// handed out without its first page being touched and comes back warm; the
// caches (per P, see sched/p.hpp) are LIFO.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"
#include "os/lock.hpp"

namespace thrum::mem {

struct Stack {
  char* lo = nullptr;  // lowest usable byte, above the guard
  char* hi = nullptr;  // first byte above
  u32 size_class = 0;
  bool guarded = false;  // else only the canary at lo watches
};

constexpr u32 kStackClasses = 5;
constexpr size_t kStackSizes[kStackClasses] = {
    size_t{16} << 10, size_t{64} << 10, size_t{256} << 10, size_t{1} << 20,
    size_t{8} << 20};

// The class that holds `size` bytes; kStackClasses: too large.
u32 stack_class(size_t size);

// One per runtime: the arenas of each class.
class StackArenas {
 public:
  // Cuts a fresh stack. false: no address space left.
  bool take(u32 size_class, Stack& out);
  void release_all();  // no stack may be in use

 private:
  struct Arena {
    Arena* next;
    char* base;
    size_t bytes;
  };
  struct Class {
    Arena* arenas = nullptr;  // lock
    u32 used = 0;             // lock: slots cut from the newest arena
    u32 slots = 0;            // lock: slots of the newest arena
    u64 cut = 0;              // lock: slots cut ever: colour
  };
  WordLock lock_;
  Class classes_[kStackClasses];
};

}  // namespace thrum::mem
