// Processes: started, waited for, signalled. Their pipes are streams.
// SPDX-License-Identifier: MIT
#pragma once
#include "net/stream.hpp"
#include "os/file_ops.hpp"

namespace thrum {

struct Process {  // thrum_process
  PollFd fd;      // readable when it has ended; fd -1: the kernel has no such
  int pid;        // const
  bool group;     // const
  Stream* stdio[3];  // const: our ends of its pipes, or null
  WordLock lock;     // the rest
  bool reaped;       // lock
  int code, signo;   // lock: when it was reaped
};

// `piped`: which of o.fds shall be pipes. Not to be called inside the core:
// starting blocks.
int process_new(Runtime* rt, os::ProcessOptions o, const bool* piped,
                Process** out);
// 0: it has ended; code and signo say how.
int process_wait(M*& m, Process* p, i64 deadline, int* code, int* signo);
int process_kill(Process* p, int signo);
void process_release(M* m, Process* p);
void process_release_copy(Process* p);  // in the child of a fork

}  // namespace thrum
