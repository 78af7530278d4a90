/* fork.c: after fork a runtime belongs to the parent. In the child every call
 * that needs it says THRUM_EFORKED, nothing hangs or crashes, and the child may
 * make runtimes of its own; the parent does not notice. How a child ends whose
 * G, hook or callback forked: fork_ends.c. */
#include "../support/check.h"

#include <spawn.h>
#include <thrum/host.h>
#include <thrum/observe.h>

#include "../support/child.h"
#include "../support/forks.h"
#include "../support/rt.h"

static void nothing(void* arg) { (void)arg; }
static void count_up(void* arg) { add(arg, 1); }
static void never_g(void* arg, const thrum_g_info* info) {
  (void)arg;
  (void)info;
  check_fail(__FILE__, __LINE__, "a G of the parent is shown to the child");
}
static void never_p(void* arg, const thrum_p_stats* stats) {
  (void)arg;
  (void)stats;
  check_fail(__FILE__, __LINE__, "a P of the parent is shown to the child");
}

/* ---- what a parent has, and a child is refused ---------------------------- */

struct parent {
  thrum_rt* rt;
  thrum_domain *domain, *pumped;
  thrum_g living, ended;
  word beats, stop;
};

static void beat(void* arg) {
  struct parent* p = arg;
  while (!get(&p->stop)) {
    add(&p->beats, 1);
    if (thrum_sleep(1000) != 0 || thrum_yield() != 0)
      break;
  }
}
static void parent_begin(struct parent* p, struct rt_kind kind) {
  thrum_domain_ops ops;
  memset(p, 0, sizeof *p);
  memset(&ops, 0, sizeof ops);
  ops.struct_size = sizeof ops;
  p->rt = rt_make(kind);
  REQUIRE_EQ(thrum_domain_new(p->rt, &ops, NULL, &p->domain), 0);
  ops.flags = THRUM_DOMAIN_PUMPED;
  REQUIRE_EQ(thrum_domain_new(p->rt, &ops, NULL, &p->pumped), 0);
  p->ended = go_in(p->rt, nothing, NULL);
  CHECK_EQ(thrum_join(p->rt, p->ended, SOON), 0);
  p->living = go_in(p->rt, beat, p);
  for (int i = 0; i < 7; i++)
    go_in(p->rt, beat, p);
}
/* The parent goes on. */
static void parent_lives(struct parent* p) {
  word n = get(&p->beats);
  while (get(&p->beats) < n + 8)
    check_pause();
}
static void parent_end(struct parent* p) {
  set(&p->stop, 1);
  CHECK_EQ(thrum_join(p->rt, p->living, SOON), 0);
  thrum_domain_release(p->domain);
  thrum_domain_release(p->pumped);
  rt_end(p->rt);
}

/* Every call that names the runtime, or a domain of it. */
static void named_calls(struct parent* p) {
  thrum_rt* rt = p->rt;
  thrum_domain_ops ops;
  thrum_domain* d = NULL;
  thrum_spawn_opts named = spawn_opts();
  named.name = "never";
  memset(&ops, 0, sizeof ops);
  ops.struct_size = sizeof ops;
  CHECK_EQ(thrum_spawn(rt, NULL, nothing, NULL, NULL), THRUM_EFORKED);
  CHECK_EQ(thrum_spawn(rt, &named, nothing, NULL, NULL), THRUM_EFORKED);
  CHECK_EQ(thrum_run(rt, nothing, NULL), THRUM_EFORKED);
  CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), THRUM_EFORKED);
  CHECK_EQ(thrum_join(rt, p->living, THRUM_FOREVER), THRUM_EFORKED);
  CHECK_EQ(thrum_join(rt, p->ended, THRUM_TRY), THRUM_EFORKED);
  CHECK_EQ(thrum_cancel(rt, p->living), THRUM_EFORKED);
  CHECK_EQ(thrum_unpark(rt, p->living), THRUM_EFORKED);
  CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), THRUM_EFORKED);
  CHECK_EQ(thrum_set_procs(rt, 1), THRUM_EFORKED);
  CHECK_EQ(thrum_procs(rt), THRUM_EFORKED);
  CHECK_EQ(thrum_live(rt), THRUM_EFORKED);
  CHECK_EQ(thrum_next_wake(rt), THRUM_EFORKED);
  CHECK_EQ(thrum_wake_fd(rt), THRUM_EFORKED);
  CHECK_EQ(thrum_g_each(rt, never_g, NULL), THRUM_EFORKED);
  CHECK_EQ(thrum_p_each(rt, never_p, NULL), THRUM_EFORKED);
  CHECK_EQ(thrum_on_thread(rt, NULL, NULL, NULL), THRUM_EFORKED);
  CHECK_EQ(thrum_preempt_enable(rt, 0), THRUM_EFORKED);
  CHECK_EQ(thrum_preempt_disable(rt), THRUM_EFORKED);
  CHECK_EQ(thrum_overflow_enable(rt), THRUM_EFORKED);
  CHECK_EQ(thrum_overflow_disable(rt), THRUM_EFORKED);
  CHECK_EQ(thrum_domain_new(rt, &ops, NULL, &d), THRUM_EFORKED);
  CHECK_EQ(thrum_domain_pump(p->pumped, THRUM_FOREVER), THRUM_EFORKED);
  CHECK_EQ(thrum_domain_wake_fd(p->pumped), THRUM_EFORKED);
  CHECK_EQ(thrum_domain_close(p->domain), THRUM_EFORKED);
  CHECK_EQ(thrum_debug_socket(rt, "/tmp/never"), THRUM_EFORKED);
  CHECK_EQ(thrum_trace_hash(rt), 0);
  /* These do nothing, however often. */
  for (int i = 0; i < 3; i++) {
    thrum_domain_release(p->domain);
    thrum_rt_free(rt);
  }
  thrum_domain_retain(p->domain);
  thrum_rt_retain(rt);
  CHECK_EQ(thrum_procs(rt), THRUM_EFORKED);
}

/* A runtime of the child's own, with all that belongs to one. */
static void sends(void* arg) {
  for (int i = 0; i < 10; i++)
    CHECK_EQ(thrum_chan_send(arg, &i, THRUM_FOREVER), 0);
}
static void whole_life(void* arg) {
  thrum_chan* ch = arg;
  thrum_g g = go(sends, ch);
  for (int i = 0, v = -1; i < 10; i++) {
    CHECK_EQ(thrum_chan_recv(ch, &v, THRUM_FOREVER), 0);
    CHECK_EQ(v, i);
  }
  CHECK_EQ(thrum_sleep(1000), 0);
  CHECK_EQ(thrum_yield(), 0);
  CHECK_EQ(thrum_check(), 0);
  CHECK_EQ(thrum_enter_blocking(), 0);
  CHECK_EQ(thrum_exit_blocking(), 0);
  join_g(g);
}
static void own_runtime(struct rt_kind kind) {
  thrum_chan* ch = NULL;
  word n = 0;
  thrum_rt* rt = rt_make(kind);
  CHECK_EQ(thrum_chan_new(sizeof(int), 0, &ch), 0);
  CHECK_EQ(thrum_run(rt, whole_life, ch), 0);
  thrum_chan_release(ch);
  if (!kind.flags) {
    thrum_g g = go_in(rt, count_up, &n);
    CHECK_EQ(thrum_join(rt, g, THRUM_FOREVER), 0);
    CHECK_EQ(get(&n), 1);
  }
  CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
  thrum_rt_free(rt);
}

/* What belongs to no runtime, as long as nothing has to wait. */
static void process_objects(void) {
  thrum_chan* ch = NULL;
  thrum_mutex m = THRUM_MUTEX_INIT;
  thrum_wg wg = THRUM_WG_INIT;
  int v = 5, w = 0;
  CHECK_EQ(thrum_chan_new(sizeof v, 1, &ch), 0);
  CHECK_EQ(thrum_chan_send(ch, &v, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_chan_send(ch, &v, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_chan_recv(ch, &w, THRUM_FOREVER), 0);
  CHECK_EQ(w, 5);
  CHECK_EQ(thrum_chan_close(ch), 0);
  CHECK_EQ(thrum_chan_recv(ch, &w, THRUM_FOREVER), THRUM_ECLOSED);
  thrum_chan_release(ch);
  CHECK_EQ(thrum_mutex_lock(&m, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_mutex_unlock(&m), 0);
  CHECK_EQ(thrum_wg_wait(&wg, THRUM_FOREVER), 0);
  void* p = thrum_alloc(100);
  CHECK(p != NULL);
  thrum_free(p);
}

/* ---- from a thread -------------------------------------------------------- */

TEST(from_a_thread) {
  struct parent p;
  parent_begin(&p, RT_P4);
  for (int i = 0; i < ROUNDS(50); i++) {
    pid_t pid = fork_child();
    if (pid == 0) {
      named_calls(&p);
      /* A thread was never a G. */
      CHECK_EQ(thrum_spawn(NULL, NULL, nothing, NULL, NULL), THRUM_EINVAL);
      CHECK_EQ(thrum_yield(), THRUM_ENOTG);
      CHECK_EQ(thrum_park("never", THRUM_FOREVER), THRUM_ENOTG);
      CHECK_EQ(thrum_sleep(1000), 0);
      process_objects();
      own_runtime(RT_P2);
      own_runtime(RT_HOSTED);
      own_runtime(RT_DET1);
      child_done();
    }
    int status = child_status(pid);
    CHECK_MSG(status == 0, "the child ended with status 0x%x", status);
    if (status)
      break;
    parent_lives(&p);
  }
  parent_end(&p);
}

/* A process that has no runtime yet may fork, and so may its children. */
TEST(before_and_after) {
  pid_t pid = fork_child();
  if (pid == 0) {
    own_runtime(RT_P2);
    pid = fork_child();
    if (pid == 0) {
      own_runtime(RT_P2);
      child_done();
    }
    CHECK_EQ(child_status(pid), 0);
    own_runtime(RT_P2);
    child_done();
  }
  CHECK_EQ(child_status(pid), 0);
  own_runtime(RT_P2);
}

/* ---- from a G ------------------------------------------------------------- */

/* Every call that only a G may make, or that means its runtime by NULL. */
static void calls_of_a_g(struct parent* p) {
  void *lo, *hi;
  uint32_t key;
  CHECK_EQ(thrum_spawn(NULL, NULL, nothing, NULL, NULL), THRUM_EFORKED);
  CHECK_EQ(thrum_join(NULL, p->living, THRUM_FOREVER), THRUM_EFORKED);
  CHECK_EQ(thrum_cancel(NULL, p->living), THRUM_EFORKED);
  CHECK_EQ(thrum_unpark(NULL, p->living), THRUM_EFORKED);
  CHECK_EQ(thrum_procs(NULL), THRUM_EFORKED);
  CHECK_EQ(thrum_set_procs(NULL, 1), THRUM_EFORKED);
  CHECK_EQ(thrum_rt_stop(NULL, THRUM_TRY), THRUM_EFORKED);
  CHECK_EQ(thrum_run(NULL, nothing, NULL), THRUM_EFORKED);
  CHECK_EQ(thrum_pump(NULL, THRUM_TRY), THRUM_EFORKED);
  CHECK_EQ(thrum_live(NULL), THRUM_EFORKED);
  CHECK_EQ(thrum_yield(), THRUM_EFORKED);
  CHECK_EQ(thrum_check(), THRUM_EFORKED);
  CHECK_EQ(thrum_park("never", THRUM_FOREVER), THRUM_EFORKED);
  CHECK_EQ(thrum_cancelled(), THRUM_EFORKED);
  CHECK_EQ(thrum_cancel_clear(), THRUM_EFORKED);
  CHECK_EQ(thrum_shield(1), THRUM_EFORKED);
  CHECK_EQ(thrum_limit(THRUM_FOREVER), THRUM_EFORKED);
  CHECK_EQ(thrum_enter_blocking(), THRUM_EFORKED);
  CHECK_EQ(thrum_exit_blocking(), THRUM_EFORKED);
  CHECK_EQ(thrum_lock_thread(), THRUM_EFORKED);
  CHECK_EQ(thrum_unlock_thread(), THRUM_EFORKED);
  CHECK_EQ(thrum_domain_leave(), THRUM_EFORKED);
  CHECK_EQ(thrum_domain_enter(), THRUM_EFORKED);
  CHECK_EQ(thrum_stack(&lo, &hi), THRUM_EFORKED);
  CHECK_EQ(thrum_local_new(NULL, &key), 0);
  CHECK_EQ(thrum_local_set(key, &key), THRUM_EFORKED);
  CHECK(thrum_local_get(key) == NULL);
  CHECK_EQ(thrum_self(), 0);
  CHECK(thrum_rt_current() == NULL);
}
/* And what would have to wait. */
static void waits_of_a_g(void) {
  thrum_chan* ch = NULL;
  thrum_mutex m = THRUM_MUTEX_INIT;
  thrum_cond c = THRUM_COND_INIT;
  thrum_wg wg = THRUM_WG_INIT;
  thrum_sem s = THRUM_SEM_INIT;
  int v = 0;
  CHECK_EQ(thrum_chan_new(sizeof v, 0, &ch), 0);
  thrum_case arm = {ch, &v, THRUM_RECV, 0};
  CHECK_EQ(thrum_sleep(1000), THRUM_EFORKED);
  CHECK_EQ(thrum_sleep(0), THRUM_EFORKED);
  CHECK_EQ(thrum_chan_recv(ch, &v, THRUM_FOREVER), THRUM_EFORKED);
  CHECK_EQ(thrum_chan_send(ch, &v, SOON), THRUM_EFORKED);
  CHECK_EQ(thrum_chan_recv(ch, &v, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_chan_recv(ch, &v, 1), THRUM_EFORKED);
  CHECK_EQ(thrum_select(&arm, 1, THRUM_FOREVER), THRUM_EFORKED);
  CHECK_EQ(thrum_wg_add(&wg, 1), 0);
  CHECK_EQ(thrum_wg_wait(&wg, THRUM_FOREVER), THRUM_EFORKED);
  CHECK_EQ(thrum_sem_acquire(&s, THRUM_FOREVER), THRUM_EFORKED);
  CHECK_EQ(thrum_mutex_lock(&m, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_cond_wait(&c, &m, THRUM_FOREVER), THRUM_EFORKED);
  CHECK_EQ(thrum_mutex_unlock(&m), 0); /* it was held all the time */
  /* Nothing was left locked or linked. */
  CHECK_EQ(thrum_chan_close(ch), 0);
  CHECK_EQ(thrum_cond_signal(&c), 0);
  CHECK_EQ(thrum_sem_release(&s, 1), 0);
  CHECK_EQ(thrum_sem_acquire(&s, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_wg_done(&wg), 0);
  CHECK_EQ(thrum_wg_wait(&wg, THRUM_FOREVER), 0);
  thrum_chan_release(ch);
}

struct locks {
  thrum_mutex m;
  thrum_rwmutex rw;
};
/* A G of the child's own is another. */
static void not_the_holder(void* arg) {
  struct locks* l = arg;
  CHECK_EQ(thrum_mutex_unlock(&l->m), THRUM_EPERM);
  CHECK_EQ(thrum_rwmutex_unlock(&l->rw), THRUM_EPERM);
}
static void own_g(thrum_fn fn, void* arg) {
  thrum_rt* rt = rt_make(RT_HOSTED);
  CHECK_EQ(thrum_run(rt, fn, arg), 0);
  CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
  thrum_rt_free(rt);
}
static void g_forks(void* arg) {
  struct parent* p = arg;
  struct locks own = {THRUM_MUTEX_INIT, THRUM_RWMUTEX_INIT};
  thrum_cond c = THRUM_COND_INIT;
  CHECK_EQ(thrum_mutex_lock(&own.m, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_rwmutex_lock(&own.rw, THRUM_FOREVER), 0);
  pid_t pid = fork_child();
  if (pid == 0) {
    named_calls(p);
    calls_of_a_g(p);
    waits_of_a_g();
    /* What the G holds its child holds. */
    own_g(not_the_holder, &own);
    CHECK_EQ(thrum_cond_wait(&c, &own.m, THRUM_FOREVER), THRUM_EFORKED);
    CHECK_EQ(thrum_rwmutex_unlock(&own.rw), 0);
    CHECK_EQ(thrum_rwmutex_unlock(&own.rw), THRUM_EPERM);
    CHECK_EQ(thrum_mutex_unlock(&own.m), 0);
    CHECK_EQ(thrum_mutex_unlock(&own.m), THRUM_EPERM);
    process_objects();
    own_runtime(RT_P2);
    own_runtime(RT_HOSTED);
    calls_of_a_g(p); /* still */
    child_done();
  }
  int status = child_status(pid);
  CHECK_MSG(status == 0, "the child ended with status 0x%x", status);
  CHECK_EQ(thrum_rwmutex_unlock(&own.rw), 0);
  CHECK_EQ(thrum_mutex_unlock(&own.m), 0);
  CHECK_EQ(thrum_yield(), 0);
}
/* The G runs on the thread that lends itself, or on one of the runtime's. */
TEST(from_a_g) {
  struct parent p;
  parent_begin(&p, RT_P2);
  for (int i = 0; i < ROUNDS(20); i++) {
    CHECK_EQ(thrum_run(p.rt, g_forks, &p), 0);
    CHECK_EQ(thrum_join(p.rt, go_in(p.rt, g_forks, &p), SOON), 0);
    if (get(&p.beats) < 0 || __atomic_load_n(&check_failures, __ATOMIC_SEQ_CST))
      break;
  }
  parent_lives(&p);
  parent_end(&p);
}

/* A G that blocks, declared, is pinned, or is in a domain may fork all the
 * same. */
static void g_forks_bound(void* arg) {
  CHECK_EQ(thrum_lock_thread(), 0);
  CHECK_EQ(thrum_enter_blocking(), 0);
  check_pause();
  g_forks(arg);
  CHECK_EQ(thrum_exit_blocking(), 0);
  CHECK_EQ(thrum_unlock_thread(), 0);
}
TEST(from_a_bound_g) {
  struct parent p;
  parent_begin(&p, RT_P2);
  thrum_spawn_opts inside = spawn_opts();
  inside.domain = p.domain;
  thrum_g g = 0;
  for (int i = 0; i < ROUNDS(10); i++) {
    CHECK_EQ(thrum_join(p.rt, go_in(p.rt, g_forks_bound, &p), SOON), 0);
    CHECK_EQ(thrum_spawn(p.rt, &inside, g_forks, &p, &g), 0);
    CHECK_EQ(thrum_join(p.rt, g, SOON), 0);
  }
  parent_end(&p);
}

/* Child, grandchild: each generation has runtimes of its own and none of its
 * parents'. */
struct line {
  struct parent* p;
  thrum_rt* rt;
  int left;
};
static void next_generation(void* arg) {
  struct line* l = arg;
  thrum_rt* mine = l->rt;
  pid_t pid = fork_child();
  if (pid == 0) {
    CHECK_EQ(thrum_yield(), THRUM_EFORKED);
    CHECK_EQ(thrum_procs(mine), THRUM_EFORKED);
    CHECK_EQ(thrum_procs(l->p->rt), THRUM_EFORKED);
    l->rt = rt_make(RT_P2);
    if (--l->left > 0) {
      CHECK_EQ(thrum_run(l->rt, next_generation, l), 0);
      thrum_g g = go_in(l->rt, next_generation, l);
      CHECK_EQ(thrum_join(l->rt, g, SOON), 0);
    }
    CHECK_EQ(thrum_yield(), THRUM_EFORKED);
    CHECK_EQ(thrum_rt_stop(l->rt, SOON), 0);
    thrum_rt_free(l->rt);
    child_done();
  }
  CHECK_EQ(child_status(pid), 0);
  CHECK_EQ(thrum_yield(), 0);
}
TEST(generations) {
  struct parent p;
  parent_begin(&p, RT_P2);
  struct line l = {&p, p.rt, CHECK_SANITIZED ? 2 : 4};
  CHECK_EQ(thrum_run(p.rt, next_generation, &l), 0);
  parent_end(&p);
}

/* ---- what others had a part in -------------------------------------------- */

/* A G of the parent waits. The child's send is taken for it and lost; the G is
 * not run there, though there is a P for it, and no M: one would be made. */
struct waiter {
  thrum_chan* ch;
  word got, busy, stop;
};
static void receives(void* arg) {
  struct waiter* w = arg;
  int v = 0;
  CHECK_EQ(thrum_chan_recv(w->ch, &v, THRUM_FOREVER), 0);
  CHECK_EQ(v, 7);
  add(&w->got, 1);
}
static void keeps_its_m(void* arg) {
  struct waiter* w = arg;
  add(&w->busy, 1);
  while (!get(&w->stop))
    check_pause();
}
TEST(a_waiting_g_is_not_run_by_the_child) {
  struct waiter w = {NULL, 0, 0, 0};
  int v = 7;
  int threads = check_threads();
  /* Who keeps an M keeps its P, too: nobody makes another M. */
  struct rt_kind endless = {"[2 P, endless slice]", 2, 0, 0, 3600 * SECOND};
  thrum_rt* rt = rt_make(endless);
  REQUIRE_EQ(thrum_chan_new(sizeof v, 0, &w.ch), 0);
  thrum_g g = go_in(rt, receives, &w), busy[2];
  wait_parked(rt, g);
  for (int i = 0; i < 2; i++)
    busy[i] = go_in(rt, keeps_its_m, &w);
  while (get(&w.busy) < 2)
    check_pause();
  CHECK_EQ(check_threads(), threads + 1 + 2); /* sysmon, and two busy Ms */
  CHECK_EQ(thrum_set_procs(rt, 4), 2);
  pid_t pid = fork_child();
  if (pid == 0) {
    CHECK_EQ(thrum_chan_send(w.ch, &v, THRUM_FOREVER), 0);
    CHECK_EQ(thrum_chan_send(w.ch, &v, THRUM_TRY), THRUM_EAGAIN);
    own_runtime(RT_P2);
    CHECK_EQ(check_threads_settle(1 + CHECK_TSAN), 1);
    CHECK_EQ(get(&w.got), 0);
    child_done();
  }
  CHECK_EQ(child_status(pid), 0);
  CHECK_EQ(get(&w.got), 0);
  CHECK_EQ(thrum_chan_send(w.ch, &v, SOON), 0);
  CHECK_EQ(thrum_join(rt, g, SOON), 0);
  CHECK_EQ(get(&w.got), 1);
  set(&w.stop, 1);
  for (int i = 0; i < 2; i++)
    CHECK_EQ(thrum_join(rt, busy[i], SOON), 0);
  thrum_chan_release(w.ch);
  rt_end(rt);
}

/* Mutexes that are biased, and lose that (core/sync/mutex.cpp), under a lock of
 * the process: one thread calms the mutex down and holds it, the other then
 * contends. Forks come in between, and the child must have that lock. */
struct bias {
  thrum_mutex m;
  word phase; /* 0: calm it; 1: contend; -1: the end */
  word rounds;
};
static void calm_and_hold(struct bias* b) {
  memset(&b->m, 0, sizeof b->m);
  for (int i = 0; i < 1100; i++) {
    CHECK_EQ(thrum_mutex_lock(&b->m, THRUM_FOREVER), 0);
    CHECK_EQ(thrum_mutex_unlock(&b->m), 0);
  }
  CHECK_EQ(thrum_mutex_lock(&b->m, THRUM_FOREVER), 0);
  set(&b->phase, 1);
  for (int i = 0; i < 20; i++)
    sched_yield();
  CHECK_EQ(thrum_mutex_unlock(&b->m), 0);
}
static void contend(struct bias* b) {
  CHECK_EQ(thrum_mutex_lock(&b->m, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_mutex_unlock(&b->m), 0);
  set(&b->phase, 0);
}
static void* contends(void* arg) {
  struct bias* b = arg;
  for (word phase; (phase = get(&b->phase)) >= 0;) {
    if (phase == 1)
      contend(b);
    else
      sched_yield();
  }
  return NULL;
}
static void* calms(void* arg) {
  struct bias* b = arg;
  while (get(&b->rounds) >= 0) {
    calm_and_hold(b);
    while (get(&b->phase) == 1)
      sched_yield();
    add(&b->rounds, 1);
  }
  return NULL;
}
TEST(amid_revoked_biases) {
  struct bias b = {THRUM_MUTEX_INIT, 0, 0}, mine;
  pthread_t t[2], other;
  thrum_rt* rt = rt_make(RT_P2); /* a bias needs its fence */
  REQUIRE_EQ(pthread_create(&t[0], NULL, contends, &b), 0);
  REQUIRE_EQ(pthread_create(&t[1], NULL, calms, &b), 0);
  for (int i = 0; i < ROUNDS(300); i++) {
    word n = get(&b.rounds);
    pid_t pid = fork_child();
    if (pid == 0) {
      memset(&mine, 0, sizeof mine);
      REQUIRE_EQ(pthread_create(&other, NULL, contends, &mine), 0);
      calm_and_hold(&mine);
      while (get(&mine.phase) == 1)
        sched_yield();
      child_done();
    }
    int status = child_status(pid);
    CHECK_MSG(status == 0, "the child ended with status 0x%x", status);
    if (status)
      break;
    while (get(&b.rounds) == n)
      sched_yield();
  }
  set(&b.rounds, -1000000000);
  pthread_join(t[1], NULL);
  set(&b.phase, -1);
  pthread_join(t[0], NULL);
  rt_end(rt);
}

/* ---- fork and exec, posix_spawn ------------------------------------------- */

CHILD(says) { printf("spawned %s\n", arg); }
static void wait_declared(pid_t pid) {
  CHECK_EQ(thrum_enter_blocking(), 0);
  CHECK_EQ(child_status(pid), 0);
  CHECK_EQ(thrum_exit_blocking(), 0);
}
static void g_executes(void* arg) {
  char self[] = "child", flag[] = "--child", part[] = "says", how[] = "spawn";
  char* argv[] = {self, flag, part, how, NULL};
  extern char** environ;
  pid_t pid = fork_child();
  if (pid == 0) {
    execl("/proc/self/exe", self, flag, part, "exec", (char*)NULL);
    _exit(126);
  }
  wait_declared(pid);
  REQUIRE_EQ(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ), 0);
  wait_declared(pid);
  CHECK_EQ(thrum_yield(), 0); /* a posix_spawn is no fork to us */
  add(arg, 1);
}
CHILD(executes) {
  struct parent p;
  word n = 0;
  (void)arg;
  parent_begin(&p, RT_P2);
  for (int i = 0; i < 5; i++) {
    CHECK_EQ(thrum_run(p.rt, g_executes, &n), 0);
    CHECK_EQ(thrum_join(p.rt, go_in(p.rt, g_executes, &n), SOON), 0);
  }
  CHECK_EQ(get(&n), 10);
  parent_lives(&p);
  parent_end(&p);
}
TEST(fork_and_exec_and_posix_spawn) {
  expect_child("executes", NULL, 0);
  CHECK_EQ(child_times(child.out, "spawned exec"), 10);
  CHECK_EQ(child_times(child.out, "spawned spawn"), 10);
}

static const struct check_case cases[] = {
    CASE(before_and_after),
    CASE(from_a_thread),
    CASE(from_a_g),
    CASE(from_a_bound_g),
    CASE(generations),
    CASE(a_waiting_g_is_not_run_by_the_child),
    CASE(amid_revoked_biases),
    CASE(fork_and_exec_and_posix_spawn)};
static const struct child_part parts[] = {PART(says), PART(executes)};
CHILD_MAIN(cases, parts)
