// SPDX-License-Identifier: MIT
#include "observe/snapshot.hpp"

#include "observe/each.hpp"
#include "observe/heatmap.hpp"
#include "observe/metrics.hpp"
#include "os/local.hpp"

namespace thrum {

namespace {

using Count = unsigned long long;

constexpr u32 kTop = 40;
constexpr size_t kSeenBytes = sizeof(u64) << 26;  // all slots; touched as used
constexpr u64 kUnheard = UINT64_MAX;

struct User {
  u64 g, cpu;
  u64 causes[kCauses];
  State state;
  char name[48], reason[48];
};

struct Top {
  Runtime* rt;
  Seen& seen;
  i64 now;
  u32 n = 0;
  User at[kTop];
};

void keep(Top& top, const User& u) {
  u32 at = top.n < kTop ? top.n++ : kTop;
  for (; at > 0 && top.at[at - 1].cpu < u.cpu; --at) {
    if (at < kTop) {
      top.at[at] = top.at[at - 1];
    }
  }
  if (at < kTop) {
    top.at[at] = u;
  }
}

// What it has used since the last look, if it had used `cpu` by now.
u64 used_since(Seen& seen, u32 slot, u64 cpu) {
  if (!seen.ran) {
    return cpu;
  }
  u64 before = seen.ran[slot];
  seen.ran[slot] = cpu;
  // Else it is a new G; or of what it ran the kernel turned out to have had a part.
  return cpu >= before && before != kUnheard ? cpu - before : cpu;
}

// One that has run without an event ever since waits are measured.
u64 unheard_since(const Top& top, u32 slot) {
  bool again = top.seen.ran && top.seen.ran[slot] == kUnheard;
  if (top.seen.ran) {
    top.seen.ran[slot] = kUnheard;
  }
  return again ? static_cast<u64>(top.now - top.seen.at) : 0;
}

void add_g(void* arg, const GView& v) {
  auto& top = *static_cast<Top*>(arg);
  u32 slot = handle_slot(v.handle);
  User u{v.handle, 0, {}, v.state, {}, {}};
  if (waits_of_g(top.rt, v.handle, u.causes) == 0) {
    u64 cpu = u.causes[static_cast<u32>(Cause::ran)] +
              waits_runs_for(top.rt, v.handle, v.state == State::running);
    u.cpu = used_since(top.seen, slot, cpu);
  } else if (v.state == State::running) {
    u.cpu = unheard_since(top, slot);
  } else {
    return;
  }
  plain_text(v.name, u.name, sizeof u.name);
  plain_text(v.reason, u.reason, sizeof u.reason);
  keep(top, u);
}

const char* p_state(const P* p) {
  switch (p->state.load(relaxed)) {
    case PState::idle:
      return "idle";
    case PState::running:
      return "running";
    case PState::stopped:
      return "stopped";
    case PState::dead:
      break;
  }
  return "retired";
}

void ps(Runtime* rt, Text& t) {
  t.add("\"ps\": [");
  for (u32 i = 0; i < rt->p_count.load(acquire); ++i) {
    const P* p = rt->ps[i];
    t.add("%s{\"p\": %u, \"state\": \"%s\", \"queued\": %u, \"dispatches\": "
          "%llu, \"parks\": %llu, \"steals\": %llu, \"handoffs\": %llu, "
          "\"retakes\": %llu}",
          i ? ",\n" : "", i, p_state(p), p->queued(),
          Count{p->dispatches.load(relaxed)}, Count{p->parks()},
          Count{p->steals.load(relaxed)}, Count{p->handoffs.load(relaxed)},
          Count{p->retakes.load(relaxed)});
  }
  t.add("],\n");
}

void top_gs(Runtime* rt, Seen& seen, Text& t) {
  Top top{rt, seen, os::now_ns(), 0, {}};
  if (waits_of(rt)) {
    each_g(rt, add_g, &top);
  }
  seen.at = top.now;
  t.add("\"top\": [");
  for (u32 i = 0; i < top.n; ++i) {
    const User& u = top.at[i];
    t.add("%s{\"g\": %u, \"name\": ", i ? ",\n" : "", handle_slot(u.g));
    t.quoted(u.name);
    t.add(", \"state\": \"%s\", \"reason\": ", state_name(u.state));
    t.quoted(u.reason);
    t.add(", \"cpu_ns\": %llu", Count{u.cpu});
    for (u32 c = 0; c < kCauses; ++c) {
      t.add(", \"%s\": %llu", cause_name(static_cast<Cause>(c)),
            Count{u.causes[c]});
    }
    t.add("}");
  }
  t.add("]");
}

// What was never measured is null.
void part(Runtime* rt, const char* name, int (*write)(Runtime*, Text&),
          Text& t) {
  t.add("\"%s\": ", name);
  if (write(rt, t)) {
    t.add("null");
  }
  t.add(",\n");
}

}  // namespace

void seen_begin(Seen& s) {
  s.ran = static_cast<u64*>(os::vm_reserve(kSeenBytes));
}

void seen_end(Seen& s) {
  if (s.ran) {
    os::vm_release(s.ran, kSeenBytes);
  }
}

void snapshot(Runtime* rt, Seen& seen, Text& t) {
  t.add("{\"kind\": \"thrum-snapshot\", \"version\": 1, \"pid\": %d, "
        "\"runtime\": %u, \"now_ns\": %lld,\n",
        os::process_id(), rt->tag, static_cast<long long>(os::now_ns()));
  ps(rt, t);
  part(rt, "metrics", metrics_json, t);
  part(rt, "waits", blame_json, t);
  part(rt, "heatmap", heatmap_json, t);
  top_gs(rt, seen, t);
  t.add("}\n");
}

}  // namespace thrum
