/* report.c: what the library says on stderr, and when it says nothing. */
#include "../support/check.h"

#include <pthread.h>
#include <stdlib.h>
#include <thrum/host.h>

#include "../support/child.h"
#include "../support/rt.h"

static void nothing(void* arg) { (void)arg; }

/* ---- silence ------------------------------------------------------------- */

static void some_work(void* arg) {
  word n = 0;
  thrum_g g[10];
  (void)arg;
  for (int i = 0; i < 10; i++)
    g[i] = go(nothing, &n);
  for (int i = 0; i < 10; i++)
    join_g(g[i]);
  thrum_sleep(MS);
}
CHILD(quiet) {
  (void)arg;
  everywhere(some_work, NULL);
}
TEST(a_right_program_prints_nothing) {
  expect_child("quiet", NULL, 0);
  CHECK_STR(child.err, "");
  CHECK_STR(child.out, "");
}

/* ---- deadlock ------------------------------------------------------------ */

static void stuck_in_recv(void* arg) {
  char c;
  thrum_chan_recv(arg, &c, THRUM_FOREVER);
}
static void stuck_in_park(void* arg) {
  (void)arg;
  thrum_park("the second coming", THRUM_FOREVER);
}
static void get_stuck(void* arg) {
  thrum_spawn_opts o = spawn_opts();
  o.name = "postman";
  go_with(&o, stuck_in_recv, arg);
  o.name = "prophet";
  go_with(&o, stuck_in_park, NULL);
  o.name = "line\nbreak \033[31mred";
  go_with(&o, stuck_in_park, NULL);
  stuck_in_recv(arg);
}
CHILD(deadlock) {
  thrum_chan* ch;
  struct rt_kind kind = strcmp(arg, "seeded") == 0   ? RT_DET1
                        : strcmp(arg, "hosted") == 0 ? RT_HOSTED
                                                     : RT_P2;
  REQUIRE_EQ(thrum_chan_new(1, 0, &ch), 0);
  thrum_rt* rt = rt_make(kind);
  CHECK_EQ(thrum_run(rt, get_stuck, ch), THRUM_EDEADLOCK);
  rt_end(rt);
  thrum_chan_release(ch);
}
TEST(deadlock_names_every_g) {
  static const char* const kinds[] = {"seeded", "hosted", "threads"};
  for (int i = 0; i < 3; i++) {
    check_context = kinds[i];
    /* a thread of the sanitizer's own might wake somebody */
    if (CHECK_TSAN && i > 0)
      continue;
    expect_child("deadlock", kinds[i], 0);
    CHECK_EQ(child_times(child.err, "deadlock"), 1);
    CHECK_EQ(child_times(child.err, "postman"), 1);
    CHECK_EQ(child_times(child.err, "prophet"), 1);
    CHECK_EQ(child_times(child.err, "the second coming"), 2);
    CHECK(strstr(child.err, "recv") != NULL);
    /* A name cannot speak to the terminal or forge a line. */
    CHECK(strchr(child.err, '\033') == NULL);
    CHECK(strstr(child.err, "line\nbreak") == NULL);
    CHECK(strstr(child.err, "line") != NULL);
    CHECK_EQ(child_times(child.err, "thrum:   G "), 4);
    /* and where: in thrum, and what called it */
    CHECK_EQ(child_times(child.err, "thrum:     at "), 4);
    CHECK(child_times(child.err, "called from") >= 2 * 4);
    CHECK_EQ(child_lines(child.err),
             1 + 4 + child_times(child.err, "thrum:     "));
  }
}

/* ---- free without stop --------------------------------------------------- */

static void count_up(void* arg) { add(arg, 1); }
CHILD(free_unstopped) {
  word n = 0;
  thrum_rt* rt = rt_make(RT_P2);
  (void)arg;
  CHECK_EQ(thrum_run(rt, count_up, &n), 0);
  thrum_rt_free(rt);
  thrum_rt_free(rt);
  thrum_rt_free(rt);
  CHECK_EQ(thrum_run(rt, count_up, &n), 0); /* it was kept */
  CHECK_EQ(n, 2);
  rt_end(rt);
}
TEST(free_of_a_running_runtime_says_so_once) {
  expect_child("free_unstopped", NULL, 0);
  CHECK_EQ(child_lines(child.err), 1);
  CHECK(strstr(child.err, "thrum") != NULL);
  CHECK(strstr(child.err, "stop") != NULL);
}

/* ---- a stop that takes too long ------------------------------------------ */

struct stubborn {
  thrum_chan* ch;
  word shielded;
};
static void be_stubborn(void* arg) {
  struct stubborn* s = arg;
  char c;
  thrum_shield(1);
  set(&s->shielded, 1);
  CHECK_EQ(thrum_chan_recv(s->ch, &c, THRUM_FOREVER), 0);
}
CHILD(stubborn) {
  struct stubborn s = {NULL, 0};
  thrum_spawn_opts o = spawn_opts();
  thrum_rt* rt = rt_make(RT_P2);
  (void)arg;
  REQUIRE_EQ(thrum_chan_new(1, 0, &s.ch), 0);
  o.name = "mule";
  CHECK_EQ(thrum_spawn(rt, &o, be_stubborn, &s, NULL), 0);
  while (!get(&s.shielded))
    check_pause();
  CHECK_EQ(thrum_rt_stop(rt, thrum_after(50 * MS)), THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_chan_send(s.ch, "x", THRUM_FOREVER), 0);
  rt_end(rt);
  thrum_chan_release(s.ch);
}
TEST(stop_names_who_would_not) {
  expect_child("stubborn", NULL, 0);
  CHECK(strstr(child.err, "mule") != NULL);
  CHECK(strstr(child.err, "recv") != NULL);
}

/* ---- debug mode: parking with a mutex held --------------------------------- */

static pthread_mutex_t in_data = PTHREAD_MUTEX_INITIALIZER;
static void parks_with(pthread_mutex_t* m) {
  CHECK_EQ(pthread_mutex_lock(m), 0);
  CHECK_EQ(thrum_sleep(MS), 0);
  CHECK_EQ(pthread_mutex_unlock(m), 0);
}
static void parks_badly(void* arg) {
  pthread_mutex_t on_stack = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_t* on_heap = calloc(1, sizeof *on_heap);
  CHECK_EQ(thrum_lock_thread(), 0); /* so that nothing worse happens */
  if (strcmp(arg, "stack") == 0)
    parks_with(&on_stack);
  else if (strcmp(arg, "data") == 0)
    parks_with(&in_data);
  else if (strcmp(arg, "heap") == 0)
    parks_with(on_heap);
  else { /* held, but not over a park */
    CHECK_EQ(pthread_mutex_lock(&on_stack), 0);
    CHECK_EQ(pthread_mutex_unlock(&on_stack), 0);
    CHECK_EQ(thrum_sleep(MS), 0);
  }
  CHECK_EQ(thrum_unlock_thread(), 0);
  free(on_heap);
}
CHILD(debug) {
  setenv("THRUM_DEBUG", "1", 1);
  in_rt(RT_P2, parks_badly, (void*)arg);
}
TEST(debug_mode_names_mutexes_held_over_a_park) {
#if !defined(__GLIBC__)
  SKIP("only of glibc's mutexes the owner is known");
#endif
  static const char* const where[] = {"stack", "heap", "data"};
  for (int i = 0; i < 3; i++) {
    check_context = where[i];
    expect_child("debug", where[i], 0);
    CHECK_EQ(child_lines(child.err), 1);
    CHECK_EQ(child_times(child.err, "holds a pthread mutex"), 1);
    CHECK_EQ(child_times(child.err, "(sleep)"), 1);
  }
  check_context = "none";
  expect_child("debug", "none", 0);
  CHECK_STR(child.err, "");
}

static const struct check_case cases[] = {
    CASE(a_right_program_prints_nothing),
    CASE(deadlock_names_every_g),
    CASE(free_of_a_running_runtime_says_so_once),
    CASE(stop_names_who_would_not),
    CASE(debug_mode_names_mutexes_held_over_a_park),
};
static const struct child_part parts[] = {PART(quiet), PART(debug),
                                          PART(deadlock), PART(free_unstopped),
                                          PART(stubborn)};
CHILD_MAIN(cases, parts)
