//! TCP.
//!
//! SPDX-License-Identifier: MIT

use super::addr::{first, host_and_port, socket_addr, ToHost};
use super::stream::{stream, Conn};
use super::{check, lend, opened, Timeout};
use crate::park::{deadline, park, park_whole};
use crate::sys;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::ManuallyDrop;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::time::Duration;
use std::{fmt, net};

/// A connection, with `TCP_NODELAY`. Reads queue behind reads and writes behind writes;
/// a read and a write of two green threads go on side by side.
pub struct TcpStream(Conn);

stream!(TcpStream, net::TcpStream);

impl TcpStream {
    /// Connects to the first of a host's addresses that answers.
    pub fn connect(to: impl ToHost) -> io::Result<TcpStream> {
        TcpStream::connect_until(&to, sys::THRUM_FOREVER)
    }

    /// The same, and waits only so long.
    pub fn connect_timeout(to: impl ToHost, timeout: Duration) -> io::Result<TcpStream> {
        TcpStream::connect_until(&to, deadline(Some(timeout)))
    }

    fn connect_until(to: &impl ToHost, deadline: i64) -> io::Result<TcpStream> {
        let (host, port) = host_and_port(to)?;
        let conn = Conn::new(|out| {
            // SAFETY: parking; host is a string.
            park_whole(deadline, || unsafe {
                sys::thrum_tcp_dial(ptr::null_mut(), host.as_ptr(), port, out, deadline)
            })
        })?;
        Ok(TcpStream(conn))
    }

    /// The other end.
    #[inline]
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.std()?.peer_addr()
    }

    /// This end.
    #[inline]
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.std()?.local_addr()
    }

    /// Whether small writes go out at once, as they do unless this says otherwise.
    #[inline]
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.std()?.set_nodelay(nodelay)
    }

    /// See [`set_nodelay`](Self::set_nodelay).
    #[inline]
    pub fn nodelay(&self) -> io::Result<bool> {
        self.std()?.nodelay()
    }
}

/// Where connections come in.
pub struct TcpListener {
    raw: NonNull<sys::thrum_listener>,
    at: SocketAddr,
    timeout: Timeout,
    lent: OnceLock<OwnedFd>,
}

// SAFETY: a listener is for any thread.
unsafe impl Send for TcpListener {}
// SAFETY: as above.
unsafe impl Sync for TcpListener {}

impl TcpListener {
    /// Listens at the first of a host's addresses that can be had; port 0: any.
    pub fn bind(at: impl ToHost) -> io::Result<TcpListener> {
        first(&at, |at| TcpListener::listen(at, 0))
    }

    /// The same, with others at the same port: the system spreads connections.
    pub fn bind_shared(at: impl ToHost) -> io::Result<TcpListener> {
        first(&at, |at| TcpListener::listen(at, sys::THRUM_LISTEN_REUSEPORT))
    }

    fn listen(at: &sys::thrum_addr, flags: u32) -> io::Result<TcpListener> {
        let (mut out, ip) = (ptr::null_mut(), socket_addr(at)?);
        // SAFETY: both point to what they say.
        opened(unsafe { sys::thrum_listen(ptr::null_mut(), at, 0, flags, &mut out) }.into())?;
        let raw = NonNull::new(out).expect("it was made");
        let (timeout, lent) = (Timeout::none(), OnceLock::new());
        let mut listener = TcpListener { raw, at: ip, timeout, lent };
        // SAFETY: it lives.
        listener.at.set_port(unsafe { sys::thrum_listener_port(raw.as_ptr()) });
        Ok(listener)
    }

    /// Waits for a connection; it, and where it is from. One that the other end has
    /// reset by then is passed over.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let deadline = self.timeout.deadline();
        loop {
            let stream = self.accept_until(deadline)?;
            match stream.peer_addr() {
                Err(error) if error.kind() == io::ErrorKind::NotConnected => {}
                from => return Ok((stream, from?)),
            }
        }
    }

    fn accept_until(&self, deadline: i64) -> io::Result<TcpStream> {
        let conn = Conn::new(|out| {
            // SAFETY: parking; it lives.
            park(deadline, |until| unsafe { sys::thrum_accept(self.raw.as_ptr(), out, until) })
        })?;
        Ok(TcpStream(conn))
    }

    /// How long an accept may wait; `None`: for ever.
    pub fn set_accept_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.timeout.set(timeout)
    }

    /// Accepts for ever.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.at
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        // SAFETY: our handle.
        unsafe { sys::thrum_listener_release(self.raw.as_ptr()) };
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: it lives.
        lend(&self.lent, || unsafe { sys::thrum_listener_fd(self.raw.as_ptr()) })
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener").field("at", &self.at).finish_non_exhaustive()
    }
}

/// See [`TcpListener::incoming`].
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        Some(self.listener.accept_until(self.listener.timeout.deadline()))
    }
}
