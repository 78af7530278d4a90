/* memory.c: aligned blocks, heaps of a group, a host's own allocator, and what
 * observers are told. (gs.c has thrum_alloc itself.) */
#include "../support/check.h"

#include <pthread.h>
#include <stdlib.h>
#include <thrum/host.h>
#include <thrum/observe.h>

#include "../support/rt.h"

TEST(aligned) {
  for (size_t align = 1; align <= 4096; align *= 2) {
    for (size_t size = 0; size < 5000; size = size * 3 + 1) {
      unsigned char* p = thrum_alloc_aligned(size, align);
      CHECK(p != NULL);
      CHECK_EQ((uintptr_t)p % align, 0);
      CHECK_EQ((uintptr_t)p % 16, 0);
      CHECK(thrum_usable_size(p) >= size);
      for (size_t i = 0; i < size; i++) {
        CHECK_EQ(p[i], 0);
      }
      thrum_free(p);
    }
  }
  CHECK(thrum_alloc_aligned(64, 3) == NULL);
}

/* ---- heaps --------------------------------------------------------------- */

enum { SHARERS = 8, ROUNDS = 2000 };
static thrum_heap* shared;
static thrum_wg sharing;

static void share(void* arg) {
  unsigned char mark = (unsigned char)(uintptr_t)arg;
  unsigned char* kept[16] = {0};
  for (int i = 0; i < ROUNDS; i++) {
    int at = (i * 7 + mark) % 16;
    size_t size = (size_t)(i * 37 % 3000) + 1;
    if (kept[at] != NULL) {
      CHECK_EQ(kept[at][0], mark);
    }
    if (i % 3 == 0) {
      thrum_heap_free(shared, kept[at]);
      kept[at] = thrum_heap_calloc(shared, size, 1);
      CHECK_EQ(kept[at][size - 1], 0);
    } else {
      kept[at] = thrum_heap_realloc(shared, kept[at], size);
    }
    kept[at][0] = kept[at][size - 1] = mark;
    CHECK_EQ((uintptr_t)kept[at] % 16, 0);
    if (i % 64 == 0 && thrum_self()) {
      thrum_yield();
    }
  }
  if (thrum_self()) {
    thrum_wg_done(&sharing);
  }
}

static void share_all(void* arg) {
  (void)arg;
  thrum_wg_add(&sharing, SHARERS);
  for (uintptr_t i = 1; i <= SHARERS; i++) {
    CHECK_EQ(thrum_spawn(NULL, NULL, share, (void*)i, NULL), 0);
  }
  CHECK_EQ(thrum_wg_wait(&sharing, THRUM_FOREVER), 0);
}

/* Used by Gs of two Ps; what they leave goes with the heap (else ASan tells). */
TEST(heap_shared) {
  thrum_rt* rt = rt_make(RT_P2);
  CHECK_EQ(thrum_heap_new(&shared), 0);
  CHECK_EQ(thrum_run(rt, share_all, NULL), 0);
  share((void*)(uintptr_t)99);
  CHECK_EQ(thrum_heap_destroy(shared), 0);
  rt_end(rt);
}

TEST(heap_limits) {
  thrum_heap* h = NULL;
  CHECK_EQ(thrum_heap_new(&h), 0);
  volatile size_t most = SIZE_MAX;
  CHECK(thrum_heap_alloc(h, most) == NULL);
  CHECK(thrum_heap_alloc(h, most - 15) == NULL);
  CHECK(thrum_heap_calloc(h, most, 2) == NULL);
  CHECK(thrum_heap_calloc(h, most, 1) == NULL);
  unsigned char* p = thrum_heap_alloc(h, 0);
  CHECK(p != NULL);
  p = thrum_heap_realloc(h, p, 10);
  p[9] = 7;
  CHECK(thrum_heap_realloc(h, p, most) == NULL);
  CHECK(thrum_heap_realloc(h, p, most / 2) == NULL);
  CHECK_EQ(p[9], 7);
  thrum_heap_free(h, NULL);
  CHECK_EQ(thrum_heap_destroy(h), 0);
}

/* ---- a host's allocator -------------------------------------------------- */

struct ledger {
  int64_t blocks, bytes, calls, fail_after;
};

static void* host_alloc(void* arg, size_t size, size_t align) {
  struct ledger* l = arg;
  void* p = NULL;
  if (__atomic_add_fetch(&l->calls, 1, __ATOMIC_RELAXED) >
          __atomic_load_n(&l->fail_after, __ATOMIC_RELAXED) ||
      posix_memalign(&p, align < 16 ? 16 : align, size) != 0) {
    return NULL;
  }
  memset(p, 0xA5, size); /* thrum zeroes what it needs zeroed */
  __atomic_add_fetch(&l->blocks, 1, __ATOMIC_RELAXED);
  __atomic_add_fetch(&l->bytes, (int64_t)size, __ATOMIC_RELAXED);
  return p;
}

static void host_free(void* arg, void* p, size_t size) {
  struct ledger* l = arg;
  CHECK(p != NULL);
  __atomic_sub_fetch(&l->blocks, 1, __ATOMIC_RELAXED);
  __atomic_sub_fetch(&l->bytes, (int64_t)size, __ATOMIC_RELAXED);
  free(p);
}

static void with_locals(void* arg) {
  (void)arg;
  thrum_spawn_opts o = {.struct_size = sizeof o, .name = "named"};
  thrum_g g;
  CHECK_EQ(thrum_set_procs(NULL, 3), 1);
  CHECK_EQ(thrum_spawn(NULL, &o, share, (void*)(uintptr_t)5, &g), 0);
  CHECK_EQ(thrum_join(NULL, g, THRUM_FOREVER), 0);
  CHECK_EQ(thrum_sleep(1000000), 0);
}

static int rt_hosted_by(struct ledger* l, thrum_rt** rt) {
  thrum_allocator a = {.struct_size = sizeof a,
                       .arg = l,
                       .alloc = host_alloc,
                       .free = host_free};
  thrum_config c;
  thrum_config_init(&c, sizeof c);
  c.procs = 1;
  c.allocator = &a;
  int err = thrum_rt_new(rt, &c);
  memset(&a, 0, sizeof a); /* it was copied */
  return err;
}
static int hosted_by(struct ledger* l) {
  thrum_rt* rt;
  int err = rt_hosted_by(l, &rt);
  if (err == 0) {
    thrum_wg_add(&sharing, 1);
    CHECK_EQ(thrum_heap_new(&shared), 0);
    CHECK_EQ(thrum_run(rt, with_locals, NULL), 0);
    CHECK_EQ(thrum_heap_destroy(shared), 0);
    rt_end(rt);
  }
  return err;
}

TEST(host_allocator) {
  struct ledger l = {.fail_after = INT64_MAX};
  CHECK_EQ(hosted_by(&l), 0);
  CHECK(l.calls >= 5);
  CHECK_EQ(l.blocks, 0);
  CHECK_EQ(l.bytes, 0);
  for (int64_t n = 0; n < 2; n++) { /* no runtime, then no P */
    struct ledger few = {.fail_after = n};
    CHECK_EQ(hosted_by(&few), THRUM_ENOMEM);
    CHECK_EQ(few.blocks, 0);
  }
}

/* No memory for the first thread when the first G comes, and then there is. */
static void runs_after_all(void* arg) { set(arg, 1); }
TEST(host_allocator_recovers) {
  struct ledger l = {.fail_after = INT64_MAX};
  thrum_rt* rt;
  REQUIRE_EQ(rt_hosted_by(&l, &rt), 0);
  __atomic_store_n(&l.fail_after, l.calls, __ATOMIC_SEQ_CST);
  word ran = 0;
  thrum_g g = go_in(rt, runs_after_all, &ran);
  CHECK(__atomic_load_n(&l.calls, __ATOMIC_SEQ_CST) > l.fail_after);
  __atomic_store_n(&l.fail_after, INT64_MAX, __ATOMIC_SEQ_CST);
  CHECK_EQ(thrum_join(rt, g, thrum_after(20 * SECOND)), 0);
  CHECK_EQ(get(&ran), 1);
  rt_end(rt);
  CHECK_EQ(l.blocks, 0);
}

TEST(host_allocator_refused) {
  struct ledger l = {.fail_after = INT64_MAX};
  thrum_allocator bad[] = {
      {.struct_size = sizeof bad[0], .arg = &l, .alloc = host_alloc},
      {.struct_size = sizeof bad[0], .arg = &l, .free = host_free},
      {.struct_size = sizeof bad[0], .arg = &l, .release = host_free},
      {.struct_size = sizeof bad[0], .reserved = 1},
      {.struct_size = 0},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    thrum_config c;
    thrum_config_init(&c, sizeof c);
    c.allocator = &bad[i];
    thrum_rt* rt;
    CHECK_EQ(thrum_rt_new(&rt, &c), THRUM_EINVAL);
  }
  CHECK_EQ(l.calls, 0);
}

/* ---- what observers are told --------------------------------------------- */

static void add_up(void* arg, const thrum_p_stats* s) {
  thrum_p_stats* sum = arg;
  sum->allocs += s->allocs;
  sum->frees += s->frees;
  sum->cross_frees += s->cross_frees;
  sum->alloc_bytes += s->alloc_bytes;
  sum->free_bytes += s->free_bytes;
}

static thrum_p_stats sum_of(thrum_rt* rt) {
  thrum_p_stats sum = {.struct_size = sizeof sum};
  CHECK_EQ(thrum_p_each(rt, add_up, &sum), 0);
  return sum;
}

enum { BLOCKS = 1000 };
static void* blocks[BLOCKS];

static void take(void* arg) {
  thrum_p_stats before = sum_of(NULL);
  uint64_t bytes = 0;
  for (int i = 0; i < BLOCKS; i++) {
    blocks[i] = i % 4 == 0   ? thrum_alloc_aligned((size_t)i * 7, 64)
                : i % 4 == 1 ? thrum_calloc((size_t)i, 5)
                             : thrum_alloc((size_t)i * 5);
    bytes += thrum_usable_size(blocks[i]);
  }
  thrum_p_stats after = sum_of(NULL);
  CHECK_EQ(after.allocs - before.allocs, BLOCKS);
  CHECK_EQ(after.alloc_bytes - before.alloc_bytes, bytes);
  CHECK_EQ(after.frees, before.frees);
  for (int i = 0; i < BLOCKS; i++) {
    blocks[i] = thrum_realloc(blocks[i], (size_t)i * 9);
  }
  CHECK_EQ(sum_of(NULL).frees - before.frees, BLOCKS);
  (void)arg;
}

static void give(void* arg) {
  (void)arg;
  for (int i = 0; i < BLOCKS; i++) {
    thrum_free(blocks[i]);
  }
}

/* Taken by one thread, given back by another, which lends itself as well. */
static void* give_there(void* rt) {
  CHECK_EQ(thrum_run(rt, give, NULL), 0);
  return NULL;
}

TEST(counted) {
  thrum_rt* rt = rt_make(RT_HOSTED);
  CHECK_EQ(thrum_run(rt, take, NULL), 0);
  pthread_t other;
  CHECK_EQ(pthread_create(&other, NULL, give_there, rt), 0);
  CHECK_EQ(pthread_join(other, NULL), 0);
  thrum_p_stats sum = sum_of(rt);
  CHECK_EQ(sum.allocs, 2 * BLOCKS);
  CHECK_EQ(sum.frees, 2 * BLOCKS);
  CHECK_EQ(sum.alloc_bytes, sum.free_bytes);
#if !CHECK_SANITIZED /* libc does not say whose a block is */
  /* One in 16 is looked at: of 1,000, some 62 +- 8, times 16. */
  CHECK(sum.cross_frees > BLOCKS / 2 && sum.cross_frees < BLOCKS * 2);
#endif
  rt_end(rt);
}

static const struct check_case cases[] = {
    CASE(aligned),
    CASE(heap_shared),
    CASE(heap_limits),
    CASE(host_allocator),
    CASE(host_allocator_recovers),
    CASE(host_allocator_refused),
    CASE(counted),
};
CHECK_MAIN(cases)
