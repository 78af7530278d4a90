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
    if (s->share >= 0) {
      os::fd_close(s->share);
    }
    s->free(s);
  }
}

bool watcher_noted(Runtime* rt) {
  M* m = rt->watcher.load(acquire);  // pairs with sleep_idle
  return m && m->watching.load(seq_cst) && m->note.load(seq_cst);
}

namespace {

bool share_read(Source* s, os::CpuShare* out) {
  if (os::share_read(s->share, out)) {
    return true;
  }
  os::fd_close(s->share);
  s->share = -1;
  return false;
}

// The kernel's own figure of how long m's thread has waited for a CPU, before a sleep
// of it; of one sleep in kNetEvery. False: it is not measured.
bool share_before(Source* s, M* m, os::CpuShare* out) {
  if (!kProbes || m->watches++ % kNetEvery != 0) {
    return false;
  }
  u32 tid = m->tid.load(relaxed);
  if (s->share >= 0 && s->share_tid != tid) {
    os::fd_close(s->share);
    s->share = -1;
  }
  if (s->share < 0) {
    s->share = os::share_open(tid);
    s->share_tid = tid;
  }
  return s->share >= 0 && share_read(s, out);
}

}  // namespace

bool watch(M* m, i64 deadline) {
  Source* s = m->rt->source.load(acquire);
  bool came = false;
  os::CpuShare before;
  bool measured = share_before(s, m, &before);
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
  os::CpuShare now;
  measured = measured && share_read(s, &now) && came;
  m->woken_late =
      measured ? static_cast<i64>(now.delayed - before.delayed) : kForever;
  if (m->note.load(acquire)) {
    m->note.store(0, relaxed);
  }
  return came;
}

}  // namespace thrum
