/* keys.c: commands on keys: whether they are there, for how long, which ones.
 *
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "kv.h"

/* ---- some of them ------------------------------------------------------- */

void cmd_del(struct client* c) {
  struct key few[KEYS_FEW];
  uint32_t n, gone = 0;
  uint64_t shards;
  struct key* keys = keys_of(c, 1, few, &n, &shards);
  struct slice two[2], *words = n < 2 ? two : malloc((n + 1) * sizeof *words);
  if (keys && words) {
    words[0] = slice_of("DEL");
    store_lock(shards);
    uint64_t position = 0;
    for (uint32_t i = 0; i < n; i++) {
      struct shard* s = store_shard(shard_number(keys[i].hash));
      struct entry* e = shard_find(s, &keys[i]);
      if (e) {
        value_drop(shard_remove(s, e));
        words[++gone] = keys[i].text;
      }
    }
    position = gone > 0 ? log_add(words, gone + 1) : 0;
    for (uint64_t left = position ? shards : 0; left; left &= left - 1) {
      store_shard((unsigned)__builtin_ctzll(left))->logged = position;
    }
    unlock_keys(c, shards);
    reply_int(c, gone);
  } else if (keys) {
    reply_error(c, "OOM no memory for that");
  }
  if (words != two) {
    free(words);
  }
  if (keys != few) {
    free(keys);
  }
}

void cmd_exists(struct client* c) {
  struct key few[KEYS_FEW];
  uint32_t n, there = 0;
  uint64_t shards;
  struct key* keys = keys_of(c, 1, few, &n, &shards);
  if (!keys) {
    return;
  }
  store_lock(shards);
  for (uint32_t i = 0; i < n; i++) {
    there +=
        shard_find(store_shard(shard_number(keys[i].hash)), &keys[i]) != NULL;
  }
  unlock_keys(c, shards);
  reply_int(c, there);
  if (keys != few) {
    free(keys);
  }
}

void cmd_type(struct client* c) {
  struct key k = key_of(arg(c, 1));
  struct shard* s = lock_key(&k);
  int there = shard_find(s, &k) != NULL;
  unlock_key(c, s, &k);
  reply_text(c, there ? "+string" : "+none");
}

/* ---- for how long ------------------------------------------------------- */

static void expire(struct client* c, int64_t unit, int64_t from) {
  struct key k = key_of(arg(c, 1));
  char digits[INT_TEXT_MAX];
  struct slice words[3] = {slice_of("PEXPIREAT"), k.text, {digits, 0}};
  int64_t at = 0, most = (INT64_MAX - from) / unit;
  if (!text_to_int(arg(c, 2), &at)) {
    reply_error(c, "ERR value is not an integer or out of range");
    return;
  }
  if (at > most || at < -most) {
    reply_error(c, "ERR invalid expire time in '%s' command", c->last);
    return;
  }
  at = at * unit + from;
  words[2].size = text_of_int(digits, at);
  int good = 1;
  struct value* gone = NULL;
  struct shard* s = lock_key(&k);
  struct entry* e = shard_find(s, &k);
  if (e && at <= now_ms()) {
    words[0] = slice_of("DEL");
    gone = shard_remove(s, e);
    note(s, words, 2);
  } else if (e && (good = shard_expire(s, e, at))) {
    note(s, words, 3);
  }
  unlock_key(c, s, &k);
  value_drop(gone);
  if (good) {
    reply_int(c, e != NULL);
  } else {
    reply_error(c, "OOM no memory for that");
  }
}

void cmd_expire(struct client* c) { expire(c, 1000, now_ms()); }
void cmd_pexpire(struct client* c) { expire(c, 1, now_ms()); }
void cmd_expireat(struct client* c) { expire(c, 1000, 0); }
void cmd_pexpireat(struct client* c) { expire(c, 1, 0); }

void cmd_persist(struct client* c) {
  struct key k = key_of(arg(c, 1));
  struct slice words[2] = {slice_of("PERSIST"), k.text};
  struct shard* s = lock_key(&k);
  struct entry* e = shard_find(s, &k);
  int had = e && e->expires;
  if (had) {
    shard_expire(s, e, 0);
    note(s, words, 2);
  }
  unlock_key(c, s, &k);
  reply_int(c, had);
}

static void ttl(struct client* c, int64_t unit) {
  struct key k = key_of(arg(c, 1));
  struct shard* s = lock_key(&k);
  const struct entry* e = shard_find(s, &k);
  int64_t left = !e ? -2 : !e->expires ? -1 : e->expires - now_ms();
  int lasts = e && e->expires;
  unlock_key(c, s, &k);
  left = lasts && left < 0 ? 0 : left;
  reply_int(c, lasts ? (left + unit / 2) / unit : left);
}

void cmd_ttl(struct client* c) { ttl(c, 1000); }
void cmd_pttl(struct client* c) { ttl(c, 1); }

/* ---- which ones --------------------------------------------------------- */

/* Keys that match, copied while their shard is locked: size and bytes of each. */
struct found {
  const struct slice* pattern;
  char* data;
  size_t used, room;
  uint64_t seen, n;
  int no_memory;
};

static void find(void* found, const struct entry* e) {
  struct found* f = found;
  struct slice key = {e->key, e->size};
  f->seen++;
  if (f->pattern && !text_match(*f->pattern, key)) {
    return;
  }
  size_t need = f->used + sizeof key.size + key.size;
  if (need > f->room) {
    char* more = realloc(f->data, 2 * need);
    if (!more) {
      f->no_memory = 1;
      return;
    }
    f->data = more;
    f->room = 2 * need;
  }
  memcpy(f->data + f->used, &key.size, sizeof key.size);
  memcpy(f->data + f->used + sizeof key.size, key.data, key.size);
  f->used = need;
  f->n++;
}

static void reply_found(struct client* c, const struct found* f) {
  reply_array(c, f->n);
  for (size_t at = 0, size; at < f->used; at += sizeof size + size) {
    memcpy(&size, f->data + at, sizeof size);
    reply_bulk(c, (struct slice){f->data + at + sizeof size, size});
  }
}

void cmd_keys(struct client* c) {
  struct slice pattern = arg(c, 1);
  struct found f = {.pattern = &pattern};
  int64_t now = now_ms();
  for (unsigned i = 0; i < SHARDS; i++) {
    store_lock((uint64_t)1 << i);
    shard_each(store_shard(i), now, find, &f);
    unlock_keys(c, (uint64_t)1 << i);
    thrum_check();
  }
  if (f.no_memory) {
    reply_error(c, "OOM no memory for that");
  } else {
    reply_found(c, &f);
  }
  free(f.data);
}

static int scan_options(struct client* c, struct slice* pattern, int* has,
                        int64_t* count) {
  for (uint32_t i = 2; i < c->request.argc; i += 2) {
    struct slice word = arg(c, i);
    if (i + 1 == c->request.argc) {
      return 0;
    }
    if (text_is(word, "MATCH")) {
      *pattern = arg(c, i + 1);
      *has = 1;
    } else if (text_is(word, "TYPE")) {
      if (!text_is(arg(c, i + 1), "string")) {
        *pattern = slice_of("");
        *has = 2; /* there are no others */
      }
    } else if (!text_is(word, "COUNT") || !text_to_int(arg(c, i + 1), count) ||
               *count < 1) {
      return 0;
    }
  }
  return 1;
}

static int cursor_of(struct slice s, uint64_t* out) {
  uint64_t n = 0;
  for (size_t i = 0; i < s.size; i++) {
    unsigned digit = (unsigned char)s.data[i] - '0';
    if (digit > 9 || s.size > 19) {
      return 0;
    }
    n = n * 10 + digit;
  }
  *out = n;
  return s.size > 0;
}

void cmd_scan(struct client* c) {
  struct slice pattern = {NULL, 0};
  int has = 0;
  int64_t count = 10;
  uint64_t cursor = 0;
  if (!cursor_of(arg(c, 1), &cursor)) {
    reply_error(c, "ERR invalid cursor");
    return;
  }
  if (!scan_options(c, &pattern, &has, &count)) {
    reply_error(c, "ERR syntax error");
    return;
  }
  struct found f = {.pattern = has ? &pattern : NULL};
  int64_t slots = count < INT64_MAX / 10 ? 10 * count : count;
  do { /* empty slots count a little, so that no call takes long */
    cursor = store_scan(cursor, find, &f);
  } while (cursor && f.seen < (uint64_t)count && --slots > 0);
  if (f.no_memory) {
    reply_error(c, "OOM no memory for that");
  } else {
    char digits[INT_TEXT_MAX];
    size_t n = text_of_int(digits, (int64_t)cursor);
    reply_array(c, 2);
    reply_bulk(c, (struct slice){digits, n});
    if (has == 2) {
      f.n = f.used = 0;
    }
    reply_found(c, &f);
  }
  free(f.data);
}

void cmd_dbsize(struct client* c) { reply_int(c, (int64_t)store_count().keys); }

/* All at one moment; the memory goes when nobody has to wait for it. */
void cmd_flushall(struct client* c) {
  struct slice word = slice_of("FLUSHALL");
  struct table(*old)[2] = malloc(SHARDS * sizeof *old);
  if (!old) {
    reply_error(c, "OOM no memory for that");
    return;
  }
  store_lock(STORE_ALL);
  uint64_t position = log_add(&word, 1);
  for (unsigned i = 0; i < SHARDS; i++) {
    struct shard* s = store_shard(i);
    shard_empty(s, old[i]);
    s->logged = position ? position : s->logged;
  }
  unlock_keys(c, STORE_ALL);
  for (unsigned i = 0; i < SHARDS; i++) {
    table_free(&old[i][0]);
    table_free(&old[i][1]);
    thrum_check();
  }
  free(old);
  reply_text(c, "+OK");
}
