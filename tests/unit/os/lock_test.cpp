#include "../unit.hpp"
#include "os/lock.hpp"

using namespace unit;

TEST_CASE("lock: bit 0 is the lock, the rest belongs to the object") {
  WordLock l;
  CHECK(l.lock() == 0);
  CHECK(l.word.load() == 1);
  l.unlock();
  CHECK(l.word.load() == 0);
  CHECK(l.lock() == 0);
  l.unlock(0xabc0);
  CHECK(l.word.load() == 0xabc0);
  CHECK(l.lock() == 0xabc0);
  CHECK(l.word.load() == 0xabc1);
  l.unlock(0xabc0);
  CHECK(l.lock_marked() == 0xabc0);
  CHECK(l.word.load() == 0xabc1);
  l.unlock(0);
  CHECK(l.lock_marked() == 0);
  CHECK(l.word.load() == 1);
  l.unlock();
}

TEST_CASE("lock: a block") {
  WordLock l;
  {
    Locked held(l);
    CHECK(l.word.load() == 1);
  }
  CHECK(l.word.load() == 0);
}

TEST_CASE("lock: one at a time") {
  constexpr u32 kThreads = 4, kTimes = rounds(100'000);
  WordLock l;
  u64 plain = 0;  // the lock's
  Atomic<u32> inside{0}, worst{0};
  {
    auto body = [&] {
      for (u32 i = 0; i < kTimes; ++i) {
        u64 v = i % 2 ? l.lock() : l.lock_marked();
        u32 n = inside.fetch_add(1, relaxed) + 1;
        if (n > worst.load(relaxed)) {
          worst.store(n, relaxed);
        }
        ++plain;
        inside.fetch_sub(1, relaxed);
        l.unlock(v + 2);  // the upper bits count as well
      }
    };
    Thread a(body), b(body), c(body), d(body);
  }
  CHECK(worst.load() == 1);
  CHECK(plain == kThreads * kTimes);
  CHECK(l.word.load() == 2 * kThreads * kTimes);
}

TEST_CASE("lock: a waiter sleeps while the holder keeps it long") {
  WordLock l;
  l.lock();
  Atomic<u32> tid{0};
  Atomic<bool> got{false};
  Thread t([&] {
    tid.store(os::thread_id());
    l.lock();
    got.store(true);
    l.unlock();
  });
  // 'S': it naps. It gets there after its spins and yields.
  until([&] { return tid.load() && thread_state(tid.load()) == 'S'; });
  CHECK_FALSE(got.load());
  l.unlock();
}
