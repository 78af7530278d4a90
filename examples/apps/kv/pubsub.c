/* pubsub.c: who listens to what.
 *
 * A client that has ever listened has a box: a buffer that anybody may add to, and
 * a G that writes it out, also while the client's own G waits for requests. From
 * then on its own answers go through the box as well, so all keeps its order. Who
 * is further behind than options.output_max is shut out.
 *
 * The list of topics has one lock: for reading to publish, for writing to change
 * it. A box is locked after it, and for some copies only.
 *
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "kv.h"

enum { BOX_AHEAD = 64 * 1024 }; /* of its own answers; then a client waits */

struct box {
  thrum_mutex lock;
  thrum_cond filled, room;
  thrum_conn* conn;
  thrum_g writer;
  char* data;
  size_t used, size;
  char push;  /* how a message begins: '>' in RESP3, '*' in RESP2 */
  int closed; /* to be written out and no more */
  int broken; /* nothing can be written */
};

struct topic {
  struct topic* next;
  struct client** listeners;
  uint32_t used, room;
  int is_pattern;
  uint64_t hash;
  uint32_t size;
  char name[];
};

static struct {
  thrum_rwmutex lock;
  struct topic** slots; /* of channels */
  size_t size, channels, patterns;
  struct topic* pattern; /* a list of them */
} hub;

/* ---- boxes -------------------------------------------------------------- */

/* Adds bytes, the lock held. `first`: what stands for the first byte, 0: itself. */
static void box_add(struct box* b, const char* data, size_t n, char first) {
  size_t size = b->size ? b->size : BUFFER_FIRST;
  while (size < b->used + n) {
    size *= 2;
  }
  if (!b->broken && size > b->size) {
    char* more =
        b->used + n > options.output_max ? NULL : thrum_realloc(b->data, size);
    if (more) {
      b->data = more;
      b->size = size;
    } else {
      b->broken = 1;
      thrum_conn_close(b->conn);
    }
  }
  if (!b->broken && n > 0) {
    memcpy(b->data + b->used, data, n);
    b->data[b->used] = first ? first : data[0];
    b->used += n;
  }
  thrum_cond_signal(&b->filled);
}

void box_post(struct client* c, int wait) {
  struct box* b = c->box;
  thrum_mutex_lock(&b->lock, THRUM_FOREVER);
  while (wait && b->used > BOX_AHEAD && !b->broken) {
    thrum_cond_wait(&b->room, &b->lock, THRUM_FOREVER);
  }
  b->push = c->resp3 ? '>' : '*';
  box_add(b, c->out, c->answered, 0);
  c->broken |= (uint8_t)b->broken;
  thrum_mutex_unlock(&b->lock);
  c->answered = 0;
}

static void box_main(void* box) {
  struct box* b = box;
  char* data = NULL;
  size_t size = 0, n;
  thrum_shield(+1);
  thrum_mutex_lock(&b->lock, THRUM_FOREVER);
  for (;;) {
    while (b->used == 0 && !b->closed && !b->broken) {
      thrum_free(data); /* waiting costs no buffer */
      data = NULL;
      size = 0;
      if (b->size) {
        thrum_free(b->data);
        b->data = NULL;
        b->size = 0;
      }
      thrum_cond_wait(&b->filled, &b->lock, THRUM_FOREVER);
    }
    if (b->broken || b->used == 0) {
      break;
    }
    char* full = b->data;
    size_t full_size = b->size;
    n = b->used;
    b->data = data;
    b->size = size;
    b->used = 0;
    data = full;
    size = full_size;
    thrum_cond_broadcast(&b->room);
    thrum_mutex_unlock(&b->lock);
    int good = write_all(b->conn, data, n);
    thrum_mutex_lock(&b->lock, THRUM_FOREVER);
    if (!good) {
      b->broken = 1;
      thrum_conn_close(b->conn); /* its reader ends, too */
    }
  }
  thrum_cond_broadcast(&b->room);
  thrum_mutex_unlock(&b->lock);
  thrum_free(data);
  thrum_shield(-1);
}

/* From here on all goes through its box. 0: it has none. */
static int box_open(struct client* c) {
  if (c->box) {
    return 1;
  }
  client_flush(c);
  struct box* b = thrum_calloc(1, sizeof *b);
  if (!b) {
    return 0;
  }
  b->conn = c->conn;
  b->push = c->resp3 ? '>' : '*';
  if (thrum_spawn(NULL, NULL, box_main, b, &b->writer) < 0) {
    thrum_free(b);
    return 0;
  }
  c->box = b;
  return 1;
}

/* ---- topics ------------------------------------------------------------- */

static struct topic** place(struct slice name, uint64_t hash, int is_pattern) {
  struct topic** at =
      is_pattern ? &hub.pattern : &hub.slots[hash & (hub.size - 1)];
  while (*at && ((*at)->hash != hash || (*at)->size != name.size ||
                 memcmp((*at)->name, name.data, name.size) != 0)) {
    at = &(*at)->next;
  }
  return at;
}

static int hub_grow(void) {
  size_t size = hub.size ? 2 * hub.size : 64;
  struct topic** slots = calloc(size, sizeof(struct topic*));
  if (!slots) {
    return hub.size > 0;
  }
  for (size_t i = 0; i < hub.size; i++) {
    for (struct topic *t = hub.slots[i], *next; t; t = next) {
      next = t->next;
      t->next = slots[t->hash & (size - 1)];
      slots[t->hash & (size - 1)] = t;
    }
  }
  free(hub.slots);
  hub.slots = slots;
  hub.size = size;
  return 1;
}

static struct topic* topic_get(struct slice name, int is_pattern) {
  uint64_t hash = text_hash(name);
  if (!is_pattern && hub.channels >= hub.size && !hub_grow()) {
    return NULL;
  }
  struct topic** at = place(name, hash, is_pattern);
  if (!*at && (*at = calloc(1, sizeof **at + name.size))) {
    struct topic* t = *at;
    t->is_pattern = is_pattern;
    t->hash = hash;
    t->size = (uint32_t)name.size;
    memcpy(t->name, name.data, name.size);
    *(is_pattern ? &hub.patterns : &hub.channels) += 1;
  }
  return *at;
}

static void topic_drop_unheard(struct topic* t) {
  if (t->used == 0) {
    struct topic** at =
        place((struct slice){t->name, t->size}, t->hash, t->is_pattern);
    *at = t->next;
    *(t->is_pattern ? &hub.patterns : &hub.channels) -= 1;
    free(t->listeners);
    free(t);
  }
}

/* Makes room for one more in an array; 0: no memory. */
static int room_for(void** array, uint32_t used, uint32_t* room) {
  if (used == *room) {
    uint32_t size = *room ? 2 * *room : 4;
    void* more = realloc(*array, size * sizeof(void*));
    if (!more) {
      return 0;
    }
    *array = more;
    *room = size;
  }
  return 1;
}

static int listens(const struct client* c, const struct topic* t) {
  uint32_t i = 0;
  while (i < c->topics_used && c->topics[i] != t) {
    i++;
  }
  return i < c->topics_used;
}

static int listen_to(struct client* c, struct topic* t) {
  if (listens(c, t)) {
    return 1;
  }
  void *mine = c->topics, *its = t->listeners;
  int good = room_for(&mine, c->topics_used, &c->topics_room) &&
             room_for(&its, t->used, &t->room);
  c->topics = mine;
  t->listeners = its;
  if (good) {
    c->topics[c->topics_used++] = t;
    t->listeners[t->used++] = c;
    c->patterns += t->is_pattern != 0;
  }
  return good;
}

static void listen_no_more(struct client* c, struct topic* t) {
  uint32_t mine = 0, its = 0;
  while (c->topics[mine] != t) {
    mine++;
  }
  while (t->listeners[its] != c) {
    its++;
  }
  c->topics[mine] = c->topics[--c->topics_used];
  t->listeners[its] = t->listeners[--t->used];
  c->patterns -= t->is_pattern != 0;
  topic_drop_unheard(t);
}

/* ---- commands ----------------------------------------------------------- */

static void lock(void) { thrum_rwmutex_lock(&hub.lock, THRUM_FOREVER); }
static void unlock(void) { thrum_rwmutex_unlock(&hub.lock); }

/* Tells the client; under the hub's lock, so that no message comes before it. */
static void confirm(struct client* c, const char* what, struct slice* name) {
  reply_push(c, 3);
  reply_bulk(c, slice_of(what));
  if (name) {
    reply_bulk(c, *name);
  } else {
    reply_null(c);
  }
  reply_int(c, c->topics_used);
  if (c->box) {
    box_post(c, 0);
  }
}

static void subscribe(struct client* c, const char* what, int is_pattern) {
  if (!box_open(c)) {
    reply_error(c, "OOM no memory to listen");
    return;
  }
  client_flush(c);
  for (uint32_t i = 1; i < c->request.argc && !c->broken; i++) {
    struct slice name = arg(c, i);
    lock();
    struct topic* t = topic_get(name, is_pattern);
    if (t && listen_to(c, t)) {
      confirm(c, what, &name);
    } else {
      if (t) {
        topic_drop_unheard(t);
      }
      c->broken = 1;
    }
    unlock();
  }
}

static void unsubscribe(struct client* c, const char* what, int is_pattern) {
  int hears = c->box != NULL; /* else it needs no lock, and may wait */
  client_flush(c);
  if (hears) {
    lock();
  }
  for (uint32_t i = 1; i < c->request.argc; i++) {
    struct slice name = arg(c, i);
    struct topic* t =
        hears && hub.size ? *place(name, text_hash(name), is_pattern) : NULL;
    if (t && listens(c, t)) {
      listen_no_more(c, t);
    }
    confirm(c, what, &name);
  }
  if (c->request.argc == 1) {
    int none = 1;
    for (uint32_t i = c->topics_used; i-- > 0;) {
      struct topic* t = c->topics[i];
      if (t->is_pattern == is_pattern) {
        none = 0;
        char* copy = malloc(t->size + 1u);
        struct slice name = {copy, copy ? t->size : 0};
        if (copy) {
          memcpy(copy, t->name, t->size);
        }
        listen_no_more(c, t);
        confirm(c, what, &name);
        free(copy);
      }
    }
    if (none) {
      confirm(c, what, NULL);
    }
  }
  if (hears) {
    unlock();
  }
}

void cmd_subscribe(struct client* c) { subscribe(c, "subscribe", 0); }
void cmd_psubscribe(struct client* c) { subscribe(c, "psubscribe", 1); }
void cmd_unsubscribe(struct client* c) { unsubscribe(c, "unsubscribe", 0); }
void cmd_punsubscribe(struct client* c) { unsubscribe(c, "punsubscribe", 1); }

/* ---- messages ----------------------------------------------------------- */

static char* put_bulk(char* to, struct slice s) {
  *to++ = '$';
  to += text_of_int(to, (int64_t)s.size);
  memcpy(to, "\r\n", 2);
  memcpy(to + 2, s.data, s.size);
  memcpy(to + 2 + s.size, "\r\n", 2);
  return to + s.size + 4;
}

/* One copy for all who listen to t; its first byte is each listener's own. */
static uint64_t deliver(const struct topic* t, struct slice channel,
                        struct slice text) {
  size_t room = t->size + channel.size + text.size + 128;
  char* message = thrum_alloc(room);
  if (!message) {
    return 0;
  }
  char* to = message;
  memcpy(to, t->is_pattern ? "*4\r\n" : "*3\r\n", 4);
  to = put_bulk(to + 4, slice_of(t->is_pattern ? "pmessage" : "message"));
  if (t->is_pattern) {
    to = put_bulk(to, (struct slice){t->name, t->size});
  }
  to = put_bulk(put_bulk(to, channel), text);
  for (uint32_t i = 0; i < t->used; i++) {
    struct box* b = t->listeners[i]->box;
    thrum_mutex_lock(&b->lock, THRUM_FOREVER);
    box_add(b, message, (size_t)(to - message), b->push);
    thrum_mutex_unlock(&b->lock);
  }
  thrum_free(message);
  return t->used;
}

void cmd_publish(struct client* c) {
  struct slice channel = arg(c, 1), text = arg(c, 2);
  uint64_t heard = 0;
  thrum_rwmutex_rlock(&hub.lock, THRUM_FOREVER);
  const struct topic* t =
      hub.size ? *place(channel, text_hash(channel), 0) : NULL;
  heard += t ? deliver(t, channel, text) : 0;
  for (t = hub.pattern; t; t = t->next) {
    if (text_match((struct slice){t->name, t->size}, channel)) {
      heard += deliver(t, channel, text);
    }
  }
  thrum_rwmutex_runlock(&hub.lock);
  reply_int(c, (int64_t)heard);
}

/* ---- the end ------------------------------------------------------------ */

void pubsub_end(struct client* c) {
  struct box* b = c->box;
  if (!b) {
    return;
  }
  lock();
  while (c->topics_used > 0) {
    listen_no_more(c, c->topics[c->topics_used - 1]);
  }
  unlock();
  thrum_mutex_lock(&b->lock, THRUM_FOREVER);
  b->closed = 1;
  thrum_cond_signal(&b->filled);
  thrum_mutex_unlock(&b->lock);
  thrum_join(NULL, b->writer, THRUM_FOREVER);
  thrum_free(b->data);
  thrum_free(b);
  free(c->topics);
  c->box = NULL;
}

struct pubsub_counts pubsub_count(void) {
  thrum_rwmutex_rlock(&hub.lock, THRUM_FOREVER);
  struct pubsub_counts n = {hub.channels, hub.patterns};
  thrum_rwmutex_runlock(&hub.lock);
  return n;
}

void pubsub_close(void) { free(hub.slots); }
