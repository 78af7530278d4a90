// SPDX-License-Identifier: MIT
#include "observe/server.hpp"

#include <new>
#include <string.h>

#include "base/err.hpp"
#include "observe/snapshot.hpp"
#include "observe/waits.hpp"
#include "os/local.hpp"
#include "os/socket.hpp"
#include "sched/observer.hpp"

namespace thrum {

namespace {

constexpr u32 kViewers = 8;
constexpr i64 kColumn = 100'000'000;      // of the heat map: 51 s are kept
constexpr i64 kPatience = 1'000'000'000;  // with a peer that does not read
constexpr i64 kFull = 20'000'000;         // until descriptors may be free again

struct Viewer {
  int fd = -1;  // -1: none
  bool measures = false;
  Seen seen;
  char line[32];
  u32 n = 0;
};

// Its thread's, once that runs.
struct Server : Observer {
  int fd = -1;
  os::FileId id;
  os::WakeFd bell;
  char path[128];
  Viewer viewers[kViewers];
};

Server* of(Observer* o) { return static_cast<Server*>(o); }

// ---- a peer --------------------------------------------------------------------------

struct Reply {
  Server* s;
  int fd;
  i64 until;
};

int send(void* arg, const char* bytes, size_t n) {
  auto& r = *static_cast<Reply*>(arg);
  while (n > 0) {
    i64 k = os::sock_send(r.fd, bytes, n);
    if (k > 0) {
      bytes += k;
      n -= static_cast<size_t>(k);
    } else if (k != kEAGAIN || os::now_ns() >= r.until ||
               r.s->leave.load(relaxed)) {
      return 1;
    } else {
      os::thread_sleep(1'000'000);
    }
  }
  return 0;
}

void hang_up(Server* s, Viewer& v) {
  os::fd_close_here(v.fd);
  seen_end(v.seen);
  bool measured = v.measures;
  v = Viewer{};
  for (const Viewer& other : s->viewers) {
    measured &= !other.measures;
  }
  if (measured) {
    recorder_stop(s->rt, kByViewer);
  }
}

// False: it is not to be heard any more.
bool answer(Server* s, Viewer& v, const char* line) {
  Reply r{s, v.fd, os::now_ns() + kPatience};
  Text out(send, &r);
  if (strcmp(line, "snapshot") == 0) {
    snapshot(s->rt, v.seen, out);
  } else if (strcmp(line, "measure") == 0) {
    v.measures = true;
    out.add(waits_start(s->rt, kColumn, kByViewer) ? "false" : "null");
  } else {
    return false;
  }
  out.bytes("", 1);
  out.flush();
  return !out.refused();
}

bool lines(Server* s, Viewer& v, i64 n) {
  u32 end = v.n + static_cast<u32>(n);
  u32 begin = 0;
  for (u32 i = v.n; i < end; ++i) {
    if (v.line[i] == '\n') {
      v.line[i] = 0;
      if (!answer(s, v, v.line + begin)) {
        return false;
      }
      begin = i + 1;
    }
  }
  v.n = end - begin;
  memmove(v.line, v.line + begin, v.n);
  return v.n < sizeof v.line;
}

void hear(Server* s, Viewer& v) {
  i64 n = os::sock_recv(v.fd, v.line + v.n, sizeof v.line - v.n);
  if (n != kEAGAIN && (n <= 0 || !lines(s, v, n))) {
    hang_up(s, v);
  }
}

void let_in(Server* s) {
  int fd = os::sock_accept(s->fd);
  if (fd < 0) {
    if (fd != kEAGAIN) {
      os::thread_sleep(kFull);  // who calls is there still: no reason to turn
    }
    return;
  }
  u32 uid;
  if (os::local_peer(fd, &uid) == 0 && uid == os::user_id()) {
    for (Viewer& v : s->viewers) {
      if (v.fd < 0 && os::fd_not_in_child(fd)) {
        v.fd = fd;
        seen_begin(v.seen);
        os::wake_fd_watch(s->bell, fd);
        return;
      }
    }
  }
  os::fd_close(fd);
}

// ---- the thread ----------------------------------------------------------------------

void answer_all(void* arg) {
  Server* s = of(static_cast<Observer*>(arg));
  while (!s->leave.load(acquire)) {  // pairs with observer_stop
    os::fd_sleep(s->bell.epoll, kForever);
    let_in(s);
    for (Viewer& v : s->viewers) {
      if (v.fd >= 0) {
        hear(s, v);
      }
    }
  }
  for (Viewer& v : s->viewers) {
    if (v.fd >= 0) {
      hang_up(s, v);
    }
  }
  os::local_end(s->fd, s->path, s->id);
  s->fd = -1;
}

void wake(Observer* o) { os::wake_fd_raise(of(o)->bell); }

void free_it(Observer* o) {
  Server* s = of(o);
  if (s->fd >= 0) {
    os::local_end(s->fd, s->path, s->id);
  }
  os::wake_fd_close(s->bell);
  mem::free(s);
}

bool fill_in(Text& out, const Runtime* rt, const char* path) {
  for (const char* at = path; *at; ++at) {
    if (at[0] == '%' && (at[1] == 'p' || at[1] == 'r')) {
      out.add("%u",
              *++at == 'r' ? rt->tag : static_cast<u32>(os::process_id()));
    } else {
      out.bytes(at, 1);
    }
  }
  return out.length() < sizeof Server::path;
}

int open(Server* s, const char* path) {
  Text out(s->path, sizeof s->path);
  if (!fill_in(out, s->rt, path)) {
    return kENAMETOOLONG;
  }
  if (int err = os::wake_fd_open(s->bell)) {
    return err;
  }
  int fd = os::local_listen(s->path, &s->id);
  if (fd < 0) {
    return fd;
  }
  s->fd = fd;
  os::wake_fd_watch(s->bell, fd);
  return observer_start(s, kServer, answer_all, "thrum-server");
}

}  // namespace

int serve(Runtime* rt, const char* path) {
  if (!path || !*path) {
    return kEINVAL;
  }
  if (rt->observers[kServer].load(acquire)) {  // pairs with observer_start
    return rt->stopping.load(relaxed) ? kECLOSED : kEBUSY;
  }
  if (!owns_threads(rt)) {
    return kENOTSUP;
  }
  auto* s = static_cast<Server*>(mem::zalloc(1, sizeof(Server)));
  if (!s) {
    return kENOMEM;
  }
  new (s) Server{};
  s->rt = rt;
  s->wake = wake;
  s->free = free_it;
  int err = open(s, path);
  if (err) {
    free_it(s);
  }
  return err;
}

}  // namespace thrum
