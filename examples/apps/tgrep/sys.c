/* sys.c: see sys.h.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include "sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <thrum/thrum.h>
#include <unistd.h>

/* The kernel takes paths shorter than PATH_MAX. A longer one is opened piece by
 * piece, each piece relative to the directory that the one before has reached.
 */
static int open_long(const char* path, int flags) {
  char piece[PATH_MAX];
  size_t left = strlen(path);
  int at = AT_FDCWD;
  while (left >= PATH_MAX) {
    size_t n = PATH_MAX - 1;
    while (n > 0 && path[n] != '/') {
      n--;
    }
    memcpy(piece, path, n);
    piece[n] = '\0';
    int next = n > 0 ? openat(at, piece, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    int err = n > 0 ? errno : ENAMETOOLONG;
    if (at != AT_FDCWD) {
      close(at);
    }
    if (next < 0) {
      errno = err;
      return -1;
    }
    at = next;
    path += n + 1;
    left -= n + 1;
  }
  int fd = openat(at, path, flags);
  int err = errno;
  if (at != AT_FDCWD) {
    close(at);
  }
  errno = err;
  return fd;
}

/* A negated errno, or how much. */
static int64_t read_once(int fd, void* buf, size_t n) {
  ssize_t got;
  do {
    got = read(fd, buf, n);
  } while (got < 0 && errno == EINTR);
  return got < 0 ? -errno : got;
}

int sys_open(const char* path, int flags, struct stat* st, void* buf, size_t n,
             int64_t* got) {
  int fd, err = 0;
  thrum_enter_blocking();
  do {
    fd = path ? open_long(path, flags | O_CLOEXEC) : STDIN_FILENO;
  } while (fd < 0 && errno == EINTR);
  if (fd < 0 || fstat(fd, st) != 0) {
    err = errno;
    if (fd >= 0 && path) {
      close(fd);
    }
  } else if (S_ISREG(st->st_mode)) {
    *got = read_once(fd, buf, n);
  }
  thrum_exit_blocking();
  return err ? -err : fd;
}

int sys_stat(const char* path, struct stat* st) {
  thrum_enter_blocking();
  int err = stat(path, st) == 0 ? 0 : errno;
  thrum_exit_blocking();
  return -err;
}

int64_t sys_read(int fd, void* buf, size_t n) {
  thrum_enter_blocking();
  int64_t got = read_once(fd, buf, n);
  thrum_exit_blocking();
  return got;
}

int sys_write_all(int fd, const void* buf, size_t n) {
  const char* p = buf;
  int err = 0;
  thrum_enter_blocking();
  while (n > 0 && !err) {
    ssize_t put = write(fd, p, n);
    if (put >= 0) {
      p += put;
      n -= (size_t)put;
    } else if (errno != EINTR) {
      err = errno;
    }
  }
  thrum_exit_blocking();
  return -err;
}

int sys_hole_ahead(int fd, off_t size) {
  int found = 0;
#ifdef SEEK_HOLE
  thrum_enter_blocking();
  off_t here = lseek(fd, 0, SEEK_CUR);
  off_t hole = here >= 0 ? lseek(fd, here, SEEK_HOLE) : -1;
  if (hole >= 0) {
    found = lseek(fd, here, SEEK_SET) == here && hole < size;
  }
  thrum_exit_blocking();
#else
  (void)fd, (void)size;
#endif
  return found;
}

int sys_wait_readable(int fd, int wake_fd) {
  struct pollfd fds[2] = {{fd, POLLIN, 0}, {wake_fd, POLLIN, 0}};
  int n, err = 0;
  thrum_enter_blocking();
  do {
    n = poll(fds, 2, -1);
    err = n < 0 ? errno : 0;
  } while (err == EINTR);
  thrum_exit_blocking();
  return err ? -err : fds[1].revents == 0;
}

static int by_name(const void* a, const void* b) {
  return strcmp(((const struct name*)a)->text, ((const struct name*)b)->text);
}

/* 0: leave it out, 1: a file, 2: a directory. Most file systems tell the kind
 * in the directory itself; the others must be asked. */
static int kind_of(int dir, const struct dirent* e) {
  if (e->d_type == DT_REG || e->d_type == DT_DIR) {
    return e->d_type == DT_DIR ? 2 : 1;
  }
  struct stat st;
  if (e->d_type != DT_UNKNOWN ||
      fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
    return 0;
  }
  return S_ISDIR(st.st_mode) ? 2 : S_ISREG(st.st_mode);
}

/* Returns an errno. thrum_alloc never parks, so errno is safe here. */
static int list(DIR* dir, struct name** names, size_t* count) {
  size_t room = 0;
  for (;;) {
    errno = 0;
    const struct dirent* e = readdir(dir);
    if (!e) {
      return errno;
    }
    int dots = e->d_name[0] == '.' &&
               (!e->d_name[1] || (e->d_name[1] == '.' && !e->d_name[2]));
    int kind = dots ? 0 : kind_of(dirfd(dir), e);
    if (!kind) {
      continue;
    }
    if (*count == room) {
      room = room ? 2 * room : 16;
      struct name* more = thrum_realloc(*names, room * sizeof *more);
      if (!more) {
        return ENOMEM;
      }
      *names = more;
    }
    size_t size = strlen(e->d_name) + 1;
    char* text = thrum_alloc(size);
    if (!text) {
      return ENOMEM;
    }
    memcpy(text, e->d_name, size);
    (*names)[*count].text = text;
    (*names)[*count].is_dir = kind == 2;
    ++*count;
  }
}

int sys_list(const char* path, int named, struct name** out, size_t* count) {
  int err = 0;
  DIR* dir = NULL;
  *out = NULL;
  *count = 0;
  thrum_enter_blocking();
  int fd = open_long(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC |
                               (named ? 0 : O_NOFOLLOW));
  if (fd < 0 || !(dir = fdopendir(fd))) {
    err = errno;
    if (fd >= 0) {
      close(fd);
    }
  } else {
    err = list(dir, out, count);
    closedir(dir);
    if (*count > 1) {
      qsort(*out, *count, sizeof **out, by_name);
    }
  }
  thrum_exit_blocking();
  return -err;
}
