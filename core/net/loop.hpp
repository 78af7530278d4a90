// Inside net: the loop itself, for poller.cpp and signal.cpp.
// SPDX-License-Identifier: MIT
#pragma once
#include <uv.h>

#include "net/poller.hpp"
#include "queue/errands.hpp"
#include "sched/source.hpp"

namespace thrum {

struct Chan;

// A signal that goes to a channel.
struct Signal {
  uv_signal_t handle;  // held
  Poller* poller;      // const
  Chan* ch;            // const; owns a reference
  int signo;           // const
  Signal* next;        // held
};

// An event that has not been handled yet.
struct Noted {
  PollFd* fd;
  int status;  // below 0: an error
  int events;
};
constexpr u32 kNotes = 64;

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
  Noted noted[kNotes];      // held: by the turn that is on
  u32 noted_n;              // held
  bool anew;           // held: an event has had one started, for the next turn
  Waiter* woken;       // held: by the turn that is on, in order
  Waiter** woken_end;  // held
  WordLock open_lock;
  PollFd* open;  // open_lock: all descriptors, until close_it
  bool stopped;  // held and open_lock write: no more of them, nor of signals
};

inline Poller* poller(Source* s) { return static_cast<Poller*>(s); }

// Takes the lock whatever it takes; for what is rare.
void hold(Poller* p);
// Serves what is wanted, and sees to it that a turn follows. For what a G wants, on
// its own stack: libuv notes it, and its M takes the turn.
void serve_here(Poller* p, M* m);

// ---- signal.cpp
// Held: those of this channel, or all; returns how many.
int signals_close(Poller* p, const Chan* ch);
void signals_free(Signal* list);

}  // namespace thrum
