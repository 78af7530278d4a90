// SPDX-License-Identifier: MIT
#include "sched/source.hpp"

#include "mem/heap.hpp"
#include "os/cpu_share.hpp"
#include "os/socket.hpp"
#include "sched/metrics.hpp"
#include "sched/ready.hpp"

namespace thrum {

void source_set(Runtime* rt, Source* s) {
  if (rt->wake_fd.epoll >= 0) {
    os::wake_fd_watch(rt->wake_fd, s->fd);
  }
  rt->source.store(s, release);  // pairs with the acquire of those who look
  wake_p(rt);                    // somebody is to watch
}

u32 source_look(Runtime* rt, M* m) {
  Source* s = rt->source.load(acquire);
  u64 begun = cpu_ticks();
  rt->polled.store(begun, relaxed);
  u32 n = s->poll(s, m);
  if (m && m->p) {
    m->p->metrics.poll.add(ticks_to_ns(rt, cpu_ticks() - begun));
  }
  return n;
}

void source_stop(Runtime* rt) {
  Source* s;
  {
    // One that is made now sees that the runtime stops.
    Locked held(rt->source_lock);
    s = rt->source.load(relaxed);
  }
  if (s) {
    s->stop(s);
  }
}

void source_free(Runtime* rt) {
  if (Source* s = rt->source.load(acquire)) {
    s->free(s);
  }
}

bool watcher_noted(Runtime* rt) {
  M* m = rt->watcher.load(acquire);  // pairs with sleep_idle
  return m && m->watching.load(seq_cst) && m->note.load(seq_cst);
}

namespace {

// The kernel's own figure of how long a thread has waited for a CPU, before a sleep and
// after it; of one sleep in kNetEvery.
struct Wakeup {
  int fd = -1;  // -1: it is not measured
  os::CpuShare before;

  explicit Wakeup(M* m) {
    if (kProbes && m->watches++ % kNetEvery == 0) {
      fd = os::share_open(m->tid.load(relaxed));
      if (fd >= 0 && !os::share_read(fd, &before)) {
        end();
      }
    }
  }
  void end() {
    if (fd >= 0) {
      os::fd_close(fd);
      fd = -1;
    }
  }
  // kForever: nothing is known.
  i64 delay() {
    os::CpuShare now;
    bool known = fd >= 0 && os::share_read(fd, &now);
    end();
    return known ? static_cast<i64>(now.delayed - before.delayed) : kForever;
  }
};

}  // namespace

bool watch(M* m, i64 deadline) {
  Source* s = m->rt->source.load(acquire);
  bool came = false;
  Wakeup wakeup(m);
  m->watching.store(1, seq_cst);  // Dekker with note_wake
  if (!m->note.load(seq_cst)) {
    // In two parts where it gets long, as in idle_wait.
    i64 tidy = m->rt->collect_ns ? os::now_ns() + m->rt->collect_ns : deadline;
    came = os::fd_sleep(s->fd, min(deadline, tidy));
    if (!came && tidy < deadline) {
      mem::collect();
      came = os::fd_sleep(s->fd, deadline);
    }
  }
  m->watching.store(0, relaxed);
  i64 delay = wakeup.delay();
  m->woken_late = came ? delay : kForever;
  if (m->note.load(acquire)) {
    m->note.store(0, relaxed);
  }
  return came;
}

}  // namespace thrum
