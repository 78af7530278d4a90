/* store.c: hash tables with chains, that grow and shrink some slots at a time.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "store.h"

#include <sys/random.h>
#include <time.h>

enum {
  SLOTS_MIN = 16,
  MOVE = 2,        /* slots with something in them that a call moves on, */
  MOVE_EMPTY = 32, /* and how many others it may look at */
  SWEEP_MS = 100,
  SWEEP_BATCH = 128 /* keys that expire while a shard is locked */
};

static struct shard shards[SHARDS];
int store_replays;

int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- values ------------------------------------------------------------- */

struct value* value_new(size_t size, size_t room) {
  struct value* v = thrum_alloc(sizeof *v + room);
  if (v) {
    v->refs = 1;
    v->size = (uint32_t)size;
    v->room = (uint32_t)room;
  }
  return v;
}

void value_drop(struct value* v) {
  if (v && __atomic_sub_fetch(&v->refs, 1, __ATOMIC_ACQ_REL) == 0) {
    thrum_free(v);
  }
}

/* ---- tables ------------------------------------------------------------- */

static int table_new(struct table* t, size_t size) {
  t->slots = thrum_calloc(size, sizeof(struct entry*));
  t->size = t->slots ? size : 0;
  t->used = 0;
  return t->slots != NULL;
}

static void table_clear(struct table* t) {
  for (size_t i = 0; i < t->size && t->used > 0; i++) {
    for (struct entry *e = t->slots[i], *next; e; e = next) {
      next = e->next;
      value_drop(e->value);
      thrum_free(e);
      t->used--;
    }
    t->slots[i] = NULL;
  }
}

void table_free(struct table* t) {
  table_clear(t);
  thrum_free(t->slots);
}

static inline struct entry** slot(const struct table* t, uint64_t hash) {
  return &t->slots[hash & (t->size - 1)];
}

static void move_on(struct shard* s) {
  struct table *from = &s->tables[0], *to = &s->tables[1];
  if (!to->size) {
    return;
  }
  for (int full = 0, empty = 0;
       s->moved < from->size && full < MOVE && empty < MOVE_EMPTY; s->moved++) {
    struct entry* e = from->slots[s->moved];
    *(e ? &full : &empty) += 1;
    from->slots[s->moved] = NULL;
    while (e) {
      struct entry *next = e->next, **at = slot(to, e->hash);
      e->next = *at;
      *at = e;
      from->used--;
      to->used++;
      e = next;
    }
  }
  if (s->moved == from->size) {
    thrum_free(from->slots);
    *from = *to;
    *to = (struct table){NULL, 0, 0};
    s->moved = 0;
  }
}

/* Begins to move if it is too full or too empty. Without memory it stays. */
static void fit(struct shard* s) {
  struct table* t = &s->tables[0];
  if (!s->tables[1].size &&
      (t->used >= t->size || (t->size > SLOTS_MIN && t->used < t->size / 8))) {
    size_t size = SLOTS_MIN;
    while (size < t->used + 1) {
      size *= 2;
    }
    table_new(&s->tables[1], t->used >= t->size ? 2 * t->size : size);
  }
  move_on(s);
}

/* ---- what expires ------------------------------------------------------- */

static void due_put(struct shard* s, uint32_t at, struct entry* e) {
  s->due[at] = e;
  e->due_at = at;
}

/* Puts e where it belongs, given that place `at` is empty and the rest in order. */
static void due_settle(struct shard* s, uint32_t at, struct entry* e) {
  while (at > 0 && s->due[(at - 1) / 2]->expires > e->expires) {
    due_put(s, at, s->due[(at - 1) / 2]);
    at = (at - 1) / 2;
  }
  for (uint32_t child; (child = 2 * at + 1) < s->due_used; at = child) {
    child += child + 1 < s->due_used &&
             s->due[child + 1]->expires < s->due[child]->expires;
    if (s->due[child]->expires >= e->expires) {
      break;
    }
    due_put(s, at, s->due[child]);
  }
  due_put(s, at, e);
}

static void due_remove(struct shard* s, struct entry* e) {
  if (e->expires) {
    struct entry* last = s->due[--s->due_used];
    if (last != e) {
      due_settle(s, e->due_at, last);
    }
    e->expires = 0;
  }
}

int shard_expire(struct shard* s, struct entry* e, int64_t at) {
  if (at == 0) {
    due_remove(s, e);
    return 1;
  }
  if (!e->expires) {
    if (s->due_used == s->due_room) {
      uint32_t room = s->due_room ? 2 * s->due_room : SLOTS_MIN;
      struct entry** more = thrum_realloc(s->due, room * sizeof *more);
      if (!more) {
        return 0;
      }
      s->due = more;
      s->due_room = room;
    }
    e->due_at = s->due_used++;
  }
  e->expires = at;
  due_settle(s, e->due_at, e);
  return 1;
}

/* ---- entries ------------------------------------------------------------ */

struct shard* store_shard(unsigned number) {
  return &shards[number];
}

void store_lock(uint64_t which) {
  for (; which; which &= which - 1) {
    thrum_mutex_lock(&shards[__builtin_ctzll(which)].lock, THRUM_FOREVER);
  }
}

void store_unlock(uint64_t which) {
  for (; which; which &= which - 1) {
    thrum_mutex_unlock(&shards[__builtin_ctzll(which)].lock);
  }
}

static struct entry** place(const struct table* t, const struct key* k) {
  if (t->size) {
    for (struct entry** at = slot(t, k->hash); *at; at = &(*at)->next) {
      const struct entry* e = *at;
      if (e->hash == k->hash && e->size == k->text.size &&
          memcmp(e->key, k->text.data, e->size) == 0) {
        return at;
      }
    }
  }
  return NULL;
}

struct value* shard_remove(struct shard* s, struct entry* e) {
  struct value* v = e->value;
  for (int i = 0; i < 2; i++) {
    struct table* t = &s->tables[i];
    struct entry** at = t->size ? slot(t, e->hash) : NULL;
    while (at && *at && *at != e) {
      at = &(*at)->next;
    }
    if (at && *at) {
      *at = e->next;
      t->used--;
      break;
    }
  }
  due_remove(s, e);
  thrum_free(e);
  fit(s);
  return v;
}

struct entry* shard_find(struct shard* s, const struct key* k) {
  move_on(s);
  struct entry** at = place(&s->tables[0], k);
  at = at ? at : place(&s->tables[1], k);
  if (at && (*at)->expires && !store_replays && (*at)->expires <= now_ms()) {
    value_drop(shard_remove(s, *at));
    s->expired++;
    return NULL;
  }
  return at ? *at : NULL;
}

struct entry* shard_add(struct shard* s, const struct key* k, struct value* v) {
  struct entry* e = thrum_alloc(sizeof *e + k->text.size);
  if (e) {
    fit(s);
    struct table* t = &s->tables[s->tables[1].size != 0];
    struct entry** at = slot(t, k->hash);
    e->next = *at;
    e->value = v;
    e->hash = k->hash;
    e->expires = 0;
    e->size = (uint32_t)k->text.size;
    memcpy(e->key, k->text.data, k->text.size);
    *at = e;
    t->used++;
  }
  return e;
}

struct value* entry_swap(struct entry* e, struct value* v) {
  struct value* old = e->value;
  e->value = v;
  return old;
}

void shard_empty(struct shard* s, struct table out[2]) {
  struct table fresh;
  out[0] = out[1] = (struct table){NULL, 0, 0};
  if (table_new(&fresh, SLOTS_MIN)) {
    memcpy(out, s->tables, sizeof s->tables);
    s->tables[0] = fresh;
    s->tables[1] = (struct table){NULL, 0, 0};
    s->moved = 0;
  } else { /* no memory for that: here and now, then */
    table_clear(&s->tables[0]);
    table_clear(&s->tables[1]);
  }
  s->due_used = 0;
}

/* ---- looking at all of them --------------------------------------------- */

static uint64_t reversed(uint64_t x) {
  x = x >> 32 | x << 32;
  x = (x >> 16 & 0x0000ffff0000ffffu) | (x & 0x0000ffff0000ffffu) << 16;
  x = (x >> 8 & 0x00ff00ff00ff00ffu) | (x & 0x00ff00ff00ff00ffu) << 8;
  x = (x >> 4 & 0x0f0f0f0f0f0f0f0fu) | (x & 0x0f0f0f0f0f0f0f0fu) << 4;
  x = (x >> 2 & 0x3333333333333333u) | (x & 0x3333333333333333u) << 2;
  return (x >> 1 & 0x5555555555555555u) | (x & 0x5555555555555555u) << 1;
}

/* The cursor after v in a table of `size`: counts from the highest bit down, so
 * that the slots into which a slot splits when the table grows come together. */
static uint64_t after(uint64_t v, size_t size) {
  return reversed(reversed(v | ~(uint64_t)(size - 1)) + 1);
}

static void see_slot(const struct table* t, uint64_t at, store_see see,
                     void* arg, int64_t now) {
  for (const struct entry* e = t->slots[at & (t->size - 1)]; e; e = e->next) {
    if (!e->expires || e->expires > now) {
      see(arg, e);
    }
  }
}

void shard_each(struct shard* s, int64_t now, store_see see, void* arg) {
  for (int i = 0; i < 2; i++) {
    for (size_t at = 0; at < s->tables[i].size; at++) {
      see_slot(&s->tables[i], at, see, arg, now);
    }
  }
}

static uint64_t shard_scan(struct shard* s, uint64_t v, store_see see,
                           void* arg) {
  int64_t now = now_ms();
  const struct table *small = &s->tables[0], *large = &s->tables[1];
  if (!large->size) {
    see_slot(small, v, see, arg, now);
    return after(v, small->size);
  }
  if (small->size > large->size) {
    small = large;
    large = &s->tables[0];
  }
  see_slot(small, v, see, arg, now);
  do { /* all slots of the large one that share the small one's bits */
    see_slot(large, v, see, arg, now);
    v = after(v, large->size);
  } while (v & ((small->size - 1) ^ (large->size - 1)));
  return v;
}

/* A cursor: the shard in the upper 16 bits, the slot in the lower 48. */
uint64_t store_scan(uint64_t cursor, store_see see, void* arg) {
  uint64_t number = cursor >> 48, v = cursor & ((1ULL << 48) - 1);
  if (number >= SHARDS) {
    return 0;
  }
  store_lock((uint64_t)1 << number);
  v = shard_scan(&shards[number], v, see, arg);
  store_unlock((uint64_t)1 << number);
  number += v == 0;
  return number < SHARDS ? number << 48 | v : 0;
}

struct store_counts store_count(void) {
  struct store_counts n = {0, 0, 0};
  for (unsigned i = 0; i < SHARDS; i++) {
    struct shard* s = &shards[i];
    store_lock((uint64_t)1 << i);
    n.keys += s->tables[0].used + s->tables[1].used;
    n.due += s->due_used;
    n.expired += s->expired;
    store_unlock((uint64_t)1 << i);
  }
  return n;
}

/* ---- start, upkeep, end ------------------------------------------------- */

int store_open(void) {
  uint64_t key[2];
  if (getrandom(key, sizeof key, 0) != (ssize_t)sizeof key) {
    return THRUM_EIO;
  }
  text_seed(key);
  for (unsigned i = 0; i < SHARDS; i++) {
    if (!table_new(&shards[i].tables[0], SLOTS_MIN)) {
      return THRUM_ENOMEM;
    }
  }
  return 0;
}

void store_close(void) {
  for (unsigned i = 0; i < SHARDS; i++) {
    table_free(&shards[i].tables[0]);
    table_free(&shards[i].tables[1]);
    thrum_free(shards[i].due);
  }
}

/* What has expired in one shard; 0: that was all. */
static int sweep_some(unsigned number) {
  struct shard* s = &shards[number];
  int n = 0;
  int64_t now = now_ms();
  store_lock((uint64_t)1 << number);
  while (n < SWEEP_BATCH && s->due_used && s->due[0]->expires <= now) {
    value_drop(shard_remove(s, s->due[0]));
    s->expired++;
    n++;
  }
  for (int i = 0; i < SWEEP_BATCH && s->tables[1].size; i++) {
    move_on(s);
  }
  store_unlock((uint64_t)1 << number);
  return n == SWEEP_BATCH;
}

void store_sweep(void* unused) {
  (void)unused;
  while (thrum_sleep(SWEEP_MS * 1000000LL) == 0) {
    for (unsigned i = 0; i < SHARDS; i++) {
      while (sweep_some(i) && thrum_yield() == 0) {}
    }
  }
}
