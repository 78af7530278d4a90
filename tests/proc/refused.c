/* refused.c: a system that refuses: a user without privileges, a seccomp filter,
 * /proc and /sys that are not there or may not be read. Everything goes on, and
 * the report names what was refused. */
#include "../support/check.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <thrum/host.h>
#include <thrum/observe.h>
#include <thrum/place.h>

#include "../support/child.h"
#include "../support/rt.h"

/* ---- everything works -------------------------------------------------------------- */

struct crowd {
  thrum_chan* chan;
  thrum_mutex mutex;
  int64_t sum;
  word computed;
};
static void waits(void* arg) {
  struct crowd* c = arg;
  int64_t n = 0;
  CHECK_EQ(thrum_chan_recv(c->chan, &n, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_mutex_lock(&c->mutex, THRUM_FOREVER), 0);
  c->sum += n;
  CHECK_EQ(thrum_mutex_unlock(&c->mutex), 0);
}
/* Outside thrum for longer than a slice: its P is taken meanwhile. */
static void computes(void* arg) {
  struct crowd* c = arg;
  for (int64_t end = real_now() + 30 * MS; real_now() < end;) {}
  add(&c->computed, 1);
}
static void all_at_once(void* arg) {
  enum { MANY = 300 };
  struct crowd c = {NULL, THRUM_MUTEX_INIT, 0, 0};
  thrum_g g[MANY], hogs[4];
  thrum_spawn_opts o = spawn_opts();
  (void)arg;
  o.flags = THRUM_G_HIBERNATE;
  REQUIRE_EQ(thrum_chan_new(sizeof(int64_t), 0, &c.chan), 0);
  for (int i = 0; i < MANY; i++)
    g[i] = go_with(&o, waits, &c);
  for (int i = 0; i < 4; i++)
    hogs[i] = go(computes, &c);
  CHECK_EQ(thrum_sleep(5 * MS), 0);
  CHECK_EQ(thrum_trim(NULL), 0);
  for (int64_t i = 0; i < MANY; i++)
    CHECK_EQ(thrum_chan_send(c.chan, &i, THRUM_FOREVER), 0);
  for (int i = 0; i < MANY; i++)
    join_g(g[i]);
  for (int i = 0; i < 4; i++)
    join_g(hogs[i]);
  CHECK_EQ(c.sum, MANY * (MANY - 1) / 2);
  CHECK_EQ(c.computed, 4);
  thrum_chan_release(c.chan);
}
static thrum_rt* works(void) {
  thrum_rt* rt = NULL;
  unsetenv("THRUM_PROCS");
  REQUIRE_EQ(thrum_rt_new(&rt, NULL), 0);
  CHECK_EQ(thrum_run(rt, all_at_once, NULL), 0);
  CHECK_EQ(thrum_set_procs(rt, 3) > 0, 1);
  CHECK_EQ(thrum_run(rt, all_at_once, NULL), 0);
  CHECK_LE(1, thrum_available_procs());
  return rt;
}

/* ---- the report ---------------------------------------------------------------------- */

static const char* part_of(thrum_rt* rt, const char* part) {
  static char text[65536];
  int64_t n = thrum_os_report(rt, text, sizeof text);
  REQUIRE(n > 0 && n < (int64_t)sizeof text);
  const char* at = strstr(text, part);
  CHECK_MSG(at != NULL, "no %s in %.2000s", part, text);
  return at ? at : "";
}
/* The first number behind `key` in `part`. */
static int64_t figure(thrum_rt* rt, const char* part, const char* key) {
  const char* at = strstr(part_of(rt, part), key);
  CHECK_MSG(at != NULL, "no %s in %s", key, part);
  return at ? atoll(strchr(at, ':') + 1) : INT64_MIN;
}

/* ---- no privilege ---------------------------------------------------------------------- */

enum { NOBODY = 65534 };
static void become_nobody(void) {
  if (geteuid() == 0 &&
      (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
       setresuid(NOBODY, NOBODY, NOBODY) != 0))
    child_skip("root, and setuid is refused");
}
CHILD(nobody) {
  struct rlimit l;
  (void)arg;
  become_nobody();
  REQUIRE_EQ(getrlimit(RLIMIT_NICE, &l), 0);
  if (l.rlim_max > 20)
    child_skip("RLIMIT_NICE lets everybody ask for more");
  thrum_rt* rt = works();
  int nice = getpriority(PRIO_PROCESS, 0);
  /* The nice is refused, the slice is not. */
  CHECK_EQ(thrum_sched_threads(rt, nice - 5, 500000), THRUM_EPERM);
  CHECK_EQ(figure(rt, "\"threads\"", "\"got_nice\""), nice);
  CHECK_EQ(figure(rt, "\"threads\"", "\"error\""), -EPERM);
  int64_t got = figure(rt, "\"threads\"", "\"got_slice_ns\"");
  CHECK(got == 500000 || got == 0); /* 0: older than 6.12 */
  int rc = thrum_sched_threads(rt, nice, 500000);
  CHECK_EQ(rc, got ? 0 : THRUM_ENOTSUP);
  CHECK_EQ(thrum_run(rt, all_at_once, NULL), 0);
  rt_end(rt);
}

/* ---- seccomp ------------------------------------------------------------------------------ */

/* A program that gives n calls this answer, and lets all others through. */
struct filter {
  struct sock_filter code[16];
  struct sock_fprog program;
};
static void filter_of(struct filter* f, const int* calls, int n,
                      uint32_t answer) {
  struct sock_filter* at = f->code;
  REQUIRE(n + 3 <= (int)CHECK_COUNT(f->code));
  *at++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                       offsetof(struct seccomp_data, nr));
  for (int i = 0; i < n; i++)
    *at++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                         (uint32_t)calls[i],
                                         (unsigned char)(n - i), 0);
  *at++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  *at = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, answer);
  f->program = (struct sock_fprog){(unsigned short)(n + 3), f->code};
}

/* These calls answer EPERM from here on, all others are let through. */
static const int refused_calls[] = {SYS_sched_setattr, SYS_sched_setaffinity,
                                    SYS_membarrier, SYS_process_madvise};
static void refuse(void) {
  enum { N = CHECK_COUNT(refused_calls) };
  struct filter f;
  filter_of(&f, refused_calls, N, SECCOMP_RET_ERRNO | EPERM);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &f.program) != 0)
    child_skip("no seccomp filter here");
  for (int i = 0; i < (int)N; i++) {
    errno = 0;
    CHECK_EQ(syscall(refused_calls[i], 0, 0, 0, 0, 0), -1);
    CHECK_EQ(errno, EPERM);
  }
}
static void cannot_pin(void* arg) {
  uint64_t mask[16] = {1};
  (void)arg;
  CHECK_EQ(thrum_lock_thread(), 0);
  CHECK_EQ(thrum_pin_cpu(mask, 16), THRUM_EPERM);
  CHECK_EQ(thrum_unlock_thread(), 0);
}
CHILD(filter) {
  uint64_t mask[16] = {1};
  (void)arg;
  refuse();
  thrum_rt* rt = works();
  CHECK_EQ(thrum_run(rt, cannot_pin, NULL), 0);
  CHECK_EQ(thrum_sched_threads(rt, 0, 500000), THRUM_EPERM);
  CHECK_EQ(figure(rt, "\"threads\"", "\"error\""), -EPERM);
  CHECK_EQ(thrum_pin_threads(rt, mask, 16), THRUM_EPERM);
  CHECK_EQ(figure(rt, "\"calls\"", "\"membarrier\""), -EPERM);
  CHECK_EQ(figure(rt, "\"calls\"", "\"sched_setaffinity\""), -EPERM);
  CHECK_EQ(figure(rt, "\"calls\"", "\"sched_setattr\""), -EPERM);
  CHECK_EQ(figure(rt, "\"calls\"", "\"process_madvise\""), -EPERM);
  CHECK_EQ(figure(rt, "\"calls\"", "\"sched_getaffinity\""), 0);
  CHECK_EQ(thrum_run(rt, all_at_once, NULL), 0);
  rt_end(rt);
}
/* Without the filter, and as who the tests run as. */
CHILD(open) {
  (void)arg;
  thrum_rt* rt = works();
  CHECK_EQ(figure(rt, "\"calls\"", "\"membarrier\""), 0);
  CHECK_EQ(figure(rt, "\"calls\"", "\"sched_setaffinity\""), 0);
  CHECK_EQ(figure(rt, "\"calls\"", "\"sched_setattr\""), 0);
  CHECK_EQ(figure(rt, "\"quota\"", "], \"error\""), 0);
  rt_end(rt);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void put(const char* path, const char* text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  REQUIRE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  close(fd);
}
/* A mount name space, below a user name space where one needs that for it. */
static int apart(void) {
  char map[2][32];
  snprintf(map[0], sizeof map[0], "%d %d 1", (int)geteuid(), (int)geteuid());
  snprintf(map[1], sizeof map[1], "%d %d 1", (int)getegid(), (int)getegid());
  if (unshare(CLONE_NEWNS) == 0)
    return 1;
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
    return 0;
  put("/proc/self/setgroups", "deny");
  put("/proc/self/uid_map", map[0]);
  put("/proc/self/gid_map", map[1]);
  return 1;
}
/* No right to pass by a file's mode, not even root's. */
static void give_up_rights(void) {
  struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct none[2];
  memset(none, 0, sizeof none);
  REQUIRE_EQ(syscall(SYS_capset, &head, none), 0);
}
/* A file system of its own over the folder. */
static void cover(const char* folder, int closed) {
  if (!apart() || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
      mount("none", folder, "tmpfs", 0, closed ? "mode=0" : "mode=755") != 0)
    child_skip("no mount name space may be made here");
  if (closed)
    give_up_rights();
}

/* The other way, which nobody needs rights for: a thread of our own is asked about
 * each file that is opened, and lets all others be. */
static struct {
  const char* folder;
  int error, listener;
} hidden;
static int is_hidden(const struct seccomp_data* d) {
  size_t n = strlen(hidden.folder);
  int at = d->nr == SYS_openat || d->nr == SYS_faccessat ||
           d->nr == SYS_faccessat2 || d->nr == SYS_readlinkat ||
           d->nr == SYS_newfstatat;
  /* The kernel reads it: TSan would not know that who has written it waits for us. */
  char path[16] = "";
  struct iovec to = {path, n + 1},
               from = {(void*)(uintptr_t)d->args[at], n + 1};
  REQUIRE(n + 1 < sizeof path);
  return syscall(SYS_process_vm_readv, getpid(), &to, 1L, &from, 1L, 0L) ==
             (long)n + 1 &&
         strncmp(path, hidden.folder, n) == 0 &&
         (path[n] == '/' || path[n] == 0);
}
static void* hides(void* arg) {
  struct seccomp_notif asked;
  (void)arg;
  for (;;) {
    memset(&asked, 0, sizeof asked);
    if (ioctl(hidden.listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) {
      if (errno == EINTR || errno == ENOENT)
        continue;
      return NULL;
    }
    int error = is_hidden(&asked.data) ? hidden.error : 0;
    struct seccomp_notif_resp answer = {
        asked.id, 0, error, error ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE};
    (void)ioctl(hidden.listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
  }
}
static word may_listen;
static void* hides_when_told(void* arg) {
  while (!get(&may_listen))
    usleep(1000);
  return hides(arg);
}
static void hide(const char* folder, int error) {
  static const int calls[] = {
      SYS_openat, SYS_faccessat, SYS_faccessat2, SYS_readlinkat, SYS_newfstatat,
#ifdef SYS_open
      SYS_open,   SYS_access,    SYS_readlink,   SYS_stat,       SYS_lstat,
#endif
  };
  struct filter f;
  pthread_t thread;
  filter_of(&f, calls, CHECK_COUNT(calls), SECCOMP_RET_USER_NOTIF);
  hidden.folder = folder;
  hidden.error = -error;
  /* Before the filter, which those that begin later inherit. */
  REQUIRE_EQ(pthread_create(&thread, NULL, hides_when_told, NULL), 0);
  REQUIRE_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  hidden.listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                                 SECCOMP_FILTER_FLAG_NEW_LISTENER, &f.program);
  if (hidden.listener < 0)
    child_skip("no seccomp filter that asks a thread here");
  add(&may_listen, 1);
  errno = 0;
  CHECK_EQ(open(folder, O_RDONLY | O_CLOEXEC), -1);
  CHECK_EQ(errno, error);
}
/* By one way or the other: 'm' mount, 'f' filter; closed or gone. */
static void without(const char* folder, const char* how, int closed) {
  if (*how == 'm')
    cover(folder, closed);
  else
    hide(folder, closed ? EACCES : ENOENT);
}
static int is_closed(const char* how) { return strstr(how, "closed") != NULL; }
/* Of the files that the report reads, one below the folder. */
static int files_say(thrum_rt* rt, int error) {
  return figure(rt, "\"quota\"", "], \"error\"") == error &&
         figure(rt, "\"pressure\"", "\"error\"") == error &&
         figure(rt, "\"autogroup\"", "\"error\"") == error;
}
CHILD(no_proc) {
  without("/proc", arg, is_closed(arg));
  thrum_rt* rt = works();
  CHECK(files_say(rt, is_closed(arg) ? -EACCES : -ENOENT));
  rt_end(rt);
}
static int groups_are_mounted(void) {
  char line[4096];
  int found = 0;
  FILE* f = fopen("/proc/self/mountinfo", "re");
  while (f && fgets(line, sizeof line, f))
    found |= strstr(line, " /sys/fs/cgroup") &&
             (strstr(line, " - cgroup2 ") || strstr(line, ",cpu"));
  if (f)
    fclose(f);
  return found;
}
CHILD(no_sys) {
  int closed = is_closed(arg), groups = groups_are_mounted();
  without("/sys", arg, closed);
  thrum_rt* rt = works();
  const char* quota = part_of(rt, "\"quota\"");
  /* No limit can be seen; of a refusal each level tells. */
  CHECK(strstr(quota, "\"cpus\": null, \"error\": -13") != NULL ||
        !(closed && groups));
  CHECK_EQ(strstr(quota, "\"quota_us\"") == NULL, 1);
  CHECK(strncmp(quota, "\"quota\": {\"levels\": []", 22) == 0 || closed);
  rt_end(rt);
}

/* ---- the whole --------------------------------------------------------------------------------- */

static void expect(const char* part, const char* arg) {
  child_may_leak(); /* the search for leaks wants /proc, and rights */
  expect_child(part, arg, 0);
  (void)child_skipped();
}
TEST(nothing) { expect("open", NULL); }
TEST(by_privileges) { expect("nobody", NULL); }
TEST(by_seccomp) { expect("filter", NULL); }
TEST(proc_gone) { expect("no_proc", "mounted gone"); }
TEST(proc_closed) { expect("no_proc", "mounted closed"); }
TEST(sys_gone) { expect("no_sys", "mounted gone"); }
TEST(sys_closed) { expect("no_sys", "mounted closed"); }
TEST(proc_gone_filter) { expect("no_proc", "filter gone"); }
TEST(proc_closed_filter) { expect("no_proc", "filter closed"); }
TEST(sys_gone_filter) { expect("no_sys", "filter gone"); }
TEST(sys_closed_filter) { expect("no_sys", "filter closed"); }

static const struct check_case cases[] = {
    CASE(nothing),         CASE(by_privileges),    CASE(by_seccomp),
    CASE(proc_gone),       CASE(proc_closed),      CASE(sys_gone),
    CASE(sys_closed),      CASE(proc_gone_filter), CASE(proc_closed_filter),
    CASE(sys_gone_filter), CASE(sys_closed_filter)};
static const struct child_part parts[] = {
    PART(nobody), PART(filter), PART(open), PART(no_proc), PART(no_sys)};
CHILD_MAIN(cases, parts)
