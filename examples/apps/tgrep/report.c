/* report.c: the writer, and everything that is said on standard error.
 *
 * The writer takes the files in the order in which the walk sent them, and of
 * each file the blocks in the order in which its G sent them; a file that is
 * not done keeps the later ones waiting, and their blocks wait in their own
 * channels. All totals are the writer's alone, so nothing here is shared.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include <stdio.h>
#include <string.h>
#include <thrum/observe.h>
#include <unistd.h>

#include "sys.h"
#include "tgrep.h"

#define TICK_NS (100 * 1000000LL)

struct writer {
  struct app* app;
  struct report* report;
  int64_t started;
  int64_t tick;   /* when the progress line is due; THRUM_FOREVER: never */
  int line_shown; /* the progress line stands on the terminal */
  int out_is_tty; /* where the output would run into it */
  size_t used;
  char buf[BLOCK_MAX];
};

/* ---- standard error ----------------------------------------------------- */

void report_error(const char* name, int error) {
  const char* text = error == ERROR_IS_OUTPUT ? "input file is also the output"
                     : error > -1000          ? strerror(-error)
                                              : thrum_strerror(error);
  fprintf(stderr, "tgrep: %s: %s\n", name, text);
}

static void progress_clear(struct writer* w) {
  if (w->line_shown) {
    fputs("\r\033[K", stderr);
    w->line_shown = 0;
  }
}

static void progress(struct writer* w) {
  int64_t now = w->tick == THRUM_FOREVER ? 0 : thrum_now();
  if (now < w->tick) {
    return;
  }
  const struct report* r = w->report;
  double mb = (double)r->tally.bytes / 1e6;
  fprintf(stderr, "\r\033[K%llu files  %.0f MB  %llu matches  %.0f MB/s",
          (unsigned long long)r->files, mb, (unsigned long long)r->tally.lines,
          mb / ((double)(now - w->started) / 1e9));
  fflush(stderr);
  w->line_shown = 1;
  w->tick = now + TICK_NS;
}

static void print_p(void* arg, const thrum_p_stats* s) {
  (void)arg;
  fprintf(stderr, "; P%u: %llu switches, %llu steals", (unsigned)s->p,
          (unsigned long long)s->dispatches, (unsigned long long)s->steals);
}

void report_summary(const struct app* app, const struct report* r,
                    double secs) {
  double mb = (double)r->tally.bytes / 1e6;
  fprintf(stderr,
          "tgrep: %s%llu matching lines in %llu of %llu files, %.1f MB, "
          "%.2f s (%.0f files/s, %.0f MB/s)\n",
          r->outcome == INTERRUPTED ? "interrupted: " : "",
          (unsigned long long)r->tally.lines, (unsigned long long)r->matched,
          (unsigned long long)r->files, mb, secs, (double)r->files / secs,
          mb / secs);
  fprintf(stderr, "tgrep: %llu Gs", (unsigned long long)app->spawned);
  thrum_p_each(app->rt, print_p, NULL);
  fputc('\n', stderr);
}

/* ---- standard output ---------------------------------------------------- */

static int flush(struct writer* w) {
  if (w->used > 0) {
    if (w->out_is_tty) {
      progress_clear(w);
    }
    int rc = sys_write_all(STDOUT_FILENO, w->buf, w->used);
    w->used = 0;
    if (rc < 0) {
      report_error("write error", rc);
      w->report->errors++;
      w->report->outcome = FAILED;
      return rc;
    }
  }
  return 0;
}

static int print_block(struct writer* w, const struct block* b) {
  int rc = w->used + b->used > sizeof w->buf ? flush(w) : 0;
  memcpy(w->buf + w->used, b->data, b->used);
  w->used += b->used;
  return rc;
}

/* ---- the writer --------------------------------------------------------- */

/* Before it waits, what it has is printed; while it waits, the progress moves.
 */
static int receive(struct writer* w, thrum_chan* ch, void* out) {
  int rc = thrum_check(); /* Ctrl-C, also while there is always work */
  if (rc >= 0) {
    progress(w);
    rc = thrum_chan_recv(ch, out, THRUM_TRY);
    if (rc == THRUM_EAGAIN) {
      rc = flush(w);
      while (rc >= 0 &&
             (rc = thrum_chan_recv(ch, out, w->tick)) == THRUM_ETIMEDOUT) {
        progress(w);
        rc = 0;
      }
    }
  }
  if (rc == THRUM_ECANCELED) {
    w->report->outcome = INTERRUPTED;
  }
  return rc;
}

static void count(struct report* r, const struct tally* t) {
  r->tally.bytes += t->bytes;
  r->tally.lines += t->lines;
}

/* Of a file whose G was joined. */
static void finish_file(struct writer* w, const struct file* f) {
  struct report* r = w->report;
  count(r, &f->rest);
  r->matched += f->matched != 0;
  r->files += f->g != 0;
  if (f->matched && w->app->quiet) {
    r->outcome = FOUND_QUIETLY;
  } else if (f->error == ERROR_STOPPED) { /* it saw the Ctrl-C before we did */
    r->outcome = INTERRUPTED;
  } else if (f->error) {
    progress_clear(w);
    report_error(file_name(f), f->error);
    r->errors++;
  }
}

/* Ends the file in every case; below 0: print no more. */
static int write_file(struct writer* w, struct file* f) {
  struct block* b;
  int rc = 0;
  while (f->g && (rc = receive(w, f->blocks, &b)) >= 0) {
    count(w->report, &b->tally);
    rc = print_block(w, b);
    thrum_free(b);
    if (rc < 0) {
      break;
    }
  }
  if (rc == THRUM_ECLOSED) { /* the file is done, and soon its G */
    rc = thrum_join(w->app->rt, f->g, THRUM_FOREVER);
  }
  if (rc < 0) {
    w->report->outcome =
        rc == THRUM_ECANCELED ? INTERRUPTED : w->report->outcome;
    file_end(f);
    return rc;
  }
  finish_file(w, f);
  file_free(f);
  return w->report->outcome == DONE ? 0 : THRUM_ECANCELED;
}

/* Nothing outlives the writer: it stops the walk, which stops the directories,
 * and the files that the walk had sent. */
static void stop_all(struct app* app) {
  struct file* f;
  thrum_shield(+1);
  end_waits(); /* of files that wait for a FIFO or a terminal */
  thrum_cancel(app->rt, app->walk);
  thrum_chan_close(app->order);
  while (thrum_chan_recv(app->order, &f, THRUM_FOREVER) == 0) {
    file_end(f);
  }
  thrum_join(app->rt, app->walk, THRUM_FOREVER);
  thrum_shield(-1);
}

void report_write(struct app* app, struct report* out) {
  struct writer* w = thrum_calloc(1, sizeof *w);
  thrum_spawn_opts opts = {.struct_size = sizeof opts, .name = "walk"};
  struct file* f;
  int rc = w ? thrum_spawn(app->rt, &opts, walk_main, app, &app->walk)
             : THRUM_ENOMEM;
  if (rc < 0) {
    report_error("start", rc);
    out->outcome = FAILED;
    out->errors++;
    thrum_free(w);
    return;
  }
  w->app = app;
  w->report = out;
  w->started = thrum_now();
  w->out_is_tty = isatty(STDOUT_FILENO);
  w->tick = isatty(STDERR_FILENO) ? w->started + TICK_NS : THRUM_FOREVER;
  while (receive(w, app->order, &f) >= 0 && write_file(w, f) >= 0) {}
  if (out->outcome != FAILED) {
    flush(w);
  }
  stop_all(app);
  if (app->error) {
    report_error("walk", app->error);
    out->errors++;
  }
  progress_clear(w);
  thrum_free(w);
}
