// The note that wakes an M: what it waits for where it has no P.
//
// Whoever wakes it has written under the lock what it is woken for (M::next_p, or that
// it is idle no more), and then the note; the M looks at that again, so a note too
// many does no harm. It says in the note that it sleeps before it does: who finds it
// awake saves the system call.
// SPDX-License-Identifier: MIT
#include "mem/heap.hpp"
#include "sched/ready.hpp"
#include "sched/source.hpp"

namespace thrum {

void note_wake(M* m) {
  if (!m) {
    return;
  }
  // release: pairs with the acquires in note_comes. seq_cst: Dekker with watch.
  bool sleeps = m->note.exchange(kNoted, seq_cst) == kNoteSleeps;
  if (THRUM_UNLIKELY(m->watching.load(seq_cst))) {
    Source* s = m->rt->source.load(relaxed);
    s->interrupt(s);
  } else if (sleeps) {
    os::futex_wake(&m->note, 1);
  }
}

namespace {

constexpr i32 kNoteCredit = 16;
constexpr i32 kNoteTrial = 64;

// Where a P goes to and fro between Ms (pinned Gs that talk to others), the next
// note comes before a sleep and a wake would be over: it is waited for about so
// long, where that has paid more often than not.
void note_spin(M* m) {
  if (m->note_credit <= 0 && --m->note_credit > -kNoteTrial) {
    return;
  }
  u64 until = cpu_ticks() + m->rt->wake_ticks;
  while (m->note.load(relaxed) != kNoted && cpu_ticks() < until) {
    for (int i = 0; i < 8; ++i) {
      cpu_relax();
    }
  }
  bool paid = m->note.load(relaxed) == kNoted;
  i32 credit = max(m->note_credit, 0);
  m->note_credit = paid ? min(credit + 1, kNoteCredit) : max(credit - 1, 0);
}

bool note_comes(M* m, i64 deadline) {
  if (m->rt->spin_ns) {
    note_spin(m);
  }
  for (;;) {
    u32 none = 0;
    if (!m->note.compare_exchange_strong(none, kNoteSleeps, acquire, acquire) &&
        none == kNoted) {
      return true;
    }
    os::futex_wait(&m->note, kNoteSleeps, deadline);
    if (m->note.load(acquire) == kNoted) {
      return true;
    }
    if (deadline != kForever && os::now_ns() >= deadline) {
      return false;
    }
  }
}

}  // namespace

void note_wait(M* m, i64 deadline) {
  note_comes(m, deadline);
  m->note.store(0, relaxed);
}

// Once in a sleep, and late: who is woken meanwhile comes later by what it takes.
void idle_wait(M* m, i64 deadline) {
  if (i64 long_sleep = m->rt->collect_ns) {
    i64 late = os::now_ns() + long_sleep;
    if (late < deadline && !note_comes(m, late)) {
      mem::collect();
    }
  }
  note_wait(m, deadline);
}

}  // namespace thrum
