/* pages: what the kernel asks for the page that a G's stack has in use, with no
 * runtime in it: the floor under `million`. n stacks in one mapping, a page of each
 * in use, through these, in batches as thrum's: guard (the page that stops an
 * overflow), touch (the first use: one op), drop (what hibernation does: the page
 * given back and a guard put in its place), back (the guard taken away, one call
 * each as a G comes back alone, and the page touched).
 *
 * SPDX-License-Identifier: MIT */
#include "support/bench.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

enum { BATCH = 512 };

static int64_t n = 500000, stack_kib = 64;
static size_t page, stack;
static char* stacks;
static int self;

static void advise_all(size_t at, size_t bytes, int advice) {
  struct iovec spans[BATCH];
  for (int64_t i = 0; i < n; i += BATCH) {
    int64_t some = n - i < BATCH ? n - i : BATCH;
    for (int64_t k = 0; k < some; k++) {
      spans[k].iov_base = stacks + (size_t)(i + k) * stack + at;
      spans[k].iov_len = bytes;
    }
    if (syscall(SYS_process_madvise, self, spans, some, advice, 0) !=
        some * (int64_t)bytes) {
      fprintf(stderr, "process_madvise(%d): %s\n", advice, strerror(errno));
      exit(1);
    }
  }
}

static void touch(void) {
  for (int64_t i = 0; i < n; i++) {
    stacks[(size_t)(i + 1) * stack - 64] = 1;
  }
}

static void unguard(void) {
  for (int64_t i = 0; i < n; i++) {
    if (madvise(stacks + (size_t)(i + 1) * stack - page, page,
                MADV_GUARD_REMOVE) != 0) {
      fprintf(stderr, "madvise: %s\n", strerror(errno));
      exit(1);
    }
  }
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      BENCH_FLAG_GS("n", "stacks", &n),
      {"stack-kib", "bytes of each", &stack_kib, 16, 8192, NULL, NULL},
  };
  bench_flags(argc, argv, flags, BENCH_COUNT(flags));
  page = (size_t)sysconf(_SC_PAGESIZE);
  stack = (size_t)stack_kib * 1024;
  self = (int)syscall(SYS_pidfd_open, getpid(), 0);
  stacks = mmap(NULL, (size_t)n * stack, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (self < 0 || stacks == MAP_FAILED) {
    fprintf(stderr, "%s\n", strerror(errno));
    return 1;
  }
  if (madvise(stacks, page, MADV_GUARD_INSTALL) != 0) {
    printf("skipped: the kernel has no MADV_GUARD_INSTALL (Linux 6.13)\n");
    return 77;
  }
  (void)madvise(stacks, (size_t)n * stack, MADV_NOHUGEPAGE);
  bench_span guard, first, drop, back;
  bench_start(&guard);
  advise_all(0, page, MADV_GUARD_INSTALL);
  bench_stop(&guard);
  bench_start(&first);
  touch();
  bench_stop(&first);
  bench_start(&drop);
  advise_all(stack - page, page, MADV_DONTNEED);
  advise_all(stack - page, page, MADV_GUARD_INSTALL);
  bench_stop(&drop);
  bench_start(&back);
  unguard();
  touch();
  bench_stop(&back);
  bench_json_begin("pages", 1, n, n, &first);
  bench_json_number("guard_ns", (double)guard.wall_ns / (double)n);
  bench_json_number("drop_ns", (double)drop.wall_ns / (double)n);
  bench_json_number("back_ns", (double)back.wall_ns / (double)n);
  bench_json_end();
  return 0;
}
