#include "../unit.hpp"

using namespace unit;

TEST_CASE("futex: another value returns at once") {
  Atomic<u32> word{7};
  os::futex_wait(&word, 8, kForever);
  os::futex_wait(&word, 8, 1);
  CHECK(word.load() == 7);
}

TEST_CASE("futex: a deadline ends the wait, and not before") {
  Atomic<u32> word{7};
  os::futex_wait(&word, 7, 1);  // long past
  os::futex_wait(&word, 7, os::now_ns() - 1);
  i64 deadline = os::now_ns() + 20 * kMs;
  u32 early = 0;
  for (;; ++early) {
    os::futex_wait(&word, 7, deadline);
    if (os::now_ns() >= deadline) {
      break;
    }
  }
  CHECK(early < 100);  // it slept, it did not poll
}

TEST_CASE("futex: a wake ends the wait") {
  for (u32 round = 0; round < rounds(200); ++round) {
    Atomic<u32> word{0}, up{0};
    Thread t([&] {
      up.store(1);
      while (word.load(acquire) == 0) {
        os::futex_wait(&word, 0, kForever);
      }
    });
    while (!up.load()) {
      os::thread_yield();
    }
    if (round % 2) {
      os::thread_yield();
    }
    word.store(1, release);
    os::futex_wake(&word, 1);
  }
}

TEST_CASE("futex: as many wake as are asked for") {
  constexpr int kThreads = 3;
  Atomic<u32> word{0}, woken{0}, tid[kThreads] = {};
  auto asleep = [&] {
    u32 n = 0;
    for (auto& t : tid) {
      n += t.load() && thread_state(t.load()) == 'S';
    }
    return n;
  };
  auto body = [&](int i) {
    return [&, i] {
      tid[i].store(os::thread_id(), release);
      os::futex_wait(&word, 0, kForever);  // the word stays 0
      tid[i].store(0, release);
      woken.fetch_add(1);
    };
  };
  Thread a(body(0)), b(body(1)), c(body(2));
  auto settles = [&](u32 want) {
    for (u32 seen = 0; seen < 5;) {
      os::thread_sleep(kMs);
      seen = asleep() + woken.load() == kThreads && woken.load() >= want
                 ? seen + 1
                 : 0;
    }
    return woken.load();
  };
  CHECK(settles(0) == 0);
  os::futex_wake(&word, 1);
  CHECK(settles(1) == 1);
  os::futex_wake(&word, kThreads);
  CHECK(settles(3) == 3);
}

TEST_CASE("fence_all: the cheap side may do with a compiler fence") {
  if (!os::fence_all_register()) {
    UNIT_SKIP("the kernel has no membarrier");
  }
  // Store buffering: without the fence both sides read the old value now and
  // then.
  // On a busy machine each round is a switch of threads: not too many then.
  constexpr u32 kRounds = rounds(20'000), kOver = UINT32_MAX;
  i64 from = os::now_ns();
  Atomic<u32> x{0}, y{0}, start{0}, done{0};
  u32 cheap = 0, both = 0;
  Thread t([&] {
    for (u32 i = 1;; ++i) {
      for (u32 at; (at = start.load(acquire)) != i;) {
        if (at == kOver) {
          return;
        }
      }
      x.store(i, relaxed);
      compiler_fence();
      cheap = y.load(relaxed);
      done.store(i, release);
    }
  });
  u32 ran = 0;
  for (u32 i = 1; i <= kRounds && os::now_ns() - from < kSecond; ++i) {
    ++ran;
    start.store(i, release);
    for (u32 wait = i % 97; wait > 0; --wait) {
      cpu_relax();
    }
    y.store(i, relaxed);
    os::fence_all();
    u32 dear = x.load(relaxed);
    while (done.load(acquire) != i) {
      if (i % 64 == 0) {
        os::thread_yield();
      }
    }
    both += dear != i && cheap != i;
  }
  start.store(kOver, release);
  CHECK(ran > 0);
  CHECK(both == 0);
}
