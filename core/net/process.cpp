// SPDX-License-Identifier: MIT
#include "net/process.hpp"

#include <string.h>

#include "net/handoff.hpp"
#include "time/sleep.hpp"

namespace thrum {

namespace {

constexpr int kSigKill = 9;
constexpr i64 kLookAgain = 10'000'000;  // where there is no descriptor of it

// 1: it has ended. Whoever comes first takes it from the kernel, which may then
// give the number to another.
int reap(Process* p) {
  Locked held(p->lock);
  if (!p->reaped) {
    int got = os::process_reap(p->pid, &p->code, &p->signo);
    if (got <= 0) {
      return got;
    }
    p->reaped = true;
  }
  return 1;
}

// A pipe of which one end is a stream, and the other a descriptor; `writes`: the
// stream is written.
int pipe_new(Runtime* rt, bool writes, Stream** out, int* other) {
  int fds[2];
  *out = nullptr;
  if (int err = os::pipe_open(fds)) {
    return err;
  }
  int own = fds[writes];
  int err = os::fd_nonblocking(own);
  err = err ? err : stream_new(rt, own, StreamKind::pipe, out);
  if (err) {
    os::fd_close(fds[0]);
    os::fd_close(fds[1]);
    return err;
  }
  *other = fds[!writes];
  return 0;
}

void release_all(M* m, Stream* const* streams) {
  for (int i = 0; i < 3; ++i) {
    if (streams[i]) {
      fd_release(m, &streams[i]->fd);
    }
  }
}

int start(Runtime* rt, const os::ProcessOptions& o, Process** out) {
  int pid = handed_off([&] { return os::process_start(o); });
  if (pid < 0) {
    return pid;
  }
  int fd = os::process_fd(pid);
  int err = fd_new(rt, max(fd, -1), false, sizeof(Process),
                   reinterpret_cast<PollFd**>(out));
  if (err) {  // nobody could ever wait for it
    os::process_signal(pid, false, kSigKill);
    handed_off([=] {
      int code;
      int signo;
      while (os::process_reap(pid, &code, &signo) == 0) {
        os::thread_sleep(1'000'000);
      }
      return 0;
    });
    os::fd_close(fd);
    return err;
  }
  (*out)->pid = pid;
  (*out)->group = o.group;
  return 0;
}

}  // namespace

int process_new(Runtime* rt, os::ProcessOptions o, const bool* piped,
                Process** out) {
  *out = nullptr;
  Stream* ours[3] = {};
  int theirs[3] = {-1, -1, -1};
  int err = 0;
  for (int i = 0; i < 3 && !err; ++i) {
    if (piped[i]) {
      err = pipe_new(rt, i == 0, &ours[i], &theirs[i]);
      o.fds[i] = theirs[i];
    }
  }
  err = err ? err : start(rt, o, out);
  for (int i = 0; i < 3; ++i) {
    if (theirs[i] >= 0) {
      os::fd_close(theirs[i]);
    }
  }
  if (!err) {
    memcpy((*out)->stdio, ours, sizeof ours);
  } else {
    Enter e;
    release_all(e.m, ours);
  }
  return err;
}

int process_wait(M*& m, Process* p, i64 deadline, int* code, int* signo) {
  if (int err = call_begin(&p->fd)) {
    return err;
  }
  int result;
  for (;;) {
    u32 seen = fd_events(&p->fd);
    result = reap(p);
    if (result) {
      break;
    }
    if (fd_closed(&p->fd)) {
      result = kECLOSED;
    } else if (p->fd.fd >= 0) {
      result = fd_wait(m, &p->fd, Dir::read, deadline, &seen);
    } else if (deadline == kTry || deadline <= os::now_ns()) {
      result = deadline == kTry ? kEAGAIN : kETIMEDOUT;
    } else {
      result = sleep_for(m, min(kLookAgain, deadline - os::now_ns()));
    }
    if (result) {
      break;
    }
  }
  if (result == 1) {
    *code = p->code;
    *signo = p->signo;
    result = 0;
  }
  call_end(m, &p->fd);
  return result;
}

int process_kill(Process* p, int signo) {
  Locked held(p->lock);
  return p->reaped ? int{kESRCH} : os::process_signal(p->pid, p->group, signo);
}

void process_release(M* m, Process* p) {
  reap(p);  // if it has ended it is not to stay a zombie
  release_all(m, p->stdio);
  fd_release(m, &p->fd);
}

void process_release_copy(Process* p) {
  for (Stream* s : p->stdio) {
    if (s) {
      fd_release_copy(&s->fd);
    }
  }
  fd_release_copy(&p->fd);
}

}  // namespace thrum
