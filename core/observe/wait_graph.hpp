// The graph behind stuck.hpp.
// SPDX-License-Identifier: MIT
#pragma once
#include "observe/stuck.hpp"

namespace thrum {

// What a wait hangs on.
enum class On : u8 {
  anybody,  // who might come cannot be known
  owner,    // one G: `owner`
  ended,    // an owner that has ended
  handles,  // a counted channel
  wakers,   // those that are declared
};

struct WaitEdge {
  u32 node;  // whose
  On on;
  const void* object;
  u64 owner;  // a handle
  u64 refs;   // of a counted channel
};

struct WaitNode {
  G* g;
  u64 handle;
  bool free;   // it might be woken
  u32 colour;  // for the search of circles
  u32 edges;   // how many
  u32 edge;    // one of them
};

// Owns its memory.
struct WaitGraph {
  Runtime* rt;
  WaitNode* nodes;  // by slot
  u32 node_count;
  WaitEdge* edges;  // by object, then node
  u32 edge_count, edge_room;
  Waker* wakers;  // a copy, by object
  u32 waker_count;
  bool short_of_memory;

  ~WaitGraph();
  // The node of a live G that waits; null: it does not wait, or has ended.
  WaitNode* find(u64 handle) const;
};

// Does it still wait the wait in which it was taken in?
bool still_waits(const WaitNode& n);

// All that wait in one another, and in what; false: no memory.
bool wait_graph_fill(WaitGraph& graph);
// Is a handle's G alive?
bool g_lives(Runtime* rt, u64 handle);

}  // namespace thrum
