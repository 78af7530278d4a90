/* runtime.c: versions, configuration, the life of a runtime, running on the
 * caller's thread, pumping, procs. */
#include "../support/check.h"

#include <limits.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <thrum/thrum.h>

#include "../support/rt.h"

static void nothing(void* arg) { (void)arg; }

static void count_up(void* arg) { add(arg, 1); }

/* ---- versions and errors ------------------------------------------------- */

TEST(version) {
  uint32_t v = thrum_version();
  char text[64];
  snprintf(text, sizeof text, "%u.%u.%u", v >> 16, (v >> 8) & 255, v & 255);
  CHECK(v != 0);
  /* A pre-release may carry a suffix behind the three numbers. */
  CHECK_MSG(strncmp(thrum_version_string(), text, strlen(text)) == 0,
            "version %s, string %s", text, thrum_version_string());
  CHECK(thrum_build_info() != NULL && strlen(thrum_build_info()) > 0);
}

TEST(error_names) {
  static const struct {
    int code, number;
    const char* name;
  } known[] = {
      {THRUM_EPERM, -1, "EPERM"},
      {THRUM_E2BIG, -7, "E2BIG"},
      {THRUM_EAGAIN, -11, "EAGAIN"},
      {THRUM_ENOMEM, -12, "ENOMEM"},
      {THRUM_EBUSY, -16, "EBUSY"},
      {THRUM_EINVAL, -22, "EINVAL"},
      {THRUM_ENOTSUP, -95, "ENOTSUP"},
      {THRUM_ETIMEDOUT, -110, "ETIMEDOUT"},
      {THRUM_ECANCELED, -125, "ECANCELED"},
      {THRUM_ENOTG, -1001, "ENOTG"},
      {THRUM_ESTALE, -1002, "ESTALE"},
      {THRUM_ECLOSED, -1003, "ECLOSED"},
      {THRUM_EDEADLOCK, -1004, "EDEADLOCK"},
      {THRUM_EFORKED, -1005, "EFORKED"},
  };
  for (size_t i = 0; i < CHECK_COUNT(known); i++) {
    CHECK_EQ(known[i].code, known[i].number);
    CHECK_STR(thrum_errname(known[i].code), known[i].name);
    const char* text = thrum_strerror(known[i].code);
    REQUIRE(text != NULL);
    CHECK(strlen(text) > 0);
    for (size_t k = 0; k < i; k++)
      CHECK_MSG(strcmp(text, thrum_strerror(known[k].code)) != 0,
                "%s and %s share the text \"%s\"", known[i].name, known[k].name,
                text);
  }
  static const int others[] = {0,     1,     -2,    77,      -4095,   -999,
                               -1000, -1006, -1999, -100000, INT_MAX, INT_MIN};
  for (size_t i = 0; i < CHECK_COUNT(others); i++) {
    CHECK(thrum_strerror(others[i]) != NULL);
    CHECK(thrum_errname(others[i]) != NULL);
  }
}

/* ---- configuration ------------------------------------------------------- */

struct newer_config {
  thrum_config known;
  uint64_t later[2];
  uint64_t canary;
};

TEST(config_init_writes_its_size) {
  struct newer_config c;
  memset(&c, 0x5a, sizeof c);
  thrum_config_init(&c.known, sizeof c.known);
  CHECK_EQ(c.known.struct_size, sizeof c.known);
  CHECK_EQ(c.known.procs, 0);
  CHECK_EQ(c.known.max_threads, 0);
  CHECK_EQ(c.known.flags, 0);
  CHECK_EQ(c.known.stack_size, 0);
  CHECK_EQ(c.known.slice_ns, 0);
  CHECK_EQ(c.known.seed, 0);
  CHECK(c.later[0] == 0x5a5a5a5a5a5a5a5au);
  /* An older program's shorter struct: nothing behind it is touched. */
  memset(&c, 0x5a, sizeof c);
  thrum_config_init(&c.known, 16);
  CHECK_EQ(c.known.struct_size, 16);
  CHECK_EQ(c.known.flags, 0);
  CHECK(c.known.stack_size == 0x5a5a5a5a5a5a5a5au);
  /* A newer program's longer one: all of it is zero, or its defaults would be
   * garbage to this library. */
  memset(&c, 0x5a, sizeof c);
  thrum_config_init(&c.known, offsetof(struct newer_config, canary));
  CHECK_EQ(c.known.struct_size, offsetof(struct newer_config, canary));
  CHECK(c.later[0] == 0 && c.later[1] == 0);
  CHECK(c.canary == 0x5a5a5a5a5a5a5a5au);
  thrum_config_init(NULL, sizeof c.known);
}

TEST(config_sizes) {
  struct newer_config c;
  thrum_rt* rt = NULL;
  thrum_config_init(&c.known, offsetof(struct newer_config, canary));
  c.known.procs = 1;
  /* newer, but it sets nothing unknown */
  CHECK_EQ(thrum_rt_new(&rt, &c.known), 0);
  CHECK_EQ(thrum_procs(rt), 1);
  rt_end(rt);
  c.later[1] = 1;
  rt = NULL;
  CHECK_EQ(thrum_rt_new(&rt, &c.known), THRUM_E2BIG);
  c.later[1] = (uint64_t)1 << 63;
  CHECK_EQ(thrum_rt_new(&rt, &c.known), THRUM_E2BIG);
  c.later[1] = 0;
  c.later[0] = 1;
  CHECK_EQ(thrum_rt_new(&rt, &c.known), THRUM_E2BIG);
  /* Older: what lies behind struct_size is not read. */
  memset(&c, 0xff, sizeof c);
  c.known.struct_size = 8;
  c.known.procs = 3;
  CHECK_EQ(thrum_rt_new(&rt, &c.known), 0);
  CHECK_EQ(thrum_procs(rt), 3);
  word ran = 0;
  CHECK_EQ(thrum_run(rt, count_up, &ran), 0);
  CHECK_EQ(ran, 1);
  rt_end(rt);
  c.known.struct_size = 0;
  CHECK_EQ(thrum_rt_new(&rt, &c.known), THRUM_EINVAL);
}

TEST(config_refused) {
  thrum_config c;
  thrum_rt* rt = NULL;
  CHECK_EQ(thrum_rt_new(NULL, NULL), THRUM_EINVAL);
  thrum_config_init(&c, sizeof c);
  CHECK_EQ(thrum_rt_new(NULL, &c), THRUM_EINVAL);
  for (int bit = 3; bit < 32; bit++) {
    thrum_config_init(&c, sizeof c);
    c.flags = (uint32_t)1 << bit;
    CHECK_EQ(thrum_rt_new(&rt, &c), THRUM_EINVAL);
  }
  /* No address space holds such a stack: an answer, at new or at the first
   * spawn or run, and no crash. */
  thrum_config_init(&c, sizeof c);
  c.stack_size = (uint64_t)1 << 62;
  word ran = 0;
  int rc = thrum_rt_new(&rt, &c);
  if (rc == 0) {
    rc = thrum_run(rt, count_up, &ran);
    rt_end(rt);
  }
  CHECK_MSG(rc == THRUM_EINVAL || rc == THRUM_ENOMEM,
            "a stack of 2^62 bytes: %d", rc);
  CHECK_EQ(ran, 0);
}

TEST(config_null_is_defaults) {
  thrum_rt* rt = NULL;
  word ran = 0;
  REQUIRE_EQ(thrum_rt_new(&rt, NULL), 0);
  CHECK_EQ(thrum_run(rt, count_up, &ran), 0);
  CHECK_EQ(ran, 1);
  rt_end(rt);
}

/* A cap on threads is kept, and what the cap forbids only waits. */
static void cap_guest(void* arg) {
  word* most = arg;
  for (int i = 0; i < 200; i++) {
    if (i % 50 == 0)
      raise_to(most, check_threads());
    CHECK_EQ(thrum_yield(), 0);
  }
}
static void cap_main(void* arg) {
  thrum_g g[24];
  for (int i = 0; i < 24; i++)
    g[i] = go(cap_guest, arg);
  for (int i = 0; i < 24; i++)
    join_g(g[i]);
}
TEST(config_max_threads) {
  thrum_config c;
  thrum_rt* rt = NULL;
  word most = 0;
  int before = check_threads();
  thrum_config_init(&c, sizeof c);
  c.procs = 8;
  c.max_threads = 3;
  REQUIRE_EQ(thrum_rt_new(&rt, &c), 0);
  CHECK_EQ(thrum_run(rt, cap_main, &most), 0);
  /* One more for a thread that runs no G (a monitor). */
  CHECK_LE(most, before + 3 + 1);
  rt_end(rt);
}

/* ---- life ---------------------------------------------------------------- */

TEST(new_starts_no_thread) {
  int before = check_threads();
  thrum_rt* rt = rt_make(RT_P4);
  CHECK_EQ(check_threads(), before);
  /* never started, and stops all the same */
  CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
  thrum_rt_free(rt);
}

TEST(current) {
  CHECK(thrum_rt_current() == NULL);
  thrum_rt* rt = rt_make(RT_P2);
  CHECK(thrum_rt_current() == NULL);
  rt_end(rt);
}

static void current_is(void* arg) { CHECK(thrum_rt_current() == arg); }
TEST(current_in_g) {
  thrum_rt *a = rt_make(RT_P2), *b = rt_make(RT_P1);
  CHECK_EQ(thrum_run(a, current_is, a), 0);
  CHECK_EQ(thrum_run(b, current_is, b), 0);
  CHECK_EQ(thrum_run(a, current_is, a), 0);
  CHECK(thrum_rt_current() == NULL);
  rt_end(a);
  rt_end(b);
}

TEST(stop_twice) {
  thrum_rt* rt = rt_make(RT_P2);
  CHECK_EQ(thrum_run(rt, nothing, NULL), 0);
  CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_rt_stop(rt, THRUM_TRY), 0);
  thrum_rt_free(rt);
}

static void stop_own(void* arg) {
  CHECK_EQ(thrum_rt_stop(arg, THRUM_FOREVER), THRUM_EDEADLOCK);
  CHECK_EQ(thrum_rt_stop(arg, THRUM_TRY), THRUM_EDEADLOCK);
  CHECK_EQ(thrum_rt_stop(NULL, THRUM_FOREVER), THRUM_EDEADLOCK);
  /* Nothing was stopped by asking. */
  word ran = 0;
  join_g(go(count_up, &ran));
  CHECK_EQ(ran, 1);
  CHECK_EQ(thrum_yield(), 0);
}
TEST(stop_from_own_g) {
  static const struct rt_kind kinds[] = {
      {"[2 P]", 2, 0, 0, 0}, {"[hosted]", 1, THRUM_RT_HOSTED, 0, 0}};
  for (size_t i = 0; i < CHECK_COUNT(kinds); i++) {
    thrum_rt* rt = rt_make(kinds[i]);
    CHECK_EQ(thrum_run(rt, stop_own, rt), 0);
    rt_end(rt);
  }
}

static void stop_other(void* arg) {
  CHECK_EQ(thrum_rt_stop(arg, THRUM_FOREVER), 0);
  thrum_rt_free(arg);
}
static void sleep_until_cancelled(void* arg) {
  int rc;
  do
    rc = thrum_sleep(3600 * SECOND);
  while (rc == 0);
  CHECK_EQ(rc, THRUM_ECANCELED);
  add(arg, 1);
}
TEST(stop_from_another_runtimes_g) {
  thrum_rt *a = rt_make(RT_P2), *b = rt_make(RT_P2);
  word ended = 0;
  for (int i = 0; i < 8; i++)
    go_in(b, sleep_until_cancelled, &ended);
  CHECK_EQ(thrum_run(a, stop_other, b), 0);
  CHECK_EQ(ended, 8);
  rt_end(a);
}

/* Both stop it; only the second can run what is bound to it. */
static void bind_here(void* arg) {
  thrum_spawn_opts o = {.struct_size = sizeof o, .affinity = THRUM_PIN_M};
  go_with(&o, sleep_until_cancelled, arg);
  let_others_run();
}
static void* stop_from_thread(void* arg) {
  CHECK_EQ(thrum_rt_stop(arg, SOON), 0);
  return NULL;
}
TEST(stop_beside_a_stop_bound_gs) {
  static const struct rt_kind kinds[] = {
      {"[2 P]", 2, 0, 0, 0}, {"[hosted]", 1, THRUM_RT_HOSTED, 0, 0}};
  for (size_t i = 0; i < CHECK_COUNT(kinds); i++) {
    thrum_rt* rt = rt_make(kinds[i]);
    word ended = 0;
    pthread_t t;
    CHECK_EQ(thrum_run(rt, bind_here, &ended), 0);
    REQUIRE_EQ(pthread_create(&t, NULL, stop_from_thread, rt), 0);
    while (thrum_spawn(rt, NULL, nothing, NULL, NULL) != THRUM_ECLOSED)
      check_pause();
    CHECK_EQ(thrum_rt_stop(rt, SOON), 0);
    pthread_join(t, NULL);
    CHECK_EQ(ended, 1);
    thrum_rt_free(rt);
  }
}

/* A G that only ends when the test says so. */
struct stubborn {
  thrum_chan* go;
  word shielded, ended;
};
static void be_stubborn(void* arg) {
  struct stubborn* s = arg;
  char c;
  CHECK(thrum_shield(1) >= 0);
  set(&s->shielded, 1);
  CHECK_EQ(thrum_chan_recv(s->go, &c, THRUM_FOREVER), 0);
  set(&s->ended, 1);
}
static struct stubborn* stubborn_in(thrum_rt* rt, struct stubborn* s) {
  memset(s, 0, sizeof *s);
  REQUIRE_EQ(thrum_chan_new(1, 1, &s->go), 0);
  go_in(rt, be_stubborn, s);
  while (!get(&s->shielded))
    check_pause();
  return s;
}

TEST(stop_deadline) {
  thrum_rt* rt = rt_make(RT_P2);
  struct stubborn s;
  stubborn_in(rt, &s);
  int64_t deadline = thrum_after(20 * MS);
  CHECK_EQ(thrum_rt_stop(rt, deadline), THRUM_ETIMEDOUT);
  CHECK_LE(deadline, thrum_now());
  /* Still stopping: nothing new is let in, and asking again goes on where it
   * was. */
  thrum_g g = 0;
  CHECK_EQ(thrum_spawn(rt, NULL, nothing, NULL, &g), THRUM_ECLOSED);
  CHECK_EQ(thrum_run(rt, nothing, NULL), THRUM_ECLOSED);
  CHECK_EQ(thrum_rt_stop(rt, thrum_after(10 * MS)), THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_rt_stop(rt, -1), THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_rt_stop(rt, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_chan_send(s.go, "x", THRUM_FOREVER), 0);
  CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
  CHECK_EQ(s.ended, 1);
  thrum_rt_free(rt);
  thrum_chan_release(s.go);
}

/* A stop of another runtime holds up its G, and none of the neighbours. */
struct stop_beside {
  thrum_rt* rt;
  struct stubborn s;
  word stopping;
};
static void stops_stubborn(void* arg) {
  struct stop_beside* b = arg;
  set(&b->stopping, 1);
  CHECK_EQ(thrum_rt_stop(b->rt, SOON), 0);
}
static void lets_it_end(void* arg) {
  struct stop_beside* b = arg;
  thrum_g g = go(stops_stubborn, b);
  yield_until(&b->stopping, 1);
  CHECK_EQ(thrum_chan_send(b->s.go, "x", THRUM_FOREVER), 0);
  join_g(g);
}
TEST(stop_beside_neighbours) {
  thrum_rt* rt = rt_make(RT_P1);
  struct stop_beside b = {.rt = rt_make(RT_P2)};
  stubborn_in(b.rt, &b.s);
  CHECK_EQ(thrum_run(rt, lets_it_end, &b), 0);
  CHECK_EQ(b.s.ended, 1);
  thrum_rt_free(b.rt);
  rt_end(rt);
  thrum_chan_release(b.s.go);
}

struct stop_call {
  thrum_rt* rt;
  struct stubborn* s;
  word tid;
};
static void* stop_on_thread(void* arg) {
  struct stop_call* c = arg;
  set(&c->tid, thread_id());
  CHECK_EQ(thrum_rt_stop(c->rt, THRUM_FOREVER), 0);
  /* nobody returns before the last G has ended */
  CHECK_EQ(get(&c->s->ended), 1);
  return NULL;
}
TEST(stop_second_caller_waits) {
  thrum_rt* rt = rt_make(RT_P2);
  struct stubborn s;
  stubborn_in(rt, &s);
  struct stop_call call[3];
  pthread_t t[3];
  for (int i = 0; i < 3; i++) {
    call[i] = (struct stop_call){rt, &s, 0};
    REQUIRE_EQ(pthread_create(&t[i], NULL, stop_on_thread, &call[i]), 0);
    wait_asleep(&call[i].tid);
  }
  CHECK_EQ(thrum_chan_send(s.go, "x", THRUM_FOREVER), 0);
  for (int i = 0; i < 3; i++)
    pthread_join(t[i], NULL);
  thrum_rt_free(rt);
  thrum_chan_release(s.go);
}

TEST(calls_after_stop) {
  static const struct rt_kind kinds[] = {
      {"[2 P]", 2, 0, 0, 0},
      {"[hosted]", 1, THRUM_RT_HOSTED, 0, 0},
      {"[seed 1]", 1, THRUM_RT_DETERMINISTIC, 1, 0}};
  for (size_t i = 0; i < CHECK_COUNT(kinds); i++)
    for (int used = 0; used < 2; used++) {
      check_context = kinds[i].name;
      thrum_rt* rt = rt_make(kinds[i]);
      if (used)
        CHECK_EQ(thrum_run(rt, nothing, NULL), 0);
      CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
      thrum_g g = 77;
      CHECK_EQ(thrum_spawn(rt, NULL, nothing, NULL, &g), THRUM_ECLOSED);
      CHECK_EQ(thrum_run(rt, nothing, NULL), THRUM_ECLOSED);
      CHECK_EQ(thrum_pump(rt, THRUM_TRY), THRUM_ECLOSED);
      CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), THRUM_ECLOSED);
      CHECK_EQ(thrum_set_procs(rt, 2), THRUM_ECLOSED);
      thrum_rt_free(rt);
    }
}

TEST(retain_keeps_the_object) {
  thrum_rt* rt = rt_make(RT_P2);
  thrum_rt_retain(rt);
  thrum_rt_retain(rt);
  CHECK_EQ(thrum_run(rt, nothing, NULL), 0);
  CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
  for (int left = 2; left > 0; left--) {
    thrum_rt_free(rt);
    CHECK_EQ(thrum_spawn(rt, NULL, nothing, NULL, NULL), THRUM_ECLOSED);
    CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
  }
  thrum_rt_free(rt);
  thrum_rt_free(NULL);
  thrum_rt_retain(NULL);
}

TEST(free_may_come_from_any_thread) {
  for (int i = 0; i < 20; i++) {
    thrum_rt *rt = rt_make(RT_P2), *host = rt_make(RT_P1);
    CHECK_EQ(thrum_run(rt, nothing, NULL), 0);
    CHECK_EQ(thrum_run(host, stop_other, rt), 0);
    rt_end(host);
  }
}

/* Cancellation by stop does not wear off, not even by clearing it. */
struct sticky {
  thrum_chan* never;
  word waiting, ended;
};
static void stick(void* arg) {
  struct sticky* s = arg;
  char c;
  add(&s->waiting, 1);
  CHECK_EQ(thrum_chan_recv(s->never, &c, THRUM_FOREVER), THRUM_ECANCELED);
  CHECK_EQ(thrum_chan_recv(s->never, &c, THRUM_FOREVER), THRUM_ECANCELED);
  CHECK_EQ(thrum_sleep(3600 * SECOND), THRUM_ECANCELED);
  CHECK_EQ(thrum_cancelled(), 1);
  thrum_cancel_clear();
  CHECK_EQ(thrum_sleep(3600 * SECOND), THRUM_ECANCELED);
  CHECK_EQ(thrum_yield(), THRUM_ECANCELED);
  CHECK_EQ(thrum_cancelled(), 1);
  /* A call that asks for nothing but now says what it always says, and a
   * shielded wait still waits. */
  CHECK_EQ(thrum_chan_recv(s->never, &c, THRUM_TRY), THRUM_EAGAIN);
  thrum_shield(1);
  CHECK_EQ(thrum_sleep(1000), 0);
  thrum_shield(-1);
  add(&s->ended, 1);
}
static void stick_ten(void* arg) {
  struct sticky* s = arg;
  for (int k = 0; k < 10; k++)
    go(stick, s);
  yield_until(&s->waiting, 10);
}
TEST(stop_cancels_for_good) {
  static const struct rt_kind kinds[] = {
      {"[1 P]", 1, 0, 0, 0},
      {"[4 P]", 4, 0, 0, 0},
      {"[hosted]", 1, THRUM_RT_HOSTED, 0, 0},
      {"[seed 1]", 1, THRUM_RT_DETERMINISTIC, 1, 0}};
  for (size_t i = 0; i < CHECK_COUNT(kinds); i++) {
    check_context = kinds[i].name;
    thrum_rt* rt = rt_make(kinds[i]);
    struct sticky s = {NULL, 0, 0};
    REQUIRE_EQ(thrum_chan_new(1, 0, &s.never), 0);
    CHECK_EQ(thrum_run(rt, stick_ten, &s), 0);
    CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
    thrum_rt_free(rt);
    CHECK_EQ(s.ended, 10);
    thrum_chan_release(s.never);
  }
}

/* Every G that was accepted is accounted for at stop, run or not: its drop
 * comes exactly once. */
struct counted {
  word ran, dropped;
};
static void counted_fn(void* arg) { add(&((struct counted*)arg)->ran, 1); }
static void counted_drop(void* arg) {
  CHECK(thrum_self() != 0);
  add(&((struct counted*)arg)->dropped, 1);
}
TEST(stop_drops_gs_that_never_ran) {
  static const struct rt_kind kinds[] = {
      {"[1 P]", 1, 0, 0, 0},
      {"[4 P]", 4, 0, 0, 0},
      {"[hosted]", 1, THRUM_RT_HOSTED, 0, 0},
      {"[seed 1]", 1, THRUM_RT_DETERMINISTIC, 1, 0}};
  enum { N = 500 };
  static struct counted c[N];
  for (size_t i = 0; i < CHECK_COUNT(kinds); i++)
    for (uint32_t affinity = THRUM_MIGRATE; affinity <= THRUM_PIN_STARTED;
         affinity++) {
      check_context = kinds[i].name;
      memset(c, 0, sizeof c);
      thrum_rt* rt = rt_make(kinds[i]);
      thrum_spawn_opts opts = spawn_opts();
      opts.drop = counted_drop;
      opts.affinity = affinity;
      for (int k = 0; k < N; k++)
        CHECK_EQ(thrum_spawn(rt, &opts, counted_fn, &c[k], NULL), 0);
      CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
      for (int k = 0; k < N; k++) {
        CHECK_EQ(c[k].dropped, 1);
        CHECK_LE(c[k].ran, 1);
      }
      thrum_rt_free(rt);
    }
}

/* A G parked for ever when a hosted runtime stops: nobody but the stopping
 * thread can run its way out. */
TEST(stop_hosted_unwinds_parked_gs) {
  thrum_rt* rt = rt_make(RT_HOSTED);
  word ended = 0;
  for (int i = 0; i < 5; i++)
    go_in(rt, sleep_until_cancelled, &ended);
  CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), 1);
  CHECK_EQ(ended, 0);
  CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
  CHECK_EQ(ended, 5);
  thrum_rt_free(rt);
}

/* ---- several at once ----------------------------------------------------- */

struct relay {
  thrum_chan *in, *out;
  int n;
};
static void relay(void* arg) {
  struct relay* r = arg;
  for (int i = 0; i < r->n; i++) {
    int v = 0;
    CHECK_EQ(thrum_chan_recv(r->in, &v, THRUM_FOREVER), 0);
    v++;
    CHECK_EQ(thrum_chan_send(r->out, &v, THRUM_FOREVER), 0);
  }
}
static void* run_relay(void* arg) {
  struct relay* r = arg;
  thrum_rt* rt = rt_make(RT_P2);
  CHECK_EQ(thrum_run(rt, relay, r), 0);
  rt_end(rt);
  return NULL;
}
/* A value goes round through three runtimes and this thread. */
TEST(several_runtimes) {
  enum { N = ROUNDS(2000) };
  thrum_chan* ring[4];
  struct relay r[3];
  pthread_t t[3];
  for (int i = 0; i < 4; i++)
    REQUIRE_EQ(thrum_chan_new(sizeof(int), i % 2 ? 0 : 4, &ring[i]), 0);
  for (int i = 0; i < 3; i++) {
    r[i] = (struct relay){ring[i], ring[i + 1], N};
    REQUIRE_EQ(pthread_create(&t[i], NULL, run_relay, &r[i]), 0);
  }
  for (int i = 0; i < N; i++) {
    int v = i;
    CHECK_EQ(thrum_chan_send(ring[0], &v, THRUM_FOREVER), 0);
    CHECK_EQ(thrum_chan_recv(ring[3], &v, THRUM_FOREVER), 0);
    CHECK_EQ(v, i + 3);
  }
  for (int i = 0; i < 3; i++)
    pthread_join(t[i], NULL);
  for (int i = 0; i < 4; i++)
    thrum_chan_release(ring[i]);
}

/* Two threads run in one runtime; each main G needs the other. */
struct meeting {
  thrum_rt* rt;
  thrum_chan* ch;
  int sends;
};
static void meet(void* arg) {
  struct meeting* m = arg;
  int v = 7;
  for (int i = 0; i < 100; i++)
    if (m->sends)
      CHECK_EQ(thrum_chan_send(m->ch, &v, THRUM_FOREVER), 0);
    else
      CHECK_EQ(thrum_chan_recv(m->ch, &v, THRUM_FOREVER), 0);
}
static void* run_meeting(void* arg) {
  struct meeting* m = arg;
  CHECK_EQ(thrum_run(m->rt, meet, m), 0);
  return NULL;
}
TEST(run_from_two_threads) {
  static const struct rt_kind kinds[] = {{"[1 P]", 1, 0, 0, 0},
                                         {"[2 P]", 2, 0, 0, 0}};
  for (size_t i = 0; i < CHECK_COUNT(kinds); i++) {
    check_context = kinds[i].name;
    thrum_rt* rt = rt_make(kinds[i]);
    struct meeting a = {rt, NULL, 1}, b = {rt, NULL, 0};
    REQUIRE_EQ(thrum_chan_new(sizeof(int), 0, &a.ch), 0);
    b.ch = a.ch;
    pthread_t t;
    REQUIRE_EQ(pthread_create(&t, NULL, run_meeting, &b), 0);
    CHECK_EQ(thrum_run(rt, meet, &a), 0);
    pthread_join(t, NULL);
    rt_end(rt);
    thrum_chan_release(a.ch);
  }
}

/* ---- run ----------------------------------------------------------------- */

static void run_inside(void* arg) {
  CHECK_EQ(thrum_run(arg, nothing, NULL), THRUM_EPERM);
  CHECK_EQ(thrum_pump(arg, THRUM_TRY), THRUM_EPERM);
  CHECK_EQ(thrum_pump(arg, THRUM_FOREVER), THRUM_EPERM);
  CHECK_EQ(thrum_run(NULL, nothing, NULL), THRUM_EPERM);
  thrum_rt* other = rt_make(RT_HOSTED);
  CHECK_EQ(thrum_run(other, nothing, NULL), THRUM_EPERM);
  CHECK_EQ(thrum_pump(other, THRUM_TRY), THRUM_EPERM);
  rt_end(other);
}
TEST(run_and_pump_from_a_g) {
  static const struct rt_kind kinds[] = {
      {"[2 P]", 2, 0, 0, 0}, {"[hosted]", 1, THRUM_RT_HOSTED, 0, 0}};
  for (size_t i = 0; i < CHECK_COUNT(kinds); i++) {
    thrum_rt* rt = rt_make(kinds[i]);
    CHECK_EQ(thrum_run(rt, run_inside, rt), 0);
    rt_end(rt);
  }
}

static void check_arg(void* arg) { *(int*)arg += 1; }
TEST(run_again_and_again) {
  static const struct rt_kind kinds[] = {
      {"[1 P]", 1, 0, 0, 0},
      {"[4 P]", 4, 0, 0, 0},
      {"[hosted]", 1, THRUM_RT_HOSTED, 0, 0},
      {"[seed 1]", 1, THRUM_RT_DETERMINISTIC, 1, 0}};
  for (size_t i = 0; i < CHECK_COUNT(kinds); i++) {
    check_context = kinds[i].name;
    thrum_rt* rt = rt_make(kinds[i]);
    int n = 0;
    for (int k = 0; k < 200; k++)
      CHECK_EQ(thrum_run(rt, check_arg, &n), 0);
    CHECK_EQ(n, 200);
    rt_end(rt);
  }
}

/* run is over when fn is; what fn has spawned goes on on the runtime's own
 * Ms. */
struct left_over {
  thrum_chan* ch;
  word sum;
};
static void left_over_g(void* arg) {
  struct left_over* l = arg;
  int v = 0;
  CHECK_EQ(thrum_chan_recv(l->ch, &v, THRUM_FOREVER), 0);
  add(&l->sum, v);
}
static void leave_behind(void* arg) {
  for (int i = 0; i < 10; i++)
    go(left_over_g, arg);
}
TEST(run_leaves_others_running) {
  thrum_rt* rt = rt_make(RT_P2);
  struct left_over l = {NULL, 0};
  REQUIRE_EQ(thrum_chan_new(sizeof(int), 0, &l.ch), 0);
  CHECK_EQ(thrum_run(rt, leave_behind, &l), 0);
  for (int i = 1; i <= 10; i++)
    CHECK_EQ(thrum_chan_send(l.ch, &i, THRUM_FOREVER), 0);
  while (get(&l.sum) < 55)
    check_pause();
  CHECK_EQ(l.sum, 55);
  rt_end(rt);
  thrum_chan_release(l.ch);
}

/* Gs run without anybody in thrum_run. */
TEST(spawn_from_outside_runs_by_itself) {
  thrum_rt* rt = rt_make(RT_P2);
  word n = 0;
  thrum_g g[50];
  for (int i = 0; i < 50; i++)
    g[i] = go_in(rt, count_up, &n);
  for (int i = 0; i < 50; i++)
    CHECK_EQ(thrum_join(rt, g[i], THRUM_FOREVER), 0);
  CHECK_EQ(n, 50);
  rt_end(rt);
}

/* ---- deadlock ------------------------------------------------------------ */

struct stuck {
  thrum_chan* ch;
  thrum_mutex m;
  thrum_wg wg;
  thrum_sem sem;
  int how, result, ended;
};
static void stuck_join(void* arg) {
  char c;
  thrum_chan_recv(arg, &c, THRUM_FOREVER);
}
static void get_stuck(void* arg) {
  struct stuck* s = arg;
  char c = 0;
  switch (s->how) {
    case 0:
      s->result = thrum_chan_recv(s->ch, &c, THRUM_FOREVER);
      break;
    case 1:
      s->result = thrum_chan_send(s->ch, &c, THRUM_FOREVER);
      break;
    case 2:
      s->result = thrum_wg_wait(&s->wg, THRUM_FOREVER);
      break;
    case 3:
      s->result = thrum_sem_acquire(&s->sem, THRUM_FOREVER);
      break;
    case 4:
      s->result = thrum_join(NULL, go(stuck_join, s->ch), THRUM_FOREVER);
      break;
    case 5:
      s->result = thrum_park("a permit that nobody gives", THRUM_FOREVER);
      break;
    case 6: {
      thrum_case arm = {s->ch, &c, THRUM_RECV, 0};
      s->result = thrum_select(&arm, 1, THRUM_FOREVER);
      break;
    }
  }
  s->ended = 1;
}
TEST(deadlock_is_reported_to_run) {
  static const struct rt_kind kinds[] = {
      {"[1 P]", 1, 0, 0, 0},
      {"[4 P]", 4, 0, 0, 0},
      {"[hosted]", 1, THRUM_RT_HOSTED, 0, 0},
      {"[seed 1]", 1, THRUM_RT_DETERMINISTIC, 1, 0}};
  for (size_t i = 0; i < CHECK_COUNT(kinds); i++)
    for (int how = 0; how < 7; how++) {
      check_context = kinds[i].name;
      /* A thread of the sanitizer's own is one that might wake somebody, for
       * all that a runtime can know. */
      if (CHECK_TSAN && !(kinds[i].flags & THRUM_RT_DETERMINISTIC))
        continue;
      thrum_rt* rt = rt_make(kinds[i]);
      struct stuck s;
      memset(&s, 0, sizeof s);
      s.how = how;
      REQUIRE_EQ(thrum_chan_new(1, 0, &s.ch), 0);
      REQUIRE_EQ(thrum_wg_add(&s.wg, 1), 0);
      int rc = thrum_run(rt, get_stuck, &s);
      CHECK_MSG(rc == THRUM_EDEADLOCK,
                "way %d of getting stuck: run answers %d", how, rc);
      /* The Gs are still there; stop cancels them and they unwind. */
      CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
      CHECK_EQ(s.ended, 1);
      /* The joined G may have ended before its joiner is cancelled. */
      CHECK(s.result == THRUM_ECANCELED || (how == 4 && s.result == 0));
      thrum_rt_free(rt);
      thrum_chan_release(s.ch);
    }
}

/* After a deadlock the runtime is as alive as before: the host can put it right
 * and run on. */
static void rescue(void* arg) {
  struct stuck* s = arg;
  char c = 0;
  CHECK_EQ(thrum_chan_send(s->ch, &c, THRUM_FOREVER), 0);
}
TEST(deadlock_can_be_repaired) {
  thrum_rt* rt = rt_make(CHECK_TSAN ? RT_DET1 : RT_P2);
  struct stuck s;
  memset(&s, 0, sizeof s);
  REQUIRE_EQ(thrum_chan_new(1, 0, &s.ch), 0);
  CHECK_EQ(thrum_run(rt, get_stuck, &s), THRUM_EDEADLOCK);
  CHECK_EQ(thrum_run(rt, rescue, &s), 0);
  rt_end(rt);
  CHECK_EQ(s.ended, 1);
  CHECK_EQ(s.result, 0);
  thrum_chan_release(s.ch);
}

/* Not a deadlock: a sleeper that will wake, and a thread outside that will
 * send. */
struct not_stuck {
  thrum_chan* ch;
  word waiting;
};
static void late_sender(void* arg) {
  int v = 9;
  CHECK_EQ(thrum_sleep(30 * MS), 0);
  CHECK_EQ(thrum_chan_send(arg, &v, THRUM_FOREVER), 0);
}
static void wait_for_sleeper(void* arg) {
  struct not_stuck* n = arg;
  int v = 0;
  go(late_sender, n->ch);
  CHECK_EQ(thrum_chan_recv(n->ch, &v, THRUM_FOREVER), 0);
  CHECK_EQ(v, 9);
}
static void wait_for_outside(void* arg) {
  struct not_stuck* n = arg;
  int v = 0;
  for (int i = 0; i < 20; i++) {
    add(&n->waiting, 1);
    CHECK_EQ(thrum_chan_recv(n->ch, &v, THRUM_FOREVER), 0);
    CHECK_EQ(v, i);
  }
}
static void* outside_sender(void* arg) {
  struct not_stuck* n = arg;
  for (int i = 0; i < 20; i++) {
    while (get(&n->waiting) <= i)
      check_pause();
    /* all Gs wait for a while with nobody but this thread to wake them */
    check_pause();
    CHECK_EQ(thrum_chan_send(n->ch, &i, THRUM_FOREVER), 0);
  }
  return NULL;
}
TEST(no_deadlock_while_a_g_sleeps) {
  struct not_stuck n = {NULL, 0};
  REQUIRE_EQ(thrum_chan_new(sizeof(int), 0, &n.ch), 0);
  everywhere(wait_for_sleeper, &n);
  thrum_chan_release(n.ch);
}
TEST(no_deadlock_while_a_thread_can_wake) {
  static const struct rt_kind kinds[] = {
      {"[1 P]", 1, 0, 0, 0},
      {"[2 P]", 2, 0, 0, 0},
      {"[hosted]", 1, THRUM_RT_HOSTED, 0, 0}};
  for (size_t i = 0; i < CHECK_COUNT(kinds); i++) {
    struct not_stuck n = {NULL, 0};
    pthread_t t;
    REQUIRE_EQ(thrum_chan_new(sizeof(int), 0, &n.ch), 0);
    REQUIRE_EQ(pthread_create(&t, NULL, outside_sender, &n), 0);
    in_rt(kinds[i], wait_for_outside, &n);
    pthread_join(t, NULL);
    thrum_chan_release(n.ch);
  }
}

/* ---- pump ---------------------------------------------------------------- */

struct yielder {
  word rounds; /* how many to do; < 0: until stopped */
  word done;
};
static void yields(void* arg) {
  struct yielder* y = arg;
  while (y->rounds < 0 || get(&y->done) < y->rounds) {
    if (thrum_yield() != 0)
      return;
    add(&y->done, 1);
  }
}
static void waits_on(void* arg) {
  char c;
  thrum_chan_recv(arg, &c, THRUM_FOREVER);
}

TEST(pump_results) {
  static const struct rt_kind kinds[] = {
      {"[hosted]", 1, THRUM_RT_HOSTED, 0, 0},
      {"[hosted, seed 1]", 1, THRUM_RT_HOSTED | THRUM_RT_DETERMINISTIC, 1, 0}};
  for (size_t i = 0; i < CHECK_COUNT(kinds); i++) {
    check_context = kinds[i].name;
    thrum_rt* rt = rt_make(kinds[i]);
    CHECK_EQ(thrum_pump(rt, THRUM_TRY), 0);
    CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), 0);
    /* nothing to run: it does not wait for the deadline */
    CHECK_EQ(thrum_pump(rt, thrum_after(10 * SECOND)), 0);
    CHECK_EQ(thrum_pump(rt, -1), 0);
    word n = 0;
    go_in(rt, count_up, &n);
    CHECK_EQ(n, 0); /* hosted: nothing runs by itself */
    CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), 0);
    CHECK_EQ(n, 1);
    /* One G per THRUM_TRY. */
    for (int k = 0; k < 3; k++)
      go_in(rt, count_up, &n);
    CHECK_EQ(thrum_pump(rt, THRUM_TRY), 2);
    CHECK_EQ(n, 2);
    CHECK_EQ(thrum_pump(rt, THRUM_TRY), 2);
    CHECK_EQ(n, 3);
    CHECK_EQ(thrum_pump(rt, THRUM_TRY), 0);
    CHECK_EQ(n, 4);
    /* A G that waits: 1, and it stays there. */
    thrum_chan* ch;
    REQUIRE_EQ(thrum_chan_new(1, 0, &ch), 0);
    thrum_g waiter = go_in(rt, waits_on, ch);
    CHECK_EQ(thrum_pump(rt, THRUM_TRY), 1);
    CHECK_EQ(thrum_pump(rt, THRUM_TRY), 1);
    CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), 1);
    CHECK_EQ(thrum_join(rt, waiter, THRUM_TRY), THRUM_EAGAIN);
    /* from outside, to the parked G */
    CHECK_EQ(thrum_chan_send(ch, "x", THRUM_TRY), 0);
    CHECK_EQ(thrum_pump(rt, THRUM_TRY), 0);
    CHECK_EQ(thrum_join(rt, waiter, THRUM_TRY), 0);
    /* One that never stops yielding: until the deadline, then 2. */
    struct yielder y = {-1, 0};
    go_in(rt, yields, &y);
    CHECK_EQ(thrum_pump(rt, THRUM_TRY), 2);
    CHECK_EQ(y.done, 0); /* up to its first yield */
    int64_t budget = thrum_after(5 * MS);
    CHECK_EQ(thrum_pump(rt, budget), 2);
    CHECK_LE(budget, thrum_now());
    CHECK(y.done > 0);
    word before = y.done;
    CHECK_EQ(thrum_pump(rt, -1), 2);
    /* a deadline that is over buys at most one G */
    CHECK_LE(y.done, before + 1);
    rt_end(rt);
    thrum_chan_release(ch);
  }
}

/* FOREVER runs all that can run, however often it yields, and then comes
 * back. */
TEST(pump_forever) {
  thrum_rt* rt = rt_make(RT_HOSTED);
  struct yielder y[5];
  for (int i = 0; i < 5; i++) {
    y[i] = (struct yielder){100 * (i + 1), 0};
    go_in(rt, yields, &y[i]);
  }
  CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), 0);
  for (int i = 0; i < 5; i++)
    CHECK_EQ(y[i].done, 100 * (i + 1));
  rt_end(rt);
}

/* Due timers are found by the one poll at the end. */
struct nap {
  int64_t ns;
  word woke;
};
static void nap(void* arg) {
  struct nap* n = arg;
  CHECK_EQ(thrum_sleep(n->ns), 0);
  set(&n->woke, thrum_now());
}
TEST(pump_runs_due_timers) {
  thrum_rt* rt = rt_make(RT_HOSTED);
  int pumps = 0;
  for (int i = 0; i < 5 && pumps == 0; i++) { /* the best of several */
    struct nap n = {3 * MS, 0};
    go_in(rt, nap, &n);
    int64_t start = thrum_now();
    int rc;
    while ((rc = thrum_pump(rt, THRUM_FOREVER)) == 1) {
      CHECK_LE(thrum_now(), start + 30 * SECOND);
      if (thrum_now() > start + 30 * SECOND)
        break;
      pumps++;
    }
    CHECK_EQ(rc, 0);
    CHECK_LE(start + 3 * MS, n.woke);
  }
  CHECK(pumps > 0); /* none of them slept until it was due */
  rt_end(rt);
}

/* A pump is lent a P; where there is none to lend it says so. */
struct occupier {
  word running, go;
};
static void occupies(void* arg) {
  struct occupier* o = arg;
  set(&o->running, 1);
  while (!get(&o->go))
    sched_yield();
}
TEST(pump_without_a_free_p) {
  thrum_rt* rt = rt_make(RT_SEQ);
  struct occupier o = {0, 0};
  thrum_g g = go_in(rt, occupies, &o);
  while (!get(&o.running))
    sched_yield();
  CHECK_EQ(thrum_pump(rt, THRUM_TRY), THRUM_EAGAIN);
  CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), THRUM_EAGAIN);
  set(&o.go, 1);
  CHECK_EQ(thrum_join(rt, g, THRUM_FOREVER), 0);
  rt_end(rt);
}

static void* pump_once(void* arg) {
  CHECK_EQ(thrum_pump(arg, THRUM_FOREVER), 0);
  return NULL;
}
TEST(pump_on_two_threads) {
  thrum_rt* rt = rt_make(RT_HOSTED);
  struct occupier o = {0, 0};
  pthread_t t;
  go_in(rt, occupies, &o);
  REQUIRE_EQ(pthread_create(&t, NULL, pump_once, rt), 0);
  while (!get(&o.running))
    sched_yield();
  CHECK_EQ(thrum_pump(rt, THRUM_TRY), THRUM_EAGAIN);
  set(&o.go, 1);
  pthread_join(t, NULL);
  CHECK_EQ(thrum_pump(rt, THRUM_TRY), 0);
  rt_end(rt);
}

/* A frame loop: the budget is kept, and the work of many frames adds up. */
TEST(pump_budgets) {
  thrum_rt* rt = rt_make(RT_HOSTED);
  struct yielder y[50];
  for (int i = 0; i < 50; i++) {
    y[i] = (struct yielder){2000, 0};
    go_in(rt, yields, &y[i]);
  }
  int frames = 0, rc;
  int64_t longest = 0;
  do {
    int64_t start = thrum_now(), deadline = thrum_after(200000);
    rc = thrum_pump(rt, deadline);
    int64_t took = thrum_now() - start;
    if (took > longest)
      longest = took;
    CHECK(rc == 0 || rc == 2);
    if (rc == 2)
      CHECK_LE(deadline, thrum_now());
    frames++;
  } while (rc == 2);
  CHECK(frames > 1);
  /* each switch looks at the deadline; the rest is the machine */
  CHECK_LE(longest, 5 * SECOND);
  for (int i = 0; i < 50; i++)
    CHECK_EQ(y[i].done, 2000);
  rt_end(rt);
}

/* A runtime with Ms of its own may be pumped too: the thread is lent as one
 * more M. */
TEST(pump_beside_ms) {
  thrum_rt* rt = rt_make(RT_P4);
  word n = 0;
  for (int i = 0; i < 200; i++)
    go_in(rt, count_up, &n);
  while (get(&n) < 200) {
    int rc = thrum_pump(rt, thrum_after(MS));
    CHECK_MSG((rc >= 0 && rc <= 2) || rc == THRUM_EAGAIN, "pump answers %d",
              rc);
  }
  rt_end(rt);
}

/* ---- hosted -------------------------------------------------------------- */

static int readable(int fd, int ms) {
  struct pollfd p = {fd, POLLIN, 0};
  int rc;
  do
    rc = poll(&p, 1, ms);
  while (rc < 0 && errno == EINTR);
  return rc > 0 && (p.revents & POLLIN);
}

TEST(hosted_owns_no_thread) {
  int before = check_threads();
  thrum_rt* rt = rt_make(RT_HOSTED);
  struct nap n = {MS, 0};
  struct yielder y = {100, 0};
  go_in(rt, nap, &n);
  go_in(rt, yields, &y);
  while (thrum_pump(rt, thrum_after(MS)) != 0)
    CHECK_EQ(check_threads(), before);
  CHECK_EQ(thrum_run(rt, nap, &n), 0);
  CHECK_EQ(check_threads(), before);
  rt_end(rt);
}

TEST(hosted_next_wake_and_wake_fd) {
  thrum_rt* rt = rt_make(RT_HOSTED);
  int fd = thrum_wake_fd(rt);
  REQUIRE(fd >= 0);
  CHECK_EQ(thrum_wake_fd(rt), fd);
  CHECK(!readable(fd, 0));
  CHECK_EQ(thrum_next_wake(rt), THRUM_FOREVER);
  /* Work that is ready. */
  word n = 0;
  go_in(rt, count_up, &n);
  CHECK_LE(thrum_next_wake(rt), thrum_now());
  CHECK(readable(fd, 10000));
  CHECK(readable(fd, 0)); /* it stays so until pumped */
  CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), 0);
  CHECK_EQ(n, 1);
  CHECK(!readable(fd, 0));
  CHECK_EQ(thrum_next_wake(rt), THRUM_FOREVER);
  /* Work that is left over by a budget. */
  struct yielder y = {100000, 0};
  go_in(rt, yields, &y);
  CHECK_EQ(thrum_pump(rt, THRUM_TRY), 2);
  CHECK(readable(fd, 10000));
  CHECK_LE(thrum_next_wake(rt), thrum_now());
  y.rounds = 0;
  CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), 0);
  CHECK(!readable(fd, 0));
  /* A timer: the time is known in advance, the descriptor turns readable when
   * it is due and not before. */
  struct nap z = {50 * MS, 0};
  int64_t early;
  int rc;
  do { /* again if it was over before the pump was */
    early = thrum_now();
    go_in(rt, nap, &z);
    rc = thrum_pump(rt, THRUM_FOREVER);
  } while (rc == 0 && thrum_now() >= early + 50 * MS);
  CHECK_EQ(rc, 1);
  int64_t late = thrum_now(), due = thrum_next_wake(rt);
  CHECK_LE(early + 50 * MS, due);
  CHECK_LE(due, late + 50 * MS);
  int ready = readable(fd, 0);
  if (thrum_now() < early + 50 * MS)
    CHECK(!ready);
  CHECK(readable(fd, 20000));
  CHECK_LE(due, thrum_now());
  while (thrum_pump(rt, THRUM_FOREVER) == 1)
    CHECK(readable(fd, 20000));
  CHECK_LE(early + 50 * MS, z.woke);
  CHECK(!readable(fd, 0));
  CHECK_EQ(thrum_next_wake(rt), THRUM_FOREVER);
  rt_end(rt);
}

/* Gs that are ready and stand in no common queue: the one that was just woken
 * from inside, and one that runs only on the calling thread. */
struct waker {
  thrum_g g;
  int locks, ran;
};
static void waits_to_be_woken(void* arg) {
  struct waker* w = arg;
  if (w->locks)
    CHECK_EQ(thrum_lock_thread(), 0);
  CHECK_EQ(thrum_park(NULL, THRUM_FOREVER), 0);
  w->ran = 1;
}
static void wakes_it(void* arg) {
  struct waker* w = arg;
  CHECK_EQ(thrum_unpark(NULL, w->g), 0);
}
static void next_wake_of_one(struct rt_kind kind, int locks, int from_inside) {
  check_context = kind.name;
  thrum_rt* rt = rt_make(kind);
  struct waker w = {0, locks, 0};
  w.g = go_in(rt, waits_to_be_woken, &w);
  CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), 1);
  CHECK_EQ(thrum_next_wake(rt), THRUM_FOREVER);
  if (from_inside) {
    go_in(rt, wakes_it, &w);
    CHECK_EQ(thrum_pump(rt, THRUM_TRY), 2);
  } else {
    CHECK_EQ(thrum_unpark(rt, w.g), 0);
  }
  CHECK_EQ(w.ran, 0);
  CHECK_LE(thrum_next_wake(rt), thrum_now());
  CHECK(readable(thrum_wake_fd(rt), 10000));
  CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), 0);
  CHECK_EQ(w.ran, 1);
  CHECK_EQ(thrum_next_wake(rt), THRUM_FOREVER);
  rt_end(rt);
  check_context = "";
}
TEST(next_wake_of_all_that_is_ready) {
  for (int locks = 0; locks < 2; locks++)
    for (int from_inside = 0; from_inside < 2; from_inside++) {
      next_wake_of_one(RT_HOSTED, locks, from_inside);
      next_wake_of_one(RT_DET1, locks, from_inside);
    }
}

struct poke {
  thrum_chan* ch;
  thrum_rt* rt;
};
static void* poke_from_outside(void* arg) {
  struct poke* p = arg;
  check_pause();
  CHECK_EQ(thrum_chan_send(p->ch, "x", THRUM_FOREVER), 0);
  return NULL;
}
TEST(hosted_wake_from_a_thread) {
  thrum_rt* rt = rt_make(RT_HOSTED);
  int fd = thrum_wake_fd(rt);
  for (int i = 0; i < 50; i++) {
    struct poke p = {NULL, rt};
    REQUIRE_EQ(thrum_chan_new(1, 0, &p.ch), 0);
    go_in(rt, waits_on, p.ch);
    CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), 1);
    CHECK(!readable(fd, 0));
    pthread_t t;
    REQUIRE_EQ(pthread_create(&t, NULL, poke_from_outside, &p), 0);
    CHECK(readable(fd, 20000));
    CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), 0);
    CHECK(!readable(fd, 0));
    pthread_join(t, NULL);
    thrum_chan_release(p.ch);
  }
  rt_end(rt);
}

/* A G blocks the thread that pumps: another one learns that it may run the rest. */
struct blocked {
  thrum_rt* rt;
  word entered, ran;
};
static void runs_beside(void* arg) {
  struct blocked* b = arg;
  set(&b->ran, 1);
}
static void blocks_its_thread(void* arg) {
  struct blocked* b = arg;
  go(runs_beside, b);
  CHECK_EQ(thrum_enter_blocking(), 0);
  set(&b->entered, 1);
  while (!get(&b->ran))
    check_pause();
  CHECK_EQ(thrum_exit_blocking(), 0);
}
static void* pumps_what_blocks(void* arg) {
  struct blocked* b = arg;
  CHECK_LE(0, thrum_pump(b->rt, THRUM_FOREVER));
  return NULL;
}
TEST(hosted_blocking_leaves_the_rest) {
  struct blocked b = {rt_make(RT_HOSTED), 0, 0};
  pthread_t t;
  go_in(b.rt, blocks_its_thread, &b);
  REQUIRE_EQ(pthread_create(&t, NULL, pumps_what_blocks, &b), 0);
  while (!get(&b.entered))
    check_pause();
  CHECK(readable(thrum_wake_fd(b.rt), 10000));
  CHECK_LE(0, thrum_pump(b.rt, THRUM_FOREVER));
  CHECK_EQ(get(&b.ran), 1);
  pthread_join(t, NULL);
  rt_end(b.rt);
}

/* A stop waits for a pump that is on its way out, to the last instruction: it may
 * be freed behind. The library's own call is stopped where it sets the
 * descriptor. */
static struct { word armed, reached, left, stopped; } way_out;
int timerfd_settime(int fd, int flags, const struct itimerspec* to,
                    struct itimerspec* from) {
  word yes = 1;
  if (__atomic_compare_exchange_n(&way_out.armed, &yes, 0, 0, __ATOMIC_SEQ_CST,
                                  __ATOMIC_SEQ_CST)) {
    set(&way_out.reached, 1);
    for (int i = 0; i < 200 && !get(&way_out.stopped); i++)
      check_pause();
    set(&way_out.left, 1);
  }
  return (int)syscall(SYS_timerfd_settime, fd, flags, to, from);
}
static void* pumps_once(void* rt) {
  CHECK_EQ(thrum_pump(rt, THRUM_TRY), 0);
  return NULL;
}
TEST(stop_waits_for_a_pump_on_its_way_out) {
  thrum_rt* rt = rt_make(RT_HOSTED);
  memset(&way_out, 0, sizeof way_out);
  set(&way_out.armed, 1);
  pthread_t t;
  REQUIRE_EQ(pthread_create(&t, NULL, pumps_once, rt), 0);
  while (!get(&way_out.reached))
    check_pause();
  CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
  CHECK(get(&way_out.left));
  set(&way_out.stopped, 1);
  pthread_join(t, NULL);
  thrum_rt_free(rt);
}

/* A stop beside a thread that has the only P sleeps until its turn comes. */
static void* pumps_all(void* rt) {
  CHECK_EQ(thrum_pump(rt, THRUM_FOREVER), 0);
  return NULL;
}
static word keeps_its_p;
static void keeps_the_p(void* arg) {
  set(arg, 1);
  while (get(arg))
    check_pause();
}
TEST(hosted_stop_beside_a_pump) {
  thrum_rt* rt = rt_make(RT_HOSTED);
  pthread_t t;
  go_in(rt, keeps_the_p, (void*)&keeps_its_p);
  REQUIRE_EQ(pthread_create(&t, NULL, pumps_all, rt), 0);
  while (!get(&keeps_its_p))
    check_pause();
  struct rusage before, after;
  REQUIRE_EQ(getrusage(RUSAGE_THREAD, &before), 0);
  /* The best of several: a deadline may be over before the wait begins. */
  for (int i = 0; i < 5; i++) {
    CHECK_EQ(thrum_rt_stop(rt, thrum_after(50 * MS)), THRUM_ETIMEDOUT);
    REQUIRE_EQ(getrusage(RUSAGE_THREAD, &after), 0);
    if (after.ru_nvcsw > before.ru_nvcsw)
      break;
  }
  CHECK(after.ru_nvcsw > before.ru_nvcsw);
  CHECK_EQ(thrum_rt_stop(rt, INT64_MIN), THRUM_ETIMEDOUT);
  set(&keeps_its_p, 0);
  pthread_join(t, NULL);
  rt_end(rt);
}

/* A whole program on a poll(2) loop, with nothing but next_wake and wake_fd: it
 * ends, and it does not spin. */
static void ticking(void* arg) {
  for (int i = 0; i < 20; i++) {
    CHECK_EQ(thrum_sleep(2 * MS), 0);
    CHECK_EQ(thrum_yield(), 0);
  }
  add(arg, 1);
}
TEST(hosted_poll_loop) {
  thrum_rt* rt = rt_make(RT_HOSTED);
  int fd = thrum_wake_fd(rt), pumps = 0;
  word ended = 0;
  for (int i = 0; i < 10; i++)
    go_in(rt, ticking, &ended);
  while (thrum_pump(rt, THRUM_FOREVER) != 0) {
    pumps++;
    int64_t wait = thrum_next_wake(rt) - thrum_now();
    if (wait > 0)
      readable(fd, (int)(wait / MS) + 1000);
  }
  CHECK_EQ(ended, 10);
  /* at most a few for each of the 200 timers */
  CHECK_LE(pumps, 10 * 20 * 4 + 10);
  rt_end(rt);
}

/* Run on a hosted runtime sleeps for its timers by itself. */
TEST(hosted_run_waits) {
  thrum_rt* rt = rt_make(RT_HOSTED);
  struct nap n = {20 * MS, 0};
  int64_t start = thrum_now();
  CHECK_EQ(thrum_run(rt, nap, &n), 0);
  CHECK_LE(start + 20 * MS, thrum_now());
  rt_end(rt);
}

/* ---- procs --------------------------------------------------------------- */

TEST(procs_default) {
  unsetenv("THRUM_PROCS");
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  REQUIRE_EQ(sched_getaffinity(0, sizeof cpus, &cpus), 0);
  int available = thrum_available_procs();
  CHECK_LE(1, available);
  CHECK_LE(available, CPU_COUNT(&cpus));
  thrum_rt* rt = NULL;
  REQUIRE_EQ(thrum_rt_new(&rt, NULL), 0);
  CHECK_EQ(thrum_procs(rt), available);
  rt_end(rt);
  /* Only one CPU is granted. */
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int c = 0; c < CPU_SETSIZE; c++)
    if (CPU_ISSET(c, &cpus)) {
      CPU_SET(c, &one);
      break;
    }
  REQUIRE_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  CHECK_EQ(thrum_available_procs(), 1);
  REQUIRE_EQ(thrum_rt_new(&rt, NULL), 0);
  CHECK_EQ(thrum_procs(rt), 1);
  rt_end(rt);
  REQUIRE_EQ(sched_setaffinity(0, sizeof cpus, &cpus), 0);
}

TEST(procs_from_the_environment) {
  thrum_rt* rt = NULL;
  thrum_config c;
  setenv("THRUM_PROCS", "3", 1);
  REQUIRE_EQ(thrum_rt_new(&rt, NULL), 0);
  CHECK_EQ(thrum_procs(rt), 3);
  rt_end(rt);
  thrum_config_init(&c, sizeof c);
  c.procs = 2;
  REQUIRE_EQ(thrum_rt_new(&rt, &c), 0);
  CHECK_EQ(thrum_procs(rt), 2); /* the program's word comes first */
  rt_end(rt);
  static const char* const bad[] = {"",    "0",  "-1",
                                    "abc", "4x", "99999999999999999999"};
  for (size_t i = 0; i < CHECK_COUNT(bad); i++) {
    setenv("THRUM_PROCS", bad[i], 1);
    REQUIRE_EQ(thrum_rt_new(&rt, NULL), 0);
    CHECK_MSG(thrum_procs(rt) == thrum_available_procs(),
              "THRUM_PROCS=\"%s\" gives %d Ps", bad[i], thrum_procs(rt));
    rt_end(rt);
  }
  unsetenv("THRUM_PROCS");
}

/* n Gs that all run at the same time prove n Ps: each spins until it has seen
 * the others. */
struct all_at_once {
  word here;
  int n;
};
static void see_all(void* arg) {
  struct all_at_once* a = arg;
  add(&a->here, 1);
  while (get(&a->here) < a->n)
    sched_yield();
}
static void all_at_once(void* arg) {
  struct all_at_once* a = arg;
  thrum_g g[8];
  for (int i = 1; i < a->n; i++)
    g[i] = go(see_all, a);
  see_all(a);
  for (int i = 1; i < a->n; i++)
    join_g(g[i]);
}
TEST(set_procs_grows) {
  thrum_rt* rt = rt_make(RT_SEQ);
  CHECK_EQ(thrum_procs(rt), 1);
  static const uint32_t steps[] = {2, 4, 8, 3, 6};
  int former = 1;
  for (size_t i = 0; i < CHECK_COUNT(steps); i++) {
    CHECK_EQ(thrum_set_procs(rt, steps[i]), former);
    CHECK_EQ(thrum_procs(rt), steps[i]);
    former = (int)steps[i];
    struct all_at_once a = {0, former};
    CHECK_EQ(thrum_run(rt, all_at_once, &a), 0);
    CHECK_EQ(a.here, a.n);
  }
  rt_end(rt);
}

/* Grown while all is running, from inside: the Gs that wait for company get
 * it. */
static void grow_inside(void* arg) {
  struct all_at_once* a = arg;
  thrum_g g[4];
  for (int i = 0; i < 3; i++)
    g[i] = go(see_all, a);
  CHECK_EQ(thrum_set_procs(NULL, 4), 1);
  see_all(a);
  for (int i = 0; i < 3; i++)
    join_g(g[i]);
}
TEST(set_procs_grows_from_a_g) {
  struct all_at_once a = {0, 4};
  in_rt(RT_SEQ, grow_inside, &a);
}

/* Shrunk: once every P has come to a scheduling point, no more than that many
 * Gs run at once. */
struct shrink {
  word running, most, stop, done;
  word rounds[8];
};
struct shrink_guest {
  struct shrink* s;
  int me;
};
static void shrink_guest(void* arg) {
  struct shrink_guest* g = arg;
  while (!get(&g->s->stop)) {
    raise_to(&g->s->most, add(&g->s->running, 1));
    for (volatile int i = 0; i < 200; i++) {}
    add(&g->s->running, -1);
    int rc = thrum_yield();
    CHECK(rc == 0 || get(&g->s->stop));
    add(&g->s->rounds[g->me], 1);
  }
  add(&g->s->done, 1);
}
static void every_guest_goes_round(struct shrink* s, word times) {
  word start[8];
  for (int i = 0; i < 8; i++)
    start[i] = get(&s->rounds[i]);
  for (int i = 0; i < 8; i++)
    while (get(&s->rounds[i]) < start[i] + times)
      sched_yield();
}
TEST(set_procs_shrinks) {
  struct rt_kind kind = {"", 4, 0, 0, 3600 * SECOND};
  thrum_rt* rt = rt_make(kind);
  struct shrink s;
  struct shrink_guest guest[8];
  memset(&s, 0, sizeof s);
  for (int i = 0; i < 8; i++) {
    guest[i] = (struct shrink_guest){&s, i};
    go_in(rt, shrink_guest, &guest[i]);
  }
  every_guest_goes_round(&s, 10);
  int former = 4;
  static const uint32_t steps[] = {2, 1, 3, 1};
  for (size_t i = 0; i < CHECK_COUNT(steps); i++) {
    CHECK_EQ(thrum_set_procs(rt, steps[i]), former);
    former = (int)steps[i];
    /* That every guest has gone round says nothing about a P that was without
     * one: it may be about to take its last. */
    for (int tries = 0; tries < 20; tries++) {
      every_guest_goes_round(&s, 2);
      set(&s.most, 0);
      every_guest_goes_round(&s, 200);
      if (get(&s.most) <= steps[i])
        break;
    }
    CHECK_LE(get(&s.most), steps[i]);
    CHECK_LE(1, get(&s.most));
  }
  set(&s.stop, 1);
  rt_end(rt);
  CHECK_EQ(s.done, 8);
}

/* Under load nothing is lost: a ring of Gs keeps its tokens through 200
 * changes. */
struct token_ring {
  thrum_chan* ch[17];
  word passed;
};
struct ring_guest {
  struct token_ring* r;
  int me;
};
static void ring_guest(void* arg) {
  struct ring_guest* g = arg;
  int v;
  while (thrum_chan_recv(g->r->ch[g->me], &v, THRUM_FOREVER) == 0) {
    add(&g->r->passed, 1);
    v++;
    if (thrum_chan_send(g->r->ch[g->me + 1], &v, THRUM_FOREVER) != 0)
      break;
  }
  thrum_chan_close(g->r->ch[g->me + 1]);
}
TEST(set_procs_under_load) {
  thrum_rt* rt = rt_make(RT_P2);
  static struct token_ring r;
  static struct ring_guest guest[16];
  memset(&r, 0, sizeof r);
  for (int i = 0; i < 17; i++)
    REQUIRE_EQ(thrum_chan_new(sizeof(int), i == 16 ? 4096 : i % 3, &r.ch[i]),
               0);
  for (int i = 0; i < 16; i++) {
    guest[i] = (struct ring_guest){&r, i};
    go_in(rt, ring_guest, &guest[i]);
  }
  uint64_t seed = 11;
  int sent = 0, former = 2;
  for (int i = 0; i < 200; i++) {
    for (int k = 0; k < 10; k++, sent++)
      CHECK_EQ(thrum_chan_send(r.ch[0], &sent, THRUM_FOREVER), 0);
    uint32_t n = 1 + below(&seed, 8);
    CHECK_EQ(thrum_set_procs(rt, n), former);
    former = (int)n;
  }
  CHECK_EQ(thrum_chan_close(r.ch[0]), 0);
  for (int i = 0; i < sent; i++) {
    int v = -1;
    CHECK_EQ(thrum_chan_recv(r.ch[16], &v, SOON), 0);
    CHECK_EQ(v, i + 16);
  }
  int v;
  CHECK_EQ(thrum_chan_recv(r.ch[16], &v, SOON), THRUM_ECLOSED);
  CHECK_EQ(r.passed, 16 * sent);
  rt_end(rt);
  for (int i = 0; i < 17; i++)
    thrum_chan_release(r.ch[i]);
}

/* Nothing is left of a runtime: not after use of many Ps, not after a hundred
 * of them. */
TEST(stop_joins_every_thread) {
  int threads = check_threads(), fds = check_fds();
  for (int i = 0; i < 30; i++) {
    struct rt_kind kind = {"", 1 + (uint32_t)i % 6,
                           i % 5 == 4 ? THRUM_RT_HOSTED : 0, 0, 0};
    if (kind.flags & THRUM_RT_HOSTED)
      kind.procs = 1;
    thrum_rt* rt = rt_make(kind);
    struct all_at_once a = {0, (int)kind.procs};
    CHECK_EQ(thrum_run(rt, all_at_once, &a), 0);
    rt_end(rt);
    CHECK_EQ(check_threads_settle(threads), threads);
    CHECK_EQ(check_fds(), fds);
  }
}

static const struct check_case cases[] = {
    CASE(version),
    CASE(error_names),
    CASE(config_init_writes_its_size),
    CASE(config_sizes),
    CASE(config_refused),
    CASE(config_null_is_defaults),
    CASE(config_max_threads),
    CASE(new_starts_no_thread),
    CASE(current),
    CASE(current_in_g),
    CASE(stop_twice),
    CASE(stop_from_own_g),
    CASE(stop_from_another_runtimes_g),
    CASE(stop_beside_a_stop_bound_gs),
    CASE(stop_beside_neighbours),
    CASE(stop_deadline),
    CASE(stop_second_caller_waits),
    CASE(calls_after_stop),
    CASE(retain_keeps_the_object),
    CASE(free_may_come_from_any_thread),
    CASE(stop_cancels_for_good),
    CASE(stop_drops_gs_that_never_ran),
    CASE(stop_hosted_unwinds_parked_gs),
    CASE(several_runtimes),
    CASE(run_from_two_threads),
    CASE(run_and_pump_from_a_g),
    CASE(run_again_and_again),
    CASE(run_leaves_others_running),
    CASE(spawn_from_outside_runs_by_itself),
    CASE(deadlock_is_reported_to_run),
    CASE(deadlock_can_be_repaired),
    CASE(no_deadlock_while_a_g_sleeps),
    CASE(no_deadlock_while_a_thread_can_wake),
    CASE(pump_results),
    CASE(pump_forever),
    CASE(pump_runs_due_timers),
    CASE(pump_without_a_free_p),
    CASE(pump_on_two_threads),
    CASE(pump_budgets),
    CASE(pump_beside_ms),
    CASE(hosted_owns_no_thread),
    CASE(hosted_next_wake_and_wake_fd),
    CASE(next_wake_of_all_that_is_ready),
    CASE(hosted_wake_from_a_thread),
    CASE(hosted_blocking_leaves_the_rest),
    CASE(stop_waits_for_a_pump_on_its_way_out),
    CASE(hosted_stop_beside_a_pump),
    CASE(hosted_poll_loop),
    CASE(hosted_run_waits),
    CASE(procs_default),
    CASE(procs_from_the_environment),
    CASE(set_procs_grows),
    CASE(set_procs_grows_from_a_g),
    CASE(set_procs_shrinks),
    CASE(set_procs_under_load),
    CASE(stop_joins_every_thread),
};
CHECK_MAIN(cases)
