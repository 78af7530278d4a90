// The explorer over Relacy: the only file that includes it.
// SPDX-License-Identifier: MIT
#include <relacy/relacy.hpp>
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno

#include <elf.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "explore/explore.hpp"
#include "explore/shadow.hpp"

extern "C" const char __executable_start;  // the linker's

namespace explore {

namespace {

// Relacy gives a fresh atomic of this kind the value 0 "from the beginning": no
// thread can see a time before it. Other first values need its private fields;
// and who has seen the first value it forgets to say.
using Base = rl::generic_atomic<u64, true>;
template <auto History, auto Value, auto Data>
struct Reach {
  friend u64* history_of(Base& b) { return b.*History; }
  friend u64& value_of(Base& b) { return b.*Value; }
  friend rl::atomic_data* data_of(Base& b) { return b.*Data; }
};
u64* history_of(Base& b);
u64& value_of(Base& b);
rl::atomic_data* data_of(Base& b);
template struct Reach<&Base::history_, &Base::value_, &Base::impl_>;

template <int N>
void unseen(Base& b) {
  auto* data = static_cast<rl::atomic_data_impl<N>*>(data_of(b));
  for (auto& record : data->history_) {
    for (int t = 0; t < N; ++t) {
      record.first_seen_order_[t] = static_cast<rl::timestamp_t>(-1);
    }
  }
}

struct Cell {
  const void* at;
  u32 size;
  bool quiet;
  bool slot;
  alignas(Base) char room[sizeof(Base)];

  Base& base() { return *reinterpret_cast<Base*>(room); }
};

constexpr unsigned kCells = 4096;
Cell cells[kCells];
unsigned cell_count;

struct Entry {
  u32 schedule;
  u32 cell;
};
Entry index_of[4 * kCells];
u32 schedule;

bool exploring;  // between before() and after(): those are plain memory
const Scenario* now_running;
i64 virtual_now;
u64 virtual_ticks;

// Per thread.
struct Thread {
  size_t stamp;       // the time of its last plain access
  bool busy;          // an atomic operation since its last pause
  const void* key;    // what it sleeps on
  bool parked;        // and until woken only
  const Cell* stale;  // it read an old value here, and again
};
Thread threads[kThreads];

struct Handed {
  void* item;
  size_t seen[kThreads];
};
constexpr unsigned kHanded = 64;
Handed handed[kHanded];
unsigned head, tail;
bool is_shut;

struct Range {
  const char* from;
  const char* end;
};
constexpr unsigned kRanges = 128;
Range quiet_ranges[kRanges], slot_ranges[kRanges];
unsigned quiet_count, slot_count;

// Weakening: one call whose order becomes another.
struct Weak {
  const char* file = nullptr;  // end of the path
  int line = 0;
  Order order = Order::relaxed;
};
Weak weak;
bool list_sites;
struct Site {
  const char* file;
  int line;
  Order order;
};
std::vector<Site, rl::raw_allocator<Site>> sites;

unsigned me() { return static_cast<unsigned>(rl::ctx().threadx_->index_); }
size_t* seen_by_me() { return rl::ctx().threadx_->acq_rel_order_; }
size_t& my_time() { return rl::ctx().threadx_->own_acq_rel_order_; }

rl::debug_info info(Where w) {
  return rl::debug_info("", w.file, static_cast<unsigned>(w.line));
}

bool ends_with(const char* s, const char* end) {
  size_t n = strlen(s), m = strlen(end);
  return n >= m && !strcmp(s + n - m, end);
}

bool in_core(const char* file) {
  return !strstr(file, "tests/model") && file[0] != '\0';
}

rl::memory_order order_at(Order o, Where w) {
  if (o != Order::relaxed) {
    if (weak.line && w.line == weak.line && ends_with(w.file, weak.file)) {
      o = weak.order;
    }
    if (list_sites && in_core(w.file)) {
      bool known = false;
      for (const Site& s : sites) {
        known |= s.line == w.line && s.order == o && !strcmp(s.file, w.file);
      }
      if (!known) {
        sites.push_back({w.file, w.line, o});
      }
    }
  }
  static constexpr rl::memory_order kOrders[] = {
      rl::mo_relaxed, rl::mo_consume, rl::mo_acquire,
      rl::mo_release, rl::mo_acq_rel, rl::mo_seq_cst};
  return kOrders[static_cast<int>(o)];
}

// A weakened order must still be one that the operation can have.
rl::memory_order load_order(Order o, Where w) {
  rl::memory_order m = order_at(o, w);
  return m == rl::mo_release   ? rl::mo_relaxed
         : m == rl::mo_acq_rel ? rl::mo_acquire
                               : m;
}
rl::memory_order store_order(Order o, Where w) {
  rl::memory_order m = order_at(o, w);
  return m == rl::mo_acquire   ? rl::mo_relaxed
         : m == rl::mo_acq_rel ? rl::mo_release
                               : m;
}

u64 raw(const void* at, u32 size) {
  u64 v = 0;
  memcpy(&v, at, size);
  return v;
}
void set_raw(const void* at, u32 size, u64 v) {
  memcpy(const_cast<void*>(at), &v, size);
}
u64 cut(u64 v, u32 size) {
  return size == 8 ? v : v & ((u64{1} << (8 * size)) - 1);
}

bool inside(const Range* ranges, unsigned n, const void* at) {
  const char* p = static_cast<const char*>(at);
  for (unsigned i = 0; i < n; ++i) {
    if (p >= ranges[i].from && p < ranges[i].end) {
      return true;
    }
  }
  return false;
}

Entry& entry(const void* at) {
  u64 h = reinterpret_cast<uintptr_t>(at) * 0x9e3779b97f4a7c15u >> 40;
  for (;; ++h) {
    Entry& e = index_of[h % (4 * kCells)];
    if (e.schedule != schedule || cells[e.cell].at == at) {
      return e;
    }
  }
}

Cell& cell(const void* at, u32 size) {
  Entry& e = entry(at);
  if (e.schedule == schedule && cells[e.cell].size == size) {
    return cells[e.cell];
  }
  if (cell_count == kCells) {
    fprintf(stderr, "the explorer is out of atomics\n");
    abort();
  }
  Cell& c = cells[cell_count];
  c.at = at;
  c.size = size;
  c.quiet = inside(quiet_ranges, quiet_count, at);
  c.slot = size == 8 && inside(slot_ranges, slot_count, at);
  if (!c.quiet) {
    Base* b = ::new (static_cast<void*>(c.room)) Base;
    for (size_t i = 0; i < rl::atomic_history_size; ++i) {
      history_of(*b)[i] = raw(at, size);
    }
    value_of(*b) = raw(at, size);
    switch (now_running->threads) {
      case 1:
        unseen<1>(*b);
        break;
      case 2:
        unseen<2>(*b);
        break;
      case 3:
        unseen<3>(*b);
        break;
      default:
        unseen<4>(*b);
        break;
    }
  }
  e = {schedule, cell_count++};
  return c;
}

void touch(const Cell& c, bool write, const void* pc) {
  threads[me()].busy = true;
  shadow::atomic(c.at, c.size, write, pc);
}
#define CALLER __builtin_return_address(0)

// ---- slots ----------------------------------------------------------------------

struct SlotLoad {
  const void* at;
  u64 value;
  unsigned version;
  size_t when;
};
struct SlotStore {
  const void* at;
  unsigned version;  // that it made
  size_t seen[kThreads];
};
struct SlotTaken {
  const void* at;
  unsigned version;
  unsigned thread;
  size_t when;
};
constexpr unsigned kLog = 512;
SlotLoad slot_loads[kThreads][kLog];
unsigned slot_load_count[kThreads];
SlotStore slot_stores[kLog];
unsigned slot_store_count;
SlotTaken slot_taken[kLog];
unsigned slot_taken_count;

unsigned slot_version(const void* at) {
  unsigned v = 0;
  for (unsigned i = 0; i < slot_store_count; ++i) {
    v += slot_stores[i].at == at;
  }
  return v;
}

void slot_check(const SlotTaken& t, const SlotStore& s) {
  if (t.at == s.at && s.version == t.version + 1 && s.seen[t.thread] < t.when) {
    rl::ctx().fail_test("a slot was reused while its content was being taken",
                        rl::test_result_data_race, info({"", 0}));
  }
}

void slot_loaded(const Cell& c, u64 v) {
  unsigned t = me();
  slot_loads[t][slot_load_count[t]++ % kLog] = {c.at, v, slot_version(c.at),
                                                my_time()};
}

void slot_stored(const Cell& c) {
  if (slot_store_count == kLog) {
    return;
  }
  SlotStore& s = slot_stores[slot_store_count];
  s.at = c.at;
  s.version = slot_version(c.at) + 1;
  memcpy(s.seen, seen_by_me(), sizeof(size_t) * now_running->threads);
  ++slot_store_count;
  for (unsigned i = 0; i < slot_taken_count; ++i) {
    slot_check(slot_taken[i], s);
  }
}

// ---- a schedule's beginning and end -----------------------------------------------

constexpr size_t kArena = 8 << 20;
constexpr size_t kHead = 64;
alignas(64) char arena[kArena];
size_t arena_used;

void begin() {
  ++schedule;
  cell_count = 0;
  memset(arena, 0, arena_used);
  arena_used = 0;
  memset(threads, 0, sizeof threads);
  quiet_count = slot_count = 0;
  head = tail = 0;
  is_shut = false;
  memset(slot_load_count, 0, sizeof slot_load_count);
  slot_store_count = slot_taken_count = 0;
  virtual_now = 1000;
  virtual_ticks = 0;
  shadow::reset();
}

void end() {
  for (unsigned i = 0; i < cell_count; ++i) {
    if (!cells[i].quiet) {
      cells[i].base().~Base();
    }
  }
  cell_count = 0;
}

void fail(const char* what, rl::test_result_e kind, Where w) {
  rl::ctx().fail_test(what, kind, info(w));
}

}  // namespace

// ---- atomics ----------------------------------------------------------------------

u64 load(const void* at, u32 size, Order o, Where w) {
  if (!exploring) {
    return raw(at, size);
  }
  Cell& c = cell(at, size);
  if (c.quiet) {
    return raw(at, size);
  }
  u64 v = c.base().load(load_order(o, w), info(w));
  touch(c, false, CALLER);
  // Stores become visible in finite time: whoever reads an old value twice in a
  // row must see what there is. Relacy allows it for ever.
  Thread& t = threads[me()];
  if (v != c.base().debug_value()) {
    if (t.stale == &c) {
      rl::ctx().threadx_->last_yield_ = my_time();
    }
    t.stale = &c;
  } else if (t.stale == &c) {
    t.stale = nullptr;
  }
  if (c.slot) {
    slot_loaded(c, v);
  }
  return v;
}

void store(void* at, u32 size, u64 v, Order o, Where w) {
  if (!exploring) {
    set_raw(at, size, v);
    return;
  }
  Cell& c = cell(at, size);
  if (!c.quiet) {
    c.base().store(v, store_order(o, w), info(w));
    touch(c, true, CALLER);
    if (c.slot) {
      slot_stored(c);
    }
  }
  set_raw(at, size, v);
}

u64 rmw(void* at, u32 size, Op op, u64 v, Order o, Where w) {
  bool counts = exploring && !cell(at, size).quiet;
  if (counts) {
    rl::ctx().sched();
    rl::ctx().disable_preemption();
  }
  u64 was = counts ? cell(at, size).base().debug_value() : raw(at, size);
  switch (op) {
    case Op::swap:
      break;
    case Op::add:
      v = was + v;
      break;
    case Op::sub:
      v = was - v;
      break;
    case Op::conj:
      v = was & v;
      break;
    case Op::disj:
      v = was | v;
      break;
  }
  v = cut(v, size);
  if (counts) {
    Cell& c = cell(at, size);
    c.base().exchange(v, order_at(o, w), info(w));
    rl::ctx().enable_preemption();
    touch(c, true, CALLER);
    if (c.slot) {
      slot_stored(c);
    }
  }
  set_raw(at, size, v);
  return was;
}

bool cas(void* at, u32 size, u64& was, u64 v, Order ok, Order fail_order,
         bool spurious, Where w) {
  if (!exploring || cell(at, size).quiet) {
    u64 found = raw(at, size);
    bool same = found == was;
    if (same) {
      set_raw(at, size, v);
    }
    was = found;
    return same;
  }
  Cell& c = cell(at, size);
  rl::memory_order success = order_at(ok, w);
  rl::memory_order failure = load_order(fail_order, {"", 0});
  if (success == rl::mo_relaxed || success == rl::mo_release) {
    failure = rl::mo_relaxed;
  }
  bool done = spurious ? c.base().compare_exchange(rl::bool_t<true>(), was, v,
                                                   success, failure, info(w))
                       : c.base().compare_exchange(rl::bool_t<false>(), was, v,
                                                   success, failure, info(w));
  touch(c, done, CALLER);
  if (done) {
    set_raw(at, size, v);
    if (c.slot) {
      slot_stored(c);
    }
  }
  return done;
}

void fence(Order o, Where w) {
  rl::memory_order m = order_at(o, w);
  if (exploring && m != rl::mo_relaxed) {
    rl::atomic_thread_fence(m, info(w));
  }
}

void fence_all() {
  if (exploring) {
    rl::ctx().sched();
    rl::ctx().rl_global_fence();
  }
}

// The old cell lives on until the schedule ends: a thread may be about to use it,
// which the race detector will say.
void born(const void* at) {
  if (!exploring) {
    return;
  }
  Entry& e = entry(at);
  if (e.schedule == schedule) {
    cells[e.cell].size = 0;
  }
}

u64 glance(const void* at, u32 size) { return raw(at, size); }
void show(void* at, u32 size, u64 v) { set_raw(at, size, v); }

// ---- threads ------------------------------------------------------------------------

unsigned thread() { return exploring ? me() : 0; }

void pause() {
  if (!exploring) {
    return;
  }
  Thread& t = threads[me()];
  if (t.busy) {
    t.busy = false;
    rl::yield(1, info({"", 0}));
  }
}

void step() {
  if (exploring) {
    rl::ctx().sched();
  }
}

// A timed sleeper stays runnable: if it runs again before it was woken, its time
// was over then. (Relacy's own timed waits let a search explode.)
bool sleep_on(const void* key, bool timed) {
  unsigned t = me();
  if (timed && choose(2) == 0) {
    return false;
  }
  threads[t].key = key;
  threads[t].parked = !timed;
  if (timed) {
    rl::yield(1, info({"", 0}));
  } else {
    rl::ctx().park_current_thread(false, false, false, info({"", 0}));
  }
  bool woken = threads[t].key == nullptr;
  threads[t].key = nullptr;
  return woken;
}

void wake(const void* key, unsigned most) {
  for (unsigned t = 0; t < now_running->threads && most; ++t) {
    if (threads[t].key == key) {
      threads[t].key = nullptr;
      --most;
      if (threads[t].parked) {
        rl::ctx().unpark_thread(static_cast<rl::thread_id_t>(t), false,
                                info({"", 0}));
      }
    }
  }
}

void hand(void* item) {
  Handed& h = handed[tail++ % kHanded];
  h.item = item;
  ++my_time();
  memcpy(h.seen, seen_by_me(), sizeof(size_t) * now_running->threads);
  wake(handed, kThreads);
}

void* take() {
  for (;;) {
    if (head != tail) {
      const Handed& h = handed[head++ % kHanded];
      ++my_time();
      for (unsigned t = 0; t < now_running->threads; ++t) {
        if (seen_by_me()[t] < h.seen[t]) {
          seen_by_me()[t] = h.seen[t];
        }
      }
      return h.item;
    }
    if (is_shut) {
      return nullptr;
    }
    sleep_on(handed, false);
  }
}

void shut() {
  is_shut = true;
  wake(handed, kThreads);
}

// ---- choices, checks, time -----------------------------------------------------------

unsigned choose(unsigned n) { return n < 2 ? 0 : rl::rand(n); }

void check(bool ok, const char* what, Where w) {
  if (!ok) {
    fail(what, rl::test_result_user_assert_failed, w);
  }
}

i64 now() { return virtual_now; }
void advance(i64 to) { virtual_now = to > virtual_now ? to : virtual_now; }
u64 ticks() { return ++virtual_ticks; }
void set_ticks(u64 v) { virtual_ticks = v; }

// ---- memory ------------------------------------------------------------------------------

void* alloc(size_t bytes) {
  size_t room = kHead + ((bytes + kHead - 1) & ~(kHead - 1));
  if (arena_used + room > kArena) {
    fprintf(stderr, "the explorer is out of memory\n");
    abort();
  }
  char* p = arena + arena_used;
  arena_used += room;
  memcpy(p, &bytes, sizeof bytes);
  return p + kHead;
}

void dispose(void* p) {
  if (p && exploring) {
    size_t bytes;
    memcpy(&bytes, static_cast<char*>(p) - kHead, sizeof bytes);
    shadow::freed(p, bytes, CALLER);
  }
}

void renew(void* to, void* from, size_t bytes) {
  if (!from) {
    return;
  }
  size_t had;
  memcpy(&had, static_cast<char*>(from) - kHead, sizeof had);
  memcpy(to, from, had < bytes ? had : bytes);
  dispose(from);
}

void quiet(const void* p, size_t bytes) {
  const char* from = static_cast<const char*>(p);
  quiet_ranges[quiet_count++ % kRanges] = {from, from + bytes};
}

void slots(const void* p, size_t bytes) {
  const char* from = static_cast<const char*>(p);
  slot_ranges[slot_count++ % kRanges] = {from, from + bytes};
}

void took(const void* v) {
  unsigned t = me();
  u64 value = reinterpret_cast<u64>(v);
  unsigned n = slot_load_count[t];
  for (unsigned back = 1; back <= n && back <= kLog; ++back) {
    const SlotLoad& l = slot_loads[t][(n - back) % kLog];
    if (l.value == value) {
      if (slot_taken_count == kLog) {
        return;
      }
      slot_taken[slot_taken_count] = {l.at, l.version, t, l.when};
      const SlotTaken& taken = slot_taken[slot_taken_count++];
      for (unsigned i = 0; i < slot_store_count; ++i) {
        slot_check(taken, slot_stores[i]);
      }
      return;
    }
  }
}

// ---- the race detector's door ------------------------------------------------------------

bool shadow::view(View& v, bool stamp) {
  if (!exploring) {
    return false;
  }
  Thread& t = threads[me()];
  if (stamp && t.stamp != my_time()) {
    t.stamp = ++my_time();
  }
  v = {me(), now_running->threads, seen_by_me(), my_time()};
  return true;
}

namespace {

const char* place(const void* pc) {
  static char line[2][512];
  static int turn;
  char* out = line[turn ^= 1];
  out[0] = '\0';
  if (!pc) {
    return out;
  }
  exploring = false;
  // What addr2line wants is the place in the file.
  const auto* elf = reinterpret_cast<const Elf64_Ehdr*>(&__executable_start);
  uintptr_t at = reinterpret_cast<uintptr_t>(pc) - 1;
  if (elf->e_type == ET_DYN) {
    at -= reinterpret_cast<uintptr_t>(elf);
  }
  char command[128];
  snprintf(command, sizeof command,
           "addr2line -Cse /proc/$PPID/exe %#lx 2>/dev/null",
           static_cast<unsigned long>(at));
  if (FILE* f = popen(command, "r")) {
    if (!fgets(out, sizeof line[0], f)) {
      out[0] = '\0';
    }
    out[strcspn(out, "\n")] = '\0';
    pclose(f);
  }
  exploring = true;
  return out;
}

bool verbose = true;

}  // namespace

void shadow::race(const char* what, const void* at, const void* pc,
                  const void* other) {
  static char said[1400];
  if (verbose) {
    snprintf(said, sizeof said, "%s: %p, at %s, before at %s", what, at,
             place(pc), place(other));
  } else {
    snprintf(said, sizeof said, "%s", what);
  }
  fail(said, rl::test_result_data_race, {"", 0});
}

// ---- running -------------------------------------------------------------------------------

namespace {

template <int N>
struct Suite : rl::test_suite<Suite<N>, N> {
  void before() {
    exploring = false;  // a schedule that failed left it on
    begin();
    now_running->before();
    exploring = true;
  }
  void thread(unsigned i) { now_running->thread(i); }
  void after() {
    exploring = false;
    if (now_running->after) {
      now_running->after();
    }
    end();
  }
};

template <int N>
bool simulate(rl::test_params& p) {
  return rl::simulate<Suite<N>>(p);
}

struct Options {
  const char* only = nullptr;
  int bound = -1;
  long random = -1;
  bool deep = false;
  bool quick = false;  // stop at the first failure, say nothing of it
  unsigned seconds = 0;
};

double seconds_now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Returns whether all was as it must be.
bool explore_one(const Scenario& s, bool random, const Options& o) {
  rl::ostringstream log;
  rl::test_params p;
  p.output_stream = &log;
  rl::ostringstream nowhere;
  p.progress_stream = &nowhere;
  p.execution_depth_limit = 20000;
  // What must fail is found within the bound that it has.
  p.context_bound = o.bound >= 0 && !s.fails ? static_cast<unsigned>(o.bound)
                                             : s.bound + (o.deep ? 1 : 0);
  unsigned long n = o.random >= 0 ? static_cast<unsigned long>(o.random)
                                  : s.random * (o.deep ? 20ul : 1ul);
  if (random && !n) {
    return true;
  }
  p.iteration_count = n;
  p.search_type = random ? rl::random_scheduler_type
                         : rl::fair_context_bound_scheduler_type;
  p.output_history = o.quick;  // else a failure is run again to print it
  now_running = &s;
  exploring = false;
  double from = seconds_now();
  bool ok = false;
  switch (s.threads) {
    case 1:
      ok = simulate<1>(p);
      break;
    case 2:
      ok = simulate<2>(p);
      break;
    case 3:
      ok = simulate<3>(p);
      break;
    case 4:
      ok = simulate<4>(p);
      break;
  }
  exploring = false;
  rl::string text = log.str();
  char how[64];
  if (random) {
    snprintf(how, sizeof how, "random");
  } else {
    snprintf(how, sizeof how, "bound %u", p.context_bound);
  }
  if (!ok && s.fails && text.find(s.fails) != rl::string::npos) {
    printf("ok   %-22s %-8s found at schedule %lu, as it must be: %s\n", s.name,
           how, static_cast<unsigned long>(p.stop_iteration), s.fails);
    return true;
  }
  if (ok && s.fails && !random) {
    printf("FAIL %-22s %-8s must fail: %s\n", s.name, how, s.fails);
    return false;
  }
  if (ok) {
    printf("ok   %-22s %-8s %9lu schedules%s, %.1f s\n", s.name, how,
           static_cast<unsigned long>(p.stop_iteration),
           random ? "" : ", all there are", seconds_now() - from);
    return true;
  }
  printf("FAIL %-22s %-8s at schedule %lu: %s\n", s.name, how,
         static_cast<unsigned long>(p.stop_iteration),
         rl::test_result_str(p.test_result));
  if (!o.quick || getenv("MODEL_LOG")) {
    fputs(text.c_str(), stdout);
  }
  return false;
}

void print_sites() {
  static const char* const kNames[] = {"relaxed", "consume", "acquire",
                                       "release", "acq_rel", "seq_cst"};
  for (const Site& s : sites) {
    printf("site %s:%d %s\n", s.file, s.line,
           kNames[static_cast<int>(s.order)]);
  }
}

void too_late(int) {
  static char text[128];
  int n = snprintf(text, sizeof text,
                   "LATE %-22s the time is over: not all was explored\n",
                   now_running ? now_running->name : "");
  ssize_t ignored = write(STDOUT_FILENO, text, static_cast<size_t>(n));
  (void)ignored;
  _exit(3);
}

int usage(const char* name) {
  fprintf(stderr,
          "usage: %s [--only NAME] [--bound N] [--random N] [--deep]\n"
          "  [--weaken FILE:LINE[:ORDER]] [--sites] [--quick] [--seconds N]\n",
          name);
  return 2;
}

}  // namespace

int run(int argc, char** argv) {
  Options o;
  static std::string file;
  for (int i = 1; i < argc; ++i) {
    std::string a = argv[i];
    const char* next = i + 1 < argc ? argv[i + 1] : nullptr;
    if (a == "--deep") {
      o.deep = true;
    } else if (a == "--quick") {
      o.quick = true;
      verbose = false;
    } else if (a == "--sites") {
      list_sites = true;
    } else if (!next) {
      return usage(argv[0]);
    } else if (a == "--only") {
      o.only = next, ++i;
    } else if (a == "--bound") {
      o.bound = atoi(next), ++i;
    } else if (a == "--random") {
      o.random = atol(next), ++i;
    } else if (a == "--seconds") {
      o.seconds = static_cast<unsigned>(atoi(next)), ++i;
    } else if (a == "--weaken") {
      std::string what = next;
      size_t colon = what.find(':');
      if (colon == std::string::npos) {
        return usage(argv[0]);
      }
      file = what.substr(0, colon);
      weak.file = file.c_str();
      weak.line = atoi(what.c_str() + colon + 1);
      size_t order = what.find(':', colon + 1);
      std::string to =
          order == std::string::npos ? "relaxed" : what.substr(order + 1);
      weak.order = to == "acquire"   ? Order::acquire
                   : to == "release" ? Order::release
                   : to == "acq_rel" ? Order::acq_rel
                                     : Order::relaxed;
      ++i;
    } else {
      return usage(argv[0]);
    }
  }
  setvbuf(stdout, nullptr, _IOLBF, 0);
  if (o.seconds) {
    signal(SIGALRM, too_late);
    alarm(o.seconds);
  }
  bool ok = true;
  for (int random = 1; random >= 0; --random) {
    for (unsigned i = 0; i < scenario_count; ++i) {
      const Scenario& s = scenarios[i];
      if ((!o.only || !strcmp(o.only, s.name)) && !(s.fails && random) &&
          !(s.fails && weak.line)) {
        ok &= explore_one(s, random, o);
        if (!ok && o.quick) {
          return 1;
        }
      }
    }
  }
  if (list_sites) {
    print_sites();
  }
  return ok ? 0 : 1;
}

}  // namespace explore

int main(int argc, char** argv) { return explore::run(argc, argv); }
