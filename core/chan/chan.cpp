// SPDX-License-Identifier: MIT
#include "chan/chan.hpp"

#include "mem/heap.hpp"

namespace thrum {

namespace {

constinit Atomic<u64> g_order{0};  // process-wide: channels cross runtimes

}  // namespace

void copy_wide(void* to, const void* from, u32 size) {
  if (THRUM_LIKELY(size == 16)) {
    // Word by word, as it was probably written just now: a load waits for stores
    // that each have a part of it.
    u64 first, second;
    memcpy(&first, from, 8);
    memcpy(&second, static_cast<const char*>(from) + 8, 8);
    asm("" : "+r"(first), "+r"(second));
    memcpy(to, &first, 8);
    memcpy(static_cast<char*>(to) + 8, &second, 8);
  } else {
    memcpy(to, from, size);
  }
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
  c->lock.unlock();
  if (c->drop) {
    for (u32 n = c->len.load(relaxed); n > 0; --n) {
      void* elem = c->slot(c->head);
      c->head = c->head + 1 == c->capacity ? 0 : c->head + 1;
      c->drop(c->drop_arg, elem);
    }
  }
  c->lock.lock();
  c->released = true;
  chan_leave(c);
}

void chan_leave(Chan* c) {
  bool last = c->released && !c->selects;
  c->lock.unlock();
  if (last) {
    mem::free(c);
  }
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

int chan_each(Chan* c, int (*visit)(void* arg, const void* elem), void* arg) {
  Locked held(c->lock);
  int result = 0;
  u32 at = c->head;
  for (u32 n = c->len.load(relaxed); n > 0 && result == 0; --n) {
    result = visit(arg, c->slot(at));
    at = at + 1 == c->capacity ? 0 : at + 1;
  }
  return result;
}

}  // namespace thrum
