// CPUs that Ms are pinned to, and what they are to the kernel's scheduler, on the
// host's word only.
//
// A new thread has the CPUs of the one that makes it. So an M that was pinned for
// its locked G hands down what it had before (inherit_cpus).
// SPDX-License-Identifier: MIT
#include "sched/ready.hpp"

namespace thrum {

namespace {

// mask, cut or filled up to kCpuWords. False: it names no CPU, or one beyond.
bool widen(const u64* mask, u32 words, u64* out) {
  u64 any = 0;
  u64 beyond = 0;
  for (u32 i = 0; i < max(words, kCpuWords); ++i) {
    u64 w = i < words ? mask[i] : 0;
    if (i < kCpuWords) {
      out[i] = w;
      any |= w;
    } else {
      beyond |= w;
    }
  }
  return any && !beyond;
}

}  // namespace

int pin_cpu(M* m, const u64* mask, u32 words) {
  if (m->cur->body->rare()->lock_depth == 0) {
    return kEPERM;
  }
  if (!mask) {
    if (m->pinned_cpus) {
      unpin_cpus(m);
    }
    return 0;
  }
  u64 cpus[kCpuWords];
  if (!widen(mask, words, cpus)) {
    return kEINVAL;
  }
  if (!m->pinned_cpus) {
    if (int err = os::affinity_get(0, m->cpus, kCpuWords)) {
      return err;
    }
  }
  int err = os::affinity_set(0, cpus, kCpuWords);
  m->pinned_cpus |= !err;
  return err;
}

void unpin_cpus(M* m) {
  m->pinned_cpus = false;
  (void)os::affinity_set(0, m->cpus, kCpuWords);
}

int pin_threads(Runtime* rt, const u64* mask, u32 words) {
  u64 cpus[kCpuWords];
  int err = mask ? (widen(mask, words, cpus) ? 0 : kEINVAL)
                 : os::affinity_get(0, cpus, kCpuWords);
  if (err) {
    return err;
  }
  Locked held(rt->lock);
  for (M* m = rt->ms; m; m = m->next_m) {
    u32 tid = m->tid.load(relaxed);
    if (m->lent || m->gone || !tid || (m->slow.load(relaxed) & kSlowLocked)) {
      continue;
    }
    if (int e = os::affinity_set(tid, cpus, kCpuWords)) {
      return e;
    }
  }
  for (u32 i = 0; i < kCpuWords; ++i) {
    rt->cpus[i] = cpus[i];
  }
  rt->cpus_set = true;
  return 0;
}

namespace {

// On a thread of the runtime's: what is refused is left out. Never again after.
int sched_apply(Runtime* rt, u32 tid) {
  os::ThreadSched want = rt->sched, now;
  int err = os::thread_sched_set(tid, want);
  if (err == kEPERM) {  // the nice; a slice needs no privilege
    if (os::thread_sched_get(tid, &now) == 0) {
      (void)os::thread_sched_set(tid, {now.nice, want.slice_ns});
    }
  }
  if (os::thread_sched_get(tid, &now) == 0) {
    rt->sched_got = now;
    if (!err && (now.nice != want.nice ||
                 (want.slice_ns && now.slice_ns != want.slice_ns))) {
      err = kENOTSUP;
    }
  }
  rt->sched_error = err;
  return err;
}

}  // namespace

int sched_threads(Runtime* rt, i32 nice, u64 slice_ns) {
  Locked held(rt->lock);
  rt->sched = {nice, slice_ns};
  rt->sched_set = true;
  int err = 0;
  for (M* m = rt->ms; m; m = m->next_m) {
    u32 tid = m->tid.load(relaxed);
    if (!m->lent && !m->gone && tid) {
      int e = sched_apply(rt, tid);
      err = err ? err : e;
    }
  }
  return err;
}

void inherit_cpus(M* maker, M* m) {
  m->pinned_cpus = maker && maker->pinned_cpus;
  if (m->pinned_cpus) {
    for (u32 i = 0; i < kCpuWords; ++i) {
      m->cpus[i] = maker->cpus[i];
    }
  }
}

void pin_at_start(M* m) {
  if (m->pinned_cpus) {
    unpin_cpus(m);
  }
  Locked held(m->rt->lock);
  if (m->rt->cpus_set) {
    (void)os::affinity_set(0, m->rt->cpus, kCpuWords);
  }
  if (m->rt->sched_set) {
    (void)sched_apply(m->rt, 0);
  }
}

}  // namespace thrum
