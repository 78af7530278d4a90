//! UDP.
//!
//! SPDX-License-Identifier: MIT

use super::addr::{first, socket_addr, ToHost, NOWHERE};
use super::{check, lend, opened, Timeout};
use crate::park::park;
use crate::sys;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::time::Duration;
use std::{fmt, io};

/// Datagrams.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # thrum::run(|| {
/// use thrum::net::UdpSocket;
/// let (a, b) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
/// a.send_to(b"thrum", b.local_addr()?)?;
/// let mut buffer = [0; 16];
/// assert_eq!(b.recv_from(&mut buffer)?, (5, a.local_addr()?));
/// # Ok(())
/// # })
/// # }
/// ```
pub struct UdpSocket {
    raw: NonNull<sys::thrum_udp>,
    read: Timeout,
    write: Timeout,
    lent: OnceLock<OwnedFd>,
}

// SAFETY: a socket is for any thread.
unsafe impl Send for UdpSocket {}
// SAFETY: as above.
unsafe impl Sync for UdpSocket {}

impl UdpSocket {
    /// At the first of a host's addresses that can be had; port 0: any.
    pub fn bind(at: impl ToHost) -> io::Result<UdpSocket> {
        first(&at, |at| {
            let mut out = ptr::null_mut();
            // SAFETY: both point to what they say.
            opened(unsafe { sys::thrum_udp_open(ptr::null_mut(), at, 0, &mut out) }.into())?;
            let raw = NonNull::new(out).expect("it was made");
            let (read, write) = (Timeout::none(), Timeout::none());
            Ok(UdpSocket { raw, read, write, lent: OnceLock::new() })
        })
    }

    /// Sends to `to` where no address is named, and receives from there alone.
    pub fn connect(&self, to: impl ToHost) -> io::Result<()> {
        first(&to, |to| {
            // SAFETY: it lives; to is an address.
            check(unsafe { sys::thrum_udp_connect(self.raw.as_ptr(), to) }.into()).map(drop)
        })
    }

    /// Sends one datagram to where it is connected.
    pub fn send(&self, datagram: &[u8]) -> io::Result<usize> {
        self.send_at(datagram, ptr::null())
    }

    /// Sends one datagram.
    pub fn send_to(&self, datagram: &[u8], to: impl ToHost) -> io::Result<usize> {
        first(&to, |to| self.send_at(datagram, to))
    }

    fn send_at(&self, datagram: &[u8], to: *const sys::thrum_addr) -> io::Result<usize> {
        let (deadline, at) = (self.write.deadline(), datagram.as_ptr().cast());
        // SAFETY: parking; the datagram has that many bytes.
        check(park(deadline, |until| unsafe {
            sys::thrum_udp_send(self.raw.as_ptr(), at, datagram.len(), to, until)
        }))
    }

    /// Receives one datagram; what does not fit is lost.
    pub fn recv(&self, into: &mut [u8]) -> io::Result<usize> {
        self.recv_at(into, ptr::null_mut())
    }

    /// Receives one datagram, and where it is from.
    pub fn recv_from(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let mut from = NOWHERE;
        let n = self.recv_at(into, &mut from)?;
        Ok((n, socket_addr(&from)?))
    }

    fn recv_at(&self, into: &mut [u8], from: *mut sys::thrum_addr) -> io::Result<usize> {
        let (deadline, at) = (self.read.deadline(), into.as_mut_ptr().cast());
        // SAFETY: parking; into has that much room, from is null or an address.
        check(park(deadline, |until| unsafe {
            sys::thrum_udp_recv(self.raw.as_ptr(), at, into.len(), from, until)
        }))
    }

    /// How long a receive may wait; `None`: for ever.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.read.set(timeout)
    }

    /// How long a send may wait; `None`: for ever.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.write.set(timeout)
    }

    /// Where it is.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let mut at = NOWHERE;
        // SAFETY: both point to what they say.
        check(unsafe { sys::thrum_udp_local(self.raw.as_ptr(), &mut at) }.into())?;
        socket_addr(&at)
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        // SAFETY: our handle.
        unsafe { sys::thrum_udp_release(self.raw.as_ptr()) };
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: it lives.
        lend(&self.lent, || unsafe { sys::thrum_udp_fd(self.raw.as_ptr()) })
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpSocket").field("at", &self.local_addr()).finish_non_exhaustive()
    }
}
