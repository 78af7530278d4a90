/* preempt.h: for tests of preemption: code that may be stopped, and what was. */
#ifndef THRUM_TESTS_PREEMPT_H
#define THRUM_TESTS_PREEMPT_H

#include "rt.h"

#include <thrum/observe.h>

/* Code for thrum_preempt_region. It must not be inlined elsewhere, and must not
 * call anything that is not. */
#define COMPUTES __attribute__((noinline, section("computes")))
extern const char __start_computes[], __stop_computes[];
#define COMPUTES_CODE __start_computes, __stop_computes

/* Counts until it is told to stop: nothing here comes to a call of thrum's. */
struct spinner {
  word go_on, n;
};
COMPUTES __attribute__((unused)) static void spin(void* arg) {
  struct spinner* s = arg;
  while (__atomic_load_n(&s->go_on, __ATOMIC_RELAXED))
    __atomic_store_n(&s->n, s->n + 1, __ATOMIC_RELAXED);
}
/* The same where nothing is declared. */
__attribute__((unused, noinline)) static void spin_outside(void* arg) {
  struct spinner* s = arg;
  while (__atomic_load_n(&s->go_on, __ATOMIC_RELAXED))
    __atomic_store_n(&s->n, s->n + 1, __ATOMIC_RELAXED);
}

struct counts {
  uint64_t preemptions, refusals, dispatches, retakes;
};
static inline void counts_add(void* arg, const thrum_p_stats* stats) {
  struct counts* c = arg;
  c->preemptions += stats->preemptions;
  c->refusals += stats->refusals;
  c->dispatches += stats->dispatches;
  c->retakes += stats->retakes;
}
static inline struct counts counts_of(thrum_rt* rt) {
  struct counts c = {0, 0, 0, 0};
  CHECK_EQ(thrum_p_each(rt, counts_add, &c), 0);
  return c;
}

/* In a G, while others compute: until so many were preempted. On a busy machine a
 * signal may come too late, and a P is taken without it; but not each time. */
__attribute__((unused)) static void await_preemptions(uint64_t n) {
  while (counts_of(NULL).preemptions < n)
    CHECK_EQ(thrum_yield(), 0);
}

/* max_threads 0: the default. As many as procs: then no P can be taken from a G
 * that refuses, and it is asked again and again. */
static inline thrum_rt* rt_capped(uint32_t procs, int64_t slice_ns, int signo,
                                  uint32_t max_threads) {
  thrum_config config;
  thrum_rt* rt = NULL;
  thrum_config_init(&config, sizeof config);
  config.procs = procs;
  config.slice_ns = slice_ns;
  config.max_threads = max_threads;
  REQUIRE_EQ(thrum_rt_new(&rt, &config), 0);
  int got = thrum_preempt_enable(rt, signo);
  CHECK(got >= SIGRTMIN && got <= SIGRTMAX);
  return rt;
}
static inline thrum_rt* rt_preempting(uint32_t procs, int64_t slice_ns,
                                      int signo) {
  return rt_capped(procs, slice_ns, signo, 0);
}

/* Where preemption cannot work, and why. */
static inline const char* cannot_preempt(void) {
  if (CHECK_TSAN)
    return "TSan delays signals until the next call that it intercepts";
  struct rt_kind kind = {"", 1, 0, 0, 0};
  thrum_rt* rt = rt_make(kind);
  int got = thrum_preempt_enable(rt, 0);
  rt_end(rt);
  return got == THRUM_ENOTSUP ? "shadow stacks are on" : NULL;
}
#define SKIP_IF_IT_CANNOT     \
  do {                        \
    if (cannot_preempt()) {   \
      SKIP(cannot_preempt()); \
    }                         \
  } while (0)

#endif
