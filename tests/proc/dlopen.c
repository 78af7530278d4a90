/* dlopen.c: loaded at run time, used, stopped, unloaded, again and again; two
 * copies in one process. The library is always a copy in a folder of its own,
 * so that it is not the one this program may be linked with. Its path:
 * $THRUM_SO, else $THRUM_LIB. That one stays mapped when it is closed (nodelete);
 * $THRUM_LIB_UNLOADS is the same, linked so that it goes. */
#include "../support/check.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>
#include <thrum/thrum.h>

#include "../support/child.h"
#include "../support/forks.h"

/* The part of the interface that is used here. */
struct api {
  void* handle;
  uint32_t (*version)(void);
  int (*rt_new)(thrum_rt**, const thrum_config*);
  int (*rt_stop)(thrum_rt*, int64_t);
  void (*rt_free)(thrum_rt*);
  int (*run)(thrum_rt*, thrum_fn, void*);
  int (*spawn)(thrum_rt*, const thrum_spawn_opts*, thrum_fn, void*, thrum_g*);
  int (*join)(thrum_rt*, thrum_g, int64_t);
  int (*sleep)(int64_t);
  int (*yield)(void);
  thrum_g (*self)(void);
  int (*chan_new)(uint32_t, uint32_t, thrum_chan**);
  int (*chan_send)(thrum_chan*, const void*, int64_t);
  int (*chan_recv)(thrum_chan*, void*, int64_t);
  void (*chan_release)(thrum_chan*);
  void* (*alloc)(size_t);
  void (*free)(void*);
};
static int symbol(void* handle, const char* name, void* to) {
  void* p = dlsym(handle, name);
  memcpy(to, &p, sizeof p);
  return p != NULL;
}
static int api_open(struct api* a, const char* path) {
  memset(a, 0, sizeof *a);
  a->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!a->handle) {
    check_fail(__FILE__, __LINE__, "dlopen: %s", dlerror());
    return 0;
  }
  void* h = a->handle;
  return symbol(h, "thrum_version", &a->version) &&
         symbol(h, "thrum_rt_new", &a->rt_new) &&
         symbol(h, "thrum_rt_stop", &a->rt_stop) &&
         symbol(h, "thrum_rt_free", &a->rt_free) &&
         symbol(h, "thrum_run", &a->run) &&
         symbol(h, "thrum_spawn", &a->spawn) &&
         symbol(h, "thrum_join", &a->join) &&
         symbol(h, "thrum_sleep", &a->sleep) &&
         symbol(h, "thrum_yield", &a->yield) &&
         symbol(h, "thrum_self", &a->self) &&
         symbol(h, "thrum_chan_new", &a->chan_new) &&
         symbol(h, "thrum_chan_send", &a->chan_send) &&
         symbol(h, "thrum_chan_recv", &a->chan_recv) &&
         symbol(h, "thrum_chan_release", &a->chan_release) &&
         symbol(h, "thrum_alloc", &a->alloc) &&
         symbol(h, "thrum_free", &a->free);
}

static char folder[64] = "", copies[2][96];
static int copy_library(const char* from, const char* to) {
  int in = open(from, O_RDONLY | O_CLOEXEC),
      out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
  static char block[65536];
  ssize_t n = -1;
  if (in >= 0 && out >= 0)
    while ((n = read(in, block, sizeof block)) > 0 &&
           write(out, block, (size_t)n) == n) {}
  if (in >= 0)
    close(in);
  if (out >= 0)
    close(out);
  return n == 0;
}
static void remove_copies(void) {
  for (int i = 0; i < 2; i++)
    unlink(copies[i]);
  if (*folder)
    rmdir(folder);
}
static void make_copies(int unloads) {
  const char* path = unloads              ? getenv("THRUM_LIB_UNLOADS")
                     : getenv("THRUM_SO") ? getenv("THRUM_SO")
                                          : getenv("THRUM_LIB");
  if (!path || access(path, R_OK) != 0)
    child_skip(
        unloads ? "$THRUM_LIB_UNLOADS names no library"
                : "neither $THRUM_SO nor $THRUM_LIB names the shared library");
  const char* tmp = getenv("TMPDIR");
  snprintf(folder, sizeof folder, "%.40s/thrum-XXXXXX",
           tmp && strlen(tmp) < 40 ? tmp : "/tmp");
  REQUIRE(mkdtemp(folder) != NULL);
  for (int i = 0; i < 2; i++) {
    snprintf(copies[i], sizeof copies[i], "%s/copy%d.so", folder, i);
    REQUIRE(copy_library(path, copies[i]));
  }
  atexit(remove_copies);
}
static int is_mapped(const char* path) {
  void* handle = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
  if (handle)
    dlclose(handle);
  return handle != NULL;
}

static int mappings(void) {
  FILE* f = fopen("/proc/self/maps", "re");
  int n = 0, c;
  if (!f)
    return -1;
  while ((c = getc(f)) != EOF)
    n += c == '\n';
  fclose(f);
  return n;
}

struct work {
  struct api* a;
  thrum_chan* ch;
  int n;
};
static void send_some(void* arg) {
  struct work* w = arg;
  for (int i = 0; i < 20; i++)
    CHECK_EQ(w->a->chan_send(w->ch, &i, THRUM_FOREVER), 0);
}
static void work(void* arg) {
  struct work* w = arg;
  thrum_g g[4];
  CHECK(w->a->self() != 0);
  for (int i = 0; i < 4; i++)
    CHECK_EQ(w->a->spawn(NULL, NULL, send_some, w, &g[i]), 0);
  for (int i = 0; i < 80; i++) {
    int v = -1;
    CHECK_EQ(w->a->chan_recv(w->ch, &v, THRUM_FOREVER), 0);
    CHECK(v >= 0 && v < 20);
    w->n++;
  }
  CHECK_EQ(w->a->sleep(1000), 0);
  for (int i = 0; i < 4; i++)
    CHECK_EQ(w->a->join(NULL, g[i], THRUM_FOREVER), 0);
}
static thrum_rt* new_runtime(struct api* a, uint32_t procs) {
  thrum_config c;
  thrum_rt* rt = NULL;
  memset(&c, 0, sizeof c);
  c.struct_size = sizeof c;
  c.procs = procs;
  REQUIRE_EQ(a->rt_new(&rt, &c), 0);
  return rt;
}
static void use(struct api* a, uint32_t procs) {
  struct work w = {a, NULL, 0};
  thrum_rt* rt = new_runtime(a, procs);
  REQUIRE_EQ(a->chan_new(sizeof(int), 2, &w.ch), 0);
  CHECK_EQ(a->run(rt, work, &w), 0);
  CHECK_EQ(w.n, 80);
  CHECK_EQ(a->rt_stop(rt, THRUM_FOREVER), 0);
  a->rt_free(rt);
  a->chan_release(w.ch);
}

/* ---- loading alone ------------------------------------------------------- */

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
CHILD(inert) {
  static struct sigaction before[65], after[65];
  struct api a;
  sigset_t mask_before, mask_after;
  (void)arg;
  make_copies(0);
  all_signals(before);
  pthread_sigmask(SIG_SETMASK, NULL, &mask_before);
  int threads = check_threads(), fds = check_fds();
  REQUIRE(api_open(&a, copies[0]));
  CHECK_EQ(check_threads(), threads);
  CHECK_EQ(check_fds(), fds);
  CHECK(a.version() != 0);
  thrum_rt* rt = new_runtime(&a, 2);
  CHECK_EQ(check_threads(), threads); /* new starts none either */
  for (int used = 0; used < 2; used++) {
    all_signals(after);
    pthread_sigmask(SIG_SETMASK, NULL, &mask_after);
    for (int s = 1; s < 65; s++)
      CHECK_MSG(before[s].sa_handler == after[s].sa_handler &&
                    before[s].sa_flags == after[s].sa_flags,
                "the disposition of signal %d has changed", s);
    CHECK(same_mask(&mask_before, &mask_after));
    if (!used)
      use(&a, 2);
  }
  CHECK_EQ(a.rt_stop(rt, THRUM_FOREVER), 0);
  a.rt_free(rt);
  CHECK_EQ(dlclose(a.handle), 0);
}
TEST(loading_does_nothing) {
  expect_child("inert", NULL, 0);
  if (child_skipped())
    SKIP(check_skipped);
}

/* ---- rounds -------------------------------------------------------------- */

static long resident_kib(void) {
  long pages = 0;
  FILE* f = fopen("/proc/self/statm", "re");
  REQUIRE(f != NULL);
  if (fscanf(f, "%*d %ld", &pages) != 1)
    pages = 0;
  fclose(f);
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* mimalloc gives nothing back when it is unloaded, and would be unloaded with
 * the copy that needs it: it is held here, so that what is counted is thrum's.
 * False: it is inside the copy. */
static int hold_mimalloc(struct api* a) {
  struct link_map* map = NULL;
  REQUIRE_EQ(dlinfo(a->handle, RTLD_DI_LINKMAP, &map), 0);
  for (; map; map = map->l_next)
    if (strstr(map->l_name, "libmimalloc"))
      return dlopen(map->l_name, RTLD_NOW) != NULL;
  return 0;
}

/* arg "u": the library that goes. */
CHILD(rounds) {
  int rounds = CHECK_SANITIZED ? 100 : 1000, warm = rounds / 10;
  int threads = 0, fds = 0, maps = 0, unloads = *arg == 'u', whole = 1;
  long kib = 0;
  make_copies(unloads);
  for (int i = 0; i < rounds; i++) {
    struct api a;
    REQUIRE(api_open(&a, copies[0]));
    if (i == 0 && unloads)
      whole = hold_mimalloc(&a);
    use(&a, 1 + (uint32_t)i % 4);
    CHECK_EQ(dlclose(a.handle), 0);
    if (i == warm) { /* what the C library keeps is there by now */
      CHECK_EQ(is_mapped(copies[0]), !unloads);
      threads = check_threads_settle(1 + CHECK_TSAN);
      fds = check_fds();
      maps = mappings();
      kib = resident_kib();
    }
  }
  CHECK_EQ(check_threads_settle(threads), threads);
  CHECK_EQ(check_fds(), fds);
  /* How many mappings the C library keeps depends on how many threads were alive
   * at once: a stack with a guard and an arena for each. One lost in each round
   * would be 900 of them, and a page lost in each 3600 KiB. */
  if (CHECK_SANITIZED || !whole)
    return;
  CHECK_LE(mappings(), maps + 30);
  CHECK_LE(resident_kib(), kib + 1024);
}
TEST(rounds_of_the_one_that_stays) {
  expect_child("rounds", "stays", 0);
  if (child_skipped())
    SKIP(check_skipped);
}
TEST(rounds_of_the_one_that_goes) {
  expect_child("rounds", "unloads", 0);
  if (child_skipped())
    SKIP(check_skipped);
}

/* A thread that has used the library ends after it was closed, in what mimalloc
 * has registered for the ends of threads: the reason for nodelete. */
struct late {
  struct api* a;
  word used, closed;
};
static void* ends_late(void* arg) {
  struct late* l = arg;
  void* p = l->a->alloc(5000);
  CHECK(p != NULL);
  memset(p, 1, 5000);
  l->a->free(p);
  CHECK_EQ(l->a->yield(), THRUM_ENOTG);
  add(&l->used, 1);
  while (!get(&l->closed))
    check_pause();
  return NULL;
}
CHILD(late) {
  struct api a;
  struct late l = {&a, 0, 0};
  pthread_t t[3];
  (void)arg;
  make_copies(0);
  REQUIRE(api_open(&a, copies[0]));
  use(&a, 2);
  for (int i = 0; i < 3; i++)
    REQUIRE_EQ(pthread_create(&t[i], NULL, ends_late, &l), 0);
  while (get(&l.used) < 3)
    check_pause();
  CHECK_EQ(dlclose(a.handle), 0);
  set(&l.closed, 1);
  for (int i = 0; i < 3; i++)
    pthread_join(t[i], NULL);
}
TEST(threads_that_end_after_the_close) {
  expect_child("late", NULL, 0);
  if (child_skipped())
    SKIP(check_skipped);
}

/* What a runtime has registered for forks goes with the code. */
CHILD(forks_after) {
  struct api a;
  make_copies(*arg == 'u');
  for (int i = 0; i < 3; i++) {
    REQUIRE(api_open(&a, copies[0]));
    use(&a, 2);
    CHECK_EQ(dlclose(a.handle), 0);
    CHECK_EQ(is_mapped(copies[0]), *arg != 'u');
    pid_t pid = fork_child();
    if (pid == 0) {
      REQUIRE(api_open(&a, copies[0]));
      use(&a, 2);
      child_done();
    }
    CHECK_EQ(child_status(pid), 0);
  }
}
TEST(forks_after_the_close) {
  expect_child("forks_after", "stays", 0);
  expect_child("forks_after", "unloads", 0);
  if (child_skipped())
    SKIP(check_skipped);
}

/* ---- two copies ---------------------------------------------------------- */

static void* use_often(void* arg) {
  for (int i = 0; i < (CHECK_SANITIZED ? 5 : 30); i++)
    use(arg, 2);
  return NULL;
}
struct cross {
  struct api *mine, *other;
  thrum_rt *rt, *other_rt;
  thrum_chan *there, *back; /* the other's, and mine */
};
static void echo(void* arg) {
  struct cross* c = arg;
  for (int i = 0, v = -1; i < 100; i++) {
    CHECK_EQ(c->mine->chan_recv(c->back, &v, THRUM_FOREVER), 0);
    CHECK_EQ(c->other->chan_send(c->there, &v, THRUM_FOREVER), 0);
  }
}
static void in_the_other(void* arg) {
  struct cross* c = arg;
  CHECK(c->mine->self() != 0);
  /* to the other copy this is a thread like any */
  CHECK(c->other->self() == 0);
  CHECK_EQ(c->other->yield(), THRUM_ENOTG);
  /* and a handle of mine means nothing there */
  CHECK_EQ(c->other->join(NULL, c->mine->self(), THRUM_TRY), THRUM_EINVAL);
  for (int i = 0, v = -1; i < 100; i++) {
    CHECK_EQ(c->other->chan_send(c->there, &i, THRUM_FOREVER), 0);
    CHECK_EQ(c->mine->chan_recv(c->back, &v, THRUM_FOREVER), 0);
    CHECK_EQ(v, i);
  }
  pid_t pid = fork_child();
  if (pid == 0) {
    CHECK_EQ(c->mine->yield(), THRUM_EFORKED);
    CHECK_EQ(c->other->yield(), THRUM_ENOTG);
    CHECK_EQ(c->mine->rt_stop(c->rt, THRUM_FOREVER), THRUM_EFORKED);
    CHECK_EQ(c->other->rt_stop(c->other_rt, THRUM_FOREVER), THRUM_EFORKED);
    use(c->other, 2);
    use(c->mine, 2);
    CHECK_EQ(c->mine->yield(), THRUM_EFORKED);
    child_done();
  }
  CHECK_EQ(child_status(pid), 0);
}
/* A G of the first and a G of the second, and a channel of each. */
static void talk(struct api* first, struct api* second) {
  struct cross c = {first, second, NULL, NULL, NULL, NULL};
  thrum_g g = 0;
  c.rt = new_runtime(first, 1);
  c.other_rt = new_runtime(second, 1);
  REQUIRE_EQ(second->chan_new(sizeof(int), 0, &c.there), 0);
  REQUIRE_EQ(first->chan_new(sizeof(int), 0, &c.back), 0);
  struct cross e = {second, first, c.other_rt, c.rt, c.back, c.there};
  CHECK_EQ(second->spawn(c.other_rt, NULL, echo, &e, &g), 0);
  CHECK_EQ(first->run(c.rt, in_the_other, &c), 0);
  CHECK_EQ(second->join(c.other_rt, g, THRUM_FOREVER), 0);
  CHECK_EQ(first->rt_stop(c.rt, THRUM_FOREVER), 0);
  CHECK_EQ(second->rt_stop(c.other_rt, THRUM_FOREVER), 0);
  first->rt_free(c.rt);
  second->rt_free(c.other_rt);
  second->chan_release(c.there);
  first->chan_release(c.back);
}
CHILD(copies) {
  struct api a[2];
  pthread_t t[2];
  int unloads = *arg == 'u';
  make_copies(unloads);
  int threads = check_threads(), fds = check_fds();
  for (int i = 0; i < 2; i++)
    REQUIRE(api_open(&a[i], copies[i]));
  CHECK(a[0].handle != a[1].handle);
  CHECK(a[0].rt_new != a[1].rt_new);
  for (int i = 0; i < 2; i++)
    REQUIRE_EQ(pthread_create(&t[i], NULL, use_often, &a[i]), 0);
  for (int i = 0; i < 2; i++)
    pthread_join(t[i], NULL);
  talk(&a[0], &a[1]);
  talk(&a[1], &a[0]);
  CHECK_EQ(dlclose(a[0].handle), 0); /* the other one lives on */
  CHECK_EQ(is_mapped(copies[0]), !unloads);
  use(&a[1], 2);
  CHECK_EQ(dlclose(a[1].handle), 0);
  CHECK_EQ(check_threads_settle(threads), threads);
  CHECK_EQ(check_fds(), fds);
}
TEST(two_copies) {
  expect_child("copies", "stays", 0);
  expect_child("copies", "unloads", 0);
  if (child_skipped())
    SKIP(check_skipped);
}

static const struct check_case cases[] = {
    CASE(loading_does_nothing),        CASE(rounds_of_the_one_that_stays),
    CASE(rounds_of_the_one_that_goes), CASE(threads_that_end_after_the_close),
    CASE(forks_after_the_close),       CASE(two_copies)};
static const struct child_part parts[] = {PART(inert), PART(rounds), PART(late),
                                          PART(forks_after), PART(copies)};
CHILD_MAIN(cases, parts)
