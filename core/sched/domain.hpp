// Domains inside sched. See domain.cpp.
// SPDX-License-Identifier: MIT
#pragma once
#include "sched/ready.hpp"

namespace thrum {

void domain_ready(M* m, Domain* d, G* g);  // queues a runnable G on its domain
void domain_run(M* m, G* token);           // becomes the holder and drains it
bool domain_closed(Domain* d);
void domain_g_born(Domain* d);
void domain_g_gone(Domain* d);  // releases what domain_g_born retained
void close_gs(M* m, Runtime* rt, Domain* d);  // join.cpp

}  // namespace thrum
