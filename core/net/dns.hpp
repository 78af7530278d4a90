// Names to addresses, by the system's resolver (getaddrinfo): hosts file, DNS,
// whatever the machine is set up for.
//
// That call blocks and wants a large stack, so it runs in a G of its own, declared
// blocking, and the caller waits with its deadline. One that gives up leaves it
// behind; it ends by itself.
// SPDX-License-Identifier: MIT
#pragma once
#include "os/resolve.hpp"
#include "sched/api.hpp"

namespace thrum {

// host null: any address of this machine (to listen) or this machine itself. At
// most `most` addresses, in the order in which they are to be tried; returns how
// many, or an error: kENODATA if there is none.
int resolve(M*& m, Runtime* rt, const char* host, u16 port, bool to_listen,
            os::Address* out, u32 most, i64 deadline);

}  // namespace thrum
