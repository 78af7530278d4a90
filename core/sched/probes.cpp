// Events on their way to the ring of their P, to the lens, and to tools outside.
// SPDX-License-Identifier: MIT
#include "sched/probes.hpp"

#include <new>

#include "base/err.hpp"
#include "probe/fire.hpp"
#include "sched/recorder.hpp"

namespace thrum {

namespace {

constexpr u64 kRecords = 65536;
constexpr u64 kRecordsMost = u64{1} << 26;

// A ring and its records in one mapping, the ring at its end.
size_t ring_bytes(u64 size) { return size * sizeof(Record) + kCacheLine; }

Ring* ring_make(u64 size) {
  auto* at = static_cast<char*>(os::vm_reserve(ring_bytes(size)));
  return at ? new (at + size * sizeof(Record))
                  Ring(reinterpret_cast<Record*>(at), size)
            : nullptr;
}

void ring_free(Ring* ring) {
  if (ring) {
    u64 size = ring->size();
    os::vm_release(reinterpret_cast<char*>(ring) - size * sizeof(Record),
                   ring_bytes(size));
  }
}

Recorder* recorder_on(Runtime* rt) {
  Recorder* r = rt->recorder.load(acquire);  // pairs with recorder_start
  return r && r->on.load(acquire) ? r : nullptr;
}

THRUM_COLD Ring* ring_first(Recorder* r, P* p) {
  Ring* ring = ring_make(r->size);
  if (ring) {
    r->rings[p->id].store(ring, release);  // pairs with who copies it
  } else {
    r->refused.fetch_add(1, relaxed);
  }
  return ring;
}

// Where the events of one moment go; they share a reading of the clock.
struct Sink {
  M* m;
  P* p;
  Runtime* rt;
  Recorder* r;  // null: only tools outside look
  Ring* ring;   // null: there is none, or who has no P shares the one outside
  u64 ticks;
  bool tools;

  THRUM_INLINE Sink(M* by, Runtime* of)
      : m(by && by->rt == of ? by : nullptr), p(m ? m->p : nullptr), rt(of),
        r(recorder_on(of)), ring(nullptr), ticks(0),
        tools(g_probing.load(relaxed) & kAttached) {
    if (THRUM_LIKELY(r != nullptr)) {
      ticks = cpu_ticks();
      if (THRUM_LIKELY(p != nullptr)) {
        ring = r->rings[p->id].load(relaxed);
        if (THRUM_UNLIKELY(!ring)) {
          ring = ring_first(r, p);
        }
      }
    }
  }

  THRUM_INLINE void put(Event e, G* g, u64 arg) const {
    u64 handle = g ? handle_of(rt->tag, g->slot, g->word.load(relaxed)) : 0;
    if (THRUM_LIKELY(ring != nullptr)) {
      ring->put(ticks, e, handle, arg);
    }
    if (THRUM_UNLIKELY(!p || tools || (r && r->seen.load(relaxed)))) {
      put_else(e, g, handle, arg);
    }
  }

  THRUM_NOINLINE void put_else(Event e, G* g, u64 handle, u64 arg) const {
    if (r && !p) {
      Locked held(r->outside_lock);
      r->outside->put(ticks, e, handle, arg);
    }
    if (r) {
      for (const Atomic<Lens*>& at : r->lenses) {
        if (Lens* lens = at.load(acquire)) {  // pairs with recorder_look
          lens->see(lens, m, p, ticks, e, g, arg);
        }
      }
    }
    if (tools) {
      probe_fire(e, handle, arg, p ? i64{p->id} : -1, m ? i64{m->id} : -1);
    }
  }
};

THRUM_INLINE void put_leave(const Sink& s) {
  switch (s.m->after.kind) {
    case AfterKind::park: {
      G* g = s.m->after.g;
      s.put(Event::park, g, static_cast<u64>(g->body->why.load(relaxed)));
      break;
    }
    case AfterKind::yield:
    case AfterKind::behind:
    case AfterKind::yield_global:
    case AfterKind::route:
      s.put(Event::yield, s.m->after.g, 0);
      break;
    default:  // exit has told of it while the handle was good
      break;
  }
}

}  // namespace

void probe_event(M* m, Runtime* rt, Event e, G* g, u64 arg) {
  Sink(m, rt).put(e, g, arg);
}

void probe_ready(M* m, G* g) {
  G* by = m ? m->cur : nullptr;
  u64 from = by ? handle_of(0, by->slot, by->word.load(relaxed)) : 0;
  Sink(m, rt_of(g)).put(Event::ready, g, from);
}

void probe_timer(M* m, G* g, i64 late) {
  Sink s(m, rt_of(g));
  s.put(Event::timer, g, static_cast<u64>(max(late, i64{0})));
  s.put(Event::ready, g, 0);
}

void probe_switch(M* m, G* to) {
  Sink s(m, m->rt);
  put_leave(s);
  s.put(Event::run, to, m->id);
}

void probe_leave(M* m) { put_leave(Sink(m, m->rt)); }

int recorder_start(Runtime* rt, u64 size, u32 by) {
  Recorder* r = rt->recorder.load(acquire);
  if (!r) {
    auto* made = rt->config.source.make<Recorder>();
    if (!made) {
      return kENOMEM;
    }
    new (made) Recorder{};
    made->size = std::bit_ceil(min(size ? size : kRecords, kRecordsMost));
    made->outside = ring_make(made->size);
    made->ns0 = os::now_ns();
    made->ticks0 = cpu_ticks();
    // release: pairs with the acquires of who finds it.
    if (!made->outside ||
        !rt->recorder.compare_exchange_strong(r, made, acq_rel, acquire)) {
      ring_free(made->outside);
      rt->config.source.give(made, sizeof *made);
      if (!r) {
        return kENOMEM;
      }
    } else {
      r = made;
    }
  }
  Locked held(r->setting);
  if (!r->on.load(relaxed)) {
    r->since.store(cpu_ticks(), relaxed);
  }
  // release: pairs with recorder_on, who sees since when.
  if (r->on.fetch_or(by, release) == 0) {
    g_probing.fetch_add(kTraced, relaxed);
  }
  return 0;
}

bool recorder_look(Recorder* r, u32 place, Lens* lens) {
  Lens* none = nullptr;
  // release: pairs with the acquires of who finds it.
  bool mine =
      r->lenses[place].compare_exchange_strong(none, lens, acq_rel, acquire);
  r->seen.store(true, relaxed);
  return mine;
}

void recorder_stop(Runtime* rt, u32 by) {
  Recorder* r = rt->recorder.load(acquire);
  if (!r) {
    return;
  }
  Locked held(r->setting);
  u32 was = r->on.fetch_and(~by, release);
  if (was && !(was & ~by)) {
    g_probing.fetch_sub(kTraced, relaxed);
  }
}

void recorder_free(Runtime* rt) {
  recorder_stop(rt, kByHost | kByViewer);
  if (Recorder* r = rt->recorder.load(relaxed)) {
    for (Atomic<Lens*>& at : r->lenses) {
      if (Lens* lens = at.load(relaxed)) {
        lens->end(lens);
      }
    }
    for (Atomic<Ring*>& ring : r->rings) {
      ring_free(ring.load(relaxed));
    }
    ring_free(r->outside);
    rt->config.source.give(r, sizeof *r);
  }
}

}  // namespace thrum
