// SPDX-License-Identifier: MIT
#include "observe/onlooker.hpp"

#include <new>
#include <string.h>

#include "base/die.hpp"
#include "base/err.hpp"
#include "observe/schedtrace.hpp"
#include "observe/timeline.hpp"
#include "os/file_ops.hpp"
#include "os/socket.hpp"

namespace thrum {

namespace {

Onlooker* mine(Observer* o) { return static_cast<Onlooker*>(o); }

int to_file(void* arg, const char* bytes, size_t n) {
  int fd = *static_cast<int*>(arg);
  for (size_t done = 0; done < n;) {
    i64 k = os::file_write(fd, bytes + done, n - done, -1);
    if (k <= 0) {
      return 1;
    }
    done += static_cast<size_t>(k);
  }
  return 0;
}

void write_stall(Onlooker* o) {
  char path[sizeof o->path];
  i64 last;
  {
    Locked held(o->lock);
    memcpy(path, o->path, sizeof path);
    o->path[0] = 0;
    last = o->last;
  }
  if (!path[0]) {
    return;
  }
  int fd = os::file_make(path, 0600);
  if (fd < 0) {
    say("the timeline of a stall: %s cannot be made", path);
    return;
  }
  {
    Text out(to_file, &fd);
    if (timeline(o->rt, last, out) < 0) {
      say("the timeline of a stall: %s is not complete", path);
    }
  }
  os::fd_close(fd);
}

// Is it due? If so, again after `every`.
bool due(i64& at, i64 every, i64 now) {
  if (!every) {
    at = 0;
    return false;
  }
  if (!at) {
    at = now + every;
  }
  if (now < at) {
    return false;
  }
  // What was missed is not made up for.
  at = max(at + every, now + every / 2);
  return true;
}

void watch_on(void* arg) {
  auto* o = static_cast<Onlooker*>(arg);
  os::timer_slack(1);
  while (!o->leave.load(acquire)) {  // pairs with stop
    o->note.exchange(0, seq_cst);    // before anything is looked at
    i64 now = os::now_ns();
    if (o->bitten.exchange(false, acquire)) {  // pairs with onlooker_bitten
      write_stall(o);
    }
    if (due(o->trace_at, o->trace_every.load(relaxed), now)) {
      schedtrace(o->rt, (now - o->born) / 1'000'000);
    }
    if (due(o->look_at, o->look_every.load(relaxed), now)) {
      o->look.load(acquire)(o, now);  // pairs with who sets look_every
    }
    i64 next = min(o->trace_at ? o->trace_at : kForever,
                   o->look_at ? o->look_at : kForever);
    if (!o->leave.load(acquire)) {
      os::futex_wait(&o->note, 0, next);
    }
  }
}

void stop(Observer* at) {
  Onlooker* o = mine(at);
  o->leave.store(true, release);
  onlooker_wake(o);
  os::thread_join(o->thread);
  o->rt->observers.store(0, relaxed);
}

void free_it(Observer* at) { mem::free(mine(at)); }

}  // namespace

void onlooker_wake(Onlooker* o) {
  o->note.store(1, release);
  os::futex_wake(&o->note, 1);
}

int onlooker_of(Runtime* rt, Onlooker** out) {
  if (!owns_threads(rt)) {
    return kENOTSUP;
  }
  Locked held(rt->source_lock);
  if (rt->stopping.load(relaxed)) {
    return kECLOSED;  // observer_stop may have been here
  }
  if (Observer* made = rt->observer.load(relaxed)) {
    *out = mine(made);
    return 0;
  }
  auto* o = static_cast<Onlooker*>(mem::zalloc(1, sizeof(Onlooker)));
  if (!o) {
    return kENOMEM;
  }
  new (o) Onlooker{};
  o->rt = rt;
  o->born = os::now_ns();
  o->stop = stop;
  o->free = free_it;
  rt->observers.store(1, seq_cst);  // before all_dead can count the thread
  if (os::thread_start(o->thread, watch_on, o, "thrum-onlooker") != 0) {
    rt->observers.store(0, relaxed);
    mem::free(o);
    return kENOTSUP;
  }
  rt->observer.store(o, release);  // pairs with the acquires of who finds it
  *out = o;
  return 0;
}

void onlooker_bitten(Runtime* rt) {
  if (Observer* at = rt->observer.load(acquire)) {
    mine(at)->bitten.store(true, release);
    onlooker_wake(mine(at));
  }
}

int on_stall(Runtime* rt, const char* path, i64 last) {
  if (path && strlen(path) >= sizeof Onlooker::path) {
    return kEINVAL;
  }
  Onlooker* o;
  if (int err = onlooker_of(rt, &o)) {
    return err;
  }
  Locked held(o->lock);
  strncpy(o->path, path ? path : "", sizeof o->path - 1);
  o->last = last;
  return 0;
}

}  // namespace thrum
