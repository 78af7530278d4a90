/* collector: a host with a small moving collector. Gs build lists on a heap of
 * the host's; when it is full, the G that finds it so stops the world, looks for
 * references on the stacks of all green threads, and copies what lives.
 *
 * The stacks are C's, so what looks like a reference there may be none: what the
 * stacks refer to stays where it is ("pinned"), what only the heap refers to
 * moves. Bartlett, "Compacting Garbage Collection with
 * Ambiguous Roots" (1988), does the same with pages.
 *
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <thrum/host.h>

/* ---- the heap ------------------------------------------------------------------ */

enum { CELLS = 1 << 14, LISTS = 64, LENGTH = 50, ROUNDS = 200 };

typedef struct cell {
  struct cell* next;
  long value;
  struct cell* to; /* during a collection: where it goes */
  int live, pinned;
} cell;

static cell* heap; /* guarded by `lock`, or by the world being stopped */
static int used;
static thrum_mutex lock = THRUM_MUTEX_INIT;
static long collections, moved, pinned;

/* ---- the collector: marks from the stacks, then closes the gaps ---------------- */

/* Reads stacks word by word, also what a sanitizer thinks is nobody's. */
__attribute__((no_sanitize("address", "thread"))) static void
pin_from(const void* lo, const void* hi) {
  for (const uintptr_t* at = lo; at < (const uintptr_t*)hi; at++) {
    uintptr_t offset = *at - (uintptr_t)heap;
    if (offset < CELLS * sizeof(cell)) {
      heap[offset / sizeof(cell)].pinned = 1; /* also from its middle */
    }
  }
}

static void scan(void* arg, const thrum_g_info* info) {
  (void)arg;
  if (info->sp) { /* all but the caller, who scans itself */
    pin_from(info->sp, info->stack_hi);
  }
}

static void mark(void) {
  for (int i = 0; i < CELLS; i++) {
    heap[i].pinned &= heap[i].live; /* a free cell is nobody's */
    heap[i].live = heap[i].pinned;
  }
  for (int i = 0; i < CELLS; i++) {
    if (heap[i].pinned) {
      for (cell* c = heap[i].next; c && !c->live; c = c->next) {
        c->live = 1;
      }
    }
  }
}

static void compact(void) {
  int gap = 0;
  for (int i = 0; i < CELLS; i++) {
    cell* c = &heap[i];
    c->to = c;
    pinned += c->pinned;
    if (c->live && !c->pinned) {
      while (heap[gap].pinned) {
        gap++;
      }
      moved += gap != i;
      c->to = &heap[gap++];
    }
  }
  for (int i = 0; i < CELLS; i++) {
    if (heap[i].live && heap[i].next) {
      heap[i].next = heap[i].next->to;
    }
  }
  for (int i = 0; i < CELLS; i++) { /* only ever to lower addresses */
    cell* c = &heap[i];
    if (c->live && c->to != c) {
      cell* to = c->to;
      *to = *c;
      c->live = 0;
    }
  }
}

__attribute__((noinline)) static void collect(void) {
  void* hi;
  __builtin_unwind_init(); /* this G's registers, onto its stack */
  if (thrum_world_stop(NULL, THRUM_FOREVER) != 0) {
    return;
  }
  for (int i = 0; i < CELLS; i++) {
    heap[i].pinned = 0;
  }
  thrum_stack(NULL, &hi);
  pin_from(&hi, hi); /* its own, from here on */
  thrum_g_each(NULL, scan, NULL);
  mark();
  compact();
  used = 0;
  collections++;
  thrum_world_start(NULL);
}

static cell* cons(long value, cell* next) {
  thrum_mutex_lock(&lock, THRUM_FOREVER);
  for (int tries = 0;; tries++) {
    while (used < CELLS && heap[used].live) {
      used++;
    }
    if (used < CELLS) {
      break;
    }
    if (tries == 2) {
      fprintf(stderr, "collector: out of memory\n");
      exit(1);
    }
    collect();
  }
  cell* c = &heap[used++];
  *c = (cell){next, value, NULL, 1, 0};
  thrum_mutex_unlock(&lock);
  return c;
}

/* ---- the mutators ------------------------------------------------------------ */

static long wrong;

static void builds(void* arg) {
  long seed = (long)(intptr_t)arg;
  for (int round = 0; round < ROUNDS; round++) {
    cell* list = NULL;
    for (long i = 0; i < LENGTH; i++) {
      list = cons(seed + i, list);
      if (i % 8 == 0) {
        thrum_yield();
      }
    }
    long i = LENGTH;
    for (cell* c = list; c; c = c->next) {
      if (c->value != seed + --i) {
        __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
      }
    }
    if (i != 0) {
      __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
    }
  }
}

static void start(void* arg) {
  thrum_g gs[LISTS];
  (void)arg;
  for (long i = 0; i < LISTS; i++) {
    thrum_spawn(NULL, NULL, builds, (void*)(intptr_t)(i * 1000), &gs[i]);
  }
  for (int i = 0; i < LISTS; i++) {
    thrum_join(NULL, gs[i], THRUM_FOREVER);
  }
}

int main(void) {
  thrum_rt* rt;
  heap = calloc(CELLS, sizeof *heap);
  if (!heap || thrum_rt_new(&rt, NULL) != 0) {
    return 1;
  }
  thrum_run(rt, start, NULL);
  thrum_rt_stop(rt, THRUM_FOREVER);
  thrum_rt_free(rt);
  printf("%d lists of %d cells, %d times: %ld collections, %ld cells pinned by "
         "stacks, %ld moved; %ld cells wrong\n",
         LISTS, LENGTH, ROUNDS, collections, pinned, moved, wrong);
  free(heap);
  return wrong != 0 || collections == 0;
}
