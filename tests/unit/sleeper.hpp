// Gs that hibernate, one look after the other: the looks are made here, so that
// no sysmon's come between (still() has none within the hour, seeded() none).
#pragma once
#include "objects.hpp"
#include "sched/ready.hpp"

namespace unit {

#define UNIT_NEEDS_HIBERNATION                         \
  if (kFibreNotes) {                                   \
    UNIT_SKIP("the sanitizers know where stacks are"); \
  }                                                    \
  if (!hibernates_here()) {                            \
    UNIT_SKIP("the kernel refuses to guard pages");    \
  }

inline u64 asleep(Runtime* rt) { return rt->scan.asleep.load(relaxed); }
inline u64 asleep() { return asleep(this_m()->rt); }
inline bool is_asleep(u64 h) {
  G* g = g_at(this_m()->rt, h);
  return (g->flags & kStarted) && !peek(g->body);
}

// Two looks at all Gs, as thrum_trim makes them.
inline void look() {
  Enter e;
  scan_all(e.m->rt, e.m);
}

template <class F>
u64 sleeper(F f) {
  SpawnOpts o;
  o.flags = kHibernate;
  u64 h = go(f, &o);
  wait_parked(h);
  return h;
}

inline bool hibernates_here() {
  bool does = false;
  in_g(still(), [&] {
    u64 h = sleeper([] { (void)park(); });
    look();
    does = is_asleep(h);
    (void)unpark(h);
    (void)join(h);
  });
  return does;
}

inline void fill(volatile u64* to, u32 n) {
  for (u32 i = 0; i < n; ++i) {
    to[i] = i % 3 ? u64{i} << (i % 64) : 0;
  }
}
inline bool filled(const volatile u64* from, u32 n) {
  for (u32 i = 0; i < n; ++i) {
    if (from[i] != (i % 3 ? u64{i} << (i % 64) : 0)) {
      return false;
    }
  }
  return true;
}

}  // namespace unit
