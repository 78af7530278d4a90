/* Houses and islands: runtimes, and states as domains.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"
#include <sched.h>
#include <string.h>
#include <thrum/net.h>

/* ---- The domain's hooks ------------------------------------------------------- */
/* Release: the thread that waits in run goes on with the state (settle). There is
 * no acquire hook: with one an M lets its P go before each turn of the domain. */
static void let_go(void* arg) {
  struct island* isl = arg;
  int held = atomic_load_explicit(&isl->held, memory_order_relaxed);
  struct house* h = isl->isolated && held ? isl->house : NULL;
  atomic_store_explicit(&isl->held, 0, memory_order_release);
  house_release(h);
}

static void switch_to(void* arg, void* from, void* to) {
  struct island* isl = arg;
  if (!from && !atomic_load_explicit(&isl->held, memory_order_relaxed)) {
    atomic_store_explicit(&isl->held, 1, memory_order_relaxed);
    if (isl->isolated) { /* until release: its last G may be the house's last */
      atomic_fetch_add_explicit(&isl->house->refs, 1, memory_order_relaxed);
    }
  }
  isl->cur = to;
}

int island_domain(struct island* isl) {
  thrum_domain_ops ops = {.struct_size = sizeof ops,
                          .flags = isl->pumped ? THRUM_DOMAIN_PUMPED : 0,
                          .release = let_go,
                          .switch_to = switch_to,
                          .preempt = hog_preempt};
  int code = thrum_domain_new(isl->house->rt, &ops, isl, &isl->domain);
  isl->opts.struct_size = sizeof isl->opts;
  isl->opts.domain = isl->domain;
  isl->opts.drop = green_drop;
  isl->opts.stack_size = isl->house->owned ? 0 : STACK;
  return code;
}

/* ---- Houses ---------------------------------------------------------------------- */
struct house* house_new(thrum_rt* rt, int owned) {
  struct house* h = thrum_calloc(1, sizeof *h);
  if (h) {
    atomic_init(&h->refs, 1);
    h->rt = rt;
    h->owned = owned;
    if (!owned) { /* handles may outlive the host's reference */
      thrum_rt_retain(rt);
    }
  }
  return h;
}

void island_shut(struct island* isl) {
  if (isl->L) {
    lua_close(isl->L);
    isl->L = NULL;
  }
  greens_forget(isl);
  memory_free(isl->memory);
  isl->memory = NULL;
  packer_free(&isl->pack);
}

/* No G of its states is left. */
static void house_end(struct house* h) {
  while (h->all) {
    struct island* isl = h->all;
    h->all = isl->older;
    thrum_domain_release(isl->domain);
    thrum_free(isl);
  }
  thrum_rt_free(h->rt);
  thrum_free(h->path);
  thrum_free(h->cpath);
  thrum_free(h);
}

void house_release(struct house* h) {
  if (h && atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) == 1) {
    house_end(h);
  }
}

static char* package_field(lua_State* L, const char* name) {
  size_t n = 0;
  char* copy = NULL;
  lua_getglobal(L, "package");
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, name);
    const char* text = lua_tolstring(L, -1, &n);
    copy = text ? thrum_alloc(n + 1) : NULL;
    if (copy) {
      memcpy(copy, text, n + 1);
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return copy;
}

static void drop_runtime(thrum_rt* rt) {
  thrum_rt_stop(rt, THRUM_FOREVER);
  thrum_rt_free(rt);
}

struct house* house_need(lua_State* L, struct island* isl) {
  struct house* h = isl->house;
  if (!h && isl->ending) {
    luaL_error(L, "the state closes");
  }
  if (!h) {
    thrum_rt* rt;
    int code = thrum_rt_new(&rt, &isl->config);
    if (code < 0) {
      luaL_error(L, "no runtime: %s", thrum_strerror(code));
    }
#ifdef LUAJIT
    if (isl->preempt) {
      drop_runtime(rt);
      luaL_error(L, "no preemption: LuaJIT's compiled code sees no hooks");
    }
#endif
    if (isl->preempt && (code = thrum_preempt_enable(rt, 0)) < 0) {
      drop_runtime(rt);
      luaL_error(L, "no preemption: %s", thrum_strerror(code));
    }
    h = house_new(rt, 1);
    if (!h) {
      drop_runtime(rt);
      luaL_error(L, "not enough memory");
    }
    h->preempt = isl->preempt;
    isl->house = h;
  }
  if (!h->path) {
    h->path = package_field(L, "path");
    h->cpath = package_field(L, "cpath");
  }
  return h;
}

void island_need(lua_State* L, struct island* isl, int pumped) {
  if (isl->domain) {
    return;
  }
  house_need(L, isl);
  isl->pumped = pumped;
  int code = island_domain(isl);
  if (code < 0) {
    luaL_error(L, "no domain: %s", thrum_strerror(code));
  }
  if (isl->house->preempt) {
    hog_track(L, isl);
  }
}

/* ---- The end of the host's state ------------------------------------------------------ */
/* Leaves behind what does not end when it is asked to, and its runtime: what blocks
 * in C, and without preemption what computes. */
static void stop(struct house* h) {
  if (h->preempt) {
    atomic_store_explicit(&h->ends, 1, memory_order_relaxed);
    thrum_mutex_lock(&h->lock, THRUM_FOREVER);
    for (struct island* isl = h->all; isl; isl = isl->older) {
      hog_nudge(h, isl->domain, 1);
    }
    thrum_mutex_unlock(&h->lock);
  }
  int64_t patience = h->preempt ? 1000000000 : 100000000;
  if (thrum_rt_stop(h->rt, thrum_after(patience)) < 0) {
    atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);
  }
}

/* Those that wait for their next spawn; others are shut when they end. */
static void shut_pool(struct house* h) {
  thrum_mutex_lock(&h->lock, THRUM_FOREVER);
  h->closing = 1;
  struct island* isl = h->pool;
  h->pool = NULL;
  thrum_mutex_unlock(&h->lock);
  for (; isl; isl = isl->next) {
    island_shut(isl);
  }
}

/* Its Gs never run again. */
void island_end(struct island* isl) {
  struct house* h = isl->house;
  isl->ending = 1;
  if (!h) {
    return;
  }
  if (isl->domain) {
    thrum_domain_close(isl->domain);
    thrum_domain_release(isl->domain);
  }
  if (h->owned) {
    stop(h);
  }
  shut_pool(h);
  for (struct green* g = isl->lives; g;) {
    struct green* next = g->next;
    object_release(&g->out->head);
    thrum_free(g);
    g = next;
  }
  isl->lives = NULL;
  greens_forget(isl);
  packer_free(&isl->pack);
  isl->house = NULL;
  isl->domain = NULL;
  house_release(h);
}

/* ---- run and pump ----------------------------------------------------------------------- */
/* The M that ran the last G has let the domain go: the state is ours again. */
static void settle(struct island* isl) {
  while (atomic_load_explicit(&isl->held, memory_order_acquire)) {
    sched_yield();
  }
}

/* The thread is not lent: a G of another state that computes without end would
 * keep it. */
static int run_plain(struct island* isl, struct outcome* o) {
  int code = thrum_join(isl->house->rt, o->g, THRUM_FOREVER);
  settle(isl);
  return code;
}

/* The thread waits for work as it would for anything else. */
static int run_pumped(struct island* isl, struct outcome* o) {
  int fd = thrum_domain_wake_fd(isl->domain);
  while (!o->done) {
    int code = thrum_domain_pump(isl->domain, THRUM_FOREVER);
    if (code == THRUM_EAGAIN) {
      sched_yield(); /* all Ps are busy: one of them soon is not */
    } else if (code < 0) {
      return code;
    } else if (!o->done && code != 2) {
      thrum_poll_fd(isl->house->rt, fd, THRUM_READABLE, THRUM_FOREVER);
    }
  }
  return 0;
}

/* What run's G runs: f, and then the end of all others. */
static int run_main(lua_State* L) {
  struct island* isl = island_here(L);
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  if (!isl->pumped) {
    isl->ending = 1;
    thrum_shield(1);
    while (isl->lives->next || isl->lives != isl->cur) {
      struct green* g = isl->lives == isl->cur ? isl->lives->next : isl->lives;
      for (struct green* each = isl->lives; each; each = each->next) {
        if (each != isl->cur) {
          thrum_cancel(isl->house->rt, each->out->g);
        }
      }
      thrum_join(isl->house->rt, g->out->g, thrum_after(10000000));
    }
    thrum_shield(-1);
    isl->ending = 0;
    back_in(L);
  }
  return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

/* run(f, ...): what f returns. */
static int run(lua_State* L) {
  struct island* isl = island_here(L);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  if (isl->cur) {
    return luaL_error(L, "run() inside a G: use go()");
  }
  island_need(L, isl, 0);
  lua_pushlightuserdata(L, isl);
  lua_pushcclosure(L, run_main, 1);
  lua_insert(L, 1);
  green_go(L, isl, 1);
  struct outcome* o = object_check(L, -1, GREEN);
  int code = isl->pumped ? run_pumped(isl, o) : run_plain(isl, o);
  if (code < 0) {
    return luaL_error(L, "%s", thrum_strerror(code));
  }
  lua_getfield(L, -1, "join");
  lua_insert(L, -2);
  lua_call(L, 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* pump(seconds): "done": no G is left; "idle": all wait; "busy": time is up. */
static int pump(lua_State* L) {
  static const char* const words[] = {"done", "idle", "busy"};
  struct island* isl = island_here(L);
  int64_t deadline = deadline_at(L, 1);
  if (isl->cur) {
    return luaL_error(L, "pump() inside a G");
  }
  island_need(L, isl, 1);
  if (!isl->pumped) {
    return luaL_error(L, "this state has been used with run()");
  }
  if (thrum_wake_fd(isl->house->rt) >= 0) {
    thrum_pump(isl->house->rt, THRUM_TRY); /* hosted: its timers, too */
  }
  int code = thrum_domain_pump(isl->domain, deadline);
  if (code == THRUM_EAGAIN) {
    code = 2;
  }
  if (code < 0) {
    return luaL_error(L, "%s", thrum_strerror(code));
  }
  lua_pushstring(L, words[code]);
  return 1;
}

const luaL_Reg island_functions[] = {
    {"run", run}, {"pump", pump}, {NULL, NULL}};
