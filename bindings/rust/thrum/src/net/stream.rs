//! What TCP and Unix streams have in common.
//!
//! SPDX-License-Identifier: MIT

use super::{check, lend, opened, Timeout};
use crate::park::park;
use crate::sys;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

/// One reference to a thrum_conn, which the last one's release closes, or the end of its
/// runtime.
pub(crate) struct Conn {
    raw: NonNull<sys::thrum_conn>,
    lent: OnceLock<OwnedFd>,
    pub(super) read: Timeout,
    pub(super) write: Timeout,
}

// SAFETY: a connection is for any thread.
unsafe impl Send for Conn {}
// SAFETY: as above.
unsafe impl Sync for Conn {}

impl Conn {
    /// What `make` makes: its code, and a connection in `out` unless that is negative.
    pub(super) fn new(make: impl FnOnce(*mut *mut sys::thrum_conn) -> i32) -> io::Result<Conn> {
        let mut out = ptr::null_mut();
        opened(make(&mut out).into())?;
        Ok(Conn::from_raw(NonNull::new(out).expect("it was made")))
    }

    fn from_raw(raw: NonNull<sys::thrum_conn>) -> Conn {
        let lent = OnceLock::new();
        Conn { raw, lent, read: Timeout::none(), write: Timeout::none() }
    }

    pub(super) fn adopt(fd: OwnedFd) -> io::Result<Conn> {
        use std::os::fd::{AsRawFd, IntoRawFd};
        let conn = Conn::new(|out| {
            // SAFETY: an open descriptor, which is given away if this succeeds.
            unsafe { sys::thrum_conn_adopt(ptr::null_mut(), fd.as_raw_fd(), out) }
        })?;
        let _ = fd.into_raw_fd();
        Ok(conn)
    }

    pub(super) fn another(&self) -> Conn {
        // SAFETY: it lives.
        unsafe { Conn::shared(self.raw) }
    }

    /// # Safety
    /// It lives.
    pub(crate) unsafe fn shared(raw: NonNull<sys::thrum_conn>) -> Conn {
        // SAFETY: the caller's promise; the reference is the new one's.
        unsafe { sys::thrum_conn_retain(raw.as_ptr()) };
        Conn::from_raw(raw)
    }

    /// Closes it for all who share it: only where nobody asks for its descriptor.
    pub(crate) fn close(&self) {
        // SAFETY: it lives.
        unsafe { sys::thrum_conn_close(self.raw.as_ptr()) };
    }

    /// Its descriptor, or that it is closed.
    pub(crate) fn fd(&self) -> RawFd {
        // SAFETY: it lives.
        unsafe { sys::thrum_conn_fd(self.raw.as_ptr()) }
    }

    pub(super) fn borrow(&self) -> BorrowedFd<'_> {
        lend(&self.lent, || self.fd())
    }

    pub(crate) fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let (deadline, at) = (self.read.deadline(), into.as_mut_ptr().cast());
        // SAFETY: parking; into has that much room.
        check(park(deadline, |until| unsafe {
            sys::thrum_read(self.raw.as_ptr(), at, into.len(), until)
        }))
    }

    pub(super) fn read_vectored(&self, into: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let (deadline, n) = (self.read.deadline(), into.len().min(MOST) as u32);
        // IoSliceMut is the system's iovec, and so is thrum_buf.
        let at = into.as_ptr().cast();
        // SAFETY: parking; into describes room.
        check(park(deadline, |until| unsafe { sys::thrum_readv(self.raw.as_ptr(), at, n, until) }))
    }

    pub(crate) fn write(&self, from: &[u8]) -> io::Result<usize> {
        let (deadline, at) = (self.write.deadline(), from.as_ptr().cast());
        // SAFETY: parking; from has that many bytes.
        check(park(deadline, |until| unsafe {
            sys::thrum_write_some(self.raw.as_ptr(), at, from.len(), until)
        }))
    }

    /// All of it: one call and one deadline, unless an error comes after some of it.
    pub(crate) fn write_all(&self, mut from: &[u8]) -> io::Result<()> {
        let deadline = self.write.deadline();
        while !from.is_empty() {
            let at = from.as_ptr().cast();
            // SAFETY: parking; from has that many bytes.
            let n = check(park(deadline, |until| unsafe {
                sys::thrum_write(self.raw.as_ptr(), at, from.len(), until)
            }))?;
            from = &from[n..];
        }
        Ok(())
    }

    pub(super) fn write_vectored(&self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        if from.is_empty() {
            return Ok(0);
        }
        let (deadline, n) = (self.write.deadline(), from.len().min(MOST) as u32);
        let at = from.as_ptr().cast();
        // SAFETY: parking; from describes bytes. IoSlice is the system's iovec.
        check(park(deadline, |until| unsafe { sys::thrum_writev(self.raw.as_ptr(), at, n, until) }))
    }

    pub(super) fn wait(&self, events: i32, timeout: &Timeout) -> io::Result<()> {
        let deadline = timeout.deadline();
        // SAFETY: parking.
        check(i64::from(park(deadline, |until| unsafe {
            sys::thrum_conn_wait(self.raw.as_ptr(), events, until)
        })))?;
        Ok(())
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        // SAFETY: our reference.
        unsafe { sys::thrum_conn_release(self.raw.as_ptr()) };
    }
}

/// thrum takes no more pieces at once.
const MOST: usize = 1024;

/// The methods and traits of a stream type with one field, `.0: Conn`, whose options
/// are those of std's type on the same descriptor.
macro_rules! stream {
    ($name:ident, $std:ty) => {
        impl $name {
            /// Another handle of the same connection. Timeouts are each handle's own.
            pub fn try_clone(&self) -> io::Result<$name> {
                Ok($name(self.0.another()))
            }

            /// How long a read may wait; `None`: for ever.
            pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                self.0.read.set(timeout)
            }

            /// How long a write may wait; `None`: for ever.
            pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                self.0.write.set(timeout)
            }

            /// See [`set_read_timeout`](Self::set_read_timeout).
            pub fn read_timeout(&self) -> Option<Duration> {
                self.0.read.get()
            }

            /// See [`set_write_timeout`](Self::set_write_timeout).
            pub fn write_timeout(&self) -> Option<Duration> {
                self.0.write.get()
            }

            /// Waits until there is something to read: a server of many idle
            /// connections needs a buffer only then.
            pub fn wait_readable(&self) -> io::Result<()> {
                self.0.wait(sys::THRUM_READABLE, &self.0.read)
            }

            /// Ends reading, writing or both; reads that wait return.
            pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
                self.std()?.shutdown(how)
            }

            /// std's view of the descriptor, which is not closed with it; for one call.
            fn std(&self) -> io::Result<ManuallyDrop<$std>> {
                let fd = check(self.0.fd().into())?;
                // SAFETY: it stays open when this goes.
                Ok(ManuallyDrop::new(unsafe { <$std>::from_raw_fd(fd as RawFd) }))
            }
        }

        impl Read for $name {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                self.0.read(into)
            }

            fn read_vectored(&mut self, into: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.0.read_vectored(into)
            }
        }

        impl Read for &$name {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                self.0.read(into)
            }

            fn read_vectored(&mut self, into: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.0.read_vectored(into)
            }
        }

        impl Write for $name {
            fn write(&mut self, from: &[u8]) -> io::Result<usize> {
                self.0.write(from)
            }

            fn write_all(&mut self, from: &[u8]) -> io::Result<()> {
                self.0.write_all(from)
            }

            fn write_vectored(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
                self.0.write_vectored(from)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        impl Write for &$name {
            fn write(&mut self, from: &[u8]) -> io::Result<usize> {
                self.0.write(from)
            }

            fn write_all(&mut self, from: &[u8]) -> io::Result<()> {
                self.0.write_all(from)
            }

            fn write_vectored(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
                self.0.write_vectored(from)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        impl AsFd for $name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.borrow()
            }
        }

        impl TryFrom<$std> for $name {
            type Error = io::Error;

            /// Takes it over; it becomes non-blocking, also for who shares it.
            fn try_from(stream: $std) -> io::Result<$name> {
                Ok($name(Conn::adopt(stream.into())?))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.std() {
                    Ok(stream) => <$std>::fmt(&stream, f),
                    Err(_) => f.write_str(concat!(stringify!($name), " { closed }")),
                }
            }
        }
    };
}

pub(super) use stream;
