/* conn.c: the G of one connection; see httpd.h.
 *
 * It reads as much as there is, answers every request that is whole, and only then
 * writes what it has to say: a batch of pipelined requests is one read and one
 * write. Before each read the batch goes out, so nobody waits for an answer that
 * lies here.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include <stdio.h>
#include <string.h>

#include "httpd.h"

/* ---- out ----------------------------------------------------------------- */

/* Writes the batch, and what lies elsewhere after it. A peer that takes nothing at
 * all for write_ns is given up. */
static void flush(struct conn* c, const void* p, size_t n) {
  thrum_buf bufs[2] = {{c->out, c->out_used}, {(void*)p, n}};
  int64_t deadline = c->now + c->app->o.write_ns;
  count_bytes(c->count, (int64_t)(c->out_used + n));
  c->out_used = 0;
  while (!c->dead && bufs[0].size + bufs[1].size > 0) {
    int64_t k = bufs[1].size == 0
                    ? thrum_write(c->peer, bufs[0].base, bufs[0].size, deadline)
                    : thrum_writev(c->peer, bufs, 2, deadline);
    c->dead = k <= 0;
    for (int i = 0; i < 2 && k > 0; i++) {
      size_t some = bufs[i].size < (size_t)k ? bufs[i].size : (size_t)k;
      bufs[i].base = (char*)bufs[i].base + some;
      bufs[i].size -= some;
      k -= (int64_t)some;
    }
    if (bufs[0].size + bufs[1].size > 0) {
      deadline = thrum_after(c->app->o.write_ns);
    }
  }
}

/* The end of a batch. */
static void flush_batch(struct conn* c) {
  if (c->answers > 0 || c->out_used > 0) {
    flush(c, NULL, 0);
    int64_t now = thrum_now();
    count_handled(c->count, c->answers, now - c->now);
    c->now = now;
    c->answers = 0;
  }
}

void conn_put(struct conn* c, const void* p, size_t n) {
  if (n > COPY_MAX) {
    flush(c, p, n);
    return;
  }
  if (n > sizeof c->out - c->out_used) {
    flush(c, NULL, 0);
  }
  memcpy(c->out + c->out_used, p, n);
  c->out_used += n;
}

void conn_put_text(struct conn* c, const char* text) {
  conn_put(c, text, strlen(text));
}

void conn_put_file(struct conn* c, int fd, int64_t from, int64_t n) {
  flush(c, NULL, 0);
  while (!c->dead && n > 0) {
    size_t step = n < SEND_STEP ? (size_t)n : SEND_STEP;
    int64_t k = thrum_sendfile(c->peer, fd, from, step,
                               thrum_after(c->app->o.write_ns));
    if (k <= 0) {
      c->dead = 1; /* also of a file that is shorter now than was promised */
      return;
    }
    count_bytes(c->count, k);
    from += k;
    n -= k;
  }
}

const char* conn_date(struct conn* c) {
  struct app* app = c->app;
  time_t now = time(NULL);
  if (c->date_at != now) {
    thrum_mutex_lock(&app->date_lock, THRUM_FOREVER);
    if (app->date_at != now) {
      app->date_at = now;
      date_format(now, app->date);
    }
    memcpy(c->date, app->date, sizeof c->date);
    thrum_mutex_unlock(&app->date_lock);
    c->date_at = now;
  }
  return c->date;
}

/* ---- in ------------------------------------------------------------------ */

/* What is not handled yet goes to the front. */
static void move_up(struct conn* c) {
  if (c->start > 0) {
    memmove(c->in, c->in + c->start, c->used - c->start);
    c->used -= c->start;
    c->start = 0;
  }
}

static int64_t fill(struct conn* c, int64_t deadline) {
  flush_batch(c);
  int64_t n = c->dead ? THRUM_ECLOSED
                      : thrum_read(c->peer, c->in + c->used,
                                   sizeof c->in - c->used, deadline);
  c->used += n > 0 ? (size_t)n : 0;
  return n;
}

static void refuse(struct conn* c, int status) {
  c->keep = 0;
  c->linger = 1;
  answer_status(c, status, 0, "");
}

/* Reads more of a head, or waits for one to begin: only that ends with a drain.
 * 0: there is nothing more to be done here. */
static int fill_head(struct conn* c, int64_t* head_deadline) {
  const struct options* o = &c->app->o;
  int64_t n;
  flush_batch(c);
  move_up(c);
  if (c->used == 0) {
    thrum_shield(-1);
    n = fill(c, c->now + o->idle_ns);
    thrum_shield(+1);
  } else {
    if (!*head_deadline) {
      *head_deadline = c->now + o->head_ns;
    }
    n = fill(c, *head_deadline);
    if (n == THRUM_ETIMEDOUT) {
      refuse(c, 408);
    }
  }
  if (n > 0) {
    c->now = thrum_now();
  }
  return n > 0;
}

/* Throws the body of the request away that begins at `start` with a head of so many
 * bytes; what the request points to stays where it is until the next read. 0, or a
 * status to refuse it with; the connection may be dead after it. */
static int skip_body(struct conn* c, struct request* r, size_t head) {
  if (r->length <= 0 && !r->chunked) {
    c->start += head;
    return 0;
  }
  if (r->length > BODY_MAX) {
    return 413;
  }
  if (c->start > 0) { /* so that there is room behind the head */
    move_up(c);
    head_parse(c->in, head, r);
  }
  if (r->expects && c->used == head) {
    conn_put_text(c, "HTTP/1.1 100 Continue\r\n\r\n");
  }
  struct chunks chunks = {CHUNK_SIZE, 0};
  int64_t deadline = c->now + c->app->o.body_ns;
  int64_t taken = 0;
  for (;;) {
    size_t here = c->used - head;
    size_t some = r->chunked ? chunks_take(&chunks, c->in + head, here)
                  : (int64_t)here < r->length - taken
                      ? here
                      : (size_t)(r->length - taken);
    taken += (int64_t)some;
    if (r->chunked ? chunks.state == CHUNKS_DONE : taken == r->length) {
      c->start = head + some;
      return 0;
    }
    if (chunks.state == CHUNKS_BAD || taken > BODY_MAX) {
      return chunks.state == CHUNKS_BAD ? 400 : 413;
    }
    c->used = head;
    int64_t n = fill(c, deadline);
    if (n <= 0) {
      c->dead = n != THRUM_ETIMEDOUT;
      return 408;
    }
  }
}

/* A peer that is still sending when the socket closes gets a reset, and may never
 * see what it was told: let it finish, for a while. */
static void linger(struct conn* c) {
  int64_t deadline = thrum_after(SECOND);
  size_t sum = 0;
  int64_t n = thrum_conn_shutdown(c->peer);
  while (n >= 0 && sum < 4 * BODY_MAX) {
    n = thrum_read(c->peer, c->in, sizeof c->in, deadline);
    sum += n > 0 ? (size_t)n : 0;
    n = n > 0 ? 0 : -1;
  }
}

/* ---- the G --------------------------------------------------------------- */

static void serve(struct conn* c) {
  int64_t head_deadline = 0;
  while (c->keep && !c->dead) {
    size_t here = c->used - c->start;
    size_t head = head_size(c->in + c->start, here, &c->scan);
    if (head == 0 && here < HEAD_MAX) {
      if (!fill_head(c, &head_deadline)) {
        break;
      }
      continue;
    }
    struct request r;
    int status = head > 0 && head <= HEAD_MAX
                     ? head_parse(c->in + c->start, head, &r)
                 : c->scan.begun ? 431
                                 : 414;
    status = status ? status : skip_body(c, &r, head);
    if (c->dead) {
      break;
    }
    c->scan.line = 0;
    c->scan.begun = 0;
    head_deadline = 0;
    c->answers++;
    if (status) {
      refuse(c, status);
    } else {
      answer(c, &r);
    }
  }
  flush_batch(c);
}

static void conn_main(void* arg) {
  struct conn* c = arg;
  thrum_shield(+1);
  serve(c);
  if (!c->dead && (c->linger || c->start < c->used)) {
    linger(c);
  }
}

/* The last act of the G, also of one that never ran. */
static void conn_drop(void* arg) {
  struct conn* c = arg;
  struct app* app = c->app;
  thrum_conn_release(c->peer);
  count_conn_end(app->counts);
  thrum_free(c);
  thrum_sem_release(&app->places, 1);
}

int conn_start(struct app* app, thrum_conn* peer) {
  thrum_spawn_opts opts = {
      .struct_size = sizeof opts, .name = "conn", .drop = conn_drop};
  struct conn* c = thrum_alloc(sizeof *c);
  if (!c) {
    return THRUM_ENOMEM;
  }
  memset(c, 0, offsetof(struct conn, path));
  c->app = app;
  c->peer = peer;
  c->keep = 1;
  c->now = thrum_now();
  c->count = count_of_conn(app->counts);
  int rc = thrum_spawn(app->rt, &opts, conn_main, c, NULL);
  if (rc < 0) {
    count_conn_end(app->counts);
    thrum_free(c);
  }
  return rc;
}
