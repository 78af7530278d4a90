/* exit.c: a process that ends while Gs run ends as it wishes: with its status,
 * without a crash, without a hang. */
#include "../support/check.h"

#include <thrum/host.h>

#include "../support/child.h"
#include "../support/rt.h"

static void busy(void* arg) {
  word* n = arg;
  for (;;) {
    add(n, 1);
    if (thrum_yield() != 0)
      return;
    if (thrum_sleep(1000) != 0)
      return;
    void* p = thrum_alloc(200);
    thrum_free(p);
  }
}
static word beats;
static thrum_rt* start_busy(uint32_t procs) {
  struct rt_kind kind = {"", procs, 0, 0, 0};
  thrum_rt* rt = rt_make(kind);
  for (int i = 0; i < 20; i++)
    go_in(rt, busy, &beats);
  while (get(&beats) < 100)
    check_pause();
  return rt;
}
static void exit_in_a_g(void* arg) {
  if (*(const char*)arg == '_')
    _exit(7);
  exit(7);
}
static void* exit_on_a_thread(void* arg) {
  (void)arg;
  exit(7);
}
static void* run_there(void* arg) {
  thrum_run(arg, busy, &beats);
  return NULL;
}
static void at_exit(void) { CHECK(get(&beats) > 0); }
CHILD(ends) {
  thrum_rt* rt = start_busy(1 + (uint32_t)(arg[1] - '0'));
  pthread_t t;
  atexit(at_exit);
  switch (arg[0]) {
    case 'm':
      exit(7);
    case 'u':
      _exit(7);
    case 'q':
      quick_exit(7);
    case 'g':
      thrum_run(rt, exit_in_a_g, (void*)(uintptr_t) "exit");
      break;
    case 'G':
      thrum_run(rt, exit_in_a_g, (void*)(uintptr_t) "_exit");
      break;
    case 's': /* in a G on one of the runtime's own Ms */
      go_in(rt, exit_in_a_g, (void*)(uintptr_t) "exit");
      for (;;)
        pause();
    case 't':
      if (pthread_create(&t, NULL, exit_on_a_thread, NULL) == 0)
        pthread_join(t, NULL);
      break;
    case 'r': /* another thread is inside thrum_run */
      if (pthread_create(&t, NULL, run_there, rt) == 0)
        while (get(&beats) < 500)
          check_pause();
      exit(7);
  }
  _exit(8);
}
TEST(exit_with_running_gs) {
  static const char ways[] = "muqgGstr";
  child_may_leak();
  for (const char* way = ways; *way; way++)
    for (int procs = 0; procs < 4; procs += 3)
      for (int round = 0; round < (CHECK_SANITIZED ? 2 : 8); round++) {
        char arg[3] = {*way, (char)('0' + procs), 0};
        expect_child("ends", arg, 7);
      }
}

/* The first thread leaves by pthread_exit: the others go on, and one of them
 * ends the process. */
static void end_later(void* arg) {
  (void)arg;
  thrum_sleep(20 * MS);
  exit(9);
}
CHILD(first_thread_leaves) {
  (void)arg;
  thrum_rt* rt = start_busy(2);
  go_in(rt, end_later, NULL);
  pthread_exit(NULL);
}
TEST(the_first_thread_may_leave) {
  child_may_leak();
  expect_child("first_thread_leaves", NULL, 9);
}

static const struct check_case cases[] = {CASE(exit_with_running_gs),
                                          CASE(the_first_thread_may_leave)};
static const struct child_part parts[] = {PART(ends),
                                          PART(first_thread_leaves)};
CHILD_MAIN(cases, parts)
