/* signals.c: the library leaves the host's signals alone, and the host's
 * signals do not disturb it: no wait ends with EINTR, nothing is lost in a
 * storm of them, and a process that was stopped for a while goes on. */
#include "../support/check.h"

#include <sys/syscall.h>
#include <thrum/host.h>

#include "../support/child.h"
#include "../support/rt.h"

/* ---- nothing installed --------------------------------------------------- */

static void all_signals(struct sigaction* to) {
  memset(to, 0, 65 * sizeof *to);
  for (int s = 1; s < 65; s++)
    sigaction(s, NULL, &to[s]);
}
static int same_mask(const sigset_t* a, const sigset_t* b) {
  for (int s = 1; s < 65; s++)
    if (sigismember(a, s) != sigismember(b, s))
      return 0;
  return 1;
}
static void some_work(void* arg) {
  (void)arg;
  for (int i = 0; i < 10; i++)
    CHECK_EQ(thrum_sleep(100000), 0);
}
TEST(no_handler_is_installed) {
  static struct sigaction before[65], after[65];
  sigset_t mask_before, mask_after;
  stack_t alt_before, alt_after;
  all_signals(before);
  pthread_sigmask(SIG_SETMASK, NULL, &mask_before);
  sigaltstack(NULL, &alt_before);
  thrum_rt* rt = rt_make(RT_P4);
  for (int i = 0; i < 3; i++) {
    if (i == 1)
      CHECK_EQ(thrum_run(rt, some_work, NULL), 0);
    if (i == 2)
      rt_end(rt);
    all_signals(after);
    pthread_sigmask(SIG_SETMASK, NULL, &mask_after);
    sigaltstack(NULL, &alt_after);
    for (int s = 1; s < 65; s++)
      CHECK_MSG(before[s].sa_handler == after[s].sa_handler &&
                    before[s].sa_flags == after[s].sa_flags,
                "the disposition of signal %d has changed", s);
    CHECK(same_mask(&mask_before, &mask_after));
    CHECK(alt_before.ss_sp == alt_after.ss_sp);
  }
}

/* ---- a storm ------------------------------------------------------------- */

static word signals_seen;
static void on_signal(int sig) {
  (void)sig;
  add(&signals_seen, 1);
}
struct storm {
  word stop, sent, passed;
};
static void* send_signals(void* arg) {
  struct storm* s = arg;
  int me = thread_id();
  while (!get(&s->stop)) {
    DIR* dir = opendir("/proc/self/task");
    if (!dir)
      break;
    for (struct dirent* e; (e = readdir(dir)) != NULL;) {
      int tid = atoi(e->d_name);
      if (tid > 0 && tid != me &&
          syscall(SYS_tgkill, getpid(), tid, SIGUSR1) == 0)
        add(&s->sent, 1);
    }
    closedir(dir);
    struct timespec t = {0, 20000};
    nanosleep(&t, NULL);
  }
  return NULL;
}
struct traffic {
  struct storm* s;
  thrum_chan* ch;
  thrum_mutex* m;
  thrum_sem* sem;
  int rounds;
};
static void storm_send(void* arg) {
  struct traffic* t = arg;
  for (int i = 0; i < t->rounds; i++) {
    CHECK_EQ(thrum_chan_send(t->ch, &i, THRUM_FOREVER), 0);
    if (i % 50 == 0) {
      int64_t start = thrum_now();
      CHECK_EQ(thrum_sleep(200000), 0);
      CHECK_LE(start + 200000, thrum_now()); /* not cut short */
    }
  }
}
static void storm_recv(void* arg) {
  struct traffic* t = arg;
  for (int i = 0; i < t->rounds; i++) {
    int v = -1, rc;
    do
      rc = thrum_chan_recv(t->ch, &v,
                           i % 3 ? THRUM_FOREVER : thrum_after(100000));
    while (rc == THRUM_ETIMEDOUT);
    CHECK_EQ(rc, 0);
    add(&t->s->passed, 1);
  }
}
static void storm_lock(void* arg) {
  struct traffic* t = arg;
  for (int i = 0; i < t->rounds; i++) {
    CHECK_EQ(thrum_mutex_lock(t->m, THRUM_FOREVER), 0);
    if (i % 10 == 0)
      CHECK_EQ(thrum_sleep(1000), 0);
    CHECK_EQ(thrum_mutex_unlock(t->m), 0);
    int64_t deadline = thrum_after(20000);
    if (i % 20 == 0) {
      CHECK_EQ(thrum_sem_acquire(t->sem, deadline), THRUM_ETIMEDOUT);
      CHECK_LE(deadline, thrum_now());
    }
  }
}
CHILD(storm) {
  struct sigaction a;
  struct storm s = {0, 0, 0};
  thrum_chan* ch;
  thrum_mutex m = THRUM_MUTEX_INIT;
  thrum_sem sem = THRUM_SEM_INIT;
  struct actor actor[12];
  thrum_wg done = THRUM_WG_INIT;
  pthread_t t;
  (void)arg;
  memset(&a, 0, sizeof a);
  a.sa_handler = on_signal; /* without SA_RESTART */
  sigaction(SIGUSR1, &a, NULL);
  REQUIRE_EQ(thrum_chan_new(sizeof(int), 2, &ch), 0);
  thrum_rt* rt = rt_make(RT_P2);
  REQUIRE_EQ(pthread_create(&t, NULL, send_signals, &s), 0);
  struct traffic traffic = {&s, ch, &m, &sem, ROUNDS(1500)};
  static const thrum_fn parts[] = {storm_send, storm_recv, storm_lock};
  for (int i = 0; i < 12; i++)
    actor_start(&actor[i], rt, i % 4 == 3 || i % 4 == 0, &done, parts[i % 3],
                &traffic);
  CHECK_EQ(thrum_wg_wait(&done, THRUM_FOREVER), 0);
  for (int i = 0; i < 12; i++)
    actor_join(&actor[i], rt);
  CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
  set(&s.stop, 1);
  pthread_join(t, NULL);
  CHECK_EQ(s.passed, 4 * traffic.rounds);
  CHECK(get(&signals_seen) > 0);
  thrum_rt_free(rt);
  thrum_chan_release(ch);
}
TEST(storm_of_signals) { expect_child("storm", NULL, 0); }

/* ---- stopped and continued ----------------------------------------------- */

static void tick(void* arg) {
  for (int i = 0; i < 40; i++) {
    int64_t start = thrum_now();
    CHECK_EQ(thrum_sleep(5 * MS), 0);
    CHECK_LE(start + 5 * MS, thrum_now());
    add(arg, 1);
  }
}
static void tickers(void* arg) {
  thrum_g g[10];
  for (int i = 0; i < 10; i++)
    g[i] = go(tick, arg);
  for (int i = 0; i < 10; i++)
    join_g(g[i]);
}
CHILD(ticks) {
  word n = 0;
  (void)arg;
  check_write(1, "started\n", 8);
  in_rt(RT_P2, tickers, &n);
  CHECK_EQ(n, 400);
}
TEST(stopped_and_continued) {
  int out, err;
  char text[16] = "";
  pid_t pid = child_start("ticks", NULL, &out, &err);
  while (pread(out, text, 8, 0) < 8)
    check_pause();
  for (int i = 0; i < 3; i++) {
    for (int k = 0; k < 20; k++)
      check_pause();
    kill(pid, SIGSTOP);
    for (int k = 0; k < 100; k++)
      check_pause();
    kill(pid, SIGCONT);
  }
  child_end(pid, out, err);
  CHECK_MSG(child.code == 0, "status %d, signal %d: %.300s%.300s", child.code,
            child.signal, child.out, child.err);
  /* no report of a deadlock or a stall that was none */
  CHECK_STR(child.err, "");
}

static const struct check_case cases[] = {CASE(no_handler_is_installed),
                                          CASE(storm_of_signals),
                                          CASE(stopped_and_continued)};
static const struct child_part parts[] = {PART(storm), PART(ticks)};
CHILD_MAIN(cases, parts)
