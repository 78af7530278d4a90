/* chan.c: channels under random deadlines and cancels. Nothing is lost, nothing
 * comes twice, and what one producer sends through one channel stays in order,
 * whoever gave up in between. Producers and consumers are Gs of two runtimes
 * and threads; the seed is printed when something fails. */
#include "../support/check.h"

#include <thrum/thrum.h>

#include "../support/rt.h"

enum { ACTORS = 16, MOST_PER_PRODUCER = 1 << 20 };

struct value {
  int producer, seq;
};
struct run {
  thrum_chan* ch;
  /* patient: no deadlines, cancels only */
  int producers, consumers, per_producer, patient;
  uint64_t seed;
  unsigned char* seen[ACTORS]; /* of each producer: how often each value came */
  word finished_producers, cancelled, timed_out;
};
struct role {
  struct run* r;
  int me;
};

static int64_t some_deadline(uint64_t* rng, int patient) {
  switch (patient ? 0 : below(rng, 6)) {
    case 1:
      return THRUM_TRY;
    case 2:
      return thrum_after(below(rng, 1000));
    case 3:
      return thrum_after(below(rng, 200000));
    case 4:
      return 1;
    default:
      return THRUM_FOREVER;
  }
}
static void note_failure(struct run* r, int rc) {
  if (rc == THRUM_ECANCELED)
    add(&r->cancelled, 1);
  else if (rc == THRUM_ETIMEDOUT)
    add(&r->timed_out, 1);
  else
    CHECK_EQ(rc, THRUM_EAGAIN);
  if (thrum_self())
    thrum_yield(); /* which may be what is cancelled: fine */
  else
    sched_yield();
}
static int send_somehow(struct run* r, uint64_t* rng, struct value* v) {
  if (below(rng, 3))
    return thrum_chan_send(r->ch, v, some_deadline(rng, r->patient));
  struct value copy = *v;
  thrum_case arms[3] = {{r->ch, v, THRUM_SEND, 0},
                        {NULL, v, THRUM_SEND, 0},
                        {r->ch, &copy, THRUM_SEND, 0}};
  int k = thrum_select(arms, 3, some_deadline(rng, r->patient));
  return k < 0 ? k : arms[k].result;
}
static int recv_somehow(struct run* r, uint64_t* rng, struct value* v) {
  if (below(rng, 3))
    return thrum_chan_recv(r->ch, v, some_deadline(rng, r->patient));
  struct value w = {-1, -1};
  thrum_case arms[3] = {{NULL, &w, THRUM_RECV, 0},
                        {r->ch, v, THRUM_RECV, 0},
                        {r->ch, &w, THRUM_RECV, 0}};
  int k = thrum_select(arms, 3, some_deadline(rng, r->patient));
  if (k == 2 && arms[k].result == 0)
    *v = w;
  return k < 0 ? k : arms[k].result;
}
static void produce(void* arg) {
  struct role* me = arg;
  struct run* r = me->r;
  uint64_t rng = r->seed * 1000 + (uint64_t)me->me;
  for (int seq = 0; seq < r->per_producer; seq++) {
    struct value v = {me->me, seq};
    int rc;
    while ((rc = send_somehow(r, &rng, &v)) != 0) {
      CHECK(v.producer == me->me && v.seq == seq); /* still the caller's */
      note_failure(r, rc);
    }
  }
  add(&r->finished_producers, 1);
}
static void consume(void* arg) {
  struct role* me = arg;
  struct run* r = me->r;
  uint64_t rng = r->seed * 1000 + 500 + (uint64_t)me->me;
  int last[ACTORS];
  for (int i = 0; i < ACTORS; i++)
    last[i] = -1;
  for (;;) {
    struct value v = {-7, -7};
    int rc = recv_somehow(r, &rng, &v);
    if (rc == THRUM_ECLOSED)
      break;
    if (rc != 0) {
      CHECK(v.producer == -7 && v.seq == -7); /* nothing written */
      note_failure(r, rc);
      continue;
    }
    REQUIRE(v.producer >= 0 && v.producer < r->producers && v.seq >= 0 &&
            v.seq < r->per_producer);
    CHECK_MSG(v.seq > last[v.producer],
              "seed %d: %d of producer %d came after %d", (int)r->seed, v.seq,
              v.producer, last[v.producer]);
    last[v.producer] = v.seq;
    int before =
        __atomic_fetch_add(&r->seen[v.producer][v.seq], 1, __ATOMIC_SEQ_CST);
    CHECK_MSG(before == 0, "seed %d: %d of producer %d came twice",
              (int)r->seed, v.seq, v.producer);
  }
}

/* Who is a thread: every `thread_every`th actor; 0: none. */
static void run(uint64_t seed, struct rt_kind kind, int producers,
                int consumers, uint32_t capacity, int per_producer,
                int thread_every, int patient) {
  thrum_rt* rt[2] = {rt_make(kind), rt_make(RT_P1)};
  struct run r;
  struct role p[ACTORS], c[ACTORS];
  struct actor pa[ACTORS], ca[ACTORS];
  thrum_wg producing = THRUM_WG_INIT, consuming = THRUM_WG_INIT;
  uint64_t rng = seed;
  memset(&r, 0, sizeof r);
  r.producers = producers;
  r.consumers = consumers;
  r.per_producer = per_producer;
  r.patient = patient;
  r.seed = seed;
  REQUIRE_EQ(thrum_chan_new(sizeof(struct value), capacity, &r.ch), 0);
  for (int i = 0; i < producers; i++)
    REQUIRE((r.seen[i] = calloc(1, (size_t)per_producer)) != NULL);
  int n = 0;
  for (int i = 0; i < consumers; i++) {
    c[i] = (struct role){&r, i};
    actor_start(&ca[i], rt[i % 4 == 3], thread_every && ++n % thread_every == 0,
                &consuming, consume, &c[i]);
  }
  for (int i = 0; i < producers; i++) {
    p[i] = (struct role){&r, i};
    actor_start(&pa[i], rt[i % 4 == 3], thread_every && ++n % thread_every == 0,
                &producing, produce, &p[i]);
  }
  /* Cancel whoever, as long as there are producers. */
  while (get(&r.finished_producers) < producers) {
    int i = (int)below(&rng, (uint32_t)(producers + consumers));
    struct actor* a = i < producers ? &pa[i] : &ca[i - producers];
    int k = (i < producers ? i : i - producers) % 4 == 3;
    if (!a->is_thread) {
      int rc = thrum_cancel(rt[k], a->g);
      CHECK(rc == 0 || rc == THRUM_ESTALE);
    }
    struct timespec pause = {0, 1000 + (long)below(&rng, 50000)};
    nanosleep(&pause, NULL);
  }
  CHECK_EQ(thrum_wg_wait(&producing, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_chan_close(r.ch), 0);
  CHECK_EQ(thrum_wg_wait(&consuming, THRUM_FOREVER), 0);
  for (int i = 0; i < producers; i++)
    actor_join(&pa[i], rt[i % 4 == 3]);
  for (int i = 0; i < consumers; i++)
    actor_join(&ca[i], rt[i % 4 == 3]);
  int lost = 0;
  for (int i = 0; i < producers; i++)
    for (int k = 0; k < per_producer; k++)
      lost += r.seen[i][k] == 0;
  CHECK_MSG(lost == 0, "seed %d: %d values are lost", (int)seed, lost);
  CHECK_EQ(thrum_chan_len(r.ch), 0);
  for (int i = 0; i < producers; i++)
    free(r.seen[i]);
  rt_end(rt[0]);
  rt_end(rt[1]);
  thrum_chan_release(r.ch);
}

static const int shapes[][2] = {{1, 1}, {1, 6}, {6, 1}, {4, 4}, {12, 12}};
static const uint32_t capacities[] = {0, 1, 4, 64};
static void all_shapes(struct rt_kind kind, int thread_every, int patient) {
  uint64_t seed = 1;
  for (int round = 0; round < check_stress(); round++)
    for (size_t s = 0; s < CHECK_COUNT(shapes); s++)
      for (size_t c = 0; c < CHECK_COUNT(capacities); c++, seed++)
        run(seed, kind, shapes[s][0], shapes[s][1], capacities[c],
            ROUNDS(3000) / shapes[s][0], thread_every, patient);
}
TEST(gs_on_two_ps) { all_shapes(RT_P2, 0, 0); }
TEST(gs_on_four_ps) { all_shapes(RT_P4, 0, 0); }
TEST(gs_that_hibernate) { all_shapes(RT_SLEEPY, 0, 0); }
TEST(gs_and_threads) { all_shapes(RT_P2, 3, 0); }
TEST(cancels_only) { all_shapes(RT_P2, 0, 1); }

/* ---- selects that send and receive at the same time ---------------------- */

/* Each guest has values to send and takes whatever comes, on a random choice of
 * four channels in every step. */
struct market {
  thrum_chan* ch[4];
  int guests, per_guest;
  uint64_t seed;
  unsigned char* seen;
  word received;
};
struct trader {
  struct market* m;
  int me;
};
static void trade(void* arg) {
  struct trader* t = arg;
  struct market* m = t->m;
  uint64_t rng = m->seed * 977 + (uint64_t)t->me;
  int to_send = m->per_guest;
  word total = (word)m->guests * m->per_guest;
  while (get(&m->received) < total) {
    thrum_case arms[6];
    int value = t->me * m->per_guest + m->per_guest - to_send, in[6],
        n = 1 + (int)below(&rng, 6);
    for (int i = 0; i < n; i++) {
      in[i] = -1;
      arms[i].chan = below(&rng, 9) ? m->ch[below(&rng, 4)] : NULL;
      arms[i].op = to_send > 0 && below(&rng, 2) ? THRUM_SEND : THRUM_RECV;
      arms[i].elem = arms[i].op == THRUM_SEND ? &value : &in[i];
      arms[i].result = 99;
    }
    int k = thrum_select(arms, (uint32_t)n,
                         below(&rng, 3) ? thrum_after(below(&rng, 100000))
                                        : THRUM_TRY);
    for (int i = 0; i < n; i++) {
      CHECK_EQ(arms[i].result, i == k ? 0 : 99);
      if (i != k)
        CHECK_EQ(in[i], -1);
    }
    if (k < 0) {
      CHECK(k == THRUM_EAGAIN || k == THRUM_ETIMEDOUT || k == THRUM_ECANCELED);
      if (thrum_self())
        thrum_yield();
      else
        sched_yield();
    } else if (arms[k].op == THRUM_SEND) {
      to_send--;
    } else {
      REQUIRE(in[k] >= 0 && in[k] < total);
      int before = __atomic_fetch_add(&m->seen[in[k]], 1, __ATOMIC_SEQ_CST);
      CHECK_MSG(before == 0, "seed %d: value %d came twice", (int)m->seed,
                in[k]);
      add(&m->received, 1);
    }
  }
  CHECK_EQ(to_send, 0);
}
static void market(uint64_t seed, struct rt_kind kind, int thread_every) {
  enum { N = 10 };
  thrum_rt* rt = rt_make(kind);
  struct market m;
  struct trader t[N];
  struct actor a[N];
  thrum_wg done = THRUM_WG_INIT;
  uint64_t rng = seed;
  memset(&m, 0, sizeof m);
  m.guests = N;
  m.per_guest = ROUNDS(1000);
  m.seed = seed;
  REQUIRE((m.seen = calloc(N, (size_t)m.per_guest)) != NULL);
  for (int k = 0; k < 4; k++)
    REQUIRE_EQ(thrum_chan_new(sizeof(int), k < 2 ? 0 : (uint32_t)k, &m.ch[k]),
               0);
  for (int i = 0; i < N; i++) {
    t[i] = (struct trader){&m, i};
    actor_start(&a[i], rt, thread_every && i % thread_every == 0, &done, trade,
                &t[i]);
  }
  while (get(&m.received) < (word)N * m.per_guest) {
    struct actor* victim = &a[below(&rng, N)];
    if (!victim->is_thread)
      thrum_cancel(rt, victim->g);
    struct timespec pause = {0, 1000 + (long)below(&rng, 50000)};
    nanosleep(&pause, NULL);
  }
  CHECK_EQ(thrum_wg_wait(&done, THRUM_FOREVER), 0);
  for (int i = 0; i < N; i++)
    actor_join(&a[i], rt);
  for (int i = 0; i < N * m.per_guest; i++)
    CHECK_MSG(m.seen[i] == 1, "value %d came %d times", i, m.seen[i]);
  for (int k = 0; k < 4; k++) {
    CHECK_EQ(thrum_chan_len(m.ch[k]), 0);
    thrum_chan_release(m.ch[k]);
  }
  free(m.seen);
  rt_end(rt);
}
TEST(market_of_selects) {
  for (int i = 0; i < 2 * check_stress(); i++) {
    market((uint64_t)i * 3 + 1, RT_P2, 0);
    market((uint64_t)i * 3 + 2, RT_P4, 0);
    market((uint64_t)i * 3 + 3, RT_P2, 3);
    market((uint64_t)i * 3 + 4, RT_SLEEPY, 3);
  }
}

/* A select of nothing has no lock at which its waker would have to wait: it
 * leaves its frame, and others write there, while the thread that it left is
 * still about the wait. */
static word selects_ended;
static __attribute__((noinline)) void overwrite(void) {
  volatile unsigned char below_us[1024];
  for (size_t i = 0; i < sizeof below_us; i++)
    below_us[i] = 0xff;
}
static void select_nothing(void* arg) {
  uint64_t rng = (uint64_t)(intptr_t)arg;
  for (int i = 0; i < ROUNDS(3000); i++) {
    thrum_case none[2] = {{.chan = NULL, .op = THRUM_RECV},
                          {.chan = NULL, .op = THRUM_SEND}};
    int64_t until = below(&rng, 3) ? SOON : thrum_after(below(&rng, 50000));
    int rc = thrum_select(none, 1 + below(&rng, 2), until);
    CHECK(rc == THRUM_ECANCELED || rc == THRUM_ETIMEDOUT);
    overwrite();
  }
  add(&selects_ended, 1);
}
static void selects_of_nothing(struct rt_kind kind) {
  enum { N = 8 };
  thrum_rt* rt = rt_make(kind);
  thrum_g g[N];
  uint64_t rng = 1;
  set(&selects_ended, 0);
  for (int i = 0; i < N; i++)
    g[i] = go_in(rt, select_nothing, (void*)(intptr_t)(i + 1));
  while (get(&selects_ended) < N)
    thrum_cancel(rt, g[below(&rng, N)]);
  for (int i = 0; i < N; i++)
    REQUIRE_EQ(thrum_join(rt, g[i], THRUM_FOREVER), 0);
  rt_end(rt);
}
TEST(nothing_to_select) {
  selects_of_nothing(RT_P2);
  selects_of_nothing(RT_P4);
  selects_of_nothing(RT_SLEEPY);
}

static const struct check_case cases[] = {
    CASE(gs_on_two_ps),      CASE(gs_on_four_ps), CASE(gs_that_hibernate),
    CASE(gs_and_threads),    CASE(cancels_only),  CASE(market_of_selects),
    CASE(nothing_to_select),
};
CHECK_MAIN(cases)
