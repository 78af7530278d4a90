// SPDX-License-Identifier: MIT
#include "observe/held_lock.hpp"

#include "base/die.hpp"
#include "observe/each.hpp"

namespace thrum {

void check_held_locks(Runtime* rt, M* m, G* g) {
  constexpr u32 kMost = 4;
  constexpr u32 kReports = 100;
  Body* b = g->body;
  void* mutexes[kMost];
  u32 n = os::held_mutexes(m->tid.load(relaxed), reinterpret_cast<u64>(b->sp),
                           reinterpret_cast<u64>(b->stack.hi), mutexes, kMost);
  for (u32 i = 0; i < n && rt->said_held.fetch_add(1, relaxed) < kReports;
       ++i) {
    char name[sizeof Ext::name];
    plain_text(g->ext ? g->ext->name : "", name, sizeof name);
    char place[128];
    os::symbol(reinterpret_cast<u64>(mutexes[i]), place, sizeof place);
    say("G %u \"%s\" parks (%s) while its thread holds a pthread mutex: %p, %s",
        g->slot, name, why_name(b->why.load(relaxed)), mutexes[i], place);
  }
}

}  // namespace thrum
