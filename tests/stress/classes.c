/* classes.c: mutexes that are held while others are waited for, by Gs of all classes,
 * with deadlines and cancels. What a wait lends is followed through all of them; who
 * has left the last wait for a mutex may free it all the same. */
#include "../support/check.h"

#include "../support/rt.h"

enum { ACTORS = 12, LINKS = 3, BRIEFS = 2 };

/* Made by the first who wants it, freed by the last who has left it. */
struct brief {
  thrum_mutex m;
  int users;   /* chain.desk */
  int guarded; /* m */
};
struct chain {
  thrum_mutex link[LINKS]; /* taken in this order */
  int guarded[LINKS];      /* link */
  thrum_mutex desk;
  struct brief* brief[BRIEFS]; /* desk */
  int rounds;
  uint64_t seed;
  word next, inside[LINKS], done;
};

static int64_t some_deadline(uint64_t* rng) {
  static const uint32_t most[] = {2000, 50000, 1000000};
  uint32_t which = below(rng, 5);
  return which < 3 ? thrum_after(below(rng, most[which])) : THRUM_FOREVER;
}
static void gave_up(int rc) {
  CHECK(rc == THRUM_ETIMEDOUT || rc == THRUM_ECANCELED);
}
static void take_desk(struct chain* c) {
  int rc;
  while ((rc = thrum_mutex_lock(&c->desk, THRUM_FOREVER)) != 0)
    gave_up(rc);
}

static void use_brief(struct chain* c, uint64_t* rng) {
  struct brief** slot = &c->brief[below(rng, BRIEFS)];
  take_desk(c);
  struct brief* b = *slot;
  if (!b) {
    b = *slot = calloc(1, sizeof *b);
    REQUIRE(b != NULL);
  }
  b->users++;
  CHECK_EQ(thrum_mutex_unlock(&c->desk), 0);
  int rc = thrum_mutex_lock(&b->m, some_deadline(rng));
  if (rc == 0) {
    int was = b->guarded++;
    if (below(rng, 2) == 0)
      thrum_yield();
    CHECK_EQ(b->guarded, was + 1);
    CHECK_EQ(thrum_mutex_unlock(&b->m), 0);
  } else {
    gave_up(rc);
  }
  take_desk(c);
  if (--b->users == 0) {
    *slot = NULL;
    free(b);
  }
  CHECK_EQ(thrum_mutex_unlock(&c->desk), 0);
}

/* From link `at` on: those that can be had, and a brief one inside of them. */
static void use_links(struct chain* c, int at, uint64_t* rng) {
  if (at >= LINKS || below(rng, 4) == 0) {
    use_brief(c, rng);
    return;
  }
  int rc = thrum_mutex_lock(&c->link[at], some_deadline(rng));
  if (rc != 0) {
    gave_up(rc);
    return;
  }
  CHECK_EQ(add(&c->inside[at], 1), 1);
  c->guarded[at]++;
  use_links(c, at + 1 + (int)below(rng, 2), rng);
  add(&c->inside[at], -1);
  CHECK_EQ(thrum_mutex_unlock(&c->link[at]), 0);
}
static void uses_all(void* arg) {
  struct chain* c = arg;
  uint64_t rng = c->seed * 1009 + (uint64_t)add(&c->next, 1);
  for (int i = 0; i < c->rounds; i++) {
    use_links(c, (int)below(&rng, LINKS), &rng);
    thrum_check();
  }
  add(&c->done, 1);
}

static void play(uint64_t seed, struct rt_kind kind) {
  static const uint32_t classes[] = {THRUM_PRIO_LOW, 0, THRUM_PRIO_HIGH};
  struct chain c;
  thrum_rt* rt = rt_make(kind);
  thrum_g g[ACTORS];
  uint64_t rng = seed;
  memset(&c, 0, sizeof c);
  c.rounds = ROUNDS(4000);
  c.seed = seed;
  for (int i = 0; i < ACTORS; i++) {
    thrum_spawn_opts o = spawn_opts();
    o.priority = classes[i % 3];
    REQUIRE_EQ(thrum_spawn(rt, &o, uses_all, &c, &g[i]), 0);
  }
  while (get(&c.done) < ACTORS) {
    int rc = thrum_cancel(rt, g[below(&rng, ACTORS)]);
    CHECK(rc == 0 || rc == THRUM_ESTALE);
    usleep(below(&rng, 100));
  }
  for (int i = 0; i < ACTORS; i++)
    REQUIRE_EQ(thrum_join(rt, g[i], THRUM_FOREVER), 0);
  for (int i = 0; i < LINKS; i++) {
    CHECK(c.guarded[i] > 0);
    CHECK_EQ(thrum_mutex_lock(&c.link[i], THRUM_TRY), 0);
    CHECK_EQ(thrum_mutex_unlock(&c.link[i]), 0);
  }
  CHECK(c.brief[0] == NULL && c.brief[1] == NULL);
  rt_end(rt);
}
TEST(chains) {
  for (int round = 0; round < check_stress(); round++) {
    uint64_t seed = (uint64_t)round * 100;
    play(seed + 1, RT_P1);
    play(seed + 2, RT_P2);
    play(seed + 3, RT_P4);
    play(seed + 4, RT_SLEEPY);
  }
}

static const struct check_case cases[] = {CASE(chains)};
CHECK_MAIN(cases)
