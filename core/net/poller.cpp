// SPDX-License-Identifier: MIT
#include "net/poller.hpp"

#include <new>
#include <uv.h>

#include "chan/chan.hpp"
#include "mem/heap.hpp"
#include "net/signal.hpp"
#include "queue/errands.hpp"
#include "sched/source.hpp"

namespace thrum {

// A signal that goes to a channel.
struct Signal {
  uv_signal_t handle;  // held
  Poller* poller;      // const
  Chan* ch;            // const; owns a reference
  Signal* next;        // held
};

struct Poller : Source {
  Runtime* rt;              // const
  Atomic<bool> edge;        // held writes: descriptors are edge-triggered
  Errands<PollFd> errands;  // the lock, and those that want something
  uv_loop_t loop;           // held
  uv_async_t wake;          // held; sent to by anyone
  PollFd* to_edge;          // held: armed, and not yet edge-triggered
  PollFd* dead;             // held: closed
  Signal* signals;          // held: all that are delivered
  Signal* dead_signals;     // held: closed
  Waiter* woken;            // held: by the turn that is on, in order
  Waiter** woken_end;       // held
};

namespace {

// PollFd::wants
constexpr u32 kArm = 1;
constexpr u32 kClose = 2;

constexpr int kBoth = os::kReadable | os::kWritable;
static_assert(UV_READABLE == os::kReadable && UV_WRITABLE == os::kWritable);
static_assert(sizeof(uv_poll_t) <= sizeof(PollFd::handle));

uv_poll_t* handle_of(PollFd* f) {
  return reinterpret_cast<uv_poll_t*>(f->handle);
}
Poller* poller(Source* s) { return static_cast<Poller*>(s); }

void note_woken(Poller* p, Waiter* list) {
  while (list) {
    *p->woken_end = list;
    p->woken_end = &list->next;
    list = list->next;
  }
}

// Its memory may be the last that keeps the runtime, and this loop: see let_die.
void on_closed(uv_handle_t* h) {
  auto* f = static_cast<PollFd*>(h->data);
  f->next = f->poller->dead;
  f->poller->dead = f;
}

void on_event(uv_poll_t* h, int status, int events) {
  auto* f = static_cast<PollFd*>(h->data);
  Poller* p = f->poller;
  bool edge = p->edge.load(relaxed);
  bool failed = status < 0;  // an error of the descriptor's: calls will tell
  bool over = failed || (events & UV_DISCONNECT);
  // The end of the peer's half is something to read.
  int came = failed ? kBoth : (events & kBoth) | (over ? os::kReadable : 0);
  if (failed) {
    fd_disarmed(f);  // libuv has stopped it
  }
  note_woken(p, fd_event(f, came, over, edge || failed));
  if (!edge || failed) {
    int left = fd_armed(f);
    if (left) {
      uv_poll_start(h, left | UV_DISCONNECT, on_event);
    } else {
      uv_poll_stop(h);
    }
  }
}

void arm(Poller* p, PollFd* f) {
  uv_poll_t* h = handle_of(f);
  int err = 0;
  if (!f->watched) {
    int flags = f->foreign ? os::fd_flags(f->fd) : 0;
    err = uv_poll_init(&p->loop, h, f->fd);
    if (f->foreign) {
      os::fd_set_flags(f->fd, flags);  // libuv makes it non-blocking
    }
    h->data = f;
    f->watched = err == 0;
  }
  bool edge = p->edge.load(relaxed);
  int events = edge ? kBoth : fd_armed(f);
  if (!err && events) {
    err = uv_poll_start(h, events | UV_DISCONNECT, on_event);
  }
  if (err) {
    // Nobody will tell of it: calls try, and find out.
    fd_disarmed(f);
    note_woken(p, fd_event(f, kBoth, true, true));
  } else if (edge) {
    f->next_edge = p->to_edge;
    p->to_edge = f;
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

void close_it(Poller* p, PollFd* f) {
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
  });
}

// One turn of the loop: what has come, noted.
void turn(Poller* p) {
  uv_run(&p->loop, UV_RUN_NOWAIT);
  while (PollFd* f = p->to_edge) {
    p->to_edge = f->next_edge;
    if (os::epoll_edge(p->fd, f->fd, true)) {
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
  for (Signal* s = found.dead_signals; s;) {
    Signal* next = s->next;
    chan_release(s->ch);
    mem::free(s);
    s = next;
  }
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

// For what a G wants, on its own stack: libuv notes it. Its M takes the turn.
void serve_here(Poller* p, M* m) {
  if (!g_of(m) || m->rt != p->rt) {
    rt_retain(p->rt);  // what is served may be the last that keeps it
    poll(p, nullptr);
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

void interrupt(Source* s) { uv_async_send(&poller(s)->wake); }

// A turn takes the sign that was meant for the watcher, and perhaps before it has
// looked: it gets another.
void on_wake(uv_async_t* wake) {
  Runtime* rt = static_cast<Poller*>(wake->data)->rt;
  M* m = rt->watcher.load(relaxed);
  if (m && m->watching.load(seq_cst) && m->note.load(seq_cst)) {
    uv_async_send(wake);
  }
}

// Holds the lock whatever it takes: the runtime ends.
void hold(Poller* p) {
  while (!p->errands.try_hold()) {
    os::thread_yield();
  }
}

// ---- signals ---------------------------------------------------------------------

void on_signal(uv_signal_t* h, int signo) {
  auto* s = static_cast<Signal*>(h->data);
  // To a channel, as a thread without a wait would: nobody is run here, and a full
  // one has been told already.
  M* nobody = nullptr;
  u64 n = static_cast<u32>(signo);
  chan_send(nobody, s->ch, &n, kTry);
}

void on_signal_closed(uv_handle_t* h) {
  auto* s = static_cast<Signal*>(h->data);
  s->next = s->poller->dead_signals;
  s->poller->dead_signals = s;
}

// Those of this channel, or all; returns how many.
int close_signals(Poller* p, const Chan* ch) {
  int n = 0;
  for (Signal** at = &p->signals; *at;) {
    Signal* s = *at;
    if (ch && s->ch != ch) {
      at = &s->next;
      continue;
    }
    *at = s->next;
    uv_close(reinterpret_cast<uv_handle_t*>(&s->handle), on_signal_closed);
    ++n;
  }
  return n;
}

void stop_one(uv_handle_t* h, void* arg) {
  auto* p = static_cast<Poller*>(arg);
  if (h->type != UV_POLL || uv_is_closing(h)) {
    return;
  }
  auto* f = static_cast<PollFd*>(h->data);
  Waiter* woken = nullptr;
  if (fd_stopped(f, &woken)) {
    close_it(p, f);
  }
  note_woken(p, woken);
}

void stop(Source* s) {
  Poller* p = poller(s);
  hold(p);
  serve(p);
  uv_walk(&p->loop, stop_one, p);
  close_signals(p, nullptr);
  Found found = leave(p);
  ready_list(nullptr, found.woken);
  let_die(found);
  poll(p, nullptr);
}

void end(Poller* p) {
  uv_close(reinterpret_cast<uv_handle_t*>(&p->wake), nullptr);
  while (uv_run(&p->loop, UV_RUN_NOWAIT)) {}
  uv_loop_close(&p->loop);
  mem::free(p);
}

void free_source(Source* s) { end(poller(s)); }

}  // namespace

int poller_of(Runtime* rt, Poller** out) {
  Locked held(rt->source_lock);
  if (Source* s = rt->source.load(relaxed)) {
    *out = poller(s);
    return 0;
  }
  if (seeded(rt)) {
    return kENOTSUP;
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
  int err = uv_loop_init(&p->loop);
  if (err) {
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

Runtime* poller_rt(Poller* p) { return p->rt; }
bool poller_edge(Poller* p) { return p->edge.load(relaxed); }

int signal_notify(M* m, Runtime* rt, int signo, Chan* ch) {
  Poller* p;
  if (int err = poller_of(rt, &p)) {
    return err;
  }
  auto* s = static_cast<Signal*>(mem::zalloc(1, sizeof(Signal)));
  if (!s) {
    return kENOMEM;
  }
  s->poller = p;
  s->ch = ch;
  chan_retain(ch);
  hold(p);
  uv_signal_init(&p->loop, &s->handle);
  s->handle.data = s;
  int err = uv_signal_start(&s->handle, on_signal, signo);
  if (err) {
    uv_close(reinterpret_cast<uv_handle_t*>(&s->handle), on_signal_closed);
  } else {
    s->next = p->signals;
    p->signals = s;
  }
  p->errands.let_go();
  serve_here(p, m);
  return err;
}

int signal_stop(M* m, Runtime* rt, const Chan* ch) {
  Source* source = rt->source.load(acquire);
  if (!source) {
    return 0;
  }
  Poller* p = poller(source);
  hold(p);
  int n = close_signals(p, ch);
  p->errands.let_go();
  serve_here(p, m);
  return n;
}

void poller_arm(M* m, PollFd* f) {
  f->poller->errands.want(f, kArm);
  serve_here(f->poller, m);
}

void poller_close(M* m, PollFd* f) {
  f->poller->errands.want(f, kClose);
  serve_here(f->poller, m);
}

}  // namespace thrum
