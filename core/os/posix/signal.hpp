// Between the files that make the directed signal.
// SPDX-License-Identifier: MIT
#pragma once
#include <signal.h>

#include "os/os.hpp"

namespace thrum::os {

// altstack.cpp; on the thread itself. Counted: enter and leave come in pairs.
int alt_stack_enter(AltStack& s);
void alt_stack_leave(AltStack& s);
bool signal_mask(int signo, int how);  // returns whether it was blocked

// linux/signal.cpp. To one thread of this process, with a cookie in si_value.
int signal_queue(u32 thread_id, int signo, void* cookie);
// What the kernel pushes for a signal, at most.
size_t signal_frame_bytes();
Stopped stopped_at(void* context);
// Rewrites the context: the thread goes on at entry.
void detour(const Stopped& at, void (*entry)());

}  // namespace thrum::os
