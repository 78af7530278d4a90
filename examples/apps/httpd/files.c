/* files.c: files that were asked for lately: their contents if they are small, else
 * a descriptor to send from. See httpd.h.
 *
 * The table is in parts, each with its lock, its share of the bounds and its list
 * from new to old. A file is compared with the disk at most once a second, by one
 * of those who want it; the others go on with what they have. One that has changed
 * is replaced, and goes when the last answer from it is out.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "httpd.h"

enum { PARTS = 16, CHAINS = 64, PART_FILES = 64 };

struct part {
  thrum_mutex lock;
  struct file* chains[CHAINS];
  struct file *newest, *oldest;
  uint64_t bytes;
  uint32_t count;
};

struct files {
  int root;
  uint64_t part_bytes;
  struct part parts[PARTS];
};

struct files* files_new(const char* root, uint64_t bytes, int* err) {
  int fd = sys_open_root(root);
  struct files* files = fd < 0 ? NULL : thrum_calloc(1, sizeof *files);
  *err = fd < 0 ? fd : files ? 0 : THRUM_ENOMEM;
  if (!files) {
    if (fd >= 0) {
      close(fd);
    }
    return NULL;
  }
  files->root = fd;
  files->part_bytes = bytes / PARTS;
  return files;
}

void files_free(struct files* files) {
  for (int i = 0; files && i < PARTS; i++) {
    for (struct file *f = files->parts[i].newest, *older; f; f = older) {
      older = f->older;
      file_put(f);
    }
  }
  if (files) {
    close(files->root);
    thrum_free(files);
  }
}

/* ---- one part, locked ---------------------------------------------------- */

static void list_in(struct part* p, struct file* f) {
  f->newer = NULL;
  f->older = p->newest;
  *(p->newest ? &p->newest->newer : &p->oldest) = f;
  p->newest = f;
}

static void list_out(struct part* p, struct file* f) {
  *(f->newer ? &f->newer->older : &p->newest) = f->older;
  *(f->older ? &f->older->newer : &p->oldest) = f->newer;
}

static uint64_t weight(const struct file* f) {
  return sizeof *f + (f->data ? (uint64_t)f->size : 0);
}

static struct file** chain_of(struct part* p, uint32_t hash) {
  return &p->chains[hash / PARTS % CHAINS];
}

static struct file* find(struct part* p, uint32_t hash, const char* path,
                         size_t n) {
  struct file* f = *chain_of(p, hash);
  while (f &&
         (f->hash != hash || f->path_n != n || memcmp(f->path, path, n) != 0)) {
    f = f->next;
  }
  return f;
}

/* Takes it out; the table's reference is the caller's now. */
static void part_out(struct part* p, struct file* f) {
  struct file** at = chain_of(p, f->hash);
  while (*at != f) {
    at = &(*at)->next;
  }
  *at = f->next;
  list_out(p, f);
  p->count--;
  p->bytes -= weight(f);
}

static void part_in(struct part* p, struct file* f) {
  struct file** chain = chain_of(p, f->hash);
  f->next = *chain;
  *chain = f;
  list_in(p, f);
  p->count++;
  p->bytes += weight(f);
}

/* ---- files --------------------------------------------------------------- */

static void hold(struct file* f) {
  __atomic_fetch_add(&f->refs, 1, __ATOMIC_RELAXED);
}

void file_put(const struct file* c) {
  struct file* f = (struct file*)c;
  if (__atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL) == 0) {
    if (f->fd >= 0) {
      sys_close(f->fd);
    }
    thrum_free((void*)f->data);
    thrum_free(f);
  }
}

static void describe(struct file* f) {
  char date[DATE_SIZE];
  date_format(f->modified, date);
  snprintf(f->etag, sizeof f->etag, "\"%llx.%lx-%llx\"",
           (unsigned long long)f->modified, (unsigned long)f->mtime.tv_nsec,
           (unsigned long long)f->size);
  f->fields_304 =
      (size_t)snprintf(f->fields, sizeof f->fields,
                       "Last-Modified: %s\r\nETag: %s\r\n", date, f->etag);
  f->fields_206 = f->fields_304 +
                  (size_t)snprintf(f->fields + f->fields_304,
                                   sizeof f->fields - f->fields_304,
                                   "Accept-Ranges: bytes\r\nContent-Type: "
                                   "%s\r\nX-Content-Type-Options: nosniff\r\n",
                                   media_type(f->path));
  f->fields_200 =
      f->fields_206 + (size_t)snprintf(f->fields + f->fields_206,
                                       sizeof f->fields - f->fields_206,
                                       "Content-Length: %lld\r\n",
                                       (long long)f->size);
}

static int status_of(int err) {
  switch (-err) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case EXDEV: /* a link that leads out of the root */
    case ENAMETOOLONG:
      return 404;
    case EISDIR:
      return 301;
    case EACCES:
    case EPERM:
      return 403;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
      return 503;
    default:
      return 500;
  }
}

/* Reads it from the disk; it has one reference. */
static int load(int root, const char* path, size_t n, uint32_t hash,
                int64_t now, struct file** out) {
  struct stat st;
  char* data;
  int fd = sys_open(root, n ? path : ".", SMALL_MAX, &st, &data);
  if (fd < 0) {
    return status_of(fd);
  }
  struct file* f = thrum_calloc(1, sizeof *f + n + 1);
  if (!f) {
    thrum_free(data);
    if (!data) {
      sys_close(fd);
    }
    return 503;
  }
  memcpy(f->path, path, n);
  f->path_n = n;
  f->hash = hash;
  f->refs = 1;
  f->checked = now;
  f->size = st.st_size;
  f->fd = data ? -1 : fd;
  f->data = data;
  f->modified = st.st_mtime;
  f->dev = st.st_dev;
  f->ino = st.st_ino;
  f->mtime = st.st_mtim;
  f->ctime = st.st_ctim;
  describe(f);
  *out = f;
  return 0;
}

static int same_time(struct timespec a, struct timespec b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* Is it still what the path names? The ctime tells of writes that put the mtime
 * back, and of rights that were taken. */
static int unchanged(int root, const struct file* f) {
  struct stat st;
  return sys_stat(root, f->path, &st) == 0 && st.st_dev == f->dev &&
         st.st_ino == f->ino && st.st_size == f->size &&
         same_time(st.st_mtim, f->mtime) && same_time(st.st_ctim, f->ctime);
}

/* Puts f into the table, in place of what is there under its name, and lets the
 * oldest go beyond the bounds. f NULL: takes it out. */
static void replace(struct files* files, struct part* p, uint32_t hash,
                    const char* path, size_t n, struct file* f) {
  struct file* gone = NULL;
  thrum_mutex_lock(&p->lock, THRUM_FOREVER);
  struct file* old = find(p, hash, path, n);
  if (f) {
    hold(f);
    part_in(p, f);
  }
  while (old || p->count > PART_FILES || p->bytes > files->part_bytes) {
    struct file* out = old ? old : p->oldest;
    old = NULL;
    part_out(p, out);
    out->next = gone;
    gone = out;
  }
  thrum_mutex_unlock(&p->lock);
  for (struct file* next; gone; gone = next) { /* may block: not locked */
    next = gone->next;
    file_put(gone);
  }
}

static uint32_t hash_of(const char* path, size_t n) {
  uint32_t h = 2166136261u; /* FNV-1a, its bits mixed for the two moduli */
  for (size_t i = 0; i < n; i++) {
    h = (h ^ (unsigned char)path[i]) * 16777619u;
  }
  return h ^ h >> 15;
}

int file_get(struct files* files, const char* path, int64_t now,
             const struct file** out) {
  size_t n = strlen(path);
  uint32_t hash = hash_of(path, n);
  struct part* p = &files->parts[hash % PARTS];
  int due = 0;
  thrum_mutex_lock(&p->lock, THRUM_FOREVER);
  struct file* f = find(p, hash, path, n);
  if (f) {
    hold(f);
    if (f != p->newest) {
      list_out(p, f);
      list_in(p, f);
    }
    if (now - f->checked >= SECOND) {
      due = 1;
      f->checked = now;
    }
  }
  thrum_mutex_unlock(&p->lock);
  if (f && (!due || unchanged(files->root, f))) {
    *out = f;
    return 0;
  }
  struct file* fresh = NULL;
  int status = load(files->root, path, n, hash, now, &fresh);
  if (f || fresh) {
    replace(files, p, hash, path, n, fresh);
  }
  if (f) {
    file_put(f);
  }
  *out = fresh;
  return status;
}
