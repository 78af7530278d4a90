// Recorded shapes of machines: what /sys/devices/system says on such ones, and what
// comes of it.
//
//   == name
//   o LIST                 cpu/online
//   N LIST                 node/online
//   M LIST                 node/has_memory
//   n ID LIST|DISTANCES    a node: cpulist, distance; LIST may be empty
//   c LIST                 CPUs that share a cache of level 3; each has one of level
//                          1 and 2 beside it
//   b LIST                 the same without a level 3: level 2 is shared
//   s LIST                 CPUs of a core
//   f PATH TEXT            any other file below /sys/devices/system
//   d PATH                 one that may not be read
//   want ERROR NODES PLACES   errno; nodes with CPUs; places
//   order CPUS             of all CPUs, as Ps get them
//   rings CPU: LIST ...    what is how far from it
//   memory IDS             of each node with CPUs the one with memory; -: none
// SPDX-License-Identifier: MIT
#pragma once

inline const char* const kTrees = R"(
== the machine this was written on: one node, two CPUs, one cache
o 0-1
N 0
M 0
n 0 0-1|10
c 0-1
s 0
s 1
want 0 1 1
order 0 1
rings 0: 0-1

== one CPU, no nodes in the kernel
o 0
c 0
s 0
want 0 1 1
order 0
rings 0: 0

== desktop with SMT: siblings have neighbouring numbers
o 0-7
N 0
M 0
n 0 0-7|10
c 0-7
s 0-1
s 2-3
s 4-5
s 6-7
want 0 1 1
order 0 2 4 6 1 3 5 7
rings 3: 0-7

== server with SMT: siblings come behind, two nodes
o 0-15
N 0-1
M 0-1
n 0 0-3,8-11|10 21
n 1 4-7,12-15|21 10
c 0-3,8-11
c 4-7,12-15
s 0,8
s 1,9
s 2,10
s 3,11
s 4,12
s 5,13
s 6,14
s 7,15
want 0 2 2
order 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15
rings 0: 0-3,8-11 4-7,12-15
rings 13: 4-7,12-15 0-3,8-11
memory 0 1

== even CPUs on one node, odd ones on the other
o 0-7
N 0-1
M 0-1
n 0 0,2,4,6|10 20
n 1 1,3,5,7|20 10
c 0,2,4,6
c 1,3,5,7
want 0 2 2
order 0 2 4 6 1 3 5 7
rings 1: 1,3,5,7 0,2,4,6
memory 0 1

== two last-level caches on one node
o 0-7
N 0
M 0
n 0 0-7|10
c 0-3
c 4-7
want 0 1 2
order 0 1 2 3 4 5 6 7
rings 5: 4-7 0-3

== two nodes with two caches each
o 0-7
N 0-1
M 0-1
n 0 0-3|10 32
n 1 4-7|32 10
c 0-1
c 2-3
c 4-5
c 6-7
want 0 2 4
order 0 1 2 3 4 5 6 7
rings 0: 0-1 2-3 4-7
rings 7: 6-7 4-5 0-3
memory 0 1

== four nodes whose distances differ, and by direction
o 0-7
N 0-3
M 0-3
n 0 0-1|10 16 22 32
n 1 2-3|18 10 32 22
n 2 4-5|22 32 10 16
n 3 6-7|40 22 16 10
c 0-1
c 2-3
c 4-5
c 6-7
want 0 4 4
order 0 1 2 3 4 5 6 7
rings 0: 0-1 2-3 4-5 6-7
rings 2: 2-3 0-1 6-7 4-5
rings 6: 6-7 4-5 2-3 0-1
memory 0 1 2 3

== a ring of four: two are equally far
o 0-3
N 0-3
M 0-3
n 0 0|10 20 30 20
n 1 1|20 10 20 30
n 2 2|30 20 10 20
n 3 3|20 30 20 10
want 0 4 4
rings 0: 0 1,3 2
rings 1: 1 0,2 3
memory 0 1 2 3

== a socket cut into clusters (SNC): one cache, two nodes
o 0-7
N 0-1
M 0-1
n 0 0-3|10 11
n 1 4-7|11 10
c 0-7
want 0 2 2
rings 0: 0-3 4-7
memory 0 1

== numbers with gaps
o 0-3,8-11
N 0,8
M 0,8
n 0 0-3|10 40
n 8 8-11|40 10
c 0-3
c 8-11
want 0 2 2
order 0 1 2 3 8 9 10 11
rings 9: 8-11 0-3
memory 0 8

== CPUs that are offline, one of each core
o 0,2,4,6
f cpu/offline 1,3,5,7
N 0-1
M 0-1
n 0 0,2|10 20
n 1 4,6|20 10
c 0,2
c 4,6
want 0 2 2
order 0 2 4 6
rings 6: 4,6 0,2
memory 0 1

== lists that still name CPUs which are offline
o 0,4
N 0-1
M 0-1
n 0 0-3|10 20
n 1 4-7|20 10
c 0-3
c 4-7
s 0-1
s 4-5
want 0 2 2
order 0 4
rings 0: 0 4
memory 0 1

== a node without memory, and one without CPUs
o 0-3
N 0-2
M 0,2
n 0 0-1|10 20 17
n 1 2-3|20 10 28
n 2 |17 28 10
c 0-1
c 2-3
want 0 2 2
rings 2: 2-3 0-1
memory 0 0

== a virtual machine: a cache for each core says nothing
o 0-3
N 0
M 0
n 0 0-3|10
b 0
b 1
b 2
b 3
want 0 1 1
order 0 1 2 3
rings 2: 0-3

== small caches of four cores each, no third level
o 0-7
N 0
M 0
n 0 0-7|10
b 0-3
b 4-7
want 0 1 2
rings 1: 0-3 4-7

== no caches told
o 0-3
N 0-1
M 0-1
n 0 0-1|10 20
n 1 2-3|20 10
want 0 2 2
rings 3: 2-3 0-1
memory 0 1

== an old kernel: thread_siblings_list, no has_memory
o 0-3
N 0-1
n 0 0,2|10 20
n 1 1,3|20 10
f cpu/cpu0/topology/thread_siblings_list 0,2
f cpu/cpu1/topology/thread_siblings_list 1,3
want 0 2 2
order 0 1 2 3
rings 0: 0,2 1,3
memory 0 1

== nodes may not be looked at
o 0-3
d node/online
c 0-3
want 13 1 1
rings 0: 0-3

== caches and distances may not be looked at
o 0-3
N 0-1
M 0-1
n 0 0-1|10 33
n 1 2-3|33 10
d node/node0/distance
d cpu/cpu0/cache/index0/level
want 13 2 2
rings 0: 0-1 2-3
memory 0 1

== a row of distances is too short
o 0-3
N 0-1
M 0-1
n 0 0-1|10
n 1 2-3|20 10
want 22 2 2
rings 0: 0-1 2-3
memory 0 1

== CPUs that are of no node
o 0-3
N 0-1
M 0-1
n 0 0|10 20
n 1 2|20 10
want 61 2 2
rings 1: 0-1,3 2
memory 0 1

== a CPU of two nodes
o 0-3
N 0-1
M 0-1
n 0 0-2|10 20
n 1 2-3|20 10
want 0 2 2
rings 2: 0-2 3
memory 0 1

== words instead of numbers
o 0-3
N zero
n 0 0-3|10
f cpu/cpu0/cache/index0/level none
f cpu/cpu0/topology/core_cpus_list 0-
want 22 1 1
order 0 1 2 3
rings 0: 0-3

== a node number that is too high
o 0-1
N 0,5000
want 22 1 1
rings 0: 0-1

== more nodes than are kept apart
o 0-1
N 0-64
want 7 1 1
rings 0: 0-1
)";
