// Opt-in word about stacks that are full (DESIGN 5).
//
// A thread that runs Gs tells its faults (os/posix/fault.cpp). One in a guard of its
// own runtime is a stack that was too small: a line on stderr names the G, and then
// the handler that the host had, or the kernel, gets the fault as if nothing had been
// said. One in the stack of a G that hibernates brings it back. All other faults are
// the host's from the start.
//
// In the handler: the thread was stopped anywhere, perhaps in the core and with locks
// held. What is read here is constant after it was published.
// SPDX-License-Identifier: MIT
#include "sched/overflow.hpp"

#include <stdlib.h>

#include "base/line.hpp"
#include "sched/ready.hpp"
#include "sched/signals.hpp"

namespace thrum {

namespace {

void name_g(Line& line, const G* g) {
  line.text("G ").number(g->slot);
  Ext* e = peek(g->ext);
  if (e && e->name[0]) {
    line.text(" \"").text(e->name).text("\"");
  }
}

void advise(Line& line) {
  line.text("; spawn it with a larger thrum_spawn_opts.stack_size").write();
}

// In the signal handler.
os::Faulted on_fault(void* arg, u64 address, const os::Stopped& at) {
  M* m = static_cast<M*>(arg);
  StackAt s;
  if (!m->rt->overflow_on.load(relaxed) || !stack_at(m->rt, address, s) ||
      !s.body) {
    return os::Faulted::other;
  }
  if (!s.in_guard) {
    return stack_touched(m->rt, s.body) ? os::Faulted::mended
                                        : os::Faulted::other;
  }
  const mem::Stack& stack = s.body->stack;
  const G* g = peek(s.body->wake.g);
  Line line;
  line.text("stack overflow: ");
  if (g && peek(g->body) == s.body) {
    name_g(line, g);
  } else {
    line.text("a G that has ended");  // a wild pointer into what it left
  }
  line.text(" needs more than the ")
      .number(mem::kStackSizes[stack.size_class] >> 10);
  line.text(" KiB of its stack: it touched ").address(address).text(", ");
  line.number(reinterpret_cast<u64>(stack.lo()) - address);
  line.text(" bytes below them, at pc ").address(at.pc);
  if (G* running = m->cur; running && running != g) {
    name_g(line.text(" (from "), running);
    line.text(")");
  }
  advise(line);
  return os::Faulted::told;
}

}  // namespace

bool stack_at(Runtime* rt, u64 address, StackAt& out) {
  void* body;
  if (!rt->arenas.find(reinterpret_cast<char*>(address), body, out.in_guard)) {
    return false;
  }
  out.body = static_cast<Body*>(body);
  return true;
}

void overflow_check(const G* g) {
  const mem::Stack& stack = g->body->stack;
  if (mem::stack_whole(stack)) {
    return;
  }
  Line line;
  name_g(line.text("fatal: stack overflow: "), g);
  line.text(" needed more than the ");
  line.number(mem::kStackSizes[stack.size_class] >> 10);
  line.text(" KiB of its stack, which has no guard");
  advise(line);
  abort();
}

// ---- on and off --------------------------------------------------------------------

int overflow_enable(Runtime* rt) {
  Locked held(rt->signals_lock);
  if (rt->stopping.load(relaxed)) {
    return kECLOSED;
  }
  if (rt->overflow_on.load(relaxed)) {
    return 0;
  }
  if (int err = os::fault_open(on_fault)) {
    return err;
  }
  rt->overflow_on.store(1, relaxed);
  signals_changed(rt);
  return 0;
}

int overflow_disable(Runtime* rt) {
  Locked held(rt->signals_lock);
  if (rt->overflow_on.exchange(0, relaxed)) {
    os::fault_close();
    signals_changed(rt);
  }
  return 0;
}

void overflow_join(M* m) {
  if (m->rt->overflow_on.load(relaxed)) {
    // One that cannot tell is none the worse for it.
    (void)os::fault_join(m->signal, m);
  }
}

void overflow_leave(M* m) { os::fault_leave(m->signal); }

}  // namespace thrum
