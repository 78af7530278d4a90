/* trim.c: what a runtime gives back, what it says of its memory, and what
 * waiting costs. */
#include "../support/check.h"

#include <thrum/host.h>
#include <thrum/observe.h>

#include "../support/rt.h"

static int64_t figure(thrum_rt* rt, const char* key) {
  static char text[8192];
  int64_t n = thrum_memory_report(rt, text, sizeof text);
  CHECK(n > 0 && n < (int64_t)sizeof text && text[n] == 0);
  CHECK(text[0] == '{' && text[n - 1] == '}');
  const char* at = strstr(text, key);
  REQUIRE(at != NULL);
  return atoll(strchr(at, ':') + 1);
}

/* ---- the report ----------------------------------------------------------------- */

static void tells(void* arg) {
  (void)arg;
  char text[40];
  memset(text, 'x', sizeof text);
  int64_t n = thrum_memory_report(NULL, NULL, 0);
  CHECK(n > 40);
  /* As long as it would have been; its figures move meanwhile. */
  int64_t cut = thrum_memory_report(NULL, text, 20);
  CHECK(cut > n - 40 && cut < n + 40);
  CHECK(text[19] == 0 && text[20] == 'x' && text[0] == '{');
  CHECK_EQ(figure(NULL, "\"live\""), 1);
  CHECK(figure(NULL, "\"rss\"") > 0);
}
TEST(report) { everywhere(tells, NULL); }

/* ---- high water ------------------------------------------------------------------- */

static void use(int64_t bytes) {
  volatile char page[4096];
  page[0] = page[4095] = 1;
  if (bytes > 4096)
    use(bytes - 4096);
  page[1] = 1;
}
static word go_deep, deep_done, go_on;
static void deepens(void* arg) {
  (void)arg;
  yield_until(&go_deep, 1);
  use(100 << 10);
  set(&deep_done, 1);
  while (!get(&go_on))
    CHECK_EQ(thrum_sleep(MS / 10), 0);
}
static void measures(void* arg) {
  (void)arg;
  set(&go_deep, 0);
  set(&deep_done, 0);
  set(&go_on, 0);
  thrum_g g = go(deepens, NULL);
  CHECK_EQ(thrum_high_water(NULL, g), 0); /* it has not begun */
  let_others_run();
  int64_t before = thrum_high_water(NULL, g);
  CHECK(before > 0 && before < 60 << 10);
  set(&go_deep, 1);
  yield_until(&deep_done, 1);
  let_others_run();
  CHECK(thrum_high_water(NULL, g) >= 100 << 10);
  set(&go_on, 1);
  join_g(g);
  CHECK_EQ(thrum_high_water(NULL, g), THRUM_ESTALE);
}
TEST(high_water) {
  if (CHECK_SANITIZED)
    SKIP("frames are larger, and stacks are used for other things");
  in_rt(RT_SEQ, measures, NULL);
  in_rt(RT_HOSTED, measures, NULL);
}

/* ---- what waits gives back what it does not use ------------------------------------- */

static thrum_wg deep_ones, may_end;
static void waits_deep(void* arg) {
  (void)arg;
  use(100 << 10);
  CHECK_EQ(thrum_wg_done(&deep_ones), 0);
  CHECK_EQ(thrum_wg_wait(&may_end, THRUM_FOREVER), 0);
}
static thrum_rt* with_idle(int64_t idle_ns) {
  thrum_config config;
  thrum_config_init(&config, sizeof config);
  config.procs = 2;
  config.idle_ns = idle_ns;
  thrum_rt* rt;
  REQUIRE_EQ(thrum_rt_new(&rt, &config), 0);
  return rt;
}
static void unused_pages(int64_t idle_ns) {
  enum { N = 20 };
  thrum_g g[N];
  thrum_rt* rt = with_idle(idle_ns);
  CHECK_EQ(thrum_wg_add(&deep_ones, N), 0);
  CHECK_EQ(thrum_wg_add(&may_end, 1), 0);
  for (int i = 0; i < N; i++)
    g[i] = go_in(rt, waits_deep, NULL);
  CHECK_EQ(thrum_wg_wait(&deep_ones, THRUM_FOREVER), 0);
  for (int i = 0; i < N; i++)
    wait_parked(rt, g[i]);
  if (!idle_ns) {
    int64_t total = 0;
    for (int i = 0; i < N; i++)
      total += thrum_high_water(rt, g[i]);
    CHECK(total >= N * (100 << 10));
    CHECK_EQ(thrum_trim(rt), 0);
  }
  for (int i = 0; i < N; i++)
    while (thrum_high_water(rt, g[i]) > 60 << 10)
      usleep(1000); /* sysmon sees to it */
  CHECK_EQ(thrum_wg_done(&may_end), 0);
  for (int i = 0; i < N; i++)
    CHECK_EQ(thrum_join(rt, g[i], THRUM_FOREVER), 0);
  rt_end(rt);
}
TEST(unused_pages_go) {
  if (CHECK_SANITIZED)
    SKIP("frames are larger, and stacks are used for other things");
  unused_pages(0);       /* by thrum_trim */
  unused_pages(10 * MS); /* by themselves */
}

/* ---- what has ended gives everything back --------------------------------------------- */

static void waits(void* arg) {
  (void)arg;
  CHECK_EQ(thrum_wg_done(&deep_ones), 0);
  CHECK_EQ(thrum_wg_wait(&may_end, THRUM_FOREVER), 0);
}
static void crowd_of(thrum_rt* rt, int n) {
  CHECK_EQ(thrum_wg_add(&deep_ones, n), 0);
  CHECK_EQ(thrum_wg_add(&may_end, 1), 0);
  for (int i = 0; i < n; i++)
    REQUIRE_EQ(thrum_spawn(rt, NULL, waits, NULL, NULL), 0);
  CHECK_EQ(thrum_wg_wait(&deep_ones, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_wg_done(&may_end), 0);
  while (thrum_live(rt) > 0)
    usleep(1000);
}
static void nothing(void* arg) { (void)arg; }
static void gives_back(int asks) {
  enum { N = 40000, MOST = 48 << 20 }; /* 160 MiB of stacks */
  thrum_rt* rt = with_idle(0);
  int64_t start = figure(rt, "\"rss\"");
  thrum_g g[2];
  for (int round = 0; round < 2; round++) {
    crowd_of(rt, N);
    g[round] = go_in(rt, nothing, NULL);
    CHECK_EQ(thrum_join(rt, g[round], THRUM_FOREVER), 0);
    if (asks)
      CHECK_EQ(thrum_trim(rt), 0);
    while (figure(rt, "\"rss\"") > start + MOST)
      usleep(1000);
    /* Handles of before are as stale as ever. */
    for (int i = 0; i <= round; i++) {
      CHECK_EQ(thrum_cancel(rt, g[i]), THRUM_ESTALE);
      CHECK_EQ(thrum_join(rt, g[i], THRUM_FOREVER), 0);
    }
  }
  rt_end(rt);
}
TEST(what_has_ended_goes) {
  if (CHECK_SANITIZED)
    SKIP("the sanitizers keep memory of their own");
  gives_back(1);
  gives_back(0);
}

/* ---- bad input ------------------------------------------------------------------------ */

TEST(refusals) {
  thrum_config config;
  thrum_config_init(&config, sizeof config);
  config.idle_ns = -1;
  thrum_rt* rt;
  CHECK_EQ(thrum_rt_new(&rt, &config), THRUM_EINVAL);
  rt = rt_make(RT_P1);
  thrum_rt* other = rt_make(RT_P1);
  thrum_g g = go_in(rt, nothing, NULL);
  CHECK_EQ(thrum_join(rt, g, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_high_water(rt, g), THRUM_ESTALE);
  CHECK_EQ(thrum_high_water(other, g), THRUM_EINVAL);
  CHECK_EQ(thrum_high_water(rt, 0), THRUM_EINVAL);
  CHECK_EQ(thrum_memory_report(rt, NULL, 1), THRUM_EINVAL);
  CHECK_EQ(thrum_memory_report(NULL, NULL, 0), THRUM_EINVAL);
  CHECK_EQ(thrum_trim(NULL), THRUM_EINVAL);
  CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_trim(rt), THRUM_ECLOSED);
  CHECK(thrum_memory_report(rt, NULL, 0) > 0);
  thrum_rt_free(rt);
  rt_end(other);
}

static const struct check_case cases[] = {
    CASE(report), CASE(high_water), CASE(unused_pages_go),
    CASE(what_has_ended_goes), CASE(refusals)};
CHECK_MAIN(cases)
