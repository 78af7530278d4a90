// SPDX-License-Identifier: MIT
#include "observe/memory.hpp"

#include "base/err.hpp"
#include "observe/each.hpp"
#include "observe/text.hpp"
#include "sched/api.hpp"
#include "sched/table.hpp"

namespace thrum {

namespace {

using Count = unsigned long long;

void add_stacks(Text& t, Runtime* rt) {
  t.add("\"stacks\": {\"used_bytes_of_asleep\": %llu, \"asleep\": %llu, "
        "\"trimmed\": %llu, \"classes\": [",
        Count{rt->scan.bytes.load(relaxed)},
        Count{rt->scan.asleep.load(relaxed)},
        Count{rt->scan.trimmed.load(relaxed)});
  for (u32 c = 0; c < mem::kStackClasses; ++c) {
    mem::ArenaCounts n = rt->arenas.counts(c);
    t.add("%s{\"size\": %llu, \"arenas\": %u, \"reserved\": %llu, "
          "\"made\": %llu, \"in_use\": %llu, \"vacant\": %llu, "
          "\"vacant_with_pages\": %llu}",
          c ? ", " : "", Count{mem::kStackSizes[c]}, n.arenas, Count{n.bytes},
          Count{n.cut}, Count{n.cut - n.vacant}, Count{n.vacant},
          Count{n.warm});
  }
  t.add("], \"guards_by_mprotect\": %llu}", Count{rt->arenas.counts(0).split});
}

void add_table(Text& t, Runtime* rt) {
  Locked held(rt->table.lock);
  Table& table = rt->table;
  u32 dropped = 0;
  for (u64 word : table.dropped) {
    dropped += static_cast<u32>(__builtin_popcountll(word));
  }
  t.add("\"table\": {\"chunks\": %u, \"chunk_bytes\": %llu, "
        "\"chunks_given_back\": %u, \"free\": %u}",
        table.chunk_count, Count{kChunkBytes}, dropped, table.free_count);
}

void add_heaps(Text& t, Runtime* rt) {
  t.add("\"heaps\": [");
  u32 ps = rt->p_count.load(acquire);
  for (u32 i = 0; i < ps; ++i) {
    mem::Tally n{};
    tally_of(rt->ps[i], n);
    u64 frees = n.frees.load(relaxed);
    u64 free_bytes = n.free_bytes.load(relaxed);
    t.add("%s{\"blocks\": %lld, \"bytes\": %lld, \"allocs\": %llu, "
          "\"frees\": %llu, \"cross_frees\": %llu}",
          i ? ", " : "", static_cast<long long>(n.allocs.load(relaxed) - frees),
          static_cast<long long>(n.alloc_bytes.load(relaxed) - free_bytes),
          Count{n.allocs.load(relaxed)}, Count{frees},
          Count{n.cross_frees.load(relaxed)});
  }
  t.add("]");
}

}  // namespace

size_t memory_report(Runtime* rt, char* out, size_t size) {
  Text t(out, size);
  u64 rss = 0;
  u64 tables = 0;
  os::memory_of_process(&rss, &tables);
  t.add("{\"live\": %llu, \"g_bytes\": %llu, \"body_bytes\": %llu, ",
        Count{live_gs(rt)}, Count{sizeof(G)}, Count{sizeof(Body)});
  add_stacks(t, rt);
  t.add(", ");
  add_table(t, rt);
  t.add(", ");
  add_heaps(t, rt);
  t.add(", \"process\": {\"rss\": %llu, \"page_tables\": %llu}}", Count{rss},
        Count{tables});
  return t.length();
}

i64 high_water(Runtime* rt, u64 handle) {
  GView v;
  char name[48];
  if (handle_tag(handle) != rt->tag) {
    return kEINVAL;
  }
  if (!view_g(rt, handle_slot(handle), v, name) || v.handle != handle) {
    return kESTALE;
  }
  auto* lo = static_cast<char*>(v.stack_lo);
  auto* hi = static_cast<char*>(v.stack_hi);
  if (!lo) {
    return 0;
  }
  char* lowest;
  (void)os::vm_resident(lo, static_cast<size_t>(hi - lo), &lowest);
  return hi - lowest;
}

}  // namespace thrum
