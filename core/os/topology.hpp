// The shape of the machine, as the kernel tells it below /sys/devices/system:
// nodes and their distances, CPUs that share their last cache, CPUs of one core.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/cpus.hpp"

namespace thrum::os {

// ---- texts: any bytes may come in ---------------------------------------------
// "0-3,8": a list of CPUs or of nodes; an empty one is the empty set. False: it is
// none, or names a number beyond kCpus.
bool cpu_list_parse(const char* text, CpuSet* out);
// Numbers up to 65535 with spaces between. Returns how many there are, of which
// the first `most` are written; 0: something else is in it.
u32 numbers_parse(const char* text, u16* out, u32 most);

// ---- files -----------------------------------------------------------------------
constexpr u32 kNodes = 64;
constexpr u16 kNoCache = UINT16_MAX;

struct Node {
  u32 id;                // the kernel's number; they may have gaps
  bool memory;           // it has some
  CpuSet cpus;           // online ones; may be none
  u16 distance[kNodes];  // to others, by their index; 10: itself
};
struct Topology {
  int error;  // errno of what refuses or makes no sense, the first; 0: none
  u32 nodes;  // at least 1
  CpuSet online;
  Node node[kNodes];    // by rising id
  u8 node_of[kCpus];    // index of an online CPU's node
  u16 cache_of[kCpus];  // its last cache, by the lowest CPU that shares it
  u16 core_of[kCpus];   // its core, by the lowest CPU of it
  char text[4097];      // of the reader
};

// Always tells something: what cannot be read is one node of CPUs that are all
// alike. A kernel without nodes is no error. Paths lie below `root`.
void topology_read(Topology& t, const char* root);

}  // namespace thrum::os
