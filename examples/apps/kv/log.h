/* log.h: the file that the keys come back from.
 *
 * It holds what was done to the store, in the requests' own notation: SET (with
 * PXAT), MSET, DEL, APPEND, PEXPIREAT, PERSIST, FLUSHALL. Whoever changes a shard
 * adds a record before unlocking it, so records of one key stand in order. One G
 * writes: while it is in write(2) and fsync(2), the others fill a second buffer,
 * and all of them share the next fsync.
 *
 * SPDX-License-Identifier: MIT */
#ifndef KV_LOG_H
#define KV_LOG_H

#include <stdint.h>

#include "text.h"

enum log_sync { SYNC_NO, SYNC_EVERYSEC, SYNC_ALWAYS };

/* Opens the file, or makes it, and puts into the store what it says; a record that
 * is not complete at its end is cut off. 0: says on standard error what is wrong
 * and what to do. `path` NULL: there is no log, and nothing below does anything. */
int log_open(const char* path);

/* The G that writes. It ends when log_close has been called. */
void log_main(void* unused);

/* Adds a record of n words; returns where the log stands then. With the shards of
 * its keys locked. */
uint64_t log_add(const struct slice* words, unsigned n);

/* Waits until the log is as safe up to `position` as its policy promises. */
void log_settle(uint64_t position);

/* Why nothing can be written now, an errno; 0: it can. */
int log_error(void);

/* Lets log_main write and sync what is left, and end; then log_free. */
void log_close(void);
void log_free(void);

void log_set_sync(enum log_sync sync);
enum log_sync log_get_sync(void);
const char* log_sync_name(enum log_sync sync);
int log_sync_named(struct slice name, enum log_sync* out);
int log_is_open(void);
uint64_t log_size(void);

#endif
