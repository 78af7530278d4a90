/* conn.c: the life of a connection. Its G reads what is there, runs all requests
 * in it, and answers in one write.
 *
 * Memory: requests and answers that fit into a kilobyte stay on the stack, so that
 * ten thousand connections that wait cost a page each. Those with more to say have
 * 16 KiB for either way until they have been idle for a second.
 *
 * Ending: a connection's G is shielded but while it waits for a request, so that
 * a cancel ends it there and never within an answer.
 *
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "kv.h"

#define SECOND 1000000000LL

static struct {
  thrum_mutex lock;
  struct client* first;
  int ending;
  uint64_t ids;
  struct traffic traffic; /* commands: of those that have gone */
  thrum_wg alive;
} all;

/* ---- writing ------------------------------------------------------------ */

/* A peer may be slow, but not stand still. */
int write_all(thrum_conn* conn, const char* data, size_t n) {
  while (n > 0) {
    int64_t k =
        thrum_write_some(conn, data, n, thrum_after(WRITE_MAX_S * SECOND));
    if (k <= 0) {
      return 0;
    }
    data += k;
    n -= (size_t)k;
  }
  return 1;
}

void client_flush(struct client* c) {
  if (c->answered == 0) {
    return;
  }
  log_settle(c->seen);
  if (c->box) {
    box_post(c, 1);
  } else if (!c->broken && !write_all(c->conn, c->out, c->answered)) {
    c->broken = 1;
  }
  c->answered = 0;
}

/* The answers and these bytes, which lie elsewhere, in one write. */
void client_write_whole(struct client* c, const char* data, size_t n) {
  thrum_buf pieces[2] = {{c->out, c->answered}, {(void*)(uintptr_t)data, n}};
  size_t before = c->answered;
  c->answered = 0;
  log_settle(c->seen);
  if (c->broken) {
    return;
  }
  int64_t k =
      thrum_writev(c->conn, pieces, 2, thrum_after(WRITE_MAX_S * SECOND));
  size_t done = k > 0 ? (size_t)k : 0;
  c->broken =
      k <= 0 ||
      (done < before && !write_all(c->conn, c->out + done, before - done)) ||
      (done < before + n &&
       !write_all(c->conn, data + (done > before ? done - before : 0),
                  done > before ? before + n - done : n));
}

static int out_grow(struct client* c, size_t room) {
  char* more =
      c->out == c->out_first ? thrum_alloc(room) : thrum_realloc(c->out, room);
  if (!more) {
    c->broken = 1;
    return 0;
  }
  if (c->out == c->out_first) {
    memcpy(more, c->out, c->answered);
  }
  c->out = more;
  c->out_room = room;
  return 1;
}

/* Whose answers go into a box has them whole there, each in one piece. */
int client_room(struct client* c, size_t n) {
  if (c->out_room - c->answered >= n) {
    return !c->broken;
  }
  if (!c->box && c->answered + n > BUFFER_SIZE) {
    client_flush(c);
  }
  size_t room = c->out_room > BUFFER_SIZE ? c->out_room : BUFFER_SIZE;
  while (room < c->answered + n) {
    room *= 2;
  }
  if (c->box && c->answered + n > options.output_max) {
    c->broken = 1;
  }
  return !c->broken && (c->out_room == room || out_grow(c, room));
}

/* ---- reading ------------------------------------------------------------ */

static void in_back(struct client* c) {
  if (c->in != c->in_first) {
    thrum_free(c->in);
    c->in = c->in_first;
    c->in_room = BUFFER_FIRST;
  }
}

static void out_back(struct client* c) {
  if (c->out != c->out_first) {
    thrum_free(c->out);
    c->out = c->out_first;
    c->out_room = BUFFER_FIRST;
  }
}

static int in_grow(struct client* c, uint32_t room) {
  char* more = thrum_alloc(room);
  if (more) {
    memcpy(more, c->in + c->start, c->used);
    in_back(c);
    c->in = more;
    c->in_room = room;
    c->start = 0;
  }
  return more != NULL;
}

/* Room for the rest of a request, or for the next ones. `full`: the last read has
 * filled what there was. */
static int in_ready(struct client* c, int full) {
  if (c->used == 0) {
    c->start = 0;
    if (c->in_room > BUFFER_SIZE) {
      in_back(c);
    }
    return !full || c->in_room >= BUFFER_SIZE || in_grow(c, BUFFER_SIZE);
  }
  if (c->used == c->in_room || resp_need(&c->request) > c->in_room) {
    return in_grow(c, c->in_room < BUFFER_SIZE ? BUFFER_SIZE : 2 * c->in_room);
  }
  if (c->start + resp_need(&c->request) > c->in_room ||
      c->start + c->used == c->in_room) {
    memmove(c->in, c->in + c->start, c->used);
    c->start = 0;
  }
  return 1;
}

/* Bytes, at least one; else it is over. */
static int64_t read_more(struct client* c) {
  int64_t n;
  int large = c->in != c->in_first || c->out != c->out_first;
  for (;;) {
    uint32_t at = c->start + c->used;
    thrum_shield(-1);
    n = thrum_read(c->conn, c->in + at, c->in_room - at,
                   large ? thrum_after(BUFFER_IDLE_MS * (SECOND / 1000))
                         : THRUM_FOREVER);
    thrum_shield(+1);
    if (n != THRUM_ETIMEDOUT) {
      return n;
    }
    large = 0;
    out_back(c);
    if (c->used == 0) {
      in_back(c);
    }
  }
}

static void run_all(struct client* c) {
  char error[RESP_ERROR_MAX];
  while (c->used > 0 && !c->ending && !c->broken) {
    enum resp_result got =
        resp_parse(&c->request, c->in + c->start, c->used, error);
    if (got == RESP_MORE) {
      return;
    }
    if (got == RESP_BAD) {
      reply_error(c, "ERR %s", error);
      c->ending = 1;
      return;
    }
    if (c->request.argc > 0) {
      command_run(c);
    }
    c->start += c->request.size;
    c->used -= c->request.size;
    resp_reset(&c->request);
  }
}

static void serve(struct client* c) {
  int64_t n;
  while (!c->ending && !c->broken && (n = read_more(c)) > 0) {
    int full = c->start + c->used + (uint64_t)n == c->in_room;
    c->used += (uint32_t)n;
    run_all(c);
    client_flush(c);
    if (!in_ready(c, full) || __atomic_load_n(&all.ending, __ATOMIC_RELAXED)) {
      break;
    }
  }
}

/* ---- all of them -------------------------------------------------------- */

static void lock(void) { thrum_mutex_lock(&all.lock, THRUM_FOREVER); }
static void unlock(void) { thrum_mutex_unlock(&all.lock); }

static void enter(struct client* c) {
  lock();
  c->id = ++all.ids;
  c->next = all.first;
  if (c->next) {
    c->next->prev = c;
  }
  all.first = c;
  c->ending = all.ending != 0;
  unlock();
}

static void leave(struct client* c) {
  lock();
  *(c->prev ? &c->prev->next : &all.first) = c->next;
  if (c->next) {
    c->next->prev = c->prev;
  }
  all.traffic.clients--;
  all.traffic.commands += c->commands;
  unlock();
}

static void client_life(void* conn) {
  char in[BUFFER_FIRST], out[BUFFER_FIRST];
  struct client* c = thrum_calloc(1, sizeof *c);
  if (!c) {
    lock();
    all.traffic.clients--;
    unlock();
    thrum_conn_release(conn);
    return;
  }
  thrum_shield(+1);
  c->conn = conn;
  c->g = thrum_self();
  c->born = thrum_now();
  c->last = "none";
  c->request.max = options.request_max;
  c->in = c->in_first = in;
  c->out = c->out_first = out;
  c->in_room = BUFFER_FIRST;
  c->out_room = BUFFER_FIRST;
  enter(c);
  serve(c);
  pubsub_end(c); /* what is in its box goes out first */
  leave(c);
  thrum_conn_release(c->conn);
  resp_reset(&c->request);
  in_back(c);
  out_back(c);
  free(c->name);
  thrum_free(c);
}

static void client_gone(void* conn) {
  (void)conn;
  thrum_wg_done(&all.alive);
}

/* Takes the reference. */
void client_start(thrum_conn* conn) {
  thrum_spawn_opts opts = {.struct_size = sizeof opts, .drop = client_gone};
  lock();
  int full = all.traffic.clients >= options.clients_max;
  all.traffic.clients += !full;
  *(full ? &all.traffic.refused : &all.traffic.accepted) += 1;
  unlock();
  if (full) {
    static const char text[] = "-ERR max number of clients reached\r\n";
    thrum_write(conn, text, sizeof text - 1, THRUM_TRY);
    thrum_conn_release(conn);
    return;
  }
  thrum_wg_add(&all.alive, 1);
  if (thrum_spawn(NULL, &opts, client_life, conn, NULL) < 0) {
    lock();
    all.traffic.clients--;
    unlock();
    thrum_wg_done(&all.alive);
    thrum_conn_release(conn);
  }
}

void clients_each(void (*see)(void* arg, struct client* c), void* to) {
  lock();
  for (struct client* c = all.first; c; c = c->next) {
    see(to, c);
  }
  unlock();
}

void client_set_name(struct client* c, char* name) {
  lock();
  char* old = c->name;
  c->name = name;
  unlock();
  free(old);
}

static void cancel_one(void* unused, struct client* c) {
  (void)unused;
  thrum_cancel(runtime, c->g);
}

static void close_one(void* unused, struct client* c) {
  (void)unused;
  thrum_conn_close(c->conn);
}

void clients_end(int by_force) {
  lock();
  __atomic_store_n(&all.ending, 1, __ATOMIC_RELAXED);
  unlock();
  clients_each(by_force ? close_one : cancel_one, NULL);
}

int clients_wait(int64_t deadline) {
  return thrum_wg_wait(&all.alive, deadline);
}

static void add_commands(void* sum, struct client* c) {
  *(uint64_t*)sum += __atomic_load_n(&c->commands, __ATOMIC_RELAXED);
}

struct traffic clients_traffic(void) {
  uint64_t sum = 0;
  clients_each(add_commands, &sum);
  lock();
  struct traffic t = all.traffic;
  unlock();
  t.commands += sum;
  return t;
}
