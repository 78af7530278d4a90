// PollFd: a descriptor that Gs and threads wait for. Every socket, pipe and
// foreign descriptor is one; see poller.hpp for who tells it of events.
//
// One word holds its whole state, under the word's lock: what is ready and
// unnoticed, whose turn it is, how many calls are inside. Two queues for each
// direction: `turns`, calls in order of arrival, of which one at a time is inside
// (so reads queue behind reads); and `waits`, that one while nothing is ready.
//
// Readiness is edge-triggered: an event wakes whoever waits, or leaves a mark
// that the next wait takes. So a wait follows a call that found nothing
// (kEAGAIN), or one whose result tells as much (a short read of a stream).
// Deadline, cancel, close and event race on one claim (sched/g.hpp).
//
// Life: a call inside keeps the descriptor open, a handle the memory. Whoever
// closes takes new calls off and wakes all that wait; the last call out closes the
// descriptor, under the loop's lock, for libuv must have let go of the number
// before it may be another's.
// SPDX-License-Identifier: MIT
#pragma once
#include "os/socket.hpp"
#include "sched/wait.hpp"

namespace thrum {

struct Poller;
Runtime* poller_rt(Poller* p);

enum class Dir : u8 { read, write, either };

// PollFd::word, above the lock's bit.
constexpr u64 kFdReady = 2;     // << Dir: an event that nobody has taken
constexpr u64 kFdTurn = 8;      // << Dir: a call is inside
constexpr u64 kFdArmed = 32;    // << Dir: events of this kind come
constexpr u64 kFdHangup = 128;  // the peer has ended its half, or all is over,
                                // or urgent data came: short reads say nothing
constexpr u64 kFdClosed = 256;  // no more calls
constexpr u64 kFdRare = 512;    // what few use has been used: see below
constexpr u64 kFdCall = 1 << 16;  // calls inside, 24 bits
constexpr u64 kFdCalls = 0xffffffu * kFdCall;
constexpr u64 kFdRef = u64{1} << 40;  // handles, and one while it is open

inline u64 of(Dir d, u64 bit) {
  return d == Dir::either ? bit | bit << 1 : bit << static_cast<u8>(d);
}

// What an event and a call touch are the two lines of one pair (CPUs fetch such a
// pair together): the end of libuv's handle, and what follows it.
struct alignas(2 * kCacheLine) PollFd {
  PollFd* next;       // the list of those that want something, or are closed
  PollFd* next_edge;  // loop: armed anew
  PollFd* next_open;  // the poller's open_lock: all that are open
  PollFd* prev_open;  // likewise
  alignas(void*) unsigned char handle[160];  // loop: libuv's, a uv_poll_t

  WordLock word;
  Poller* poller;      // const
  WaitQueue waits[2];  // word
  int fd;              // const
  bool stream;         // const: TCP: a short read has read all, but see
                       // kFdHangup
  bool foreign;        // const: a descriptor of the host's, which may block
  bool drained;        // the turn to read: the last read was short
  bool watched;        // loop: `handle` is in use
  bool pipe;           // const: no socket, but a pipe or terminal
  bool listens;        // const: refuses from the moment of its close on
  u32 events;          // word: how many have come

  // Nothing is in these but with kFdRare, which stays.
  WaitQueue either;         // word: those who wait for any event
  WaitQueue turns[2];       // word
  int refused;              // word: why it cannot be armed, for the next wait
  Atomic<i64> timeouts[2];  // word writes: see fd_set_timeout

  int told;           // loop: for what it was started
  Atomic<u32> wants;  // atomic: of the loop, see poller.cpp

  WaitQueue& queue(Dir d) {
    return d == Dir::either ? either : waits[static_cast<u8>(d)];
  }
};
static_assert(offsetof(PollFd, word) % (2 * kCacheLine) == kCacheLine &&
              offsetof(PollFd, either) == offsetof(PollFd, word) + kCacheLine);

// Takes over `fd`, which is non-blocking; for `size` bytes that begin with a PollFd,
// zeroed. It begins with one handle. On failure *out is null, and fd is the caller's.
int fd_new(Runtime* rt, int fd, bool stream, size_t size, PollFd** out);
void fd_retain(PollFd* f);
void fd_release(M* m, PollFd* f);  // the last one closes
int fd_close(M* m, PollFd* f);     // repeatable
// In the child of a fork: closes the copy of a parent's, once.
void fd_release_copy(PollFd* f);

// How long a call of that direction without a deadline of its own may wait; 0: for
// ever.
void fd_set_timeout(PollFd* f, Dir d, i64 ns);
inline i64 fd_timeout(const PollFd* f, Dir d) {
  return f->timeouts[static_cast<u8>(d)].load(relaxed);
}

// Around a call: 0, or why it may not come in. Waits for its turn. A deadline of
// kForever becomes that of the timeout, if there is one.
int turn_take(M*& m, PollFd* f, Dir d, i64& deadline);
void turn_give(M* m, PollFd* f, Dir d);
// In between: until something has come; 0: try again. `seen`: what `events` was
// before the try, for calls that share them.
int fd_wait(M*& m, PollFd* f, Dir d, i64 deadline, const u32* seen = nullptr);

u32 fd_events(PollFd* f);
inline bool fd_closed(const PollFd* f) {
  return f->word.word.load(relaxed) & kFdClosed;
}

// For calls that wait beside each other: inside, without a turn.
int call_begin(PollFd* f);
void call_end(M* m, PollFd* f);

// A call in its turn that is tried, and again when something has come: its result,
// or an error.
template <class Try>
i64 fd_call(M*& m, PollFd* f, Dir d, i64 deadline, Try attempt) {
  i64 n = turn_take(m, f, d, deadline);
  if (THRUM_UNLIKELY(n)) {
    return n;
  }
  while ((n = attempt()) == kEAGAIN) {
    if (int err = fd_wait(m, f, d, deadline)) {
      n = err;
      break;
    }
  }
  turn_give(m, f, d);
  return n;
}

}  // namespace thrum
