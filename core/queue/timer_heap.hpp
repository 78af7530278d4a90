// A 4-ary heap of deadlines in ns: earliest first, equal ones in order of
// arming (or by a seeded tie in a deterministic runtime).
//
// Entries are 16 bytes and the four children of one share a cache line: of 100,000
// timers a sift meets one miss a level. A dense table maps ids to places and
// timers, so that sifting never touches the timers themselves.
// Guarded by the caller's lock.
// `reserve` first: then `arm` cannot fail.
// SPDX-License-Identifier: MIT
#pragma once
#include <string.h>

#include "base/atomic.hpp"
#include "base/defs.hpp"
#include "mem/heap.hpp"

namespace thrum {

struct Timer {
  static constexpr u32 kIdle = UINT32_MAX;
  // Heap's lock. kIdle (release): not armed, and whoever fired it is done with
  // its owner; pairs with the acquire of an owner that skips the lock.
  Atomic<u32> id{kIdle};
};

class TimerHeap {
 public:
  void destroy() {
    mem::free(heap_ ? heap_ - kSkew : nullptr);
    mem::free(table_);
    mem::free(timers_);
    timers_ = nullptr;
    heap_ = nullptr;
    table_ = nullptr;
    count_.store(0, relaxed);
    capacity_ = 0;
    free_ = Timer::kIdle;
  }

  u32 count() const { return count_.load(relaxed); }
  i64 earliest() const { return count() ? heap_[0].when : kForever; }

  // For the one who arms, without the lock: others only take out.
  bool has_room() const { return count() < capacity_; }

  // Room for one more; false: out of memory.
  bool reserve() {
    if (has_room()) {
      return true;
    }
    u32 n = capacity_ ? capacity_ * 2 : 16;
    void* t = mem::realloc(table_, n * sizeof(u32));
    if (!t) {
      return false;
    }
    table_ = static_cast<u32*>(t);
    void* p = mem::realloc(timers_, n * sizeof(Timer*));
    if (!p) {
      return false;
    }
    timers_ = static_cast<Timer**>(p);
    void* h = mem::alloc_aligned((n + kSkew) * sizeof(Entry), kCacheLine);
    if (!h) {
      return false;
    }
    Entry* wider = static_cast<Entry*>(h) + kSkew;
    if (heap_) {
      memcpy(wider, heap_, count() * sizeof(Entry));
      mem::free(heap_ - kSkew);
    }
    heap_ = wider;
    for (u32 i = n; i-- > capacity_;) {
      table_[i] = free_;
      free_ = i;
    }
    capacity_ = n;
    return true;
  }

  // Returns whether it is the earliest now. Ties may wrap: those in the heap lie
  // within 2^31 of each other.
  bool arm(Timer* t, i64 when, u32 tie) {
    u32 id = free_;
    free_ = table_[id];
    t->id.store(id, relaxed);
    u32 at = count();
    count_.store(at + 1, relaxed);
    timers_[id] = t;
    place(at, Entry{when, tie, id});
    sift_up(at);
    return heap_[0].id == id;
  }

  void disarm(Timer* t) {
    u32 id = t->id.load(relaxed);
    remove(table_[id]);
    table_[id] = free_;
    free_ = id;
    t->id.store(Timer::kIdle, release);  // see Timer::id
  }

  // Takes the earliest out if it is due, else null. The timer looks armed until
  // the caller has done with its owner what is to be done, and calls `fired`.
  Timer* take_due(i64 now) {
    if (!count() || heap_[0].when > now) {
      return nullptr;
    }
    u32 id = heap_[0].id;
    Timer* t = timers_[id];
    remove(0);
    table_[id] = free_;
    free_ = id;
    if (count()) {
      __builtin_prefetch(&timers_[heap_[0].id]);  // most likely the next
    }
    return t;
  }
  static void fired(Timer* t) { t->id.store(Timer::kIdle, release); }

 private:
  struct Entry {
    i64 when;
    u32 tie;
    u32 id;
  };
  static_assert(4 * sizeof(Entry) == kCacheLine);
  // heap_[1] begins a cache line, and with it each group of four children.
  static constexpr u32 kSkew = 3;

  static bool before(const Entry& a, const Entry& b) {
    return a.when != b.when ? a.when < b.when
                            : static_cast<i32>(a.tie - b.tie) < 0;
  }

  void place(u32 at, Entry e) {
    heap_[at] = e;
    table_[e.id] = at;
  }

  void remove(u32 at) {
    u32 end = count() - 1;
    count_.store(end, relaxed);
    if (at != end) {
      Entry last = heap_[end];
      place(at, last);
      if (at > 0 && before(last, heap_[(at - 1) / 4])) {
        sift_up(at);
      } else {
        sift_down(at);
      }
    }
  }

  void sift_up(u32 at) {
    Entry e = heap_[at];
    while (at > 0) {
      u32 up = (at - 1) / 4;
      if (!before(e, heap_[up])) {
        break;
      }
      place(at, heap_[up]);
      at = up;
    }
    place(at, e);
  }

  void sift_down(u32 at) {
    Entry e = heap_[at];
    for (;;) {
      u32 child = at * 4 + 1;
      if (child >= count()) {
        break;
      }
      // Whichever child it will be, its children lie in these four lines.
      const Entry* next = heap_ + size_t{child} * 4 + 1;
      for (u32 line = 0; line < 4; ++line) {
        __builtin_prefetch(next + 4 * line);
      }
      u32 end = min(child + 4, count());
      u32 least = child;
      for (u32 c = child + 1; c < end; ++c) {
        if (before(heap_[c], heap_[least])) {
          least = c;
        }
      }
      if (!before(heap_[least], e)) {
        break;
      }
      place(at, heap_[least]);
      at = least;
    }
    place(at, e);
  }

  Entry* heap_ = nullptr;     // kSkew into its block
  Timer** timers_ = nullptr;  // by id
  u32* table_ = nullptr;      // by id: its place in heap_, or the next free id
  Atomic<u32> count_{0};      // owner adds, anyone takes; under the lock
  u32 capacity_ = 0;
  u32 free_ = Timer::kIdle;
};

}  // namespace thrum
