/* threads.c: Gs and their OS threads: what blocks or computes without a word,
 * lock_thread, pinning to CPUs, stopping the world. */
#define _GNU_SOURCE
#include "../support/check.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <thrum/host.h>
#include <thrum/observe.h>

#include "../support/rt.h"

/* ---- undeclared blocking ------------------------------------------------- */

struct held {
  word inside, release, ran;
  int others; /* somebody waits from the first moment */
  thrum_g other;
};
static void runs(void* arg) { add(&((struct held*)arg)->ran, 1); }
static void begins(struct held* h) {
  if (h->others)
    h->other = go(runs, h);
  set(&h->inside, 1);
}
static void blocks(void* arg) {
  struct held* h = arg;
  begins(h);
  while (!get(&h->release))
    poll(NULL, 0, 1); /* as code that knows nothing of thrum */
}
static void computes(void* arg) {
  struct held* h = arg;
  begins(h);
  while (!get(&h->release)) {}
}

static void count_retakes(void* arg, const thrum_p_stats* s) {
  *(uint64_t*)arg += s->retakes;
}

static void neighbours(struct rt_kind kind, thrum_fn hog) {
  thrum_rt* rt = rt_make(kind);
  struct held h = {0, 0, 0, 0, 0};
  thrum_g hogs[4];
  for (uint32_t i = 0; i < kind.procs; i++)
    hogs[i] = go_in(rt, hog, &h);
  while (!get(&h.inside))
    check_pause();
  for (int i = 0; i < 100; i++)
    CHECK_EQ(thrum_join(rt, go_in(rt, runs, &h), SOON), 0);
  CHECK_EQ(get(&h.ran), 100);
  uint64_t retakes = 0;
  CHECK_EQ(thrum_p_each(rt, count_retakes, &retakes), 0);
  CHECK(retakes >= 1);
  set(&h.release, 1);
  for (uint32_t i = 0; i < kind.procs; i++)
    CHECK_EQ(thrum_join(rt, hogs[i], SOON), 0);
  rt_end(rt);
}
TEST(neighbours_of_blocked_and_busy_gs_go_on) {
  struct rt_kind kinds[] = {RT_P1, RT_P2, RT_P4};
  for (int i = 0; i < 3; i++) {
    kinds[i].slice_ns = MS;
    neighbours(kinds[i], blocks);
    neighbours(kinds[i], computes);
  }
}

/* ---- lock_thread and CPUs -------------------------------------------------- */

static int first_cpu(void) {
  uint64_t mask[16];
  int n = thrum_cpus(mask, 16);
  CHECK(n >= 1);
  for (int cpu = 0; cpu < 1024; cpu++)
    if (mask[cpu / 64] >> cpu % 64 & 1)
      return cpu;
  return -1;
}
static int cpus_here(void) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CHECK_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  return CPU_COUNT(&set);
}

static void pins(void* arg) {
  (void)arg;
  int before = cpus_here(), cpu = first_cpu();
  uint64_t mask[16], none[16], read[16];
  memset(mask, 0, sizeof mask);
  memset(none, 0, sizeof none);
  mask[cpu / 64] = (uint64_t)1 << cpu % 64;
  CHECK_EQ(thrum_pin_cpu(mask, 16), THRUM_EPERM);
  CHECK_EQ(thrum_lock_thread(), 0);
  CHECK_EQ(thrum_pin_cpu(none, 16), THRUM_EINVAL);
  CHECK_EQ(thrum_pin_cpu(mask, 16), 0);
  CHECK_EQ(cpus_here(), 1);
  CHECK_EQ(thrum_cpus(read, 16), 1);
  CHECK(memcmp(mask, read, sizeof mask) == 0);
  for (int i = 0; i < 100; i++) {
    CHECK_EQ(sched_getcpu(), cpu);
    CHECK_EQ(thrum_yield(), 0);
  }
  /* What it starts is not pinned: a thread of thrum's made from here. */
  CHECK_EQ(thrum_pin_cpu(NULL, 0), 0);
  CHECK_EQ(cpus_here(), before);
  CHECK_EQ(thrum_pin_cpu(mask, 16), 0);
  CHECK_EQ(thrum_unlock_thread(), 0);
  CHECK_EQ(cpus_here(), before);
}
TEST(a_locked_g_pins_its_thread) { on_threads(pins, NULL); }

static void counts_cpus(void* arg) { *(int*)arg = cpus_here(); }
TEST(threads_of_a_runtime_are_pinned) {
  thrum_rt* rt = rt_make(RT_P2);
  int before = cpus_here(), cpu = first_cpu(), seen = 0;
  uint64_t mask[16];
  memset(mask, 0, sizeof mask);
  mask[cpu / 64] = (uint64_t)1 << cpu % 64;
  CHECK_EQ(thrum_join(rt, go_in(rt, counts_cpus, &seen), SOON), 0);
  CHECK_EQ(seen, before);
  CHECK_EQ(thrum_pin_threads(rt, mask, 16), 0);
  CHECK_EQ(thrum_join(rt, go_in(rt, counts_cpus, &seen), SOON), 0);
  CHECK_EQ(seen, 1);
  CHECK_EQ(cpus_here(), before); /* the caller's are its own */
  CHECK_EQ(thrum_pin_threads(rt, NULL, 0), 0);
  CHECK_EQ(thrum_join(rt, go_in(rt, counts_cpus, &seen), SOON), 0);
  CHECK_EQ(seen, before);
  rt_end(rt);
}

static void ends_locked(void* arg) {
  CHECK_EQ(thrum_lock_thread(), 0);
  CHECK_EQ(thrum_lock_thread(), 0);
  *(int*)arg = thread_id();
}
static void tells_thread(void* arg) { *(int*)arg = thread_id(); }
TEST(a_g_that_ends_locked_takes_its_thread_along) {
  thrum_rt* rt = rt_make(RT_P1);
  for (int i = 0; i < 10; i++) {
    int one = 0, two = 0;
    CHECK_EQ(thrum_join(rt, go_in(rt, ends_locked, &one), SOON), 0);
    CHECK_EQ(thrum_join(rt, go_in(rt, tells_thread, &two), SOON), 0);
    CHECK(one != two);
  }
  /* A thread of the host's stays. */
  int here = 0;
  CHECK_EQ(thrum_run(rt, ends_locked, &here), 0);
  CHECK_EQ(here, thread_id());
  CHECK_EQ(thrum_run(rt, tells_thread, &here), 0);
  CHECK_EQ(here, thread_id());
  rt_end(rt);
}

/* ---- set_procs ------------------------------------------------------------- */

struct crowd {
  thrum_chan* ch;
  word end, turns;
};
static void chatters(void* arg) {
  struct crowd* c = arg;
  int v = 0;
  while (!get(&c->end)) {
    add(&c->turns, 1);
    CHECK_EQ(thrum_chan_send(c->ch, &v, THRUM_FOREVER), 0);
    CHECK_EQ(thrum_chan_recv(c->ch, &v, THRUM_FOREVER), 0);
    if (thrum_sleep(1000) != 0)
      break;
  }
}
static void hogs_now_and_then(void* arg) {
  struct crowd* c = arg;
  while (!get(&c->end)) {
    add(&c->turns, 1);
    int64_t until = real_now() + 2 * MS;
    while (real_now() < until) {}
    thrum_yield();
  }
}
struct setter {
  thrum_rt* rt;
  struct crowd* crowd;
};
static void* sets_procs(void* arg) {
  struct setter* s = arg;
  for (int i = 0; i < (CHECK_SANITIZED ? 30 : 100); i++) {
    CHECK(thrum_set_procs(s->rt, 1 + (uint32_t)rand() % 8) >= 1);
    poll(NULL, 0, 1);
  }
  return NULL;
}
TEST(set_procs_under_load_from_several_threads) {
  struct rt_kind kind = RT_P2;
  kind.slice_ns = MS;
  thrum_rt* rt = rt_make(kind);
  struct crowd c = {NULL, 0, 0};
  REQUIRE_EQ(thrum_chan_new(sizeof(int), 16, &c.ch), 0);
  thrum_g gs[14];
  for (int i = 0; i < 14; i++)
    gs[i] = go_in(rt, i < 12 ? chatters : hogs_now_and_then, &c);
  struct setter s = {rt, &c};
  pthread_t threads[2];
  for (int i = 0; i < 2; i++)
    REQUIRE_EQ(pthread_create(&threads[i], NULL, sets_procs, &s), 0);
  for (int i = 0; i < 2; i++)
    REQUIRE_EQ(pthread_join(threads[i], NULL), 0);
  word before = get(&c.turns);
  while (get(&c.turns) < before + 100) /* all still run */
    check_pause();
  set(&c.end, 1);
  for (int i = 0; i < 14; i++)
    CHECK_EQ(thrum_join(rt, gs[i], SOON), 0);
  while (thrum_live(rt) != 0)
    check_pause();
  rt_end(rt);
  thrum_chan_release(c.ch);
}

/* ---- the world ------------------------------------------------------------- */

struct mutator {
  word end, steps;
};
static void mutates(void* arg) {
  struct mutator* m = arg;
  while (!get(&m->end)) {
    add(&m->steps, 1);
    if (thrum_check() != 0)
      break;
  }
}
static void declares(void* arg) {
  struct mutator* m = arg;
  while (!get(&m->end)) {
    add(&m->steps, 1);
    CHECK_EQ(thrum_enter_blocking(), 0);
    poll(NULL, 0, 1);
    CHECK_EQ(thrum_exit_blocking(), 0);
  }
}
static void shows_stack(void* arg, const thrum_g_info* info) {
  (void)arg;
  if (info->stack_hi)
    CHECK_MSG(info->sp >= info->stack_lo && info->sp < info->stack_hi,
              "sp of a G in state %u", info->state);
}
TEST(the_world_stands_still_for_a_collector) {
  thrum_rt* rt = rt_make(RT_P2);
  struct mutator m = {0, 0};
  thrum_g gs[6];
  for (int i = 0; i < 6; i++)
    gs[i] = go_in(rt, i % 2 ? declares : mutates, &m);
  for (int i = 0; i < (CHECK_SANITIZED ? 20 : 100); i++) {
    REQUIRE_EQ(thrum_world_stop(rt, THRUM_FOREVER), 0);
    word before = get(&m.steps);
    CHECK_EQ(thrum_g_each(rt, shows_stack, NULL), 0);
    for (int k = 0; k < 1000; k++)
      CHECK_EQ(get(&m.steps), before);
    CHECK_EQ(thrum_world_start(rt), 0);
    while (get(&m.steps) == before)
      check_pause();
  }
  set(&m.end, 1);
  for (int i = 0; i < 6; i++)
    CHECK_EQ(thrum_join(rt, gs[i], SOON), 0);
  rt_end(rt);
}

/* ---- the watchdog ---------------------------------------------------------- */

struct kennel {
  word barks, from_the_callback;
  thrum_rt* rt;
  thrum_stall last;
  char name[48];
  uint64_t pcs[64];
};
static void barks(void* arg, const thrum_stall* s) {
  struct kennel* k = arg;
  k->last = *s;
  snprintf(k->name, sizeof k->name, "%s", s->name);
  CHECK(s->frames >= 1 && s->frames <= 64);
  memcpy(k->pcs, s->pcs, s->frames * sizeof *s->pcs);
  set(&k->from_the_callback, thrum_watchdog(k->rt, -1, NULL, NULL));
  add(&k->barks, 1);
}
static thrum_g named(thrum_rt* rt, thrum_fn fn, void* arg, const char* name) {
  thrum_spawn_opts o;
  thrum_g g = 0;
  memset(&o, 0, sizeof o);
  o.struct_size = sizeof o;
  o.name = name;
  REQUIRE_EQ(thrum_spawn(rt, &o, fn, arg, &g), 0);
  return g;
}
static void watched(struct rt_kind kind, thrum_fn hog, int others) {
  thrum_rt* rt = rt_make(kind);
  struct kennel k;
  memset(&k, 0, sizeof k);
  k.rt = rt;
  CHECK_EQ(thrum_watchdog(rt, 20 * MS, barks, &k), 0);
  struct held h = {0, 0, 0, others, 0};
  thrum_g g = named(rt, hog, &h, "the hog");
  while (!get(&h.inside))
    check_pause();
  if (others)
    CHECK_EQ(thrum_join(rt, h.other, SOON), 0);
  while (!get(&k.barks))
    check_pause();
  CHECK_EQ(k.last.g, g);
  CHECK(strcmp(k.name, "the hog") == 0);
  CHECK_EQ(k.last.state, THRUM_STATE_RUNNING);
  CHECK_EQ(k.last.done, others ? THRUM_STALL_RETAKEN : THRUM_STALL_KEPT);
  CHECK(k.last.lasted_ns >= 20 * MS);
  CHECK(k.pcs[0] != 0);
  CHECK_EQ(get(&k.from_the_callback), THRUM_EPERM);
  poll(NULL, 0, 60); /* once per time */
  CHECK_EQ(get(&k.barks), 1);
  set(&h.release, 1);
  CHECK_EQ(thrum_join(rt, g, SOON), 0);
  CHECK_EQ(thrum_watchdog(rt, -1, NULL, NULL), 0);
  rt_end(rt);
}
TEST(the_watchdog_names_who_holds_out) {
  struct rt_kind kind = RT_P1;
  kind.slice_ns = MS;
  watched(kind, blocks, 0);
  watched(kind, blocks, 1);
  watched(kind, computes, 0);
  watched(kind, computes, 1);
}

static void sleeps_declared(void* arg) {
  (void)arg;
  CHECK_EQ(thrum_enter_blocking(), 0);
  poll(NULL, 0, 50);
  CHECK_EQ(thrum_exit_blocking(), 0);
  CHECK_EQ(thrum_sleep(50 * MS), 0);
}
TEST(the_watchdog_leaves_parked_and_declared_ones_alone) {
  thrum_rt* rt = rt_make(RT_P1);
  struct kennel k;
  /* The best of several: on a busy machine the few lines between may take that
   * long. */
  for (int i = 0; i < 5; i++) {
    memset(&k, 0, sizeof k);
    CHECK_EQ(thrum_watchdog(rt, 10 * MS, barks, &k), 0);
    CHECK_EQ(thrum_join(rt, go_in(rt, sleeps_declared, NULL), SOON), 0);
    CHECK_EQ(thrum_watchdog(rt, -1, NULL, NULL), 0);
    if (!get(&k.barks))
      break;
  }
  CHECK_EQ(get(&k.barks), 0);
  rt_end(rt);
  rt = rt_make(RT_HOSTED);
  CHECK_EQ(thrum_watchdog(rt, 0, NULL, NULL), THRUM_ENOTSUP);
  rt_end(rt);
}

static const struct check_case cases[] = {
    CASE(neighbours_of_blocked_and_busy_gs_go_on),
    CASE(a_locked_g_pins_its_thread),
    CASE(threads_of_a_runtime_are_pinned),
    CASE(a_g_that_ends_locked_takes_its_thread_along),
    CASE(set_procs_under_load_from_several_threads),
    CASE(the_world_stands_still_for_a_collector),
    CASE(the_watchdog_names_who_holds_out),
    CASE(the_watchdog_leaves_parked_and_declared_ones_alone),
};
CHECK_MAIN(cases)
