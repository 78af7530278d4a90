/* search.c: the G of one file. It reads the file through a window, looks for
 * the patterns in the complete lines that it sees, and sends what is to be
 * printed to the writer in blocks. A full channel makes it wait, so however
 * much a file matches, memory stays bounded; a file of any size is never held
 * whole, only a line is.
 *
 * What counts as binary is what GNU grep 3.8 does with -I, found by watching
 * it: a NUL in what one read brought ends the file there, and nothing of that
 * read is searched; lines printed before stay. A hole anywhere after the first
 * read makes the file binary from the start. How much one read brings can thus
 * be seen in the output, and the window below grows and reads as grep's does
 * for the first file that it opens. (grep keeps the window that a long line has
 * grown for the files that follow, so that its answer for a binary file may
 * depend on which files came before. Ours does not.)
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "match.h"
#include "sys.h"
#include "tgrep.h"

enum {
  PAGE = 4096,
  FIRST_READ = 96 * 1024,
  SLACK = 8,
  /* A block without output goes out after so many bytes, for the progress. */
  NEWS_EVERY = 8 << 20
};

/* The bytes in sight are mem[beg..lim); those before beg are done with. Reads
 * go to page boundaries of the file's own making: `skew` is where mem would
 * stand in its page. */
struct window {
  char* mem;
  size_t size, skew;
  size_t beg, lim;
  off_t offset; /* of the file, at lim */
};

struct search {
  struct file* file;
  int fd;
  struct stat st;
  struct window win;
  struct finder finder;
  struct block* block; /* NULL: nothing to print yet */
  struct tally tally;  /* since the last block that was sent */
};

struct file* file_new(struct app* app, char* path, int named) {
  struct file* f = thrum_calloc(1, sizeof *f);
  if (f) {
    f->app = app;
    f->path = path;
    f->named = named;
  }
  return f;
}

int file_start(struct file* f) {
  int rc = thrum_chan_new(sizeof(struct block*), BLOCKS_AHEAD, &f->blocks);
  return rc < 0 ? rc : thrum_spawn(f->app->rt, NULL, search_main, f, &f->g);
}

const char* file_name(const struct file* f) {
  return f->named == 2 ? "(standard input)" : f->path;
}

void file_free(struct file* f) {
  thrum_chan_release(f->blocks);
  thrum_free(f->path);
  thrum_free(f);
}

/* A G that is blocked in a send sees the channel close; one that computes sees
 * the cancel at its next check. */
void file_end(struct file* f) {
  struct block* b;
  if (f->g) {
    thrum_cancel(f->app->rt, f->g);
    thrum_chan_close(f->blocks);
    while (thrum_chan_recv(f->blocks, &b, THRUM_FOREVER) == 0) {
      thrum_free(b);
    }
    thrum_join(f->app->rt, f->g, THRUM_FOREVER);
  }
  file_free(f);
}

/* ---- output ------------------------------------------------------------- */

static int send_block(struct search* s) {
  struct block* b = s->block;
  if (!b) {
    if (!(b = thrum_calloc(1, sizeof *b))) {
      return -ENOMEM;
    }
  }
  b->tally = s->tally;
  int rc = thrum_chan_send(s->file->blocks, &b, THRUM_FOREVER);
  if (rc < 0) { /* it was not taken: still ours */
    thrum_free(b);
  } else {
    s->tally = (struct tally){0, 0};
  }
  s->block = NULL;
  return rc;
}

/* Room for n more bytes in the block, or for as many as it can have. */
static size_t block_room(struct search* s, size_t n) {
  struct block* b = s->block;
  size_t used = b ? b->used : 0, size = b ? b->size : 0;
  if (size - used < n && size < BLOCK_MAX) {
    size_t want = used + n < 512 ? 512 : 2 * (used + n);
    size = want < BLOCK_MAX ? want : BLOCK_MAX;
    struct block* more = thrum_realloc(b, sizeof *b + size);
    if (!more) {
      return 0;
    }
    more->used = used;
    more->size = size;
    s->block = more;
  }
  return n < size - used ? n : size - used;
}

static int put(struct search* s, const char* text, size_t n) {
  while (n > 0) {
    size_t part = block_room(s, n);
    if (part == 0) {
      int rc = s->block ? send_block(s) : -ENOMEM;
      if (rc < 0) {
        return rc;
      }
      continue;
    }
    memcpy(s->block->data + s->block->used, text, part);
    s->block->used += part;
    text += part;
    n -= part;
  }
  return 0;
}

/* The line with its newline, even if the file's last line has none. */
static int put_line(struct search* s, const char* line, const char* end) {
  const struct file* f = s->file;
  int rc = 0;
  if (f->app->with_names) {
    rc = put(s, file_name(f), strlen(file_name(f)));
    rc = rc < 0 ? rc : put(s, ":", 1);
  }
  rc = rc < 0 ? rc : put(s, line, (size_t)(end - line));
  return rc < 0 ? rc : put(s, "\n", 1);
}

/* ---- input -------------------------------------------------------------- */

static size_t page_up(size_t n) { return (n + PAGE - 1) / PAGE * PAGE; }

/* Room for `keep` bytes of a line that has not ended, the page to read after
 * them, and what aligning takes. Grows by half, but not far past what is left
 * of the file. */
static int window_grow(struct window* w, size_t keep, const struct stat* st) {
  size_t least = keep + 2 * PAGE + SLACK, most = SIZE_MAX;
  size_t size = w->size + w->size / 2;
  if (least <= w->size) {
    return 0;
  }
  if (S_ISREG(st->st_mode) && st->st_size >= w->offset) {
    most = (size_t)(st->st_size - w->offset) + keep + PAGE + SLACK;
  }
  size = size < most ? size : most;
  size = size > least ? size : least;
  char* mem = thrum_realloc(w->mem, size);
  if (!mem) {
    return -ENOMEM;
  }
  w->mem = mem;
  w->size = size;
  w->skew = 16;
  return 0;
}

/* Where the next read goes: behind the last `keep` bytes in sight, which stay.
 * Returns how much may be read; < 0: no memory. */
static int64_t window_room(struct window* w, size_t keep,
                           const struct stat* st) {
  if (w->size - w->lim < PAGE + SLACK) {
    size_t from = w->lim - keep;
    int rc = window_grow(w, keep, st);
    if (rc < 0) {
      return rc;
    }
    w->lim = page_up(w->skew + 1 + keep) - w->skew;
    memmove(w->mem + w->lim - keep, w->mem + from, keep);
  }
  w->beg = w->lim - keep;
  return (int64_t)((w->size - SLACK - w->lim) / PAGE * PAGE);
}

/* Reads once; 0: the end of the file. */
static int64_t read_more(struct search* s, size_t keep) {
  struct window* w = &s->win;
  w->beg = w->lim - keep;
  if (S_ISREG(s->st.st_mode) && w->offset && w->offset == s->st.st_size) {
    return 0;
  }
  int64_t room = window_room(w, keep, &s->st);
  if (room < 0) {
    return room;
  }
  if (!S_ISREG(s->st.st_mode)) { /* may take for ever: let Ctrl-C end it */
    int ready = sys_wait_readable(s->fd, s->file->app->wake_fd);
    if (ready <= 0) {
      return ready < 0 ? ready : THRUM_ECANCELED;
    }
  }
  return sys_read(s->fd, w->mem + w->lim, (size_t)room);
}

/* ---- the search --------------------------------------------------------- */

/* Looks at the whole lines in [at, end); a last line need not end. */
static int search_lines(struct search* s, const char* at, const char* end) {
  finder_restart(&s->finder);
  const char* hit;
  while (at < end && (hit = finder_next(&s->finder, at, end))) {
    const char* before = memrchr(at, '\n', (size_t)(hit - at));
    const char* line = before ? before + 1 : at;
    const char* stop = memchr(hit, '\n', (size_t)(end - hit));
    stop = stop ? stop : end;
    s->tally.lines++;
    s->file->matched = 1;
    if (s->file->app->quiet) {
      return THRUM_ECANCELED; /* one is enough */
    }
    int rc = put_line(s, line, stop);
    if (rc < 0) {
      return rc;
    }
    at = stop + 1;
  }
  return 0;
}

/* n: what the first read brought. 0, a negated errno, or the thrum error that
 * tells the G to stop. */
static int search_fd(struct search* s, int64_t n) {
  struct window* w = &s->win;
  size_t rest = 0; /* bytes of a line whose end is not in sight */
  for (int first = 1;; first = 0, n = read_more(s, rest)) {
    if (n <= 0) {
      return n < 0 ? (int)n : search_lines(s, w->mem + w->beg, w->mem + w->lim);
    }
    const char *fresh = w->mem + w->lim, *end = fresh + n;
    w->lim += (size_t)n;
    w->offset += (off_t)n;
    s->tally.bytes += (uint64_t)n;
    if (memchr(fresh, '\0', (size_t)n) ||
        (first && S_ISREG(s->st.st_mode) && n < s->st.st_size &&
         sys_hole_ahead(s->fd, s->st.st_size))) {
      s->file->matched = 0; /* so says grep, lines printed or not */
      return 0;
    }
    const char* nl = memrchr(fresh, '\n', (size_t)n);
    if (nl) {
      int rc = search_lines(s, w->mem + w->beg, nl + 1);
      if (rc < 0) {
        return rc;
      }
      rest = (size_t)(end - (nl + 1));
    } else {
      rest += (size_t)n;
    }
    int rc = s->tally.bytes >= NEWS_EVERY ? send_block(s) : thrum_check();
    if (rc < 0) {
      return rc;
    }
  }
}

static int search_file(struct search* s) {
  struct file* f = s->file;
  struct window* w = &s->win;
  int flags = O_RDONLY | O_NOCTTY | O_NONBLOCK | (f->named ? 0 : O_NOFOLLOW);
  w->size = page_up(FIRST_READ) + PAGE + SLACK;
  w->skew = PAGE / 2;
  w->lim = w->size; /* nothing in sight, no room behind it */
  if (!(w->mem = thrum_alloc(w->size)) ||
      !finder_init(&s->finder, f->app->patterns)) {
    return -ENOMEM;
  }
  size_t room = (size_t)window_room(w, 0, &s->st);
  int64_t n = 0;
  s->fd = sys_open(f->named == 2 ? NULL : f->path, flags, &s->st,
                   w->mem + w->lim, room, &n);
  if (s->fd < 0) {
    return s->fd == -ELOOP && !f->named ? 0 : s->fd;
  }
  if (f->named ? f->named == 1 && S_ISDIR(s->st.st_mode)
               : !S_ISREG(s->st.st_mode)) {
    return 0; /* it became something else since the walk saw it */
  }
  if (S_ISREG(s->st.st_mode) && f->app->out_is_file && !f->app->quiet &&
      s->st.st_dev == f->app->out_dev && s->st.st_ino == f->app->out_ino) {
    f->error = ERROR_IS_OUTPUT;
    return 0;
  }
  return search_fd(s, S_ISREG(s->st.st_mode) ? n : read_more(s, 0));
}

void search_main(void* arg) {
  struct search s = {.file = arg, .fd = -1};
  struct file* f = s.file;
  int rc = search_file(&s);
  if (rc >= 0 && s.block) {
    rc = send_block(&s);
  }
  if (rc == THRUM_ECANCELED || rc == THRUM_ECLOSED) {
    f->error = ERROR_STOPPED;
  } else if (rc < 0) {
    f->error = rc;
  }
  f->rest = s.tally;
  thrum_free(s.block);
  thrum_free(s.win.mem);
  finder_free(&s.finder);
  if (s.fd >= 0 && f->named != 2) {
    close(s.fd); /* which cannot block after mere reading */
  }
  thrum_sem_release(&f->app->permits, 1);
  thrum_chan_close(f->blocks);
}
