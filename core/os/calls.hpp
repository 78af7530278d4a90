// Call stacks, and what the code in them belongs to.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/defs.hpp"

namespace thrum::os {

// The return addresses of the calling thread or G, innermost first, from whoever called
// this. By unwind tables; takes some 3 KiB of stack.
u32 call_stack(u64* pcs, u32 most);

// Calls fn for each piece of code that is loaded: [lo, hi), where it begins in its file,
// and the file's name.
void each_text(void (*fn)(void* arg, u64 lo, u64 hi, u64 offset,
                          const char* file),
               void* arg);

// The function that pc is in, as far as the dynamic symbols say; false: nothing.
bool function_name(u64 pc, char* out, size_t size);

}  // namespace thrum::os
