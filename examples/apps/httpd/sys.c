/* sys.c: the system calls that may block; see httpd.h.
 *
 * errno belongs to a thread, and after thrum_exit_blocking the G may be on another
 * one: so each call is a function of its own that picks errno up in between.
 *
 * SPDX-License-Identifier: MIT */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "httpd.h"

int sys_open_root(const char* path) {
  int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  return fd < 0 ? -errno : fd;
}

/* A kernel before 5.6 has no openat2, and some sandboxes hide it: then no link is
 * followed at all. The path has no ".." in it (path_decode). */
static int open_without_links(int dir, const char* path, int flags) {
  char part[PATH_SIZE];
  int at = dir;
  for (;;) {
    size_t n = strcspn(path, "/");
    int last = path[n] == '\0';
    if (n >= sizeof part) {
      errno = ENAMETOOLONG;
      return -1;
    }
    memcpy(part, path, n);
    part[n] = '\0';
    int fd = openat(at, part,
                    last ? flags | O_NOFOLLOW
                         : O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int err = errno;
    if (at != dir) {
      close(at);
    }
    errno = err;
    if (fd < 0 || last) {
      return fd;
    }
    at = fd;
    path += n + 1;
  }
}

static int open_beneath(int dir, const char* path, int flags) {
  struct open_how how;
  memset(&how, 0, sizeof how);
  how.flags = (unsigned)flags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  long fd;
  int tries = 8; /* EAGAIN: somebody was just moving directories */
  do {
    fd = syscall(SYS_openat2, dir, path, &how, sizeof how);
  } while (fd < 0 && (errno == EINTR || (errno == EAGAIN && tries-- > 0)));
  if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
    return open_without_links(dir, path, flags);
  }
  return (int)fd;
}

/* Returns an errno. */
static int read_all(int fd, char* to, size_t n) {
  size_t got = 0;
  while (got < n) {
    ssize_t k = pread(fd, to + got, n - got, (off_t)got);
    if (k == 0 || (k < 0 && errno != EINTR)) {
      return k == 0 ? EAGAIN : errno; /* it has just become shorter */
    }
    got += k > 0 ? (size_t)k : 0;
  }
  return 0;
}

/* O_NONBLOCK: opening a FIFO must not wait for somebody. */
static int open_file(int dir, const char* path, size_t small, struct stat* st,
                     char** data) {
  int fd =
      open_beneath(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) {
    return -errno;
  }
  int err = fstat(fd, st) != 0      ? errno
            : S_ISDIR(st->st_mode)  ? EISDIR
            : !S_ISREG(st->st_mode) ? EACCES
                                    : 0;
  if (!err && (uint64_t)st->st_size <= small) {
    *data = thrum_alloc((size_t)st->st_size);
    err = *data ? read_all(fd, *data, (size_t)st->st_size) : ENOMEM;
    close(fd);
    fd = 0;
    if (err) {
      thrum_free(*data);
      *data = NULL;
    }
  } else if (err) {
    close(fd);
  }
  return err ? -err : fd;
}

int sys_open(int dir, const char* path, size_t small, struct stat* st,
             char** data) {
  *data = NULL;
  thrum_enter_blocking();
  int fd = open_file(dir, path, small, st, data);
  thrum_exit_blocking();
  return fd;
}

int sys_stat(int dir, const char* path, struct stat* st) {
  thrum_enter_blocking();
  int err = fstatat(dir, path, st, 0) == 0 ? 0 : errno;
  thrum_exit_blocking();
  return -err;
}

void sys_close(int fd) {
  thrum_enter_blocking();
  close(fd);
  thrum_exit_blocking();
}
