/* strings.c: commands on values.
 *
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "kv.h"

enum { VALUE_MAX = 512 * 1024 * 1024, APPEND_AHEAD = 1024 * 1024 };

static void no_memory(struct client* c) {
  reply_error(c, "OOM no memory for that");
}

static struct value* value_of(struct slice s) {
  struct value* v = value_new(s.size, s.size);
  if (v) {
    memcpy(v->data, s.data, s.size);
  }
  return v;
}

static void note_set(struct shard* s, const struct entry* e, struct slice key) {
  char digits[INT_TEXT_MAX];
  struct slice words[5] = {
      slice_of("SET"), key, {e->value->data, e->value->size}};
  if (e->expires) {
    words[3] = slice_of("PXAT");
    words[4] = (struct slice){digits, text_of_int(digits, e->expires)};
  }
  note(s, words, e->expires ? 5 : 3);
}

/* ---- SET ---------------------------------------------------------------- */

struct how {
  int nx, xx, keep_ttl, get;
  int64_t expires;
};

/* When a time ends that is given in ms, or with `unit` 1000 in s, from `from` on. 0:
 * there is no such time, and it has been said. */
static int64_t end_of(struct client* c, struct slice text, int64_t unit,
                      int64_t from) {
  int64_t n = 0;
  if (!text_to_int(text, &n)) {
    reply_error(c, "ERR value is not an integer or out of range");
    return 0;
  }
  if (n <= 0 || n > (INT64_MAX - from) / unit) {
    reply_error(c, "ERR invalid expire time in '%s' command", c->last);
    return 0;
  }
  return n * unit + from;
}

static int set_options(struct client* c, struct how* how) {
  for (uint32_t i = 3; i < c->request.argc; i++) {
    struct slice word = arg(c, i);
    int ex = text_is(word, "EX"), exat = text_is(word, "EXAT");
    if (text_is(word, "NX")) {
      how->nx = 1;
    } else if (text_is(word, "XX")) {
      how->xx = 1;
    } else if (text_is(word, "GET")) {
      how->get = 1;
    } else if (text_is(word, "KEEPTTL")) {
      how->keep_ttl = 1;
    } else if ((ex || exat || text_is(word, "PX") || text_is(word, "PXAT")) &&
               i + 1 < c->request.argc && !how->expires) {
      how->expires = end_of(c, arg(c, ++i), ex || exat ? 1000 : 1,
                            ex || text_is(word, "PX") ? now_ms() : 0);
      if (!how->expires) {
        return 0;
      }
    } else {
      reply_error(c, "ERR syntax error");
      return 0;
    }
  }
  if ((how->nx && how->xx) || (how->keep_ttl && how->expires)) {
    reply_error(c, "ERR syntax error");
    return 0;
  }
  return 1;
}

enum set_result { SET_DONE, SET_NOT, SET_NO_MEMORY };

/* *old: what was there, if asked for; the caller's. */
static enum set_result set(struct client* c, struct slice name,
                           struct slice text, const struct how* how,
                           struct value** old) {
  enum set_result result = SET_NOT;
  struct key k = key_of(name);
  struct value *v = value_of(text), *drop = v;
  if (!v) {
    return SET_NO_MEMORY;
  }
  struct shard* s = lock_key(&k);
  struct entry* e = shard_find(s, &k);
  if (e && old) {
    *old = value_hold(e->value);
  }
  if (e ? !how->nx : !how->xx) {
    struct entry* there = e;
    e = e ? e : shard_add(s, &k, v);
    if (!e || !shard_expire(s, e, how->keep_ttl ? e->expires : how->expires)) {
      result = SET_NO_MEMORY;
      drop = e && !there ? shard_remove(s, e) : v;
    } else {
      drop = there ? entry_swap(e, v) : NULL;
      result = SET_DONE;
      note_set(s, e, name);
    }
  }
  unlock_key(c, s, &k);
  value_drop(drop);
  return result;
}

void cmd_set(struct client* c) {
  struct how how = {0, 0, 0, 0, 0};
  struct value* old = NULL;
  if (c->request.argc > 3 && !set_options(c, &how)) {
    return;
  }
  enum set_result got =
      set(c, arg(c, 1), arg(c, 2), &how, how.get ? &old : NULL);
  if (got == SET_NO_MEMORY) {
    value_drop(old);
    no_memory(c);
  } else if (how.get) {
    reply_value(c, old);
  } else if (got == SET_DONE) {
    reply_raw(c, "+OK\r\n", 5);
  } else {
    reply_null(c);
  }
}

void cmd_setnx(struct client* c) {
  struct how how = {1, 0, 0, 0, 0};
  enum set_result got = set(c, arg(c, 1), arg(c, 2), &how, NULL);
  if (got == SET_NO_MEMORY) {
    no_memory(c);
  } else {
    reply_int(c, got == SET_DONE);
  }
}

void cmd_getset(struct client* c) {
  struct how how = {0, 0, 0, 1, 0};
  struct value* old = NULL;
  if (set(c, arg(c, 1), arg(c, 2), &how, &old) == SET_NO_MEMORY) {
    value_drop(old);
    no_memory(c);
  } else {
    reply_value(c, old);
  }
}

static void set_for(struct client* c, int64_t unit) {
  struct how how = {0, 0, 0, 0, end_of(c, arg(c, 2), unit, now_ms())};
  if (how.expires) {
    if (set(c, arg(c, 1), arg(c, 3), &how, NULL) == SET_DONE) {
      reply_text(c, "+OK");
    } else {
      no_memory(c);
    }
  }
}

void cmd_setex(struct client* c) { set_for(c, 1000); }
void cmd_psetex(struct client* c) { set_for(c, 1); }

/* ---- one value ---------------------------------------------------------- */

void cmd_get(struct client* c) {
  struct key k = key_of(arg(c, 1));
  struct shard* s = lock_key(&k);
  const struct entry* e = shard_find(s, &k);
  struct value* v = e ? value_hold(e->value) : NULL;
  unlock_key(c, s, &k);
  reply_value(c, v);
}

void cmd_strlen(struct client* c) {
  struct key k = key_of(arg(c, 1));
  struct shard* s = lock_key(&k);
  const struct entry* e = shard_find(s, &k);
  int64_t n = e ? e->value->size : 0;
  unlock_key(c, s, &k);
  reply_int(c, n);
}

/* Gives e's value room for n bytes that nobody else sees: its own if they are no
 * others', else a copy. 0: no memory. */
static int own_value(struct entry* e, size_t n, size_t ahead) {
  struct value* old = e->value;
  if (__atomic_load_n(&old->refs, __ATOMIC_ACQUIRE) == 1 && old->room >= n) {
    return 1;
  }
  struct value* v = value_new(old->size, n + ahead);
  if (v) {
    memcpy(v->data, old->data, old->size < n ? old->size : n);
    value_drop(entry_swap(e, v));
  }
  return v != NULL;
}

void cmd_append(struct client* c) {
  struct slice name = arg(c, 1), more = arg(c, 2);
  struct key k = key_of(name);
  const char* wrong = NULL;
  size_t n = more.size;
  struct value* fresh = NULL;
  struct shard* s = lock_key(&k);
  struct entry* e = shard_find(s, &k);
  if (!e) {
    fresh = value_of(more);
    e = fresh ? shard_add(s, &k, fresh) : NULL;
    if (e) {
      fresh = NULL;
      note_set(s, e, name);
    } else {
      wrong = "OOM no memory for that";
    }
  } else if ((n += e->value->size) > VALUE_MAX) {
    wrong = "ERR string exceeds maximum allowed size (512MB)";
  } else if (!own_value(e, n, n < APPEND_AHEAD ? n : APPEND_AHEAD)) {
    wrong = "OOM no memory for that";
  } else {
    struct slice words[3] = {slice_of("APPEND"), name, more};
    memcpy(e->value->data + e->value->size, more.data, more.size);
    e->value->size = (uint32_t)n;
    note(s, words, 3);
  }
  unlock_key(c, s, &k);
  value_drop(fresh);
  if (wrong) {
    reply_error(c, "%s", wrong);
  } else {
    reply_int(c, (int64_t)n);
  }
}

/* ---- numbers ------------------------------------------------------------ */

static void add(struct client* c, int64_t by) {
  struct key k = key_of(arg(c, 1));
  const char* wrong = NULL;
  int64_t n = 0;
  struct shard* s = lock_key(&k);
  struct entry* e = shard_find(s, &k);
  if (e && !text_to_int((struct slice){e->value->data, e->value->size}, &n)) {
    wrong = "ERR value is not an integer or out of range";
  } else if (__builtin_add_overflow(n, by, &n)) {
    wrong = "ERR increment or decrement would overflow";
  } else {
    struct value* fresh = e ? NULL : value_new(0, INT_TEXT_MAX);
    int good = e ? own_value(e, INT_TEXT_MAX, 0)
                 : fresh && (e = shard_add(s, &k, fresh)) != NULL;
    if (good) {
      e->value->size = (uint32_t)text_of_int(e->value->data, n);
      note_set(s, e, k.text);
    } else {
      value_drop(fresh);
      wrong = "OOM no memory for that";
    }
  }
  unlock_key(c, s, &k);
  if (wrong) {
    reply_error(c, "%s", wrong);
  } else {
    reply_int(c, n);
  }
}

static void add_given(struct client* c, int minus) {
  int64_t by = 0;
  if (!text_to_int(arg(c, 2), &by)) {
    reply_error(c, "ERR value is not an integer or out of range");
  } else if (minus && by == INT64_MIN) {
    reply_error(c, "ERR decrement would overflow");
  } else {
    add(c, minus ? -by : by);
  }
}

void cmd_incr(struct client* c) { add(c, 1); }
void cmd_decr(struct client* c) { add(c, -1); }
void cmd_incrby(struct client* c) { add_given(c, 0); }
void cmd_decrby(struct client* c) { add_given(c, 1); }

/* ---- several ------------------------------------------------------------ */

struct key* keys_of(struct client* c, uint32_t step, struct key few[KEYS_FEW],
                    uint32_t* n, uint64_t* shards) {
  *n = (c->request.argc - 1) / step;
  struct key* keys = *n <= KEYS_FEW ? few : malloc(*n * sizeof *keys);
  *shards = 0;
  if (!keys) {
    no_memory(c);
    return NULL;
  }
  for (uint32_t i = 0; i < *n; i++) {
    keys[i] = key_of(arg(c, 1 + i * step));
    *shards |= shard_bit(keys[i].hash);
  }
  return keys;
}

void unlock_keys(struct client* c, uint64_t shards) {
  for (uint64_t left = shards; left; left &= left - 1) {
    uint64_t logged = store_shard((unsigned)__builtin_ctzll(left))->logged;
    c->seen = logged > c->seen ? logged : c->seen;
  }
  store_unlock(shards);
}

/* All as they are at one moment. */
void cmd_mget(struct client* c) {
  struct key few[KEYS_FEW];
  uint32_t n;
  uint64_t shards;
  struct key* keys = keys_of(c, 1, few, &n, &shards);
  struct value** values = keys ? malloc(n * sizeof *values) : NULL;
  if (keys && !values) {
    no_memory(c);
  }
  if (values) {
    store_lock(shards);
    for (uint32_t i = 0; i < n; i++) {
      const struct entry* e =
          shard_find(store_shard(shard_number(keys[i].hash)), &keys[i]);
      values[i] = e ? value_hold(e->value) : NULL;
    }
    unlock_keys(c, shards);
    reply_array(c, n);
    for (uint32_t i = 0; i < n; i++) {
      reply_value(c, values[i]);
    }
  }
  free(values);
  if (keys != few) {
    free(keys);
  }
}

/* Puts one pair in; *value becomes what is to be dropped later. 0: no memory. */
static int put(const struct key* k, struct value** value) {
  struct shard* s = store_shard(shard_number(k->hash));
  struct entry* e = shard_find(s, k);
  if (e) {
    shard_expire(s, e, 0);
    *value = entry_swap(e, *value);
    return 1;
  }
  if (!shard_add(s, k, *value)) {
    return 0;
  }
  *value = NULL;
  return 1;
}

/* All at one moment, and one record in the log. */
void cmd_mset(struct client* c) {
  struct key few[KEYS_FEW];
  uint32_t n, made = 0, done = 0, words = c->request.argc;
  uint64_t shards;
  if (words % 2 == 0) {
    reply_error(c, "ERR wrong number of arguments for 'mset' command");
    return;
  }
  struct key* keys = keys_of(c, 2, few, &n, &shards);
  if (!keys) {
    return;
  }
  struct value** values = malloc(n * sizeof *values);
  struct slice* record = malloc(words * sizeof *record);
  while (values && record && made < n &&
         (values[made] = value_of(arg(c, 2 + 2 * made)))) {
    made++;
  }
  if (made == n) {
    for (uint32_t i = 0; i < words; i++) {
      record[i] = arg(c, i);
    }
    record[0] = slice_of("MSET");
    store_lock(shards);
    while (done < n && put(&keys[done], &values[done])) {
      done++;
    }
    uint64_t position = done > 0 ? log_add(record, 1 + 2 * done) : 0;
    for (uint64_t left = position ? shards : 0; left; left &= left - 1) {
      store_shard((unsigned)__builtin_ctzll(left))->logged = position;
    }
    unlock_keys(c, shards);
  }
  if (done == n) {
    reply_text(c, "+OK");
  } else {
    no_memory(c);
  }
  for (uint32_t i = 0; i < made; i++) {
    value_drop(values[i]);
  }
  free(values);
  free(record);
  if (keys != few) {
    free(keys);
  }
}
