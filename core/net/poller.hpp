// The poller: one libuv loop per runtime, made with its first descriptor.
//
// libuv's loop has no owner but its lock: whoever holds it is the loop's thread.
// Nobody waits for that lock (queue/errands.hpp), but who sets up a signal, which
// is rare: what is wanted of the loop (arm, close) is served by who wants it or by
// whoever is in there. The lock is only ever held for one turn of the loop, which
// does not sleep: the watcher sleeps on the loop's descriptor, outside
// (sched/source.hpp), and what others arm meanwhile wakes it as well.
//
// A loop's turn needs some 13 KiB of stack, more than a small G has: Gs only say
// what they want (libuv then notes it), and their M takes the turn that tells the
// kernel before it runs another.
//
// Edge-triggered: uv_poll is level-triggered and would tell of a readable
// descriptor again and again until somebody has read it, or cost an epoll_ctl or
// two per wait to be stopped and started. So once libuv has added a descriptor,
// one more epoll_ctl makes it edge-triggered, and then it is left alone for life.
// Where that fails, descriptors are stopped by an event that nobody waits for, and
// armed again by the next wait.
// SPDX-License-Identifier: MIT
#pragma once
#include "net/pollfd.hpp"

namespace thrum {

// The runtime's, made if need be. 0, kENOMEM, kENOTSUP (deterministic), kECLOSED (it
// stops), or what the system says.
int poller_of(Runtime* rt, Poller** out);
// It is open from now on; kECLOSED: the runtime has stopped.
int poller_add(Poller* p, PollFd* f);
Runtime* poller_rt(Poller* p);
bool poller_edge(Poller* p);
// The kernel is to tell of what its word says is armed.
void poller_arm(M* m, PollFd* f);
// Closed, and no call is inside: lets go of the descriptor, and of the open
// handle.
void poller_close(M* m, PollFd* f);

// ---- pollfd.cpp, for the poller, with the loop's lock held -------------------
// Something has come (os::kReadable, os::kWritable), or `over`: no more will.
// Returns who waited for it, claimed.
Waiter* fd_event(PollFd* f, int events, bool over, bool edge);
// It cannot be watched: who waits tries, and is told why.
Waiter* fd_refused(PollFd* f, int err);
int fd_armed(PollFd* f);      // for which events
void fd_disarmed(PollFd* f);  // libuv has stopped it
// The runtime stops. True: the caller is to let go of the descriptor.
bool fd_stopped(PollFd* f, Waiter** woken);
void fd_unref(PollFd* f);

}  // namespace thrum
