/* replay.h: from the log's bytes to the store.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KV_REPLAY_H
#define KV_REPLAY_H

#include <stdint.h>

#include "store.h"

/* Does to the store what the file says, cuts a torn record off its end, and says
 * so; returns the size of what is left. Below 0: it is damaged or cannot be read,
 * and it has been said how and what to do. */
int64_t replay(int fd, const char* path);

#endif
