// What a traced runtime records: a ring of events per P, written by the M that holds
// it, and one for everybody else. The oldest are overwritten, for ever: a flight
// recorder. Made at the first start, kept until the runtime ends, because an M may be
// writing when it is switched off.
// SPDX-License-Identifier: MIT
#pragma once
#include "probe/ring.hpp"
#include "sched/runtime.hpp"

namespace thrum {

// Of events as they happen: observe's, for what cannot wait for the dump. Called on
// the thread that acts, inside the core: it must neither park nor lock for long. p
// and m may be null; g is null for events that are no G's.
struct Lens {
  void (*see)(Lens* self, M* m, P* p, u64 ticks, Event e, G* g, u64 arg);
  void (*end)(Lens* self);  // with the runtime
};

constexpr u32 kLenses = 2;
constexpr u32 kWaitsLens = 0;
constexpr u32 kProfileLens = 1;

struct Recorder {
  Atomic<u32> on;    // setting writes: who wants it, kBy*; 0: it is off
  WordLock setting;  // who starts or stops
  u64 size;          // const after the first start: records in a ring
  Atomic<Lens*> lenses[kLenses];   // each once: until the runtime ends
  Atomic<bool> seen;               // likewise: there is one
  Atomic<u64> since;               // setting writes: ticks when it went on last
  u64 ticks0;                      // const after the first start: one moment
  i64 ns0;                         // on both clocks
  Atomic<Ring*> rings[kMaxProcs];  // owner of the P makes it
  WordLock outside_lock;           // who has no P
  Ring* outside;                   // outside_lock writes its records
  Atomic<u64> refused;             // atomic: no memory for a ring
};

// It is on while somebody wants it: the host, or who looks through the socket.
constexpr u32 kByHost = 1;
constexpr u32 kByViewer = 2;

// size: records per P, 0: 65,536; rounded up to a power of two. Idempotent.
int recorder_start(Runtime* rt, u64 size, u32 by);
void recorder_stop(Runtime* rt, u32 by);
// Sets a lens, for good; false: another one is there already.
bool recorder_look(Recorder* r, u32 place, Lens* lens);
void recorder_free(Runtime* rt);

}  // namespace thrum
