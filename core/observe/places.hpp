// The shape of the machine, and where on it a runtime is: parts of os_report.
// SPDX-License-Identifier: MIT
#pragma once
#include "base/cpus.hpp"

namespace thrum {

class Text;
struct Runtime;

void add_list(Text& t, const CpuSet& set);  // "0-3,8"
void add_topology(Text& t, const char* root);
void add_places(Text& t, Runtime* rt);

}  // namespace thrum
