// The machine as this process may use it, and what thrum made of it.
// SPDX-License-Identifier: MIT
#pragma once
#include <stddef.h>

namespace thrum {

struct Runtime;

// JSON, as far as it fits; its whole length. rt null: of the process alone.
// `root` is in front of the paths of the system's files.
size_t os_report(Runtime* rt, const char* root, char* out, size_t size);

}  // namespace thrum
