/* What Lua Lanes does, in little: a pthread with a lua_State of its own per job,
 * and a queue that is a third state behind a mutex, through which values are
 * copied from state to state. peer SUBJECT N: prints ns per operation. A buffer of
 * one message stands beside a channel without: each waits for the other end.
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static lua_State* state_new(void) {
  lua_State* L = luaL_newstate();
  if (!L) {
    abort();
  }
  luaL_openlibs(L);
  return L;
}

/* ---- spawn: a thread and a state per job ---------------------------------------- */
static void* job(void* arg) {
  lua_State* L = state_new();
  if (luaL_loadstring(L, arg) || lua_pcall(L, 0, 0, 0)) {
    abort();
  }
  lua_close(L);
  return NULL;
}

enum { AT_ONCE = 8 };

static double jobs(int n, const char* code) {
  double began = now_ns();
  pthread_t all[AT_ONCE];
  for (int i = 0; i < n; ++i) {
    if (pthread_create(&all[i], NULL, job, (void*)code)) {
      abort();
    }
  }
  for (int i = 0; i < n; ++i) {
    pthread_join(all[i], NULL);
  }
  return now_ns() - began;
}

static double spawn(int n) {
  double ns = 0;
  for (int done = 0; done < n; done += AT_ONCE) {
    ns += jobs(AT_ONCE, "return");
  }
  return ns / n;
}

/* ---- messages through a keeper state ----------------------------------------------- */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t more, room;
  lua_State* keeper; /* [1]: the values, by number */
  int head, tail, capacity;
} q = {PTHREAD_MUTEX_INITIALIZER,
       PTHREAD_COND_INITIALIZER,
       PTHREAD_COND_INITIALIZER,
       NULL,
       0,
       0,
       64};

static void copy(lua_State* from, lua_State* to, int at) {
  switch (lua_type(from, at)) {
    case LUA_TNUMBER:
      if (lua_isinteger(from, at)) {
        lua_pushinteger(to, lua_tointeger(from, at));
      } else {
        lua_pushnumber(to, lua_tonumber(from, at));
      }
      break;
    case LUA_TBOOLEAN:
      lua_pushboolean(to, lua_toboolean(from, at));
      break;
    case LUA_TSTRING: {
      size_t n;
      const char* text = lua_tolstring(from, at, &n);
      lua_pushlstring(to, text, n);
      break;
    }
    default:
      lua_newtable(to);
      at = lua_absindex(from, at);
      for (lua_pushnil(from); lua_next(from, at); lua_pop(from, 1)) {
        copy(from, to, -2);
        copy(from, to, -1);
        lua_rawset(to, -3);
      }
  }
}

static int send(lua_State* L) {
  pthread_mutex_lock(&q.lock);
  while (q.tail - q.head == q.capacity) {
    pthread_cond_wait(&q.room, &q.lock);
  }
  copy(L, q.keeper, 1);
  lua_rawseti(q.keeper, 1, ++q.tail);
  pthread_cond_signal(&q.more);
  pthread_mutex_unlock(&q.lock);
  return 0;
}

static int recv(lua_State* L) {
  pthread_mutex_lock(&q.lock);
  while (q.tail == q.head) {
    pthread_cond_wait(&q.more, &q.lock);
  }
  lua_rawgeti(q.keeper, 1, ++q.head);
  copy(q.keeper, L, -1);
  lua_pop(q.keeper, 1);
  lua_pushnil(q.keeper);
  lua_rawseti(q.keeper, 1, q.head);
  pthread_cond_signal(&q.room);
  pthread_mutex_unlock(&q.lock);
  return 1;
}

static void* run(void* arg) {
  lua_State* L = state_new();
  lua_register(L, "send", send);
  lua_register(L, "recv", recv);
  if (luaL_loadstring(L, arg) || lua_pcall(L, 0, 0, 0)) {
    abort();
  }
  lua_close(L);
  return NULL;
}

static double messages(int n, const char* value) {
  char from[256], to[256];
  pthread_t a, b;
  q.keeper = luaL_newstate();
  lua_newtable(q.keeper);
  snprintf(from, sizeof from, "local v = %s for _ = 1, %d do send(v) end",
           value, n);
  snprintf(to, sizeof to, "for _ = 1, %d do recv() end", n);
  double began = now_ns();
  pthread_create(&a, NULL, run, from);
  pthread_create(&b, NULL, run, to);
  pthread_join(a, NULL);
  pthread_join(b, NULL);
  return (now_ns() - began) / n;
}

/* ---- the same queue for C: what it takes without Lua -------------------------------- */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t more, room;
  long value[64];
  long head, tail;
} c = {.lock = PTHREAD_MUTEX_INITIALIZER,
       .more = PTHREAD_COND_INITIALIZER,
       .room = PTHREAD_COND_INITIALIZER};

static void* take(void* n) {
  for (long i = 0; i < *(int*)n; ++i) {
    pthread_mutex_lock(&c.lock);
    while (c.head == c.tail) {
      pthread_cond_wait(&c.more, &c.lock);
    }
    if (c.value[c.head++ % 64] != i) {
      abort();
    }
    pthread_cond_signal(&c.room);
    pthread_mutex_unlock(&c.lock);
  }
  return NULL;
}

static double messages_of_c(int n) {
  pthread_t taker;
  double began = now_ns();
  pthread_create(&taker, NULL, take, &n);
  for (long i = 0; i < n; ++i) {
    pthread_mutex_lock(&c.lock);
    while (c.tail - c.head == 64) {
      pthread_cond_wait(&c.room, &c.lock);
    }
    c.value[c.tail++ % 64] = i;
    pthread_cond_signal(&c.more);
    pthread_mutex_unlock(&c.lock);
  }
  pthread_join(taker, NULL);
  return (now_ns() - began) / n;
}

/* ---- what the machine itself does -------------------------------------------------- */
/* A thread that sleeps 0.1 ms at a time on one CPU: from when to when it was kept
 * from it, in ns, where that was longer. */
enum { SLEEP_NS = 100000, MOST = 1 << 16 };

struct sleeper {
  pthread_t thread;
  int cpu, ms, n;
  double from[MOST], to[MOST];
};

static void* sleep_on(void* arg) {
  struct sleeper* s = arg;
  struct timespec nap = {0, SLEEP_NS};
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(s->cpu, &one);
  pthread_setaffinity_np(pthread_self(), sizeof one, &one);
  double began = now_ns();
  for (double last = began, now; last - began < s->ms * 1e6; last = now) {
    nanosleep(&nap, NULL);
    now = now_ns();
    if (now - last > 2 * SLEEP_NS && s->n < MOST) {
      s->from[s->n] = last + SLEEP_NS;
      s->to[s->n++] = now;
    }
  }
  return NULL;
}

static int sleepers(int ms) {
  cpu_set_t all;
  struct sleeper* of[CPU_SETSIZE] = {0};
  sched_getaffinity(0, sizeof all, &all);
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &all)) {
      of[i] = calloc(1, sizeof *of[i]);
      of[i]->cpu = i;
      of[i]->ms = ms;
      pthread_create(&of[i]->thread, NULL, sleep_on, of[i]);
    }
  }
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (of[i]) {
      pthread_join(of[i]->thread, NULL);
      for (int k = 0; k < of[i]->n; ++k) {
        printf("%.0f %.0f\n", of[i]->from[k], of[i]->to[k]);
      }
      free(of[i]);
    }
  }
  return 0;
}

int main(int argc, char** argv) {
  if (argc < 3) {
    return 2;
  }
  int n = atoi(argv[2]);
  double ns;
  if (strcmp(argv[1], "spawn") == 0) {
    ns = spawn(n);
  } else if (strncmp(argv[1], "compute", 7) == 0 && n <= AT_ONCE) {
    ns = jobs(n, "local s = 0 for i = 1, 1e8 do s = s + i % 7 end return s");
  } else if (strcmp(argv[1], "sleepers") == 0) {
    return sleepers(n);
  } else if (strcmp(argv[1], "C message") == 0) {
    ns = messages_of_c(n);
  } else if (strcmp(argv[1], "message table") == 0) {
    ns = messages(n, "{1, 2, {3, 4, 5}, x = 'a', y = {z = true, w = 2.5}}");
  } else {
    q.capacity = strstr(argv[1], "no buffer") ? 1 : q.capacity;
    ns = messages(n, "42");
  }
  printf("%f\n", ns);
  return 0;
}
