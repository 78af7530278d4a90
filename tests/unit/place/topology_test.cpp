// Shapes of machines: recorded ones, and what cannot be read.
#include "place/topology.hpp"

#include <algorithm>
#include <memory>
#include <sstream>
#include <vector>

#include "tree.hpp"
#include "trees.hpp"

using namespace unit;

namespace {

constexpr const char* kSys = "/sys/devices/system/";

CpuSet set_of(const std::string& text) {
  CpuSet out;
  REQUIRE(os::cpu_list_parse(text.c_str(), &out));
  return out;
}

std::string text_of(const CpuSet& set) {
  std::string out;
  for (u32 cpu = set.next(0); cpu < kCpus; cpu = set.next(cpu)) {
    u32 last = cpu;
    while (set.has(last + 1)) {
      ++last;
    }
    out += (out.empty() ? "" : ",") + std::to_string(cpu);
    out += last > cpu ? "-" + std::to_string(last) : "";
    cpu = last + 1;
  }
  return out;
}

struct Shaped {
  std::string name, order, memory;
  std::vector<std::string> rings;
  int error = 0;
  u32 nodes = 0, places = 0;
};

void caches(Tree& tree, const std::string& list, bool third) {
  each_cpu(set_of(list), [&](u32 cpu) {
    std::string at = kSys + ("cpu/cpu" + std::to_string(cpu)) + "/cache/index";
    std::string self = std::to_string(cpu) + "\n";
    tree.put(at + "0/level", "1\n");
    tree.put(at + "0/shared_cpu_list", self);
    tree.put(at + "1/level", "1\n");
    tree.put(at + "1/shared_cpu_list", self);
    tree.put(at + "2/level", "2\n");
    tree.put(at + "2/shared_cpu_list", third ? self : list + "\n");
    if (third) {
      tree.put(at + "3/level", "3\n");
      tree.put(at + "3/shared_cpu_list", list + "\n");
    }
  });
}

// A line of the text, as files.
void plant(Tree& tree, char kind, const std::string& rest) {
  size_t space = rest.find(' ');
  std::string path = kSys + rest.substr(0, space);
  switch (kind) {
    case 'o':
      return tree.put(std::string(kSys) + "cpu/online", rest + "\n");
    case 'N':
      return tree.put(std::string(kSys) + "node/online", rest + "\n");
    case 'M':
      return tree.put(std::string(kSys) + "node/has_memory", rest + "\n");
    case 'n': {
      size_t bar = rest.find('|');
      std::string at = kSys + ("node/node" + rest.substr(0, space)) + "/";
      tree.put(at + "cpulist", rest.substr(space + 1, bar - space - 1) + "\n");
      return tree.put(at + "distance", rest.substr(bar + 1) + "\n");
    }
    case 'c':
    case 'b':
      return caches(tree, rest, kind == 'c');
    case 's':
      return each_cpu(set_of(rest), [&](u32 cpu) {
        tree.put(kSys + ("cpu/cpu" + std::to_string(cpu)) +
                     "/topology/core_cpus_list",
                 rest + "\n");
      });
    case 'f':
      return tree.put(path, rest.substr(space + 1) + "\n");
    case 'd':
      return tree.deny(path);
    default:
      FAIL("a line of the trees: " << kind);
  }
}

// What is in ring 0, 1, … around a CPU.
std::string rings_of(const os::Topology& t, const Near& near, u32 cpu) {
  std::string out = std::to_string(cpu) + ":";
  for (u32 ring = 0; ring < near.rings; ++ring) {
    CpuSet in{};
    each_cpu(t.online, [&](u32 other) {
      if (near.ring[near.of_cpu[cpu]][near.of_cpu[other]] == ring) {
        in.add(other);
      }
    });
    out += in.count() ? " " + text_of(in) : "";
  }
  return out;
}

void look(const Shaped& w, Tree& tree) {
  auto t = std::make_unique<os::Topology>();
  auto near = std::make_unique<Near>();
  {
    Nobody nobody;
    os::topology_read(*t, tree.root());
  }
  near_make(*t, true, *near);
  const char* name = w.name.c_str();
  CHECK_ROW(t->error == w.error, name);
  CHECK_ROW(near->nodes == w.nodes, name);
  CHECK_ROW(near->places == w.places, name);
  CHECK_ROW(near_matters(*near, t->online) == (w.places > 1), name);
  for (const std::string& want : w.rings) {
    u32 cpu = static_cast<u32>(std::stoul(want));
    CHECK_MESSAGE(rings_of(*t, *near, cpu) == want, name);
  }
  std::string memory;
  for (u32 i = 1; i <= kPlaceNodes; ++i) {
    if (std::count(near->node, near->node + near->places, i)) {
      memory += (memory.empty() ? "" : " ") +
                (near->memory[i] < 0 ? "-" : std::to_string(near->memory[i]));
    }
  }
  CHECK_MESSAGE(memory == w.memory, name);
  if (!w.order.empty()) {
    CpuOrder order;
    cpu_order(*t, t->online, order);
    std::string cpus;
    for (u32 i = 0; i < order.count; ++i) {
      cpus += (i ? " " : "") + std::to_string(order.cpus[i]);
    }
    CHECK_MESSAGE(cpus == w.order, name);
  }
}

// Builds the next shape of the text and looks at it; false: there is none.
bool next_tree(std::istringstream& in) {
  std::string line;
  Shaped w;
  Tree tree;
  while (std::getline(in, line) && !(line.empty() && !w.name.empty())) {
    std::istringstream words(line);
    std::string word, rest;
    words >> word >> std::ws;
    std::getline(words, rest);
    if (word == "==") {
      w.name = rest;
    } else if (word == "want") {
      std::istringstream(rest) >> w.error >> w.nodes >> w.places;
    } else if (word == "order") {
      w.order = rest;
    } else if (word == "rings") {
      w.rings.push_back(rest);
    } else if (word == "memory") {
      w.memory = rest;
    } else if (!word.empty()) {
      plant(tree, word[0], rest);
    }
  }
  if (w.name.empty()) {
    return false;
  }
  look(w, tree);
  return true;
}

}  // namespace

TEST_CASE("topology: every recorded tree has the shape that it should") {
  int n = 0;
  std::istringstream in(kTrees);
  while (next_tree(in)) {
    ++n;
  }
  CHECK(n >= 20);
}

TEST_CASE("topology: without /sys the CPUs of the process are all alike") {
  Tree tree;
  auto t = std::make_unique<os::Topology>();
  os::topology_read(*t, tree.root());
  CpuSet own{};
  REQUIRE(os::affinity_get(0, own.words, kCpuWords) == 0);
  CHECK(t->error == ENODATA);
  CHECK(t->online == own);
  CHECK(t->nodes == 1);
  auto near = std::make_unique<Near>();
  near_make(*t, true, *near);
  CHECK(!near_matters(*near, own));
}

TEST_CASE("topology: of this machine, as the kernel tells it") {
  auto t = std::make_unique<os::Topology>();
  os::topology_read(*t, "");
  CpuSet own{};
  REQUIRE(os::affinity_get(0, own.words, kCpuWords) == 0);
  CHECK(own.without(t->online).count() == 0);
  u32 in_nodes = 0;
  for (u32 i = 0; i < t->nodes; ++i) {
    in_nodes += t->node[i].cpus.count();
  }
  CHECK(in_nodes == t->online.count());
}

TEST_CASE("topology: lists and numbers, and what is none") {
  struct Row {
    const char* text;
    const char* want;  // null: refused
  };
  for (Row r : {Row{"0-3,8\n", "0-3,8"}, Row{"\n", ""}, Row{"", ""},
                Row{"1023", "1023"}, Row{"5,4", "4-5"}, Row{"1024", nullptr},
                Row{"0-", nullptr}, Row{"-1", nullptr}, Row{"3-1", nullptr},
                Row{"1,,2", nullptr}, Row{"1,", nullptr}, Row{"0x1", nullptr},
                Row{"1 2", nullptr}, Row{"0-7:2/4", nullptr},
                Row{"99999999999999999999", nullptr}}) {
    CpuSet out;
    bool ok = os::cpu_list_parse(r.text, &out);
    CHECK_ROW(ok == (r.want != nullptr), r.text);
    CHECK_ROW(text_of(out) == (r.want ? r.want : ""), r.text);
  }
  u16 n[3] = {};
  CHECK(os::numbers_parse("10 20 30\n", n, 3) == 3);
  CHECK(n[2] == 30);
  CHECK(os::numbers_parse("10 20 30 40", n, 3) == 4);
  for (const char* bad : {"", "\n", "10  20", "10 ", "ten", "70000", "-1"}) {
    CHECK_ROW(os::numbers_parse(bad, n, 3) == 0, bad);
  }
}

TEST_CASE("topology: CPUs of Ps are those that may be had, and begin anew") {
  Tree tree;
  plant(tree, 'o', "0-7");
  plant(tree, 'N', "0-1");
  plant(tree, 'n', "0 0-3|10 20");
  plant(tree, 'n', "1 4-7|20 10");
  for (const char* core : {"0-1", "2-3", "4-5", "6-7"}) {
    plant(tree, 's', core);
  }
  auto t = std::make_unique<os::Topology>();
  auto near = std::make_unique<Near>();
  os::topology_read(*t, tree.root());
  near_make(*t, true, *near);
  CpuOrder order;
  cpu_order(*t, set_of("1-5,9"), order);  // 9 came since
  const u16 want[] = {1, 2, 4, 3, 5, 9};
  REQUIRE(order.count == 6);
  CHECK(std::equal(want, want + 6, order.cpus));
  CpuSet cpus;
  u8 place = cpus_of_p(*near, order, Pins::cpu, 2, &cpus);
  CHECK(text_of(cpus) == "4");
  CHECK(place == near->of_cpu[7]);
  cpus_of_p(*near, order, Pins::cpu, 6 + 3, &cpus);
  CHECK(text_of(cpus) == "3");
  cpus_of_p(*near, order, Pins::node, 2, &cpus);
  CHECK(text_of(cpus) == "4-5");
  cpus_of_p(*near, order, Pins::node, 0, &cpus);
  CHECK(text_of(cpus) == "1-3,9");  // of no known node: with the first
}
