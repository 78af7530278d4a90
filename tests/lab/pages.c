/* pages: what the kernel takes for a page of a parked stack: to touch it first,
 * to drop it and make a guard of it (a green thread hibernates), and to take the
 * guard away and touch it again (it wakes). No thrum in it: the floor under what
 * examples/tools/thrum_million shows.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "support/lab.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE 103
#endif

enum { BATCH = 64, PIDFD_SELF = -10000 };

static int64_t stacks = 100000, stride_pages = 21, rounds = 5;
static char* base;
static size_t page, stride;

static int64_t cpu_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The one page of each stack that is in use: its highest. */
static char* top(int64_t i) { return base + (size_t)(i + 1) * stride - page; }

static void touch(int advice) {
  (void)advice;
  for (int64_t i = 0; i < stacks; i++) {
    top(i)[page / 2] = 1;
  }
}

static void refused(const char* what) {
  printf("skipped: the kernel refuses %s (%s)\n", what, strerror(errno));
  exit(77);
}

static void in_batches(int advice) {
  struct iovec spans[BATCH];
  for (int64_t i = 0; i < stacks; i += BATCH) {
    int n = 0;
    for (; n < BATCH && i + n < stacks; n++) {
      spans[n] = (struct iovec){top(i + n), page};
    }
    if (syscall(SYS_process_madvise, PIDFD_SELF, spans, n, advice, 0) < 0) {
      refused("process_madvise on the process itself");
    }
  }
}

static void one_by_one(int advice) {
  for (int64_t i = 0; i < stacks; i++) {
    if (madvise(top(i), page, advice) != 0) {
      refused("to remove guards");
    }
  }
}

static const struct step {
  const char *key, *text;
  void (*run)(int advice);
  int advice;
} steps[] = {
    {"touch", "first touch", touch, 0},
    {"drop", "drop, 64 in a call", in_batches, MADV_DONTNEED},
    {"guard", "guard, 64 in a call", in_batches, MADV_GUARD_INSTALL},
    {"unguard", "guard off, one by one", one_by_one, MADV_GUARD_REMOVE},
    {"again", "touch again", touch, 0},
};
enum { STEPS = BENCH_COUNT(steps), MOST = 100 };

static int compare(const void* a, const void* b) {
  double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

int main(int argc, char** argv) {
  const bench_flag flags[] = {
      {"stacks", "how many pages, each in a stack of its own", &stacks, 64,
       10000000, NULL, NULL},
      {"stride-pages", "from one stack to the next", &stride_pages, 1, 4096,
       NULL, NULL},
      {"rounds", "medians of so many", &rounds, 1, MOST, NULL, NULL},
  };
  lab_flags(argc, argv, flags, BENCH_COUNT(flags));
  page = (size_t)sysconf(_SC_PAGESIZE);
  stride = (size_t)stride_pages * page;
  size_t bytes = (size_t)stacks * stride;
  base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) {
    refused("the address space");
  }
  madvise(base, bytes, MADV_NOHUGEPAGE);
  static double took[STEPS][MOST];
  for (int64_t round = 0; round < rounds; round++) {
    for (int s = 0; s < STEPS; s++) {
      int64_t began = cpu_now();
      steps[s].run(steps[s].advice);
      took[s][round] = (double)(cpu_now() - began) / (double)stacks;
    }
    madvise(base, bytes, MADV_DONTNEED);
  }
  lab_begin("pages",
            "CPU time of one thread (CLOCK_THREAD_CPUTIME_ID) per page");
  lab_int("stacks", "stacks", stacks);
  lab_int("rounds", "rounds", rounds);
  for (int s = 0; s < STEPS; s++) {
    qsort(took[s], (size_t)rounds, sizeof took[s][0], compare);
    lab_number(steps[s].key, steps[s].text, "ns", took[s][rounds / 2]);
  }
  lab_end();
  return 0;
}
