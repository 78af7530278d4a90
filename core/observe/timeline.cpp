// The format: "Trace Event Format" (Google, 2016). Three processes: 1 has a row for
// each P, 2 for each M, 3 for each G.
// SPDX-License-Identifier: MIT
#include "observe/timeline.hpp"

#include <stdio.h>

#include "base/err.hpp"
#include "observe/each.hpp"
#include "observe/record.hpp"

namespace thrum {

namespace {

using Count = unsigned long long;

constexpr u32 kPs = 1, kMs = 2, kGs = 3;

// What a G is doing, as far as the events tell.
struct Life {
  u64 g;            // 0: free
  const char* now;  // a literal; null: not known yet
  i64 since;
  u64 flow;  // the arrow that its next run ends; 0: none
  char name[48];
};

// Open addressing; never more than half full.
struct Lives {
  Life* at;
  u64 mask;

  Life& of(u64 g) {
    u64 i = g * 0x9e3779b97f4a7c15u;
    for (i ^= i >> 32;; ++i) {
      Life& life = at[i & mask];
      if (life.g == g || !life.g) {
        return life;
      }
    }
  }
};

// A P or an M: what is on it.
struct Row {
  u64 g;
  i64 since;
  u32 m;    // of a P: who has it
  u32 tid;  // of an M
  bool known;
};

struct Story {
  Runtime* rt;
  const Recording& seen;
  Text& out;
  Lives lives;
  Row* ps;
  Row* ms;
  u32 m_count;
  u64 flows;
  bool first;

  void begin(const char* ph) {
    out.add("%s{\"ph\":\"%s\"", first ? "" : ",\n", ph);
    first = false;
  }
  void at(u32 process, u32 row, i64 ns) {
    out.add(",\"pid\":%u,\"tid\":%u,\"ts\":%lld.%03lld", process, row,
            static_cast<long long>((ns - seen.begin) / 1000),
            static_cast<long long>((ns - seen.begin) % 1000));
  }
  void lasted(i64 ns) {
    out.add(",\"dur\":%lld.%03lld", static_cast<long long>(ns / 1000),
            static_cast<long long>(ns % 1000));
  }
  void g_name(u64 g) {
    char title[80];
    const Life& life = lives.of(g);
    snprintf(title, sizeof title, life.name[0] ? "G %u %s" : "G %u",
             handle_slot(g), life.name);
    out.add(",\"name\":");
    out.quoted(title);
  }
};

// ---- pieces --------------------------------------------------------------------

void row_name(Story& s, u32 process, u32 row, const char* title) {
  s.begin("M");
  s.out.add(
      ",\"pid\":%u,\"tid\":%u,\"name\":\"thread_name\",\"args\":{\"name\":",
      process, row);
  s.out.quoted(title);
  s.out.add("}}");
}

void process_name(Story& s, u32 process, const char* title) {
  s.begin("M");
  s.out.add(",\"pid\":%u,\"name\":\"process_name\",\"args\":{\"name\":\"%s\"}}",
            process, title);
  s.begin("M");
  s.out.add(",\"pid\":%u,\"name\":\"process_sort_index\",\"args\":{\"sort_"
            "index\":%u}}",
            process, process);
}

// The first time that G is met.
Life& life_of(Story& s, u64 g) {
  Life& life = s.lives.of(g);
  if (life.g == g) {
    return life;
  }
  life.g = g;
  GView v;
  char name[48];
  if (view_g(s.rt, handle_slot(g), v, name) && v.handle == g) {
    plain_text(v.name, life.name, sizeof life.name);
  }
  char title[80];
  snprintf(title, sizeof title, life.name[0] ? "G %u %s" : "G %u",
           handle_slot(g), life.name);
  row_name(s, kGs, handle_slot(g), title);
  return life;
}

// What the G did until now is over; `next` begins (null: nothing known).
void g_turns(Story& s, u64 g, i64 ns, const char* next) {
  Life& life = life_of(s, g);
  if (life.now) {
    s.begin("X");
    s.at(kGs, handle_slot(g), life.since);
    s.lasted(ns - life.since);
    s.out.add(",\"name\":\"%s\"}", life.now);
  }
  life.now = next;
  life.since = ns;
}

// What the row shows is over.
void row_ends(Story& s, u32 process, u32 number, Row& row, i64 ns,
              const char* why) {
  if (row.g) {
    s.begin("X");
    s.at(process, number, row.since);
    s.lasted(ns - row.since);
    s.g_name(row.g);
    s.out.add(",\"args\":{\"g\":\"%#llx\",\"end\":\"%s\"}}", Count{row.g}, why);
    row.g = 0;
  }
}

void instant(Story& s, u32 process, u32 row, const Seen& e) {
  s.begin("i");
  s.at(process, row, e.ns);
  s.out.add(",\"s\":\"t\",\"name\":\"%s\",\"args\":{\"arg\":%llu}}",
            event_name(e.event), Count{e.arg});
}

// ---- events ----------------------------------------------------------------------

Row* p_row(Story& s, const Seen& e) { return e.p >= 0 ? &s.ps[e.p] : nullptr; }

void stops(Story& s, const Seen& e, const char* why, const char* next) {
  if (Row* p = p_row(s, e); p && p->g == e.g) {
    row_ends(s, kPs, static_cast<u32>(e.p), *p, e.ns, why);
    row_ends(s, kMs, p->m, s.ms[p->m], e.ns, why);
  } else {  // without a P: its M has it still
    for (u32 m = 0; m < s.m_count; ++m) {
      if (s.ms[m].g == e.g) {
        row_ends(s, kMs, m, s.ms[m], e.ns, why);
      }
    }
  }
  g_turns(s, e.g, e.ns, next);
}

void runs(Story& s, const Seen& e) {
  Row* p = p_row(s, e);
  if (!p || e.arg >= s.m_count) {
    return;
  }
  Life& life = life_of(s, e.g);
  u64 flow = life.flow;
  life.flow = 0;
  g_turns(s, e.g, e.ns, "running");
  row_ends(s, kPs, static_cast<u32>(e.p), *p, e.ns, "lost");
  p->m = static_cast<u32>(e.arg);
  Row& m = s.ms[p->m];
  row_ends(s, kMs, p->m, m, e.ns, "lost");
  p->g = m.g = e.g;
  p->since = m.since = e.ns;
  p->known = m.known = true;
  if (flow) {
    s.begin("f");
    s.at(kPs, static_cast<u32>(e.p), e.ns);
    s.out.add(",\"bp\":\"e\",\"id\":%llu,\"cat\":\"ready\",\"name\":\"ready\"}",
              Count{flow});
  }
}

void readied(Story& s, const Seen& e) {
  g_turns(s, e.g, e.ns, "runnable");
  if (e.p >= 0) {
    u64 id = ++s.flows;
    life_of(s, e.g).flow = id;
    s.begin("s");
    s.at(kPs, static_cast<u32>(e.p), e.ns);
    s.out.add(",\"id\":%llu,\"cat\":\"ready\",\"name\":\"ready\"}", Count{id});
  }
}

// The P of its M goes to others, and the G runs on without.
void loses_p(Story& s, const Seen& e) {
  for (u32 p = 0; p < kMaxProcs; ++p) {
    if (s.ps[p].known && s.ps[p].g && s.ps[p].m == e.arg) {
      row_ends(s, kPs, p, s.ps[p], e.ns, event_name(e.event));
    }
  }
  instant(s, kMs, static_cast<u32>(e.arg), e);
}

void idles(Story& s, const Seen& e) {
  if (e.arg >= s.m_count) {
    return;
  }
  Row& m = s.ms[e.arg];
  if (e.event == Event::idle) {
    m.since = e.ns;
    m.known = true;
  } else if (m.known && !m.g) {
    s.begin("X");
    s.at(kMs, static_cast<u32>(e.arg), m.since);
    s.lasted(e.ns - m.since);
    s.out.add(",\"name\":\"idle\",\"cname\":\"grey\"}");
  }
}

constexpr const char* kWaits[] = {
#define X(name) "wait: " #name,
    THRUM_WAIT_REASONS(X)
#undef X
};

const char* wait_text(u64 why) {
  return why < sizeof kWaits / sizeof *kWaits ? kWaits[why] : "wait";
}

void tell(Story& s, const Seen& e) {
  switch (e.event) {
    case Event::spawn:
    case Event::ready:
      readied(s, e);
      break;
    case Event::run:
      runs(s, e);
      break;
    case Event::park:
      stops(s, e, wait_text(e.arg), wait_text(e.arg));
      break;
    case Event::yield:
      stops(s, e, "yield", "runnable");
      break;
    case Event::exit:
      stops(s, e, "exit", nullptr);
      break;
    case Event::block:
      g_turns(s, e.g, e.ns, "blocking");
      break;
    case Event::unblock:
      g_turns(s, e.g, e.ns, "running");
      break;
    case Event::retake:
    case Event::handoff:
      loses_p(s, e);
      break;
    case Event::idle:
    case Event::awake:
      idles(s, e);
      break;
    default:
      if (e.p >= 0) {
        instant(s, kPs, static_cast<u32>(e.p), e);
      }
      break;
  }
}

void read_tids(Story& s) {
  Locked held(s.rt->lock);
  for (M* m = s.rt->ms; m; m = m->next_m) {
    if (m->id < s.m_count) {
      s.ms[m->id].tid = m->tid.load(relaxed);
    }
  }
}

void name_rows(Story& s) {
  process_name(s, kPs, "thrum: Ps");
  process_name(s, kMs, "thrum: Ms");
  process_name(s, kGs, "thrum: Gs");
  char title[64];
  for (u32 p = 0; p < s.rt->p_count.load(acquire); ++p) {
    snprintf(title, sizeof title, "P %u", p);
    row_name(s, kPs, p, title);
  }
  for (u32 m = 0; m < s.m_count; ++m) {
    snprintf(title, sizeof title, "M %u (thread %u)", m, s.ms[m].tid);
    row_name(s, kMs, m, title);
  }
}

// What goes on while the recording ends.
void close_rows(Story& s) {
  i64 end = s.seen.end;
  for (u32 p = 0; p < kMaxProcs; ++p) {
    row_ends(s, kPs, p, s.ps[p], end, "goes on");
  }
  for (u32 m = 0; m < s.m_count; ++m) {
    row_ends(s, kMs, m, s.ms[m], end, "goes on");
  }
  for (u64 i = 0; i <= s.lives.mask; ++i) {
    if (s.lives.at[i].g) {
      g_turns(s, s.lives.at[i].g, end, nullptr);
    }
  }
}

}  // namespace

i64 timeline(Runtime* rt, i64 last, Text& out) {
  Recording seen;
  if (int err = recording_take(rt, last, seen)) {
    return err;
  }
  u64 room = std::bit_ceil(2 * (seen.count + 1));
  u32 ms;
  {
    Locked held(rt->lock);
    ms = rt->m_ids;
  }
  auto* lives = static_cast<Life*>(mem::zalloc(room, sizeof(Life)));
  auto* rows = static_cast<Row*>(mem::zalloc(kMaxProcs + ms, sizeof(Row)));
  i64 result = kENOMEM;
  if (lives && rows) {
    Story s{rt, seen, out, Lives{lives, room - 1}, rows, rows + kMaxProcs,
            ms, 0,    true};
    out.add("{\"displayTimeUnit\":\"ns\",\"otherData\":{\"lost\":%llu,"
            "\"begin_ns\":%lld},\"traceEvents\":[\n",
            Count{seen.lost}, static_cast<long long>(seen.begin));
    read_tids(s);
    name_rows(s);
    for (u64 i = 0; i < seen.count && !out.refused(); ++i) {
      tell(s, seen.at[i]);
    }
    close_rows(s);
    out.add("\n]}\n");
    out.flush();
    result = out.refused() ? i64{kECANCELED} : static_cast<i64>(seen.count);
  }
  mem::free(lives);
  mem::free(rows);
  mem::free(seen.at);
  return result;
}

}  // namespace thrum
