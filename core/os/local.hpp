// A stream socket in the file system that is this user's alone. As in os/socket.hpp.
// SPDX-License-Identifier: MIT
#pragma once
#include "os/os.hpp"

namespace thrum::os {

// Which file it is: a path may be another's by now.
struct FileId {
  u64 device = 0, inode = 0;
};

// Listens at `path`, mode 0600 from the first moment on. What a process of this user
// that has ended left there is taken away. Returns a descriptor; -EADDRINUSE: somebody
// listens there, or it is no such socket; -ENAMETOOLONG.
int local_listen(const char* path, FileId* id);
// Closes it; the file goes, if it still is that one.
void local_end(int fd, const char* path, const FileId& id);
// Of the other end. -errno.
int local_peer(int fd, u32* uid);
u32 user_id();  // effective
int process_id();

// The child of a fork has `fd` no more: a peer sees who is there. False: no room.
bool fd_not_in_child(int fd);
void fd_close_here(int fd);  // one of these

}  // namespace thrum::os
