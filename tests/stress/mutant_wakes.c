/* mutant_wakes.c: who is woken, and who is not forgotten, where a rescue by sysmon, the clock or luck would hide it: one P
 * or two, and a slice that does not end in the life of a test. Written against planted defects (tests/mutants): a ready G
 * never wakes an idle P; a steal loses a G; the global queue is not polled while there is local work; nobody runs the timers
 * of a busy P; a broadcast, a close or the last done of a waitgroup forgets a waiter; a G that is displaced from runnext is
 * lost once in 100,000, or one that a full queue gives away. */
#include "../support/check.h"

#include <thrum/thrum.h>

#include "../support/rt.h"

static const struct rt_kind ENDLESS_P2 = {"[2 P, endless slice]", 2, 0, 0,
                                          3600 * SECOND};

/* How often the other threads of the process have slept; 0: one of them does not sleep now. */
static uint64_t others_sleeps(void) {
  char path[64], line[128];
  uint64_t sum = 1, n;
  DIR* dir = opendir("/proc/self/task");
  int me = thread_id();
  if (!dir)
    return 0;
  for (struct dirent* e; (e = readdir(dir)) != NULL && sum;) {
    int tid = atoi(e->d_name);
    if (tid == 0 || tid == me)
      continue;
    snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
    FILE* f = thread_state(tid) == 'S' ? fopen(path, "re") : NULL;
    if (!f)
      sum = 0;
    /* (TSan has a thread that looks around all the time.) */
    while (f && !CHECK_TSAN && fgets(line, sizeof line, f))
      if (sscanf(line, "voluntary_ctxt_switches: %" SCNu64, &n) == 1)
        sum += n;
    if (f)
      fclose(f);
  }
  closedir(dir);
  return sum;
}
/* Waits, without letting go of the P, until every other thread of the process has slept through some of sysmon's looks after
 * memory (100 ms each): the Ms that looked for work have given up, and nobody finds anything by chance. */
static void wait_others_rest(void) {
  uint64_t before = 0;
  for (int64_t since = real_now(); real_now() - since < 350 * MS;) {
    uint64_t now = others_sleeps();
    if (now == 0 || now != before)
      since = real_now();
    before = now;
    check_pause();
  }
}

/* Computes, and never comes back to the scheduler, until *w is v. */
static void compute_until(const word* w, word v, const char* what) {
  int64_t give_up = real_now() + 5 * SECOND;
  while (get(w) < v && real_now() < give_up) {}
  if (get(w) < v) {
    CHECK_MSG(0, "%s", what);
    _exit(1); /* with a lost G or a late timer the runtime would never stop */
  }
}

/* From here on this P wakes nobody by itself for some short work: its dispatches have been short for long. */
static void settle_down(void) {
  for (int i = 0; i < 20000; i++)
    CHECK_EQ(thrum_yield(), 0);
  wait_others_rest();
}

/* ---- an idle P for a G that became ready --------------------------------------------------------------------------------------- */

struct pair {
  thrum_sem s[2];
  word about, ran;
};
struct pair_guest {
  struct pair* p;
  int i;
};
static void wait_for_permit(void* arg) {
  struct pair_guest* g = arg;
  add(&g->p->about, 1);
  CHECK_EQ(thrum_sem_acquire(&g->p->s[g->i], THRUM_FOREVER), 0);
  add(&g->p->ran, 1);
}
/* Two become ready while the only busy G computes. One of them may keep its place as the next here; for the other the idle
 * P must be woken. */
static void ready_two(void* arg) {
  struct pair p;
  struct pair_guest guest[2];
  thrum_g g[2];
  (void)arg;
  memset(&p, 0, sizeof p);
  for (int i = 0; i < 2; i++) {
    guest[i] = (struct pair_guest){&p, i};
    g[i] = go(wait_for_permit, &guest[i]);
  }
  compute_until(&p.about, 2, "an idle P is not woken for a new G");
  wait_others_rest();
  for (int i = 0; i < 2; i++)
    CHECK_EQ(thrum_sem_release(&p.s[i], 1), 0);
  compute_until(&p.ran, 1, "an idle P is not woken for a G that became ready");
  for (int i = 0; i < 2; i++)
    join_g(g[i]);
}
TEST(a_ready_g_wakes_an_idle_p) {
  for (int i = 0; i < 5; i++)
    in_rt(ENDLESS_P2, ready_two, NULL);
}

/* ---- a steal ------------------------------------------------------------------------------------------------------------------------ */

enum { LOOT = 40 };
struct loot {
  thrum_sem s;
  word about, ran;
};
static void be_stolen(void* arg) {
  struct loot* l = arg;
  add(&l->about, 1);
  CHECK_EQ(thrum_sem_acquire(&l->s, THRUM_FOREVER), 0);
  add(&l->ran, 1);
}
static void do_nothing(void* arg) { (void)arg; }
static void* call_for_thieves(void* rt) {
  go_in(rt, do_nothing, NULL);
  return NULL;
}
/* Many are ready on a P that goes on computing when the other P begins to look for work: it must steal them, half of the
 * queue at a time, and run them all. */
static void ready_many(void* arg) {
  struct loot l;
  thrum_g g[LOOT];
  pthread_t t;
  (void)arg;
  memset(&l, 0, sizeof l);
  for (int i = 0; i < LOOT; i++)
    g[i] = go(be_stolen, &l);
  compute_until(&l.about, LOOT, "an idle P is not woken for a new G");
  settle_down();
  CHECK_EQ(thrum_sem_release(&l.s, LOOT), 0);
  REQUIRE_EQ(pthread_create(&t, NULL, call_for_thieves, thrum_rt_current()), 0);
  compute_until(&l.ran, LOOT, "a G is lost on its way to another P");
  for (int i = 0; i < LOOT; i++)
    join_g(g[i]);
  pthread_join(t, NULL);
}
TEST(all_that_is_stolen_runs) {
  for (int i = 0; i < 3; i++)
    in_rt(ENDLESS_P2, ready_many, NULL);
}

/* ---- the global queue ------------------------------------------------------------------------------------------------------------ */

struct outside {
  thrum_rt* rt;
  word arrived, ran, stop;
};
static void run_once(void* arg) { add(&((struct outside*)arg)->ran, 1); }
static void* arrive(void* arg) {
  struct outside* o = arg;
  go_in(o->rt, run_once, o);
  set(&o->arrived, 1);
  return NULL;
}
static void yield_until_stopped(void* arg) {
  while (!get(&((struct outside*)arg)->stop))
    CHECK_EQ(thrum_yield(), 0);
}
/* A G that came from outside gets its turn within some 61 dispatches, however much local work there is. */
static void busy_at_home(void* arg) {
  struct outside* o = arg;
  thrum_g partner = go(yield_until_stopped, o);
  for (int round = 1; round <= 20; round++) {
    pthread_t t;
    int waited = 0;
    set(&o->arrived, 0);
    REQUIRE_EQ(pthread_create(&t, NULL, arrive, o), 0);
    yield_until(&o->arrived, 1);
    for (; get(&o->ran) < round && waited < 10000; waited++)
      CHECK_EQ(thrum_yield(), 0);
    CHECK_LE(waited, 200);
    pthread_join(t, NULL);
    if (waited > 200)
      break;
  }
  set(&o->stop, 1);
  join_g(partner);
}
TEST(the_global_queue_gets_its_turn) {
  struct outside o = {rt_make(RT_SEQ), 0, 0, 0};
  CHECK_EQ(thrum_run(o.rt, busy_at_home, &o), 0);
  rt_end(o.rt);
}

/* ---- an earlier timer and an M that sleeps for a later one ----------------------------------------------------------------------- */

struct timers {
  thrum_sem short_begins, busy_begins;
  word asleep, about, woke;
};
static void sleep_long(void* arg) {
  struct timers* t = arg;
  add(&t->asleep, 1);
  CHECK_EQ(thrum_sleep(3600 * SECOND), THRUM_ECANCELED);
}
static void sleep_short(void* arg) {
  struct timers* t = arg;
  add(&t->about, 1);
  CHECK_EQ(thrum_sem_acquire(&t->short_begins, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_sleep(5 * MS), 0);
  add(&t->woke, 1);
}
static void stay_busy(void* arg) {
  struct timers* t = arg;
  add(&t->about, 1);
  CHECK_EQ(thrum_sem_acquire(&t->busy_begins, THRUM_FOREVER), 0);
  compute_until(&t->woke, 1, "a timer of a busy P waits for a later one");
}
/* An idle M sleeps until the one timer there is, in an hour. Then a timer of 5 ms is armed on a P that goes on computing.
 * (That the M itself wakes earlier is seen by unit/sched: sysmon wakes it too, somewhat later.) */
static void arm_earlier(void* arg) {
  struct timers t;
  (void)arg;
  memset(&t, 0, sizeof t);
  thrum_g longer = go(sleep_long, &t);
  compute_until(&t.asleep, 1, "an idle P is not woken for a new G");
  thrum_g busy = go(stay_busy, &t), shorter = go(sleep_short, &t);
  compute_until(&t.about, 2, "an idle P is not woken for a new G");
  settle_down();
  CHECK_EQ(thrum_sem_release(&t.busy_begins, 1), 0);
  CHECK_EQ(thrum_sem_release(&t.short_begins, 1), 0);
  CHECK_EQ(
      thrum_yield(),
      0); /* to the short sleeper, from there to the busy one, and this G still waits for its turn */
  join_g(shorter);
  CHECK_EQ(thrum_cancel(NULL, longer), 0);
  join_g(longer);
  join_g(busy);
}
TEST(a_busy_p_has_its_timers_run) {
  for (int i = 0; i < 5; i++)
    in_rt(ENDLESS_P2, arm_earlier, NULL);
}

/* ---- all at once ------------------------------------------------------------------------------------------------------------------ */

enum { GUESTS = 9 };
struct party {
  thrum_mutex m;
  thrum_cond c;
  thrum_wg wg;
  thrum_chan* ch;
  word about, through;
  int open;
};
static void until_broadcast(void* arg) {
  struct party* p = arg;
  CHECK_EQ(thrum_mutex_lock(&p->m, THRUM_FOREVER), 0);
  add(&p->about, 1);
  while (!p->open)
    CHECK_EQ(thrum_cond_wait(&p->c, &p->m, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_mutex_unlock(&p->m), 0);
  add(&p->through, 1);
}
static void until_done(void* arg) {
  struct party* p = arg;
  add(&p->about, 1);
  CHECK_EQ(thrum_wg_wait(&p->wg, THRUM_FOREVER), 0);
  add(&p->through, 1);
}
static void until_closed(void* arg) {
  struct party* p = arg;
  char c;
  add(&p->about, 1);
  CHECK_EQ(thrum_chan_recv(p->ch, &c, THRUM_FOREVER), THRUM_ECLOSED);
  add(&p->through, 1);
}
/* One broadcast, one last done, one close: for everyone who waits. */
static void let_all_in(void* arg) {
  static const thrum_fn ways[] = {until_broadcast, until_done, until_closed};
  (void)arg;
  for (int way = 0; way < 3; way++) {
    struct party p;
    thrum_g g[GUESTS];
    memset(&p, 0, sizeof p);
    REQUIRE_EQ(thrum_chan_new(1, 0, &p.ch), 0);
    CHECK_EQ(thrum_wg_add(&p.wg, 1), 0);
    for (int i = 0; i < GUESTS; i++)
      g[i] = go(ways[way], &p);
    yield_until(&p.about, GUESTS);
    let_others_run();
    CHECK_EQ(p.through, 0);
    CHECK_EQ(thrum_mutex_lock(&p.m, THRUM_FOREVER), 0);
    p.open = 1;
    CHECK_EQ(thrum_cond_broadcast(&p.c), 0);
    CHECK_EQ(thrum_mutex_unlock(&p.m), 0);
    CHECK_EQ(thrum_wg_done(&p.wg), 0);
    CHECK_EQ(thrum_chan_close(p.ch), 0);
    for (int i = 0; i < 1000 && get(&p.through) < GUESTS; i++)
      CHECK_EQ(thrum_yield(), 0);
    REQUIRE_EQ(p.through, GUESTS);
    for (int i = 0; i < GUESTS; i++)
      join_g(g[i]);
    thrum_chan_release(p.ch);
  }
}
TEST(nobody_is_forgotten) { in_sequence(let_all_in, NULL); }

/* ---- many displaced ones ----------------------------------------------------------------------------------------------------------- */

enum { CROWD = 500 };
struct crowd {
  thrum_sem s;
  word about;
  int rounds;
};
static void be_displaced(void* arg) {
  struct crowd* c = arg;
  for (int i = 0; i < c->rounds; i++) {
    add(&c->about, 1);
    CHECK_EQ(thrum_sem_acquire(&c->s, THRUM_FOREVER), 0);
  }
  add(&c->about, 1);
}
/* Each release makes all of them ready one after the other; each takes the place of the one before it. */
static void displace_many(void* arg) {
  struct crowd c;
  thrum_g g[CROWD];
  (void)arg;
  memset(&c, 0, sizeof c);
  c.rounds = ROUNDS(250);
  for (int i = 0; i < CROWD; i++)
    g[i] = go(be_displaced, &c);
  for (int round = 0; round <= c.rounds; round++) {
    /* With one P a yield lets others run; some thousand let all run to their next wait. */
    for (int i = 0; get(&c.about) < (word)CROWD * (round + 1); i++) {
      CHECK_EQ(thrum_yield(), 0);
      if (i > 100000) {
        CHECK_MSG(0, "round %d: %d Gs are lost", round,
                  CROWD * (round + 1) - (int)get(&c.about));
        _exit(1); /* nobody could stop this runtime */
      }
    }
    if (round < c.rounds)
      CHECK_EQ(thrum_sem_release(&c.s, CROWD), 0);
  }
  for (int i = 0; i < CROWD; i++)
    join_g(g[i]);
}
TEST(no_displaced_g_is_lost) { in_rt(RT_SEQ, displace_many, NULL); }

static const struct check_case cases[] = {
    CASE(a_ready_g_wakes_an_idle_p),
    CASE(all_that_is_stolen_runs),
    CASE(the_global_queue_gets_its_turn),
    CASE(a_busy_p_has_its_timers_run),
    CASE(nobody_is_forgotten),
    CASE(no_displaced_g_is_lost),
};
CHECK_MAIN(cases)
