/* <thrum/os.h>: signals, files and processes for green threads.
 *
 * What may block the thread (a disk, a starting process) does so declared: the P
 * goes on with other Gs meanwhile, as between thrum_enter_blocking and
 * thrum_exit_blocking. A thread of the host just blocks. No deadline ends such a
 * call, and no cancel; a request that is pending stays so.
 *
 * Errors: besides those that a declaration names, the negated errno of the system
 * call (THRUM_ENOENT, THRUM_EACCES, THRUM_ENOSPC, …).
 * SPDX-License-Identifier: MIT */
#ifndef THRUM_OS_H
#define THRUM_OS_H

#include <thrum/net.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Signals ------------------------------------------------------------------
 */
/* From now on each `signo` that the process gets sends its number, an int32_t, into
 * ch, whose elements have 4 bytes. What ch has no room for is dropped: give it room
 * for as many as may come before you look. Several channels may have one signal.
 * While one has it, nothing else comes of the signal; after the last, and in the
 * child of a fork, what the process did before the first. A channel is kept as long
 * as it is notified; to ask once more for the same changes nothing.
 *
 *   thrum_chan* stop;
 *   thrum_chan_new(4, 1, &stop);
 *   thrum_signal_notify(NULL, SIGTERM, stop);
 *   int32_t signo;
 *   thrum_chan_recv(stop, &signo, THRUM_FOREVER);
 *
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (not a signal that can be caught, or ch has other elements)
 *   THRUM_ENOMEM THRUM_ENOTSUP THRUM_EFORKED THRUM_ECLOSED */
THRUM_API int thrum_signal_notify(thrum_rt* rt, int signo, thrum_chan* ch);

/* No more signals into ch. Returns how many kinds of them it had.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EFORKED */
THRUM_API int thrum_signal_stop(thrum_rt* rt, thrum_chan* ch);

/* ---- Files ----------------------------------------------------------------------
 */
/* open(2): a descriptor, always close-on-exec. flags: the system's O_*.
 * Threads: any  Class: parking  Parks: yes  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOENT THRUM_EACCES THRUM_EMFILE … */
THRUM_API int thrum_file_open(const char* path, int flags, uint32_t mode);

/* Reads or writes at an offset in bytes, or (-1) where the descriptor stands:
 * bytes moved, as read(2) and write(2); 0 at the end of the file.
 * Threads: any  Class: parking  Parks: yes  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EBADF THRUM_EIO THRUM_ENOSPC … */
THRUM_API int64_t thrum_file_read(int fd, void* buf, size_t n, int64_t offset);
THRUM_API int64_t thrum_file_write(int fd, const void* buf, size_t n,
                                   int64_t offset);

/* What was written is on the disk: fsync(2), or (data_only) fdatasync(2).
 * Threads: any  Class: parking  Parks: yes  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EBADF THRUM_EIO THRUM_ENOSPC … */
THRUM_API int thrum_file_sync(int fd, int data_only);

/* Makes the file that long, in bytes.
 * Threads: any  Class: parking  Parks: yes  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EBADF … */
THRUM_API int thrum_file_truncate(int fd, int64_t size);

/* close(2).
 * Threads: any  Class: parking  Parks: yes  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EBADF THRUM_EIO … */
THRUM_API int thrum_file_close(int fd);

/* What a file is. */
typedef struct thrum_stat {
  uint32_t struct_size; /* the caller sets it to sizeof(thrum_stat) */
  uint32_t kind;        /* THRUM_KIND_* */
  uint64_t size;        /* bytes */
  int64_t modified_ns;  /* since 1970 */
  uint64_t device, inode;
  uint32_t mode; /* permission bits */
  uint32_t reserved;
} thrum_stat;
#define THRUM_KIND_UNKNOWN 0u
#define THRUM_KIND_FILE 1u
#define THRUM_KIND_DIR 2u
#define THRUM_KIND_LINK 3u
#define THRUM_KIND_OTHER 4u

/* Of a path, whose last link is followed or not; of an open descriptor.
 * Threads: any  Class: parking  Parks: yes  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOENT THRUM_EACCES THRUM_EBADF … */
THRUM_API int thrum_file_stat(const char* path, int follow, thrum_stat* out);
THRUM_API int thrum_file_fstat(int fd, thrum_stat* out);

/* rename(2); remove(3): a file or an empty directory; mkdir(2).
 * Threads: any  Class: parking  Parks: yes  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOENT THRUM_EACCES THRUM_EEXIST … */
THRUM_API int thrum_file_rename(const char* from, const char* to);
THRUM_API int thrum_file_remove(const char* path);
THRUM_API int thrum_dir_make(const char* path, uint32_t mode);

/* Calls fn(arg, name, kind) for each entry of a directory but "." and "..", in no
 * order, until it returns something else than 0, which is the result then. All names
 * are read before the first call, so fn may park, and change the directory.
 * Threads: any  Class: parking  Parks: yes  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOENT THRUM_EACCES THRUM_ENOTDIR THRUM_ENOMEM … */
THRUM_API int thrum_dir_list(const char* path,
                             int (*fn)(void* arg, const char* name,
                                       uint32_t kind),
                             void* arg);

/* ---- Processes --------------------------------------------------------------------
 */
typedef struct thrum_process thrum_process;

typedef struct thrum_process_opts {
  uint32_t struct_size;
  uint32_t flags;         /* THRUM_PROCESS_* */
  const char* dir;        /* where it begins; NULL: here */
  const char* const* env; /* "NAME=value", NULL at the end; NULL: as ours */
  uint32_t stdio[3];      /* THRUM_STDIO_*, for its descriptors 0, 1 and 2 */
  int32_t fds[3];         /* for THRUM_STDIO_FD */
} thrum_process_opts;
#define THRUM_PROCESS_GROUP \
  1u /* its own process group; signals go to all of it */
#define THRUM_STDIO_INHERIT 0u
#define THRUM_STDIO_NULL 1u
#define THRUM_STDIO_PIPE 2u /* see thrum_process_stdio */
#define THRUM_STDIO_FD 3u   /* a duplicate of this one */

/* Starts the program argv[0] (looked for in PATH unless it has a slash) with these
 * arguments, NULL at the end. opts may be NULL. It gets no other descriptor of ours
 * that is close-on-exec, no blocked signal, and SIGPIPE as usual.
 * Threads: any  Class: parking  Parks: yes  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_E2BIG THRUM_ENOENT THRUM_EACCES THRUM_EAGAIN
 *   THRUM_ENOMEM THRUM_EMFILE THRUM_ENOTSUP THRUM_EFORKED THRUM_ECLOSED … */
THRUM_API int thrum_process_new(thrum_rt* rt, const char* const* argv,
                                const thrum_process_opts* opts,
                                thrum_process** out);

/* Its number.
 * Threads: any  Class: plain  Parks: no  Signal-safe: yes  Since: 0.1
 * Errors: THRUM_EINVAL */
THRUM_API int thrum_process_pid(const thrum_process* p);

/* Our end of the pipe that is its descriptor `which`: 0 to be written, 1 and 2 to be
 * read. The process keeps it; retain it to have it longer; close it for the other to
 * see an end. NULL: there is no such pipe.
 * Threads: any  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API thrum_conn* thrum_process_stdio(const thrum_process* p, int which);

/* Waits until it has ended; code: what it returned, signo: the signal that ended it,
 * else 0; either may be NULL. Any number of times, by any number.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EAGAIN THRUM_ETIMEDOUT THRUM_ECANCELED
 *   THRUM_ECLOSED THRUM_ENOMEM THRUM_EFORKED; THRUM_ECHILD: the host has waited
 *   for it */
THRUM_API int thrum_process_wait(thrum_process* p, int* code, int* signo,
                                 int64_t deadline_ns);

/* Sends it a signal.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EPERM THRUM_EFORKED; THRUM_ESRCH: it has ended */
THRUM_API int thrum_process_kill(thrum_process* p, int signo);

/* Gives the handle and its pipes back. The process itself goes on; wait for it
 * before, or it may stay a zombie when it ends. In the child of a fork it closes
 * the child's copies. NULL: nothing.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API void thrum_process_release(thrum_process* p);

#ifdef __cplusplus
}
#endif
#endif
