/* sync.c: mutex, rwmutex, cond, waitgroup, semaphore, once: from Gs and from
 * threads. */
#include "../support/check.h"

#include <limits.h>
#include <thrum/thrum.h>

#include "../support/rt.h"

/* A guest that does one thing and keeps the result. */
struct guest {
  void *object, *second;
  int64_t deadline;
  int result, then;
  word about, finished, *count;
};
static struct guest guest_on(void* object) {
  struct guest g;
  memset(&g, 0, sizeof g);
  g.object = object;
  g.deadline = THRUM_FOREVER;
  g.result = 1;
  return g;
}

/* ---- all-zero is valid --------------------------------------------------- */

static void zero_is_valid(void* arg) {
  (void)arg;
  thrum_mutex m = THRUM_MUTEX_INIT;
  thrum_rwmutex rw = THRUM_RWMUTEX_INIT;
  thrum_cond c = THRUM_COND_INIT;
  thrum_wg wg = THRUM_WG_INIT;
  thrum_sem s = THRUM_SEM_INIT;
  thrum_once o = THRUM_ONCE_INIT;
  void* all[] = {&m, &rw, &c, &wg, &s, &o};
  size_t sizes[] = {sizeof m,  sizeof rw, sizeof c,
                    sizeof wg, sizeof s,  sizeof o};
  static const unsigned char zeros[64];
  for (int i = 0; i < 6; i++)
    CHECK(memcmp(all[i], zeros, sizes[i]) == 0);
  CHECK_EQ(sizeof m, 32);
  CHECK_EQ(sizeof rw, 64);
  CHECK_EQ(sizeof c + sizeof wg + sizeof s + sizeof o, 4 * 32);
  CHECK_EQ(thrum_mutex_lock(&m, THRUM_TRY), 0);
  CHECK_EQ(thrum_mutex_unlock(&m), 0);
  CHECK_EQ(thrum_rwmutex_lock(&rw, THRUM_TRY), 0);
  CHECK_EQ(thrum_rwmutex_unlock(&rw), 0);
  CHECK_EQ(thrum_rwmutex_rlock(&rw, THRUM_TRY), 0);
  CHECK_EQ(thrum_rwmutex_runlock(&rw), 0);
  CHECK_EQ(thrum_cond_signal(&c), 0); /* nobody waits: nothing happens */
  CHECK_EQ(thrum_cond_broadcast(&c), 0);
  CHECK_EQ(thrum_wg_wait(&wg, THRUM_TRY), 0);
  CHECK_EQ(thrum_sem_acquire(&s, THRUM_TRY), THRUM_EAGAIN);
}
TEST(all_zero_is_valid) {
  everywhere(zero_is_valid, NULL);
  zero_is_valid(NULL);
}

/* ---- mutex --------------------------------------------------------------- */

static void try_mutex(void* arg) {
  struct guest* g = arg;
  thrum_mutex* m = g->object;
  CHECK_EQ(thrum_mutex_lock(m, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_mutex_lock(m, 1), THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_mutex_lock(m, -1), THRUM_ETIMEDOUT);
  int64_t deadline = thrum_after(2 * MS);
  CHECK_EQ(thrum_mutex_lock(m, deadline), THRUM_ETIMEDOUT);
  CHECK_LE(deadline, thrum_now());
  CHECK_EQ(thrum_mutex_unlock(m), THRUM_EPERM); /* not the owner */
  add(&g->finished, 1);
}
static void mutex_rules(void* arg) {
  (void)arg;
  thrum_mutex m = THRUM_MUTEX_INIT;
  CHECK_EQ(thrum_mutex_unlock(&m), THRUM_EPERM); /* not locked */
  static const int64_t free_for_all[] = {THRUM_TRY, THRUM_FOREVER, 1, -1,
                                         INT64_MIN};
  for (size_t i = 0; i < CHECK_COUNT(free_for_all); i++) {
    CHECK_EQ(thrum_mutex_lock(&m, free_for_all[i]), 0);
    CHECK_EQ(thrum_mutex_unlock(&m), 0);
    CHECK_EQ(thrum_mutex_unlock(&m), THRUM_EPERM);
  }
  CHECK_EQ(thrum_mutex_lock(&m, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_mutex_lock(&m, THRUM_FOREVER), THRUM_EDEADLOCK);
  CHECK_EQ(thrum_mutex_lock(&m, thrum_after(3600 * SECOND)), THRUM_EDEADLOCK);
  CHECK_EQ(thrum_mutex_lock(&m, THRUM_TRY), THRUM_EAGAIN);
  if (thrum_self()) {
    struct guest g = guest_on(&m);
    join_g(go(try_mutex, &g));
    CHECK_EQ(g.finished, 1);
    /* The owner is the G, whatever thread it is on meanwhile. */
    for (int i = 0; i < 10; i++)
      CHECK_EQ(thrum_yield(), 0);
    CHECK_EQ(thrum_sleep(MS), 0);
  }
  CHECK_EQ(thrum_mutex_unlock(&m), 0);
  CHECK_EQ(thrum_mutex_lock(&m, THRUM_TRY), 0);
  CHECK_EQ(thrum_mutex_unlock(&m), 0);
}
TEST(mutex) {
  everywhere(mutex_rules, NULL);
  mutex_rules(NULL);
}

static void* try_mutex_on_thread(void* arg) {
  try_mutex(arg);
  return NULL;
}
/* The owner is a thread, the other a thread or a G; and the other way round. */
static void hold_for_thread(void* arg) {
  struct guest* g = arg;
  pthread_t t;
  CHECK_EQ(thrum_mutex_lock(g->object, THRUM_FOREVER), 0);
  REQUIRE_EQ(pthread_create(&t, NULL, try_mutex_on_thread, g), 0);
  while (get(&g->finished) < 1)
    CHECK_EQ(thrum_yield(), 0);
  pthread_join(t, NULL);
  CHECK_EQ(thrum_mutex_unlock(g->object), 0);
}
TEST(mutex_owner_g_or_thread) {
  thrum_mutex m = THRUM_MUTEX_INIT;
  struct guest g = guest_on(&m);
  in_rt(RT_P2, hold_for_thread, &g);
  g.finished = 0;
  in_rt(RT_HOSTED, hold_for_thread, &g);
  CHECK_EQ(thrum_mutex_lock(&m, THRUM_FOREVER), 0);
  pthread_t t;
  REQUIRE_EQ(pthread_create(&t, NULL, try_mutex_on_thread, &g), 0);
  pthread_join(t, NULL);
  in_rt(RT_P1, try_mutex, &g);
  CHECK_EQ(thrum_mutex_unlock(&m), 0);
  CHECK_EQ(g.finished, 3);
  CHECK_EQ(thrum_mutex_lock(&m, THRUM_TRY), 0);
  CHECK_EQ(thrum_mutex_unlock(&m), 0);
}

/* A plain counter behind the lock: TSan looks as well. */
struct counter {
  thrum_mutex m;
  thrum_rwmutex rw;
  int n, per_guest, timeouts;
  word inside, most;
};
static void count_locked(void* arg) {
  struct counter* c = arg;
  for (int i = 0; i < c->per_guest; i++) {
    int rc;
    if (c->timeouts) {
      do
        rc = thrum_mutex_lock(&c->m, i % 3 ? thrum_after(20000) : THRUM_TRY);
      while (rc == THRUM_ETIMEDOUT ||
             (rc == THRUM_EAGAIN &&
              (thrum_self() ? thrum_yield() : sched_yield()) == 0));
    } else {
      rc = thrum_mutex_lock(&c->m, THRUM_FOREVER);
    }
    CHECK_EQ(rc, 0);
    CHECK_EQ(add(&c->inside, 1), 1);
    c->n++;
    if (i % 64 == 0 && thrum_self())
      thrum_yield();
    add(&c->inside, -1);
    CHECK_EQ(thrum_mutex_unlock(&c->m), 0);
  }
}
static void count_together(void* arg) {
  struct counter* c = arg;
  thrum_g g[16];
  c->n = 0;
  for (int i = 0; i < 16; i++)
    g[i] = go(count_locked, c);
  for (int i = 0; i < 16; i++)
    join_g(g[i]);
  CHECK_EQ(c->n, 16 * c->per_guest);
}
TEST(mutex_excludes) {
  struct counter c;
  memset(&c, 0, sizeof c);
  c.per_guest = ROUNDS(2000);
  everywhere(count_together, &c);
  c.timeouts = 1;
  c.per_guest = ROUNDS(500);
  everywhere(count_together, &c);
}

static void mixed_actors(thrum_fn fn, void* arg, int n) {
  thrum_rt* rt[2] = {rt_make(RT_P2), rt_make(RT_P1)};
  struct actor a[16];
  thrum_wg done = THRUM_WG_INIT;
  REQUIRE(n <= 16);
  for (int i = 0; i < n; i++)
    actor_start(&a[i], rt[i % 2], i % 3 == 0, &done, fn, arg);
  CHECK_EQ(thrum_wg_wait(&done, THRUM_FOREVER), 0);
  for (int i = 0; i < n; i++)
    actor_join(&a[i], rt[i % 2]);
  rt_end(rt[0]);
  rt_end(rt[1]);
}
TEST(mutex_between_threads_and_gs) {
  struct counter c;
  memset(&c, 0, sizeof c);
  c.per_guest = ROUNDS(1000);
  mixed_actors(count_locked, &c, 12);
  CHECK_EQ(c.n, 12 * c.per_guest);
  c.timeouts = 1;
  c.n = 0;
  mixed_actors(count_locked, &c, 12);
  CHECK_EQ(c.n, 12 * c.per_guest);
}

/* A waiter that has waited long is next: first come, first served, and an owner
 * that comes back at once is not faster. */
struct line {
  thrum_mutex m;
  word about, order;
  int place[12];
};
struct line_guest {
  struct line* l;
  int me;
};
static void stand_in_line(void* arg) {
  struct line_guest* g = arg;
  add(&g->l->about, 1);
  CHECK_EQ(thrum_mutex_lock(&g->l->m, THRUM_FOREVER), 0);
  g->l->place[g->me] = (int)add(&g->l->order, 1);
  CHECK_EQ(thrum_mutex_unlock(&g->l->m), 0);
}
static void fifo_after_long(void* arg) {
  (void)arg;
  enum { N = 12 };
  struct line l;
  struct line_guest guest[N];
  thrum_g g[N];
  memset(&l, 0, sizeof l);
  CHECK_EQ(thrum_mutex_lock(&l.m, THRUM_FOREVER), 0);
  for (int i = 0; i < N; i++) {
    guest[i] = (struct line_guest){&l, i};
    g[i] = go(stand_in_line, &guest[i]);
    yield_until(&l.about, i + 1);
  }
  CHECK_EQ(thrum_sleep(200 * MS), 0); /* that is long */
  CHECK_EQ(thrum_mutex_unlock(&l.m), 0);
  /* behind all who were there */
  CHECK_EQ(thrum_mutex_lock(&l.m, THRUM_FOREVER), 0);
  CHECK_EQ(l.order, N);
  CHECK_EQ(thrum_mutex_unlock(&l.m), 0);
  for (int i = 0; i < N; i++) {
    join_g(g[i]);
    CHECK_MSG(l.place[i] == i + 1, "waiter %d was served as number %d", i + 1,
              l.place[i]);
  }
}
TEST(mutex_is_fifo_after_a_long_wait) { in_sequence(fifo_after_long, NULL); }

/* One hogs the lock, the other asks for it now and then. After Go's
 * TestMutexFairness. */
struct hog {
  thrum_mutex m;
  word stop, served;
};
static void hog_lock(void* arg) {
  struct hog* h = arg;
  while (!get(&h->stop)) {
    CHECK_EQ(thrum_mutex_lock(&h->m, THRUM_FOREVER), 0);
    int64_t until = real_now() + 100000;
    while (real_now() < until) {}
    CHECK_EQ(thrum_mutex_unlock(&h->m), 0);
    if (thrum_self())
      CHECK_EQ(thrum_check(), 0);
  }
}
static void ask_for_lock(void* arg) {
  struct hog* h = arg;
  for (int i = 0; i < 10; i++) {
    CHECK_EQ(thrum_sleep(100000), 0);
    CHECK_EQ(thrum_mutex_lock(&h->m, THRUM_FOREVER), 0);
    CHECK_EQ(thrum_mutex_unlock(&h->m), 0);
    add(&h->served, 1);
  }
  set(&h->stop, 1);
}
static void hog_and_asker(void* arg) {
  (void)arg;
  struct hog h;
  memset(&h, 0, sizeof h);
  thrum_g a = go(hog_lock, &h), b = go(ask_for_lock, &h);
  join_g(b);
  join_g(a);
  CHECK_EQ(h.served, 10);
}
TEST(mutex_hog_does_not_win_for_ever) {
  on_threads(hog_and_asker, NULL);
  thrum_rt* rt = rt_make(RT_P2);
  for (int who = 0; who < 3; who++) {
    struct hog h;
    struct actor a[2];
    thrum_wg done = THRUM_WG_INIT;
    memset(&h, 0, sizeof h);
    actor_start(&a[0], rt, who != 1, &done, hog_lock, &h);
    actor_start(&a[1], rt, who != 2, &done, ask_for_lock, &h);
    CHECK_EQ(thrum_wg_wait(&done, THRUM_FOREVER), 0);
    for (int i = 0; i < 2; i++)
      actor_join(&a[i], rt);
    CHECK_EQ(h.served, 10);
  }
  rt_end(rt);
}

/* A waiter that gave up leaves the queue in order and the lock usable. */
static void lock_with_deadline(void* arg) {
  struct guest* g = arg;
  add(&g->about, 1);
  g->result = thrum_mutex_lock(g->object, g->deadline);
  if (g->result == 0) {
    add(g->count, 1);
    CHECK_EQ(thrum_mutex_unlock(g->object), 0);
  }
}
static void give_up_in_line(void* arg) {
  (void)arg;
  enum { N = 9 };
  thrum_mutex m = THRUM_MUTEX_INIT;
  struct guest guest[N];
  thrum_g g[N];
  word served = 0;
  CHECK_EQ(thrum_mutex_lock(&m, THRUM_FOREVER), 0);
  for (int i = 0; i < N; i++) {
    guest[i] = guest_on(&m);
    guest[i].count = &served;
    if (i % 3 == 1)
      guest[i].deadline = thrum_after(MS);
    if (i % 3 == 2)
      guest[i].deadline = thrum_after(3600 * SECOND);
    g[i] = go(lock_with_deadline, &guest[i]);
    yield_until(&guest[i].about, 1);
  }
  for (int i = 1; i < N; i += 3)
    join_g(g[i]);
  for (int i = 2; i < N; i += 3) {
    CHECK_EQ(thrum_cancel(NULL, g[i]), 0);
    join_g(g[i]);
  }
  CHECK_EQ(served, 0);
  CHECK_EQ(thrum_mutex_unlock(&m), 0);
  for (int i = 0; i < N; i += 3)
    join_g(g[i]);
  CHECK_EQ(served, 3);
  for (int i = 0; i < N; i++)
    CHECK_EQ(guest[i].result, i % 3 == 0   ? 0
                              : i % 3 == 1 ? THRUM_ETIMEDOUT
                                           : THRUM_ECANCELED);
  CHECK_EQ(thrum_mutex_lock(&m, THRUM_TRY), 0);
  CHECK_EQ(thrum_mutex_unlock(&m), 0);
}
TEST(mutex_waiters_that_give_up) { in_sequence(give_up_in_line, NULL); }

/* ---- rwmutex ------------------------------------------------------------- */

static void try_rw(void* arg) {
  struct guest* g = arg;
  thrum_rwmutex* m = g->object;
  int written = g->then; /* held by a writer, else by a reader */
  static const int64_t past[] = {THRUM_TRY, 1, -1};
  for (size_t i = 0; i < CHECK_COUNT(past); i++) {
    CHECK_EQ(thrum_rwmutex_lock(m, past[i]),
             past[i] ? THRUM_ETIMEDOUT : THRUM_EAGAIN);
    int rc = thrum_rwmutex_rlock(m, past[i]);
    CHECK_EQ(rc, !written ? 0 : past[i] ? THRUM_ETIMEDOUT : THRUM_EAGAIN);
    if (rc == 0)
      CHECK_EQ(thrum_rwmutex_runlock(m), 0);
  }
  int64_t deadline = thrum_after(2 * MS);
  CHECK_EQ(thrum_rwmutex_lock(m, deadline), THRUM_ETIMEDOUT);
  CHECK_LE(deadline, thrum_now());
  deadline = thrum_after(2 * MS);
  int rc = thrum_rwmutex_rlock(m, deadline);
  CHECK_EQ(rc, written ? THRUM_ETIMEDOUT : 0);
  if (rc == 0)
    CHECK_EQ(thrum_rwmutex_runlock(m), 0);
  else
    CHECK_LE(deadline, thrum_now());
  CHECK_EQ(thrum_rwmutex_unlock(m), THRUM_EPERM);
  if (written)
    CHECK_EQ(thrum_rwmutex_runlock(m), THRUM_EPERM);
  add(&g->finished, 1);
}
static void rw_rules(void* arg) {
  (void)arg;
  thrum_rwmutex m = THRUM_RWMUTEX_INIT;
  CHECK_EQ(thrum_rwmutex_unlock(&m), THRUM_EPERM);
  CHECK_EQ(thrum_rwmutex_runlock(&m), THRUM_EPERM);
  struct guest g = guest_on(&m);
  CHECK_EQ(thrum_rwmutex_lock(&m, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_rwmutex_lock(&m, THRUM_FOREVER), THRUM_EDEADLOCK);
  CHECK_EQ(thrum_rwmutex_lock(&m, thrum_after(3600 * SECOND)), THRUM_EDEADLOCK);
  CHECK_EQ(thrum_rwmutex_lock(&m, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_rwmutex_rlock(&m, THRUM_FOREVER), THRUM_EDEADLOCK);
  CHECK_EQ(thrum_rwmutex_rlock(&m, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_rwmutex_runlock(&m), THRUM_EPERM);
  g.then = 1;
  if (thrum_self())
    join_g(go(try_rw, &g));
  CHECK_EQ(thrum_rwmutex_unlock(&m), 0);
  CHECK_EQ(thrum_rwmutex_unlock(&m), THRUM_EPERM);
  CHECK_EQ(thrum_rwmutex_rlock(&m, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_rwmutex_unlock(&m), THRUM_EPERM);
  g.then = 0;
  if (thrum_self())
    join_g(go(try_rw, &g));
  CHECK_EQ(thrum_rwmutex_runlock(&m), 0);
  CHECK_EQ(thrum_rwmutex_runlock(&m), THRUM_EPERM);
  if (thrum_self())
    CHECK_EQ(g.finished, 2);
  static const int64_t any[] = {THRUM_TRY, THRUM_FOREVER, 1, -1, INT64_MIN};
  for (size_t i = 0; i < CHECK_COUNT(any); i++) {
    CHECK_EQ(thrum_rwmutex_lock(&m, any[i]), 0);
    CHECK_EQ(thrum_rwmutex_unlock(&m), 0);
    CHECK_EQ(thrum_rwmutex_rlock(&m, any[i]), 0);
    CHECK_EQ(thrum_rwmutex_runlock(&m), 0);
  }
}
TEST(rwmutex) {
  everywhere(rw_rules, NULL);
  rw_rules(NULL);
}

/* Readers are inside together: each waits there for all others. */
struct readers {
  thrum_rwmutex m;
  word inside;
  int n;
};
static void read_together(void* arg) {
  struct readers* r = arg;
  CHECK_EQ(thrum_rwmutex_rlock(&r->m, THRUM_FOREVER), 0);
  add(&r->inside, 1);
  while (get(&r->inside) < r->n)
    if (thrum_self())
      CHECK_EQ(thrum_yield(), 0);
    else
      sched_yield();
  CHECK_EQ(thrum_rwmutex_runlock(&r->m), 0);
}
static void many_readers(void* arg) {
  (void)arg;
  struct readers r;
  thrum_g g[20];
  memset(&r, 0, sizeof r);
  r.n = 20;
  for (int i = 0; i < 20; i++)
    g[i] = go(read_together, &r);
  for (int i = 0; i < 20; i++)
    join_g(g[i]);
  CHECK_EQ(thrum_rwmutex_lock(&r.m, THRUM_TRY), 0); /* all gone */
  CHECK_EQ(thrum_rwmutex_unlock(&r.m), 0);
}
TEST(rwmutex_readers_share) {
  everywhere(many_readers, NULL);
  struct readers r;
  memset(&r, 0, sizeof r);
  r.n = 12;
  mixed_actors(read_together, &r, 12);
}

static void rw_write(void* arg) {
  struct guest* g = arg;
  add(&g->about, 1);
  g->result = thrum_rwmutex_lock(g->object, g->deadline);
  add(&g->finished, 1);
  if (g->result == 0)
    CHECK_EQ(thrum_rwmutex_unlock(g->object), 0);
}
static void rw_read(void* arg) {
  struct guest* g = arg;
  add(&g->about, 1);
  g->result = thrum_rwmutex_rlock(g->object, g->deadline);
  add(&g->finished, 1);
  if (g->result == 0)
    CHECK_EQ(thrum_rwmutex_runlock(g->object), 0);
}
/* A waiting writer stops new readers; when it gives up, they come in at
 * once. */
static void writer_first(void* arg) {
  (void)arg;
  /* the writer gets the lock, times out, is cancelled */
  for (int how = 0; how < 3; how++) {
    thrum_rwmutex m = THRUM_RWMUTEX_INIT;
    struct guest w = guest_on(&m), r[3];
    thrum_g gr[3];
    CHECK_EQ(thrum_rwmutex_rlock(&m, THRUM_FOREVER), 0);
    /* nobody waits: another reader may */
    CHECK_EQ(thrum_rwmutex_rlock(&m, THRUM_TRY), 0);
    CHECK_EQ(thrum_rwmutex_runlock(&m), 0);
    w.deadline = how == 1   ? thrum_after(SECOND)
                 : how == 2 ? thrum_after(3600 * SECOND)
                            : THRUM_FOREVER;
    thrum_g gw = go(rw_write, &w);
    yield_until(&w.about, 1);
    CHECK_EQ(thrum_rwmutex_rlock(&m, THRUM_TRY), THRUM_EAGAIN);
    CHECK_EQ(thrum_rwmutex_rlock(&m, 1), THRUM_ETIMEDOUT);
    for (int i = 0; i < 3; i++) {
      r[i] = guest_on(&m);
      gr[i] = go(rw_read, &r[i]);
      yield_until(&r[i].about, 1);
    }
    let_others_run();
    CHECK_EQ(w.finished, 0);
    for (int i = 0; i < 3; i++)
      CHECK_EQ(r[i].finished, 0);
    if (how == 0) {
      CHECK_EQ(thrum_rwmutex_runlock(&m), 0);
    } else { /* we still read, and the three shall come to us */
      if (how == 2)
        CHECK_EQ(thrum_cancel(NULL, gw), 0);
      join_g(gw);
      for (int i = 0; i < 3; i++)
        CHECK_EQ(thrum_join(NULL, gr[i], SOON), 0);
      CHECK_EQ(thrum_rwmutex_runlock(&m), 0);
    }
    join_g(gw);
    CHECK_EQ(w.result, how == 0   ? 0
                       : how == 1 ? THRUM_ETIMEDOUT
                                  : THRUM_ECANCELED);
    for (int i = 0; i < 3; i++) {
      join_g(gr[i]);
      CHECK_EQ(r[i].result, 0);
    }
    CHECK_EQ(thrum_rwmutex_lock(&m, THRUM_TRY), 0);
    CHECK_EQ(thrum_rwmutex_unlock(&m), 0);
  }
}
TEST(rwmutex_writer_goes_first) { in_sequence(writer_first, NULL); }

/* A writer leaves: all readers that wait come in. A reader leaves: the writer
 * comes only when the last one has. */
static void rw_handover(void* arg) {
  (void)arg;
  thrum_rwmutex m = THRUM_RWMUTEX_INIT;
  struct guest r[5], w;
  thrum_g g[5];
  CHECK_EQ(thrum_rwmutex_lock(&m, THRUM_FOREVER), 0);
  for (int i = 0; i < 5; i++) {
    r[i] = guest_on(&m);
    g[i] = go(rw_read, &r[i]);
    yield_until(&r[i].about, 1);
  }
  CHECK_EQ(thrum_rwmutex_unlock(&m), 0);
  for (int i = 0; i < 5; i++) {
    join_g(g[i]);
    CHECK_EQ(r[i].result, 0);
  }
  for (int i = 0; i < 3; i++)
    CHECK_EQ(thrum_rwmutex_rlock(&m, THRUM_TRY), 0);
  w = guest_on(&m);
  thrum_g gw = go(rw_write, &w);
  yield_until(&w.about, 1);
  for (int i = 0; i < 3; i++) {
    let_others_run();
    CHECK_EQ(w.finished, 0);
    CHECK_EQ(thrum_rwmutex_runlock(&m), 0);
  }
  join_g(gw);
  CHECK_EQ(w.result, 0);
}
TEST(rwmutex_handover) { in_sequence(rw_handover, NULL); }

/* Invariant: a writer alone, or readers only. After Go's TestRWMutex, in its
 * long mode. */
static void rw_reader(void* arg) {
  struct counter* c = arg;
  for (int i = 0; i < c->per_guest; i++) {
    CHECK_EQ(thrum_rwmutex_rlock(&c->rw, THRUM_FOREVER), 0);
    word n = add(&c->inside, 1);
    CHECK(n >= 1 && n < 10000);
    raise_to(&c->most, n);
    int seen = c->n;
    if (i % 16 == 0 && thrum_self())
      thrum_yield();
    CHECK_EQ(c->n, seen);
    add(&c->inside, -1);
    CHECK_EQ(thrum_rwmutex_runlock(&c->rw), 0);
  }
}
static void rw_writer(void* arg) {
  struct counter* c = arg;
  for (int i = 0; i < c->per_guest / 4; i++) {
    CHECK_EQ(thrum_rwmutex_lock(&c->rw, THRUM_FOREVER), 0);
    CHECK_EQ(add(&c->inside, 10000), 10000);
    c->n++;
    if (i % 16 == 0 && thrum_self())
      thrum_yield();
    add(&c->inside, -10000);
    CHECK_EQ(thrum_rwmutex_unlock(&c->rw), 0);
  }
}
static void rw_invariant(void* arg) {
  static const int readers[] = {1, 1, 3, 10, 10}, writers[] = {1, 10, 1, 2, 10};
  (void)arg;
  for (size_t k = 0; k < CHECK_COUNT(readers); k++) {
    struct counter c;
    thrum_g g[20];
    int n = 0;
    memset(&c, 0, sizeof c);
    c.per_guest = ROUNDS(800);
    for (int i = 0; i < readers[k]; i++)
      g[n++] = go(rw_reader, &c);
    for (int i = 0; i < writers[k]; i++)
      g[n++] = go(rw_writer, &c);
    for (int i = 0; i < n; i++)
      join_g(g[i]);
    CHECK_EQ(c.n, writers[k] * (c.per_guest / 4));
    CHECK_EQ(c.inside, 0);
  }
}
static word rw_turn;
static void rw_either(void* arg) {
  if (add(&rw_turn, 1) % 3 == 0)
    rw_writer(arg);
  else
    rw_reader(arg);
}
TEST(rwmutex_invariant) {
  everywhere(rw_invariant, NULL);
  struct counter c;
  memset(&c, 0, sizeof c);
  c.per_guest = ROUNDS(800);
  rw_turn = 0;
  mixed_actors(rw_either, &c, 12);
  CHECK_EQ(c.n, 4 * (c.per_guest / 4));
}

/* ---- cond ---------------------------------------------------------------- */

struct meeting {
  thrum_mutex m;
  thrum_cond c;
  word waiting, woken;
  int open; /* guarded by m */
};
static void wait_open(void* arg) {
  struct meeting* x = arg;
  CHECK_EQ(thrum_mutex_lock(&x->m, THRUM_FOREVER), 0);
  add(&x->waiting, 1);
  while (!x->open)
    CHECK_EQ(thrum_cond_wait(&x->c, &x->m, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_mutex_unlock(&x->m), 0);
  add(&x->woken, 1);
}
/* With m held and `waiting` at n, all n wait: each holds m from its count to
 * its wait. */
static void lock_when_waiting(struct meeting* x, int n) {
  for (;;) {
    CHECK_EQ(thrum_mutex_lock(&x->m, THRUM_FOREVER), 0);
    if (get(&x->waiting) >= n)
      return;
    CHECK_EQ(thrum_mutex_unlock(&x->m), 0);
    if (thrum_self())
      CHECK_EQ(thrum_yield(), 0);
    else
      sched_yield();
  }
}
static void broadcast_all(void* arg) {
  (void)arg;
  for (int n = 1; n <= 16; n++)
    for (int held = 0; held < 2; held++) {
      struct meeting x;
      thrum_g g[16];
      memset(&x, 0, sizeof x);
      for (int i = 0; i < n; i++)
        g[i] = go(wait_open, &x);
      lock_when_waiting(&x, n);
      x.open = 1;
      if (held)
        CHECK_EQ(thrum_cond_broadcast(&x.c), 0);
      CHECK_EQ(thrum_mutex_unlock(&x.m), 0);
      if (!held)
        CHECK_EQ(thrum_cond_broadcast(&x.c), 0);
      for (int i = 0; i < n; i++)
        CHECK_EQ(thrum_join(NULL, g[i], SOON), 0);
      CHECK_EQ(x.woken, n);
    }
}
TEST(cond_broadcast_forgets_nobody) { everywhere(broadcast_all, NULL); }

static void signal_each(void* arg) {
  (void)arg;
  for (int n = 1; n <= 16; n++) {
    struct meeting x;
    thrum_g g[16];
    memset(&x, 0, sizeof x);
    for (int i = 0; i < n; i++)
      g[i] = go(wait_open, &x);
    lock_when_waiting(&x, n);
    x.open = 1;
    /* n signals wake n */
    for (int i = 0; i < n; i++)
      CHECK_EQ(thrum_cond_signal(&x.c), 0);
    CHECK_EQ(thrum_mutex_unlock(&x.m), 0);
    for (int i = 0; i < n; i++)
      CHECK_EQ(thrum_join(NULL, g[i], SOON), 0);
    CHECK_EQ(x.woken, n);
  }
}
TEST(cond_signal_wakes_each) { everywhere(signal_each, NULL); }

/* One signal wakes one. */
struct one_signal {
  thrum_mutex m;
  thrum_cond c;
  word waiting, woken;
};
static void wait_one_signal(void* arg) {
  struct one_signal* x = arg;
  CHECK_EQ(thrum_mutex_lock(&x->m, THRUM_FOREVER), 0);
  add(&x->waiting, 1);
  CHECK_EQ(thrum_cond_wait(&x->c, &x->m, THRUM_FOREVER), 0);
  add(&x->woken, 1);
  CHECK_EQ(thrum_mutex_unlock(&x->m), 0);
}
static void signal_one(void* arg) {
  (void)arg;
  struct one_signal x;
  thrum_g g[8];
  memset(&x, 0, sizeof x);
  /* nobody waits: not remembered */
  for (int i = 0; i < 3; i++)
    CHECK_EQ(thrum_cond_signal(&x.c), 0);
  for (int i = 0; i < 8; i++)
    g[i] = go(wait_one_signal, &x);
  yield_until(&x.waiting, 8);
  let_others_run();
  CHECK_EQ(x.woken, 0);
  for (int i = 1; i <= 8; i++) {
    CHECK_EQ(thrum_cond_signal(&x.c), 0);
    let_others_run();
    CHECK_EQ(x.woken, i);
  }
  for (int i = 0; i < 8; i++)
    join_g(g[i]);
}
TEST(cond_signal_wakes_one) { in_sequence(signal_one, NULL); }

static void cond_rules(void* arg) {
  (void)arg;
  thrum_mutex m = THRUM_MUTEX_INIT;
  thrum_cond c = THRUM_COND_INIT;
  /* not held at all */
  CHECK_EQ(thrum_cond_wait(&c, &m, THRUM_FOREVER), THRUM_EPERM);
  CHECK_EQ(thrum_cond_wait(&c, &m, THRUM_TRY), THRUM_EPERM);
  CHECK_EQ(thrum_mutex_lock(&m, THRUM_TRY), 0); /* and it is not held now */
  static const int64_t past[] = {THRUM_TRY, 1, -1, INT64_MIN};
  for (size_t i = 0; i < CHECK_COUNT(past); i++) {
    CHECK_EQ(thrum_cond_wait(&c, &m, past[i]),
             past[i] ? THRUM_ETIMEDOUT : THRUM_EAGAIN);
    /* held in every case */
    CHECK_EQ(thrum_mutex_lock(&m, THRUM_TRY), THRUM_EAGAIN);
    CHECK_EQ(thrum_mutex_lock(&m, THRUM_FOREVER), THRUM_EDEADLOCK);
  }
  int64_t deadline = thrum_after(2 * MS);
  CHECK_EQ(thrum_cond_wait(&c, &m, deadline), THRUM_ETIMEDOUT);
  CHECK_LE(deadline, thrum_now());
  CHECK_EQ(thrum_mutex_unlock(&m), 0);
}
TEST(cond) {
  everywhere(cond_rules, NULL);
  cond_rules(NULL);
}

/* Held by another: EPERM, and the other one's lock stays as it is. */
static void wait_without_lock(void* arg) {
  struct guest* g = arg;
  CHECK_EQ(thrum_cond_wait(g->second, g->object, THRUM_FOREVER), THRUM_EPERM);
  add(&g->finished, 1);
}
static void cond_of_another(void* arg) {
  (void)arg;
  thrum_mutex m = THRUM_MUTEX_INIT;
  thrum_cond c = THRUM_COND_INIT;
  struct guest g = guest_on(&m);
  g.second = &c;
  CHECK_EQ(thrum_mutex_lock(&m, THRUM_FOREVER), 0);
  join_g(go(wait_without_lock, &g));
  CHECK_EQ(g.finished, 1);
  CHECK_EQ(thrum_mutex_unlock(&m), 0);
}
TEST(cond_wait_needs_the_mutex) { everywhere(cond_of_another, NULL); }

/* Timed out and cancelled waiters come back with the mutex held, and take no
 * signal with them. */
static void cond_waiter(void* arg) {
  struct guest* g = arg;
  CHECK_EQ(thrum_mutex_lock(g->object, THRUM_FOREVER), 0);
  add(&g->about, 1);
  g->result = thrum_cond_wait(g->second, g->object, g->deadline);
  add(g->count, 1);
  CHECK_EQ(thrum_mutex_unlock(g->object), 0);
  add(&g->finished, 1);
}
static void cond_give_up(void* arg) {
  (void)arg;
  enum { N = 9 };
  thrum_mutex m = THRUM_MUTEX_INIT;
  thrum_cond c = THRUM_COND_INIT;
  struct guest guest[N];
  thrum_g g[N];
  word back = 0;
  for (int i = 0; i < N; i++) {
    guest[i] = guest_on(&m);
    guest[i].second = &c;
    guest[i].count = &back;
    if (i % 3 == 1)
      guest[i].deadline = thrum_after(MS);
    g[i] = go(cond_waiter, &guest[i]);
    yield_until(&guest[i].about, 1);
  }
  for (int i = 1; i < N; i += 3)
    join_g(g[i]);
  for (int i = 2; i < N; i += 3) {
    CHECK_EQ(thrum_cancel(NULL, g[i]), 0);
    join_g(g[i]);
  }
  CHECK_EQ(back, 6);
  /* all three go to those who still wait */
  for (int i = 0; i < 3; i++)
    CHECK_EQ(thrum_cond_signal(&c), 0);
  for (int i = 0; i < N; i += 3)
    CHECK_EQ(thrum_join(NULL, g[i], SOON), 0);
  for (int i = 0; i < N; i++)
    CHECK_EQ(guest[i].result, i % 3 == 0   ? 0
                              : i % 3 == 1 ? THRUM_ETIMEDOUT
                                           : THRUM_ECANCELED);
  CHECK_EQ(thrum_mutex_lock(&m, THRUM_TRY), 0);
  CHECK_EQ(thrum_mutex_unlock(&m), 0);
}
TEST(cond_waiters_that_give_up) { in_sequence(cond_give_up, NULL); }

/* Waiters are Gs of two runtimes and threads, those who wake them too. */
struct bell {
  thrum_mutex m;
  thrum_cond c;
  int rung, heard, wanted; /* guarded by m */
};
static void ring_or_hear(void* arg) {
  struct bell* b = arg;
  for (int i = 0; i < b->wanted; i++) {
    CHECK_EQ(thrum_mutex_lock(&b->m, THRUM_FOREVER), 0);
    int round = b->rung;
    if (++b->heard % 12 == 0) { /* the last of a round rings for all */
      b->rung++;
      CHECK_EQ(thrum_cond_broadcast(&b->c), 0);
    } else {
      while (b->rung == round)
        CHECK_EQ(thrum_cond_wait(&b->c, &b->m, THRUM_FOREVER), 0);
    }
    CHECK_EQ(thrum_mutex_unlock(&b->m), 0);
  }
}
TEST(cond_between_threads_and_gs) {
  struct bell b;
  memset(&b, 0, sizeof b);
  b.wanted = ROUNDS(300);
  mixed_actors(ring_or_hear, &b, 12);
  CHECK_EQ(b.rung, b.wanted);
  CHECK_EQ(b.heard, 12 * b.wanted);
}

/* Five hand a token round by broadcast. After Go's
 * BenchmarkCond/TestCondBroadcast: it finds a lost wake-up. */
struct baton {
  thrum_mutex m;
  thrum_cond c;
  int turn, rounds;
  word next;
};
static void pass_baton(void* arg) {
  struct baton* b = arg;
  int me = (int)add(&b->next, 1) - 1;
  for (int i = 0; i < b->rounds; i++) {
    CHECK_EQ(thrum_mutex_lock(&b->m, THRUM_FOREVER), 0);
    while (b->turn % 5 != me)
      CHECK_EQ(thrum_cond_wait(&b->c, &b->m, THRUM_FOREVER), 0);
    b->turn++;
    CHECK_EQ(thrum_cond_broadcast(&b->c), 0);
    CHECK_EQ(thrum_mutex_unlock(&b->m), 0);
  }
}
static void batons(void* arg) {
  (void)arg;
  struct baton b;
  thrum_g g[5];
  memset(&b, 0, sizeof b);
  b.rounds = ROUNDS(1000);
  for (int i = 0; i < 5; i++)
    g[i] = go(pass_baton, &b);
  for (int i = 0; i < 5; i++)
    join_g(g[i]);
  CHECK_EQ(b.turn, 5 * b.rounds);
}
TEST(cond_passes_a_baton) { everywhere(batons, NULL); }

/* ---- waitgroup ----------------------------------------------------------- */

static void wg_rules(void* arg) {
  (void)arg;
  thrum_wg wg = THRUM_WG_INIT;
  static const int64_t any[] = {THRUM_TRY, THRUM_FOREVER, 1, -1, INT64_MIN};
  for (size_t i = 0; i < CHECK_COUNT(any); i++)
    CHECK_EQ(thrum_wg_wait(&wg, any[i]), 0);
  CHECK_EQ(thrum_wg_done(&wg), THRUM_EINVAL);
  CHECK_EQ(thrum_wg_add(&wg, -1), THRUM_EINVAL);
  CHECK_EQ(thrum_wg_add(&wg, INT32_MIN), THRUM_EINVAL);
  CHECK_EQ(thrum_wg_wait(&wg, THRUM_TRY), 0);
  CHECK_EQ(thrum_wg_add(&wg, 0), 0);
  CHECK_EQ(thrum_wg_add(&wg, 5), 0);
  CHECK_EQ(thrum_wg_add(&wg, -6), THRUM_EINVAL); /* refused as a whole */
  CHECK_EQ(thrum_wg_wait(&wg, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_wg_wait(&wg, 1), THRUM_ETIMEDOUT);
  int64_t deadline = thrum_after(2 * MS);
  CHECK_EQ(thrum_wg_wait(&wg, deadline), THRUM_ETIMEDOUT);
  CHECK_LE(deadline, thrum_now());
  CHECK_EQ(thrum_wg_add(&wg, -2), 0);
  CHECK_EQ(thrum_wg_done(&wg), 0);
  CHECK_EQ(thrum_wg_done(&wg), 0);
  CHECK_EQ(thrum_wg_wait(&wg, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_wg_done(&wg), 0);
  CHECK_EQ(thrum_wg_wait(&wg, THRUM_TRY), 0);
  CHECK_EQ(thrum_wg_done(&wg), THRUM_EINVAL);
  /* As many as fit, and not one more. */
  CHECK_EQ(thrum_wg_add(&wg, INT32_MAX), 0);
  CHECK_EQ(thrum_wg_wait(&wg, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_wg_add(&wg, -INT32_MAX), 0);
  CHECK_EQ(thrum_wg_wait(&wg, THRUM_TRY), 0);
}
TEST(wg) {
  everywhere(wg_rules, NULL);
  wg_rules(NULL);
}

static void wg_waiter(void* arg) {
  struct guest* g = arg;
  add(&g->about, 1);
  g->result = thrum_wg_wait(g->object, g->deadline);
  add(&g->finished, 1);
}
static void wg_many_waiters(void* arg) {
  (void)arg;
  for (int n = 1; n <= 16; n++) {
    thrum_wg wg = THRUM_WG_INIT;
    struct guest guest[16];
    thrum_g g[16];
    CHECK_EQ(thrum_wg_add(&wg, 2), 0);
    for (int i = 0; i < n; i++) {
      guest[i] = guest_on(&wg);
      if (n > 3 && i == 1)
        guest[i].deadline = thrum_after(MS);
      g[i] = go(wg_waiter, &guest[i]);
      yield_until(&guest[i].about, 1);
    }
    if (n > 3) { /* two of them give up */
      join_g(g[1]);
      CHECK_EQ(guest[1].result, THRUM_ETIMEDOUT);
      CHECK_EQ(thrum_cancel(NULL, g[2]), 0);
      join_g(g[2]);
      CHECK_EQ(guest[2].result, THRUM_ECANCELED);
    }
    CHECK_EQ(thrum_wg_done(&wg), 0);
    let_others_run();
    for (int i = 0; i < n; i++)
      if (n <= 3 || (i != 1 && i != 2))
        CHECK_EQ(guest[i].finished, 0);
    CHECK_EQ(thrum_wg_done(&wg), 0);
    for (int i = 0; i < n; i++) {
      if (n > 3 && (i == 1 || i == 2))
        continue;
      CHECK_EQ(thrum_join(NULL, g[i], SOON), 0);
      CHECK_EQ(guest[i].result, 0);
    }
  }
}
TEST(wg_wakes_all_waiters) { in_sequence(wg_many_waiters, NULL); }

/* Used again and again, by Gs and threads; what was done before done is seen
 * after wait. */
struct crew {
  thrum_wg wg;
  int plain[8];
};
struct crew_guest {
  struct crew* c;
  int me;
};
static void crew_guest(void* arg) {
  struct crew_guest* g = arg;
  g->c->plain[g->me]++;
  CHECK_EQ(thrum_wg_done(&g->c->wg), 0);
}
static void crews(void* arg) {
  (void)arg;
  struct crew c;
  struct crew_guest guest[8];
  memset(&c, 0, sizeof c);
  for (int round = 1; round <= ROUNDS(500); round++) {
    CHECK_EQ(thrum_wg_add(&c.wg, 8), 0);
    for (int i = 0; i < 8; i++) {
      guest[i] = (struct crew_guest){&c, i};
      go(crew_guest, &guest[i]);
    }
    CHECK_EQ(thrum_wg_wait(&c.wg, THRUM_FOREVER), 0);
    for (int i = 0; i < 8; i++)
      CHECK_EQ(c.plain[i], round);
  }
}
TEST(wg_is_used_again) { everywhere(crews, NULL); }

/* ---- semaphore ----------------------------------------------------------- */

static void sem_rules(void* arg) {
  (void)arg;
  thrum_sem s = THRUM_SEM_INIT;
  CHECK_EQ(thrum_sem_acquire(&s, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_sem_acquire(&s, 1), THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_sem_acquire(&s, -1), THRUM_ETIMEDOUT);
  int64_t deadline = thrum_after(2 * MS);
  CHECK_EQ(thrum_sem_acquire(&s, deadline), THRUM_ETIMEDOUT);
  CHECK_LE(deadline, thrum_now());
  CHECK_EQ(thrum_sem_release(&s, 0), 0);
  CHECK_EQ(thrum_sem_acquire(&s, THRUM_TRY), THRUM_EAGAIN);
  static const int64_t any[] = {THRUM_TRY, THRUM_FOREVER, 1, -1, INT64_MIN};
  CHECK_EQ(thrum_sem_release(&s, 3), 0);
  CHECK_EQ(thrum_sem_release(&s, 2), 0);
  for (size_t i = 0; i < CHECK_COUNT(any); i++)
    CHECK_EQ(thrum_sem_acquire(&s, any[i]), 0);
  CHECK_EQ(thrum_sem_acquire(&s, THRUM_TRY), THRUM_EAGAIN);
}
TEST(sem) {
  everywhere(sem_rules, NULL);
  sem_rules(NULL);
}

static void sem_waiter(void* arg) {
  struct guest* g = arg;
  add(&g->about, 1);
  g->result = thrum_sem_acquire(g->object, g->deadline);
  add(g->count, 1);
  add(&g->finished, 1);
}
/* n permits wake n of those who wait, whatever n, and those who gave up take
 * none. */
static void sem_wakes(void* arg) {
  (void)arg;
  enum { N = 70 };
  static struct guest guest[N];
  thrum_g g[N];
  thrum_sem s = THRUM_SEM_INIT;
  word through = 0, expected = 4;
  for (int i = 0; i < N; i++) {
    guest[i] = guest_on(&s);
    guest[i].count = &through;
    if (i < 2)
      guest[i].deadline = thrum_after(MS);
    g[i] = go(sem_waiter, &guest[i]);
    yield_until(&guest[i].about, 1);
  }
  for (int i = 0; i < 4; i++) {
    if (i >= 2)
      CHECK_EQ(thrum_cancel(NULL, g[i]), 0);
    join_g(g[i]);
    CHECK_EQ(guest[i].result, i < 2 ? THRUM_ETIMEDOUT : THRUM_ECANCELED);
  }
  static const uint32_t lots[] = {1, 2, 0, 3, 1, 59};
  for (size_t k = 0; k < CHECK_COUNT(lots); k++) {
    CHECK_EQ(thrum_sem_release(&s, lots[k]), 0);
    expected += lots[k];
    let_others_run();
    CHECK_EQ(through, expected);
  }
  for (int i = 4; i < N; i++) {
    CHECK_EQ(thrum_join(NULL, g[i], SOON), 0);
    CHECK_EQ(guest[i].result, 0);
  }
  CHECK_EQ(thrum_sem_acquire(&s, THRUM_TRY), THRUM_EAGAIN);
}
TEST(sem_wakes_as_many_as_there_are_permits) { in_sequence(sem_wakes, NULL); }

/* At most two inside, from all sides, with deadlines that pass. */
struct room {
  thrum_sem s;
  word inside, most, entered;
  int per_guest;
};
static void visit_room(void* arg) {
  struct room* r = arg;
  for (int i = 0; i < r->per_guest; i++) {
    int rc = thrum_sem_acquire(&r->s,
                               i % 4 == 3 ? thrum_after(5000) : THRUM_FOREVER);
    if (rc == THRUM_ETIMEDOUT)
      continue;
    CHECK_EQ(rc, 0);
    raise_to(&r->most, add(&r->inside, 1));
    add(&r->entered, 1);
    if (i % 8 == 0 && thrum_self())
      thrum_yield();
    add(&r->inside, -1);
    CHECK_EQ(thrum_sem_release(&r->s, 1), 0);
  }
}
static void visitors(void* arg) {
  (void)arg;
  struct room r;
  thrum_g g[16];
  memset(&r, 0, sizeof r);
  r.per_guest = ROUNDS(500);
  CHECK_EQ(thrum_sem_release(&r.s, 2), 0);
  for (int i = 0; i < 16; i++)
    g[i] = go(visit_room, &r);
  for (int i = 0; i < 16; i++)
    join_g(g[i]);
  CHECK_LE(r.most, 2);
  CHECK_LE(16 * 3 * (r.per_guest / 4), r.entered);
  CHECK_EQ(thrum_sem_acquire(&r.s, THRUM_TRY), 0);
  CHECK_EQ(thrum_sem_acquire(&r.s, THRUM_TRY), 0);
  CHECK_EQ(thrum_sem_acquire(&r.s, THRUM_TRY), THRUM_EAGAIN);
}
TEST(sem_bounds_a_room) {
  everywhere(visitors, NULL);
  struct room r;
  memset(&r, 0, sizeof r);
  r.per_guest = ROUNDS(500);
  CHECK_EQ(thrum_sem_release(&r.s, 2), 0);
  mixed_actors(visit_room, &r, 12);
  CHECK_LE(r.most, 2);
  for (int i = 0; i < 2; i++)
    CHECK_EQ(thrum_sem_acquire(&r.s, THRUM_TRY), 0);
  CHECK_EQ(thrum_sem_acquire(&r.s, THRUM_TRY), THRUM_EAGAIN);
}

/* ---- once ---------------------------------------------------------------- */

struct first_time {
  thrum_once o;
  int n;
  word callers, recursed;
  thrum_chan* ch;
};
static void do_first(void* arg) {
  struct first_time* f = arg;
  f->n++;
  for (int i = 0; i < 5; i++) /* fn may park */
    if (thrum_self())
      CHECK_EQ(thrum_yield(), 0);
  CHECK_EQ(thrum_sleep(MS), 0);
  f->n++;
}
static void call_once(void* arg) {
  struct first_time* f = arg;
  CHECK_EQ(thrum_once_do(&f->o, do_first, f), 0);
  CHECK_EQ(f->n, 2); /* it has returned, for every caller */
  add(&f->callers, 1);
}
static void once_for_many(void* arg) {
  (void)arg;
  for (int round = 0; round < ROUNDS(20); round++) {
    struct first_time f;
    thrum_g g[32];
    memset(&f, 0, sizeof f);
    for (int i = 0; i < 32; i++)
      g[i] = go(call_once, &f);
    for (int i = 0; i < 32; i++)
      join_g(g[i]);
    CHECK_EQ(f.n, 2);
    CHECK_EQ(f.callers, 32);
    call_once(&f);
  }
}
TEST(once_runs_once) {
  everywhere(once_for_many, NULL);
  for (int round = 0; round < ROUNDS(20); round++) {
    struct first_time f;
    memset(&f, 0, sizeof f);
    mixed_actors(call_once, &f, 12);
    CHECK_EQ(f.n, 2);
    CHECK_EQ(f.callers, 12);
  }
}

static void do_recursive(void* arg) {
  struct first_time* f = arg;
  CHECK_EQ(thrum_once_do(&f->o, do_recursive, f), THRUM_EDEADLOCK);
  add(&f->recursed, 1);
}
static void once_rules(void* arg) {
  (void)arg;
  struct first_time f;
  memset(&f, 0, sizeof f);
  CHECK_EQ(thrum_once_do(&f.o, NULL, NULL), THRUM_EINVAL);
  CHECK_EQ(thrum_once_do(&f.o, do_recursive, &f), 0);
  CHECK_EQ(f.recursed, 1);
  CHECK_EQ(thrum_once_do(&f.o, do_first, &f), 0); /* done is done */
  CHECK_EQ(f.n, 0);
}
TEST(once) {
  everywhere(once_rules, NULL);
  once_rules(NULL);
}

static const struct check_case cases[] = {
    CASE(all_zero_is_valid),
    CASE(mutex),
    CASE(mutex_owner_g_or_thread),
    CASE(mutex_excludes),
    CASE(mutex_between_threads_and_gs),
    CASE(mutex_is_fifo_after_a_long_wait),
    CASE(mutex_hog_does_not_win_for_ever),
    CASE(mutex_waiters_that_give_up),
    CASE(rwmutex),
    CASE(rwmutex_readers_share),
    CASE(rwmutex_writer_goes_first),
    CASE(rwmutex_handover),
    CASE(rwmutex_invariant),
    CASE(cond_broadcast_forgets_nobody),
    CASE(cond_signal_wakes_each),
    CASE(cond_signal_wakes_one),
    CASE(cond),
    CASE(cond_wait_needs_the_mutex),
    CASE(cond_waiters_that_give_up),
    CASE(cond_between_threads_and_gs),
    CASE(cond_passes_a_baton),
    CASE(wg),
    CASE(wg_wakes_all_waiters),
    CASE(wg_is_used_again),
    CASE(sem),
    CASE(sem_wakes_as_many_as_there_are_permits),
    CASE(sem_bounds_a_room),
    CASE(once_runs_once),
    CASE(once),
};
CHECK_MAIN(cases)
