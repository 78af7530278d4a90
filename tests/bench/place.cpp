/* place: what a runtime's place on the machine costs it while nothing changes.
 *
 * --what budget: one look at what the system grants (affinity, control groups,
 * throttling), as sysmon makes one each second; with --quota 1 in a control group
 * of its own that has a quota. Some files are read at one look in eight, so a figure
 * is the mean of eight looks in a row, and the median of those. Between two looks
 * 4 MiB of other memory are touched, as something else runs in a second, and
 * --apart-us N sleeps, too; warm_ns, and the CPU time, are of looks without that. A
 * look is some system calls, so what one costs on this machine stands beside it:
 * syscall_ns, of getppid(2). Pacing looks at clocks far more often, at times of its
 * own, and is off here.
 *
 * --what class: what a lookup of classes adds to the words that a dispatch tests
 * anyway, where none is in use. ns_per_op: is this G routed, which each yield and
 * wake asks; waiting_ns: do Gs of a class wait, which the loop of an M asks when no
 * G follows at once. Differences of the medians of blocks.
 *
 * SPDX-License-Identifier: MIT */
#include "support/blocks.h"

#include <sys/syscall.h>

#include "../lab/support/group.h"
#include "place/governor.hpp"
#include "sched/api.hpp"
#include "sched/rank.hpp"

namespace {

using namespace thrum;

int64_t n = 20000, quota = 0, apart_us = 0;
const char* what = "budget";

// ---- budget -----------------------------------------------------------------------

constexpr i64 kSecond = 1'000'000'000;
constexpr size_t kOther = size_t{4} << 20;

volatile char g_other[kOther];

i64 g_now;  // of the looks: a second and more lies between two

constexpr int64_t kRound = os::kGroupTurns;

int64_t rounds() { return max(n / kRound, i64{1}); }

double median_look(Runtime* rt, Governor* g, bool cold) {
  int64_t* ns = static_cast<int64_t*>(bench_alloc(rounds(), sizeof(int64_t)));
  for (int64_t i = 0; i < rounds() * kRound; ++i) {
    if (cold && apart_us) {
      usleep(static_cast<useconds_t>(apart_us));
    }
    for (size_t at = 0; cold && at < kOther; at += 64) {
      g_other[at] = static_cast<char>(i);
    }
    g_now += 2 * kSecond;
    int64_t begin = bench_now();
    g->seam.look(&g->seam, rt, g_now, true);
    ns[i / kRound] += bench_now() - begin;
  }
  bench_sort(ns, rounds());
  int64_t median = bench_percentile(ns, rounds(), 0.5);
  free(ns);
  return static_cast<double>(median) / double{kRound};
}

double syscall_ns() {
  constexpr int kCalls = 1000;
  int64_t blocks[101];
  for (int64_t& ns : blocks) {
    int64_t begin = bench_now();
    for (int i = 0; i < kCalls; ++i) {
      syscall(SYS_getppid);
    }
    ns = bench_now() - begin;
  }
  bench_sort(blocks, 101);
  return static_cast<double>(bench_percentile(blocks, 101, 0.5)) / kCalls;
}

void budget() {
  if (quota) {
    group_enter(150000, 100000);
  }
  GovernOpts opts;
  opts.follows = true;
  Governor* g = governor_make(opts);
  Config c{};
  c.procs = g->budget.procs;
  c.max_threads = 64;
  c.stack_class = mem::stack_class(size_t{256} << 10);
  c.slice_ns = 10'000'000;
  Runtime* rt;
  BENCH_MUST(rt_new(&rt, c));
  bench_span span;
  bench_start(&span);
  double warm = median_look(rt, g, false);
  bench_stop(&span);
  int64_t looks = rounds() * kRound;
  span.wall_ns = static_cast<int64_t>(median_look(rt, g, true) *
                                      static_cast<double>(looks));
  bench_check("quota seen", g->budget.quota_milli != 0, quota);
  bench_json_begin("place", 1, n, looks, &span);
  bench_json_number("warm_ns", warm);
  bench_json_number("syscall_ns", syscall_ns());
  bench_json_int("levels", g->groups.count);
  g->seam.free(&g->seam);
  BENCH_MUST(rt_stop(nullptr, rt, kForever));
  rt_release(rt);
}

// ---- class ------------------------------------------------------------------------

M g_m;
P g_p;
G g_g;
Runtime g_rt;

// Eight in a row, so that the loop around them weighs little. The words are read
// anew each time.
enum Lookup { kNone, kRoute, kWaiting };
template <Lookup kLookup>
THRUM_NOINLINE bench_span block() {
  bench_span span;
  bool any = false;
  M* m = &g_m;
  P* p = &g_p;
  G* g = &g_g;
  bench_start(&span);
  for (int i = 0; i < int{BENCH_BLOCK} / 8; ++i) {
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k) {
      asm volatile("" : "+r"(m), "+r"(p), "+r"(g) : : "memory");
      if (THRUM_UNLIKELY(p->attention.load(relaxed) | m->slow.load(relaxed) |
                         m->pinned_n.load(relaxed) | m->own_n.load(relaxed))) {
        any = true;
      }
      if ((kLookup == kRoute && THRUM_UNLIKELY(g->flags & kRouted)) ||
          (kLookup == kWaiting && THRUM_UNLIKELY(rank_waits(m, p)))) {
        any = true;
      }
    }
  }
  bench_stop(&span);
  bench_check("nothing is asked for", any, false);
  return span;
}

void classes() {
  g_m.rt = &g_rt;
  bench_span (*const kinds[])() = {block<kNone>, block<kRoute>,
                                   block<kWaiting>};
  const int64_t count = bench_blocks_of(n);
  bench_blocks blocks[3];
  bench_span spans[3];
  for (bench_blocks& b : blocks) {
    b = bench_blocks_new(count);
  }
  for (int64_t i = -1; i < count; ++i) {  // the first ones warm up
    for (int kind = 0; kind < 3; ++kind) {
      bench_span span = kinds[kind]();
      if (i >= 0) {
        bench_blocks_add(&blocks[kind], &span);
      }
    }
  }
  for (int kind = 0; kind < 3; ++kind) {
    spans[kind] = bench_blocks_median(&blocks[kind]);
  }
  bench_span route = {spans[1].wall_ns - spans[0].wall_ns,
                      spans[1].cpu_ns - spans[0].cpu_ns};
  bench_json_begin("place", 1, n, BENCH_BLOCK, &route);
  bench_json_number("waiting_ns",
                    static_cast<double>(spans[2].wall_ns - spans[0].wall_ns) /
                        double{BENCH_BLOCK});
  bench_json_number("without_ns", static_cast<double>(spans[0].wall_ns) /
                                      double{BENCH_BLOCK});
}

}  // namespace

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_NUMBER("n", "looks or dispatches", &n, 1),
      BENCH_FLAG_WORD("what", "is measured", &what, "budget|class"),
      {"quota", "1: under one", &quota, 0, 1, nullptr, nullptr},
      {"apart-us", "sleep between looks", &apart_us, 0, 10000000, nullptr,
       nullptr},
  };
  bench_flags(argc, argv, flags, BENCH_COUNT(flags));
  strcmp(what, "budget") == 0 ? budget() : classes();
  bench_json_text("what", what);
  bench_json_int("quota", quota);
  bench_json_int("apart_us", apart_us);
  bench_json_end();
  return 0;
}
