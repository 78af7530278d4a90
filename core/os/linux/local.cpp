// SPDX-License-Identifier: MIT
#include "os/local.hpp"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/linux/file.hpp"
#include "os/posix/result.hpp"

namespace thrum::os {

namespace {

constexpr int kBacklog = 8;
constexpr u32 kMostPrivate = 64;

// fd + 1; 0: free.
constinit Atomic<int> g_private[kMostPrivate] = {};

void in_child() {
  for (Atomic<int>& at : g_private) {
    if (int fd = at.exchange(0, relaxed)) {
      ErrnoKeep keep;
      close(fd - 1);
    }
  }
}

int address(sockaddr_un& a, const char* path) {
  if (strlen(path) >= sizeof a.sun_path) {
    return -ENAMETOOLONG;
  }
  memset(&a, 0, sizeof a);
  a.sun_family = AF_UNIX;
  strncpy(a.sun_path, path, sizeof a.sun_path - 1);
  return 0;
}

int open_local() {
  return result([] {
    return above_std(
        socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  });
}

bool is(const FileId& id, const struct stat& st) {
  return st.st_dev == id.device && st.st_ino == id.inode;
}

// A socket of ours at which nobody listens any more.
bool stale(const sockaddr_un& a) {
  struct stat st;
  if (lstat(a.sun_path, &st) < 0 || !S_ISSOCK(st.st_mode) ||
      st.st_uid != geteuid()) {
    return false;
  }
  int fd = open_local();
  int err = result([&] {
    return connect(fd, reinterpret_cast<const sockaddr*>(&a), sizeof a);
  });
  close(fd);
  return err == -ECONNREFUSED;
}

int bind_to(int fd, const sockaddr_un& a) {
  return result([&] {
    return bind(fd, reinterpret_cast<const sockaddr*>(&a), sizeof a);
  });
}

}  // namespace

int local_listen(const char* path, FileId* id) {
  ErrnoKeep keep;
  sockaddr_un a;
  int err = address(a, path);
  int fd = err ? err : open_local();
  if (fd < 0) {
    return fd;
  }
  // The file that bind makes gets the mode of the socket, less the umask.
  err = result([&] { return fchmod(fd, 0600); });
  if (!err && (err = bind_to(fd, a)) == -EADDRINUSE && stale(a)) {
    unlink(path);
    err = bind_to(fd, a);
  }
  struct stat st;
  if (!err && !(err = result([&] { return lstat(path, &st); }))) {
    *id = FileId{st.st_dev, st.st_ino};
    err = result([&] { return listen(fd, kBacklog); });
  }
  if (!err && !fd_not_in_child(fd)) {
    err = -EMFILE;
  }
  if (err) {
    close(fd);
  }
  return err ? err : fd;
}

void local_end(int fd, const char* path, const FileId& id) {
  ErrnoKeep keep;
  struct stat st;
  if (lstat(path, &st) == 0 && is(id, st)) {
    unlink(path);
  }
  fd_close_here(fd);
}

int local_peer(int fd, u32* uid) {
  ucred who;
  socklen_t size = sizeof who;
  int err = result(
      [&] { return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size); });
  *uid = who.uid;
  return err;
}

u32 user_id() { return geteuid(); }
int process_id() { return getpid(); }

bool fd_not_in_child(int fd) {
  if (!fork_watch(in_child)) {
    return false;
  }
  for (Atomic<int>& at : g_private) {
    int none = 0;
    if (at.compare_exchange_strong(none, fd + 1, relaxed, relaxed)) {
      return true;
    }
  }
  return false;
}

void fd_close_here(int fd) {
  ErrnoKeep keep;
  for (Atomic<int>& at : g_private) {
    int mine = fd + 1;
    if (at.compare_exchange_strong(mine, 0, relaxed, relaxed)) {
      break;
    }
  }
  close(fd);
}

}  // namespace thrum::os
