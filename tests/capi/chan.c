/* chan.c: channels: element sizes, order among waiters, close, deadlines,
 * threads and several runtimes on one channel. */
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

/* ---- shapes -------------------------------------------------------------- */

TEST(new_refuses) {
  thrum_chan* ch = NULL;
  CHECK_EQ(thrum_chan_new(8, 1, NULL), THRUM_EINVAL);
  /* the product wraps around in 64 bits at worst, in 32 surely */
  int rc = thrum_chan_new(UINT32_MAX, UINT32_MAX, &ch);
  CHECK_MSG(rc == THRUM_ENOMEM || rc == THRUM_EINVAL,
            "2^64 bytes of buffer: %d", rc);
  rc = thrum_chan_new(1u << 31, 1u << 31, &ch);
  CHECK_MSG(rc == THRUM_ENOMEM || rc == THRUM_EINVAL,
            "2^62 bytes of buffer: %d", rc);
  thrum_chan_release(NULL);
  thrum_chan_retain(NULL);
}

TEST(len_and_cap) {
  static const uint32_t caps[] = {0, 1, 2, 3, 7, 64, 1000, 1 << 20};
  for (size_t i = 0; i < CHECK_COUNT(caps); i++) {
    thrum_chan* ch = chan_of(1, caps[i]);
    CHECK_EQ(thrum_chan_cap(ch), caps[i]);
    CHECK_EQ(thrum_chan_len(ch), 0);
    uint32_t n = caps[i] < 1000 ? caps[i] : 1000;
    for (uint32_t k = 0; k < n; k++) {
      char c = (char)k;
      CHECK_EQ(thrum_chan_send(ch, &c, THRUM_TRY), 0);
      CHECK_EQ(thrum_chan_len(ch), k + 1);
    }
    char c = 1;
    if (n == caps[i])
      CHECK_EQ(thrum_chan_send(ch, &c, THRUM_TRY), THRUM_EAGAIN);
    for (uint32_t k = 0; k < n; k++) {
      CHECK_EQ(thrum_chan_recv(ch, &c, THRUM_TRY), 0);
      CHECK_EQ(c, (char)k);
      CHECK_EQ(thrum_chan_len(ch), n - k - 1);
    }
    CHECK_EQ(thrum_chan_recv(ch, &c, THRUM_TRY), THRUM_EAGAIN);
    CHECK_EQ(thrum_chan_cap(ch), caps[i]);
    thrum_chan_release(ch);
  }
}

/* Every byte of every element arrives, and not one beyond it is touched. */
enum { LARGEST = 4096, EDGE = 32 };
struct shape {
  uint32_t size, capacity, count;
  thrum_chan* ch;
};
static void element(unsigned char* p, uint32_t size, uint32_t i) {
  for (uint32_t k = 0; k < size; k++)
    p[k] = (unsigned char)(i * 131 + k * 7 + (k >> 8));
}
static void send_elements(void* arg) {
  struct shape* s = arg;
  unsigned char block[EDGE + LARGEST + EDGE], copy[EDGE + LARGEST + EDGE];
  for (uint32_t i = 0; i < s->count; i++) {
    memset(block, 0xab, sizeof block);
    element(block + EDGE, s->size, i);
    memcpy(copy, block, sizeof block);
    CHECK_EQ(thrum_chan_send(s->ch, block + EDGE, THRUM_FOREVER), 0);
    CHECK(memcmp(copy, block, sizeof block) == 0); /* the source is only read */
    /* and is the caller's again */
    memset(block, 0xcd, sizeof block);
  }
  CHECK_EQ(thrum_chan_close(s->ch), 0);
}
static void recv_elements(struct shape* s) {
  unsigned char block[EDGE + LARGEST + EDGE], want[EDGE + LARGEST + EDGE];
  for (uint32_t i = 0; i < s->count; i++) {
    memset(block, 0xee, sizeof block);
    memset(want, 0xee, sizeof want);
    element(want + EDGE, s->size, i);
    CHECK_EQ(thrum_chan_recv(s->ch, block + EDGE, THRUM_FOREVER), 0);
    CHECK_MSG(memcmp(want, block, sizeof block) == 0,
              "element %u of %u bytes through a buffer of %u", i, s->size,
              s->capacity);
  }
  memset(block, 0xee, sizeof block);
  memset(want, 0xee, sizeof want);
  CHECK_EQ(thrum_chan_recv(s->ch, block + EDGE, THRUM_FOREVER), THRUM_ECLOSED);
  CHECK(memcmp(want, block, sizeof block) == 0);
}
static const uint32_t elem_sizes[] = {0, 1, 3, 8, 13, 64, 65, 4096};
static const uint32_t capacities[] = {0, 1, 5, 128};
static void all_shapes(void* arg) {
  (void)arg;
  for (size_t i = 0; i < CHECK_COUNT(elem_sizes); i++)
    for (size_t k = 0; k < CHECK_COUNT(capacities); k++) {
      struct shape s = {elem_sizes[i], capacities[k], 200,
                        chan_of(elem_sizes[i], capacities[k])};
      thrum_g g = go(send_elements, &s);
      recv_elements(&s);
      join_g(g);
      thrum_chan_release(s.ch);
    }
}
TEST(element_shapes) { everywhere(all_shapes, NULL); }

static void* send_elements_on_thread(void* arg) {
  send_elements(arg);
  return NULL;
}
/* Two threads, and no runtime anywhere. */
TEST(element_shapes_on_threads) {
  for (size_t i = 0; i < CHECK_COUNT(elem_sizes); i++)
    for (size_t k = 0; k < CHECK_COUNT(capacities); k++) {
      struct shape s = {elem_sizes[i], capacities[k], 100,
                        chan_of(elem_sizes[i], capacities[k])};
      pthread_t t;
      REQUIRE_EQ(pthread_create(&t, NULL, send_elements_on_thread, &s), 0);
      recv_elements(&s);
      pthread_join(t, NULL);
      thrum_chan_release(s.ch);
    }
}

/* Nothing to carry, no memory needed. */
static void signals_only(void* arg) {
  (void)arg;
  thrum_chan* ch = chan_of(0, 2);
  CHECK_EQ(thrum_chan_send(ch, NULL, THRUM_TRY), 0);
  CHECK_EQ(thrum_chan_send(ch, NULL, THRUM_TRY), 0);
  CHECK_EQ(thrum_chan_send(ch, NULL, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_chan_len(ch), 2);
  CHECK_EQ(thrum_chan_recv(ch, NULL, THRUM_TRY), 0);
  CHECK_EQ(thrum_chan_recv(ch, NULL, THRUM_TRY), 0);
  CHECK_EQ(thrum_chan_recv(ch, NULL, THRUM_TRY), THRUM_EAGAIN);
  thrum_chan_release(ch);
}
TEST(element_of_no_size) { everywhere(signals_only, NULL); }

/* ---- order among waiters ------------------------------------------------- */

/* Waiters that came in a known order. */
struct queued {
  thrum_chan* ch;
  word* about;
  int value, result;
  int64_t deadline;
  word* finished;
};
static void queued_recv(void* arg) {
  struct queued* q = arg;
  add(q->about, 1);
  q->result = thrum_chan_recv(q->ch, &q->value, q->deadline);
  add(q->finished, 1);
}
static void queued_send(void* arg) {
  struct queued* q = arg;
  add(q->about, 1);
  q->result = thrum_chan_send(q->ch, &q->value, q->deadline);
  add(q->finished, 1);
}
enum { QUEUE = 24 };
struct queue {
  thrum_chan* ch;
  struct queued q[QUEUE];
  thrum_g g[QUEUE];
  word about, finished;
};
static void queue_up(struct queue* u, thrum_chan* ch, thrum_fn fn, int n) {
  memset(u, 0, sizeof *u);
  u->ch = ch;
  for (int i = 0; i < n; i++) {
    u->q[i] =
        (struct queued){ch, &u->about,     fn == queued_recv ? -1 : 1000 + i,
                        1,  THRUM_FOREVER, &u->finished};
    u->g[i] = go(fn, &u->q[i]);
    yield_until(&u->about, i + 1);
  }
}
static void queue_join(struct queue* u, int n) {
  for (int i = 0; i < n; i++)
    join_g(u->g[i]);
}

static void receivers_in_order(void* arg) {
  uint32_t capacity = *(uint32_t*)arg;
  struct queue u;
  thrum_chan* ch = chan_of(sizeof(int), capacity);
  queue_up(&u, ch, queued_recv, QUEUE);
  for (int i = 0; i < QUEUE; i++) {
    /* handed over: it never waits, and never lies in the buffer */
    CHECK_EQ(thrum_chan_send(ch, &i, THRUM_TRY), 0);
    CHECK_EQ(thrum_chan_len(ch), 0);
  }
  queue_join(&u, QUEUE);
  for (int i = 0; i < QUEUE; i++) {
    CHECK_EQ(u.q[i].result, 0);
    CHECK_MSG(u.q[i].value == i, "receiver %d got value %d", i, u.q[i].value);
  }
  thrum_chan_release(ch);
}
TEST(receivers_are_served_in_order) {
  static uint32_t caps[] = {0, 1, 8};
  for (int i = 0; i < 3; i++)
    in_sequence(receivers_in_order, &caps[i]);
}

static void senders_in_order(void* arg) {
  uint32_t capacity = *(uint32_t*)arg;
  struct queue u;
  thrum_chan* ch = chan_of(sizeof(int), capacity);
  for (int i = 0; i < (int)capacity; i++)
    CHECK_EQ(thrum_chan_send(ch, &i, THRUM_TRY), 0);
  queue_up(&u, ch, queued_send, QUEUE);
  /* The oldest value first: what is in the buffer, then the senders as they
   * came; the buffer stays full meanwhile. */
  for (int i = 0; i < (int)capacity + QUEUE; i++) {
    int v = -1, want = i < (int)capacity ? i : 1000 + i - (int)capacity;
    CHECK_EQ(thrum_chan_recv(ch, &v, THRUM_TRY), 0);
    CHECK_MSG(v == want, "value %d came %dth through a buffer of %u, not %d", v,
              i, capacity, want);
    CHECK_EQ(thrum_chan_len(ch),
             i < QUEUE ? capacity : capacity + QUEUE - 1 - (uint32_t)i);
  }
  queue_join(&u, QUEUE);
  for (int i = 0; i < QUEUE; i++)
    CHECK_EQ(u.q[i].result, 0);
  thrum_chan_release(ch);
}
TEST(senders_are_served_in_order) {
  static uint32_t caps[] = {0, 1, 3, 50};
  for (int i = 0; i < 4; i++)
    in_sequence(senders_in_order, &caps[i]);
}

/* Those who gave up do not count, the others keep their places. */
static void order_with_gaps(void* arg) {
  thrum_fn fn = *(int*)arg ? queued_send : queued_recv;
  struct queue u;
  thrum_chan* ch = chan_of(sizeof(int), 0);
  queue_up(&u, ch, fn, QUEUE);
  for (int i = 0; i < QUEUE; i += 3) {
    CHECK_EQ(thrum_cancel(NULL, u.g[i]), 0);
    join_g(u.g[i]);
    CHECK_EQ(u.q[i].result, THRUM_ECANCELED);
    CHECK_EQ(u.q[i].value, fn == queued_send ? 1000 + i : -1);
  }
  for (int i = 0; i < QUEUE; i++) {
    if (i % 3 == 0)
      continue;
    int v = i;
    if (fn == queued_send) {
      CHECK_EQ(thrum_chan_recv(ch, &v, THRUM_TRY), 0);
      CHECK_EQ(v, 1000 + i);
    } else {
      CHECK_EQ(thrum_chan_send(ch, &v, THRUM_TRY), 0);
    }
  }
  queue_join(&u, QUEUE);
  for (int i = 0; i < QUEUE; i++)
    if (i % 3 && fn == queued_recv)
      CHECK_EQ(u.q[i].value, i);
  thrum_chan_release(ch);
}
TEST(order_survives_cancel) {
  int send = 0;
  in_sequence(order_with_gaps, &send);
  send = 1;
  in_sequence(order_with_gaps, &send);
}

/* G and thread take turns in one queue; each has come to its wait before the
 * next one starts. */
struct mixed_queue {
  thrum_chan* ch;
  struct queued q[8];
  struct actor a[8];
  word about, finished;
};
static void mixed_order(int sends) {
  thrum_rt* rt = rt_make(RT_P2);
  struct mixed_queue m;
  thrum_wg done = THRUM_WG_INIT;
  memset(&m, 0, sizeof m);
  m.ch = chan_of(sizeof(int), 0);
  for (int i = 0; i < 8; i++) {
    m.q[i] = (struct queued){m.ch, &m.about,      sends ? 1000 + i : -1,
                             1,    THRUM_FOREVER, &m.finished};
    actor_start(&m.a[i], rt, i % 2, &done, sends ? queued_send : queued_recv,
                &m.q[i]);
    while (get(&m.about) <= i)
      sched_yield();
    if (i % 2)
      wait_asleep(&m.a[i].tid);
    else
      wait_parked(rt, m.a[i].g);
  }
  for (int i = 0; i < 8; i++) {
    int v = i;
    if (sends) {
      CHECK_EQ(thrum_chan_recv(m.ch, &v, THRUM_TRY), 0);
      CHECK_EQ(v, 1000 + i);
    } else {
      CHECK_EQ(thrum_chan_send(m.ch, &v, THRUM_TRY), 0);
    }
  }
  CHECK_EQ(thrum_wg_wait(&done, THRUM_FOREVER), 0);
  for (int i = 0; i < 8; i++) {
    actor_join(&m.a[i], rt);
    CHECK_EQ(m.q[i].result, 0);
    if (!sends)
      CHECK_EQ(m.q[i].value, i);
  }
  rt_end(rt);
  thrum_chan_release(m.ch);
}
TEST(threads_queue_with_gs) {
  mixed_order(0);
  mixed_order(1);
}

/* An unbuffered send is over when a receiver has the value, and not before. */
static void rendezvous(void* arg) {
  (void)arg;
  struct queue u;
  thrum_chan* ch = chan_of(sizeof(int), 0);
  queue_up(&u, ch, queued_send, 1);
  let_others_run();
  CHECK_EQ(u.finished, 0);
  CHECK_EQ(thrum_chan_len(ch), 0);
  int v = 0;
  CHECK_EQ(thrum_chan_recv(ch, &v, THRUM_TRY), 0);
  CHECK_EQ(v, 1000);
  queue_join(&u, 1);
  CHECK_EQ(u.finished, 1);
  thrum_chan_release(ch);
}
TEST(unbuffered_is_a_rendezvous) { in_sequence(rendezvous, NULL); }

/* ---- close --------------------------------------------------------------- */

static void close_wakes_receivers(void* arg) {
  (void)arg;
  for (int n = 1; n <= QUEUE; n += n < 9 ? 1 : 5)
    for (uint32_t capacity = 0; capacity < 2; capacity++) {
      struct queue u;
      thrum_chan* ch = chan_of(sizeof(int), capacity);
      queue_up(&u, ch, queued_recv, n);
      CHECK_EQ(thrum_chan_close(ch), 0);
      queue_join(&u, n);
      for (int i = 0; i < n; i++) {
        CHECK_EQ(u.q[i].result, THRUM_ECLOSED);
        CHECK_EQ(u.q[i].value, -1);
      }
      CHECK_EQ(u.finished, n);
      thrum_chan_release(ch);
    }
}
static void close_wakes_senders(void* arg) {
  (void)arg;
  for (int n = 1; n <= QUEUE; n += n < 9 ? 1 : 5)
    for (int capacity = 0; capacity < 3; capacity++) {
      struct queue u;
      thrum_chan* ch = chan_of(sizeof(int), (uint32_t)capacity);
      for (int i = 0; i < capacity; i++)
        CHECK_EQ(thrum_chan_send(ch, &i, THRUM_TRY), 0);
      queue_up(&u, ch, queued_send, n);
      CHECK_EQ(thrum_chan_close(ch), 0);
      queue_join(&u, n);
      for (int i = 0; i < n; i++) {
        CHECK_EQ(u.q[i].result, THRUM_ECLOSED);
        CHECK_EQ(u.q[i].value, 1000 + i);
      }
      /* What had been sent before is still there; what had not is not. */
      for (int i = 0; i < capacity; i++) {
        int v = -1;
        CHECK_EQ(thrum_chan_recv(ch, &v, THRUM_FOREVER), 0);
        CHECK_EQ(v, i);
      }
      int v = -1;
      CHECK_EQ(thrum_chan_recv(ch, &v, THRUM_FOREVER), THRUM_ECLOSED);
      CHECK_EQ(v, -1);
      thrum_chan_release(ch);
    }
}
TEST(close_wakes_all) {
  in_sequence(close_wakes_receivers, NULL);
  in_sequence(close_wakes_senders, NULL);
}

static void after_close(void* arg) {
  (void)arg;
  static const int64_t deadlines[] = {THRUM_TRY, THRUM_FOREVER, 1, -1,
                                      INT64_MIN};
  for (size_t i = 0; i < CHECK_COUNT(deadlines); i++) {
    thrum_chan* ch = chan_of(sizeof(int), 4);
    int v = 0;
    for (v = 0; v < 4; v++)
      CHECK_EQ(thrum_chan_send(ch, &v, THRUM_TRY), 0);
    CHECK_EQ(thrum_chan_close(ch), 0);
    CHECK_EQ(thrum_chan_close(ch), THRUM_ECLOSED);
    CHECK_EQ(thrum_chan_len(ch), 4);
    v = 99;
    CHECK_EQ(thrum_chan_send(ch, &v, deadlines[i]), THRUM_ECLOSED);
    for (int k = 0; k < 4; k++) {
      CHECK_EQ(thrum_chan_recv(ch, &v, deadlines[i]), 0);
      CHECK_EQ(v, k);
      CHECK_EQ(thrum_chan_len(ch), 3 - k);
      int w = 99;
      /* room makes no difference */
      CHECK_EQ(thrum_chan_send(ch, &w, deadlines[i]), THRUM_ECLOSED);
    }
    v = 77;
    CHECK_EQ(thrum_chan_recv(ch, &v, deadlines[i]), THRUM_ECLOSED);
    CHECK_EQ(thrum_chan_recv(ch, &v, deadlines[i]), THRUM_ECLOSED);
    CHECK_EQ(v, 77);
    CHECK_EQ(thrum_chan_close(ch), THRUM_ECLOSED);
    thrum_chan_release(ch);
    ch = chan_of(sizeof(int), 0);
    CHECK_EQ(thrum_chan_close(ch), 0);
    CHECK_EQ(thrum_chan_send(ch, &v, deadlines[i]), THRUM_ECLOSED);
    CHECK_EQ(thrum_chan_recv(ch, &v, deadlines[i]), THRUM_ECLOSED);
    CHECK_EQ(thrum_chan_close(ch), THRUM_ECLOSED);
    thrum_chan_release(ch);
  }
}
TEST(closed_channels) {
  everywhere(after_close, NULL);
  after_close(NULL);
}

/* Close while many send: each value arrived or its sender was told. */
struct closing {
  thrum_chan* ch;
  word sent, refused, received, sum_sent, sum_received;
};
static void send_until_closed(void* arg) {
  struct closing* c = arg;
  for (int i = 1;; i++) {
    int rc = thrum_chan_send(c->ch, &i, THRUM_FOREVER);
    if (rc != 0) {
      CHECK_EQ(rc, THRUM_ECLOSED);
      add(&c->refused, 1);
      return;
    }
    add(&c->sent, 1);
    add(&c->sum_sent, i);
  }
}
static void recv_until_closed(void* arg) {
  struct closing* c = arg;
  int v, rc;
  while ((rc = thrum_chan_recv(c->ch, &v, THRUM_FOREVER)) == 0) {
    add(&c->received, 1);
    add(&c->sum_received, v);
  }
  CHECK_EQ(rc, THRUM_ECLOSED);
}
static void close_under_way(void* arg) {
  (void)arg;
  for (int round = 0; round < ROUNDS(100); round++) {
    struct closing c;
    memset(&c, 0, sizeof c);
    c.ch = chan_of(sizeof(int), (uint32_t)(round % 4));
    thrum_g g[12];
    for (int i = 0; i < 6; i++)
      g[i] = go(send_until_closed, &c);
    for (int i = 6; i < 12; i++)
      g[i] = go(recv_until_closed, &c);
    yield_until(&c.received, round % 50);
    CHECK_EQ(thrum_chan_close(c.ch), 0);
    for (int i = 0; i < 12; i++)
      join_g(g[i]);
    CHECK_EQ(c.refused, 6);
    CHECK_EQ(c.received, c.sent);
    CHECK_EQ(c.sum_received, c.sum_sent);
    thrum_chan_release(c.ch);
  }
}
TEST(close_loses_nothing) { everywhere(close_under_way, NULL); }

/* A value that was sent before the close is found by whoever sees the close:
 * also by a call that does not wait. */
struct last_value {
  thrum_chan* ch;
};
static void send_and_close(void* arg) {
  struct last_value* l = arg;
  int v = 5;
  CHECK_EQ(thrum_chan_send(l->ch, &v, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_chan_close(l->ch), 0);
}
static void last_value(void* arg) {
  (void)arg;
  for (int i = 0; i < ROUNDS(3000); i++) {
    struct last_value l = {chan_of(sizeof(int), 1)};
    thrum_g g = go(send_and_close, &l);
    int v = 0, rc;
    while ((rc = thrum_chan_recv(l.ch, &v, THRUM_TRY)) == THRUM_EAGAIN)
      CHECK_EQ(thrum_yield(), 0);
    CHECK_EQ(rc, 0);
    CHECK_EQ(v, 5);
    join_g(g);
    CHECK_EQ(thrum_chan_recv(l.ch, &v, THRUM_TRY), THRUM_ECLOSED);
    thrum_chan_release(l.ch);
  }
}
TEST(try_recv_sees_the_value_before_the_close) { everywhere(last_value, NULL); }

/* ---- deadlines ----------------------------------------------------------- */

static void deadlines(void* arg) {
  (void)arg;
  static const int64_t past[] = {1, 2, -1, -1000, INT64_MIN};
  thrum_chan *one = chan_of(sizeof(int), 1), *none = chan_of(sizeof(int), 0);
  int v;
  for (size_t i = 0; i < CHECK_COUNT(past); i++) {
    /* Whatever can be done at once is done, however late it is. */
    v = (int)i;
    CHECK_EQ(thrum_chan_send(one, &v, past[i]), 0);
    CHECK_EQ(thrum_chan_send(one, &v, past[i]), THRUM_ETIMEDOUT);
    v = -1;
    CHECK_EQ(thrum_chan_recv(one, &v, past[i]), 0);
    CHECK_EQ(v, i);
    v = -1;
    CHECK_EQ(thrum_chan_recv(one, &v, past[i]), THRUM_ETIMEDOUT);
    CHECK_EQ(thrum_chan_recv(none, &v, past[i]), THRUM_ETIMEDOUT);
    CHECK_EQ(v, -1);
    CHECK_EQ(thrum_chan_send(none, &v, past[i]), THRUM_ETIMEDOUT);
  }
  v = -1;
  CHECK_EQ(thrum_chan_recv(none, &v, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_chan_send(none, &v, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_chan_recv(one, &v, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(v, -1);
  /* A wait is never shorter than asked for, and leaves nothing behind. */
  static const int64_t waits[] = {1000, 100000, 3 * MS};
  for (size_t i = 0; i < CHECK_COUNT(waits); i++) {
    int64_t deadline = thrum_after(waits[i]);
    CHECK_EQ(thrum_chan_recv(none, &v, deadline), THRUM_ETIMEDOUT);
    CHECK_LE(deadline, thrum_now());
    CHECK_EQ(v, -1);
    CHECK_EQ(thrum_chan_send(none, &v, THRUM_TRY), THRUM_EAGAIN);
    deadline = thrum_after(waits[i]);
    CHECK_EQ(thrum_chan_send(none, &v, deadline), THRUM_ETIMEDOUT);
    CHECK_LE(deadline, thrum_now());
    CHECK_EQ(thrum_chan_recv(none, &v, THRUM_TRY), THRUM_EAGAIN);
  }
  thrum_chan_release(one);
  thrum_chan_release(none);
}
TEST(past_and_future_deadlines) {
  everywhere(deadlines, NULL);
  deadlines(NULL);
}

/* With someone waiting on the other side even a past deadline finds a
 * partner. */
static void partner_at_once(void* arg) {
  (void)arg;
  static const int64_t past[] = {THRUM_TRY, 1, -1, INT64_MIN, THRUM_FOREVER};
  struct queue u;
  thrum_chan* ch = chan_of(sizeof(int), 0);
  queue_up(&u, ch, queued_recv, 5);
  for (int i = 0; i < 5; i++)
    CHECK_EQ(thrum_chan_send(ch, &i, past[i]), 0);
  queue_join(&u, 5);
  for (int i = 0; i < 5; i++)
    CHECK_EQ(u.q[i].value, i);
  queue_up(&u, ch, queued_send, 5);
  for (int i = 0; i < 5; i++) {
    int v = -1;
    CHECK_EQ(thrum_chan_recv(ch, &v, past[i]), 0);
    CHECK_EQ(v, 1000 + i);
  }
  queue_join(&u, 5);
  thrum_chan_release(ch);
}
TEST(a_waiting_partner_is_at_once) { in_sequence(partner_at_once, NULL); }

/* A negative result took and wrote nothing, whatever it is. */
static void untouched(void* arg) {
  (void)arg;
  struct queue u;
  thrum_chan *full = chan_of(sizeof(int), 1), *none = chan_of(sizeof(int), 0);
  int v = 42;
  CHECK_EQ(thrum_chan_send(full, &v, THRUM_TRY), 0);
  /* Timed out and cancelled senders' values never show up. */
  queue_up(&u, full, queued_send, 3);
  for (int i = 0; i < 3; i++)
    CHECK_EQ(thrum_cancel(NULL, u.g[i]), 0);
  queue_join(&u, 3);
  CHECK_EQ(thrum_chan_send(full, &v, thrum_after(MS)), THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_chan_len(full), 1);
  CHECK_EQ(thrum_chan_recv(full, &v, THRUM_TRY), 0);
  CHECK_EQ(v, 42);
  CHECK_EQ(thrum_chan_recv(full, &v, THRUM_TRY), THRUM_EAGAIN);
  /* Timed out and cancelled receivers' memory is never written, and takes no
   * value from the next one. */
  queue_up(&u, none, queued_recv, 3);
  for (int i = 0; i < 3; i++)
    CHECK_EQ(thrum_cancel(NULL, u.g[i]), 0);
  queue_join(&u, 3);
  for (int i = 0; i < 3; i++)
    CHECK_EQ(u.q[i].value, -1);
  CHECK_EQ(thrum_chan_send(none, &v, THRUM_TRY), THRUM_EAGAIN);
  thrum_chan_release(full);
  thrum_chan_release(none);
}
TEST(failure_moves_nothing) { in_sequence(untouched, NULL); }

/* ---- traffic ------------------------------------------------------------- */

struct traffic {
  thrum_chan* ch;
  int per_sender, senders;
  word next_id, received, sum;
};
struct item {
  int sender, seq;
};
static void traffic_send(void* arg) {
  struct traffic* t = arg;
  struct item it = {(int)add(&t->next_id, 1) - 1, 0};
  for (it.seq = 1; it.seq <= t->per_sender; it.seq++)
    CHECK_EQ(thrum_chan_send(t->ch, &it, THRUM_FOREVER), 0);
}
static void traffic_recv(void* arg) {
  struct traffic* t = arg;
  struct item it;
  int last[64] = {0};
  while (thrum_chan_recv(t->ch, &it, THRUM_FOREVER) == 0) {
    REQUIRE(it.sender >= 0 && it.sender < 64);
    CHECK_MSG(it.seq > last[it.sender], "%d of sender %d came after %d", it.seq,
              it.sender, last[it.sender]);
    last[it.sender] = it.seq;
    add(&t->received, 1);
    add(&t->sum, it.seq);
  }
}
static void traffic_check(struct traffic* t) {
  CHECK_EQ(t->received, (word)t->senders * t->per_sender);
  CHECK_EQ(t->sum, (word)t->senders * t->per_sender * (t->per_sender + 1) / 2);
}
static void traffic_of_gs(void* arg) {
  (void)arg;
  static const uint32_t caps[] = {0, 1, 3, 100};
  static const int counts[][2] = {{1, 1}, {1, 8}, {8, 1}, {8, 8}, {40, 40}};
  for (size_t c = 0; c < CHECK_COUNT(caps); c++)
    for (size_t k = 0; k < CHECK_COUNT(counts); k++) {
      struct traffic t = {chan_of(sizeof(struct item), caps[c]),
                          ROUNDS(2000) / counts[k][0],
                          counts[k][0],
                          0,
                          0,
                          0};
      thrum_g s[40], r[40];
      for (int i = 0; i < counts[k][0]; i++)
        s[i] = go(traffic_send, &t);
      for (int i = 0; i < counts[k][1]; i++)
        r[i] = go(traffic_recv, &t);
      for (int i = 0; i < counts[k][0]; i++)
        join_g(s[i]);
      CHECK_EQ(thrum_chan_close(t.ch), 0);
      for (int i = 0; i < counts[k][1]; i++)
        join_g(r[i]);
      traffic_check(&t);
      thrum_chan_release(t.ch);
    }
}
TEST(many_to_many) { everywhere(traffic_of_gs, NULL); }

/* Threads on one side, on the other, on both; two runtimes on one channel. */
static void traffic_of_actors(const int* sender_kind, const int* receiver_kind,
                              uint32_t capacity) {
  enum { N = 4 };
  thrum_rt* rt[2] = {rt_make(RT_P2), rt_make(RT_P1)};
  struct traffic t = {
      chan_of(sizeof(struct item), capacity), ROUNDS(1000), N, 0, 0, 0};
  struct actor s[N], r[N];
  thrum_wg sending = THRUM_WG_INIT, receiving = THRUM_WG_INIT;
  /* A kind is 0 or 1: a G of that runtime; 2: a thread. */
  for (int i = 0; i < N; i++) {
    actor_start(&r[i], rt[receiver_kind[i] & 1], receiver_kind[i] == 2,
                &receiving, traffic_recv, &t);
    actor_start(&s[i], rt[sender_kind[i] & 1], sender_kind[i] == 2, &sending,
                traffic_send, &t);
  }
  CHECK_EQ(thrum_wg_wait(&sending, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_chan_close(t.ch), 0);
  CHECK_EQ(thrum_wg_wait(&receiving, THRUM_FOREVER), 0);
  for (int i = 0; i < N; i++) {
    actor_join(&s[i], rt[sender_kind[i] & 1]);
    actor_join(&r[i], rt[receiver_kind[i] & 1]);
  }
  traffic_check(&t);
  rt_end(rt[0]);
  rt_end(rt[1]);
  thrum_chan_release(t.ch);
}
TEST(threads_and_runtimes_share_a_channel) {
  static const int gs[] = {0, 0, 0, 0}, other[] = {1, 1, 1, 1},
                   threads[] = {2, 2, 2, 2}, mixed[] = {0, 1, 2, 2};
  static const int* const kinds[] = {gs, other, threads, mixed};
  for (size_t a = 0; a < CHECK_COUNT(kinds); a++)
    for (size_t b = 0; b < CHECK_COUNT(kinds); b++)
      traffic_of_actors(kinds[a], kinds[b], (uint32_t)((a + b) % 3) * 2);
}

/* A prime sieve: as many channels as primes, each with one value in flight. */
static void sieve_source(void* arg) {
  for (int i = 2;; i++)
    if (thrum_chan_send(arg, &i, THRUM_FOREVER) != 0)
      return;
}
struct filter {
  thrum_chan *in, *out;
  int prime;
};
static void sieve_filter(void* arg) {
  struct filter* f = arg;
  int v;
  while (thrum_chan_recv(f->in, &v, THRUM_FOREVER) == 0)
    if (v % f->prime != 0 && thrum_chan_send(f->out, &v, THRUM_FOREVER) != 0)
      break;
  thrum_chan_close(f->in);
}
static void sieve(void* arg) {
  enum { PRIMES = 60 };
  static struct filter f[PRIMES];
  static thrum_chan* ch[PRIMES + 1];
  thrum_g g[PRIMES + 1];
  int prime = 0;
  (void)arg;
  ch[0] = chan_of(sizeof(int), 0);
  g[0] = go(sieve_source, ch[0]);
  for (int i = 0; i < PRIMES; i++) {
    CHECK_EQ(thrum_chan_recv(ch[i], &prime, THRUM_FOREVER), 0);
    ch[i + 1] = chan_of(sizeof(int), 0);
    f[i] = (struct filter){ch[i], ch[i + 1], prime};
    g[i + 1] = go(sieve_filter, &f[i]);
  }
  CHECK_EQ(prime, 281); /* the 60th */
  CHECK_EQ(thrum_chan_close(ch[PRIMES]), 0);
  for (int i = 0; i <= PRIMES; i++)
    join_g(g[i]);
  for (int i = 0; i <= PRIMES; i++)
    thrum_chan_release(ch[i]);
}
TEST(prime_sieve) { everywhere(sieve, NULL); }

/* ---- references ---------------------------------------------------------- */

struct owner {
  thrum_chan* ch;
  int count;
};
static void recv_and_release(void* arg) {
  struct owner* o = arg;
  for (int i = 0; i < o->count; i++) {
    int v = -1;
    CHECK_EQ(thrum_chan_recv(o->ch, &v, THRUM_FOREVER), 0);
    CHECK_EQ(v, i);
  }
  /* the last value is here: nobody touches the channel any more */
  thrum_chan_release(o->ch);
}
static void release_after_last_value(void* arg) {
  (void)arg;
  for (uint32_t capacity = 0; capacity < 3; capacity++)
    for (int round = 0; round < ROUNDS(500); round++) {
      struct owner o = {chan_of(sizeof(int), capacity), 3};
      thrum_chan* ch = o.ch;
      thrum_g g = go(recv_and_release, &o);
      for (int i = 0; i < 3; i++)
        CHECK_EQ(thrum_chan_send(ch, &i, THRUM_FOREVER), 0);
      join_g(g);
    }
}
TEST(release_when_the_last_value_came) {
  everywhere(release_after_last_value, NULL);
}

static void counted_references(void* arg) {
  (void)arg;
  thrum_chan* ch = chan_of(sizeof(int), 3);
  int v = 1;
  for (int i = 0; i < 100; i++)
    thrum_chan_retain(ch);
  for (int i = 0; i < 100; i++)
    thrum_chan_release(ch);
  CHECK_EQ(thrum_chan_send(ch, &v, THRUM_TRY), 0);
  CHECK_EQ(thrum_chan_send(ch, &v, THRUM_TRY), 0);
  thrum_chan_release(ch); /* with two values in it, never closed */
}
TEST(references_are_counted) {
  everywhere(counted_references, NULL);
  counted_references(NULL);
}

/* A channel belongs to no runtime. */
static void send_three(void* arg) {
  for (int i = 0; i < 3; i++)
    CHECK_EQ(thrum_chan_send(arg, &i, THRUM_FOREVER), 0);
}
static void make_channel(void* arg) {
  *(thrum_chan**)arg = chan_of(sizeof(int), 8);
}
TEST(a_channel_outlives_runtimes) {
  thrum_chan* ch = NULL;
  in_rt(RT_P2, make_channel, &ch);
  in_rt(RT_P1, send_three, ch);
  in_rt(RT_HOSTED, send_three, ch);
  for (int i = 0; i < 6; i++) {
    int v = -1;
    CHECK_EQ(thrum_chan_recv(ch, &v, THRUM_TRY), 0);
    CHECK_EQ(v, i % 3);
  }
  thrum_chan_release(ch);
}

static const struct check_case cases[] = {
    CASE(new_refuses),
    CASE(len_and_cap),
    CASE(element_shapes),
    CASE(element_shapes_on_threads),
    CASE(element_of_no_size),
    CASE(receivers_are_served_in_order),
    CASE(senders_are_served_in_order),
    CASE(order_survives_cancel),
    CASE(threads_queue_with_gs),
    CASE(unbuffered_is_a_rendezvous),
    CASE(close_wakes_all),
    CASE(closed_channels),
    CASE(close_loses_nothing),
    CASE(try_recv_sees_the_value_before_the_close),
    CASE(past_and_future_deadlines),
    CASE(a_waiting_partner_is_at_once),
    CASE(failure_moves_nothing),
    CASE(many_to_many),
    CASE(threads_and_runtimes_share_a_channel),
    CASE(prime_sieve),
    CASE(release_when_the_last_value_came),
    CASE(references_are_counted),
    CASE(a_channel_outlives_runtimes),
};
CHECK_MAIN(cases)
