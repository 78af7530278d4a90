// Descriptors and sockets: the system calls of net. As in os.hpp: a plain number
// on success, a negated errno on failure, errno untouched; never a wait, never a
// SIGPIPE, and EINTR is tried again. All descriptors are close-on-exec.
// SPDX-License-Identifier: MIT
#pragma once
#include "os/os.hpp"

namespace thrum::os {

// ---- any descriptor ----------------------------------------------------------
i64 fd_read(int fd, const Span* spans, u32 n);
i64 fd_write_quietly(int fd, const Span* spans, u32 n);  // a pipe: no SIGPIPE
int fd_close(int fd);
int fd_dup(int fd);
// While it lives the standard descriptors that are closed are taken, so that what
// others open is not one of them: the host counts on these numbers.
class StdTaken {
 public:
  StdTaken();
  ~StdTaken();
  StdTaken(const StdTaken&) = delete;
  StdTaken& operator=(const StdTaken&) = delete;

 private:
  int fds_[3];
};
// Closes the open file, which the epoll descriptor may have, too; the number stays
// taken until fd_close. 0; out of descriptors: nothing is done.
int fd_vacate(int fd, int epoll);
int fd_nonblocking(int fd);
// Of the open file: whoever has a duplicate sees them, too.
int fd_flags(int fd);
int fd_set_flags(int fd, int flags);
// Would epoll take it? 0, or -EPERM: a file or a directory, which is always ready.
int fd_pollable(int fd);

constexpr int kReadable = 1;
constexpr int kWritable = 2;
// Which of `events` are there now, errors and hang-ups counting as all of them.
int fd_poll(int fd, int events);
// From now on the epoll descriptor, which has fd, tells of each arrival there once,
// and of nothing twice.
int epoll_edge(int epoll, int fd);

// ---- sockets -------------------------------------------------------------------
// An address as the kernel has it: a sockaddr of `size` bytes.
struct Address {
  u32 size = 0;
  alignas(8) unsigned char bytes[128];
};
enum class Family : u8 { none, v4, v6, local };
Family family_of(const Address& a);
// From a literal ("127.0.0.1", "::1", "::1%lo"); false: it is a name.
bool address_parse(Address& a, const char* literal, u16 port);
bool address_local(Address& a, const char* path);  // "@name": abstract
u16 address_port(const Address& a);
void address_set_port(Address& a, u16 port);
// "127.0.0.1", "::1" or the path. Returns its length, or -ENOSPC.
int address_text(const Address& a, char* out, size_t size);

constexpr int kStream = 1;
constexpr int kDatagram = 2;
// Non-blocking. kStream of TCP: no delay, as a runtime's users expect.
int sock_open(Family family, int kind);
int sock_pair(int fds[2]);
int sock_bind(int fd, const Address& at);
int sock_listen(int fd, int backlog);
int sock_accept(int fd);
int sock_connect(int fd, const Address& to);  // -EINPROGRESS: under way
int sock_type(int fd);                        // kStream, kDatagram, 0: another
int sock_error(int fd);                       // the pending one, taken; 0: none
int sock_name(int fd, Address& out);
int sock_peer(int fd, Address& out);
int sock_shutdown(int fd, int directions);  // kReadable, kWritable
// Its close does not wait until what is unsent is out; a reset stays one.
void sock_close_soon(int fd);
i64 sock_send(int fd, const void* buf, size_t n);
i64 sock_send_span(int fd, const Span* spans, u32 n);
i64 sock_send_to(int fd, const void* buf, size_t n, const Address* to);
i64 sock_recv(int fd, void* buf, size_t n);
i64 sock_recv_from(int fd, void* buf, size_t n, Address* from);
i64 send_file(int to, int from, i64 offset, size_t n);

enum class Option : u8 {
  reuse_address,
  reuse_port,
  v6_only,
  no_delay,
  keep_alive,      // seconds of silence before it is probed; 0: off
  linger,          // seconds; 0: a close resets
  receive_buffer,  // bytes
  send_buffer,     // bytes
};
int sock_set(int fd, Option option, int value);

}  // namespace thrum::os
