// The explorer: what models, and the drop-ins for the core's lowest headers, see
// of Relacy. Relacy's own headers redefine new, malloc and $; they are included
// by explore/explore.cpp alone.
//
// A schedule is one run of a scenario. The explorer decides at every atomic
// operation which thread goes on, at every load which of the values that the
// memory model allows it returns, and at every choose() what it answers.
//
// The models and the files of the core are compiled with -fsanitize=thread but
// linked with the hooks of explore/shadow.cpp instead of a sanitizer: each plain
// access is checked against the happens-before of the explored schedule, so a
// race, or a touch of memory that another thread has freed or reused, fails.
// SPDX-License-Identifier: MIT
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace explore {

using u32 = uint32_t;
using u64 = uint64_t;
using i64 = int64_t;

constexpr unsigned kThreads = 4;  // at most

// In the order of std::memory_order.
enum class Order { relaxed, consume, acquire, release, acq_rel, seq_cst };
enum class Op { swap, add, sub, conj, disj };

struct Where {
  const char* file;
  int line;
};

// ---- atomics: base/atomic.hpp -------------------------------------------------
u64 load(const void* at, u32 size, Order o, Where where);
void store(void* at, u32 size, u64 v, Order o, Where where);
u64 rmw(void* at, u32 size, Op op, u64 v, Order o, Where where);
bool cas(void* at, u32 size, u64& was, u64 v, Order ok, Order fail, bool weak,
         Where where);
void fence(Order o, Where where);
void fence_all();           // membarrier: a full fence in every thread
void born(const void* at);  // an atomic begins its life here

// A field that no protocol reads, only observers: plain memory.
u64 glance(const void* at, u32 size);
void show(void* at, u32 size, u64 v);

// ---- threads --------------------------------------------------------------------
unsigned thread();  // the running one
void pause();       // others may go on; this thread lets them
void step();        // others may go on
// Sleeps until wake(key) or, if timed, whenever the explorer likes: true = woken.
// The caller has checked its condition: there is no switch before the sleep.
bool sleep_on(const void* key, bool timed);
void wake(const void* key, unsigned most);

// An ideal queue between threads: whoever takes an item has seen what had been
// seen by whoever put it, and nothing else is ordered.
void hand(void* item);
void* take();  // sleeps until there is one; null: the queue is shut
void shut();

// ---- choices and checks -----------------------------------------------------------
unsigned choose(unsigned n);  // any of 0 … n-1
void check(bool ok, const char* what, Where where);
#define MUST(ok) ::explore::check(!!(ok), #ok, {__FILE__, __LINE__})

// Virtual time in ns. A timed sleep that runs out moves it to its deadline.
i64 now();
void advance(i64 to);
u64 ticks();  // counts up from what set_ticks() says
void set_ticks(u64 v);

// ---- memory: fresh and zeroed in each schedule ----------------------------------------
void* alloc(size_t bytes);
void dispose(void* p);  // no reuse: any later touch fails
// realloc's second half: as much of `from` as fits in `to`, then from is gone.
void renew(void* to, void* from, size_t bytes);
template <class T>
T* make() {
  return static_cast<T*>(alloc(sizeof(T)));
}

// Atomics in [p, p + bytes) count for nobody: no switch, no history.
void quiet(const void* p, size_t bytes);

// Atomics in [p, p + bytes) are slots of a ring that takers read before they own
// what they read. took(v): the caller has won v; from now on its last read of v
// must be ordered before the slot's next write. (Relacy never lets a load see a
// later store, so without this it would be blind to a missing release there.)
void slots(const void* p, size_t bytes);
void took(const void* v);

// ---- scenarios ----------------------------------------------------------------------
struct Scenario {
  const char* name;
  unsigned threads;
  void (*before)();          // one thread; all others see what it wrote
  void (*thread)(unsigned);  // each of them
  void (*after)();           // may be null; one thread that has seen everything
  unsigned bound;            // switches away from a thread that could go on
  unsigned random;           // random schedules, no bound on switches
  const char* fails = nullptr;  // this scenario must fail, for a reason that
                                // contains these words
};

// Each model defines these two.
extern const Scenario scenarios[];
extern const unsigned scenario_count;

}  // namespace explore
