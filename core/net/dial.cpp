// Happy Eyeballs, RFC 8305: attempts side by side, each in a G of its own, begun
// 250 ms apart or when the one before has failed. The first that connects wins, and
// the others are cancelled.
// SPDX-License-Identifier: MIT
#include "net/dial.hpp"

#include "mem/heap.hpp"
#include "sched/enter.hpp"
#include "sync/sync.hpp"

namespace thrum {

namespace {

constexpr i64 kNextAttempt = 250'000'000;  // RFC 8305, section 5
constexpr u32 kMost = 8;

// Shared by the caller and the attempts; the last one frees it.
struct Race {
  Atomic<u32> refs;     // atomic
  Runtime* rt;          // const
  i64 deadline;         // const
  Semaphore ended;      // a permit for each attempt that has
  Atomic<Stream*> won;  // atomic: the first
  Atomic<int> err;      // atomic: of the last that failed
  struct Attempt {
    Race* race;      // const
    os::Address to;  // const
    u64 g;           // the caller
  } attempts[kMost];
};

void race_drop(Race* r) {
  // acq_rel: the last one sees what the others did.
  if (r->refs.fetch_sub(1, acq_rel) == 1) {
    mem::free(r);
  }
}

void attempt(void* arg) {
  auto* a = static_cast<Race::Attempt*>(arg);
  Race* r = a->race;
  EnterParking e;
  Stream* s;
  int err = stream_dial(e.m, r->rt, a->to, &s, r->deadline);
  Stream* none = nullptr;
  if (err) {
    // It is the runtime's stop that cancels one before the race has ended.
    r->err.store(err == kECANCELED ? int{kECLOSED} : err, relaxed);
  } else if (!r->won.compare_exchange_strong(none, s, acq_rel, relaxed)) {
    fd_release(e.m, &s->fd);
  }
  sem_release(e.m, &r->ended, 1);
  race_drop(r);
}

// The families by turns, as the first has it.
void interleave(os::Address* to, u32 n) {
  for (u32 i = 1; i < n; ++i) {
    u32 k = i;
    while (k < n && os::family_of(to[k]) == os::family_of(to[i - 1])) {
      ++k;
    }
    if (k == n) {
      return;
    }
    os::Address other = to[k];
    for (; k > i; --k) {
      to[k] = to[k - 1];
    }
    to[i] = other;
  }
}

}  // namespace

int dial_any(M*& m, Runtime* rt, os::Address* to, u32 n, Stream** out,
             i64 deadline) {
  n = min(n, kMost);
  if (n == 1) {
    return stream_dial(m, rt, to[0], out, deadline);
  }
  *out = nullptr;
  interleave(to, n);
  auto* r = static_cast<Race*>(mem::zalloc(1, sizeof(Race)));
  if (!r) {
    return kENOMEM;
  }
  r->refs.store(1, relaxed);
  r->rt = rt;
  r->deadline = deadline;
  u32 begun = 0;
  u32 ended = 0;
  int err = 0;
  while (!r->won.load(acquire) && (begun < n || ended < begun)) {
    i64 until = deadline;
    if (begun < n) {
      Race::Attempt& a = r->attempts[begun];
      a.race = r;
      a.to = to[begun];
      r->refs.fetch_add(1, relaxed);
      SpawnOpts opts;
      opts.name = "dial";
      err = spawn(m, rt, &opts, attempt, &a, &a.g);
      if (err) {
        race_drop(r);
        break;
      }
      if (++begun < n) {
        until = min(deadline, os::now_ns() + kNextAttempt);
      }
    }
    err = sem_acquire(m, &r->ended, until);
    if (!err) {
      ++ended;
      err = r->err.load(relaxed);
    } else if (err != kETIMEDOUT || until == deadline) {
      break;
    }
  }
  for (u32 i = 0; i < begun; ++i) {
    cancel(m, rt, r->attempts[i].g);
  }
  // From here on a late winner finds the place taken, and gives up.
  Stream* first = r->won.exchange(reinterpret_cast<Stream*>(r), acq_rel);
  race_drop(r);
  if (first && err == kECANCELED) {
    cancel_again(m);
  }
  *out = first;
  return first ? 0 : err;
}

}  // namespace thrum
