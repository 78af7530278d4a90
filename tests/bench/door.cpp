/* door: what the door between guest and core adds to a call (DESIGN 4): in_core
 * set, a look whether anything was asked or taken, in_core given back. Two calls
 * that do nothing else, one with and one without the door, are timed by turns in
 * blocks; ns_per_op is the difference of the blocks' medians, so that the call
 * itself, the search for the M and the loop are not in it. It may come out just
 * below zero where the CPU hides the stores.
 *
 * --refuse 1 has the kernel refuse membarrier(2) to this process beforehand
 * (seccomp): then entering takes a true fence.
 *
 * SPDX-License-Identifier: MIT */
#include "support/blocks.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sched/enter.hpp"

namespace {

using namespace thrum;

int64_t n = 100000000, refuse = 0;
const char* klass = "call";

// Without the door, as plain calls are.
THRUM_NOINLINE int shut() {
  M* m = this_m();
  return m && m->cur ? 0 : THRUM_ENOTG;
}

THRUM_NOINLINE int through() {
  Enter e;
  return e.m && e.m->cur ? 0 : THRUM_ENOTG;
}

THRUM_NOINLINE int through_parking() {
  EnterParking e;
  return e.m && e.m->cur ? 0 : THRUM_ENOTG;
}

template <int (*kCall)()>
bench_span block() {
  bench_span span;
  int failed = 0;
  bench_start(&span);
  for (int64_t i = 0; i < BENCH_BLOCK; ++i) {
    failed |= kCall();
  }
  bench_stop(&span);
  BENCH_MUST(failed);
  return span;
}

bench_blocks g_with, g_without;

template <int (*kCall)()>
void measure(void*) {
  block<shut>();
  block<kCall>();
  int64_t blocks = bench_blocks_of(n);
  g_with = bench_blocks_new(blocks);
  g_without = bench_blocks_new(blocks);
  for (int64_t i = 0; i < blocks; ++i) {
    bench_span without = block<shut>(), with = block<kCall>();
    bench_blocks_add(&g_without, &without);
    bench_blocks_add(&g_with, &with);
  }
}

// membarrier(2) answers ENOSYS from here on; all other calls are let through.
void refuse_membarrier() {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog program = {BENCH_COUNT(code), code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    perror("--refuse 1: no seccomp filter here");
    exit(1);
  }
  bench_check("membarrier", syscall(SYS_membarrier, 0, 0, 0), -1);
}

}  // namespace

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_NUMBER("n", "calls of each kind", &n, 1),
      BENCH_FLAG_WORD("class", "Enter or EnterParking", &klass, "call|parking"),
      {"refuse", "1: the kernel refuses membarrier", &refuse, 0, 1, nullptr,
       nullptr},
  };
  bench_flags(argc, argv, flags, BENCH_COUNT(flags));
  if (refuse) {
    refuse_membarrier();
  }
  bool parking = strcmp(klass, "parking") == 0;
  bench_run(1, parking ? measure<through_parking> : measure<through>, nullptr);
  int64_t blocks = g_with.count;
  bench_span yes = bench_blocks_median(&g_with);
  bench_span no = bench_blocks_median(&g_without);
  bench_span span = {yes.wall_ns - no.wall_ns, yes.cpu_ns - no.cpu_ns};
  const double calls = BENCH_BLOCK;
  bench_json_begin("door", 1, n, BENCH_BLOCK, &span);
  bench_json_text("class", klass);
  bench_json_int("refuse", refuse);
  bench_json_number("with_ns", yes.wall_ns / calls);
  bench_json_number("without_ns", no.wall_ns / calls);
  bench_json_int("blocks", blocks);
  bench_json_end();
  return 0;
}
