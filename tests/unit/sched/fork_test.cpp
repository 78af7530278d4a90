// In the child of a fork the parent's locks may be held by threads that are not
// there. Here they are all held, in each child: whatever takes one hangs, and the
// child's alarm ends it.
#include "sched/domain.hpp"

#include "../unit.hpp"

using namespace unit;

namespace {

// A child that goes on another fibre than the one that forked: TSan lost count
// when it stopped watching the first.
#if defined(THRUM_TSAN)
constexpr bool kFollowed = false;
#else
constexpr bool kFollowed = true;
#endif
#define NEEDS_FIBRES                                      \
  if (!kFollowed) {                                       \
    UNIT_SKIP("the sanitizer does not follow the child"); \
  }

bool g_in_child;

void hold(WordLock& lock) { lock.word.store(1); }

void hold_all(Runtime* rt) {
  hold(rt->lock);
  hold(rt->stop_lock);
  hold(rt->table.lock);
  for (WordLock& lock : rt->join_locks) {
    hold(lock);
  }
  for (u32 i = 0; i < rt->p_count.load(); ++i) {
    hold(rt->ps[i]->timer_lock);
  }
  rt->spinning.store(0);  // or a wake would leave it at that
}

// Guest code that forks; both sides go on.
void fork_here(Runtime* rt) {
  if (g_in_child) {
    return;
  }
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    g_in_child = true;
    as_child();
    alarm(20);
    atexit([] { _exit(0); });  // what else is at exit looks for leaks
    hold_all(rt);
    return;
  }
  int status = 0;
  waitpid(pid, &status, 0);
  CHECK(status == 0);
}

// The call that lent this thread is over.
void lands(int result, int want) {
  if (g_in_child) {
    bool good = result == kEFORKED && !this_m() && !was_g() && no_g() == kENOTG;
    _exit(good ? 0 : 1);
  }
  CHECK(result == want);
}

// Which of the host's code forks.
enum Where { kAcquire, kIn, kOut, kRelease, kGuest, kBlocked, kWheres };
struct Host {
  Runtime* rt;
  Where where;

  void at(Where w) {
    if (w == where) {
      fork_here(rt);
    }
  }
  void guest() {
    at(kGuest);
    if (where == kBlocked) {  // and comes back without a P
      M* m = this_m();
      (void)enter_blocking(m);
      at(kBlocked);
      m = this_m();
      (void)(m && exit_blocking(m));
    }
  }
  static int acquire(void* h) {
    static_cast<Host*>(h)->at(kAcquire);
    return 0;
  }
  static void release(void* h) { static_cast<Host*>(h)->at(kRelease); }
  static void switch_to(void* h, void*, void* to) {
    static_cast<Host*>(h)->at(to ? kIn : kOut);
  }
};

// Two Gs in a domain of a hosted runtime: the second is left over in the child.
template <class F>
void in_domain(Where where, u32 flags, F call) {
  Rt rt(hosted());
  Host host{rt.rt, where};
  DomainOps ops{flags, 0, Host::acquire, Host::release, Host::switch_to};
  Domain* d = nullptr;
  REQUIRE(domain_new(rt.rt, ops, &host, &d) == 0);
  SpawnOpts o;
  o.domain = d;
  for (int i = 0; i < 2; ++i) {
    go_in(
        rt.rt, [&] { host.guest(); }, &o);
  }
  lands(call(rt, d), 0);
  domain_release(d);
}

}  // namespace

TEST_CASE("fork: run, pump and stop come back without a lock") {
  NEEDS_FIBRES
  for (const Config& c : {hosted(), seeded(1)}) {
    Rt rt(c);
    lands(rt.run([&] { fork_here(rt.rt); }), 0);
    u64 h = go_in(rt.rt, [&] { fork_here(rt.rt); });
    lands(rt.pump(), 0);
    CHECK(has_ended(rt.rt, h));
    go_in(rt.rt, [&] {
      (void)park();
      fork_here(rt.rt);
    });
    CHECK(rt.pump() == 1);
    lands(rt_stop(nullptr, rt.rt, soon()), 0);
  }
}

TEST_CASE("fork: a stop that runs Gs of the calling thread") {
  NEEDS_FIBRES
  Rt rt(2);
  SpawnOpts o;
  o.affinity = kPinM;
  int err = rt.run([&] {
    (void)lock_thread(this_m());
    go(
        [&] {
          (void)park();
          fork_here(rt.rt);
        },
        &o);
  });
  CHECK(err == 0);
  until([&] { return rt->idle_count.load() == 2; });
  lands(rt_stop(nullptr, rt.rt, soon()), 0);
}

TEST_CASE("fork: hooks of a domain") {
  NEEDS_FIBRES
  for (int w = 0; w < kWheres; ++w) {
    in_domain(Where(w), 0, [](Rt& rt, Domain*) { return rt.pump(); });
    in_domain(Where(w), kDomainPumped,
              [](Rt&, Domain* d) { return domain_pump(nullptr, d, kForever); });
  }
}

TEST_CASE("fork: on a thread of the runtime's the child ends") {
  NEEDS_FIBRES
  Rt rt(2);
  Host host{rt.rt, kAcquire};
  DomainOps ops{0, 0, Host::acquire, Host::release, Host::switch_to};
  for (int w = 0; w < kWheres; ++w) {
    host.where = Where(w);
    Domain* d = nullptr;
    REQUIRE(domain_new(rt.rt, ops, &host, &d) == 0);
    SpawnOpts o;
    o.domain = d;
    u64 h = go_in(
        rt.rt, [&] { host.guest(); }, &o);
    CHECK(join(h, rt.rt) == 0);
    domain_release(d);
  }
}

TEST_CASE("fork: what was a G") {
  Rt rt(hosted());
  G* g = nullptr;
  int err = rt.run([&] {
    g = me();
    fork_here(rt.rt);
    if (g_in_child) {
      Wait w{kForever, Why::sleep};
      Wait try_it{kTry, Why::sleep};
      Wait join_it{kForever, Why::join};
      bool good = !this_m() && forked(rt.rt) && was_g() &&
                  was_who() == reinterpret_cast<u64>(g) && no_g() == kEFORKED &&
                  no_rt(nullptr) == kEFORKED && no_rt(rt.rt) == kEFORKED &&
                  wait_begin(nullptr, w) == kEFORKED &&
                  wait_begin(nullptr, try_it) == kEAGAIN &&
                  wait_begin(nullptr, join_it) == 0;
      _exit(good ? 0 : 1);
    }
  });
  CHECK(err == 0);
  CHECK(!forked(rt.rt));
  CHECK(!was_g());
  CHECK(was_who() == 0);
  CHECK(no_g() == kENOTG);
  CHECK(no_rt(nullptr) == kEINVAL);
}

TEST_CASE("fork: a thread's child was no G") {
  Rt rt(2);
  Child c = in_child([&] {
    hold_all(rt.rt);
    Wait w{kForever, Why::sleep};
    bool good = forked(rt.rt) && !was_g() && wait_begin(nullptr, w) == 0 &&
                no_g() == kENOTG && no_rt(rt.rt) == kEFORKED &&
                no_rt(nullptr) == kEINVAL;
    _exit(good ? 3 : 4);
  });
  CHECK(c.exited(3));
}
