// Domains inside sched. See domain.cpp.
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/ready.hpp"

namespace thrum {

void domain_ready(M* m, Domain* d, G* g);  // queues a runnable G on its domain
void domain_run(M* m, G* token);           // becomes the holder and drains it
void domains_free(Runtime* rt);            // the memory of released ones
void domain_token_drop(G* token);          // at the stop: nobody runs it
bool domain_closed(Domain* d);
// The calling G was outside thrum for too long and its domain went to another M
// (kDomainTaken): queues it there.
void domain_left_behind(M*& m);
// g runs with its host's lock, so it must not wait for a P where it stands: it goes
// the way of one that was left behind.
bool domain_shares_lock(const G* g);
// sysmon: takes HOST_LOCK domains from Ms that have been outside thrum too long.
// Returns when to look again.
i64 domains_look(Runtime* rt, i64 now);
bool domains_wait(Runtime* rt);  // does a G of such a domain wait for its turn?
// The domain's preempt hook, for g which is inside; false: it has none.
// Async-signal-safe.
bool domain_preempt(G* g);
bool domain_waits(Domain* d);  // do Gs stand in its queue? At a glance
void domain_g_born(Domain* d);
void domain_g_gone(Domain* d);  // releases what domain_g_born retained
// join.cpp
void close_gs(M* m, Runtime* rt, Domain* d);
void lose_g(M* m, Runtime* rt, G* g, Domain* d);

}  // namespace thrum
