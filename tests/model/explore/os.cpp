// The floors below sched, as the explored core sees them: os/os.hpp, mem/heap.hpp
// and base/die.hpp over virtual time, the explorer's memory and its checks.
// SPDX-License-Identifier: MIT
#include "os/os.hpp"

#include "base/die.hpp"
#include "base/line.hpp"
#include "explore/explore.hpp"
#include "explore/rig.hpp"
#include "mem/heap.hpp"
#include "os/cpu_share.hpp"
#include "sched/recorder.hpp"

namespace thrum {

void die(const char* what, const char* file, int line) {
  explore::check(false, what, {file, line});
  __builtin_trap();
}

void recorder_free(Runtime*) {}
void say(const char*, ...) {}
void Line::write() {}

namespace os {

i64 now_ns() { return explore::now(); }
i64 cpu_ns() { return explore::now(); }

bool share_read(int, CpuShare*) { return false; }
int share_open(u32) { return -1; }
int fd_close(int) { return 0; }

int thread_start(Thread&, void (*)(void*), void*, const char*) { return -1; }
void thread_join(Thread&) {}
void thread_yield() { explore::pause(); }
void thread_sleep(i64) { explore::pause(); }
u32 thread_id() { return explore::thread() + 1; }
int thread_count() { return static_cast<int>(explore::kThreads); }
void timer_slack(u64) {}
i64 thread_cpu_ns(u32) { return -1; }
bool thread_runs(u32) { return true; }
int errno_get() { return 0; }
void errno_set(int) {}

// As in the kernel: comparing and going to sleep are one step, and neither call
// orders anything for its caller.
void futex_wait(Atomic<u32>* word, u32 expected, i64 deadline) {
  explore::step();
  if (deadline != kForever && deadline <= explore::now()) {
    return;
  }
  if (explore::glance(word, sizeof *word) == expected &&
      !explore::sleep_on(word, deadline != kForever)) {
    explore::advance(deadline);
  }
}

void futex_wake(Atomic<u32>* word, int n) {
  explore::wake(word, static_cast<unsigned>(n));
}

void symbol(u64, char* out, size_t) { *out = 0; }
bool thread_where(u32, u64*, u64*) { return false; }
u32 held_mutexes(u32, u64, u64, void**, u32) { return 0; }
int affinity_set(u32, const u64*, u32) { return 0; }
int affinity_get(u32, u64*, u32) { return 0; }
int cpu_now() { return 0; }
u64 slice_set(u32, u64) { return 0; }
int thread_sched_get(u32, ThreadSched*) { return -38; }
int thread_sched_set(u32, const ThreadSched&) { return -38; }
bool fence_all_register() { return true; }
bool fence_all_ready() { return false; }  // no biased mutex: see mutex_bias.pml
void fence_all() { explore::fence_all(); }

u32 fork_epoch() { return 0; }
bool fork_watch(void (*)()) { return true; }
void process_exit(int) { __builtin_trap(); }

size_t page_size() { return 4096; }
void* vm_reserve(size_t) { return nullptr; }
char* vm_reserve_aligned(size_t, size_t) { return nullptr; }
void vm_release(void*, size_t) {}
int vm_guard(void*, size_t, bool) { return 0; }
int vm_drop_all(const Span*, u32) { return 0; }
int vm_guard_all(const Span*, u32) { return 0; }
void vm_unguard(void*, size_t) {}
size_t vm_resident(void*, size_t, char**) { return 0; }
void memory_of_process(u64*, u64*) {}
u32 map_limit() { return 65530; }
void vm_drop(void*, size_t) {}
void vm_huge(void*, size_t, bool) {}
bool memory_local() { return false; }
int vm_prefer(void*, size_t, u32) { return -1; }
int memory_prefer(u32) { return -1; }

int signal_open(int, SignalFn, void (*)()) { return -1; }
void signal_close() {}
int signal_join(SignalThread&, void*) { return -1; }
void signal_leave(SignalThread&) {}
void signal_forget(SignalThread&) {}
int signal_send(SignalThread&) { return -1; }
void detour_end(void*) {}
int fault_open(FaultFn) { return -1; }
void fault_close() {}
int fault_join(SignalThread&, void*) { return -1; }
void fault_leave(SignalThread&) {}
bool holds_libc(u64, u64) { return false; }

int wake_fd_open(WakeFd&) { return 0; }
void wake_fd_close(WakeFd&) {}
void wake_fd_raise(WakeFd&) {
  if (rig::bell) {
    rig::bell->rung.store(1, relaxed);
  }
}
void wake_fd_clear(WakeFd&) {
  if (rig::bell) {
    rig::bell->rung.store(0, relaxed);
  }
}
void wake_fd_at(WakeFd&, i64 deadline) {
  if (rig::bell) {
    rig::bell->at.store(deadline, relaxed);
  }
}
void wake_fd_watch(WakeFd&, int) {}
// As a futex whose word is what the model calls readable.
bool fd_sleep(int, i64 deadline) {
  Atomic<u32>* bits = rig::readable;
  explore::step();
  if (explore::glance(bits, sizeof *bits) == 0 &&
      !explore::sleep_on(bits, deadline != kForever)) {
    explore::advance(deadline);
  }
  return explore::glance(bits, sizeof *bits) != 0;
}

const char* env(const char*) { return nullptr; }
int cpus_allowed() { return 2; }
u32 cpu_quota_milli() { return 0; }
void* eh_globals() { return nullptr; }
bool fd_readable(int) { return false; }

}  // namespace os

namespace mem {

void heap_begin(Heap&) {}
void heap_end(Heap&) {}
void collect() {}
void* alloc(size_t size, Heap*) { return explore::alloc(size); }
void* zalloc(size_t count, size_t size, Heap*) {
  return explore::alloc(count * size);
}
void* alloc_aligned(size_t size, size_t, Heap*) { return explore::alloc(size); }
void* realloc(void* p, size_t size, Heap*) {
  void* to = explore::alloc(size);
  explore::renew(to, p, size);
  return to;
}
void free(void* p, Heap*) { explore::dispose(p); }

}  // namespace mem
}  // namespace thrum
