/* time.c: the clock, sleeping, deadlines: never early, never forgotten, in
 * virtual time exact. */
#include "../support/check.h"

#include <limits.h>
#include <thrum/thrum.h>

#include "../support/rt.h"

static thrum_chan* chan_of(uint32_t size, uint32_t capacity) {
  thrum_chan* ch = NULL;
  REQUIRE_EQ(thrum_chan_new(size, capacity, &ch), 0);
  return ch;
}

/* ---- the clock ----------------------------------------------------------- */

static void read_clock(void* arg) {
  (void)arg;
  int64_t last = thrum_now();
  for (int i = 0; i < 10000; i++) {
    int64_t now = thrum_now();
    CHECK_LE(last, now);
    last = now;
  }
  int64_t before = real_now(), now = thrum_now(), after = real_now();
  CHECK_LE(before, now);
  CHECK_LE(now, after);
}
TEST(now_is_monotonic) {
  on_threads(read_clock, NULL);
  in_rt(RT_HOSTED, read_clock, NULL);
  read_clock(NULL);
}

static void afters(void* arg) {
  (void)arg;
  int64_t before = thrum_now(), t = thrum_after(1000), after = thrum_now();
  CHECK_LE(before + 1000, t);
  CHECK_LE(t, after + 1000);
  static const int64_t not_positive[] = {0, -1, -1000000, INT64_MIN};
  for (size_t i = 0; i < CHECK_COUNT(not_positive); i++) {
    before = thrum_now();
    t = thrum_after(not_positive[i]);
    CHECK_LE(before, t);
    CHECK_LE(t, thrum_now());
    CHECK(t != 0);
  }
  CHECK_EQ(thrum_after(INT64_MAX), THRUM_FOREVER);
  CHECK_EQ(thrum_after(THRUM_FOREVER), THRUM_FOREVER);
  CHECK_EQ(thrum_after(INT64_MAX - 1), THRUM_FOREVER);
  CHECK_EQ(thrum_after(INT64_MAX - thrum_now()), THRUM_FOREVER);
  int64_t century = 100LL * 365 * 86400 * SECOND;
  CHECK(thrum_after(century) < THRUM_FOREVER);
  CHECK_LE(century, thrum_after(century));
  CHECK_EQ(THRUM_FOREVER, INT64_MAX);
  CHECK_EQ(THRUM_TRY, 0);
}
TEST(after) {
  everywhere(afters, NULL);
  afters(NULL);
}

/* ---- sleep --------------------------------------------------------------- */

struct nap {
  int64_t ns, start, woke;
  word order, *orders;
  word* asleep;
};
static void nap(void* arg) {
  struct nap* n = arg;
  n->start = thrum_now();
  if (n->asleep)
    add(n->asleep, 1);
  CHECK_EQ(thrum_sleep(n->ns), 0);
  n->woke = thrum_now();
  if (n->orders)
    n->order = add(n->orders, 1);
}

/* Many sleepers: none early, none left out. */
static void many_naps(void* arg) {
  enum { N = 2000 };
  static struct nap n[N];
  static thrum_g g[N];
  uint64_t seed = 5;
  int count = ROUNDS(N);
  (void)arg;
  for (int i = 0; i < count; i++) {
    memset(&n[i], 0, sizeof n[i]);
    n[i].ns = (int64_t)below(&seed, 30 * MS);
    g[i] = go(nap, &n[i]);
  }
  for (int i = 0; i < count; i++) {
    join_g(g[i]);
    CHECK_MSG(n[i].woke >= n[i].start + n[i].ns,
              "a sleep of %" PRId64 " ns took %" PRId64, n[i].ns,
              n[i].woke - n[i].start);
    CHECK_LE(n[i].woke - n[i].start, n[i].ns + 30 * SECOND);
  }
}
TEST(many_sleepers) { everywhere(many_naps, NULL); }

/* Virtual time: each wakes at its nanosecond, in the order of their times,
 * however the heap is shaped. */
struct exact {
  int n;
  int64_t spread;
  uint64_t seed;
};
static int by_due(const void* a, const void* b) {
  const struct nap *x = *(const struct nap*const*)a,
                   *y = *(const struct nap*const*)b;
  int64_t dx = x->start + x->ns, dy = y->start + y->ns;
  return dx < dy ? -1 : dx > dy;
}
static void exact_naps(void* arg) {
  enum { N = 3000 };
  struct exact* e = arg;
  static struct nap n[N];
  static const struct nap* sorted[N];
  static thrum_g g[N];
  uint64_t seed = e->seed;
  word orders = 0;
  CHECK_EQ(thrum_now(), SECOND); /* where virtual time begins */
  for (int i = 0; i < e->n; i++) {
    memset(&n[i], 0, sizeof n[i]);
    n[i].ns = 1 + (int64_t)(draw(&seed) % (uint64_t)e->spread);
    n[i].orders = &orders;
    sorted[i] = &n[i];
    g[i] = go(nap, &n[i]);
  }
  for (int i = 0; i < e->n; i++) {
    join_g(g[i]);
    CHECK_EQ(n[i].start, SECOND); /* it does not pass while anybody runs */
    CHECK_EQ(n[i].woke, n[i].start + n[i].ns);
  }
  qsort(sorted, (size_t)e->n, sizeof *sorted, by_due);
  for (int i = 1; i < e->n; i++)
    if (sorted[i - 1]->ns < sorted[i]->ns)
      CHECK_MSG(sorted[i - 1]->order < sorted[i]->order,
                "the sleeper of %" PRId64 " ns woke after that of %" PRId64,
                sorted[i - 1]->ns, sorted[i]->ns);
}
TEST(virtual_sleepers_wake_in_order_to_the_nanosecond) {
  static const int counts[] = {1,  2,  3,   5,   20,   21,
                               22, 40, 100, 257, 1000, 3000};
  for (size_t i = 0; i < CHECK_COUNT(counts); i++)
    for (uint64_t seed = 1; seed <= 3; seed++) {
      struct rt_kind kind = {"[seeded]", 1, THRUM_RT_DETERMINISTIC, seed, 0};
      struct exact e = {ROUNDS(counts[i]),
                        seed == 1   ? 50
                        : seed == 2 ? MS
                                    : 1000000 * SECOND,
                        seed};
      in_rt(kind, exact_naps, &e);
    }
}

/* Eleven days pass in no time. */
static void long_nap(void* arg) {
  (void)arg;
  int64_t start = thrum_now();
  for (int i = 0; i < 10; i++)
    CHECK_EQ(thrum_sleep(100000 * SECOND), 0);
  CHECK_EQ(thrum_now(), start + 1000000 * SECOND);
}
TEST(virtual_time_jumps) {
  int64_t start = real_now();
  in_rt(RT_DET1, long_nap, NULL);
  CHECK_LE(real_now() - start, 30 * SECOND);
  CHECK_LE(real_now(), thrum_now()); /* outside, time is real */
}

/* It stands while somebody computes. */
static void compute(void* arg) {
  (void)arg;
  int64_t start = thrum_now(), until = real_now() + 5 * MS;
  while (real_now() < until)
    CHECK_EQ(thrum_now(), start);
  CHECK_EQ(thrum_yield(), 0);
  CHECK_EQ(thrum_now(), start);
}
TEST(virtual_time_stands_still) { in_rt(RT_DET1, compute, NULL); }

/* ---- deadlines ----------------------------------------------------------- */

static void exact_deadlines(void* arg) {
  thrum_chan* ch = chan_of(1, 0);
  thrum_mutex m = THRUM_MUTEX_INIT;
  thrum_cond c = THRUM_COND_INIT;
  thrum_wg wg = THRUM_WG_INIT;
  thrum_sem s = THRUM_SEM_INIT;
  char x = 0;
  (void)arg;
  CHECK_EQ(thrum_wg_add(&wg, 1), 0);
  CHECK_EQ(thrum_mutex_lock(&m, THRUM_TRY), 0);
  for (int64_t ns = 1; ns < 1000 * SECOND; ns = ns * 7 + 1) {
    thrum_case arm = {ch, &x, THRUM_RECV, 0};
#define TIMES_OUT(call)                 \
  do {                                  \
    int64_t deadline = thrum_after(ns); \
    CHECK_EQ(call, THRUM_ETIMEDOUT);    \
    CHECK_EQ(thrum_now(), deadline);    \
  } while (0)
    TIMES_OUT(thrum_chan_recv(ch, &x, deadline));
    TIMES_OUT(thrum_chan_send(ch, &x, deadline));
    TIMES_OUT(thrum_select(&arm, 1, deadline));
    TIMES_OUT(thrum_select(NULL, 0, deadline));
    TIMES_OUT(thrum_cond_wait(&c, &m, deadline));
    TIMES_OUT(thrum_wg_wait(&wg, deadline));
    TIMES_OUT(thrum_sem_acquire(&s, deadline));
    TIMES_OUT(thrum_park("exact", deadline));
  }
  CHECK_EQ(thrum_mutex_unlock(&m), 0);
  thrum_chan_release(ch);
}
TEST(virtual_deadlines_are_exact) {
  in_rt(RT_DET1, exact_deadlines, NULL);
  in_rt(RT_DET2, exact_deadlines, NULL);
}

/* ---- who looks at the timers --------------------------------------------- */

/* A long sleep is under way and everybody rests; then comes a short one. */
struct shorten {
  thrum_rt* rt;
  word asleep;
  struct nap shorter;
};
static void long_sleeper(void* arg) {
  struct shorten* s = arg;
  add(&s->asleep, 1);
  CHECK_EQ(thrum_sleep(3600 * SECOND), THRUM_ECANCELED);
}
static void short_sleepers(struct rt_kind kind) {
  struct shorten s;
  memset(&s, 0, sizeof s);
  s.rt = rt_make(kind);
  thrum_g longer = go_in(s.rt, long_sleeper, &s);
  while (get(&s.asleep) < 1)
    check_pause();
  wait_parked(s.rt, longer);
  /* the Ms have gone to sleep by now, or not: both must work */
  for (int i = 0; i < 20; i++)
    check_pause();
  for (int i = 0; i < 20; i++) {
    memset(&s.shorter, 0, sizeof s.shorter);
    s.shorter.ns = (i % 4 + 1) * MS;
    thrum_g g = go_in(s.rt, nap, &s.shorter);
    CHECK_EQ(thrum_join(s.rt, g, thrum_after(40 * SECOND)), 0);
    CHECK_LE(s.shorter.ns, s.shorter.woke - s.shorter.start);
  }
  CHECK_EQ(thrum_cancel(s.rt, longer), 0);
  CHECK_EQ(thrum_join(s.rt, longer, SOON), 0);
  rt_end(s.rt);
}
TEST(a_shorter_sleep_is_not_missed) {
  short_sleepers(RT_P1);
  short_sleepers(RT_P2);
  short_sleepers(RT_P4);
}

/* The same inside one G's P: the second timer of a P is nearer than the
 * first. */
static void shorter_inside(void* arg) {
  struct shorten s;
  memset(&s, 0, sizeof s);
  (void)arg;
  thrum_g longer = go(long_sleeper, &s);
  yield_until(&s.asleep, 1);
  for (int64_t ns = 20 * MS; ns >= 1000; ns /= 2) {
    int64_t start = thrum_now();
    CHECK_EQ(thrum_sleep(ns), 0);
    CHECK_LE(ns, thrum_now() - start);
    CHECK_LE(thrum_now() - start, 40 * SECOND);
  }
  CHECK_EQ(thrum_cancel(NULL, longer), 0);
  join_g(longer);
}
TEST(a_nearer_timer_of_the_same_p) { everywhere(shorter_inside, NULL); }

/* The sleeper's P is busy with a G that does not come back; another P runs the
 * timer. */
static void busy_p(void* arg) {
  (void)arg;
  for (int i = 0; i < 10; i++) {
    word orders = 0, asleep = 0;
    struct nap n;
    memset(&n, 0, sizeof n);
    n.ns = 5 * MS;
    n.orders = &orders;
    n.asleep = &asleep;
    thrum_g g = go(nap, &n);
    yield_until(&asleep, 1);
    int64_t give_up = real_now() + 40 * SECOND;
    while (get(&orders) == 0 && real_now() < give_up)
      sched_yield();
    CHECK_EQ(orders, 1);
    join_g(g);
  }
}
TEST(timers_of_a_busy_p) {
  struct rt_kind endless = {"[2 P, endless slice]", 2, 0, 0, 3600 * SECOND};
  in_rt(endless, busy_p, NULL);
  in_rt(RT_P4, busy_p, NULL);
}

/* Timers that are no longer needed are gone: nothing wakes for them, and
 * virtual time does not run into them. */
static void unneeded_timers(void* arg) {
  thrum_chan* ch = chan_of(sizeof(int), 0);
  int64_t start = thrum_now();
  struct nap n;
  (void)arg;
  for (int i = 0; i < 1000; i++) {
    memset(&n, 0, sizeof n);
    int v = 0;
    thrum_g g = go(nap, &n);
    CHECK_EQ(thrum_chan_recv(ch, &v, THRUM_TRY), THRUM_EAGAIN);
    CHECK_EQ(thrum_join(NULL, g, thrum_after(3600 * SECOND)), 0);
  }
  CHECK_EQ(thrum_now(), start);
  CHECK_EQ(thrum_sleep(10), 0);
  CHECK_EQ(thrum_now(), start + 10);
  thrum_chan_release(ch);
}
TEST(timers_that_are_not_needed_any_more) {
  in_rt(RT_DET1, unneeded_timers, NULL);
}

/* And a hosted runtime has nothing to wake for. */
struct late_partner {
  thrum_chan* ch;
};
static void recv_within_an_hour(void* arg) {
  struct late_partner* l = arg;
  char c;
  CHECK_EQ(thrum_chan_recv(l->ch, &c, thrum_after(3600 * SECOND)), 0);
}
TEST(next_wake_forgets_served_timers) {
  thrum_rt* rt = rt_make(RT_HOSTED);
  for (int i = 0; i < 100; i++) {
    struct late_partner l = {chan_of(1, 0)};
    int64_t before = thrum_now();
    thrum_g g = go_in(rt, recv_within_an_hour, &l);
    CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), 1);
    CHECK_LE(before + 3600 * SECOND, thrum_next_wake(rt));
    CHECK(thrum_next_wake(rt) < THRUM_FOREVER);
    CHECK_EQ(thrum_chan_send(l.ch, "x", THRUM_TRY), 0);
    CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), 0);
    CHECK_EQ(thrum_join(rt, g, THRUM_TRY), 0);
    CHECK_EQ(thrum_next_wake(rt), THRUM_FOREVER);
    thrum_chan_release(l.ch);
  }
  rt_end(rt);
}

/* Sleepers that are cancelled, again and again, beside sleepers that are
 * not. */
static void sleep_or_cancel(void* arg) {
  (void)arg;
  enum { N = 200 };
  static struct nap n[N];
  thrum_g g[N], victim[N];
  struct shorten s;
  memset(&s, 0, sizeof s);
  for (int i = 0; i < N; i++) {
    memset(&n[i], 0, sizeof n[i]);
    n[i].ns = (i % 17 + 1) * 100000;
    victim[i] = go(long_sleeper, &s);
    g[i] = go(nap, &n[i]);
  }
  for (int i = 0; i < N; i += 2)
    CHECK_EQ(thrum_cancel(NULL, victim[i]), 0);
  for (int i = 0; i < N; i++) {
    join_g(g[i]);
    CHECK_LE(n[i].ns, n[i].woke - n[i].start);
  }
  for (int i = 1; i < N; i += 2)
    CHECK_EQ(thrum_cancel(NULL, victim[i]), 0);
  for (int i = 0; i < N; i++)
    join_g(victim[i]);
}
TEST(cancelled_timers_among_others) { everywhere(sleep_or_cancel, NULL); }

static const struct check_case cases[] = {
    CASE(now_is_monotonic),
    CASE(after),
    CASE(many_sleepers),
    CASE(virtual_sleepers_wake_in_order_to_the_nanosecond),
    CASE(virtual_time_jumps),
    CASE(virtual_time_stands_still),
    CASE(virtual_deadlines_are_exact),
    CASE(a_shorter_sleep_is_not_missed),
    CASE(a_nearer_timer_of_the_same_p),
    CASE(timers_of_a_busy_p),
    CASE(timers_that_are_not_needed_any_more),
    CASE(next_wake_forgets_served_timers),
    CASE(cancelled_timers_among_others),
};
CHECK_MAIN(cases)
