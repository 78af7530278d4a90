/* mutant_locks.cpp: windows of some ns, held open. A call reads something without the lock of its object, then waits for
 * the lock; what it decides must rest on what it finds there, not on what it had read. The test holds the lock by hand until
 * the call stands before it, changes the object as another call would, and lets go. Written against four planted defects
 * (tests/mutants) that rounds upon rounds of racing calls meet rarely or never. */
#include "../support/check.h"

#include "chan/chan.hpp"
#include "sched/enter.hpp"
#include "sync/sync.hpp"

using namespace thrum;

namespace {

constexpr i64 kSecond = 1'000'000'000;

/* A call on a thread of its own. */
struct Call {
  int (*fn)(M*&, void*, i64);
  void* object;
  i64 deadline;
  int result;
  pid_t tid;
  pthread_t thread;
};

void* call_main(void* arg) {
  Call* c = static_cast<Call*>(arg);
  __atomic_store_n(&c->tid, gettid(), __ATOMIC_SEQ_CST);
  EnterParking e(c->deadline);
  c->result = c->fn(e.m, c->object, c->deadline);
  return nullptr;
}

char state_of(pid_t tid) {
  char path[64], text[512];
  snprintf(path, sizeof path, "/proc/self/task/%d/stat", static_cast<int>(tid));
  FILE* f = fopen(path, "re");
  size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
  if (f)
    fclose(f);
  text[n] = 0;
  const char* p = strrchr(text, ')');
  return p && p[1] ? p[2] : 0;
}

/* Starts the call and returns when it waits for a lock that the caller holds: a WordLock naps between its tries. */
void start(Call& c, int (*fn)(M*&, void*, i64), void* object, i64 deadline) {
  c = Call{fn, object, deadline, 1, 0, {}};
  REQUIRE_EQ(pthread_create(&c.thread, nullptr, call_main, &c), 0);
  while (!__atomic_load_n(&c.tid, __ATOMIC_SEQ_CST))
    check_pause();
  for (int seen = 0; seen < 2;) {
    seen = state_of(c.tid) == 'S' ? seen + 1 : 0;
    check_pause();
  }
}
int finish(Call& c) {
  REQUIRE_EQ(pthread_join(c.thread, nullptr), 0);
  return c.result;
}

Chan* make_chan(u32 capacity) {
  Chan* c = nullptr;
  REQUIRE_EQ(chan_new(sizeof(u64), capacity, &c), 0);
  return c;
}

struct Receive {
  Chan* c;
  u64 value;
};
int receive(M*& m, void* object, i64 deadline) {
  Receive* r = static_cast<Receive*>(object);
  return chan_recv(m, r->c, &r->value, deadline);
}

/* A value is sent and the channel closed while a receive that does not wait stands before the lock: the value is there. */
TEST(try_recv_looks_at_the_buffer_under_the_lock) {
  Receive r{make_chan(1), 0};
  Call call;
  r.c->lock.lock();
  start(call, receive, &r, kTry);
  u64 v = 7;
  buffer_put(r.c, &v);
  r.c->closed = true;
  r.c->lock.unlock();
  CHECK_EQ(finish(call), 0);
  CHECK_EQ(r.value, 7);
  chan_release(r.c);
}

/* The channel is closed while a receive stands before the lock: it says so, and does not begin to wait. */
TEST(recv_looks_at_closed_under_the_lock) {
  Receive r{make_chan(0), 0};
  Call call;
  r.c->lock.lock();
  start(call, receive, &r, os::now_ns() + kSecond);
  r.c->closed = true;
  r.c->lock.unlock();
  CHECK_EQ(finish(call), kECLOSED);
  chan_release(r.c);
}

int acquire_one(M*& m, void* object, i64 deadline) {
  return sem_acquire(m, static_cast<Semaphore*>(object), deadline);
}

/* A permit comes while an acquire stands before the lock: it takes it. */
TEST(acquire_looks_at_the_permits_under_the_lock) {
  Semaphore s{};
  Call call;
  s.word.lock();
  start(call, acquire_one, &s, os::now_ns() + kSecond);
  Semaphore one{};
  EnterParking e;
  CHECK_EQ(sem_release(e.m, &one, 1), 0);
  s.word.unlock(
      one.word.word.load(relaxed)); /* as if it had been released here */
  CHECK_EQ(finish(call), 0);
  CHECK_EQ(sem_acquire(e.m, &s, kTry), kEAGAIN);
}

struct Two {
  Chan* c[2];
  int n;
};
int select_two(M*& m, void* object, i64 deadline) {
  Two* t = static_cast<Two*>(object);
  u64 values[3] = {0, 0, 0};
  SelectCase arms[3] = {{t->c[0], &values[0], kRecv, 0},
                        {t->c[1], &values[1], kRecv, 0},
                        {t->c[0], &values[2], kRecv, 0}};
  return select(m, arms, static_cast<u32>(t->n), deadline);
}

/* Whatever the order of its arms, a select has locked the older channel when it waits for the lock of the younger one, and
 * holds nothing while it waits for the older one's. Two selects can then never wait for each other. */
TEST(select_locks_in_the_order_of_the_channels) {
  Chan* older = make_chan(1);
  Chan* younger = make_chan(1);
  CHECK(older->order < younger->order);
  for (int swapped = 0; swapped < 2; swapped++)
    for (int n = 2; n <= 3; n++) {
      Two two{{swapped ? younger : older, swapped ? older : younger}, n};
      for (Chan* held : {older, younger}) {
        Call call;
        held->lock.lock();
        start(call, select_two, &two, kTry);
        Chan* other = held == older ? younger : older;
        bool locked = other->lock.word.load(acquire) & 1;
        CHECK_MSG(
            locked == (held == younger),
            "%d arms, %s first: waits for the %s channel and %s the other", n,
            swapped ? "younger" : "older", held == older ? "older" : "younger",
            locked ? "holds" : "does not hold");
        held->lock.unlock();
        CHECK_EQ(finish(call), kEAGAIN);
      }
    }
  chan_release(older);
  chan_release(younger);
}

const check_case cases[] = {
    CASE(try_recv_looks_at_the_buffer_under_the_lock),
    CASE(recv_looks_at_closed_under_the_lock),
    CASE(acquire_looks_at_the_permits_under_the_lock),
    CASE(select_locks_in_the_order_of_the_channels),
};

}  // namespace

CHECK_MAIN(cases)
