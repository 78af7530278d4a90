/* trace.h: a program whose Gs write down in which order they did what. In a
 * deterministic runtime one M runs them all, so the trace needs no lock, and
 * the seed alone decides it. */
#ifndef THRUM_TESTS_TRACE_H
#define THRUM_TESTS_TRACE_H

#include "rt.h"

enum { TRACE_GUESTS = 7, TRACE_STEPS = 30, TRACE_MOST = 16384 };

struct trace {
  uint32_t n;
  uint64_t hash;
  uint32_t event[TRACE_MOST];
  /* > 0: guests lose real time and memory here and there; it must not show */
  unsigned noise;
  thrum_chan *a, *b;
  thrum_mutex m;
  thrum_sem s;
};

static inline void trace_event(struct trace* t, uint32_t who, uint32_t what,
                               int64_t result) {
  uint32_t e = who << 24 | what << 16 | (uint32_t)(result & 0xffff);
  if (t->n < TRACE_MOST)
    t->event[t->n] = e;
  t->n++;
  t->hash = (t->hash ^ e) * 0x100000001b3u;
  t->hash = (t->hash ^ (uint64_t)thrum_now()) * 0x100000001b3u;
  if (t->noise && t->n % 97 == t->noise % 97) {
    struct timespec pause = {0, 200000};
    nanosleep(&pause, NULL);
    free(malloc(100 + t->n % 5000));
  }
}

struct trace_guest {
  struct trace* t;
  uint32_t me;
};

static inline void trace_child(void* arg) {
  struct trace_guest* g = arg;
  trace_event(g->t, g->me, 20, 0);
  CHECK_EQ(thrum_yield(), 0);
  trace_event(g->t, g->me, 21, 0);
}

static inline void trace_guest(void* arg) {
  struct trace_guest* g = arg;
  struct trace* t = g->t;
  for (uint32_t step = 0; step < TRACE_STEPS; step++) {
    uint32_t v = g->me * 100 + step, got = 0, kind = (g->me * 3 + step) % 9;
    int rc = 0;
    switch (kind) {
      case 0:
        rc = thrum_yield();
        break;
      case 1:
        rc = thrum_chan_send(t->a, &v, thrum_after(3000));
        break;
      case 2:
        rc = thrum_chan_recv(t->a, &got, thrum_after(3000));
        trace_event(t, g->me, 30, got);
        break;
      case 3: {
        thrum_case arms[3] = {{t->a, &got, THRUM_RECV, 0},
                              {t->b, &v, THRUM_SEND, 0},
                              {t->b, &got, THRUM_RECV, 0}};
        rc = thrum_select(arms, 3, thrum_after(2000));
        trace_event(t, g->me, 31, got);
        break;
      }
      case 4:
        rc = thrum_mutex_lock(&t->m, THRUM_FOREVER);
        trace_event(t, g->me, 32, rc);
        CHECK_EQ(thrum_yield(), 0);
        CHECK_EQ(thrum_mutex_unlock(&t->m), 0);
        break;
      case 5:
        rc = thrum_sleep((step % 3) * 1000);
        break; /* with many ties */
      case 6: {
        struct trace_guest later = {t, g->me + 100};
        join_g(go(trace_child, &later));
        break;
      }
      case 7:
        rc = thrum_sem_acquire(&t->s, thrum_after(1000));
        break;
      case 8:
        rc = thrum_sem_release(&t->s, 1);
        break;
    }
    trace_event(t, g->me, kind, rc);
  }
}

static inline void trace_main(void* arg) {
  struct trace* t = arg;
  struct trace_guest guest[TRACE_GUESTS];
  thrum_g g[TRACE_GUESTS];
  for (uint32_t i = 0; i < TRACE_GUESTS; i++) {
    guest[i] = (struct trace_guest){t, i + 1};
    g[i] = go(trace_guest, &guest[i]);
  }
  for (int i = 0; i < TRACE_GUESTS; i++)
    join_g(g[i]);
}

static inline uint64_t trace_run(struct trace* t, uint64_t seed,
                                 unsigned noise) {
  struct rt_kind kind = {"[seeded]", 1, THRUM_RT_DETERMINISTIC, seed, 0};
  memset(t, 0, sizeof *t);
  t->hash = 0xcbf29ce484222325u;
  t->noise = noise;
  REQUIRE_EQ(thrum_chan_new(sizeof(uint32_t), 0, &t->a), 0);
  REQUIRE_EQ(thrum_chan_new(sizeof(uint32_t), 2, &t->b), 0);
  in_rt(kind, trace_main, t);
  thrum_chan_release(t->a);
  thrum_chan_release(t->b);
  return t->hash;
}

#endif
