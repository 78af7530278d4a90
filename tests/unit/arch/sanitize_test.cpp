// What the sanitizers must report of a G, and what they must not: silence alone
// proves nothing of the fibre notes. Each deed is a case of its own, done by a
// child process.
#include <stdexcept>

#include "../objects.hpp"

using namespace unit;

#if defined(THRUM_ASAN)
constexpr const char* kOptions = "ASAN_OPTIONS";
constexpr bool kAsan = true, kTsan = false;
#elif defined(THRUM_TSAN)
constexpr const char* kOptions = "TSAN_OPTIONS";
constexpr bool kAsan = false, kTsan = true;
#else
constexpr const char* kOptions = "THRUM_UNIT_NOTHING";
constexpr bool kAsan = false, kTsan = false;
#endif

namespace {

// The calling G comes back on another thread than the one it had: its P goes to
// others while it blocks.
void move() {
  for (u32 here = os::thread_id(); os::thread_id() == here;) {
    {
      Enter e;
      (void)enter_blocking(e.m);
    }
    {
      Enter e;
      (void)exit_blocking(e.m);
    }
    (void)yield();
  }
}

// f as a G, among others that always want its P.
template <class F>
void among_others(F f) {
  in_owned(config(2), [&] {
    Atomic<bool> stop{false};
    u64 h[4];
    for (u64& x : h) {
      x = go([&] {
        while (!stop.load(relaxed)) {
          (void)yield();
        }
      });
    }
    f();
    stop.store(true, relaxed);
    for (u64 x : h) {
      (void)join(x);
    }
  });
}

// Two Gs that have both moved, each then on a thread of its own and beside the
// Ps, meet without an order between them.
template <class F>
void meet(F f) {
  among_others([=] {
    Atomic<u32> ready{0};
    u64 h[2];
    for (u64& x : h) {
      x = go([&] {
        for (int i = 0; i < 20; ++i) {
          move();
        }
        {
          Enter e;
          (void)enter_blocking(e.m);
        }
        ready.fetch_add(1, relaxed);
        while (ready.load(relaxed) < 2) {
          cpu_relax();
        }
        f();
        Enter e;
        (void)exit_blocking(e.m);
      });
    }
    for (u64 x : h) {
      (void)join(x);
    }
  });
}

u64 g_plain;
Mutex g_mutex;
void* volatile g_sink;

}  // namespace

// ---- the deeds -----------------------------------------------------------------

TEST_CASE("deed: a race of two Gs that moved" * doctest::skip()) {
  meet([] {
    // One by one: two accesses at the very same time are missed at times.
    for (int i = 0; i < 1000; ++i) {
      ++g_plain;
      compiler_fence();
    }
  });
}

TEST_CASE("deed: a write beyond a local array of a G" * doctest::skip()) {
  among_others([] {
    move();
    char local[32];
    g_sink = local;
    static_cast<char*>(g_sink)[sizeof local + 1] = 1;
  });
}

namespace {
THRUM_NOINLINE int dive(int depth) {
  volatile char frame[4096];
  frame[0] = static_cast<char>(depth);
  return depth > 1'000'000 ? 0 : dive(depth + 1) + frame[0];
}
}  // namespace

TEST_CASE("deed: a G's stack overflows" * doctest::skip()) {
  among_others([] {
    move();
    g_sink = reinterpret_cast<void*>(static_cast<intptr_t>(dive(0)));
  });
}

TEST_CASE("deed: a use of freed memory" * doctest::skip()) {
  among_others([] {
    move();
    char* p = static_cast<char*>(malloc(16));
    g_sink = p;
    free(p);
    move();
    *static_cast<char*>(g_sink) = 1;
  });
}

TEST_CASE("deed: a leak" * doctest::skip()) {
  among_others([] {
    g_sink = malloc(123);
    move();
    g_sink = nullptr;
  });
}

TEST_CASE("deed: undefined arithmetic in a G" * doctest::skip()) {
  among_others([] {
    move();
    volatile int big = INT32_MAX;
    big = big + 1;
  });
}

TEST_CASE("deed: nothing wrong" * doctest::skip()) {
  among_others([] {
    u64 h[2];
    for (u64& x : h) {
      x = go([] {
        for (u32 i = 0; i < rounds(200); ++i) {
          (void)lock(g_mutex);
          ++g_plain;
          (void)unlock(g_mutex);
          try {
            move();
            throw std::runtime_error("unwinds a stack that moved");
          } catch (const std::runtime_error&) {
            (void)yield();
          }
          (void)join(go([] {
            try {
              throw std::runtime_error("on a stack that had another owner");
            } catch (const std::runtime_error&) {}
          }));
        }
      });
    }
    for (u64 x : h) {
      (void)join(x);
    }
  });
  CHECK(g_plain == 2 * rounds(200));
}

// ---- what became of them -------------------------------------------------------

TEST_CASE("must report: a data race between Gs that moved threads") {
  if (!kTsan) {
    UNIT_SKIP("only with TSan");
  }
  Child c = in_process("deed: a race of two Gs that moved", kOptions,
                       "exitcode=66:halt_on_error=1");
  CHECK_CHILD(c.exited(66), c);
  CHECK_CHILD(c.said("ThreadSanitizer: data race"), c);
}

TEST_CASE("must report: overflows on a G's stack, a leak, stale memory") {
  if (!kAsan) {
    UNIT_SKIP("only with ASan");
  }
  struct Row {
    const char* deed;
    const char* said;
  };
  for (Row r :
       {Row{"deed: a write beyond a local array of a G",
            "AddressSanitizer: stack-buffer-overflow"},
        Row{"deed: a G's stack overflows", "AddressSanitizer: stack-overflow"},
        Row{"deed: a use of freed memory",
            "AddressSanitizer: heap-use-after-free"},
        Row{"deed: a leak", "LeakSanitizer: detected memory leaks"}}) {
    Child c = in_process(r.deed, kOptions, "exitcode=66:detect_leaks=1");
    CHECK_ROW(c.exited(66), r.deed);
    CHECK_CHILD(c.said(r.said), c);
  }
  Child c = in_process("deed: undefined arithmetic in a G", "UBSAN_OPTIONS",
                       "exitcode=66:halt_on_error=1");
  CHECK_FALSE(c.exited(0));
  CHECK_CHILD(c.said("signed integer overflow"), c);
}

TEST_CASE("must not report: the same without a deed") {
  if (!kAsan && !kTsan) {
    UNIT_SKIP("only with ASan or TSan");
  }
  Child c = in_process("deed: nothing wrong", kOptions,
                       "exitcode=66:halt_on_error=1");
  CHECK_CHILD(c.exited(0), c);
  CHECK_FALSE(c.said("Sanitizer"));
  CHECK_FALSE(c.said("ASan is ignoring"));
}
