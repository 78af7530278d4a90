// Birth and end of domains; what they do meanwhile is in domain.cpp.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "sched/domain.hpp"
#include "sched/domain_body.hpp"

namespace thrum {

namespace {

// Released, but not freed: somebody may be prefetching what its token stands for
// (P::prefetch_ahead). With rt->lock held.
void spare(Runtime* rt, Domain* d) {
  d->next = rt->spare_domains;
  rt->spare_domains = d;
}

// All zero: one that was released, or a new one.
Domain* domain_make(Runtime* rt) {
  Domain* d;
  {
    Locked held(rt->lock);
    d = rt->spare_domains;
    if (d) {
      rt->spare_domains = d->next;
    }
  }
  if (d) {
    memset(static_cast<void*>(d), 0, sizeof *d);
    return d;
  }
  return rt->config.source.make<Domain>();
}

}  // namespace

int domain_new(Runtime* rt, const DomainOps& ops, void* arg, Domain** out) {
  if (rt->stopping.load(relaxed)) {
    return kECLOSED;
  }
  Domain* d = domain_make(rt);
  if (!d) {
    return kENOMEM;
  }
  d->refs.store(1, relaxed);
  d->rt = rt;
  d->ops = ops;
  d->arg = arg;
  d->token.flags = kToken;
  d->token.arg = d;
  d->wake.epoll = d->wake.event = d->wake.timer = -1;
  if (pumped(d)) {
    int err = os::wake_fd_open(d->wake);
    if (err) {
      Locked held(rt->lock);
      spare(rt, d);
      return err;
    }
  }
  if (seeded(rt) && !drawer_reserve(rt, 1)) {
    os::wake_fd_close(d->wake);
    Locked held(rt->lock);
    spare(rt, d);
    return kENOMEM;
  }
  rt_retain(rt);
  Locked held(rt->lock);
  d->next = rt->domains;
  rt->domains = d;
  *out = d;
  return 0;
}

void domain_retain(Domain* d) { d->refs.fetch_add(1, relaxed); }

void domain_release(Domain* d) {
  if (d->refs.fetch_sub(1, acq_rel) != 1) {
    return;
  }
  os::wake_fd_close(d->wake);
  Runtime* rt = d->rt;
  {
    Locked held(rt->lock);
    Domain** at = &rt->domains;
    while (*at != d) {
      at = &(*at)->next;
    }
    *at = d->next;
    if (seeded(rt)) {
      --rt->drawer.domains;
    }
    spare(rt, d);
  }
  rt_release(rt);
}

void domains_free(Runtime* rt) {
  while (Domain* d = rt->spare_domains) {
    rt->spare_domains = d->next;
    rt->config.source.give(d, sizeof *d);
  }
}

void domain_g_born(Domain* d) {
  domain_retain(d);
  d->gs.fetch_add(1, relaxed);
}

void domain_g_gone(Domain* d) {
  d->gs.fetch_sub(1, relaxed);
  domain_release(d);
}

}  // namespace thrum
