// SPDX-License-Identifier: MIT
#include "explore/shadow.hpp"

#include <string.h>

#include "explore/explore.hpp"

namespace explore::shadow {

namespace {

constexpr unsigned kWord = 8;
constexpr unsigned kGrains = 1 << 13;  // words touched in one schedule

// While all accesses to a word were to the same bytes of it (`mask`) the first of
// these stands for all; after that each byte has its own entry.
struct Grain {
  uintptr_t word;
  uint8_t mask;
  bool split;
  uint8_t writer[kWord];  // thread + 1; 0: never written
  uint8_t gone;           // bit per byte: freed
  uint32_t written[kWord];
  uint32_t read[kThreads][kWord];
  uint32_t set[kThreads][kWord];     // atomic write
  uint32_t loaded[kThreads][kWord];  // atomic read
  const void* write_pc;
  const void* read_pc[kThreads];
  const void* atomic_pc[kThreads];
};

Grain grains[kGrains];
unsigned used;

struct Entry {
  uint32_t schedule;
  uint32_t grain;
};
Entry table[4 * kGrains];
uint32_t schedule = 1;

Grain& grain(uintptr_t word) {
  uint64_t h = word * 0x9e3779b97f4a7c15u >> 40;
  for (;; ++h) {
    Entry& e = table[h % (4 * kGrains)];
    if (e.schedule != schedule) {
      if (used == kGrains) {
        race("the race detector is out of memory", nullptr, nullptr, nullptr);
      }
      e = {schedule, used++};
      Grain& g = grains[e.grain];
      memset(static_cast<void*>(&g), 0, sizeof g);
      g.word = word;
      return g;
    }
    Grain& g = grains[e.grain];
    if (g.word == word) {
      return g;
    }
  }
}

void split(Grain& g) {
  unsigned from = static_cast<unsigned>(__builtin_ctz(g.mask));
  for (unsigned i = from + 1; i < kWord; ++i) {
    if (g.mask >> i & 1) {
      g.writer[i] = g.writer[from];
      g.written[i] = g.written[from];
      for (unsigned t = 0; t < kThreads; ++t) {
        g.read[t][i] = g.read[t][from];
        g.set[t][i] = g.set[t][from];
        g.loaded[t][i] = g.loaded[t][from];
      }
    }
  }
  g.split = true;
}

// Calls f with the grain of each word in [at, at + size), the bytes of it, and
// which of its entries stand for them.
template <class F>
void each(const void* at, size_t size, F f) {
  uintptr_t from = reinterpret_cast<uintptr_t>(at);
  uintptr_t end = from + size;
  while (from < end) {
    uintptr_t word = from / kWord;
    unsigned lo = from % kWord;
    unsigned hi = end / kWord == word ? end % kWord : kWord;
    Grain& g = grain(word);
    uint8_t mask = static_cast<uint8_t>((1u << hi) - (1u << lo));
    if (!g.mask) {
      g.mask = mask;
    } else if (g.mask != mask && !g.split) {
      split(g);
    }
    f(g, mask, lo, g.split ? hi : lo + 1);
    from = (word + 1) * kWord;
  }
}

}  // namespace

void reset() {
  ++schedule;
  used = 0;
}

void plain(const void* at, size_t size, bool write, const void* pc) {
  View v;
  if (!view(v, true)) {
    return;
  }
  uint32_t now = static_cast<uint32_t>(v.now);
  each(at, size, [&](Grain& g, uint8_t mask, unsigned lo, unsigned hi) {
    if (g.gone & mask) {
      race("access to freed memory", at, pc, g.write_pc);
    }
    for (unsigned i = lo; i < hi; ++i) {
      // Nothing has happened since this thread touched it last.
      if (write ? g.writer[i] == v.thread + 1 && g.written[i] == now
                : g.read[v.thread][i] == now) {
        continue;
      }
      if (g.writer[i] && g.written[i] > v.seen[g.writer[i] - 1]) {
        race(write ? "race: write after write" : "race: read after write", at,
             pc, g.write_pc);
      }
      for (unsigned t = 0; t < v.threads; ++t) {
        if (g.set[t][i] > v.seen[t]) {
          race("race: plain access after atomic write", at, pc, g.atomic_pc[t]);
        }
        if (write && g.read[t][i] > v.seen[t]) {
          race("race: write after read", at, pc, g.read_pc[t]);
        }
        if (write && g.loaded[t][i] > v.seen[t]) {
          race("race: plain write after atomic read", at, pc, g.atomic_pc[t]);
        }
      }
      if (write) {
        g.writer[i] = static_cast<uint8_t>(v.thread + 1);
        g.written[i] = now;
      } else {
        g.read[v.thread][i] = now;
      }
    }
    (write ? g.write_pc : g.read_pc[v.thread]) = pc;
  });
}

void atomic(const void* at, unsigned size, bool write, const void* pc) {
  View v;
  if (!view(v, false)) {
    return;
  }
  uint32_t now = static_cast<uint32_t>(v.now);
  each(at, size, [&](Grain& g, uint8_t mask, unsigned lo, unsigned hi) {
    if (g.gone & mask) {
      race("access to freed memory", at, pc, g.write_pc);
    }
    for (unsigned i = lo; i < hi; ++i) {
      if (g.writer[i] && g.written[i] > v.seen[g.writer[i] - 1]) {
        race("race: atomic access after plain write", at, pc, g.write_pc);
      }
      for (unsigned t = 0; write && t < v.threads; ++t) {
        if (g.read[t][i] > v.seen[t]) {
          race("race: atomic write after plain read", at, pc, g.read_pc[t]);
        }
      }
      (write ? g.set : g.loaded)[v.thread][i] = now;
    }
    g.atomic_pc[v.thread] = pc;
  });
}

void freed(const void* at, size_t size, const void* pc) {
  plain(at, size, true, pc);
  each(at, size,
       [&](Grain& g, uint8_t mask, unsigned, unsigned) { g.gone |= mask; });
}

}  // namespace explore::shadow

// ---- what the compiler calls ----------------------------------------------------

using explore::shadow::plain;

#define PC __builtin_return_address(0)
#define HOOKS(n)                                                       \
  void __tsan_read##n(void* at) { plain(at, n, false, PC); }           \
  void __tsan_write##n(void* at) { plain(at, n, true, PC); }           \
  void __tsan_unaligned_read##n(void* at) { plain(at, n, false, PC); } \
  void __tsan_unaligned_write##n(void* at) { plain(at, n, true, PC); } \
  void __tsan_volatile_read##n(void* at) { plain(at, n, false, PC); }  \
  void __tsan_volatile_write##n(void* at) { plain(at, n, true, PC); }

extern "C" {
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
void __tsan_read_range(void* at, size_t n) { plain(at, n, false, PC); }
void __tsan_write_range(void* at, size_t n) { plain(at, n, true, PC); }
void* __tsan_memset(void* to, int c, size_t n) {
  plain(to, n, true, PC);
  return memset(to, c, n);
}
void* __tsan_memcpy(void* to, const void* from, size_t n) {
  plain(from, n, false, PC);
  plain(to, n, true, PC);
  return memcpy(to, from, n);
}
void* __tsan_memmove(void* to, const void* from, size_t n) {
  plain(from, n, false, PC);
  plain(to, n, true, PC);
  return memmove(to, from, n);
}
void __tsan_vptr_read(void* at) { plain(at, 8, false, PC); }
void __tsan_vptr_update(void* at, void*) { plain(at, 8, true, PC); }
void __tsan_func_entry(void*) {}
void __tsan_func_exit(void) {}
void __tsan_init(void) {}

// A plain field that is published by a compiler's own atomic operation.
#define PUBLISHED(bits, type)                                              \
  type __tsan_atomic##bits##_load(const volatile type* at, int order) {    \
    return static_cast<type>(                                              \
        explore::load(const_cast<const type*>(at), sizeof(type),           \
                      static_cast<explore::Order>(order), {"", 0}));       \
  }                                                                        \
  void __tsan_atomic##bits##_store(volatile type* at, type v, int order) { \
    explore::store(const_cast<type*>(at), sizeof(type), v,                 \
                   static_cast<explore::Order>(order), {"", 0});           \
  }
PUBLISHED(8, uint8_t)
PUBLISHED(32, uint32_t)
PUBLISHED(64, uint64_t)
}
