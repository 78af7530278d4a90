// SPDX-License-Identifier: MIT
#include "net/poller.hpp"

#include <new>

#include "mem/heap.hpp"
#include "net/loop.hpp"

namespace thrum {

namespace {

// PollFd::wants
constexpr u32 kArm = 1;
constexpr u32 kClose = 2;

constexpr int kBoth = os::kReadable | os::kWritable;
// Urgent data is told of because a read stops at its mark.
constexpr int kAll = kBoth | UV_DISCONNECT | UV_PRIORITIZED;
static_assert(UV_READABLE == os::kReadable && UV_WRITABLE == os::kWritable);
static_assert(sizeof(uv_poll_t) <= sizeof(PollFd::handle));

uv_poll_t* handle_of(PollFd* f) {
  return reinterpret_cast<uv_poll_t*>(f->handle);
}

// By the address: what begins the handle lies on a line that an event need not touch.
PollFd* of_handle(void* h) {
  return reinterpret_cast<PollFd*>(static_cast<char*>(h) -
                                   offsetof(PollFd, handle));
}

void note_woken(Poller* p, Waiter* list) {
  while (list) {
    *p->woken_end = list;
    p->woken_end = &list->next;
    list = list->next;
  }
}

// The number may be another's as soon as the descriptor is closed.
void forget_edge(Poller* p, PollFd* f) {
  for (PollFd** at = &p->to_edge; *at; at = &(*at)->next_edge) {
    if (*at == f) {
      *at = f->next_edge;
      return;
    }
  }
}

// Its memory may be the last that keeps the runtime, and this loop: see let_die.
void on_closed(uv_handle_t* h) {
  PollFd* f = of_handle(h);
  f->next = f->poller->dead;
  f->poller->dead = f;
}

void on_event(uv_poll_t* h, int status, int events);

void handle(Poller* p, const Noted& noted) {
  auto [f, status, events] = noted;
  bool edge = p->edge.load(relaxed);
  bool failed = status < 0;  // an error of the descriptor's: calls will tell
  bool over = failed || (events & (UV_DISCONNECT | UV_PRIORITIZED));
  // The end of the peer's half is something to read. libuv does not tell of a
  // hang-up beside other events: who waits for a descriptor of the host's asks the
  // kernel in any case.
  int came = failed || f->foreign
                 ? kBoth
                 : (events & kBoth) | (over ? os::kReadable : 0);
  if (failed) {
    fd_disarmed(f);  // libuv has stopped it
    forget_edge(p, f);
  }
  Waiter* woken = fd_event(f, came, over, edge || failed);
  trace(nullptr, p->rt, Event::net_ready, woken ? woken->wake->g : nullptr,
        static_cast<u64>(f->fd));
  note_woken(p, woken);
  if (!edge || failed) {
    uv_poll_t* h = handle_of(f);
    int left = fd_armed(f);
    if (!left) {
      uv_poll_stop(h);
    } else if (failed || left != f->told) {
      uv_poll_start(h, left, on_event);
      p->anew = true;
    }
    f->told = left;
  }
}

// Each event is a chain of cache misses: the descriptor, the node of who waits for it,
// which lies in his body, his G. So they are noted first and handled in a row; what
// the later ones need is fetched meanwhile.
void handle_noted(Poller* p) {
  constexpr u32 kAhead = 6;
  u32 n = p->noted_n;
  p->noted_n = 0;
  for (u32 i = 0; i < n + kAhead; ++i) {
    if (kReadAhead && i < n) {
      prefetch_waiter(glance(p->noted[i].fd->waits[0].head));
    }
    if (i >= kAhead) {
      handle(p, p->noted[i - kAhead]);
    }
  }
}

void on_event(uv_poll_t* h, int status, int events) {
  PollFd* f = of_handle(h);
  Poller* p = f->poller;
  p->noted[p->noted_n++] = {f, status, events};
  if (p->noted_n == kNotes) {
    handle_noted(p);
  }
}

// uv_poll_init makes a descriptor non-blocking, and that is the open file's flag,
// which the host has, too, at that moment in a read, perhaps. So libuv gets to see
// another one first.
int init_foreign(Poller* p, PollFd* f) {
  int other = os::sock_open(os::Family::local, os::kStream);
  if (other < 0) {
    return other;
  }
  int err = uv_poll_init(&p->loop, handle_of(f), other);
  handle_of(f)->io_watcher.fd = f->fd;
  os::fd_close(other);
  return err;
}

void arm(Poller* p, PollFd* f) {
  uv_poll_t* h = handle_of(f);
  int err = 0;
  if (!f->watched) {
    err = f->foreign ? init_foreign(p, f) : uv_poll_init(&p->loop, h, f->fd);
    f->watched = err == 0;
  }
  bool edge = p->edge.load(relaxed);
  // Where it is not edge-triggered the end of a stream is readable again and again.
  int events = edge ? kAll : fd_armed(f);
  if (!err && events) {
    err = uv_poll_start(h, events, on_event);
    f->told = events;
  }
  if (err) {
    note_woken(p, fd_refused(f, err));
  } else if (edge) {
    f->next_edge = p->to_edge;
    p->to_edge = f;
  }
}

// A close that lingers would keep the loop's lock as long.
void about_to_close(PollFd* f) {
  if (f->stream) {
    os::sock_close_soon(f->fd);
  }
}

void close_it(Poller* p, PollFd* f) {
  {
    Locked held(p->open_lock);
    (f->prev_open ? f->prev_open->next_open : p->open) = f->next_open;
    if (f->next_open) {
      f->next_open->prev_open = f->prev_open;
    }
  }
  if (f->watched) {
    forget_edge(p, f);
    f->watched = false;
    uv_close(reinterpret_cast<uv_handle_t*>(handle_of(f)), on_closed);
    os::fd_close(f->fd);
  } else {
    os::fd_close(f->fd);
    f->next = p->dead;
    p->dead = f;
  }
}

void serve(Poller* p) {
  p->errands.take([p](PollFd* f, u32 wants) {
    if (wants & kClose) {
      close_it(p, f);
    } else if (wants & kArm) {
      arm(p, f);
    }
    return (wants & kClose) != 0;
  });
}

// One turn of the loop: what has come, noted.
void turn(Poller* p) {
  do {
    p->anew = false;
    uv_run(&p->loop, UV_RUN_NOWAIT);
    handle_noted(p);
  } while (p->anew);
  while (PollFd* f = p->to_edge) {
    p->to_edge = f->next_edge;
    int err = os::epoll_edge(p->fd, f->fd);
    if (err && err != kENOENT) {      // it is being closed: fd_vacate
      p->edge.store(false, relaxed);  // not this kernel, or not this libuv
    }
  }
}

Waiter* take_woken(Poller* p) {
  *p->woken_end = nullptr;
  Waiter* list = p->woken;
  p->woken = nullptr;
  p->woken_end = &p->woken;
  return list;
}

// What one hold of the lock has brought, for after it.
struct Found {
  Waiter* woken;
  PollFd* dead;
  Signal* dead_signals;
  bool again;
};
Found leave(Poller* p) {
  Found f{take_woken(p), p->dead, p->dead_signals, false};
  p->dead = nullptr;
  p->dead_signals = nullptr;
  f.again = p->errands.let_go();
  return f;
}

// The closed ones' memory, and with the last of them perhaps the runtime's.
void let_die(const Found& found) {
  signals_free(found.dead_signals);
  for (PollFd* f = found.dead; f;) {
    PollFd* next = f->next;
    fd_unref(f);
    f = next;
  }
}

u32 poll(Source* s, M* m) {
  Poller* p = poller(s);
  u32 n = 0;
  bool again = true;
  while (again && p->errands.try_hold()) {
    serve(p);
    turn(p);
    Found found = leave(p);
    again = found.again;
    n += ready_batch(m, found.woken);
    let_die(found);
  }
  return n;
}

constexpr size_t kTurnStack = size_t{40} << 10;

// Where a turn must be taken now, but a G of another runtime calls, which may have
// no room for it: a thread does it.
void roomy(void (*fn)(void*), Poller* p) {
  M* m = this_m();
  G* g = m ? g_of(m) : nullptr;
  char here;
  if (!g || static_cast<size_t>(&here - g->body->stack.lo()) >= kTurnStack) {
    return fn(p);
  }
  os::Thread t;
  while (os::thread_start(t, fn, p, "thrum-turn")) {
    os::thread_sleep(1'000'000);
  }
  os::thread_join(t);
}

void poll_all(void* p) { poll(static_cast<Poller*>(p), nullptr); }

}  // namespace

void serve_here(Poller* p, M* m) {
  if (!g_of(m) || m->rt != p->rt) {
    rt_retain(p->rt);  // what is served may be the last that keeps it
    roomy(poll_all, p);
    rt_release(p->rt);
    return;
  }
  source_prompt(m);
  bool again = true;
  while (again && p->errands.try_hold()) {
    serve(p);
    Found found = leave(p);
    again = found.again;
    ready_list(m, found.woken);
    let_die(found);
  }
}

void hold(Poller* p) {
  while (!p->errands.try_hold()) {
    os::thread_yield();
  }
}

namespace {

void interrupt(Source* s) { uv_async_send(&poller(s)->wake); }

// A turn takes the sign that was meant for the watcher, and perhaps before it has
// looked: it gets another.
void on_wake(uv_async_t* wake) {
  if (watcher_noted(static_cast<Poller*>(wake->data)->rt)) {
    uv_async_send(wake);
  }
}

void stop(Source* s) {
  Poller* p = poller(s);
  hold(p);
  serve(p);
  {
    Locked held(p->open_lock);
    p->stopped = true;
  }
  // No more of them from here on, and they go under the lock that we hold.
  for (PollFd *f = p->open, *next; f; f = next) {
    next = f->next_open;
    Waiter* woken = nullptr;
    if (fd_stopped(f, &woken)) {
      about_to_close(f);
      close_it(p, f);
    }
    note_woken(p, woken);
  }
  signals_close(p, nullptr);
  Found found = leave(p);
  ready_list(nullptr, found.woken);
  let_die(found);
  roomy(poll_all, p);
}

void end(void* arg) {
  auto* p = static_cast<Poller*>(arg);
  uv_close(reinterpret_cast<uv_handle_t*>(&p->wake), nullptr);
  while (uv_run(&p->loop, UV_RUN_NOWAIT)) {}
  uv_loop_close(&p->loop);
  mem::free(p);
}

void free_source(Source* s) { roomy(end, poller(s)); }

}  // namespace

int poller_of(Runtime* rt, Poller** out) {
  // acquire: pairs with source_set.
  if (Source* s = rt->source.load(acquire)) {
    *out = poller(s);
    return rt->stopping.load(relaxed) ? kECLOSED : 0;
  }
  if (seeded(rt)) {
    return kENOTSUP;
  }
  Locked held(rt->source_lock);
  if (rt->stopping.load(relaxed)) {
    return kECLOSED;  // source_stop may have been here
  }
  if (Source* s = rt->source.load(relaxed)) {
    *out = poller(s);
    return 0;
  }
  auto* p = static_cast<Poller*>(mem::zalloc(1, sizeof(Poller)));
  if (!p) {
    return kENOMEM;
  }
  new (p) Poller{};
  p->rt = rt;
  p->woken_end = &p->woken;
  p->edge.store(true, relaxed);
  p->poll = poll;
  p->interrupt = interrupt;
  p->stop = stop;
  p->free = free_source;
  os::StdTaken taken;
  int err = uv_loop_init(&p->loop);
  if (err) {
    if (p->loop.backend_fd > 0) {  // libuv forgets it; 0: it has none yet
      os::fd_close(p->loop.backend_fd);
    }
    mem::free(p);
    return err;
  }
  p->fd = uv_backend_fd(&p->loop);
  err = uv_async_init(&p->loop, &p->wake, on_wake);
  p->wake.data = p;
  if (err) {
    uv_loop_close(&p->loop);
    mem::free(p);
    return err;
  }
  source_set(rt, p);
  *out = p;
  return 0;
}

int poller_add(Poller* p, PollFd* f) {
  Locked held(p->open_lock);
  if (p->stopped) {
    return kECLOSED;
  }
  f->next_open = p->open;
  if (p->open) {
    p->open->prev_open = f;
  }
  p->open = f;
  return 0;
}

Runtime* poller_rt(Poller* p) { return p->rt; }
bool poller_edge(Poller* p) { return p->edge.load(relaxed); }

void poller_arm(M* m, PollFd* f) {
  f->poller->errands.want(f, kArm);
  serve_here(f->poller, m);
}

// Who closes finds the file closed when his call returns: a port is free again, a
// peer knows. Where another has the loop, only the number is left for it; not while
// it arms that very descriptor (libuv tries an epoll_ctl and takes it back).
void poller_close(M* m, PollFd* f) {
  Poller* p = f->poller;
  Runtime* rt = p->rt;
  rt_retain(rt);
  about_to_close(f);
  for (;;) {
    if (p->errands.try_hold()) {
      p->errands.want(f, kClose);
      serve(p);
      Found found = leave(p);
      ready_list(m, found.woken);
      let_die(found);
      break;
    }
    if (!p->errands.wanted(f) && !os::fd_vacate(f->fd, p->fd)) {
      p->errands.want(f, kClose);
      break;
    }
    os::thread_yield();
  }
  serve_here(p, m);
  rt_release(rt);
}

}  // namespace thrum
