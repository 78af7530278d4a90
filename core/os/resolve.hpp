// SPDX-License-Identifier: MIT
#pragma once
#include "os/socket.hpp"

namespace thrum::os {

// What the system's resolver says; blocks, for seconds perhaps. Returns how many
// addresses, -ENODATA if the name has none, -EAGAIN if nobody could say, or
// another negated errno.
int resolve(const char* host, u16 port, Address* out, u32 most);

}  // namespace thrum::os
