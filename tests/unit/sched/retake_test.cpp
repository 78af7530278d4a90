// Gs that block or compute in their own code without a word, and what becomes of
// their neighbours, their Ps and themselves.
#include "../objects.hpp"

using namespace unit;

namespace {

// Slices so short that a hog of a few ms loses its P.
Config brisk(u32 procs) {
  Config c = config(procs);
  c.slice_ns = kMs / 4;
  c.sysmon_ns = 50'000;
  return c;
}

// As a call into the operating system does, undeclared: the thread sleeps.
void block_until(Atomic<u32>& word) {
  while (!word.load()) {
    os::futex_wait(&word, 0, os::now_ns() + kSecond);
  }
}
void compute_until(Atomic<u32>& word) {
  while (!word.load(acquire)) {
    cpu_relax();
  }
}
void set(Atomic<u32>& word) {
  word.store(1);
  os::futex_wake(&word, INT32_MAX);
}

u32 word_of(M* m) { return m->door.word.load() & ~(kAsked | kWatched); }

// The calling G has lost its P, though it may not know yet.
bool taken() { return word_of(this_m()) & (kTaken | kApart); }

// Holds its P, outside, until that is taken; another G must be runnable.
void lose_p() {
  while (!taken()) {
    cpu_relax();
  }
}

}  // namespace

TEST_CASE("retake: neighbours go on while a G blocks or computes") {
  for (auto hold : {block_until, compute_until}) {
    in_g(brisk(1), [&] {
      Atomic<u32> word{0};
      P* p = my_p();
      u64 h = go([&] { set(word); });  // only it can end the wait
      hold(word);
      CHECK(taken());
      (void)yield();
      CHECK(word_of(this_m()) == 0);
      CHECK(my_p() == p);
      (void)join(h);
      CHECK(p->retakes.load() >= 1);
      CHECK(this_m()->rt->blocking.load() == 0);
    });
  }
}

TEST_CASE("retake: nobody waits, so nothing is taken") {
  in_g(brisk(1), [] {
    P* p = my_p();
    i64 until = os::now_ns() + 20 * kMs;
    while (os::now_ns() < until) {}
    CHECK(word_of(this_m()) == 0);
    CHECK(p->retakes.load() == 0);
  });
}

TEST_CASE("retake: work that comes late finds the P within a slice") {
  // sysmon has taken a rest by then: somebody outside ends it.
  Rt rt(brisk(1));
  Atomic<u32> word{0}, inside{0};
  u64 h = go_in(rt.rt, [&] {
    inside.store(1);
    compute_until(word);
  });
  until([&] { return inside.load() != 0; });
  os::thread_sleep(20 * kMs);
  u64 other = go_in(rt.rt, [&] { set(word); });
  CHECK(join(other, rt.rt, soon()) == 0);
  CHECK(join(h, rt.rt, soon()) == 0);
}

TEST_CASE("retake: a due timer counts as work") {
  in_g(brisk(1), [] {
    Atomic<u32> word{0};
    u64 h = go([&] {
      (void)sleep_ns(kMs);
      set(word);
    });
    let_run();  // it sleeps
    block_until(word);
    (void)join(h);
  });
}

TEST_CASE("retake: without a P a G calls what does not park") {
  in_g(brisk(1), [] {
    Channel c(4);
    Mutex x{};
    Semaphore s{};
    Waitgroup w{};
    (void)add(w, 1);
    (void)lock(x);
    Atomic<u32> ran{0}, stop{0};
    u64 hog = go([&] { compute_until(stop); });  // no P will be idle
    lose_p();
    M* m = this_m();
    u32 bad = 0;
    u64 v = 0;
    bad += send(c, 3, kTry) != 0;
    bad += recv(c, &v, kTry) != 0;
    bad += v != 3;
    bad += unlock(x) != 0;
    bad += post(s, 1) != 0;
    bad += add(w, -1) != 0;
    u64 h = go([&] { ran.fetch_add(1); });
    bad += h == 0;
    bad += this_m() != m;
    bad += m->p != nullptr;
    bad += word_of(m) != kApart;
    set(stop);
    bad += join(h) != 0;  // parks: a P again
    bad += join(hog) != 0;
    CHECK(bad == 0);
    CHECK(ran.load() == 1);
    CHECK(my_p() != nullptr);
    CHECK(word_of(this_m()) == 0);
  });
}

TEST_CASE("retake: a P that is idle is taken by any call") {
  in_g(brisk(1), [] {
    Atomic<u32> ran{0};
    u64 h = go([&] { ran.store(1); });
    lose_p();
    compute_until(ran);
    // Idle for good once the other M has found nothing more to do.
    while (taken()) {
      Enter e;
    }
    CHECK(my_p() != nullptr);
    CHECK(word_of(this_m()) == 0);
    CHECK(this_m()->rt->blocking.load() == 0);
    (void)join(h);
  });
}

TEST_CASE("retake: a G that is bound to its M waits there") {
  in_owned(brisk(1), [] {
    // Another that never leaves the P alone for long.
    Atomic<u32> stop{0};
    u64 busy = go([&] {
      while (!stop.load()) {
        (void)yield();
      }
    });
    {
      Enter e;
      (void)lock_thread(e.m);
    }
    M* m = this_m();
    u32 moved = 0;
    for (u32 i = 0; i < rounds(20); ++i) {
      lose_p();
      (void)yield();
      moved += this_m() != m;
      CHECK(my_p() != nullptr);
    }
    CHECK(moved == 0);
    {
      Enter e;
      (void)unlock_thread(e.m);
    }
    stop.store(1);
    (void)join(busy);
  });
}

TEST_CASE("retake: the end of a G without a P") {
  in_g(brisk(1), [] {
    Atomic<u32> stop{0};
    u64 busy = go([&] {
      while (!stop.load()) {
        (void)yield();
      }
    });
    for (u32 i = 0; i < rounds(50); ++i) {
      (void)join(go([&] { lose_p(); }));
      CHECK(my_p() != nullptr);
    }
    stop.store(1);
    (void)join(busy);
  });
}

TEST_CASE("retake: inside a callback of the core") {
  in_g(brisk(1), [] {
    Once o{};
    Atomic<u32> stop{0};
    u64 busy = go([&] {
      while (!stop.load()) {
        (void)yield();
      }
    });
    EnterParking e;
    bool run = false;
    (void)once_begin(e.m, &o, &run);
    CHECK(run);
    call_guest(e.m, [&] { lose_p(); });
    CHECK(e.m == this_m());
    CHECK(e.m->p != nullptr);
    CHECK(word_of(e.m) == 0);
    once_done(e.m, &o);
    stop.store(1);
    (void)join(e.m, e.m->rt, busy, kForever);
  });
}

TEST_CASE("retake: declared inside undeclared, and the other way round") {
  in_g(brisk(1), [] {
    Atomic<u32> stop{0};
    u64 busy = go([&] {
      while (!stop.load()) {
        (void)yield();
      }
    });
    for (u32 i = 0; i < rounds(20); ++i) {
      lose_p();
      {
        Enter e;
        (void)enter_blocking(e.m);
      }
      CHECK((word_of(this_m()) & (kApart | kDeclared)) != 0);
      {
        Enter e;
        (void)exit_blocking(e.m);
      }
      CHECK(my_p() != nullptr);
      {
        Enter e;
        (void)enter_blocking(e.m);
      }
      lose_p();
      (void)yield();  // has a P for its time
      CHECK(me()->body->rare()->block_depth == 1);
      {
        Enter e;
        (void)exit_blocking(e.m);
        CHECK(word_of(this_m()) == 0);  // outside, sysmon may take it again
      }
      CHECK(my_p() != nullptr);
    }
    stop.store(1);
    (void)join(busy);
  });
}

TEST_CASE("retake: hogs and blockers in a storm; none is lost") {
  for (u32 procs : {1u, 2u, 4u}) {
    Rt rt(brisk(procs));
    static constexpr u32 kGs = rounds(200);
    Atomic<u32> ended{0}, yields{0};
    for (u32 i = 0; i < kGs; ++i) {
      (void)go_in(rt.rt, [&, i] {
        for (u32 k = 0; k < 5; ++k) {
          switch ((i + k) % 4) {
            case 0:
              os::thread_sleep(400'000);
              break;
            case 1: {
              i64 until = os::now_ns() + 300'000;
              while (os::now_ns() < until) {}
              break;
            }
            case 2:
              (void)sleep_ns(100'000);
              break;
            default:
              (void)yield();
              yields.fetch_add(1);
          }
          if (k % 2) {
            (void)yield();
          }
        }
        ended.fetch_add(1);
      });
    }
    until([&] { return live_gs(rt.rt) == 0; });
    CHECK(ended.load() == kGs);
    // sysmon counts one up while it tries to take a P.
    until([&] { return rt->blocking.load() == 0; });
  }
}

TEST_CASE("retake: where no M is to be had the P stays, and comes back") {
  Config c = brisk(1);
  c.max_threads = 1;
  Rt rt(c);
  rt->said_capped.store(1);
  Atomic<u32> word{0}, ran{0}, inside{0};
  u64 h = go_in(rt.rt, [&] {
    inside.store(1);
    block_until(word);
  });
  until([&] { return inside.load() != 0; });
  u64 other = go_in(rt.rt, [&] { ran.store(1); });
  os::thread_sleep(5 * kMs);
  CHECK(ran.load() == 0);
  CHECK(rt->ps[0]->retakes.load() == 0);
  set(word);
  CHECK(join(other, rt.rt, soon()) == 0);
  CHECK(join(h, rt.rt, soon()) == 0);
}

TEST_CASE("retake: a place that was caught three times is looked at sooner") {
  Config c = config(1);
  c.slice_ns = 20 * kMs;
  in_g(c, [] {
    Runtime* rt = this_m()->rt;
    u64 site = 0;
    for (u32 i = 0; i < 3; ++i) {
      u64 h = go([] {});
      lose_p();
      site = this_m()->door.site.load();
      (void)join(h);
    }
    (void)site;
    u32 suspects = 0;
    for (Suspect& s : rt->suspects) {
      suspects += s.row >= 3;
    }
    CHECK(suspects == 1);
    i64 best = kForever;
    for (u32 i = 0; i < 20 && best > 10 * kMs; ++i) {
      u64 h = go([] {});
      i64 from = os::now_ns();
      lose_p();
      best = min(best, os::now_ns() - from);
      (void)join(h);
    }
    CHECK(best <= 10 * kMs);
  });
}

TEST_CASE("retake: doors with a true fence, for kernels without membarrier") {
  Rt rt(brisk(2));
  rt->fence_all = false;  // before the first M
  Atomic<u32> ended{0};
  for (u32 i = 0; i < 20; ++i) {
    (void)go_in(rt.rt, [&] {
      os::thread_sleep(kMs);
      (void)yield();
      ended.fetch_add(1);
    });
  }
  until([&] { return live_gs(rt.rt) == 0; });
  CHECK(ended.load() == 20);
}

TEST_CASE("retake: after a storm the threads go home") {
  Rt rt(brisk(1));
  static constexpr u32 kGs = 24;
  Atomic<u32> inside{0}, word{0};
  for (u32 i = 0; i < kGs; ++i) {
    (void)go_in(rt.rt, [&] {
      inside.fetch_add(1);
      block_until(word);
    });
  }
  until([&] { return inside.load() == kGs; });
  CHECK(rt->m_count >= kGs);
  set(word);
  until([&] { return live_gs(rt.rt) == 0; });
  u32 ms;
  until([&] {
    os::thread_sleep(10 * kMs);
    Locked held(rt->lock);
    ms = rt->m_count;
    return ms <= 2;
  });
  CHECK(ms >= 1);
  // And come again, as the same Ms.
  u32 ids = rt->m_ids;
  inside.store(0);
  word.store(0);
  for (u32 i = 0; i < kGs / 2; ++i) {
    (void)go_in(rt.rt, [&] {
      inside.fetch_add(1);
      block_until(word);
    });
  }
  until([&] { return inside.load() == kGs / 2; });
  CHECK(rt->m_ids == ids);
  set(word);
}

TEST_CASE("retake: the thread of a G that ended locked is not used again") {
  Rt rt(brisk(1));
  u32 threads = 0;
  for (u32 i = 0; i < rounds(20); ++i) {
    Atomic<u32> tid{0}, other{0};
    u64 h = go_in(rt.rt, [&] {
      Enter e;
      (void)lock_thread(e.m);
      tid.store(os::thread_id());
    });
    CHECK(join(h, rt.rt, soon()) == 0);
    h = go_in(rt.rt, [&] { other.store(os::thread_id()); });
    CHECK(join(h, rt.rt, soon()) == 0);
    threads += tid.load() != other.load();
  }
  CHECK(threads == rounds(20));
}
