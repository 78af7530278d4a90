/* mutant_wakes.c: who is woken, and who is not forgotten, where a rescue by sysmon, the clock or luck would hide it: one P
 * or two, and a slice that does not end in the life of a test. Written against three planted defects (tests/mutants): a
 * ready G never wakes an idle P; an earlier timer does not shorten the sleep of an idle M; a G that is displaced from
 * runnext is lost once in 100,000. */
#include "../support/check.h"

#include <thrum/thrum.h>

#include "../support/rt.h"

static const struct rt_kind ENDLESS_P2 = {"[2 P, endless slice]", 2, 0, 0, 3600 * SECOND};

/* Waits, without letting go of the P, until every other thread of the process sleeps: the Ms that looked for work have
 * given up, and nobody finds anything by chance. */
static int others_asleep(void) {
  DIR *dir = opendir("/proc/self/task");
  int me = thread_id(), asleep = 1;
  if (!dir) return 0;
  for (struct dirent *e; (e = readdir(dir)) != NULL && asleep;)
    if (e->d_name[0] != '.' && atoi(e->d_name) != me) asleep = thread_state(atoi(e->d_name)) == 'S';
  closedir(dir);
  return asleep;
}
static void wait_others_asleep(void) {
  for (int seen = 0; seen < 5;) {
    seen = others_asleep() ? seen + 1 : 0;
    check_pause();
  }
}

/* Computes, and never comes back to the scheduler, until *w is v. */
static void compute_until(const word *w, word v, const char *what) {
  int64_t give_up = real_now() + 8 * SECOND;
  while (get(w) < v && real_now() < give_up) {
  }
  CHECK_MSG(get(w) >= v, "%s", what);
}

/* ---- an idle P for a G that became ready --------------------------------------------------------------------------------------- */

struct pair {
  thrum_sem s[2];
  word about, ran;
};
struct pair_guest {
  struct pair *p;
  int i;
};
static void wait_for_permit(void *arg) {
  struct pair_guest *g = arg;
  add(&g->p->about, 1);
  CHECK_EQ(thrum_sem_acquire(&g->p->s[g->i], THRUM_FOREVER), 0);
  add(&g->p->ran, 1);
}
/* Two become ready while the only busy G computes. One of them may keep its place as the next here; for the other the idle
 * P must be woken. */
static void ready_two(void *arg) {
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
  wait_others_asleep();
  for (int i = 0; i < 2; i++) CHECK_EQ(thrum_sem_release(&p.s[i], 1), 0);
  compute_until(&p.ran, 1, "an idle P is not woken for a G that became ready");
  for (int i = 0; i < 2; i++) join_g(g[i]);
}
TEST(a_ready_g_wakes_an_idle_p) {
  for (int i = 0; i < 5; i++) in_rt(ENDLESS_P2, ready_two, NULL);
}

/* ---- an earlier timer and an M that sleeps for a later one ----------------------------------------------------------------------- */

struct timers {
  thrum_sem begin, main_goes_on;
  word asleep, about, woke;
};
static void sleep_long(void *arg) {
  struct timers *t = arg;
  add(&t->asleep, 1);
  CHECK_EQ(thrum_sleep(3600 * SECOND), THRUM_ECANCELED);
}
static void sleep_short(void *arg) {
  struct timers *t = arg;
  add(&t->about, 1);
  CHECK_EQ(thrum_sem_acquire(&t->begin, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_sem_release(&t->main_goes_on, 1), 0);
  CHECK_EQ(thrum_sleep(5 * MS), 0);
  add(&t->woke, 1);
}
/* An idle M sleeps until the one timer there is, in an hour. Then, with no other wake-up, a timer of 5 ms is armed on a P
 * that goes on computing. */
static void arm_earlier(void *arg) {
  struct timers t;
  (void)arg;
  memset(&t, 0, sizeof t);
  thrum_g longer = go(sleep_long, &t);
  compute_until(&t.asleep, 1, "an idle P is not woken for a new G");
  thrum_g shorter = go(sleep_short, &t);
  compute_until(&t.about, 1, "an idle P is not woken for a new G");
  wait_others_asleep();
  CHECK_EQ(thrum_sem_release(&t.begin, 1), 0);
  CHECK_EQ(thrum_sem_acquire(&t.main_goes_on, THRUM_FOREVER), 0);
  compute_until(&t.woke, 1, "a timer of a busy P waits for a later one");
  CHECK_EQ(thrum_cancel(NULL, longer), 0);
  join_g(longer);
  join_g(shorter);
}
TEST(an_earlier_timer_shortens_the_sleep) {
  for (int i = 0; i < 5; i++) in_rt(ENDLESS_P2, arm_earlier, NULL);
}

/* ---- many displaced ones ----------------------------------------------------------------------------------------------------------- */

enum { CROWD = 500 };
struct crowd {
  thrum_sem s;
  word about;
  int rounds;
};
static void be_displaced(void *arg) {
  struct crowd *c = arg;
  for (int i = 0; i < c->rounds; i++) {
    add(&c->about, 1);
    CHECK_EQ(thrum_sem_acquire(&c->s, THRUM_FOREVER), 0);
  }
  add(&c->about, 1);
}
/* Each release makes all of them ready one after the other; each takes the place of the one before it. */
static void displace_many(void *arg) {
  struct crowd c;
  thrum_g g[CROWD];
  (void)arg;
  memset(&c, 0, sizeof c);
  c.rounds = ROUNDS(250);
  for (int i = 0; i < CROWD; i++) g[i] = go(be_displaced, &c);
  for (int round = 0; round <= c.rounds; round++) {
    /* With one P a yield lets all others run to their next wait. */
    for (int i = 0; get(&c.about) < (word)CROWD * (round + 1); i++) {
      CHECK_EQ(thrum_yield(), 0);
      if (i > 100000) {
        CHECK_MSG(0, "round %d: %d Gs are lost", round, CROWD * (round + 1) - (int)get(&c.about));
        _exit(1); /* nobody could stop this runtime */
      }
    }
    if (round < c.rounds) CHECK_EQ(thrum_sem_release(&c.s, CROWD), 0);
  }
  for (int i = 0; i < CROWD; i++) join_g(g[i]);
}
TEST(no_displaced_g_is_lost) {
  in_rt(RT_SEQ, displace_many, NULL);
  in_rt(RT_P2, displace_many, NULL);
}

static const struct check_case cases[] = {
    CASE(a_ready_g_wakes_an_idle_p),
    CASE(an_earlier_timer_shortens_the_sleep),
    CASE(no_displaced_g_is_lost),
};
CHECK_MAIN(cases)
