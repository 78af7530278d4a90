/* os.c: <thrum/os.h>: signals to channels, files, processes. */
#include "../support/check.h"

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

static const struct check_case cases[] = {
    CASE(signals_come_to_channels),
    CASE(a_full_channel_drops),
    CASE(afterwards_it_is_as_before),
    CASE(files),
    CASE(who_waits_for_a_file_keeps_no_p),
    CASE(pipes_of_a_process),
    CASE(ends_of_processes),
    CASE(what_a_process_has),
};
NET_MAIN(cases)
