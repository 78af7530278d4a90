/* stuck.c: Gs that nobody will ever wake are reported, and no others. */
#include "../support/check.h"

#include <stdlib.h>
#include <thrum/net.h>
#include <thrum/observe.h>
#include <unistd.h>

#include "../support/child.h"
#include "../support/rt.h"

#define FOREVER THRUM_FOREVER
#define YEAR thrum_after(365 * 24 * 3600 * SECOND)

/* What one scenario needs. Its Gs are named: those named "stuck" must be reported;
 * those named "alike" wait, and must not; all others are there for them. */
struct scene {
  thrum_rt* rt;
  thrum_mutex m[3];
  thrum_rwmutex rw[2];
  thrum_once once[2];
  thrum_cond cond;
  thrum_wg wg;
  thrum_sem sem;
  thrum_chan* ch[2];
  word flag[4];
  thrum_g g[3];
  word spawned; /* the g's are known */
  int fds[2];
};

static thrum_g named(struct scene* s, const char* name, thrum_fn fn) {
  thrum_spawn_opts o = spawn_opts();
  thrum_g g;
  o.name = name;
  REQUIRE_EQ(thrum_spawn(s->rt, &o, fn, s, &g), 0);
  return g;
}
static thrum_g stuck(struct scene* s, thrum_fn fn) {
  return named(s, "stuck", fn);
}
static thrum_g alike(struct scene* s, thrum_fn fn) {
  return named(s, "alike", fn);
}
static thrum_g other(struct scene* s, thrum_fn fn) {
  return named(s, "other", fn);
}
static void tell(struct scene* s, int flag) { set(&s->flag[flag], 1); }
static void await(struct scene* s, int flag) {
  while (!get(&s->flag[flag]))
    thrum_sleep(100000);
}
static void await_spawned(struct scene* s) {
  while (!get(&s->spawned))
    thrum_sleep(100000);
}
static void sleep_on(void) {
  for (;;)
    thrum_sleep(MS);
}
static void chan_new(struct scene* s, int i, uint32_t capacity, int counted) {
  REQUIRE_EQ(thrum_chan_new(1, capacity, &s->ch[i]), 0);
  if (counted)
    REQUIRE_EQ(thrum_chan_counted(s->ch[i]), 0);
}
static void recv_0(void* arg) {
  struct scene* s = arg;
  char c;
  thrum_chan_recv(s->ch[0], &c, FOREVER);
}
static void recv_1(void* arg) {
  struct scene* s = arg;
  char c;
  thrum_chan_recv(s->ch[1], &c, FOREVER);
}
static void send_0(void* arg) {
  struct scene* s = arg;
  thrum_chan_send(s->ch[0], "x", FOREVER);
}
static void ends(void* arg) { (void)arg; }
static void sleeps(void* arg) {
  (void)arg;
  sleep_on();
}

/* ---- mutexes, rwmutexes, once --------------------------------------------------- */

static void lock_in_turn(struct scene* s, int mine, int theirs, int n) {
  thrum_mutex_lock(&s->m[mine], FOREVER);
  tell(s, mine);
  for (int i = 0; i < n; i++)
    await(s, i);
  thrum_mutex_lock(&s->m[theirs], FOREVER);
}
static void lock_0_1(void* arg) { lock_in_turn(arg, 0, 1, 2); }
static void lock_1_0(void* arg) { lock_in_turn(arg, 1, 0, 2); }
static void lock_0_1_of_3(void* arg) { lock_in_turn(arg, 0, 1, 3); }
static void lock_1_2_of_3(void* arg) { lock_in_turn(arg, 1, 2, 3); }
static void lock_2_0_of_3(void* arg) { lock_in_turn(arg, 2, 0, 3); }
static void lock_0_late(void* arg) {
  struct scene* s = arg;
  await(s, 0);
  thrum_mutex_lock(&s->m[0], FOREVER);
}
static void lock_0_and_end(void* arg) {
  struct scene* s = arg;
  thrum_mutex_lock(&s->m[0], FOREVER);
  tell(s, 0);
}
static void lock_0_and_sleep(void* arg) {
  lock_0_and_end(arg);
  sleep_on();
}
static void lock_0_and_block(void* arg) {
  struct scene* s = arg;
  char c;
  lock_0_and_end(arg);
  thrum_enter_blocking();
  CHECK_EQ(read(s->fds[0], &c, 1), 1);
  thrum_exit_blocking();
}
static void lock_0_and_recv(void* arg) {
  lock_0_and_end(arg);
  recv_0(arg);
}
static void lock_1_0_in_time(void* arg) {
  struct scene* s = arg;
  thrum_mutex_lock(&s->m[1], FOREVER);
  tell(s, 1);
  await(s, 0);
  thrum_mutex_lock(&s->m[0], YEAR);
}
static void write_0_1(void* arg) {
  struct scene* s = arg;
  thrum_rwmutex_lock(&s->rw[0], FOREVER);
  tell(s, 0);
  await(s, 1);
  thrum_rwmutex_lock(&s->rw[1], FOREVER);
}
static void write_1_read_0(void* arg) {
  struct scene* s = arg;
  thrum_rwmutex_lock(&s->rw[1], FOREVER);
  tell(s, 1);
  await(s, 0);
  thrum_rwmutex_rlock(&s->rw[0], FOREVER);
}
static void write_0_and_end(void* arg) {
  struct scene* s = arg;
  thrum_rwmutex_lock(&s->rw[0], FOREVER);
  tell(s, 0);
}
static void read_0_and_sleep(void* arg) {
  struct scene* s = arg;
  thrum_rwmutex_rlock(&s->rw[0], FOREVER);
  tell(s, 0);
  sleep_on();
}
static void read_0_late(void* arg) {
  struct scene* s = arg;
  await(s, 0);
  thrum_rwmutex_rlock(&s->rw[0], FOREVER);
}
static void write_0_late(void* arg) {
  struct scene* s = arg;
  await(s, 0);
  thrum_rwmutex_lock(&s->rw[0], FOREVER);
}
static void lock_0_write_0(void* arg) {
  struct scene* s = arg;
  thrum_mutex_lock(&s->m[0], FOREVER);
  tell(s, 0);
  await(s, 1);
  thrum_rwmutex_lock(&s->rw[0], FOREVER);
}
static void write_0_lock_0(void* arg) {
  struct scene* s = arg;
  thrum_rwmutex_lock(&s->rw[0], FOREVER);
  tell(s, 1);
  await(s, 0);
  thrum_mutex_lock(&s->m[0], FOREVER);
}
static void once_1_inside(void* arg) {
  struct scene* s = arg;
  tell(s, 0);
  await(s, 1);
  thrum_once_do(&s->once[1], ends, s);
}
static void once_0_inside(void* arg) {
  struct scene* s = arg;
  tell(s, 1);
  await(s, 0);
  thrum_once_do(&s->once[0], ends, s);
}
static void once_0_1(void* arg) {
  struct scene* s = arg;
  thrum_once_do(&s->once[0], once_1_inside, s);
}
static void once_1_0(void* arg) {
  struct scene* s = arg;
  thrum_once_do(&s->once[1], once_0_inside, s);
}
static void once_locks(void* arg) {
  struct scene* s = arg;
  tell(s, 0);
  await(s, 1);
  thrum_mutex_lock(&s->m[1], FOREVER);
}
static void once_0_lock(void* arg) {
  struct scene* s = arg;
  thrum_once_do(&s->once[0], once_locks, s);
}
static void lock_1_once_0(void* arg) {
  struct scene* s = arg;
  thrum_mutex_lock(&s->m[1], FOREVER);
  tell(s, 1);
  await(s, 0);
  thrum_once_do(&s->once[0], ends, s);
}
static void once_sleeps(void* arg) {
  tell(arg, 0);
  sleep_on();
}
static void once_0_and_sleep(void* arg) {
  struct scene* s = arg;
  thrum_once_do(&s->once[0], once_sleeps, s);
}
static void once_0_late(void* arg) {
  struct scene* s = arg;
  await(s, 0);
  thrum_once_do(&s->once[0], ends, s);
}

static void mutex_circle(struct scene* s) {
  stuck(s, lock_0_1);
  stuck(s, lock_1_0);
}
static void mutex_circle_of_3(struct scene* s) {
  stuck(s, lock_0_1_of_3);
  stuck(s, lock_1_2_of_3);
  stuck(s, lock_2_0_of_3);
}
static void behind_a_circle(struct scene* s) {
  mutex_circle(s);
  stuck(s, lock_0_late);
}
static void mutex_of_the_dead(struct scene* s) {
  other(s, lock_0_and_end);
  stuck(s, lock_0_late);
  stuck(s, lock_0_late);
}
static void rwmutex_circle(struct scene* s) {
  stuck(s, write_0_1);
  stuck(s, write_1_read_0);
}
static void rwmutex_of_the_dead(struct scene* s) {
  other(s, write_0_and_end);
  stuck(s, read_0_late);
  stuck(s, write_0_late);
}
static void mixed_circle(struct scene* s) {
  stuck(s, lock_0_write_0);
  stuck(s, write_0_lock_0);
}
static void once_circle(struct scene* s) {
  stuck(s, once_0_1);
  stuck(s, once_1_0);
}
static void once_and_mutex(struct scene* s) {
  stuck(s, once_0_lock);
  stuck(s, lock_1_once_0);
}

static void mutex_of_a_sleeper(struct scene* s) {
  other(s, lock_0_and_sleep);
  alike(s, lock_0_late);
}
static void mutex_of_a_thread(struct scene* s) {
  REQUIRE_EQ(thrum_mutex_lock(&s->m[0], FOREVER), 0);
  tell(s, 0);
  alike(s, lock_0_late);
}
static void circle_with_a_deadline(struct scene* s) {
  alike(s, lock_0_1);
  alike(s, lock_1_0_in_time);
}
static void mutex_of_a_blocked_one(struct scene* s) {
  REQUIRE_EQ(pipe(s->fds), 0);
  other(s, lock_0_and_block);
  alike(s, lock_0_late);
}
static void mutex_of_a_receiver(struct scene* s) {
  chan_new(s, 0, 0, 0);
  alike(s, lock_0_and_recv);
  alike(s, lock_0_late);
}
static void rwmutex_of_a_reader(struct scene* s) {
  other(s, read_0_and_sleep);
  alike(s, write_0_late);
}
static void once_of_a_sleeper(struct scene* s) {
  other(s, once_0_and_sleep);
  alike(s, once_0_late);
}

/* ---- joins ------------------------------------------------------------------------ */

static void join_of(void* arg, int i, int64_t deadline) {
  struct scene* s = arg;
  await_spawned(s);
  thrum_join(NULL, s->g[i], deadline);
}
static void join_0(void* arg) { join_of(arg, 0, FOREVER); }
static void join_1(void* arg) { join_of(arg, 1, FOREVER); }
static void join_1_in_time(void* arg) { join_of(arg, 1, YEAR); }
static void lock_0_join_1(void* arg) {
  lock_0_and_end(arg);
  join_1(arg);
}
static void polls(void* arg) {
  struct scene* s = arg;
  thrum_poll_fd(NULL, s->fds[0], THRUM_READABLE, FOREVER);
}

static void join_circle(struct scene* s) {
  s->g[0] = stuck(s, join_1);
  s->g[1] = stuck(s, join_0);
  set(&s->spawned, 1);
}
static void join_of_a_stuck_one(struct scene* s) {
  other(s, lock_0_and_end);
  s->g[0] = stuck(s, lock_0_late);
  stuck(s, join_0);
  set(&s->spawned, 1);
}
static void join_and_mutex(struct scene* s) {
  s->g[0] = stuck(s, lock_0_join_1);
  s->g[1] = stuck(s, lock_0_late);
  set(&s->spawned, 1);
}
static void join_of_a_sleeper(struct scene* s) {
  s->g[0] = other(s, sleeps);
  alike(s, join_0);
  set(&s->spawned, 1);
}
static void join_circle_with_a_deadline(struct scene* s) {
  s->g[0] = alike(s, join_1_in_time);
  s->g[1] = alike(s, join_0);
  set(&s->spawned, 1);
}
static void join_of_a_poller(struct scene* s) {
  REQUIRE_EQ(pipe(s->fds), 0);
  s->g[0] = alike(s, polls);
  alike(s, join_0);
  set(&s->spawned, 1);
}

/* ---- channels ---------------------------------------------------------------------- */

static void select_both(void* arg, int64_t deadline) {
  struct scene* s = arg;
  char a, b;
  thrum_case k[2];
  memset(k, 0, sizeof k);
  k[0].chan = s->ch[0];
  k[0].elem = &a;
  k[0].op = THRUM_RECV;
  k[1].chan = s->ch[1];
  k[1].elem = &b;
  k[1].op = THRUM_RECV;
  thrum_select(k, 2, deadline);
}
static void selects(void* arg) { select_both(arg, FOREVER); }
static void selects_in_time(void* arg) { select_both(arg, YEAR); }
/* Has the other's channel as well: each of the two has two handles. */
static void crossed(struct scene* s, thrum_g (*as)(struct scene*, thrum_fn)) {
  for (int i = 0; i < 2; i++) {
    chan_new(s, i, 0, 1);
    thrum_chan_retain(s->ch[i]);
  }
  s->g[0] = as(s, recv_0);
  s->g[1] = as(s, recv_1);
  for (int i = 0; i < 2; i++)
    REQUIRE_EQ(thrum_waker_add(s->rt, s->ch[i], s->g[1 - i]), 0);
}

static void last_handle_receives(struct scene* s) {
  chan_new(s, 0, 0, 1);
  stuck(s, recv_0);
}
static void last_handle_sends(struct scene* s) {
  chan_new(s, 0, 0, 1);
  stuck(s, send_0);
}
static void last_handle_sends_to_full(struct scene* s) {
  chan_new(s, 0, 1, 1);
  REQUIRE_EQ(thrum_chan_send(s->ch[0], "x", FOREVER), 0);
  stuck(s, send_0);
}
static void last_handles_select(struct scene* s) {
  chan_new(s, 0, 0, 1);
  chan_new(s, 1, 0, 1);
  stuck(s, selects);
}
static void two_receivers(struct scene* s) {
  chan_new(s, 0, 0, 1);
  thrum_chan_retain(s->ch[0]);
  stuck(s, recv_0);
  stuck(s, recv_0);
}
static void crossed_receivers(struct scene* s) { crossed(s, stuck); }

static void who_might_send(struct scene* s) {
  chan_new(s, 0, 0, 0);
  alike(s, recv_0);
}
static void thread_has_a_handle(struct scene* s) {
  chan_new(s, 0, 0, 1);
  thrum_chan_retain(s->ch[0]);
  alike(s, recv_0);
}
static void sleeper_has_a_handle(struct scene* s) {
  chan_new(s, 0, 0, 1);
  thrum_chan_retain(s->ch[0]);
  REQUIRE_EQ(thrum_waker_add(s->rt, s->ch[0], other(s, sleeps)), 0);
  alike(s, send_0);
}
static void one_arm_is_open(struct scene* s) {
  chan_new(s, 0, 0, 1);
  chan_new(s, 1, 0, 0);
  alike(s, selects);
}
static void select_with_a_deadline(struct scene* s) {
  chan_new(s, 0, 0, 1);
  chan_new(s, 1, 0, 1);
  alike(s, selects_in_time);
}
static void crossed_and_a_third(struct scene* s) {
  crossed(s, alike);
  thrum_chan_retain(s->ch[1]);
}

/* ---- wait groups, semaphores, conditions ------------------------------------------- */

static void waits_wg(void* arg) {
  struct scene* s = arg;
  thrum_wg_wait(&s->wg, FOREVER);
}
static void waits_sem(void* arg) {
  struct scene* s = arg;
  thrum_sem_acquire(&s->sem, FOREVER);
}
static void waits_cond(void* arg) {
  struct scene* s = arg;
  thrum_mutex_lock(&s->m[1], FOREVER);
  thrum_cond_wait(&s->cond, &s->m[1], FOREVER);
}
static void parks(void* arg) {
  (void)arg;
  thrum_park("for good", FOREVER);
}

static void wg_of_the_dead(struct scene* s) {
  thrum_wg_add(&s->wg, 1);
  REQUIRE_EQ(thrum_waker_add(s->rt, &s->wg, other(s, ends)), 0);
  stuck(s, waits_wg);
}
static void sem_of_a_stuck_one(struct scene* s) {
  other(s, lock_0_and_end);
  thrum_g late = stuck(s, lock_0_late);
  REQUIRE_EQ(thrum_waker_add(s->rt, &s->sem, late), 0);
  stuck(s, waits_sem);
}
static void cond_of_the_dead(struct scene* s) {
  REQUIRE_EQ(thrum_waker_add(s->rt, &s->cond, other(s, ends)), 0);
  stuck(s, waits_cond);
}
static void sender_joins_its_receiver(struct scene* s) {
  chan_new(s, 0, 0, 0);
  s->g[0] = stuck(s, recv_0);
  REQUIRE_EQ(thrum_waker_add(s->rt, s->ch[0], stuck(s, join_0)), 0);
  set(&s->spawned, 1);
}

static void wg_of_anybody(struct scene* s) {
  thrum_wg_add(&s->wg, 1);
  alike(s, waits_wg);
}
static void wg_of_a_sleeper(struct scene* s) {
  thrum_wg_add(&s->wg, 1);
  REQUIRE_EQ(thrum_waker_add(s->rt, &s->wg, other(s, sleeps)), 0);
  alike(s, waits_wg);
}
static void sem_of_one_alive(struct scene* s) {
  REQUIRE_EQ(thrum_waker_add(s->rt, &s->sem, other(s, ends)), 0);
  REQUIRE_EQ(thrum_waker_add(s->rt, &s->sem, other(s, sleeps)), 0);
  alike(s, waits_sem);
}
static void cond_of_anybody(struct scene* s) { alike(s, waits_cond); }
static void parked_for_good(struct scene* s) { alike(s, parks); }
static void waker_taken_back(struct scene* s) {
  thrum_wg_add(&s->wg, 1);
  REQUIRE_EQ(thrum_waker_add(s->rt, &s->wg, other(s, ends)), 0);
  REQUIRE_EQ(thrum_waker_remove(s->rt, &s->wg, 0), 0);
  alike(s, waits_wg);
}

static const struct plant {
  const char* name;
  void (*make)(struct scene*);
  uint32_t
      kinds; /* a bit for each that its Gs are reported as; 0: look-alikes */
} plants[] = {
#define C (1u << THRUM_STUCK_CYCLE)
#define B (1u << THRUM_STUCK_BEHIND)
#define E (1u << THRUM_STUCK_ENDED)
#define L (1u << THRUM_STUCK_LEAK)
#define PLANT(name, kinds) \
  { #name, name, kinds }
    PLANT(mutex_circle, C), PLANT(mutex_circle_of_3, C),
    PLANT(behind_a_circle, C | B), PLANT(mutex_of_the_dead, E),
    PLANT(rwmutex_circle, C), PLANT(rwmutex_of_the_dead, E),
    PLANT(mixed_circle, C), PLANT(once_circle, C), PLANT(once_and_mutex, C),
    PLANT(join_circle, C), PLANT(join_of_a_stuck_one, E | B),
    PLANT(join_and_mutex, C), PLANT(last_handle_receives, L),
    PLANT(last_handle_sends, L), PLANT(last_handle_sends_to_full, L),
    PLANT(last_handles_select, L), PLANT(two_receivers, L),
    PLANT(crossed_receivers, L), PLANT(wg_of_the_dead, L),
    PLANT(sem_of_a_stuck_one, E | L), PLANT(cond_of_the_dead, L),
    PLANT(sender_joins_its_receiver, L | B),
    /* look-alikes */
    PLANT(mutex_of_a_sleeper, 0), PLANT(mutex_of_a_thread, 0),
    PLANT(circle_with_a_deadline, 0), PLANT(mutex_of_a_blocked_one, 0),
    PLANT(mutex_of_a_receiver, 0), PLANT(rwmutex_of_a_reader, 0),
    PLANT(once_of_a_sleeper, 0), PLANT(join_of_a_sleeper, 0),
    PLANT(join_circle_with_a_deadline, 0), PLANT(join_of_a_poller, 0),
    PLANT(who_might_send, 0), PLANT(thread_has_a_handle, 0),
    PLANT(sleeper_has_a_handle, 0), PLANT(one_arm_is_open, 0),
    PLANT(select_with_a_deadline, 0), PLANT(crossed_and_a_third, 0),
    PLANT(wg_of_anybody, 0), PLANT(wg_of_a_sleeper, 0),
    PLANT(sem_of_one_alive, 0), PLANT(cond_of_anybody, 0),
    PLANT(parked_for_good, 0), PLANT(waker_taken_back, 0)};
enum { PLANTS = sizeof plants / sizeof *plants };

/* ---- looking ------------------------------------------------------------------------ */

struct seen {
  int planted, waiting; /* Gs named stuck or alike; of these, parked for good */
  int others_alive;     /* that are about to end */
  int reported, wrong;
  uint32_t kinds;
};
static int parked_for_it(const thrum_g_info* info) {
  /* "": it has just gone on */
  return info->state == THRUM_STATE_WAITING && info->reason[0] &&
         strcmp(info->reason, "sleep") != 0;
}
static void count_planted(void* arg, const thrum_g_info* info) {
  struct seen* seen = arg;
  if (strcmp(info->name, "stuck") == 0 || strcmp(info->name, "alike") == 0) {
    seen->planted++;
    seen->waiting += parked_for_it(info);
  }
  seen->others_alive += strcmp(info->name, "other") == 0 &&
                        info->state != THRUM_STATE_WAITING &&
                        info->state != THRUM_STATE_BLOCKING;
}
static void wait_planted(thrum_rt* rt, struct seen* seen) {
  do {
    memset(seen, 0, sizeof *seen);
    CHECK_EQ(thrum_g_each(rt, count_planted, seen), 0);
    check_pause();
  } while (!seen->planted || seen->waiting < seen->planted ||
           seen->others_alive);
}
static void count_reported(void* arg, const thrum_stuck* stuck) {
  struct seen* seen = arg;
  CHECK(stuck->struct_size == sizeof *stuck);
  seen->reported++;
  seen->wrong += strcmp(stuck->name, "stuck") != 0;
  seen->kinds |= 1u << stuck->kind;
  CHECK((stuck->kind == THRUM_STUCK_CYCLE ||
         stuck->kind == THRUM_STUCK_BEHIND) == (stuck->on != 0));
  CHECK(stuck->frames >= 2);
}
static int count_stuck(const struct plant* p, const struct seen* seen) {
  return p->kinds ? seen->planted : 0;
}
static struct scene* scene_make(thrum_rt* rt, const struct plant* p) {
  struct scene* s = calloc(1, sizeof *s);
  REQUIRE(s != NULL);
  s->rt = rt;
  p->make(s);
  return s;
}

/* Each by itself, and then all in one runtime. Nothing of it can be stopped. */
CHILD(each) {
  (void)arg;
  for (int i = 0; i < PLANTS; i++) {
    const struct plant* p = &plants[i];
    check_context = p->name;
    thrum_rt* rt = rt_make(RT_P2);
    struct seen seen;
    scene_make(rt, p);
    wait_planted(rt, &seen);
    int64_t n = thrum_stuck_each(rt, count_reported, &seen);
    CHECK_EQ(n, count_stuck(p, &seen));
    CHECK_EQ(n, seen.reported);
    CHECK_EQ(seen.wrong, 0);
    CHECK_EQ(seen.kinds, p->kinds);
    CHECK_EQ(thrum_stuck_each(rt, NULL, NULL), n);
  }
  fflush(NULL);
  _exit(check_failures != 0);
}
CHILD(together) {
  (void)arg;
  struct seen seen;
  int expected = 0;
  thrum_rt* rt = rt_make(RT_P4);
  for (int i = 0; i < PLANTS; i++) {
    if (plants[i].kinds & E) /* a later G may take the place of the dead */
      continue;
    scene_make(rt, &plants[i]);
    wait_planted(rt, &seen);
    int64_t n = thrum_stuck_each(rt, count_reported, &seen);
    CHECK_MSG(plants[i].kinds ? n > expected : n == expected,
              "%s: %d are stuck, %d before", plants[i].name, (int)n, expected);
    CHECK_EQ(seen.wrong, 0);
    expected = (int)n;
  }
  fflush(NULL);
  _exit(check_failures != 0);
}
CHILD(report) {
  (void)arg;
  struct seen seen;
  thrum_rt* rt = rt_make(RT_P2);
  scene_make(rt, &plants[0]);
  wait_planted(rt, &seen);
  CHECK_EQ(thrum_stuck_report(rt), 2);
  fflush(NULL);
  _exit(check_failures != 0);
}
TEST(each_plant_is_reported_and_no_look_alike) {
  expect_child("each", NULL, 0);
}
TEST(all_in_one_runtime) { expect_child("together", NULL, 0); }
TEST(report_on_stderr_names_them) {
  expect_child("report", NULL, 0);
  CHECK_EQ(child_times(child.err, "\"stuck\" (mutex) waits for itself"), 2);
  CHECK(child_times(child.err, "called from") >= 2);
}

/* ---- who goes on is never reported --------------------------------------------------- */

struct churn {
  thrum_mutex a, b;
  thrum_chan *to, *back;
  word stop, looks;
};
static void churn_locks(void* arg) {
  struct churn* c = arg;
  while (!get(&c->stop)) {
    thrum_mutex_lock(&c->a, FOREVER);
    thrum_yield();
    thrum_mutex_lock(&c->b, FOREVER);
    thrum_mutex_unlock(&c->b);
    thrum_mutex_unlock(&c->a);
  }
}
/* The other way round, but it never waits for one with the other in hand. */
static void churn_tries(void* arg) {
  struct churn* c = arg;
  while (!get(&c->stop)) {
    thrum_mutex_lock(&c->b, FOREVER);
    if (thrum_mutex_lock(&c->a, THRUM_TRY) == 0)
      thrum_mutex_unlock(&c->a);
    thrum_mutex_unlock(&c->b);
    thrum_yield();
  }
}
static void churn_echo(void* arg) {
  struct churn* c = arg;
  char x;
  while (thrum_chan_recv(c->to, &x, FOREVER) == 0)
    CHECK_EQ(thrum_chan_send(c->back, &x, FOREVER), 0);
  thrum_chan_release(c->to);
  thrum_chan_release(c->back);
}
static void churn_calls(void* arg) {
  struct churn* c = arg;
  char x = 1;
  while (!get(&c->stop)) {
    CHECK_EQ(thrum_chan_send(c->to, &x, FOREVER), 0);
    CHECK_EQ(thrum_chan_recv(c->back, &x, FOREVER), 0);
  }
  CHECK_EQ(thrum_chan_close(c->to), 0);
}
static void churn_joins(void* arg) {
  struct churn* c = arg;
  while (!get(&c->stop))
    join_g(go(ends, NULL));
}
static void* churn_look(void* arg) {
  struct churn* c = ((void**)arg)[0];
  thrum_rt* rt = ((void**)arg)[1];
  while (!get(&c->stop)) {
    CHECK_EQ(thrum_stuck_each(rt, NULL, NULL), 0);
    add(&c->looks, 1);
  }
  return NULL;
}
static void churns(void* arg) {
  struct churn* c = arg;
  thrum_g g[8];
  for (int i = 0; i < 3; i++)
    g[i] = go(churn_locks, c);
  g[3] = go(churn_tries, c);
  g[4] = go(churn_tries, c);
  g[5] = go(churn_echo, c);
  g[6] = go(churn_calls, c);
  g[7] = go(churn_joins, c);
  while (get(&c->looks) < 300)
    CHECK_EQ(thrum_sleep(MS), 0);
  set(&c->stop, 1);
  for (int i = 0; i < 8; i++)
    join_g(g[i]);
}
TEST(who_goes_on_is_never_stuck) {
  struct churn c;
  pthread_t looker[2];
  memset(&c, 0, sizeof c);
  REQUIRE_EQ(thrum_chan_new(1, 0, &c.to), 0);
  REQUIRE_EQ(thrum_chan_new(1, 0, &c.back), 0);
  thrum_chan_retain(c.to);
  thrum_chan_retain(c.back);
  CHECK_EQ(thrum_chan_counted(c.to), 0);
  CHECK_EQ(thrum_chan_counted(c.back), 0);
  thrum_rt* rt = rt_make(RT_P2);
  void* args[2] = {&c, rt};
  for (int i = 0; i < 2; i++)
    REQUIRE_EQ(pthread_create(&looker[i], NULL, churn_look, args), 0);
  CHECK_EQ(thrum_run(rt, churns, &c), 0);
  for (int i = 0; i < 2; i++)
    pthread_join(looker[i], NULL);
  rt_end(rt);
  thrum_chan_release(c.to);
  thrum_chan_release(c.back);
}

static const struct check_case cases[] = {
    CASE(each_plant_is_reported_and_no_look_alike),
    CASE(all_in_one_runtime),
    CASE(report_on_stderr_names_them),
    CASE(who_goes_on_is_never_stuck),
};
static const struct child_part parts[] = {PART(each), PART(together),
                                          PART(report)};
CHILD_MAIN(cases, parts)
