/* select.c: uniform choice, what losing arms leave behind, selects against
 * selects. */
#include "../support/check.h"

#include <limits.h>
#include <thrum/thrum.h>

#include "../support/rt.h"

static thrum_chan* chan_of(uint32_t size, uint32_t capacity) {
  thrum_chan* ch = NULL;
  REQUIRE_EQ(thrum_chan_new(size, capacity, &ch), 0);
  REQUIRE(ch != NULL);
  return ch;
}
static thrum_case arm_recv(thrum_chan* ch, int* to) {
  thrum_case c = {ch, to, THRUM_RECV, 12345};
  return c;
}
static thrum_case arm_send(thrum_chan* ch, int* from) {
  thrum_case c = {ch, from, THRUM_SEND, 12345};
  return c;
}

/* ---- which arm ----------------------------------------------------------- */

/* `ready` of the n arms are ready in every round. Each is chosen as often as
 * the others, by a chi-square test at a level that a right library misses less
 * than once in 10^9 runs. `mix`: every other ready arm is a send. */
struct odds {
  int n;
  uint64_t ready; /* bits */
  int mix;
};
static double chi_square_limit(int freedom) {
  /* Wilson-Hilferty at z = 6. */
  double k = freedom, t = 1 - 2 / (9 * k), r = 2 / (9 * k), root = r;
  for (int i = 0; i < 40; i++)
    root = (root + r / root) / 2;
  t += 6 * root;
  return k * t * t * t;
}
static void uniform(void* arg) {
  struct odds* o = arg;
  thrum_chan* ch[64];
  thrum_case arms[64];
  int v[64], ready = 0, chosen[64] = {0};
  for (int i = 0; i < o->n; i++) {
    int is_ready = (int)(o->ready >> i & 1), sends = o->mix && i % 2;
    ch[i] = chan_of(sizeof(int), 1);
    v[i] = i;
    ready += is_ready;
    if (is_ready != sends)
      CHECK_EQ(thrum_chan_send(ch[i], &v[i], THRUM_TRY), 0);
    arms[i] = sends ? arm_send(ch[i], &v[i]) : arm_recv(ch[i], &v[i]);
  }
  int rounds = ready * ROUNDS(2000);
  for (int r = 0; r < rounds; r++) {
    int i =
        thrum_select(arms, (uint32_t)o->n, r % 2 ? THRUM_FOREVER : THRUM_TRY);
    REQUIRE(i >= 0 && i < o->n);
    CHECK(o->ready >> i & 1);
    CHECK_EQ(arms[i].result, 0);
    CHECK_EQ(v[i], i);
    chosen[i]++;
    int w = -1;
    if (arms[i].op == THRUM_SEND) {
      CHECK_EQ(thrum_chan_recv(ch[i], &w, THRUM_TRY), 0);
      CHECK_EQ(w, i);
    } else {
      CHECK_EQ(thrum_chan_send(ch[i], &v[i], THRUM_TRY), 0);
    }
  }
  double expected = (double)rounds / ready, chi = 0;
  for (int i = 0; i < o->n; i++) {
    if (!(o->ready >> i & 1))
      continue;
    double d = chosen[i] - expected;
    chi += d * d / expected;
  }
  if (ready > 1)
    CHECK_MSG(chi < chi_square_limit(ready - 1),
              "%d ready arms of %d: chi square %d, limit %d; the first %d, %d, "
              "%d times",
              ready, o->n, (int)chi, (int)chi_square_limit(ready - 1),
              chosen[0], chosen[1], chosen[2]);
  for (int i = 0; i < o->n; i++)
    thrum_chan_release(ch[i]);
}
TEST(choice_is_uniform) {
  static struct odds odds[] = {
      {2, 3, 0},
      {3, 7, 0},
      {8, 0xff, 0},
      {16, 0xffff, 1},
      /* ready arms side by side and apart: a scan from a random start would
       * favour 7 */
      {64, ~0ull, 1},
      {8, 0x83, 0},
      {16, 0x8001, 0},
      {64, 1ull << 63 | 1 << 5 | 1, 1},
      {5, 0x10, 0},
  };
  for (size_t i = 0; i < CHECK_COUNT(odds); i++) {
    everywhere(uniform, &odds[i]);
    uniform(&odds[i]); /* a thread selects as well */
  }
}

/* The same channel in several arms: one of them gets the value, each as often
 * as the other. */
static void same_channel(void* arg) {
  (void)arg;
  thrum_chan* ch = chan_of(sizeof(int), 1);
  int count[3] = {0}, rounds = ROUNDS(6000);
  for (int r = 0; r < rounds; r++) {
    int v[3] = {-1, -1, -1}, sent = r;
    thrum_case arms[3] = {arm_recv(ch, &v[0]), arm_recv(ch, &v[1]),
                          arm_recv(ch, &v[2])};
    CHECK_EQ(thrum_chan_send(ch, &sent, THRUM_TRY), 0);
    int i = thrum_select(arms, 3, THRUM_FOREVER);
    REQUIRE(i >= 0 && i < 3);
    count[i]++;
    for (int k = 0; k < 3; k++) {
      CHECK_EQ(v[k], k == i ? r : -1);
      CHECK_EQ(arms[k].result, k == i ? 0 : 12345);
    }
    CHECK_EQ(thrum_chan_len(ch), 0);
  }
  for (int k = 0; k < 3; k++)
    CHECK_LE(rounds / 3 - rounds / 10, count[k]);
  /* Sending in several arms: one value, once. */
  memset(count, 0, sizeof count);
  for (int r = 0; r < rounds; r++) {
    int v[3] = {100, 101, 102}, got = -1;
    thrum_case arms[3] = {arm_send(ch, &v[0]), arm_send(ch, &v[1]),
                          arm_send(ch, &v[2])};
    int i = thrum_select(arms, 3, THRUM_FOREVER);
    REQUIRE(i >= 0 && i < 3);
    count[i]++;
    CHECK_EQ(thrum_chan_len(ch), 1);
    CHECK_EQ(thrum_chan_recv(ch, &got, THRUM_TRY), 0);
    CHECK_EQ(got, 100 + i);
  }
  for (int k = 0; k < 3; k++)
    CHECK_LE(rounds / 3 - rounds / 10, count[k]);
  thrum_chan_release(ch);
}
TEST(one_channel_in_several_arms) { everywhere(same_channel, NULL); }

/* ---- no partner but itself ----------------------------------------------- */

static void alone(void* arg) {
  (void)arg;
  thrum_chan* ch = chan_of(sizeof(int), 0);
  int out = 7, in = -1;
  for (int order = 0; order < 2; order++) {
    thrum_case arms[2] = {arm_send(ch, &out), arm_recv(ch, &in)};
    if (order) {
      arms[0] = arm_recv(ch, &in);
      arms[1] = arm_send(ch, &out);
    }
    CHECK_EQ(thrum_select(arms, 2, THRUM_TRY), THRUM_EAGAIN);
    CHECK_EQ(thrum_select(arms, 2, -1), THRUM_ETIMEDOUT);
    int64_t deadline = thrum_after(2 * MS);
    CHECK_EQ(thrum_select(arms, 2, deadline), THRUM_ETIMEDOUT);
    CHECK_LE(deadline, thrum_now());
    CHECK_EQ(in, -1);
    CHECK_EQ(arms[0].result, 12345);
    CHECK_EQ(arms[1].result, 12345);
  }
  thrum_chan_release(ch);
}
struct both_ways {
  thrum_chan* ch;
  int out, in, sent;
  word* pairs;
};
static void sends_or_receives(void* arg) {
  struct both_ways* b = arg;
  for (int i = 0; i < 200; i++) {
    b->in = -1;
    thrum_case arms[2] = {arm_send(b->ch, &b->out), arm_recv(b->ch, &b->in)};
    int k = thrum_select(arms, 2, THRUM_FOREVER);
    if (k == 0)
      add(b->pairs, 1);
    else if (k == 1)
      CHECK_MSG(b->in >= 0 && b->in != b->out,
                "received %d, which it has sent itself", b->in);
    else
      check_fail(__FILE__, __LINE__, "select answers %d", k);
  }
}
static void paired(void* arg) {
  (void)arg;
  /* Two that may each do either: one sends, the other receives, 200 times. */
  word pairs = 0;
  thrum_chan* ch = chan_of(sizeof(int), 0);
  struct both_ways a = {ch, 1, -1, 0, &pairs}, b = {ch, 2, -1, 0, &pairs};
  thrum_g g = go(sends_or_receives, &a), h = go(sends_or_receives, &b);
  join_g(g);
  join_g(h);
  CHECK_EQ(pairs, 200);
  thrum_chan_release(ch);
}
TEST(never_pairs_with_itself) {
  everywhere(alone, NULL);
  alone(NULL);
  everywhere(paired, NULL);
}

/* ---- arms that cannot be ready ------------------------------------------- */

static void no_live_arm(void* arg) {
  (void)arg;
  int v = 5;
  thrum_case nulls[3] = {arm_recv(NULL, &v), arm_send(NULL, &v),
                         arm_recv(NULL, NULL)};
  for (uint32_t n = 0; n <= 3; n++) {
    thrum_case* cases = n ? nulls : NULL;
    CHECK_EQ(thrum_select(cases, n, THRUM_FOREVER), THRUM_EDEADLOCK);
    CHECK_EQ(thrum_select(cases, n, THRUM_TRY), THRUM_EAGAIN);
    CHECK_EQ(thrum_select(cases, n, -1), THRUM_ETIMEDOUT);
    CHECK_EQ(thrum_select(cases, n, 1), THRUM_ETIMEDOUT);
    int64_t deadline = thrum_after(2 * MS);
    CHECK_EQ(thrum_select(cases, n, deadline), THRUM_ETIMEDOUT); /* a sleep */
    CHECK_LE(deadline, thrum_now());
  }
  CHECK_EQ(v, 5);
  /* Beside a live one they are just not there. */
  thrum_chan* ch = chan_of(sizeof(int), 1);
  for (int r = 0; r < 100; r++) {
    int got = -1;
    CHECK_EQ(thrum_chan_send(ch, &r, THRUM_TRY), 0);
    thrum_case arms[4] = {arm_recv(NULL, &v), arm_send(NULL, &v),
                          arm_recv(ch, &got), arm_recv(NULL, &v)};
    CHECK_EQ(thrum_select(arms, 4, THRUM_FOREVER), 2);
    CHECK_EQ(got, r);
    CHECK_EQ(arms[0].result, 12345);
    CHECK_EQ(arms[1].result, 12345);
    CHECK_EQ(arms[3].result, 12345);
  }
  thrum_chan_release(ch);
}
TEST(null_channels_and_no_arms) {
  everywhere(no_live_arm, NULL);
  no_live_arm(NULL);
}

static void cancelled_without_arms(void* arg) {
  *(int*)arg = thrum_select(NULL, 0, thrum_after(3600 * SECOND));
}
static void cancel_no_arms(void* arg) {
  int rc = 0;
  (void)arg;
  thrum_g g = go(cancelled_without_arms, &rc);
  let_others_run();
  CHECK_EQ(thrum_cancel(NULL, g), 0);
  join_g(g);
  CHECK_EQ(rc, THRUM_ECANCELED);
}
TEST(no_arms_is_a_sleep_that_can_be_cancelled) {
  in_sequence(cancel_no_arms, NULL);
}

static void refused(void* arg) {
  (void)arg;
  thrum_chan* ch = chan_of(sizeof(int), 1);
  int v = 3, w = 4;
  CHECK_EQ(thrum_chan_send(ch, &v, THRUM_TRY), 0);
  CHECK_EQ(thrum_select(NULL, 1, THRUM_TRY), THRUM_EINVAL);
  CHECK_EQ(thrum_select(NULL, 65536, THRUM_FOREVER), THRUM_EINVAL);
  static const uint32_t bad_op[] = {0, 3, 4, 0x80000001u, UINT32_MAX};
  for (size_t i = 0; i < CHECK_COUNT(bad_op); i++)
    for (int place = 0; place < 2; place++) {
      /* Nothing is done, though the other arm is ready. */
      thrum_case arms[2] = {arm_recv(ch, &w), arm_recv(ch, &w)};
      arms[place].op = bad_op[i];
      CHECK_EQ(thrum_select(arms, 2, THRUM_TRY), THRUM_EINVAL);
      CHECK_EQ(thrum_select(arms, 2, THRUM_FOREVER), THRUM_EINVAL);
      CHECK_EQ(w, 4);
      CHECK_EQ(thrum_chan_len(ch), 1);
    }
  thrum_chan_release(ch);
}
TEST(garbage_is_refused) {
  everywhere(refused, NULL);
  refused(NULL);
}

/* ---- the largest --------------------------------------------------------- */

struct largest {
  thrum_chan* ch[64];
  thrum_case* arms;
  int v;
  word about;
  int result;
};
static void wait_in_largest(void* arg) {
  struct largest* l = arg;
  add(&l->about, 1);
  l->result = thrum_select(l->arms, 65535, THRUM_FOREVER);
}
static void largest(void* arg) {
  (void)arg;
  enum { MOST = 65535 };
  static thrum_case arms[MOST + 1];
  struct largest l;
  memset(&l, 0, sizeof l);
  l.arms = arms;
  for (int i = 0; i < 64; i++)
    l.ch[i] = chan_of(sizeof(int), 1);
  for (int i = 0; i <= MOST; i++)
    arms[i] = arm_recv(l.ch[i % 63], &l.v);
  arms[MOST - 1] = arm_recv(l.ch[63], &l.v);
  CHECK_EQ(thrum_select(arms, MOST, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_select(arms, MOST + 1, THRUM_TRY), THRUM_EINVAL);
  CHECK_EQ(thrum_select(arms, UINT32_MAX, THRUM_TRY), THRUM_EINVAL);
  int v = 99;
  CHECK_EQ(thrum_chan_send(l.ch[63], &v, THRUM_TRY), 0);
  CHECK_EQ(thrum_select(arms, MOST, THRUM_FOREVER), MOST - 1);
  CHECK_EQ(l.v, 99);
  CHECK_EQ(thrum_select(arms, MOST, thrum_after(2 * MS)), THRUM_ETIMEDOUT);
  /* Parked on all of them, and woken by the last. */
  thrum_g g = go(wait_in_largest, &l);
  yield_until(&l.about, 1);
  v = 100;
  CHECK_EQ(thrum_chan_send(l.ch[63], &v, SOON), 0);
  join_g(g);
  CHECK_EQ(l.result, MOST - 1);
  CHECK_EQ(l.v, 100);
  /* into the buffer: */
  for (int i = 0; i < 63; i++)
    CHECK_EQ(thrum_chan_send(l.ch[i], &v, THRUM_TRY), 0);
  /* nobody waits there */
  for (int i = 0; i < 63; i++)
    CHECK_EQ(thrum_chan_len(l.ch[i]), 1);
  for (int i = 0; i < 64; i++)
    thrum_chan_release(l.ch[i]);
}
TEST(as_many_arms_as_are_allowed) { everywhere(largest, NULL); }

/* ---- closed arms --------------------------------------------------------- */

static void closed_arms(void* arg) {
  (void)arg;
  thrum_chan *idle = chan_of(sizeof(int), 0), *ch = chan_of(sizeof(int), 2);
  int v = 11, w = -1;
  CHECK_EQ(thrum_chan_send(ch, &v, THRUM_TRY), 0);
  CHECK_EQ(thrum_chan_close(ch), 0);
  static const int64_t deadlines[] = {THRUM_TRY, THRUM_FOREVER, -1};
  thrum_case arms[2] = {arm_recv(idle, &w), arm_recv(ch, &w)};
  CHECK_EQ(thrum_select(arms, 2, THRUM_TRY), 1); /* drained first */
  CHECK_EQ(arms[1].result, 0);
  CHECK_EQ(w, 11);
  w = -1;
  for (size_t i = 0; i < CHECK_COUNT(deadlines); i++) {
    arms[0] = arm_recv(idle, &w);
    arms[1] = arm_recv(ch, &w);
    CHECK_EQ(thrum_select(arms, 2, deadlines[i]), 1);
    CHECK_EQ(arms[1].result, THRUM_ECLOSED);
    CHECK_EQ(arms[0].result, 12345);
    CHECK_EQ(w, -1);
    arms[1] = arm_send(ch, &v);
    CHECK_EQ(thrum_select(arms, 2, deadlines[i]), 1);
    CHECK_EQ(arms[1].result, THRUM_ECLOSED);
    CHECK_EQ(v, 11);
    CHECK_EQ(thrum_chan_len(ch), 0);
  }
  thrum_chan_release(ch);
  thrum_chan_release(idle);
}
TEST(closed_arms_are_ready) {
  everywhere(closed_arms, NULL);
  closed_arms(NULL);
}

struct parked_select {
  thrum_chan* ch[8];
  thrum_case arms[8];
  int v[8], n, result;
  int64_t deadline;
  word about;
};
static void parked_select(void* arg) {
  struct parked_select* p = arg;
  add(&p->about, 1);
  p->result = thrum_select(p->arms, (uint32_t)p->n, p->deadline);
}
/* Eight unbuffered channels; arm i receives if bit i of `sends` is clear. */
static void parked_open(struct parked_select* p, unsigned sends,
                        int64_t deadline) {
  memset(p, 0, sizeof *p);
  p->n = 8;
  p->deadline = deadline;
  for (int i = 0; i < 8; i++) {
    p->ch[i] = chan_of(sizeof(int), 0);
    p->v[i] = (sends >> i & 1) ? 500 + i : -1;
    p->arms[i] = (sends >> i & 1) ? arm_send(p->ch[i], &p->v[i])
                                  : arm_recv(p->ch[i], &p->v[i]);
  }
}
/* Nobody is left waiting on any of them, for either purpose. */
static void parked_no_trace(struct parked_select* p) {
  for (int i = 0; i < 8; i++) {
    int v = 1, before = p->v[i];
    CHECK_MSG(thrum_chan_send(p->ch[i], &v, THRUM_TRY) < 0,
              "a receiver is left behind on arm %d", i);
    CHECK_MSG(thrum_chan_recv(p->ch[i], &v, THRUM_TRY) < 0,
              "a sender is left behind on arm %d", i);
    CHECK_EQ(p->v[i], before);
  }
}
static void parked_release(struct parked_select* p) {
  for (int i = 0; i < 8; i++)
    thrum_chan_release(p->ch[i]);
}

static void close_under_select(void* arg) {
  (void)arg;
  for (unsigned sends = 0; sends < 256; sends += 51)
    for (int k = 0; k < 8; k++) {
      struct parked_select p;
      parked_open(&p, sends, THRUM_FOREVER);
      thrum_g g = go(parked_select, &p);
      yield_until(&p.about, 1);
      CHECK_EQ(thrum_chan_close(p.ch[k]), 0);
      join_g(g);
      CHECK_EQ(p.result, k);
      for (int i = 0; i < 8; i++) {
        CHECK_EQ(p.arms[i].result, i == k ? THRUM_ECLOSED : 12345);
        CHECK_EQ(p.v[i], (sends >> i & 1) ? 500 + i : -1);
      }
      parked_no_trace(&p);
      parked_release(&p);
    }
}
TEST(close_wakes_a_parked_select) { in_sequence(close_under_select, NULL); }

/* ---- losing arms --------------------------------------------------------- */

static void win_by_one(void* arg) {
  (void)arg;
  for (unsigned sends = 0; sends < 256; sends += 51)
    for (int k = 0; k < 8; k++) {
      struct parked_select p;
      parked_open(&p, sends, THRUM_FOREVER);
      thrum_g g = go(parked_select, &p);
      yield_until(&p.about, 1);
      int v = 900 + k;
      if (sends >> k & 1) {
        CHECK_EQ(thrum_chan_recv(p.ch[k], &v, THRUM_TRY), 0);
        CHECK_EQ(v, 500 + k);
      } else {
        CHECK_EQ(thrum_chan_send(p.ch[k], &v, THRUM_TRY), 0);
      }
      /* It is claimed by this arm; before it has run again no other may win as
       * well. */
      parked_no_trace(&p);
      join_g(g);
      CHECK_EQ(p.result, k);
      for (int i = 0; i < 8; i++) {
        CHECK_EQ(p.arms[i].result, i == k ? 0 : 12345);
        CHECK_EQ(p.v[i], (sends >> i & 1) ? 500 + i : i == k ? 900 + k : -1);
      }
      parked_no_trace(&p);
      parked_release(&p);
    }
}
static void win_by_none(void* arg) {
  (void)arg;
  for (unsigned sends = 0; sends < 256; sends += 51)
    for (int cancel = 0; cancel < 2; cancel++) {
      struct parked_select p;
      parked_open(&p, sends, cancel ? THRUM_FOREVER : thrum_after(MS));
      thrum_g g = go(parked_select, &p);
      yield_until(&p.about, 1);
      if (cancel)
        CHECK_EQ(thrum_cancel(NULL, g), 0);
      join_g(g);
      CHECK_EQ(p.result, cancel ? THRUM_ECANCELED : THRUM_ETIMEDOUT);
      for (int i = 0; i < 8; i++) {
        CHECK_EQ(p.arms[i].result, 12345);
        CHECK_EQ(p.v[i], (sends >> i & 1) ? 500 + i : -1);
      }
      parked_no_trace(&p);
      parked_release(&p);
    }
}
TEST(losing_arms_leave_no_trace) {
  in_sequence(win_by_one, NULL);
  in_sequence(win_by_none, NULL);
}

/* A select in the queue of a channel keeps its place there. */
struct place {
  thrum_chan *ch, *other;
  int select, value;
  word* about;
};
static void take_a_place(void* arg) {
  struct place* p = arg;
  int elsewhere = -1;
  add(p->about, 1);
  if (p->select) {
    thrum_case arms[2] = {arm_recv(p->other, &elsewhere),
                          arm_recv(p->ch, &p->value)};
    CHECK_EQ(thrum_select(arms, 2, THRUM_FOREVER), 1);
  } else {
    CHECK_EQ(thrum_chan_recv(p->ch, &p->value, THRUM_FOREVER), 0);
  }
}
static void places(void* arg) {
  (void)arg;
  enum { N = 12 };
  struct place p[N];
  thrum_g g[N];
  word about = 0;
  thrum_chan *ch = chan_of(sizeof(int), 0), *other = chan_of(sizeof(int), 0);
  for (int i = 0; i < N; i++) {
    p[i] = (struct place){ch, other, i % 3 != 0, -1, &about};
    g[i] = go(take_a_place, &p[i]);
    yield_until(&about, i + 1);
  }
  for (int i = 0; i < N; i++)
    CHECK_EQ(thrum_chan_send(ch, &i, THRUM_TRY), 0);
  for (int i = 0; i < N; i++) {
    join_g(g[i]);
    CHECK_EQ(p[i].value, i);
  }
  thrum_chan_release(ch);
  thrum_chan_release(other);
}
TEST(a_select_keeps_its_place_in_the_queue) { in_sequence(places, NULL); }

/* A parked send arm whose channel has a buffer: its value goes behind what is
 * there. */
static void send_arm_behind_buffer(void* arg) {
  (void)arg;
  thrum_chan *idle = chan_of(sizeof(int), 0), *ch = chan_of(sizeof(int), 2);
  struct parked_select p;
  memset(&p, 0, sizeof p);
  int v = 1, in = -1, out = 3;
  CHECK_EQ(thrum_chan_send(ch, &v, THRUM_TRY), 0);
  v = 2;
  CHECK_EQ(thrum_chan_send(ch, &v, THRUM_TRY), 0);
  p.n = 2;
  p.deadline = THRUM_FOREVER;
  p.arms[0] = arm_recv(idle, &in);
  p.arms[1] = arm_send(ch, &out);
  thrum_g g = go(parked_select, &p);
  yield_until(&p.about, 1);
  for (int i = 1; i <= 3; i++) {
    CHECK_EQ(thrum_chan_recv(ch, &v, THRUM_TRY), 0);
    CHECK_EQ(v, i);
  }
  join_g(g);
  CHECK_EQ(p.result, 1);
  thrum_chan_release(ch);
  thrum_chan_release(idle);
}
TEST(a_send_arm_waits_behind_the_buffer) {
  in_sequence(send_arm_behind_buffer, NULL);
}

/* ---- selects against selects --------------------------------------------- */

/* Four Gs pass numbers through four channels by plain calls and by selects that
 * name them in opposite orders: a deadlock of the locks, a value lost or
 * doubled, or a select that wins twice ends it. After Go's TestSelectStress. */
struct stress {
  thrum_chan* ch[4];
  int n;
  word moved[2];
};
struct stress_guest {
  struct stress* s;
  int me, sends;
};
static void stress_plain(void* arg) {
  struct stress_guest* g = arg;
  for (int i = 0; i < g->s->n; i++) {
    int v = i;
    if (g->sends)
      CHECK_EQ(thrum_chan_send(g->s->ch[g->me], &v, THRUM_FOREVER), 0);
    else
      CHECK_EQ(thrum_chan_recv(g->s->ch[g->me], &v, THRUM_FOREVER), 0);
    add(&g->s->moved[g->sends], 1);
    if (i % 16 == 0)
      CHECK_EQ(thrum_yield(), 0);
  }
}
static void stress_select(void* arg) {
  struct stress_guest* g = arg;
  thrum_case arms[4];
  int left[4], v[4], total = 4 * g->s->n;
  for (int i = 0; i < 4; i++)
    left[i] = g->s->n;
  for (int r = 0; r < total; r++) {
    for (int i = 0; i < 4; i++) {
      int c = g->me ? 3 - i : i; /* opposite orders */
      thrum_chan* ch = left[c] > 0 ? g->s->ch[c] : NULL;
      v[c] = r;
      arms[i] = g->sends ? arm_send(ch, &v[c]) : arm_recv(ch, &v[c]);
    }
    int k = thrum_select(arms, 4, THRUM_FOREVER);
    REQUIRE(k >= 0 && k < 4);
    CHECK_EQ(arms[k].result, 0);
    left[g->me ? 3 - k : k]--;
    add(&g->s->moved[g->sends], 1);
  }
}
static void select_stress(void* arg) {
  struct stress s;
  struct stress_guest guest[12];
  thrum_g g[12];
  int k = 0;
  memset(&s, 0, sizeof s);
  s.n = ROUNDS(500);
  for (int i = 0; i < 4; i++)
    s.ch[i] = chan_of(sizeof(int), i < 2 && arg ? 2 : 0);
  /* Per channel: n by a plain sender, n by the sending select; n by a plain
   * receiver, n by the receiving select. */
  for (int sends = 0; sends < 2; sends++) {
    for (int i = 0; i < 4; i++) {
      guest[k] = (struct stress_guest){&s, i, sends};
      g[k] = go(stress_plain, &guest[k]);
      k++;
    }
    guest[k] = (struct stress_guest){&s, sends, sends};
    g[k] = go(stress_select, &guest[k]);
    k++;
  }
  for (int i = 0; i < k; i++)
    join_g(g[i]);
  CHECK_EQ(s.moved[0], 8 * s.n);
  CHECK_EQ(s.moved[1], 8 * s.n);
  for (int i = 0; i < 4; i++) {
    CHECK_EQ(thrum_chan_len(s.ch[i]), 0);
    thrum_chan_release(s.ch[i]);
  }
}
TEST(stress_of_selects) {
  int buffered = 1;
  everywhere(select_stress, NULL);
  everywhere(select_stress, &buffered);
}

/* Two selects on the same two channels in opposite orders, each sending on one
 * and receiving from the other. */
struct abba {
  thrum_chan *a, *b;
  int n, mirrored;
  word moved;
};
static void abba_guest(void* arg) {
  struct abba* x = arg;
  int to_send = x->n, to_recv = x->n, out = 0, in = 0;
  thrum_chan *send = x->mirrored ? x->b : x->a,
             *recv = x->mirrored ? x->a : x->b;
  while (to_send + to_recv > 0) {
    thrum_case arms[2] = {arm_send(to_send ? send : NULL, &out),
                          arm_recv(to_recv ? recv : NULL, &in)};
    int k = thrum_select(arms, 2, THRUM_FOREVER);
    REQUIRE(k == 0 || k == 1);
    if (k == 0) {
      to_send--;
      out++;
    } else {
      /* in the order in which the other sent them */
      CHECK_EQ(in, x->n - to_recv);
      to_recv--;
    }
    add(&x->moved, 1);
  }
}
static void abba(void* arg) {
  (void)arg;
  struct abba x = {chan_of(sizeof(int), 0), chan_of(sizeof(int), 0),
                   ROUNDS(5000), 0, 0},
              y = x;
  y.mirrored = 1;
  thrum_g g = go(abba_guest, &x), h = go(abba_guest, &y);
  join_g(g);
  join_g(h);
  CHECK_EQ(x.moved, 2 * x.n);
  CHECK_EQ(y.moved, 2 * y.n);
  thrum_chan_release(x.a);
  thrum_chan_release(x.b);
}
TEST(opposite_orders) { everywhere(abba, NULL); }

/* A value offered to two channels of one select at the same time arrives once.
 * After Go's doubleselect. */
struct twice {
  thrum_chan* c[4];
  int n;
};
static void offer(void* arg) {
  struct twice* t = arg;
  for (int i = 0; i < t->n; i++) {
    int v[4] = {i, i, i, i};
    thrum_case arms[4];
    for (int k = 0; k < 4; k++)
      arms[k] = arm_send(t->c[k], &v[k]);
    int k = thrum_select(arms, 4, THRUM_FOREVER);
    CHECK(k >= 0 && k < 4);
  }
  for (int k = 0; k < 4; k++)
    CHECK_EQ(thrum_chan_close(t->c[k]), 0);
}
struct merge {
  struct twice* t;
  thrum_chan *from, *to;
};
static void merge(void* arg) {
  struct merge* m = arg;
  int v;
  while (thrum_chan_recv(m->from, &v, THRUM_FOREVER) == 0)
    CHECK_EQ(thrum_chan_send(m->to, &v, THRUM_FOREVER), 0);
  v = -1;
  CHECK_EQ(thrum_chan_send(m->to, &v, THRUM_FOREVER), 0);
}
static void double_select(void* arg) {
  (void)arg;
  struct twice t;
  struct merge m[4];
  memset(&t, 0, sizeof t);
  t.n = ROUNDS(5000);
  thrum_chan* to = chan_of(sizeof(int), 0);
  thrum_g g[5];
  for (int k = 0; k < 4; k++) {
    t.c[k] = chan_of(sizeof(int), 0);
    m[k] = (struct merge){&t, t.c[k], to};
    g[k] = go(merge, &m[k]);
  }
  g[4] = go(offer, &t);
  unsigned char* seen = calloc(1, (size_t)t.n);
  for (int ended = 0, received = 0; ended < 4;) {
    int v = -2;
    CHECK_EQ(thrum_chan_recv(to, &v, THRUM_FOREVER), 0);
    if (v == -1) {
      if (++ended == 4)
        CHECK_EQ(received, t.n);
      continue;
    }
    REQUIRE(v >= 0 && v < t.n);
    CHECK_MSG(!seen[v], "%d came twice", v);
    seen[v] = 1;
    received++;
  }
  free(seen);
  for (int k = 0; k < 5; k++)
    join_g(g[k]);
  for (int k = 0; k < 4; k++)
    thrum_chan_release(t.c[k]);
  thrum_chan_release(to);
}
TEST(a_value_is_sent_once) { everywhere(double_select, NULL); }

/* Two producers that never stop: neither is forgotten. */
struct flood {
  thrum_chan *ch, *stop;
};
static void flood(void* arg) {
  struct flood* f = arg;
  for (int v = 0;; v++) {
    int nothing;
    thrum_case arms[2] = {arm_send(f->ch, &v), arm_recv(f->stop, &nothing)};
    if (thrum_select(arms, 2, THRUM_FOREVER) != 0)
      return;
  }
}
static void fair(void* arg) {
  struct flood f[2];
  thrum_chan* stop = chan_of(sizeof(int), 0);
  thrum_g g[2];
  int count[2] = {0, 0}, enough = ROUNDS(5000), total = 0;
  for (int i = 0; i < 2; i++) {
    f[i] = (struct flood){chan_of(sizeof(int), 64), stop};
    g[i] = go(flood, &f[i]);
  }
  while (count[0] < enough || count[1] < enough) {
    int v[2];
    thrum_case arms[2] = {arm_recv(f[0].ch, &v[0]), arm_recv(f[1].ch, &v[1])};
    int k = thrum_select(arms, 2, THRUM_FOREVER);
    REQUIRE(k == 0 || k == 1);
    CHECK_EQ(v[k], count[k]);
    count[k]++;
    total++;
  }
  /* with several threads the machine may prefer one */
  if (arg)
    CHECK_LE(total, 20 * enough);
  CHECK_EQ(thrum_chan_close(stop), 0);
  for (int i = 0; i < 2; i++) {
    join_g(g[i]);
    thrum_chan_release(f[i].ch);
  }
  thrum_chan_release(stop);
}
TEST(two_floods_are_both_heard) {
  int sequential = 1;
  in_sequence(fair, &sequential);
  on_threads(fair, NULL);
}

/* Threads and Gs of two runtimes select on the same channels. */
struct crowd {
  thrum_chan* ch[3];
  int per_sender;
  word received, sum;
};
static void crowd_send(void* arg) {
  struct crowd* c = arg;
  for (int i = 1; i <= c->per_sender; i++) {
    thrum_case arms[3];
    int v = i;
    for (int k = 0; k < 3; k++)
      arms[k] = arm_send(c->ch[(k + i) % 3], &v);
    int k = thrum_select(arms, 3, THRUM_FOREVER);
    CHECK(k >= 0 && k < 3 && arms[k].result == 0);
  }
}
static void crowd_recv(void* arg) {
  struct crowd* c = arg;
  thrum_chan* open[3] = {c->ch[0], c->ch[1], c->ch[2]};
  int n = 3;
  while (n > 0) {
    thrum_case arms[3];
    int v[3];
    for (int k = 0; k < 3; k++)
      arms[k] = arm_recv(open[k], &v[k]);
    int k = thrum_select(arms, 3, THRUM_FOREVER);
    REQUIRE(k >= 0 && k < 3);
    if (arms[k].result == THRUM_ECLOSED) {
      open[k] = NULL;
      n--;
      continue;
    }
    CHECK_EQ(arms[k].result, 0);
    add(&c->received, 1);
    add(&c->sum, v[k]);
  }
}
TEST(threads_and_runtimes_select) {
  enum { N = 6 };
  thrum_rt* rt[2] = {rt_make(RT_P2), rt_make(RT_P1)};
  struct crowd c;
  memset(&c, 0, sizeof c);
  c.per_sender = ROUNDS(2000);
  for (int k = 0; k < 3; k++)
    c.ch[k] = chan_of(sizeof(int), (uint32_t)k);
  struct actor s[N], r[N];
  thrum_wg sending = THRUM_WG_INIT, receiving = THRUM_WG_INIT;
  for (int i = 0; i < N; i++) {
    actor_start(&s[i], rt[i & 1], i % 3 == 2, &sending, crowd_send, &c);
    actor_start(&r[i], rt[i & 1], i % 3 == 1, &receiving, crowd_recv, &c);
  }
  CHECK_EQ(thrum_wg_wait(&sending, THRUM_FOREVER), 0);
  for (int k = 0; k < 3; k++)
    CHECK_EQ(thrum_chan_close(c.ch[k]), 0);
  CHECK_EQ(thrum_wg_wait(&receiving, THRUM_FOREVER), 0);
  for (int i = 0; i < N; i++) {
    actor_join(&s[i], rt[i & 1]);
    actor_join(&r[i], rt[i & 1]);
  }
  CHECK_EQ(c.received, N * c.per_sender);
  CHECK_EQ(c.sum, (word)N * c.per_sender * (c.per_sender + 1) / 2);
  rt_end(rt[0]);
  rt_end(rt[1]);
  for (int k = 0; k < 3; k++)
    thrum_chan_release(c.ch[k]);
}

/* ---- a channel that is released ------------------------------------------- */

/* Whoever sees the effect of a select may release its channels at once, while it
 * has not run again. Their memory is not others' before it has. */
struct parting {
  thrum_chan *won, *lost;
  int sends, index, v[3];
};
static void selects_once(void* arg) {
  struct parting* p = arg;
  thrum_case arms[3] = {arm_recv(p->lost, &p->v[0]), arm_recv(p->won, &p->v[1]),
                        arm_recv(p->won, &p->v[2])};
  if (p->sends)
    arms[1].op = arms[2].op = THRUM_SEND;
  p->index = thrum_select(arms, 3, THRUM_FOREVER);
}
static void waits_for_one(void* arg) {
  int v;
  CHECK_EQ(thrum_chan_recv(arg, &v, THRUM_FOREVER), 0);
}
TEST(released_while_a_select_comes_back) {
  enum { N = 2000 };
  static thrum_chan* other[N];
  for (int sends = 0; sends < 2; sends++) {
    thrum_rt* rt = rt_make(RT_HOSTED);
    struct parting p = {chan_of(sizeof(int), 0),
                        chan_of(sizeof(int), 0),
                        sends,
                        -1,
                        {0, 11, 11}};
    go_in(rt, selects_once, &p);
    CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), 1);
    int v = 11;
    CHECK_EQ((sends ? thrum_chan_recv(p.won, &v, THRUM_TRY)
                    : thrum_chan_send(p.won, &v, THRUM_TRY)),
             0);
    thrum_chan_release(p.won);
    thrum_chan_release(p.lost);
    for (int i = 0; i < N; i++) {
      other[i] = chan_of(sizeof(int), 0);
      go_in(rt, waits_for_one, other[i]);
    }
    CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), 1);
    CHECK(p.index == 1 || p.index == 2);
    CHECK_EQ(v, 11);
    CHECK_EQ(p.v[p.index], 11);
    for (int i = 0; i < N; i++) {
      CHECK_EQ(thrum_chan_send(other[i], &v, THRUM_TRY), 0);
      thrum_chan_release(other[i]);
    }
    CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), 0);
    rt_end(rt);
  }
}

static const struct check_case cases[] = {
    CASE(choice_is_uniform),
    CASE(one_channel_in_several_arms),
    CASE(never_pairs_with_itself),
    CASE(null_channels_and_no_arms),
    CASE(no_arms_is_a_sleep_that_can_be_cancelled),
    CASE(garbage_is_refused),
    CASE(as_many_arms_as_are_allowed),
    CASE(closed_arms_are_ready),
    CASE(close_wakes_a_parked_select),
    CASE(losing_arms_leave_no_trace),
    CASE(a_select_keeps_its_place_in_the_queue),
    CASE(a_send_arm_waits_behind_the_buffer),
    CASE(stress_of_selects),
    CASE(opposite_orders),
    CASE(a_value_is_sent_once),
    CASE(two_floods_are_both_heard),
    CASE(threads_and_runtimes_select),
    CASE(released_while_a_select_comes_back),
};
CHECK_MAIN(cases)
