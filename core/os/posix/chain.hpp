// A signal's handler of ours over the one that was there before, which gets what
// is not ours, as the kernel would have given it.
// SPDX-License-Identifier: MIT
#pragma once
#include <signal.h>

#include "base/atomic.hpp"
#include "base/defs.hpp"

namespace thrum::os {

struct Chain {
  bool installed;         // the user's lock: ours, or one of the host's over it
  int signo;              // const while installed
  struct sigaction ours;  // const while installed
  struct sigaction former;  // const while installed
  Atomic<bool> spent;       // former has SA_RESETHAND, and has run
};

struct sigaction chain_current(int signo);
bool chain_is_none(const struct sigaction& a);  // the default, or ignored
bool chain_on_top(const Chain& c);  // is it ours that the kernel calls?

// Flags of the former one that are in `keep` become ours, and so does its mask: it
// counts on them while it runs. 0 or -errno.
int chain_install(Chain& c, int signo, void (*fn)(int, siginfo_t*, void*),
                  int flags, int keep);
// The former one again, unless the host has put another over ours meanwhile: then
// ours stays below it.
void chain_remove(Chain& c);

// In the handler, as the last thing that it does.
void chain_hand_on(Chain& c, int signo, siginfo_t* info, void* context);

}  // namespace thrum::os
