// G-local storage: keys per process, values per G.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "sched/enter.hpp"

namespace thrum {

namespace {

// Process-wide, and append-only: a key is an index, its drop never changes.
constexpr u32 kMaxKeys = 1024;
constinit Atomic<u32> g_keys{0};
constinit Atomic<void (*)(void*)> g_drops[kMaxKeys] = {};

}  // namespace

int local_new(void (*drop)(void*), u32* out) {
  u32 key = g_keys.load(relaxed);
  do {
    if (key == kMaxKeys) {
      return kENOMEM;
    }
  } while (!g_keys.compare_exchange_weak(key, key + 1, relaxed, relaxed));
  g_drops[key].store(drop, release);  // pairs with locals_drop
  *out = key;
  return 0;
}

int local_set(M* m, u32 key, void* value) {
  if (key >= g_keys.load(relaxed)) {
    return kEINVAL;
  }
  G* g = m->cur;
  if (!g->ext) {
    Ext* e = m->rt->config.source.make<Ext>();
    if (!e) {
      return kENOMEM;
    }
    e->stack_class = g->body->stack.size_class;
    Locked held(m->rt->join_locks[g->slot % kJoinLocks]);  // see exit.cpp
    g->ext = e;
  }
  Ext* e = g->ext;
  if (key >= e->local_count) {
    u32 n = min(key + 4, kMaxKeys);
    const mem::Source& from = m->rt->config.source;
    void* p = from.take(n * sizeof(void*), alignof(void*));
    if (!p) {
      return kENOMEM;
    }
    if (e->locals) {
      memcpy(p, e->locals, e->local_count * sizeof(void*));
      from.give(e->locals, e->local_count * sizeof(void*));
    }
    e->locals = static_cast<void**>(p);
    e->local_count = n;
  }
  e->locals[key] = value;
  return 0;
}

void ext_free(Runtime* rt, Ext* e) {
  rt->config.source.give(e->locals, e->local_count * sizeof(void*));
  rt->config.source.give(e, sizeof *e);
}

void* local_get(M* m, u32 key) {
  G* g = g_of(m);
  return g && g->ext && key < g->ext->local_count ? g->ext->locals[key]
                                                  : nullptr;
}

// A drop may set other keys: a few rounds, like POSIX thread keys.
void locals_drop(M*& m, G* g) {
  Ext* e = g->ext;
  for (int round = 0; round < 4; ++round) {
    bool any = false;
    for (u32 key = 0; key < e->local_count; ++key) {
      void* value = e->locals[key];
      auto drop = g_drops[key].load(acquire);
      e->locals[key] = nullptr;
      if (value && drop) {
        any = true;
        call_guest(m, [&] { drop(value); });
        if (!m) {
          return;  // the drop forked, and this is the child
        }
      }
    }
    if (!any) {
      return;
    }
  }
}

}  // namespace thrum
