/* alloc: thrum_alloc and thrum_free in a G, beside plain mimalloc and glibc on the
 * same thread, by turns in blocks; the figures are the blocks' medians.
 *
 * --mode pair: a block is freed at once. --mode live: 1,000 are allocated, then
 * freed. --mode cross: each goes through a channel of 128 to a G that frees it. One
 * op is a block allocated and freed, with the channel's part where there is one.
 *
 * added_ns: what a call of thrum's costs more than mimalloc's. to_mimalloc,
 * to_glibc: thrum's figure divided by theirs.
 *
 * SPDX-License-Identifier: MIT */
#include "support/blocks.h"

#include "base/defs.hpp"

// Of the very mimalloc that thrum has; <mimalloc.h> is for one file.
extern "C" {
void* mi_malloc(size_t size);
void mi_free(void* p);
}

namespace {

enum { kLive = 1000, kSides = 3 };

int64_t procs = 1, n = 20000000, size_of = 64;
const char* mode = "pair";

struct Thrum {
  static void* get(size_t size) { return thrum_alloc(size); }
  static void put(void* p) { thrum_free(p); }
};
struct Mimalloc {
  static void* get(size_t size) { return mi_malloc(size); }
  static void put(void* p) { mi_free(p); }
};
struct Glibc {
  static void* get(size_t size) { return malloc(size); }
  static void put(void* p) { free(p); }
};

void use(void* p) {  // the compiler may not leave a pair out
  asm volatile("" : : "r"(p) : "memory");
}

template <class A>
THRUM_NOINLINE void pairs(void**) {
  for (int i = 0; i < kLive; ++i) {
    void* p = A::get(static_cast<size_t>(size_of));
    use(p);
    A::put(p);
  }
}

template <class A>
THRUM_NOINLINE void live(void** all) {
  for (int i = 0; i < kLive; ++i) {
    all[i] = A::get(static_cast<size_t>(size_of));
    *static_cast<void**>(all[i]) = all;
  }
  for (int i = 0; i < kLive; ++i) {
    A::put(all[i]);
  }
}

using Work = void (*)(void**);
const Work kPairs[kSides] = {pairs<Thrum>, pairs<Mimalloc>, pairs<Glibc>};
const Work kAtOnce[kSides] = {live<Thrum>, live<Mimalloc>, live<Glibc>};
void* (*const kGet[kSides])(size_t) = {thrum_alloc, mi_malloc, malloc};
void (*const kPut[kSides])(void*) = {thrum_free, mi_free, free};

bench_blocks g_blocks[kSides];

void by_turns(void*) {
  void* all[kLive];
  const Work* work = strcmp(mode, "pair") == 0 ? kPairs : kAtOnce;
  constexpr int kRounds = int{BENCH_BLOCK} / int{kLive};
  for (int64_t k = -1; k < bench_blocks_of(n); ++k) {
    for (int side = 0; side < kSides; ++side) {
      bench_span span;
      bench_start(&span);
      for (int i = 0; i < kRounds; ++i) {
        work[side](all);
      }
      bench_stop(&span);
      if (k >= 0) {
        bench_blocks_add(&g_blocks[side], &span);
      }
    }
  }
}

// Whose turn it is: written while the channel is empty.
int g_side;
thrum_chan *g_items, *g_done;
thrum_wg g_ended = THRUM_WG_INIT;

// On more than one P the two stay on threads of their own.
void settle() {
  if (procs > 1) {
    BENCH_MUST(thrum_lock_thread());
  }
}

void consumer(void*) {
  settle();
  void* p;
  int64_t left = BENCH_BLOCK;
  while (thrum_chan_recv(g_items, &p, THRUM_FOREVER) == 0) {
    kPut[g_side](p);
    if (--left == 0) {
      left = BENCH_BLOCK;
      BENCH_MUST(thrum_chan_send(g_done, nullptr, THRUM_FOREVER));
    }
  }
  BENCH_MUST(thrum_wg_done(&g_ended));
}

void across(void*) {
  settle();
  BENCH_MUST(thrum_chan_new(sizeof(void*), 128, &g_items));
  BENCH_MUST(thrum_chan_new(0, 0, &g_done));
  BENCH_MUST(thrum_wg_add(&g_ended, 1));
  bench_spawn(consumer, nullptr);
  for (int64_t k = -1; k < bench_blocks_of(n); ++k) {
    for (g_side = 0; g_side < kSides; ++g_side) {
      bench_span span;
      bench_start(&span);
      for (int i = 0; i < BENCH_BLOCK; ++i) {
        void* p = kGet[g_side](static_cast<size_t>(size_of));
        BENCH_MUST(thrum_chan_send(g_items, &p, THRUM_FOREVER));
      }
      BENCH_MUST(thrum_chan_recv(g_done, nullptr, THRUM_FOREVER));
      bench_stop(&span);
      if (k >= 0) {
        bench_blocks_add(&g_blocks[g_side], &span);
      }
    }
  }
  BENCH_MUST(thrum_chan_close(g_items));
  BENCH_MUST(thrum_wg_wait(&g_ended, THRUM_FOREVER));
  thrum_chan_release(g_items);
  thrum_chan_release(g_done);
}

}  // namespace

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_PROCS(&procs),
      BENCH_FLAG_NUMBER("n", "blocks of each side", &n, 1),
      {"size", "bytes of a block", &size_of, 8, 1 << 20, nullptr, nullptr},
      BENCH_FLAG_WORD("mode", "when a block is freed", &mode,
                      "pair|live|cross"),
  };
  bench_flags(argc, argv, flags, BENCH_COUNT(flags));
  for (bench_blocks& blocks : g_blocks) {
    blocks = bench_blocks_new(bench_blocks_of(n));
  }
  bool cross = strcmp(mode, "cross") == 0;
  bench_run(procs, cross ? across : by_turns, nullptr);
  bench_span spans[kSides];
  double ns[kSides];
  for (int side = 0; side < kSides; ++side) {
    spans[side] = bench_blocks_median(&g_blocks[side]);
    ns[side] = static_cast<double>(spans[side].wall_ns) / double{BENCH_BLOCK};
  }
  bench_json_begin("alloc", procs, n, BENCH_BLOCK, &spans[0]);
  bench_json_text("mode", mode);
  bench_json_int("size", size_of);
  bench_json_number("mimalloc_ns", ns[1]);
  bench_json_number("glibc_ns", ns[2]);
  bench_json_number("added_ns", (ns[0] - ns[1]) / 2);
  bench_json_number("to_mimalloc", ns[0] / ns[1]);
  bench_json_number("to_glibc", ns[0] / ns[2]);
  bench_json_end();
  return 0;
}
