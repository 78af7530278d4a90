// SPDX-License-Identifier: MIT
#include "os/file_ops.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/posix/result.hpp"

namespace thrum::os {

namespace {

Kind kind_of(mode_t mode) {
  return S_ISREG(mode)   ? Kind::file
         : S_ISDIR(mode) ? Kind::directory
         : S_ISLNK(mode) ? Kind::link
                         : Kind::other;
}

int fill(int err, const struct stat& st, Stat* out) {
  if (!err) {
    out->kind = kind_of(st.st_mode);
    out->mode = st.st_mode & 07777;
    out->size = static_cast<u64>(st.st_size);
    out->modified = st.st_mtim.tv_sec * i64{1'000'000'000} + st.st_mtim.tv_nsec;
    out->device = st.st_dev;
    out->inode = st.st_ino;
  }
  return err;
}

}  // namespace

int file_open(const char* path, int flags, u32 mode) {
  return result([&] { return open(path, flags | O_CLOEXEC, mode); });
}

int file_make(const char* path, u32 mode) {
  return file_open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

i64 file_read(int fd, void* buf, size_t n, i64 offset) {
  return result([&] {
    return offset < 0 ? read(fd, buf, n) : pread(fd, buf, n, offset);
  });
}

i64 file_write(int fd, const void* buf, size_t n, i64 offset) {
  return result([&] {
    return offset < 0 ? write(fd, buf, n) : pwrite(fd, buf, n, offset);
  });
}

int file_sync(int fd, bool data_only) {
  return result([&] { return data_only ? fdatasync(fd) : fsync(fd); });
}

int file_truncate(int fd, i64 size) {
  return result([&] { return ftruncate(fd, size); });
}

int file_stat(const char* path, bool follow, Stat* out) {
  struct stat st;
  int err = result([&] { return follow ? stat(path, &st) : lstat(path, &st); });
  return fill(err, st, out);
}

int file_fstat(int fd, Stat* out) {
  struct stat st;
  int err = result([&] { return fstat(fd, &st); });
  return fill(err, st, out);
}

int file_rename(const char* from, const char* to) {
  return result([&] { return rename(from, to); });
}

int file_remove(const char* path) {
  return result([&] { return remove(path); });
}

int dir_make(const char* path, u32 mode) {
  return result([&] { return mkdir(path, mode); });
}

int dir_list(const char* path, bool (*fn)(void*, const char*, Kind),
             void* arg) {
  ErrnoKeep keep;
  DIR* dir = opendir(path);
  if (!dir) {
    return -errno;
  }
  int err = 0;
  for (;;) {
    errno = 0;
    dirent* e = readdir(dir);
    if (!e) {
      err = -errno;
      break;
    }
    if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) {
      continue;
    }
    Kind kind = e->d_type == DT_REG       ? Kind::file
                : e->d_type == DT_DIR     ? Kind::directory
                : e->d_type == DT_LNK     ? Kind::link
                : e->d_type == DT_UNKNOWN ? Kind::none
                                          : Kind::other;
    if (!fn(arg, e->d_name, kind)) {
      break;
    }
  }
  closedir(dir);
  return err;
}

}  // namespace thrum::os
