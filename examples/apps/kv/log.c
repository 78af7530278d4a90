/* log.c: one buffer fills while the other is written; one fsync for all who wait.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <thrum/thrum.h>
#include <unistd.h>

#include "replay.h"

#define MS 1000000LL
enum {
  BUFFER_MIN = 64 * 1024,
  BUFFER_KEEP = 4 * 1024 * 1024, /* larger ones are given back */
  BEHIND_MAX = 64 * 1024 * 1024, /* unwritten bytes before all must wait */
  GATHER_MS = 2,                 /* between writes that nobody waits for */
  SYNC_EVERY_MS = 1000,
  RETRY_MS = 1000
};

struct buffer {
  char* data;
  size_t used, room;
};

static struct {
  int fd; /* -1: no log */
  const char* path;
  uint32_t sync; /* enum log_sync */
  int32_t error; /* a positive errno while write(2) fails */
  thrum_mutex lock;
  thrum_cond work, done;
  struct buffer fill;    /* what comes; `added` is where it ends */
  uint64_t added;        /* bytes of the log, */
  uint64_t written;      /* those that write(2) has taken, */
  uint64_t synced;       /* and those that are safe */
  uint32_t writer_waits; /* for `work` */
  uint32_t others_wait;  /* how many, for `done` */
  uint32_t closing;
} log_ = {.fd = -1};

/* ---- adding ------------------------------------------------------------- */

/* Nothing that is promised is lost: what cannot be recorded was not answered. */
static void die(const char* what, int err) {
  fprintf(stderr, "kv: %s: %s: %s; ending, so that nothing is promised\n",
          log_.path, what, strerror(err));
  _exit(1);
}

static void need(struct buffer* b, size_t more) {
  if (b->room - b->used < more) {
    size_t room = b->room ? b->room : BUFFER_MIN;
    while (room - b->used < more) {
      room *= 2;
    }
    b->data = thrum_realloc(b->data, room);
    if (!b->data) {
      die("no memory for it", ENOMEM);
    }
    b->room = room;
  }
}

static void put(struct buffer* b, const char* data, size_t n) {
  memcpy(b->data + b->used, data, n);
  b->used += n;
}

static void put_head(struct buffer* b, char kind, size_t n) {
  b->data[b->used++] = kind;
  b->used += text_of_int(b->data + b->used, (int64_t)n);
  put(b, "\r\n", 2);
}

uint64_t log_add(const struct slice* words, unsigned n) {
  if (log_.fd < 0 || store_replays) {
    return 0;
  }
  size_t size = INT_TEXT_MAX + 3;
  for (unsigned i = 0; i < n; i++) {
    size += words[i].size + INT_TEXT_MAX + 5;
  }
  thrum_mutex_lock(&log_.lock, THRUM_FOREVER);
  struct buffer* b = &log_.fill;
  size_t before = b->used;
  need(b, size);
  put_head(b, '*', n);
  for (unsigned i = 0; i < n; i++) {
    put_head(b, '$', words[i].size);
    put(b, words[i].data, words[i].size);
    put(b, "\r\n", 2);
  }
  uint64_t position = log_.added += b->used - before;
  if (log_.writer_waits) {
    log_.writer_waits = 0;
    thrum_cond_signal(&log_.work);
  }
  thrum_mutex_unlock(&log_.lock);
  return position;
}

/* ---- waiting ------------------------------------------------------------ */

static int settled(uint64_t position) {
  if (log_get_sync() == SYNC_ALWAYS) {
    return __atomic_load_n(&log_.synced, __ATOMIC_ACQUIRE) >= position;
  }
  return position <
         __atomic_load_n(&log_.written, __ATOMIC_RELAXED) + BEHIND_MAX;
}

void log_settle(uint64_t position) {
  if (log_.fd < 0 || settled(position)) {
    return;
  }
  thrum_mutex_lock(&log_.lock, THRUM_FOREVER);
  while (!settled(position)) {
    log_.others_wait++;
    thrum_cond_wait(&log_.done, &log_.lock, THRUM_FOREVER);
    log_.others_wait--;
  }
  thrum_mutex_unlock(&log_.lock);
}

static int closing(void) {
  return (int)__atomic_load_n(&log_.closing, __ATOMIC_RELAXED);
}

int log_error(void) { return __atomic_load_n(&log_.error, __ATOMIC_RELAXED); }

/* ---- writing ------------------------------------------------------------ */

static int sync_file(void) {
  int err;
  thrum_enter_blocking();
  do {
    err = fdatasync(log_.fd) == 0 ? 0 : errno;
  } while (err == EINTR);
  thrum_exit_blocking();
  return err;
}

/* All of it, however long the disk is full: until then changes are refused. */
static void write_all(const struct buffer* b) {
  for (size_t done = 0; done < b->used;) {
    thrum_enter_blocking();
    ssize_t n = write(log_.fd, b->data + done, b->used - done);
    int err = n < 0 ? errno : 0;
    thrum_exit_blocking();
    if (n > 0) {
      done += (size_t)n;
      if (log_error()) {
        fprintf(stderr, "kv: %s: it can be written again\n", log_.path);
        __atomic_store_n(&log_.error, 0, __ATOMIC_RELAXED);
      }
    } else if (err != EINTR) {
      if (!log_error()) {
        fprintf(stderr, "kv: %s: %s; changes are refused until it is mended\n",
                log_.path, strerror(err));
      }
      __atomic_store_n(&log_.error, err, __ATOMIC_RELAXED);
      if (closing()) {
        die("cannot write the rest", err);
      }
      thrum_sleep(RETRY_MS * MS);
    }
  }
}

/* When what is written must be synced, with the lock. */
static int64_t sync_due(int64_t last_sync) {
  if (log_get_sync() == SYNC_NO || log_.synced == log_.added) {
    return THRUM_FOREVER;
  }
  return log_get_sync() == SYNC_ALWAYS ? 0 : last_sync + SYNC_EVERY_MS * MS;
}

/* Takes what is to be written and leaves an empty buffer. Returns where the log
 * will stand then. */
static uint64_t take(struct buffer* out, int64_t last_sync) {
  int64_t due;
  thrum_mutex_lock(&log_.lock, THRUM_FOREVER);
  while (log_.fill.used == 0 && !closing() &&
         thrum_now() < (due = sync_due(last_sync))) {
    log_.writer_waits = 1;
    thrum_cond_wait(&log_.work, &log_.lock, due);
    log_.writer_waits = 0;
  }
  /* Who is ready to run may have something to add, and shares this fsync. Where
   * nobody waits for one, there is time for more. */
  if (log_.fill.used && log_.fill.used < BEHIND_MAX / 2 && !closing()) {
    thrum_mutex_unlock(&log_.lock);
    if (log_get_sync() == SYNC_ALWAYS) {
      thrum_yield();
    } else {
      thrum_sleep(GATHER_MS * MS);
    }
    thrum_mutex_lock(&log_.lock, THRUM_FOREVER);
  }
  struct buffer full = log_.fill;
  log_.fill = *out;
  *out = full;
  uint64_t until = log_.added;
  thrum_mutex_unlock(&log_.lock);
  return until;
}

static void tell(uint64_t until, int synced) {
  thrum_mutex_lock(&log_.lock, THRUM_FOREVER);
  __atomic_store_n(&log_.written, until, __ATOMIC_RELAXED);
  if (synced) {
    __atomic_store_n(&log_.synced, until, __ATOMIC_RELEASE);
  }
  if (log_.others_wait) {
    thrum_cond_broadcast(&log_.done);
  }
  thrum_mutex_unlock(&log_.lock);
}

void log_main(void* unused) {
  (void)unused;
  struct buffer out = {NULL, 0, 0};
  int64_t last_sync = thrum_now();
  thrum_shield(+1);
  for (int last = log_.fd < 0; !last;) {
    int ending = closing();
    uint64_t until = take(&out, last_sync);
    last = ending && out.used == 0;
    write_all(&out);
    int64_t now = thrum_now();
    int sync =
        log_.synced != until && (ending || log_get_sync() == SYNC_ALWAYS ||
                                 (log_get_sync() == SYNC_EVERYSEC &&
                                  now - last_sync >= SYNC_EVERY_MS * MS));
    int err = sync ? sync_file() : 0;
    if (err) { /* the kernel may have dropped it: a second try proves nothing */
      die("fsync", err);
    }
    last_sync = sync ? now : last_sync;
    out.used = 0;
    if (out.room > BUFFER_KEEP) {
      thrum_free(out.data);
      out = (struct buffer){NULL, 0, 0};
    }
    tell(until, sync);
  }
  thrum_free(out.data);
  thrum_shield(-1);
}

/* ---- opening and closing ------------------------------------------------ */

int log_open(const char* path) {
  if (!path) {
    return 1;
  }
  int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) {
    fprintf(stderr,
            "kv: cannot open the log %s: %s; name a file in a folder that can "
            "be written (--log FILE), or keep nothing (--no-log)\n",
            path, strerror(errno));
    return 0;
  }
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    fprintf(stderr,
            "kv: the log %s is in use by another kv; end that one, or name "
            "another file (--log FILE)\n",
            path);
    close(fd);
    return 0;
  }
  int64_t size = replay(fd, path);
  if (size < 0 || fdatasync(fd) != 0) {
    close(fd);
    return 0;
  }
  log_.path = path;
  log_.fd = fd;
  log_.added = log_.written = log_.synced = (uint64_t)size;
  return 1;
}

void log_close(void) {
  thrum_mutex_lock(&log_.lock, THRUM_FOREVER);
  __atomic_store_n(&log_.closing, 1, __ATOMIC_RELAXED);
  thrum_cond_signal(&log_.work);
  thrum_mutex_unlock(&log_.lock);
}

void log_free(void) {
  if (log_.fd >= 0) {
    close(log_.fd);
    thrum_free(log_.fill.data);
  }
}

/* ---- what others ask ---------------------------------------------------- */

static const char* const names[] = {"no", "everysec", "always"};

enum log_sync log_get_sync(void) {
  return (enum log_sync)__atomic_load_n(&log_.sync, __ATOMIC_RELAXED);
}

void log_set_sync(enum log_sync sync) {
  thrum_mutex_lock(&log_.lock, THRUM_FOREVER);
  __atomic_store_n(&log_.sync, (uint32_t)sync, __ATOMIC_RELAXED);
  thrum_cond_broadcast(&log_.done); /* what was not enough may be, */
  thrum_cond_signal(&log_.work);    /* and the other way round */
  thrum_mutex_unlock(&log_.lock);
}

const char* log_sync_name(enum log_sync sync) { return names[sync]; }

int log_sync_named(struct slice name, enum log_sync* out) {
  for (int i = SYNC_NO; i <= SYNC_ALWAYS; i++) {
    if (text_is(name, names[i])) {
      *out = (enum log_sync)i;
      return 1;
    }
  }
  return 0;
}

int log_is_open(void) { return log_.fd >= 0; }

uint64_t log_size(void) {
  return __atomic_load_n(&log_.written, __ATOMIC_RELAXED);
}
