/* sync.c: the synchronisation objects under random deadlines and cancels,
 * between Gs of two runtimes and threads: permits are neither lost nor made,
 * wake-ups are not lost, locks exclude. */
#include "../support/check.h"

#include <thrum/host.h>

#include "../support/rt.h"

enum { ACTORS = 12 };

struct crowd {
  thrum_mutex m;
  thrum_rwmutex rw;
  thrum_cond not_empty, not_full;
  thrum_sem sem;
  int rounds, guarded;        /* guarded by m or rw */
  int queue[8], head, queued; /* guarded by m */
  uint64_t seed;
  word inside, writers, next, produced, consumed, sum_in, sum_out, giving_up;
};

static void relax(void) {
  if (thrum_self())
    thrum_yield();
  else
    sched_yield();
}
static int64_t some_deadline(uint64_t* rng) {
  switch (below(rng, 5)) {
    case 0:
      return THRUM_TRY;
    case 1:
      return thrum_after(below(rng, 2000));
    case 2:
      return thrum_after(below(rng, 200000));
    default:
      return THRUM_FOREVER;
  }
}
static void gave_up(struct crowd* c, int rc) {
  CHECK(rc == THRUM_EAGAIN || rc == THRUM_ETIMEDOUT || rc == THRUM_ECANCELED);
  add(&c->giving_up, 1);
  relax();
}

/* Runs `fn` as actors and cancels Gs among them at random until all are
 * done. */
static void crowd(struct crowd* c, thrum_fn fn, uint64_t seed,
                  struct rt_kind kind, int thread_every) {
  thrum_rt* rt[2] = {rt_make(kind), rt_make(RT_P1)};
  struct actor a[ACTORS];
  thrum_wg done = THRUM_WG_INIT;
  uint64_t rng = seed;
  c->seed = seed;
  for (int i = 0; i < ACTORS; i++)
    actor_start(&a[i], rt[i % 4 == 3], thread_every && i % thread_every == 0,
                &done, fn, c);
  while (thrum_wg_wait(&done, thrum_after(1000 + below(&rng, 100000))) != 0) {
    int i = (int)below(&rng, ACTORS);
    if (!a[i].is_thread) {
      int rc = thrum_cancel(rt[i % 4 == 3], a[i].g);
      CHECK(rc == 0 || rc == THRUM_ESTALE);
    }
  }
  for (int i = 0; i < ACTORS; i++)
    actor_join(&a[i], rt[i % 4 == 3]);
  rt_end(rt[0]);
  rt_end(rt[1]);
}
static void each_kind(void (*play)(uint64_t seed, struct rt_kind kind,
                                   int thread_every)) {
  for (int round = 0; round < check_stress(); round++) {
    uint64_t seed = (uint64_t)round * 100;
    play(seed + 1, RT_P1, 0);
    play(seed + 2, RT_P2, 0);
    play(seed + 3, RT_P4, 0);
    play(seed + 4, RT_P2, 3);
    play(seed + 5, RT_P2, 1);
    play(seed + 6, RT_SLEEPY, 3);
  }
}
static uint64_t my_rng(struct crowd* c) {
  return c->seed * 1009 + (uint64_t)add(&c->next, 1);
}

/* ---- mutex --------------------------------------------------------------- */

static void lock_at_random(void* arg) {
  struct crowd* c = arg;
  uint64_t rng = my_rng(c);
  for (int i = 0; i < c->rounds;) {
    int rc = thrum_mutex_lock(&c->m, some_deadline(&rng));
    if (rc != 0) {
      gave_up(c, rc);
      continue;
    }
    CHECK_EQ(add(&c->inside, 1), 1);
    c->guarded++;
    if (below(&rng, 30) == 0)
      relax();
    add(&c->inside, -1);
    CHECK_EQ(thrum_mutex_unlock(&c->m), 0);
    i++;
  }
}
static void play_mutex(uint64_t seed, struct rt_kind kind, int thread_every) {
  struct crowd c;
  memset(&c, 0, sizeof c);
  c.rounds = ROUNDS(1500);
  crowd(&c, lock_at_random, seed, kind, thread_every);
  CHECK_EQ(c.guarded, ACTORS * c.rounds);
  CHECK_EQ(thrum_mutex_lock(&c.m, THRUM_TRY), 0);
  CHECK_EQ(thrum_mutex_unlock(&c.m), 0);
}
TEST(mutex) { each_kind(play_mutex); }

/* ---- rwmutex ------------------------------------------------------------- */

static void read_or_write(void* arg) {
  struct crowd* c = arg;
  uint64_t rng = my_rng(c);
  for (int i = 0; i < c->rounds;) {
    if (below(&rng, 4)) {
      int rc = thrum_rwmutex_rlock(&c->rw, some_deadline(&rng));
      if (rc != 0) {
        gave_up(c, rc);
        continue;
      }
      CHECK_LE(add(&c->inside, 1), ACTORS);
      int seen = c->guarded;
      if (below(&rng, 30) == 0)
        relax();
      CHECK_EQ(c->guarded, seen);
      add(&c->inside, -1);
      CHECK_EQ(thrum_rwmutex_runlock(&c->rw), 0);
    } else {
      int rc = thrum_rwmutex_lock(&c->rw, some_deadline(&rng));
      if (rc != 0) {
        gave_up(c, rc);
        continue;
      }
      CHECK_EQ(add(&c->inside, 1000), 1000);
      c->guarded++;
      add(&c->writers, 1);
      if (below(&rng, 30) == 0)
        relax();
      add(&c->inside, -1000);
      CHECK_EQ(thrum_rwmutex_unlock(&c->rw), 0);
    }
    i++;
  }
}
static void play_rwmutex(uint64_t seed, struct rt_kind kind, int thread_every) {
  struct crowd c;
  memset(&c, 0, sizeof c);
  c.rounds = ROUNDS(1500);
  crowd(&c, read_or_write, seed, kind, thread_every);
  CHECK_EQ(c.guarded, c.writers);
  CHECK_EQ(c.inside, 0);
  CHECK_EQ(thrum_rwmutex_lock(&c.rw, THRUM_TRY), 0);
  CHECK_EQ(thrum_rwmutex_unlock(&c.rw), 0);
}
TEST(rwmutex) { each_kind(play_rwmutex); }

/* ---- semaphore ----------------------------------------------------------- */

static void take_and_give(void* arg) {
  struct crowd* c = arg;
  uint64_t rng = my_rng(c);
  for (int i = 0; i < c->rounds;) {
    int rc = thrum_sem_acquire(&c->sem, some_deadline(&rng));
    if (rc != 0) {
      gave_up(c, rc);
      continue;
    }
    CHECK_LE(add(&c->inside, 1), 3);
    if (below(&rng, 30) == 0)
      relax();
    add(&c->inside, -1);
    CHECK_EQ(thrum_sem_release(&c->sem, 1), 0);
    i++;
  }
}
static void play_sem(uint64_t seed, struct rt_kind kind, int thread_every) {
  struct crowd c;
  memset(&c, 0, sizeof c);
  c.rounds = ROUNDS(1500);
  CHECK_EQ(thrum_sem_release(&c.sem, 3), 0);
  crowd(&c, take_and_give, seed, kind, thread_every);
  for (int i = 0; i < 3; i++)
    CHECK_EQ(thrum_sem_acquire(&c.sem, THRUM_TRY), 0);
  CHECK_EQ(thrum_sem_acquire(&c.sem, THRUM_TRY), THRUM_EAGAIN);
}
TEST(sem) { each_kind(play_sem); }

/* Permits wander: each actor takes some and gives others back in lots; at the
 * end all are there. */
static void wander(void* arg) {
  struct crowd* c = arg;
  uint64_t rng = my_rng(c);
  uint32_t mine = 0;
  for (int i = 0; i < c->rounds; i++) {
    if (mine < 5 && below(&rng, 2)) {
      int rc = thrum_sem_acquire(&c->sem, mine ? thrum_after(below(&rng, 20000))
                                               : some_deadline(&rng));
      if (rc == 0)
        mine++;
      else
        gave_up(c, rc);
    } else if (mine) {
      uint32_t lot = 1 + below(&rng, mine);
      CHECK_EQ(thrum_sem_release(&c->sem, lot), 0);
      mine -= lot;
    }
  }
  CHECK_EQ(thrum_sem_release(&c->sem, mine), 0);
}
static void play_permits(uint64_t seed, struct rt_kind kind, int thread_every) {
  struct crowd c;
  memset(&c, 0, sizeof c);
  c.rounds = ROUNDS(3000);
  CHECK_EQ(thrum_sem_release(&c.sem, ACTORS), 0);
  crowd(&c, wander, seed, kind, thread_every);
  for (int i = 0; i < ACTORS; i++)
    CHECK_EQ(thrum_sem_acquire(&c.sem, THRUM_TRY), 0);
  CHECK_EQ(thrum_sem_acquire(&c.sem, THRUM_TRY), THRUM_EAGAIN);
}
TEST(permits_wander) { each_kind(play_permits); }

/* ---- cond ---------------------------------------------------------------- */

/* A bounded queue with signal only: one lost wake-up, or one that goes to a
 * waiter who has given up, and it stands still. */
static void queue_user(void* arg) {
  struct crowd* c = arg;
  word me = add(&c->next, 1);
  uint64_t rng = c->seed * 1009 + (uint64_t)me;
  int produces = me % 2;
  for (int i = 0; i < c->rounds;) {
    int rc = 0;
    CHECK_EQ(thrum_mutex_lock(&c->m, THRUM_FOREVER), 0);
    while (rc == 0 && (produces ? c->queued == 8 : c->queued == 0))
      rc = thrum_cond_wait(produces ? &c->not_full : &c->not_empty, &c->m,
                           some_deadline(&rng));
    if (rc == 0 && produces) {
      int v = (int)add(&c->produced, 1);
      c->queue[(c->head + c->queued++) % 8] = v;
      add(&c->sum_in, v);
      CHECK_EQ(thrum_cond_signal(&c->not_empty), 0);
    } else if (rc == 0) {
      add(&c->consumed, 1);
      add(&c->sum_out, c->queue[c->head]);
      c->head = (c->head + 1) % 8;
      c->queued--;
      CHECK_EQ(thrum_cond_signal(&c->not_full), 0);
    }
    CHECK_EQ(thrum_mutex_unlock(&c->m), 0);
    if (rc == 0)
      i++;
    else
      gave_up(c, rc);
  }
}
static void play_cond(uint64_t seed, struct rt_kind kind, int thread_every) {
  struct crowd c;
  memset(&c, 0, sizeof c);
  c.rounds = ROUNDS(1500);
  crowd(&c, queue_user, seed, kind, thread_every);
  CHECK_EQ(c.produced, ACTORS / 2 * c.rounds);
  CHECK_EQ(c.consumed, c.produced);
  CHECK_EQ(c.sum_in, c.sum_out);
  CHECK_EQ(c.queued, 0);
}
TEST(cond) { each_kind(play_cond); }

/* ---- waitgroup ----------------------------------------------------------- */

/* Rounds that end for all at once: nobody begins the next one before the last
 * has finished this one. */
struct rounds {
  thrum_wg wg[2];
  thrum_sem begin;
  word in_round[2];
};
struct rounds_guest {
  struct rounds* r;
  int n;
};
static void round_guest(void* arg) {
  struct rounds_guest* g = arg;
  uint64_t rng = (uint64_t)(uintptr_t)arg;
  for (int i = 0; i < g->n; i++) {
    int rc;
    while ((rc = thrum_sem_acquire(&g->r->begin, thrum_after(50000))) != 0)
      CHECK_EQ(rc, THRUM_ETIMEDOUT);
    add(&g->r->in_round[i % 2], 1);
    if (below(&rng, 10) == 0)
      relax();
    CHECK_EQ(thrum_wg_done(&g->r->wg[i % 2]), 0);
    /* Wait for the others of this round too: several wait on one wg. */
    while ((rc = thrum_wg_wait(&g->r->wg[i % 2], thrum_after(50000))) != 0)
      CHECK_EQ(rc, THRUM_ETIMEDOUT);
  }
}
static void play_rounds(uint64_t seed, struct rt_kind kind, int thread_every) {
  thrum_rt* rt = rt_make(kind);
  struct rounds r;
  struct rounds_guest g[8];
  struct actor a[8];
  thrum_wg done = THRUM_WG_INIT;
  int n = ROUNDS(500);
  (void)seed;
  memset(&r, 0, sizeof r);
  for (int i = 0; i < 8; i++) {
    g[i] = (struct rounds_guest){&r, n};
    actor_start(&a[i], rt, thread_every && i % thread_every == 0, &done,
                round_guest, &g[i]);
  }
  for (int i = 0; i < n; i++) {
    set(&r.in_round[i % 2], 0);
    CHECK_EQ(thrum_wg_add(&r.wg[i % 2], 8), 0);
    CHECK_EQ(thrum_sem_release(&r.begin, 8), 0);
    CHECK_EQ(thrum_wg_wait(&r.wg[i % 2], THRUM_FOREVER), 0);
    CHECK_EQ(get(&r.in_round[i % 2]), 8);
  }
  CHECK_EQ(thrum_wg_wait(&done, THRUM_FOREVER), 0);
  for (int i = 0; i < 8; i++)
    actor_join(&a[i], rt);
  rt_end(rt);
}
TEST(wg) { each_kind(play_rounds); }

/* ---- once ---------------------------------------------------------------- */

struct firsts {
  thrum_once o[64];
  int value[64]; /* written by the first alone */
  word ran, next;
};
struct firsts_arg {
  struct firsts* f;
  int i;
};
static void set_first(void* arg) {
  struct firsts_arg* a = arg;
  a->f->value[a->i]++;
  if (a->i % 3 == 0)
    relax();
  add(&a->f->ran, 1);
}
static void all_firsts(void* arg) {
  struct firsts* f = arg;
  int start = (int)add(&f->next, 1);
  for (int k = 0; k < 64; k++) {
    struct firsts_arg a = {f, (start * 7 + k) % 64};
    CHECK_EQ(thrum_once_do(&f->o[a.i], set_first, &a), 0);
    CHECK_EQ(f->value[a.i], 1);
  }
}
static void play_once(uint64_t seed, struct rt_kind kind, int thread_every) {
  thrum_rt* rt = rt_make(kind);
  (void)seed;
  for (int round = 0; round < ROUNDS(100); round++) {
    struct firsts f;
    struct actor a[8];
    thrum_wg done = THRUM_WG_INIT;
    memset(&f, 0, sizeof f);
    for (int i = 0; i < 8; i++)
      actor_start(&a[i], rt, thread_every && i % thread_every == 0, &done,
                  all_firsts, &f);
    CHECK_EQ(thrum_wg_wait(&done, THRUM_FOREVER), 0);
    for (int i = 0; i < 8; i++)
      actor_join(&a[i], rt);
    CHECK_EQ(f.ran, 64);
  }
  rt_end(rt);
}
TEST(once) { each_kind(play_once); }

/* ---- park and unpark ----------------------------------------------------- */

/* A mailbox of one word that is built from permits, with deadlines and cancels:
 * no message stays lying. */
struct mailbox {
  thrum_rt* rt;
  word mail, taken, stop;
  uint64_t seed;
};
static void read_mail(void* arg) {
  struct mailbox* b = arg;
  uint64_t rng = b->seed;
  for (;;) {
    word m = __atomic_exchange_n(&b->mail, 0, __ATOMIC_SEQ_CST);
    if (m) {
      add(&b->taken, m);
      continue;
    }
    if (get(&b->stop))
      return;
    int rc = thrum_park("mail",
                        below(&rng, 3) ? THRUM_FOREVER : some_deadline(&rng));
    CHECK(rc == 0 || rc == THRUM_ETIMEDOUT || rc == THRUM_EAGAIN ||
          rc == THRUM_ECANCELED);
  }
}
TEST(permits_deliver_mail) {
  for (int round = 0; round < 3 * check_stress(); round++) {
    thrum_rt* rt = rt_make(round % 2 ? RT_P2 : RT_P1);
    struct mailbox b = {rt, 0, 0, 0, (uint64_t)round + 1};
    thrum_g g = go_in(rt, read_mail, &b);
    uint64_t rng = (uint64_t)round;
    word sent = 0;
    for (int i = 1; i <= ROUNDS(5000); i++) {
      add(&b.mail, i);
      sent += i;
      CHECK_EQ(thrum_unpark(rt, g), 0);
      if (below(&rng, 10) == 0)
        CHECK_EQ(thrum_cancel(rt, g), 0);
      if (below(&rng, 4) == 0)
        while (get(&b.taken) < sent)
          sched_yield();
    }
    while (get(&b.taken) < sent)
      sched_yield();
    set(&b.stop, 1);
    int rc = thrum_unpark(rt, g); /* it may have looked just now, and be gone */
    CHECK(rc == 0 || rc == THRUM_ESTALE);
    CHECK_EQ(thrum_join(rt, g, SOON), 0);
    CHECK_EQ(b.taken, sent);
    rt_end(rt);
  }
}

static const struct check_case cases[] = {
    CASE(mutex), CASE(rwmutex), CASE(sem),  CASE(permits_wander),
    CASE(cond),  CASE(wg),      CASE(once), CASE(permits_deliver_mail),
};
CHECK_MAIN(cases)
