// Cancel, and a deadline, in every kind of wait: the wait ends, the object
// forgets the waiter, and both serve on.
#include "../objects.hpp"

using namespace unit;

namespace {

// What the waits below wait on; nothing in it ever comes by itself.
struct World {
  Mutex mutex{};
  Rwmutex rwmutex{};
  Cond cond{};
  Mutex cond_mutex{};
  Waitgroup wg{};
  Semaphore sem{};
  Channel empty{0}, full{1};
  u64 sleeper = 0;  // a G that never ends by itself
};

struct Kind {
  const char* name;
  Why why;
  int (*wait)(World& w, i64 deadline);
};

const Kind kKinds[] = {
    {"sleep", Why::sleep,
     [](World&, i64 deadline) {
       return deadline == kForever ? sleep_ns(1000 * kSecond) : park(deadline);
     }},
    {"park", Why::park, [](World&, i64 deadline) { return park(deadline); }},
    {"join", Why::join,
     [](World& w, i64 deadline) { return join(w.sleeper, nullptr, deadline); }},
    {"chan_send", Why::chan_send,
     [](World& w, i64 deadline) { return send(w.full, 2, deadline); }},
    {"chan_recv", Why::chan_recv,
     [](World& w, i64 deadline) {
       u64 v;
       return recv(w.empty, &v, deadline);
     }},
    {"select", Why::select,
     [](World& w, i64 deadline) {
       u64 v, out = 1;
       SelectCase cases[] = {{w.empty.c, &v, kRecv, 0},
                             {w.full.c, &out, kSend, 0},
                             {w.empty.c, &out, kRecv, 0}};
       return choose(cases, 3, deadline);
     }},
    // A mutex that is locked for ever is not to be cancelled; see below.
    {"mutex", Why::mutex,
     [](World& w, i64 deadline) {
       return lock(w.mutex, deadline == kForever ? soon() : deadline);
     }},
    {"rwmutex_read", Why::rwmutex_read,
     [](World& w, i64 deadline) {
       return rlock(w.rwmutex, deadline == kForever ? soon() : deadline);
     }},
    {"rwmutex_write", Why::rwmutex_write,
     [](World& w, i64 deadline) {
       return wlock(w.rwmutex, deadline == kForever ? soon() : deadline);
     }},
    {"cond", Why::cond,
     [](World& w, i64 deadline) {
       int rc = lock(w.cond_mutex);
       rc = rc ? rc : wait(w.cond, w.cond_mutex, deadline);
       return unlock(w.cond_mutex) ? -1 : rc;  // it holds the mutex again
     }},
    {"waitgroup", Why::waitgroup,
     [](World& w, i64 deadline) { return wait(w.wg, deadline); }},
    {"semaphore", Why::semaphore,
     [](World& w, i64 deadline) { return take(w.sem, deadline); }},
};

// The world as it must be when nobody waits.
void check_quiet(const World& w) {
  CHECK(w.mutex.queue.empty());
  CHECK((w.mutex.word.word.load() & 63) == 0);
  CHECK(w.rwmutex.queue.empty());
  CHECK(w.rwmutex.word.word.load() == 4);  // the writer alone
  CHECK(is_idle(w.cond));
  CHECK(is_idle(w.cond_mutex));
  CHECK(w.wg.queue.empty());
  CHECK(w.wg.word.word.load() == 4);  // one to go
  CHECK(is_idle(w.sem));
  CHECK(w.empty.c->recvq.empty());
  CHECK(w.full.c->sendq.empty());
  CHECK(w.full.c->len.load() == 1);
}

void build(World& w) {
  (void)lock(w.mutex);
  (void)wlock(w.rwmutex);
  (void)add(w.wg, 1);
  (void)send(w.full, 1);
  w.sleeper = go([] { (void)park(); });
  wait_parked(w.sleeper);
}

void tear_down(World& w) {
  (void)unlock(w.mutex);
  (void)wunlock(w.rwmutex);
  (void)add(w.wg, -1);
  (void)unpark(w.sleeper);
  (void)join(w.sleeper);
  CHECK(is_idle(w.mutex));
  CHECK(is_idle(w.rwmutex));
  CHECK(is_idle(w.wg));
}

void everywhere(void (*body)()) {
  in_g(still(), body);
  in_g(config(2), body);
  in_g(seeded(3), body);
}

}  // namespace

TEST_CASE("cancel: every kind of wait") {
  everywhere([] {
    World w;
    build(w);
    for (const Kind& k : kKinds) {
      for (int round = 0; round < 3; ++round) {
        int got = -1;
        u64 h = go([&] { got = k.wait(w, kForever); });
        wait_parked(h);
        G* g = g_at(this_m()->rt, h);
        CHECK_ROW(g->body->why.load() == k.why, k.name);
        int rc = cancel(h);
        CHECK(rc == 0);
        (void)join(h);
        CHECK_ROW(got == kECANCELED, k.name);
        check_quiet(w);
      }
    }
    tear_down(w);
  });
}

TEST_CASE("cancel: one of several waiters; the others stay") {
  everywhere([] {
    World w;
    build(w);
    for (const Kind& k : kKinds) {
      static constexpr u32 kWaiters = 5;
      u64 h[kWaiters];
      int got[kWaiters];
      for (u32 i = 0; i < kWaiters; ++i) {
        got[i] = -1;
        h[i] = go([&, i] { got[i] = k.wait(w, kForever); });
        wait_parked(h[i]);
      }
      for (u32 i : {2u, 0u, 4u, 1u, 3u}) {  // middle, head, tail, the rest
        (void)cancel(h[i]);
        (void)join(h[i]);
        CHECK_ROW(got[i] == kECANCELED, k.name);
        for (u32 j = 0; j < kWaiters; ++j) {
          bool waits = got[j] == -1;
          bool parked = !waits || is_parked(this_m()->rt, h[j]);
          CHECK_ROW(parked, k.name);
        }
      }
      check_quiet(w);
    }
    tear_down(w);
  });
}

TEST_CASE("deadline: every kind of wait, in the past, soon, and a try") {
  everywhere([] {
    World w;
    build(w);
    for (const Kind& k : kKinds) {
      // In a G of its own: this one holds the locks.
      u64 h = go([&] {
        int rc = k.wait(w, 1);
        CHECK_ROW(rc == kETIMEDOUT, k.name);
        i64 deadline = now() + kMs;
        rc = k.wait(w, deadline);
        CHECK_ROW(rc == kETIMEDOUT, k.name);
        CHECK(now() >= deadline);
        rc = k.wait(w, kTry);
        CHECK_ROW(rc == kEAGAIN, k.name);
        CHECK(me()->body->timer.id.load() == Timer::kIdle);
      });
      (void)join(h);
      check_quiet(w);
    }
    tear_down(w);
  });
}

TEST_CASE("deadline: every kind of wait, on a foreign thread") {
  World w;
  // The owner of the locks is this thread, which then may not wait for them.
  (void)lock(w.mutex);
  (void)wlock(w.rwmutex);
  (void)add(w.wg, 1);
  (void)send(w.full, 1);
  Thread t([&] {
    for (const Kind& k : kKinds) {
      if (k.why == Why::sleep || k.why == Why::park || k.why == Why::join) {
        continue;  // of Gs only, or in need of a runtime
      }
      int rc = k.wait(w, 1);
      CHECK_ROW(rc == kETIMEDOUT, k.name);
      rc = k.wait(w, os::now_ns() + kMs);
      CHECK_ROW(rc == kETIMEDOUT, k.name);
      rc = k.wait(w, kTry);
      CHECK_ROW(rc == kEAGAIN, k.name);
      check_quiet(w);
    }
  });
}

TEST_CASE("cancel: a lock taken for ever is not left; the request comes next") {
  in_g(still(), [] {
    Mutex x{};
    Rwmutex rw{};
    Once once{};
    (void)lock(x);
    (void)wlock(rw);
    bool run = false;
    (void)begin(once, &run);
    CHECK(run);
    struct Hard {
      Why why;
      u64 h;
      int got;
      int next;
    } hard[4] = {{Why::mutex, 0, -1, -1},
                 {Why::rwmutex_read, 0, -1, -1},
                 {Why::rwmutex_write, 0, -1, -1},
                 {Why::once, 0, -1, -1}};
    for (Hard& k : hard) {
      k.h = go([&] {
        bool mine = false;
        switch (k.why) {
          case Why::mutex:
            k.got = lock(x);
            (void)unlock(x);
            break;
          case Why::rwmutex_read:
            k.got = rlock(rw);
            (void)runlock(rw);
            break;
          case Why::rwmutex_write:
            k.got = wlock(rw);
            (void)wunlock(rw);
            break;
          default:
            k.got = begin(once, &mine);
        }
        k.next = park(now() + kMs);
      });
      wait_parked(k.h);
      CHECK(g_at(this_m()->rt, k.h)->body->why.load() == k.why);
      (void)cancel(k.h);
    }
    let_run();
    for (Hard& k : hard) {
      CHECK(is_parked(this_m()->rt, k.h));
    }
    (void)unlock(x);
    (void)wunlock(rw);
    done(once);
    for (Hard& k : hard) {
      (void)join(k.h);
      CHECK(k.got == 0);
      CHECK(k.next == kECANCELED);
    }
    CHECK(is_idle(x));
    CHECK(is_idle(rw));
  });
}

TEST_CASE("cancel: against a deadline and a peer, exactly one of them wins") {
  // The G's wait, its timer, a cancel and a send race; each value sent is
  // either received or still there.
  Rt rt(3);
  (void)rt.run([] {
    static constexpr u32 kRounds = rounds(4000);
    Channel c(0);
    u32 received = 0, sent = 0;
    Atomic<u32> odd{0};
    Choice choice{9};
    for (u32 i = 0; i < kRounds; ++i) {
      i64 deadline = now() + choice.below(30'000) + 1;
      u64 receiver = go([&, deadline] {
        u64 v = 0;
        int rc = recv(c, &v, deadline);
        received += rc == 0;
        odd.fetch_add(rc != 0 && rc != kETIMEDOUT && rc != kECANCELED);
      });
      u64 sender = go([&, deadline] {
        int rc = send(c, 1, deadline);
        sent += rc == 0;
        odd.fetch_add(rc != 0 && rc != kETIMEDOUT && rc != kECANCELED);
      });
      if (choice.below(2)) {
        (void)yield();
      }
      (void)cancel(choice.below(2) ? receiver : sender);
      (void)join(receiver);
      (void)join(sender);
    }
    CHECK(odd.load() == 0);
    CHECK(received == sent);
  });
}
