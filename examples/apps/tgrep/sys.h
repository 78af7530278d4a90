/* sys.h: the system calls that may block, each declared to thrum.
 *
 * Between thrum_enter_blocking and thrum_exit_blocking a G may block its thread
 * as long as it likes: the P goes on with other Gs on another thread. After
 * exit_blocking the G may find itself on another thread, and errno belongs to a
 * thread. So each call is a function of its own, in a file of its own, that
 * picks errno up before exit_blocking and returns it: a result below 0 is a
 * negated errno. None of them ends with EINTR.
 *
 * SPDX-License-Identifier: MIT */
#ifndef TGREP_SYS_H
#define TGREP_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* The file's descriptor and status; path NULL: standard input. Of a regular
 * file also the first bytes, or in *got what went wrong with them: most files
 * are small, and so one declared call does for all of it. Paths longer than
 * PATH_MAX work too. */
int sys_open(const char* path, int flags, struct stat* st, void* buf, size_t n,
             int64_t* got);
int sys_stat(const char* path, struct stat* st); /* follows links */
int64_t sys_read(int fd, void* buf, size_t n);
int sys_write_all(int fd, const void* buf, size_t n);
/* 1 if a hole lies between where fd stands and size: holes read as NULs. */
int sys_hole_ahead(int fd, off_t size);
/* Waits until fd or wake_fd is readable (or broken); 1: fd is. wake_fd < 0:
 * none. */
int sys_wait_readable(int fd, int wake_fd);

struct name {
  char* text; /* from thrum_alloc */
  int is_dir; /* else a file that can be searched */
};
/* The files and directories in a directory, sorted by name; links, devices,
 * sockets and FIFOs are left out. All that was found is in *out even when the
 * result is an error. */
int sys_list(const char* path, int named, struct name** out, size_t* count);

#endif
