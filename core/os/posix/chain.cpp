// SPDX-License-Identifier: MIT
#include "os/posix/chain.hpp"

#include <errno.h>

namespace thrum::os {

namespace {

// The process ends as it would have without us. What an instruction has caused it
// causes again when the handler returns, so that the core dump shows the place;
// anything else is sent once more, also what the kernel has caused: it may have found
// no room for a signal, which is lost then.
void die_as_before(int signo, bool again) {
  struct sigaction none {};
  none.sa_handler = SIG_DFL;
  sigaction(signo, &none, nullptr);
  if (!again) {
    raise(signo);  // blocked until the handler returns
  }
}

bool is_ours(const Chain& c, const struct sigaction& a) {
  return (a.sa_flags & SA_SIGINFO) && c.ours.sa_sigaction &&
         a.sa_sigaction == c.ours.sa_sigaction;
}

}  // namespace

struct sigaction chain_current(int signo) {
  struct sigaction now {};
  sigaction(signo, nullptr, &now);
  return now;
}

bool chain_is_none(const struct sigaction& a) {
  return !(a.sa_flags & SA_SIGINFO) &&
         (a.sa_handler == SIG_DFL || a.sa_handler == SIG_IGN);
}

bool chain_on_top(const Chain& c) { return is_ours(c, chain_current(c.signo)); }

int chain_install(Chain& c, int signo, void (*fn)(int, siginfo_t*, void*),
                  int flags, int keep) {
  struct sigaction now = chain_current(signo);
  c.signo = signo;
  c.ours.sa_sigaction = fn;
  if (!is_ours(c, now)) {  // else this is a child, and the fork came in between
    c.former = now;        // before a signal can come
    c.spent.store(false, relaxed);
  }
  c.ours.sa_mask = c.former.sa_mask;
  c.ours.sa_flags =
      SA_SIGINFO | SA_ONSTACK | flags | (c.former.sa_flags & keep);
  if (sigaction(signo, &c.ours, nullptr) != 0) {
    return -errno;
  }
  c.installed = true;
  return 0;
}

void chain_remove(Chain& c) {
  if (!chain_on_top(c)) {
    return;
  }
  if (c.spent.load(relaxed)) {
    c.former.sa_handler = SIG_DFL;
    c.former.sa_flags &= ~SA_SIGINFO;
  }
  sigaction(c.signo, &c.former, nullptr);
  c.installed = false;
}

void chain_hand_on(Chain& c, int signo, siginfo_t* info, void* context) {
  const struct sigaction& former = c.former;
  bool fault = signo == SIGSEGV && info->si_code > 0;
  constexpr int kOnce = static_cast<int>(SA_RESETHAND);
  bool spent = (former.sa_flags & kOnce) && c.spent.exchange(true, relaxed);
  if (spent || chain_is_none(former)) {
    // The kernel does not let a fault be ignored.
    if (spent || fault || former.sa_handler == SIG_DFL) {
      die_as_before(signo, fault && info->si_code != SI_KERNEL);
    }
  } else if (former.sa_flags & SA_SIGINFO) {
    former.sa_sigaction(signo, info, context);
  } else {
    former.sa_handler(signo);
  }
}

}  // namespace thrum::os
