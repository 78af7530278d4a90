// The main function of every unit test program: doctest, a watchdog that names
// the case that hangs, and the rule that a case leaves as many threads and
// descriptors behind as it found.
#define DOCTEST_CONFIG_IMPLEMENT
// Its handlers would come before the sanitizers' and lose what they need.
#define DOCTEST_CONFIG_NO_POSIX_SIGNALS
#include <dirent.h>
#include <doctest/doctest.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <initializer_list>

namespace {

const char* g_case = "(none)";
unsigned g_seconds = 60;
int g_threads, g_fds;
bool g_left_behind = false;

// Async-signal-safe: a case that hangs or crashes may hold any lock.
void on_signal(int sig) {
  const char* how = sig == SIGALRM ? "still running, given up" : "crashed";
  const char* parts[] = {"FAIL: ", how, ": ", g_case, "\n"};
  for (const char* p : parts) {
    (void)!write(STDERR_FILENO, p, strlen(p));
  }
  signal(SIGABRT, SIG_DFL);
  signal(sig, SIG_DFL);
  raise(sig == SIGALRM ? SIGABRT : sig);
}

void listen() {
  struct sigaction act {};
  act.sa_handler = on_signal;
  sigaction(SIGALRM, &act, nullptr);
#if !defined(THRUM_ASAN) && !defined(THRUM_TSAN)
  // On a stack of its own, for the main thread at least.
  static char stack[64 * 1024];
  stack_t alt{};
  alt.ss_sp = stack;
  alt.ss_size = sizeof stack;
  sigaltstack(&alt, nullptr);
  act.sa_flags = SA_ONSTACK | SA_RESETHAND;
  for (int sig : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    sigaction(sig, &act, nullptr);
  }
#endif
}

int entries(const char* path) {
  DIR* dir = opendir(path);
  if (!dir) {
    return -1;
  }
  int n = 0;
  while (dirent* e = readdir(dir)) {
    n += e->d_name[0] != '.';
  }
  closedir(dir);
  return n;
}

int threads() { return entries("/proc/self/task"); }

// TSan has one of its own, from the first thread on.
#if defined(THRUM_TSAN)
constexpr int kToolThreads = 1;
#else
constexpr int kToolThreads = 0;
#endif

// A joined thread leaves /proc a moment after its join returned.
int threads_settle(int want) {
  int n = threads();
  for (int i = 0; i < 5000 && n > want; ++i) {
    usleep(1000);
    n = threads();
  }
  return n;
}

struct Watch : doctest::IReporter {
  explicit Watch(const doctest::ContextOptions&) {}
  void test_case_start(const doctest::TestCaseData& data) override {
    g_case = data.m_name;
    g_threads = threads();
    g_fds = entries("/proc/self/fd");
    alarm(g_seconds);
  }
  void test_case_end(const doctest::CurrentTestCaseStats&) override {
    int now = threads_settle(g_threads);
    int fds = entries("/proc/self/fd");
    if (now > g_threads || fds != g_fds) {
      fprintf(stderr, "FAIL: %s: leaves %d threads and %d descriptors\n",
              g_case, now - g_threads, fds - g_fds);
      g_left_behind = true;
    }
    alarm(0);
  }
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};
DOCTEST_REGISTER_LISTENER("watch", 0, Watch);

void* nothing(void* arg) { return arg; }

}  // namespace

int main(int argc, char** argv) {
#if defined(THRUM_ASAN) || defined(THRUM_TSAN) || defined(__aarch64__)
  g_seconds *= 5;
#endif
  if (const char* text = getenv("THRUM_TEST_TIMEOUT")) {
    g_seconds = static_cast<unsigned>(atoi(text));
  }
  listen();
  // What the C library or a sanitizer keeps for the life of the process is
  // there before anything is counted.
  int before = threads();
  pthread_t t;
  if (pthread_create(&t, nullptr, nothing, nullptr) == 0) {
    pthread_join(t, nullptr);
  }
  threads_settle(before + kToolThreads);
  doctest::Context context(argc, argv);
  int failed = context.run();
  return failed ? failed : g_left_behind;
}
