/* observe.c: what a runtime tells of itself: counters, histograms, and the flight
 * recorder's timeline. Figures are compared with what the program did, never with
 * a clock. */
#include "../support/check.h"

#include <thrum/observe.h>

#include "../support/atomics.h"
#include "../support/rt.h"

/* ---- text ------------------------------------------------------------------- */

struct text {
  char* at;
  size_t n, room;
  size_t most; /* refuses what is beyond */
};

static int text_add(void* arg, const char* bytes, size_t n) {
  struct text* t = arg;
  if (t->most && t->n + n > t->most)
    return 1;
  if (t->n + n + 1 > t->room) {
    t->room = 2 * (t->n + n + 1);
    t->at = realloc(t->at, t->room);
    REQUIRE(t->at != NULL);
  }
  memcpy(t->at + t->n, bytes, n);
  t->n += n;
  t->at[t->n] = 0;
  return 0;
}

static unsigned count(const char* text, const char* what) {
  unsigned n = 0;
  for (const char* at = text; (at = strstr(at, what)); at += strlen(what))
    n++;
  return n;
}

/* Brackets match, outside of strings: JSON that a parser takes, as far as this
 * writer can get it wrong. */
static int balanced(const char* text) {
  int depth = 0, quoted = 0;
  for (const char* at = text; *at; at++) {
    if (quoted && *at == '\\')
      at++;
    else if (*at == '"')
      quoted = !quoted;
    else if (!quoted && (*at == '{' || *at == '['))
      depth++;
    else if (!quoted && (*at == '}' || *at == ']'))
      depth--;
    if (depth < 0)
      return 0;
  }
  return depth == 0 && !quoted;
}

static char* report(thrum_rt* rt, uint32_t what, uint32_t format) {
  int64_t n = thrum_report(rt, what, format, NULL, 0);
  REQUIRE(n > 0);
  size_t room = (size_t)n + 1000; /* numbers may have grown */
  char* text = malloc(room);
  REQUIRE(text != NULL);
  n = thrum_report(rt, what, format, text, room);
  REQUIRE(n > 0 && (size_t)n < room);
  CHECK_EQ(strlen(text), (size_t)n);
  return text;
}

static long long value_of(const char* text, const char* key) {
  const char* at = strstr(text, key);
  REQUIRE(at != NULL);
  return atoll(at + strlen(key));
}

/* ---- counters ------------------------------------------------------------------- */

enum { ROUNDS = 1000, YIELDS = 500 };

struct pair {
  thrum_chan *there, *back;
};

static void answer(void* arg) {
  struct pair* p = arg;
  for (int i = 0, v; i < ROUNDS; i++) {
    CHECK_EQ(thrum_chan_recv(p->there, &v, THRUM_FOREVER), 0);
    CHECK_EQ(thrum_chan_send(p->back, &v, THRUM_FOREVER), 0);
  }
}

static void ask(void* arg) {
  (void)arg;
  struct pair p;
  REQUIRE_EQ(thrum_chan_new(sizeof(int), 0, &p.there), 0);
  REQUIRE_EQ(thrum_chan_new(sizeof(int), 0, &p.back), 0);
  thrum_spawn_opts opts = {.struct_size = sizeof opts,
                           .name = "answers \"all\""};
  thrum_g g;
  REQUIRE_EQ(thrum_spawn(NULL, &opts, answer, &p, &g), 0);
  for (int i = 0, v; i < ROUNDS; i++) {
    CHECK_EQ(thrum_chan_send(p.there, &i, THRUM_FOREVER), 0);
    CHECK_EQ(thrum_chan_recv(p.back, &v, THRUM_FOREVER), 0);
  }
  for (int i = 0; i < YIELDS; i++)
    CHECK_EQ(thrum_yield(), 0);
  join_g(g);
  thrum_chan_release(p.there);
  thrum_chan_release(p.back);
}

static thrum_stats stats_of(thrum_rt* rt) {
  thrum_stats s = {.struct_size = sizeof s};
  REQUIRE_EQ(thrum_stats_get(rt, &s), 0);
  CHECK_EQ(s.struct_size, sizeof s);
  return s;
}

TEST(every_dispatch_ends_in_a_wait_a_yield_or_an_exit) {
  thrum_rt* rt = rt_make(RT_SEQ);
  REQUIRE_EQ(thrum_run(rt, ask, NULL), 0);
  thrum_stats s = stats_of(rt);
  CHECK_EQ(s.dispatches, s.parks + s.yields + s.exits);
  CHECK_EQ(s.exits, 2);
  CHECK_EQ(s.spawns, 2);
  CHECK_EQ(s.gs, 0);
  CHECK_EQ(s.procs, 1);
  CHECK(s.yields >= YIELDS);
  /* One of the two waits in each half of a round trip. */
  CHECK(s.parks >= 2 * ROUNDS - 2);
  CHECK(s.ready_p50_ns > 0 && s.ready_p50_ns <= s.ready_p90_ns);
  CHECK(s.ready_p90_ns <= s.ready_p99_ns);
  rt_end(rt);
}

TEST(an_older_struct_is_filled_as_far_as_it_goes) {
  thrum_rt* rt = rt_make(RT_P2);
  thrum_stats s;
  memset(&s, 0x55, sizeof s);
  s.struct_size = 16;
  CHECK_EQ(thrum_stats_get(rt, &s), 0);
  CHECK_EQ(s.struct_size, 16);
  CHECK_EQ(s.procs, 2);
  CHECK_EQ(s.gs, 0x5555555555555555u);
  s.struct_size = sizeof s + 64; /* a newer one: as far as the library goes */
  CHECK_EQ(thrum_stats_get(rt, &s), 0);
  CHECK_EQ(s.struct_size, sizeof s);
  s.struct_size = 4;
  CHECK_EQ(thrum_stats_get(rt, &s), THRUM_EINVAL);
  rt_end(rt);
}

/* ---- counters while all runs ------------------------------------------------------- */

static word enough;

static void talk(void* arg) {
  struct pair* p = arg;
  for (int v = 0; !get(&enough); v++) {
    CHECK_EQ(thrum_chan_send(p->there, &v, THRUM_FOREVER), 0);
    CHECK_EQ(thrum_yield(), 0);
  }
  CHECK_EQ(thrum_chan_close(p->there), 0);
}

static void talks(void* arg) {
  (void)arg;
  struct pair p[4];
  thrum_g g[4];
  for (int i = 0; i < 4; i++) {
    REQUIRE_EQ(thrum_chan_new(sizeof(int), 0, &p[i].there), 0);
    REQUIRE_EQ(thrum_spawn(NULL, NULL, talk, &p[i], &g[i]), 0);
  }
  for (int v, i = 0; thrum_chan_recv(p[i].there, &v, THRUM_FOREVER) == 0;)
    i = (i + 1) % 4;
  set(&enough, 1);
  for (int i = 0; i < 4; i++) {
    int v;
    while (thrum_chan_recv(p[i].there, &v, THRUM_FOREVER) == 0) {}
    join_g(g[i]);
    thrum_chan_release(p[i].there);
  }
}

static void* counts(void* arg) {
  thrum_stats before = {0};
  for (int i = 0; i < 20000; i++) {
    thrum_stats now = stats_of(arg);
    CHECK(now.dispatches >= before.dispatches);
    CHECK(now.parks >= before.parks);
    CHECK(now.yields >= before.yields);
    CHECK(now.exits >= before.exits);
    before = now;
  }
  set(&enough, 1);
  return NULL;
}

TEST(no_counter_goes_back) {
  thrum_rt* rt = rt_make(RT_P2);
  set(&enough, 0);
  pthread_t reader;
  REQUIRE_EQ(pthread_create(&reader, NULL, counts, rt), 0);
  REQUIRE_EQ(thrum_run(rt, talks, NULL), 0);
  pthread_join(reader, NULL);
  rt_end(rt);
}

TEST(metrics_say_the_same_in_all_formats) {
  thrum_rt* rt = rt_make(RT_SEQ);
  REQUIRE_EQ(thrum_run(rt, ask, NULL), 0);
  thrum_stats s = stats_of(rt);
  char* json = report(rt, THRUM_REPORT_METRICS, THRUM_FORMAT_JSON);
  CHECK(balanced(json));
  CHECK_EQ(value_of(json, "\"parks_total\": "), (long long)s.parks);
  CHECK_EQ(value_of(json, "\"yields_total\": "), (long long)s.yields);
  long long waits = value_of(json, "\"chan_recv\": ") +
                    value_of(json, "\"chan_send\": ") +
                    value_of(json, "\"join\": ");
  CHECK_EQ(waits, (long long)s.parks);
  char* prom = report(rt, THRUM_REPORT_METRICS, THRUM_FORMAT_PROMETHEUS);
  CHECK_EQ(value_of(prom, "\nthrum_parks_total "), (long long)s.parks);
  CHECK_EQ(value_of(prom, "\nthrum_ready_seconds_bucket{class=\"migrate\","
                          "le=\"+Inf\"} "),
           value_of(json, "\"ready_migrate\": {\"count\": "));
  CHECK(value_of(json, "\"ready_migrate\": {\"count\": ") > 0);
  free(json);
  free(prom);
  char little[8];
  memset(little, 'x', sizeof little);
  int64_t n = thrum_report(rt, THRUM_REPORT_METRICS, THRUM_FORMAT_JSON, little,
                           sizeof little);
  CHECK(n > 8);
  CHECK_EQ(strlen(little), 7);
  CHECK_EQ(thrum_report(rt, THRUM_REPORT_METRICS, 99, NULL, 0), THRUM_EINVAL);
  CHECK_EQ(thrum_report(rt, 99, THRUM_FORMAT_JSON, NULL, 0), THRUM_EINVAL);
  rt_end(rt);
}

/* ---- timeline ----------------------------------------------------------------- */

static struct text timeline_of(thrum_rt* rt, int64_t last, int64_t* events) {
  struct text t = {0};
  *events = thrum_trace_write(rt, last, text_add, &t);
  CHECK(*events >= 0);
  REQUIRE(t.at != NULL);
  CHECK(balanced(t.at));
  return t;
}

TEST(a_timeline_has_every_run_and_an_arrow_to_it) {
  thrum_rt* rt = rt_make(RT_SEQ);
  CHECK_EQ(thrum_trace_write(rt, THRUM_FOREVER, text_add, NULL), THRUM_EINVAL);
  REQUIRE_EQ(thrum_trace_start(rt, 0), 0);
  REQUIRE_EQ(thrum_run(rt, ask, NULL), 0);
  REQUIRE_EQ(thrum_trace_stop(rt), 0);
  thrum_stats s = stats_of(rt);
  int64_t events;
  struct text t = timeline_of(rt, THRUM_FOREVER, &events);
  /* Each dispatch is a slice on its P (which says how it ended) and its M. */
  CHECK_EQ(count(t.at, "\"end\":\"") / 2, s.dispatches);
  CHECK_EQ(count(t.at, "\"end\":\"yield\"") / 2, s.yields);
  CHECK_EQ(count(t.at, "\"end\":\"exit\"") / 2, s.exits);
  CHECK_EQ(count(t.at, "\"end\":\"wait: ") / 2, s.parks);
  CHECK_EQ(count(t.at, "\"end\":\"lost\""), 0);
  /* Both Gs and every wake were made ready on a P. */
  CHECK_EQ(count(t.at, "\"ph\":\"s\""), s.parks + 2);
  CHECK_EQ(count(t.at, "\"ph\":\"f\""), s.parks + 2);
  CHECK(strstr(t.at, "{\"lost\":0,") != NULL);
  /* Off is off: nothing more comes. */
  REQUIRE_EQ(thrum_run(rt, ask, NULL), 0);
  free(t.at);
  int64_t again;
  t = timeline_of(rt, THRUM_FOREVER, &again);
  CHECK_EQ(again, events);
  free(t.at);
  struct text little = {.most = 5000};
  CHECK_EQ(thrum_trace_write(rt, THRUM_FOREVER, text_add, &little),
           THRUM_ECANCELED);
  free(little.at);
  rt_end(rt);
}

static void write_here(void* arg) {
  thrum_rt* rt = arg;
  ask(NULL);
  int64_t events;
  struct text t = timeline_of(rt, THRUM_FOREVER, &events);
  CHECK(strstr(t.at, "answers \\\"all\\\"") == NULL); /* it has ended */
  CHECK(count(t.at, "\"end\":\"goes on\"") >= 1);     /* this one has not */
  free(t.at);
}

TEST(a_full_ring_keeps_the_newest_and_counts_the_rest) {
  thrum_rt* rt = rt_make(RT_SEQ);
  REQUIRE_EQ(thrum_trace_start(rt, 200), 0); /* 256 */
  REQUIRE_EQ(thrum_trace_start(rt, 1 << 20), 0);
  REQUIRE_EQ(thrum_run(rt, write_here, rt), 0);
  int64_t events;
  struct text t = timeline_of(rt, THRUM_FOREVER, &events);
  CHECK(events >= 255 && events <= 2 * 256);
  CHECK(value_of(t.at, "\"lost\":") > ROUNDS);
  free(t.at);
  t = timeline_of(rt, 0, &events); /* of no time at all */
  CHECK_EQ(events, 0);
  free(t.at);
  rt_end(rt);
}

/* ---- on the smallest stack --------------------------------------------------------- */

static void tells_all(void* arg) {
  (void)arg;
  static char text[1 << 18];
  static const uint32_t kinds[][2] = {
      {THRUM_REPORT_METRICS, THRUM_FORMAT_JSON},
      {THRUM_REPORT_METRICS, THRUM_FORMAT_PROMETHEUS},
      {THRUM_REPORT_HEATMAP, THRUM_FORMAT_JSON},
      {THRUM_REPORT_HEATMAP, THRUM_FORMAT_CSV},
      {THRUM_REPORT_HEATMAP, THRUM_FORMAT_TEXT},
      {THRUM_REPORT_WAITS, THRUM_FORMAT_JSON},
      {THRUM_REPORT_WAITS, THRUM_FORMAT_TEXT}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    CHECK(thrum_report(NULL, kinds[i][0], kinds[i][1], text, sizeof text) > 0);
  struct text t = {0};
  CHECK(thrum_trace_write(NULL, THRUM_FOREVER, text_add, &t) > 0);
  CHECK(thrum_profile_write(NULL, THRUM_PROFILE_BLOCK, THRUM_FORMAT_PPROF,
                            text_add, &t) > 0);
  CHECK(thrum_profile_write(NULL, THRUM_PROFILE_BLOCK, THRUM_FORMAT_FOLDED,
                            text_add, &t) > 0);
  free(t.at);
  CHECK(thrum_memory_report(NULL, text, sizeof text) > 0);
}

static void little_stack(void* arg) {
  CHECK_EQ(thrum_waits_start(NULL, 0), 0);
  CHECK_EQ(thrum_profile_rate(NULL, THRUM_PROFILE_BLOCK, 1), 0);
  CHECK_EQ(thrum_sleep(1), 0);
  thrum_spawn_opts opts = {.struct_size = sizeof opts, .stack_size = 16384};
  thrum_g g;
  REQUIRE_EQ(thrum_spawn(NULL, &opts, tells_all, arg, &g), 0);
  join_g(g);
}

TEST(reports_fit_on_the_smallest_stack) {
  if (CHECK_SANITIZED)
    SKIP("a sanitizer makes frames larger");
  in_rt(RT_SEQ, little_stack, NULL);
}

/* ---- in every kind of runtime, with everything on --------------------------------- */

static void live(void* arg) {
  (void)arg;
  thrum_rt* rt = thrum_rt_current();
  CHECK_EQ(thrum_trace_start(NULL, 4096), 0);
  ask(NULL);
  CHECK_EQ(thrum_sleep(1000), 0);
  thrum_mutex m = THRUM_MUTEX_INIT;
  CHECK_EQ(thrum_mutex_lock(&m, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_mutex_unlock(&m), 0);
  CHECK_EQ(thrum_enter_blocking(), 0);
  CHECK_EQ(thrum_exit_blocking(), 0);
  int64_t events;
  struct text t = timeline_of(rt, THRUM_FOREVER, &events);
  CHECK(events > 2 * ROUNDS);
  CHECK(strstr(t.at, "\"name\":\"blocking\"") != NULL);
  CHECK(strstr(t.at, "\"name\":\"wait: sleep\"") != NULL);
  free(t.at);
}

TEST(all_of_it_in_every_kind_of_runtime) { everywhere(live, NULL); }

/* ---- a stall --------------------------------------------------------------------- */

static void bites(void* arg, const thrum_stall* stall) {
  (void)stall;
  add(arg, 1);
}

static void hog(void* arg) {
  word* seen = arg;
  while (get(seen) == 0) {}
}

static int has_content(const char* path) {
  FILE* f = fopen(path, "r");
  int ends = f && fseek(f, -3, SEEK_END) == 0 && fgetc(f) == ']';
  if (f)
    fclose(f);
  return ends;
}

TEST(a_stall_leaves_a_timeline_behind) {
  char path[] = "/tmp/thrum-stall-XXXXXX";
  int fd = mkstemp(path);
  REQUIRE(fd >= 0);
  close(fd);
  thrum_rt* rt = rt_make(RT_P2);
  word seen = 0;
  REQUIRE_EQ(thrum_trace_start(rt, 0), 0);
  CHECK_EQ(thrum_trace_on_stall(rt, path, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_watchdog(rt, 5 * MS, bites, &seen), 0);
  CHECK_EQ(thrum_run(rt, hog, &seen), 0);
  for (int64_t end = SOON; !has_content(path) && thrum_now() < end;)
    sched_yield();
  CHECK(has_content(path));
  CHECK_EQ(thrum_watchdog(rt, -1, NULL, NULL), 0);
  rt_end(rt);
  FILE* f = fopen(path, "r");
  REQUIRE(f != NULL);
  static char text[1 << 20];
  text[fread(text, 1, sizeof text - 1, f)] = 0;
  fclose(f);
  unlink(path);
  CHECK(balanced(text));
  CHECK(count(text, "\"ph\":\"X\"") >= 1);
}

static const struct check_case cases[] = {
    CASE(every_dispatch_ends_in_a_wait_a_yield_or_an_exit),
    CASE(an_older_struct_is_filled_as_far_as_it_goes),
    CASE(no_counter_goes_back),
    CASE(metrics_say_the_same_in_all_formats),
    CASE(a_timeline_has_every_run_and_an_arrow_to_it),
    CASE(a_full_ring_keeps_the_newest_and_counts_the_rest),
    CASE(reports_fit_on_the_smallest_stack),
    CASE(all_of_it_in_every_kind_of_runtime),
    CASE(a_stall_leaves_a_timeline_behind),
};
CHECK_MAIN(cases)
