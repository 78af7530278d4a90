/* gs.c: green threads: spawn and join, handles, drop, cancel, shield, limit,
 * affinity, blocking, errno, floating point, the allocator. */
#include "../support/check.h"

#include <fcntl.h>
#include <limits.h>
#include <thrum/thrum.h>

#include "../support/preempt.h"
#include "../support/rt.h"

#if CHECK_ASAN || CHECK_TSAN
/* Where a sanitizer serves thrum_alloc, a request that no memory can meet is to
 * be answered, not fatal. */
const char* __asan_default_options(void);
const char* __tsan_default_options(void);
const char* __asan_default_options(void) {
  return "allocator_may_return_null=1";
}
const char* __tsan_default_options(void) {
  return "allocator_may_return_null=1";
}
#endif

static void nothing(void* arg) { (void)arg; }
static void count_up(void* arg) { add(arg, 1); }
static void recv_one(void* arg) {
  char c;
  thrum_chan_recv(arg, &c, THRUM_FOREVER);
}

/* ---- spawn and join ------------------------------------------------------ */

struct selfie {
  thrum_g self;
  thrum_rt* rt;
  void* arg;
  word ran;
};
static void take_selfie(void* arg) {
  struct selfie* s = arg;
  s->self = thrum_self();
  s->rt = thrum_rt_current();
  s->arg = arg;
  add(&s->ran, 1);
}
static void spawn_and_join(void* arg) {
  (void)arg;
  struct selfie s;
  memset(&s, 0, sizeof s);
  thrum_g g = 0;
  CHECK_EQ(thrum_spawn(NULL, NULL, take_selfie, &s, &g), 0);
  CHECK(g != 0);
  CHECK_EQ(thrum_join(NULL, g, THRUM_FOREVER), 0);
  CHECK_EQ(s.ran, 1);
  CHECK(s.self == g);
  CHECK(s.rt == thrum_rt_current());
  CHECK(s.arg == &s);
  CHECK(thrum_self() != g && thrum_self() != 0);
  /* The result stays for ever, whatever the deadline. */
  CHECK_EQ(thrum_join(NULL, g, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_join(NULL, g, THRUM_TRY), 0);
  CHECK_EQ(thrum_join(NULL, g, -1), 0);
  CHECK_EQ(thrum_join(thrum_rt_current(), g, 1), 0);
  /* Neither options nor a handle are needed. */
  CHECK_EQ(thrum_spawn(thrum_rt_current(), NULL, take_selfie, &s, NULL), 0);
  yield_until(&s.ran, 2);
}
TEST(spawn_join) {
  CHECK(thrum_self() == 0);
  everywhere(spawn_and_join, NULL);
}

static void join_waits(void* arg) {
  (void)arg;
  thrum_chan* ch;
  REQUIRE_EQ(thrum_chan_new(1, 0, &ch), 0);
  thrum_g g = go(recv_one, ch);
  CHECK_EQ(thrum_join(NULL, g, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_join(NULL, g, 1), THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_join(NULL, g, -1), THRUM_ETIMEDOUT);
  int64_t deadline = thrum_after(3 * MS);
  CHECK_EQ(thrum_join(NULL, g, deadline), THRUM_ETIMEDOUT);
  CHECK_LE(deadline, thrum_now());
  CHECK_EQ(thrum_chan_send(ch, "x", THRUM_FOREVER), 0);
  CHECK_EQ(thrum_join(NULL, g, THRUM_FOREVER), 0);
  thrum_chan_release(ch);
}
TEST(join_deadlines) { everywhere(join_waits, NULL); }

static void join_refuses(void* arg) {
  (void)arg;
  CHECK_EQ(thrum_join(NULL, thrum_self(), THRUM_FOREVER), THRUM_EDEADLOCK);
  CHECK_EQ(thrum_join(NULL, 0, THRUM_FOREVER), THRUM_EINVAL);
  CHECK_EQ(thrum_join(NULL, ~(thrum_g)0, THRUM_FOREVER), THRUM_EINVAL);
  CHECK_EQ(thrum_yield(), 0);
}
TEST(join_refused) {
  everywhere(join_refuses, NULL);
  CHECK_EQ(thrum_join(NULL, 1, THRUM_FOREVER), THRUM_EINVAL);
}

/* Many may join one G: Gs of its runtime, Gs of another, threads. */
struct join_job {
  thrum_rt* rt;
  thrum_g g;
  word *ended, *joined;
};
static void do_join(void* arg) {
  struct join_job* j = arg;
  CHECK_EQ(thrum_join(j->rt, j->g, THRUM_FOREVER), 0);
  CHECK_EQ(get(j->ended), 1);
  add(j->joined, 1);
}
struct waits_then_ends {
  thrum_chan* ch;
  word ended;
};
static void wait_then_end(void* arg) {
  struct waits_then_ends* w = arg;
  char c;
  CHECK_EQ(thrum_chan_recv(w->ch, &c, THRUM_FOREVER), 0);
  set(&w->ended, 1);
}
static void join_from_here(void* arg) {
  struct join_job* j = arg;
  thrum_g g[8];
  for (int i = 0; i < 8; i++)
    g[i] = go(do_join, j);
  for (int i = 0; i < 8; i++)
    join_g(g[i]);
}
static void* join_from_other_runtime(void* arg) {
  in_rt(RT_P2, join_from_here, arg);
  return NULL;
}
static void* join_from_thread(void* arg) {
  do_join(arg);
  return NULL;
}
TEST(join_by_many) {
  for (int round = 0; round < ROUNDS(20); round++) {
    thrum_rt* rt = rt_make(RT_P2);
    struct waits_then_ends w = {NULL, 0};
    word joined = 0;
    REQUIRE_EQ(thrum_chan_new(1, 0, &w.ch), 0);
    struct join_job j = {rt, go_in(rt, wait_then_end, &w), &w.ended, &joined};
    for (int i = 0; i < 8; i++)
      go_in(rt, do_join, &j);
    pthread_t t[4], other;
    for (int i = 0; i < 4; i++)
      REQUIRE_EQ(pthread_create(&t[i], NULL, join_from_thread, &j), 0);
    REQUIRE_EQ(pthread_create(&other, NULL, join_from_other_runtime, &j), 0);
    CHECK_EQ(thrum_chan_send(w.ch, "x", THRUM_FOREVER), 0);
    for (int i = 0; i < 4; i++)
      pthread_join(t[i], NULL);
    pthread_join(other, NULL);
    while (get(&joined) < 8 + 4 + 8)
      check_pause();
    rt_end(rt);
    thrum_chan_release(w.ch);
  }
}

/* A tree of Gs: each joins its children, each leaf counts. */
struct tree {
  int depth;
  word* leaves;
};
static void grow_tree(void* arg) {
  struct tree* t = arg;
  if (t->depth == 0) {
    add(t->leaves, 1);
    return;
  }
  struct tree sub = {t->depth - 1, t->leaves};
  thrum_g g[3];
  for (int i = 0; i < 3; i++)
    g[i] = go(grow_tree, &sub);
  for (int i = 0; i < 3; i++)
    join_g(g[i]);
}
TEST(spawn_tree) {
  word leaves = 0;
  struct tree t = {CHECK_SANITIZED ? 5 : 7, &leaves};
  everywhere(grow_tree, &t);
  word want = 6;
  for (int i = 0; i < t.depth; i++)
    want *= 3;
  CHECK_EQ(leaves, want);
}

static void spawn_thousands(void* arg) {
  enum { N = 20000 };
  static thrum_g g[N];
  word n = 0;
  int count = CHECK_TSAN ? 1000 : N;
  (void)arg;
  for (int i = 0; i < count; i++)
    g[i] = go(count_up, &n);
  for (int i = 0; i < count; i++)
    join_g(g[i]);
  CHECK_EQ(n, count);
}
TEST(spawn_many_at_once) { everywhere(spawn_thousands, NULL); }

/* ---- options ------------------------------------------------------------- */

struct newer_opts {
  thrum_spawn_opts known;
  uint64_t later[2];
};
static void try_options(void* arg) {
  word n = 0, dropped = 0;
  thrum_g g = 0;
  struct newer_opts o;
  (void)arg;
  memset(&o, 0, sizeof o);
  /* struct_size 0 */
  CHECK_EQ(thrum_spawn(NULL, &o.known, count_up, &n, &g), THRUM_EINVAL);
  o.known.struct_size = sizeof o;
  CHECK_EQ(thrum_spawn(NULL, &o.known, count_up, &n, &g), 0);
  join_g(g);
  o.known.drop = count_up;
  for (int i = 0; i < 2; i++) {
    memset(o.later, 0, sizeof o.later);
    o.later[i] = 1;
    CHECK_EQ(thrum_spawn(NULL, &o.known, count_up, &dropped, &g), THRUM_E2BIG);
  }
  /* An older program's struct ends early; what lies behind is not read. */
  memset(&o, 0xff, sizeof o);
  o.known.struct_size = 8;
  o.known.affinity = THRUM_PIN_STARTED;
  CHECK_EQ(thrum_spawn(NULL, &o.known, count_up, &n, &g), 0);
  join_g(g);
  CHECK_EQ(n, 2);
  static const uint32_t bad_affinity[] = {3, 4, 5, 0x80000000u, UINT32_MAX};
  static const uint32_t bad_priority[] = {3, 4, 5, 0x80000000u, UINT32_MAX};
  static const uint32_t bad_flags[] = {2, 4, 3, 0x80000000u, UINT32_MAX};
  for (int i = 0; i < 5; i++) {
    thrum_spawn_opts s = spawn_opts();
    s.drop = count_up;
    s.affinity = bad_affinity[i];
    CHECK_EQ(thrum_spawn(NULL, &s, count_up, &dropped, &g), THRUM_EINVAL);
    s.affinity = 0;
    s.priority = bad_priority[i];
    CHECK_EQ(thrum_spawn(NULL, &s, count_up, &dropped, &g), THRUM_EINVAL);
    s.priority = 0;
    s.flags = bad_flags[i];
    CHECK_EQ(thrum_spawn(NULL, &s, count_up, &dropped, &g), THRUM_EINVAL);
  }
  thrum_spawn_opts s = spawn_opts();
  s.drop = count_up;
  CHECK_EQ(thrum_spawn(NULL, &s, NULL, &dropped, &g), THRUM_EINVAL);
  s.stack_size = (uint64_t)1 << 62;
  int rc = thrum_spawn(NULL, &s, count_up, &dropped, &g);
  CHECK_MSG(rc == THRUM_ENOMEM || rc == THRUM_EINVAL,
            "a stack of 2^62 bytes: %d", rc);
  CHECK_EQ(dropped, 0); /* a spawn that fails drops nothing */
  for (uint32_t p = 0; p <= THRUM_PRIO_LOW; p++) {
    s = spawn_opts();
    s.priority = p;
    s.flags = THRUM_G_HIBERNATE;
    join_g(go_with(&s, count_up, &n));
  }
  CHECK_EQ(n, 5);
}
TEST(spawn_options) { everywhere(try_options, NULL); }

__attribute__((noinline)) static int use_stack(size_t bytes) {
  volatile char block[4096];
  for (size_t i = 0; i < sizeof block; i += 512)
    block[i] = (char)bytes;
  int deeper =
      bytes > sizeof block + 256 ? use_stack(bytes - sizeof block - 256) : 0;
  return deeper + block[512] - block[1024] + 1;
}
static void use_arg_bytes(void* arg) { CHECK(use_stack(*(size_t*)arg) > 0); }
static void use_stacks(void* arg) {
  (void)arg;
  /* Of what was asked for, most is the guest's; a sanitizer's frames are
   * larger. */
  size_t part = CHECK_SANITIZED ? 3 : 2;
  size_t used = 256 * 1024 / part;
  join_g(go(use_arg_bytes, &used));
  static const uint64_t sizes[] = {64 << 10, 128 << 10, 1 << 20, 8 << 20};
  for (size_t i = 0; i < CHECK_COUNT(sizes); i++) {
    thrum_spawn_opts o = spawn_opts();
    o.stack_size = sizes[i];
    used = (size_t)sizes[i] / part;
    thrum_g g[4];
    for (int k = 0; k < 4; k++)
      g[k] = go_with(&o, use_arg_bytes, &used);
    for (int k = 0; k < 4; k++)
      join_g(g[k]);
  }
}
TEST(stack_sizes) { everywhere(use_stacks, NULL); }

/* The least that one may ask for is still enough for a G that does
 * something. */
static void yield_some(void* arg) {
  for (int i = 0; i < 10; i++)
    CHECK_EQ(thrum_yield(), 0);
  add(arg, 1);
}
static void tiny_stacks(void* arg) {
  (void)arg;
  word n = 0;
  thrum_spawn_opts o = spawn_opts();
  o.stack_size = 1;
  join_g(go_with(&o, yield_some, &n));
  CHECK_EQ(n, 1);
}
TEST(stack_size_has_a_floor) {
  if (CHECK_SANITIZED)
    SKIP("a sanitizer's frames need more than the smallest stack");
  everywhere(tiny_stacks, NULL);
}

static void name_freely(void* arg) {
  (void)arg;
  word n = 0;
  char* name = malloc(100001);
  for (size_t length = 0; length <= 100000; length = length * 10 + 1) {
    memset(name, 'n', length);
    name[length] = 0;
    thrum_spawn_opts o = spawn_opts();
    o.name = name;
    thrum_g g = go_with(&o, count_up, &n);
    memset(name, 'X', length); /* copied */
    join_g(g);
  }
  strcpy(name, "\033[31m\"quoted\"\n%s%n\xff");
  thrum_spawn_opts o = spawn_opts();
  o.name = name;
  join_g(go_with(&o, count_up, &n));
  free(name);
  CHECK_EQ(n, 7);
}
TEST(names_are_copied) { everywhere(name_freely, NULL); }

/* ---- handles ------------------------------------------------------------- */

static int by_value(const void* a, const void* b) {
  thrum_g x = *(const thrum_g*)a, y = *(const thrum_g*)b;
  return x < y ? -1 : x > y;
}
/* One after the other in the same slots: no handle comes twice, and each old
 * one stays an answer. */
static void reuse(void* arg) {
  enum { N = 20000 };
  static thrum_g g[N];
  (void)arg;
  int n = ROUNDS(N);
  for (int i = 0; i < n; i++) {
    g[i] = go(nothing, NULL);
    join_g(g[i]);
  }
  thrum_chan* ch;
  REQUIRE_EQ(thrum_chan_new(1, 0, &ch), 0);
  thrum_g living = go(recv_one, ch); /* sits in a slot that many of them had */
  for (int i = 0; i < n; i++) {
    CHECK_EQ(thrum_join(NULL, g[i], THRUM_TRY), 0);
    CHECK_EQ(thrum_cancel(NULL, g[i]), THRUM_ESTALE);
  }
  /* none of that was for it */
  CHECK_EQ(thrum_join(NULL, living, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_chan_send(ch, "x", SOON), 0);
  join_g(living);
  thrum_chan_release(ch);
  qsort(g, (size_t)n, sizeof *g, by_value);
  for (int i = 1; i < n; i++)
    CHECK(g[i] != g[i - 1]);
}
TEST(generations) { everywhere(reuse, NULL); }

struct forgery {
  thrum_chan* ch;
  word parked, untouched;
};
static void forgery_target(void* arg) {
  struct forgery* f = arg;
  char c;
  add(&f->parked, 1);
  CHECK_EQ(thrum_chan_recv(f->ch, &c, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_cancelled(), 0);
  CHECK_EQ(thrum_park("has no permit", THRUM_TRY), THRUM_EAGAIN);
  add(&f->untouched, 1);
}
static void refuse_handle(thrum_rt* rt, thrum_g forged, const thrum_g* living,
                          int n) {
  for (int i = 0; i < n; i++)
    if (forged == living[i])
      return;
  int rc = thrum_cancel(rt, forged);
  CHECK_MSG(rc == THRUM_EINVAL || rc == THRUM_ESTALE,
            "cancel of 0x%" PRIx64 ": %d", forged, rc);
  rc = thrum_unpark(rt, forged);
  CHECK_MSG(rc == THRUM_EINVAL || rc == THRUM_ESTALE,
            "unpark of 0x%" PRIx64 ": %d", forged, rc);
  rc = thrum_join(rt, forged, THRUM_TRY);
  CHECK_MSG(rc == THRUM_EINVAL || rc == 0, "join of 0x%" PRIx64 ": %d", forged,
            rc);
}
TEST(forged_handles) {
  enum { TARGETS = 16, FORGED = 1000000 };
  thrum_rt* rt = rt_make(RT_P2);
  struct forgery f = {NULL, 0, 0};
  REQUIRE_EQ(thrum_chan_new(1, 0, &f.ch), 0);
  thrum_g living[TARGETS];
  for (int i = 0; i < TARGETS; i++)
    living[i] = go_in(rt, forgery_target, &f);
  while (get(&f.parked) < TARGETS)
    check_pause();
  uint64_t seed = 20240817;
  for (int i = 0; i < ROUNDS(FORGED); i++)
    refuse_handle(rt, draw(&seed), living, TARGETS);
  for (thrum_g small = 0; small < 4096; small++)
    refuse_handle(rt, small, living, TARGETS);
  for (int i = 0; i < TARGETS; i++) {
    for (int bit = 0; bit < 64; bit++)
      refuse_handle(rt, living[i] ^ ((thrum_g)1 << bit), living, TARGETS);
    for (int d = 1; d < 1000; d++) {
      refuse_handle(rt, living[i] + (thrum_g)d, living, TARGETS);
      refuse_handle(rt, living[i] - (thrum_g)d, living, TARGETS);
      refuse_handle(rt, living[i] + ((thrum_g)d << 32), living, TARGETS);
    }
  }
  for (int i = 0; i < TARGETS; i++)
    CHECK_EQ(thrum_chan_send(f.ch, "x", SOON), 0);
  for (int i = 0; i < TARGETS; i++)
    CHECK_EQ(thrum_join(rt, living[i], SOON), 0);
  CHECK_EQ(f.untouched, TARGETS);
  rt_end(rt);
  thrum_chan_release(f.ch);
}

/* A handle says whose it is. */
TEST(handles_of_another_runtime) {
  thrum_rt *a = rt_make(RT_P1), *b = rt_make(RT_P1);
  thrum_chan* ch;
  REQUIRE_EQ(thrum_chan_new(1, 0, &ch), 0);
  thrum_g ga = go_in(a, recv_one, ch), gb = go_in(b, recv_one, ch);
  CHECK(ga != gb);
  CHECK_EQ(thrum_join(a, gb, THRUM_TRY), THRUM_EINVAL);
  CHECK_EQ(thrum_join(b, ga, THRUM_FOREVER), THRUM_EINVAL);
  CHECK_EQ(thrum_cancel(a, gb), THRUM_EINVAL);
  CHECK_EQ(thrum_cancel(b, ga), THRUM_EINVAL);
  CHECK_EQ(thrum_chan_send(ch, "x", SOON), 0);
  CHECK_EQ(thrum_chan_send(ch, "x", SOON), 0);
  CHECK_EQ(thrum_join(a, ga, SOON), 0);
  CHECK_EQ(thrum_join(b, gb, SOON), 0);
  /* also when it has ended */
  CHECK_EQ(thrum_join(b, ga, THRUM_TRY), THRUM_EINVAL);
  rt_end(a);
  rt_end(b);
  thrum_chan_release(ch);
}

/* ---- drop ---------------------------------------------------------------- */

struct dropping {
  thrum_chan* ch;
  thrum_g ran_as, dropped_as;
  word in_drop, dropped, fn_ended;
};
static void drop_fn(void* arg) {
  struct dropping* d = arg;
  d->ran_as = thrum_self();
  set(&d->fn_ended, 1);
}
static void slow_drop(void* arg) {
  struct dropping* d = arg;
  char c;
  CHECK_EQ(get(&d->fn_ended), 1);
  d->dropped_as = thrum_self();
  set(&d->in_drop, 1);
  CHECK_EQ(thrum_yield(), 0);
  CHECK_EQ(thrum_sleep(1000), 0);
  /* shielded: the cancel below does not end it */
  CHECK_EQ(thrum_chan_recv(d->ch, &c, THRUM_FOREVER), 0);
  add(&d->dropped, 1);
}
static void watch_drop(void* arg) {
  (void)arg;
  struct dropping d;
  memset(&d, 0, sizeof d);
  REQUIRE_EQ(thrum_chan_new(1, 0, &d.ch), 0);
  thrum_spawn_opts o = spawn_opts();
  o.drop = slow_drop;
  thrum_g g = go_with(&o, drop_fn, &d);
  yield_until(&d.in_drop, 1);
  /* it has not ended before its drop has */
  CHECK_EQ(thrum_join(NULL, g, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_cancel(NULL, g), 0);
  CHECK_EQ(thrum_join(NULL, g, thrum_after(5 * MS)), THRUM_ETIMEDOUT);
  CHECK_EQ(d.dropped, 0);
  CHECK_EQ(thrum_chan_send(d.ch, "x", SOON), 0);
  join_g(g);
  CHECK_EQ(d.dropped, 1);
  CHECK(d.ran_as == g && d.dropped_as == g);
  thrum_chan_release(d.ch);
}
TEST(drop_is_the_last_act) { everywhere(watch_drop, NULL); }

/* The joiner may free what it handed over. */
struct handed_over {
  word value;
};
static void handed_over_fn(void* arg) {
  add(&((struct handed_over*)arg)->value, 1);
}
static void handed_over_drop(void* arg) {
  add(&((struct handed_over*)arg)->value, 1);
}
static void free_after_join(void* arg) {
  (void)arg;
  thrum_spawn_opts o = spawn_opts();
  o.drop = handed_over_drop;
  for (int i = 0; i < ROUNDS(2000); i++) {
    struct handed_over* h = malloc(sizeof *h);
    char* name = malloc(8);
    h->value = 0;
    strcpy(name, "handed");
    o.name = name;
    thrum_g g = go_with(&o, handed_over_fn, h);
    free(name);
    join_g(g);
    CHECK_EQ(h->value, 2);
    h->value = 0x5a5a5a5a;
    free(h);
  }
}
TEST(drop_before_join) { everywhere(free_after_join, NULL); }

TEST(drop_not_on_failure) {
  thrum_rt* rt = rt_make(RT_P2);
  word dropped = 0;
  thrum_spawn_opts o = spawn_opts();
  o.drop = count_up;
  o.flags = 0x80;
  CHECK_EQ(thrum_spawn(rt, &o, nothing, &dropped, NULL), THRUM_EINVAL);
  o.flags = 0;
  o.affinity = THRUM_PIN_M;
  CHECK_EQ(thrum_spawn(rt, &o, nothing, &dropped, NULL), THRUM_ENOTG);
  o.affinity = 0;
  CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_spawn(rt, &o, nothing, &dropped, NULL), THRUM_ECLOSED);
  CHECK_EQ(dropped, 0);
  thrum_rt_free(rt);
}

/* ---- cancel -------------------------------------------------------------- */

enum way {
  RECV,
  SEND,
  SEND_FULL,
  SELECT,
  LOCK,
  RLOCK,
  WLOCK,
  COND,
  WG,
  SEM,
  JOIN,
  SLEEP,
  PARK,
  YIELD,
  CHECKPOINT,
  WAYS
};
static const char* const way_names[WAYS] = {"recv",
                                            "send",
                                            "send into a full buffer",
                                            "select",
                                            "mutex",
                                            "rwmutex (read)",
                                            "rwmutex (write)",
                                            "cond",
                                            "wg",
                                            "sem",
                                            "join",
                                            "sleep",
                                            "park",
                                            "yield",
                                            "check"};

/* Everything that one can wait for, in a state in which the wait does not end
 * by itself. */
struct ways {
  thrum_chan *none, *full;
  thrum_mutex locked, cond_mutex;
  thrum_rwmutex written;
  thrum_cond cond;
  thrum_wg wg;
  thrum_sem sem;
  thrum_g other;
};
static void sleeper(void* arg) {
  (void)arg;
  while (thrum_sleep(3600 * SECOND) == 0) {}
}
static void ways_open(struct ways* w) {
  memset(w, 0, sizeof *w);
  REQUIRE_EQ(thrum_chan_new(1, 0, &w->none), 0);
  REQUIRE_EQ(thrum_chan_new(1, 1, &w->full), 0);
  REQUIRE_EQ(thrum_chan_send(w->full, "f", THRUM_TRY), 0);
  REQUIRE_EQ(thrum_mutex_lock(&w->locked, THRUM_TRY), 0);
  REQUIRE_EQ(thrum_rwmutex_lock(&w->written, THRUM_TRY), 0);
  REQUIRE_EQ(thrum_wg_add(&w->wg, 1), 0);
  w->other = go(sleeper, NULL);
}
static void ways_close(struct ways* w) {
  CHECK_EQ(thrum_mutex_unlock(&w->locked), 0);
  CHECK_EQ(thrum_rwmutex_unlock(&w->written), 0);
  CHECK_EQ(thrum_cancel(NULL, w->other), 0);
  join_g(w->other);
  thrum_chan_release(w->none);
  thrum_chan_release(w->full);
}
static int wait_way(struct ways* w, enum way way, int64_t deadline) {
  char c = 'c';
  int rc;
  switch (way) {
    case RECV:
      return thrum_chan_recv(w->none, &c, deadline);
    case SEND:
      return thrum_chan_send(w->none, &c, deadline);
    case SEND_FULL:
      return thrum_chan_send(w->full, &c, deadline);
    case SELECT: {
      thrum_case arms[3] = {{w->none, &c, THRUM_RECV, 0},
                            {w->full, &c, THRUM_SEND, 0},
                            {NULL, &c, THRUM_RECV, 0}};
      return thrum_select(arms, 3, deadline);
    }
    case LOCK:
      return thrum_mutex_lock(&w->locked, deadline);
    case RLOCK:
      return thrum_rwmutex_rlock(&w->written, deadline);
    case WLOCK:
      return thrum_rwmutex_lock(&w->written, deadline);
    case COND:
      REQUIRE_EQ(thrum_mutex_lock(&w->cond_mutex, THRUM_FOREVER), 0);
      rc = thrum_cond_wait(&w->cond, &w->cond_mutex, deadline);
      CHECK_EQ(thrum_mutex_unlock(&w->cond_mutex), 0);
      return rc;
    case WG:
      return thrum_wg_wait(&w->wg, deadline);
    case SEM:
      return thrum_sem_acquire(&w->sem, deadline);
    case JOIN:
      return thrum_join(NULL, w->other, deadline);
    case SLEEP:
      return thrum_sleep(3600 * SECOND);
    case PARK:
      return thrum_park("a test", deadline);
    case YIELD:
      do
        rc = thrum_yield();
      while (rc == 0);
      return rc;
    case CHECKPOINT:
      /* others run, and it is the check that is told */
      while ((rc = thrum_check()) == 0) {
        thrum_shield(1);
        thrum_yield();
        thrum_shield(-1);
      }
      return rc;
    default:
      return 0;
  }
}

struct cancel_case {
  struct ways* w;
  enum way way;
  int64_t deadline;
  word about;
  int result, cancelled_before, cancelled_after, second, cleared, cleared_again;
};
static void cancel_victim(void* arg) {
  struct cancel_case* c = arg;
  c->cancelled_before = thrum_cancelled();
  add(&c->about, 1);
  c->result = wait_way(c->w, c->way, c->deadline);
  c->cancelled_after = thrum_cancelled();
  c->second = thrum_sleep(1000); /* one request: it is used up */
  c->cleared = thrum_cancel_clear();
  c->cleared_again = thrum_cancel_clear();
  CHECK_EQ(thrum_cancelled(), 0);
}
static void cancel_each_wait(void* arg) {
  int times = *(int*)arg;
  for (enum way way = RECV; way < WAYS; way++)
    for (int finite = 0; finite < 2; finite++) {
      /* not interruptible: see below */
      if (!finite && (way == LOCK || way == RLOCK || way == WLOCK))
        continue;
      struct ways w;
      ways_open(&w);
      struct cancel_case c = {
          &w, way, finite ? thrum_after(1800 * SECOND) : THRUM_FOREVER,
          0,  0,   0,
          0,  0,   0,
          0};
      thrum_g g = go(cancel_victim, &c);
      yield_until(&c.about, 1);
      /* requests do not count up */
      for (int i = 0; i < times; i++)
        CHECK_EQ(thrum_cancel(NULL, g), 0);
      join_g(g);
      CHECK_MSG(c.result == THRUM_ECANCELED, "a cancelled %s answers %d",
                way_names[way], c.result);
      CHECK_EQ(c.cancelled_before, 0);
      CHECK_MSG(c.cancelled_after == 1, "after %s, thrum_cancelled() is %d",
                way_names[way], c.cancelled_after);
      CHECK_MSG(c.second == 0, "after %s, the second wait answers %d",
                way_names[way], c.second);
      CHECK_EQ(c.cleared, 1);
      CHECK_EQ(c.cleared_again, 0);
      CHECK_EQ(thrum_cancel(NULL, g), THRUM_ESTALE);
      /* Nobody waits any more: these would find the one that gave up. */
      char x;
      CHECK_EQ(thrum_chan_send(w.none, "x", THRUM_TRY), THRUM_EAGAIN);
      CHECK_EQ(thrum_chan_recv(w.none, &x, THRUM_TRY), THRUM_EAGAIN);
      CHECK_EQ(thrum_chan_recv(w.full, &x, THRUM_TRY), 0);
      CHECK(x == 'f');
      CHECK_EQ(thrum_chan_recv(w.full, &x, THRUM_TRY), THRUM_EAGAIN);
      ways_close(&w);
      CHECK_EQ(thrum_mutex_lock(&w.locked, THRUM_TRY), 0);
      CHECK_EQ(thrum_rwmutex_lock(&w.written, THRUM_TRY), 0);
    }
}
TEST(cancel_ends_every_wait) {
  int times = 1;
  in_sequence(cancel_each_wait, &times);
  on_threads(cancel_each_wait, &times);
}
TEST(cancel_requests_do_not_add_up) {
  int times = 3;
  in_sequence(cancel_each_wait, &times);
}

/* Not interruptible: they get the lock, and the request is still there for the
 * next wait. */
struct stubborn_lock {
  thrum_mutex m;
  thrum_rwmutex rw;
  thrum_cond c;
  thrum_once once;
  thrum_chan* ch;
  int how, result, cancelled, next;
  word about;
};
static void once_slow(void* arg) {
  struct stubborn_lock* s = arg;
  char c;
  CHECK_EQ(thrum_chan_recv(s->ch, &c, THRUM_FOREVER), 0);
}
static void once_first(void* arg) {
  struct stubborn_lock* s = arg;
  add(&s->about, 1);
  CHECK_EQ(thrum_once_do(&s->once, once_slow, s), 0);
}
static void lock_stubbornly(void* arg) {
  struct stubborn_lock* s = arg;
  if (s->how == 3)
    REQUIRE_EQ(thrum_mutex_lock(&s->m, THRUM_FOREVER), 0);
  add(&s->about, 1);
  switch (s->how) {
    case 0:
      s->result = thrum_mutex_lock(&s->m, THRUM_FOREVER);
      break;
    case 1:
      s->result = thrum_rwmutex_rlock(&s->rw, THRUM_FOREVER);
      break;
    case 2:
      s->result = thrum_rwmutex_lock(&s->rw, THRUM_FOREVER);
      break;
    case 3:
      s->result = thrum_cond_wait(&s->c, &s->m, THRUM_FOREVER);
      break;
    case 4:
      s->result = thrum_once_do(&s->once, once_slow, s);
      break;
  }
  s->cancelled = thrum_cancelled();
  s->next = thrum_sleep(3600 * SECOND);
  switch (s->how) {
    case 0:
    case 3:
      CHECK_EQ(thrum_mutex_unlock(&s->m), 0);
      break;
    case 1:
      CHECK_EQ(thrum_rwmutex_runlock(&s->rw), 0);
      break;
    case 2:
      CHECK_EQ(thrum_rwmutex_unlock(&s->rw), 0);
      break;
  }
}
static void cancel_stubborn(void* arg) {
  (void)arg;
  for (int how = 0; how < 5; how++) {
    struct stubborn_lock s;
    memset(&s, 0, sizeof s);
    s.how = how;
    REQUIRE_EQ(thrum_chan_new(1, 0, &s.ch), 0);
    thrum_g first = 0;
    if (how == 0)
      CHECK_EQ(thrum_mutex_lock(&s.m, THRUM_TRY), 0);
    if (how == 1 || how == 2)
      CHECK_EQ(thrum_rwmutex_lock(&s.rw, THRUM_TRY), 0);
    if (how == 4) {
      first = go(once_first, &s);
      yield_until(&s.about, 1);
      let_others_run();
    }
    thrum_g g = go(lock_stubbornly, &s);
    yield_until(&s.about, how == 4 ? 2 : 1);
    if (how == 3) { /* signalled, and now it wants the mutex back */
      CHECK_EQ(thrum_mutex_lock(&s.m, SOON), 0);
      CHECK_EQ(thrum_cond_signal(&s.c), 0);
    }
    let_others_run();
    CHECK_EQ(thrum_cancel(NULL, g), 0);
    let_others_run();
    CHECK_EQ(thrum_join(NULL, g, THRUM_TRY), THRUM_EAGAIN);
    CHECK_EQ(s.cancelled, 0); /* it has not come back */
    if (how == 0 || how == 3)
      CHECK_EQ(thrum_mutex_unlock(&s.m), 0);
    if (how == 1 || how == 2)
      CHECK_EQ(thrum_rwmutex_unlock(&s.rw), 0);
    if (how == 4)
      CHECK_EQ(thrum_chan_send(s.ch, "x", SOON), 0);
    join_g(g);
    if (first)
      join_g(first);
    CHECK_MSG(s.result == 0, "uninterruptible wait %d answers %d", how,
              s.result);
    CHECK_EQ(s.cancelled, 1);
    CHECK_EQ(s.next, THRUM_ECANCELED);
    thrum_chan_release(s.ch);
  }
}
TEST(cancel_does_not_end_these) { in_sequence(cancel_stubborn, NULL); }

/* A wait that was satisfied before the cancel came answers with that; the
 * request is pending. */
struct satisfied {
  struct ways* w;
  enum way way;
  word about;
  int result, next;
};
static void satisfied_victim(void* arg) {
  struct satisfied* s = arg;
  add(&s->about, 1);
  s->result = wait_way(s->w, s->way, THRUM_FOREVER);
  s->next = thrum_yield();
}
static void cancel_after_satisfied(void* arg) {
  (void)arg;
  for (enum way way = RECV; way <= PARK; way++) {
    if (way == SLEEP || way == JOIN || way == LOCK || way == RLOCK ||
        way == WLOCK)
      continue;
    struct ways w;
    ways_open(&w);
    struct satisfied s = {&w, way, 0, 0, 0};
    thrum_g g = go(satisfied_victim, &s);
    yield_until(&s.about, 1);
    char x;
    switch (way) {
      case RECV:
      case SELECT:
        CHECK_EQ(thrum_chan_send(w.none, "x", THRUM_TRY), 0);
        break;
      case SEND:
        CHECK_EQ(thrum_chan_recv(w.none, &x, THRUM_TRY), 0);
        break;
      case SEND_FULL:
        CHECK_EQ(thrum_chan_recv(w.full, &x, THRUM_TRY), 0);
        break;
      case COND:
        CHECK_EQ(thrum_cond_signal(&w.cond), 0);
        break;
      case WG:
        CHECK_EQ(thrum_wg_done(&w.wg), 0);
        break;
      case SEM:
        CHECK_EQ(thrum_sem_release(&w.sem, 1), 0);
        break;
      case PARK:
        CHECK_EQ(thrum_unpark(NULL, g), 0);
        break;
      default:
        break;
    }
    CHECK_EQ(thrum_cancel(NULL, g), 0); /* it has not run since */
    join_g(g);
    CHECK_MSG(s.result >= 0, "%s, satisfied and then cancelled, answers %d",
              way_names[way], s.result);
    CHECK_MSG(s.next == THRUM_ECANCELED, "the yield after %s answers %d",
              way_names[way], s.next);
    if (way == SEND_FULL)
      CHECK_EQ(thrum_chan_len(w.full), 1);
    ways_close(&w);
  }
}
TEST(cancel_after_the_fact) { in_sequence(cancel_after_satisfied, NULL); }

/* With a request pending, what can be done at once is done. */
static void complete_at_once(void* arg) {
  struct ways* w = arg;
  char c = 'c';
  CHECK_EQ(thrum_cancel(NULL, thrum_self()), 0);
  CHECK_EQ(thrum_cancelled(), 1);
  thrum_chan* ch;
  REQUIRE_EQ(thrum_chan_new(1, 2, &ch), 0);
  CHECK_EQ(thrum_chan_send(ch, &c, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_chan_recv(ch, &c, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_chan_close(ch), 0);
  CHECK_EQ(thrum_chan_recv(ch, &c, THRUM_FOREVER), THRUM_ECLOSED);
  thrum_case arm = {ch, &c, THRUM_RECV, 1};
  CHECK_EQ(thrum_select(&arm, 1, THRUM_FOREVER), 0);
  CHECK_EQ(arm.result, THRUM_ECLOSED);
  thrum_chan_release(ch);
  thrum_mutex m = THRUM_MUTEX_INIT;
  CHECK_EQ(thrum_mutex_lock(&m, thrum_after(SECOND)), 0);
  CHECK_EQ(thrum_mutex_unlock(&m), 0);
  thrum_rwmutex rw = THRUM_RWMUTEX_INIT;
  CHECK_EQ(thrum_rwmutex_rlock(&rw, thrum_after(SECOND)), 0);
  CHECK_EQ(thrum_rwmutex_runlock(&rw), 0);
  CHECK_EQ(thrum_rwmutex_lock(&rw, thrum_after(SECOND)), 0);
  CHECK_EQ(thrum_rwmutex_unlock(&rw), 0);
  thrum_wg wg = THRUM_WG_INIT;
  CHECK_EQ(thrum_wg_wait(&wg, THRUM_FOREVER), 0);
  thrum_sem sem = THRUM_SEM_INIT;
  CHECK_EQ(thrum_sem_release(&sem, 1), 0);
  CHECK_EQ(thrum_sem_acquire(&sem, THRUM_FOREVER), 0);
  thrum_once once = THRUM_ONCE_INIT;
  word n = 0;
  CHECK_EQ(thrum_once_do(&once, count_up, &n), 0);
  CHECK_EQ(thrum_once_do(&once, count_up, &n), 0);
  CHECK_EQ(thrum_unpark(NULL, thrum_self()), 0);
  CHECK_EQ(thrum_park("has a permit", THRUM_FOREVER), 0);
  thrum_g ended = go(nothing, NULL);
  /* lets it run without using the request up */
  while (thrum_join(NULL, ended, THRUM_TRY) != 0) {
    CHECK(thrum_shield(1) >= 0);
    CHECK_EQ(thrum_yield(), 0);
    CHECK(thrum_shield(-1) >= 0);
  }
  CHECK_EQ(thrum_join(NULL, ended, THRUM_FOREVER), 0);
  /* THRUM_TRY does not use it up either, and says what it always says. */
  CHECK_EQ(thrum_chan_recv(w->none, &c, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_chan_send(w->full, &c, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_mutex_lock(&w->locked, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_rwmutex_rlock(&w->written, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_rwmutex_lock(&w->written, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_wg_wait(&w->wg, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_sem_acquire(&w->sem, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_join(NULL, w->other, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_park("no permit", THRUM_TRY), THRUM_EAGAIN);
  thrum_case arms[2] = {{w->none, &c, THRUM_RECV, 0},
                        {w->full, &c, THRUM_SEND, 0}};
  CHECK_EQ(thrum_select(arms, 2, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_cancelled(), 1);
  CHECK_EQ(thrum_yield(), THRUM_ECANCELED); /* there it is */
  CHECK_EQ(thrum_yield(), 0);
  CHECK_EQ(thrum_cancelled(), 1); /* delivered, and not cleared since */
  CHECK_EQ(thrum_cancel_clear(), 1);
  CHECK_EQ(thrum_cancelled(), 0);
  CHECK_EQ(thrum_cancel_clear(), 0);
}
static void pending_cancel(void* arg) {
  (void)arg;
  struct ways w;
  ways_open(&w);
  join_g(go(complete_at_once, &w));
  ways_close(&w);
}
TEST(cancel_pending) { everywhere(pending_cancel, NULL); }

static void take_back(void* arg) {
  (void)arg;
  thrum_g me = thrum_self();
  CHECK_EQ(thrum_cancelled(), 0);
  CHECK_EQ(thrum_cancel_clear(), 0);
  CHECK_EQ(thrum_cancel(NULL, me), 0);
  CHECK_EQ(thrum_cancel_clear(), 1);
  CHECK_EQ(thrum_yield(), 0); /* it is gone */
  CHECK_EQ(thrum_sleep(1000), 0);
  /* After a delivered one a second is a new request. */
  CHECK_EQ(thrum_cancel(NULL, me), 0);
  CHECK_EQ(thrum_check(), THRUM_ECANCELED);
  CHECK_EQ(thrum_check(), 0);
  CHECK_EQ(thrum_cancel(NULL, me), 0);
  CHECK_EQ(thrum_sleep(3600 * SECOND), THRUM_ECANCELED);
  CHECK_EQ(thrum_sleep(1000), 0);
  CHECK_EQ(thrum_cancel_clear(), 1);
  CHECK_EQ(thrum_cancel_clear(), 0);
}
TEST(cancel_clear) { everywhere(take_back, NULL); }

struct early_cancel {
  int first, second;
};
static void cancelled_before_start(void* arg) {
  struct early_cancel* e = arg;
  e->first = thrum_sleep(3600 * SECOND);
  e->second = thrum_sleep(1000);
}
static void cancel_unstarted(void* arg) {
  (void)arg;
  struct early_cancel e = {1, 1};
  thrum_g g = go(cancelled_before_start, &e);
  CHECK_EQ(thrum_cancel(NULL, g), 0);
  join_g(g);
  CHECK_EQ(e.first, THRUM_ECANCELED);
  CHECK_EQ(e.second, 0);
}
TEST(cancel_before_it_began) { in_sequence(cancel_unstarted, NULL); }

TEST(cancel_from_a_thread) {
  thrum_rt* rt = rt_make(RT_P2);
  for (int i = 0; i < ROUNDS(500); i++) {
    struct early_cancel e = {1, 1};
    thrum_g g = go_in(rt, cancelled_before_start, &e);
    CHECK_EQ(thrum_cancel(rt, g), 0);
    CHECK_EQ(thrum_join(rt, g, THRUM_FOREVER), 0);
    CHECK_EQ(e.first, THRUM_ECANCELED);
    CHECK_EQ(e.second, 0);
  }
  rt_end(rt);
}

/* ---- shield and limit ---------------------------------------------------- */

struct shielded {
  struct ways* w;
  enum way way;
  word about;
  int result, next;
};
static void shielded_victim(void* arg) {
  struct shielded* s = arg;
  CHECK(thrum_shield(1) >= 0);
  CHECK(thrum_shield(1) >= 0);
  CHECK(thrum_shield(-1) >= 0); /* nests: one is left */
  add(&s->about, 1);
  s->result = s->way == SLEEP ? thrum_sleep(2 * MS)
                              : wait_way(s->w, s->way, thrum_after(2 * MS));
  CHECK_EQ(thrum_yield(), 0);
  CHECK_EQ(thrum_check(), 0);
  CHECK_EQ(thrum_cancelled(), 1);
  CHECK(thrum_shield(-1) >= 0);
  s->next = thrum_sleep(3600 * SECOND);
}
static void cancel_shielded(void* arg) {
  (void)arg;
  for (enum way way = RECV; way <= PARK; way++) {
    struct ways w;
    ways_open(&w);
    struct shielded s = {&w, way, 0, 0, 0};
    thrum_g g = go(shielded_victim, &s);
    yield_until(&s.about, 1);
    CHECK_EQ(thrum_cancel(NULL, g), 0);
    join_g(g);
    CHECK_MSG(s.result == (way == SLEEP ? 0 : THRUM_ETIMEDOUT),
              "a shielded %s answers %d", way_names[way], s.result);
    CHECK_EQ(s.next, THRUM_ECANCELED); /* postponed, not lost */
    ways_close(&w);
  }
}
TEST(shield_postpones_cancel) { in_sequence(cancel_shielded, NULL); }

static void shield_below_zero(void* arg) {
  (void)arg;
  CHECK(thrum_shield(-1) < 0);
  CHECK(thrum_shield(1) >= 0);
  CHECK(thrum_shield(-1) >= 0);
  CHECK(thrum_shield(-1) < 0);
  /* It did not go below: a cancel still ends a wait, one shield still holds it
   * off. */
  CHECK_EQ(thrum_cancel(NULL, thrum_self()), 0);
  CHECK(thrum_shield(1) >= 0);
  CHECK_EQ(thrum_yield(), 0);
  CHECK(thrum_shield(-1) >= 0);
  CHECK_EQ(thrum_yield(), THRUM_ECANCELED);
}
TEST(shield_nests) { everywhere(shield_below_zero, NULL); }

static void limit_waits(void* arg) {
  (void)arg;
  for (enum way way = RECV; way <= PARK; way++) {
    /* with a deadline: below */
    if (way == LOCK || way == RLOCK || way == WLOCK)
      continue;
    struct ways w;
    ways_open(&w);
    int64_t limit = thrum_after(2 * MS);
    CHECK_EQ(thrum_limit(limit), THRUM_FOREVER);
    int rc = wait_way(&w, way, THRUM_FOREVER);
    CHECK_MSG(rc == THRUM_ETIMEDOUT, "%s beyond its limit answers %d",
              way_names[way], rc);
    CHECK_LE(limit, thrum_now());
    /* The nearer of limit and deadline counts; a wait that begins after the
     * limit does not begin. */
    rc = wait_way(&w, way, thrum_after(3600 * SECOND));
    CHECK_MSG(rc == THRUM_ETIMEDOUT, "%s after its limit answers %d",
              way_names[way], rc);
    CHECK_EQ(thrum_limit(THRUM_FOREVER), limit);
    int64_t deadline = thrum_after(MS);
    if (way != SLEEP) {
      CHECK_EQ(thrum_limit(thrum_after(3600 * SECOND)), THRUM_FOREVER);
      CHECK_EQ(wait_way(&w, way, deadline), THRUM_ETIMEDOUT);
      CHECK_LE(deadline, thrum_now());
      thrum_limit(THRUM_FOREVER);
    }
    ways_close(&w);
  }
}
TEST(limit_ends_every_wait) { everywhere(limit_waits, NULL); }

static void limit_details(void* arg) {
  (void)arg;
  char c = 'c';
  thrum_chan* ch;
  REQUIRE_EQ(thrum_chan_new(1, 1, &ch), 0);
  CHECK_EQ(thrum_limit(1), THRUM_FOREVER); /* long over */
  /* What can be done at once is done; TRY is TRY. */
  CHECK_EQ(thrum_chan_send(ch, &c, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_chan_recv(ch, &c, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_chan_recv(ch, &c, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_chan_recv(ch, &c, THRUM_FOREVER), THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_sleep(3600 * SECOND), THRUM_ETIMEDOUT);
  /* Above zero no wait ends by limit. */
  CHECK(thrum_shield(1) >= 0);
  CHECK_EQ(thrum_sleep(MS), 0);
  int64_t deadline = thrum_after(MS);
  CHECK_EQ(thrum_chan_recv(ch, &c, deadline), THRUM_ETIMEDOUT);
  CHECK_LE(deadline, thrum_now());
  CHECK(thrum_shield(-1) >= 0);
  CHECK_EQ(thrum_sleep(3600 * SECOND), THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_limit(THRUM_FOREVER), 1);
  CHECK_EQ(thrum_sleep(1000), 0);
  thrum_chan_release(ch);
}
TEST(limit_and_shield) { everywhere(limit_details, NULL); }

struct limited_lock {
  struct ways* w;
  int result[3];
};
static void limited_locks(void* arg) {
  struct limited_lock* l = arg;
  for (int i = 0; i < 3; i++) {
    int64_t limit = thrum_after(2 * MS);
    thrum_limit(limit);
    l->result[i] =
        wait_way(l->w, (enum way)(LOCK + i), thrum_after(3600 * SECOND));
    CHECK_LE(limit, thrum_now());
  }
}
static void limit_locks(void* arg) {
  (void)arg;
  struct ways w;
  ways_open(&w);
  struct limited_lock l = {&w, {0, 0, 0}};
  join_g(go(limited_locks, &l));
  for (int i = 0; i < 3; i++)
    CHECK_EQ(l.result[i], THRUM_ETIMEDOUT);
  ways_close(&w);
}
TEST(limit_ends_lock_waits) { everywhere(limit_locks, NULL); }

/* ---- yield, sleep, check ------------------------------------------------- */

static void many_yields(void* arg) {
  for (int i = 0; i < 1000; i++)
    CHECK_EQ(thrum_yield(), 0);
  add(arg, 1);
}
static void yield_together(void* arg) {
  (void)arg;
  word n = 0;
  thrum_g g[10];
  for (int i = 0; i < 10; i++)
    g[i] = go(many_yields, &n);
  for (int i = 0; i < 10; i++)
    join_g(g[i]);
  CHECK_EQ(n, 10);
  for (int i = 0; i < 1000; i++)
    CHECK_EQ(thrum_check(), 0);
}
TEST(yield_and_check) { everywhere(yield_together, NULL); }

TEST(only_in_a_g) {
  CHECK_EQ(thrum_yield(), THRUM_ENOTG);
  CHECK_EQ(thrum_check(), THRUM_ENOTG);
  CHECK_EQ(thrum_cancelled(), THRUM_ENOTG);
  CHECK_EQ(thrum_cancel_clear(), THRUM_ENOTG);
  CHECK_EQ(thrum_shield(1), THRUM_ENOTG);
  CHECK_EQ(thrum_limit(THRUM_FOREVER), THRUM_ENOTG);
  CHECK_EQ(thrum_enter_blocking(), THRUM_ENOTG);
  CHECK_EQ(thrum_exit_blocking(), THRUM_ENOTG);
  CHECK_EQ(thrum_lock_thread(), THRUM_ENOTG);
  CHECK_EQ(thrum_unlock_thread(), THRUM_ENOTG);
  CHECK(thrum_self() == 0);
}

static void sleep_some(void* arg) {
  (void)arg;
  static const int64_t ns[] = {0, -1, INT64_MIN, 1, 1000, 100000, 3 * MS};
  for (size_t i = 0; i < CHECK_COUNT(ns); i++) {
    int64_t start = thrum_now();
    CHECK_EQ(thrum_sleep(ns[i]), 0);
    CHECK_LE(start + (ns[i] > 0 ? ns[i] : 0), thrum_now());
  }
}
TEST(sleep_is_never_short) {
  everywhere(sleep_some, NULL);
  sleep_some(NULL); /* a thread sleeps too */
}

/* A busy pair does not keep a third one waiting: what a G readies and runs next
 * shares its slice. */
struct chatter {
  thrum_chan *a, *b;
  word stop, rounds;
};
static void chat_left(void* arg) {
  struct chatter* c = arg;
  char x = 'x';
  while (!get(&c->stop)) {
    if (thrum_chan_send(c->a, &x, THRUM_FOREVER) != 0)
      break;
    if (thrum_chan_recv(c->b, &x, THRUM_FOREVER) != 0)
      break;
    add(&c->rounds, 1);
  }
  thrum_chan_close(c->a);
}
static void chat_right(void* arg) {
  struct chatter* c = arg;
  char x;
  while (thrum_chan_recv(c->a, &x, THRUM_FOREVER) == 0)
    if (thrum_chan_send(c->b, &x, THRUM_FOREVER) != 0)
      break;
}
static void third_party(void* arg) {
  (void)arg;
  struct chatter c = {NULL, NULL, 0, 0};
  REQUIRE_EQ(thrum_chan_new(1, 0, &c.a), 0);
  REQUIRE_EQ(thrum_chan_new(1, 0, &c.b), 0);
  thrum_g l = go(chat_left, &c), r = go(chat_right, &c);
  yield_until(&c.rounds, 1);
  int64_t start = real_now();
  for (int i = 0; i < 200; i++)
    CHECK_EQ(thrum_yield(), 0);
  CHECK_LE(real_now() - start, 30 * SECOND); /* 200 slices of 10 ms are 2 s */
  set(&c.stop, 1);
  join_g(l);
  join_g(r);
  thrum_chan_release(c.a);
  thrum_chan_release(c.b);
}
TEST(a_pair_does_not_starve_others) { everywhere(third_party, NULL); }

/* Gs from outside (the global queue) run although local work never ends, and
 * the other way round. */
static void yield_for_ever(void* arg) {
  while (!get(arg) && thrum_yield() == 0) {}
}
TEST(work_from_outside_is_not_starved) {
  thrum_rt* rt = rt_make(RT_P1);
  word stop = 0, n = 0;
  thrum_g busy[4];
  for (int i = 0; i < 4; i++)
    busy[i] = go_in(rt, yield_for_ever, &stop);
  for (int i = 0; i < 200; i++) {
    thrum_g g = go_in(rt, count_up, &n);
    CHECK_EQ(thrum_join(rt, g, SOON), 0);
  }
  CHECK_EQ(n, 200);
  set(&stop, 1);
  for (int i = 0; i < 4; i++)
    CHECK_EQ(thrum_join(rt, busy[i], SOON), 0);
  rt_end(rt);
}

/* Nor by Gs that keep their P for whole slices: when one's slice is over, all that
 * waits comes first, not one G in 61 slices. */
static void check_for_ever(void* arg) {
  while (!get(arg))
    CHECK_EQ(thrum_check(), 0);
}
static void tell_dispatches(void* arg) {
  *(uint64_t*)arg = counts_of(NULL).dispatches;
}
TEST(nor_by_gs_that_compute) {
  const struct rt_kind kind = {"", 1, 0, 0, MS};
  thrum_rt* rt = rt_make(kind);
  word stop = 0;
  thrum_g hog[2], g[50];
  uint64_t since[50], ran[50];
  for (int i = 0; i < 2; i++)
    hog[i] = go_in(rt, check_for_ever, &stop);
  while (counts_of(rt).dispatches < 10)
    check_pause();
  for (int i = 0; i < 50; i++) {
    g[i] = go_in(rt, tell_dispatches, &ran[i]);
    since[i] = counts_of(rt).dispatches; /* it waits */
  }
  for (int i = 0; i < 50; i++) {
    CHECK_EQ(thrum_join(rt, g[i], THRUM_FOREVER), 0);
    CHECK(ran[i] < since[i] + 500);
  }
  set(&stop, 1);
  for (int i = 0; i < 2; i++)
    CHECK_EQ(thrum_join(rt, hog[i], THRUM_FOREVER), 0);
  rt_end(rt);
}

/* ---- where a G runs ------------------------------------------------------ */

struct pinned {
  thrum_chan* ch;
  word* bad;
  int lent; /* a thread on which it must not start; 0: none */
  word first;
};
static void pinned_g(void* arg) {
  struct pinned* p = arg;
  int me = thread_id();
  char c = 'x';
  if (p->lent && me == p->lent)
    add(p->bad, 1);
  set(&p->first, me);
  for (int i = 0; i < 30; i++) {
    CHECK_EQ(thrum_yield(), 0);
    if (thread_id() != me)
      add(p->bad, 1);
    CHECK_EQ(thrum_chan_send(p->ch, &c, THRUM_FOREVER), 0);
    if (thread_id() != me)
      add(p->bad, 1);
    CHECK_EQ(thrum_chan_recv(p->ch, &c, THRUM_FOREVER), 0);
    if (thread_id() != me)
      add(p->bad, 1);
    CHECK_EQ(thrum_sleep(50000), 0);
    if (thread_id() != me)
      add(p->bad, 1);
  }
}
static void pin_started(void* arg) {
  enum { N = 40 };
  static struct pinned p[N];
  thrum_g g[N];
  word bad = 0;
  thrum_chan* ch;
  REQUIRE_EQ(thrum_chan_new(1, 8, &ch), 0);
  thrum_spawn_opts o = spawn_opts();
  o.affinity = THRUM_PIN_STARTED;
  for (int i = 0; i < N; i++) {
    p[i] = (struct pinned){ch, &bad, arg ? *(int*)arg : 0, 0};
    g[i] = go_with(&o, pinned_g, &p[i]);
  }
  for (int i = 0; i < N; i++)
    join_g(g[i]);
  CHECK_MSG(bad == 0, "a pinned G was seen on another thread %d times",
            (int)bad);
  thrum_chan_release(ch);
}
TEST(pin_started_stays) {
  int lent = thread_id();
  on_threads(pin_started, &lent); /* not on the thread that is lent by run */
  in_rt(RT_HOSTED, pin_started, NULL);
}

static void pin_m_children(void* arg) {
  enum { N = 8 };
  struct pinned p[N];
  thrum_g g[N];
  int mine[N];
  word* bad = arg;
  thrum_chan* ch;
  REQUIRE_EQ(thrum_chan_new(1, 8, &ch), 0);
  thrum_spawn_opts o = spawn_opts();
  o.affinity = THRUM_PIN_M;
  for (int i = 0; i < N; i++) {
    p[i] = (struct pinned){ch, bad, 0, 0};
    mine[i] = thread_id();
    g[i] = go_with(&o, pinned_g, &p[i]);
    CHECK_EQ(thrum_yield(), 0);
  }
  for (int i = 0; i < N; i++) {
    join_g(g[i]);
    CHECK_EQ(p[i].first, mine[i]);
  }
  thrum_chan_release(ch);
}
static void pin_m(void* arg) {
  word bad = 0;
  (void)arg;
  pin_m_children(&bad); /* on the lent thread */
  thrum_g g[4];
  for (int i = 0; i < 4; i++)
    g[i] = go(pin_m_children, &bad);
  for (int i = 0; i < 4; i++)
    join_g(g[i]);
  CHECK_EQ(bad, 0);
}
static void pin_m_elsewhere(void* arg) {
  thrum_spawn_opts o = spawn_opts();
  o.affinity = THRUM_PIN_M;
  CHECK_EQ(thrum_spawn(arg, &o, nothing, NULL, NULL), THRUM_ENOTG);
}
TEST(pin_m_stays_with_the_spawner) {
  on_threads(pin_m, NULL);
  in_rt(RT_HOSTED, pin_m, NULL);
  thrum_rt *a = rt_make(RT_P2), *b = rt_make(RT_P2);
  thrum_spawn_opts o = spawn_opts();
  o.affinity = THRUM_PIN_M;
  CHECK_EQ(thrum_spawn(a, &o, nothing, NULL, NULL), THRUM_ENOTG);
  /* a G of another runtime is elsewhere too */
  CHECK_EQ(thrum_run(a, pin_m_elsewhere, b), 0);
  rt_end(a);
  rt_end(b);
}

struct locked {
  word tid; /* the thread that is taken; 0: none */
  word stop, trespass;
  thrum_chan* ch;
};
static void roams(void* arg) {
  struct locked* l = arg;
  while (!get(&l->stop)) {
    word taken = get(&l->tid);
    if (taken && taken == thread_id())
      add(&l->trespass, 1);
    CHECK_EQ(thrum_yield(), 0);
    char c;
    if (thrum_chan_recv(l->ch, &c, THRUM_TRY) == 0)
      CHECK_EQ(thrum_chan_send(l->ch, &c, THRUM_FOREVER), 0);
  }
}
static void locks_thread(void* arg) {
  struct locked* l = arg;
  char c = 'x';
  CHECK_EQ(thrum_unlock_thread(), THRUM_EPERM);
  for (int round = 0; round < 5; round++) {
    CHECK_EQ(thrum_lock_thread(), 0);
    CHECK_EQ(thrum_lock_thread(), 0);
    int me = thread_id();
    set(&l->tid, me);
    CHECK_EQ(thrum_unlock_thread(), 0); /* nests: still locked */
    for (int i = 0; i < 20; i++) {
      CHECK_EQ(thrum_yield(), 0);
      CHECK_EQ(thread_id(), me);
      CHECK_EQ(thrum_sleep(100000), 0);
      CHECK_EQ(thread_id(), me);
      CHECK_EQ(thrum_chan_send(l->ch, &c, THRUM_FOREVER), 0);
      CHECK_EQ(thread_id(), me);
      CHECK_EQ(thrum_chan_recv(l->ch, &c, THRUM_FOREVER), 0);
      CHECK_EQ(thread_id(), me);
    }
    set(&l->tid, 0);
    CHECK_EQ(thrum_unlock_thread(), 0);
    CHECK_EQ(thrum_unlock_thread(), THRUM_EPERM);
    CHECK_EQ(thrum_yield(), 0);
  }
}
static void lock_thread_among_others(void* arg) {
  (void)arg;
  struct locked l = {0, 0, 0, NULL};
  thrum_g other[6];
  REQUIRE_EQ(thrum_chan_new(1, 4, &l.ch), 0);
  for (int i = 0; i < 6; i++)
    other[i] = go(roams, &l);
  join_g(go(locks_thread, &l));
  locks_thread(&l); /* and the first G, which began on a lent thread */
  set(&l.stop, 1);
  for (int i = 0; i < 6; i++)
    join_g(other[i]);
  CHECK_EQ(l.trespass, 0);
  thrum_chan_release(l.ch);
}
TEST(lock_thread_keeps_the_thread) {
  on_threads(lock_thread_among_others, NULL);
}

/* A G may end while it holds its thread; the runtime goes on. */
static void lock_and_leave(void* arg) {
  CHECK_EQ(thrum_lock_thread(), 0);
  CHECK_EQ(thrum_yield(), 0);
  add(arg, 1);
}
static void leave_locked(void* arg) {
  (void)arg;
  word n = 0;
  for (int i = 0; i < 50; i++)
    join_g(go(lock_and_leave, &n));
  CHECK_EQ(n, 50);
}
TEST(lock_thread_until_the_end) { on_threads(leave_locked, NULL); }

/* Its drop still runs locked, and binds another G to the thread, which then
 * stays: else that one would never run. */
static void count_here(void* arg) { add(arg, 1); }
static void drop_binds_another(void* arg) {
  int me = thread_id();
  CHECK_EQ(thrum_sleep(MS), 0);
  CHECK_EQ(thread_id(), me);
  thrum_spawn_opts o = spawn_opts();
  o.affinity = THRUM_PIN_M;
  go_with(&o, count_here, arg);
}
static void leave_locked_with_heirs(void* arg) {
  (void)arg;
  word n = 0;
  thrum_spawn_opts o = spawn_opts();
  o.drop = drop_binds_another;
  for (int i = 0; i < 10; i++)
    join_g(go_with(&o, lock_and_leave, (void*)&n));
  for (int64_t end = SOON; get(&n) < 20 && thrum_now() < end;)
    CHECK_EQ(thrum_sleep(MS), 0);
  CHECK_EQ(get(&n), 20);
}
TEST(lock_thread_until_the_end_and_heirs) {
  on_threads(leave_locked_with_heirs, NULL);
}

/* ---- declared blocking --------------------------------------------------- */

struct blocking {
  int pipe[2];
  thrum_chan* ch;
  word reading;
};
static void blocks_declared(void* arg) {
  struct blocking* b = arg;
  char c = 0;
  CHECK_EQ(thrum_exit_blocking(), THRUM_EPERM);
  CHECK_EQ(thrum_enter_blocking(), 0);
  CHECK_EQ(thrum_enter_blocking(), 0);
  CHECK_EQ(thrum_exit_blocking(), 0); /* nests: still inside */
  set(&b->reading, 1);
  /* blocks this thread until another G writes */
  CHECK_EQ(read(b->pipe[0], &c, 1), 1);
  CHECK(c == 'p');
  /* Calls in between are allowed, parking ones too. */
  CHECK_EQ(thrum_chan_recv(b->ch, &c, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_yield(), 0);
  CHECK_EQ(thrum_sleep(1000), 0);
  CHECK_EQ(read(b->pipe[0], &c, 1), 1);
  CHECK_EQ(thrum_exit_blocking(), 0);
  CHECK_EQ(thrum_exit_blocking(), THRUM_EPERM);
}
static void block_and_help(void* arg) {
  (void)arg;
  for (int i = 0; i < 20; i++) {
    struct blocking b;
    memset(&b, 0, sizeof b);
    REQUIRE_EQ(pipe2(b.pipe, O_CLOEXEC), 0);
    REQUIRE_EQ(thrum_chan_new(1, 0, &b.ch), 0);
    thrum_g g = go(blocks_declared, &b);
    yield_until(&b.reading, 1);
    CHECK_EQ(thrum_sleep(1000), 0); /* timers run on too */
    CHECK_EQ(write(b.pipe[1], "p", 1), 1);
    CHECK_EQ(thrum_chan_send(b.ch, "c", SOON), 0);
    CHECK_EQ(write(b.pipe[1], "q", 1), 1);
    join_g(g);
    thrum_chan_release(b.ch);
    close(b.pipe[0]);
    close(b.pipe[1]);
  }
}
TEST(blocking_lets_others_run) { on_threads(block_and_help, NULL); }

/* Where nothing blocks, the pair costs nothing but its calls, in every kind of
 * runtime. */
static void blocking_for_nothing(void* arg) {
  (void)arg;
  for (int i = 0; i < 1000; i++) {
    CHECK_EQ(thrum_enter_blocking(), 0);
    CHECK_EQ(thrum_exit_blocking(), 0);
  }
  CHECK_EQ(thrum_exit_blocking(), THRUM_EPERM);
}
static void blocking_together(void* arg) {
  thrum_g g[6];
  for (int i = 0; i < 6; i++)
    g[i] = go(blocking_for_nothing, arg);
  for (int i = 0; i < 6; i++)
    join_g(g[i]);
}
TEST(blocking_for_short) { everywhere(blocking_together, NULL); }

static void block_and_leave(void* arg) {
  CHECK_EQ(thrum_enter_blocking(), 0);
  add(arg, 1);
}
static void leave_blocking(void* arg) {
  (void)arg;
  word n = 0;
  for (int i = 0; i < 50; i++)
    join_g(go(block_and_leave, &n));
  CHECK_EQ(n, 50);
}
TEST(blocking_until_the_end) { everywhere(leave_blocking, NULL); }

/* ---- errno --------------------------------------------------------------- */

/* errno is read and written through functions of their own: a compiler may keep
 * its address, and these Gs are locked to their thread besides. */
__attribute__((noinline)) static void put_errno(int v) { errno = v; }
__attribute__((noinline)) static int look_errno(void) { return errno; }
#define KEEPS_ERRNO(call)                                             \
  do {                                                                \
    put_errno(4242);                                                  \
    call;                                                             \
    int after_ = look_errno();                                        \
    CHECK_MSG(after_ == 4242, "errno is %d after %s", after_, #call); \
  } while (0)

static thrum_rt* errno_rt;
static void keep_errno(void* arg) {
  (void)arg;
  int in_g = thrum_self() != 0;
  thrum_rt *rt = errno_rt, *fresh = NULL;
  thrum_chan* ch = NULL;
  thrum_mutex m = THRUM_MUTEX_INIT;
  thrum_rwmutex rw = THRUM_RWMUTEX_INIT;
  thrum_cond c = THRUM_COND_INIT;
  thrum_wg wg = THRUM_WG_INIT;
  thrum_sem sem = THRUM_SEM_INIT;
  thrum_once once = THRUM_ONCE_INIT;
  word n = 0;
  thrum_g g = 0;
  void* p = NULL;
  char x = 'x';
  if (in_g)
    CHECK_EQ(thrum_lock_thread(), 0);
  KEEPS_ERRNO(thrum_rt_new(&fresh, NULL));
  if (!in_g) {
    KEEPS_ERRNO(thrum_run(fresh, nothing, NULL));
    KEEPS_ERRNO(thrum_pump(fresh, THRUM_TRY));
  }
  KEEPS_ERRNO(thrum_wake_fd(fresh));
  KEEPS_ERRNO(thrum_set_procs(fresh, 3));
  KEEPS_ERRNO(thrum_rt_stop(fresh, THRUM_FOREVER));
  KEEPS_ERRNO(thrum_rt_free(fresh));
  KEEPS_ERRNO(thrum_available_procs());
  KEEPS_ERRNO(thrum_now());
  KEEPS_ERRNO(thrum_strerror(THRUM_EAGAIN));
  KEEPS_ERRNO(thrum_spawn(rt, NULL, count_up, &n, &g));
  KEEPS_ERRNO(thrum_join(rt, g, THRUM_FOREVER));
  KEEPS_ERRNO(thrum_cancel(rt, g));
  KEEPS_ERRNO(thrum_sleep(MS));
  KEEPS_ERRNO(thrum_chan_new(1, 1, &ch));
  KEEPS_ERRNO(thrum_chan_recv(ch, &x, thrum_after(MS)));
  KEEPS_ERRNO(thrum_chan_send(ch, &x, THRUM_FOREVER));
  KEEPS_ERRNO(thrum_chan_send(ch, &x, thrum_after(MS)));
  thrum_case arm = {ch, &x, THRUM_SEND, 0};
  KEEPS_ERRNO(thrum_select(&arm, 1, thrum_after(MS)));
  KEEPS_ERRNO(thrum_chan_close(ch));
  KEEPS_ERRNO(thrum_chan_release(ch));
  KEEPS_ERRNO(thrum_mutex_lock(&m, THRUM_FOREVER));
  KEEPS_ERRNO(thrum_cond_wait(&c, &m, thrum_after(MS)));
  KEEPS_ERRNO(thrum_mutex_unlock(&m));
  KEEPS_ERRNO(thrum_rwmutex_lock(&rw, THRUM_FOREVER));
  KEEPS_ERRNO(thrum_rwmutex_unlock(&rw));
  KEEPS_ERRNO(thrum_wg_add(&wg, 1));
  KEEPS_ERRNO(thrum_wg_wait(&wg, thrum_after(MS)));
  KEEPS_ERRNO(thrum_sem_acquire(&sem, thrum_after(MS)));
  KEEPS_ERRNO(thrum_once_do(&once, count_up, &n));
  KEEPS_ERRNO(p = thrum_alloc(100));
  KEEPS_ERRNO(p = thrum_realloc(p, 1000000));
  KEEPS_ERRNO(thrum_free(p));
  KEEPS_ERRNO(p = thrum_calloc(SIZE_MAX / 2, 4));
  CHECK(p == NULL);
  /* fails, and says so by NULL alone */
  KEEPS_ERRNO(p = thrum_alloc(SIZE_MAX / 2));
  CHECK(p == NULL);
  if (in_g) {
    KEEPS_ERRNO(thrum_yield());
    KEEPS_ERRNO(thrum_check());
    KEEPS_ERRNO(thrum_park("errno", thrum_after(MS)));
    KEEPS_ERRNO(thrum_enter_blocking());
    KEEPS_ERRNO(thrum_exit_blocking());
    CHECK_EQ(thrum_unlock_thread(), 0);
  }
}
/* Others spoil errno on their threads meanwhile. */
static void spoils_errno(void* arg) {
  while (!get(arg)) {
    put_errno(9999);
    if (thrum_yield() != 0)
      break;
  }
}
static void errno_in_a_g(void* arg) {
  word stop = 0;
  thrum_g other[3];
  for (int i = 0; i < 3; i++)
    other[i] = go(spoils_errno, &stop);
  join_g(go(keep_errno, arg));
  keep_errno(arg); /* and on the lent thread */
  set(&stop, 1);
  for (int i = 0; i < 3; i++)
    join_g(other[i]);
}
TEST(errno_is_kept) {
  static const struct rt_kind kinds[] = {{"[1 P]", 1, 0, 0, 0},
                                         {"[2 P]", 2, 0, 0, 0}};
  for (size_t i = 0; i < CHECK_COUNT(kinds); i++) {
    errno_rt = rt_make(kinds[i]);
    CHECK_EQ(thrum_run(errno_rt, errno_in_a_g, NULL), 0);
    keep_errno(NULL); /* on a thread that is no M */
    rt_end(errno_rt);
  }
}

/* ---- floating point ------------------------------------------------------ */

#if defined(__x86_64__)
#define FP_DEFAULT 0x037f00001f80u
#define FP_MODES 6
/* Control bits only; the sticky exception flags of mxcsr are nobody's
 * promise. */
static uint64_t fp_get(void) {
  uint32_t mxcsr;
  uint16_t cw;
  __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
  __asm__ volatile("fnstcw %0" : "=m"(cw));
  return (uint64_t)cw << 32 | (mxcsr & ~0x3fu);
}
static void fp_set(uint64_t fp) {
  uint32_t mxcsr = (uint32_t)fp;
  uint16_t cw = (uint16_t)(fp >> 32);
  __asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));
  __asm__ volatile("fldcw %0" ::"m"(cw));
}
static uint64_t fp_mode(int i) {
  static const uint64_t modes[FP_MODES] = {
      FP_DEFAULT,
      /* SSE rounds down */
      0x037f00001f80u | 0x2000u,
      /* flush to zero, denormals are zero */
      0x037f00001f80u | 0x8040u,
      /* x87 in double precision */
      0x027f00001f80u,
      /* single precision, both round up */
      0x007f00001f80u | 0x4000u | (uint64_t)0x0800 << 32,
      /* both chop, flush to zero */
      0x037f00001f80u | 0x6000u | 0x8000u | (uint64_t)0x0c00 << 32};
  return modes[i % FP_MODES];
}
#elif defined(__aarch64__)
#define FP_DEFAULT 0u
#define FP_MODES 6
static uint64_t fp_get(void) {
  uint64_t fpcr;
  __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
  return fpcr;
}
static void fp_set(uint64_t fpcr) {
  __asm__ volatile("msr fpcr, %0" ::"r"(fpcr));
}
static uint64_t fp_mode(int i) {
  static const uint64_t modes[FP_MODES] = {0,        1u << 22, 2u << 22,
                                           3u << 22, 1u << 24, 3u << 24};
  return modes[i % FP_MODES];
}
#else
#define FP_DEFAULT 0u
#define FP_MODES 0
static uint64_t fp_get(void) { return 0; }
static void fp_set(uint64_t fp) { (void)fp; }
static uint64_t fp_mode(int i) { return (uint64_t)i * 0; }
#endif

struct fp_guest {
  int i;
  thrum_chan* ch;
  thrum_mutex* m;
  word* children;
};
static void fp_starts_default(void* arg) {
  CHECK_MSG(fp_get() == FP_DEFAULT,
            "a G starts with the control words 0x%" PRIx64, fp_get());
  fp_set(fp_mode(5));
  CHECK_EQ(thrum_yield(), 0);
  add(arg, 1);
}
static void fp_guest(void* arg) {
  struct fp_guest* f = arg;
  char c = 'x';
  uint64_t mine = fp_mode(f->i);
  CHECK_MSG(fp_get() == FP_DEFAULT,
            "a G starts with the control words 0x%" PRIx64, fp_get());
  fp_set(mine);
#define KEEPS_FP(call)                                                     \
  do {                                                                     \
    CHECK_EQ(call, 0);                                                     \
    CHECK_MSG(fp_get() == mine, "after %s: 0x%" PRIx64 ", not 0x%" PRIx64, \
              #call, fp_get(), mine);                                      \
  } while (0)
  for (int i = 0; i < 50; i++) {
    KEEPS_FP(thrum_yield());
    KEEPS_FP(thrum_chan_send(f->ch, &c, THRUM_FOREVER));
    KEEPS_FP(thrum_chan_recv(f->ch, &c, THRUM_FOREVER));
    KEEPS_FP(thrum_mutex_lock(f->m, THRUM_FOREVER));
    KEEPS_FP(thrum_yield());
    KEEPS_FP(thrum_mutex_unlock(f->m));
    if (i % 10 == 0)
      KEEPS_FP(thrum_sleep(1000));
    thrum_g child = 0; /* it starts in the default, not in ours */
    KEEPS_FP(thrum_spawn(NULL, NULL, fp_starts_default, f->children, &child));
    KEEPS_FP(thrum_join(NULL, child, THRUM_FOREVER));
  }
}
static void fp_main(void* arg) {
  enum { N = 12 };
  struct fp_guest f[N];
  thrum_g g[N];
  thrum_mutex m = THRUM_MUTEX_INIT;
  thrum_chan* ch;
  word n = 0;
  (void)arg;
  CHECK_MSG(fp_get() == FP_DEFAULT,
            "the first G starts with the control words 0x%" PRIx64, fp_get());
  fp_set(fp_mode(4));
  REQUIRE_EQ(thrum_chan_new(1, N / 2, &ch), 0);
  for (int i = 0; i < N; i++) {
    f[i] = (struct fp_guest){i, ch, &m, &n};
    g[i] = go(fp_guest, &f[i]);
  }
  for (int i = 0; i < N; i++)
    join_g(g[i]);
  CHECK(fp_get() == fp_mode(4));
  CHECK_EQ(n, N * 50);
  /* On a stack that another has left in a strange mode. */
  for (int i = 0; i < 20; i++)
    join_g(go(fp_starts_default, &n));
  thrum_chan_release(ch);
}
TEST(floating_point_is_a_gs_own) {
  if (FP_MODES == 0)
    SKIP("no access to the control words of this CPU");
  uint64_t host = fp_mode(5);
  fp_set(host); /* the host's own mode stays on its thread and reaches no G */
  everywhere(fp_main, NULL);
  CHECK_MSG(fp_get() == host,
            "the host's control words are 0x%" PRIx64 " after run", fp_get());
  thrum_rt* rt = rt_make(RT_HOSTED);
  word n = 0;
  go_in(rt, fp_starts_default, &n);
  CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), 0);
  CHECK_EQ(n, 1);
  CHECK_MSG(fp_get() == host,
            "the host's control words are 0x%" PRIx64 " after pump", fp_get());
  rt_end(rt);
  thrum_sleep(MS);
  CHECK(fp_get() == host);
  fp_set(FP_DEFAULT);
}

/* ---- the allocator ------------------------------------------------------- */

static size_t opaque_size(size_t n) {
  volatile size_t v = n;
  return v;
}
static void fill(unsigned char* p, size_t n, unsigned char v) {
  for (size_t i = 0; i < n; i++)
    p[i] = (unsigned char)(v + i);
}
static int filled(const unsigned char* p, size_t n, unsigned char v) {
  for (size_t i = 0; i < n; i++)
    if (p[i] != (unsigned char)(v + i))
      return 0;
  return 1;
}
static void alloc_all(void* arg) {
  (void)arg;
  static const size_t sizes[] = {1,    2,     8,       15,     16,   17,
                                 31,   64,    100,     1000,   1024, 4096,
                                 5000, 65536, 1000000, 5 << 20};
  enum { N = sizeof sizes / sizeof *sizes };
  unsigned char* p[N];
  for (int i = 0; i < N; i++) {
    p[i] = thrum_alloc(sizes[i]);
    REQUIRE(p[i] != NULL);
    CHECK_EQ((uintptr_t)p[i] % 16, 0);
    fill(p[i], sizes[i], (unsigned char)i);
  }
  for (int i = 0; i < N; i++) {
    CHECK(filled(p[i], sizes[i], (unsigned char)i));
    size_t larger = sizes[i] * 3 + 7, smaller = sizes[i] / 2 + 1;
    unsigned char* q = thrum_realloc(p[i], larger);
    REQUIRE(q != NULL);
    CHECK_EQ((uintptr_t)q % 16, 0);
    CHECK(filled(q, sizes[i], (unsigned char)i));
    fill(q, larger, (unsigned char)i);
    q = thrum_realloc(q, smaller);
    REQUIRE(q != NULL);
    CHECK(filled(q, smaller, (unsigned char)i));
    memset(q, 0xee, smaller);
    thrum_free(q);
    q = thrum_calloc(sizes[i], 3);
    REQUIRE(q != NULL);
    CHECK_EQ((uintptr_t)q % 16, 0);
    size_t zeros = 0;
    while (zeros < sizes[i] * 3 && q[zeros] == 0)
      zeros++;
    CHECK_EQ(zeros, sizes[i] * 3);
    thrum_free(q);
  }
  unsigned char* q = thrum_realloc(NULL, 100);
  REQUIRE(q != NULL);
  fill(q, 100, 9);
  thrum_free(q);
  thrum_free(NULL);
  thrum_free(thrum_alloc(0));
  thrum_free(thrum_calloc(0, 8));
  thrum_free(thrum_calloc(8, 0));
  CHECK(thrum_alloc(opaque_size(SIZE_MAX)) == NULL);
  CHECK(thrum_alloc(opaque_size(SIZE_MAX / 2)) == NULL);
  CHECK(thrum_calloc(opaque_size(SIZE_MAX), 2) == NULL);
  /* the product is 0 */
  CHECK(thrum_calloc(opaque_size(SIZE_MAX / 2 + 1), 2) == NULL);
  CHECK(thrum_calloc(opaque_size((size_t)1 << 32), (size_t)1 << 32) == NULL);
  /* the product is 16 */
  CHECK(thrum_calloc(opaque_size(SIZE_MAX / 16 + 2), 16) == NULL);
  /* A realloc that fails leaves the block as it was. */
  q = thrum_alloc(64);
  REQUIRE(q != NULL);
  fill(q, 64, 3);
  CHECK(thrum_realloc(q, opaque_size(SIZE_MAX / 2)) == NULL);
  CHECK(filled(q, 64, 3));
  thrum_free(q);
}
TEST(alloc) {
  everywhere(alloc_all, NULL);
  alloc_all(NULL); /* any thread may */
}

/* Blocks wander: allocated here, freed there, by Gs of two runtimes and by
 * threads. */
struct wander {
  thrum_chan* ch;
  uint64_t seed;
};
struct block {
  uint32_t size, value;
  unsigned char bytes[];
};
static void wander_alloc(void* arg) {
  struct wander* w = arg;
  uint64_t seed = w->seed;
  for (int i = 0; i < ROUNDS(3000); i++) {
    uint32_t size = 1 + below(&seed, i % 100 == 0 ? 200000 : 300);
    struct block* b = thrum_alloc(sizeof *b + size);
    REQUIRE(b != NULL);
    b->size = size;
    b->value = (uint32_t)i;
    fill(b->bytes, size, (unsigned char)i);
    CHECK_EQ(thrum_chan_send(w->ch, &b, THRUM_FOREVER), 0);
  }
}
static void wander_free(void* arg) {
  struct wander* w = arg;
  struct block* b;
  while (thrum_chan_recv(w->ch, &b, THRUM_FOREVER) == 0) {
    CHECK(filled(b->bytes, b->size, (unsigned char)b->value));
    thrum_free(b);
  }
}
TEST(free_from_anywhere) {
  thrum_rt* rt[2] = {rt_make(RT_P2), rt_make(RT_P1)};
  struct wander w[4];
  struct actor from[4], to[4];
  thrum_chan* ch;
  thrum_wg producing = THRUM_WG_INIT, consuming = THRUM_WG_INIT;
  REQUIRE_EQ(thrum_chan_new(sizeof(struct block*), 64, &ch), 0);
  for (int i = 0; i < 4; i++) {
    w[i] = (struct wander){ch, (uint64_t)i + 1};
    actor_start(&from[i], rt[i % 2], i == 3, &producing, wander_alloc, &w[i]);
    actor_start(&to[i], rt[(i + 1) % 2], i == 2, &consuming, wander_free,
                &w[i]);
  }
  CHECK_EQ(thrum_wg_wait(&producing, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_chan_close(ch), 0);
  CHECK_EQ(thrum_wg_wait(&consuming, THRUM_FOREVER), 0);
  for (int i = 0; i < 4; i++) {
    actor_join(&from[i], rt[i % 2]);
    actor_join(&to[i], rt[(i + 1) % 2]);
  }
  rt_end(rt[0]);
  rt_end(rt[1]);
  thrum_chan_release(ch);
}

/* A block outlives the runtime whose G made it: the host may keep the
 * result. */
static void make_result(void* arg) {
  unsigned char* p = thrum_alloc(1000);
  REQUIRE(p != NULL);
  fill(p, 1000, 42);
  *(unsigned char**)arg = p;
}
TEST(memory_outlives_the_runtime) {
  unsigned char* p[10];
  for (int i = 0; i < 10; i++)
    in_rt(RT_P2, make_result, &p[i]);
  for (int i = 0; i < 10; i++) {
    CHECK(filled(p[i], 1000, 42));
    thrum_free(p[i]);
  }
}

static const struct check_case cases[] = {
    CASE(spawn_join),
    CASE(join_deadlines),
    CASE(join_refused),
    CASE(join_by_many),
    CASE(spawn_tree),
    CASE(spawn_many_at_once),
    CASE(spawn_options),
    CASE(stack_sizes),
    CASE(stack_size_has_a_floor),
    CASE(names_are_copied),
    CASE(generations),
    CASE(forged_handles),
    CASE(handles_of_another_runtime),
    CASE(drop_is_the_last_act),
    CASE(drop_before_join),
    CASE(drop_not_on_failure),
    CASE(cancel_ends_every_wait),
    CASE(cancel_requests_do_not_add_up),
    CASE(cancel_does_not_end_these),
    CASE(cancel_after_the_fact),
    CASE(cancel_pending),
    CASE(cancel_clear),
    CASE(cancel_before_it_began),
    CASE(cancel_from_a_thread),
    CASE(shield_postpones_cancel),
    CASE(shield_nests),
    CASE(limit_ends_every_wait),
    CASE(limit_and_shield),
    CASE(limit_ends_lock_waits),
    CASE(yield_and_check),
    CASE(only_in_a_g),
    CASE(sleep_is_never_short),
    CASE(a_pair_does_not_starve_others),
    CASE(work_from_outside_is_not_starved),
    CASE(nor_by_gs_that_compute),
    CASE(pin_started_stays),
    CASE(pin_m_stays_with_the_spawner),
    CASE(lock_thread_keeps_the_thread),
    CASE(lock_thread_until_the_end),
    CASE(lock_thread_until_the_end_and_heirs),
    CASE(blocking_lets_others_run),
    CASE(blocking_for_short),
    CASE(blocking_until_the_end),
    CASE(errno_is_kept),
    CASE(floating_point_is_a_gs_own),
    CASE(alloc),
    CASE(free_from_anywhere),
    CASE(memory_outlives_the_runtime),
};
CHECK_MAIN(cases)
