/* spawn.c: storms of Gs. Every G that was accepted runs to its end or is
 * dropped at stop, exactly once, wherever it was queued, from wherever it was
 * spawned, while Ps come and go. */
#include "../support/check.h"

#include <thrum/thrum.h>

#include "../support/rt.h"

/* GCC's TSan has no more than some thousand fibres. */
#define LIVE(n) (CHECK_TSAN && (n) > 1000 ? 1000 : (n))

static void count_up(void* arg) { add(arg, 1); }

/* ---- ladders and batches ------------------------------------------------- */

/* A chain of Gs that hand one value from the right to the left. After Go's
 * goroutines.go, which alone found a run queue that lost half a batch when it
 * overflowed. */
struct link {
  thrum_chan *left, *right;
};
static void pass_on(void* arg) {
  struct link* l = arg;
  int v = 0;
  CHECK_EQ(thrum_chan_recv(l->right, &v, THRUM_FOREVER), 0);
  v++;
  CHECK_EQ(thrum_chan_send(l->left, &v, THRUM_FOREVER), 0);
}
static void chain(void* arg) {
  int n = LIVE(10000);
  (void)arg;
  for (int round = 0; round < check_stress(); round++) {
    struct link* link = calloc((size_t)n, sizeof *link);
    thrum_g* g = calloc((size_t)n, sizeof *g);
    thrum_chan *first = NULL, *next = NULL;
    REQUIRE(link && g);
    REQUIRE_EQ(thrum_chan_new(sizeof(int), 0, &first), 0);
    thrum_chan* left = first;
    for (int i = 0; i < n; i++) {
      REQUIRE_EQ(thrum_chan_new(sizeof(int), 0, &next), 0);
      link[i] = (struct link){left, next};
      g[i] = go(pass_on, &link[i]);
      left = next;
    }
    int v = 0;
    CHECK_EQ(thrum_chan_send(left, &v, THRUM_FOREVER), 0);
    CHECK_EQ(thrum_chan_recv(first, &v, THRUM_FOREVER), 0);
    CHECK_EQ(v, n);
    for (int i = 0; i < n; i++)
      join_g(g[i]);
    for (int i = 0; i < n; i++)
      thrum_chan_release(link[i].left);
    thrum_chan_release(left);
    free(link);
    free(g);
  }
}
TEST(a_chain_of_thousands) {
  on_threads(chain, NULL);
  in_rt(RT_HOSTED, chain, NULL);
  in_rt(RT_DET1, chain, NULL);
}

/* All ready at once, many times more than a local queue holds, and each yields
 * a little. */
static void yield_little(void* arg) {
  for (int i = 0; i < 3; i++)
    CHECK_EQ(thrum_yield(), 0);
  add(arg, 1);
}
static void batch(void* arg) {
  (void)arg;
  for (int round = 0; round < 3 * check_stress(); round++)
    for (int n = 1; n <= LIVE(6000); n = n * 5 + 3) {
      word count = 0;
      thrum_g* g = calloc((size_t)n, sizeof *g);
      REQUIRE(g != NULL);
      for (int i = 0; i < n; i++)
        g[i] = go(yield_little, &count);
      for (int i = 0; i < n; i++)
        join_g(g[i]);
      CHECK_EQ(count, n);
      free(g);
    }
}
TEST(batches_beyond_the_queue) { everywhere(batch, NULL); }

/* Readied all at once by one broadcast, close or waitgroup. */
struct gate {
  thrum_chan* ch;
  thrum_mutex m;
  thrum_cond c;
  thrum_wg wg;
  int open;
  word waiting, through;
};
static void through_chan(void* arg) {
  struct gate* g = arg;
  char c;
  add(&g->waiting, 1);
  CHECK_EQ(thrum_chan_recv(g->ch, &c, THRUM_FOREVER), THRUM_ECLOSED);
  add(&g->through, 1);
}
static void through_cond(void* arg) {
  struct gate* g = arg;
  CHECK_EQ(thrum_mutex_lock(&g->m, THRUM_FOREVER), 0);
  add(&g->waiting, 1);
  while (!g->open)
    CHECK_EQ(thrum_cond_wait(&g->c, &g->m, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_mutex_unlock(&g->m), 0);
  add(&g->through, 1);
}
static void through_wg(void* arg) {
  struct gate* g = arg;
  add(&g->waiting, 1);
  CHECK_EQ(thrum_wg_wait(&g->wg, THRUM_FOREVER), 0);
  add(&g->through, 1);
}
static void gates(void* arg) {
  static const thrum_fn ways[] = {through_chan, through_cond, through_wg};
  int n = LIVE(1500);
  (void)arg;
  for (int round = 0; round < check_stress(); round++)
    for (int way = 0; way < 3; way++) {
      struct gate gate;
      memset(&gate, 0, sizeof gate);
      REQUIRE_EQ(thrum_chan_new(1, 0, &gate.ch), 0);
      CHECK_EQ(thrum_wg_add(&gate.wg, 1), 0);
      thrum_g* g = calloc((size_t)n, sizeof *g);
      REQUIRE(g != NULL);
      for (int i = 0; i < n; i++)
        g[i] = go(ways[way], &gate);
      yield_until(&gate.waiting, n);
      CHECK_EQ(thrum_mutex_lock(&gate.m, THRUM_FOREVER), 0);
      gate.open = 1;
      CHECK_EQ(thrum_cond_broadcast(&gate.c), 0);
      CHECK_EQ(thrum_mutex_unlock(&gate.m), 0);
      CHECK_EQ(thrum_chan_close(gate.ch), 0);
      CHECK_EQ(thrum_wg_done(&gate.wg), 0);
      for (int i = 0; i < n; i++)
        join_g(g[i]);
      CHECK_EQ(gate.through, n);
      thrum_chan_release(gate.ch);
      free(g);
    }
}
TEST(gates_open_for_all) { everywhere(gates, NULL); }

/* ---- storms -------------------------------------------------------------- */

/* A tree whose nodes spawn, yield, sleep, cancel and join at random. */
struct storm {
  word spawned, ran, dropped, budget;
  uint64_t seed;
};
struct node {
  struct storm* s;
  uint64_t rng;
  thrum_g sibling;
};
static void node_drop(void* arg) {
  struct node* n = arg;
  if (below(&n->rng, 4) == 0)
    CHECK_EQ(thrum_yield(), 0);
  add(&n->s->dropped, 1);
  free(n);
}
static void node_run(void* arg) {
  struct node* n = arg;
  struct storm* s = n->s;
  thrum_g child[6];
  int children = 0;
  add(&s->ran, 1);
  while (children < 6 && below(&n->rng, 3) && add(&s->budget, -1) > 0) {
    struct node* c = calloc(1, sizeof *c);
    REQUIRE(c != NULL);
    c->s = s;
    c->rng = draw(&n->rng);
    c->sibling = children ? child[children - 1] : n->sibling;
    thrum_spawn_opts o = spawn_opts();
    o.drop = node_drop;
    o.affinity = below(&n->rng, 4) ? THRUM_MIGRATE : THRUM_PIN_STARTED;
    o.priority = below(&n->rng, 3);
    if (thrum_spawn(NULL, &o, node_run, c, &child[children]) != 0) {
      free(c);
      break;
    }
    add(&s->spawned, 1);
    children++;
  }
  switch (below(&n->rng, 6)) {
    case 0:
      thrum_yield();
      break;
    case 1:
      thrum_sleep(below(&n->rng, 100000));
      break;
    case 2:
      if (n->sibling) {
        int rc = thrum_cancel(NULL, n->sibling);
        CHECK(rc == 0 || rc == THRUM_ESTALE);
      }
      break;
    case 3:
      if (n->sibling && n->sibling != thrum_self())
        thrum_join(NULL, n->sibling, thrum_after(below(&n->rng, 200000)));
      break;
    case 4:
      thrum_enter_blocking();
      if (below(&n->rng, 8) == 0)
        sched_yield();
      thrum_exit_blocking();
      break;
  }
  for (int i = 0; i < children; i++)
    if (below(&n->rng, 3)) {
      int rc = thrum_join(NULL, child[i], THRUM_FOREVER);
      CHECK(rc == 0 || rc == THRUM_ECANCELED);
    }
}
static struct node* seedling(struct storm* s, uint64_t seed) {
  struct node* n = calloc(1, sizeof *n);
  REQUIRE(n != NULL);
  n->s = s;
  n->rng = seed;
  return n;
}
struct outside {
  struct storm* s;
  thrum_rt* rt;
  uint64_t rng;
};
static void* spawn_from_outside(void* arg) {
  struct outside* o = arg;
  thrum_spawn_opts opts = spawn_opts();
  opts.drop = node_drop;
  while (get(&o->s->budget) > 0) {
    struct node* n = seedling(o->s, draw(&o->rng));
    thrum_g g = 0;
    if (thrum_spawn(o->rt, &opts, node_run, n, &g) != 0) {
      free(n);
      break;
    }
    add(&o->s->spawned, 1);
    if (below(&o->rng, 2))
      CHECK_EQ(thrum_join(o->rt, g, THRUM_FOREVER), 0);
  }
  return NULL;
}
static void storm(struct rt_kind kind, uint64_t seed, int change_procs,
                  int stop_in_the_middle) {
  thrum_rt* rt = rt_make(kind);
  struct storm s;
  struct outside out[3];
  pthread_t t[3];
  uint64_t rng = seed;
  memset(&s, 0, sizeof s);
  s.budget = ROUNDS(20000);
  for (int i = 0; i < 3; i++) {
    out[i] = (struct outside){&s, rt, draw(&rng)};
    REQUIRE_EQ(pthread_create(&t[i], NULL, spawn_from_outside, &out[i]), 0);
  }
  word until = stop_in_the_middle ? s.budget / 2 : 0;
  while (get(&s.budget) > until) {
    if (change_procs)
      CHECK(thrum_set_procs(rt, 1 + below(&rng, 8)) >= 1);
    check_pause();
  }
  if (!stop_in_the_middle)
    for (int i = 0; i < 3; i++)
      pthread_join(t[i], NULL);
  CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
  if (stop_in_the_middle)
    for (int i = 0; i < 3; i++)
      pthread_join(t[i], NULL);
  CHECK_MSG(s.dropped == s.spawned, "seed %d: %d Gs were accepted, %d dropped",
            (int)seed, (int)s.spawned, (int)s.dropped);
  CHECK_LE(s.ran, s.spawned);
  thrum_rt_free(rt);
}
TEST(trees_at_random) {
  for (int i = 0; i < 2 * check_stress(); i++) {
    storm(RT_P1, (uint64_t)i * 10 + 1, 0, 0);
    storm(RT_P2, (uint64_t)i * 10 + 2, 0, 0);
    storm(RT_P4, (uint64_t)i * 10 + 3, 0, 0);
  }
}
TEST(trees_while_ps_come_and_go) {
  for (int i = 0; i < 2 * check_stress(); i++)
    storm(RT_P2, (uint64_t)i * 10 + 4, 1, 0);
}
TEST(stop_in_the_middle) {
  for (int i = 0; i < 5 * check_stress(); i++)
    storm(i % 2 ? RT_P2 : RT_P4, (uint64_t)i * 10 + 5, i % 3 == 0, 1);
}

/* One G spawns, others steal: each thief gets whole Gs, none twice. */
struct heap_of_work {
  word done;
  unsigned char times[4096];
};
struct piece {
  struct heap_of_work* h;
  int i;
};
static void piece(void* arg) {
  struct piece* p = arg;
  __atomic_fetch_add(&p->h->times[p->i], 1, __ATOMIC_SEQ_CST);
  for (volatile int k = 0; k < 200; k++) {}
  add(&p->h->done, 1);
}
static void to_be_stolen(void* arg) {
  static struct heap_of_work h;
  static struct piece p[4096];
  int n = LIVE(4096);
  (void)arg;
  for (int round = 0; round < 10 * check_stress(); round++) {
    memset(&h, 0, sizeof h);
    for (int i = 0; i < n; i++) {
      p[i] = (struct piece){&h, i};
      go(piece, &p[i]);
      /* lets thieves in without letting go of this P */
      if (i % 512 == 511)
        sched_yield();
    }
    yield_until(&h.done, n);
    for (int i = 0; i < n; i++)
      CHECK_MSG(h.times[i] == 1, "piece %d was done %d times", i, h.times[i]);
  }
}
TEST(work_is_stolen_whole) { on_threads(to_be_stolen, NULL); }

/* Spawn and join from many threads at once, with nobody else in the runtime:
 * each start is a wake-up that must not be lost. */
struct knocker {
  thrum_rt* rt;
  word* count;
  int n;
};
static void* knock(void* arg) {
  struct knocker* k = arg;
  for (int i = 0; i < k->n; i++) {
    thrum_g g = go_in(k->rt, count_up, k->count);
    CHECK_EQ(thrum_join(k->rt, g, SOON), 0);
  }
  return NULL;
}
TEST(one_at_a_time_from_outside) {
  static const struct rt_kind kinds[] = {
      {"[1 P]", 1, 0, 0, 0}, {"[2 P]", 2, 0, 0, 0}, {"[4 P]", 4, 0, 0, 0}};
  for (size_t i = 0; i < CHECK_COUNT(kinds); i++)
    for (int threads = 1; threads <= 4; threads++) {
      thrum_rt* rt = rt_make(kinds[i]);
      word count = 0;
      struct knocker k = {rt, &count, ROUNDS(1000) * check_stress()};
      pthread_t t[4];
      for (int c = 0; c < threads; c++)
        REQUIRE_EQ(pthread_create(&t[c], NULL, knock, &k), 0);
      for (int c = 0; c < threads; c++)
        pthread_join(t[c], NULL);
      CHECK_EQ(count, (word)threads * k.n);
      rt_end(rt);
    }
}

/* Runtimes that live for a moment. */
static void* short_lives(void* arg) {
  word* count = arg;
  for (int i = 0; i < ROUNDS(100) * check_stress(); i++) {
    thrum_rt* rt = rt_make(i % 2 ? RT_P2 : RT_P4);
    thrum_g g[5];
    for (int k = 0; k < 5; k++)
      g[k] = go_in(rt, count_up, count);
    if (i % 3)
      CHECK_EQ(thrum_run(rt, count_up, count), 0);
    if (i % 3 == 0)
      CHECK_EQ(thrum_join(rt, g[i % 5], THRUM_FOREVER), 0);
    rt_end(rt);
  }
  return NULL;
}
TEST(runtimes_that_live_for_a_moment) {
  word count = 0;
  pthread_t t[3];
  for (int i = 0; i < 3; i++)
    REQUIRE_EQ(pthread_create(&t[i], NULL, short_lives, &count), 0);
  for (int i = 0; i < 3; i++)
    pthread_join(t[i], NULL);
  CHECK_LE(1, count);
}

static const struct check_case cases[] = {
    CASE(a_chain_of_thousands),
    CASE(batches_beyond_the_queue),
    CASE(gates_open_for_all),
    CASE(trees_at_random),
    CASE(trees_while_ps_come_and_go),
    CASE(stop_in_the_middle),
    CASE(work_is_stolen_whole),
    CASE(one_at_a_time_from_outside),
    CASE(runtimes_that_live_for_a_moment),
};
CHECK_MAIN(cases)
