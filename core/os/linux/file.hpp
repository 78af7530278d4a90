// Descriptors of our own, and small files of /proc and /sys.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

namespace thrum::os {

// The descriptor, or one above 2 in its place: where the host has closed a standard
// one, as daemons do, it counts on the number for what it opens next.
int above_std(int fd);
// Reads a file whole, as far as it fits, with a zero behind it; false: it cannot
// be read, or is empty. Changes errno.
bool read_text(const char* path, char* buf, size_t size);
// The same of /proc/self/task/TID/NAME.
bool read_thread(u32 tid, const char* name, char* buf, size_t size);

}  // namespace thrum::os
