/* replay.c: from the log's bytes to the store.
 *
 * A process that was killed leaves at most one record without its end, and a
 * machine that lost its power perhaps a tail of zeroes: those are cut off. What
 * else does not parse is damage, and not for a program to decide about.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"
#include "resp.h"

enum { CHUNK = 1024 * 1024 };

struct source {
  int fd;
  const char* path;
  char* data;
  size_t used, room;
  int64_t at; /* of data[0] in the file */
};

/* ---- records ------------------------------------------------------------ */

struct record {
  struct slice* words;
  uint32_t n;
};

static int set(struct slice key, struct slice text, int64_t expires) {
  struct key k = key_of(key);
  struct shard* s = store_shard(shard_number(k.hash));
  struct value* v = value_new(text.size, text.size);
  if (!v) {
    return 0;
  }
  memcpy(v->data, text.data, text.size);
  struct entry* e = shard_find(s, &k);
  if (e) {
    value_drop(entry_swap(e, v));
  } else if (!(e = shard_add(s, &k, v))) {
    return 0;
  }
  return shard_expire(s, e, expires);
}

static int append(struct slice key, struct slice text) {
  struct key k = key_of(key);
  struct entry* e = shard_find(store_shard(shard_number(k.hash)), &k);
  if (!e) {
    return set(key, text, 0);
  }
  struct value *old = e->value,
               *v = value_new(old->size + text.size, old->size + text.size);
  if (v) {
    memcpy(v->data, old->data, old->size);
    memcpy(v->data + old->size, text.data, text.size);
    value_drop(entry_swap(e, v));
  }
  return v != NULL;
}

static void del(struct slice key) {
  struct key k = key_of(key);
  struct shard* s = store_shard(shard_number(k.hash));
  struct entry* e = shard_find(s, &k);
  if (e) {
    value_drop(shard_remove(s, e));
  }
}

static int expire(struct slice key, int64_t at) {
  struct key k = key_of(key);
  struct shard* s = store_shard(shard_number(k.hash));
  struct entry* e = shard_find(s, &k);
  return !e || shard_expire(s, e, at);
}

static void flush(void) {
  for (unsigned i = 0; i < SHARDS; i++) {
    struct table old[2];
    shard_empty(store_shard(i), old);
    table_free(&old[0]);
    table_free(&old[1]);
  }
}

/* Returns what is wrong, NULL: nothing. */
static const char* apply(const struct record* r) {
  static const char no_memory[] = "no memory for its keys";
  const struct slice* w = r->words;
  int64_t at = 0;
  if (r->n == 3 && text_is(w[0], "SET")) {
    return set(w[1], w[2], 0) ? NULL : no_memory;
  }
  if (r->n == 5 && text_is(w[0], "SET") && text_is(w[3], "PXAT") &&
      text_to_int(w[4], &at)) {
    return set(w[1], w[2], at) ? NULL : no_memory;
  }
  if (r->n >= 3 && r->n % 2 == 1 && text_is(w[0], "MSET")) {
    for (uint32_t i = 1; i < r->n; i += 2) {
      if (!set(w[i], w[i + 1], 0)) {
        return no_memory;
      }
    }
    return NULL;
  }
  if (r->n >= 2 && text_is(w[0], "DEL")) {
    for (uint32_t i = 1; i < r->n; i++) {
      del(w[i]);
    }
    return NULL;
  }
  if (r->n == 3 && text_is(w[0], "APPEND")) {
    return append(w[1], w[2]) ? NULL : no_memory;
  }
  if (r->n == 3 && text_is(w[0], "PEXPIREAT") && text_to_int(w[2], &at)) {
    return expire(w[1], at) ? NULL : no_memory;
  }
  if (r->n == 2 && text_is(w[0], "PERSIST")) {
    return expire(w[1], 0) ? NULL : no_memory;
  }
  if (r->n == 1 && text_is(w[0], "FLUSHALL")) {
    flush();
    return NULL;
  }
  return "a record that kv does not write";
}

/* ---- the file ----------------------------------------------------------- */

/* Reads on: bytes, 0 at the end, below 0: has said why not. */
static ssize_t more(struct source* f) {
  if (f->room - f->used < CHUNK) {
    char* data = realloc(f->data, f->room ? 2 * f->room : 2 * CHUNK);
    if (!data) {
      fprintf(stderr, "kv: %s: no memory to read it\n", f->path);
      return -1;
    }
    f->data = data;
    f->room = f->room ? 2 * f->room : 2 * CHUNK;
  }
  ssize_t n;
  do {
    n = read(f->fd, f->data + f->used, f->room - f->used);
  } while (n < 0 && errno == EINTR);
  if (n < 0) {
    fprintf(stderr, "kv: cannot read the log %s: %s\n", f->path,
            strerror(errno));
  }
  f->used += n > 0 ? (size_t)n : 0;
  return n;
}

/* Are there only zeroes from `from` to the end of the file? */
static int only_zeroes(struct source* f, size_t from) {
  ssize_t n = 1;
  do {
    for (; from < f->used; from++) {
      if (f->data[from]) {
        return 0;
      }
    }
    f->at += (int64_t)f->used;
    f->used = from = 0;
    n = more(f);
  } while (n > 0);
  return n == 0;
}

/* The last good byte is the one before `end`; returns end, or -1. */
static int64_t cut(const struct source* f, int64_t end, int64_t size) {
  if (size > end) {
    fprintf(stderr,
            "kv: %s: the last %" PRId64 " bytes are no whole record (a crash "
            "leaves such): cut off, the rest is kept\n",
            f->path, size - end);
    if (ftruncate(f->fd, end) != 0) {
      fprintf(stderr, "kv: cannot cut the log %s: %s\n", f->path,
              strerror(errno));
      return -1;
    }
  }
  return end;
}

static int64_t damaged(const struct source* f, int64_t at, const char* why) {
  fprintf(stderr,
          "kv: the log %s is damaged at byte %" PRId64
          ": %s; keep a copy, then "
          "`truncate -s %" PRId64 " %s` keeps what stands before\n",
          f->path, at, why, at, f->path);
  return -1;
}

/* One record that is all there; NULL: done. */
static const char* take(const struct resp* r, const char* base) {
  struct slice few[RESP_ARGS_FEW];
  struct record record = {few, r->argc};
  if (r->argc > RESP_ARGS_FEW) {
    record.words = malloc(r->argc * sizeof *record.words);
    if (!record.words) {
      return "no memory for its words";
    }
  }
  for (uint32_t i = 0; i < r->argc; i++) {
    const struct resp_arg* a = resp_args(r) + i;
    record.words[i] = (struct slice){base + a->at, a->size};
  }
  const char* why = apply(&record);
  if (record.words != few) {
    free(record.words);
  }
  return why;
}

static int64_t run(struct source* f) {
  struct resp r = {.max = INT32_MAX};
  char error[RESP_ERROR_MAX];
  size_t start = 0; /* of the record that comes */
  ssize_t n;
  while ((n = more(f)) > 0) {
    enum resp_result got;
    while ((got = start < f->used && f->data[start] != '*'
                      ? RESP_BAD
                      : resp_parse(&r, f->data + start, f->used - start,
                                   error)) == RESP_DONE) {
      const char* why = take(&r, f->data + start);
      if (why) {
        resp_reset(&r);
        return damaged(f, f->at + (int64_t)start, why);
      }
      start += r.size;
      resp_reset(&r);
    }
    int64_t end = f->at + (int64_t)start;
    if (got == RESP_BAD) {
      /* What a torn record has of its own stands before the zeroes. */
      size_t from = start + r.at + (r.bulk ? r.bulk - 1 : 0);
      for (int i = 0; i < 16 && from < f->used && f->data[from]; i++) {
        from++;
      }
      resp_reset(&r);
      return only_zeroes(f, from) ? cut(f, end, f->at)
                                  : damaged(f, end, "no record begins here");
    }
    memmove(f->data, f->data + start, f->used - start);
    f->used -= start;
    f->at = end;
    start = 0;
  }
  resp_reset(&r);
  return n < 0 ? -1 : cut(f, f->at, f->at + (int64_t)f->used);
}

int64_t replay(int fd, const char* path) {
  struct source f = {.fd = fd, .path = path};
  store_replays = 1;
  int64_t size = run(&f);
  store_replays = 0;
  free(f.data);
  return size;
}
