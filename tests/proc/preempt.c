/* preempt.c: Gs that compute in declared code are stopped by a signal, without a
 * trace in their registers; and nobody is who must not be. */
#include "../support/check.h"

#include <sys/syscall.h>
#include <sys/wait.h>

#include "../support/preempt.h"
#include "../support/registers.h"

/* ---- every register ---------------------------------------------------------- */

/* 0.15 ms of work, so that a slice of 0.1 ms ends inside. */
#define KERNEL_ROUNDS 20000
#define REGISTER_GS 9
#define REGISTER_PREEMPTIONS ROUNDS(10000)

struct reg_trial {
  const struct registers_kernel* kernel;
  struct registers want[REGISTER_GS];
  word stop, ran, wrong, moved, lost_errno;
  const char* what;
};
struct reg_g {
  struct reg_trial* t;
  int seed;
  struct registers r;
};
static struct reg_trial reg_trial;
static struct reg_g reg_gs[REGISTER_GS];

/* A call that may come back on another thread: to the compiler &errno is one
 * address for a whole function. */
__attribute__((noinline)) static void errno_is(int v) { errno = v; }
__attribute__((noinline)) static int errno_was(void) { return errno; }

static void reg_work(void* arg) {
  struct reg_g* me = arg;
  struct reg_trial* t = me->t;
  while (!get(&t->stop)) {
    registers_init(&me->r, (uint64_t)me->seed);
    int before = thread_id();
    errno_is(100 + me->seed);
    t->kernel->run(&me->r, KERNEL_ROUNDS);
    if (errno_was() != 100 + me->seed)
      add(&t->lost_errno, 1);
    const char* differs = registers_differ(&me->r, &t->want[me->seed]);
    if (differs) {
      t->what = differs;
      add(&t->wrong, 1);
    }
    if (thread_id() != before)
      add(&t->moved, 1);
    add(&t->ran, 1);
    /* Its P may have been taken instead, on a machine with much to do. */
    CHECK_EQ(thrum_check(), 0);
  }
}

/* Stops 9 Gs on 2 Ms `times` times in all. The Ps come and go, so that Gs that
 * may move do. */
static uint64_t reg_run(const struct registers_kernel* kernel, uint32_t flags,
                        uint64_t times) {
  struct reg_trial* t = &reg_trial;
  const void *lo, *hi;
  memset(t, 0, sizeof *t);
  t->kernel = kernel;
  for (int i = 0; i < REGISTER_GS; i++) {
    registers_init(&t->want[i], (uint64_t)i);
    kernel->run(&t->want[i], KERNEL_ROUNDS);
  }
  registers_code(&lo, &hi);
  thrum_rt* rt = rt_preempting(2, 100000, 0);
  CHECK_EQ(thrum_preempt_region(lo, hi, flags), 0);
  thrum_g g[REGISTER_GS];
  for (int i = 0; i < REGISTER_GS; i++) {
    reg_gs[i].t = t;
    reg_gs[i].seed = i;
    g[i] = go_in(rt, reg_work, &reg_gs[i]);
  }
  for (int i = 0; counts_of(rt).preemptions < times; i++) {
    for (int k = 0; k < 5; k++)
      check_pause();
    CHECK(thrum_set_procs(rt, 1 + (uint32_t)i % 2) > 0);
  }
  CHECK_EQ(thrum_set_procs(rt, 2) > 0, 1);
  set(&t->stop, 1);
  for (int i = 0; i < REGISTER_GS; i++)
    CHECK_EQ(thrum_join(rt, g[i], THRUM_FOREVER), 0);
  uint64_t preempted = counts_of(rt).preemptions;
  rt_end(rt);
  CHECK_EQ(thrum_preempt_forget(lo, hi), 0);
  CHECK_MSG(t->wrong == 0, "%s: %lld of %lld results are wrong, last: %s",
            kernel->name, (long long)t->wrong, (long long)t->ran,
            t->what ? t->what : "");
  CHECK_EQ(t->lost_errno, 0);
  CHECK(t->ran >= REGISTER_GS);
  printf("%s, %s: %" PRIu64 " preemptions, %lld wrong of %lld, %lld moved\n",
         kernel->name, flags ? "migrating" : "bound", preempted,
         (long long)t->wrong, (long long)t->ran, (long long)t->moved);
  fflush(stdout);
  return preempted;
}

static void reg_all(uint32_t flags) {
  const struct registers_kernel* kernel = registers_kernels();
  CHECK(reg_run(kernel, flags, REGISTER_PREEMPTIONS) >= REGISTER_PREEMPTIONS);
  CHECK(flags ? reg_trial.moved > 0 : reg_trial.moved == 0);
  while ((++kernel)->run) /* the narrower ones of this CPU */
    reg_run(kernel, flags, REGISTER_PREEMPTIONS / 20);
}
TEST(registers_of_bound_gs) {
  SKIP_IF_IT_CANNOT;
  reg_all(0);
}
TEST(registers_of_migrating_gs) {
  SKIP_IF_IT_CANNOT;
  reg_all(THRUM_PREEMPT_MIGRATE);
}

/* ---- neighbours ---------------------------------------------------------------- */

static void count_one(void* arg) { add(arg, 1); }

struct hog_among {
  struct spinner s;
  word ran;
};
static void among_hundred(void* arg) {
  struct hog_among* h = arg;
  thrum_g hog = go(spin, &h->s), g[100];
  CHECK_EQ(thrum_yield(), 0); /* the hog begins */
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 100; i++)
      g[i] = go(count_one, &h->ran);
    for (int i = 0; i < 100; i++)
      join_g(g[i]);
  }
  CHECK_EQ(get(&h->ran), 300);
  CHECK(get(&h->s.n) > 0);
  await_preemptions(1);
  set(&h->s.go_on, 0);
  join_g(hog);
}
/* On the thread that runs, and on one of the runtime's own. */
TEST(a_hog_among_a_hundred) {
  SKIP_IF_IT_CANNOT;
  for (uint32_t flags = 0; flags < 2; flags++)
    for (int lent = 0; lent < 2; lent++) {
      struct hog_among h = {{1, 0}, 0};
      CHECK_EQ(thrum_preempt_region(COMPUTES_CODE, flags), 0);
      thrum_rt* rt = rt_preempting(1, MS, 0);
      if (lent)
        CHECK_EQ(thrum_run(rt, among_hundred, &h), 0);
      else
        CHECK_EQ(thrum_join(rt, go_in(rt, among_hundred, &h), THRUM_FOREVER),
                 0);
      rt_end(rt);
      CHECK_EQ(thrum_preempt_forget(COMPUTES_CODE), 0);
    }
}

/* Several hogs share one P: each comes to its turn, again and again. */
static void hogs_share(void* arg) {
  struct spinner s[5];
  thrum_g g[5];
  word least = 0;
  (void)arg;
  for (int i = 0; i < 5; i++) {
    s[i].go_on = 1;
    s[i].n = 0;
    g[i] = go(spin, &s[i]);
  }
  for (int turn = 0; turn < 20; turn++) {
    CHECK_EQ(thrum_yield(), 0);
    word sum = 0;
    for (int i = 0; i < 5; i++)
      sum += get(&s[i].n);
    CHECK(sum >= least);
    least = sum;
  }
  await_preemptions(5);
  for (int i = 0; i < 5; i++) {
    while (get(&s[i].n) == 0)
      CHECK_EQ(thrum_yield(), 0);
    set(&s[i].go_on, 0);
  }
  for (int i = 0; i < 5; i++)
    join_g(g[i]);
}
TEST(hogs_take_turns) {
  SKIP_IF_IT_CANNOT;
  for (uint32_t flags = 0; flags < 2; flags++) {
    CHECK_EQ(thrum_preempt_region(COMPUTES_CODE, flags), 0);
    thrum_rt* rt = rt_preempting(1, MS, 0);
    CHECK_EQ(thrum_run(rt, hogs_share, NULL), 0);
    rt_end(rt);
    CHECK_EQ(thrum_preempt_forget(COMPUTES_CODE), 0);
  }
}

/* A sleeper is work that waits, too. */
static void sleeper_and_hog(void* arg) {
  struct spinner* s = arg;
  thrum_g hog = go(spin, s);
  CHECK_EQ(thrum_sleep(MS), 0); /* nobody else can end it */
  await_preemptions(1);
  set(&s->go_on, 0);
  join_g(hog);
}
TEST(a_sleeper_beside_a_hog) {
  SKIP_IF_IT_CANNOT;
  struct spinner s = {1, 0};
  CHECK_EQ(thrum_preempt_region(COMPUTES_CODE, 0), 0);
  thrum_rt* rt = rt_preempting(1, MS, 0);
  CHECK_EQ(thrum_run(rt, sleeper_and_hog, &s), 0);
  rt_end(rt);
  CHECK_EQ(thrum_preempt_forget(COMPUTES_CODE), 0);
}

/* ---- who is not stopped --------------------------------------------------------- */

/* Until so many signals have changed nothing. */
static void spin_through(struct spinner* s, thrum_rt* rt, uint64_t refusals) {
  while (counts_of(rt).refusals < refusals)
    check_pause();
  set(&s->go_on, 0);
}
TEST(code_that_is_not_declared) {
  SKIP_IF_IT_CANNOT;
  struct spinner s = {1, 0};
  word ran = 0;
  CHECK_EQ(thrum_preempt_region(COMPUTES_CODE, 0), 0);
  thrum_rt* rt = rt_capped(1, MS, 0, 1);
  thrum_g hog = go_in(rt, spin_outside, &s), other = go_in(rt, count_one, &ran);
  spin_through(&s, rt, 5);
  CHECK_EQ(thrum_join(rt, hog, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_join(rt, other, THRUM_FOREVER), 0);
  CHECK_EQ(counts_of(rt).preemptions, 0);
  CHECK(counts_of(rt).refusals >= 5);
  rt_end(rt);
  CHECK_EQ(thrum_preempt_forget(COMPUTES_CODE), 0);
}

/* Where there are threads to be had, a G that refuses loses its P instead. */
TEST(who_refuses_is_passed_by) {
  SKIP_IF_IT_CANNOT;
  struct spinner s = {1, 0};
  word ran = 0;
  CHECK_EQ(thrum_preempt_region(COMPUTES_CODE, 0), 0);
  thrum_rt* rt = rt_preempting(1, MS, 0);
  thrum_g hog = go_in(rt, spin_outside, &s), other = go_in(rt, count_one, &ran);
  CHECK_EQ(thrum_join(rt, other, THRUM_FOREVER), 0);
  CHECK_EQ(get(&ran), 1);
  CHECK_EQ(counts_of(rt).preemptions, 0);
  CHECK(counts_of(rt).retakes > 0);
  set(&s.go_on, 0);
  CHECK_EQ(thrum_join(rt, hog, THRUM_FOREVER), 0);
  rt_end(rt);
  CHECK_EQ(thrum_preempt_forget(COMPUTES_CODE), 0);
}

TEST(a_declaration_taken_back) {
  SKIP_IF_IT_CANNOT;
  struct spinner s = {1, 0};
  word ran = 0;
  CHECK_EQ(thrum_preempt_region(COMPUTES_CODE, 0), 0);
  CHECK_EQ(thrum_preempt_forget(COMPUTES_CODE), 0);
  CHECK_EQ(thrum_preempt_forget(COMPUTES_CODE), THRUM_ENOENT);
  thrum_rt* rt = rt_capped(1, MS, 0, 1);
  thrum_g hog = go_in(rt, spin, &s), other = go_in(rt, count_one, &ran);
  spin_through(&s, rt, 5);
  CHECK_EQ(thrum_join(rt, hog, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_join(rt, other, THRUM_FOREVER), 0);
  CHECK_EQ(counts_of(rt).preemptions, 0);
  rt_end(rt);
}

struct holder {
  struct spinner held, free;
  word phase;
};
static void hold_then_not(void* arg) {
  struct holder* h = arg;
  CHECK_EQ(thrum_preempt_hold(-1), THRUM_EINVAL);
  CHECK_EQ(thrum_preempt_hold(2), THRUM_EINVAL);
  CHECK_EQ(thrum_preempt_hold(1), 0);
  CHECK_EQ(thrum_preempt_hold(1), 0);
  CHECK_EQ(thrum_preempt_hold(-1), 0); /* once more than not */
  set(&h->phase, 1);
  spin(&h->held);
  CHECK_EQ(thrum_preempt_hold(-1), 0);
  set(&h->phase, 2);
  spin(&h->free);
}
static void counts_again(void* arg) {
  word* ran = arg;
  add(ran, 1);
}
TEST(hold) {
  SKIP_IF_IT_CANNOT;
  struct holder h = {{1, 0}, {1, 0}, 0};
  word ran = 0;
  CHECK_EQ(thrum_preempt_hold(1), THRUM_ENOTG);
  CHECK_EQ(thrum_preempt_region(COMPUTES_CODE, 0), 0);
  thrum_rt* rt = rt_capped(1, MS, 0, 1);
  thrum_g hog = go_in(rt, hold_then_not, &h);
  while (get(&h.phase) == 0)
    check_pause();
  thrum_g other = go_in(rt, counts_again, &ran);
  spin_through(&h.held, rt, 5);
  CHECK_EQ(thrum_join(rt, other, THRUM_FOREVER), 0);
  CHECK(counts_of(rt).refusals >= 5);
  /* From here on it may be. (The hog is let go by its neighbour alone.) */
  while (get(&h.phase) == 1)
    check_pause();
  uint64_t before = counts_of(rt).preemptions;
  other = go_in(rt, counts_again, &ran);
  CHECK_EQ(thrum_join(rt, other, THRUM_FOREVER), 0);
  CHECK_EQ(get(&ran), 2);
  CHECK(counts_of(rt).preemptions > before);
  set(&h.free.go_on, 0);
  CHECK_EQ(thrum_join(rt, hog, THRUM_FOREVER), 0);
  rt_end(rt);
  CHECK_EQ(thrum_preempt_forget(COMPUTES_CODE), 0);
}

/* Its registers must have room on the stack. */
struct deep {
  struct spinner deep, shallow;
  word phase;
};
COMPUTES static void dive(struct deep* d, char* lo, size_t left) {
  volatile char frame[256];
  frame[0] = 1;
  if ((size_t)(((char*)(uintptr_t)frame) - lo) > left) {
    dive(d, lo, left);
    frame[1] = 2;
    return;
  }
  __atomic_store_n(&d->phase, 1, __ATOMIC_SEQ_CST);
  while (__atomic_load_n(&d->deep.go_on, __ATOMIC_RELAXED))
    frame[2]++;
}
static void dive_then_not(void* arg) {
  struct deep* d = arg;
  void* lo;
  CHECK_EQ(thrum_stack(&lo, NULL), 0);
  dive(d, lo, 2500);
  set(&d->phase, 2);
  spin(&d->shallow);
}
TEST(little_stack_is_left) {
  SKIP_IF_IT_CANNOT;
  struct deep d = {{1, 0}, {1, 0}, 0};
  word ran = 0;
  thrum_spawn_opts small = spawn_opts();
  small.stack_size = CHECK_ASAN ? 65536 : 16384;
  CHECK_EQ(thrum_preempt_region(COMPUTES_CODE, 0), 0);
  thrum_rt* rt = rt_capped(1, MS, 0, 1);
  thrum_g hog, other;
  REQUIRE_EQ(thrum_spawn(rt, &small, dive_then_not, &d, &hog), 0);
  while (get(&d.phase) == 0)
    check_pause();
  other = go_in(rt, count_one, &ran);
  spin_through(&d.deep, rt, 5);
  CHECK_EQ(thrum_join(rt, other, THRUM_FOREVER), 0);
  CHECK(counts_of(rt).refusals >= 5);
  while (get(&d.phase) == 1)
    check_pause();
  uint64_t before = counts_of(rt).preemptions;
  other = go_in(rt, count_one, &ran);
  CHECK_EQ(thrum_join(rt, other, THRUM_FOREVER), 0);
  CHECK(counts_of(rt).preemptions > before); /* on the same small stack */
  set(&d.shallow.go_on, 0);
  CHECK_EQ(thrum_join(rt, hog, THRUM_FOREVER), 0);
  rt_end(rt);
  CHECK_EQ(thrum_preempt_forget(COMPUTES_CODE), 0);
}

/* A thread that sleeps in the kernel is not disturbed. */
struct sleeper {
  word began, left_ns, rc;
};
static void sleep_undeclared(void* arg) {
  struct sleeper* s = arg;
  struct timespec t = {0, 200 * MS}, left = {0, 0};
  set(&s->began, 1);
  s->rc = nanosleep(&t, &left);
  s->left_ns = left.tv_nsec;
}
TEST(a_system_call_is_not_interrupted) {
  SKIP_IF_IT_CANNOT;
  struct sleeper s = {0, 0, 0};
  word ran = 0;
  CHECK_EQ(thrum_preempt_region(COMPUTES_CODE, 0), 0);
  thrum_rt* rt = rt_preempting(1, MS, 0);
  thrum_g g = go_in(rt, sleep_undeclared, &s), other;
  while (!get(&s.began))
    check_pause();
  other = go_in(rt, count_one, &ran);
  CHECK_EQ(thrum_join(rt, g, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_join(rt, other, THRUM_FOREVER), 0);
  CHECK_EQ(s.rc, 0);
  CHECK_EQ(s.left_ns, 0);
  CHECK_EQ(counts_of(rt).preemptions, 0);
  rt_end(rt);
  CHECK_EQ(thrum_preempt_forget(COMPUTES_CODE), 0);
}

/* ---- on and off -------------------------------------------------------------------- */

TEST(who_may_enable) {
  struct rt_kind kinds[] = {RT_HOSTED, RT_DET1};
  for (int i = 0; i < 2; i++) {
    thrum_rt* rt = rt_make(kinds[i]);
    CHECK_EQ(thrum_preempt_enable(rt, 0), THRUM_ENOTSUP);
    CHECK_EQ(thrum_preempt_disable(rt), 0);
    rt_end(rt);
  }
  SKIP_IF_IT_CANNOT;
  thrum_rt *a = rt_make(RT_P1), *b = rt_make(RT_P1);
  int signo = thrum_preempt_enable(a, 0);
  CHECK(signo >= SIGRTMIN);
  CHECK_EQ(thrum_preempt_enable(a, 0), signo); /* again: the same */
  CHECK_EQ(thrum_preempt_enable(b, 0), signo); /* one number for all */
  CHECK_EQ(thrum_preempt_enable(b, signo == SIGRTMIN ? SIGRTMIN + 1 : SIGRTMIN),
           THRUM_EBUSY);
  CHECK_EQ(thrum_preempt_enable(b, SIGUSR1), THRUM_EINVAL);
  CHECK_EQ(thrum_preempt_enable(b, -1), THRUM_EINVAL);
  struct sigaction now;
  CHECK_EQ(thrum_preempt_disable(a), 0);
  CHECK_EQ(thrum_preempt_disable(a), 0);
  sigaction(signo, NULL, &now);
  CHECK(now.sa_handler != SIG_DFL); /* b's */
  rt_end(b);
  sigaction(signo, NULL, &now);
  CHECK(now.sa_handler == SIG_DFL); /* stopped: nothing is left */
  rt_end(a);
  CHECK_EQ(thrum_preempt_enable(NULL, 0), THRUM_EINVAL);
}

/* Gs that run already are stopped from the next switch of their thread on. */
static void yield_then_spin(void* arg) {
  struct hog_among* h = arg;
  while (get(&h->ran) == 0)
    CHECK_EQ(thrum_yield(), 0);
  spin(&h->s);
}
TEST(enabled_while_gs_run) {
  SKIP_IF_IT_CANNOT;
  struct hog_among h = {{1, 0}, 0};
  word ran = 0;
  CHECK_EQ(thrum_preempt_region(COMPUTES_CODE, 0), 0);
  struct rt_kind kind = {"", 1, 0, 0, MS};
  thrum_rt* rt = rt_make(kind);
  for (int round = 0; round < 3; round++) {
    h.s.go_on = 1;
    set(&h.ran, 0);
    thrum_g hog = go_in(rt, yield_then_spin, &h);
    while (counts_of(rt).dispatches < 1000 * (uint64_t)(round + 1))
      check_pause();
    CHECK(thrum_preempt_enable(rt, 0) > 0);
    uint64_t dispatches = counts_of(rt).dispatches;
    while (counts_of(rt).dispatches < dispatches + 1000)
      check_pause();
    set(&h.ran, 1);
    uint64_t before = counts_of(rt).preemptions;
    thrum_g other = go_in(rt, count_one, &ran);
    CHECK_EQ(thrum_join(rt, other, THRUM_FOREVER), 0);
    while (counts_of(rt).preemptions == before && get(&h.s.n) == 0)
      check_pause();
    /* With somebody who waits all the time it is stopped again and again. */
    while (counts_of(rt).preemptions < before + 3) {
      other = go_in(rt, count_one, &ran);
      CHECK_EQ(thrum_join(rt, other, THRUM_FOREVER), 0);
    }
    CHECK_EQ(thrum_preempt_disable(rt), 0);
    set(&h.s.go_on, 0);
    CHECK_EQ(thrum_join(rt, hog, THRUM_FOREVER), 0);
  }
  rt_end(rt);
  CHECK_EQ(thrum_preempt_forget(COMPUTES_CODE), 0);
}

/* ---- what a thread has ------------------------------------------------------------- */

#define MOST_THREADS 64
struct thread_facts {
  stack_t alt;
  sigset_t mask;
};
static struct {
  word begun, ended, differ;
  struct thread_facts at_start[MOST_THREADS];
  int tid[MOST_THREADS];
} threads;
static void facts(struct thread_facts* f) {
  memset(f, 0, sizeof *f);
  sigaltstack(NULL, &f->alt);
  pthread_sigmask(SIG_BLOCK, NULL, &f->mask);
}
static int same_facts(const struct thread_facts* a,
                      const struct thread_facts* b) {
  return a->alt.ss_sp == b->alt.ss_sp && a->alt.ss_flags == b->alt.ss_flags &&
         a->alt.ss_size == b->alt.ss_size &&
         memcmp(&a->mask, &b->mask, sizeof a->mask) == 0;
}
static void thread_begins(void* arg) {
  (void)arg;
  word i = add(&threads.begun, 1) - 1;
  if (i < MOST_THREADS) {
    facts(&threads.at_start[i]);
    threads.tid[i] = thread_id();
  }
}
static void thread_ends(void* arg) {
  struct thread_facts now;
  (void)arg;
  facts(&now);
  for (int i = 0; i < MOST_THREADS; i++)
    if (threads.tid[i] == thread_id())
      add(&threads.differ, !same_facts(&now, &threads.at_start[i]));
  add(&threads.ended, 1);
}
struct hogs {
  struct spinner s;
  word inside_differs;
};
static void some_hogs(void* arg) {
  struct hogs* h = arg;
  thrum_g g[6];
  struct thread_facts now;
  for (int i = 0; i < 6; i++)
    g[i] = go(spin, &h->s);
  while (counts_of(NULL).preemptions < 100)
    CHECK_EQ(thrum_yield(), 0);
  facts(&now);
  if (now.alt.ss_flags & SS_DISABLE)
    add(&h->inside_differs, 1);
  set(&h->s.go_on, 0);
  for (int i = 0; i < 6; i++)
    join_g(g[i]);
}
static void with_hogs(void) {
  struct hogs h = {{1, 0}, 0};
  struct thread_facts before, after;
  facts(&before);
  memset(&threads, 0, sizeof threads);
  thrum_rt* rt = rt_preempting(2, 200000, 0);
  CHECK_EQ(thrum_on_thread(rt, thread_begins, thread_ends, NULL), 0);
  CHECK_EQ(thrum_run(rt, some_hogs, &h), 0);
  facts(&after);
  CHECK(same_facts(&before, &after)); /* lent, and given back */
  rt_end(rt);
  CHECK_EQ(h.inside_differs, 0);
  CHECK(threads.begun > 0);
  CHECK_EQ(threads.ended, threads.begun);
  CHECK_EQ(threads.differ, 0);
}
TEST(alternate_stacks_and_masks_stay) {
  SKIP_IF_IT_CANNOT;
  static char own[1 << 17];
  stack_t former, mine = {.ss_sp = own, .ss_size = sizeof own};
  sigset_t all, old;
  CHECK_EQ(thrum_preempt_region(COMPUTES_CODE, 0), 0);
  with_hogs();
  sigaltstack(NULL, &former);
  REQUIRE_EQ(sigaltstack(&mine, NULL), 0);
  with_hogs(); /* the thread has one of its own */
  sigfillset(&all);
  sigdelset(&all, SIGALRM);
  pthread_sigmask(SIG_BLOCK, &all, &old);
  with_hogs(); /* and blocks all signals, which its threads inherit */
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  sigaltstack(&former, NULL);
  CHECK_EQ(thrum_preempt_forget(COMPUTES_CODE), 0);
}

/* ---- bound Gs and threads that go home ------------------------------------------------ */

/* main ends while a G that was stopped on the same thread has not gone on: the
 * thread goes home when it has. */
struct left_behind {
  struct spinner s;
  word hog_tid_before, hog_tid_after, main_ends;
  thrum_rt* rt;
  thrum_g hog;
};
static void left_hog(void* arg) {
  struct left_behind* l = arg;
  set(&l->hog_tid_before, thread_id());
  spin(&l->s);
  set(&l->hog_tid_after, thread_id());
}
static void leaves_hog(void* arg) {
  struct left_behind* l = arg;
  l->hog = go(left_hog, l);
  uint64_t before = counts_of(NULL).preemptions;
  while (counts_of(NULL).preemptions < before + 2)
    CHECK_EQ(thrum_yield(), 0);
  set(&l->main_ends, 1);
}
static void* ends_it(void* arg) {
  struct left_behind* l = arg;
  while (!get(&l->main_ends))
    check_pause();
  for (int i = 0; i < 30; i++)
    check_pause(); /* main is gone */
  set(&l->s.go_on, 0);
  return NULL;
}
TEST(run_ends_before_a_stopped_g) {
  SKIP_IF_IT_CANNOT;
  for (int round = 0; round < 5; round++) {
    struct left_behind l = {.s = {1, 0}};
    pthread_t t;
    CHECK_EQ(thrum_preempt_region(COMPUTES_CODE, 0), 0);
    l.rt = rt_preempting(1, MS, 0);
    REQUIRE_EQ(pthread_create(&t, NULL, ends_it, &l), 0);
    CHECK_EQ(thrum_run(l.rt, leaves_hog, &l), 0);
    CHECK_EQ(thrum_join(l.rt, l.hog, THRUM_FOREVER), 0);
    CHECK_EQ(l.hog_tid_before, l.hog_tid_after);
    pthread_join(t, NULL);
    rt_end(l.rt);
    CHECK_EQ(thrum_preempt_forget(COMPUTES_CODE), 0);
  }
}

/* ---- fork --------------------------------------------------------------------------- */

/* A child that is made by a G while others are stopped all the time: it has our
 * handler, and preempts Gs of its own. */
static void forks(void* arg) {
  struct spinner *s = arg, own = {1, 0};
  thrum_g g[3];
  for (int i = 0; i < 3; i++)
    g[i] = go(spin, s);
  for (int round = 0; round < 5; round++) {
    uint64_t want = counts_of(NULL).preemptions + 5;
    while (counts_of(NULL).preemptions < want)
      CHECK_EQ(thrum_yield(), 0);
    pid_t pid = fork();
    if (pid == 0) {
      thrum_rt* rt = rt_preempting(1, MS, 0);
      word ran = 0;
      thrum_g hog = go_in(rt, spin, &own), other = go_in(rt, count_one, &ran);
      CHECK_EQ(thrum_join(rt, other, THRUM_FOREVER), 0);
      set(&own.go_on, 0);
      CHECK_EQ(thrum_join(rt, hog, THRUM_FOREVER), 0);
      rt_end(rt);
      _exit(__atomic_load_n(&check_failures, __ATOMIC_SEQ_CST) ? 1 : 0);
    }
    int status = -1;
    REQUIRE(pid > 0);
    while (waitpid(pid, &status, WNOHANG) == 0)
      CHECK_EQ(thrum_yield(), 0);
    CHECK_EQ(status, 0);
  }
  set(&s->go_on, 0);
  for (int i = 0; i < 3; i++)
    join_g(g[i]);
}
TEST(a_child_preempts_its_own) {
  SKIP_IF_IT_CANNOT;
  struct spinner s = {1, 0};
  CHECK_EQ(thrum_preempt_region(COMPUTES_CODE, 0), 0);
  thrum_rt* rt = rt_preempting(2, MS, 0);
  CHECK_EQ(thrum_run(rt, forks, &s), 0);
  rt_end(rt);
  CHECK_EQ(thrum_preempt_forget(COMPUTES_CODE), 0);
}

/* ---- domains ---------------------------------------------------------------------------- */

struct house {
  word asked, wrong_running, stop;
  struct spinner s;
};
static void ask_host(void* arg, void* running) { /* in the signal handler */
  struct house* h = arg;
  add(&h->asked, 1);
  if (running != h)
    add(&h->wrong_running, 1);
  __atomic_store_n(&h->stop, 1, __ATOMIC_SEQ_CST);
}
/* As an interpreter would: it looks at a flag that the hook sets. */
static void interpret(void* arg) {
  struct house* h = arg;
  for (int turn = 0; turn < 5; turn++) {
    while (!__atomic_load_n(&h->stop, __ATOMIC_RELAXED))
      __atomic_store_n(&h->s.n, h->s.n + 1, __ATOMIC_RELAXED);
    set(&h->stop, 0);
    CHECK_EQ(thrum_yield(), 0);
  }
}
static void domain_rounds(thrum_rt* rt, struct house* h, int in_the_house) {
  thrum_domain_ops ops;
  thrum_domain* d = NULL;
  memset(&ops, 0, sizeof ops);
  ops.struct_size = sizeof ops;
  ops.preempt = ask_host;
  REQUIRE_EQ(thrum_domain_new(rt, &ops, h, &d), 0);
  thrum_spawn_opts opts = spawn_opts();
  opts.domain = d;
  word ran = 0;
  thrum_g g, other;
  REQUIRE_EQ(thrum_spawn(rt, &opts, interpret, h, &g), 0);
  /* Somebody waits all the time: for the P, or for the domain. */
  while (thrum_join(rt, g, THRUM_TRY) == THRUM_EAGAIN) {
    REQUIRE_EQ(
        thrum_spawn(rt, in_the_house ? &opts : NULL, count_one, &ran, &other),
        0);
    CHECK_EQ(thrum_join(rt, other, THRUM_FOREVER), 0);
  }
  thrum_domain_release(d);
}
TEST(a_domain_is_asked) {
  SKIP_IF_IT_CANNOT;
  for (int in_the_house = 0; in_the_house < 2; in_the_house++) {
    struct house h = {0, 0, 0, {1, 0}};
    thrum_rt* rt = rt_preempting(in_the_house ? 2 : 1, MS, 0);
    domain_rounds(rt, &h, in_the_house);
    CHECK(get(&h.asked) >= 5);
    CHECK_EQ(h.wrong_running, 0);
    CHECK_EQ(counts_of(rt).preemptions, 0);
    rt_end(rt);
  }
}

/* Without the hook a G inside is stopped only where it may move. */
TEST(a_domain_without_a_hook) {
  SKIP_IF_IT_CANNOT;
  for (uint32_t flags = 0; flags < 2; flags++) {
    struct spinner s = {1, 0};
    thrum_domain_ops ops;
    thrum_domain* d = NULL;
    word ran = 0;
    thrum_g hog, other;
    memset(&ops, 0, sizeof ops);
    ops.struct_size = sizeof ops;
    CHECK_EQ(thrum_preempt_region(COMPUTES_CODE, flags), 0);
    thrum_rt* rt = rt_capped(1, MS, 0, 1);
    REQUIRE_EQ(thrum_domain_new(rt, &ops, NULL, &d), 0);
    thrum_spawn_opts opts = spawn_opts();
    opts.domain = d;
    REQUIRE_EQ(thrum_spawn(rt, &opts, spin, &s, &hog), 0);
    while (get(&s.n) == 0)
      check_pause();
    REQUIRE_EQ(thrum_spawn(rt, &opts, count_one, &ran, &other), 0);
    if (flags) {
      CHECK_EQ(thrum_join(rt, other, THRUM_FOREVER), 0);
      CHECK(counts_of(rt).preemptions > 0);
      set(&s.go_on, 0);
    } else {
      spin_through(&s, rt, 5);
      CHECK_EQ(thrum_join(rt, other, THRUM_FOREVER), 0);
      CHECK_EQ(counts_of(rt).preemptions, 0);
    }
    CHECK_EQ(thrum_join(rt, hog, THRUM_FOREVER), 0);
    thrum_domain_release(d);
    rt_end(rt);
    CHECK_EQ(thrum_preempt_forget(COMPUTES_CODE), 0);
  }
}

static const struct check_case cases[] = {
    CASE(registers_of_bound_gs),
    CASE(registers_of_migrating_gs),
    CASE(a_hog_among_a_hundred),
    CASE(hogs_take_turns),
    CASE(a_sleeper_beside_a_hog),
    CASE(code_that_is_not_declared),
    CASE(who_refuses_is_passed_by),
    CASE(a_declaration_taken_back),
    CASE(hold),
    CASE(little_stack_is_left),
    CASE(a_system_call_is_not_interrupted),
    CASE(who_may_enable),
    CASE(enabled_while_gs_run),
    CASE(alternate_stacks_and_masks_stay),
    CASE(run_ends_before_a_stopped_g),
    CASE(a_child_preempts_its_own),
    CASE(a_domain_is_asked),
    CASE(a_domain_without_a_hook)};
CHECK_MAIN(cases)
