// SPDX-License-Identifier: MIT
#include "net/signal.hpp"

#include "chan/chan.hpp"
#include "mem/heap.hpp"
#include "net/loop.hpp"
#include "os/file_ops.hpp"

namespace thrum {

namespace {

void on_signal(uv_signal_t* h, int signo) {
  auto* s = static_cast<Signal*>(h->data);
  // To a channel, as a thread without a wait would: nobody is run here, and a full
  // one has been told already.
  M* nobody = nullptr;
  u64 n = static_cast<u32>(signo);
  chan_send(nobody, s->ch, &n, kTry);
}

void bury(Signal* s) {
  s->next = s->poller->dead_signals;
  s->poller->dead_signals = s;
}

void on_signal_closed(uv_handle_t* h) { bury(static_cast<Signal*>(h->data)); }

// libuv stops it here and now; its memory goes with the loop's next turn.
void let_go_of(Signal* s) {
  uv_close(reinterpret_cast<uv_handle_t*>(&s->handle), on_signal_closed);
  os::former_back(s->signo);
}

bool notified(const Poller* p, int signo, const Chan* ch) {
  const Signal* s = p->signals;
  while (s && (s->signo != signo || s->ch != ch)) {
    s = s->next;
  }
  return s;
}

int start(Poller* p, Signal* s) {
  uv_signal_init(&p->loop, &s->handle);
  s->handle.data = s;
  os::former_keep(s->signo);
  if (int err = uv_signal_start(&s->handle, on_signal, s->signo)) {
    let_go_of(s);
    return err;
  }
  os::former_replaced(s->signo);
  s->next = p->signals;
  p->signals = s;
  return 0;
}

// libuv's handler writes into the pipes of all loops that it knows: those of the
// parent get others at their ends, and what the signals did before us is in force.
void in_child() {
  for (Atomic<Runtime*>& at : g_runtimes) {
    Runtime* rt = at.load(relaxed);
    Source* source = rt ? rt->source.load(relaxed) : nullptr;
    if (source && rt->epoch + 1 == os::fork_epoch()) {
      os::pipe_replace(poller(source)->loop.signal_pipefd);
    }
  }
  os::former_in_child();
}

}  // namespace

int signals_close(Poller* p, const Chan* ch) {
  int n = 0;
  for (Signal** at = &p->signals; *at;) {
    Signal* s = *at;
    if (ch && s->ch != ch) {
      at = &s->next;
      continue;
    }
    *at = s->next;
    let_go_of(s);
    ++n;
  }
  return n;
}

void signals_free(Signal* list) {
  while (Signal* s = list) {
    list = s->next;
    chan_release(s->ch);
    mem::free(s);
  }
}

int signal_notify(M* m, Runtime* rt, int signo, Chan* ch) {
  Poller* p;
  if (int err = os::fork_watch(in_child) ? poller_of(rt, &p) : int{kENOMEM}) {
    return err;
  }
  auto* s = static_cast<Signal*>(mem::zalloc(1, sizeof(Signal)));
  if (!s) {
    return kENOMEM;
  }
  s->poller = p;
  s->signo = signo;
  s->ch = ch;
  chan_retain(ch);
  hold(p);
  int err = p->stopped ? int{kECLOSED} : 0;
  if (err || notified(p, signo, ch)) {
    bury(s);
  } else {
    err = start(p, s);
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
  int n = signals_close(p, ch);
  p->errands.let_go();
  serve_here(p, m);
  return n;
}

}  // namespace thrum
