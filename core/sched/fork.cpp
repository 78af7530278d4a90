// The child of a fork. Of all threads only the one that forked is there.
//
// If it was an M, in a G or in a hook of the host, that code goes on in the
// child, on its stack. The child handler takes the M away from the thread:
// this_m() is null, so every call goes the way of a foreign thread, at no cost to
// anybody else, and where that way ends it finds out why (no_g, was_g in
// wait_begin_slow, was_who).
//
// When the code returns, it returns into the core, where nothing may be touched
// any more: g_main goes back to the thread's own stack, and there kSlowForked
// makes every frame return: thrum_run, thrum_pump and thrum_domain_pump with
// kEFORKED, m_main by ending the process.
//
// A child may run Gs of its own on that thread, and one of them may fork: what
// the thread was beneath stands in M::outer.
// SPDX-License-Identifier: MIT
#include "sched/ready.hpp"
#include "sched/signals.hpp"

namespace thrum {

namespace {

// The one thread that may be such: who it is (thread_pointer), and the M that it
// was. That thread writes them, and nobody else cares.
constinit Atomic<u64> g_orphan{0};
constinit Atomic<M*> g_orphan_m{nullptr};

// Runs on the forking thread, and may run twice.
void in_child() {
  u64 who = thread_pointer();
  // Else another thread's, which is not here; its address may be given again.
  M* beneath =
      g_orphan.load(relaxed) == who ? g_orphan_m.load(relaxed) : nullptr;
  if (M* m = this_m()) {
    M* last = m;
    last->slow.fetch_or(kSlowForked, relaxed);
    while (last->outer) {
      last = last->outer;
      last->slow.fetch_or(kSlowForked, relaxed);
    }
    last->outer = beneath;
    beneath = m;
    set_this_m(nullptr);
  }
  g_orphan_m.store(beneath, relaxed);
  g_orphan.store(beneath ? who : 0, relaxed);
}

}  // namespace

bool fork_ready() { return os::fork_watch(in_child); }

M* forked_m() {
  bool orphan = !this_m() && g_orphan.load(relaxed) == thread_pointer();
  return orphan ? g_orphan_m.load(relaxed) : nullptr;
}

// In a hook there is no G: such code was none.
THRUM_COLD bool was_g() { return g_of(forked_m()) != nullptr; }
THRUM_COLD u64 was_who() { return reinterpret_cast<u64>(g_of(forked_m())); }
THRUM_COLD int no_g() { return was_g() ? kEFORKED : kENOTG; }
THRUM_COLD int no_rt(const void* named) {
  return named || was_g() ? kEFORKED : kEINVAL;
}

int leave_forked(M* m) {
  signals_leave(m);
  if (m->eh) {
    *m->eh = m->outer_eh;
  }
  g_orphan_m.store(m->outer, relaxed);
  if (!m->outer) {
    g_orphan.store(0, relaxed);
  }
  return kEFORKED;
}

}  // namespace thrum
