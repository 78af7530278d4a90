/* place: what a runtime's place on the machine costs it while nothing changes.
 *
 * --what budget: one look at what the system grants (affinity, control groups,
 * throttling), as sysmon makes one each second; with --quota 1 in a control group
 * of its own that has a quota. Between two looks 4 MiB of other memory are
 * touched, as something else runs in a second; warm_ns, and the CPU time, are of
 * looks without that. A look is some ten system calls, so what one costs on this
 * machine stands beside it: syscall_ns, of getppid(2).
 *
 * --what class: what it takes to find that no class of Gs is in use, over the
 * words that a dispatch tests anyway. Two functions, with and without, by turns
 * in blocks; ns_per_op is the difference of the blocks' medians, and may come out
 * just below zero where the CPU hides the loads.
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

int64_t n = 20000, quota = 0;
const char* what = "budget";

// ---- budget -----------------------------------------------------------------------

constexpr i64 kSecond = 1'000'000'000;
constexpr double kBlock = BENCH_BLOCK;
constexpr size_t kOther = size_t{4} << 20;

volatile char g_other[kOther];

i64 g_now;  // of the looks: a second and more lies between two

int64_t median_look(Runtime* rt, Governor* g, bool cold) {
  int64_t* ns = static_cast<int64_t*>(bench_alloc(n, sizeof(int64_t)));
  for (int64_t i = 0; i < n; ++i) {
    for (size_t at = 0; cold && at < kOther; at += 64) {
      g_other[at] = static_cast<char>(i);
    }
    g_now += 2 * kSecond;
    int64_t begin = bench_now();
    g->seam.look(&g->seam, rt, g_now);
    ns[i] = bench_now() - begin;
  }
  bench_sort(ns, n);
  int64_t median = bench_percentile(ns, n, 0.5);
  free(ns);
  return median;
}

double syscall_ns() {
  bench_blocks blocks = bench_blocks_new(20);
  for (int block = 0; block < 20; ++block) {
    bench_span span;
    bench_start(&span);
    for (int64_t i = 0; i < BENCH_BLOCK; ++i) {
      syscall(SYS_getppid);
    }
    bench_stop(&span);
    bench_blocks_add(&blocks, &span);
  }
  return static_cast<double>(bench_blocks_median(&blocks).wall_ns) / kBlock;
}

void budget() {
  if (quota) {
    group_enter(150000, 100000);
  }
  GovernOpts opts;
  opts.follows = opts.paces = true;
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
  int64_t warm = median_look(rt, g, false);
  bench_stop(&span);
  span.wall_ns = median_look(rt, g, true) * n;
  bench_check("quota seen", g->budget.quota_milli != 0, quota);
  bench_json_begin("place", 1, n, n, &span);
  bench_json_number("warm_ns", static_cast<double>(warm));
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

THRUM_NOINLINE bool plain(M* m, P* p, G*) {
  return (p->attention.load(relaxed) | m->slow.load(relaxed) |
          m->pinned_n.load(relaxed)) != 0;
}
THRUM_NOINLINE bool with_class(M* m, P* p, G* g) {
  return (p->attention.load(relaxed) | m->slow.load(relaxed) |
          m->pinned_n.load(relaxed)) != 0 ||
         rank_now(g) != kNormal || rank_waits(m, p);
}

template <bool (*kCall)(M*, P*, G*)>
bench_span block() {
  bench_span span;
  bool any = false;
  bench_start(&span);
  for (int64_t i = 0; i < BENCH_BLOCK; ++i) {
    any |= kCall(&g_m, &g_p, &g_g);
  }
  bench_stop(&span);
  bench_check("nothing is asked for", any, false);
  return span;
}

void classes() {
  g_m.rt = &g_rt;
  block<plain>();
  block<with_class>();
  int64_t blocks = bench_blocks_of(n);
  bench_blocks with = bench_blocks_new(blocks);
  bench_blocks without = bench_blocks_new(blocks);
  for (int64_t i = 0; i < blocks; ++i) {
    bench_span a = block<plain>(), b = block<with_class>();
    bench_blocks_add(&without, &a);
    bench_blocks_add(&with, &b);
  }
  bench_span yes = bench_blocks_median(&with);
  bench_span no = bench_blocks_median(&without);
  bench_span span = {yes.wall_ns - no.wall_ns, yes.cpu_ns - no.cpu_ns};
  bench_json_begin("place", 1, n, BENCH_BLOCK, &span);
  bench_json_number("with_ns", yes.wall_ns / kBlock);
  bench_json_number("without_ns", no.wall_ns / kBlock);
}

}  // namespace

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_NUMBER("n", "looks or dispatches", &n, 1),
      BENCH_FLAG_WORD("what", "is measured", &what, "budget|class"),
      {"quota", "1: under one", &quota, 0, 1, nullptr, nullptr},
  };
  bench_flags(argc, argv, flags, BENCH_COUNT(flags));
  strcmp(what, "budget") == 0 ? budget() : classes();
  bench_json_text("what", what);
  bench_json_int("quota", quota);
  bench_json_end();
  return 0;
}
