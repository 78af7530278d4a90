// SPDX-License-Identifier: MIT
#include "thrum/net.h"

#include <string.h>

#include "net/dial.hpp"
#include "net/datagram.hpp"
#include "net/dns.hpp"
#include "net/foreign.hpp"
#include "net/poller.hpp"
#include "translate.hpp"

using namespace thrum;
using namespace thrum::capi;

static_assert(sizeof(thrum_addr) == sizeof(os::Address));
static_assert(sizeof(thrum_buf) == sizeof(os::Span) &&
              offsetof(thrum_buf, size) == offsetof(os::Span, bytes));
static_assert(THRUM_READABLE == os::kReadable &&
              THRUM_WRITABLE == os::kWritable);
static_assert(THRUM_LISTEN_REUSEPORT == kReusePort &&
              THRUM_LISTEN_V6ONLY == kV6Only);

namespace {

constexpr u32 kMostAddresses = 8;  // to be tried; they lie on the stack
constexpr u32 kMostBufs = 1024;    // IOV_MAX
constexpr int kMostBacklog = 65535;

Stream* core(thrum_conn* c) { return reinterpret_cast<Stream*>(c); }
Listener* core(thrum_listener* l) { return reinterpret_cast<Listener*>(l); }
Datagram* core(thrum_udp* u) { return reinterpret_cast<Datagram*>(u); }
ForeignFd* core(thrum_fd* f) { return reinterpret_cast<ForeignFd*>(f); }
os::Address* core(thrum_addr* a) { return reinterpret_cast<os::Address*>(a); }
const os::Address* core(const thrum_addr* a) {
  return reinterpret_cast<const os::Address*>(a);
}

bool of_parent(const PollFd& f) { return forked(poller_rt(f.poller)); }

bool good_events(int events) {
  return events && !(events & ~(THRUM_READABLE | THRUM_WRITABLE));
}

// Why a call on this object may not begin, with arguments that are good; 0.
template <class T>
int refused(T* object, bool good = true) {
  return !object                       ? kEINVAL
         : of_parent(core(object)->fd) ? kEFORKED
         : good                        ? 0
                                       : int{kEINVAL};
}

template <class T>
THRUM_INLINE int close_it(T* object) {
  if (int err = refused(object)) {
    return err;
  }
  Enter e;
  return fd_close(e.m, &core(object)->fd);
}

template <class T>
THRUM_INLINE void release_it(T* object) {
  if (!object) {
    return;
  }
  PollFd* f = &core(object)->fd;
  if (of_parent(*f)) {
    return fd_release_copy(f);
  }
  Enter e;
  fd_release(e.m, f);
}

int fd_of(const PollFd& f) { return fd_closed(&f) ? kECLOSED : f.fd; }

// Something quick with the descriptor, which stays open meanwhile.
template <class T, class Do>
THRUM_INLINE int with_fd(T* object, Do what) {
  if (int err = refused(object)) {
    return err;
  }
  PollFd* f = &core(object)->fd;
  Enter e;
  if (int err = call_begin(f)) {
    return err;
  }
  int result = what(f->fd);
  call_end(e.m, f);
  return result;
}

// Bytes of one piece, in or out.
template <class Buf, class Io>
THRUM_INLINE int64_t transfer(thrum_conn* c, Buf* buf, size_t n,
                              int64_t deadline_ns, Io io) {
  if (int err = refused(c)) {
    return err;
  }
  if (!buf || n == 0) {
    return n ? kEINVAL : 0;
  }
  EnterParking e(deadline_ns);
  return io(e.m, core(c), buf, n, deadline_ns);
}

// Dir::either: not one of the two.
Dir way(int events) {
  return events == THRUM_READABLE   ? Dir::read
         : events == THRUM_WRITABLE ? Dir::write
                                    : Dir::either;
}

bool good_bufs(const thrum_buf* bufs, uint32_t n) {
  if (!bufs || n == 0 || n > kMostBufs) {
    return false;
  }
  size_t sum = 0;
  for (uint32_t i = 0; i < n; ++i) {
    if ((!bufs[i].base && bufs[i].size) ||
        __builtin_add_overflow(sum, bufs[i].size, &sum)) {
      return false;
    }
  }
  return sum <= INT64_MAX;
}

// Of several pieces.
template <class Io>
THRUM_INLINE int64_t transfer_all(thrum_conn* c, const thrum_buf* bufs,
                                  uint32_t n, int64_t deadline_ns, Io io) {
  if (int err = refused(c, good_bufs(bufs, n))) {
    return err;
  }
  EnterParking e(deadline_ns);
  return io(e.m, core(c), reinterpret_cast<const os::Span*>(bufs), n,
            deadline_ns);
}

int queue_of(int backlog) { return backlog > 0 ? backlog : kMostBacklog; }

}  // namespace

extern "C" {

// ---- addresses -----------------------------------------------------------------

int thrum_addr_parse(thrum_addr* out, const char* text, uint16_t port) {
  if (!out || !text) {
    return kEINVAL;
  }
  bool path = port == 0 && (text[0] == '@' || strchr(text, '/'));
  bool good = path ? os::address_local(*core(out), text)
                   : os::address_parse(*core(out), text, port);
  if (!good) {
    memset(out, 0, sizeof *out);
  }
  return good ? 0 : kEINVAL;
}

int thrum_addr_text(const thrum_addr* addr, char* text, size_t size) {
  if (!addr || !text || os::family_of(*core(addr)) == os::Family::none) {
    return kEINVAL;
  }
  return os::address_text(*core(addr), text, size);
}

int thrum_addr_port(const thrum_addr* addr) {
  return addr ? os::address_port(*core(addr)) : kEINVAL;
}

int thrum_resolve(thrum_rt* rt, const char* host, uint16_t port,
                  thrum_addr* out, uint32_t n, int64_t deadline_ns) {
  if (!out || n == 0) {
    return kEINVAL;
  }
  EnterParking e;
  Runtime* r = rt_or_own(e.m, rt);
  return r ? resolve(e.m, r, host, port, false, core(out), n, deadline_ns)
           : no_rt(rt);
}

// ---- listeners -------------------------------------------------------------------

int thrum_tcp_listen(thrum_rt* rt, const char* host, uint16_t port, int backlog,
                     thrum_listener** out) {
  if (!out) {
    return kEINVAL;
  }
  *out = nullptr;
  EnterParking e;
  Runtime* r = rt_or_own(e.m, rt);
  if (!r) {
    return no_rt(rt);
  }
  os::Address at[kMostAddresses];
  int n = resolve(e.m, r, host, port, true, at, kMostAddresses, kForever);
  int err = n;
  for (int i = 0; i < n; ++i) {
    err = listener_new(r, at[i], queue_of(backlog), 0,
                       reinterpret_cast<Listener**>(out));
    if (!err || err == kEADDRINUSE || err == kEACCES) {
      break;  // not for want of this family
    }
  }
  return err;
}

int thrum_listen(thrum_rt* rt, const thrum_addr* at, int backlog,
                 uint32_t flags, thrum_listener** out) {
  if (!out) {
    return kEINVAL;
  }
  *out = nullptr;
  if (!at || os::family_of(*core(at)) == os::Family::none ||
      (flags & ~(THRUM_LISTEN_REUSEPORT | THRUM_LISTEN_V6ONLY))) {
    return kEINVAL;
  }
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  return r ? listener_new(r, *core(at), queue_of(backlog), flags,
                          reinterpret_cast<Listener**>(out))
           : no_rt(rt);
}

uint16_t thrum_listener_port(const thrum_listener* l) {
  return l ? reinterpret_cast<const Listener*>(l)->port : uint16_t{0};
}

int thrum_listener_fd(const thrum_listener* l) {
  return l ? fd_of(reinterpret_cast<const Listener*>(l)->fd) : kEINVAL;
}

int thrum_accept(thrum_listener* l, thrum_conn** out, int64_t deadline_ns) {
  if (!out) {
    return kEINVAL;
  }
  *out = nullptr;
  if (int err = refused(l)) {
    return err;
  }
  EnterParking e(deadline_ns);
  return stream_accept(e.m, core(l), reinterpret_cast<Stream**>(out),
                       deadline_ns);
}

int thrum_listener_close(thrum_listener* l) { return close_it(l); }
void thrum_listener_release(thrum_listener* l) { release_it(l); }

// ---- connections -------------------------------------------------------------------

int thrum_tcp_dial(thrum_rt* rt, const char* host, uint16_t port,
                   thrum_conn** out, int64_t deadline_ns) {
  if (!out) {
    return kEINVAL;
  }
  *out = nullptr;
  EnterParking e;
  Runtime* r = rt_or_own(e.m, rt);
  if (!r) {
    return no_rt(rt);
  }
  os::Address to[kMostAddresses];
  int n = resolve(e.m, r, host, port, false, to, kMostAddresses, deadline_ns);
  return n < 0 ? n
               : dial_any(e.m, r, to, static_cast<u32>(n),
                          reinterpret_cast<Stream**>(out), deadline_ns);
}

int thrum_dial(thrum_rt* rt, const thrum_addr* to, thrum_conn** out,
               int64_t deadline_ns) {
  if (!out) {
    return kEINVAL;
  }
  *out = nullptr;
  if (!to || os::family_of(*core(to)) == os::Family::none) {
    return kEINVAL;
  }
  EnterParking e;
  Runtime* r = rt_or_own(e.m, rt);
  return r ? stream_dial(e.m, r, *core(to), reinterpret_cast<Stream**>(out),
                         deadline_ns)
           : no_rt(rt);
}

int thrum_conn_adopt(thrum_rt* rt, int fd, thrum_conn** out) {
  if (!out) {
    return kEINVAL;
  }
  *out = nullptr;
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  if (!r) {
    return no_rt(rt);
  }
  return stream_adopt(r, fd, reinterpret_cast<Stream**>(out));
}

int thrum_conn_wait(thrum_conn* c, int events, int64_t deadline_ns) {
  Dir d = way(events);
  if (int err = refused(c, d != Dir::either)) {
    return err;
  }
  EnterParking e(deadline_ns);
  return stream_wait(e.m, core(c), d, deadline_ns);
}

int thrum_conn_set_timeout(thrum_conn* c, int events, int64_t ns) {
  Dir d = way(events);
  if (int err = refused(c, d != Dir::either && ns >= 0)) {
    return err;
  }
  Enter e;
  fd_set_timeout(&core(c)->fd, d, ns);
  return 0;
}

int64_t thrum_conn_timeout(const thrum_conn* c, int events) {
  Dir d = way(events);
  return c && d != Dir::either
             ? fd_timeout(&reinterpret_cast<const Stream*>(c)->fd, d)
             : kEINVAL;
}

int64_t thrum_read(thrum_conn* c, void* buf, size_t n, int64_t deadline_ns) {
  return transfer(c, buf, n, deadline_ns, stream_read);
}

int64_t thrum_write(thrum_conn* c, const void* buf, size_t n,
                    int64_t deadline_ns) {
  return transfer(c, buf, n, deadline_ns, stream_write);
}

int64_t thrum_write_some(thrum_conn* c, const void* buf, size_t n,
                         int64_t deadline_ns) {
  return transfer(c, buf, n, deadline_ns, stream_write_some);
}

int64_t thrum_readv(thrum_conn* c, const thrum_buf* bufs, uint32_t n,
                    int64_t deadline_ns) {
  return transfer_all(c, bufs, n, deadline_ns, stream_readv);
}

int64_t thrum_writev(thrum_conn* c, const thrum_buf* bufs, uint32_t n,
                     int64_t deadline_ns) {
  return transfer_all(c, bufs, n, deadline_ns, stream_writev);
}

int64_t thrum_sendfile(thrum_conn* c, int file_fd, int64_t offset, size_t n,
                       int64_t deadline_ns) {
  if (int err = refused(c)) {
    return err;
  }
  if (offset < 0 || n == 0) {
    return n ? kEINVAL : 0;
  }
  EnterParking e(deadline_ns);
  return stream_send_file(e.m, core(c), file_fd, offset, n, deadline_ns);
}

int thrum_conn_shutdown(thrum_conn* c) {
  return with_fd(c,
                 [](int fd) { return os::sock_shutdown(fd, os::kWritable); });
}

int thrum_conn_close(thrum_conn* c) { return close_it(c); }

void thrum_conn_retain(thrum_conn* c) {
  if (c && !of_parent(core(c)->fd)) {
    fd_retain(&core(c)->fd);
  }
}

void thrum_conn_release(thrum_conn* c) { release_it(c); }

int thrum_conn_fd(const thrum_conn* c) {
  return c ? fd_of(reinterpret_cast<const Stream*>(c)->fd) : kEINVAL;
}

int thrum_conn_local(thrum_conn* c, thrum_addr* out) {
  return out ? with_fd(c, [=](int fd) { return os::sock_name(fd, *core(out)); })
             : kEINVAL;
}

int thrum_conn_peer(thrum_conn* c, thrum_addr* out) {
  return out ? with_fd(c, [=](int fd) { return os::sock_peer(fd, *core(out)); })
             : kEINVAL;
}

int thrum_conn_set(thrum_conn* c, uint32_t option, int value) {
  constexpr os::Option kOptions[] = {
      os::Option::no_delay, os::Option::keep_alive, os::Option::linger,
      os::Option::receive_buffer, os::Option::send_buffer};
  if (option < 1 || option > sizeof kOptions / sizeof *kOptions || value < 0) {
    return kEINVAL;
  }
  return with_fd(
      c, [=](int fd) { return os::sock_set(fd, kOptions[option - 1], value); });
}

// ---- datagrams -----------------------------------------------------------------------

int thrum_udp_open(thrum_rt* rt, const thrum_addr* at, uint32_t flags,
                   thrum_udp** out) {
  if (!out) {
    return kEINVAL;
  }
  *out = nullptr;
  if (!at ||
      (os::family_of(*core(at)) != os::Family::v4 &&
       os::family_of(*core(at)) != os::Family::v6) ||
      (flags & ~(THRUM_LISTEN_REUSEPORT | THRUM_LISTEN_V6ONLY))) {
    return kEINVAL;
  }
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  return r ? datagram_new(r, *core(at), flags,
                          reinterpret_cast<Datagram**>(out))
           : no_rt(rt);
}

int thrum_udp_connect(thrum_udp* u, const thrum_addr* to) {
  return to ? with_fd(u,
                      [=](int fd) { return os::sock_connect(fd, *core(to)); })
            : kEINVAL;
}

int64_t thrum_udp_send(thrum_udp* u, const void* buf, size_t n,
                       const thrum_addr* to, int64_t deadline_ns) {
  if (int err = refused(u, buf || n == 0)) {
    return err;
  }
  EnterParking e(deadline_ns);
  return datagram_send(e.m, core(u), buf, n, core(to), deadline_ns);
}

int64_t thrum_udp_recv(thrum_udp* u, void* buf, size_t n, thrum_addr* from,
                       int64_t deadline_ns) {
  if (int err = refused(u, buf || n == 0)) {
    return err;
  }
  EnterParking e(deadline_ns);
  return datagram_recv(e.m, core(u), buf, n, core(from), deadline_ns);
}

int thrum_udp_local(thrum_udp* u, thrum_addr* out) {
  return out ? with_fd(u, [=](int fd) { return os::sock_name(fd, *core(out)); })
             : kEINVAL;
}

int thrum_udp_fd(const thrum_udp* u) {
  return u ? fd_of(reinterpret_cast<const Datagram*>(u)->fd) : kEINVAL;
}

int thrum_udp_close(thrum_udp* u) { return close_it(u); }
void thrum_udp_release(thrum_udp* u) { release_it(u); }

// ---- descriptors of the host's -----------------------------------------------------------

int thrum_poll_fd(thrum_rt* rt, int fd, int events, int64_t deadline_ns) {
  if (!good_events(events)) {
    return kEINVAL;
  }
  EnterParking e(deadline_ns);
  Runtime* r = rt_or_own(e.m, rt);
  return r ? foreign_poll(e.m, r, fd, events, deadline_ns) : no_rt(rt);
}

int thrum_fd_new(thrum_rt* rt, int fd, thrum_fd** out) {
  if (!out) {
    return kEINVAL;
  }
  *out = nullptr;
  Enter e;
  Runtime* r = rt_or_own(e.m, rt);
  return r ? foreign_new(r, fd, reinterpret_cast<ForeignFd**>(out)) : no_rt(rt);
}

int thrum_fd_wait(thrum_fd* f, int events, int64_t deadline_ns) {
  if (int err = refused(f, good_events(events))) {
    return err;
  }
  EnterParking e(deadline_ns);
  return foreign_wait(e.m, core(f), events, deadline_ns);
}

void thrum_fd_release(thrum_fd* f) { release_it(f); }

}  // extern "C"
