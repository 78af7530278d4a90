// Byte streams: TCP and Unix sockets, the listeners that they come from, pipes and
// terminals.
// SPDX-License-Identifier: MIT
#pragma once
#include "net/pollfd.hpp"

namespace thrum {

struct Stream {  // thrum_conn
  PollFd fd;
};

struct Listener {  // thrum_listener
  PollFd fd;
  u16 port;  // const
};

enum class StreamKind : u8 { tcp, local, pipe };
// Takes over a non-blocking descriptor: a socket, or a pipe or terminal.
int stream_new(Runtime* rt, int fd, StreamKind kind, Stream** out);
// The same of the host's: kEINVAL: no stream, kEPERM: a file.
int stream_adopt(Runtime* rt, int fd, Stream** out);
int listener_new(Runtime* rt, const os::Address& at, int backlog, u32 flags,
                 Listener** out);
constexpr u32 kReusePort = 1;
constexpr u32 kV6Only = 2;
int stream_accept(M*& m, Listener* l, Stream** out, i64 deadline);
int stream_dial(M*& m, Runtime* rt, const os::Address& to, Stream** out,
                i64 deadline);

// Until it can be read or written, or nearly: what has come may be gone by then.
int stream_wait(M*& m, Stream* s, Dir d, i64 deadline);
i64 stream_read(M*& m, Stream* s, void* buf, size_t n, i64 deadline);
i64 stream_readv(M*& m, Stream* s, const os::Span* spans, u32 n, i64 deadline);
// All of it; less if the deadline, a cancel, a close or an error came in between.
i64 stream_write(M*& m, Stream* s, const void* buf, size_t n, i64 deadline);
i64 stream_write_some(M*& m, Stream* s, const void* buf, size_t n,
                      i64 deadline);
i64 stream_writev(M*& m, Stream* s, const os::Span* spans, u32 n, i64 deadline);
i64 stream_send_file(M*& m, Stream* s, int file, i64 offset, size_t n,
                     i64 deadline);

}  // namespace thrum
