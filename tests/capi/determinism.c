/* determinism.c: THRUM_RT_DETERMINISTIC: the seed decides the order and nothing
 * else does; deadlocks are told in full. The virtual clock has its cases in
 * time.c, replay in another process in ../proc/replay.c. */
#include "../support/check.h"

#include <sys/mman.h>
#include <thrum/host.h>

#include "../support/rt.h"
#include "../support/trace.h"

static struct trace one, two;

TEST(same_seed_same_trace) {
  for (uint64_t seed = 0; seed < (uint64_t)ROUNDS(60); seed++) {
    trace_run(&one, seed, 0);
    CHECK_LE(TRACE_GUESTS * TRACE_STEPS, one.n);
    CHECK_LE(one.n, TRACE_MOST);
    for (unsigned noise = 0; noise < 3; noise++) {
      trace_run(&two, seed, noise);
      CHECK_EQ(two.n, one.n);
      for (uint32_t i = 0; i < one.n && i < two.n; i++)
        if (one.event[i] != two.event[i]) {
          check_fail(__FILE__, __LINE__,
                     "seed %d: event %u is %08x at first and %08x then",
                     (int)seed, i, one.event[i], two.event[i]);
          break;
        }
      CHECK(two.hash == one.hash); /* the virtual times as well */
    }
  }
}

TEST(other_seed_other_trace) {
  enum { SEEDS = 40 };
  static const uint64_t far_seeds[] = {UINT64_MAX, (uint64_t)1 << 32,
                                       (uint64_t)1 << 63};
  uint64_t hash[SEEDS];
  int distinct = 0;
  for (int i = 0; i < SEEDS; i++) {
    uint64_t seed = i < 3 ? far_seeds[i] : (uint64_t)i;
    hash[i] = trace_run(&one, seed, 0);
    int known = 0;
    for (int k = 0; k < i; k++)
      known |= hash[k] == hash[i];
    distinct += !known;
  }
  CHECK_LE(SEEDS - 2, distinct); /* the program has far more orders than that */
}

/* ---- each choice by itself ----------------------------------------------- */

/* Eight Gs, and in which order they come to something: 8! orders. */
struct orders {
  int order[8], n;
  int64_t when[8];
  int64_t ns;
};
struct orders_guest {
  struct orders* o;
  int me;
};
static void orders_guest(void* arg) {
  struct orders_guest* g = arg;
  if (g->o->ns)
    CHECK_EQ(thrum_sleep(g->o->ns), 0);
  g->o->when[g->o->n] = thrum_now();
  g->o->order[g->o->n++] = g->me;
}
static void orders_main(void* arg) {
  struct orders* o = arg;
  struct orders_guest guest[8];
  thrum_g g[8];
  for (int i = 0; i < 8; i++) {
    guest[i] = (struct orders_guest){o, i};
    g[i] = go(orders_guest, &guest[i]);
  }
  for (int i = 0; i < 8; i++)
    join_g(g[i]);
}
static void orders_by_seed(int64_t ns) {
  enum { SEEDS = 120 };
  static struct orders seen[SEEDS];
  int distinct = 0, firsts = 0;
  for (int i = 0; i < SEEDS; i++) {
    struct rt_kind kind = {"[seeded]", 1, THRUM_RT_DETERMINISTIC, (uint64_t)i,
                           0};
    struct orders again;
    memset(&again, 0, sizeof again);
    memset(&seen[i], 0, sizeof seen[i]);
    again.ns = seen[i].ns = ns;
    in_rt(kind, orders_main, &seen[i]);
    in_rt(kind, orders_main, &again);
    CHECK_EQ(seen[i].n, 8);
    CHECK(memcmp(&again, &seen[i], sizeof again) == 0);
    for (int k = 0; k < 8; k++)
      CHECK_EQ(seen[i].when[k], SECOND + ns);
    int known = 0;
    for (int k = 0; k < i; k++)
      known |= memcmp(seen[k].order, seen[i].order, sizeof seen[i].order) == 0;
    distinct += !known;
    firsts |= 1 << seen[i].order[0];
  }
  CHECK_LE(SEEDS / 2, distinct);
  CHECK_EQ(firsts, 255); /* each of them is the first for some seed */
}
TEST(order_of_the_runnable) { orders_by_seed(0); }
TEST(order_of_timers_that_are_due_together) { orders_by_seed(5000); }

/* One that is pinned comes neither before the others nor after: who yields does not
 * keep out who has not begun, and whose time has come runs at that time, not at the
 * next timer's. */
struct pinned {
  word begun;
  int64_t woke, late;
};
static thrum_g go_pinned(thrum_fn fn, void* arg) {
  thrum_spawn_opts opts = spawn_opts();
  opts.affinity = THRUM_PIN_STARTED;
  return go_with(&opts, fn, arg);
}
static void pinned_late(void* arg) {
  struct pinned* p = arg;
  add(&p->begun, 1);
  CHECK_EQ(thrum_sleep(1000 * SECOND), 0);
  p->late = thrum_now();
}
static void pinned_first(void* arg) {
  struct pinned* p = arg;
  thrum_g g = go_pinned(pinned_late, p);
  for (int i = 0; i < 10000 && !get(&p->begun); i++)
    CHECK_EQ(thrum_yield(), 0);
  CHECK_EQ(get(&p->begun), 1);
  CHECK_EQ(thrum_sleep(1000), 0);
  p->woke = thrum_now();
  join_g(g);
}
static void pinned_main(void* arg) { join_g(go_pinned(pinned_first, arg)); }
TEST(pinned_ones_are_drawn_with_the_others) {
  for (uint64_t seed = 0; seed < 20; seed++) {
    struct rt_kind kind = {"[seeded]", 1, THRUM_RT_DETERMINISTIC, seed, 0};
    struct pinned p = {0, 0, 0};
    in_rt(kind, pinned_main, &p);
    CHECK_EQ(p.woke, SECOND + 1000);
    CHECK_EQ(p.late, 1001 * SECOND);
  }
}

struct choices {
  unsigned char arm[256];
};
static void choose_arms(void* arg) {
  struct choices* c = arg;
  thrum_chan* ch[4];
  char x = 0;
  for (int k = 0; k < 4; k++) {
    REQUIRE_EQ(thrum_chan_new(1, 1, &ch[k]), 0);
    CHECK_EQ(thrum_chan_send(ch[k], &x, THRUM_TRY), 0);
  }
  for (int i = 0; i < 256; i++) {
    thrum_case arms[4];
    for (int k = 0; k < 4; k++)
      arms[k] = (thrum_case){ch[k], &x, THRUM_RECV, 0};
    int k = thrum_select(arms, 4, THRUM_FOREVER);
    REQUIRE(k >= 0 && k < 4);
    c->arm[i] = (unsigned char)k;
    CHECK_EQ(thrum_chan_send(ch[k], &x, THRUM_TRY), 0);
  }
  for (int k = 0; k < 4; k++)
    thrum_chan_release(ch[k]);
}
TEST(arms_of_a_select) {
  enum { SEEDS = 20 };
  static struct choices seen[SEEDS];
  for (int i = 0; i < SEEDS; i++) {
    struct rt_kind kind = {"[seeded]", 1, THRUM_RT_DETERMINISTIC, (uint64_t)i,
                           0};
    struct choices again;
    in_rt(kind, choose_arms, &seen[i]);
    in_rt(kind, choose_arms, &again);
    CHECK(memcmp(&again, &seen[i], sizeof again) == 0);
    for (int k = 0; k < i; k++)
      CHECK(memcmp(&seen[k], &seen[i], sizeof seen[i]) != 0);
  }
}

/* ---- one M --------------------------------------------------------------- */

struct one_m {
  int tid;
  word others;
};
static void on_one_m(void* arg) {
  struct one_m* m = arg;
  for (int i = 0; i < 10; i++) {
    if (thread_id() != m->tid)
      add(&m->others, 1);
    CHECK_EQ(i % 3 ? thrum_yield() : thrum_sleep(100), 0);
  }
}
static void one_m_main(void* arg) {
  struct one_m* m = arg;
  thrum_g g[20];
  m->tid = thread_id();
  for (int i = 0; i < 20; i++)
    g[i] = go(on_one_m, m);
  for (int i = 0; i < 20; i++)
    join_g(g[i]);
}
TEST(one_thread_runs_all) {
  struct one_m m = {0, 0};
  struct rt_kind kind = {"[seed 1, 4 P asked for]", 4, THRUM_RT_DETERMINISTIC,
                         1, 0};
  thrum_config config;
  thrum_rt* rt = NULL;
  in_rt(RT_DET1, one_m_main, &m);
  CHECK_EQ(m.others, 0);
  /* Asking for more Ps is refused or of no effect. */
  thrum_config_init(&config, sizeof config);
  config.flags = kind.flags;
  config.procs = kind.procs;
  if (thrum_rt_new(&rt, &config) == 0) {
    CHECK_EQ(thrum_run(rt, one_m_main, &m), 0);
    CHECK_EQ(m.others, 0);
    rt_end(rt);
  }
}

/* ---- deadlock ------------------------------------------------------------ */

struct dead {
  thrum_chan* ch;
  thrum_mutex m;
  thrum_wg wg;
  thrum_g joined;
};
static void dead_recv(void* arg) {
  char c;
  CHECK_EQ(thrum_chan_recv(((struct dead*)arg)->ch, &c, THRUM_FOREVER),
           THRUM_ECANCELED);
}
static void dead_park(void* arg) {
  (void)arg;
  CHECK_EQ(thrum_park("godot", THRUM_FOREVER), THRUM_ECANCELED);
}
static void dead_wg(void* arg) {
  CHECK_EQ(thrum_wg_wait(&((struct dead*)arg)->wg, THRUM_FOREVER),
           THRUM_ECANCELED);
}
static void dead_lock(void* arg) {
  struct dead* d = arg;
  /* in the end: its owner unlocks when it is cancelled */
  CHECK_EQ(thrum_mutex_lock(&d->m, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_mutex_unlock(&d->m), 0);
}
static void dead_join(void* arg) {
  int rc = thrum_join(NULL, ((struct dead*)arg)->joined, THRUM_FOREVER);
  CHECK(rc == THRUM_ECANCELED || rc == 0);
}
static const struct {
  const char* name;
  thrum_fn fn;
} dead_guests[] = {{"alpha", dead_recv},
                   {"beta", dead_park},
                   {"gamma", dead_wg},
                   {"delta", dead_lock},
                   {"epsilon", dead_join}};
static void dead_main(void* arg) {
  struct dead* d = arg;
  char c;
  CHECK_EQ(thrum_mutex_lock(&d->m, THRUM_FOREVER), 0);
  for (size_t i = 0; i < CHECK_COUNT(dead_guests); i++) {
    thrum_spawn_opts o = spawn_opts();
    o.name = dead_guests[i].name;
    thrum_g g = go_with(&o, dead_guests[i].fn, d);
    if (i == 1)
      d->joined = g;
  }
  CHECK_EQ(thrum_chan_recv(d->ch, &c, THRUM_FOREVER), THRUM_ECANCELED);
  CHECK_EQ(thrum_mutex_unlock(&d->m), 0);
}
struct told {
  const char* report;
  int n;
};
static void is_told(void* arg, const thrum_g_info* info) {
  struct told* t = arg;
  t->n++;
  CHECK(info->reason != NULL);
  if (!info->reason)
    return;
  /* A line of the report has the name and the reason of this G. */
  int found = 0;
  for (const char* line = t->report; line && *line;) {
    const char* end = strchr(line, '\n');
    size_t length = end ? (size_t)(end - line) : strlen(line);
    char copy[512];
    snprintf(copy, sizeof copy, "%.*s", (int)(length < 500 ? length : 500),
             line);
    if (strstr(copy, info->reason) && (!info->name || strstr(copy, info->name)))
      found = 1;
    line = end ? end + 1 : NULL;
  }
  CHECK_MSG(found, "the report has no line with \"%s\" and \"%s\"",
            info->name ? info->name : "(no name)", info->reason);
}
TEST(deadlock_report) {
  static char report[65536];
  struct dead d;
  memset(&d, 0, sizeof d);
  REQUIRE_EQ(thrum_chan_new(1, 0, &d.ch), 0);
  REQUIRE_EQ(thrum_wg_add(&d.wg, 1), 0);
  int file = memfd_create("stderr", MFD_CLOEXEC), kept = dup(2);
  REQUIRE(file >= 0 && kept >= 0);
  thrum_rt* rt = rt_make(RT_DET1);
  dup2(file, 2);
  int rc = thrum_run(rt, dead_main, &d);
  dup2(kept, 2);
  close(kept);
  CHECK_EQ(rc, THRUM_EDEADLOCK);
  ssize_t n = pread(file, report, sizeof report - 1, 0);
  report[n > 0 ? n : 0] = 0;
  close(file);
  struct told t = {report, 0};
  CHECK_EQ(thrum_g_each(rt, is_told, &t), 0);
  CHECK_EQ(t.n, 1 + (int)CHECK_COUNT(dead_guests));
  CHECK(strstr(report, "godot") != NULL);
  CHECK(strstr(report, "deadlock") != NULL);
  rt_end(rt);
  thrum_chan_release(d.ch);
}

static const struct check_case cases[] = {
    CASE(same_seed_same_trace),  CASE(other_seed_other_trace),
    CASE(order_of_the_runnable), CASE(order_of_timers_that_are_due_together),
    CASE(arms_of_a_select),      CASE(one_thread_runs_all),
    CASE(deadlock_report),       CASE(pinned_ones_are_drawn_with_the_others),
};
CHECK_MAIN(cases)
