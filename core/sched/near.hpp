// What is near what: how sched knows the machine. `place` makes it (the composition
// root plugs that in, see govern.hpp); where all CPUs are alike there is none.
//
// A place is a set of CPUs that share their last cache, or a node where that says
// nothing. The place of a P is that of the CPU on which its M was seen last, or was
// pinned to. Thieves begin at their own place (steal.cpp), who wakes an idle P or M
// takes one close by, and the stacks of a P come from its node's memory.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/cpus.hpp"

namespace thrum {

struct M;
struct P;
struct Runtime;

constexpr u32 kPlaces = 128;
constexpr u32 kPlaceNodes = 64;

struct Near {        // const while anybody may look
  u32 places;        // at least 1
  u32 rings;         // 1 + the highest in `ring`
  u32 nodes;         // with CPUs
  u8 of_cpu[kCpus];  // place; of a CPU that was not there: 0
  u8 node
      [kPlaces];  // of a place: index into the two below; 0: there is but one
  // How far it is from one place to another: 0 there, then by the order of
  // distances, as the first sees them.
  u8 ring[kPlaces][kPlaces];
  u32 id[kPlaceNodes + 1];  // the kernel's number of a node
  i32 memory[kPlaceNodes +
             1];  // the node with memory that is next to it; -1: it
                  // is not ours to say where memory comes from
};

// From now on; null: all are alike. Any thread, one at a time.
void near_set(Runtime* rt, const Near* near);
// Ps that run look again where they are, and their Ms whether they are pinned as
// the plan says.
void near_again(Runtime* rt);

// ---- inside sched, where there is a Near ----------------------------------------
// m has got p: where it is now. Any lock may be held; what takes a system call is
// left to take_place (kAttnPlace).
void arrive(const Near& near, M* m, P* p);
void take_place(M* m, P* p);  // on m, in its loop
// With Runtime.lock held: the link of the idle P that is best for the calling
// thread; there is one.
P** idle_nearest(const Near& near, Runtime* rt);
// How far m would have to go for p; 0: not at all.
u32 m_apart(const Near& near, const M* m, const P* p);

}  // namespace thrum
