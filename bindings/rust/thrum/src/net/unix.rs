//! Unix sockets.
//!
//! SPDX-License-Identifier: MIT

use super::addr::path;
use super::stream::{stream, Conn};
use super::{check, lend, opened};
use crate::park::{park, park_whole};
use crate::sys;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::ManuallyDrop;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::time::Duration;

/// A connection within this machine.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # thrum::run(|| {
/// use std::io::{Read, Write};
/// let (mut a, mut b) = thrum::net::UnixStream::pair()?;
/// a.write_all(b"thrum")?;
/// drop(a);
/// let mut text = String::new();
/// b.read_to_string(&mut text)?;
/// assert_eq!(text, "thrum");
/// # Ok(())
/// # })
/// # }
/// ```
pub struct UnixStream(Conn);

stream!(UnixStream, net::UnixStream);

impl UnixStream {
    /// Connects to a path, or to `@name` in Linux's abstract namespace.
    pub fn connect(to: impl AsRef<Path>) -> io::Result<UnixStream> {
        let to = path(to.as_ref())?;
        let conn = Conn::new(|out| {
            // SAFETY: parking; to is an address.
            park_whole(sys::THRUM_FOREVER, || unsafe {
                sys::thrum_dial(ptr::null_mut(), &to, out, sys::THRUM_FOREVER)
            })
        })?;
        Ok(UnixStream(conn))
    }

    /// Two that are connected to each other.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (one, other) = net::UnixStream::pair()?;
        Ok((one.try_into()?, other.try_into()?))
    }
}

/// Where connections come in.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # thrum::run(|| {
/// use std::io::{Read, Write};
/// use thrum::net::{UnixListener, UnixStream};
/// let at = format!("@thrum-{}", std::process::id());
/// let listener = UnixListener::bind(&at)?;
/// let client = thrum::spawn(move || UnixStream::connect(at)?.write_all(b"thrum"));
/// let mut text = String::new();
/// listener.accept()?.read_to_string(&mut text)?;
/// assert_eq!(text, "thrum");
/// client.join().unwrap()
/// # })
/// # }
/// ```
pub struct UnixListener {
    raw: NonNull<sys::thrum_listener>,
    lent: OnceLock<OwnedFd>,
}

// SAFETY: a listener is for any thread.
unsafe impl Send for UnixListener {}
// SAFETY: as above.
unsafe impl Sync for UnixListener {}

impl UnixListener {
    /// Listens at a path, where no file may be (it stays when the listener is gone), or
    /// at `@name` in Linux's abstract namespace.
    pub fn bind(at: impl AsRef<Path>) -> io::Result<UnixListener> {
        let at = path(at.as_ref())?;
        let mut out = ptr::null_mut();
        // SAFETY: both point to what they say.
        opened(unsafe { sys::thrum_listen(ptr::null_mut(), &at, 0, 0, &mut out) }.into())?;
        let raw = NonNull::new(out).expect("it was made");
        Ok(UnixListener { raw, lent: OnceLock::new() })
    }

    /// Waits for a connection.
    pub fn accept(&self) -> io::Result<UnixStream> {
        let conn = Conn::new(|out| {
            // SAFETY: parking; it lives.
            park(sys::THRUM_FOREVER, |until| unsafe {
                sys::thrum_accept(self.raw.as_ptr(), out, until)
            })
        })?;
        Ok(UnixStream(conn))
    }
}

impl Drop for UnixListener {
    fn drop(&mut self) {
        // SAFETY: our handle.
        unsafe { sys::thrum_listener_release(self.raw.as_ptr()) };
    }
}

impl AsFd for UnixListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: it lives.
        lend(&self.lent, || unsafe { sys::thrum_listener_fd(self.raw.as_ptr()) })
    }
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnixListener { .. }")
    }
}
