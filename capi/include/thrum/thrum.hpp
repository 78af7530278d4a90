// A C++17 skin over <thrum/thrum.h>: header only, all in namespace thrum.
//
//   #include <thrum/thrum.hpp>
//   #include <cstdio>
//
//   int main() {
//     thrum::Runtime rt;
//     return rt.run([] {
//       thrum::Channel<int> squares;
//       thrum::Scope scope;  // joins its Gs before it goes
//       for (int i = 1; i <= 3; i++) {
//         (void)scope.go([=] { return squares.send(i * i); });
//       }
//       int sum = 0;
//       for (int i = 1; i <= 3; i++) { sum += *squares.recv(); }
//       std::printf("%d\n", sum);  // 14
//     });
//   }
//
// - Failure is a negative THRUM_E... code, as in C; nothing here throws. What
//   could not be made is false as a bool, and its calls answer with a code.
// - An exception that would leave the body of a G ends the process with a
//   message that names the G. Without exceptions and RTTI it works as well.
// - Deadlines are absolute nanoseconds: kForever, kTry, or after(5ms).
// - A G may come back from a parking call on another OS thread: thrum.h tells
//   what that means for thread_local, errno and std mutexes.
// SPDX-License-Identifier: MIT
#pragma once
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include "host.h"

namespace thrum {
// Inline, to keep these names apart from the library's own, which a program
// that links the library statically contains too.
inline namespace skin {

constexpr int64_t kTry = THRUM_TRY;
constexpr int64_t kForever = THRUM_FOREVER;
using Ns = std::chrono::nanoseconds;
inline int64_t after(Ns d) { return thrum_after(d.count()); }

namespace detail {
struct Fixed {
  Fixed() = default;
  Fixed(const Fixed&) = delete;
  Fixed& operator=(const Fixed&) = delete;
};

// Ends the process, naming the calling G.
[[noreturn]] inline void die(const char* what, const char* why) {
  auto say_name = [](void*, const thrum_g_info* info) {
    if (info->g == thrum_self() && info->name[0] != 0) {
      std::fprintf(stderr, " \"%s\"", info->name);
    }
  };
  std::fprintf(stderr, "thrum: fatal: %s: %s, in G 0x%llx", what, why,
               static_cast<unsigned long long>(thrum_self()));
  (void)thrum_g_each(nullptr, say_name, nullptr);
  std::fputc('\n', stderr);
  std::terminate();
}

// For what only a bug of the caller can make fail.
inline void must(int code, const char* what) {
  if (code < 0) {
    die(what, thrum_errname(code));
  }
}

// Calls the body of a callback; nothing is thrown past it.
template <class F>
auto call(F& f) -> decltype(f()) {
#ifdef __cpp_exceptions
  try {
    return f();
  } catch (const std::exception& e) {
    die("an exception left the body", e.what());
  } catch (...) {
    die("an exception left the body", "no std::exception");
  }
#else
  return f();
#endif
}

template <class T, class... Args>
T* make(Args&&... args) {
  static_assert(alignof(T) <= 16, "thrum_alloc aligns to 16 bytes");
  void* p = thrum_alloc(sizeof(T));
  return p == nullptr ? nullptr : ::new (p) T(std::forward<Args>(args)...);
}
template <class T>
void destroy(T* p) {
  p->~T();
  thrum_free(p);
}

// One T under way: itself if it is trivially copyable, else the address of a
// box from thrum_alloc, which belongs to whoever has received it.
template <class T>
struct Parcel {
  static constexpr bool kBoxed = !std::is_trivially_copyable_v<T>;
  using Element = std::conditional_t<kBoxed, T*, T>;
  union {
    Element element;
  };
  Parcel() {}  // empty
  bool pack(T& value) {
    if constexpr (kBoxed) {
      element = make<T>(std::move(value));
      return element != nullptr;
    } else {
      std::memcpy(static_cast<void*>(&element), &value, sizeof value);
      return true;
    }
  }
  T unpack() {
    if constexpr (kBoxed) {
      T value(std::move(*element));
      destroy(element);
      return value;
    } else {
      return std::move(element);
    }
  }
  void give_back(T& value) {  // it was not sent
    if constexpr (kBoxed) {
      element != nullptr ? void(value = unpack()) : void();
    }
  }
};

template <class T, class F, bool kSends>
struct Arm {
  thrum_chan* chan;
  F f;
  T* source;
  Parcel<T> parcel;
  bool pack() { return !kSends || parcel.pack(*source); }
  thrum_case arm() {
    return {chan, &parcel.element, kSends ? THRUM_SEND : THRUM_RECV, 0};
  }
  void settle(bool sent) {
    kSends && !sent ? parcel.give_back(*source) : void();
  }
  void act(int result) {
    if constexpr (kSends) {
      f(result);
    } else {
      f(result == 0 ? std::optional<T>(parcel.unpack()) : std::nullopt);
    }
  }
};

}  // namespace detail

// ---- Green threads ----------------------------------------------------------

// The fields of thrum_spawn_opts, all default. `drop` is the skin's.
struct Options : thrum_spawn_opts {
  explicit Options(const char* g_name = nullptr) : thrum_spawn_opts() {
    struct_size = sizeof(thrum_spawn_opts);
    name = g_name;
  }
};

// A handle, copied freely; letting it go lets the G run on. False if the spawn
// failed; join then says why. The runtime must live longer.
struct G {
  thrum_rt* rt = nullptr;
  thrum_g id = 0;
  int error = THRUM_EINVAL;
  explicit operator bool() const { return error == 0; }
  [[nodiscard]] int join(int64_t deadline = kForever) const {
    return error < 0 ? error : thrum_join(rt, id, deadline);
  }
  int cancel() const { return error < 0 ? error : thrum_cancel(rt, id); }
};

// Spawns a G of rt (nullptr: the calling G's runtime) that runs f(). The G owns
// f, and destroys it after its end and before joiners wake.
template <class F>
[[nodiscard]] G spawn(thrum_rt* rt, const Options& options, F&& f) {
  using Own = std::decay_t<F>;
  Own* own = detail::make<Own>(std::forward<F>(f));
  if (own == nullptr) {
    return {rt, 0, THRUM_ENOMEM};
  }
  auto body = [](void* arg) { (void)detail::call(*static_cast<Own*>(arg)); };
  thrum_spawn_opts opts = options;
  opts.drop = [](void* arg) { detail::destroy(static_cast<Own*>(arg)); };
  G g = {rt != nullptr ? rt : thrum_rt_current(), 0, 0};
  g.error = thrum_spawn(rt, &opts, body, own, &g.id);
  if (g.error < 0) {
    detail::destroy(own);
  }
  return g;
}

// Spawns a G beside the calling one.
template <class F>
[[nodiscard]] G go(F&& f, const Options& options = Options()) {
  return spawn(nullptr, options, std::forward<F>(f));
}

// Each of these may answer THRUM_ECANCELED.
inline int yield() { return thrum_yield(); }
inline int check() { return thrum_check(); }
inline int sleep_for(Ns d) { return thrum_sleep(d.count()); }

// Guards of the calling G. Shield: no wait ends by cancel or limit.
struct Shield : detail::Fixed {
  Shield() { (void)thrum_shield(+1); }
  ~Shield() { (void)thrum_shield(-1); }
};
// Limit: no wait lasts beyond it, nor beyond the limit that held before.
struct Limit : detail::Fixed {
  const int64_t former;
  explicit Limit(int64_t deadline) : former(thrum_limit(deadline)) {
    (void)(former >= 0 && former < deadline ? thrum_limit(former) : 0);
  }
  ~Limit() { (void)(former >= 0 ? thrum_limit(former) : 0); }
};

// ---- Runtime ----------------------------------------------------------------

// Owns a runtime. The destructor stops it, which waits for its Gs, so it must
// not run on one of them.
struct Runtime : detail::Fixed {
  thrum_rt* raw = nullptr;
  const int error;
  explicit Runtime(const thrum_config* config = nullptr)
      : error(thrum_rt_new(&raw, config)) {}
  ~Runtime() {
    (void)stop();
    thrum_rt_free(raw);
  }
  explicit operator bool() const { return error == 0; }

  // Runs f() as a G, and other Gs beside it, until that G has ended. f lies on
  // the G's stack, so a THRUM_EDEADLOCK does not pull it away.
  template <class F>
  [[nodiscard]] int run(F&& f) {
    using Own = std::decay_t<F>;
    Own here(std::forward<F>(f));
    auto body = [](void* arg) {
      Own own(std::move(*static_cast<Own*>(arg)));
      (void)detail::call(own);
    };
    return error < 0 ? error : thrum_run(raw, body, &here);
  }
  template <class F>
  [[nodiscard]] G go(F&& f, const Options& options = Options()) {
    return error < 0 ? G{raw, 0, error}
                     : spawn(raw, options, std::forward<F>(f));
  }
  [[nodiscard]] int pump(int64_t deadline) {
    return error < 0 ? error : thrum_pump(raw, deadline);
  }
  int stop(int64_t deadline = kForever) {
    return error < 0 ? error : thrum_rt_stop(raw, deadline);
  }
};

// ---- Synchronisation, for Gs and threads alike ------------------------------

// Fits std::lock_guard, unique_lock and scoped_lock. Locking it twice ends the
// process with a message; lock_until answers with a code.
struct Mutex : detail::Fixed {
  thrum_mutex raw = THRUM_MUTEX_INIT;
  void lock() { detail::must(lock_until(kForever), "Mutex::lock"); }
  bool try_lock() { return lock_until(kTry) == 0; }
  [[nodiscard]] int lock_until(int64_t deadline) {
    return thrum_mutex_lock(&raw, deadline);
  }
  void unlock() { detail::must(thrum_mutex_unlock(&raw), "Mutex::unlock"); }
};

struct WaitGroup : detail::Fixed {
  thrum_wg raw = THRUM_WG_INIT;
  int add(int32_t delta = 1) { return thrum_wg_add(&raw, delta); }
  int done() { return thrum_wg_done(&raw); }
  [[nodiscard]] int wait(int64_t deadline = kForever) {
    return thrum_wg_wait(&raw, deadline);
  }
};

struct Semaphore : detail::Fixed {
  thrum_sem raw = THRUM_SEM_INIT;
  explicit Semaphore(uint32_t permits = 0) { (void)release(permits); }
  int release(uint32_t n = 1) { return thrum_sem_release(&raw, n); }
  [[nodiscard]] int acquire(int64_t deadline = kForever) {
    return thrum_sem_acquire(&raw, deadline);
  }
};

struct Once : detail::Fixed {
  thrum_once raw = THRUM_ONCE_INIT;
  template <class F>
  int run(F f) {
    auto body = [](void* arg) { (void)detail::call(*static_cast<F*>(arg)); };
    return thrum_once_do(&raw, body, &f);
  }
};

// Gs that end before the scope does. A child that returns a negative int has
// failed: the first failure cancels the others, refuses new ones, and is what
// join returns. A cancel or limit that ends the owner's wait counts as one;
// join waits for all children in any case.
class Scope : detail::Fixed {
 public:
  Scope() : rt_(thrum_rt_current()) {}          // in-G
  explicit Scope(Runtime& rt) : rt_(rt.raw) {}  // anywhere
  ~Scope() {
    // The request was the owner's: its next wait shall see it again.
    if (join_all() == THRUM_ECANCELED) {
      (void)thrum_cancel(nullptr, thrum_self());
    }
    thrum_free(gs_);
  }
  template <class F>
  [[nodiscard]] int go(F&& f, const Options& options = Options()) {
    auto child = [this, own = std::decay_t<F>(std::forward<F>(f))]() mutable {
      if constexpr (std::is_same_v<decltype(own()), int>) {
        (void)fail(own());
      } else {
        (void)(own(), this);  // a capture must be used
      }
    };
    lock_.lock();  // a child that fails at once finds its own handle noted
    int rc = error_ < 0 ? error_ : make_room();
    if (rc == 0) {
      G g = spawn(rt_, options, std::move(child));
      gs_[n_] = g.id;
      n_ += g ? 1u : 0u;
      rc = g.error;
    }
    lock_.unlock();
    return rc;
  }
  [[nodiscard]] int join() {
    (void)join_all();
    return fail(0);
  }
  void cancel() { (void)fail(THRUM_ECANCELED); }

 private:
  // When full: forgets children that have ended, and doubles what is left.
  int make_room() {
    if (n_ < room_) {
      return 0;
    }
    n_ = 0;
    for (uint32_t i = 0; i < room_; i++) {
      gs_[n_] = gs_[i];
      n_ += thrum_join(rt_, gs_[i], kTry) < 0 ? 1u : 0u;
    }
    void* p = thrum_realloc(gs_, (2 * n_ + 8) * sizeof(thrum_g));
    gs_ = p == nullptr ? gs_ : static_cast<thrum_g*>(p);
    room_ = p == nullptr ? room_ : 2 * n_ + 8;
    return n_ < room_ ? 0 : THRUM_ENOMEM;
  }
  // Notes a failure, if code is one; returns the first, or 0.
  int fail(int code) {
    lock_.lock();
    if (code < 0 && error_ == 0) {
      error_ = code;
      for (uint32_t i = 0; i < n_; i++) {
        (void)(gs_[i] == thrum_self() ? 0 : thrum_cancel(rt_, gs_[i]));
      }
    }
    int first = error_;
    lock_.unlock();
    return first;
  }
  // Returns what ended a wait of the owner's, or 0.
  int join_all() {
    int ended_by = 0;
    lock_.lock();
    while (n_ > 0) {
      thrum_g g = gs_[n_ - 1];
      lock_.unlock();
      int rc = thrum_join(rt_, g, kForever);
      if (rc < 0) {
        ended_by = rc;
        (void)fail(rc);
        Shield shield;
        (void)thrum_join(rt_, g, kForever);
      }
      lock_.lock();
      n_ -= n_ > 0 && gs_[n_ - 1] == g ? 1u : 0u;
    }
    lock_.unlock();
    return ended_by;
  }

  thrum_rt* rt_;
  Mutex lock_;
  thrum_g* gs_ = nullptr;  // lock_
  uint32_t n_ = 0;         // lock_
  uint32_t room_ = 0;      // lock_
  int error_ = 0;          // lock_
};

// ---- Channels and select ----------------------------------------------------

// A channel of Ts; copies are the same channel. A send that fails (deadline,
// cancel, closed) leaves the value with the sender, a moved one too.
template <class T>
struct Channel {
  using Parcel = detail::Parcel<T>;
  static_assert(std::is_nothrow_move_constructible_v<T> &&
                    (!Parcel::kBoxed || std::is_nothrow_move_assignable_v<T>),
                "a T must be able to come back from a send that failed");
  thrum_chan* raw = nullptr;

  explicit Channel(uint32_t capacity = 0) {
    (void)thrum_chan_new(sizeof(Parcel), capacity, &raw);
    if (Parcel::kBoxed && raw != nullptr) {
      auto drop = [](void*, void* element) {
        Parcel parcel;
        std::memcpy(static_cast<void*>(&parcel), element, sizeof parcel);
        (void)parcel.unpack();
      };
      (void)thrum_chan_set_drop(raw, drop, nullptr);
    }
  }
  Channel(const Channel& other) : raw(other.raw) { thrum_chan_retain(raw); }
  Channel& operator=(Channel other) noexcept {
    std::swap(raw, other.raw);
    return *this;
  }
  ~Channel() { thrum_chan_release(raw); }
  explicit operator bool() const { return raw != nullptr; }
  int close() const { return thrum_chan_close(raw); }

  [[nodiscard]] int send(T&& value, int64_t deadline = kForever) const {
    Parcel parcel;
    int rc = parcel.pack(value)
                 ? thrum_chan_send(raw, &parcel.element, deadline)
                 : THRUM_ENOMEM;
    rc < 0 ? parcel.give_back(value) : void();
    return rc;
  }
  [[nodiscard]] int send(const T& value, int64_t deadline = kForever) const {
    T copy(value);
    return send(std::move(copy), deadline);
  }
  // Receives into `to`, which a failure leaves as it was.
  [[nodiscard]] int recv(T& to, int64_t deadline = kForever) const {
    Parcel parcel;
    int rc = thrum_chan_recv(raw, &parcel.element, deadline);
    if (rc == 0) {
      to = parcel.unpack();
    }
    return rc;
  }
  // nullopt: closed and drained, or any other failure.
  [[nodiscard]] std::optional<T> recv(int64_t deadline = kForever) const {
    Parcel parcel;
    int rc = thrum_chan_recv(raw, &parcel.element, deadline);
    return rc == 0 ? std::optional<T>(parcel.unpack()) : std::nullopt;
  }
};

// An arm that receives and calls f(std::optional<T>); nullopt: closed.
template <class T, class F>
detail::Arm<T, F, false> on_recv(const Channel<T>& ch, F f) {
  return {ch.raw, std::move(f), nullptr, {}};
}
// An arm that sends `value` and calls f(0); or f(THRUM_ECLOSED), and keeps it.
template <class T, class F>
detail::Arm<T, F, true> on_send(const Channel<T>& ch, T& value, F f) {
  return {ch.raw, std::move(f), &value, {}};
}

// Waits for one of the arms, calls its f and returns its index.
template <class... Arms>
[[nodiscard]] int select(int64_t deadline, Arms&&... arms) {
  constexpr uint32_t n = sizeof...(Arms);
  bool packed = (static_cast<int>(arms.pack()) & ...) != 0;
  thrum_case cases[n] = {arms.arm()...};
  int chosen = packed ? thrum_select(cases, n, deadline) : THRUM_ENOMEM;
  int i = 0;
  ((arms.settle(i == chosen && cases[i].result == 0), i++), ...);
  i = 0;
  ((i == chosen ? arms.act(cases[i].result) : void(), i++), ...);
  return chosen;
}

}  // namespace skin
}  // namespace thrum
