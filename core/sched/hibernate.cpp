// What Gs that wait for long give back.
//
// A look goes over all Gs. One that was seen waiting by the look before, and has
// waited since (kSeen; a claim ends it), is ripe. If it may hibernate
// (THRUM_G_HIBERNATE) the used bytes of its stack go to the heap, without the
// zeroes, and its pages become a guard: whoever still has a pointer into it traps
// and reads no zeroes. They come back to the same addresses when it runs again, or
// for a collector's stop of the world. Any other G gives back the pages below its
// stack pointer, where that is asked for.
//
// Whose is a G meanwhile? Ours: its phase is kFrozen, and whoever would claim it
// waits, for the time of one batch (some 50 us). So a peer finds in a node either
// the element on the stack or the copy, never one on its way.
//
// The M that parked a G reads its stack once more after the phase is out: a select
// unlocks its channels from there. It is done when that M has dispatched another G
// since, or is outside thrum, or has no P: that is what settled() asks for.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "mem/heap.hpp"
#include "mem/words.hpp"
#include "sched/ready.hpp"
#include "sched/wait.hpp"

namespace thrum {

// A stack that hibernates: this, a Window for each element on it that others may
// read or write, with the element behind it, and all words in few bytes.
struct Asleep {
  u16 words;    // from the stack pointer to the end of the stack
  u16 windows;  // bytes of these
  u16 packed;   // bytes of the words
  u16 pattern;  // Attic::place_of
};

namespace {

constexpr u32 kBatch = 64;
constexpr u32 kSlots = 4096;  // at a time
constexpr u32 kMost =
    mem::kMostWords * sizeof(u64);    // with more in use it stays
constexpr i64 kShare = 20;            // of its time sysmon gives this one part
constexpr i64 kIdle = 2'000'000'000;  // if the host says nothing
// The sanitizers and valgrind know where stacks are, and what lies there.
constexpr bool kCan = !kFibreNotes;

struct Window {
  Waiter* node;
  void* elem;
};

char* windows_of(Asleep* a) { return reinterpret_cast<char*>(a + 1); }
size_t window_bytes(const Waiter& w) {
  return sizeof(Window) + (w.size + 7) / 8 * 8;
}

// The nodes of b's wait whose elements lie on its own stack. Also those that a
// peer has unlinked and is about to claim.
template <class Fn>
void each_elem(Body* b, Fn fn) {
  Why why = b->why.load(relaxed);
  u32 n = why == Why::chan_send || why == Why::chan_recv ? 1 : 0;
  Waiter* nodes = &b->waiter;
  if (why == Why::select) {
    nodes = b->nodes;
    n = b->rare()->node_count;
  }
  for (Waiter* w = nodes; w < nodes + n; ++w) {
    if (w->size && on_stack(b, w->elem)) {
      fn(*w);
    }
  }
}

// A stack that others are expected to be like: those that wait for the same kind of
// thing, as deep. The first one in each chunk of the attic.
struct Likeness {
  u64 end;
  u64 words[];
};

mem::Pattern pattern_of(const Likeness* like) {
  return like ? mem::Pattern{like->words, like->end} : mem::Pattern{};
}

// In the attic's open chunk; null: there is no room for another.
const Likeness* find_likeness(mem::Attic& attic, Why why, const u64* from,
                              u32 words, u8* scratch) {
  u64 key = u64{words} << 8 | static_cast<u8>(why);
  const void* found = attic.pattern_find(key);
  if (!found) {
    auto* made = reinterpret_cast<Likeness*>(scratch);
    made->end = reinterpret_cast<u64>(from + words);
    memcpy(made->words, from, words * sizeof(u64));
    found = attic.pattern_add(key, made, sizeof *made + words * sizeof(u64));
  }
  return static_cast<const Likeness*>(found);
}

// Copies the stack; null: it stays.
Asleep* pack(Runtime* rt, Body* b, u8* scratch) {
  mem::Attic& attic = rt->scan.attic;
  auto* from = static_cast<const u64*>(b->sp);
  u64 end = reinterpret_cast<u64>(b->stack.end());
  size_t used = end - reinterpret_cast<u64>(from);
  size_t windows = 0;
  each_elem(b, [&](const Waiter& w) { windows += window_bytes(w); });
  u32 words = static_cast<u32>(used / sizeof(u64));
  // The pattern and the block lie in one chunk.
  if (used > kMost || windows > kMost ||
      !attic.open(2 * mem::packed_most(words) + windows)) {
    return nullptr;
  }
  const Likeness* like =
      find_likeness(attic, b->why.load(relaxed), from, words, scratch);
  size_t packed = mem::pack_words(from, words, end, pattern_of(like), scratch);
  auto* a = static_cast<Asleep*>(attic.take(sizeof(Asleep) + windows + packed));
  *a = Asleep{static_cast<u16>(words), static_cast<u16>(windows),
              static_cast<u16>(packed), mem::Attic::place_of(like)};
  memcpy(windows_of(a) + windows, scratch, packed);
  char* at = windows_of(a);
  each_elem(b, [&](Waiter& w) {
    auto* out = reinterpret_cast<Window*>(at);
    *out = Window{&w, w.elem};
    memcpy(out + 1, w.elem, w.size);
    w.elem = out + 1;
    at += window_bytes(w);
  });
  return a;
}

// Puts it back where it was.
void unpack(Body* b, Asleep* a) {
  u64* to = reinterpret_cast<u64*>(b->stack.end()) - a->words;
  char* end = windows_of(a) + a->windows;
  b->sp = to;
  auto* like =
      static_cast<const Likeness*>(mem::Attic::pattern_at(a, a->pattern));
  (void)mem::unpack_words(reinterpret_cast<u8*>(end), to, a->words,
                          reinterpret_cast<u64>(b->stack.end()),
                          pattern_of(like));
  for (char* at = windows_of(a); at < end;) {
    auto* w = reinterpret_cast<Window*>(at);
    at += window_bytes(*w->node);
    // Several arms of a select may receive into one place: what is there now is
    // what the arm has that was served.
    if (b->why.load(relaxed) != Why::select || w->node == b->wake.by) {
      memcpy(w->elem, w + 1, w->node->size);
    }
    w->node->elem = w->elem;
  }
}

size_t bytes_of(const Asleep* a) { return sizeof *a + a->windows + a->packed; }
size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

// From the page of the stack pointer to the end.
os::Span pages_in_use(const Body* b, size_t page) {
  uintptr_t from = reinterpret_cast<uintptr_t>(b->sp) & ~(page - 1);
  uintptr_t to = round_up(reinterpret_cast<uintptr_t>(b->stack.end()), page);
  return os::Span{reinterpret_cast<void*>(from), to - from};
}

// ---- one batch -------------------------------------------------------------------

// Scan.lock guards it.
struct Batch {
  G* gs[kBatch];
  u64 phase[kBatch];
  Asleep* asleep[kBatch];  // null: its stack is only trimmed
  os::Span drop[kBatch];
  os::Span guard[kBatch];  // of those that hibernate
  u32 n;
  u32 guards;
  alignas(Likeness) u8 scratch[mem::packed_most(mem::kMostWords)];
};

bool may_sleep(const Runtime* rt, const G* g, const Body* b) {
  Why why = b->why.load(relaxed);
  return kCan && (g->flags & kHibernate) && !rt->scan.refused && !b->awake &&
         !b->lock_pinned && !b->bound && !b->held_sp && why != Why::domain &&
         why != Why::blocking && why != Why::none;
}

// g is ours.
void add(Runtime* rt, Batch& batch, G* g, u64 phase, bool trims, size_t page) {
  Body* b = g->body;
  Asleep* a = may_sleep(rt, g, b) ? pack(rt, b, batch.scratch) : nullptr;
  if (!a && !trims) {
    return thaw(g, phase, 0);
  }
  os::Span used = pages_in_use(b, page);
  char* lo = b->stack.lo();
  u32 i = batch.n++;
  batch.gs[i] = g;
  batch.phase[i] = phase;
  batch.asleep[i] = a;
  size_t below = static_cast<size_t>(static_cast<char*>(used.p) - lo);
  batch.drop[i] = os::Span{lo, below + (a ? used.bytes : 0)};
  if (a) {
    batch.guard[batch.guards++] = used;
  }
}

void finish(Runtime* rt, Batch& batch) {
  int err = os::vm_drop_all(batch.drop, batch.n);
  if (!err) {
    err = os::vm_guard_all(batch.guard, batch.guards);
  }
  for (u32 i = 0; i < batch.n; ++i) {
    G* g = batch.gs[i];
    Body* b = g->body;
    Asleep* a = batch.asleep[i];
    if (a && err) {
      os::Span used = pages_in_use(b, os::page_size());
      os::vm_unguard(used.p, used.bytes);
      unpack(b, a);
      rt->scan.attic.give(a);
    } else if (a) {
      rt->scan.asleep.fetch_add(1, relaxed);
      rt->scan.bytes.fetch_add(bytes_of(a), relaxed);
      b->asleep = a;
      publish(g->away, b);
      publish<Body*>(g->body, nullptr);
    } else {
      rt->scan.trimmed.fetch_add(1, relaxed);
    }
    thaw(g, batch.phase[i], a ? 0 : kTrimmed);
  }
  if (err && batch.guards && !rt->scan.refused) {
    rt->scan.refused = true;
    say("green threads do not hibernate here: the kernel refuses to guard or "
        "to "
        "drop their stacks (error %d): older than 6.13, or memory is locked",
        -err);
  }
  batch.n = batch.guards = 0;
}

// ---- looks -------------------------------------------------------------------------

// Has every M finished the parks that it had begun when the last look ended?
// `self` is the caller's: inside thrum, and not parking.
bool settled(Runtime* rt, M* self) {
  os::fence_all();  // pairs with Door::enter
  for (u32 i = 0; i < rt->p_count.load(acquire); ++i) {
    P* p = rt->ps[i];
    if (p->state.load(acquire) != PState::running ||
        p->dispatches.load(acquire) != p->scan_dispatches) {
      continue;
    }
    M* m = p->m.load(acquire);
    if (!m || (m != self && m->door.in_core.load(acquire))) {
      return false;
    }
  }
  return true;
}

void look_ends(Runtime* rt) {
  rt->scan.open = false;
  for (u32 i = 0; i < rt->p_count.load(acquire); ++i) {
    rt->ps[i]->scan_dispatches = rt->ps[i]->dispatches.load(relaxed);
  }
}

// Goes on with the look, over so many slots at most and until a batch is full.
// With Scan.lock held.
void look_on(Runtime* rt, u32 slots, bool ripe, bool trims) {
  Scan& s = rt->scan;
  if (!s.batch) {
    s.batch = mem::make<Batch>();  // too large for a stack
  }
  if (!s.batch) {
    return look_ends(rt);
  }
  Batch& batch = *static_cast<Batch*>(s.batch);
  size_t page = os::page_size();
  u32 end = table_end(rt->table);
  for (; s.at < end && slots && batch.n < kBatch; ++s.at, --slots) {
    G* g = table_g(rt->table, s.at);
    u64 v = g ? g->word.load(relaxed) : 0;
    if (!(v & kLive) || !(v & kPhase) || frozen(v) || !peek(g->body)) {
      continue;
    }
    bool sleeps = kCan && !s.refused && (glance(g->flags) & kHibernate);
    bool trim = trims && !(v & kTrimmed);
    if (!sleeps && !trim) {
      continue;
    }
    if (!(v & kSeen)) {
      g->word.compare_exchange_strong(v, v | kSeen, relaxed, relaxed);
    } else if (ripe && freeze(g, v)) {
      add(rt, batch, g, v & kPhase, trim, page);
    }
  }
  if (batch.n) {
    finish(rt, batch);
  }
  if (s.at >= end) {
    look_ends(rt);
  }
}

}  // namespace

void stack_awake(Runtime* rt, G* g) {
  Body* b = g->away;
  Asleep* a = b->asleep;
  b->sp = b->stack.end() - a->words * sizeof(u64);
  os::Span used = pages_in_use(b, os::page_size());
  os::vm_unguard(used.p, used.bytes);
  unpack(b, a);
  rt->scan.asleep.fetch_sub(1, relaxed);
  rt->scan.bytes.fetch_sub(bytes_of(a), relaxed);
  rt->scan.attic.give(a);
  publish(g->body, b);
}

bool stack_touched(Runtime* rt, Body* b) {
  G* g = peek(b->wake.g);
  for (u32 tries = 0; g && tries < 1'000'000; ++tries) {
    u64 v = g->word.load(acquire);
    if (!(v & kLive) || !(glance(g->flags) & kStarted)) {
      return false;
    }
    if (peek(g->body)) {
      return peek(g->body) == b && tries;  // it came back meanwhile
    }
    if (peek(g->away) != b) {
      return false;
    }
    // Frozen: it is on its way. Claimed: whoever will run it brings it back.
    if ((v & kPhase) && !frozen(v) && freeze(g, v)) {
      stack_awake(rt, g);
      thaw(g, v & kPhase, 0);
      return true;
    }
    cpu_relax();
  }
  return false;
}

void all_awake(Runtime* rt) {
  Locked held(rt->scan.lock);  // a look that began before has ended
  if (!rt->scan.asleep.load(relaxed)) {
    return;
  }
  u32 end = table_end(rt->table);
  for (u32 slot = 0; slot < end; ++slot) {
    G* g = table_g(rt->table, slot);
    u64 v = g ? g->word.load(acquire) : 0;
    while ((v & kLive) && (glance(g->flags) & kStarted) && !peek(g->body)) {
      // Ready ones are nobody's but ours: the world stands. One that is claimed
      // and not yet ready is a thread's of the host, which does not stand, and
      // copies an element. acquire: pairs with set_runnable.
      bool waits = (v & kPhase) != 0;
      if (waits ? freeze(g, v) : g->state.load(acquire) == State::runnable) {
        stack_awake(rt, g);
        if (waits) {
          thaw(g, v & kPhase, 0);
        }
        break;
      }
      os::thread_yield();
      v = g->word.load(acquire);
    }
  }
}

i64 scan_look(Runtime* rt, i64 now) {
  Scan& s = rt->scan;
  if (!rt->config.idle_ns && !(kCan && s.wanted.load(relaxed))) {
    return kForever;
  }
  i64 period = rt->config.idle_ns ? rt->config.idle_ns : kIdle;
  Locked held(s.lock);
  // all_awake has had the lock: who comes later sees that the world stands.
  if (s.asked || rt->world.load(relaxed)) {
    return now + period / 8;
  }
  if (!s.next) {
    s.next = now + period;
  }
  if (now < s.next) {
    return s.next;
  }
  if (!s.open) {
    if (!settled(rt, nullptr)) {
      return s.next = now + period / 8;
    }
    s.open = true;
    s.at = 0;
  }
  look_on(rt, kSlots, true, rt->config.idle_ns != 0);
  i64 spent = os::now_ns() - now;
  return s.next = s.open ? now + kShare * spent : now + period;
}

namespace {

// Two looks, one to see who waits and one that takes them. Nobody else looks
// meanwhile: settled() answers for all marks there are only if the last look that
// made some has ended.
void look_twice(Runtime* rt, M* self) {
  constexpr i64 kPatience = 10'000'000;
  i64 give_up = os::now_ns() + kPatience;
  for (bool ripe : {false, true}) {
    while (ripe && !settled(rt, self)) {
      if (os::now_ns() > give_up) {
        return;  // it is not told apart from one that still parks
      }
      os::thread_sleep(20'000);
    }
    for (bool first = true, open = true; open; first = false) {
      Locked held(rt->scan.lock);
      if (rt->world.load(relaxed)) {
        return look_ends(rt);
      }
      if (first) {
        rt->scan.open = true;
        rt->scan.at = 0;
      }
      look_on(rt, kSlots, ripe, true);
      open = rt->scan.open;
    }
  }
}

}  // namespace

void scan_all(Runtime* rt, M* self) {
  auto begin = [&] {
    Locked held(rt->scan.lock);
    bool mine = !rt->scan.asked;
    rt->scan.asked = true;
    return mine;
  };
  while (!begin()) {
    os::thread_sleep(20'000);
  }
  look_twice(rt, self);
  Locked held(rt->scan.lock);
  rt->scan.asked = false;
}

}  // namespace thrum
