// The race detector for plain memory: for every byte the last plain write and,
// per thread, the last plain read and the last atomic read and write.
// SPDX-License-Identifier: MIT
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace explore::shadow {

// What the running thread has seen: its own time and, per thread, up to when.
struct View {
  unsigned thread;
  unsigned threads;
  const size_t* seen;
  size_t now;
};

// explore.cpp. `stamp` takes a new time if there was an atomic operation since the
// last one; without it the time is that of the last operation. false: nothing is
// being explored.
bool view(View& v, bool stamp);
void race(const char* what, const void* at, const void* pc, const void* other);

void reset();  // a new schedule
void atomic(const void* at, unsigned size, bool write, const void* pc);
void plain(const void* at, size_t size, bool write, const void* pc);
void freed(const void* at, size_t size, const void* pc);

}  // namespace explore::shadow
