// Birth of a G: a record in a queue. The stack comes at first execute (bind).
// SPDX-License-Identifier: MIT
#include <string.h>

#include "mem/heap.hpp"
#include "sched/domain.hpp"
#include "sched/rank.hpp"

namespace thrum {

namespace {

bool is_plain(const SpawnOpts* o) {
  return !o ||
         (!o->name && !o->drop && !o->domain && !o->run &&
          o->stack_class == SpawnOpts::kStackDefault && o->affinity != kPinM);
}

Ext* ext_make(M* m, Runtime* rt, const SpawnOpts& o) {
  Ext* e = rt->config.source.make<Ext>();
  if (!e) {
    return nullptr;
  }
  if (o.name) {
    strncpy(e->name, o.name, sizeof e->name - 1);
  }
  e->drop = o.drop;
  e->domain = o.domain;
  e->run = o.run;
  if (o.run) {
    o.run->main = e;
  }
  if (o.affinity == kPinM) {
    e->pin = m;
    m->bound.fetch_add(1, relaxed);
  }
  e->stack_class = o.stack_class == SpawnOpts::kStackDefault
                       ? rt->config.stack_class
                       : o.stack_class;
  return e;
}

// Refusals, and a record. A spawner without a P counts its G before it looks at
// `stopping`: a stop that does not see the count is seen here (seq_cst both ways).
// One with a P is a live G itself, so the stop waits for it anyway.
int spawn_begin(Runtime* rt, P* p, const SpawnOpts* opts, G** out) {
  if (THRUM_UNLIKELY(!p)) {
    rt->foreign_spawned.fetch_add(1, seq_cst);
  }
  if (THRUM_UNLIKELY(rt->stopping.load(seq_cst)) ||
      (opts && opts->domain && domain_closed(opts->domain))) {
    return kECLOSED;
  }
  if (THRUM_UNLIKELY(seeded(rt)) && !drawer_reserve(rt, 0)) {
    return kENOMEM;
  }
  *out = table_take(rt, p);
  return *out ? 0 : kENOMEM;
}

int spawn_failed(Runtime* rt, P* p, int err) {
  if (!p) {
    rt->foreign_exited.fetch_add(1, release);
  }
  return err;
}

}  // namespace

int spawn(M* m, Runtime* rt, const SpawnOpts* opts, void (*fn)(void*),
          void* arg, u64* out) {
  P* p = m && m->rt == rt ? m->p : nullptr;
  G* g;
  int err = spawn_begin(rt, p, opts, &g);
  if (THRUM_UNLIKELY(err != 0)) {
    return spawn_failed(rt, p, err);
  }
  g->fn = fn;
  publish(g->arg, arg);
  publish<Body*>(g->body, nullptr);
  publish<Ext*>(g->ext, nullptr);
  g->joiners = nullptr;
  g->affinity = 0;
  g->rank.store(0, relaxed);
  g->flags = rt->config.hibernate ? kHibernate : 0;
  if (opts) {
    g->affinity = opts->affinity;
    if (THRUM_UNLIKELY(opts->priority != kNormal)) {
      g->rank.store(rank_bits(opts->priority), relaxed);
      g->flags |= kRouted;
      rt->ranks_used.store(true, relaxed);
    }
    g->flags |= opts->flags;
    if (opts->flags & kHibernate) {
      rt->scan.wanted.store(true, relaxed);
    }
    if (!is_plain(opts)) {
      publish(g->ext, ext_make(m, rt, *opts));
      if (!g->ext) {
        table_put(rt, p, g);
        return spawn_failed(rt, p, kENOMEM);
      }
      if (opts->domain) {
        domain_g_born(opts->domain);
      }
      if (opts->domain || opts->affinity == kPinM) {
        g->flags |= kRouted;
      }
    }
  }
  u64 gen = g->word.load(relaxed) & kGenMask;
  if (THRUM_UNLIKELY(gen == 0)) {
    gen = u64{1} << kGenShift;
  }
  u64 word = gen | kLive;
  g->state.store(State::runnable, relaxed);
  // release: pairs with the acquire of whoever finds the G by its handle.
  g->word.store(word, release);
  if (out) {
    *out = handle_of(rt->tag, g->slot, word);
  }
  trace(m, rt, Event::spawn, g, probing() ? self(m) : 0);
  if (THRUM_LIKELY(p != nullptr)) {
    bump(p->spawned);
  }
  if (THRUM_UNLIKELY(seeded(rt))) {
    g->flags |= kRouted;
  }
  if (THRUM_LIKELY(p && !(g->flags & kRouted))) {
    if (g->affinity == kPinStarted) {
      spawn_pinned(m, g);
    } else {
      fresh_put(p, g);
    }
  } else {
    route(m, g, false);
  }
  return 0;
}

u64 self(M* m) {
  G* g = g_of(m);
  return g ? handle_of(m->rt->tag, g->slot, g->word.load(relaxed)) : 0;
}

// ---- begin -----------------------------------------------------------------------

bool bind(M* m, G* g) {
  if (THRUM_UNLIKELY(g->flags & kStarted)) {
    stack_awake(m->rt, g);
    return true;
  }
  if (THRUM_UNLIKELY(g->flags & kToken) ||
      THRUM_UNLIKELY(g->affinity == kPinStarted && m->lent &&
                     owns_threads(m->rt))) {
    m->next_g = g;
    return false;
  }
  Body* b = body_take(m->rt, m->p,
                      g->ext ? g->ext->stack_class : m->rt->config.stack_class);
  if (THRUM_UNLIKELY(!b)) {
    m->next_g = g;
    return false;
  }
  note_stack(b->note, b->stack.lo(), b->stack.bytes);
  b->sp = context_make(b->stack.hi, g_main);
  body_dress(m, g, b);
  return true;
}

void body_dress(M* m, G* g, Body* b) {
  b->limit = kForever;
  b->shield = 0;
  publish<void*>(b->held_sp, nullptr);
  b->lock_pinned = false;
  b->bound = false;
  Rare* r = b->rare();
  r->lock_depth = 0;
  r->block_depth = 0;
  r->hold = 0;
  b->pin = nullptr;
  b->wake.word = &g->word;
  b->wake.g = g;
  publish(g->body, b);
  g->flags |= kStarted;
  if (THRUM_UNLIKELY(g->affinity != 0)) {
    if (g->affinity == kPinM) {
      b->pin = g->ext->pin;
    } else {
      b->pin = m;
      m->bound.fetch_add(1, relaxed);
    }
    g->flags |= kRouted;
  }
}

}  // namespace thrum
