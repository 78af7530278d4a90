// The control groups that limit this process.
// SPDX-License-Identifier: MIT
#pragma once

namespace thrum::os {

// Calls fn for every directory, from our leaf to the mount's root, of each hierarchy
// that carries the cpu controller: an ancestor throttles without a word in the leaf's
// files. Changes errno.
void each_cpu_group(void (*fn)(void* arg, const char* dir, bool v2), void* arg);

}  // namespace thrum::os
