// SPDX-License-Identifier: MIT
#include "net/stream.hpp"

#include "net/handoff.hpp"
#include "net/poller.hpp"
#include "time/sleep.hpp"

namespace thrum {

namespace {

// A call that moves bytes out, until all are out: `step` takes how many are, and
// returns how many more, or an error.
template <class Step>
i64 move_all(M*& m, PollFd* f, size_t n, i64 deadline, Step step) {
  i64 err = turn_take(m, f, Dir::write, deadline);
  if (THRUM_UNLIKELY(err)) {
    return err;
  }
  size_t done = 0;
  while (done < n || n == 0) {
    i64 k = step(done);
    if (k >= 0) {
      done += static_cast<size_t>(k);
      if (k == 0) {
        break;  // nothing to move: the end of a file
      }
    } else if (k != kEAGAIN || (k = fd_wait(m, f, Dir::write, deadline))) {
      err = k;
      break;
    }
  }
  if (THRUM_UNLIKELY(err == kECANCELED && done)) {
    // The bytes are the answer; the request is for the next call.
    cancel_again(m);
  }
  turn_give(m, f, Dir::write);
  return done || !err ? static_cast<i64>(done) : err;
}

// A read that leaves room has read all there was: the next one waits first. Not so
// at the end of a stream, which comes without an event of its own, at urgent data,
// and with Unix sockets: a read ends where a message with descriptors does.
template <class Read>
i64 read_some(M*& m, Stream* s, size_t room, i64 deadline, Read read) {
  PollFd* f = &s->fd;
  i64 n = turn_take(m, f, Dir::read, deadline);
  if (THRUM_UNLIKELY(n)) {
    return n;
  }
  if (f->drained) {
    f->drained = false;
    if (deadline != kTry && !cancel_pends(m)) {
      n = fd_wait(m, f, Dir::read, deadline);
    }
    if (n == kETIMEDOUT && (n = read()) == kEAGAIN) {
      n = kETIMEDOUT;  // what can be done at once is, whatever the deadline
    }
  }
  while (!n && (n = read()) == kEAGAIN) {
    n = fd_wait(m, f, Dir::read, deadline);
  }
  if (n > 0 && static_cast<size_t>(n) < room && f->stream) {
    f->drained = !(f->word.word.load(relaxed) & kFdHangup);
  }
  turn_give(m, f, Dir::read);
  return n;
}

constexpr i64 kQueueLook = 100'000;
constexpr i64 kQueueMost = 10'000'000;

i64 send(Stream* s, const void* buf, size_t n) {
  os::Span span{const_cast<void*>(buf), n};
  return s->fd.pipe ? os::fd_write_quietly(s->fd.fd, &span, 1)
                    : os::sock_send(s->fd.fd, buf, n);
}

// In its turn to write: whoever closes meanwhile leaves us the descriptor.
int connect(M*& m, PollFd* f, const os::Address& to, bool local, i64 deadline) {
  int err = os::sock_connect(f->fd, to);
  for (i64 ns = kQueueLook; err == kEAGAIN && local;
       ns = min(2 * ns, kQueueMost)) {
    // The listener's queue is full, and nobody tells of its end.
    i64 now = os::now_ns();
    if (deadline <= now || (err = sleep_for(m, min(ns, deadline - now)))) {
      err = err == kECANCELED ? err : deadline == kTry ? kEAGAIN : kETIMEDOUT;
      break;
    }
    err = fd_closed(f) ? int{kECLOSED} : os::sock_connect(f->fd, to);
  }
  if (err == kEINPROGRESS) {
    // What was ready before the connect is not its end.
    do {
      err = fd_wait(m, f, Dir::write, deadline);
    } while (!err && !os::fd_poll(f->fd, os::kWritable));
    err = err ? err : os::sock_error(f->fd);
  }
  return err;
}

size_t total(const os::Span* spans, u32 n) {
  size_t sum = 0;
  for (u32 i = 0; i < n; ++i) {
    sum += spans[i].bytes;
  }
  return sum;
}

}  // namespace

int stream_new(Runtime* rt, int fd, StreamKind kind, Stream** out) {
  int err = fd_new(rt, fd, kind == StreamKind::tcp, sizeof(Stream),
                   reinterpret_cast<PollFd**>(out));
  if (!err) {
    (*out)->fd.pipe = kind == StreamKind::pipe;
  }
  return err;
}

int stream_adopt(Runtime* rt, int fd, Stream** out) {
  os::Address own;
  StreamKind kind = StreamKind::pipe;
  int err = os::sock_name(fd, own);
  if (!err) {
    kind = os::family_of(own) == os::Family::local ? StreamKind::local
                                                   : StreamKind::tcp;
    int type = os::sock_type(fd);
    err = type == os::kStream ? 0 : type < 0 ? type : int{kEINVAL};
  } else if (err == kENOTSOCK) {
    err = os::fd_pollable(fd);
  }
  int flags = os::fd_flags(fd);
  err = err ? err : os::fd_nonblocking(fd);
  err = err ? err : stream_new(rt, fd, kind, out);
  if (err) {
    os::fd_set_flags(fd, flags);
  }
  return err;
}

int listener_new(Runtime* rt, const os::Address& at, int backlog, u32 flags,
                 Listener** out) {
  *out = nullptr;
  Poller* poller;
  int err = poller_of(rt, &poller);  // before a path is there for good
  if (err) {
    return err;
  }
  os::Family family = os::family_of(at);
  int fd = os::sock_open(family, os::kStream);
  if (fd < 0) {
    return fd;
  }
  if (family != os::Family::local) {
    err = os::sock_set(fd, os::Option::reuse_address, 1);
  }
  if (!err && family == os::Family::v6) {
    err = os::sock_set(fd, os::Option::v6_only, (flags & kV6Only) != 0);
  }
  if (!err && (flags & kReusePort)) {
    err = os::sock_set(fd, os::Option::reuse_port, 1);
  }
  os::Address bound;
  err = err ? err : os::sock_bind(fd, at);
  err = err ? err : os::sock_listen(fd, backlog);
  err = err ? err : os::sock_name(fd, bound);
  err = err ? err
            : fd_new(rt, fd, false, sizeof(Listener),
                     reinterpret_cast<PollFd**>(out));
  if (err) {
    os::fd_close(fd);
    return err;
  }
  (*out)->fd.listens = true;
  (*out)->port = os::address_port(bound);
  return 0;
}

int stream_accept(M*& m, Listener* l, Stream** out, i64 deadline) {
  *out = nullptr;
  i64 fd;
  do {
    fd = fd_call(m, &l->fd, Dir::read, deadline,
                 [&] { return os::sock_accept(l->fd.fd); });
    // It has gone already, or the network spoke of something older: the next.
  } while (fd == kECONNABORTED || fd == kEPROTO || fd == kENETDOWN ||
           fd == kENOPROTOOPT || fd == kEHOSTDOWN || fd == kEHOSTUNREACH ||
           fd == kENETUNREACH);
  if (fd == kEINVAL && fd_closed(&l->fd)) {
    fd = kECLOSED;  // the close came between the turn and the call
  }
  if (fd < 0) {
    return static_cast<int>(fd);
  }
  int err = stream_new(poller_rt(l->fd.poller), static_cast<int>(fd),
                       l->port ? StreamKind::tcp : StreamKind::local, out);
  if (err) {
    os::fd_close(static_cast<int>(fd));
  }
  return err;
}

int stream_dial(M*& m, Runtime* rt, const os::Address& to, Stream** out,
                i64 deadline) {
  *out = nullptr;
  bool tcp = os::family_of(to) != os::Family::local;
  int fd = os::sock_open(os::family_of(to), os::kStream);
  if (fd < 0) {
    return fd;
  }
  Stream* s;
  if (int err =
          stream_new(rt, fd, tcp ? StreamKind::tcp : StreamKind::local, &s)) {
    os::fd_close(fd);
    return err;
  }
  int err = turn_take(m, &s->fd, Dir::write, deadline);
  if (!err) {
    err = connect(m, &s->fd, to, !tcp, deadline);
    turn_give(m, &s->fd, Dir::write);
  }
  if (err) {
    fd_release(m, &s->fd);
    return err;
  }
  *out = s;
  return 0;
}

int stream_wait(M*& m, Stream* s, Dir d, i64 deadline) {
  PollFd* f = &s->fd;
  int err = static_cast<int>(turn_take(m, f, d, deadline));
  if (err) {
    return err;
  }
  int event = d == Dir::read ? os::kReadable : os::kWritable;
  bool empty =
      d == Dir::read && f->drained && deadline != kTry && !cancel_pends(m);
  if (!empty) {
    err = os::fd_poll(f->fd, event);
  }
  if (!err) {
    err = fd_wait(m, f, d, deadline);
  }
  if (empty && err == kETIMEDOUT && os::fd_poll(f->fd, event) > 0) {
    err = 0;  // what is there already counts, whatever the deadline
  }
  if (d == Dir::read && err >= 0) {
    f->drained = false;
  }
  turn_give(m, f, d);
  return min(err, 0);
}

i64 stream_read(M*& m, Stream* s, void* buf, size_t n, i64 deadline) {
  return read_some(m, s, n, deadline, [&] {
    os::Span span{buf, n};
    return s->fd.pipe ? os::fd_read(s->fd.fd, &span, 1)
                      : os::sock_recv(s->fd.fd, buf, n);
  });
}

i64 stream_readv(M*& m, Stream* s, const os::Span* spans, u32 n, i64 deadline) {
  size_t room = total(spans, n);
  if (room == 0) {
    return 0;
  }
  return read_some(m, s, room, deadline,
                   [&] { return os::fd_read(s->fd.fd, spans, n); });
}

i64 stream_write(M*& m, Stream* s, const void* buf, size_t n, i64 deadline) {
  auto* from = static_cast<const char*>(buf);
  return move_all(m, &s->fd, n, deadline,
                  [&](size_t done) { return send(s, from + done, n - done); });
}

i64 stream_write_some(M*& m, Stream* s, const void* buf, size_t n,
                      i64 deadline) {
  return fd_call(m, &s->fd, Dir::write, deadline,
                 [&] { return send(s, buf, n); });
}

i64 stream_writev(M*& m, Stream* s, const os::Span* spans, u32 n,
                  i64 deadline) {
  return move_all(
      m, &s->fd, total(spans, n), deadline, [&](size_t done) -> i64 {
        u32 i = 0;
        for (; done >= spans[i].bytes && i + 1 < n; ++i) {
          done -= spans[i].bytes;
        }
        if (done == 0) {
          return s->fd.pipe ? os::fd_write_quietly(s->fd.fd, spans + i, n - i)
                            : os::sock_send_span(s->fd.fd, spans + i, n - i);
        }
        auto* from = static_cast<const char*>(spans[i].p);
        return send(s, from + done, spans[i].bytes - done);
      });
}

i64 stream_send_file(M*& m, Stream* s, int file, i64 offset, size_t n,
                     i64 deadline) {
  return move_all(m, &s->fd, n, deadline, [&](size_t done) {
    return handed_off(m, [&] {  // the disk may take its time
      return os::send_file(s->fd.fd, file, offset + static_cast<i64>(done),
                           n - done);
    });
  });
}

}  // namespace thrum
