// <thrum/thrum.hpp> as a user of C++ meets it. A check inside a G stands
// alone: parking calls come before it, because doctest keeps thread-locals.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <thrum/thrum.hpp>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using thrum::kForever;
using thrum::kTry;

namespace {

// Counts its living instances.
struct Counted {
  static std::atomic<int> alive;
  int value;
  explicit Counted(int v) : value(v) { alive++; }
  Counted(Counted&& other) noexcept : value(other.value) { alive++; }
  Counted& operator=(Counted&& other) noexcept {
    value = other.value;
    return *this;
  }
  ~Counted() { alive--; }
};
std::atomic<int> Counted::alive{0};

template <class F>
void in_g(F&& f) {
  thrum::Runtime rt;
  CHECK(rt.run(std::forward<F>(f)) == 0);
}

// Lets the other Gs come to their waits.
void let_run() {
  for (int i = 0; i < 200; i++) {
    (void)thrum::yield();
  }
}

}  // namespace

TEST_CASE("run: the body is a G, on a closure of its own") {
  thrum_g self = 0;
  int left = -1;
  in_g([&, own = std::make_unique<int>(7)] {
    self = thrum_self();
    left = *own;
  });
  CHECK(self != 0);
  CHECK(left == 7);
  CHECK(thrum_self() == 0);
}

TEST_CASE("go: join sees the closure destroyed") {
  std::vector<int> rc;
  std::atomic<int> ran{0};
  int alive_after_join = -1;
  in_g([&] {
    thrum::G g = thrum::go([&, c = Counted(1)] { ran += c.value; });
    rc.push_back(g.join());
    alive_after_join = Counted::alive;
    rc.push_back(g.join());
    rc.push_back(g.cancel());
  });
  CHECK(rc == std::vector<int>{0, 0, THRUM_ESTALE});
  CHECK(ran == 1);
  CHECK(alive_after_join == 0);
}

TEST_CASE("go: what cannot be spawned is false and destroyed") {
  thrum::G outside = thrum::go([c = Counted(1)] {});
  CHECK_FALSE(outside);
  CHECK(outside.error == THRUM_EINVAL);
  CHECK(outside.join() == THRUM_EINVAL);
  CHECK(outside.cancel() == THRUM_EINVAL);
  CHECK(Counted::alive == 0);

  thrum::Runtime rt;
  CHECK(rt.stop() == 0);
  thrum::G late = rt.go([c = Counted(1)] {});
  CHECK(late.error == THRUM_ECLOSED);
  CHECK(Counted::alive == 0);
}

TEST_CASE("runtime: a wrong config is an answer") {
  thrum_config config;
  thrum_config_init(&config, sizeof config);
  config.flags = 1u << 31;
  thrum::Runtime rt(&config);
  bool ran = false;
  CHECK_FALSE(rt);
  CHECK(rt.error == THRUM_EINVAL);
  CHECK(rt.run([&] { ran = true; }) == THRUM_EINVAL);
  CHECK(rt.go([&] { ran = true; }).error == THRUM_EINVAL);
  CHECK(rt.pump(kTry) == THRUM_EINVAL);
  CHECK_FALSE(ran);
}

TEST_CASE("runtime: threads of the host spawn and join") {
  thrum::Runtime rt;
  std::atomic<int> sum{0};
  std::vector<thrum::G> gs;
  for (int i = 1; i <= 100; i++) {
    gs.push_back(rt.go([&sum, i] { sum += i; }));
  }
  for (const thrum::G& g : gs) {
    CHECK(g.join() == 0);
  }
  CHECK(sum == 5050);
}

TEST_CASE("runtime: hosted, pumped by hand") {
  thrum_config config;
  thrum_config_init(&config, sizeof config);
  config.flags = THRUM_RT_HOSTED;
  thrum::Runtime rt(&config);
  thrum::Channel<int> ch;
  int got = 0;
  (void)rt.go([&] { (void)ch.recv(got); });
  CHECK(rt.pump(kForever) == 1);
  (void)rt.go([&] { (void)ch.send(5); });
  CHECK(rt.pump(kForever) == 0);
  CHECK(got == 5);
}

TEST_CASE("options: the name is seen") {
  std::string name;
  in_g([&] {
    thrum::Channel<int> ch;
    thrum::G g = thrum::go([&] { (void)ch.recv(); }, thrum::Options("weaver"));
    auto look = [](void* arg, const thrum_g_info* info) {
      if (std::string(info->name) == "weaver") {
        *static_cast<std::string*>(arg) = info->name;
      }
    };
    (void)thrum_g_each(nullptr, look, &name);
    (void)ch.close();
    (void)g.join();
  });
  CHECK(name == "weaver");
}

TEST_CASE("channel: ints in order, until it is drained") {
  std::vector<int> got;
  in_g([&] {
    thrum::Channel<int> ch(3);
    thrum::G g = thrum::go([=] {
      for (int i = 0; i < 100; i++) {
        (void)ch.send(i);
      }
      (void)ch.close();
    });
    while (std::optional<int> v = ch.recv()) {
      got.push_back(*v);
    }
    (void)g.join();
  });
  REQUIRE(got.size() == 100);
  CHECK(got.front() == 0);
  CHECK(got.back() == 99);
}

TEST_CASE("channel: between a thread and a G") {
  thrum::Runtime rt;
  thrum::Channel<int> there, back(1);
  (void)rt.go([=] {
    while (std::optional<int> v = there.recv()) {
      (void)back.send(*v + 1);
    }
    (void)back.close();
  });
  for (int i = 0; i < 100; i++) {
    int answer = 0;
    CHECK(there.send(i) == 0);
    CHECK(back.recv(answer) == 0);
    CHECK(answer == i + 1);
  }
  CHECK(there.close() == 0);
  CHECK(there.close() == THRUM_ECLOSED);
  CHECK_FALSE(back.recv().has_value());
}

TEST_CASE("channel: a send that fails leaves a moved value with the sender") {
  thrum::Channel<std::unique_ptr<int>> ch(1);
  auto first = std::make_unique<int>(1), second = std::make_unique<int>(2);
  CHECK(ch.send(std::move(first)) == 0);
  CHECK(first == nullptr);
  CHECK(ch.send(std::move(second), kTry) == THRUM_EAGAIN);
  CHECK(ch.send(std::move(second), thrum::after(1ms)) == THRUM_ETIMEDOUT);
  CHECK(ch.close() == 0);
  CHECK(ch.send(std::move(second)) == THRUM_ECLOSED);
  REQUIRE(second != nullptr);
  CHECK(*second == 2);
  std::unique_ptr<int> got;
  CHECK(ch.recv(got) == 0);
  CHECK(*got == 1);
  CHECK(ch.recv(got) == THRUM_ECLOSED);
  CHECK(*got == 1);  // a failure leaves it as it was
}

TEST_CASE("channel: a cancelled send gives the value back") {
  int rc = 0, kept = 0;
  in_g([&] {
    thrum::Channel<std::unique_ptr<int>> ch;
    thrum::G g = thrum::go([&, p = std::make_unique<int>(9)]() mutable {
      rc = ch.send(std::move(p));
      kept = p == nullptr ? 0 : *p;
    });
    let_run();
    (void)g.cancel();
    (void)g.join();
  });
  CHECK(rc == THRUM_ECANCELED);
  CHECK(kept == 9);
}

TEST_CASE("channel: what is left in the buffer is destroyed once") {
  {
    thrum::Channel<Counted> ch(4);
    for (int i = 0; i < 3; i++) {
      CHECK(ch.send(Counted(i)) == 0);
    }
    thrum::Channel<Counted> same(ch);
    CHECK(same.recv()->value == 0);
    CHECK(Counted::alive == 2);
  }
  CHECK(Counted::alive == 0);
}

TEST_CASE("channel: copies are the same channel, assignment lets go") {
  thrum::Channel<std::string> a(2), b(1);
  b = a;
  CHECK(a.raw == b.raw);
  b = static_cast<const thrum::Channel<std::string>&>(b);
  const std::string text(100, 'x');
  CHECK(a.send(text) == 0);
  CHECK(a.send(std::string("y")) == 0);
  CHECK(*b.recv() == text);
  CHECK(*b.recv() == "y");
}

TEST_CASE("select: acts on one arm and gives the others' values back") {
  thrum::Channel<int> ints(1), full(1);
  thrum::Channel<std::string> words(1);
  CHECK(full.send(0) == 0);
  std::string word = "hello";
  int blocked = 8, code = 1, calls = 0;
  int got = -1;
  auto round = [&](int64_t deadline) {
    return thrum::select(
        deadline,
        thrum::on_recv(ints,
                       [&](std::optional<int> v) {
                         calls++;
                         got = v ? *v : -2;
                       }),
        thrum::on_send(words, word,
                       [&](int rc) {
                         calls++;
                         code = rc;
                       }),
        thrum::on_send(full, blocked, [&](int) { calls += 100; }));
  };
  CHECK(round(kForever) == 1);
  CHECK(code == 0);
  CHECK(*words.recv() == "hello");

  CHECK(words.send(std::string("in the way")) == 0);
  word = "stays";
  CHECK(round(kTry) == THRUM_EAGAIN);
  CHECK(round(thrum::after(1ms)) == THRUM_ETIMEDOUT);
  CHECK(word == "stays");
  CHECK(calls == 1);

  CHECK(ints.send(3) == 0);
  CHECK(round(kForever) == 0);
  CHECK(got == 3);
  CHECK(word == "stays");

  CHECK(ints.close() == 0);
  CHECK(round(kForever) == 0);
  CHECK(got == -2);

  thrum::Channel<int> empty;
  CHECK(words.close() == 0);
  CHECK(thrum::select(
            kForever, thrum::on_recv(empty, [](auto) {}),
            thrum::on_send(words, word, [&](int rc) { code = rc; })) == 1);
  CHECK(code == THRUM_ECLOSED);
  CHECK(word == "stays");
}

TEST_CASE("scope: joins all, and answers 0") {
  std::atomic<int> ended{0};
  int rc = -1, after_scope = 0;
  in_g([&] {
    {
      thrum::Scope scope;
      for (int i = 0; i < 1000; i++) {
        (void)scope.go([&] {
          (void)thrum::yield();
          ended++;
        });
      }
      rc = scope.join();
      (void)scope.go([&] { ended++; });
    }
    after_scope = ended;
  });
  CHECK(rc == 0);
  CHECK(after_scope == 1001);
}

TEST_CASE("scope: the first failure cancels the others") {
  std::atomic<int> cancelled{0};
  int rc = 0, refused = 0;
  bool ran = false;
  in_g([&] {
    thrum::Channel<int> never;
    thrum::Scope scope;
    for (int i = 0; i < 10; i++) {
      (void)scope.go([&] {
        int child_rc = 0;
        (void)never.recv(child_rc);
        cancelled += thrum_cancelled();
      });
    }
    (void)scope.go([] { return THRUM_EIO; });
    rc = scope.join();
    refused = scope.go([&] { ran = true; });
  });
  CHECK(rc == THRUM_EIO);
  CHECK(cancelled == 10);
  CHECK(refused == THRUM_EIO);
  CHECK_FALSE(ran);
}

TEST_CASE("scope: a cancel of the owner reaches the children and stays") {
  int child_rc = 0, owner_rc = 0;
  in_g([&] {
    thrum::Channel<int> never;
    thrum::G owner = thrum::go([&] {
      {
        thrum::Scope scope;
        (void)scope.go([&] {
          int v = 0;
          child_rc = never.recv(v);
        });
      }
      owner_rc = thrum::sleep_for(1h);
    });
    let_run();
    (void)owner.cancel();
    (void)owner.join();
  });
  CHECK(child_rc == THRUM_ECANCELED);
  CHECK(owner_rc == THRUM_ECANCELED);
}

TEST_CASE("scope: owned by a thread, with children that come and go") {
  thrum::Runtime rt;
  std::atomic<int> ended{0};
  {
    thrum::Scope scope(rt);
    thrum::Channel<int> gate;
    (void)scope.go([=] { (void)gate.recv(); });
    for (int i = 0; i < 3000; i++) {
      CHECK(scope.go([&] { ended++; }) == 0);
    }
    (void)gate.close();
    CHECK(scope.join() == 0);
    CHECK(ended == 3000);
    (void)scope.go([] { (void)thrum::sleep_for(1h); });
    scope.cancel();
    CHECK(scope.join() == THRUM_ECANCELED);
  }
  CHECK(thrum::Scope().go([] {}) == THRUM_EINVAL);
}

TEST_CASE("mutex: lock_guard and unique_lock") {
  thrum::Mutex mutex;
  int plain = 0, again = 0, tried = 1;
  in_g([&] {
    thrum::Scope scope;
    for (int i = 0; i < 8; i++) {
      (void)scope.go([&] {
        for (int k = 0; k < 500; k++) {
          std::lock_guard<thrum::Mutex> hold(mutex);
          plain++;
          if (k % 50 == 0) {
            (void)thrum::yield();
          }
        }
      });
    }
    (void)scope.join();
    std::unique_lock<thrum::Mutex> hold(mutex);
    again = mutex.lock_until(kForever);
    tried = mutex.try_lock();
    hold.unlock();
    tried += 2 * hold.try_lock();
  });
  CHECK(plain == 4000);
  CHECK(again == THRUM_EDEADLOCK);
  CHECK(tried == 2);
}

TEST_CASE("wait group, semaphore, once") {
  std::atomic<int> inside{0}, most{0}, first{0};
  std::vector<int> rc;
  in_g([&] {
    thrum::WaitGroup wg;
    thrum::Semaphore permits(3);
    thrum::Once once;
    for (int i = 0; i < 20; i++) {
      (void)wg.add();
      (void)thrum::go([&] {
        (void)once.run([&] {
          (void)thrum::yield();
          first++;
        });
        (void)permits.acquire();
        int now = ++inside;
        for (int seen = most; now > seen;) {
          if (most.compare_exchange_weak(seen, now)) {
            break;
          }
        }
        (void)thrum::yield();
        inside--;
        (void)permits.release();
        (void)wg.done();
      });
    }
    rc.push_back(wg.wait());
    rc.push_back(wg.done());
    rc.push_back(permits.acquire(kTry));
  });
  CHECK(rc == std::vector<int>{0, THRUM_EINVAL, 0});
  CHECK(first == 1);
  CHECK(most >= 1);
  CHECK(most <= 3);
}

TEST_CASE("limit and shield guard the block that made them") {
  std::vector<int> rc;
  bool kept = false;
  in_g([&] {
    {
      thrum::Limit outer(thrum::after(2ms));
      thrum::Limit inner(thrum::after(1h));  // the earlier one holds
      rc.push_back(thrum::sleep_for(1h));
    }
    kept = thrum_limit(kForever) == kForever;
    (void)thrum_cancel(nullptr, thrum_self());
    {
      thrum::Shield shield;
      rc.push_back(thrum::sleep_for(1ms));
    }
    rc.push_back(thrum::sleep_for(1h));
  });
  CHECK(rc == std::vector<int>{THRUM_ETIMEDOUT, 0, THRUM_ECANCELED});
  CHECK(kept);
}

TEST_CASE("after: relative durations of any unit") {
  int64_t before = thrum_now();
  CHECK(thrum::after(1s) >= before + 1000000000);
  CHECK(thrum::after(0s) != kTry);
  CHECK(thrum::after(std::chrono::nanoseconds::max()) == kForever);
}

TEST_CASE("exceptions: caught inside, also after a park") {
  int caught = 0;
  in_g([&] {
    thrum::G g = thrum::go([&] {
      try {
        (void)thrum::yield();
        throw std::runtime_error("within");
      } catch (const std::exception&) {
        (void)thrum::yield();
        caught++;
      }
    });
    (void)g.join();
  });
  CHECK(caught == 1);
}

TEST_CASE("exceptions: one that leaves a body ends the process, named") {
  int out[2];
  REQUIRE(pipe(out) == 0);
  std::fflush(nullptr);
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGABRT, SIG_DFL);
    dup2(out[1], 2);
    thrum::Runtime rt;
    (void)rt.run([] {
      thrum::G g = thrum::go([] { throw std::runtime_error("no way home"); },
                             thrum::Options("culprit"));
      (void)g.join();
    });
    _exit(0);
  }
  close(out[1]);
  std::string said;
  char text[256];
  for (ssize_t n; (n = read(out[0], text, sizeof text)) > 0;) {
    said.append(text, static_cast<size_t>(n));
  }
  close(out[0]);
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFSIGNALED(status));
  CHECK(said.find("no way home") != std::string::npos);
  CHECK(said.find("\"culprit\"") != std::string::npos);
}
