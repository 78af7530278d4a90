// SPDX-License-Identifier: MIT
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "os/os.hpp"
#include "os/posix/errno.hpp"

namespace thrum::os {

namespace {
void* enter(void* p) {
  auto* t = static_cast<Thread*>(p);
  pthread_setname_np(pthread_self(), t->name);
  t->fn(t->arg);
  return nullptr;
}
}  // namespace

int thread_start(Thread& t, void (*fn)(void*), void* arg, const char* name) {
  ErrnoKeep keep;
  t.fn = fn;
  t.arg = arg;
  t.name = name;
  // Written before the thread begins (glibc): it may end, and be joined through
  // t, before this call returns.
  static_assert(sizeof t.handle == sizeof(pthread_t));
  int err = pthread_create(&t.handle, nullptr, enter, &t);
  if (err) {
    t.handle = 0;
  }
  return -err;
}

void thread_join(Thread& t) {
  ErrnoKeep keep;
  if (t.handle) {
    pthread_join(t.handle, nullptr);
    t.handle = 0;
  }
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

void process_exit(int status) { exit(status); }

void symbol(u64 pc, char* out, size_t size) {
  Dl_info info{};
  bool known = dladdr(reinterpret_cast<void*>(pc), &info) && info.dli_fname;
  const char* file = known ? strrchr(info.dli_fname, '/') : nullptr;
  file = file ? file + 1 : (known ? info.dli_fname : "?");
  bool named = known && info.dli_sname;
  u64 base = reinterpret_cast<u64>(named ? info.dli_saddr : info.dli_fbase);
  snprintf(out, size, "%s+0x%llx (%s)", named ? info.dli_sname : "",
           static_cast<unsigned long long>(pc - base), file);
}

int errno_get() { return errno; }
void errno_set(int value) { errno = value; }

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
