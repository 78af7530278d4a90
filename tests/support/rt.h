/* rt.h: runtimes for the test programs, and guests that may be a G or a thread.
 *
 * What the contract promises of a G holds in every kind of runtime, so most
 * cases run in all of them: everywhere(fn, arg). Where the order in which Gs
 * reach a wait must be known, a case runs in the sequential kinds, which have
 * one P and whose slice never ends: there a G that has said "I am about to
 * wait" and is seen by another G to have said so does wait. */
#ifndef THRUM_TESTS_RT_H
#define THRUM_TESTS_RT_H

#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <thrum/host.h>
#include <thrum/thrum.h>

#include "atomics.h"

#define MS 1000000LL
#define SECOND 1000000000LL
/* A bound that only a broken library reaches, for waits that must end long
 * before. */
#define SOON thrum_after(50 * SECOND)

static inline int64_t real_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}

static inline int thread_id(void) { return (int)syscall(SYS_gettid); }

/* ---- kinds of runtime ---------------------------------------------------- */

struct rt_kind {
  const char* name;
  uint32_t procs, flags;
  uint64_t seed;
  int64_t slice_ns;
};

static const struct rt_kind RT_P1 = {"[1 P]", 1, 0, 0, 0};
static const struct rt_kind RT_P2 = {"[2 P]", 2, 0, 0, 0};
static const struct rt_kind RT_P4 = {"[4 P]", 4, 0, 0, 0};
static const struct rt_kind RT_SEQ = {"[1 P, endless slice]", 1, 0, 0,
                                      3600 * SECOND};
static const struct rt_kind RT_HOSTED = {"[hosted]", 1, THRUM_RT_HOSTED, 0, 0};
static const struct rt_kind RT_DET1 = {"[seed 1]", 1, THRUM_RT_DETERMINISTIC, 1,
                                       0};
static const struct rt_kind RT_DET2 = {"[seed 2]", 1, THRUM_RT_DETERMINISTIC, 2,
                                       0};
static const struct rt_kind RT_DET3 = {"[seed 3]", 1, THRUM_RT_DETERMINISTIC, 3,
                                       0};
/* Every G hibernates whenever it waits, as fast as a thread can see to it. Gs
 * must hand out no pointers into their stacks. */
static const struct rt_kind RT_SLEEPY = {"[2 P, sleepy]", 2, THRUM_RT_HIBERNATE,
                                         0, 0};

static struct sleepy {
  thrum_rt* rt;
  pthread_t thread;
  word stop;
} sleepies[4];

static inline void* sleepy_trims(void* arg) {
  struct sleepy* s = arg;
  while (!get(&s->stop))
    REQUIRE_EQ(thrum_trim(s->rt), 0);
  return NULL;
}
static inline void sleepy_start(thrum_rt* rt) {
  struct sleepy* s = sleepies;
  while (s->rt)
    s++;
  REQUIRE(s < sleepies + 4);
  s->rt = rt;
  set(&s->stop, 0);
  REQUIRE_EQ(pthread_create(&s->thread, NULL, sleepy_trims, s), 0);
}
static inline void sleepy_end(thrum_rt* rt) {
  for (struct sleepy* s = sleepies; s < sleepies + 4; s++)
    if (s->rt == rt) {
      set(&s->stop, 1);
      REQUIRE_EQ(pthread_join(s->thread, NULL), 0);
      s->rt = NULL;
    }
}

static inline thrum_rt* rt_make(struct rt_kind kind) {
  thrum_config config;
  thrum_config_init(&config, sizeof config);
  config.procs = kind.procs;
  config.flags = kind.flags;
  config.seed = kind.seed;
  config.slice_ns = kind.slice_ns;
  thrum_rt* rt = NULL;
  REQUIRE_EQ(thrum_rt_new(&rt, &config), 0);
  REQUIRE(rt != NULL);
  if (kind.flags & THRUM_RT_HIBERNATE)
    sleepy_start(rt);
  return rt;
}

static inline void rt_end(thrum_rt* rt) {
  sleepy_end(rt);
  REQUIRE_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
  thrum_rt_free(rt);
}

/* A runtime of this kind for fn, which is its first G. */
static inline void in_rt(struct rt_kind kind, thrum_fn fn, void* arg) {
  const char* outer = check_context;
  check_context = kind.name;
  thrum_rt* rt = rt_make(kind);
  CHECK_EQ(thrum_run(rt, fn, arg), 0);
  rt_end(rt);
  check_context = outer;
}

/* With one P whose slice does not end, and with one M in three seeded
 * orders. */
static inline void in_sequence(thrum_fn fn, void* arg) {
  in_rt(RT_SEQ, fn, arg);
  in_rt(RT_HOSTED, fn, arg);
  in_rt(RT_DET1, fn, arg);
  in_rt(RT_DET2, fn, arg);
  in_rt(RT_DET3, fn, arg);
}

static inline void on_threads(thrum_fn fn, void* arg) {
  in_rt(RT_P1, fn, arg);
  in_rt(RT_P2, fn, arg);
  in_rt(RT_P4, fn, arg);
}

static inline void everywhere(thrum_fn fn, void* arg) {
  on_threads(fn, arg);
  in_rt(RT_HOSTED, fn, arg);
  in_rt(RT_DET1, fn, arg);
  in_rt(RT_DET2, fn, arg);
}

/* ---- Gs ------------------------------------------------------------------ */

static inline thrum_g go_in(thrum_rt* rt, thrum_fn fn, void* arg) {
  thrum_g g = 0;
  REQUIRE_EQ(thrum_spawn(rt, NULL, fn, arg, &g), 0);
  REQUIRE(g != 0);
  return g;
}
static inline thrum_g go(thrum_fn fn, void* arg) {
  return go_in(NULL, fn, arg);
}

static inline thrum_spawn_opts spawn_opts(void) {
  thrum_spawn_opts opts;
  memset(&opts, 0, sizeof opts);
  opts.struct_size = sizeof opts;
  return opts;
}

static inline thrum_g go_with(const thrum_spawn_opts* opts, thrum_fn fn,
                              void* arg) {
  thrum_g g = 0;
  REQUIRE_EQ(thrum_spawn(NULL, opts, fn, arg, &g), 0);
  REQUIRE(g != 0);
  return g;
}

static inline void join_g(thrum_g g) {
  REQUIRE_EQ(thrum_join(NULL, g, THRUM_FOREVER), 0);
}

/* Lets others run until *w is at least v. In a sequential kind everyone that
 * counted itself in *w then waits. */
static inline void yield_until(const word* w, word v) {
  while (get(w) < v)
    REQUIRE_EQ(thrum_yield(), 0);
}

/* Ends when every G that could run has done so: for the sequential kinds, where
 * nobody else runs meanwhile. Seeded choices may pick the caller itself again,
 * so one round proves nothing; the odds of missing another 64 times do. */
static inline void let_others_run(void) {
  for (int i = 0; i < 64; i++)
    REQUIRE_EQ(thrum_yield(), 0);
}

/* Waits from another thread or from a G on another P until the started G is not
 * running, so parked: the G has said so through its own means before (no G here
 * is preempted between the two). */
struct parked_query {
  thrum_g g;
  int parked;
};
static inline void parked_each(void* arg, const thrum_g_info* info) {
  struct parked_query* q = arg;
  if (info->g == q->g && info->sp != NULL && info->reason != NULL)
    q->parked = 1;
}
static inline void wait_parked(thrum_rt* rt, thrum_g g) {
  for (;;) {
    struct parked_query q = {g, 0};
    REQUIRE(thrum_g_each(rt, parked_each, &q) >= 0);
    if (q.parked)
      return;
    /* EAGAIN: it has not ended, so it may still park */
    REQUIRE_EQ(thrum_join(rt, g, THRUM_TRY), THRUM_EAGAIN);
    if (thrum_self())
      REQUIRE_EQ(thrum_yield(), 0);
    else
      sched_yield();
  }
}

/* ---- actors: the same function as a G or as a thread of the host --------- */

struct actor {
  thrum_fn fn;
  void* arg;
  int is_thread;
  thrum_g g;
  pthread_t thread;
  word tid;
  thrum_wg* done;
};

static inline void actor_body(void* arg) {
  struct actor* a = arg;
  thrum_wg* done = a->done;
  set(&a->tid, thread_id());
  a->fn(a->arg);
  CHECK_EQ(thrum_wg_done(done), 0);
}
static inline void* actor_thread(void* arg) {
  actor_body(arg);
  return NULL;
}

/* rt: for a G started from outside; NULL inside. `done` counts those that have
 * not finished. */
static inline void actor_start(struct actor* a, thrum_rt* rt, int is_thread,
                               thrum_wg* done, thrum_fn fn, void* arg) {
  memset(a, 0, sizeof *a);
  a->fn = fn;
  a->arg = arg;
  a->is_thread = is_thread;
  a->done = done;
  REQUIRE_EQ(thrum_wg_add(done, 1), 0);
  if (is_thread)
    REQUIRE_EQ(pthread_create(&a->thread, NULL, actor_thread, a), 0);
  else
    a->g = go_in(rt, actor_body, a);
}

/* After thrum_wg_wait(done): a G is joined as such, a thread has nothing left
 * to do and its join is short. */
static inline void actor_join(struct actor* a, thrum_rt* rt) {
  if (a->is_thread)
    REQUIRE_EQ(pthread_join(a->thread, NULL), 0);
  else
    REQUIRE_EQ(thrum_join(rt, a->g, THRUM_FOREVER), 0);
}

/* The state letter of a thread of this process ('S': it sleeps), 0 if it cannot
 * be read. */
static inline char thread_state(int tid) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
  FILE* f = fopen(path, "re");
  if (!f)
    return 0;
  size_t n = fread(text, 1, sizeof text - 1, f);
  fclose(f);
  text[n] = 0;
  const char* p = strrchr(text, ')');
  return p && p[1] ? p[2] : 0;
}

/* Waits until the thread sleeps, seen so several times in a row: it does
 * nothing but the one wait under test. */
static inline void wait_asleep(const word* tid) {
  while (get(tid) == 0)
    sched_yield();
  for (int seen = 0; seen < 5;) {
    seen = thread_state((int)get(tid)) == 'S' ? seen + 1 : 0;
    check_pause();
  }
}

#endif
