/* observe_waits.c: what delayed a G, and the heat map of it. The test measures on its
 * own, with brackets, what it then looks for; a machine that stops it at any point
 * makes the waits longer, for both. */
#include "../support/check.h"

#include <thrum/host.h>
#include <thrum/observe.h>

#include "../support/rt.h"

static thrum_waits waits_of(thrum_g g) {
  thrum_waits w = {.struct_size = sizeof w};
  REQUIRE_EQ(thrum_waits_get(NULL, g, &w), 0);
  CHECK_EQ(w.struct_size, sizeof w);
  return w;
}

static int64_t sum_of(thrum_waits w) {
  return (int64_t)(w.ran_ns + w.blocked_ns + w.queued_ns + w.kernel_ns +
                   w.throttled_ns);
}

/* The clocks of both sides differ by less than this share. */
static int within(int64_t got, int64_t least, int64_t most) {
  return (double)got >= 0.97 * (double)least - 1e4 &&
         (double)got <= 1.03 * (double)most + 1e4;
}

static void compute(int64_t ns) {
  for (int64_t end = real_now() + ns; real_now() < end;) {}
}

/* ---- where the time went --------------------------------------------------------- */

struct life {
  int64_t spawned, began, told, ended;
  thrum_waits w; /* as of its last wait */
};

static void live(void* arg) {
  struct life* l = arg;
  l->began = thrum_now();
  CHECK_EQ(thrum_sleep(5 * MS), 0);
  compute(3 * MS);
  l->told = thrum_now();
  CHECK_EQ(thrum_yield(), 0);
  l->ended = thrum_now();
  l->w = waits_of(thrum_self()); /* up to its last event, which is this run */
}

static void its_time_adds_up(void* arg) {
  (void)arg;
  CHECK_EQ(thrum_waits_start(NULL, 0), 0);
  struct life l = {0};
  l.spawned = thrum_now();
  thrum_g g = go(live, &l);
  compute(2 * MS); /* the only P is ours for so long */
  join_g(g);
  int64_t all = sum_of(l.w);
  CHECK(within(all, l.told - l.began, l.ended - l.spawned));
  CHECK((int64_t)l.w.blocked_ns >= 5 * MS * 97 / 100);
  CHECK((int64_t)(l.w.queued_ns + l.w.kernel_ns + l.w.throttled_ns) >=
        2 * MS * 97 / 100);
  CHECK((int64_t)(l.w.ran_ns + l.w.kernel_ns + l.w.throttled_ns) >=
        3 * MS * 97 / 100);
  thrum_waits gone = {.struct_size = sizeof gone};
  CHECK_EQ(thrum_waits_get(NULL, 0, &gone), THRUM_EINVAL);
}

TEST(the_time_of_a_g_adds_up) { in_rt(RT_SEQ, its_time_adds_up, NULL); }

/* ---- off and on again ------------------------------------------------------------ */

static void parks_twice(void* arg) {
  (void)arg;
  CHECK_EQ(thrum_park("first", THRUM_FOREVER), 0);
  CHECK_EQ(thrum_park("second", THRUM_FOREVER), 0);
}

static void off_and_on(void* arg) {
  (void)arg;
  int64_t begin = real_now();
  CHECK_EQ(thrum_waits_start(NULL, 0), 0);
  CHECK_EQ(sum_of(waits_of(thrum_self())), 0); /* no event yet, but it lives */
  thrum_g g = go(parks_twice, NULL);
  CHECK_EQ(thrum_yield(), 0);
  CHECK_EQ(thrum_trace_stop(NULL), 0);
  int64_t on = real_now() - begin;
  compute(30 * MS);
  begin = real_now();
  CHECK_EQ(thrum_waits_start(NULL, 0), 0);
  CHECK_EQ(thrum_unpark(NULL, g), 0);
  CHECK_EQ(thrum_yield(), 0);
  on += real_now() - begin;
  CHECK(within(sum_of(waits_of(g)), 0, on));
  CHECK(within(sum_of(waits_of(thrum_self())), 0, on));
  CHECK_EQ(thrum_unpark(NULL, g), 0);
  join_g(g);
}

TEST(what_happens_while_it_is_off_is_not_counted) {
  in_rt(RT_SEQ, off_and_on, NULL);
}

/* ---- a declared block, and an undeclared one ------------------------------------------ */

static void nap(int64_t ns) {
  struct timespec t = {ns / SECOND, ns % SECOND};
  nanosleep(&t, NULL);
}

static void block(void* arg) {
  thrum_waits* w = arg;
  CHECK_EQ(thrum_enter_blocking(), 0);
  nap(5 * MS);
  CHECK_EQ(thrum_exit_blocking(), 0);
  nap(5 * MS);
  CHECK_EQ(thrum_yield(), 0);
  *w = waits_of(thrum_self());
}

static void both_blocks(void* arg) {
  (void)arg;
  CHECK_EQ(thrum_waits_start(NULL, 0), 0);
  thrum_waits w;
  join_g(go(block, &w));
  /* The thread slept twice, which nobody else took from it. */
  CHECK((int64_t)w.blocked_ns >= 10 * MS * 97 / 100 - MS / 5);
}

TEST(sleep_in_a_system_call_is_a_choice) {
  in_rt(RT_SEQ, both_blocks, NULL);
  in_rt(RT_P2, both_blocks, NULL);
}

/* The only P belongs to another G when the block is over. */
struct late {
  thrum_waits w;
  word taken, back;
};

static void comes_back_late(void* arg) {
  struct late* l = arg;
  CHECK_EQ(thrum_enter_blocking(), 0);
  nap(5 * MS);
  while (!get(&l->taken)) {
    nap(MS);
  }
  set(&l->back, 1);
  CHECK_EQ(thrum_exit_blocking(), 0);
  CHECK_EQ(thrum_yield(), 0);
  l->w = waits_of(thrum_self());
}

static void no_p_is_left(void* arg) {
  (void)arg;
  CHECK_EQ(thrum_waits_start(NULL, 0), 0);
  struct late l = {0};
  thrum_g g = go(comes_back_late, &l);
  CHECK_EQ(thrum_yield(), 0);
  set(&l.taken, 1);
  while (!get(&l.back)) {}
  compute(3 * MS);
  join_g(g);
  CHECK((int64_t)l.w.blocked_ns >= 5 * MS * 97 / 100);
}

TEST(a_block_that_ends_without_a_p_is_a_choice) {
  in_rt(RT_P1, no_p_is_left, NULL);
}

/* ---- the heat map -------------------------------------------------------------------------- */

enum { STALLS = 8, ROWS = 40 };
#define STALL (3 * MS)

struct stall {
  int64_t readied, ran; /* brackets: before it was made ready, after it ran */
};

struct victim {
  thrum_chan* ch;
  struct stall at[STALLS];
};

static void suffer(void* arg) {
  struct victim* v = arg;
  for (int i = 0, n; i < STALLS; i++) {
    CHECK_EQ(thrum_chan_recv(v->ch, &n, THRUM_FOREVER), 0);
    v->at[n].ran = thrum_now();
  }
}

/* Of the CSV: whether rows of `least` ns and more have something in the columns that
 * meet [from, to]; and what is in there altogether. */
static long cells(const char* csv, double column, int64_t least, int64_t from,
                  int64_t to, long* taken) {
  long n = 0;
  *taken = 0;
  for (const char* at = strchr(csv, '\n') + 1; *at; at = strchr(at, '\n') + 1) {
    long long begin, below, count, kernel;
    REQUIRE_EQ(
        sscanf(at, "%lld,%lld,%lld,%lld", &begin, &below, &count, &kernel), 4);
    if (below < least || (double)begin + column < (double)from - 1e5 ||
        (double)begin > (double)to + 1e5)
      continue;
    n += (long)count;
    *taken += (long)kernel;
  }
  return n;
}

/* What the map has of one stall, soon after it: older columns go. */
static void look(const struct stall* s, int64_t before, int64_t column) {
  size_t room = 1 << 20;
  char* csv = malloc(room);
  REQUIRE(csv != NULL);
  CHECK(thrum_report(NULL, THRUM_REPORT_HEATMAP, THRUM_FORMAT_CSV, csv, room) <
        (int64_t)room);
  long kernel;
  long n =
      cells(csv, (double)column, STALL, s->readied + STALL, s->ran, &kernel);
  CHECK(n >= 1);
  /* Nothing else is as late, unless it is the kernel's doing and says so. */
  long all = cells(csv, (double)column, STALL, before, thrum_now(), &kernel);
  CHECK(all >= 1 && all <= n + kernel);
  free(csv);
}

static void stall_at_known_times(void* arg) {
  (void)arg;
  const int64_t column = 4 * MS;
  CHECK_EQ(thrum_waits_start(NULL, column), 0);
  static struct victim v;
  REQUIRE_EQ(thrum_chan_new(sizeof(int), 0, &v.ch), 0);
  thrum_g g = go(suffer, &v);
  for (int i = 0; i < STALLS; i++) {
    CHECK_EQ(thrum_sleep(20 * MS), 0);
    int64_t before = thrum_now();
    v.at[i].readied = before;
    CHECK_EQ(thrum_chan_send(v.ch, &i, THRUM_FOREVER), 0);
    compute(STALL);             /* it is ready, and the only P is ours */
    CHECK_EQ(thrum_yield(), 0); /* it runs, and waits for the next */
    look(&v.at[i], before, column);
  }
  join_g(g);
  thrum_chan_release(v.ch);
}

TEST(stalls_light_up_where_they_were) {
  in_rt(RT_SEQ, stall_at_known_times, NULL);
}

/* ---- by class ----------------------------------------------------------------------------- */

/* Of the CSV: what a class (with a comma before it) has altogether; NULL: all. */
static long counted(const char* csv, const char* class) {
  int column = 2; /* "count" */
  if (class) {
    column = 0;
    const char* head = strstr(csv, class);
    REQUIRE(head != NULL && head < strchr(csv, '\n'));
    for (const char* at = csv; at <= head; at++)
      column += *at == ',';
  }
  long n = 0;
  for (const char* at = strchr(csv, '\n') + 1; *at; at = strchr(at, '\n') + 1) {
    const char* cell = at;
    for (int i = 0; i < column; i++)
      cell = strchr(cell, ',') + 1;
    n += atol(cell);
  }
  return n;
}

static void yields(void* arg) {
  for (int i = 0; i < *(int*)arg; i++)
    CHECK_EQ(thrum_yield(), 0);
}

static void in_classes(void* arg) {
  (void)arg;
  CHECK_EQ(thrum_waits_start(NULL, SECOND), 0);
  int few = 10, some = 20, many = 40;
  thrum_spawn_opts low = {.struct_size = sizeof low,
                          .priority = THRUM_PRIO_LOW};
  thrum_spawn_opts high = {.struct_size = sizeof high,
                           .priority = THRUM_PRIO_HIGH};
  thrum_spawn_opts pinned = {.struct_size = sizeof pinned,
                             .affinity = THRUM_PIN_M};
  thrum_g g[3] = {go_with(&low, yields, &few), go_with(&high, yields, &some),
                  go_with(&pinned, yields, &many)};
  for (int i = 0; i < 3; i++)
    join_g(g[i]);
  int64_t size =
      thrum_report(NULL, THRUM_REPORT_HEATMAP, THRUM_FORMAT_CSV, NULL, 0) +
      4096;
  char* csv = malloc((size_t)size);
  REQUIRE(csv != NULL);
  CHECK(thrum_report(NULL, THRUM_REPORT_HEATMAP, THRUM_FORMAT_CSV, csv,
                     (size_t)size) < size);
  /* Each yield and the spawn is a wait for the P. */
  CHECK_EQ(counted(csv, ",low"), few + 1);
  CHECK_EQ(counted(csv, ",high"), some + 1);
  CHECK_EQ(counted(csv, ",pinned"), many + 1);
  CHECK_EQ(counted(csv, ",domain"), 0);
  long all = counted(csv, NULL);
  CHECK_EQ(counted(csv, ",migrate") + counted(csv, ",pinned"), all);
  CHECK_EQ(counted(csv, ",normal") + counted(csv, ",low") +
               counted(csv, ",high"),
           all);
  free(csv);
}

TEST(the_heat_map_tells_classes_apart) { in_rt(RT_SEQ, in_classes, NULL); }

/* ---- all kinds, all formats ---------------------------------------------------------------- */

static void chat(void* arg) {
  (void)arg;
  CHECK_EQ(thrum_waits_start(NULL, 1000), 0);
  CHECK_EQ(thrum_waits_start(NULL, SECOND), 0); /* the first decides */
  thrum_g g[8];
  struct life l[8];
  for (int i = 0; i < 8; i++)
    g[i] = go(live, &l[i]);
  for (int i = 0; i < 8; i++)
    join_g(g[i]);
  static const uint32_t kinds[][2] = {{THRUM_REPORT_HEATMAP, THRUM_FORMAT_JSON},
                                      {THRUM_REPORT_HEATMAP, THRUM_FORMAT_CSV},
                                      {THRUM_REPORT_HEATMAP, THRUM_FORMAT_TEXT},
                                      {THRUM_REPORT_WAITS, THRUM_FORMAT_JSON},
                                      {THRUM_REPORT_WAITS, THRUM_FORMAT_TEXT}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    CHECK(thrum_report(NULL, kinds[i][0], kinds[i][1], NULL, 0) > 30);
  CHECK_EQ(thrum_report(NULL, THRUM_REPORT_WAITS, THRUM_FORMAT_CSV, NULL, 0),
           THRUM_EINVAL);
}

TEST(waits_in_every_kind_of_runtime) { everywhere(chat, NULL); }

TEST(what_was_never_measured_is_not_told) {
  thrum_rt* rt = rt_make(RT_P2);
  CHECK_EQ(thrum_report(rt, THRUM_REPORT_HEATMAP, THRUM_FORMAT_JSON, NULL, 0),
           THRUM_EINVAL);
  CHECK_EQ(thrum_waits_start(rt, 999), THRUM_EINVAL);
  CHECK_EQ(thrum_waits_start(rt, SECOND + 1), THRUM_EINVAL);
  rt_end(rt);
}

static const struct check_case cases[] = {
    CASE(the_time_of_a_g_adds_up),
    CASE(what_happens_while_it_is_off_is_not_counted),
    CASE(sleep_in_a_system_call_is_a_choice),
    CASE(a_block_that_ends_without_a_p_is_a_choice),
    CASE(stalls_light_up_where_they_were),
    CASE(the_heat_map_tells_classes_apart),
    CASE(waits_in_every_kind_of_runtime),
    CASE(what_was_never_measured_is_not_told),
};
CHECK_MAIN(cases)
