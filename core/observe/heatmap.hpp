// Two pictures of what the lens has measured (waits.hpp): latencies over time, and what
// caused them.
// SPDX-License-Identifier: MIT
#pragma once
#include "observe/text.hpp"
#include "observe/waits.hpp"

namespace thrum {

// Time in columns, oldest first, log2 of ns in rows: how many Gs came to run then,
// after so long; and of how many the kernel or a quota took so much; and the former by
// class. kEINVAL: never measured, kENOMEM.
int heatmap_json(Runtime* rt, Text& out);
int heatmap_csv(Runtime* rt, Text& out);
// For a terminal of 256 colours; the newest `width` columns.
int heatmap_ansi(Runtime* rt, Text& out);

// ns by cause: of all, by class, by column, and of the Gs that were delayed most.
int blame_json(Runtime* rt, Text& out);
int blame_text(Runtime* rt, Text& out);

}  // namespace thrum
