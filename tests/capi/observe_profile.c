/* observe_profile.c: who holds locks that others wait for, and what Gs wait for. On one
 * P whose slice does not end it is known how often; how long, the test measures too. */
#include "../support/check.h"

#include <sys/stat.h>
#include <thrum/host.h>
#include <thrum/observe.h>

#include "../support/atomics.h"
#include "../support/rt.h"
#include "../support/text.h"

static thrum_mutex lock_of[2];

static void compute(int64_t ns) {
  for (int64_t end = real_now() + ns; real_now() < end;) {}
}

/* Not inlined, and not alike: the profile tells them apart by their addresses. */
static __attribute__((noinline, aligned(128))) int unlock_long(void) {
  int err = thrum_mutex_unlock(&lock_of[0]);
  __asm__ volatile("" ::: "memory");
  return err;
}
static __attribute__((noinline, aligned(128))) int unlock_short(void) {
  int err = thrum_mutex_unlock(&lock_of[1]);
  __asm__ volatile("# short" ::: "memory");
  return err;
}

struct waiter {
  thrum_mutex* m;
  int64_t least, most; /* what it has waited, altogether */
  word about, has;     /* when it is about to wait, when it has the lock */
};

enum { ROUNDS = 20 };

static void wait_for_it(void* arg) {
  struct waiter* w = arg;
  set(&w->about, real_now());
  CHECK_EQ(thrum_mutex_lock(w->m, THRUM_FOREVER), 0);
  set(&w->has, real_now());
  CHECK_EQ(thrum_mutex_unlock(w->m), 0);
}

static void contend(struct waiter* w, int rounds, int64_t hold,
                    int (*unlock)(void)) {
  for (int i = 0; i < rounds; i++) {
    CHECK_EQ(thrum_mutex_lock(w->m, THRUM_FOREVER), 0);
    thrum_g g = go(wait_for_it, w);
    CHECK_EQ(thrum_yield(), 0); /* it comes, and waits */
    int64_t waits = real_now();
    compute(hold);
    int64_t before = real_now();
    CHECK_EQ(unlock(), 0);
    w->least += before - waits;
    w->most += real_now() - get(&w->about);
    join_g(g);
  }
}

/* ---- reading it ---------------------------------------------------------------------- */

/* ns of the lines that have an address of the function, and how many lines. */
static int64_t ns_of(const char* folded, int (*f)(void), int* lines) {
  int64_t ns = 0;
  uintptr_t lo = (uintptr_t)f;
  *lines = 0;
  for (const char* line = folded; *line; line = strchr(line, '\n') + 1) {
    const char* end = strchr(line, '\n');
    int mine = 0;
    for (const char* at = line; at < end; at++)
      if (at[0] == '0' && at[1] == 'x') {
        uintptr_t pc = (uintptr_t)strtoull(at, NULL, 16);
        mine |= pc > lo && pc < lo + 96;
      }
    if (mine) {
      const char* space = end;
      while (*--space != ' ') {}
      ns += atoll(space);
      ++*lines;
    }
  }
  return ns;
}

static void ten_to_one(void* arg) {
  (void)arg;
  static struct text t;
  CHECK_EQ(thrum_profile_write(NULL, THRUM_PROFILE_MUTEX, THRUM_FORMAT_FOLDED,
                               text_add, &t),
           THRUM_EINVAL);
  CHECK_EQ(thrum_profile_rate(NULL, THRUM_PROFILE_MUTEX, 1), 0);
  struct waiter a = {.m = &lock_of[0]}, b = {.m = &lock_of[1]};
  contend(&a, ROUNDS, 5 * MS / 2, unlock_long);
  contend(&b, ROUNDS, MS / 4, unlock_short);
  CHECK_EQ(thrum_profile_rate(NULL, THRUM_PROFILE_MUTEX, 0), 1);
  contend(&b, ROUNDS, MS / 4, unlock_short); /* off is off */
  b.least = b.most = 0;
  int lines;
  t.n = 0;
  CHECK(thrum_profile_write(NULL, THRUM_PROFILE_MUTEX, THRUM_FORMAT_FOLDED,
                            text_add, &t) >= 2);
  int64_t longs = ns_of(t.at, unlock_long, &lines);
  CHECK_EQ(lines, 1);
  int64_t shorts = ns_of(t.at, unlock_short, &lines);
  CHECK_EQ(lines, 1);
  CHECK(longs >= a.least && longs <= a.most);
  CHECK(shorts >= ROUNDS * MS / 4);
  CHECK(longs > shorts || longs > a.least);
  CHECK(strstr(t.at, "[mutex] ") != NULL);
  struct text* pprof = calloc(1, sizeof *pprof);
  CHECK(thrum_profile_write(NULL, THRUM_PROFILE_MUTEX, THRUM_FORMAT_PPROF,
                            text_add, pprof) >= 2);
  CHECK(pprof->n > 200);
  free(pprof);
}

/* ---- how often, by pprof's protobuf ------------------------------------------------- */

static uint64_t varint(const unsigned char** at) {
  uint64_t v = 0;
  for (int shift = 0;; shift += 7) {
    unsigned char b = *(*at)++;
    v |= (uint64_t)(b & 0x7f) << shift;
    if (b < 0x80)
      return v;
  }
}

/* The next field of a message: its number, its value or length; bytes begin at *at. */
static int field(const unsigned char** at, uint64_t* value) {
  uint64_t key = varint(at);
  *value = varint(at);
  CHECK((key & 7) == 0 || (key & 7) == 2);
  return (int)(key >> 3);
}

/* The number of the location with an address of f; 0: there is none. */
static uint64_t place_of(const struct text* t, int (*f)(void)) {
  const unsigned char* at = (const unsigned char*)t->at;
  for (const unsigned char* end = at + t->n; at < end;) {
    uint64_t n, v, id = 0, pc = 0;
    int what = field(&at, &n);
    if (what == 12 || what == 13) /* numbers, not messages */
      continue;
    for (const unsigned char* in = at, *stop = at + n;
         what == 4 && in < stop;) {
      int part = field(&in, &v);
      id = part == 1 ? v : id;
      pc = part == 3 ? v : pc;
      in += part == 4 ? v : 0; /* a line, with its length */
    }
    if (pc > (uintptr_t)f && pc < (uintptr_t)f + 96)
      return id;
    at += n;
  }
  return 0;
}

/* How many events the samples count that go through that place. */
static uint64_t events_at(const struct text* t, uint64_t place) {
  uint64_t events = 0;
  const unsigned char* at = (const unsigned char*)t->at;
  for (const unsigned char* end = at + t->n; at < end;) {
    uint64_t n, v, count = 0;
    int what = field(&at, &n), values = 0, through = 0;
    if (what == 12 || what == 13)
      continue;
    for (const unsigned char* in = at, *stop = at + n;
         what == 2 && in < stop;) {
      int part = field(&in, &v);
      through |= part == 1 && v == place;
      if (part == 2 && values++ == 0)
        count = v;
      in += part == 3 ? v : 0; /* a label */
    }
    events += through ? count : 0;
    at += n;
  }
  return events;
}

static void counts_exactly(void* arg) {
  (void)arg;
  static struct text t;
  t.n = 0;
  CHECK_EQ(thrum_profile_rate(NULL, THRUM_PROFILE_MUTEX, 1), 0);
  struct waiter a = {.m = &lock_of[0]}, b = {.m = &lock_of[1]};
  for (int i = 0; i < 10; i++) { /* interleaved, as a program would */
    contend(&a, 10 * ROUNDS, 0, unlock_long);
    contend(&b, ROUNDS, 0, unlock_short);
  }
  CHECK(thrum_profile_write(NULL, THRUM_PROFILE_MUTEX, THRUM_FORMAT_PPROF,
                            text_add, &t) >= 2);
  uint64_t longs = place_of(&t, unlock_long);
  uint64_t shorts = place_of(&t, unlock_short);
  CHECK(longs != 0 && shorts != 0 && longs != shorts);
  CHECK_EQ(events_at(&t, longs), 100 * ROUNDS);
  CHECK_EQ(events_at(&t, shorts), 10 * ROUNDS);
}

TEST(ten_to_one_in_contention_is_ten_to_one_in_the_profile) {
  in_rt(RT_SEQ, counts_exactly, NULL);
}

TEST(the_longer_hold_has_the_longer_waits) { in_rt(RT_SEQ, ten_to_one, NULL); }

/* ---- waits --------------------------------------------------------------------------------- */

static __attribute__((noinline, aligned(128))) int sleep_here(void) {
  int err = thrum_sleep(2 * MS);
  __asm__ volatile("# sleep" ::: "memory");
  return err;
}

static void sleeps(void* arg) {
  (void)arg;
  for (int i = 0; i < ROUNDS; i++)
    CHECK_EQ(sleep_here(), 0);
}

static void wait_in_two_ways(void* arg) {
  (void)arg;
  static struct text t;
  t.n = 0;
  CHECK_EQ(thrum_profile_rate(NULL, THRUM_PROFILE_BLOCK, 1), 0);
  int64_t begin = real_now();
  join_g(go(sleeps, NULL));
  int64_t all = real_now() - begin;
  CHECK(thrum_profile_write(NULL, THRUM_PROFILE_BLOCK, THRUM_FORMAT_FOLDED,
                            text_add, &t) >= 2);
  int lines;
  int64_t ns = ns_of(t.at, sleep_here, &lines);
  CHECK(lines >= 1);
  CHECK(ns >= ROUNDS * 2 * MS && ns <= all);
  CHECK(strstr(t.at, "[sleep] ") != NULL);
  CHECK(strstr(t.at, "[join] ") != NULL);
  CHECK_EQ(thrum_profile_rate(NULL, THRUM_PROFILE_BLOCK, 0), 1);
}

TEST(sleeps_and_joins_are_told_apart) { in_rt(RT_SEQ, wait_in_two_ways, NULL); }

static void parks(void* arg) {
  (void)arg;
  CHECK_EQ(thrum_park("yarn", THRUM_FOREVER), 0);
  CHECK_EQ(sleep_here(), 0);
}

/* What a wait has become while nobody looked is not known. */
static void off_and_on(void* arg) {
  (void)arg;
  static struct text t;
  t.n = 0;
  CHECK_EQ(thrum_profile_rate(NULL, THRUM_PROFILE_BLOCK, 1), 0);
  thrum_g g = go(parks, NULL);
  CHECK_EQ(thrum_yield(), 0);
  CHECK_EQ(thrum_trace_stop(NULL), 0);
  compute(30 * MS);
  CHECK_EQ(thrum_trace_start(NULL, 0), 0);
  CHECK_EQ(thrum_unpark(NULL, g), 0);
  join_g(g);
  CHECK(thrum_profile_write(NULL, THRUM_PROFILE_BLOCK, THRUM_FORMAT_FOLDED,
                            text_add, &t) >= 1);
  CHECK(strstr(t.at, "[sleep] ") != NULL);
  CHECK(strstr(t.at, "[park] ") == NULL);
}

TEST(a_wait_while_it_is_off_is_left_out) { in_rt(RT_SEQ, off_and_on, NULL); }

/* ---- under a quota ----------------------------------------------------------------------------- */

#define QUOTA_GROUP "/sys/fs/cgroup/cpu/thrum-test-%d/%s"

static int group_put(const char* file, const char* value) {
  char at[128];
  snprintf(at, sizeof at, QUOTA_GROUP, (int)getpid(), file);
  FILE* f = fopen(at, "w");
  return f && fputs(value, f) >= 0 && fclose(f) == 0;
}

static word sated;

static void spins(void* arg) {
  (void)arg;
  while (!get(&sated))
    (void)thrum_check();
}
static void dozes(void* arg) {
  (void)arg;
  while (!get(&sated))
    CHECK_EQ(thrum_sleep(5 * MS), 0);
}

/* The label "throttled" of a sample: key 6, number 1. */
static int any_throttled(const struct text* t) {
  static const char label[] = {0x1a, 4, 8, 6, 0x18, 1};
  return memmem(t->at, t->n, label, sizeof label) != NULL;
}

static void quota_comes_later(void* arg) {
  (void)arg;
  static struct text t;
  thrum_g g[8];
  set(&sated, 0);
  CHECK_EQ(thrum_profile_rate(NULL, THRUM_PROFILE_BLOCK, 1), 0);
  CHECK(group_put("cpu.cfs_quota_us", "10000"));
  for (int i = 0; i < 8; i++)
    g[i] = go(i < 2 ? spins : dozes, NULL);
  for (int i = 0; i < 500 && !any_throttled(&t); i++) {
    CHECK_EQ(thrum_sleep(20 * MS), 0);
    t.n = 0;
    CHECK(thrum_profile_write(NULL, THRUM_PROFILE_BLOCK, THRUM_FORMAT_PPROF,
                              text_add, &t) >= 0);
  }
  CHECK(any_throttled(&t));
  CHECK(group_put("cpu.cfs_quota_us", "-1"));
  set(&sated, 1);
  for (int i = 0; i < 8; i++)
    join_g(g[i]);
}

TEST(a_quota_that_comes_later_is_seen) {
  char dir[128];
  snprintf(dir, sizeof dir, QUOTA_GROUP, (int)getpid(), "");
  if (mkdir(dir, 0755) != 0 || !group_put("cgroup.procs", "0")) {
    rmdir(dir);
    SKIP("no control group with a CPU quota can be made here");
  }
  in_rt(RT_P2, quota_comes_later, NULL);
  FILE* f = fopen("/sys/fs/cgroup/cpu/cgroup.procs", "w");
  CHECK(f && fputs("0", f) >= 0 && fclose(f) == 0);
  CHECK_EQ(rmdir(dir), 0);
}

/* ---- all at once ------------------------------------------------------------------------------ */

struct crowd {
  thrum_mutex m;
  int64_t n;
};
static void jostle(void* arg) {
  struct crowd* c = arg;
  for (int i = 0; i < 200; i++) {
    CHECK_EQ(thrum_mutex_lock(&c->m, THRUM_FOREVER), 0);
    c->n++;
    if (i % 8 == 0)
      CHECK_EQ(thrum_yield(), 0);
    CHECK_EQ(thrum_mutex_unlock(&c->m), 0);
  }
}

static void a_crowd(void* arg) {
  (void)arg;
  struct crowd c = {THRUM_MUTEX_INIT, 0};
  CHECK_EQ(thrum_profile_rate(NULL, THRUM_PROFILE_MUTEX, 3), 0);
  CHECK_EQ(thrum_profile_rate(NULL, THRUM_PROFILE_BLOCK, 2), 0);
  thrum_g g[16];
  for (int i = 0; i < 16; i++)
    g[i] = go(jostle, &c);
  for (int i = 0; i < 16; i++)
    join_g(g[i]);
  CHECK_EQ(c.n, 16 * 200);
  static struct text t;
  t.n = 0;
  CHECK(thrum_profile_write(NULL, THRUM_PROFILE_BLOCK, THRUM_FORMAT_PPROF,
                            text_add, &t) >= 0);
}

TEST(profiles_in_every_kind_of_runtime) { everywhere(a_crowd, NULL); }

static const struct check_case cases[] = {
    CASE(ten_to_one_in_contention_is_ten_to_one_in_the_profile),
    CASE(the_longer_hold_has_the_longer_waits),
    CASE(sleeps_and_joins_are_told_apart),
    CASE(a_wait_while_it_is_off_is_left_out),
    CASE(a_quota_that_comes_later_is_seen),
    CASE(profiles_in_every_kind_of_runtime),
};
CHECK_MAIN(cases)
