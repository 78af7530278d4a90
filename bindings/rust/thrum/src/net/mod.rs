//! Sockets that look blocking: a green thread that waits for one parks alone.
//!
//! They belong to the runtime of the green thread that opens them. An OS thread may
//! use them too, and blocks. Timeouts are errors of kind `TimedOut`; a cancel unwinds.
//! After the end of their runtime each call is an error of kind `NotConnected`.
//!
//! Options that are not here: [`AsFd`], with the descriptor left
//! non-blocking. It is a duplicate, made by the first call, which panics if there can be
//! none: it is good as long as the socket is there, whatever becomes of the runtime.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! # thrum::run(|| {
//! use std::io::{Read, Write};
//! use thrum::net::{TcpListener, TcpStream};
//!
//! let listener = TcpListener::bind("127.0.0.1:0")?;
//! let at = listener.local_addr();
//! let echo = thrum::spawn(move || -> std::io::Result<()> {
//!     let (mut stream, _) = listener.accept()?;
//!     let mut buffer = [0; 5];
//!     stream.read_exact(&mut buffer)?;
//!     stream.write_all(&buffer)
//! });
//! let mut stream = TcpStream::connect(at)?;
//! stream.write_all(b"thrum")?;
//! let mut text = String::new();
//! stream.read_to_string(&mut text)?;
//! assert_eq!(text, "thrum");
//! echo.join().unwrap()?;
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! SPDX-License-Identifier: MIT

mod addr;
pub(crate) mod stream;
mod tcp;
mod udp;
mod unix;

pub use addr::ToHost;
pub use tcp::{Incoming, TcpListener, TcpStream};
pub use udp::UdpSocket;
pub use unix::{UnixListener, UnixStream};

use crate::error::{io_error, text};
use crate::sys;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::OnceLock;
use std::time::Duration;

/// A result of thrum's: what is not negative, or the error.
fn check(code: i64) -> io::Result<usize> {
    if code < 0 {
        return Err(io_error(code));
    }
    Ok(code as usize)
}

/// The same of a call that opens something in the calling green thread's runtime.
pub(crate) fn opened(code: i64) -> io::Result<usize> {
    // SAFETY: a plain call.
    if code == sys::THRUM_EINVAL.into() && unsafe { sys::thrum_rt_current() }.is_null() {
        return Err(io::Error::other("thrum: only green threads open this"));
    }
    check(code)
}

/// What is borrowed of a socket: a duplicate, for a runtime that ends closes its own
/// descriptors. `fd` tells the socket's, or that it is closed.
fn lend(kept: &OnceLock<OwnedFd>, fd: impl Fn() -> RawFd) -> BorrowedFd<'_> {
    let duplicate = || {
        let at = fd();
        assert!(at >= 0, "thrum: {}", text(at));
        // SAFETY: looked at again below: a number is given anew only after its close.
        let copy = unsafe { BorrowedFd::borrow_raw(at) }.try_clone_to_owned();
        let copy = copy.unwrap_or_else(|error| panic!("thrum: no descriptor: {error}"));
        assert!(fd() == at, "thrum: the socket was closed");
        copy
    };
    kept.get_or_init(duplicate).as_fd()
}

/// How long the calls of one direction of a socket may wait.
#[derive(Debug)]
struct Timeout(AtomicI64);

impl Timeout {
    const fn none() -> Timeout {
        Timeout(AtomicI64::new(0))
    }

    /// The deadline of a call that begins now.
    fn deadline(&self) -> i64 {
        match self.0.load(Ordering::Relaxed) {
            0 => sys::THRUM_FOREVER,
            // SAFETY: a plain call.
            ns => unsafe { sys::thrum_after(ns) },
        }
    }

    fn set(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.store(timeout_ns(timeout)?, Ordering::Relaxed);
        Ok(())
    }
}

/// As thrum counts it; 0: none.
fn timeout_ns(timeout: Option<Duration>) -> io::Result<i64> {
    if timeout == Some(Duration::ZERO) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a timeout of no time"));
    }
    Ok(timeout.map_or(0, crate::park::nanoseconds))
}
