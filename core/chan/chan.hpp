// Channels: Go's semantics over any element size.
//
// Invariants, under Chan::lock (after Go's chan.go):
//   at most one of recvq and sendq holds live waiters;
//   a waiting receiver means an empty buffer, a waiting sender a full one;
//   waiters are served first in, first out.
// A parked peer is served directly: the value goes from memory to memory, the
// buffer sees it only where its order demands. The lock word's unlock is the last
// touch of the channel by a call (destruction safety): elements that a peer hands
// over are copied, and the peer is readied, after it. Only a select that has waited
// comes back, to take out the arms that lost: until then it keeps its channels.
// SPDX-License-Identifier: MIT
#pragma once
#include <string.h>

#include "sched/wait.hpp"

namespace thrum {

struct Chan {
  WordLock lock;
  u32 elem_size;         // const
  u32 capacity;          // const
  Atomic<u32> len;       // lock writes, chan_len reads
  u32 head;              // lock: index of the oldest element
  bool closed;           // lock
  bool released;         // lock: by the last one; the last select frees it
  Atomic<bool> counted;  // atomic: whoever uses it has a reference of its own
  u32 selects;           // lock: arms of selects that wait and will come back
  WaitQueue recvq;       // lock
  WaitQueue sendq;       // lock
  Atomic<u32> refs;      // atomic
  u64 order;             // const: select locks channels in this order
  void (*drop)(void* arg, void* elem);  // const after first use
  void* drop_arg;                       // const after first use
  // elements follow

  char* slot(u32 index) {
    return reinterpret_cast<char*>(this + 1) + size_t{index} * elem_size;
  }
};

// Of any size but 0 and 8.
void copy_wide(void* to, const void* from, u32 size);

inline void copy_elem(void* to, const void* from, u32 size) {
  if (THRUM_LIKELY(size == 8)) {
    memcpy(to, from, 8);
  } else if (size) {
    copy_wide(to, from, size);
  }
}

// Buffer operations, under the lock.
inline void buffer_put(Chan* c, const void* src) {
  u32 len = c->len.load(relaxed);
  u64 at = u64{c->head} + len;
  if (at >= c->capacity) {
    at -= c->capacity;
  }
  copy_elem(c->slot(static_cast<u32>(at)), src, c->elem_size);
  c->len.store(len + 1, relaxed);
}

inline void buffer_get(Chan* c, void* dst) {
  copy_elem(dst, c->slot(c->head), c->elem_size);
  if (++c->head == c->capacity) {
    c->head = 0;
  }
  c->len.store(c->len.load(relaxed) - 1, relaxed);
}

// What an operation did under the lock, and owes afterwards.
struct Served {
  Waiter* peer;  // claimed; null: none
  int result;    // of the caller, valid if done
  bool done;     // the operation completed
  bool copy;     // peer's elem takes the caller's value (send) or gives its own
};

// One attempt, under the lock; nothing is linked. `elem` is the caller's.
inline Served try_send(Chan* c, const void* elem) {
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

inline Served try_recv(Chan* c, void* elem) {
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

// Ends a call whose operation completed: the lock goes, then the peer is served.
THRUM_INLINE int settle(M* m, Chan* c, const Served& s, void* from, void* to) {
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
THRUM_INLINE int wait_in(M*& m, Chan* c, WaitQueue& q, void* elem, Wait& w) {
  ThreadWake own_wake;
  Waiter own;
  Wake* wake = wake_of(m, own_wake);
  Waiter* node = waiter_of(m, own);
  node->wake = wake;
  node->elem = elem;
  node->size = c->elem_size;
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

inline int chan_send(M*& m, Chan* c, const void* src, i64 deadline) {
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

inline int chan_recv(M*& m, Chan* c, void* dst, i64 deadline) {
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

// The cases that concern nobody but the caller and the buffer: no M is needed.
// False: nothing happened.
THRUM_INLINE bool chan_put(Chan* c, const void* src) {
  if (c->lock.word.load(relaxed) || c->len.load(relaxed) >= c->capacity) {
    return false;
  }
  c->lock.lock();
  bool done =
      !c->closed && c->recvq.empty() && c->len.load(relaxed) < c->capacity;
  if (done) {
    buffer_put(c, src);
  }
  c->lock.unlock();
  return done;
}
THRUM_INLINE bool chan_get(Chan* c, void* dst) {
  if (c->lock.word.load(relaxed) || c->len.load(relaxed) == 0) {
    return false;
  }
  c->lock.lock();
  bool done = c->len.load(relaxed) > 0 && c->sendq.empty();
  if (done) {
    buffer_get(c, dst);
  }
  c->lock.unlock();
  return done;
}

int chan_new(u32 elem_size, u32 capacity, Chan** out);
void chan_retain(Chan* c);
void chan_release(Chan* c);
// Unlocks it; who released it, or the last select of a released one, frees it.
void chan_leave(Chan* c);
int chan_close(M* m, Chan* c);
// visit for what is in the buffer, under the lock; what it returned last.
int chan_each(Chan* c, int (*visit)(void* arg, const void* elem), void* arg);

struct SelectCase {  // thrum_case, field for field
  Chan* chan;
  void* elem;
  u32 op;
  i32 result;
};
constexpr u32 kSend = 1;
constexpr u32 kRecv = 2;
int select(M*& m, SelectCase* cases, u32 n, i64 deadline);

}  // namespace thrum
