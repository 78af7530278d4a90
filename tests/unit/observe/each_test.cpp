#include "../objects.hpp"
#include "observe/each.hpp"

using namespace unit;

namespace {

// Copies of what was seen; a view's strings live for the call only.
struct Seen {
  u64 handle;
  State state;
  Why why;
  char reason[32], name[48];
  Domain* domain;
  void* arg;
  bool has_stack, sp_inside;
};

struct Views {
  Seen at[256];
  u32 n = 0;

  explicit Views(Runtime* rt) { each_g(rt, note, this); }

  static void note(void* arg, const GView& v) {
    Views& l = *static_cast<Views*>(arg);
    if (l.n == 256) {
      return;
    }
    Seen& s = l.at[l.n++];
    s = Seen{v.handle, v.state, v.why, {}, {}, v.domain, v.arg, {}, {}};
    strncpy(s.reason, v.reason, sizeof s.reason - 1);
    strncpy(s.name, v.name, sizeof s.name - 1);
    s.has_stack = v.stack_lo && v.stack_hi > v.stack_lo;
    s.sp_inside = v.sp && v.sp >= v.stack_lo && v.sp < v.stack_hi;
  }

  // handle 0: it was not seen.
  Seen of(u64 handle) const {
    for (u32 i = 0; i < n; ++i) {
      if (at[i].handle == handle) {
        return at[i];
      }
    }
    return Seen{};
  }
};

bool is(const char* a, const char* b) { return strcmp(a, b) == 0; }

}  // namespace

TEST_CASE("each: names, states, reasons, stacks") {
  Rt rt(still());
  int rc = rt.run([&] {
    Channel c(0);
    Mutex x{};
    (void)lock(x);
    struct Row {
      const char* name;
      Why why;
      const char* reason;
      void (*wait)(Channel&, Mutex&);
      u64 h;
    };
    Row rows[] = {
        {"sleeper", Why::sleep, "sleep",
         [](Channel&, Mutex&) { (void)sleep_ns(1000 * kSecond); }, 0},
        {"receiver", Why::chan_recv, "chan_recv",
         [](Channel& ch, Mutex&) {
           u64 v;
           (void)recv(ch, &v);
         },
         0},
        {"locker", Why::mutex, "mutex",
         [](Channel&, Mutex& mu) {
           (void)lock(mu);
           (void)unlock(mu);
         },
         0},
        {"parker", Why::park, "waits for yarn",
         [](Channel&, Mutex&) { (void)park(kForever, "waits for yarn"); }, 0},
        {"", Why::park, "park", [](Channel&, Mutex&) { (void)park(); }, 0},
    };
    for (Row& r : rows) {
      SpawnOpts o;
      o.name = *r.name ? r.name : nullptr;
      r.h = go([&] { r.wait(c, x); }, &o);
      wait_parked(r.h);
    }
    u64 fresh = go([] {});
    static int word;
    SpawnOpts named;
    named.name = "fresh, named, with a word";
    u64 arg = spawn_fn(
        nullptr, [](void*) {}, &word, &named);

    Views look(rt.rt);
    CHECK(look.n == 5 + 2 + 1);
    for (Row& r : rows) {
      Seen s = look.of(r.h);
      CHECK(s.handle == r.h);
      CHECK(s.state == State::waiting);
      CHECK(s.why == r.why);
      CHECK_ROW(is(s.reason, r.reason), r.reason);
      CHECK_ROW(is(s.name, r.name), r.name);
      CHECK(s.has_stack);
      CHECK(s.sp_inside);
      CHECK(s.domain == nullptr);
    }
    Seen s = look.of(fresh);
    CHECK(s.handle == fresh);
    CHECK(s.state == State::runnable);
    CHECK(s.why == Why::none);
    CHECK(is(s.reason, ""));
    CHECK_FALSE(s.has_stack);
    s = look.of(arg);
    CHECK(s.handle == arg);
    CHECK(is(s.name, "fresh, named, with a word"));
    CHECK(s.arg == &word);
    s = look.of(self());
    CHECK(s.handle == self());
    CHECK(s.state == State::running);
    CHECK(s.has_stack);
    CHECK_FALSE(s.sp_inside);  // it is not to be walked while it runs

    (void)join(fresh);
    (void)join(arg);
    (void)unlock(x);
    for (Row& r : rows) {
      (void)cancel(r.h);
      (void)join(r.h);
    }
    Views after(rt.rt);
    CHECK(after.n == 1);
    CHECK(after.of(fresh).handle == 0);
  });
  CHECK(rc == 0);
}

TEST_CASE("each: a G in a blocking call, and one of a domain") {
  Rt rt(1);
  Atomic<u32> inside{0}, go_on{0};
  u64 h = go_in(rt.rt, [&] {
    {
      Enter e;
      (void)enter_blocking(e.m);
    }
    inside.store(1);
    while (!go_on.load()) {
      os::thread_sleep(100'000);
    }
    Enter e;
    (void)exit_blocking(e.m);
  });
  until([&] { return inside.load() != 0; });
  DomainOps ops{};
  Domain* d = nullptr;
  REQUIRE(domain_new(rt.rt, ops, nullptr, &d) == 0);
  SpawnOpts o;
  o.domain = d;
  u64 in_domain = go_in(
      rt.rt, [] { (void)park(); }, &o);
  wait_parked(rt.rt, in_domain);
  {
    Views look(rt.rt);
    Seen s = look.of(h);
    CHECK(s.handle == h);
    CHECK(s.state == State::blocking);
    CHECK(s.why == Why::blocking);
    CHECK(is(s.reason, "blocking"));
    s = look.of(in_domain);
    CHECK(s.handle == in_domain);
    CHECK(s.domain == d);
    CHECK(s.state == State::waiting);
  }
  go_on.store(1);
  (void)join(h, rt.rt);
  (void)unpark(in_domain, rt.rt);
  (void)join(in_domain, rt.rt);
  domain_release(d);
}

TEST_CASE("each: while Gs come and go") {
  Rt rt(3);
  Atomic<bool> stop{false};
  Waitgroup ended{};
  (void)add(ended, 6);
  for (u32 i = 0; i < 6; ++i) {
    (void)go_in(rt.rt, [&] {
      SpawnOpts o;
      o.name = "child";
      while (!stop.load()) {
        (void)join(go([] { (void)yield(); }, &o));
      }
      (void)add(ended, -1);
    });
  }
  u32 odd = 0, odd_state = 0, most = 0;
  for (u32 i = 0; i < rounds(2000); ++i) {
    Views look(rt.rt);
    most = max(most, look.n);
    for (u32 k = 0; k < look.n; ++k) {
      const Seen& s = look.at[k];
      odd += handle_tag(s.handle) != rt->tag;
      odd += !is(s.name, "") && !is(s.name, "child");
      odd_state += s.state == State::dead || s.state == State::none;
      for (u32 j = 0; j < k; ++j) {
        odd += look.at[j].handle == s.handle;
      }
    }
  }
  stop.store(true);
  (void)wait(ended);
  CHECK(odd == 0);
  CHECK(odd_state == 0);
  CHECK(most >= 6);
}

TEST_CASE("report: a title, and a line for each of at most 64") {
  Child c = in_child([] {
    Rt rt(hosted());
    SpawnOpts o;
    o.name = "weft";
    (void)go_in(
        rt.rt, [] { (void)park(kForever, "yarn"); }, &o);
    (void)rt.pump();
    report_gs(rt.rt, "what is on the loom");
    for (int i = 0; i < 70; ++i) {
      (void)go_in(rt.rt, [] {});
    }
    report_gs(rt.rt, "again");
  });
  CHECK_CHILD(c.exited(0), c);
  CHECK_CHILD(c.said("thrum: what is on the loom\n"), c);
  CHECK_CHILD(c.said("\"weft\" waiting yarn\n"), c);
  CHECK_CHILD(c.said("\"\" runnable \n"), c);
  CHECK_CHILD(c.said("and 7 more\n"), c);
  u32 lines = 0;
  u32 places = 0;  // below those that wait
  for (const char* p = c.text; *p; p = strchr(p, '\n') + 1) {
    bool place = strncmp(p, "thrum:     ", 11) == 0;
    ++(place ? places : lines);
  }
  CHECK(lines == 2 + 1 + 64 + 1);
  CHECK(places >= 2);
}
