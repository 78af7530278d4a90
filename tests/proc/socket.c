/* socket.c: looking at a process from outside: whose the socket is, who may look, what
 * is left of it after a stop, a crash and a fork. What thrum_top shows of a live process:
 * tests/debug/top.py. */
#include "../support/check.h"

#include <grp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thrum/observe.h>

#include "../support/child.h"
#include "../support/rt.h"

static char folder[32];
static char path[64];

static void folder_make(void) {
  strcpy(folder, "/tmp/thrum-socket-XXXXXX");
  REQUIRE(mkdtemp(folder) != NULL);
  snprintf(path, sizeof path, "%s/s", folder);
}
/* Nothing may be left in it. */
static void folder_end(void) { CHECK_EQ(rmdir(folder), 0); }

static struct sockaddr_un address_of(const char* at) {
  struct sockaddr_un a = {.sun_family = AF_UNIX};
  strncpy(a.sun_path, at, sizeof a.sun_path - 1);
  return a;
}

/* A descriptor, or the negated errno. */
static int call(const char* at) {
  struct sockaddr_un a = address_of(at);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(fd >= 0);
  if (connect(fd, (struct sockaddr*)&a, sizeof a) == 0)
    return fd;
  int err = -errno;
  close(fd);
  return err;
}

/* What is answered up to the zero byte, or up to the end; its length. */
static size_t ask(int fd, const char* words, char* out, size_t size) {
  size_t n = 0;
  out[0] = 0;
  if (send(fd, words, strlen(words), MSG_NOSIGNAL) < 0)
    return 0;
  while (n + 1 < size) {
    ssize_t k = recv(fd, out + n, size - 1 - n, 0);
    if (k <= 0)
      break;
    n += (size_t)k;
    if (out[n - 1] == 0)
      return n - 1;
  }
  out[n] = 0;
  return n;
}

static char text[1 << 20];

static int answers(const char* at) {
  int fd = call(at);
  if (fd < 0)
    return 0;
  int right = ask(fd, "snapshot\n", text, sizeof text) > 0 &&
              strstr(text, "\"kind\": \"thrum-snapshot\"") != NULL;
  close(fd);
  return right;
}

/* ---- a life ------------------------------------------------------------------ */

static void nothing(void* arg) { (void)arg; }

TEST(it_is_this_users_alone_and_goes_with_the_runtime) {
  folder_make();
  mode_t was = umask(0);
  thrum_rt* rt = rt_make(RT_P2);
  CHECK_EQ(thrum_debug_socket(rt, NULL), THRUM_EINVAL);
  CHECK_EQ(thrum_debug_socket(rt, ""), THRUM_EINVAL);
  CHECK_EQ(thrum_debug_socket(rt, "/nowhere/at/all"), THRUM_ENOENT);
  char longer[200];
  memset(longer, 'x', sizeof longer - 1);
  longer[sizeof longer - 1] = 0;
  CHECK_EQ(thrum_debug_socket(rt, longer), THRUM_ENAMETOOLONG);
  REQUIRE_EQ(thrum_debug_socket(rt, path), 0);
  CHECK_EQ(thrum_debug_socket(rt, path), THRUM_EBUSY);
  umask(was);
  struct stat st;
  REQUIRE_EQ(stat(path, &st), 0);
  CHECK_EQ(st.st_mode & 07777, 0600);
  CHECK(answers(path));
  CHECK_EQ(thrum_run(rt, nothing, NULL), 0);
  CHECK(answers(path));
  rt_end(rt);
  CHECK_EQ(call(path), -ENOENT);
  folder_end();
}

TEST(it_says_what_the_counters_say) {
  folder_make();
  thrum_rt* rt = rt_make(RT_P2);
  REQUIRE_EQ(thrum_debug_socket(rt, path), 0);
  for (int i = 0; i < 100; i++)
    CHECK_EQ(thrum_run(rt, nothing, NULL), 0);
  int fd = call(path);
  REQUIRE(fd >= 0);
  CHECK(ask(fd, "snapshot\n", text, sizeof text) > 0);
  thrum_stats s = {.struct_size = sizeof s};
  REQUIRE_EQ(thrum_stats_get(rt, &s), 0);
  char want[64];
  snprintf(want, sizeof want, "\"exits_total\": %llu,",
           (unsigned long long)s.exits);
  CHECK_EQ(s.exits, 100);
  CHECK(strstr(text, want) != NULL);
  CHECK(strstr(text, "\"waits\": null") != NULL); /* nobody measures */
  CHECK(ask(fd, "measure\n", text, sizeof text) > 0);
  CHECK_STR(text, "null");
  CHECK_EQ(thrum_run(rt, nothing, NULL), 0);
  /* A line in pieces, and two at once. */
  CHECK_EQ(send(fd, "snap", 4, MSG_NOSIGNAL), 4);
  CHECK(ask(fd, "shot\n", text, sizeof text) > 0);
  CHECK(strstr(text, "\"kind\": \"thrum-blame\"") != NULL);
  CHECK(strstr(text, "\"kind\": \"thrum-heatmap\"") != NULL);
  close(fd);
  /* What is not understood ends it. */
  fd = call(path);
  CHECK_EQ(ask(fd, "dance\n", text, sizeof text), 0);
  close(fd);
  fd = call(path);
  CHECK_EQ(ask(fd, "a line that is longer than any that is known", text,
               sizeof text),
           0);
  close(fd);
  rt_end(rt);
  folder_end();
}

static int64_t cpu_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec * SECOND + t.tv_nsec;
}

/* Who calls while the process has no descriptor left waits, and costs nothing. */
TEST(without_descriptors_it_does_not_turn) {
  folder_make();
  thrum_rt* rt = rt_make(RT_P2);
  REQUIRE_EQ(thrum_debug_socket(rt, path), 0);
  struct rlimit was, few;
  REQUIRE_EQ(getrlimit(RLIMIT_NOFILE, &was), 0);
  few = was;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int last = dup(fd);
  REQUIRE(last > fd);
  few.rlim_cur = (rlim_t)last + 1;
  REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  struct sockaddr_un a = address_of(path);
  REQUIRE_EQ(connect(fd, (struct sockaddr*)&a, sizeof a), 0);
  int64_t before = cpu_ns();
  usleep(400000);
  CHECK(cpu_ns() - before < 100 * MS);
  REQUIRE_EQ(setrlimit(RLIMIT_NOFILE, &was), 0);
  CHECK(ask(fd, "snapshot\n", text, sizeof text) > 0);
  close(fd);
  close(last);
  rt_end(rt);
  folder_end();
}

static int no_more(void* arg, const char* bytes, size_t n) {
  (void)arg;
  (void)bytes;
  (void)n;
  return 0;
}
static int64_t recorded(thrum_rt* rt) {
  return thrum_trace_write(rt, THRUM_FOREVER, no_more, NULL);
}

/* Who looks switches the recorder off again, and not the host's. */
TEST(who_measures_pays_only_while_he_looks) {
  folder_make();
  thrum_rt* rt = rt_make(RT_P2);
  REQUIRE_EQ(thrum_debug_socket(rt, path), 0);
  for (int host = 0; host < 2; host++) {
    if (host)
      CHECK_EQ(thrum_trace_start(rt, 0), 0);
    int fd = call(path);
    CHECK(ask(fd, "measure\n", text, sizeof text) > 0);
    int64_t before = recorded(rt);
    CHECK_EQ(thrum_run(rt, nothing, NULL), 0);
    CHECK(recorded(rt) > before);
    close(fd);
    /* It has gone when another one is served. */
    CHECK(answers(path));
    CHECK(answers(path));
    before = recorded(rt);
    CHECK_EQ(thrum_run(rt, nothing, NULL), 0);
    if (host)
      CHECK(recorded(rt) > before);
    else
      CHECK_EQ(recorded(rt), before);
  }
  rt_end(rt);
  folder_end();
}

TEST(many_may_look_and_who_does_not_read_keeps_nobody) {
  folder_make();
  thrum_rt* rt = rt_make(RT_P2);
  REQUIRE_EQ(thrum_debug_socket(rt, path), 0);
  int fds[20];
  for (int i = 0; i < 20; i++)
    fds[i] = call(path);
  int served = 0;
  for (int i = 0; i < 20; i++)
    served += fds[i] >= 0 && ask(fds[i], "snapshot\n", text, sizeof text) > 0;
  CHECK(served >= 1 && served <= 8);
  for (int i = 0; i < 20; i++)
    if (fds[i] >= 0)
      close(fds[i]);
  int deaf = call(path);
  for (int i = 0; deaf >= 0 && i < 200; i++)
    if (send(deaf, "snapshot\n", 9, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
      break;
  CHECK_EQ(thrum_run(rt, nothing, NULL), 0);
  CHECK(answers(path));
  rt_end(rt);
  close(deaf);
  folder_end();
}

/* ---- it wakes nobody ------------------------------------------------------------- */

static void waits_for_ever(void* arg) {
  char c;
  CHECK_EQ(thrum_chan_recv(arg, &c, THRUM_FOREVER), THRUM_ECANCELED);
}
CHILD(deadlocks) {
  thrum_chan* ch;
  thrum_rt* rt = rt_make(RT_P2);
  REQUIRE_EQ(thrum_chan_new(1, 0, &ch), 0);
  REQUIRE_EQ(thrum_debug_socket(rt, arg), 0);
  CHECK(answers(arg));
  CHECK_EQ(thrum_run(rt, waits_for_ever, ch), THRUM_EDEADLOCK);
  rt_end(rt);
  thrum_chan_release(ch);
}
TEST(a_deadlock_is_one_whoever_looks) {
  if (CHECK_TSAN) /* a thread of its own might wake somebody */
    SKIP("the sanitizer has a thread");
  folder_make();
  expect_child("deadlocks", path, 0);
  CHECK(strstr(child.err, "deadlock") != NULL);
  folder_end();
}

/* ---- what is there already ------------------------------------------------------ */

TEST(what_an_ended_process_left_is_replaced_and_nothing_else) {
  folder_make();
  thrum_rt *a = rt_make(RT_P2), *b = rt_make(RT_P2);
  /* A socket that nobody listens at. */
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_un at = address_of(path);
  REQUIRE_EQ(bind(fd, (struct sockaddr*)&at, sizeof at), 0);
  close(fd);
  CHECK_EQ(thrum_debug_socket(a, path), 0);
  CHECK(answers(path));
  CHECK_EQ(thrum_debug_socket(b, path), THRUM_EADDRINUSE); /* a's */
  char file[64];
  snprintf(file, sizeof file, "%s/file", folder);
  FILE* f = fopen(file, "w");
  REQUIRE(f != NULL);
  fclose(f);
  CHECK_EQ(thrum_debug_socket(b, file), THRUM_EADDRINUSE);
  CHECK_EQ(unlink(file), 0);
  /* Another one's at its place is left there. */
  CHECK_EQ(unlink(path), 0);
  CHECK_EQ(thrum_debug_socket(b, path), 0);
  rt_end(a);
  CHECK(answers(path));
  rt_end(b);
  folder_end();
}

TEST(a_path_may_tell_runtimes_apart) {
  folder_make();
  char two[80], want[80];
  snprintf(two, sizeof two, "%s/%%p.%%r", folder);
  thrum_rt *a = rt_make(RT_P2), *b = rt_make(RT_P2);
  CHECK_EQ(thrum_debug_socket(a, two), 0);
  CHECK_EQ(thrum_debug_socket(b, two), 0);
  int found = 0;
  for (int r = 0; r < 256; r++) {
    snprintf(want, sizeof want, "%s/%d.%d", folder, (int)getpid(), r);
    found += answers(want);
  }
  CHECK_EQ(found, 2);
  rt_end(a);
  rt_end(b);
  folder_end();
}

TEST(only_runtimes_with_threads_are_served) {
  folder_make();
  struct rt_kind kinds[] = {RT_HOSTED, RT_DET1};
  for (int i = 0; i < 2; i++) {
    thrum_rt* rt = rt_make(kinds[i]);
    CHECK_EQ(thrum_debug_socket(rt, path), THRUM_ENOTSUP);
    rt_end(rt);
  }
  folder_end();
}

/* ---- the environment ------------------------------------------------------------- */

CHILD(by_environment) {
  thrum_rt* rt = rt_make(RT_P2);
  CHECK(answers(arg));
  thrum_rt* second = rt_make(RT_P2); /* says that it is not served */
  rt_end(second);
  rt_end(rt);
}
TEST(the_environment_asks_for_it) {
  folder_make();
  setenv("THRUM_DEBUG_SOCKET", path, 1);
  expect_child("by_environment", path, 0);
  unsetenv("THRUM_DEBUG_SOCKET");
  CHECK_EQ(child_lines(child.err), 1);
  CHECK(strstr(child.err, "address in use") != NULL);
  folder_end();
}

/* ---- other users ------------------------------------------------------------------- */

CHILD(as_nobody) {
  if (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0)
    child_skip("not root: cannot become another user");
  int fd = call(arg);
  if (fd >= 0) {
    printf("in, and %s\n",
           ask(fd, "snapshot\n", text, sizeof text) ? "answered" : "put out");
  } else {
    printf("errno %d\n", -fd);
  }
}
TEST(another_user_is_refused_even_if_the_file_lets_him_in) {
  folder_make();
  thrum_rt* rt = rt_make(RT_P2);
  REQUIRE_EQ(thrum_debug_socket(rt, path), 0);
  char want[32];
  CHECK_EQ(chmod(folder, 0755), 0);
  expect_child("as_nobody", path, 0);
  if (!child_skipped()) {
    snprintf(want, sizeof want, "errno %d\n", EACCES);
    CHECK_STR(child.out, want);
    CHECK_EQ(chmod(path, 0666), 0);
    expect_child("as_nobody", path, 0);
    CHECK_STR(child.out, "in, and put out\n");
    CHECK(answers(path));
  }
  rt_end(rt);
  folder_end();
}

/* ---- fork --------------------------------------------------------------------------- */

CHILD(forks) {
  thrum_rt* rt = rt_make(RT_P2);
  REQUIRE_EQ(thrum_debug_socket(rt, arg), 0);
  int fd = call(arg);
  CHECK(ask(fd, "snapshot\n", text, sizeof text) > 0);
  int gate[2];
  REQUIRE_EQ(pipe(gate), 0);
  pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    char c;
    close(gate[1]);
    CHECK_EQ(thrum_debug_socket(rt, arg), THRUM_EFORKED);
    ssize_t ignored = read(gate[0], &c, 1); /* until the parent has gone */
    (void)ignored;
    /* Nobody listens there any more, though this child is alive (the kernel closes what
     * the parent had one after the other), and its own runtime may take the place. */
    for (int64_t end = SOON; call(arg) >= 0 && thrum_now() < end;)
      sched_yield();
    CHECK_EQ(call(arg), -ECONNREFUSED);
    if (CHECK_TSAN) { /* a child of threads may start none there */
      unlink(arg);
    } else {
      rt = rt_make(RT_P2);
      CHECK_EQ(thrum_debug_socket(rt, arg), 0);
      CHECK(answers(arg));
      rt_end(rt);
    }
    CHECK_EQ(call(arg), -ENOENT);
    printf("child: done\n");
    exit(check_failures != 0);
  }
  _exit(0); /* without a stop: the file stays */
}
TEST(a_child_of_fork_does_not_serve) {
  folder_make();
  child_may_leak();
  int out, err;
  pid_t pid = child_start("forks", path, &out, &err);
  /* The grandchild has both outputs too, and ends last. */
  int status;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
  for (int64_t end = SOON; thrum_now() < end;) {
    char said[4096];
    ssize_t n = pread(out, said, sizeof said - 1, 0);
    said[n > 0 ? n : 0] = 0;
    if (strstr(said, "child: done"))
      break;
    sched_yield();
  }
  child_read(out, child.out, sizeof child.out);
  child_read(err, child.err, sizeof child.err);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK_STR(child.out, "child: done\n");
  folder_end();
}

static const struct check_case cases[] = {
    CASE(it_is_this_users_alone_and_goes_with_the_runtime),
    CASE(without_descriptors_it_does_not_turn),
    CASE(it_says_what_the_counters_say),
    CASE(who_measures_pays_only_while_he_looks),
    CASE(many_may_look_and_who_does_not_read_keeps_nobody),
    CASE(a_deadlock_is_one_whoever_looks),
    CASE(what_an_ended_process_left_is_replaced_and_nothing_else),
    CASE(a_path_may_tell_runtimes_apart),
    CASE(only_runtimes_with_threads_are_served),
    CASE(the_environment_asks_for_it),
    CASE(another_user_is_refused_even_if_the_file_lets_him_in),
    CASE(a_child_of_fork_does_not_serve),
};
static const struct child_part children[] = {
    PART(deadlocks),
    PART(by_environment),
    PART(as_nobody),
    PART(forks),
};
CHILD_MAIN(cases, children)
