// SPDX-License-Identifier: MIT
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "os/os.hpp"
#include "os/posix/errno.hpp"

namespace thrum::os {

namespace {
struct Start {
  void (*fn)(void*);
  void* arg;
};

void* enter(void* p) {
  Start s = *static_cast<Start*>(p);
  free(p);
  s.fn(s.arg);
  return nullptr;
}
}  // namespace

int thread_start(Thread& t, void (*fn)(void*), void* arg, const char* name) {
  ErrnoKeep keep;
  Start* s = static_cast<Start*>(malloc(sizeof(Start)));
  if (!s) {
    return -ENOMEM;
  }
  *s = Start{fn, arg};
  pthread_t handle;
  int err = pthread_create(&handle, nullptr, enter, s);
  if (err) {
    free(s);
    return -err;
  }
  pthread_setname_np(handle, name);
  t.handle = handle;
  return 0;
}

void thread_join(Thread& t) {
  ErrnoKeep keep;
  pthread_join(t.handle, nullptr);
}

void thread_yield() {
  ErrnoKeep keep;
  sched_yield();
}

void thread_sleep(i64 ns) {
  ErrnoKeep keep;
  timespec ts{static_cast<time_t>(ns / 1'000'000'000),
              static_cast<long>(ns % 1'000'000'000)};
  clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, nullptr);
}

const char* env(const char* name) {
  ErrnoKeep keep;
  return secure_getenv(name);
}

// Looked up at run time: the library itself does not need a C++ runtime, its
// guests may. The answer differs per thread; the function is the same.
void* eh_globals() {
  using Fn = void* (*)();
  ErrnoKeep keep;
  void* fn = dlsym(RTLD_DEFAULT, "__cxa_get_globals");
  return fn ? reinterpret_cast<Fn>(fn)() : nullptr;
}

}  // namespace thrum::os
