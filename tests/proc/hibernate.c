/* hibernate.c: what a stack that hibernates is to others: a trap, or with the
 * handler of thrum_overflow_enable, memory that comes back; and Gs whose
 * hibernation has been refused go on as if nothing had been asked. */
#include "../support/check.h"

#include <thrum/host.h>
#include <thrum/observe.h>

#include "../support/child.h"
#include "../support/rt.h"

#define SKIP_WHERE_NONE_SLEEPS                      \
  do {                                              \
    if (CHECK_SANITIZED)                            \
      SKIP("the sanitizers know where stacks are"); \
    expect_child("sleeps", "", 0);                  \
    if (child_skipped())                            \
      return;                                       \
  } while (0)

static int64_t figure(thrum_rt* rt, const char* key) {
  static char text[8192];
  CHECK(thrum_memory_report(rt, text, sizeof text) < (int64_t)sizeof text);
  const char* at = strstr(text, key);
  REQUIRE(at != NULL);
  return atoll(strchr(at, ':') + 1);
}
#define ASLEEP "\"asleep\""

static thrum_chan* chan;
static int* volatile published;
static volatile int touched;
static word again;

static int deep(int n) {
  volatile char frame[300];
  frame[0] = (char)n;
  return n < 0 ? 0 : deep(n + 1) + frame[0];
}
static void waits(void* arg) {
  int mine = 4711, got = 0;
  published = &mine;
  CHECK_EQ(thrum_chan_recv(chan, &got, THRUM_FOREVER), 0);
  CHECK_EQ(mine, touched ? 4712 : 4711);
  CHECK_EQ(got, 99);
  if (arg)
    touched = deep(0);
}
static void touches(void* arg) {
  (void)arg;
  CHECK_EQ(*published, 4711);
  *published += 1;
  touched = 1;
}

/* Receives into one place, whichever arm it is; the first time there are more. */
static void selects(void* arg) {
  thrum_chan* other;
  int got = 0;
  (void)arg;
  REQUIRE_EQ(thrum_chan_new(sizeof(int), 0, &other), 0);
  thrum_case arms[4] = {{chan, &got, THRUM_RECV, 0},
                        {other, &got, THRUM_RECV, 0},
                        {other, &got, THRUM_RECV, 0},
                        {other, &got, THRUM_RECV, 0}};
  CHECK_EQ(thrum_select(arms, 4, THRUM_FOREVER), 0);
  CHECK_EQ(got, 98);
  set(&again, 1);
  CHECK_EQ(thrum_select(arms, 1, THRUM_FOREVER), 0);
  CHECK_EQ(got, 99);
  thrum_chan_release(other);
}

static void falls_asleep(thrum_rt* rt, thrum_g g) {
  wait_parked(rt, g);
  REQUIRE_EQ(thrum_trim(rt), 0);
  if (figure(rt, ASLEEP) != 1)
    child_skip("the kernel makes no guards of pages, so no G hibernates");
}
static thrum_rt* sleeper(thrum_g* g, thrum_fn fn, void* arg) {
  thrum_rt* rt = rt_make(RT_P1);
  REQUIRE_EQ(thrum_chan_new(sizeof(int), 0, &chan), 0);
  thrum_spawn_opts o = spawn_opts();
  o.flags = THRUM_G_HIBERNATE;
  o.stack_size = 16384;
  o.name = "sleeper";
  REQUIRE_EQ(thrum_spawn(rt, &o, fn, arg, g), 0);
  falls_asleep(rt, *g);
  return rt;
}
static void wake(thrum_rt* rt, thrum_g g) {
  int v = 99;
  CHECK_EQ(thrum_chan_send(chan, &v, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_join(rt, g, THRUM_FOREVER), 0);
  CHECK_EQ(figure(rt, ASLEEP), 0);
  rt_end(rt);
  thrum_chan_release(chan);
}

CHILD(sleeps) {
  (void)arg;
  thrum_g g;
  thrum_rt* rt = sleeper(&g, waits, NULL);
  CHECK_EQ(thrum_high_water(rt, g), 0);
  wake(rt, g);
}
CHILD(selects_sleep) {
  (void)arg;
  thrum_g g;
  int v = 98;
  thrum_rt* rt = sleeper(&g, selects, NULL);
  CHECK_EQ(thrum_chan_send(chan, &v, THRUM_FOREVER), 0);
  while (!get(&again))
    sched_yield();
  falls_asleep(rt, g);
  wake(rt, g);
}
CHILD(is_touched) {
  thrum_g g, other;
  thrum_rt* rt = sleeper(&g, waits, NULL);
  if (*arg)
    CHECK_EQ(thrum_overflow_enable(rt), 0);
  REQUIRE_EQ(thrum_spawn(rt, NULL, touches, NULL, &other), 0);
  CHECK_EQ(thrum_join(rt, other, THRUM_FOREVER), 0);
  CHECK_EQ(figure(rt, ASLEEP), 0);
  wake(rt, g);
}
CHILD(overflows) {
  (void)arg;
  thrum_g g;
  thrum_rt* rt = sleeper(&g, waits, &chan);
  CHECK_EQ(thrum_overflow_enable(rt), 0);
  wake(rt, g);
}
CHILD(memory_is_locked) {
  (void)arg;
  thrum_rt* rt = rt_make(RT_P1);
  REQUIRE_EQ(thrum_chan_new(sizeof(int), 0, &chan), 0);
  thrum_spawn_opts o = spawn_opts();
  o.flags = THRUM_G_HIBERNATE;
  thrum_g g;
  REQUIRE_EQ(thrum_spawn(rt, &o, waits, NULL, &g), 0);
  wait_parked(rt, g);
  if (mlockall(MCL_CURRENT) != 0)
    child_skip("memory cannot be locked here");
  REQUIRE_EQ(thrum_trim(rt), 0);
  REQUIRE_EQ(thrum_trim(rt), 0); /* which is said once */
  CHECK_EQ(figure(rt, ASLEEP), 0);
  wake(rt, g);
}

TEST(comes_back) { SKIP_WHERE_NONE_SLEEPS; }
TEST(one_place_of_several_arms) {
  SKIP_WHERE_NONE_SLEEPS;
  expect_child("selects_sleep", "", 0);
}
TEST(a_stray_touch_traps) {
  SKIP_WHERE_NONE_SLEEPS;
  run_child("is_touched", "");
  CHECK_EQ(child.signal, SIGSEGV);
}
TEST(a_stray_touch_brings_it_back) {
  SKIP_WHERE_NONE_SLEEPS;
  expect_child("is_touched", "on", 0);
}
TEST(an_overflow_after_it_is_named) {
  SKIP_WHERE_NONE_SLEEPS;
  run_child("overflows", "");
  CHECK_EQ(child.signal, SIGSEGV);
  CHECK_MSG(strstr(child.err, "\"sleeper\" needs more than the 16 KiB") != NULL,
            "it says: %.500s", child.err);
}
TEST(where_memory_is_locked_nobody_sleeps) {
  SKIP_WHERE_NONE_SLEEPS;
  expect_child("memory_is_locked", "", 0);
  if (child_skipped())
    return;
  CHECK_EQ(child_lines(child.err), 1);
  CHECK(strstr(child.err, "do not hibernate here") != NULL);
}

static const struct check_case cases[] = {
    CASE(comes_back),
    CASE(one_place_of_several_arms),
    CASE(a_stray_touch_traps),
    CASE(a_stray_touch_brings_it_back),
    CASE(an_overflow_after_it_is_named),
    CASE(where_memory_is_locked_nobody_sleeps),
};
static const struct child_part children[] = {PART(sleeps), PART(selects_sleep),
                                             PART(is_touched), PART(overflows),
                                             PART(memory_is_locked)};
CHILD_MAIN(cases, children)
