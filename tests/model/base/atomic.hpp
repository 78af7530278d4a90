// The drop-in for core/base/atomic.hpp: the same names, of the same size, but
// each operation is a call into the explorer (explore/explore.hpp), which
// performs it under Relacy's memory model and may switch threads before it.
//
// An Atomic holds its newest value in place and nothing else; what Relacy must
// know of it is kept beside it, by address. So memset, zeroed memory and the
// static_asserts on sizes mean here what they mean in the library.
// SPDX-License-Identifier: MIT
#pragma once
#include <atomic>
#include <string.h>
#include <type_traits>

#include "explore/explore.hpp"

#define THRUM_AT_ \
  const char *file = __builtin_FILE(), int line = __builtin_LINE()

namespace thrum {

constexpr std::memory_order relaxed = std::memory_order_relaxed;
constexpr std::memory_order acquire = std::memory_order_acquire;
constexpr std::memory_order release = std::memory_order_release;
constexpr std::memory_order acq_rel = std::memory_order_acq_rel;
constexpr std::memory_order seq_cst = std::memory_order_seq_cst;

// What observers read beside the owner: no observer is explored, so this is the
// owner's plain write, and a second writer is a race.
template <class T>
void publish(T& field, T value) {
  field = value;
}
template <class T>
T peek(const T& field) {
  return field;
}

template <class T>
void show(T& field, T value) {
  field = value;
}
template <class T>
T glance(const T& field) {
  return field;
}

inline void fence(std::memory_order order, THRUM_AT_) {
  explore::fence(static_cast<explore::Order>(order), {file, line});
}
inline void compiler_fence() {}

template <class T>
class Atomic {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  using O = std::memory_order;
  // State and Why are for observers only: no protocol reads them.
  static constexpr bool kShown = std::is_enum_v<T> && sizeof(T) == 1;

 public:
  constexpr Atomic() : v_{} { born(); }
  constexpr Atomic(T v) : v_(v) { born(); }
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;
  operator T() const { return load(seq_cst); }
  T operator=(T v) {
    store(v, seq_cst);
    return v;
  }

  T load(O o, THRUM_AT_) const {
    if constexpr (kShown) {
      return from(explore::glance(&v_, sizeof(T)));
    } else {
      return from(explore::load(&v_, sizeof(T), order(o), {file, line}));
    }
  }
  void store(T v, O o, THRUM_AT_) {
    if constexpr (kShown) {
      explore::show(&v_, sizeof(T), to(v));
    } else {
      explore::store(&v_, sizeof(T), to(v), order(o), {file, line});
    }
  }
  T exchange(T v, O o, THRUM_AT_) {
    return rmw(explore::Op::swap, v, o, {file, line});
  }
  bool compare_exchange_weak(T& was, T v, O ok, O fail, THRUM_AT_) {
    return cas(was, v, ok, fail, true, {file, line});
  }
  bool compare_exchange_strong(T& was, T v, O ok, O fail, THRUM_AT_) {
    return cas(was, v, ok, fail, false, {file, line});
  }
  T fetch_add(T v, O o, THRUM_AT_) {
    return rmw(explore::Op::add, v, o, {file, line});
  }
  T fetch_sub(T v, O o, THRUM_AT_) {
    return rmw(explore::Op::sub, v, o, {file, line});
  }
  T fetch_and(T v, O o, THRUM_AT_) {
    return rmw(explore::Op::conj, v, o, {file, line});
  }
  T fetch_or(T v, O o, THRUM_AT_) {
    return rmw(explore::Op::disj, v, o, {file, line});
  }

 private:
  static explore::Order order(O o) { return static_cast<explore::Order>(o); }
  static explore::u64 to(T v) {
    explore::u64 bits = 0;
    memcpy(&bits, &v, sizeof v);
    return bits;
  }
  static T from(explore::u64 bits) {
    T v;
    memcpy(&v, &bits, sizeof v);
    return v;
  }
  bool cas(T& was, T v, O ok, O fail, bool weak, explore::Where at) {
    explore::u64 bits = to(was);
    bool done = explore::cas(&v_, sizeof(T), bits, to(v), order(ok),
                             order(fail), weak, at);
    was = from(bits);
    return done;
  }
  T rmw(explore::Op op, T v, O o, explore::Where at) {
    return from(explore::rmw(&v_, sizeof(T), op, to(v), order(o), at));
  }
  constexpr void born() {
    if (!std::is_constant_evaluated()) {
      explore::born(&v_);
    }
  }

  T v_;
};

// Halves of a word: only where a fence of all CPUs makes up for it, which no model
// has (explore/os.cpp: fence_all_ready). One step here, so not what a CPU does.
template <class T>
void store_upper(Atomic<T>& word, unsigned v) {
  T was = word.load(relaxed);
  while (!word.compare_exchange_strong(
      was, (was & 0xffffffffu) | static_cast<T>(v) << 32, relaxed, relaxed)) {}
}
template <class T>
unsigned load_lower(const Atomic<T>& word) {
  return static_cast<unsigned>(word.load(relaxed));
}

}  // namespace thrum
