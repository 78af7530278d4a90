// SPDX-License-Identifier: MIT
#include "observe/watchdog.hpp"

#include "base/die.hpp"
#include "observe/onlooker.hpp"
#include "sched/api.hpp"
#include "sched/probes.hpp"
#include "sched/table.hpp"

namespace thrum {

namespace {

constexpr u32 kFrames = 32;

const char* done_text(Done done) {
  switch (done) {
    case Done::kept:
      return "it keeps its P: nobody waits for it, or no thread is to be had";
    case Done::retaken:
      return "its P was given to another thread";
    case Done::inside:
      return "it is inside a thrum call";
  }
  return "";
}

void on_stderr(const Watch&, const StallView& s) {
  char name[sizeof Ext::name];
  plain_text(s.g.name, name, sizeof name);
  say("G %u \"%s\" has been %s for %lld ms without a scheduling point; %s",
      handle_slot(s.g.handle), name, state_name(s.g.state),
      static_cast<long long>(s.lasted / 1'000'000), done_text(s.done));
  for (u32 i = 0; i < s.frames; ++i) {
    char place[160];
    os::symbol(s.pcs[i], place, sizeof place);
    say("  %s %s", i ? "called from" : (s.exact ? "at" : "left thrum for"),
        place);
  }
}

// On sysmon. What can be had of where it is: a sleeping thread's registers are
// the kernel's to tell; of a running one the place where it left thrum.
void tell(Runtime* rt, const Stall& stall) {
  StallView s{};
  char name[sizeof Ext::name];
  if (!view_g(rt, stall.g->slot, s.g, name) ||
      glance(stall.m->cur) != stall.g) {
    return;  // it has gone on
  }
  u64 pcs[kFrames];
  u64 sp = 0;
  u64 lo = reinterpret_cast<u64>(s.g.stack_lo);
  u64 hi = reinterpret_cast<u64>(s.g.stack_hi);
  s.exact = os::thread_where(stall.m->tid.load(relaxed), &pcs[0], &sp) &&
            sp >= lo && sp < hi;
  if (!s.exact) {
    pcs[0] = stall.m->door.site.load(relaxed);
  }
  s.frames = 1;
  if (s.exact) {
    s.frames += os::stack_calls(sp, hi, pcs + 1, kFrames - 1);
  }
  s.pcs = pcs;
  s.lasted = stall.lasted;
  s.done = stall.done;
  trace(nullptr, rt, Event::stall, stall.g, static_cast<u64>(stall.lasted));
  rt->watch.show(rt->watch, s);
  onlooker_bitten(rt);
}

}  // namespace

int watchdog(Runtime* rt, i64 limit, ShowStall show, void* fn, void* arg) {
  if (!owns_threads(rt)) {
    return kENOTSUP;
  }
  if (!watch_pause(rt)) {
    return kEPERM;
  }
  Locked held(rt->watch.setting);
  (void)watch_pause(rt);  // another may have been as quick
  rt->watch.tell = tell;
  rt->watch.show = show ? show : on_stderr;
  rt->watch.fn = fn;
  rt->watch.arg = arg;
  if (limit > 0) {
    watch_begin(rt, limit);
  }
  return 0;
}

}  // namespace thrum
