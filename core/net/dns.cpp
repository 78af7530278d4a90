// SPDX-License-Identifier: MIT
#include "net/dns.hpp"

#include <string.h>

#include "mem/heap.hpp"
#include "net/handoff.hpp"
#include "sync/sync.hpp"

namespace thrum {

namespace {

constexpr u32 kMostAddresses = 32;
constexpr u32 kHostMost = 256;
constexpr u64 kResolverStack = 256 << 10;

// Shared by the caller and the G that asks; the last one frees it.
struct Lookup {
  WordLock word;                      // bit 1: answered
  WaitQueue waits;                    // word: the caller
  Atomic<u32> refs;                   // atomic
  u16 port;                           // const
  char host[kHostMost];               // const
  int count;                          // the G, until answered
  os::Address found[kMostAddresses];  // likewise
};
constexpr u64 kAnswered = 2;

void lookup_drop(Lookup* l) {
  // acq_rel: the last one sees what the other did.
  if (l->refs.fetch_sub(1, acq_rel) == 1) {
    mem::free(l);
  }
}

void ask(void* arg) {
  auto* l = static_cast<Lookup*>(arg);
  int n = handed_off(
      [=] { return os::resolve(l->host, l->port, l->found, kMostAddresses); });
  EnterParking e;
  l->count = n;
  l->word.lock();
  Waiter* caller = claim_list(l->waits, 1, 0);
  l->word.unlock(kAnswered);
  ready_list(e.m, caller);
  lookup_drop(l);
}

int copy(const Lookup* l, os::Address* out, u32 most) {
  int n = min(l->count, static_cast<int>(min(most, kMostAddresses)));
  for (int i = 0; i < n; ++i) {
    out[i] = l->found[i];
  }
  return n;
}

int wait_answer(M*& m, Lookup* l, i64 deadline) {
  u64 v = l->word.lock();
  if (v & kAnswered) {
    l->word.unlock(v);
    return 0;
  }
  Wait w{deadline, Why::net_dns};
  if (int err = wait_begin(m, w)) {
    l->word.unlock(v);
    return err;
  }
  return wait_queued(m, l->word, v, l->waits, w, 0, nullptr, false,
                     [](u64 now) { return now; });
}

}  // namespace

int resolve(M*& m, Runtime* rt, const char* host, u16 port, bool to_listen,
            os::Address* out, u32 most, i64 deadline) {
  if (!host || !*host) {
    // Both families by one socket, where there are two.
    os::address_parse(out[0], to_listen ? "::" : "127.0.0.1", port);
    if (to_listen && most > 1) {
      os::address_parse(out[1], "0.0.0.0", port);
    }
    return to_listen && most > 1 ? 2 : 1;
  }
  if (os::address_parse(out[0], host, port)) {
    return 1;
  }
  if (strlen(host) >= kHostMost) {
    return kENAMETOOLONG;
  }
  auto* l = static_cast<Lookup*>(mem::zalloc(1, sizeof(Lookup)));
  if (!l) {
    return kENOMEM;
  }
  l->refs.store(2, relaxed);
  l->port = port;
  strcpy(l->host, host);
  SpawnOpts opts;
  opts.name = "resolver";
  opts.stack_class = mem::stack_class(kResolverStack);
  int n = spawn(m, rt, &opts, ask, l, nullptr);
  if (n) {
    mem::free(l);
    return n;
  }
  n = wait_answer(m, l, deadline);
  n = n ? n : copy(l, out, most);
  lookup_drop(l);
  return n;
}

}  // namespace thrum
