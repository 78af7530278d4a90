// SPDX-License-Identifier: MIT
#include "chan/chan.hpp"

#include "thrum/host.h"
#include "translate.hpp"

using namespace thrum;
using namespace thrum::capi;

static_assert(sizeof(SelectCase) == sizeof(thrum_case) &&
              offsetof(SelectCase, elem) == offsetof(thrum_case, elem) &&
              offsetof(SelectCase, op) == offsetof(thrum_case, op) &&
              offsetof(SelectCase, result) == offsetof(thrum_case, result));
static_assert(kSend == THRUM_SEND && kRecv == THRUM_RECV);

namespace {

Chan* core(thrum_chan* ch) { return reinterpret_cast<Chan*>(ch); }

// An element of size 0 needs no memory.
bool good(thrum_chan* ch, const void* elem) {
  return ch && (elem || core(ch)->elem_size == 0);
}

}  // namespace

extern "C" {

int thrum_chan_new(uint32_t elem_size, uint32_t capacity, thrum_chan** out) {
  if (!out) {
    return kEINVAL;
  }
  *out = nullptr;
  return chan_new(elem_size, capacity, reinterpret_cast<Chan**>(out));
}

void thrum_chan_retain(thrum_chan* ch) {
  if (ch) {
    chan_retain(core(ch));
  }
}

void thrum_chan_release(thrum_chan* ch) {
  if (ch) {
    chan_release(core(ch));
  }
}

int thrum_chan_send(thrum_chan* ch, const void* src, int64_t deadline_ns) {
  if (THRUM_UNLIKELY(!good(ch, src))) {
    return kEINVAL;
  }
  if (chan_put(core(ch), src)) {
    return 0;
  }
  EnterParking e(deadline_ns);
  return chan_send(e.m, core(ch), src, deadline_ns);
}

int thrum_chan_recv(thrum_chan* ch, void* dst, int64_t deadline_ns) {
  if (THRUM_UNLIKELY(!good(ch, dst))) {
    return kEINVAL;
  }
  if (chan_get(core(ch), dst)) {
    return 0;
  }
  EnterParking e(deadline_ns);
  return chan_recv(e.m, core(ch), dst, deadline_ns);
}

int thrum_chan_close(thrum_chan* ch) {
  if (!ch) {
    return kEINVAL;
  }
  Enter e;
  return chan_close(e.m, core(ch));
}

uint32_t thrum_chan_len(thrum_chan* ch) {
  return ch ? core(ch)->len.load(relaxed) : 0;
}

uint32_t thrum_chan_cap(thrum_chan* ch) { return ch ? core(ch)->capacity : 0; }

int thrum_chan_set_drop(thrum_chan* ch, void (*drop)(void* arg, void* elem),
                        void* arg) {
  if (!ch) {
    return kEINVAL;
  }
  core(ch)->drop = drop;
  core(ch)->drop_arg = arg;
  return 0;
}

int thrum_chan_each(thrum_chan* ch, int (*visit)(void* arg, const void* elem),
                    void* arg) {
  return ch && visit ? chan_each(core(ch), visit, arg) : kEINVAL;
}

int thrum_select(thrum_case* cases, uint32_t n, int64_t deadline_ns) {
  if ((!cases && n) || n > 65535) {
    return kEINVAL;
  }
  for (uint32_t i = 0; i < n; ++i) {
    const thrum_case& k = cases[i];
    if (k.chan &&
        ((k.op != THRUM_SEND && k.op != THRUM_RECV) || !good(k.chan, k.elem))) {
      return kEINVAL;
    }
  }
  EnterParking e(deadline_ns);
  return select(e.m, reinterpret_cast<SelectCase*>(cases), n, deadline_ns);
}

}  // extern "C"
