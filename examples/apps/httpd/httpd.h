/* httpd.h: what the parts of httpd share, and who owns it.
 *
 *   main.c    options, the runtime, the G that accepts, signals, the drain;
 *   conn.c    the G of one connection: reads requests, keeps the time-outs, throws
 *             bodies away, collects answers and writes them;
 *   answer.c  what a request is answered with;
 *   files.c   open files and contents that are kept, shared by all connections;
 *   sys.c     the system calls that may block, each declared to thrum;
 *   count.c   requests, bytes, times; the summary;
 *   http.h    HTTP itself (head.c, value.c), which knows nothing of Gs.
 *
 * A connection belongs to its G. What several Gs use is in `app`: constants, the
 * files (locked), the counts (atomic). A drain is the stop of the runtime: from
 * then on every wait ends with THRUM_ECANCELED, except under a shield, and a
 * connection lifts its shield only while it waits for a request to begin.
 *
 * SPDX-License-Identifier: MIT */
#ifndef HTTPD_HTTPD_H
#define HTTPD_HTTPD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <thrum/net.h>
#include <thrum/thrum.h>

#include "http.h"

enum {
  HEAD_MAX = 16 * 1024, /* a request's head */
  BODY_MAX = 1 << 20,   /* a request's body, which is thrown away */
  PATH_SIZE = 4096,     /* a decoded path with its zero */
  OUT_SIZE = 16 * 1024, /* answers of a batch that go out in one write */
  COPY_MAX = 4 * 1024,  /* contents up to here join the batch, */
  SMALL_MAX =
      64 * 1024,      /* up to here are kept in memory, above sent from files */
  SEND_STEP = 1 << 20 /* of a large file, for each of which the peer has time */
};
#define SECOND 1000000000LL

/* Set before any G that reads it is started, then constant. */
struct options {
  const char* host; /* NULL: every address */
  uint16_t port;    /* 0: any */
  const char* root;
  uint32_t procs;
  uint32_t conns;   /* open at a time */
  uint64_t cache;   /* bytes of contents that are kept */
  int64_t idle_ns;  /* between requests */
  int64_t head_ns;  /* from a head's first byte to its last */
  int64_t body_ns;  /* the same of a body */
  int64_t write_ns; /* without any progress */
  int64_t drain_ns; /* for what was begun before the signal */
};

struct app {
  struct options o;
  thrum_rt* rt;
  thrum_listener* listener;
  int error;        /* of the first G: it could not start the rest */
  thrum_sem places; /* for connections */
  int full;         /* atomic: somebody waits for a place */
  struct files* files;
  struct counts* counts;
  /* The Date field of this second. */
  thrum_mutex date_lock;
  time_t date_at;
  char date[DATE_SIZE];
};

/* ---- conn.c ---------------------------------------------------------------- */

struct conn {
  struct app* app;
  thrum_conn* peer;
  struct count* count; /* where it counts */
  int64_t now;         /* when the last read returned, or the last write */
  int keep;            /* the connection outlives the answer being made */
  int dead;            /* cannot be written to any more */
  int linger;          /* may have sent what nobody reads */
  struct scan scan;
  size_t start, used; /* in[start, used): not handled yet */
  size_t out_used;
  uint32_t answers; /* in the batch */
  time_t date_at;
  char date[DATE_SIZE];
  /* Of these only the pages that were used are there. */
  char path[PATH_SIZE];
  char in[HEAD_MAX + COPY_MAX]; /* behind a head there is room for its body */
  char out[OUT_SIZE];
};

/* Takes over the socket; the G frees all. Below 0: it could not be started, and the
 * socket is the caller's. */
int conn_start(struct app* app, thrum_conn* peer);

/* Adds to the batch; what is large is written at once, after it. */
void conn_put(struct conn* c, const void* p, size_t n);
void conn_put_text(struct conn* c, const char* text);
/* The batch so far, then bytes of a file. */
void conn_put_file(struct conn* c, int fd, int64_t from, int64_t n);
const char* conn_date(struct conn* c);

/* ---- answer.c -------------------------------------------------------------- */

/* Answers a request whose body is gone, or one that is refused with a status. Sets
 * c->keep to 0 if the connection is to end with it. */
void answer(struct conn* c, const struct request* r);
void answer_status(struct conn* c, int status, int without_body,
                   const char* more);

/* ---- files.c --------------------------------------------------------------- */

/* A file as it was when it was last looked at. Constant, but for the private part;
 * whoever has got it may use it until he puts it back. */
struct file {
  int64_t size;
  int fd;           /* of one that is too large to be kept; else -1 */
  const char* data; /* the contents of one that is not */
  time_t modified;
  char etag[40];
  /* Fields of an answer: those of a 304, with the type, with the whole length. */
  char fields[320];
  size_t fields_304, fields_206, fields_200;
  /* Private. */
  struct file *next, *newer, *older; /* in its part of the table */
  uint32_t refs;                     /* atomic */
  uint32_t hash;
  int64_t checked; /* under the lock: when it was last compared with the disk */
  dev_t dev;
  ino_t ino;
  struct timespec mtime, ctime;
  size_t path_n;
  char path[];
};

struct files* files_new(const char* root, uint64_t bytes, int* err);
void files_free(struct files* files);
/* The file below the root. 0, or a status: 301 (a directory), 403, 404, 500, 503. */
int file_get(struct files* files, const char* path, int64_t now,
             const struct file** out);
void file_put(const struct file* f);

/* ---- sys.c ----------------------------------------------------------------- */

/* Declared to thrum: the P goes on with other Gs meanwhile. Each result below 0 is
 * a negated errno, picked up before the G can change threads. */
int sys_open_root(const char* path);
/* A regular file below dir, whatever links say; its bytes up to `small` of them in
 * *data, from thrum_alloc, and closed: then 0 is returned, else the descriptor. */
struct stat;
int sys_open(int dir, const char* path, size_t small, struct stat* st,
             char** data);
int sys_stat(int dir, const char* path, struct stat* st);
void sys_close(int fd);

/* ---- count.c --------------------------------------------------------------- */

struct counts* counts_new(void);
void counts_free(struct counts* counts);
struct count* count_of_conn(struct counts* counts); /* one more connection */
void count_conn_end(struct counts* counts);
void count_status(struct count* c, int status);
void count_bytes(struct count* c, int64_t n);
void count_handled(struct count* c, uint32_t requests, int64_t ns);
void counts_summary(struct counts* counts, double seconds);

#endif
