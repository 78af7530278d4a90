// SPDX-License-Identifier: MIT
#include "chan/chan.hpp"

#include "mem/heap.hpp"

namespace thrum {

namespace {

constinit Atomic<u64> g_order{0};  // process-wide: channels cross runtimes

// Ends a call whose operation completed: the lock goes, then the peer is served.
inline int settle(M* m, Chan* c, const Served& s, void* from, void* to) {
  u32 size = c->elem_size;
  c->lock.unlock();
  if (s.peer) {
    if (s.copy) {
      copy_elem(to ? to : s.peer->elem, from ? from : s.peer->elem, size);
    }
    s.peer->wake->result = 0;
    s.peer->wake->by = s.peer;
    ready(m, s.peer->wake);
  }
  return s.result;
}

// Links a node and waits. The peer writes or reads elem while we are parked.
int wait_in(M*& m, Chan* c, WaitQueue& q, void* elem, Wait& w) {
  Wake own_wake;
  Waiter own;
  Wake* wake = wake_of(m, own_wake);
  Waiter* node = waiter_of(m, own);
  node->wake = wake;
  node->elem = elem;
  q.push(node);
  int result = wait(m, wake, w, Unlock{&c->lock});
  if (THRUM_UNLIKELY(result == kETIMEDOUT || result == kECANCELED)) {
    Locked held(c->lock);
    if (node->linked) {
      q.remove(node);
    }
  }
  return result;
}

}  // namespace

Served try_send(Chan* c, const void* elem) {
  if (THRUM_UNLIKELY(c->closed)) {
    return Served{nullptr, kECLOSED, true, false};
  }
  if (!c->recvq.empty()) {
    if (Waiter* w = pop_claimed(c->recvq)) {
      return Served{w, 0, true, true};
    }
  }
  if (c->len.load(relaxed) < c->capacity) {
    buffer_put(c, elem);
    return Served{nullptr, 0, true, false};
  }
  return Served{nullptr, 0, false, false};
}

Served try_recv(Chan* c, void* elem) {
  if (c->len.load(relaxed) > 0) {
    buffer_get(c, elem);
    // The oldest parked sender's value takes the place that came free: under
    // the lock, for the order of the buffer.
    if (!c->sendq.empty()) {
      if (Waiter* w = pop_claimed(c->sendq)) {
        buffer_put(c, w->elem);
        return Served{w, 0, true, false};
      }
    }
    return Served{nullptr, 0, true, false};
  }
  if (!c->sendq.empty()) {
    if (Waiter* w = pop_claimed(c->sendq)) {
      return Served{w, 0, true, true};
    }
  }
  if (THRUM_UNLIKELY(c->closed)) {
    return Served{nullptr, kECLOSED, true, false};
  }
  return Served{nullptr, 0, false, false};
}

int chan_new(u32 elem_size, u32 capacity, Chan** out) {
  u64 bytes = sizeof(Chan) + u64{elem_size} * capacity;
  if (elem_size && bytes > (u64{1} << 40)) {
    return kENOMEM;
  }
  Chan* c = static_cast<Chan*>(mem::alloc(bytes));
  if (!c) {
    return kENOMEM;
  }
  memset(static_cast<void*>(c), 0, sizeof(Chan));
  c->elem_size = elem_size;
  c->capacity = capacity;
  c->refs.store(1, relaxed);
  c->order = g_order.fetch_add(1, relaxed);
  *out = c;
  return 0;
}

void chan_retain(Chan* c) { c->refs.fetch_add(1, relaxed); }

void chan_release(Chan* c) {
  // acq_rel: the last one sees what all others did to the channel.
  if (c->refs.fetch_sub(1, acq_rel) != 1) {
    return;
  }
  // The call that made the last operation visible may still be before its
  // unlock on another thread: the lock says when it has let go.
  c->lock.lock();
  if (c->drop) {
    for (u32 n = c->len.load(relaxed); n > 0; --n) {
      void* elem = c->slot(c->head);
      c->head = c->head + 1 == c->capacity ? 0 : c->head + 1;
      c->drop(c->drop_arg, elem);
    }
  }
  mem::free(c);
}

int chan_send(M*& m, Chan* c, const void* src, i64 deadline) {
  c->lock.lock();
  Served s = try_send(c, src);
  if (THRUM_LIKELY(s.done)) {
    return settle(m, c, s, const_cast<void*>(src), nullptr);
  }
  Wait w{deadline, Why::chan_send};
  if (int err = wait_begin(m, w)) {
    c->lock.unlock();
    return err;
  }
  return wait_in(m, c, c->sendq, const_cast<void*>(src), w);
}

int chan_recv(M*& m, Chan* c, void* dst, i64 deadline) {
  c->lock.lock();
  Served s = try_recv(c, dst);
  if (THRUM_LIKELY(s.done)) {
    return settle(m, c, s, nullptr, dst);
  }
  Wait w{deadline, Why::chan_recv};
  if (int err = wait_begin(m, w)) {
    c->lock.unlock();
    return err;
  }
  return wait_in(m, c, c->recvq, dst, w);
}

int chan_close(M* m, Chan* c) {
  c->lock.lock();
  if (c->closed) {
    c->lock.unlock();
    return kECLOSED;
  }
  c->closed = true;
  Waiter* receivers = claim_list(c->recvq, UINT64_MAX, kECLOSED);
  Waiter* senders = claim_list(c->sendq, UINT64_MAX, kECLOSED);
  c->lock.unlock();
  ready_list(m, receivers);
  ready_list(m, senders);
  return 0;
}

}  // namespace thrum
