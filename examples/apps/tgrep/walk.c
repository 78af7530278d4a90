/* walk.c: the tree, in the order of a sorted depth-first walk.
 *
 * One G walks. Directories are read by Gs of their own, up to DIRS_AHEAD
 * siblings before the walk comes to them, so that slow disks are asked for many
 * at once; only what the walk itself does decides the order. The walk takes a
 * permit before it starts a file, and stops when the writer is FILES_AHEAD
 * files behind: neither the listings nor the Gs pile up.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include <errno.h>
#include <string.h>

#include "sys.h"
#include "tgrep.h"

struct dir {
  struct app* app;
  struct dir* up;
  char* path;
  int named;
  thrum_g g; /* reads it */
  /* Written by that G, read after it was joined. */
  struct name* names;
  size_t count;
  int error;
  /* Of the walk alone. */
  size_t next;          /* the entry to visit */
  size_t looked;        /* where to look on for directories to start */
  size_t ahead;         /* so many were started and wait for us */
  struct dir** started; /* by entry; NULL: not started, or visited */
};

static void dir_main(void* arg) {
  struct dir* d = arg;
  int rc = thrum_sem_acquire(&d->app->permits, THRUM_FOREVER);
  if (rc >= 0) {
    rc = sys_list(d->path, d->named, &d->names, &d->count);
    thrum_sem_release(&d->app->permits, 1);
  }
  d->error = rc;
}

/* Takes over the path. NULL: could not; the path is freed. */
static struct dir* dir_start(struct app* app, struct dir* up, char* path) {
  struct dir* d = thrum_calloc(1, sizeof *d);
  if (d) {
    d->app = app;
    d->up = up;
    d->path = path;
    d->named = up == NULL;
    if (thrum_spawn(app->rt, NULL, dir_main, d, &d->g) == 0) {
      app->spawned++;
      return d;
    }
    thrum_free(d);
  }
  thrum_free(path);
  return NULL;
}

/* Joins what it started, frees all of it, returns the directory above. */
static struct dir* dir_end(struct dir* d) {
  struct dir* up = d->up;
  thrum_shield(+1);
  thrum_cancel(d->app->rt, d->g);
  thrum_join(d->app->rt, d->g, THRUM_FOREVER);
  for (size_t i = 0; i < d->count; i++) {
    if (d->started && d->started[i]) {
      dir_end(d->started[i]); /* one level: its own are not started yet */
    }
    thrum_free(d->names[i].text);
  }
  thrum_shield(-1);
  thrum_free((void*)d->started);
  thrum_free(d->names);
  thrum_free(d->path);
  thrum_free(d);
  return up;
}

/* As grep writes it: no second slash after one that stands there already, and
 * no name at all for the unnamed working directory. */
static char* path_join(const struct dir* d, const char* name) {
  size_t dir_len = strlen(d->path), name_len = strlen(name);
  if (dir_len > 0 && d->path[dir_len - 1] == '/') {
    dir_len--;
  }
  int bare = !d->up && !d->app->paths;
  char* path = thrum_alloc(dir_len + 1 + name_len + 1);
  if (path) {
    size_t n = 0;
    if (!bare) {
      memcpy(path, d->path, dir_len);
      path[dir_len] = '/';
      n = dir_len + 1;
    }
    memcpy(path + n, name, name_len + 1);
  }
  return path;
}

static char* path_copy(const char* text) {
  size_t n = strlen(text);
  while (n > 1 && text[n - 1] == '/' && text[n - 2] == '/') {
    n--;
  }
  char* path = thrum_alloc(n + 1);
  if (path) {
    memcpy(path, text, n);
    path[n] = '\0';
  }
  return path;
}

static int send_file(struct app* app, struct file* f) {
  int rc = thrum_chan_send(app->order, &f, THRUM_FOREVER);
  if (rc < 0) {
    thrum_shield(+1);
    file_end(f);
    thrum_shield(-1);
  }
  return rc;
}

/* A file that only says what went wrong, in its place. Takes over the path. */
static int send_error(struct app* app, char* path, int error) {
  struct file* f = path ? file_new(app, path, 0) : NULL;
  if (!f) {
    thrum_free(path);
    return -ENOMEM;
  }
  f->error = error;
  return send_file(app, f);
}

/* Takes over the path. */
static int start_file(struct app* app, char* path, int named) {
  struct file* f = path ? file_new(app, path, named) : NULL;
  if (!f) {
    thrum_free(path);
    return -ENOMEM;
  }
  int rc = thrum_sem_acquire(&app->permits, THRUM_FOREVER);
  if (rc < 0) {
    file_end(f);
    return rc;
  }
  rc = file_start(f); /* from here on the permit is the G's */
  if (rc < 0) {
    thrum_sem_release(&app->permits, 1);
    file_end(f);
    return rc;
  }
  app->spawned++;
  return send_file(app, f);
}

/* Starts directories until DIRS_AHEAD of d wait for the walk. */
static int look_ahead(struct dir* d) {
  for (; d->looked < d->count && d->ahead < DIRS_AHEAD; d->looked++) {
    if (d->names[d->looked].is_dir) {
      char* path = path_join(d, d->names[d->looked].text);
      struct dir* child = path ? dir_start(d->app, d, path) : NULL;
      if (!child) {
        return -ENOMEM;
      }
      d->started[d->looked] = child;
      d->ahead++;
    }
  }
  return 0;
}

/* Waits until d is read. */
static int enter_dir(struct dir* d) {
  int rc = thrum_join(d->app->rt, d->g, THRUM_FOREVER);
  if (rc < 0) {
    return rc;
  }
  if (d->error == THRUM_ECANCELED || d->error == THRUM_ECLOSED) {
    return d->error;
  }
  if (d->error < 0 &&
      (rc = send_error(d->app, path_copy(d->path), d->error)) < 0) {
    return rc;
  }
  if (d->count > 0) {
    d->started = thrum_calloc(d->count, sizeof(struct dir*));
    return d->started ? 0 : -ENOMEM;
  }
  return 0;
}

static int walk_tree(struct app* app, const char* top) {
  char* path = path_copy(top);
  struct dir* d = path ? dir_start(app, NULL, path) : NULL;
  int rc = d ? enter_dir(d) : -ENOMEM;
  while (d && rc >= 0) {
    if (d->next == d->count) {
      d = dir_end(d);
      continue;
    }
    rc = look_ahead(d);
    if (rc < 0) {
      break;
    }
    size_t i = d->next++;
    if (d->names[i].is_dir) {
      struct dir* child = d->started[i];
      d->started[i] = NULL;
      d->ahead--;
      d = child;
      rc = enter_dir(d);
    } else {
      rc = start_file(app, path_join(d, d->names[i].text), 0);
    }
  }
  while (d) {
    d = dir_end(d);
  }
  return rc;
}

static int walk_path(struct app* app, const char* path) {
  struct stat st;
  if (strcmp(path, "-") == 0) {
    return start_file(app, path_copy(path), 2);
  }
  int rc = sys_stat(path, &st);
  if (rc < 0) {
    return send_error(app, path_copy(path), rc);
  }
  return S_ISDIR(st.st_mode) ? walk_tree(app, path)
                             : start_file(app, path_copy(path), 1);
}

void walk_main(void* arg) {
  struct app* app = arg;
  int rc = 0;
  if (!app->paths) {
    rc = walk_tree(app, ".");
  }
  for (char** p = app->paths; p && *p && rc >= 0; p++) {
    rc = walk_path(app, *p);
  }
  if (rc < 0 && rc != THRUM_ECANCELED && rc != THRUM_ECLOSED) {
    app->error = rc;
  }
  thrum_chan_close(app->order);
}
