/* limits_stacks.c: Gs that begin when there is no address space for their stacks
 * wait, and go on when there is; and waves of Gs take no more memory than one of
 * them, if their host trims. */
#include "../support/check.h"

#include <sys/resource.h>
#include <thrum/host.h>
#include <thrum/observe.h>

#include "../support/child.h"
#include "../support/rt.h"

/* A line "name: n kB" of /proc/self/status, in bytes. */
static int64_t status_of(const char* name) {
  char line[256];
  FILE* f = fopen("/proc/self/status", "re");
  int64_t kib = -1;
  while (f && kib < 0 && fgets(line, sizeof line, f))
    if (strncmp(line, name, strlen(name)) == 0)
      kib = atoll(line + strlen(name) + 1);
  if (f)
    fclose(f);
  if (kib < 0)
    child_skip("/proc/self/status does not say");
  return kib << 10;
}
static void limit_address_space(uint64_t n) {
  struct rlimit l;
  REQUIRE_EQ(getrlimit(RLIMIT_AS, &l), 0);
  l.rlim_cur = n;
  if (setrlimit(RLIMIT_AS, &l) != 0)
    child_skip("the limit cannot be set");
}
static int limit_holds(void) {
  void* p = mmap(NULL, (size_t)1 << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS,
                 -1, 0);
  if (p == MAP_FAILED)
    return 1;
  munmap(p, (size_t)1 << 30);
  return 0;
}

static void use(int64_t bytes) {
  volatile char page[4096];
  page[0] = page[4095] = 1;
  if (bytes > 4096)
    use(bytes - 4096);
  page[1] = 1;
}

/* ---- no address space -------------------------------------------------------- */

enum { GS = 400, TOUCHED = 100 << 10 };
static thrum_wg gate, ended;
static word inside, beats, stop;

static void waits(void* arg) {
  (void)arg;
  add(&inside, 1);
  CHECK_EQ(thrum_wg_wait(&gate, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_wg_done(&ended), 0);
}
static void touches(void* arg) {
  use(TOUCHED);
  waits(arg);
}
static void neighbour(void* arg) {
  (void)arg;
  while (!get(&stop)) {
    /* (On a P where it has not slept before there may be no room for its timer.) */
    int rc = thrum_sleep(MS / 10);
    CHECK_MSG(rc == 0 || rc == THRUM_ENOMEM, "thrum_sleep is %d", rc);
    add(&beats, 1);
  }
}
/* A thread that begins maps more for a moment than it keeps (glibc's arenas). */
static int64_t size_at_rest(void) {
  int64_t size = status_of("VmSize");
  for (int same = 0; same < 50; same++) {
    usleep(1000);
    int64_t now = status_of("VmSize");
    same = now == size ? same : 0;
    size = now;
  }
  return size;
}
CHILD(starves) {
  thrum_rt* rt = rt_make(RT_P2);
  thrum_g beside = go_in(rt, neighbour, NULL);
  while (get(&beats) < 1)
    usleep(1000);
  thrum_spawn_opts o = spawn_opts();
  o.stack_size = 1 << 20;
  CHECK_EQ(thrum_wg_add(&gate, 1), 0);
  CHECK_EQ(thrum_wg_add(&ended, GS), 0);
  int64_t room = (int64_t)128 << 20;
  limit_address_space((uint64_t)(size_at_rest() + room));
  if (!limit_holds())
    child_skip("RLIMIT_AS does not bind this process");
  for (int i = 0; i < GS; i++)
    REQUIRE_EQ(thrum_spawn(rt, &o, touches, NULL, NULL), 0);
  /* Some have stacks, the others wait for them, and nobody else does. */
  for (word before = -1; get(&inside) != before; usleep(100000))
    before = get(&inside);
  word had = get(&inside);
  CHECK_LE(1, had);
  CHECK_LE(had, room >> 20);
  word beat = get(&beats);
  while (get(&beats) < beat + 20)
    usleep(1000);
  CHECK_EQ(thrum_trim(rt), 0); /* harmless */
  CHECK_EQ(get(&inside), had);
  CHECK_EQ(thrum_live(rt), GS + 1);
  if (*arg) { /* those that end make room */
    CHECK_EQ(thrum_wg_done(&gate), 0);
    CHECK_EQ(thrum_wg_wait(&ended, SOON), 0);
    limit_address_space(RLIM_INFINITY);
  } else { /* or the system does */
    limit_address_space(RLIM_INFINITY);
    while (get(&inside) < GS)
      usleep(1000);
    CHECK_EQ(thrum_wg_done(&gate), 0);
    CHECK_EQ(thrum_wg_wait(&ended, SOON), 0);
  }
  CHECK_EQ(get(&inside), GS);
  set(&stop, 1);
  CHECK_EQ(thrum_join(rt, beside, SOON), 0);
  rt_end(rt);
}
TEST(no_address_space) {
  if (CHECK_SANITIZED)
    SKIP("a sanitizer's shadow does not fit into a small address space");
  static const char* const how[] = {"", "by those that end"};
  for (int i = 0; i < 2; i++) {
    expect_child("starves", how[i], 0);
    if (child_skipped())
      SKIP(check_skipped);
    /* Once. (On a busy machine there is no room for more threads either: once.) */
    int waits_for_it =
        child_times(child.err, " waits: no memory for its stack\n");
    int no_threads = child_times(child.err, "thrum: no more threads: ");
    CHECK_MSG(waits_for_it == 1 && no_threads <= 1 &&
                  child_lines(child.err) == 1 + no_threads,
              "it says: %.500s", child.err);
  }
}

/* ---- waves --------------------------------------------------------------------- */

/* In each wave other stacks: of another class. What a control group would count
 * at the worst moment is VmHWM. */
CHILD(waves) {
  enum { WAVE = 60 << 20 };
  static const uint64_t sizes[] = {16384, 65536, 262144, 1 << 20, 8 << 20};
  thrum_rt* rt = rt_make(RT_P2);
  (void)arg;
  int64_t start = status_of("VmRSS");
  for (unsigned i = 0; i < CHECK_COUNT(sizes); i++) {
    thrum_spawn_opts o = spawn_opts();
    o.stack_size = sizes[i];
    int deep = sizes[i] > 2 * TOUCHED;
    int n = WAVE / (deep ? TOUCHED : 4096);
    set(&inside, 0);
    CHECK_EQ(thrum_wg_add(&gate, 1), 0);
    CHECK_EQ(thrum_wg_add(&ended, n), 0);
    for (int k = 0; k < n; k++)
      REQUIRE_EQ(thrum_spawn(rt, &o, deep ? touches : waits, NULL, NULL), 0);
    while (get(&inside) < n)
      usleep(1000);
    CHECK_EQ(thrum_wg_done(&gate), 0);
    CHECK_EQ(thrum_wg_wait(&ended, SOON), 0);
    while (thrum_live(rt) > 0)
      usleep(1000);
    CHECK_EQ(thrum_trim(rt), 0);
  }
  int64_t most = status_of("VmHWM") - start;
  CHECK_MSG(most >= WAVE && most < 2 * WAVE, "%d KiB at most",
            (int)(most >> 10));
  rt_end(rt);
}
TEST(waves_take_no_more_than_one) {
  if (CHECK_SANITIZED)
    SKIP("the sanitizers keep memory of their own");
  expect_child("waves", NULL, 0);
  if (child_skipped())
    SKIP(check_skipped);
}

static const struct check_case cases[] = {CASE(no_address_space),
                                          CASE(waves_take_no_more_than_one)};
static const struct child_part parts[] = {PART(starves), PART(waves)};
CHILD_MAIN(cases, parts)
