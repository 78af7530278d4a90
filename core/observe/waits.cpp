// SPDX-License-Identifier: MIT
#include "observe/waits.hpp"

#include <new>

#include "base/count.hpp"
#include "base/err.hpp"
#include "os/socket.hpp"
#include "probe/histogram.hpp"
#include "sched/metrics.hpp"

namespace thrum {

namespace {

constexpr u8 kParked = 1, kReady = 2, kRuns = 3;
constexpr u32 kNoP = UINT32_MAX;
constexpr u64 kLook = 100'000;         // ns: a slice worth a look at the kernel
constexpr u64 kThrottled = 1'000'000;  // ns lost that may have been a quota's
constexpr size_t kCellBytes = sizeof(Cell) << 26;

Waits* of(Lens* lens) { return static_cast<Waits*>(lens); }

// When the recorder was switched on last: what was before is not known to the end.
u64 on_since(const Waits* w) {
  return w->rt->recorder.load(relaxed)->since.load(relaxed);
}

Lane* lane_of(Waits* w, const P* p) {
  Lane* lane = w->lanes[p->id].load(relaxed);
  if (THRUM_UNLIKELY(!lane)) {
    lane = static_cast<Lane*>(os::vm_reserve(sizeof(Lane)));
    w->lanes[p->id].store(lane, release);  // pairs with readers
  }
  return lane;
}

// The column of this moment; one of an older time begins anew.
Column& column_of(Waits* w, Lane* lane, u64 ticks) {
  u64 number = (ticks - w->ticks0) / w->column_ticks;
  Column& c = lane->columns[number % kColumns];
  if (THRUM_UNLIKELY(c.epoch.load(relaxed) != number + 1)) {
    c.epoch.store(0, relaxed);
    fence(release);  // pairs with the acquire of who reads it
    for (auto& latency : c.latency) {
      for (Atomic<u32>& n : latency) {
        n.store(0, relaxed);
      }
    }
    for (Atomic<u32>& n : c.kernel) {
      n.store(0, relaxed);
    }
    for (Atomic<u64>& ns : c.causes) {
      ns.store(0, relaxed);
    }
    c.epoch.store(number + 1, release);
  }
  return c;
}

void count(Atomic<u32>& n) { n.store(n.load(relaxed) + 1, relaxed); }

// ns of g go to a cause: to itself, its classes, and this moment.
struct Book {
  Waits* w;
  Lane* lane;  // null: without a P nobody owns its columns
  u64 ticks;
  const G* g;
  Cell& cell;

  void add(Cause cause, u64 ns) const {
    if (!ns) {
      return;
    }
    u32 i = static_cast<u32>(cause);
    show(cell.causes[i], cell.causes[i] + ns);
    if (lane) {
      bump(lane->classes[affinity_class_of(g)][i], ns);
      bump(lane->classes[rank_class_of(g)][i], ns);
      bump(column_of(w, lane, ticks).causes[i], ns);
    }
  }
};

// ---- the kernel ----------------------------------------------------------------------

Meter* meter_of(Waits* w, M* m) {
  if (!m || m->id >= kMeters) {
    return nullptr;
  }
  Meter& meter = w->meters[m->id];
  u32 tid = m->tid.load(relaxed);
  if (THRUM_UNLIKELY(meter.tid != tid)) {
    if (meter.tid && meter.fd >= 0) {
      os::fd_close(meter.fd);
    }
    meter.tid = tid;
    meter.fd = os::share_open(tid);
    meter.woke = 0;
    if (meter.fd >= 0) {
      os::share_read(meter.fd, &meter.seen);
    }
  }
  return meter.fd >= 0 ? &meter : nullptr;
}

// What the thread has run and been delayed since it was last asked.
os::CpuShare since(Meter& meter) {
  os::CpuShare now = meter.seen;
  os::share_read(meter.fd, &now);
  os::CpuShare d{now.ran - meter.seen.ran, now.delayed - meter.seen.delayed};
  meter.seen = now;
  return d;
}

// What a quota has taken since somebody last asked, at most `most`.
u64 throttled_since(Waits* w, u64 most) {
  if (most < kThrottled) {
    return 0;
  }
  Locked held(w->throttle_lock);
  (void)os::groups_reread(w->groups);
  u64 now = os::groups_throttled(w->groups).ns;
  u64 d = now - min(now, w->throttled_seen);
  w->throttled_seen = now;
  return min(d, most);
}

// For as long as nothing was heard of this M, which may be more than a slice lasted,
// or none at all: the kernel may take a CPU away between two Gs as well.
bool long_silence(Waits* w, M* m, u64 ticks) {
  if (!m || m->id >= kMeters) {
    return false;
  }
  Meter& meter = w->meters[m->id];
  u64 last = meter.last;
  meter.last = ticks;
  if (last < on_since(w)) {
    if (Meter* again = last ? meter_of(w, m) : nullptr) {
      (void)since(*again);
    }
    return false;
  }
  return last && ticks > last && ticks_to_ns(w->rt, ticks - last) >= kLook;
}

// A slice of `ns` has ended: what its thread did meanwhile.
struct Split {
  u64 ran, asleep, kernel, throttled;
};
Split split_of(Waits* w, M* m, u64 ns, u64 ticks) {
  Split s{ns, 0, 0, 0};
  Meter* meter = long_silence(w, m, ticks) ? meter_of(w, m) : nullptr;
  if (!meter) {
    return s;
  }
  os::CpuShare d = since(*meter);
  s.ran = min(d.ran, ns);
  u64 off = ns - s.ran;
  // Kernels differ in whether a throttled thread counts as one that waits.
  s.throttled = throttled_since(w, off);
  s.kernel = min(d.delayed, off - s.throttled);
  s.asleep = off - s.throttled - s.kernel;
  return s;
}

// ---- events --------------------------------------------------------------------------

void becomes(Cell& c, u8 state, u64 ticks) {
  show(c.state, state);
  show(c.at, ticks);
}

void queues(Waits* w, Cell& c, const P* p, u64 ticks) {
  becomes(c, kReady, ticks);
  c.p = p ? p->id : kNoP;
  if (p) {
    Lane* lane = lane_of(w, p);
    c.lost = glance(lane->kernel);
    c.cut = glance(lane->throttled);
  }
}

// How much of a wait of `ns` its P lost to the kernel and to a quota.
void lost_in_queue(Waits* w, M* m, const P* p, const Lane* lane, const Cell& c,
                   u64 ns, u64& kernel, u64& throttled) {
  kernel = throttled = 0;
  if (c.p == p->id) {
    throttled = min(lane->throttled - c.cut, ns);
    kernel = min(lane->kernel - c.lost, ns - throttled);
  }
  // Made ready before this M woke: the kernel took its time for that.
  if (m->id < kMeters && w->meters[m->id].woke > c.at) {
    u64 before = ticks_to_ns(w->rt, w->meters[m->id].woke - c.at);
    kernel = max(kernel,
                 min(min(w->meters[m->id].woke_late, before), ns - throttled));
  }
}

void charge(Lane* lane, u64 kernel, u64 throttled) {
  show(lane->kernel, lane->kernel + kernel);
  show(lane->throttled, lane->throttled + throttled);
}

void runs(Waits* w, M* m, P* p, u64 ticks, Cell& c, const G* g) {
  Lane* lane = lane_of(w, p);
  if (long_silence(w, m, ticks)) {
    if (Meter* meter = meter_of(w, m)) {
      u64 delayed = since(*meter).delayed;
      u64 throttled = throttled_since(w, delayed);
      charge(lane, delayed - throttled, throttled);
    }
  }
  Book book{w, lane, ticks, g, c};
  book.add(Cause::blocked, c.waited);
  c.waited = 0;
  if (c.state == kReady && ticks > c.at) {
    u64 ns = ticks_to_ns(w->rt, ticks - c.at);
    u64 kernel, throttled;
    lost_in_queue(w, m, p, lane, c, ns, kernel, throttled);
    book.add(Cause::kernel, kernel);
    book.add(Cause::throttled, throttled);
    book.add(Cause::queued, ns - kernel - throttled);
    Column& column = column_of(w, lane, ticks);
    count(column.latency[affinity_class_of(g)][bucket_of(ns)]);
    count(column.latency[rank_class_of(g)][bucket_of(ns)]);
    if (kernel + throttled) {
      count(column.kernel[bucket_of(kernel + throttled)]);
    }
  }
  becomes(c, kRuns, ticks);
}

// The slice is over, or its thread begins to block as it has declared.
void stops(Waits* w, M* m, P* p, u64 ticks, Cell& c, const G* g) {
  if (c.state != kRuns || ticks <= c.at) {
    return;
  }
  u64 ns = ticks_to_ns(w->rt, ticks - c.at);
  Split s = split_of(w, m, ns, ticks);
  Lane* lane = p ? lane_of(w, p) : nullptr;
  Book book{w, lane, ticks, g, c};
  book.add(Cause::ran, s.ran);
  book.add(Cause::blocked, s.asleep);
  book.add(Cause::kernel, s.kernel);
  book.add(Cause::throttled, s.throttled);
  if (lane) {
    charge(lane, s.kernel, s.throttled);
  }
}

// A wait by choice is over; runs puts it to account, for who ends it may have no P.
void ended(Waits* w, u64 ticks, Cell& c) {
  if (c.state == kParked && ticks > c.at) {
    c.waited = ticks_to_ns(w->rt, ticks - c.at);
  }
}

// The M was asleep for want of work; what the kernel took to wake it comes now.
void sleeps(Waits* w, M* m, Event e, u64 ticks) {
  Meter* meter = meter_of(w, m);
  if (!meter) {
    return;
  }
  os::CpuShare d = since(*meter);
  meter->last = ticks;
  if (e == Event::awake) {
    meter->woke = ticks;
    meter->woke_late = d.delayed;
  }
}

// Events of whoever owns the G in that moment.
bool concerns(Event e) {
  switch (e) {
    case Event::spawn:
    case Event::ready:
    case Event::run:
    case Event::park:
    case Event::block:
    case Event::unblock:
    case Event::yield:
    case Event::exit:
      return true;
    default:
      return false;
  }
}

void see(Lens* lens, M* m, P* p, u64 ticks, Event e, G* g, u64) {
  Waits* w = of(lens);
  if (e == Event::idle || e == Event::awake) {
    return sleeps(w, m, e, ticks);
  }
  if (!g || (g->flags & kToken) || !concerns(e)) {
    return;
  }
  Cell& c = w->cells[g->slot];
  u64 handle = handle_of(w->rt->tag, g->slot, g->word.load(relaxed));
  if (THRUM_UNLIKELY(c.g != handle)) {
    c = Cell{};
    show(c.g, handle);
  } else if (THRUM_UNLIKELY(c.at < on_since(w))) {
    show(c.state, u8{0});
    c.waited = 0;
  }
  switch (e) {
    case Event::spawn:
      queues(w, c, p, ticks);
      break;
    case Event::ready:
      ended(w, ticks, c);
      queues(w, c, p, ticks);
      break;
    case Event::run:
      if (p) {
        runs(w, m, p, ticks, c, g);
      }
      break;
    case Event::park:
    case Event::block:
      stops(w, m, p, ticks, c, g);
      becomes(c, kParked, ticks);
      break;
    case Event::unblock:
      ended(w, ticks, c);
      if (p) {
        runs(w, m, p, ticks, c, g);
      }
      becomes(c, kRuns, ticks);
      break;
    case Event::yield:
      stops(w, m, p, ticks, c, g);
      ended(w, ticks, c);  // a declared block that has come back to no P
      queues(w, c, p, ticks);
      break;
    case Event::exit:
      stops(w, m, p, ticks, c, g);
      becomes(c, 0, ticks);
      break;
    default:
      break;
  }
}

void end(Lens* lens) {
  Waits* w = of(lens);
  for (Meter& meter : w->meters) {
    if (meter.tid && meter.fd >= 0) {
      os::fd_close(meter.fd);
    }
  }
  for (Atomic<Lane*>& lane : w->lanes) {
    if (Lane* at = lane.load(relaxed)) {
      os::vm_release(at, sizeof *at);
    }
  }
  os::groups_close(w->groups);
  os::vm_release(w->cells, kCellBytes);
  os::vm_release(w, sizeof *w);
}

void open_throttle(void* arg) {
  auto* w = static_cast<Waits*>(arg);
  os::groups_open(w->groups, "");
  w->throttled_seen = os::groups_throttled(w->groups).ns;
}

// Reading where the groups are takes more stack than a G may have.
void throttle_of(Waits* w) {
  os::Thread thread;
  if (os::thread_start(thread, open_throttle, w, "thrum-look") == 0) {
    os::thread_join(thread);
  }
}

Waits* make(Runtime* rt, i64 column, const Recorder& r) {
  auto* w = static_cast<Waits*>(os::vm_reserve(sizeof(Waits)));
  auto* cells = static_cast<Cell*>(os::vm_reserve(kCellBytes));
  if (!w || !cells) {
    if (w) {
      os::vm_release(w, sizeof *w);
    }
    if (cells) {
      os::vm_release(cells, kCellBytes);
    }
    return nullptr;
  }
  new (w) Waits{};
  w->see = see;
  w->end = end;
  w->rt = rt;
  w->column_ns = column;
  w->column_ticks =
      max((static_cast<u64>(column) << 32) / rt->ns_per_tick, u64{1});
  w->ticks0 = r.ticks0;
  w->cells = cells;
  throttle_of(w);
  return w;
}

}  // namespace

const char* cause_name(Cause c) {
  constexpr const char* kNames[kCauses] = {"ran", "blocked", "queued", "kernel",
                                           "throttled"};
  return kNames[static_cast<u8>(c)];
}

int waits_start(Runtime* rt, i64 column, u32 by) {
  if (int err = recorder_start(rt, 0, by)) {
    return err;
  }
  Recorder* r = rt->recorder.load(acquire);
  if (r->lenses[kWaitsLens].load(acquire)) {
    return 0;
  }
  Waits* w = make(rt, column, *r);
  if (!w) {
    return kENOMEM;
  }
  if (!recorder_look(r, kWaitsLens, w)) {
    end(w);
  }
  return 0;
}

Waits* waits_of(Runtime* rt) {
  Recorder* r = rt->recorder.load(acquire);
  return r ? of(r->lenses[kWaitsLens].load(acquire)) : nullptr;
}

int waits_of_g(Runtime* rt, u64 handle, u64 (&causes)[kCauses]) {
  Waits* w = waits_of(rt);
  if (!w || handle_tag(handle) != rt->tag) {
    return kEINVAL;
  }
  const Cell& c = w->cells[handle_slot(handle)];
  if (glance(c.g) != handle) {
    return kESTALE;
  }
  for (u32 i = 0; i < kCauses; ++i) {
    causes[i] = glance(c.causes[i]);
  }
  return 0;
}

u64 waits_runs_for(Runtime* rt, u64 handle, bool running) {
  Waits* w = waits_of(rt);
  const Cell& c = w->cells[handle_slot(handle)];
  u64 at = glance(c.at);
  u64 on = on_since(w);
  u64 now = cpu_ticks();
  // Without an event since then it has done all the time what it does now.
  bool runs = at < on ? running : glance(c.state) == kRuns;
  u64 from = max(at, on);
  return runs && glance(c.g) == handle && now > from
             ? ticks_to_ns(rt, now - from)
             : 0;
}

}  // namespace thrum
