#include "../unit.hpp"

using namespace unit;

namespace {

void nothing(void*) {}

// While it lives, the table has handed out every slot it may ever make.
struct FullTable {
  Runtime* rt;
  u32 chunks, bump, bump_end;
  explicit FullTable(Runtime* r) : rt(r) {
    Locked held(rt->table.lock);
    chunks = rt->table.chunk_count;
    bump = rt->table.bump;
    bump_end = rt->table.bump_end;
    rt->table.chunk_count = kChunks;
    rt->table.bump = rt->table.bump_end = kChunks * kChunkGs;
  }
  ~FullTable() {
    Locked held(rt->table.lock);
    rt->table.chunk_count = chunks;
    rt->table.bump = bump;
    rt->table.bump_end = bump_end;
  }
};

void trim_all(Runtime* rt) {
  Enter e;
  trim(e.m, rt);
}

u32 dropped(Runtime* rt) {
  u32 n = 0;
  for (u64 word : rt->table.dropped) {
    n += static_cast<u32>(__builtin_popcountll(word));
  }
  return n;
}

int try_spawn(Runtime* rt) {
  Enter e;
  u64 h = 0;
  return spawn(e.m, rt_or_own(e.m, rt), nullptr, nothing, nullptr, &h);
}

}  // namespace

TEST_CASE("handle: tag, slot and generation, each its bits") {
  for (u32 tag : {1u, 255u}) {
    for (u32 slot : {1u, 32767u, 32769u, (1u << 26) - 1}) {
      for (u64 gen : {u64{1}, (u64{1} << 30) - 1}) {
        u64 word = (gen << kGenShift) | kLive | kCancel | kWait;
        u64 h = handle_of(tag, slot, word);
        CHECK(handle_tag(h) == tag);
        CHECK(handle_slot(h) == slot);
        CHECK(handle_gen(h) == gen);
        CHECK(h != 0);
      }
    }
  }
}

TEST_CASE("table: record 0 of a chunk leads from any G to its runtime") {
  static constexpr u32 kMany = kChunkGs + 5000;  // into a second chunk
  Rt rt(hosted()), other(hosted());
  static u64 handle[kMany];
  u32 bad = 0;
  for (u32 i = 0; i < kMany; ++i) {
    handle[i] = spawn_outside(rt.rt, nothing, nullptr);
    bad += !handle[i];
  }
  u64 alien = spawn_outside(other.rt, nothing, nullptr);
  CHECK(live_gs(rt.rt) == kMany);
  u32 last = 0;
  for (u32 i = 0; i < kMany; ++i) {
    u32 slot = handle_slot(handle[i]);
    bad += slot % kChunkGs == 0;   // never a header
    bad += i > 0 && slot <= last;  // each slot once
    last = slot;
    G* g = g_at(rt.rt, handle[i]);
    bad += !g || rt_of(g) != rt.rt || g->slot != slot;
    bad += g && g->body;  // no stack before it runs
  }
  CHECK(rt_of(g_at(other.rt, alien)) == other.rt);
  CHECK(rt->table.chunk_count == 2);
  CHECK(table_end(rt->table) == last + 1);
  CHECK(table_g(rt->table, 0) == nullptr);
  CHECK(table_g(rt->table, kChunkGs) == nullptr);
  CHECK(table_g(rt->table, 5 * kChunkGs + 1) == nullptr);  // never made
  CHECK(bad == 0);
  CHECK(rt.pump() == 0);
  CHECK(live_gs(rt.rt) == 0);
  CHECK(other.pump() == 0);
}

TEST_CASE("table: full is an answer; ended Gs make room") {
  Rt rt(hosted());
  u32 ran = 0;
  (void)go_in(rt.rt, [&] {
    (void)try_spawn(nullptr);  // now this P has a batch of slots
    FullTable full(rt.rt);
    u32 n = 1;
    int err;
    while ((err = try_spawn(nullptr)) == 0 && n < 10'000) {
      ++n;
    }
    CHECK(err == kENOMEM);
    CHECK(n <= kSlotBatch);
    CHECK(live_gs(rt.rt) == n + 1);  // the refused one is not counted
    CHECK(try_spawn(nullptr) == kENOMEM);
    ran = n;
    until([&] { return live_gs(rt.rt) == 1; });
    // Their slots serve again, as often as one likes.
    for (u32 i = 0; i < 1000; ++i) {
      int again = try_spawn(nullptr);
      if (again) {
        CHECK(again == 0);
        break;
      }
      (void)yield();
    }
  });
  CHECK(rt.pump() == 0);
  CHECK(ran > 0);
  {
    // From outside there is no batch: the shared list, then nothing.
    FullTable full(rt.rt);
    int err = 0;
    u32 n = 0;
    while ((err = try_spawn(rt.rt)) == 0 && n < 10'000) {
      ++n;
    }
    CHECK(err == kENOMEM);
  }
  CHECK(rt.pump() == 0);
  CHECK(try_spawn(rt.rt) == 0);
  CHECK(rt.pump() == 0);
}

TEST_CASE("table: no address space for a chunk is an answer") {
#if defined(THRUM_ASAN) || defined(THRUM_TSAN)
  UNIT_SKIP("the sanitizers need the address space");
#endif
  Child c = in_child([] {
    if (!limits_work()) {
      _exit(kNoLimits);
    }
    Rt rt(hosted());
    rlimit none;
    getrlimit(RLIMIT_AS, &none);
    rlimit tight{1, none.rlim_max};
    setrlimit(RLIMIT_AS, &tight);
    int first = try_spawn(rt.rt);
    setrlimit(RLIMIT_AS, &none);
    int second = try_spawn(rt.rt);
    int pumped = rt.pump();
    _exit(first == kENOMEM && second == 0 && pumped == 0 ? 0 : 1);
  });
  if (c.exited(kNoLimits)) {
    UNIT_SKIP("no limit on address space here");
  }
  CHECK_CHILD(c.exited(0), c);
}

TEST_CASE("table: slots move between Ps and the shared list in batches") {
  Rt rt(hosted());
  int err = 0;
  (void)go_in(rt.rt, [&] {
    // More than a P keeps: the rest goes to the shared list, and comes back.
    for (int round = 0; round < 3; ++round) {
      for (u32 i = 0; i < 8 * kSlotBatch; ++i) {
        err |= try_spawn(nullptr);
      }
      until([&] { return live_gs(rt.rt) == 1; });
      CHECK(my_p()->free_g_count < 4 * kSlotBatch);
      u32 n = 0;
      for (G* g = my_p()->free_g; g; g = g->next) {
        ++n;
      }
      CHECK(n == my_p()->free_g_count);
    }
    CHECK(rt->table.free_count >= 4 * kSlotBatch);
    u32 n = 0;
    for (G* g = rt->table.free; g; g = g->next) {
      ++n;
    }
    CHECK(n == rt->table.free_count);
    // Three rounds took no more slots than one.
    CHECK(table_end(rt->table) <= 10 * kSlotBatch);
  });
  CHECK(rt.pump() == 0);
  CHECK(err == 0);
}

TEST_CASE("table: handles of a chunk that went back stay stale") {
  static constexpr u32 kMany = 2 * kChunkGs;  // two chunks and a bit
  static u64 handle[kMany];
  Rt rt(hosted());
  u64 last[3] = {}, ended[3] = {};  // generations, by chunk; before the trim
  for (u32 round = 0; round < 3; ++round) {
    u32 bad = 0;
    for (u64& h : handle) {
      h = spawn_outside(rt.rt, nothing, nullptr);
      u32 chunk = handle_slot(h) / kChunkGs;
      bad += !h || handle_gen(h) <= ended[chunk];  // they go on
      last[chunk] = max(last[chunk], handle_gen(h));
    }
    CHECK(bad == 0);
    CHECK(rt->table.chunk_count == 3);
    CHECK(rt.pump() == 0);
    trim_all(rt.rt);
    CHECK(dropped(rt.rt) == 2);
    CHECK(rt->table.free_count < kChunkGs);
    for (u32 i = 0; i < 3; ++i) {
      ended[i] = rt->table.dropped[0] >> i & 1 ? last[i] : 0;
    }
    for (u32 i = 0; i < kMany; i += 97) {
      u64 h = handle[i];
      bad += cancel(h, rt.rt) != kESTALE;
      bad += unpark(h, rt.rt) != kESTALE;
      bad += join(h, rt.rt) != 0;
      bad += cancel(h + 1000, rt.rt) != kEINVAL;  // there was none such yet
    }
    CHECK(bad == 0);
    CHECK(table_end(rt->table) <= 3 * kChunkGs);  // for who looks at all
  }
}

TEST_CASE(
    "table: a live G keeps its chunk; slots given back serve a full one") {
  Rt rt(hosted());
  (void)go_in(rt.rt, [] { (void)park(); });
  static u64 handle[2 * kChunkGs];
  for (u64& h : handle) {
    h = spawn_outside(rt.rt, nothing, nullptr);
  }
  (void)rt.pump(kTry);
  until([&] {
    (void)rt.pump(kTry);
    return live_gs(rt.rt) == 1;
  });
  trim_all(rt.rt);
  CHECK(dropped(rt.rt) == 1);  // the first has the G, the third was not full
  u32 n = 0;
  u32 second = 0;
  {
    FullTable full(rt.rt);
    u64 h;
    while ((h = spawn_outside(rt.rt, nothing, nullptr)) != 0) {
      ++n;
      second += handle_slot(h) / kChunkGs == 1;
    }
  }
  CHECK(dropped(rt.rt) == 0);
  CHECK(second == kChunkGs - 1);
  CHECK(n > kChunkGs);
}

TEST_CASE("table: a trim that is told to end early loses no slot") {
  Rt rt(hosted());
  for (u32 i = 0; i < kChunkGs + 10; ++i) {
    (void)spawn_outside(rt.rt, nothing, nullptr);
  }
  CHECK(rt.pump() == 0);
  {
    Enter e;
    table_flush(rt.rt, rt->ps[0]);
  }
  u32 had = rt->table.free_count;
  Atomic<u32> stop{1};
  table_trim(rt.rt, &stop);
  CHECK(dropped(rt.rt) == 0);
  CHECK(rt->table.free_count == had);
  stop.store(0);
  table_trim(rt.rt, &stop);
  CHECK(dropped(rt.rt) == 1);
  CHECK(rt->table.free_count == had - (kChunkGs - 1));
}
