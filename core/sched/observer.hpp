// Who looks at a runtime from a thread of its own: the seam to observe, above.
// SPDX-License-Identifier: MIT
#pragma once

namespace thrum {

struct Runtime;

struct Observer {
  void (*stop)(Observer*);  // ends and joins the thread
  void (*free)(Observer*);
};

void observer_stop(Runtime* rt);
void observer_free(Runtime* rt);  // and what was recorded

}  // namespace thrum
