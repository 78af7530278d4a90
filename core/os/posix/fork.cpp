// Telling the child of a fork from its parent.
//
// A child handler and no other: one for before the fork would have to wait for
// locks, and a signal handler may fork on the thread that holds one. So the
// child finds every lock as the parent's threads left it, and none of them is
// there to let go. What of the process must go on working (g_forks' readers, the
// lock of sync/mutex.cpp) is put right here; what belongs to a runtime is not
// touched again.
// SPDX-License-Identifier: MIT
#include <pthread.h>

#include "base/die.hpp"
#include "os/os.hpp"
#include "os/posix/errno.hpp"

namespace thrum::os {

namespace {

constexpr u32 kMostWatchers = 6;

constinit Atomic<u32> g_forks{0};          // the child's one thread writes
constinit Atomic<bool> g_watching{false};  // atomic: set once
constinit Atomic<void (*)()> g_watchers[kMostWatchers] =
    {};  // atomic: set once

// On the child's only thread, before fork returns there. Any thread may have
// stopped anywhere: takes no lock, allocates nothing. May run twice for one fork
// (see fork_watch), and so may the watchers.
void in_child() {
  g_forks.fetch_add(1, relaxed);
  if (fence_all_ready()) {
    fence_all_register();  // biased mutexes came along, and rely on it
  }
  for (Atomic<void (*)()>& watcher : g_watchers) {
    if (void (*fn)() = watcher.load(relaxed)) {
      fn();
    }
  }
}

}  // namespace

u32 fork_epoch() { return g_forks.load(relaxed); }

// No lock: a fork in between would leave it taken in the child. Two threads that
// come first at once register twice, and then a fork counts twice.
bool fork_watch(void (*fn)()) {
  ErrnoKeep keep;
  if (!g_watching.load(relaxed)) {
    if (pthread_atfork(nullptr, nullptr, in_child) != 0) {
      return false;
    }
    g_watching.store(true, relaxed);
  }
  for (Atomic<void (*)()>& watcher : g_watchers) {
    void (*was)() = nullptr;
    if (watcher.compare_exchange_strong(was, fn, relaxed, relaxed) ||
        was == fn) {
      return true;
    }
  }
  THRUM_DIE("more rooms watch for forks than there is room for");
}

}  // namespace thrum::os
