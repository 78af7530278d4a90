/* kv.h: what the parts of kv share, and who owns it.
 *
 *   main.c     options, the runtime, the listener, signals, the graceful end
 *   conn.c     one G per connection: reads, parses, runs, answers in one write
 *   resp.c     the parser of requests; knows nothing of the rest
 *   reply.c    answers in RESP2 and RESP3, into the connection's buffer
 *   command.c  the table of commands, and those of the connection itself
 *   strings.c  commands on values; keys.c: on keys; admin.c: on the server
 *   pubsub.c   who listens to what; a G more for each who does
 *   store.c    keys and values in 64 shards, each with a lock; what expires
 *   log.c      the append-only log and its G; replay.c reads it at the start
 *   text.c     numbers, words, patterns and hashes of byte strings
 *
 * Who waits for whom: the G of a connection locks shards, then the log, each for
 * the length of some copies; with neither locked it waits for the log's fsync and
 * for its peer. Who publishes locks the list of listeners, then the mailbox of
 * each. So a peer that does not read keeps nobody waiting but itself.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KV_H
#define KV_H

#include <stddef.h>
#include <stdint.h>
#include <thrum/net.h>

#include "log.h"
#include "resp.h"
#include "store.h"
#include "text.h"

/* What bounds the memory. */
enum {
  BUFFER_FIRST = 1024,     /* on the stack, for most: requests, answers, */
  BUFFER_SIZE = 16 * 1024, /* and what a connection that needs more has */
  BUFFER_IDLE_MS = 1000,   /* until it has been idle for so long */
  WRITE_WHOLE = 8 * 1024,  /* larger values go out from where they are */
  WRITE_MAX_S = 60         /* a peer that takes nothing for so long is gone */
};

struct options {
  const char *host, *log;
  uint16_t port;
  uint32_t procs;
  uint32_t clients_max;
  uint32_t request_max; /* bytes of one request */
  uint32_t output_max;  /* bytes that a listener may be behind */
};
extern struct options options; /* constant once the first G runs */
extern thrum_rt* runtime;
extern int64_t server_started; /* thrum_now */

/* Whose commands and answers kv speaks. */
#define SPOKEN_VERSION "7.0.15"

struct box; /* pubsub.c: messages for one client, and the G that writes them */
struct topic; /* pubsub.c: a channel or a pattern that somebody listens to */

/* A connection. Its G makes, uses and frees it; what others may see, and how, is
 * said beside it. */
struct client {
  thrum_conn* conn;
  thrum_g g;                  /* whom the end cancels; under the list's lock */
  struct client *next, *prev; /* under the list's lock */
  char* name;                 /* as well; NULL: none */
  uint64_t id;
  int64_t born;      /* thrum_now */
  uint64_t commands; /* read by others: atomic */
  const char* last;  /* as well: the name of the last command */
  /* The request that comes: `used` bytes from `start` on. */
  struct resp request;
  char *in, *in_first;
  uint32_t start, used, in_room;
  /* The answers that have not gone out. */
  char *out, *out_first;
  size_t answered, out_room;
  uint64_t seen; /* where the log must stand before they may */
  uint8_t resp3;
  uint8_t ending; /* after this answer */
  uint8_t broken; /* nothing more can be written */
  /* pubsub.c's. */
  struct box* box;       /* NULL: has never listened */
  struct topic** topics; /* what it listens to: the G's own list */
  uint32_t topics_used, topics_room, patterns;
};

/* ---- conn.c ---- */
void client_start(thrum_conn* conn); /* a G for it; takes the reference */
int client_room(struct client* c, size_t n); /* n bytes at c->out; 0: broken */
void client_flush(struct client* c); /* answers go out, or into its box */
void client_write_whole(struct client* c, const char* data, size_t n);
int write_all(thrum_conn* conn, const char* data, size_t n); /* 0: could not */
/* One at a time, under the list's lock. */
void clients_each(void (*see)(void* arg, struct client* c), void* arg);
void client_set_name(struct client* c, char* name); /* takes it */
void clients_end(int by_force);     /* cancels, or closes, all there are */
int clients_wait(int64_t deadline); /* until there are none */

struct traffic {
  uint64_t clients, accepted, refused, commands;
};
struct traffic clients_traffic(void);

/* Argument i of the request. */
static inline struct slice arg(const struct client* c, uint32_t i) {
  const struct resp_arg* a = resp_args(&c->request) + i;
  struct slice s = {c->in + c->start + a->at, a->size};
  return s;
}

/* ---- reply.c: each adds one answer, or the head of one ---- */
void reply_text(struct client* c, const char* line); /* "+OK", "-ERR …" */
void reply_error(struct client* c, const char* format, ...)
    __attribute__((format(printf, 2, 3)));
void reply_int(struct client* c, int64_t n);
void reply_bulk(struct client* c, struct slice s);
void reply_value(struct client* c, struct value* v); /* drops it; NULL: null */
void reply_null(struct client* c);
void reply_array(struct client* c, size_t n);
void reply_map(struct client* c, size_t n); /* n pairs follow */
void reply_push(struct client* c, size_t n);
void reply_raw(struct client* c, const char* data, size_t size);

/* ---- command.c ---- */
struct command {
  const char* name;
  int arity; /* words with the name; -n: at least n */
  unsigned flags;
  void (*run)(struct client* c);
};
enum { WRITES = 1, ANY_MODE = 2 }; /* ANY_MODE: also while RESP2 listens */
void commands_init(void);
void command_run(struct client* c);

/* strings.c */
void cmd_get(struct client*c), cmd_set(struct client*c),
    cmd_setnx(struct client*c), cmd_setex(struct client*c),
    cmd_psetex(struct client*c), cmd_getset(struct client*c),
    cmd_append(struct client*c), cmd_strlen(struct client*c),
    cmd_incr(struct client*c), cmd_decr(struct client*c),
    cmd_incrby(struct client*c), cmd_decrby(struct client*c),
    cmd_mget(struct client*c), cmd_mset(struct client*c);
/* keys.c */
void cmd_del(struct client*c), cmd_exists(struct client*c),
    cmd_expire(struct client*c), cmd_pexpire(struct client*c),
    cmd_expireat(struct client*c), cmd_pexpireat(struct client*c),
    cmd_persist(struct client*c), cmd_ttl(struct client*c),
    cmd_pttl(struct client*c), cmd_type(struct client*c),
    cmd_keys(struct client*c), cmd_scan(struct client*c),
    cmd_dbsize(struct client*c), cmd_flushall(struct client*c);
/* admin.c */
int client_rename(struct client* c, struct slice name); /* 0: said why not */
void cmd_info(struct client*c), cmd_config(struct client*c),
    cmd_client(struct client*c);
/* pubsub.c */
void cmd_subscribe(struct client*c), cmd_unsubscribe(struct client*c),
    cmd_psubscribe(struct client*c), cmd_punsubscribe(struct client*c),
    cmd_publish(struct client*c);

/* ---- shards, for strings.c and keys.c ---- */
static inline struct shard* lock_key(const struct key* k) {
  store_lock(shard_bit(k->hash));
  return store_shard(shard_number(k->hash));
}

/* What an answer is made of must be safe before it leaves, a read's as well. */
static inline void unlock_key(struct client* c, struct shard* s,
                              const struct key* k) {
  c->seen = s->logged > c->seen ? s->logged : c->seen;
  store_unlock(shard_bit(k->hash));
}

/* Writes down what was done to a shard, which is locked. */
static inline void note(struct shard* s, const struct slice* words,
                        unsigned n) {
  uint64_t position = log_add(words, n);
  s->logged = position ? position : s->logged;
}

/* The keys of the request's arguments 1, 1 + step, … in `few`, or allocated if they
 * are more: to be freed if it is not `few`. NULL: no memory, and said. */
enum { KEYS_FEW = 10 };
struct key* keys_of(struct client* c, uint32_t step, struct key few[KEYS_FEW],
                    uint32_t* n, uint64_t* shards);
/* What locked shards were logged with. */
void unlock_keys(struct client* c, uint64_t shards);

/* ---- pubsub.c ---- */
void pubsub_close(void);
void box_post(struct client* c, int wait); /* moves its answers into its box */
void pubsub_end(struct client* c); /* listens to nothing, and has no box */
struct pubsub_counts {
  uint64_t channels, patterns;
};
struct pubsub_counts pubsub_count(void);

#endif
