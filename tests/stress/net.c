/* net.c: many connections, few Ps, and everything that ends a wait at once:
 * deadlines, closing, cancel, release, and data. Exactly one of them wins; what
 * was read is what was written, in order, and not one descriptor stays. */
#include "../support/check.h"

#include "../support/net.h"

/* ---- races on waits ------------------------------------------------------ */

/* Several Gs and a thread read one connection, one writes numbers, one breaks
 * in. Every byte is read once; the ends are the ones that there are. */
enum { READERS = 4 };
struct brawl {
  thrum_rt* rt;
  thrum_conn* c;
  int fd;
  uint64_t seed;
  thrum_g g[READERS];
  word got, written, ended;
};
struct fighter {
  struct brawl* b;
  uint64_t rng;
};
static int64_t some_deadline(uint64_t* rng) {
  switch (below(rng, 4)) {
    case 0:
      return THRUM_TRY;
    case 1:
      return thrum_after(below(rng, 1000));
    case 2:
      return thrum_after(below(rng, 100000));
    default:
      return THRUM_FOREVER;
  }
}
static void fights(void* arg) {
  struct fighter* f = arg;
  struct brawl* b = f->b;
  char buf[64];
  for (;;) {
    int64_t n =
        thrum_read(b->c, buf, 1 + below(&f->rng, 64), some_deadline(&f->rng));
    if (n > 0)
      add(&b->got, n);
    else if (n == 0 || n == THRUM_ECLOSED)
      break;
    else
      CHECK_MSG(n == THRUM_EAGAIN || n == THRUM_ETIMEDOUT ||
                    n == THRUM_ECANCELED,
                "%s", thrum_errname((int)n));
    if (n == THRUM_EAGAIN && thrum_self())
      (void)thrum_yield();
  }
  thrum_conn_release(b->c);
  add(&b->ended, 1);
  free(f);
}
static void* fights_as_thread(void* arg) {
  fights(arg);
  return NULL;
}
static struct fighter* fighter(struct brawl* b) {
  struct fighter* f = malloc(sizeof *f);
  f->b = b;
  f->rng = draw(&b->seed);
  thrum_conn_retain(b->c);
  return f;
}
static void brawl(void* arg) {
  struct brawl* b = arg;
  uint64_t rng = draw(&b->seed);
  pthread_t t;
  char page[200] = {0};
  b->fd = to_raw((int)below(&rng, 2), NULL, &b->c);
  for (int i = 0; i < READERS; i++)
    b->g[i] = go(fights, fighter(b));
  REQUIRE_EQ(pthread_create(&t, NULL, fights_as_thread, fighter(b)), 0);
  for (int i = 0; i < 40; i++) {
    size_t n = 1 + below(&rng, sizeof page);
    raw_write(b->fd, page, n);
    add(&b->written, (word)n);
    if (below(&rng, 2))
      CHECK_EQ(thrum_cancel(NULL, b->g[below(&rng, READERS)]), 0);
    if (below(&rng, 4) == 0)
      CHECK_EQ(thrum_sleep(below(&rng, 50000)), 0);
    else if (below(&rng, 2))
      CHECK_EQ(thrum_yield(), 0);
  }
  int closes = (int)below(&rng, 2);
  if (closes) { /* ours: some bytes are lost, none is read twice */
    CHECK_EQ(thrum_conn_close(b->c), 0);
    thrum_conn_release(b->c);
    close(b->fd);
  } else {
    close(b->fd);
    thrum_conn_release(b->c);
  }
  for (int i = 0; i < READERS; i++)
    join_g(b->g[i]);
  thrum_enter_blocking();
  pthread_join(t, NULL);
  thrum_exit_blocking();
  CHECK_EQ(b->ended, READERS + 1);
  if (closes)
    CHECK(b->got <= b->written);
  else
    CHECK_EQ(b->got, b->written);
}
static void brawls(void* arg) {
  enum { AT_ONCE = 6 };
  struct brawl b[AT_ONCE];
  thrum_g g[AT_ONCE];
  memset(b, 0, sizeof b);
  for (int i = 0; i < AT_ONCE; i++) {
    b[i].seed = draw(arg);
    g[i] = go(brawl, &b[i]);
  }
  for (int i = 0; i < AT_ONCE; i++)
    join_g(g[i]);
}
TEST(what_ends_a_read) {
  uint64_t seed = 20261;
  for (int i = 0; i < ROUNDS(20) * check_stress(); i++) {
    in_rt(RT_P1, brawls, &seed);
    in_rt(RT_P2, brawls, &seed);
    in_rt(RT_P4, brawls, &seed);
  }
}

/* ---- partial writes ------------------------------------------------------ */

/* The writer gives up again and again, and goes on where it was; the reader is
 * slow, and reads odd sizes. */
struct stream {
  thrum_conn *in, *out;
  size_t total;
  uint64_t seed; /* const: of both, each draws from its own */
  word gave_up;
};
static void writes_on(void* arg) {
  struct stream* s = arg;
  uint64_t rng = s->seed;
  enum { CHUNK = 262144 };
  unsigned char* p = malloc(CHUNK);
  for (size_t at = 0; at < s->total;) {
    size_t n = 1 + below(&rng, CHUNK);
    n = n < s->total - at ? n : s->total - at;
    fill(p, n, at);
    int64_t deadline =
        below(&rng, 2) ? THRUM_FOREVER : thrum_after(below(&rng, 300000));
    int64_t k = below(&rng, 3) ? thrum_write(s->out, p, n, deadline)
                               : thrum_write_some(s->out, p, n, deadline);
    if (k == THRUM_ETIMEDOUT) {
      add(&s->gave_up, 1);
      continue;
    }
    REQUIRE(k > 0 && (size_t)k <= n);
    at += (size_t)k;
  }
  CHECK_EQ(thrum_conn_shutdown(s->out), 0);
  free(p);
}
static void reads_on(void* arg) {
  struct stream* s = arg;
  uint64_t rng = s->seed + 1000;
  unsigned char* p = malloc(131072);
  size_t at = 0;
  for (;;) {
    size_t n = 1 + below(&rng, 131072);
    int64_t k = thrum_read(s->in, p, n,
                           below(&rng, 2) ? THRUM_FOREVER
                                          : thrum_after(below(&rng, 100000)));
    if (k == THRUM_ETIMEDOUT)
      continue;
    REQUIRE(k >= 0);
    if (k == 0)
      break;
    CHECK_EQ(first_wrong(p, (size_t)k, at), k);
    at += (size_t)k;
  }
  CHECK_EQ(at, s->total);
  free(p);
}
static void streams(void* arg) {
  enum { STREAMS = 4 };
  struct stream s[STREAMS];
  thrum_g g[2 * STREAMS];
  memset(s, 0, sizeof s);
  for (int i = 0; i < STREAMS; i++) {
    tcp_pair(&s[i].in, &s[i].out);
    s[i].total = *(size_t*)arg / STREAMS;
    s[i].seed = (uint64_t)i + 7;
    g[2 * i] = go(writes_on, &s[i]);
    g[2 * i + 1] = go(reads_on, &s[i]);
  }
  for (int i = 0; i < 2 * STREAMS; i++)
    join_g(g[i]);
  for (int i = 0; i < STREAMS; i++) {
    thrum_conn_release(s[i].in);
    thrum_conn_release(s[i].out);
  }
}
/* 64 MiB, and 1 GiB in the long run. */
TEST(long_transfers) {
  size_t total = (size_t)ROUNDS(check_stress() > 1 ? 1024 : 64) << 20;
  in_rt(RT_P2, streams, &total);
}

/* ---- slow clients -------------------------------------------------------- */

/* They send a byte now and then, and never end their request. The server gives
 * each a time, and serves the others meanwhile. */
enum { SLOW = 60, QUICK = 20 };
struct server {
  thrum_listener* l;
  word late, served;
};
static void serves(void* arg) {
  struct {
    thrum_conn* c;
    struct server* s;
  }* k = arg;
  char line[16];
  size_t at = 0;
  int64_t until = thrum_after(30 * MS), n = 0;
  while (at < sizeof line &&
         (n = thrum_read(k->c, line + at, sizeof line - at, until)) > 0)
    at += (size_t)n;
  if (at == sizeof line) {
    CHECK_EQ(thrum_write(k->c, line, at, SOON), at);
    add(&k->s->served, 1);
  } else {
    CHECK_EQ(n, THRUM_ETIMEDOUT);
    add(&k->s->late, 1);
  }
  thrum_conn_release(k->c);
  free(k);
}
static void server(void* arg) {
  struct server* s = arg;
  thrum_g g[SLOW + QUICK];
  for (int i = 0; i < SLOW + QUICK; i++) {
    struct {
      thrum_conn* c;
      struct server* s;
    }* k = malloc(sizeof *k);
    k->s = s;
    REQUIRE_EQ(thrum_accept(s->l, &k->c, SOON), 0);
    g[i] = go(serves, k);
  }
  for (int i = 0; i < SLOW + QUICK; i++)
    join_g(g[i]);
}
static void slow_client(void* arg) {
  struct server* s = arg;
  thrum_conn* c = NULL;
  char b;
  REQUIRE_EQ(
      thrum_tcp_dial(NULL, "127.0.0.1", thrum_listener_port(s->l), &c, SOON),
      0);
  for (int i = 0; i < 15 && thrum_write(c, "x", 1, SOON) == 1; i++)
    CHECK_EQ(thrum_sleep(3 * MS), 0);
  /* shown the door: by the end, or because it went on talking */
  int64_t n = thrum_read(c, &b, 1, SOON);
  CHECK_MSG(n == 0 || n == THRUM_ECONNRESET, "%lld", (long long)n);
  thrum_conn_release(c);
}
static void quick_client(void* arg) {
  struct server* s = arg;
  thrum_conn* c = NULL;
  unsigned char out[16], in[16];
  REQUIRE_EQ(
      thrum_tcp_dial(NULL, "127.0.0.1", thrum_listener_port(s->l), &c, SOON),
      0);
  fill(out, 16, 3);
  CHECK_EQ(thrum_write(c, out, 16, SOON), 16);
  /* on a machine that stops for long it may be late, too */
  size_t at = 0;
  int64_t n = 1;
  while (at < 16 && (n = thrum_read(c, in + at, 16 - at, SOON)) > 0)
    at += (size_t)n;
  CHECK_MSG(n >= 0 || n == THRUM_ECONNRESET, "%lld", (long long)n);
  CHECK_EQ(first_wrong(in, at, 3), at);
  thrum_conn_release(c);
}
static void loris(void* arg) {
  struct server s = {NULL, 0, 0};
  thrum_g g[SLOW + QUICK];
  (void)arg;
  REQUIRE_EQ(thrum_tcp_listen(NULL, "127.0.0.1", 0, 0, &s.l), 0);
  thrum_g srv = go(server, &s);
  for (int i = 0; i < SLOW + QUICK; i++)
    g[i] = go(i % 4 == 3 ? quick_client : slow_client, &s);
  for (int i = 0; i < SLOW + QUICK; i++)
    join_g(g[i]);
  join_g(srv);
  CHECK(s.late >= SLOW);
  CHECK_EQ(s.late + s.served, SLOW + QUICK);
  thrum_listener_release(s.l);
}
TEST(slow_clients) {
  for (int i = 0; i < check_stress(); i++) {
    in_rt(RT_P1, loris, NULL);
    in_rt(RT_P2, loris, NULL);
  }
}

/* ---- comings and goings -------------------------------------------------- */

struct door {
  thrum_listener* l;
  int rounds;
  word accepted;
};
static void lets_in(void* arg) {
  struct door* d = arg;
  for (;;) {
    thrum_conn* c = NULL;
    int rc = thrum_accept(d->l, &c, THRUM_FOREVER);
    if (rc) {
      CHECK_EQ(rc, THRUM_ECLOSED);
      return;
    }
    /* each other one is waited for, so that the loop has it */
    char b;
    if (add(&d->accepted, 1) % 2)
      CHECK_EQ(thrum_read(c, &b, 1, SOON), 0);
    thrum_conn_release(c);
  }
}
static void comes_and_goes(void* arg) {
  struct door* d = arg;
  for (int i = 0; i < d->rounds; i++) {
    thrum_conn* c = NULL;
    REQUIRE_EQ(
        thrum_tcp_dial(NULL, "127.0.0.1", thrum_listener_port(d->l), &c, SOON),
        0);
    /* resets: ports in TIME_WAIT would run out */
    CHECK_EQ(thrum_conn_shutdown(c), 0);
    char b;
    (void)thrum_read(c, &b, 1, SOON);
    CHECK_EQ(thrum_conn_set(c, THRUM_OPT_LINGER, 0), 0);
    thrum_conn_release(c);
  }
}
static void doors(void* arg) {
  struct door d = {NULL, *(int*)arg / 4, 0};
  thrum_g g[6];
  REQUIRE_EQ(thrum_tcp_listen(NULL, "127.0.0.1", 0, 0, &d.l), 0);
  for (int i = 0; i < 6; i++)
    g[i] = go(i < 2 ? lets_in : comes_and_goes, &d);
  for (int i = 2; i < 6; i++)
    join_g(g[i]);
  CHECK_EQ(thrum_listener_close(d.l), 0);
  join_g(g[0]);
  join_g(g[1]);
  thrum_listener_release(d.l);
  CHECK_EQ(d.accepted, 4 * d.rounds);
}
TEST(comings_and_goings) {
  int rounds = ROUNDS(check_stress() > 1 ? 50000 : 2000);
  in_rt(RT_P2, doors, &rounds);
}

static const struct check_case cases[] = {
    CASE(what_ends_a_read),
    CASE(long_transfers),
    CASE(slow_clients),
    CASE(comings_and_goings),
};
NET_MAIN(cases)
