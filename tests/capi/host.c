/* host.c: what language hosts build on: domains, park and unpark, G-local
 * storage, enumeration, thread hooks. */
#include "../support/check.h"

#include <limits.h>
#include <poll.h>
#include <semaphore.h>
#include <thrum/host.h>

#include "../support/rt.h"

static thrum_chan* chan_of(uint32_t size, uint32_t capacity) {
  thrum_chan* ch = NULL;
  REQUIRE_EQ(thrum_chan_new(size, capacity, &ch), 0);
  return ch;
}
static void nothing(void* arg) { (void)arg; }

/* ---- domains ------------------------------------------------------------- */

/* The host's side: checks every call of a hook against the rules. */
struct house {
  word holder; /* the thread between acquire and release; 0: none */
  /* the G inside by the last switch_to; guarded by being the holder */
  void* current;
  word acquired, released, switches, errors;
  word refuse; /* acquire answers < 0 from now on */
};
static void house_error(struct house* h, const char* what) {
  add(&h->errors, 1);
  check_fail(__FILE__, __LINE__, "domain hook: %s", what);
}
static int house_acquire(void* arg) {
  struct house* h = arg;
  if (thrum_self() != 0)
    house_error(h, "acquire runs on a G's stack");
  if (get(&h->refuse))
    return -1;
  word none = 0;
  if (!__atomic_compare_exchange_n(&h->holder, &none, thread_id(), 0,
                                   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
    house_error(h, "acquire while another M is inside");
  if (h->current)
    house_error(h, "acquire with a G inside");
  add(&h->acquired, 1);
  return 0;
}
static void house_release(void* arg) {
  struct house* h = arg;
  if (get(&h->holder) != thread_id())
    house_error(h, "release on another thread than acquire");
  if (h->current)
    house_error(h, "release without a switch back to no G");
  add(&h->released, 1);
  set(&h->holder, 0);
}
static void house_switch(void* arg, void* from, void* to) {
  struct house* h = arg;
  if (get(&h->holder) != thread_id())
    house_error(h, "switch_to outside acquire and release");
  if (h->current != from)
    house_error(h, "switch_to comes from another G than the last one went to");
  if (from == to)
    house_error(h, "switch_to from a G to itself");
  h->current = to;
  add(&h->switches, 1);
}
static thrum_domain_ops house_ops(void) {
  thrum_domain_ops ops;
  memset(&ops, 0, sizeof ops);
  ops.struct_size = sizeof ops;
  ops.acquire = house_acquire;
  ops.release = house_release;
  ops.switch_to = house_switch;
  return ops;
}
static void house_open(struct house* h, thrum_rt* rt, thrum_domain** d) {
  thrum_domain_ops ops = house_ops();
  memset(h, 0, sizeof *h);
  *d = NULL;
  REQUIRE_EQ(thrum_domain_new(rt, &ops, h, d), 0);
  REQUIRE(*d != NULL);
}
/* Once nobody is inside any more. The last release may come after the last
 * join. */
static void house_closed(struct house* h) {
  while (get(&h->holder))
    if (thrum_self())
      CHECK_EQ(thrum_yield(), 0);
    else
      check_pause();
  CHECK_EQ(h->acquired, h->released);
  CHECK_EQ(h->errors, 0);
  CHECK(h->current == NULL);
}

/* A G of the domain; `plain` is touched by them all, without a lock. */
struct tenant {
  struct house* h;
  thrum_chan* ch;
  int* plain;
  int rounds;
  word dropped, finished;
};
static void inside(struct tenant* t, const char* where) {
  if (get(&t->h->holder) != thread_id() || t->h->current != t) {
    add(&t->h->errors, 1);
    check_fail(__FILE__, __LINE__,
               "a G of the domain runs outside it, after %s", where);
  }
  ++*t->plain;
}
static void tenant(void* arg) {
  struct tenant* t = arg;
  char c = 'x';
  inside(t, "its start");
  for (int i = 0; i < t->rounds; i++) {
    CHECK_EQ(thrum_yield(), 0);
    inside(t, "yield");
    CHECK_EQ(thrum_chan_send(t->ch, &c, THRUM_FOREVER), 0);
    inside(t, "send");
    CHECK_EQ(thrum_chan_recv(t->ch, &c, THRUM_FOREVER), 0);
    inside(t, "recv");
    if (i % 8 == 0)
      CHECK_EQ(thrum_sleep(10000), 0);
    inside(t, "sleep");
  }
  add(&t->finished, 1);
}
static void tenant_drop(void* arg) {
  struct tenant* t = arg;
  inside(t, "its end");
  CHECK_EQ(thrum_yield(), 0);
  inside(t, "yield in drop");
  add(&t->dropped, 1);
}
static thrum_g tenant_spawn(thrum_rt* rt, thrum_domain* d, thrum_fn fn,
                            void* arg, void (*drop)(void*)) {
  thrum_spawn_opts o = spawn_opts();
  thrum_g g = 0;
  o.domain = d;
  o.drop = drop;
  REQUIRE_EQ(thrum_spawn(rt, &o, fn, arg, &g), 0);
  return g;
}

static void live_in_domain(void* arg) {
  enum { N = 20 };
  static struct tenant t[N];
  struct house h;
  thrum_domain* d;
  thrum_g g[N];
  int plain = 0, outside = 0;
  thrum_chan* ch = chan_of(1, 4);
  (void)arg;
  house_open(&h, NULL, &d);
  for (int i = 0; i < N; i++) {
    t[i] = (struct tenant){&h, ch, &plain, ROUNDS(100), 0, 0};
    g[i] = tenant_spawn(NULL, d, tenant, &t[i], tenant_drop);
  }
  thrum_domain_release(d); /* its Gs hold it */
  for (int i = 0; i < 100; i++) {
    CHECK_EQ(thrum_yield(), 0); /* Gs of no domain run beside them */
    outside++;
  }
  for (int i = 0; i < N; i++) {
    join_g(g[i]);
    CHECK_EQ(t[i].finished, 1);
    CHECK_EQ(t[i].dropped, 1);
  }
  CHECK_EQ(plain, N * (1 + 4 * ROUNDS(100) + 2));
  house_closed(&h);
  CHECK_LE(N, h.switches);
  CHECK_LE(1, h.acquired);
  thrum_chan_release(ch);
}
TEST(domain_runs_one_at_a_time) { everywhere(live_in_domain, NULL); }

/* The hooks may be left out. */
static void plain_tenant(void* arg) {
  int* n = arg;
  for (int i = 0; i < 100; i++) {
    int before = *n;
    for (volatile int k = 0; k < 50; k++) {}
    *n = before + 1;
    CHECK_EQ(thrum_yield(), 0);
  }
}
static void no_hooks(void* arg) {
  thrum_domain_ops ops;
  thrum_domain* d = NULL;
  thrum_g g[10];
  int n = 0;
  (void)arg;
  memset(&ops, 0, sizeof ops);
  ops.struct_size = sizeof ops;
  REQUIRE_EQ(thrum_domain_new(NULL, &ops, NULL, &d), 0);
  for (int i = 0; i < 10; i++)
    g[i] = tenant_spawn(NULL, d, plain_tenant, &n, NULL);
  for (int i = 0; i < 10; i++)
    join_g(g[i]);
  CHECK_EQ(n, 1000);
  thrum_domain_release(d);
}
TEST(domain_without_hooks) { everywhere(no_hooks, NULL); }

struct newer_ops {
  thrum_domain_ops known;
  uint64_t later;
};
TEST(domain_refused) {
  thrum_rt* rt = rt_make(RT_P2);
  thrum_domain* d = NULL;
  struct newer_ops o;
  memset(&o, 0, sizeof o);
  CHECK_EQ(thrum_domain_new(rt, NULL, NULL, &d), THRUM_EINVAL);
  /* struct_size 0 */
  CHECK_EQ(thrum_domain_new(rt, &o.known, NULL, &d), THRUM_EINVAL);
  o.known.struct_size = sizeof o.known;
  CHECK_EQ(thrum_domain_new(rt, &o.known, NULL, NULL), THRUM_EINVAL);
  CHECK_EQ(thrum_domain_new(NULL, &o.known, NULL, &d), THRUM_EINVAL);
  for (int bit = 2; bit < 32; bit++) {
    o.known.flags = (uint32_t)1 << bit;
    CHECK_EQ(thrum_domain_new(rt, &o.known, NULL, &d), THRUM_EINVAL);
  }
  o.known.flags = 0;
  o.known.struct_size = sizeof o;
  CHECK_EQ(thrum_domain_new(rt, &o.known, NULL, &d), 0);
  thrum_domain_release(d);
  o.later = 1;
  CHECK_EQ(thrum_domain_new(rt, &o.known, NULL, &d), THRUM_E2BIG);
  /* A domain belongs to its runtime. */
  struct house h;
  house_open(&h, rt, &d);
  thrum_rt* other = rt_make(RT_P1);
  thrum_spawn_opts s = spawn_opts();
  s.domain = d;
  CHECK_EQ(thrum_spawn(other, &s, nothing, NULL, NULL), THRUM_EINVAL);
  rt_end(other);
  /* Only pumped ones are pumped; only Gs come and go. */
  CHECK_EQ(thrum_domain_pump(d, THRUM_TRY), THRUM_EINVAL);
  CHECK_EQ(thrum_domain_wake_fd(d), THRUM_EINVAL);
  CHECK_EQ(thrum_domain_leave(), THRUM_ENOTG);
  CHECK_EQ(thrum_domain_enter(), THRUM_ENOTG);
  thrum_domain_retain(d);
  thrum_domain_release(d);
  thrum_domain_retain(NULL);
  thrum_domain_release(NULL);
  rt_end(rt);
  thrum_domain_release(d); /* allowed after free */
}

/* acquire blocks on something that a G gives: the M that waits there holds no
 * P, so that G runs even with one P. */
struct host_lock {
  pthread_mutex_t m;
  pthread_cond_t c;
  int open;
  word waiting, ran;
};
static int wait_for_host(void* arg) {
  struct host_lock* l = arg;
  pthread_mutex_lock(&l->m);
  add(&l->waiting, 1);
  while (!l->open)
    pthread_cond_wait(&l->c, &l->m);
  pthread_mutex_unlock(&l->m);
  return 0;
}
static void count_ran(void* arg) { add(&((struct host_lock*)arg)->ran, 1); }
static void open_for_domain(void* arg) {
  struct host_lock l = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0,
                        0, 0};
  thrum_domain_ops ops;
  thrum_domain* d = NULL;
  (void)arg;
  memset(&ops, 0, sizeof ops);
  ops.struct_size = sizeof ops;
  ops.acquire = wait_for_host;
  REQUIRE_EQ(thrum_domain_new(NULL, &ops, &l, &d), 0);
  thrum_g g = tenant_spawn(NULL, d, count_ran, &l, NULL);
  yield_until(&l.waiting, 1);
  for (int i = 0; i < 10; i++)
    CHECK_EQ(thrum_sleep(10000), 0);
  CHECK_EQ(l.ran, 0);
  pthread_mutex_lock(&l.m);
  l.open = 1;
  pthread_cond_broadcast(&l.c);
  pthread_mutex_unlock(&l.m);
  join_g(g);
  CHECK_EQ(l.ran, 1);
  thrum_domain_release(d);
}
TEST(domain_acquire_blocks_no_p) { on_threads(open_for_domain, NULL); }

/* The host is ending: acquire refuses, the domain closes. */
static void host_ends(void* arg) {
  struct house h;
  thrum_domain* d;
  (void)arg;
  house_open(&h, NULL, &d);
  h.refuse = 1;
  /* never run: NULL would crash it */
  thrum_g g = tenant_spawn(NULL, d, count_ran, NULL, count_ran);
  CHECK_EQ(thrum_join(NULL, g, SOON), THRUM_ECLOSED);
  CHECK_EQ(thrum_join(NULL, g, THRUM_TRY), THRUM_ECLOSED);
  thrum_spawn_opts o = spawn_opts();
  o.domain = d;
  o.drop = count_ran;
  CHECK_EQ(thrum_spawn(NULL, &o, count_ran, NULL, NULL), THRUM_ECLOSED);
  CHECK_EQ(thrum_domain_close(d), THRUM_ECLOSED);
  CHECK_EQ(h.acquired, 0);
  thrum_domain_release(d);
}
TEST(domain_acquire_may_refuse) { everywhere(host_ends, NULL); }

/* ---- leave and enter ----------------------------------------------------- */

struct lodger {
  struct tenant t;
  word outside;
  int together;
};
static void come_and_go(void* arg) {
  struct lodger* l = arg;
  inside(&l->t, "its start");
  CHECK_EQ(thrum_domain_enter(), THRUM_EPERM); /* it is inside */
  for (int i = 0; i < 20; i++) {
    CHECK_EQ(thrum_domain_leave(), 0);
    CHECK_EQ(thrum_domain_leave(), THRUM_EPERM);
    CHECK(get(&l->t.h->holder) != thread_id());
    CHECK_EQ(thrum_yield(), 0);
    CHECK_EQ(thrum_domain_enter(), 0);
    inside(&l->t, "enter");
  }
  add(&l->t.finished, 1);
}
/* Outside they run at the same time: each waits there for the other. */
static void together_outside(void* arg) {
  struct lodger* l = arg;
  inside(&l->t, "its start");
  CHECK_EQ(thrum_domain_leave(), 0);
  add(&l->outside, 1);
  yield_until(&l[l->together].outside, 1);
  /* Shielded: a request that is pending does not keep it out. */
  CHECK_EQ(thrum_cancel(NULL, thrum_self()), 0);
  CHECK_EQ(thrum_domain_enter(), 0);
  inside(&l->t, "enter");
  CHECK_EQ(thrum_yield(), THRUM_ECANCELED);
  inside(&l->t, "yield");
  add(&l->t.finished, 1);
}
static void lodgers(void* arg) {
  enum { N = 8 };
  static struct lodger l[N];
  struct house h;
  thrum_domain* d;
  thrum_g g[N];
  int plain = 0;
  (void)arg;
  house_open(&h, NULL, &d);
  memset(l, 0, sizeof l);
  for (int i = 0; i < N; i++) {
    l[i].t = (struct tenant){&h, NULL, &plain, 0, 0, 0};
    g[i] = tenant_spawn(NULL, d, come_and_go, &l[i], tenant_drop);
  }
  for (int i = 0; i < N; i++) {
    join_g(g[i]);
    CHECK_EQ(l[i].t.finished, 1);
    CHECK_EQ(l[i].t.dropped, 1);
  }
  memset(l, 0, sizeof l);
  for (int i = 0; i < 2; i++) {
    l[i].t = (struct tenant){&h, NULL, &plain, 0, 0, 0};
    l[i].together = i ? -1 : 1;
    g[i] = tenant_spawn(NULL, d, together_outside, &l[i], tenant_drop);
  }
  for (int i = 0; i < 2; i++) {
    join_g(g[i]);
    CHECK_EQ(l[i].t.finished, 1);
    CHECK_EQ(l[i].t.dropped, 1);
  }
  house_closed(&h);
  thrum_domain_release(d);
}
TEST(domain_leave_and_enter) { everywhere(lodgers, NULL); }

/* A thread is locked outside only: inside, the next turn may be anywhere. */
static void lock_outside(void* arg) {
  struct lodger* l = arg;
  CHECK_EQ(thrum_lock_thread(), THRUM_EPERM);
  CHECK_EQ(thrum_unlock_thread(), THRUM_EPERM);
  CHECK_EQ(thrum_yield(), 0);
  inside(&l->t, "yield");
  for (int i = 0; i < 2; i++) {
    CHECK_EQ(thrum_domain_leave(), 0);
    CHECK_EQ(thrum_lock_thread(), 0);
    int me = thread_id();
    CHECK_EQ(thrum_domain_enter(), THRUM_EPERM);
    CHECK_EQ(thrum_sleep(MS), 0);
    CHECK_EQ(thread_id(), me);
    if (l->together) /* it ends so, and its drop runs inside all the same */
      break;
    CHECK_EQ(thrum_unlock_thread(), 0);
    CHECK_EQ(thrum_domain_enter(), 0);
    inside(&l->t, "enter");
  }
  add(&l->t.finished, 1);
}
static void locked_lodgers(void* arg) {
  static struct lodger l[6];
  struct house h;
  thrum_domain* d;
  thrum_g g[6];
  int plain = 0;
  (void)arg;
  memset(l, 0, sizeof l);
  house_open(&h, NULL, &d);
  for (int i = 0; i < 6; i++) {
    l[i].t = (struct tenant){&h, NULL, &plain, 0, 0, 0};
    l[i].together = i % 2;
    g[i] = tenant_spawn(NULL, d, lock_outside, &l[i], tenant_drop);
  }
  for (int i = 0; i < 6; i++) {
    REQUIRE_EQ(thrum_join(NULL, g[i], SOON), 0);
    CHECK_EQ(l[i].t.finished, 1);
    CHECK_EQ(l[i].t.dropped, 1);
  }
  house_closed(&h);
  thrum_domain_release(d);
}
TEST(domain_lock_thread) { everywhere(locked_lodgers, NULL); }

static void of_no_domain(void* arg) {
  (void)arg;
  CHECK_EQ(thrum_domain_leave(), THRUM_EPERM);
  CHECK_EQ(thrum_domain_enter(), THRUM_EPERM);
}
TEST(domain_leave_without_one) { everywhere(of_no_domain, NULL); }

/* A G that ends outside comes back for its drop: that runs in its domain. */
static void end_outside(void* arg) {
  struct lodger* l = arg;
  inside(&l->t, "its start");
  CHECK_EQ(thrum_domain_leave(), 0);
  CHECK_EQ(thrum_yield(), 0);
  add(&l->t.finished, 1);
}
static void ends_outside(void* arg) {
  static struct lodger l[4];
  struct house h;
  thrum_domain* d;
  thrum_g g[4];
  int plain = 0;
  (void)arg;
  memset(l, 0, sizeof l);
  house_open(&h, NULL, &d);
  for (int i = 0; i < 4; i++) {
    l[i].t = (struct tenant){&h, NULL, &plain, 0, 0, 0};
    g[i] = tenant_spawn(NULL, d, end_outside, &l[i], tenant_drop);
  }
  for (int i = 0; i < 4; i++) {
    join_g(g[i]);
    CHECK_EQ(l[i].t.finished, 1);
    CHECK_EQ(l[i].t.dropped, 1);
  }
  house_closed(&h);
  thrum_domain_release(d);
}
TEST(domain_drop_comes_back) { everywhere(ends_outside, NULL); }

/* ---- pumped domains ------------------------------------------------------ */

static int readable(int fd, int ms) {
  struct pollfd p = {fd, POLLIN, 0};
  int rc;
  do
    rc = poll(&p, 1, ms);
  while (rc < 0 && errno == EINTR);
  return rc > 0 && (p.revents & POLLIN);
}
struct pumped {
  int tid;
  thrum_chan* ch;
  word elsewhere, rounds, finished;
};
static void pumped_g(void* arg) {
  struct pumped* p = arg;
  char c;
  if (thread_id() != p->tid)
    add(&p->elsewhere, 1);
  for (int i = 0; i < 10; i++) {
    CHECK_EQ(thrum_yield(), 0);
    if (thread_id() != p->tid)
      add(&p->elsewhere, 1);
    add(&p->rounds, 1);
  }
  CHECK_EQ(thrum_chan_recv(p->ch, &c, THRUM_FOREVER), 0);
  if (thread_id() != p->tid)
    add(&p->elsewhere, 1);
  /* goes elsewhere for a while, and comes back here */
  CHECK_EQ(thrum_domain_leave(), 0);
  CHECK_EQ(thrum_sleep(1000), 0);
  CHECK_EQ(thrum_domain_enter(), 0);
  if (thread_id() != p->tid)
    add(&p->elsewhere, 1);
  add(&p->finished, 1);
}
static thrum_domain* pumped_domain(thrum_rt* rt) {
  thrum_domain_ops ops;
  thrum_domain* d = NULL;
  memset(&ops, 0, sizeof ops);
  ops.struct_size = sizeof ops;
  ops.flags = THRUM_DOMAIN_PUMPED;
  REQUIRE_EQ(thrum_domain_new(rt, &ops, NULL, &d), 0);
  return d;
}
/* An M that is just looking for work has a P for a moment: no P is free. */
static int pump(thrum_domain* d, int64_t deadline) {
  int rc;
  while ((rc = thrum_domain_pump(d, deadline)) == THRUM_EAGAIN)
    sched_yield();
  return rc;
}
static void pump_in_a_g(void* arg) {
  CHECK_EQ(thrum_domain_pump(arg, THRUM_TRY), THRUM_EPERM);
}
TEST(domain_pumped) {
  thrum_rt* rt = rt_make(RT_P2);
  thrum_domain* d = pumped_domain(rt);
  int fd = thrum_domain_wake_fd(d);
  REQUIRE(fd >= 0);
  CHECK_EQ(thrum_domain_wake_fd(d), fd);
  CHECK_EQ(pump(d, THRUM_FOREVER), 0); /* no G */
  CHECK(!readable(fd, 0));
  struct pumped p = {thread_id(), chan_of(1, 0), 0, 0, 0};
  thrum_g g = tenant_spawn(rt, d, pumped_g, &p, NULL);
  CHECK(readable(fd, 20000));
  for (int i = 0; i < 20; i++)
    check_pause();
  CHECK_EQ(p.rounds, 0);           /* not without a pump */
  CHECK_EQ(pump(d, THRUM_TRY), 2); /* one G: to its first yield */
  CHECK_EQ(p.rounds, 0);
  CHECK(readable(fd, 20000));
  CHECK_EQ(pump(d, THRUM_FOREVER), 1);
  CHECK_EQ(p.rounds, 10);
  CHECK(!readable(fd, 0));
  CHECK_EQ(pump(d, THRUM_FOREVER), 1);
  CHECK_EQ(thrum_run(rt, pump_in_a_g, d), 0);
  CHECK_EQ(thrum_chan_send(p.ch, "x", SOON), 0);
  while (get(&p.finished) == 0) {
    REQUIRE(readable(fd, 20000));
    CHECK(pump(d, thrum_after(50 * MS)) >= 0);
  }
  CHECK_EQ(pump(d, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_join(rt, g, THRUM_TRY), 0);
  CHECK(!readable(fd, 0));
  CHECK_EQ(p.finished, 1);
  CHECK_EQ(p.elsewhere, 0);
  thrum_domain_release(d);
  rt_end(rt);
  thrum_chan_release(p.ch);
}

/* A pumped domain's Gs do not keep a stop waiting once it is closed. */
/* Outside for far longer than the hand-over, while another G waits. */
static void pumped_blocks(void* arg) {
  struct pumped* p = arg;
  struct timespec t = {0, 30000000};
  nanosleep(&t, NULL);
  if (thread_id() != p->tid)
    add(&p->elsewhere, 1);
  CHECK_EQ(thrum_yield(), 0);
  if (thread_id() != p->tid)
    add(&p->elsewhere, 1);
  add(&p->finished, 1);
}
TEST(domain_pumped_is_never_handed_over) {
  thrum_rt* rt = rt_make(RT_P2);
  thrum_domain_ops ops;
  thrum_domain* d = NULL;
  memset(&ops, 0, sizeof ops);
  ops.struct_size = sizeof ops;
  ops.flags = THRUM_DOMAIN_PUMPED | THRUM_DOMAIN_HOST_LOCK;
  ops.handover_ns = MS;
  REQUIRE_EQ(thrum_domain_new(rt, &ops, NULL, &d), 0);
  struct pumped p = {thread_id(), NULL, 0, 0, 0};
  for (int i = 0; i < 3; i++)
    tenant_spawn(rt, d, pumped_blocks, &p, NULL);
  while (get(&p.finished) < 3)
    CHECK(pump(d, THRUM_FOREVER) >= 0);
  CHECK_EQ(p.elsewhere, 0);
  thrum_domain_release(d);
  rt_end(rt);
}
TEST(domain_pumped_and_never_pumped) {
  thrum_rt* rt = rt_make(RT_P2);
  thrum_domain* d = pumped_domain(rt);
  thrum_g g = tenant_spawn(rt, d, count_ran, NULL, count_ran);
  CHECK_EQ(thrum_rt_stop(rt, thrum_after(20 * MS)), THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_domain_close(d), 0);
  CHECK_EQ(thrum_rt_stop(rt, SOON), 0);
  CHECK_EQ(thrum_join(rt, g, THRUM_TRY), THRUM_ECLOSED);
  thrum_rt_free(rt);
  thrum_domain_release(d);
}

/* ---- close --------------------------------------------------------------- */

struct closed {
  thrum_chan* ch;
  word about, after, dropped;
};
static void caught_inside(void* arg) {
  struct closed* c = arg;
  char x;
  add(&c->about, 1);
  thrum_chan_recv(c->ch, &x, THRUM_FOREVER);
  add(&c->after, 1);
}
static void closed_drop(void* arg) { add(&((struct closed*)arg)->dropped, 1); }
struct closed_join {
  thrum_g g;
  word about;
  int result;
};
static void join_closed(void* arg) {
  struct closed_join* j = arg;
  add(&j->about, 1);
  j->result = thrum_join(NULL, j->g, THRUM_FOREVER);
}
static void close_domain(void* arg) {
  struct house h;
  thrum_domain* d;
  struct closed c = {chan_of(1, 1), 0, 0, 0};
  thrum_g g[4], joiner[4];
  struct closed_join j[4];
  (void)arg;
  house_open(&h, NULL, &d);
  for (int i = 0; i < 4; i++)
    g[i] = tenant_spawn(NULL, d, caught_inside, &c, closed_drop);
  yield_until(&c.about, 4);
  for (int i = 0; i < 4; i++) {
    j[i] = (struct closed_join){g[i], 0, 0};
    joiner[i] = go(join_closed, &j[i]);
    yield_until(&j[i].about, 1);
  }
  CHECK_EQ(thrum_domain_close(d), 0);
  CHECK_EQ(thrum_domain_close(d), THRUM_ECLOSED);
  for (int i = 0; i < 4; i++) {
    CHECK_EQ(thrum_join(NULL, joiner[i], SOON), 0);
    CHECK_EQ(j[i].result, THRUM_ECLOSED);
    CHECK_EQ(thrum_join(NULL, g[i], THRUM_FOREVER), THRUM_ECLOSED);
  }
  /* What would have woken them passes them by; there is no drop and no
   * unwinding. */
  CHECK_EQ(thrum_chan_send(c.ch, "x", THRUM_TRY), 0);
  CHECK_EQ(thrum_chan_send(c.ch, "x", THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_chan_len(c.ch), 1);
  let_others_run();
  CHECK_EQ(c.after, 0);
  CHECK_EQ(c.dropped, 0);
  thrum_spawn_opts o = spawn_opts();
  o.domain = d;
  CHECK_EQ(thrum_spawn(NULL, &o, caught_inside, &c, NULL), THRUM_ECLOSED);
  CHECK_EQ(h.errors, 0);
  thrum_domain_release(d);
  thrum_chan_release(c.ch);
}
/* Whoever waits in the same object goes on as if those of a closed domain were not
 * there, and has what was meant for them. */
struct passed {
  struct closed in; /* first: caught_inside is given it */
  thrum_chan* out;
  thrum_mutex lock;
  thrum_sem sem;
  thrum_domain* d;
  word got;
};
static void passed_send(void* arg) {
  struct passed* p = arg;
  add(&p->in.about, 1);
  thrum_chan_send(p->out, "l", THRUM_FOREVER);
  add(&p->in.after, 1);
}
static void passed_lock(void* arg) {
  struct passed* p = arg;
  add(&p->in.about, 1);
  thrum_mutex_lock(&p->lock, THRUM_FOREVER);
  add(&p->in.after, 1);
}
static void passed_sem(void* arg) {
  struct passed* p = arg;
  add(&p->in.about, 1);
  thrum_sem_acquire(&p->sem, THRUM_FOREVER);
  add(&p->in.after, 1);
}
/* Written off while it runs: it waits in nobody's way. */
static void passed_closes(void* arg) {
  struct passed* p = arg;
  CHECK_EQ(thrum_domain_close(p->d), 0);
  caught_inside(&p->in);
}
static void passed_lives(void* arg) {
  struct passed* p = arg;
  char x = 0;
  add(&p->in.about, 1);
  CHECK_EQ(thrum_chan_recv(p->in.ch, &x, SOON), 0);
  CHECK_EQ(x, 'v');
  add(&p->got, 1);
}
static void pass_them_by(void* arg) {
  static void (*const waits[])(void*) = {
      caught_inside, passed_send, passed_lock, passed_sem, passed_closes};
  enum { N = sizeof waits / sizeof waits[0] };
  struct passed p;
  char x;
  (void)arg;
  memset(&p, 0, sizeof p);
  p.in.ch = chan_of(1, 0);
  p.out = chan_of(1, 0);
  thrum_domain_ops ops = {.struct_size = sizeof ops};
  REQUIRE_EQ(thrum_domain_new(NULL, &ops, NULL, &p.d), 0);
  CHECK_EQ(thrum_mutex_lock(&p.lock, THRUM_FOREVER), 0);
  for (int i = 0; i < N; i++)
    tenant_spawn(NULL, p.d, waits[i], &p, NULL);
  yield_until(&p.in.about, N);
  thrum_g lives = go(passed_lives, &p);
  yield_until(&p.in.about, N + 1);
  CHECK_EQ(thrum_chan_send(p.in.ch, "v", THRUM_TRY), 0);
  CHECK_EQ(thrum_join(NULL, lives, SOON), 0);
  CHECK_EQ(p.got, 1);
  CHECK_EQ(thrum_chan_send(p.in.ch, "v", THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_chan_recv(p.out, &x, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_mutex_unlock(&p.lock), 0);
  CHECK_EQ(thrum_mutex_lock(&p.lock, THRUM_TRY), 0);
  CHECK_EQ(thrum_mutex_unlock(&p.lock), 0);
  CHECK_EQ(thrum_sem_release(&p.sem, 1), 0);
  CHECK_EQ(thrum_sem_acquire(&p.sem, THRUM_TRY), 0);
  let_others_run();
  CHECK_EQ(p.in.after, 0);
  thrum_domain_release(p.d);
  thrum_chan_release(p.in.ch);
  thrum_chan_release(p.out);
}
TEST(domain_close_passes_waiters_by) { in_sequence(pass_them_by, NULL); }

/* Closed while Gs come and go: each goes on outside to its end, or is written off:
 * then it has not left, and does not any more. */
struct comer {
  word left, ended;
};
static void comes_and_goes(void* arg) {
  struct comer* c = arg;
  do {
    CHECK_EQ(thrum_domain_leave(), 0);
    add(&c->left, 1);
    CHECK_EQ(thrum_yield(), 0);
  } while (thrum_domain_enter() == 0);
  add(&c->ended, 1);
}
TEST(domain_close_amid_leave_and_enter) {
  enum { N = 6 };
  for (int round = 0; round < ROUNDS(400); round++) {
    thrum_rt* rt = rt_make(RT_P2);
    thrum_domain_ops ops = {.struct_size = sizeof ops};
    thrum_domain* d;
    REQUIRE_EQ(thrum_domain_new(rt, &ops, NULL, &d), 0);
    thrum_spawn_opts o = spawn_opts();
    o.domain = d;
    struct comer c[N];
    word left[N];
    int lost[N];
    thrum_g g[N];
    memset(c, 0, sizeof c);
    for (int i = 0; i < N; i++)
      REQUIRE_EQ(thrum_spawn(rt, &o, comes_and_goes, &c[i], &g[i]), 0);
    while (get(&c[0].left) <= round % 20)
      sched_yield();
    CHECK_EQ(thrum_domain_close(d), 0);
    for (int i = 0; i < N; i++) {
      int rc = thrum_join(rt, g[i], SOON);
      lost[i] = rc == THRUM_ECLOSED;
      CHECK(rc == 0 || lost[i]);
      left[i] = get(&c[i].left);
      CHECK(lost[i] || get(&c[i].ended));
    }
    check_pause();
    for (int i = 0; i < N; i++)
      if (lost[i]) {
        CHECK_EQ(get(&c[i].left), left[i]);
        CHECK_EQ(get(&c[i].ended), 0);
      }
    thrum_domain_release(d);
    rt_end(rt);
  }
}

TEST(domain_close) { in_sequence(close_domain, NULL); }

/* ---- the host's own lock ------------------------------------------------- */

/* A lock that the host takes and gives back by itself, as a GIL: a library call
 * of one G gives it back, blocks, and waits for what another G of the same
 * domain has to do. */
struct gil {
  /* of nobody's: a G on its M and the M itself are one to the host, not to a
   * sanitizer */
  sem_t lock;
  word inside, most;
  int pipe[2];
  word reading, done;
};
static int gil_acquire(void* arg) {
  struct gil* g = arg;
  while (sem_wait(&g->lock) != 0) {}
  raise_to(&g->most, add(&g->inside, 1));
  return 0;
}
static void gil_release(void* arg) {
  struct gil* g = arg;
  add(&g->inside, -1);
  sem_post(&g->lock);
}
static void gil_reader(void* arg) {
  struct gil* g = arg;
  struct pollfd p = {g->pipe[0], POLLIN, 0};
  set(&g->reading, 1);
  gil_release(g); /* what a library does that is not thrum's */
  CHECK_EQ(poll(&p, 1, 20000), 1);
  gil_acquire(g);
  add(&g->done, 1);
}
static void gil_writer(void* arg) {
  struct gil* g = arg;
  while (!get(&g->reading))
    CHECK_EQ(thrum_yield(), 0);
  CHECK_EQ(write(g->pipe[1], "x", 1), 1);
  add(&g->done, 1);
}
/* Each round has its own until the runtime has ended: an M that was to take the
 * domain over may still take the lock and give it back when all Gs have ended. */
static struct gil gils[50];
static void host_lock_handover(void* arg) {
  (void)arg;
  for (size_t i = 0; i < CHECK_COUNT(gils); i++) {
    struct gil* gil = &gils[i];
    thrum_domain_ops ops;
    thrum_domain* d = NULL;
    memset(gil, 0, sizeof *gil);
    sem_init(&gil->lock, 0, 1);
    REQUIRE_EQ(pipe(gil->pipe), 0);
    memset(&ops, 0, sizeof ops);
    ops.struct_size = sizeof ops;
    ops.flags = THRUM_DOMAIN_HOST_LOCK;
    ops.handover_ns = MS;
    ops.acquire = gil_acquire;
    ops.release = gil_release;
    REQUIRE_EQ(thrum_domain_new(NULL, &ops, gil, &d), 0);
    thrum_g w = tenant_spawn(NULL, d, gil_writer, gil, NULL),
            r = tenant_spawn(NULL, d, gil_reader, gil, NULL);
    join_g(r);
    join_g(w);
    CHECK_EQ(gil->done, 2);
    thrum_domain_release(d);
    close(gil->pipe[0]);
    close(gil->pipe[1]);
  }
}
TEST(domain_host_lock_hands_over) {
  const struct rt_kind kinds[] = {RT_P2, RT_P4};
  for (size_t k = 0; k < CHECK_COUNT(kinds); k++) {
    in_rt(kinds[k], host_lock_handover, NULL);
    for (size_t i = 0; i < CHECK_COUNT(gils); i++) {
      CHECK_EQ(gils[i].most, 1);
      CHECK_EQ(gils[i].inside, 0);
      sem_destroy(&gils[i].lock);
    }
  }
}

/* A host whose switch gives its lock up for a moment (CPython's, from 3.12 on),
 * and Gs that are outside thrum for longer than the handover, up to their drop:
 * the domain goes from M to M, and all must end. No hook sees the argument of a
 * G once its drop has returned. */
struct guest {
  struct gil* gil;
  word gone;
};
static void gil_switch(void* arg, void* from, void* to) {
  (void)from;
  gil_release(arg);
  check_pause();
  gil_acquire(arg);
  if (to && get(&((struct guest*)to)->gone))
    check_fail(__FILE__, __LINE__, "switch_to to a G whose drop has returned");
}
static void guest_outside(struct guest* g) {
  struct timespec ts = {0, 3 * MS};
  gil_release(g->gil);
  nanosleep(&ts, NULL);
  gil_acquire(g->gil);
}
static void guest_runs(void* arg) {
  struct guest* g = arg;
  for (int i = 0; i < 200; i++) {
    CHECK_EQ(thrum_yield(), 0);
    if (i % 50 == 0)
      guest_outside(g);
  }
  add(&g->gil->done, 1);
}
static void guest_drop(void* arg) {
  struct guest* g = arg;
  guest_outside(g);
  set(&g->gone, 1);
}
static void host_lock_comes_and_goes(void* arg) {
  (void)arg;
  enum { GUESTS = 8 };
  /* Not on this stack: the last release may still be in sem_post when it goes. */
  static struct gil gil;
  struct guest guests[GUESTS];
  thrum_g gs[GUESTS];
  thrum_domain_ops ops;
  thrum_domain* d = NULL;
  memset(&gil, 0, sizeof gil);
  REQUIRE_EQ(sem_init(&gil.lock, 0, 1), 0);
  memset(&ops, 0, sizeof ops);
  ops.struct_size = sizeof ops;
  ops.flags = THRUM_DOMAIN_HOST_LOCK;
  ops.handover_ns = MS;
  ops.acquire = gil_acquire;
  ops.release = gil_release;
  ops.switch_to = gil_switch;
  REQUIRE_EQ(thrum_domain_new(NULL, &ops, &gil, &d), 0);
  for (int i = 0; i < GUESTS; i++) {
    guests[i].gil = &gil;
    set(&guests[i].gone, 0);
    gs[i] = tenant_spawn(NULL, d, guest_runs, &guests[i], guest_drop);
  }
  for (int i = 0; i < GUESTS; i++)
    join_g(gs[i]);
  CHECK_EQ(gil.done, GUESTS);
  CHECK_EQ(gil.most, 1);
  thrum_domain_release(d);
}
TEST(domain_host_lock_comes_and_goes) {
  in_rt(RT_P1, host_lock_comes_and_goes, NULL);
  in_rt(RT_P2, host_lock_comes_and_goes, NULL);
  in_rt(RT_P4, host_lock_comes_and_goes, NULL);
}

/* ---- park and unpark ----------------------------------------------------- */

static void permits(void* arg) {
  (void)arg;
  thrum_g me = thrum_self();
  CHECK_EQ(thrum_park("none", THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_park("none", 1), THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_park(NULL, -1), THRUM_ETIMEDOUT);
  int64_t deadline = thrum_after(2 * MS);
  CHECK_EQ(thrum_park("none", deadline), THRUM_ETIMEDOUT);
  CHECK_LE(deadline, thrum_now());
  static const int64_t any[] = {THRUM_TRY, THRUM_FOREVER, 1, -1, INT64_MIN};
  for (size_t i = 0; i < CHECK_COUNT(any); i++) {
    CHECK_EQ(thrum_unpark(NULL, me), 0);
    CHECK_EQ(thrum_unpark(NULL, me), 0); /* at most one is kept */
    CHECK_EQ(thrum_park("has one", any[i]), 0);
    CHECK_EQ(thrum_park("none", THRUM_TRY), THRUM_EAGAIN);
  }
  /* It disturbs no other wait, and no other wait takes it. */
  thrum_chan* ch = chan_of(1, 0);
  char c;
  CHECK_EQ(thrum_unpark(NULL, me), 0);
  CHECK_EQ(thrum_chan_recv(ch, &c, thrum_after(MS)), THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_yield(), 0);
  CHECK_EQ(thrum_sleep(1000), 0);
  CHECK_EQ(thrum_park("still has it", THRUM_TRY), 0);
  thrum_chan_release(ch);
  CHECK_EQ(thrum_unpark(NULL, 0), THRUM_EINVAL);
  CHECK_EQ(thrum_unpark(NULL, ~(thrum_g)0), THRUM_EINVAL);
  thrum_g ended = go(nothing, NULL);
  join_g(ended);
  CHECK_EQ(thrum_unpark(NULL, ended), THRUM_ESTALE);
}
TEST(permit) {
  everywhere(permits, NULL);
  CHECK_EQ(thrum_park("not a G", THRUM_TRY), THRUM_ENOTG);
  CHECK_EQ(thrum_park("not a G", THRUM_FOREVER), THRUM_ENOTG);
}

struct parked {
  word about, parked;
  int result;
  thrum_chan* ch;
};
static void parks(void* arg) {
  struct parked* p = arg;
  add(&p->about, 1);
  p->result = thrum_park("a guest's own wait", THRUM_FOREVER);
  add(&p->parked, 1);
}
static void waits_elsewhere(void* arg) {
  struct parked* p = arg;
  char c;
  add(&p->about, 1);
  p->result = thrum_chan_recv(p->ch, &c, THRUM_FOREVER);
  add(&p->parked, 1);
  CHECK_EQ(thrum_park("given meanwhile", THRUM_TRY), 0);
  CHECK_EQ(thrum_park("none", THRUM_TRY), THRUM_EAGAIN);
}
static void unpark_each(void* arg) {
  (void)arg;
  struct parked p = {0, 0, 1, NULL};
  thrum_g g = go(parks, &p);
  yield_until(&p.about, 1);
  let_others_run();
  CHECK_EQ(p.parked, 0);
  CHECK_EQ(thrum_unpark(NULL, g), 0);
  join_g(g);
  CHECK_EQ(p.result, 0);
  /* Not begun yet: the permit is there when it parks. */
  p = (struct parked){0, 0, 1, NULL};
  g = go(parks, &p);
  CHECK_EQ(thrum_unpark(NULL, g), 0);
  join_g(g);
  CHECK_EQ(p.result, 0);
  /* In another wait: that goes on. */
  p = (struct parked){0, 0, 1, chan_of(1, 0)};
  g = go(waits_elsewhere, &p);
  yield_until(&p.about, 1);
  CHECK_EQ(thrum_unpark(NULL, g), 0);
  let_others_run();
  CHECK_EQ(p.parked, 0);
  CHECK_EQ(thrum_chan_send(p.ch, "x", SOON), 0);
  join_g(g);
  CHECK_EQ(p.result, 0);
  thrum_chan_release(p.ch);
}
TEST(unpark_wakes) { in_sequence(unpark_each, NULL); }

/* A G in a used slot has no permit of its predecessor's. */
static void has_no_permit(void* arg) {
  CHECK_EQ(thrum_park("a predecessor's", THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_unpark(NULL, thrum_self()), 0); /* left behind */
  add(arg, 1);
}
static void permits_die(void* arg) {
  word n = 0;
  (void)arg;
  for (int i = 0; i < 200; i++)
    join_g(go(has_no_permit, &n));
  CHECK_EQ(n, 200);
}
TEST(permit_dies_with_its_g) { everywhere(permits_die, NULL); }

/* Two hand a turn back and forth by permits alone. */
struct turns {
  thrum_g g[2];
  word ready, turn;
  int rounds;
};
struct turn_guest {
  struct turns* t;
  int me;
};
static void take_turns(void* arg) {
  struct turn_guest* me = arg;
  struct turns* t = me->t;
  yield_until(&t->ready, 1);
  for (int i = 0; i < t->rounds; i++) {
    while (get(&t->turn) % 2 != me->me) {
      int rc = thrum_park("the other's turn",
                          i % 5 == 4 ? thrum_after(20000) : THRUM_FOREVER);
      CHECK(rc == 0 || rc == THRUM_ETIMEDOUT);
    }
    add(&t->turn, 1);
    int rc = thrum_unpark(NULL, t->g[1 - me->me]);
    CHECK(rc == 0 || (rc == THRUM_ESTALE && i == t->rounds - 1));
  }
}
static void turns(void* arg) {
  struct turns t;
  struct turn_guest guest[2] = {{&t, 0}, {&t, 1}};
  (void)arg;
  memset(&t, 0, sizeof t);
  t.rounds = ROUNDS(5000);
  for (int i = 0; i < 2; i++)
    t.g[i] = go(take_turns, &guest[i]);
  set(&t.ready, 1);
  for (int i = 0; i < 2; i++)
    join_g(t.g[i]);
  CHECK_EQ(t.turn, 2 * t.rounds);
}
TEST(unpark_loses_no_permit) { everywhere(turns, NULL); }

struct knock {
  word knocks, heard;
};
static void hear_knocks(void* arg) {
  struct knock* k = arg;
  word last = 0;
  while (last < ROUNDS(5000)) {
    CHECK_EQ(thrum_park("a knock", THRUM_FOREVER), 0);
    last = get(&k->knocks);
    set(&k->heard, last);
  }
}
TEST(unpark_from_a_thread) {
  thrum_rt* rt = rt_make(RT_P2);
  struct knock k = {0, 0};
  thrum_g g = go_in(rt, hear_knocks, &k);
  for (int i = 1; i <= ROUNDS(5000); i++) {
    set(&k.knocks, i);
    int rc = thrum_unpark(rt, g);
    CHECK(rc == 0 || (rc == THRUM_ESTALE && i == ROUNDS(5000)));
    if (i % 3 == 0) /* the last knock of a burst is always heard */
      while (get(&k.heard) < i)
        sched_yield();
  }
  CHECK_EQ(thrum_join(rt, g, SOON), 0);
  CHECK_EQ(k.heard, ROUNDS(5000));
  rt_end(rt);
}

/* ---- G-local storage ----------------------------------------------------- */

static word local_dropped, local_in_g;
static void local_drop(void* value) {
  word* w = value;
  if (thrum_self() != 0)
    add(&local_in_g, 1);
  CHECK_EQ(get(w), 0); /* exactly once */
  add(w, 1);
  CHECK_EQ(thrum_yield(), 0); /* may park */
  CHECK_EQ(thrum_sleep(1000), 0);
  add(&local_dropped, 1);
}
static uint32_t local_keys[4];
struct local_guest {
  word value[4], gs_drop, before;
};
static void locals(void* arg) {
  struct local_guest* l = arg;
  for (int i = 0; i < 4; i++) {
    /* nothing of the G that had this slot before */
    CHECK(thrum_local_get(local_keys[i]) == NULL);
    CHECK_EQ(thrum_local_set(local_keys[i], &l->value[i]), 0);
  }
  for (int r = 0; r < 5; r++) {
    CHECK_EQ(thrum_yield(), 0);
    for (int i = 0; i < 4; i++)
      CHECK(thrum_local_get(local_keys[i]) == &l->value[i]);
  }
  CHECK_EQ(thrum_local_set(local_keys[2], NULL), 0);
  CHECK(thrum_local_get(local_keys[2]) == NULL);
}
static void locals_g_drop(void* arg) {
  struct local_guest* l = arg;
  /* The values went first. */
  CHECK_EQ(get(&l->value[0]), 1);
  CHECK_EQ(get(&l->value[1]), 1);
  CHECK_EQ(get(&l->value[2]), 0); /* it was unset */
  CHECK_EQ(get(&l->value[3]), 0); /* its key has no drop */
  add(&l->gs_drop, 1);
}
static void many_locals(void* arg) {
  enum { N = 50 };
  static struct local_guest l[N];
  thrum_g g[N];
  (void)arg;
  memset(l, 0, sizeof l);
  set(&local_dropped, 0);
  set(&local_in_g, 0);
  thrum_spawn_opts o = spawn_opts();
  o.drop = locals_g_drop;
  for (int i = 0; i < N; i++)
    g[i] = go_with(&o, locals, &l[i]);
  for (int i = 0; i < N; i++) {
    join_g(g[i]);
    CHECK_EQ(l[i].gs_drop, 1);
  }
  CHECK_EQ(local_dropped, 2 * N);
  CHECK_EQ(local_in_g, 2 * N);
}
TEST(local_storage) {
  for (int i = 0; i < 4; i++) {
    CHECK_EQ(thrum_local_new(i == 3 ? NULL : local_drop, &local_keys[i]), 0);
    for (int k = 0; k < i; k++)
      CHECK(local_keys[i] != local_keys[k]);
  }
  CHECK_EQ(thrum_local_new(NULL, NULL), THRUM_EINVAL);
  CHECK(thrum_local_get(local_keys[0]) == NULL);
  CHECK_EQ(thrum_local_set(local_keys[0], &local_keys), THRUM_ENOTG);
  everywhere(many_locals, NULL);
}

static void unknown_keys(void* arg) {
  static const uint32_t far_keys[] = {1u << 20, 1u << 31, UINT32_MAX};
  (void)arg;
  for (size_t i = 0; i < CHECK_COUNT(far_keys); i++) {
    CHECK_EQ(thrum_local_set(far_keys[i], arg), THRUM_EINVAL);
    CHECK(thrum_local_get(far_keys[i]) == NULL);
  }
}
TEST(local_keys_that_do_not_exist) {
  everywhere(unknown_keys, NULL);
  CHECK(thrum_local_get(UINT32_MAX) == NULL);
}

/* Shielded: a cancel does not cut a drop short. */
struct slow_local {
  thrum_chan* ch;
  word in_drop, done;
};
static void slow_local_drop(void* value) {
  struct slow_local* s = value;
  char c;
  add(&s->in_drop, 1);
  CHECK_EQ(thrum_chan_recv(s->ch, &c, THRUM_FOREVER), 0);
  add(&s->done, 1);
}
static uint32_t slow_key;
static void set_slow_local(void* arg) {
  CHECK_EQ(thrum_local_set(slow_key, arg), 0);
}
static void cancel_in_local_drop(void* arg) {
  struct slow_local s = {chan_of(1, 0), 0, 0};
  (void)arg;
  thrum_g g = go(set_slow_local, &s);
  yield_until(&s.in_drop, 1);
  CHECK_EQ(thrum_cancel(NULL, g), 0);
  let_others_run();
  CHECK_EQ(thrum_join(NULL, g, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_chan_send(s.ch, "x", SOON), 0);
  join_g(g);
  CHECK_EQ(s.done, 1);
  thrum_chan_release(s.ch);
}
TEST(local_drops_are_shielded) {
  CHECK_EQ(thrum_local_new(slow_local_drop, &slow_key), 0);
  in_sequence(cancel_in_local_drop, NULL);
}

/* ---- enumeration --------------------------------------------------------- */

struct seen {
  thrum_g g;
  thrum_domain* domain;
  char name[64], reason[64];
  void *arg, *lo, *hi, *sp;
  int64_t since;
  uint32_t size;
};
struct census {
  struct seen seen[64];
  int n;
};
static void take_census(void* arg, const thrum_g_info* info) {
  struct census* c = arg;
  if (c->n >= 64)
    return;
  struct seen* s = &c->seen[c->n++];
  memset(s, 0, sizeof *s);
  s->g = info->g;
  s->domain = info->domain;
  snprintf(s->name, sizeof s->name, "%s", info->name ? info->name : "");
  snprintf(s->reason, sizeof s->reason, "%s", info->reason ? info->reason : "");
  s->arg = info->arg;
  s->lo = info->stack_lo;
  s->hi = info->stack_hi;
  s->sp = info->sp;
  s->since = info->since_ns;
  s->size = info->struct_size;
}
static const struct seen* census_of(const struct census* c, thrum_g g) {
  const struct seen* found = NULL;
  for (int i = 0; i < c->n; i++)
    if (c->seen[i].g == g) {
      CHECK_MSG(!found, "a G is seen twice");
      found = &c->seen[i];
    }
  return found;
}
struct watched {
  word about;
  thrum_chan* ch;
  void* local;
};
static void watched_recv(void* arg) {
  struct watched* w = arg;
  char c;
  w->local = &c;
  add(&w->about, 1);
  CHECK_EQ(thrum_chan_recv(w->ch, &c, THRUM_FOREVER), 0);
}
static void watched_park(void* arg) {
  struct watched* w = arg;
  char c;
  w->local = &c;
  add(&w->about, 1);
  CHECK_EQ(thrum_park("the bus", THRUM_FOREVER), 0);
}
static void census(void* arg) {
  thrum_rt* rt = thrum_rt_current();
  struct watched w[2];
  struct census c;
  char name[32];
  thrum_spawn_opts o = spawn_opts();
  thrum_domain_ops ops;
  thrum_domain* d = NULL;
  (void)arg;
  memset(w, 0, sizeof w);
  memset(&ops, 0, sizeof ops);
  ops.struct_size = sizeof ops;
  w[0].ch = chan_of(1, 0);
  strcpy(name, "receiver");
  o.name = name;
  thrum_g recv = go_with(&o, watched_recv, &w[0]);
  memset(name, '?', 8);
  o.name = "passenger";
  thrum_g park = go_with(&o, watched_park, &w[1]);
  yield_until(&w[0].about, 1);
  yield_until(&w[1].about, 1);
  REQUIRE_EQ(thrum_domain_new(NULL, &ops, NULL, &d), 0);
  o.name = "tenant";
  o.domain = d;
  /* has not begun: nobody else runs */
  thrum_g fresh = go_with(&o, count_ran, NULL);
  memset(&c, 0, sizeof c);
  CHECK_EQ(thrum_g_each(rt, take_census, &c), 0);
  CHECK_EQ(c.n, 4);
  const struct seen* s = census_of(&c, recv);
  REQUIRE(s != NULL);
  CHECK_STR(s->name, "receiver"); /* copied at spawn */
  CHECK(strlen(s->reason) > 0);
  CHECK(s->arg == &w[0]);
  CHECK(s->domain == NULL);
  CHECK(s->lo < s->sp && s->sp <= s->hi);
  /* its frame lies above sp */
  CHECK((char*)w[0].local >= (char*)s->sp && (char*)w[0].local < (char*)s->hi);
  CHECK_LE(s->since, thrum_now());
  CHECK_LE(0, s->since);
  CHECK_LE(offsetof(thrum_g_info, sp) + sizeof(void*), s->size);
  s = census_of(&c, park);
  REQUIRE(s != NULL);
  CHECK_STR(s->name, "passenger");
  CHECK_STR(s->reason, "the bus");
  CHECK(s->arg == &w[1]);
  CHECK(s->lo < s->sp && s->sp <= s->hi);
  s = census_of(&c, fresh);
  REQUIRE(s != NULL);
  CHECK_STR(s->name, "tenant");
  CHECK(s->arg == NULL);
  CHECK(s->domain == d);
  CHECK(s->lo == NULL && s->hi == NULL && s->sp == NULL);
  s = census_of(&c, thrum_self());
  REQUIRE(s != NULL);
  CHECK(s->sp == NULL); /* it runs */
  char here;
  CHECK(CHECK_ASAN || ((char*)s->lo < &here && &here < (char*)s->hi));
  /* the tenant would not like its argument */
  CHECK_EQ(thrum_domain_close(d), 0);
  CHECK_EQ(thrum_chan_send(w[0].ch, "x", SOON), 0);
  CHECK_EQ(thrum_unpark(NULL, park), 0);
  join_g(recv);
  join_g(park);
  memset(&c, 0, sizeof c);
  CHECK_EQ(thrum_g_each(NULL, take_census, &c), 0);
  CHECK(census_of(&c, recv) == NULL); /* ended */
  CHECK(census_of(&c, park) == NULL);
  CHECK(census_of(&c, thrum_self()) != NULL);
  thrum_domain_release(d);
  thrum_chan_release(w[0].ch);
}
TEST(enumeration) {
  in_sequence(census, NULL);
  CHECK_EQ(thrum_g_each(NULL, take_census, NULL), THRUM_EINVAL);
  thrum_rt* rt = rt_make(RT_P2);
  struct census c;
  memset(&c, 0, sizeof c);
  CHECK_EQ(thrum_g_each(rt, NULL, NULL), THRUM_EINVAL);
  CHECK_EQ(thrum_g_each(rt, take_census, &c), 0);
  CHECK_EQ(c.n, 0);
  rt_end(rt);
}

/* From outside, while all is on the move: what is seen is whole. */
static void check_whole(void* arg, const thrum_g_info* info) {
  word* n = arg;
  CHECK(info->g != 0);
  /* their children have none */
  if (info->name[0])
    CHECK_STR(info->name, "mover");
  if (info->sp)
    CHECK(info->stack_lo < info->sp && info->sp <= info->stack_hi);
  add(n, 1);
}
static void mover(void* arg) {
  while (!get(arg)) {
    if (thrum_yield() != 0)
      break;
    thrum_g g = 0;
    if (thrum_spawn(NULL, NULL, nothing, NULL, &g) != 0)
      break;
    if (thrum_join(NULL, g, THRUM_FOREVER) != 0)
      break;
  }
}
TEST(enumeration_from_outside) {
  thrum_rt* rt = rt_make(RT_P4);
  word stop = 0, n = 0;
  thrum_spawn_opts o = spawn_opts();
  o.name = "mover";
  for (int i = 0; i < 16; i++)
    CHECK_EQ(thrum_spawn(rt, &o, mover, &stop, NULL), 0);
  for (int i = 0; i < ROUNDS(2000); i++)
    CHECK_EQ(thrum_g_each(rt, check_whole, &n), 0);
  CHECK_LE(ROUNDS(2000), n);
  set(&stop, 1);
  rt_end(rt);
}

/* ---- the stack ----------------------------------------------------------- */

static void know_stack(void* arg) {
  uint64_t asked = arg ? *(uint64_t*)arg : 0;
  void *lo = NULL, *hi = NULL, *lo2 = NULL, *hi2 = NULL;
  char here;
  CHECK_EQ(thrum_stack(&lo, &hi), 0);
  CHECK((char*)lo < (char*)hi);
  /* ASan may keep locals elsewhere */
  if (!CHECK_ASAN)
    CHECK((char*)lo < &here && &here < (char*)hi);
  /* less what the runtime keeps of it */
  if (asked)
    CHECK_LE(asked - 4096, (char*)hi - (char*)lo);
  for (int i = 0; i < 20; i++) {
    CHECK_EQ(thrum_yield(), 0);
    CHECK_EQ(thrum_stack(&lo2, &hi2), 0);
    CHECK(lo2 == lo && hi2 == hi);
  }
  CHECK_EQ(thrum_stack(NULL, &hi2), 0);
  CHECK_EQ(thrum_stack(&lo2, NULL), 0);
  CHECK(lo2 == lo && hi2 == hi);
}
static void know_stacks(void* arg) {
  static uint64_t sizes[] = {65536, 262144, 1 << 20, 3000000};
  thrum_g g[8];
  (void)arg;
  know_stack(NULL);
  for (int i = 0; i < 4; i++) {
    thrum_spawn_opts o = spawn_opts();
    o.stack_size = sizes[i];
    g[2 * i] = go_with(&o, know_stack, &sizes[i]);
    g[2 * i + 1] = go(know_stack, NULL);
  }
  for (int i = 0; i < 8; i++)
    join_g(g[i]);
}
/* Two kinds of waits in turn, while who looks is held up between any two of his
 * instructions: what a mutex has in the place of a reason is no text. */
struct turns_of_two {
  thrum_mutex mutex;
  word over, odd;
};

static void waits_in_two_ways(void* arg) {
  struct turns_of_two* t = arg;
  while (!get(&t->over)) {
    (void)thrum_park("yarn", THRUM_FOREVER);
    CHECK_EQ(thrum_mutex_lock(&t->mutex, THRUM_FOREVER), 0);
    CHECK_EQ(thrum_mutex_unlock(&t->mutex), 0);
  }
}
static void wakes_in_two_ways(void* arg) {
  struct turns_of_two* t = arg;
  thrum_g g;
  REQUIRE_EQ(thrum_spawn(NULL, NULL, waits_in_two_ways, t, &g), 0);
  while (!get(&t->over)) {
    CHECK_EQ(thrum_mutex_lock(&t->mutex, THRUM_FOREVER), 0);
    CHECK_EQ(thrum_unpark(NULL, g), 0);
    (void)thrum_yield();
    CHECK_EQ(thrum_mutex_unlock(&t->mutex), 0);
    (void)thrum_yield();
  }
  (void)thrum_unpark(NULL, g); /* it may have ended */
  CHECK_EQ(thrum_join(NULL, g, THRUM_FOREVER), 0);
}
static void check_reason(void* arg, const thrum_g_info* g) {
  struct turns_of_two* t = arg;
  if (strcmp(g->reason, "yarn") != 0 && strcmp(g->reason, "mutex") != 0 &&
      strcmp(g->reason, "join") != 0 && strcmp(g->reason, "park") != 0 &&
      g->reason[0])
    add(&t->odd, 1);
}
static thrum_rt* looked_at;
static void* looks(void* arg) {
  struct turns_of_two* t = arg;
  while (!get(&t->over))
    CHECK_EQ(thrum_g_each(looked_at, check_reason, t), 0);
  return NULL;
}
static void held_up(int signo) {
  (void)signo;
  struct timespec t = {0, 50000};
  nanosleep(&t, NULL);
}
static void* holds_up(void* arg) {
  struct turns_of_two* t = arg;
  pthread_t reader;
  REQUIRE_EQ(pthread_create(&reader, NULL, looks, t), 0);
  for (int i = 0; i < 10000; i++) {
    pthread_kill(reader, SIGUSR1);
    usleep(150);
  }
  set(&t->over, 1);
  pthread_join(reader, NULL);
  return NULL;
}

TEST(reasons_are_those_of_the_wait) {
  struct turns_of_two t = {0};
  struct sigaction late = {.sa_handler = held_up}, was;
  sigaction(SIGUSR1, &late, &was);
  looked_at = rt_make(RT_SEQ);
  pthread_t other;
  REQUIRE_EQ(pthread_create(&other, NULL, holds_up, &t), 0);
  CHECK_EQ(thrum_run(looked_at, wakes_in_two_ways, &t), 0);
  pthread_join(other, NULL);
  CHECK_EQ(get(&t.odd), 0);
  rt_end(looked_at);
  sigaction(SIGUSR1, &was, NULL);
}

TEST(stack_bounds) {
  void *lo, *hi;
  CHECK_EQ(thrum_stack(&lo, &hi), THRUM_ENOTG);
  everywhere(know_stacks, NULL);
}

/* ---- threads ------------------------------------------------------------- */

enum { MOST_THREADS = 256 };
struct roll {
  word n, stopped, wrong;
  word tid[MOST_THREADS]; /* > 0: started; < 0: stopped as well */
};
static void thread_starts(void* arg) {
  struct roll* r = arg;
  word k = add(&r->n, 1) - 1;
  if (k < MOST_THREADS)
    set(&r->tid[k], thread_id());
  if (thrum_self() != 0)
    add(&r->wrong, 1);
}
static void thread_stops(void* arg) {
  struct roll* r = arg;
  word me = thread_id();
  for (int i = 0; i < MOST_THREADS; i++)
    if (get(&r->tid[i]) == me) {
      set(&r->tid[i], -me);
      add(&r->stopped, 1);
      return;
    }
  add(&r->wrong, 1); /* it never started, or stops twice */
}
static void on_known_thread(void* arg) {
  struct roll* r = arg;
  /* the lent thread is not announced */
  int me = thread_id(), known = me == (int)getpid();
  for (int i = 0; i < MOST_THREADS; i++)
    if (get(&r->tid[i]) == me) {
      if (known)
        add(&r->wrong, 1);
      known = 1;
    }
  if (!known)
    add(&r->wrong, 1);
  for (int i = 0; i < 5; i++)
    CHECK_EQ(thrum_yield(), 0);
}
static void use_threads(void* arg) {
  thrum_g g[32];
  for (int i = 0; i < 32; i++)
    g[i] = go(on_known_thread, arg);
  for (int i = 0; i < 32; i++)
    join_g(g[i]);
}
TEST(threads_are_announced) {
  static struct roll r;
  for (int round = 0; round < 10; round++) {
    memset(&r, 0, sizeof r);
    thrum_rt* rt = rt_make(RT_P4);
    CHECK_EQ(thrum_on_thread(rt, thread_starts, thread_stops, &r), 0);
    CHECK_EQ(r.n, 0);
    CHECK_EQ(thrum_run(rt, use_threads, &r), 0);
    /* too late */
    CHECK(thrum_on_thread(rt, thread_starts, thread_stops, &r) < 0);
    rt_end(rt);
    CHECK_EQ(r.wrong, 0);
    CHECK_EQ(r.stopped, r.n);
    CHECK_LE(1, r.n);
  }
  /* Either may be left out; a hosted runtime has nothing to announce. */
  thrum_rt* rt = rt_make(RT_P2);
  CHECK_EQ(thrum_on_thread(rt, NULL, NULL, NULL), 0);
  CHECK_EQ(thrum_run(rt, nothing, NULL), 0);
  rt_end(rt);
  memset(&r, 0, sizeof r);
  rt = rt_make(RT_HOSTED);
  CHECK_EQ(thrum_on_thread(rt, thread_starts, thread_stops, &r), 0);
  CHECK_EQ(thrum_run(rt, use_threads, &r), 0);
  rt_end(rt);
  CHECK_EQ(r.n, 0);
  CHECK_EQ(r.wrong, 0);
}

/* ---- elements that nobody received --------------------------------------- */

struct leftovers {
  word n, sum;
};
static void leftover(void* arg, void* elem) {
  struct leftovers* l = arg;
  int v;
  memcpy(&v, elem, sizeof v);
  add(&l->n, 1);
  add(&l->sum, v);
}
static void leave_elements(void* arg) {
  (void)arg;
  struct leftovers l = {0, 0};
  thrum_chan* ch = chan_of(sizeof(int), 10);
  CHECK_EQ(thrum_chan_set_drop(ch, leftover, &l), 0);
  for (int i = 1; i <= 8; i++)
    CHECK_EQ(thrum_chan_send(ch, &i, THRUM_TRY), 0);
  for (int i = 1; i <= 3; i++) {
    int v;
    /* received: the receiver's, not dropped */
    CHECK_EQ(thrum_chan_recv(ch, &v, THRUM_TRY), 0);
  }
  /* the ring wraps around */
  for (int i = 9; i <= 12; i++)
    CHECK_EQ(thrum_chan_send(ch, &i, THRUM_TRY), 0);
  CHECK_EQ(thrum_chan_close(ch), 0);
  CHECK_EQ(l.n, 0); /* close drops nothing */
  thrum_chan_retain(ch);
  thrum_chan_release(ch);
  CHECK_EQ(l.n, 0);
  thrum_chan_release(ch);
  CHECK_EQ(l.n, 9);
  CHECK_EQ(l.sum, 4 + 5 + 6 + 7 + 8 + 9 + 10 + 11 + 12);
}
TEST(chan_drop) {
  everywhere(leave_elements, NULL);
  leave_elements(NULL);
  CHECK_EQ(thrum_chan_set_drop(NULL, leftover, NULL), THRUM_EINVAL);
}

/* ---- what a collector sees of a channel ------------------------------------- */

struct sight {
  int of[8], n, last; /* it stops at the value `last` */
};
static int see(void* arg, const void* elem) {
  struct sight* s = arg;
  memcpy(&s->of[s->n++], elem, sizeof(int));
  return s->of[s->n - 1] == s->last ? 7 : 0;
}
static void look_at_elements(void* arg) {
  (void)arg;
  struct sight s = {{0}, 0, 0};
  thrum_chan* ch = chan_of(sizeof(int), 4);
  CHECK_EQ(thrum_chan_each(ch, see, &s), 0);
  CHECK_EQ(s.n, 0);
  for (int i = 1, v; i <= 6; i++) {
    if (i > 4)
      CHECK_EQ(thrum_chan_recv(ch, &v, THRUM_TRY), 0);
    CHECK_EQ(thrum_chan_send(ch, &i, THRUM_TRY), 0);
  }
  CHECK_EQ(thrum_chan_each(ch, see, &s), 0);
  CHECK_EQ(s.n, 4);
  for (int i = 0; i < 4; i++)
    CHECK_EQ(s.of[i], 3 + i);
  s = (struct sight){{0}, 0, 5};
  CHECK_EQ(thrum_chan_each(ch, see, &s), 7);
  CHECK_EQ(s.n, 3);
  CHECK_EQ(thrum_chan_close(ch), 0);
  s = (struct sight){{0}, 0, 0};
  CHECK_EQ(thrum_chan_each(ch, see, &s), 0);
  CHECK_EQ(s.n, 4); /* they are still there */
  CHECK_EQ(thrum_chan_len(ch), 4);
  CHECK_EQ(thrum_chan_each(ch, NULL, NULL), THRUM_EINVAL);
  thrum_chan_release(ch);
}
TEST(chan_each) {
  everywhere(look_at_elements, NULL);
  look_at_elements(NULL);
}

static const struct check_case cases[] = {
    CASE(domain_runs_one_at_a_time),
    CASE(domain_without_hooks),
    CASE(domain_refused),
    CASE(domain_acquire_blocks_no_p),
    CASE(domain_acquire_may_refuse),
    CASE(domain_leave_and_enter),
    CASE(domain_leave_without_one),
    CASE(domain_lock_thread),
    CASE(domain_drop_comes_back),
    CASE(domain_pumped),
    CASE(domain_pumped_is_never_handed_over),
    CASE(domain_pumped_and_never_pumped),
    CASE(domain_close),
    CASE(domain_close_passes_waiters_by),
    CASE(domain_close_amid_leave_and_enter),
    CASE(domain_host_lock_hands_over),
    CASE(domain_host_lock_comes_and_goes),
    CASE(permit),
    CASE(unpark_wakes),
    CASE(permit_dies_with_its_g),
    CASE(unpark_loses_no_permit),
    CASE(unpark_from_a_thread),
    CASE(local_storage),
    CASE(local_keys_that_do_not_exist),
    CASE(local_drops_are_shielded),
    CASE(enumeration),
    CASE(enumeration_from_outside),
    CASE(reasons_are_those_of_the_wait),
    CASE(stack_bounds),
    CASE(threads_are_announced),
    CASE(chan_drop),
    CASE(chan_each),
};
CHECK_MAIN(cases)
