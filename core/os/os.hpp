// The OS seam, the whole of it on one page: facts and mechanisms, no decisions.
// Functions return 0 or a plain number on success and a negated errno on
// failure; none changes errno of the calling thread, none is a cancellation
// point, all survive EPERM, ENOSYS and ENOENT.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/atomic.hpp"
#include "base/defs.hpp"

namespace thrum::os {

// ---- clock -----------------------------------------------------------------
i64 now_ns();  // CLOCK_MONOTONIC
i64 cpu_ns();  // CPU time of the process

// ---- thread ----------------------------------------------------------------
struct Thread {
  unsigned long handle = 0;  // owner: whoever joins
  // What the thread reads first, from here: malloc would make it an arena.
  void (*fn)(void*) = nullptr;
  void* arg = nullptr;
  const char* name = nullptr;
};
// Starts fn(arg) with all signals blocked that the creator has blocked. t stays
// where it is until the join.
int thread_start(Thread& t, void (*fn)(void*), void* arg, const char* name);
void thread_join(Thread& t);
void thread_yield();
void thread_sleep(i64 ns);
u32 thread_id();           // gettid
int thread_count();        // threads of this process now, -errno
void timer_slack(u64 ns);  // of the calling thread
// CPU time that a thread of this process has used, -errno.
i64 thread_cpu_ns(u32 thread_id);
// Does that thread run, or wait for a CPU only? Some 10 us. false: unknown.
bool thread_runs(u32 thread_id);
// errno of the calling thread, for code that was stopped between two instructions
// and may be about to read it.
int errno_get();
void errno_set(int value);

// ---- the kernel's scheduler ---------------------------------------------------
// tid 0: the calling thread. CPU n is bit n % 64 of word n / 64. 0 or -errno.
int affinity_set(u32 tid, const u64* mask, u32 words);
int affinity_get(u32 tid, u64* mask, u32 words);
int cpu_now();  // the CPU that the calling thread runs on, -errno
// How long the thread would like to run in one piece; 0: the default. Returns
// what it was. Does nothing where the kernel does not know it.
u64 slice_set(u32 tid, u64 ns);
// What the kernel has of a thread; set gives both at once (either alone resets
// the other), and children of the thread get the defaults. What it refuses is
// left as it was: -errno, but slices that it does not know it takes in silence
// (6.1; get reads 0).
struct ThreadSched {
  i32 nice;
  u64 slice_ns;  // 0: the default
};
int thread_sched_get(u32 tid, ThreadSched* out);
int thread_sched_set(u32 tid, const ThreadSched& want);

// ---- looking at threads -------------------------------------------------------
// Program counter and stack pointer of a thread that sleeps in the kernel; false:
// it runs, or the kernel does not tell.
bool thread_where(u32 tid, u64* pc, u64* sp);
// The words of [sp, hi) that a call may have left there as return addresses,
// innermost first: a superset of the frames. Returns how many, at most `most`.
u32 stack_calls(u64 sp, u64 hi, u64* pcs, u32 most);

// The words of [from, from + 8 n), also of a stack that a sanitizer guards.
void stack_copy(u64 from, u64* to, size_t n);

// Debug mode: the pthread mutexes that the thread holds, of those that lie in
// [lo, hi), that a word there points to, or that are data of the program.
u32 held_mutexes(u32 tid, u64 lo, u64 hi, void** out, u32 most);

// ---- futex note ------------------------------------------------------------
// Sleeps while *word == expected, until the deadline (CLOCK_MONOTONIC, kForever
// for none). May return early.
void futex_wait(Atomic<u32>* word, u32 expected, i64 deadline);
void futex_wake(Atomic<u32>* word, int n);

// ---- asymmetric fence --------------------------------------------------------
// The cheap side is a compiler fence in every thread of the process; the dear
// side (some 16 us while others run) is fence_all. register first; false: the
// kernel has none, and the cheap side must be a real fence.
bool fence_all_register();
bool fence_all_ready();  // has register succeeded in this process?
void fence_all();

// ---- virtual memory --------------------------------------------------------
size_t page_size();
// Reserves address space that costs nothing until touched; null: none left.
void* vm_reserve(size_t size);
// The same at a multiple of `align`.
char* vm_reserve_aligned(size_t size, size_t align);
void vm_release(void* p, size_t size);
// Makes [p, p + size) trap; its contents are lost. 0: as a mark in the page table,
// where the kernel has MADV_GUARD_INSTALL (6.13); 1: by mprotect, if it may split
// the mapping; -errno: not guarded.
int vm_guard(void* p, size_t size, bool may_split);
// The same of many places at once. -errno: not of all.
struct Span {  // an iovec
  void* p;
  size_t bytes;
};
int vm_drop_all(const Span* spans, u32 n);
int vm_guard_all(const Span* spans, u32 n);  // drop first; never by mprotect
void vm_unguard(void* p, size_t size);       // ends it
// How much of [p, p + size) has memory, and where the lowest page with memory
// begins (p + size: nowhere).
size_t vm_resident(void* p, size_t size, char** lowest);
// Memory that the process has, and what the kernel's page tables for it take.
void memory_of_process(u64* rss, u64* page_tables);
u32 map_limit();                     // how many mappings a process may have
void vm_drop(void* p, size_t size);  // contents become zero, memory goes back
void vm_huge(void* p, size_t size, bool on);

// ---- memory of nodes ----------------------------------------------------------
// Where nobody says anything, a page comes from the node of the CPU that touches it
// first. Is that so for the calling thread? False: the host wants something else,
// or the kernel knows no nodes.
bool memory_local();
// Pages of [p, p + size) that are touched from now on come from that node while it
// has some. 0, or -errno: refused, or something else reads back.
int vm_prefer(void* p, size_t size, u32 node);
// The same of all that the calling thread touches, and threads that it makes.
int memory_prefer(u32 node);

// ---- directed signal ---------------------------------------------------------
// One real-time signal of the process, sent to one of its threads at a time to
// ask whether what runs there may make a detour. What others send under the same
// number goes to the handler that was there before; ours never does.

// Where a thread was stopped. Valid inside SignalFn.
struct Stopped {
  u64 pc, sp;
  size_t bytes;   // what a detour takes of the stack itself; 0: not from here
  void* context;  // the kernel's record
};
// Called in the handler of the thread that joined with `arg`: async-signal-safe.
// True: that thread goes on at `entry` instead, on the same stack and with the
// same registers; os::detour_end then makes the way back.
using SignalFn = bool (*)(void* arg, const Stopped& at);

// An alternate stack of ours, in force in place of the host's if that is too small.
struct AltStack {
  u32 users = 0;           // owner: of the two below
  char* base = nullptr;    // owner
  size_t size = 0;         // owner
  bool in_force = false;   // owner; in place of:
  void* former = nullptr;  // owner
  size_t former_size = 0;  // owner
  int former_flags = 0;    // owner
};

// A thread that can be asked, and tells of its faults (below).
struct SignalThread {
  void* slot = nullptr;        // signal.cpp's lock; null: it cannot be asked
  Atomic<u32> id{0};           // its thread_id; the thread itself writes
  int signo = 0;               // signal.cpp's lock
  bool was_blocked = false;    // owner: the signal, by the host
  void* fault_slot = nullptr;  // owner; null: it does not tell
  bool fault_was_blocked = false;  // owner: SIGSEGV, by the host
  AltStack stack;                  // owner
};

// Installs the handler for `signo` (0: a real-time signal that nobody uses), or
// counts one more user if it is there. Returns the number; -EINVAL: not a
// real-time signal; -EBUSY: none is free, or another number is in use.
int signal_open(int signo, SignalFn ask, void (*entry)());
// One user less. After the last the former handler is back, unless the host has
// put one over ours meanwhile: then ours stays below it and only hands on.
void signal_close();
// The calling thread: gets an alternate stack if it has none that is large enough,
// and the signal unblocked. -errno: it cannot be asked.
int signal_join(SignalThread& t, void* arg);
// The calling thread, as it was before. No signal of ours is left on its way.
void signal_leave(SignalThread& t);
void signal_forget(SignalThread& t);  // its memory; it has left
// From any thread. 0: sent; 1: the last one is still on its way, and this one was
// not sent; -errno: it cannot be asked now.
int signal_send(SignalThread& t);
void detour_end(void* frame);
// Is there code of the C library in [lo, hi)?
bool holds_libc(u64 lo, u64 hi);

// What a signal did before its first user of the process; in force again after the
// last, if the user left the default. For libuv's, which forgets what was there.
void former_keep(int signo);
void former_replaced(int signo);  // libuv has started it
void former_back(int signo);
// In the child of a fork, which has no users yet. libuv takes itself to be in force
// there: former_replaced sees to that.
void former_in_child();

// ---- faults ------------------------------------------------------------------
// Whoever asks is told of the faults (SIGSEGV) of its own threads, before the
// handler that was there is called as if there were none of ours: it alone, or the
// kernel, decides what becomes of the process.
//
// In the handler of a thread that joined with `arg`; async-signal-safe.
enum class Faulted : u8 {
  other,   // somebody else may know what it is
  told,    // that was all that can be said
  mended,  // the memory is there now: the thread goes on, and nobody is told
};
using FaultFn = Faulted (*)(void* arg, u64 address, const Stopped& at);

// Installs the handler, or counts one more user. 0 or -errno.
int fault_open(FaultFn tell);
// One user less; after the last as signal_close.
void fault_close();
// The calling thread: gets an alternate stack as in signal_join, and SIGSEGV
// unblocked. -errno: it will not tell.
int fault_join(SignalThread& t, void* arg);
// The calling thread, as it was before. Does nothing if it had not joined.
void fault_leave(SignalThread& t);

// ---- descriptors for host loops ----------------------------------------------
// One pollable descriptor: readable when raised, or when its timer is due.
struct WakeFd {
  int epoll = -1, event = -1, timer = -1;  // const after open
};
int wake_fd_open(WakeFd& w);
void wake_fd_close(WakeFd& w);
void wake_fd_raise(WakeFd& w);
void wake_fd_clear(WakeFd& w);
void wake_fd_at(WakeFd& w, i64 deadline);  // kForever: no timer
void wake_fd_watch(WakeFd& w, int fd);     // readable when it is, too
// Sleeps until fd is readable, or the deadline, or for less. True: it is.
bool fd_sleep(int fd, i64 deadline);

// ---- fork --------------------------------------------------------------------
// How many forks lie between the first process that watched and this one: what
// was made at another count belongs to another process.
u32 fork_epoch();
// From now on fn() runs in every child of fork(3), on its only thread, before
// fork returns there; it may run twice. Idempotent. False: no memory. (Not in
// children of vfork, _Fork or clone: those may only exec.)
bool fork_watch(void (*fn)());

// ---- process ---------------------------------------------------------------
[[noreturn]] void process_exit(int status);  // exit(3)
// "function+0x1f (file)" of a code address, as far as it can be told.
void symbol(u64 pc, char* out, size_t size);
const char* env(const char* name);  // null in set-uid programs
int cpus_allowed();                 // affinity mask of the process, >= 1
// CPU limit of the tightest cgroup on our path in 1/1000 CPU; 0: none.
u32 cpu_quota_milli();
// The per-thread C++ exception globals of the calling thread, if a C++ runtime
// is loaded; else null.
void* eh_globals();
bool fd_readable(int fd);

}  // namespace thrum::os
