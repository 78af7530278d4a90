#include "../objects.hpp"

using namespace unit;

TEST_CASE("lifecycle: a runtime that did nothing, and one that did") {
  for (u32 procs : {1u, 2u, 64u}) {
    Rt unused(procs);
    Rt used(procs);
    CHECK(used.run([] { (void)yield(); }) == 0);
  }
}

TEST_CASE("lifecycle: no thread before the first G") {
  int before = os::thread_count();
  Rt rt(4);
  CHECK(os::thread_count() == before);
  CHECK(rt->ms == nullptr);
}

TEST_CASE("lifecycle: 255 runtimes at once, each with a tag of its own") {
  static constexpr u32 kMost = 255;
  static Runtime* rt[kMost];
  bool seen[256] = {};
  u32 bad = 0;
  for (Runtime*& r : rt) {
    r = nullptr;
    bad += rt_new(&r, hosted()) != 0;
    if (r) {
      bad += r->tag == 0 || r->tag > 255 || seen[r->tag];
      seen[r->tag & 255] = true;
    }
  }
  CHECK(bad == 0);
  Runtime* one_more = nullptr;
  CHECK(rt_new(&one_more, hosted()) == kEAGAIN);
  CHECK(one_more == nullptr);
  u32 tag = rt[100]->tag;
  CHECK(rt_stop(nullptr, rt[100], soon()) == 0);
  rt_release(rt[100]);
  CHECK(rt_new(&rt[100], hosted()) == 0);  // one came free
  CHECK(rt[100]->tag == tag);
  for (Runtime* r : rt) {
    bad += rt_stop(nullptr, r, soon()) != 0;
    rt_release(r);
  }
  CHECK(bad == 0);
}

TEST_CASE("lifecycle: no descriptors for a hosted one is an answer") {
  rlimit old, tight;
  REQUIRE(getrlimit(RLIMIT_NOFILE, &old) == 0);
  tight = old;
  tight.rlim_cur = 3;
  Runtime* rt = nullptr;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &tight) == 0);
  int err = rt_new(&rt, hosted());
  setrlimit(RLIMIT_NOFILE, &old);
  CHECK(err == -EMFILE);
  CHECK(rt == nullptr);
}

TEST_CASE("stop: ends every wait, runs every G to its end") {
  static constexpr u32 kEach = 8;
  for (u32 procs : {1u, 3u}) {
    Atomic<u32> cancelled{0}, ended{0};
    Channel c(0);
    Waitgroup never{};
    (void)add(never, 1);
    Semaphore s{};
    {
      Rt rt(procs);
      u64 last = 0;
      for (u32 i = 0; i < kEach * 6; ++i) {
        last = go_in(rt.rt, [&, i] {
          int rc = 0;
          u64 v;
          switch (i % 6) {
            case 0:
              rc = park();
              break;
            case 1:
              rc = recv(c, &v);
              break;
            case 2:
              rc = wait(never);
              break;
            case 3:
              rc = sleep_ns(1000 * kSecond);
              break;
            case 4:
              rc = take(s);
              break;
            default:
              while ((rc = yield()) == 0) {}
          }
          cancelled.fetch_add(rc == kECANCELED);
          ended.fetch_add(1);
        });
        if (i % 6 != 5) {
          wait_parked(rt.rt, last);
        }
      }
      CHECK(rt_stop(nullptr, rt.rt, soon()) == 0);
      CHECK(ended.load() == kEach * 6);
      CHECK(cancelled.load() == kEach * 6);
      CHECK(rt_stop(nullptr, rt.rt, soon()) == 0);  // again
    }
    CHECK(is_idle(s));
    CHECK(never.queue.empty());
  }
}

TEST_CASE("stop: from a G is a deadlock; from several threads it is one stop") {
  Rt rt(2);
  int inner = 0;
  (void)rt.run([&] {
    EnterParking e;
    inner = rt_stop(e.m, rt.rt, kForever);
  });
  CHECK(inner == kEDEADLOCK);
  CHECK(rt->stopping.load() == 0);
  (void)go_in(rt.rt, [] { (void)park(); });
  Atomic<u32> ok{0};
  {
    auto body = [&] { ok.fetch_add(rt_stop(nullptr, rt.rt, soon()) == 0); };
    Thread a(body), b(body), c(body);
  }
  CHECK(ok.load() == 3);
}

TEST_CASE("stop: that it is over is the last that it says") {
  Rt rt(hosted());
  Atomic<bool> ending{false}, held{false};
  Atomic<u32> tid{0};
  (void)go_in(rt.rt, [&] {
    (void)park();
    ending.store(true);
    while (!held.load()) {
      os::thread_yield();  // it does not sleep: see below
    }
  });
  CHECK(pump(nullptr, rt.rt, kTry) == 1);
  {
    Thread first([&] {
      tid.store(os::thread_id(), release);
      CHECK(rt_stop(nullptr, rt.rt, soon()) == 0);
    });
    until([&] { return ending.load(); });
    Locked here(rt->stop_lock);
    held.store(true);
    wait_asleep(tid);  // for this lock: whoever has it may not find it over
    CHECK(rt->stopping.load() == 1);
  }
  CHECK(rt->stopping.load() == 2);
}

TEST_CASE("stop: says when something will not, and may be asked again") {
  static u32 reports;
  reports = 0;
  Config c = config(2);
  c.report = [](Runtime*, const char*) { ++reports; };
  Rt rt(c);
  Atomic<bool> stop{false}, in{false};
  (void)go_in(rt.rt, [&] {
    in.store(true);
    while (!stop.load()) {  // ignores every request
      os::thread_sleep(100'000);
    }
  });
  until([&] { return in.load(); });
  CHECK(rt_stop(nullptr, rt.rt, os::now_ns() + 20 * kMs) == kETIMEDOUT);
  CHECK(reports == 1);
  CHECK(rt_stop(nullptr, rt.rt, kTry) == kEAGAIN);
  CHECK(reports == 1);  // who polls knows
  CHECK(rt_stop(nullptr, rt.rt, os::now_ns()) == kETIMEDOUT);
  CHECK(reports == 2);
  u64 h = 0;
  CHECK(spawn(
            nullptr, rt.rt, nullptr, [](void*) {}, nullptr, &h) == kECLOSED);
  stop.store(true);
  CHECK(rt_stop(nullptr, rt.rt, soon()) == 0);
}

TEST_CASE("stop: while threads still spawn") {
  for (u32 round = 0; round < rounds(40); ++round) {
    Atomic<u32> spawned{0}, ran{0};
    {
      Rt rt(2);
      auto body = [&] {
        for (;;) {
          u64 h = go_in(rt.rt, [&] { ran.fetch_add(1); });
          if (!h) {
            return;
          }
          spawned.fetch_add(1);
        }
      };
      Thread a(body), b(body);
      until([&] { return spawned.load() > 50; });
      CHECK(rt_stop(nullptr, rt.rt, soon()) == 0);
    }
    CHECK(ran.load() == spawned.load());
  }
}

TEST_CASE("stop: a stop, and its Ms are gone with everything they had") {
  for (u32 round = 0; round < rounds(100); ++round) {
    int before = os::thread_count();
    {
      Rt rt(3);
      for (int i = 0; i < 20; ++i) {
        (void)go_in(rt.rt, [] { (void)sleep_ns(1000); });
      }
    }
    until([&] { return os::thread_count() <= before; });
  }
}

TEST_CASE("lifecycle: freed without a stop, it stays, and says so") {
  Child c = in_child([] {
    Runtime* rt = nullptr;
    if (rt_new(&rt, config(1)) != 0) {
      _exit(1);
    }
    rt_release(rt);
    bool alive = rt->refs.load() == 1;
    int rc = rt_stop(nullptr, rt, kForever);
    rt_retain(rt);
    rt_release(rt);
    alive &= rt->refs.load() == 1;
    rt_release(rt);
    _exit(alive && rc == 0 ? 0 : 2);
  });
  CHECK_CHILD(c.exited(0), c);
  CHECK_CHILD(c.said("without thrum_rt_stop"), c);
}

TEST_CASE("lifecycle: thread hooks, once per thread, before and after its Gs") {
  static Atomic<u32> started, stopped, outside;
  started = stopped = outside = 0;
  static thread_local bool t_inside = false;
  {
    Rt rt(3);
    CHECK(rt_on_thread(
              rt.rt,
              [](void* arg) {
                t_inside = true;
                started.fetch_add(arg == &started);
              },
              [](void*) {
                t_inside = false;
                stopped.fetch_add(1);
              },
              &started) == 0);
    Waitgroup ended{};
    (void)add(ended, 20);
    for (int i = 0; i < 20; ++i) {
      (void)go_in(rt.rt, [&] {
        for (int k = 0; k < 20; ++k) {
          bool inside = t_inside;
          outside.fetch_add(!inside);
          (void)sleep_ns(1000);
        }
        (void)add(ended, -1);
      });
    }
    (void)wait(ended);
    CHECK(rt_on_thread(rt.rt, nullptr, nullptr, nullptr) == kEBUSY);
  }
  CHECK(outside.load() == 0);
  CHECK(started.load() > 0);
  CHECK(started.load() == stopped.load());
}

TEST_CASE("lifecycle: a bound on threads, and Gs that block") {
  // Two threads at most: a third G that blocks keeps a P from the others, who
  // wait, and nothing breaks.
  Config c = config(2);
  c.max_threads = 2;
  Rt rt(c);
  int before = os::thread_count();
  Atomic<u32> word{0}, inside{0};
  for (int i = 0; i < 3; ++i) {
    (void)go_in(rt.rt, [&] {
      {
        Enter e;
        (void)enter_blocking(e.m);
      }
      inside.fetch_add(1);
      while (!word.load()) {
        os::thread_sleep(100'000);
      }
      Enter e;
      (void)exit_blocking(e.m);
    });
  }
  until([&] { return inside.load() == 2; });
  CHECK(os::thread_count() <= before + 3);  // two Ms and sysmon
  word.store(1);
  until([&] { return inside.load() == 3; });
}
