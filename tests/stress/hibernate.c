/* hibernate.c: hundreds of Gs wait, hibernate, and are asked something: in every
 * kind of wait, with elements on their stacks, while others cancel them and stop
 * the world. What lies on their stacks must be there when they go on. */
#include "../support/check.h"

#include <thrum/host.h>
#include <thrum/observe.h>

#include "../support/rt.h"

enum { GS = 300, THREADS = 3, PATTERN = 40 };

struct one {
  thrum_chan *in, *out;
  thrum_g g;
  thrum_mutex busy; /* who talks to it */
  uint64_t rng;
};
static struct one ones[GS];
static thrum_chan* never;
static thrum_mutex shared;
static word stop, answers, wrong, asleep;

struct note {
  uint64_t a, b, c;
};
static struct note answer_to(struct note q) {
  return (struct note){q.a + 1, q.b ^ q.a, q.c * 3};
}

static int hear(struct one* me, struct note* q) {
  struct note other = {9, 9, 9};
  switch (below(&me->rng, 5)) {
    case 0:
      return thrum_chan_recv(me->in, q, thrum_after(below(&me->rng, 3000000)));
    case 1: {
      thrum_case arms[3] = {{never, &other, THRUM_RECV, 0},
                            {me->in, q, THRUM_RECV, 0},
                            {NULL, NULL, THRUM_RECV, 0}};
      int k = thrum_select(arms, 3, THRUM_FOREVER);
      CHECK(k < 0 || k == 1);
      return k < 0 ? k : arms[k].result;
    }
    case 2: {
      int rc = thrum_sleep(below(&me->rng, 300000));
      return rc ? rc : THRUM_ETIMEDOUT;
    }
    case 3: {
      int rc = thrum_mutex_lock(&shared, THRUM_FOREVER);
      if (rc == 0) {
        thrum_yield();
        CHECK_EQ(thrum_mutex_unlock(&shared), 0);
      }
      return rc ? rc : THRUM_ETIMEDOUT;
    }
    default:
      return thrum_chan_recv(me->in, q, THRUM_FOREVER);
  }
}
static int say(struct one* me, const struct note* a) {
  if (below(&me->rng, 2))
    return thrum_chan_send(me->out, a, THRUM_FOREVER);
  struct note copy = *a;
  struct note other;
  thrum_case arms[2] = {{never, &other, THRUM_RECV, 0},
                        {me->out, &copy, THRUM_SEND, 0}};
  int k = thrum_select(arms, 2, THRUM_FOREVER);
  return k < 0 ? k : arms[k].result;
}
static int same(const volatile uint64_t* pattern, uint64_t seed) {
  for (uint64_t i = 0; i < PATTERN; i++)
    if (pattern[i] != (i % 3 ? seed * (i + 1) : 0))
      return 0;
  return 1;
}
static void answer(void* arg) {
  struct one* me = arg;
  for (;;) {
    volatile uint64_t pattern[PATTERN];
    uint64_t seed = draw(&me->rng);
    for (uint64_t i = 0; i < PATTERN; i++)
      pattern[i] = i % 3 ? seed * (i + 1) : 0;
    struct note q = {0, 0, 0};
    int rc = hear(me, &q);
    add(&wrong, !same(pattern, seed));
    if (rc == THRUM_ECLOSED)
      break;
    if (rc != 0) {
      CHECK(rc == THRUM_ETIMEDOUT || rc == THRUM_ECANCELED);
      CHECK(q.a == 0 && q.b == 0 && q.c == 0);
      continue;
    }
    struct note a = answer_to(q);
    while ((rc = say(me, &a)) == THRUM_ECANCELED) {}
    CHECK_EQ(rc, 0);
    add(&wrong, !same(pattern, seed));
  }
}

static void* ask(void* arg) {
  uint64_t rng = (uint64_t)(uintptr_t)arg;
  while (!get(&stop)) {
    struct one* o = &ones[below(&rng, GS)];
    CHECK_EQ(thrum_mutex_lock(&o->busy, THRUM_FOREVER), 0);
    struct note q = {draw(&rng), draw(&rng), 5}, a;
    CHECK_EQ(thrum_chan_send(o->in, &q, THRUM_FOREVER), 0);
    if (below(&rng, 2))
      usleep((useconds_t)below(&rng, 500)); /* it waits with its answer */
    CHECK_EQ(thrum_chan_recv(o->out, &a, THRUM_FOREVER), 0);
    struct note want = answer_to(q);
    CHECK(memcmp(&a, &want, sizeof a) == 0);
    CHECK_EQ(thrum_mutex_unlock(&o->busy), 0);
    add(&answers, 1);
  }
  return NULL;
}

__attribute__((no_sanitize("address", "thread"))) static void
look(void* arg, const thrum_g_info* info) {
  uint64_t* sum = arg;
  /* A stopped world has all stacks. */
  CHECK(info->stack_lo == NULL || info->sp != NULL);
  for (char* p = info->sp; p && p < (char*)info->stack_hi; p += 8)
    *sum += *(volatile uint64_t*)p;
}
static void disturb(thrum_rt* rt, uint64_t* rng) {
  static uint64_t sum;
  (void)thrum_cancel(rt, ones[below(rng, GS)].g);
  if (below(rng, 50) == 0 && thrum_world_stop(rt, thrum_after(20 * MS)) == 0) {
    CHECK_EQ(thrum_g_each(rt, look, &sum), 0);
    CHECK_EQ(thrum_world_start(rt), 0);
  }
  char text[8192];
  CHECK(thrum_memory_report(rt, text, sizeof text) < (int64_t)sizeof text);
  const char* at = strstr(text, "\"asleep\": ");
  REQUIRE(at != NULL);
  word n = (word)atoi(at + 10);
  if (n > get(&asleep))
    set(&asleep, n);
}

static void conversation(struct rt_kind kind, int64_t lasts) {
  thrum_rt* rt = rt_make(kind);
  set(&stop, 0);
  set(&answers, 0);
  set(&wrong, 0);
  set(&asleep, 0);
  REQUIRE_EQ(thrum_chan_new(sizeof(struct note), 0, &never), 0);
  for (int i = 0; i < GS; i++) {
    struct one* o = &ones[i];
    memset(o, 0, sizeof *o);
    o->rng = (uint64_t)i + 1;
    REQUIRE_EQ(thrum_chan_new(sizeof(struct note), 0, &o->in), 0);
    REQUIRE_EQ(thrum_chan_new(sizeof(struct note), i % 2, &o->out), 0);
    o->g = go_in(rt, answer, o);
  }
  pthread_t threads[THREADS];
  for (uintptr_t i = 0; i < THREADS; i++)
    REQUIRE_EQ(pthread_create(&threads[i], NULL, ask, (void*)(i + 7)), 0);
  uint64_t rng = 4711;
  for (int64_t end = real_now() + lasts; real_now() < end;) {
    disturb(rt, &rng);
    usleep(200);
  }
  set(&stop, 1);
  for (int i = 0; i < THREADS; i++)
    REQUIRE_EQ(pthread_join(threads[i], NULL), 0);
  for (int i = 0; i < GS; i++)
    CHECK_EQ(thrum_chan_close(ones[i].in), 0);
  for (int i = 0; i < GS; i++)
    CHECK_EQ(thrum_join(rt, ones[i].g, SOON), 0);
  CHECK_EQ(get(&wrong), 0);
  CHECK(get(&answers) > 0);
  if ((kind.flags & THRUM_RT_HIBERNATE) && !CHECK_SANITIZED)
    CHECK_MSG(get(&asleep) > 0, "%d answers, and nobody slept",
              (int)get(&answers));
  rt_end(rt);
  for (int i = 0; i < GS; i++) {
    thrum_chan_release(ones[i].in);
    thrum_chan_release(ones[i].out);
  }
  thrum_chan_release(never);
}
TEST(those_that_hibernate) {
  for (int round = 0; round < check_stress(); round++)
    conversation(RT_SLEEPY, SECOND);
}
TEST(those_that_do_not) { conversation(RT_P2, SECOND / 2); }

static const struct check_case cases[] = {CASE(those_that_hibernate),
                                          CASE(those_that_do_not)};
CHECK_MAIN(cases)
