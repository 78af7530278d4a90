// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/file_ops.hpp"
#include "os/linux/file.hpp"
#include "os/posix/result.hpp"
#include "os/socket.hpp"

extern char** environ;

namespace thrum::os {

namespace {

// posix_spawn's answer is an errno.
int fill(posix_spawn_file_actions_t* acts, const ProcessOptions& o) {
  int err = 0;
  for (int i = 0; i < 3 && !err; ++i) {
    if (o.fds[i] == i && fcntl(i, F_GETFD) < 0) {
      continue;  // closed here, and so there
    }
    // The descriptors of a pipe are close-on-exec; dup2 of a number onto itself
    // ends that.
    err = o.fds[i] < 0 ? posix_spawn_file_actions_addopen(
                             acts, i, "/dev/null", i ? O_WRONLY : O_RDONLY, 0)
                       : posix_spawn_file_actions_adddup2(acts, o.fds[i], i);
  }
  if (!err && o.dir) {
    err = posix_spawn_file_actions_addchdir_np(acts, o.dir);
  }
  return err;
}

// It begins as from a shell: no signal blocked, SIGPIPE ends it.
int fill(posix_spawnattr_t* attr, bool group) {
  sigset_t none;
  sigset_t usual;
  sigemptyset(&none);
  sigemptyset(&usual);
  sigaddset(&usual, SIGPIPE);
  posix_spawnattr_setsigmask(attr, &none);
  posix_spawnattr_setsigdefault(attr, &usual);
  posix_spawnattr_setpgroup(attr, 0);
  return posix_spawnattr_setflags(
      attr, static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                               (group ? POSIX_SPAWN_SETPGROUP : 0)));
}

int spawn(const ProcessOptions& o) {
  posix_spawn_file_actions_t acts;
  posix_spawnattr_t attr;
  if (int err = posix_spawn_file_actions_init(&acts)) {
    return -err;
  }
  int err = posix_spawnattr_init(&attr);
  if (!err) {
    pid_t pid = 0;
    err = fill(&acts, o);
    err = err ? err : fill(&attr, o.group);
    err = err ? err
              : posix_spawnp(&pid, o.file, &acts, &attr,
                             const_cast<char* const*>(o.argv),
                             o.env ? const_cast<char* const*>(o.env) : environ);
    err = err ? -err : pid;
    posix_spawnattr_destroy(&attr);
  } else {
    err = -err;
  }
  posix_spawn_file_actions_destroy(&acts);
  return err;
}

}  // namespace

// Its three are put in place one by one: ours below 3 that go elsewhere are copied
// out of the way before.
int process_start(const ProcessOptions& o) {
  ErrnoKeep keep;
  ProcessOptions clear = o;
  int copies[3] = {-1, -1, -1};
  int err = 0;
  for (int i = 0; i < 3 && err >= 0; ++i) {
    if (o.fds[i] >= 0 && o.fds[i] < 3 && o.fds[i] != i) {
      err = clear.fds[i] = copies[i] = fd_dup(o.fds[i]);
    }
  }
  err = err < 0 ? err : spawn(clear);
  for (int copy : copies) {
    if (copy >= 0) {
      close(copy);
    }
  }
  return err;
}

int process_fd(int pid) {
  return above_std(result(
      [&] { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }));
}

int process_reap(int pid, int* code, int* signo) {
  int status = 0;
  int got = result([&] { return waitpid(pid, &status, WNOHANG); });
  if (got <= 0) {
    return got;
  }
  *code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  *signo = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  return 1;
}

int process_signal(int pid, bool group, int signo) {
  return result([&] { return kill(group ? -pid : pid, signo); });
}

int pipe_open(int fds[2]) {
  ErrnoKeep keep;
  if (pipe2(fds, O_CLOEXEC) < 0) {
    return -errno;
  }
  int least = STDERR_FILENO;
  for (int i = 0; i < 2; ++i) {
    fds[i] = above_std(fds[i]);
    least = min(least, fds[i]);
  }
  if (least < 0) {
    int err = -errno;
    close(fds[0]);
    close(fds[1]);
    return err;
  }
  return 0;
}

void pipe_replace(const int fds[2]) {
  ErrnoKeep keep;
  int other[2];
  if (pipe2(other, O_CLOEXEC | O_NONBLOCK) == 0) {
    for (int i = 0; i < 2; ++i) {
      dup3(other[i], fds[i], O_CLOEXEC);
      close(other[i]);
    }
  }
}

}  // namespace thrum::os
