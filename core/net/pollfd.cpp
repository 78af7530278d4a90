// SPDX-License-Identifier: MIT
#include "net/pollfd.hpp"

#include "mem/heap.hpp"
#include "net/poller.hpp"
#include "sched/metrics.hpp"
#include "sync/sync.hpp"
#include "time/sleep.hpp"

namespace thrum {

namespace {

Why why(Dir d) {
  return d == Dir::read    ? Why::net_read
         : d == Dir::write ? Why::net_write
                           : Why::net_poll;
}

// The last call out of a closed one: the descriptor may go.
bool last_out(u64 v) { return (v & kFdClosed) && !(v & kFdCalls); }

void append(Waiter*& head, Waiter* list) {
  Waiter** at = &head;
  while (*at) {
    at = &(*at)->next;
  }
  *at = list;
}

void free_it(PollFd* f) {
  Runtime* rt = poller_rt(f->poller);
  mem::free(f);
  rt_release(rt);
}

// With the lock held; takes new calls off. The waiters are owed ready_list.
u64 shut(PollFd* f, u64 v, Waiter** woken) {
  for (WaitQueue* q :
       {&f->waits[0], &f->waits[1], &f->either, &f->turns[0], &f->turns[1]}) {
    append(*woken, claim_list(*q, UINT64_MAX, kECLOSED));
  }
  if (f->listens) {
    // Marked first: whoever is refused now looks for the reason (stream_accept).
    f->word.word.store(v | kFdClosed | 1, relaxed);
    os::sock_shutdown(f->fd, os::kReadable | os::kWritable);
  }
  return v | kFdClosed;
}

}  // namespace

int fd_new(Runtime* rt, int fd, bool stream, size_t size, PollFd** out) {
  *out = nullptr;
  Poller* poller;
  if (int err = poller_of(rt, &poller)) {
    return err;
  }
  auto* f = static_cast<PollFd*>(mem::alloc_aligned(size, alignof(PollFd)));
  if (!f) {
    return kENOMEM;
  }
  f->poller = poller;
  f->fd = fd;
  f->stream = stream;
  f->word.word.store(2 * kFdRef, relaxed);
  if (int err = poller_add(poller, f)) {
    mem::free(f);
    return err;
  }
  rt_retain(rt);
  *out = f;
  return 0;
}

void fd_retain(PollFd* f) { f->word.unlock(f->word.lock_marked() + kFdRef); }

void fd_unref(PollFd* f) {
  u64 v = f->word.lock_marked() - kFdRef;
  f->word.unlock(v);
  if (v < kFdRef) {
    free_it(f);
  }
}

int fd_close(M* m, PollFd* f) {
  Waiter* woken = nullptr;
  u64 v = f->word.lock_marked();
  bool was = v & kFdClosed;
  v = was ? v : shut(f, v, &woken);
  f->word.unlock(v);
  ready_list(m, woken);
  if (!was && last_out(v)) {
    poller_close(m, f);
  }
  return 0;
}

void fd_release(M* m, PollFd* f) {
  Waiter* woken = nullptr;
  u64 v = f->word.lock_marked() - kFdRef;
  bool last = v / kFdRef == 1 && !(v & kFdClosed);  // but the open one's
  v = last ? shut(f, v, &woken) : v;
  f->word.unlock(v);
  ready_list(m, woken);
  if (last && last_out(v)) {
    poller_close(m, f);
  } else if (v < kFdRef) {
    free_it(f);
  }
}

// The rest is as the parent left it, also the lock, perhaps by a thread that is not
// here. What was closed then has a number that may be another's by now.
void fd_release_copy(PollFd* f) {
  if (!(f->word.word.fetch_or(kFdClosed, relaxed) & kFdClosed)) {
    os::fd_close(f->fd);
  }
}

int call_begin(PollFd* f) {
  u64 v = f->word.lock_marked();
  f->word.unlock(v & kFdClosed ? v : v + kFdCall);
  return v & kFdClosed ? kECLOSED : 0;
}

void call_end(M* m, PollFd* f) {
  u64 v = f->word.lock_marked() - kFdCall;
  f->word.unlock(v);
  if (THRUM_UNLIKELY(last_out(v))) {
    poller_close(m, f);
  }
}

void fd_set_timeout(PollFd* f, Dir d, i64 ns) {
  u64 v = f->word.lock_marked();
  f->timeouts[static_cast<u8>(d)].store(ns, relaxed);
  f->word.unlock(v | kFdRare);
}

int turn_take(M*& m, PollFd* f, Dir d, i64& deadline) {
  u64 v = f->word.lock_marked();
  if (THRUM_UNLIKELY(v & kFdClosed)) {
    f->word.unlock(v);
    return kECLOSED;
  }
  if (THRUM_UNLIKELY(v & kFdRare) && deadline == kForever) {
    i64 ns = fd_timeout(f, d);
    deadline = ns ? later(os::now_ns(), ns) : kForever;
  }
  if (THRUM_LIKELY(!(v & of(d, kFdTurn)))) {
    f->word.unlock((v | of(d, kFdTurn)) + kFdCall);
    return 0;
  }
  Wait w{deadline, why(d)};
  if (int err = wait_begin(m, w)) {
    f->word.unlock(v);
    return err;
  }
  int err = wait_queued(m, f->word, (v | kFdRare) + kFdCall,
                        f->turns[static_cast<u8>(d)], w, 0, nullptr, false,
                        [](u64 now) { return now; });
  if (err) {
    call_end(m, f);
  }
  return err;
}

void turn_give(M* m, PollFd* f, Dir d) {
  u64 v = f->word.lock_marked() - kFdCall;
  Waiter* next = THRUM_UNLIKELY(v & kFdRare)
                     ? pop_claimed(f->turns[static_cast<u8>(d)])
                     : nullptr;
  if (THRUM_LIKELY(!next)) {
    v &= ~of(d, kFdTurn);
  } else {
    next->wake->result = 0;
  }
  f->word.unlock(v);
  if (THRUM_UNLIKELY(next != nullptr)) {
    ready(m, next->wake);
  } else if (THRUM_UNLIKELY(last_out(v))) {
    poller_close(m, f);
  }
}

int fd_wait(M*& m, PollFd* f, Dir d, i64 deadline, const u32* seen) {
  for (;;) {
    u64 v = f->word.lock_marked();
    if (v & kFdClosed) {
      f->word.unlock(v);
      return kECLOSED;
    }
    if (seen ? *seen != f->events : v & of(d, kFdReady)) {
      f->word.unlock(v & ~of(d, kFdReady));
      return 0;
    }
    if (THRUM_UNLIKELY(v & kFdRare) && f->refused) {
      int err = f->refused;
      f->refused = 0;
      f->word.unlock(v);
      return err;
    }
    Wait w{deadline, why(d)};
    if (int err = wait_begin(m, w)) {
      f->word.unlock(v);
      return err;
    }
    u64 arms = of(poller_edge(f->poller) ? Dir::either : d, kFdArmed);
    if (THRUM_LIKELY((v & arms) == arms)) {
      v |= d == Dir::either ? kFdRare : 0;
      trace(m, poller_rt(f->poller), Event::net_block, g_of(m),
            static_cast<u64>(f->fd));
      int err = wait_queued(m, f->word, v, f->queue(d), w, 0, nullptr, false,
                            [](u64 now) { return now; });
      if (G* g = g_of(m)) {
        measure_on(m, g);
      }
      return err;
    }
    f->word.unlock(v | arms);
    poller_arm(m, f);  // events may come from now on; look again
  }
}

u32 fd_events(PollFd* f) {
  u64 v = f->word.lock_marked();
  u32 n = f->events;
  f->word.unlock(v);
  return n;
}

Waiter* fd_event(PollFd* f, int events, bool over, bool edge) {
  Waiter* woken = nullptr;
  u64 v = f->word.lock_marked();
  ++f->events;
  for (Dir d : {Dir::read, Dir::write}) {
    if (!(events & (d == Dir::read ? os::kReadable : os::kWritable))) {
      continue;
    }
    Waiter* some = claim_list(f->queue(d), UINT64_MAX, 0);
    if (some) {
      append(woken, some);
      continue;
    }
    v |= of(d, kFdReady);
    if (!edge) {
      v &= ~of(d, kFdArmed);  // it would come again and again
    }
  }
  if (THRUM_UNLIKELY(v & kFdRare)) {
    append(woken, claim_list(f->either, UINT64_MAX, 0));
  }
  if (over) {
    v |= kFdHangup;
  }
  f->word.unlock(v);
  return woken;
}

Waiter* fd_refused(PollFd* f, int err) {
  u64 v = f->word.lock_marked();
  f->refused = err;
  v &= ~(of(Dir::read, kFdArmed) | of(Dir::write, kFdArmed));
  f->word.unlock(v | kFdRare);
  return fd_event(f, os::kReadable | os::kWritable, true, true);
}

int fd_armed(PollFd* f) {
  u64 v = f->word.lock_marked();
  f->word.unlock(v);
  return (v & of(Dir::read, kFdArmed) ? os::kReadable : 0) |
         (v & of(Dir::write, kFdArmed) ? os::kWritable : 0);
}

void fd_disarmed(PollFd* f) {
  f->word.unlock(f->word.lock_marked() &
                 ~(of(Dir::read, kFdArmed) | of(Dir::write, kFdArmed)));
}

bool fd_stopped(PollFd* f, Waiter** woken) {
  u64 v = f->word.lock_marked();
  bool was = v & kFdClosed;
  v = was ? v : shut(f, v, woken);
  f->word.unlock(v);
  return !was && last_out(v);
}

}  // namespace thrum
