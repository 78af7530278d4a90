/* destroy.c: the storage of an object is gone the moment its owner has seen the
 * effect of the last operation on it.
 *
 * In each round one side does the last operation, the other side waits for its
 * effect and then at once overwrites the object, on its own stack frame or on
 * the heap, with a pattern. If the call on the first side, which may still be
 * on its way out, touches the object after that, the pattern is spoilt, and
 * under ASan a read of the freed heap block is caught as well. Both sides are
 * Gs on several Ps or threads of the host. */
#include "../support/check.h"

#include <thrum/thrum.h>

#include "../support/rt.h"

enum { PATTERN = 0xa5, KEPT = 64 };

/* Poisoned blocks are looked at again when the other side has long returned,
 * and freed then. */
struct morgue {
  unsigned char* block[KEPT];
  size_t size[KEPT];
  int n, spoilt;
};
static void inspect(struct morgue* m, int i) {
  for (size_t k = 0; m->block[i] && k < m->size[i]; k++)
    if (m->block[i][k] != PATTERN) {
      m->spoilt++;
      break;
    }
  free(m->block[i]);
  m->block[i] = NULL;
}
static void bury(struct morgue* m, void* object, size_t size) {
  if (CHECK_ASAN) { /* freed at once: ASan sees whoever comes back */
    free(object);
    return;
  }
  memset(object, PATTERN, size);
  inspect(m, m->n % KEPT);
  m->block[m->n % KEPT] = object;
  m->size[m->n % KEPT] = size;
  m->n++;
}
static void close_morgue(struct morgue* m, const char* what) {
  for (int i = 0; i < KEPT; i++)
    inspect(m, i);
  CHECK_MSG(m->spoilt == 0, "%s: written to %d times after its end", what,
            m->spoilt);
}

/* A pair: `leaver` does the last operation of its side, `owner` sees it and
 * ends the object. They meet over rounds. */
struct pair {
  int rounds, kind;
  word round_of_leaver, round_of_owner; /* who has come how far */
  /* of this round; published by round_of_owner */
  void* object;
  word entered;
  struct morgue morgue;
};
static void relax(void) {
  if (thrum_self())
    thrum_yield();
  else
    sched_yield();
}
static void await(const word* w, word v) {
  for (int i = 0; get(w) < v; i++)
    if (i < 300)
      /* hot at first: the two shall meet in the last instructions of a call */
      relax();
    else
      thrum_sleep(20000);
}

enum {
  WG,
  CHAN_RECV,
  CHAN_BUFFERED,
  CHAN_SEND,
  CHAN_CLOSE,
  CHAN_SELECT,
  MUTEX,
  RW_WRITER,
  RW_READER,
  COND,
  SEM,
  ONCE,
  KINDS
};
static const char* const kind_names[KINDS] = {
    "wg",
    "chan (last value received)",
    "chan (last value received from the buffer)",
    "chan (last value taken)",
    "chan (close seen)",
    "chan (last value taken by a select)",
    "mutex",
    "rwmutex (a writer leaves)",
    "rwmutex (a reader leaves)",
    "cond",
    "sem",
    "once"};

struct flagged {
  thrum_mutex m;
  thrum_cond c;
  int set;
};
struct first {
  thrum_once o;
  word began;
};
static void begin_once(void* arg) {
  struct first* f = arg;
  set(&f->began, 1);
  for (int i = 0; i < 3; i++)
    relax();
}
static void not_again(void* arg) {
  (void)arg;
  check_fail(__FILE__, __LINE__, "once ran twice");
}

static void leave(struct pair* p) {
  void* o = p->object;
  int v = 7;
  switch (p->kind) {
    case WG:
      CHECK_EQ(thrum_wg_done(o), 0);
      break;
    case CHAN_RECV:
    case CHAN_BUFFERED:
      CHECK_EQ(thrum_chan_send(o, &v, THRUM_FOREVER), 0);
      break;
    case CHAN_SEND:
      CHECK_EQ(thrum_chan_recv(o, &v, THRUM_FOREVER), 0);
      CHECK_EQ(v, 8);
      break;
    case CHAN_CLOSE:
      CHECK_EQ(thrum_chan_close(o), 0);
      break;
    case CHAN_SELECT: {
      thrum_case arms[2] = {{o, &v, THRUM_RECV, 0}, {o, &v, THRUM_RECV, 0}};
      int won = thrum_select(arms, 2, THRUM_FOREVER);
      CHECK(won >= 0 && arms[won].result == 0);
      CHECK_EQ(v, 8);
      break;
    }
    case MUTEX:
      CHECK_EQ(thrum_mutex_lock(o, THRUM_FOREVER), 0);
      set(&p->entered, 1);
      relax();
      CHECK_EQ(thrum_mutex_unlock(o), 0);
      break;
    case RW_WRITER:
      CHECK_EQ(thrum_rwmutex_lock(o, THRUM_FOREVER), 0);
      set(&p->entered, 1);
      relax();
      CHECK_EQ(thrum_rwmutex_unlock(o), 0);
      break;
    case RW_READER:
      CHECK_EQ(thrum_rwmutex_rlock(o, THRUM_FOREVER), 0);
      set(&p->entered, 1);
      relax();
      CHECK_EQ(thrum_rwmutex_runlock(o), 0);
      break;
    case COND: {
      struct flagged* f = o;
      CHECK_EQ(thrum_mutex_lock(&f->m, THRUM_FOREVER), 0);
      f->set = 1;
      CHECK_EQ(thrum_cond_signal(&f->c), 0);
      CHECK_EQ(thrum_mutex_unlock(&f->m), 0);
      break;
    }
    case SEM:
      CHECK_EQ(thrum_sem_release(o, 1), 0);
      break;
    case ONCE:
      CHECK_EQ(thrum_once_do(&((struct first*)o)->o, begin_once, o), 0);
      break;
  }
}

static void open_object(struct pair* p, void* o) {
  thrum_chan* ch = NULL;
  switch (p->kind) {
    case WG:
      CHECK_EQ(thrum_wg_add(o, 1), 0);
      break;
    case CHAN_RECV:
    case CHAN_SEND:
    case CHAN_CLOSE:
    case CHAN_SELECT:
    case CHAN_BUFFERED:
      REQUIRE_EQ(thrum_chan_new(sizeof(int), p->kind == CHAN_BUFFERED, &ch), 0);
      p->object = ch;
      return;
    default:
      break;
  }
  p->object = o;
}
static void see_the_end(struct pair* p) {
  void* o = p->object;
  int v = 8;
  switch (p->kind) {
    case WG:
      CHECK_EQ(thrum_wg_wait(o, THRUM_FOREVER), 0);
      break;
    case CHAN_RECV:
    case CHAN_BUFFERED:
      CHECK_EQ(thrum_chan_recv(o, &v, THRUM_FOREVER), 0);
      CHECK_EQ(v, 7);
      thrum_chan_release(o);
      break;
    case CHAN_SEND:
    case CHAN_SELECT:
      CHECK_EQ(thrum_chan_send(o, &v, THRUM_FOREVER), 0);
      thrum_chan_release(o);
      break;
    case CHAN_CLOSE:
      CHECK_EQ(thrum_chan_recv(o, &v, THRUM_FOREVER), THRUM_ECLOSED);
      thrum_chan_release(o);
      break;
    case MUTEX:
      await(&p->entered, 1);
      CHECK_EQ(thrum_mutex_lock(o, THRUM_FOREVER), 0);
      CHECK_EQ(thrum_mutex_unlock(o), 0);
      break;
    /* all readers are out when a writer is in, and the other way round */
    case RW_WRITER:
      await(&p->entered, 1);
      CHECK_EQ(thrum_rwmutex_rlock(o, THRUM_FOREVER), 0);
      CHECK_EQ(thrum_rwmutex_runlock(o), 0);
      break;
    case RW_READER:
      await(&p->entered, 1);
      CHECK_EQ(thrum_rwmutex_lock(o, THRUM_FOREVER), 0);
      CHECK_EQ(thrum_rwmutex_unlock(o), 0);
      break;
    case COND: {
      struct flagged* f = o;
      CHECK_EQ(thrum_mutex_lock(&f->m, THRUM_FOREVER), 0);
      while (!f->set)
        CHECK_EQ(thrum_cond_wait(&f->c, &f->m, THRUM_FOREVER), 0);
      CHECK_EQ(thrum_mutex_unlock(&f->m), 0);
      break;
    }
    case SEM:
      CHECK_EQ(thrum_sem_acquire(o, THRUM_FOREVER), 0);
      break;
    case ONCE: {
      struct first* f = o;
      await(&f->began, 1);
      CHECK_EQ(thrum_once_do(&f->o, not_again, NULL), 0);
      break;
    }
  }
}

static size_t object_size(int kind) {
  switch (kind) {
    case RW_WRITER:
    case RW_READER:
      return sizeof(thrum_rwmutex);
    case COND:
      return sizeof(struct flagged);
    case ONCE:
      return sizeof(struct first);
    default:
      return sizeof(thrum_mutex);
  }
}

/* One round on a frame of this function's own: gone when it returns, and the
 * next call lays another one over it. */
__attribute__((noinline)) static void round_on_the_stack(struct pair* p,
                                                         int r) {
  union {
    thrum_wg wg;
    thrum_mutex m;
    thrum_rwmutex rw;
    thrum_sem s;
    struct flagged f;
    struct first o;
    unsigned char bytes[128];
  } object;
  memset(&object, 0, sizeof object);
  open_object(p, &object);
  set(&p->entered, 0);
  set(&p->round_of_owner, r);
  see_the_end(p);
  memset(&object, PATTERN, sizeof object);
  /* its call has returned: it must not have come by here */
  await(&p->round_of_leaver, r);
  for (size_t i = 0; i < sizeof object.bytes; i++)
    if (object.bytes[i] != PATTERN) {
      p->morgue.spoilt++;
      break;
    }
}
static void round_on_the_heap(struct pair* p, int r) {
  size_t size = object_size(p->kind);
  void* object = calloc(1, size);
  REQUIRE(object != NULL);
  open_object(p, object);
  set(&p->entered, 0);
  set(&p->round_of_owner, r);
  see_the_end(p);
  bury(&p->morgue, object, size);
  await(&p->round_of_leaver, r);
}

static void owner(void* arg) {
  struct pair* p = arg;
  for (int r = 1; r <= p->rounds; r++)
    if (r % 2)
      round_on_the_heap(p, r);
    else
      round_on_the_stack(p, r);
}
static void leaver(void* arg) {
  struct pair* p = arg;
  for (int r = 1; r <= p->rounds; r++) {
    await(&p->round_of_owner, r);
    leave(p);
    set(&p->round_of_leaver, r);
  }
}

/* Several pairs at once, so that Ps and locks are busy. `threads`: bit 0 the
 * owner, bit 1 the leaver is a thread. */
static void pairs(int kind, struct rt_kind rk, int threads, int rounds) {
  enum { N = 3 };
  static struct pair p[N];
  struct actor a[N], b[N];
  thrum_wg done = THRUM_WG_INIT;
  thrum_rt* rt = rt_make(rk);
  check_context = kind_names[kind];
  memset(p, 0, sizeof p);
  for (int i = 0; i < N; i++) {
    p[i].kind = kind;
    p[i].rounds = rounds;
    actor_start(&a[i], rt, threads & 1, &done, owner, &p[i]);
    actor_start(&b[i], rt, threads & 2, &done, leaver, &p[i]);
  }
  CHECK_EQ(thrum_wg_wait(&done, THRUM_FOREVER), 0);
  for (int i = 0; i < N; i++) {
    actor_join(&a[i], rt);
    actor_join(&b[i], rt);
    close_morgue(&p[i].morgue, kind_names[kind]);
  }
  rt_end(rt);
}
static void stress_kind(int kind) {
  int rounds = ROUNDS(kind == RW_WRITER || kind == RW_READER ? 700 : 2000) *
               check_stress();
  pairs(kind, RT_P2, 0, rounds);
  pairs(kind, RT_P4, 0, rounds);
  pairs(kind, RT_P1, 0, rounds);
  pairs(kind, RT_P2, 1, rounds / 4);
  pairs(kind, RT_P2, 2, rounds / 4);
  pairs(kind, RT_P2, 3, rounds / 4);
}
TEST(wg) { stress_kind(WG); }
TEST(chan) {
  stress_kind(CHAN_RECV);
  stress_kind(CHAN_BUFFERED);
  stress_kind(CHAN_SEND);
  stress_kind(CHAN_CLOSE);
}
TEST(mutex) { stress_kind(MUTEX); }
TEST(rwmutex) {
  stress_kind(RW_WRITER);
  stress_kind(RW_READER);
}
TEST(cond) { stress_kind(COND); }
TEST(sem) { stress_kind(SEM); }
TEST(once) { stress_kind(ONCE); }

/* A mutex that guards its own reference count: whoever drops the last one frees
 * it. */
struct shared {
  thrum_mutex m;
  int refs;
};
struct heirs {
  struct shared* s;
  struct morgue* morgue;
};
static void give_up(void* arg) {
  struct heirs* h = arg;
  struct shared* s = h->s;
  CHECK_EQ(thrum_mutex_lock(&s->m, THRUM_FOREVER), 0);
  int last = --s->refs == 0;
  CHECK_EQ(thrum_mutex_unlock(&s->m), 0);
  if (last)
    bury(h->morgue, s, sizeof *s);
}
static void counted_mutex(void* arg) {
  struct morgue morgue;
  (void)arg;
  memset(&morgue, 0, sizeof morgue);
  for (int i = 0; i < ROUNDS(3000) * check_stress(); i++) {
    struct shared* s = calloc(1, sizeof *s);
    struct heirs h = {s, &morgue};
    thrum_g g[4];
    s->refs = 5;
    for (int k = 0; k < 4; k++)
      g[k] = go(give_up, &h);
    give_up(&h);
    for (int k = 0; k < 4; k++)
      join_g(g[k]);
  }
  close_morgue(&morgue, "a counted mutex");
}
TEST(a_mutex_in_what_it_guards) { on_threads(counted_mutex, NULL); }

/* A G's argument, when it has been joined: nothing of it is used again. */
static void touch(void* arg) { add(arg, 1); }
static void joined_arguments(void* arg) {
  struct morgue morgue;
  (void)arg;
  memset(&morgue, 0, sizeof morgue);
  for (int i = 0; i < ROUNDS(3000) * check_stress(); i++) {
    thrum_spawn_opts o = spawn_opts();
    word* w[4];
    thrum_g g[4];
    o.drop = touch;
    for (int k = 0; k < 4; k++) {
      w[k] = calloc(1, 64);
      g[k] = go_with(&o, touch, w[k]);
    }
    for (int k = 0; k < 4; k++) {
      join_g(g[k]);
      CHECK_EQ(*w[k], 2);
      bury(&morgue, w[k], 64);
    }
  }
  close_morgue(&morgue, "an argument");
}
TEST(arguments_after_join) { on_threads(joined_arguments, NULL); }

static const struct check_case cases[] = {
    CASE(wg),
    CASE(chan),
    CASE(mutex),
    CASE(rwmutex),
    CASE(cond),
    CASE(sem),
    CASE(once),
    CASE(a_mutex_in_what_it_guards),
    CASE(arguments_after_join),
};
CHECK_MAIN(cases)
