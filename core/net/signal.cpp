// SPDX-License-Identifier: MIT
#include "net/signal.hpp"

#include "chan/chan.hpp"
#include "mem/heap.hpp"
#include "net/loop.hpp"

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

void on_signal_closed(uv_handle_t* h) {
  auto* s = static_cast<Signal*>(h->data);
  s->next = s->poller->dead_signals;
  s->poller->dead_signals = s;
}

// libuv stops it here and now; its memory goes with the loop's next turn.
void let_go_of(Signal* s) {
  uv_close(reinterpret_cast<uv_handle_t*>(&s->handle), on_signal_closed);
  os::former_back(s->signo);
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
  if (int err = poller_of(rt, &p)) {
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
  uv_signal_init(&p->loop, &s->handle);
  s->handle.data = s;
  os::former_keep(signo);
  int err = uv_signal_start(&s->handle, on_signal, signo);
  if (err) {
    let_go_of(s);
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
  int n = signals_close(p, ch);
  p->errands.let_go();
  serve_here(p, m);
  return n;
}

}  // namespace thrum
