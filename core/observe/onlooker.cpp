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
  Onlooker* o = mine(static_cast<Observer*>(arg));
  os::timer_slack(1);
  while (!o->leave.load(acquire)) {  // pairs with observer_stop
    o->note.exchange(0, seq_cst);    // before anything is looked at
    i64 now = os::now_ns();
    if (o->bitten.exchange(false, acquire)) {  // pairs with onlooker_bitten
      write_stall(o);
    }
    if (due(o->trace_at, o->trace_every.load(relaxed), now)) {
      schedtrace(o->rt, (now - o->born) / 1'000'000);
    }
    if (due(o->look_at, o->look_every.load(acquire), now)) {
      o->look.load(relaxed)(o, now);  // look_every's acquire: see cpu_rate
    }
    i64 next = min(o->trace_at ? o->trace_at : kForever,
                   o->look_at ? o->look_at : kForever);
    if (!o->leave.load(acquire)) {
      os::futex_wait(&o->note, 0, next);
    }
  }
}

void wake(Observer* at) { onlooker_wake(mine(at)); }

void free_it(Observer* at) { mem::free(mine(at)); }

}  // namespace

void onlooker_wake(Onlooker* o) {
  o->note.store(1, release);
  os::futex_wake(&o->note, 1);
}

int onlooker_of(Runtime* rt, Onlooker** out) {
  // acquire: pairs with observer_start.
  if (Observer* made = rt->observers[kOnlooker].load(acquire)) {
    *out = mine(made);
    return rt->stopping.load(relaxed) ? kECLOSED : 0;
  }
  auto* o = static_cast<Onlooker*>(mem::zalloc(1, sizeof(Onlooker)));
  if (!o) {
    return kENOMEM;
  }
  new (o) Onlooker{};
  o->rt = rt;
  o->born = os::now_ns();
  o->wake = wake;
  o->free = free_it;
  *out = o;
  int err = observer_start(o, kOnlooker, watch_on, "thrum-onlooker");
  if (err) {
    mem::free(o);
  }
  return err == kEBUSY ? onlooker_of(rt, out) : err;  // another was first
}

void onlooker_bitten(Runtime* rt) {
  if (Observer* at = rt->observers[kOnlooker].load(acquire)) {
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
