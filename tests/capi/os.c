/* os.c: <thrum/os.h>: signals to channels, files, processes. */
#include "../support/check.h"

#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <thrum/os.h>

#include "../support/net.h"

/* ---- signals ------------------------------------------------------------- */

static void one_signal(void* arg) {
  thrum_chan *ch, *other, *wide;
  int32_t got;
  (void)arg;
  REQUIRE_EQ(thrum_chan_new(4, 1, &ch), 0);
  REQUIRE_EQ(thrum_chan_new(4, 8, &other), 0);
  REQUIRE_EQ(thrum_chan_new(8, 1, &wide), 0);
  CHECK_EQ(thrum_signal_notify(NULL, SIGUSR1, wide), THRUM_EINVAL);
  CHECK_EQ(thrum_signal_notify(NULL, 0, ch), THRUM_EINVAL);
  CHECK_EQ(thrum_signal_notify(NULL, SIGKILL, ch), THRUM_EINVAL);
  CHECK_EQ(thrum_signal_notify(NULL, SIGUSR1, ch), 0);
  CHECK_EQ(thrum_signal_notify(NULL, SIGUSR1, other), 0);
  CHECK_EQ(thrum_signal_notify(NULL, SIGUSR2, other), 0);
  CHECK_EQ(thrum_signal_notify(NULL, SIGUSR1, other),
           0);          /* it has it already */
  struct sigaction now; /* where there is a stack for it, not on a G's */
  CHECK_EQ(sigaction(SIGUSR1, NULL, &now), 0);
  CHECK(now.sa_flags & SA_ONSTACK);
  kill(getpid(), SIGUSR1);
  CHECK_EQ(thrum_chan_recv(ch, &got, SOON), 0);
  CHECK_EQ(got, SIGUSR1);
  CHECK_EQ(thrum_chan_recv(other, &got, SOON), 0);
  CHECK_EQ(got, SIGUSR1);
  kill(getpid(), SIGUSR2);
  CHECK_EQ(thrum_chan_recv(other, &got, SOON), 0);
  CHECK_EQ(got, SIGUSR2);
  CHECK_EQ(thrum_chan_len(ch), 0);
  CHECK_EQ(thrum_signal_stop(NULL, ch), 1);
  CHECK_EQ(thrum_signal_stop(NULL, ch), 0);
  kill(getpid(), SIGUSR1);
  CHECK_EQ(thrum_chan_recv(other, &got, SOON), 0);
  CHECK_EQ(thrum_chan_len(ch), 0);
  CHECK_EQ(thrum_signal_stop(NULL, other), 2);
  thrum_chan_release(ch);
  thrum_chan_release(other);
  thrum_chan_release(wide);
}
TEST(signals_come_to_channels) { on_net(one_signal, NULL); }

/* Also by a thread that sleeps for as long as nothing comes. */
struct sends {
  thrum_chan* ch;
  word got, sent, over;
};
static int takes_it(int tid) {
  char path[64], line[128];
  unsigned long long blocked = ~0ull;
  snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
  FILE* f = fopen(path, "re");
  while (f && fgets(line, sizeof line, f) &&
         sscanf(line, "SigBlk: %llx", &blocked) != 1) {}
  if (f)
    fclose(f);
  return tid != thread_id() && !(blocked >> (SIGUSR1 - 1) & 1);
}
static void* to_each_thread(void* arg) {
  struct sends* s = arg;
  DIR* tasks = opendir("/proc/self/task");
  REQUIRE(tasks != NULL);
  for (struct dirent* e; (e = readdir(tasks)) != NULL && !get(&s->over);) {
    int tid = atoi(e->d_name);
    usleep(150000); /* longer than sysmon looks for what comes from outside */
    if (tid > 0 && takes_it(tid) &&
        syscall(SYS_tgkill, getpid(), tid, SIGUSR1) == 0)
      add(&s->sent, 1);
    while (get(&s->got) < get(&s->sent) && !get(&s->over))
      check_pause();
  }
  closedir(tasks);
  CHECK_EQ(thrum_chan_close(s->ch), 0);
  return NULL;
}
static void by_any_thread(void* arg) {
  struct sends s = {NULL, 0, 0, 0};
  pthread_t t;
  int32_t got;
  (void)arg;
  REQUIRE_EQ(thrum_chan_new(4, 1, &s.ch), 0);
  CHECK_EQ(thrum_signal_notify(NULL, SIGUSR1, s.ch), 0);
  REQUIRE_EQ(pthread_create(&t, NULL, to_each_thread, &s), 0);
  while (thrum_chan_recv(s.ch, &got, SOON) == 0)
    add(&s.got, 1);
  set(&s.over, 1);
  pthread_join(t, NULL);
  CHECK(s.sent > 0);
  CHECK_EQ(s.got, s.sent);
  CHECK_EQ(thrum_signal_stop(NULL, s.ch), 1);
  thrum_chan_release(s.ch);
}
TEST(signals_come_by_any_thread) { in_rt(RT_P2, by_any_thread, NULL); }

/* And while Gs begin and end all the time: TSan has them as threads of its own, which
 * take with them what came for them. */
struct amid {
  thrum_chan* ch;
  word got, over;
};
static void counts_them(void* arg) {
  struct amid* a = arg;
  int32_t got;
  while (thrum_chan_recv(a->ch, &got, THRUM_FOREVER) == 0)
    add(&a->got, 1);
}
static void* sends_some(void* arg) {
  struct amid* a = arg;
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, NULL);
  for (int i = 0; i < 20; i++) {
    kill(getpid(), SIGUSR1);
    while (get(&a->got) <= i)
      check_pause();
  }
  set(&a->over, 1);
  return NULL;
}
static void ends_at_once(void* arg) { (void)arg; }
static void amid_ends(void* arg) {
  struct amid a = {NULL, 0, 0};
  pthread_t t;
  (void)arg;
  REQUIRE_EQ(thrum_chan_new(4, 1, &a.ch), 0);
  CHECK_EQ(thrum_signal_notify(NULL, SIGUSR1, a.ch), 0);
  thrum_g counts = go(counts_them, &a);
  REQUIRE_EQ(pthread_create(&t, NULL, sends_some, &a), 0);
  while (!get(&a.over)) {
    thrum_g g[20];
    for (int i = 0; i < 20; i++)
      g[i] = go(ends_at_once, NULL);
    for (int i = 0; i < 20; i++)
      join_g(g[i]);
  }
  pthread_join(t, NULL);
  CHECK_EQ(thrum_signal_stop(NULL, a.ch), 1);
  CHECK_EQ(thrum_chan_close(a.ch), 0);
  join_g(counts);
  thrum_chan_release(a.ch);
}
TEST(signals_come_while_gs_end) {
  in_rt(RT_P1, amid_ends, NULL);
  in_rt(RT_P2, amid_ends, NULL);
}

/* A full channel drops: of five it keeps the first. */
static void fill_up(void* arg) {
  thrum_chan *ch, *all;
  int32_t got;
  (void)arg;
  REQUIRE_EQ(thrum_chan_new(4, 1, &ch), 0);
  REQUIRE_EQ(thrum_chan_new(4, 8, &all), 0);
  CHECK_EQ(thrum_signal_notify(NULL, SIGUSR1, ch), 0);
  CHECK_EQ(thrum_signal_notify(NULL, SIGUSR1, all), 0);
  for (int i = 0; i < 5; i++) {
    kill(getpid(), SIGUSR1);
    CHECK_EQ(thrum_chan_recv(all, &got, SOON), 0);
  }
  CHECK_EQ(thrum_signal_stop(NULL, all), 1); /* nothing is on its way now */
  CHECK_EQ(thrum_chan_recv(ch, &got, THRUM_TRY), 0);
  CHECK_EQ(thrum_chan_recv(ch, &got, THRUM_TRY), THRUM_EAGAIN);
  thrum_chan_release(all);
  thrum_chan_release(ch); /* the signal keeps it; the runtime's stop lets go */
}
TEST(a_full_channel_drops) { on_net(fill_up, NULL); }

/* The host's own handler is back after the last, of several runtimes too, and
 * whether the channel was stopped or the runtime. */
static word host_saw;
static void host_handler(int signo) {
  (void)signo;
  __atomic_add_fetch(&host_saw, 1, __ATOMIC_SEQ_CST);
}
static int is_the_hosts(void) {
  struct sigaction now;
  sigaction(SIGUSR2, NULL, &now);
  return now.sa_handler == host_handler;
}
static void notify_and_stop(void* arg) {
  thrum_chan* ch = (thrum_chan*)arg;
  CHECK_EQ(thrum_signal_notify(NULL, SIGUSR2, ch), 0);
  CHECK(!is_the_hosts());
  CHECK_EQ(thrum_signal_stop(NULL, ch), 1);
}
static void notify(void* arg) {
  CHECK_EQ(thrum_signal_notify(NULL, SIGUSR2, (thrum_chan*)arg), 0);
}
TEST(afterwards_it_is_as_before) {
  thrum_chan* ch;
  REQUIRE_EQ(thrum_chan_new(4, 8, &ch), 0);
  signal(SIGUSR2, host_handler);
  set(&host_saw, 0);
  in_rt(RT_P1, notify_and_stop, ch);
  CHECK(is_the_hosts());
  thrum_rt *a = rt_make(RT_P1), *b = rt_make(RT_P1);
  CHECK_EQ(thrum_run(a, notify, ch), 0);
  CHECK_EQ(thrum_run(b, notify, ch), 0);
  rt_end(a);
  CHECK(!is_the_hosts());
  rt_end(b);
  CHECK(is_the_hosts());
  CHECK_EQ(thrum_chan_len(ch), 0);
  kill(getpid(), SIGUSR2);
  CHECK_EQ(get(&host_saw), 1);
  signal(SIGUSR2, SIG_DFL);
  thrum_chan_release(ch);
}

/* A child's signals are its own, and do there what they did before. */
static void in_child(int and_own) {
  alarm((unsigned)check_seconds);
  if (and_own) {
    int32_t got = 0;
    thrum_chan* ch;
    thrum_rt* own = rt_make(RT_P1);
    REQUIRE_EQ(thrum_chan_new(4, 8, &ch), 0);
    CHECK_EQ(thrum_signal_notify(own, SIGUSR1, ch), 0);
    kill(getpid(), SIGUSR1);
    CHECK_EQ(thrum_chan_recv(ch, &got, SOON), 0);
    CHECK_EQ(got, SIGUSR1);
    CHECK_EQ(thrum_signal_stop(own, ch), 1);
  }
  raise(SIGUSR1);
  _exit(1);
}
TEST(a_childs_signals_are_its_own) {
  if (CHECK_TSAN)
    SKIP("TSan does not follow forks of programs with threads");
  thrum_rt* rt = rt_make(RT_P2);
  thrum_chan* ch;
  int32_t got = 0;
  int status = 0;
  REQUIRE_EQ(thrum_chan_new(4, 8, &ch), 0);
  CHECK_EQ(thrum_signal_notify(rt, SIGUSR1, ch), 0);
  CHECK_EQ(thrum_signal_notify(rt, SIGUSR2, ch), 0);
  for (int and_own = 0; and_own < 2; and_own++) {
    pid_t pid = fork();
    REQUIRE(pid >= 0);
    if (pid == 0)
      in_child(and_own);
    REQUIRE_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
    kill(getpid(), SIGUSR2); /* behind what the child has sent, if it has */
    CHECK_EQ(thrum_chan_recv(ch, &got, SOON), 0);
    CHECK_EQ(got, SIGUSR2);
    CHECK_EQ(thrum_chan_len(ch), 0);
  }
  CHECK_EQ(thrum_signal_stop(rt, ch), 2);
  rt_end(rt);
  thrum_chan_release(ch);
}

/* Who waits for the loop while the runtime stops is refused, or lets go with it. */
static word gate; /* 1: sigaction waits in there, 2: it does */
/* A sanitizer's own, which must know of every handler: one that the kernel calls
 * behind TSan's back interrupts it anywhere, and has it wait for itself. */
extern int __interceptor_sigaction(int, const struct sigaction*,
                                   struct sigaction*) __attribute__((weak));
int sigaction(int signo, const struct sigaction* act, struct sigaction* old) {
  int (*real)(int, const struct sigaction*, struct sigaction*) =
      __interceptor_sigaction;
  if (!real)
    real = (int (*)(int, const struct sigaction*, struct sigaction*))dlsym(
        RTLD_NEXT, "sigaction");
  if (signo == SIGUSR2 && act && get(&gate) == 1) {
    set(&gate, 2);
    while (get(&gate))
      sched_yield();
  }
  return real(signo, act, old);
}
struct begins {
  thrum_rt* rt;
  thrum_chan* ch;
  int signo, result;
  pthread_t thread;
};
static void* begins(void* arg) {
  struct begins* b = arg;
  b->result = b->signo ? thrum_signal_notify(b->rt, b->signo, b->ch)
                       : thrum_rt_stop(b->rt, THRUM_FOREVER);
  return NULL;
}
static void begins_start(struct begins* b) {
  REQUIRE_EQ(pthread_create(&b->thread, NULL, begins, b), 0);
  for (int i = 0; i < 3; i++)
    check_pause();
}
TEST(signals_begin_while_it_stops) {
  enum { MANY = 6 };
  for (int i = 0; i < 5; i++) {
    thrum_rt* rt = rt_make(RT_P1);
    struct begins all[MANY];
    for (int k = 0; k < MANY; k++) {
      all[k] = (struct begins){rt, NULL, k == 0 ? SIGUSR2 : SIGUSR1, -1, 0};
      REQUIRE_EQ(thrum_chan_new(4, 8, &all[k].ch), 0);
    }
    all[MANY - 1].signo = 0;
    set(&gate, 1);
    begins_start(&all[0]);
    while (get(&gate) == 1)
      sched_yield();
    for (int k = 1; k < MANY; k++)
      begins_start(&all[k]);
    set(&gate, 0);
    for (int k = 0; k < MANY; k++) {
      pthread_join(all[k].thread, NULL);
      CHECK(all[k].result == 0 || all[k].result == THRUM_ECLOSED);
      thrum_chan_release(all[k].ch);
    }
    CHECK_EQ(all[MANY - 1].result, 0);
    thrum_rt_free(rt); /* nothing is left in its loop */
  }
}

/* ---- files --------------------------------------------------------------- */

static int count_names(void* arg, const char* name, uint32_t kind) {
  int* n = (int*)arg;
  CHECK(strcmp(name, "."));
  if (strcmp(name, "sub") == 0)
    CHECK_EQ(kind, THRUM_KIND_DIR);
  thrum_yield(); /* it may park (and, on a thread, is refused) */
  ++*n;
  return 0;
}
static int stop_at_first(void* arg, const char* name, uint32_t kind) {
  (void)arg, (void)name, (void)kind;
  return 7;
}
static void in_a_folder(void* arg) {
  char dir[] = "/tmp/thrum-os-XXXXXX", path[64], other[64], buf[16];
  thrum_stat st = {.struct_size = sizeof st};
  int n = 0;
  (void)arg;
  REQUIRE(mkdtemp(dir) != NULL);
  snprintf(path, sizeof path, "%s/file", dir);
  snprintf(other, sizeof other, "%s/sub", dir);
  CHECK_EQ(thrum_file_stat(path, 1, &st), THRUM_ENOENT);
  int fd = thrum_file_open(path, O_RDWR | O_CREAT | O_EXCL, 0640);
  REQUIRE(fd >= 0);
  CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  CHECK_EQ(thrum_file_open(path, O_RDWR | O_CREAT | O_EXCL, 0640),
           THRUM_EEXIST);
  CHECK_EQ(thrum_file_write(fd, "green thread", 12, -1), 12);
  CHECK_EQ(thrum_file_write(fd, "G", 1, 0), 1);
  CHECK_EQ(thrum_file_sync(fd, 0), 0);
  CHECK_EQ(thrum_file_sync(fd, 1), 0);
  CHECK_EQ(thrum_file_read(fd, buf, sizeof buf, 0), 12);
  CHECK(memcmp(buf, "Green thread", 12) == 0);
  CHECK_EQ(thrum_file_read(fd, buf, sizeof buf, -1), 0); /* at the end */
  CHECK_EQ(thrum_file_truncate(fd, 5), 0);
  CHECK_EQ(thrum_file_fstat(fd, &st), 0);
  CHECK_EQ(st.size, 5);
  CHECK_EQ(st.kind, THRUM_KIND_FILE);
  CHECK_EQ(st.mode, 0640);
  CHECK(st.modified_ns > 0);
  CHECK_EQ(thrum_file_close(fd), 0);
  CHECK_EQ(thrum_file_close(fd), THRUM_EBADF);
  CHECK_EQ(thrum_dir_make(other, 0700), 0);
  CHECK_EQ(thrum_dir_make(other, 0700), THRUM_EEXIST);
  CHECK_EQ(thrum_dir_list(dir, count_names, &n), 0);
  CHECK_EQ(n, 2);
  CHECK_EQ(thrum_dir_list(dir, stop_at_first, NULL), 7);
  CHECK_EQ(thrum_dir_list(path, count_names, &n), THRUM_ENOTDIR);
  CHECK_EQ(thrum_file_remove(dir), THRUM_ENOTEMPTY);
  CHECK_EQ(thrum_file_remove(other), 0);
  CHECK_EQ(thrum_file_rename(path, other), 0);
  CHECK_EQ(thrum_file_stat(path, 0, &st), THRUM_ENOENT);
  CHECK_EQ(thrum_file_remove(other), 0);
  CHECK_EQ(thrum_file_remove(dir), 0);
}
TEST(files) {
  on_net(in_a_folder, NULL);
  in_a_folder(NULL); /* a thread of the host's */
}

/* A read that blocks its thread leaves the P to others. */
struct slow {
  int fd;
  word ran;
};
static void read_slowly(void* arg) {
  char c;
  CHECK_EQ(thrum_file_read(((struct slow*)arg)->fd, &c, 1, -1), 1);
}
static void run_beside(void* arg) { add(&((struct slow*)arg)->ran, 1); }
TEST(who_waits_for_a_file_keeps_no_p) {
  struct slow s = {0, 0};
  int fds[2];
  REQUIRE_EQ(pipe2(fds, O_CLOEXEC), 0);
  s.fd = fds[0];
  thrum_rt* rt = rt_make(RT_P1);
  thrum_g reads = go_in(rt, read_slowly, &s), runs = go_in(rt, run_beside, &s);
  CHECK_EQ(thrum_join(rt, runs, SOON), 0);
  CHECK_EQ(write(fds[1], "x", 1), 1);
  CHECK_EQ(thrum_join(rt, reads, SOON), 0);
  rt_end(rt);
  close(fds[0]);
  close(fds[1]);
}

/* ---- processes ----------------------------------------------------------- */

static thrum_process* start(const char* const* argv, uint32_t in, uint32_t out,
                            uint32_t flags) {
  thrum_process_opts o = {sizeof o, flags, NULL, NULL, {in, out, 0}, {0, 0, 0}};
  thrum_process* p = NULL;
  REQUIRE_EQ(thrum_process_new(NULL, argv, &o, &p), 0);
  return p;
}
static void ended(thrum_process* p, int want_code, int want_signo) {
  int code = -1, signo = -1;
  for (int i = 0; i < 2; i++) { /* again, too */
    CHECK_EQ(thrum_process_wait(p, &code, &signo, SOON), 0);
    CHECK_EQ(code, want_code);
    CHECK_EQ(signo, want_signo);
  }
  CHECK_EQ(thrum_process_kill(p, SIGTERM), THRUM_ESRCH);
  thrum_process_release(p);
}
static void pipes_both_ways(void* arg) {
  const char* cat[] = {"cat", NULL};
  char buf[65536];
  (void)arg;
  thrum_process* p = start(cat, THRUM_STDIO_PIPE, THRUM_STDIO_PIPE, 0);
  thrum_conn *in = thrum_process_stdio(p, 0), *out = thrum_process_stdio(p, 1);
  REQUIRE(in && out);
  CHECK(thrum_process_stdio(p, 2) == NULL);
  CHECK(thrum_process_pid(p) > 0);
  CHECK_EQ(thrum_process_wait(p, NULL, NULL, THRUM_TRY), THRUM_EAGAIN);
  size_t at = 0;
  fill((unsigned char*)buf, sizeof buf, 0);
  for (int round = 0; round < 10; round++) {
    CHECK_EQ(thrum_write(in, buf, sizeof buf / 2, SOON), sizeof buf / 2);
    for (at = 0; at < sizeof buf / 2;) {
      int64_t n =
          thrum_read(out, buf + sizeof buf / 2, sizeof buf / 2 - at, SOON);
      REQUIRE(n > 0);
      CHECK(memcmp(buf + at, buf + sizeof buf / 2, (size_t)n) == 0);
      at += (size_t)n;
    }
  }
  thrum_buf some[3] = {{"a", 1}, {NULL, 0}, {"bcd", 3}};
  CHECK_EQ(thrum_writev(in, some, 3, SOON), 4);
  thrum_buf into[2] = {{buf, 1}, {buf + 1, 3}};
  for (int64_t n = 0; n < 4;) {
    int64_t k = n ? thrum_read(out, buf + n, (size_t)(4 - n), SOON)
                  : thrum_readv(out, into, 2, SOON);
    REQUIRE(k > 0);
    n += k;
  }
  CHECK(memcmp(buf, "abcd", 4) == 0);
  CHECK_EQ(thrum_conn_close(in), 0);
  CHECK_EQ(thrum_conn_fd(in), THRUM_ECLOSED);
  CHECK_EQ(thrum_read(out, buf, 1, SOON), 0);
  ended(p, 0, 0);
}
TEST(pipes_of_a_process) { on_net(pipes_both_ways, NULL); }

static void how_they_end(void* arg) {
  const char* exits[] = {"sh", "-c", "exit 7", NULL};
  const char* sleeps[] = {"sleep", "1000", NULL};
  const char* two[] = {"sh", "-c", "sleep 1000 & wait", NULL};
  const char* none[] = {"thrum-no-such-program", NULL};
  const char* deaf[] = {"sh", "-c", "exit 0", NULL};
  thrum_process *p = NULL, *q;
  (void)arg;
  ended(start(exits, THRUM_STDIO_NULL, THRUM_STDIO_NULL, 0), 7, 0);
  q = start(sleeps, THRUM_STDIO_NULL, THRUM_STDIO_NULL, 0);
  CHECK_EQ(thrum_process_wait(q, NULL, NULL, LATE(5 * MS)), THRUM_ETIMEDOUT);
  CHECK_EQ(thrum_process_kill(q, SIGTERM), 0);
  ended(q, 0, SIGTERM);
  q = start(two, THRUM_STDIO_NULL, THRUM_STDIO_PIPE, THRUM_PROCESS_GROUP);
  CHECK_EQ(thrum_process_kill(q, SIGKILL), 0);
  char c; /* the other one of the group had the pipe, too */
  CHECK_EQ(thrum_read(thrum_process_stdio(q, 1), &c, 1, SOON), 0);
  ended(q, 0, SIGKILL);
  CHECK_EQ(thrum_process_new(NULL, none, NULL, &p), THRUM_ENOENT);
  CHECK(p == NULL);
  /* it does not read: no SIGPIPE here */
  q = start(deaf, THRUM_STDIO_PIPE, THRUM_STDIO_NULL, 0);
  int code;
  CHECK_EQ(thrum_process_wait(q, &code, NULL, SOON), 0);
  CHECK_EQ(thrum_write(thrum_process_stdio(q, 0), "x", 1, SOON), THRUM_EPIPE);
  thrum_process_release(q);
}
TEST(ends_of_processes) {
  on_net(how_they_end, NULL);
  thrum_rt* rt = rt_make(RT_P1); /* a thread of the host's */
  const char* ok[] = {"true", NULL};
  thrum_process* p = NULL;
  REQUIRE_EQ(thrum_process_new(rt, ok, NULL, &p), 0);
  CHECK_EQ(thrum_process_wait(p, NULL, NULL, SOON), 0);
  thrum_process_release(p);
  rt_end(rt);
}

/* It gets what it is given, and nothing else. */
static void surroundings(void* arg) {
  const char* look[] = {"sh", "-c", "pwd; echo $A; ls /proc/self/fd | wc -l",
                        NULL};
  const char* env[] = {"A=b", "PATH=/usr/bin:/bin", NULL};
  thrum_process_opts o = {sizeof o, 0, "/", env, {1, 2, 1}, {0, 0, 0}};
  thrum_process* p = NULL;
  char text[64] = "", want[64];
  size_t n = 0;
  int64_t got;
  int passed_on = 4; /* 0, 1, 2 and the folder that ls reads */
  (void)arg;
  for (int fd = 3; fd < 1024; fd++) { /* of who started this test */
    int flags = fcntl(fd, F_GETFD);
    passed_on += flags >= 0 && !(flags & FD_CLOEXEC);
  }
  snprintf(want, sizeof want, "/\nb\n%d\n", passed_on);
  REQUIRE_EQ(thrum_process_new(NULL, look, &o, &p), 0);
  while ((got = thrum_read(thrum_process_stdio(p, 1), text + n,
                           sizeof text - 1 - n, SOON)) > 0)
    n += (size_t)got;
  CHECK_EQ(strcmp(text, want), 0);
  ended(p, 0, 0);
}
TEST(what_a_process_has) { in_rt(RT_P2, surroundings, NULL); }

/* Where it gets ours crosswise, each is what it was here. */
static void crosswise(void* arg) {
  const char* says[] = {"sh", "-c", "echo one; echo two >&2", NULL};
  thrum_process_opts o = {sizeof o, 0, NULL, NULL, {1, 2, 3}, {0, 0, 1}};
  thrum_process* p = NULL;
  char text[8] = "";
  int was = fcntl(1, F_DUPFD_CLOEXEC, 3), file = memfd_create("out", 0);
  (void)arg;
  REQUIRE(was >= 0 && file >= 0);
  dup2(file, 1);
  int rc = thrum_process_new(NULL, says, &o, &p);
  dup2(was, 1);
  close(was);
  REQUIRE_EQ(rc, 0);
  CHECK_EQ(thrum_process_wait(p, NULL, NULL, SOON), 0);
  CHECK_EQ(thrum_read(thrum_process_stdio(p, 1), text, 8, SOON), 4);
  CHECK_EQ(memcmp(text, "one", 3), 0);
  CHECK_EQ(pread(file, text, 8, 0), 4);
  CHECK_EQ(memcmp(text, "two", 3), 0);
  thrum_process_release(p);
  close(file);
}
/* What is closed here is closed there, and no pipe of ours takes its place. */
static void without_input(void* arg) {
  const char* looks[] = {"sh", "-c", "[ -e /proc/self/fd/0 ] || echo none",
                         NULL};
  thrum_process_opts o = {sizeof o, 0, NULL, NULL, {0, 2, 0}, {0, 0, 0}};
  thrum_process* p = NULL;
  char text[8] = "";
  int was = fcntl(0, F_DUPFD_CLOEXEC, 3);
  (void)arg;
  close(0);
  int rc = thrum_process_new(NULL, looks, &o, &p);
  if (was >= 0) {
    dup2(was, 0);
    close(was);
  }
  REQUIRE_EQ(rc, 0);
  CHECK_EQ(thrum_read(thrum_process_stdio(p, 1), text, 8, SOON), 5);
  CHECK_EQ(memcmp(text, "none", 4), 0);
  ended(p, 0, 0);
}
TEST(the_three_of_a_process) {
  in_rt(RT_P1, crosswise, NULL);
  in_rt(RT_P1, without_input, NULL);
}

/* Where no descriptor is left for it, it is waited for all the same. */
struct outlives {
  thrum_process* p;
  word tid;
  int result;
};
static void* outlives(void* arg) {
  struct outlives* w = arg;
  set(&w->tid, thread_id());
  w->result = thrum_process_wait(w->p, NULL, NULL, THRUM_FOREVER);
  return NULL;
}
TEST(who_waits_without_a_descriptor) {
  const char* sleeps[] = {"sleep", "1000", NULL};
  struct outlives w = {NULL, 0, 0};
  struct rlimit limit, none;
  pthread_t t;
  int taken[32], n = 0; /* all below 32; the process has room for its own */
  thrum_rt* rt = rt_make(RT_P1);
  CHECK_EQ(thrum_run(rt, net_first_wait, NULL), 0);
  do
    taken[n++] = fcntl(1, F_DUPFD_CLOEXEC, 0);
  while (taken[n - 1] >= 0 && taken[n - 1] < 31);
  REQUIRE_EQ(taken[n - 1], 31);
  REQUIRE_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  none = limit;
  none.rlim_cur = 32;
  REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  int rc = thrum_process_new(rt, sleeps, NULL, &w.p);
  setrlimit(RLIMIT_NOFILE, &limit);
  while (n > 0)
    close(taken[--n]);
  REQUIRE_EQ(rc, 0);
  REQUIRE_EQ(pthread_create(&t, NULL, outlives, &w), 0);
  wait_asleep(&w.tid);
  CHECK_EQ(thrum_rt_stop(rt, THRUM_FOREVER), 0);
  pthread_join(t, NULL);
  CHECK_EQ(w.result, THRUM_ECLOSED);
  CHECK_EQ(thrum_process_kill(w.p, SIGKILL), 0);
  CHECK_EQ(waitpid(thrum_process_pid(w.p), NULL, 0), thrum_process_pid(w.p));
  thrum_process_release(w.p);
  thrum_rt_free(rt);
}

/* The child of a fork lets go of its copies. */
TEST(a_childs_copy_of_a_process) {
  if (CHECK_TSAN)
    SKIP("TSan does not follow forks of programs with threads");
  const char* cat[] = {"cat", NULL};
  thrum_process_opts o = {sizeof o, 0, NULL, NULL, {2, 2, 0}, {0, 0, 0}};
  thrum_rt* rt = rt_make(RT_P1);
  thrum_process* p = NULL;
  char c;
  int status = 0;
  REQUIRE_EQ(thrum_process_new(rt, cat, &o, &p), 0);
  pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    int in = thrum_conn_fd(thrum_process_stdio(p, 0)),
        out = thrum_conn_fd(thrum_process_stdio(p, 1));
    thrum_process_release(p);
    _exit(is_open(in) || is_open(out));
  }
  REQUIRE_EQ(waitpid(pid, &status, 0), pid);
  CHECK_EQ(status, 0);
  CHECK_EQ(thrum_conn_close(thrum_process_stdio(p, 0)), 0);
  CHECK_EQ(thrum_read(thrum_process_stdio(p, 1), &c, 1, SOON), 0);
  ended(p, 0, 0);
  rt_end(rt);
}

static const struct check_case cases[] = {
    CASE(signals_come_to_channels),
    CASE(signals_come_by_any_thread),
    CASE(signals_come_while_gs_end),
    CASE(a_full_channel_drops),
    CASE(afterwards_it_is_as_before),
    CASE(a_childs_signals_are_its_own),
    CASE(signals_begin_while_it_stops),
    CASE(files),
    CASE(who_waits_for_a_file_keeps_no_p),
    CASE(pipes_of_a_process),
    CASE(ends_of_processes),
    CASE(what_a_process_has),
    CASE(the_three_of_a_process),
    CASE(who_waits_without_a_descriptor),
    CASE(a_childs_copy_of_a_process),
};
NET_MAIN(cases)
