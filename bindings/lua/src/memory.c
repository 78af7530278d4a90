/* What isolated states are made of. A state of the pool must be as good as new
 * after each use, and nearly as fast as if nobody cared: so all its memory comes
 * from here, in chunks, and what was there when it was new is copied back. That
 * brings back everything, globals, modules, metatables, registry, the collector's
 * notes; what was allocated since is forgotten as a whole. LuaJIT takes nobody's
 * allocator: there a used state is closed.
 * SPDX-License-Identifier: MIT
 */
#include "core.h"
#include <string.h>

#define GRAIN 16
#define SMALL \
  1024 /* larger ones have their own blocks once the state is made */
#define CHUNK (96u << 10)

struct chunk {
  struct chunk* next;
  char *at, *end; /* not given out yet */
  char *image, *kept;
  _Alignas(GRAIN) char bytes[];
};

struct large {
  struct large *next, **link;
};

struct spare {
  struct spare* next;
};

struct memory {
  struct chunk* chunks;
  struct large* large;
  unsigned userdata; /* made since it was kept; 5.1 does not tell */
  void* apart;       /* lives on through resets */
  size_t apart_size;
  struct memory* kept; /* itself as it was; NULL: the state is being made */
  struct spare* spare[SMALL / GRAIN];
};

static struct chunk* chunk_add(struct memory* m, size_t size) {
  struct chunk* c = thrum_alloc(sizeof *c + size);
  if (c) {
    c->next = m->chunks;
    c->at = c->bytes;
    c->end = c->at + size;
    c->image = NULL;
    m->chunks = c;
  }
  return c;
}

static void* chunk_take(struct memory* m, size_t size) {
  struct chunk* c = m->chunks;
  if (!c || size > (size_t)(c->end - c->at)) {
    c = chunk_add(m, size > CHUNK ? size : CHUNK);
    if (!c) {
      return NULL;
    }
  }
  void* p = c->at;
  c->at += size;
  return p;
}

static size_t rounded(size_t size) {
  return (size + GRAIN - 1) & ~(size_t)(GRAIN - 1);
}

static void* take(struct memory* m, size_t size) {
  size = rounded(size);
  if (size <= SMALL) {
    struct spare** list = &m->spare[size / GRAIN - 1];
    struct spare* s = *list;
    if (s) {
      *list = s->next;
      return s;
    }
    return chunk_take(m, size);
  }
  if (!m->kept) {
    return chunk_take(m, size);
  }
  struct large* l = thrum_alloc(sizeof *l + size);
  if (!l) {
    return NULL;
  }
  l->next = m->large;
  l->link = &m->large;
  if (l->next) {
    l->next->link = &l->next;
  }
  m->large = l;
  return l + 1;
}

static int in_chunks(const struct memory* m, const char* p) {
  for (struct chunk* c = m->chunks; c; c = c->next) {
    if (p >= (char*)c && p < c->end) {
      return 1;
    }
  }
  return 0;
}

static void give(struct memory* m, void* p, size_t size) {
  size = rounded(size);
  if (size <= SMALL) {
    struct spare* s = p;
    s->next = m->spare[size / GRAIN - 1];
    m->spare[size / GRAIN - 1] = s;
  } else if (!in_chunks(m, p)) { /* else it comes back with the next reset */
    struct large* l = (struct large*)p - 1;
    *l->link = l->next;
    if (l->next) {
      l->next->link = l->link;
    }
    thrum_free(l);
  }
}

void* memory_allocate(void* memory, void* p, size_t old, size_t size) {
  struct memory* m = memory;
  if (size == 0) {
    if (p && old) {
      give(m, p, old);
    }
    return NULL;
  }
  if (!p) {
    m->userdata += LUA_VERSION_NUM >= 502 && old == LUA_TUSERDATA;
    return take(m, size);
  }
  if (rounded(old) == rounded(size)) {
    return p;
  }
  void* q = take(m, size);
  if (!q) {
    return size < old ? p : NULL; /* Lua counts on that */
  }
  memcpy(q, p, old < size ? old : size);
  give(m, p, old);
  return q;
}

struct memory* memory_new(void) {
  return thrum_calloc(1, sizeof(struct memory));
}

static void chunks_free(struct memory* m, const struct chunk* last) {
  while (m->chunks != last) {
    struct chunk* c = m->chunks;
    m->chunks = c->next;
    thrum_free(c->image);
    thrum_free(c);
  }
  while (m->large) {
    struct large* l = m->large;
    m->large = l->next;
    thrum_free(l);
  }
}

void memory_free(struct memory* m) {
  if (m) {
    chunks_free(m, NULL);
    thrum_free(m->kept);
    thrum_free(m);
  }
}

int memory_keep(struct memory* m) {
  for (struct chunk* c = m->chunks; c; c = c->next) {
    size_t used = (size_t)(c->at - c->bytes);
    c->image = thrum_alloc(used);
    if (!c->image) {
      return 0;
    }
    c->kept = c->at;
    memcpy(c->image, c->bytes, used);
  }
  struct memory* kept = thrum_alloc(sizeof *kept);
  if (kept) {
    m->userdata = 0;
    *kept = *m;
    m->kept = kept;
  }
  return kept != NULL;
}

void memory_apart(struct memory* m, void* p, size_t size) {
  m->apart = p;
  m->apart_size = size;
}

void memory_reset(struct memory* m) {
  char apart[MEMORY_APART];
  struct memory* kept = m->kept;
  size_t n = m->apart_size;
  if (n) {
    memcpy(apart, m->apart, n);
  }
  chunks_free(m, kept->chunks);
  *m = *kept;
  m->kept = kept;
  for (struct chunk* c = m->chunks; c; c = c->next) {
    memcpy(c->bytes, c->image, (size_t)(c->kept - c->bytes));
    c->at = c->kept;
  }
  if (n) {
    memcpy(m->apart, apart, n);
  }
}

int memory_grown(const struct memory* m) {
  return m->chunks != m->kept->chunks || m->large;
}

unsigned memory_userdata(const struct memory* m) { return m->userdata; }
