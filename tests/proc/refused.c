/* refused.c: a system that refuses: a user without privileges, a seccomp filter,
 * /proc and /sys that are not there or may not be read. Everything goes on, and
 * the report names what was refused. */
#include "../support/check.h"

#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
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

/* These calls answer EPERM from here on, all others are let through. */
static const int refused_calls[] = {SYS_sched_setattr, SYS_sched_setaffinity,
                                    SYS_membarrier, SYS_process_madvise};
static void refuse(void) {
  enum { N = CHECK_COUNT(refused_calls) };
  struct sock_filter code[N + 3] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
  for (int i = 0; i < (int)N; i++)
    code[1 + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                               (uint32_t)refused_calls[i],
                                               (unsigned char)(N - i), 0);
  code[N + 1] =
      (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  code[N + 2] =
      (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
  struct sock_fprog program = {N + 3, code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
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

/* A file system of its own over the folder, in a name space of its own. */
static void cover(const char* folder, const char* mode) {
  if (unshare(CLONE_NEWNS) != 0 ||
      mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
      mount("none", folder, "tmpfs", 0, mode) != 0)
    child_skip("no mount name space may be made here");
}
/* Of the files that the report reads, one below the folder. */
static int files_say(thrum_rt* rt, int error) {
  return figure(rt, "\"quota\"", "], \"error\"") == error &&
         figure(rt, "\"pressure\"", "\"error\"") == error &&
         figure(rt, "\"autogroup\"", "\"error\"") == error;
}
CHILD(no_proc) {
  int closed = strcmp(arg, "closed") == 0;
  cover("/proc", closed ? "mode=0" : "mode=755");
  if (closed)
    become_nobody();
  thrum_rt* rt = works();
  CHECK(files_say(rt, closed ? -EACCES : -ENOENT));
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
  int closed = strcmp(arg, "closed") == 0, groups = groups_are_mounted();
  cover("/sys", closed ? "mode=0" : "mode=755");
  if (closed)
    become_nobody();
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
TEST(proc_gone) { expect("no_proc", "gone"); }
TEST(proc_closed) { expect("no_proc", "closed"); }
TEST(sys_gone) { expect("no_sys", "gone"); }
TEST(sys_closed) { expect("no_sys", "closed"); }

static const struct check_case cases[] = {
    CASE(nothing),     CASE(by_privileges), CASE(by_seccomp), CASE(proc_gone),
    CASE(proc_closed), CASE(sys_gone),      CASE(sys_closed)};
static const struct child_part parts[] = {
    PART(nobody), PART(filter), PART(open), PART(no_proc), PART(no_sys)};
CHILD_MAIN(cases, parts)
