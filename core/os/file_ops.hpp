// Files, directories and processes. As in os/socket.hpp, but these may block.
// SPDX-License-Identifier: MIT
#pragma once
#include "os/os.hpp"

namespace thrum::os {

// ---- files ---------------------------------------------------------------------
enum class Kind : u8 { none, file, directory, link, other };
struct Stat {
  Kind kind;
  u32 mode;
  u64 size;
  i64 modified;  // ns since 1970
  u64 device, inode;
};
int file_open(const char* path, int flags, u32 mode);    // always close-on-exec
int file_make(const char* path, u32 mode);               // empty, to be written
i64 file_read(int fd, void* buf, size_t n, i64 offset);  // -1: where it stands
i64 file_write(int fd, const void* buf, size_t n, i64 offset);
int file_sync(int fd, bool data_only);
int file_truncate(int fd, i64 size);
int file_stat(const char* path, bool follow, Stat* out);
int file_fstat(int fd, Stat* out);
int file_rename(const char* from, const char* to);
int file_remove(const char* path);  // a file, or an empty directory
int dir_make(const char* path, u32 mode);
// Calls fn for each entry but "." and "..", until one returns false.
int dir_list(const char* path, bool (*fn)(void*, const char*, Kind), void* arg);

// ---- processes --------------------------------------------------------------------
struct ProcessOptions {
  const char* file;         // looked for in PATH, unless it has a slash
  const char* const* argv;  // null at the end
  const char* const* env;   // null: as ours
  const char* dir;          // null: as ours
  int fds[3];               // what it has as 0, 1 and 2; -1: /dev/null
  bool group;               // its own process group
};
int process_start(const ProcessOptions& o);  // its id
int process_fd(int pid);  // a descriptor that is readable when it has ended
// 0: it goes on; 1: it has ended, and is no more.
int process_reap(int pid, int* code, int* signo);
int process_signal(int pid, bool group, int signo);
int pipe_open(int fds[2]);  // read and write end
// These numbers are another pipe's, which does not block. Async-signal-safe.
void pipe_replace(const int fds[2]);

}  // namespace thrum::os
