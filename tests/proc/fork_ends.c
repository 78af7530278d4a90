/* fork_ends.c: how a child ends whose G, hook or callback forked and then
 * returns. On a thread that the host lent, the call that lent it gives
 * THRUM_EFORKED; on a thread of the runtime's the process ends with 0. Nothing
 * else of the parent's runs in the child. */
#include "../support/check.h"

#include <thrum/host.h>

#define FORKS_UNWATCHED
#include "../support/forks.h"
#include "../support/rt.h"

/* Both sides of a fork return from it: the child says so (fork_is_child), the
 * parent waits until its child has ended well. */
static void fork_here(void) {
  if (fork_is_child) /* one child is enough */
    return;
  pid_t pid = fork_child();
  if (pid == 0)
    return;
  int status = child_status(pid);
  CHECK_MSG(status == 0, "the child ended with status 0x%x", status);
}
static void forks(void* arg) {
  (void)arg;
  fork_here();
}
static void count_up(void* arg) { add(arg, 1); }

/* The call that lent this thread has come back. */
static void lands(const char* call, int result, int want, thrum_rt* rt) {
  if (!fork_is_child) {
    CHECK_MSG(result == want, "%s gives %d to the parent", call, result);
    return;
  }
  word n = 0;
  CHECK_MSG(result == THRUM_EFORKED, "%s gives %d to the child", call, result);
  CHECK_EQ(thrum_procs(rt), THRUM_EFORKED);
  CHECK_EQ(thrum_yield(), THRUM_ENOTG); /* it is a thread like any, again */
  CHECK_EQ(thrum_sleep(1000), 0);
  thrum_rt* own = rt_make(RT_P2);
  CHECK_EQ(thrum_run(own, count_up, &n), 0);
  CHECK_EQ(thrum_join(own, go_in(own, count_up, &n), SOON), 0);
  CHECK_EQ(get(&n), 2);
  rt_end(own);
  child_done();
}

/* ---- the G returns -------------------------------------------------------- */

static void wait_for(void* arg) {
  CHECK_EQ(thrum_join(NULL, *(thrum_g*)arg, THRUM_FOREVER), 0);
}
/* The first G waits for another: in the child it is never resumed. */
static void other_forks(void* arg) {
  thrum_g g = go(forks, NULL), also = go(wait_for, &g);
  join_g(also);
  CHECK(!fork_is_child);
  (void)arg;
}
TEST(run) {
  const struct rt_kind kinds[] = {RT_HOSTED, RT_DET1, RT_DET2};
  const thrum_fn fns[] = {forks, other_forks};
  for (int i = 0; i < 3; i++)
    for (int k = 0; k < 2; k++) {
      thrum_rt* rt = rt_make(kinds[i]);
      lands("run", thrum_run(rt, fns[k], NULL), 0, rt);
      rt_end(rt);
    }
}
/* On the caller or on a thread of the runtime's: the child ends well in both
 * cases. */
TEST(run_anywhere) {
  thrum_rt* rt = rt_make(RT_P2);
  for (int i = 0; i < ROUNDS(20); i++) {
    lands("run", thrum_run(rt, forks, NULL), 0, rt);
    lands("run", thrum_run(rt, other_forks, NULL), 0, rt);
  }
  rt_end(rt);
}
TEST(pump) {
  thrum_rt* rt = rt_make(RT_HOSTED);
  for (int i = 0; i < 5; i++) {
    go_in(rt, forks, NULL);
    lands("pump", thrum_pump(rt, THRUM_FOREVER), 0, rt);
  }
  rt_end(rt);
}

/* Stopping runs the Gs of a hosted runtime, and those that are pinned to the
 * thread that stops. */
static void forks_when_cancelled(void* arg) {
  CHECK_EQ(thrum_park("the stop", THRUM_FOREVER), THRUM_ECANCELED);
  fork_here();
  (void)arg;
}
static void leaves_one_behind(void* arg) {
  thrum_spawn_opts here = spawn_opts();
  here.affinity = THRUM_PIN_M;
  CHECK_EQ(thrum_lock_thread(), 0); /* else it might begin elsewhere */
  go_with(&here, forks_when_cancelled, NULL);
  (void)arg;
}
TEST(stop) {
  const struct rt_kind kinds[] = {RT_HOSTED, RT_P2};
  for (int i = 0; i < 2; i++) {
    thrum_rt* rt = rt_make(kinds[i]);
    CHECK_EQ(thrum_run(rt, leaves_one_behind, NULL), 0);
    lands("stop", thrum_rt_stop(rt, THRUM_FOREVER), 0, rt);
    thrum_rt_free(rt);
  }
}

/* On a thread of the runtime's the process ends, as by its last thread. */
static word* told; /* shared */
static void tell_exit(void) { add(&told[0], 1); }
static void tell_start(void* arg) { (void)arg; }
static void tell_stop(void* arg) {
  (void)arg;
  if (fork_is_child)
    add(&told[1], 1);
}
static void forks_and_tells(void* arg) {
  word n = 0;
  fork_here();
  if (fork_is_child) {
    atexit(tell_exit);
    /* Threads of the child's own do not keep it. */
    thrum_rt* own = rt_make(RT_P2);
    CHECK_EQ(thrum_join(own, go_in(own, count_up, &n), SOON), 0);
  }
  (void)arg;
}
TEST(own_thread) {
  thrum_rt* rt = rt_make(RT_P2);
  told = shared_words();
  CHECK_EQ(thrum_on_thread(rt, tell_start, tell_stop, NULL), 0);
  for (int i = 1; i <= ROUNDS(20); i++) {
    thrum_g g = go_in(rt, forks_and_tells, NULL);
    CHECK_EQ(thrum_join(rt, g, SOON), 0);
    CHECK_EQ(get(&told[0]), i);
  }
  CHECK_EQ(get(&told[1]), 0); /* the hook is the parent's */
  rt_end(rt);
}

/* ---- a callback returns --------------------------------------------------- */

static uint32_t first_key, second_key;
static void local_forks(void* value) {
  fork_here();
  (void)value;
}
static void never_in_child(void* value) {
  (void)value;
  CHECK(!fork_is_child);
}
static void has_locals(void* arg) {
  (void)arg;
  CHECK_EQ(thrum_local_set(first_key, &first_key), 0);
  CHECK_EQ(thrum_local_set(second_key, &second_key), 0);
}
static void each_forks(void* arg, const thrum_g_info* info) {
  (void)info;
  if (add(arg, 1) == 1)
    fork_here();
}
static void once_g(void* arg) {
  thrum_once o = THRUM_ONCE_INIT;
  CHECK_EQ(thrum_once_do(&o, forks, NULL), 0);
  CHECK_EQ(thrum_once_do(&o, never_in_child, NULL), 0);
  CHECK_EQ(thrum_yield(), fork_is_child ? THRUM_EFORKED : 0);
  (void)arg;
}
static void drops_g(void* arg) {
  thrum_spawn_opts opts = spawn_opts();
  opts.drop = forks;
  join_g(go_with(&opts, never_in_child, NULL));
  opts.drop = never_in_child;
  join_g(go_with(&opts, has_locals, NULL));
  CHECK(!fork_is_child);
  (void)arg;
}
static void each_g(void* arg) {
  word n = 0;
  thrum_g g[3];
  for (int i = 0; i < 3; i++)
    g[i] = go(never_in_child, NULL);
  CHECK_EQ(thrum_g_each(NULL, each_forks, &n),
           fork_is_child ? THRUM_EFORKED : 0);
  CHECK_EQ(get(&n), fork_is_child ? 1 : 4);
  for (int i = 0; i < 3 && !fork_is_child; i++)
    join_g(g[i]);
  (void)arg;
}
TEST(callbacks) {
  const thrum_fn fns[] = {once_g, drops_g, each_g};
  CHECK_EQ(thrum_local_new(local_forks, &first_key), 0);
  CHECK_EQ(thrum_local_new(never_in_child, &second_key), 0);
  for (int i = 0; i < 3; i++) {
    thrum_rt* rt = rt_make(RT_HOSTED);
    lands("run", thrum_run(rt, fns[i], NULL), 0, rt);
    rt_end(rt);
  }
}
TEST(callbacks_on_a_thread) {
  thrum_once o = THRUM_ONCE_INIT;
  word n = 0;
  thrum_rt* rt = rt_make(RT_HOSTED);
  CHECK_EQ(thrum_once_do(&o, forks, NULL), 0);
  if (fork_is_child) {
    CHECK_EQ(thrum_once_do(&o, never_in_child, NULL), 0);
    child_done();
  }
  for (int i = 0; i < 3; i++)
    go_in(rt, count_up, &n);
  n = 0;
  lands("g_each", thrum_g_each(rt, each_forks, &n), 0, rt);
  CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), 0);
  rt_end(rt);
}

/* ---- a hook returns ------------------------------------------------------- */

/* Which call forks: the n-th of this hook, counted over one parent. */
enum hook { ACQUIRE, SWITCH_IN, SWITCH_OUT, RELEASE, GUEST, HOOKS };
static const char* const hook_names[] = {"acquire", "switch in", "switch out",
                                         "release", "G"};
struct domain {
  thrum_rt* rt;
  thrum_domain* d;
  enum hook forks_in;
  word held, inside; /* must be 0 when the thread is back */
  word in_child;     /* hooks and Gs that began in the child */
};
static void in_hook(struct domain* d, enum hook which) {
  if (fork_is_child)
    add(&d->in_child, 1);
  else if (d->forks_in == which)
    fork_here();
}
static int acquires(void* arg) {
  struct domain* d = arg;
  add(&d->held, 1);
  in_hook(d, ACQUIRE);
  return 0;
}
static void releases(void* arg) {
  struct domain* d = arg;
  add(&d->held, -1);
  in_hook(d, RELEASE);
}
static void switches(void* arg, void* from, void* to) {
  struct domain* d = arg;
  add(&d->inside, (to != NULL) - (from != NULL));
  in_hook(d, to ? SWITCH_IN : SWITCH_OUT);
}
static void guest(void* arg) {
  CHECK(!fork_is_child);
  in_hook(arg, GUEST);
}

static void domain_begin(struct domain* d, struct rt_kind kind, uint32_t flags,
                         enum hook forks_in) {
  thrum_domain_ops ops;
  memset(d, 0, sizeof *d);
  memset(&ops, 0, sizeof ops);
  ops.struct_size = sizeof ops;
  ops.flags = flags;
  ops.acquire = acquires;
  ops.release = releases;
  ops.switch_to = switches;
  d->rt = rt_make(kind);
  d->forks_in = forks_in;
  REQUIRE_EQ(thrum_domain_new(d->rt, &ops, d, &d->d), 0);
  thrum_spawn_opts opts = spawn_opts();
  opts.domain = d->d;
  for (int i = 0; i < 2; i++)
    CHECK_EQ(thrum_spawn(d->rt, &opts, guest, d, NULL), 0);
}
/* In the child the hooks that let the host go still come, once each, and no G. */
static void domain_back(struct domain* d, const char* call, int result) {
  static const word due[] = {[ACQUIRE] = 1,
                             [SWITCH_IN] = 2,
                             [SWITCH_OUT] = 1,
                             [RELEASE] = 0,
                             [GUEST] = 2};
  CHECK_EQ(get(&d->held), 0);
  CHECK_EQ(get(&d->inside), 0);
  CHECK_EQ(get(&d->in_child), fork_is_child ? due[d->forks_in] : 0);
  lands(call, result, 0, d->rt);
  thrum_domain_release(d->d);
  rt_end(d->rt);
}
TEST(hooks_in_a_pump) {
  for (int which = 0; which < HOOKS; which++) {
    struct domain d;
    check_context = hook_names[which];
    domain_begin(&d, RT_HOSTED, 0, (enum hook)which);
    domain_back(&d, "pump", thrum_pump(d.rt, THRUM_FOREVER));
    domain_begin(&d, RT_HOSTED, THRUM_DOMAIN_PUMPED, (enum hook)which);
    domain_back(&d, "domain_pump", thrum_domain_pump(d.d, THRUM_FOREVER));
  }
}
/* The same on threads of the runtime's: the child ends, with 0. */
TEST(hooks_on_own_threads) {
  for (int which = 0; which < HOOKS; which++) {
    struct domain d;
    thrum_g g;
    check_context = hook_names[which];
    domain_begin(&d, RT_P2, 0, (enum hook)which);
    thrum_spawn_opts opts = spawn_opts();
    opts.domain = d.d;
    CHECK_EQ(thrum_spawn(d.rt, &opts, guest, &d, &g), 0);
    CHECK_EQ(thrum_join(d.rt, g, SOON), 0);
    thrum_domain_release(d.d);
    rt_end(d.rt);
  }
}
TEST(thread_hooks) {
  for (int stop = 0; stop < 2; stop++) {
    word n = 0;
    thrum_rt* rt = rt_make(RT_P2);
    CHECK_EQ(
        thrum_on_thread(rt, stop ? NULL : forks, stop ? forks : NULL, NULL), 0);
    CHECK_EQ(thrum_join(rt, go_in(rt, count_up, &n), SOON), 0);
    CHECK_EQ(get(&n), 1);
    rt_end(rt);
  }
}

/* ---- in a child's own runtime --------------------------------------------- */

/* The child of a G runs a G of its own on the same thread, and that one forks:
 * the grandchild falls back through both. */
static void twice(void* arg) {
  thrum_rt** outer = arg;
  fork_here();
  if (!fork_is_child)
    return;
  CHECK_EQ(thrum_yield(), THRUM_EFORKED);
  thrum_rt* own = rt_make(RT_HOSTED);
  fork_is_child = 0;
  int result = thrum_run(own, forks, NULL);
  CHECK_EQ(result, fork_is_child ? THRUM_EFORKED : 0);
  fork_is_child = 1;
  CHECK_EQ(thrum_yield(), THRUM_EFORKED); /* the code of the first G, still */
  CHECK_EQ(thrum_procs(*outer), THRUM_EFORKED);
}
TEST(a_g_of_the_child_forks) {
  thrum_rt* rt = rt_make(RT_HOSTED);
  lands("run", thrum_run(rt, twice, &rt), 0, rt);
  rt_end(rt);
}

static const struct check_case cases[] = {CASE(run),
                                          CASE(run_anywhere),
                                          CASE(pump),
                                          CASE(stop),
                                          CASE(own_thread),
                                          CASE(callbacks),
                                          CASE(callbacks_on_a_thread),
                                          CASE(hooks_in_a_pump),
                                          CASE(hooks_on_own_threads),
                                          CASE(thread_hooks),
                                          CASE(a_g_of_the_child_forks)};
CHECK_MAIN(cases)
