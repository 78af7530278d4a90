/* <thrum/net.h>: sockets, and any descriptor, for green threads: calls that look
 * blocking and park the G alone.
 *
 * Threads: what may be called from anywhere may be called by a thread of the host,
 * too; it then blocks as a thread does, while an M of the runtime (or, where that
 * is hosted, whoever pumps it) sees to the descriptor.
 *
 * Order: reads of one object queue behind reads, writes behind writes; a read and
 * a write go on side by side. Deadlines are absolute, as everywhere: a call that
 * can complete at once does, whatever the deadline.
 *
 * Closing: close and release return at once. Calls that wait get THRUM_ECLOSED,
 * calls in flight hold the object, and the last of them closes the descriptor.
 * Objects hold their runtime; after its stop their calls give THRUM_ECLOSED. A
 * deterministic runtime has no world outside: THRUM_ENOTSUP.
 *
 * Errors: besides those that a declaration names, the negated errno of the system
 * call (THRUM_ECONNREFUSED, THRUM_ECONNRESET, THRUM_EPIPE, THRUM_EMFILE, …). No
 * call raises SIGPIPE. In the child of a fork the parent's objects give
 * THRUM_EFORKED; releasing them there closes the child's copy.
 * SPDX-License-Identifier: MIT */
#ifndef THRUM_NET_H
#define THRUM_NET_H

#include <thrum/thrum.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Addresses --------------------------------------------------------------
 */
/* Where a socket is: an IP address and a port, or the path of a Unix socket. A
 * plain value, to be copied as it is; all-zero is none. */
typedef struct thrum_addr {
  uint64_t opaque[17];
} thrum_addr;

/* Reads a literal: "127.0.0.1", "::1", "fe80::1%eth0", or with port 0 the path of
 * a Unix socket: one with a slash, or "@name" in Linux's abstract namespace.
 * Names are thrum_resolve's.
 * Threads: any  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL */
THRUM_API int thrum_addr_parse(thrum_addr* out, const char* text,
                               uint16_t port);

/* Writes the address without its port as text with a zero behind it; returns its
 * length. thrum_addr_port: the port, 0 if it has none.
 * Threads: any  Class: plain  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOSPC */
THRUM_API int thrum_addr_text(const thrum_addr* addr, char* text, size_t size);
THRUM_API int thrum_addr_port(const thrum_addr* addr);

/* Asks the system's resolver (hosts file, DNS) for the addresses of `host`, a name
 * or a literal, NULL for this machine. Writes at most `n`, in the order in which
 * they are to be tried, and returns how many. One that is given up (deadline,
 * cancel) goes on behind the scenes, in a G of its own, until the system answers.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOMEM THRUM_ECLOSED THRUM_ETIMEDOUT
 *   THRUM_ECANCELED THRUM_EFORKED THRUM_ENAMETOOLONG; THRUM_ENODATA: there is no
 *   such name, or it has no address; THRUM_EAGAIN: nobody could say just now;
 *   THRUM_EMFILE THRUM_ENFILE */
THRUM_API int thrum_resolve(thrum_rt* rt, const char* host, uint16_t port,
                            thrum_addr* out, uint32_t n, int64_t deadline_ns);

/* ---- Listeners ---------------------------------------------------------------
 */
typedef struct thrum_listener thrum_listener;
typedef struct thrum_conn thrum_conn; /* a byte stream: TCP, Unix, a pipe */

/* Listens on a TCP port. host: a name or a literal; NULL: on all addresses, both
 * of IPv6 and of IPv4. port 0: the system picks one (thrum_listener_port).
 * backlog 0: as many as the system allows. Connections have TCP_NODELAY.
 * Threads: any  Class: parking  Parks: yes, for a name  Signal-safe: no
 * Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOMEM THRUM_ECLOSED THRUM_ENOTSUP THRUM_EFORKED,
 *   those of thrum_resolve; THRUM_EADDRINUSE THRUM_EACCES … */
THRUM_API int thrum_tcp_listen(thrum_rt* rt, const char* host, uint16_t port,
                               int backlog, thrum_listener** out);

/* The same at an address, which may be a Unix socket's path (the file must not
 * exist; it stays when the listener is closed). flags: THRUM_LISTEN_*.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: as thrum_tcp_listen */
THRUM_API int thrum_listen(thrum_rt* rt, const thrum_addr* at, int backlog,
                           uint32_t flags, thrum_listener** out);
#define THRUM_LISTEN_REUSEPORT 1u /* several listeners share the port */
#define THRUM_LISTEN_V6ONLY 2u    /* an IPv6 address serves IPv6 alone */

/* The port it listens on; 0: NULL, or not TCP.
 * Threads: any  Class: plain  Parks: no  Signal-safe: yes  Since: 0.1
 * Errors: none */
THRUM_API uint16_t thrum_listener_port(const thrum_listener* l);

/* The descriptor, as thrum_conn_fd tells that of a connection.
 * Threads: any  Class: plain  Parks: no  Signal-safe: yes  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ECLOSED */
THRUM_API int thrum_listener_fd(const thrum_listener* l);

/* Waits for a connection; the caller gets one reference to it. Connections that
 * have gone before they were accepted are passed over. With THRUM_EMFILE or
 * THRUM_ENFILE the connection stays in the queue: close something, or wait.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EAGAIN THRUM_ETIMEDOUT THRUM_ECANCELED
 *   THRUM_ECLOSED THRUM_ENOMEM THRUM_EFORKED THRUM_EMFILE THRUM_ENFILE … */
THRUM_API int thrum_accept(thrum_listener* l, thrum_conn** out,
                           int64_t deadline_ns);

/* Stops listening and wakes all accepts (THRUM_ECLOSED). Repeatable.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EFORKED */
THRUM_API int thrum_listener_close(thrum_listener* l);

/* Gives the handle back, and closes if need be. NULL: nothing.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API void thrum_listener_release(thrum_listener* l);

/* ---- Connections ---------------------------------------------------------------
 */
/* Connects. host: a name or a literal; NULL: this machine. Of a name's addresses
 * the next one is tried beside the last when that has not answered for 250 ms or
 * has failed, of the two IP families by turns; the first to answer wins (RFC 8305).
 * The caller gets one reference.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOMEM THRUM_ETIMEDOUT THRUM_ECANCELED
 *   THRUM_ECLOSED THRUM_ENOTSUP THRUM_EFORKED, those of thrum_resolve;
 *   THRUM_ECONNREFUSED THRUM_EHOSTUNREACH … */
THRUM_API int thrum_tcp_dial(thrum_rt* rt, const char* host, uint16_t port,
                             thrum_conn** out, int64_t deadline_ns);

/* Connects to one address: TCP or a Unix socket's path.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: as thrum_tcp_dial */
THRUM_API int thrum_dial(thrum_rt* rt, const thrum_addr* to, thrum_conn** out,
                         int64_t deadline_ns);

/* Takes over a connected stream socket, an end of a pipe or a terminal of the
 * host's, with a reference for the caller; it becomes non-blocking (for all who
 * share the open file), and is closed with the connection. On failure it stays the
 * host's.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOMEM THRUM_ECLOSED THRUM_ENOTSUP THRUM_EFORKED
 *   THRUM_EBADF; THRUM_EPERM: a file, which is always ready: <thrum/os.h> */
THRUM_API int thrum_conn_adopt(thrum_rt* rt, int fd, thrum_conn** out);

#define THRUM_READABLE 1
#define THRUM_WRITABLE 2

/* Waits until there is something to read (THRUM_READABLE), or room to write
 * (THRUM_WRITABLE): a server of many idle connections needs a buffer only then, and
 * costs a page less for each. What came may be gone by the time of the read, which
 * then waits again. It queues with the reads, or the writes.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EAGAIN THRUM_ETIMEDOUT THRUM_ECANCELED
 *   THRUM_ECLOSED THRUM_ENOMEM THRUM_EFORKED */
THRUM_API int thrum_conn_wait(thrum_conn* c, int events, int64_t deadline_ns);

/* How long a call of this connection that is given THRUM_FOREVER may wait, from its
 * begin: each read (THRUM_READABLE), or each write (THRUM_WRITABLE). In nanoseconds; 0,
 * as at first: for ever. It ends with THRUM_ETIMEDOUT. For programs that know a socket's
 * SO_RCVTIMEO and SO_SNDTIMEO: as those it is one for all who share the connection, and
 * leaves a call alone that has begun.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL (also ns below 0) THRUM_EFORKED */
THRUM_API int thrum_conn_set_timeout(thrum_conn* c, int events, int64_t ns);

/* That timeout, 0: none.
 * Threads: any  Class: plain  Parks: no  Signal-safe: yes  Since: 0.1
 * Errors: THRUM_EINVAL */
THRUM_API int64_t thrum_conn_timeout(const thrum_conn* c, int events);

/* Reads what is there, at least one byte: bytes read, 0 at the end of the stream.
 * n 0: 0 at once.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EAGAIN THRUM_ETIMEDOUT THRUM_ECANCELED
 *   THRUM_ECLOSED THRUM_ENOMEM THRUM_EFORKED THRUM_ECONNRESET … */
THRUM_API int64_t thrum_read(thrum_conn* c, void* buf, size_t n,
                             int64_t deadline_ns);

/* Writes all n bytes: returns n; or k < n if a deadline, a cancel, a close or an
 * error of the connection came after k > 0 of them. An error means that nothing was
 * written. (THRUM_TRY: what can be written at once.)
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EAGAIN THRUM_ETIMEDOUT THRUM_ECANCELED
 *   THRUM_ECLOSED THRUM_ENOMEM THRUM_EFORKED THRUM_EPIPE THRUM_ECONNRESET … */
THRUM_API int64_t thrum_write(thrum_conn* c, const void* buf, size_t n,
                              int64_t deadline_ns);

/* Writes 1 to n bytes, as write(2) does: as many as there is room for.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: as thrum_write */
THRUM_API int64_t thrum_write_some(thrum_conn* c, const void* buf, size_t n,
                                   int64_t deadline_ns);

/* A piece of memory. */
typedef struct thrum_buf {
  void* base;
  size_t size;
} thrum_buf;

/* thrum_read and thrum_write from and to several pieces, one after the other, at
 * most 1024.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: as thrum_read and thrum_write */
THRUM_API int64_t thrum_readv(thrum_conn* c, const thrum_buf* bufs, uint32_t n,
                              int64_t deadline_ns);
THRUM_API int64_t thrum_writev(thrum_conn* c, const thrum_buf* bufs, uint32_t n,
                               int64_t deadline_ns);

/* Writes n bytes of a file from `offset` on, without a copy in between
 * (sendfile(2)); as thrum_write, and fewer at the file's end. Reading the file may
 * block the thread, as a declared block does.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: as thrum_write; THRUM_EBADF THRUM_EIO */
THRUM_API int64_t thrum_sendfile(thrum_conn* c, int file_fd, int64_t offset,
                                 size_t n, int64_t deadline_ns);

/* Ends writing: the peer reads to the end of the stream. Reading goes on.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ECLOSED THRUM_EFORKED THRUM_ENOTCONN */
THRUM_API int thrum_conn_shutdown(thrum_conn* c);

/* Ends the connection; readers and writers get THRUM_ECLOSED. Repeatable.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EFORKED */
THRUM_API int thrum_conn_close(thrum_conn* c);

/* Adds a reference; gives one back, and the last one closes and frees. NULL:
 * nothing.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API void thrum_conn_retain(thrum_conn* c);
THRUM_API void thrum_conn_release(thrum_conn* c);

/* The descriptor, for what is not here (socket options); it stays the
 * connection's, and non-blocking. Whoever closes meanwhile takes it away.
 * Threads: any  Class: plain  Parks: no  Signal-safe: yes  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ECLOSED */
THRUM_API int thrum_conn_fd(const thrum_conn* c);

/* This end's and the other's address.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ECLOSED THRUM_EFORKED THRUM_ENOTCONN */
THRUM_API int thrum_conn_local(thrum_conn* c, thrum_addr* out);
THRUM_API int thrum_conn_peer(thrum_conn* c, thrum_addr* out);

/* Sets an option of the connection.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ECLOSED THRUM_EFORKED THRUM_ENOTSUP … */
THRUM_API int thrum_conn_set(thrum_conn* c, uint32_t option, int value);
#define THRUM_OPT_NODELAY 1u /* 1: small writes go out at once (the default) */
#define THRUM_OPT_KEEPALIVE \
  2u                        /* s of silence before the peer is probed; 0: off */
#define THRUM_OPT_LINGER 3u /* 0: close resets; above: the rest goes out */
#define THRUM_OPT_RCVBUF 4u /* bytes */
#define THRUM_OPT_SNDBUF 5u /* bytes */

/* ---- Datagrams -------------------------------------------------------------------
 */
typedef struct thrum_udp thrum_udp;

/* A UDP socket at an address (port 0: any). flags: THRUM_LISTEN_*.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOMEM THRUM_ECLOSED THRUM_ENOTSUP THRUM_EFORKED
 *   THRUM_EADDRINUSE … */
THRUM_API int thrum_udp_open(thrum_rt* rt, const thrum_addr* at, uint32_t flags,
                             thrum_udp** out);

/* From now on it sends to `to` where no address is named, and receives from there
 * alone.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ECLOSED THRUM_EFORKED … */
THRUM_API int thrum_udp_connect(thrum_udp* u, const thrum_addr* to);

/* Sends one datagram; to NULL: to where it is connected. Returns n.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EAGAIN THRUM_ETIMEDOUT THRUM_ECANCELED
 *   THRUM_ECLOSED THRUM_ENOMEM THRUM_EFORKED THRUM_EMSGSIZE THRUM_EDESTADDRREQ
 *   THRUM_ECONNREFUSED: nobody took an earlier one */
THRUM_API int64_t thrum_udp_send(thrum_udp* u, const void* buf, size_t n,
                                 const thrum_addr* to, int64_t deadline_ns);

/* Receives one datagram; what does not fit into n bytes is lost. from may be NULL.
 * Returns its bytes.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EAGAIN THRUM_ETIMEDOUT THRUM_ECANCELED
 *   THRUM_ECLOSED THRUM_ENOMEM THRUM_EFORKED THRUM_ECONNREFUSED */
THRUM_API int64_t thrum_udp_recv(thrum_udp* u, void* buf, size_t n,
                                 thrum_addr* from, int64_t deadline_ns);

/* Where it is.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ECLOSED THRUM_EFORKED */
THRUM_API int thrum_udp_local(thrum_udp* u, thrum_addr* out);

/* The descriptor, as thrum_conn_fd tells that of a connection.
 * Threads: any  Class: plain  Parks: no  Signal-safe: yes  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ECLOSED */
THRUM_API int thrum_udp_fd(const thrum_udp* u);

/* Closes, and wakes all that wait (THRUM_ECLOSED), repeatable; gives the handle
 * back, and closes if need be.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EFORKED */
THRUM_API int thrum_udp_close(thrum_udp* u);
THRUM_API void thrum_udp_release(thrum_udp* u);

/* ---- Descriptors of the host's -----------------------------------------------------
 */
/* Waits until fd is ready for one of `events` (THRUM_READABLE, THRUM_WRITABLE);
 * returns which it is ready for: an error or a hang-up counts as all. It watches a
 * private duplicate, so closing fd meanwhile is harmless and wakes nobody; waits on
 * one fd do not know each other.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EAGAIN THRUM_ETIMEDOUT THRUM_ECANCELED
 *   THRUM_ECLOSED THRUM_ENOMEM THRUM_ENOTSUP THRUM_EFORKED THRUM_EBADF;
 *   THRUM_EPERM: a file or another that epoll refuses */
THRUM_API int thrum_poll_fd(thrum_rt* rt, int fd, int events,
                            int64_t deadline_ns);

typedef struct thrum_fd thrum_fd;

/* The same for a descriptor that is waited on often: it stays armed. Any number of
 * waits at a time.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_ENOMEM THRUM_ECLOSED THRUM_ENOTSUP THRUM_EFORKED
 *   THRUM_EBADF THRUM_EMFILE THRUM_EPERM */
THRUM_API int thrum_fd_new(thrum_rt* rt, int fd, thrum_fd** out);

/* As thrum_poll_fd.
 * Threads: any  Class: parking  Parks: deadline  Signal-safe: no  Since: 0.1
 * Errors: THRUM_EINVAL THRUM_EAGAIN THRUM_ETIMEDOUT THRUM_ECANCELED
 *   THRUM_ECLOSED THRUM_ENOMEM THRUM_EFORKED */
THRUM_API int thrum_fd_wait(thrum_fd* f, int events, int64_t deadline_ns);

/* Gives the handle back; who waits gets THRUM_ECLOSED. Until then the duplicate
 * keeps the file open, so release before fd is closed for good. NULL: nothing.
 * Threads: any  Class: non-parking  Parks: no  Signal-safe: no  Since: 0.1
 * Errors: none */
THRUM_API void thrum_fd_release(thrum_fd* f);

#ifdef __cplusplus
}
#endif
#endif
