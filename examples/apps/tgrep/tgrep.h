/* tgrep.h: what the parts of tgrep share, and who owns it.
 *
 *   walk.c    one G reads the tree in order (with Gs of its own that read
 *             directories ahead), starts one G for each file, and sends the
 *             files to the writer in the order of a sorted depth-first walk;
 *   search.c  the G of one file: reads, searches, sends blocks of matches;
 *   report.c  the writer: takes the files in order, each file's blocks in
 *             order, prints them, counts, and ends what is still running;
 *   main.c    options, the runtime, Ctrl-C, the exit status.
 *
 * Why nothing waits for ever: a permit is taken for a file in the order of the
 * walk, so the file that the writer is waiting for always has one, and files
 * after it may safely hold theirs while their output waits for its turn.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TGREP_H
#define TGREP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <thrum/thrum.h>

/* What bounds the memory, whatever the tree and however slow the reader. */
enum {
  BLOCK_MAX = 64 * 1024, /* a file's output travels in blocks of this size */
  BLOCKS_AHEAD = 2,      /* blocks that a file may finish before its turn */
  FILES_AHEAD = 256,     /* files that may be started before their turn */
  DIRS_AHEAD = 32        /* siblings that are read before their turn */
};

/* What was searched. */
struct tally {
  uint64_t bytes;
  uint64_t lines; /* matching lines */
};

/* Some output of one file; made by its G, freed by the writer. */
struct block {
  struct tally tally; /* what was searched since the block before */
  size_t used, size;
  char data[];
};

/* One file. The walk makes it, its G fills it, and whoever has joined that G
 * frees it: the writer, or the walk if the file never got to the writer. */
struct file {
  struct app* app;
  char* path;
  int named;          /* on the command line: a link is followed, a device is
                         read; 2: it is standard input */
  thrum_chan* blocks; /* struct block*; closed by the G as its last act */
  thrum_g g;          /* 0: no G, only an error to report */
  /* Written by the G, read after it was joined. */
  struct tally rest; /* what no block has carried */
  int matched;       /* counts for the exit status */
  int error;         /* a negated errno, or one of these */
#define ERROR_IS_OUTPUT 1
#define ERROR_STOPPED 2
};

struct app {
  /* Set before any G that reads it is started, then constant. */
  thrum_rt* rt;
  const struct patterns* patterns;
  char** paths; /* ends with NULL; NULL: the working directory, unnamed */
  int with_names;
  int quiet;
  int wake_fd;       /* polls readable once everything shall end */
  int out_is_file;   /* standard output is a regular file, */
  dev_t out_dev;     /* namely this one: searching our own */
  ino_t out_ino;     /* output would never end */
  thrum_chan* order; /* struct file*, in the order of the walk */
  thrum_sem permits; /* one for each file or directory that may be open */
  thrum_g writer;    /* whom Ctrl-C cancels */
  /* Of the writer. */
  thrum_g walk;
  /* Written by the walk, read after it was joined. */
  uint64_t spawned;
  int error; /* it could not go on */
};

/* main.c */
void end_waits(void); /* makes wake_fd readable, for good */

/* walk.c */
void walk_main(void* app);

/* search.c */
void search_main(void* file);
struct file* file_new(struct app* app, char* path, int named);
int file_start(struct file* f);
const char* file_name(const struct file* f);
void file_free(struct file* f); /* its G was joined, or it has none */
void file_end(struct file* f);  /* in any state: stops, joins, frees */

/* report.c */
enum outcome { DONE, FOUND_QUIETLY, INTERRUPTED, FAILED };
struct report {
  enum outcome outcome;
  struct tally tally;
  uint64_t files, matched; /* searched; with matches */
  int errors;
};
/* The writer: prints until all is printed or must end, and starts and joins the
 * walk and, through it, all the rest. */
void report_write(struct app* app, struct report* out);
void report_summary(const struct app* app, const struct report* r, double secs);
void report_error(const char* name, int error); /* as in struct file */

#endif
