// Ps taken from Ms whose Gs block or compute in guest code without a word: both
// sides of the door (door.hpp) that know what a P is.
//
// sysmon takes a P whose M has been outside for too long while work waits. The M
// is not disturbed: no signal, no lock, no EINTR. Its G runs on without a P; in
// the next call the M finds kTaken in its door's word and forgets the P. From then
// on it is apart: non-parking calls take an idle P or go without, a parking call
// gets a P or queues the G, and the M is free for others. A G that is bound to its
// M or inside a domain waits there for a P instead.
// SPDX-License-Identifier: MIT
#include "sched/domain.hpp"

namespace thrum {

namespace {

bool m_to_spare(Runtime* rt) {
  Locked held(rt->lock);
  return rt->idle_m || (rt->m_count < rt->config.max_threads && !rt->closing);
}

// EEVDF gives a thread with a long request later deadlines, so the one that holds
// the P now runs first (linux.md 2). Needs no privilege.
constexpr u64 kLongSlice = 100'000'000;

// Which places hold how many Ms, most first; a few.
struct Place {
  u64 site;
  u32 ms;
};
u32 places_of(Runtime* rt, Place* places, u32 most) {
  u32 n = 0;
  Locked held(rt->lock);
  for (M* m = rt->ms; m; m = m->next_m) {
    u64 site = m->door.site.load(relaxed);
    if (m->door.in_core.load(relaxed) || m->gone || !site) {
      continue;
    }
    u32 i = 0;
    while (i < n && places[i].site != site) {
      ++i;
    }
    if (i < most) {
      places[i].site = site;
      places[i].ms = i == n ? 1 : places[i].ms + 1;
      n = max(n, i + 1);
    }
  }
  return n;
}

// Says once that max_threads keeps blocked Gs from being passed by.
void say_capped(Runtime* rt) {
  if (rt->said_capped.exchange(1, relaxed)) {
    return;
  }
  constexpr u32 kAffinities = 4;
  Place places[kAffinities];
  u32 n = places_of(rt, places, kAffinities);
  say("max_threads (%u) is reached: green threads that block or compute "
      "without "
      "thrum_enter_blocking keep their P until they return",
      rt->config.max_threads);
  for (u32 i = 0; i < n; ++i) {
    char name[128];
    os::symbol(places[i].site, name, sizeof name);
    say("  %u threads left thrum for %s", places[i].ms, name);
  }
}

}  // namespace

Suspect& suspect_of(Runtime* rt, u64 site) {
  return rt->suspects[(site * 0x9e3779b97f4a7c15u) >> 58];
}

bool retake(Runtime* rt, P* p, M* m, const Look& seen) {
  if (m->door.in_core.load(relaxed)) {
    return false;
  }
  if (!m_to_spare(rt)) {
    say_capped(rt);
    return false;
  }
  p->claimed.store(seen.dispatches, relaxed);
  u64 site = m->door.site.load(relaxed);
  bool declared = m->door.word.load(relaxed) & kDeclared;
  // While it has no P it would rather run in long pieces and be passed by.
  u32 tid = m->tid.load(relaxed);
  m->slice = os::slice_set(tid, kLongSlice);
  // Before it is taken: the G counts as one that may wake others.
  rt->blocking.fetch_add(1, seq_cst);
  bool taken = m->door.take(kTaken, os::fence_all, [&] {
    return p->m.load(relaxed) == m &&
           p->state.load(relaxed) == PState::running &&
           p->dispatches.load(relaxed) == seen.dispatches;
  });
  if (!taken) {
    os::slice_set(tid, m->slice);
    rt->blocking.fetch_sub(1, seq_cst);
    return false;
  }
  if (!declared) {
    Suspect& s = suspect_of(rt, site);
    s.row = s.site == site ? s.row + 1 : 1;
    s.site = site;
  }
  m->taken_at = seen.since;
  p->m.store(nullptr, relaxed);
  bump(declared ? p->handoffs : p->retakes);
  trace(nullptr, rt, declared ? Event::handoff : Event::retake, glance(m->cur),
        m->id);
  give_p(rt, p, false);
  return true;
}

// ---- the owner's side ------------------------------------------------------------

void enter_apart(M* m) {
  bool kept;
  u32 w = m->door.settle(&kept);
  if (w & kTaken) {
    m->p = nullptr;
    os::slice_set(0, m->slice);
    w |= kApart;
    m->door.change(kTaken, kApart);
  } else if (P* p = m->p;
             kept && p &&
             p->claimed.load(relaxed) == p->dispatches.load(relaxed)) {
    // Its slice is over all the same: no runnext pair goes on for ever. But not that
    // of a G that the claim was not for.
    p->attention.fetch_or(kAttnSlice, relaxed);
  }
  Runtime* rt = m->rt;
  if ((w & kApart) && m->cur && !m->cur->body->rare()->block_depth &&
      rt->idle_count.load(relaxed)) {
    Locked held(rt->lock);
    if (P* p = idle_p_pop(rt)) {
      take_p(m, p);
      m->door.change(kApart, 0);
      rt->blocking.fetch_sub(1, seq_cst);
    }
  }
}

bool enter_slow(M*& m, bool parks) {
  enter_apart(m);
  if (!parks || !m->cur) {
    return false;
  }
  bool paused = m->cur->body->rare()->block_depth != 0;
  u32 w = m->door.calls();
  if (w & kApart) {
    m = come_back(m);
  } else if (w & kDeclared) {
    m->door.change(kDeclared, 0);
  }
  if (m->door.calls() & kDomainTaken) {
    domain_left_behind(m);
  }
  if (m->door.calls() & kWorld) {
    world_call(m);
  }
  return paused;
}

void enter_after_guest(M*& m) {
  if (!m->cur) {
    return enter_apart(m);
  }
  // Whatever the callback left open, the core goes on with a P.
  Body* b = m->cur->body;
  u32 depth = b->rare()->block_depth;
  b->rare()->block_depth = 0;
  enter_slow(m, true);
  b->rare()->block_depth = depth;
}

}  // namespace thrum
