// The C interface in a child: what names a runtime of the parent's is answered
// before any lock is taken. All of them are held there.
#include <thrum/host.h>
#include <thrum/observe.h>

#include "../unit.hpp"

using namespace unit;

namespace {

void nothing(void*) {}
void no_g_seen(void*, const thrum_g_info*) { _exit(9); }
void no_p_seen(void*, const thrum_p_stats*) { _exit(9); }

void hold_all(Runtime* rt) {
  for (WordLock* lock : {&rt->lock, &rt->stop_lock, &rt->table.lock}) {
    lock->word.store(1);
  }
  for (WordLock& lock : rt->join_locks) {
    lock.word.store(1);
  }
  for (u32 i = 0; i < rt->p_count.load(); ++i) {
    rt->ps[i]->timer_lock.word.store(1);
  }
}

// How many of the calls gave another answer than kEFORKED.
int wrong_answers(thrum_rt* rt, thrum_domain* d, thrum_g g) {
  thrum_domain_ops ops{};
  ops.struct_size = sizeof ops;
  thrum_domain* made = nullptr;
  thrum_spawn_opts inside{};
  inside.struct_size = sizeof inside;
  inside.domain = d;
  i64 answers[] = {
      thrum_rt_stop(rt, kForever),
      thrum_run(rt, nothing, nullptr),
      thrum_pump(rt, kForever),
      thrum_next_wake(rt),
      thrum_wake_fd(rt),
      thrum_procs(rt),
      thrum_set_procs(rt, 3),
      thrum_spawn(rt, nullptr, nothing, nullptr, nullptr),
      thrum_spawn(rt, &inside, nothing, nullptr, nullptr),
      thrum_join(rt, g, kForever),
      thrum_cancel(rt, g),
      thrum_unpark(rt, g),
      thrum_domain_new(rt, &ops, nullptr, &made),
      thrum_domain_pump(d, kForever),
      thrum_domain_wake_fd(d),
      thrum_domain_close(d),
      thrum_g_each(rt, no_g_seen, nullptr),
      thrum_p_each(rt, no_p_seen, nullptr),
      thrum_on_thread(rt, nullptr, nullptr, nullptr),
      thrum_live(rt),
  };
  int wrong = 0;
  for (i64 answer : answers) {
    wrong += answer != kEFORKED;
  }
  thrum_rt_retain(rt);
  thrum_rt_free(rt);
  thrum_rt_free(rt);
  thrum_domain_retain(d);
  thrum_domain_release(d);
  thrum_domain_release(d);
  return wrong;
}

}  // namespace

TEST_CASE("fork: named calls take no lock") {
  thrum_rt* rt = nullptr;
  thrum_domain* d = nullptr;
  thrum_g g = 0;
  thrum_domain_ops ops{};
  ops.struct_size = sizeof ops;
  ops.flags = THRUM_DOMAIN_PUMPED;
  REQUIRE(thrum_rt_new(&rt, nullptr) == 0);
  REQUIRE(thrum_domain_new(rt, &ops, nullptr, &d) == 0);
  REQUIRE(thrum_spawn(rt, nullptr, nothing, nullptr, &g) == 0);
  CHECK(thrum_join(rt, g, kForever) == 0);
  Child c = in_child([=] {
    hold_all(reinterpret_cast<Runtime*>(rt));
    _exit(wrong_answers(rt, d, g));
  });
  CHECK(c.exited(0));
  thrum_domain_release(d);
  CHECK(thrum_rt_stop(rt, kForever) == 0);
  thrum_rt_free(rt);
}
