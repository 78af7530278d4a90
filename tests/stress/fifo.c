/* fifo.c: is a channel a queue? Every operation is noted with the time at which
 * it began and the time at which it had returned. If one send had returned
 * before another began, their values may not be received in the opposite order,
 * again with one receive over before the other begins; and so on for loss,
 * doubles, capacity, close and "empty". The checker itself is checked first,
 * with histories that no queue has. */
#include "../support/check.h"

#include <thrum/thrum.h>

#include "../support/rt.h"

enum kind { SENT, RECEIVED, EMPTY, CLOSED, SEND_REFUSED, RECV_CLOSED };
struct op {
  enum kind kind;
  int64_t start, end;
  int value;
};

/* ---- the checker --------------------------------------------------------- */

struct life { /* of one value */
  int64_t in_start, in_end, out_start, out_end;
};
#define NEVER INT64_MAX

static int by_in_start(const void* a, const void* b) {
  const struct life *x = a, *y = b;
  return x->in_start < y->in_start ? -1 : x->in_start > y->in_start;
}
static int by_in_end(const void* a, const void* b) {
  const struct life *x = a, *y = b;
  return x->in_end < y->in_end ? -1 : x->in_end > y->in_end;
}
static int by_time(const void* a, const void* b) {
  int64_t x = *(const int64_t*)a, y = *(const int64_t*)b;
  return x < y ? -1 : x > y;
}

/* The latest out_start of the values whose send had returned before t;
 * INT64_MIN: there is none. */
static int64_t latest_out(const struct life* sorted, const int64_t* latest,
                          int n, int64_t t) {
  int low = 0, high = n;
  while (low < high) {
    int middle = (low + high) / 2;
    if (sorted[middle].in_end < t)
      low = middle + 1;
    else
      high = middle;
  }
  return low ? latest[low - 1] : INT64_MIN;
}

/* The first thing that is wrong is the verdict. */
static void blame(const char** bad, const char* why) {
  if (!*bad)
    *bad = why;
}

/* NULL, or what no queue of this capacity does. Values are 0 .. values - 1.
 * `drained`: the channel was emptied. */
static const char* judge(const struct op* ops, int n, int values, int capacity,
                         int drained) {
  struct life *life = calloc((size_t)values + 1, sizeof *life), *by_end;
  int64_t *latest, *ins, *outs, closed_start = NEVER, closed_end = NEVER,
                                drained_seen = NEVER;
  const char* bad = NULL;
  int lives = 0;
  REQUIRE(life != NULL);
  for (int v = 0; v < values; v++)
    life[v] = (struct life){NEVER, NEVER, NEVER, NEVER};
  for (int i = 0; i < n; i++) {
    const struct op* o = &ops[i];
    if (o->kind == SENT) {
      if (life[o->value].in_start != NEVER)
        blame(&bad, "a value is sent twice");
      life[o->value].in_start = o->start;
      life[o->value].in_end = o->end;
    } else if (o->kind == CLOSED) {
      closed_start = o->start;
      closed_end = o->end;
    }
  }
  for (int i = 0; i < n; i++) {
    const struct op* o = &ops[i];
    if (o->kind != RECEIVED)
      continue;
    if (o->value < 0 || o->value >= values ||
        life[o->value].in_start == NEVER) {
      blame(&bad, "a value is received that was never sent");
      continue;
    }
    if (life[o->value].out_start != NEVER)
      blame(&bad, "a value is received twice");
    life[o->value].out_start = o->start;
    life[o->value].out_end = o->end;
    if (o->end < life[o->value].in_start)
      blame(&bad, "a value is received before it was sent");
  }
  for (int v = 0; v < values; v++) {
    if (life[v].in_start == NEVER)
      continue;
    if (drained && life[v].out_start == NEVER)
      blame(&bad, "a value is lost");
    life[lives++] = life[v];
  }
  by_end = calloc((size_t)lives + 1, sizeof *by_end);
  latest = calloc((size_t)lives + 1, sizeof *latest);
  ins = calloc((size_t)lives + 1, sizeof *ins);
  outs = calloc((size_t)lives + 1, sizeof *outs);
  REQUIRE(by_end && latest && ins && outs);
  memcpy(by_end, life, (size_t)lives * sizeof *life);
  qsort(by_end, (size_t)lives, sizeof *by_end, by_in_end);
  qsort(life, (size_t)lives, sizeof *life, by_in_start);
  for (int i = 0; i < lives; i++) {
    latest[i] = i && latest[i - 1] > by_end[i].out_start ? latest[i - 1]
                                                         : by_end[i].out_start;
    ins[i] = life[i].in_end;
    outs[i] = life[i].out_start;
  }
  /* Order: some value was in before this one began, and comes out after this
   * one is out. */
  for (int i = 0; i < lives; i++)
    if (life[i].out_end != NEVER &&
        latest_out(by_end, latest, lives, life[i].in_start) > life[i].out_end)
      blame(&bad, "a later value overtakes an earlier one");
  /* Between the end of its send and the beginning of its receive a value is in
   * the buffer. */
  qsort(ins, (size_t)lives, sizeof *ins, by_time);
  qsort(outs, (size_t)lives, sizeof *outs, by_time);
  for (int i = 0, out = 0; i < lives; i++) {
    while (out < lives && outs[out] <= ins[i])
      out++;
    if (i + 1 - out > capacity)
      blame(&bad, "more values are in the buffer than it holds");
  }
  for (int i = 0; i < n; i++) {
    const struct op* o = &ops[i];
    switch (o->kind) {
      case SENT:
        if (o->start > closed_end)
          blame(&bad, "a send succeeds after the close");
        break;
      case SEND_REFUSED:
        if (o->end < closed_start)
          blame(&bad, "a send is refused before the close");
        break;
      case RECV_CLOSED:
        if (o->end < closed_start)
          blame(&bad, "a receive is refused before the close");
        if (latest_out(by_end, latest, lives, o->start) > o->end)
          blame(&bad, "closed is seen while a value is in the buffer");
        if (o->end < drained_seen)
          drained_seen = o->end;
        break;
      case EMPTY:
        if (latest_out(by_end, latest, lives, o->start) > o->end)
          blame(&bad, "empty is seen while a value is in the buffer");
        break;
      default:
        break;
    }
  }
  for (int i = 0; i < lives; i++)
    if (life[i].out_start != NEVER && life[i].out_start > drained_seen)
      blame(&bad, "a value comes after closed was seen");
  free(life);
  free(by_end);
  free(latest);
  free(ins);
  free(outs);
  return bad;
}

#define HISTORY(...) \
  {__VA_ARGS__}, (int)(sizeof((struct op[]){__VA_ARGS__}) / sizeof(struct op))
struct example {
  const char* verdict; /* NULL: a good one */
  int values, capacity, drained;
  struct op ops[8];
  int n;
};
static const struct example examples[] = {
    {"a value is lost", 1, 1, 1, HISTORY({SENT, 1, 2, 0})},
    {"a value is received twice", 1, 1, 1,
     HISTORY({SENT, 1, 2, 0}, {RECEIVED, 3, 4, 0}, {RECEIVED, 5, 6, 0})},
    {"a value is sent twice", 1, 2, 0,
     HISTORY({SENT, 1, 2, 0}, {SENT, 3, 4, 0})},
    {"a value is received that was never sent", 2, 1, 1,
     HISTORY({SENT, 1, 2, 0}, {RECEIVED, 3, 4, 0}, {RECEIVED, 5, 6, 1})},
    {"a value is received before it was sent", 1, 1, 1,
     HISTORY({RECEIVED, 1, 2, 0}, {SENT, 3, 4, 0})},
    {"a later value overtakes an earlier one", 2, 2, 1,
     HISTORY({SENT, 1, 2, 0}, {SENT, 3, 4, 1}, {RECEIVED, 5, 6, 1},
             {RECEIVED, 7, 8, 0})},
    {"a later value overtakes an earlier one", 3, 3, 1,
     HISTORY({SENT, 1, 9, 2}, {SENT, 1, 2, 0}, {SENT, 3, 4, 1},
             {RECEIVED, 5, 6, 1}, {RECEIVED, 7, 8, 0}, {RECEIVED, 7, 8, 2})},
    {"more values are in the buffer than it holds", 2, 1, 1,
     HISTORY({SENT, 1, 2, 0}, {SENT, 3, 4, 1}, {RECEIVED, 5, 6, 0},
             {RECEIVED, 7, 8, 1})},
    {"more values are in the buffer than it holds", 1, 0, 1,
     HISTORY({SENT, 1, 2, 0}, {RECEIVED, 3, 4, 0})},
    {"a send succeeds after the close", 1, 1, 1,
     HISTORY({CLOSED, 1, 2, 0}, {SENT, 3, 4, 0}, {RECEIVED, 5, 6, 0})},
    {"a send is refused before the close", 0, 1, 1,
     HISTORY({SEND_REFUSED, 1, 2, 0}, {CLOSED, 3, 4, 0})},
    {"a receive is refused before the close", 0, 1, 1,
     HISTORY({RECV_CLOSED, 1, 2, 0}, {CLOSED, 3, 4, 0})},
    {"closed is seen while a value is in the buffer", 1, 1, 1,
     HISTORY({SENT, 1, 2, 0}, {CLOSED, 3, 4, 0}, {RECV_CLOSED, 5, 8, 0},
             {RECEIVED, 9, 10, 0})},
    {"empty is seen while a value is in the buffer", 1, 1, 1,
     HISTORY({SENT, 1, 2, 0}, {EMPTY, 3, 4, 0}, {RECEIVED, 5, 6, 0})},
    {"a value comes after closed was seen", 1, 1, 1,
     HISTORY({SENT, 4, 8, 0}, {CLOSED, 1, 5, 0}, {RECV_CLOSED, 6, 7, 0},
             {RECEIVED, 9, 10, 0})},
    {NULL, 0, 0, 1,
     HISTORY({CLOSED, 1, 2, 0}, {RECV_CLOSED, 3, 4, 0},
             {SEND_REFUSED, 3, 4, 0})},
    {NULL, 1, 0, 1, HISTORY({SENT, 1, 5, 0}, {RECEIVED, 2, 4, 0})},
    {NULL, 2, 2, 1,
     HISTORY({SENT, 1, 4, 0}, {SENT, 2, 5, 1}, {RECEIVED, 6, 7, 1},
             {RECEIVED, 8, 9, 0})},
    {NULL, 2, 2, 1,
     HISTORY({SENT, 1, 2, 0}, {SENT, 3, 4, 1}, {RECEIVED, 5, 8, 1},
             {RECEIVED, 6, 7, 0})},
    {NULL, 1, 1, 1,
     HISTORY({SENT, 1, 3, 0}, {EMPTY, 2, 4, 0}, {RECEIVED, 5, 6, 0})},
    {NULL, 1, 1, 1,
     HISTORY({SENT, 1, 2, 0}, {EMPTY, 3, 6, 0}, {RECEIVED, 5, 7, 0})},
    {NULL, 1, 1, 1,
     HISTORY({SENT, 1, 2, 0}, {CLOSED, 3, 4, 0}, {RECEIVED, 5, 6, 0},
             {RECV_CLOSED, 7, 8, 0}, {EMPTY, 0, 1, 0})},
};
TEST(the_checker_knows_bad_histories) {
  for (size_t i = 0; i < CHECK_COUNT(examples); i++) {
    const struct example* e = &examples[i];
    const char* verdict =
        judge(e->ops, e->n, e->values, e->capacity, e->drained);
    CHECK_MSG((!verdict && !e->verdict) ||
                  (verdict && e->verdict && strcmp(verdict, e->verdict) == 0),
              "history %d is judged \"%s\", not \"%s\"", (int)i,
              verdict ? verdict : "good", e->verdict ? e->verdict : "good");
  }
}

/* ---- histories of real channels ------------------------------------------ */

enum { MOST = 8 };
struct session {
  thrum_chan* ch;
  int per_sender;
  uint64_t seed;
};
struct scribe {
  struct session* s;
  int me, n, room;
  struct op* ops;
};
static void note(struct scribe* w, enum kind kind, int64_t start, int value) {
  if (w->n == w->room) {
    w->room = w->room ? w->room * 2 : 256;
    REQUIRE((w->ops = realloc(w->ops, (size_t)w->room * sizeof *w->ops)) !=
            NULL);
  }
  w->ops[w->n++] = (struct op){kind, start, real_now(), value};
}
static void pause_a_bit(uint64_t* rng) {
  if (below(rng, 20) == 0) {
    if (thrum_self())
      thrum_yield();
    else
      sched_yield();
  }
}
static void scribe_send(void* arg) {
  struct scribe* w = arg;
  uint64_t rng = w->s->seed * 31 + (uint64_t)w->me;
  for (int i = 0; i < w->s->per_sender; i++) {
    int value = w->me * w->s->per_sender + i, rc;
    int64_t start = real_now();
    while ((rc = thrum_chan_send(w->s->ch, &value,
                                 below(&rng, 4)
                                     ? THRUM_FOREVER
                                     : thrum_after(below(&rng, 50000)))) ==
           THRUM_ETIMEDOUT)
      /* it has done nothing: the next try is the operation */
      start = real_now();
    if (rc == THRUM_ECLOSED) {
      note(w, SEND_REFUSED, start, 0);
      break;
    }
    CHECK_EQ(rc, 0);
    note(w, SENT, start, value);
    pause_a_bit(&rng);
  }
}
static void scribe_recv(void* arg) {
  struct scribe* w = arg;
  uint64_t rng = w->s->seed * 77 + (uint64_t)w->me;
  for (;;) {
    int value = -1;
    int64_t start = real_now();
    int rc = thrum_chan_recv(w->s->ch, &value,
                             below(&rng, 3) ? THRUM_FOREVER : THRUM_TRY);
    if (rc == 0)
      note(w, RECEIVED, start, value);
    else if (rc == THRUM_EAGAIN)
      note(w, EMPTY, start, 0);
    else {
      CHECK_EQ(rc, THRUM_ECLOSED);
      note(w, RECV_CLOSED, start, 0);
      break;
    }
    pause_a_bit(&rng);
    /* spinning on "empty" says nothing new */
    if (rc == THRUM_EAGAIN && w->n > 200000) {
      if (thrum_self())
        thrum_sleep(10000);
      else
        sched_yield();
    }
  }
}
static void session(uint64_t seed, struct rt_kind kind, int senders,
                    int receivers, uint32_t capacity, int threads,
                    int close_early) {
  thrum_rt* rt = rt_make(kind);
  struct session s = {NULL, ROUNDS(4000) / senders, seed};
  struct scribe w[2 * MOST + 1];
  struct actor a[2 * MOST];
  thrum_wg sending = THRUM_WG_INIT, receiving = THRUM_WG_INIT;
  REQUIRE_EQ(thrum_chan_new(sizeof(int), capacity, &s.ch), 0);
  memset(w, 0, sizeof w);
  for (int i = 0; i < senders + receivers; i++) {
    int sends = i < senders;
    w[i].s = &s;
    w[i].me = sends ? i : i - senders;
    actor_start(&a[i], rt, threads && i % 2, sends ? &sending : &receiving,
                sends ? scribe_send : scribe_recv, &w[i]);
  }
  struct scribe* closer = &w[2 * MOST];
  closer->s = &s;
  if (close_early)
    check_pause();
  else
    CHECK_EQ(thrum_wg_wait(&sending, THRUM_FOREVER), 0);
  int64_t start = real_now();
  CHECK_EQ(thrum_chan_close(s.ch), 0);
  note(closer, CLOSED, start, 0);
  CHECK_EQ(thrum_wg_wait(&sending, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_wg_wait(&receiving, THRUM_FOREVER), 0);
  for (int i = 0; i < senders + receivers; i++)
    actor_join(&a[i], rt);
  int n = 0;
  for (int i = 0; i <= 2 * MOST; i++)
    n += w[i].n;
  struct op* ops = calloc((size_t)n + 1, sizeof *ops);
  REQUIRE(ops != NULL);
  n = 0;
  for (int i = 0; i <= 2 * MOST; i++) {
    if (w[i].n)
      memcpy(ops + n, w[i].ops, (size_t)w[i].n * sizeof *ops);
    n += w[i].n;
    free(w[i].ops);
  }
  const char* bad = judge(ops, n, senders * s.per_sender, (int)capacity, 1);
  CHECK_MSG(!bad,
            "seed %d, %d senders, %d receivers, capacity %u, %d operations: %s",
            (int)seed, senders, receivers, capacity, n, bad);
  free(ops);
  rt_end(rt);
  thrum_chan_release(s.ch);
}
static void sessions(struct rt_kind kind, int threads) {
  static const int shapes[][2] = {{1, 1}, {1, 4}, {4, 1}, {4, 4}, {8, 8}};
  static const uint32_t capacities[] = {0, 1, 3, 64};
  uint64_t seed = 1;
  for (int round = 0; round < check_stress(); round++)
    for (size_t k = 0; k < CHECK_COUNT(shapes); k++)
      for (size_t c = 0; c < CHECK_COUNT(capacities); c++)
        for (int early = 0; early < 2; early++, seed++)
          session(seed, kind, shapes[k][0], shapes[k][1], capacities[c],
                  threads, early);
}
TEST(on_one_p) { sessions(RT_P1, 0); }
TEST(on_two_ps) { sessions(RT_P2, 0); }
TEST(on_four_ps) { sessions(RT_P4, 0); }
TEST(gs_that_hibernate) { sessions(RT_SLEEPY, 0); }
TEST(with_threads) { sessions(RT_P2, 1); }

static const struct check_case cases[] = {
    CASE(the_checker_knows_bad_histories),
    CASE(on_one_p),
    CASE(on_two_ps),
    CASE(on_four_ps),
    CASE(gs_that_hibernate),
    CASE(with_threads),
};
CHECK_MAIN(cases)
