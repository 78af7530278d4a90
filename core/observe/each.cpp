// SPDX-License-Identifier: MIT
#include "observe/each.hpp"

#include <string.h>

#include "arch/context.hpp"
#include "base/die.hpp"
#include "mem/heap.hpp"
#include "sched/table.hpp"

namespace thrum {

namespace {

constexpr u32 kFrames = 12;
constexpr size_t kStackWords = 1024;  // of the innermost frames

struct Lines {
  Runtime* rt;
  u32 n;
};

void line(void* arg, const GView& v) {
  auto& lines = *static_cast<Lines*>(arg);
  if (lines.n++ < 64) {
    char name[48];
    plain_text(v.name, name, sizeof name);
    say("  G %u \"%s\" %s %s", handle_slot(v.handle), name, state_name(v.state),
        v.reason);
    u64 pcs[kFrames];
    say_frames(pcs, stack_of(lines.rt, v.handle, pcs, kFrames));
  }
}

// The innermost words of a stack that waits, and *pc; 0: it goes on just now, or is
// packed. Nothing but memory is touched while it is frozen.
size_t copy_stack(Runtime* rt, u64 handle, u64* to, u64* pc) {
  G* g = table_g(rt->table, handle_slot(handle));
  u64 v = g ? thawed(g->word) : 0;
  if (!(v & kLive) || handle_of(rt->tag, g->slot, v) != handle ||
      !(v & kPhase) || !freeze(g, v)) {
    return 0;
  }
  size_t n = 0;
  if (Body* b = g->body) {
    auto sp = reinterpret_cast<u64>(b->sp);
    n = min(kStackWords,
            (reinterpret_cast<u64>(b->stack.hi) - sp) / sizeof(u64));
    os::stack_copy(sp, to, n);
    *pc = to[kFramePc];
  }
  thaw(g, v & kPhase, 0);
  return n;
}

// thrum_park's text, of a G that waits there just now; else null: what stands in its
// place belongs to another wait, and may be gone.
const char* park_text(G* g, u64 word) {
  u64 v = thawed(g->word);
  if (((v ^ word) & (kGenMask | kLive)) || !(v & kPhase) || !freeze(g, v)) {
    return nullptr;
  }
  Body* b = body_of(g);
  auto* text = b->why.load(relaxed) == Why::park
                   ? static_cast<const char*>(peek(b->on))
                   : nullptr;
  thaw(g, v & kPhase, 0);
  return text;
}

}  // namespace

// Copies what can be seen of a G while it may go on, end, and its slot be taken
// by another; false: the slot is free, or was for a moment. The lock keeps its
// Ext.
bool view_g(Runtime* rt, u32 slot, GView& v, char (&name)[48]) {
  G* g = table_g(rt->table, slot);
  if (!g) {
    return false;
  }
  Locked held(rt->join_locks[slot % kJoinLocks]);
  u64 word = g->word.load(acquire);
  if (!(word & kLive)) {
    return false;
  }
  v = GView{};
  v.handle = handle_of(rt->tag, slot, word);
  v.state = g->state.load(acquire);
  v.arg = peek(g->arg);
  name[0] = 0;
  if (Ext* e = peek(g->ext)) {
    memcpy(name, e->name, sizeof name);
    v.domain = e->domain;
  }
  v.name = name;
  Body* b = peek(g->body);
  bool asleep = !b && v.state == State::waiting;
  if (asleep) {
    b = peek(g->away);
    // Of this G, or what stands there is no body.
    if ((g->word.load(acquire) ^ word) & (kGenMask | kLive)) {
      return false;
    }
  }
  if (b) {
    v.why = b->why.load(acquire);
    v.since = peek(b->since);
    v.stack_lo = b->stack.lo();
    v.stack_hi = b->stack.hi;
    if (asleep) {
      v.sp = nullptr;
    } else if (v.state == State::waiting ||
               (v.state == State::runnable && rt->world.load(acquire))) {
      v.sp = peek(b->sp);
    } else {
      v.sp = peek(b->held_sp);
    }
    if (v.why == Why::park) {
      v.reason = park_text(g, word);
    }
  }
  if (!v.reason) {
    v.reason = v.why == Why::none ? "" : why_name(v.why);
  }
  // All loads above are acquire: had one seen a later G, this sees its word.
  return ((g->word.load(relaxed) ^ word) & (kGenMask | kLive)) == 0 &&
         v.state != State::dead;
}

void plain_text(const char* from, char* to, u32 size) {
  u32 i = 0;
  for (; from[i] && i + 1 < size; ++i) {
    unsigned char c = static_cast<unsigned char>(from[i]);
    to[i] = c < 0x20 || c == 0x7f ? '?' : from[i];
  }
  to[i] = 0;
}

const char* state_name(State s) {
#define X(name) #name,
  constexpr const char* kNames[] = {THRUM_STATES(X)};
#undef X
  return kNames[static_cast<u8>(s)];
}

void each_g(Runtime* rt, void (*fn)(void*, const GView&), void* arg) {
  u32 end = table_end(rt->table);
  // fn may fork: the child sees no more of them.
  for (u32 slot = 0; slot < end && !forked(rt); ++slot) {
    GView v;
    char name[48];
    if (view_g(rt, slot, v, name)) {
      fn(arg, v);
    }
  }
}

u32 stack_of(Runtime* rt, u64 handle, u64* pcs, u32 most) {
  auto* words = static_cast<u64*>(mem::alloc(kStackWords * sizeof(u64)));
  u32 frames = 0;
  if (size_t n = words ? copy_stack(rt, handle, words, pcs) : 0) {
    auto at = reinterpret_cast<u64>(words) + kFrameBytes;
    auto end = reinterpret_cast<u64>(words + n);
    frames = 1 + os::stack_calls(at, end, pcs + 1, most - 1);
  }
  mem::free(words);
  return frames;
}

void say_frames(const u64* pcs, u32 n) {
  for (u32 i = 0; i < n; ++i) {
    char place[160];
    os::symbol(pcs[i], place, sizeof place);
    say("    %s %s", i ? "called from" : "at", place);
  }
}

void report_gs(Runtime* rt, const char* title) {
  say("%s", title);
  Lines lines{rt, 0};
  each_g(rt, line, &lines);
  if (lines.n > 64) {
    say("  and %u more", lines.n - 64);
  }
}

}  // namespace thrum
