// Ms on the CPUs of their Ps, and memory on their nodes, as a tree of files says; and
// what is refused. This machine's own CPUs, in a made-up shape. sysmon does not look:
// the cases do, at times of their own.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <string>

#include "../objects.hpp"
#include "observe/os_report.hpp"
#include "place/governor.hpp"
#include "tree.hpp"

using namespace unit;

namespace {

CpuSet own_cpus() {
  CpuSet out{};
  CHECK(os::affinity_get(0, out.words, kCpuWords) == 0);
  return out;
}

bool pin_self(const CpuSet& cpus) {
  return os::affinity_set(0, cpus.words, kCpuWords) == 0;
}

CpuSet one(u32 cpu) {
  CpuSet out{};
  out.add(cpu);
  return out;
}

// Each CPU is a node of its own, with memory; numbered as the CPUs are.
void node_per_cpu(Tree& tree) {
  const std::string sys = "/sys/devices/system/";
  std::string list;
  each_cpu(own_cpus(), [&](u32 cpu) {
    list += (list.empty() ? "" : ",") + std::to_string(cpu);
  });
  tree.put(sys + "cpu/online", list + "\n");
  tree.put(sys + "node/online", list + "\n");
  tree.put(sys + "node/has_memory", list + "\n");
  each_cpu(own_cpus(), [&](u32 cpu) {
    std::string at = sys + "node/node" + std::to_string(cpu) + "/", row;
    each_cpu(own_cpus(), [&](u32 to) {
      row += (row.empty() ? "" : " ") + std::to_string(to == cpu ? 10 : 20);
    });
    tree.put(at + "cpulist", std::to_string(cpu) + "\n");
    tree.put(at + "distance", row + "\n");
  });
}

i64 never(Govern*, Runtime*, i64, bool) { return kForever; }

struct Placed {
  Tree tree;
  Runtime* rt = nullptr;
  Governor* g = nullptr;
  i64 (*look_now)(Govern*, Runtime*, i64, bool) = nullptr;
  i64 now = kSecond;

  explicit Placed(Pins pins, u32 procs = 2, bool flat = false) {
    GovernOpts opts;
    opts.pins = pins;
    opts.flat = flat;
    node_per_cpu(tree);
    opts.root = tree.root();
    g = governor_make(opts);
    REQUIRE(g);
    look_now = g->seam.look;
    g->seam.look = never;
    Config c = still(procs);
    c.govern = &g->seam;
    REQUIRE(rt_new(&rt, c) == 0);
    look();  // the first one only says when the next is due
  }
  ~Placed() {
    CHECK(rt_stop(nullptr, rt, soon()) == 0);
    check_stopped(rt);
    rt_release(rt);
  }
  void look() {
    now += 2 * kSecond;
    look_now(&g->seam, rt, now, true);
  }
  std::string report() {
    std::string text(os_report(rt, tree.root(), nullptr, 0) + 1024, 0);
    text.resize(os_report(rt, tree.root(), text.data(), text.size()));
    return text;
  }
  // f runs on every P at once.
  template <class F>
  void on_each_p(F f) {
    Atomic<u32> there{0};
    u32 n = rt->procs.load();
    u64 hs[8];
    for (u32 i = 0; i < n; ++i) {
      hs[i] = go_in(rt, [&] {
        there.fetch_add(1);
        while (there.load() < n) {
          cpu_relax();
        }
        (void)yield();  // a thread that is new is at home by now
        f();
      });
    }
    for (u32 i = 0; i < n; ++i) {
      CHECK(join(hs[i], rt) == 0);
    }
  }
};

bool says(const std::string& text, const std::string& what) {
  return text.find(what) != std::string::npos;
}

// Whether the CPUs of the calling G's thread are those of its P.
bool at_home(Runtime* rt) {
  M* m = this_m();
  CpuSet want;
  rt->config.govern->home(rt->config.govern, m->p->id, &want);
  return own_cpus() == want && m->place == m->p->place.load();
}

}  // namespace

TEST_CASE("pins: a made-up second node changes what is near") {
  if (own_cpus().count() < 2) {
    UNIT_SKIP("one CPU only");
  }
  Placed p(Pins::none, 4);
  CHECK(p.rt->near.load() == nullptr);  // nobody has looked
  p.look();
  const Near* near = p.rt->near.load();
  REQUIRE(near);
  CHECK(near->rings == 2);
  CHECK(near->nodes == own_cpus().count());
  CHECK(p.rt->plan.load() == 0);
  p.on_each_p([&] { CHECK(my_p()->place.load() < near->places); });
  CHECK(says(p.report(), "\"distances\": true"));
  CHECK(says(p.report(), "\"pin\": {\"to\": null, \"pinned\": 0"));
  p.look();
  CHECK(p.rt->near.load() == near);

  Placed flat(Pins::none, 2, true);
  flat.look();
  CHECK(flat.rt->near.load() == nullptr);
  CHECK(says(flat.report(), "\"distances\": false"));
}

TEST_CASE("pins: to a CPU or a node each, and back from another P") {
  for (Pins pins : {Pins::cpu, Pins::node}) {
    Placed p(pins, 3);
    REQUIRE(p.rt->near.load());
    for (int round = 0; round < 20; ++round) {
      Atomic<u32> away{0};
      p.on_each_p(
          [&] { away.fetch_add(!at_home(p.rt) || own_cpus().count() != 1); });
      CHECK(away.load() == 0);
    }
    CHECK(p.rt->pins.pinned >= 3);
    CHECK(p.rt->pins.refused == 0);
    CHECK(says(p.report(), pins == Pins::cpu
                               ? "{\"to\": \"cpu\", \"pinned\""
                               : "{\"to\": \"node\", \"pinned\""));
  }
}

TEST_CASE("pins: followed when the process may have other CPUs") {
  CpuSet all = own_cpus();
  if (all.count() < 2) {
    UNIT_SKIP("one CPU only");
  }
  Placed p(Pins::cpu);
  p.look();
  u32 plan = p.rt->plan.load();
  p.look();
  CHECK(p.rt->plan.load() == plan);
  u32 last = 0;
  each_cpu(all, [&](u32 cpu) { last = cpu; });
  REQUIRE(pin_self(one(last)));
  p.look();
  bool back = pin_self(all);
  CHECK(p.rt->plan.load() == plan + 1);
  Atomic<u32> there{0};
  p.on_each_p([&] { there.fetch_add(own_cpus() == one(last)); });
  CHECK(there.load() == 2);
  p.look();  // all of them again
  CHECK(back);
  Atomic<u32> away{0};
  p.on_each_p(
      [&] { away.fetch_add(!at_home(p.rt) || own_cpus().count() != 1); });
  CHECK(away.load() == 0);
  CpuSet homes[2];
  for (u32 i = 0; i < 2; ++i) {
    p.rt->config.govern->home(p.rt->config.govern, i, &homes[i]);
  }
  CHECK(!(homes[0] == homes[1]));
}

TEST_CASE("pins: within what thrum_pin_threads says") {
  CpuSet all = own_cpus();
  Placed p(Pins::cpu);
  CpuSet first = one(all.next(0));
  CHECK(pin_threads(p.rt, first.words, kCpuWords) == 0);
  governor_told(p.g, p.rt);
  Atomic<u32> there{0};
  p.on_each_p([&] { there.fetch_add(own_cpus() == first); });
  CHECK(there.load() == 2);
}

TEST_CASE("pins: threads of the host and of locked Gs are left alone") {
  CpuSet all = own_cpus();
  Placed p(Pins::cpu);
  auto main = [&] {
    CHECK((this_m()->lent ? own_cpus() == all : own_cpus().count() == 1));
  };
  {
    EnterParking e;
    CHECK(run(e.m, p.rt, call_it<decltype(main)>, &main) == 0);
  }
  CHECK(own_cpus() == all);
  u64 h = go_in(p.rt, [&] {
    EnterParking e;
    CHECK(lock_thread(e.m) == 0);
    CHECK(pin_cpu(e.m, all.words, kCpuWords) == 0);
    e.m->p->attention.fetch_or(kAttnPlace);
    (void)thrum::yield(e.m);
    CHECK(own_cpus() == all);
    CHECK(unlock_thread(e.m) == 0);
  });
  CHECK(join(h, p.rt) == 0);
}

TEST_CASE("pins: a CPU that is not there is refused, and told once a plan") {
  Placed p(Pins::cpu);
  for (u32 i = 0; i < p.g->order.count; ++i) {
    p.g->order.cpus[i] = 1000;
  }
  Atomic<u32> ran{0};
  p.on_each_p([&] { ran.fetch_add(1); });
  CHECK(ran.load() == 2);
  CHECK(p.rt->pins.refused == p.rt->pins.pinned);
  CHECK(p.rt->pins.refused >= 2);
  CHECK(p.rt->pins.error == kEINVAL);
  CHECK(says(p.report(), "\"error\": -22}, \"memory\""));
}

// A node that this machine does not have: mbind refuses, and stacks are had all the
// same.
TEST_CASE("pins: memory of a node that is not there is refused") {
  if (!os::memory_local()) {
    UNIT_SKIP("no memory policies here, or one that is set");
  }
  if (own_cpus().count() < 2) {
    UNIT_SKIP("one CPU only");
  }
  Placed p(Pins::cpu);
  Atomic<u32> ran{0};
  p.on_each_p([&] { ran.fetch_add(1); });
  CHECK(ran.load() == 2);
  mem::ArenaCounts n = p.rt->arenas.counts(0);
  CHECK(n.placed + n.unplaced >= 2);
  CHECK(n.placed >= 1);  // node 0 is everywhere
  CHECK((n.unplaced == 0) == (n.place_error == 0));
  CHECK((n.unplaced == 0) == (p.rt->pins.memory_refused == 0));
}

namespace {

// As a container's filter may: calls of these numbers are refused.
bool refuse(std::initializer_list<long> calls) {
  for (long nr : calls) {
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<u32>(nr), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog filter{sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
      return false;
    }
  }
  return true;
}

}  // namespace

TEST_CASE("pins: in a sandbox all runs, and the report says what was refused") {
  Child c = in_child([] {
    if (!refuse({SYS_sched_setaffinity, SYS_mbind, SYS_set_mempolicy})) {
      _exit(kNoLimits);
    }
    Atomic<u32> ran{0};
    {
      Placed p(Pins::cpu);
      p.on_each_p([&] { ran.fetch_add(1); });
      std::string text = p.report();
      printf("%s\n", text.c_str());
      fflush(stdout);
      bool told = says(text, "\"error\": -1}, \"memory\"") &&
                  (own_cpus().count() < 2 || !p.g->ours ||
                   says(text, "\"heaps_error\": -1"));
      if (!told) {
        ran.store(99);
      }
    }
    _exit(ran.load() == 2 ? 0 : 1);
  });
  if (c.exited(kNoLimits)) {
    UNIT_SKIP("no seccomp filter here");
  }
  CHECK_CHILD(c.exited(0), c);
}
