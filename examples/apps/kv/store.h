/* store.h: keys, values and when they expire, in 64 shards.
 *
 * A shard is locked by its mutex, several in ascending order. Everything below
 * that takes a shard or an entry wants that shard locked. Nobody writes to a
 * socket or waits for the log with a shard locked: who wants a value for longer
 * takes a reference, and only while it has the only one does the table change a
 * value in place.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KV_STORE_H
#define KV_STORE_H

#include <stdint.h>
#include <thrum/thrum.h>

#include "text.h"

enum { SHARDS = 64 }; /* as many as a uint64_t has bits: see store_lock */

/* A value: made by value_new with one reference, never changed while there is
 * a second one. */
struct value {
  uint32_t refs;
  uint32_t size, room;
  char data[];
};

struct value* value_new(size_t size, size_t room); /* NULL: no memory */
static inline struct value* value_hold(struct value* v) {
  __atomic_fetch_add(&v->refs, 1, __ATOMIC_RELAXED);
  return v;
}
void value_drop(struct value* v); /* NULL: nothing */

struct key {
  struct slice text;
  uint64_t hash;
};

static inline struct key key_of(struct slice text) {
  struct key k = {text, text_hash(text)};
  return k;
}

struct entry {
  struct entry* next;
  struct value* value;
  uint64_t hash;
  int64_t expires; /* ms since 1970; 0: never */
  uint32_t due_at; /* its place in the shard's heap, if it expires */
  uint32_t size;
  char key[];
};

struct table {
  struct entry** slots;
  size_t size; /* a power of two, or 0 */
  size_t used;
};

struct shard {
  thrum_mutex lock;
  /* The second is there while the first is moved to it, some slots at each call,
   * so that no call waits for all of them. */
  struct table tables[2];
  size_t moved;
  /* Those that expire, the next one first: a binary heap. */
  struct entry** due;
  uint32_t due_used, due_room;
  uint64_t logged;  /* where the log stands with the last change in here */
  uint64_t expired; /* how many have */
} __attribute__((aligned(128)));

/* Before the first use, and after the last. */
int store_open(void); /* below 0: an error of thrum's */
void store_close(void);

static inline unsigned shard_number(uint64_t hash) {
  return (unsigned)(hash >> 58);
}
static inline uint64_t shard_bit(uint64_t hash) {
  return (uint64_t)1 << shard_number(hash);
}
struct shard* store_shard(unsigned number);

/* Locks every shard whose bit is set. */
#define STORE_ALL UINT64_MAX
void store_lock(uint64_t shards);
void store_unlock(uint64_t shards);

/* NULL: it is not there, or has expired. */
struct entry* shard_find(struct shard* s, const struct key* k);
/* Makes one that is not there, with a value that it takes. NULL: no memory. */
struct entry* shard_add(struct shard* s, const struct key* k, struct value* v);
/* Puts in another value, and returns the one that was there, to be dropped when
 * the shard is unlocked. */
struct value* entry_swap(struct entry* e, struct value* v);
/* When it expires, 0: never; 0 if there is no memory to note that. */
int shard_expire(struct shard* s, struct entry* e, int64_t at);
/* Takes it away; its value is the caller's. */
struct value* shard_remove(struct shard* s, struct entry* e);
/* Takes all away; to be freed with table_free when nothing is locked. */
void shard_empty(struct shard* s, struct table out[2]);
void table_free(struct table* t);

/* Shows all that have not expired by `now`. */
typedef void (*store_see)(void* arg, const struct entry* e);
void shard_each(struct shard* s, int64_t now, store_see see, void* arg);

/* Goes through some slots from a cursor on (0: the first) and returns the next, 0:
 * that was all. Whoever is there from the first call to the last is seen at least
 * once, though the table grows or shrinks meanwhile. Locks by itself. */
uint64_t store_scan(uint64_t cursor, store_see see, void* arg);

/* The G that removes what has expired, until it is cancelled. */
void store_sweep(void* unused);

/* While the log is replayed nothing expires: what it says is about then. */
extern int store_replays;

struct store_counts {
  uint64_t keys, due, expired;
};
struct store_counts store_count(void);
int64_t now_ms(void);

#endif
