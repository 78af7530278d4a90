//! What TCP and Unix streams have in common.
//!
//! SPDX-License-Identifier: MIT

use super::{check, lend, opened, timeout_ns};
use crate::park::park;
use crate::sys;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::thread::panicking;
use std::time::Duration;

/// One reference to a thrum_conn, which the last one's release closes, or the end of its
/// runtime.
pub(crate) struct Conn {
    pub(crate) raw: Raw,
    lent: OnceLock<OwnedFd>,
}

impl Conn {
    /// What `make` makes: its code, and a connection in `out` unless that is negative.
    pub(super) fn new(make: impl FnOnce(*mut *mut sys::thrum_conn) -> i32) -> io::Result<Conn> {
        let mut out = ptr::null_mut();
        opened(make(&mut out).into())?;
        Ok(Conn::from_raw(NonNull::new(out).expect("it was made")))
    }

    fn from_raw(raw: NonNull<sys::thrum_conn>) -> Conn {
        Conn { raw: Raw(raw), lent: OnceLock::new() }
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
        unsafe { Conn::shared(self.raw.0) }
    }

    /// # Safety
    /// It lives.
    pub(crate) unsafe fn shared(raw: NonNull<sys::thrum_conn>) -> Conn {
        // SAFETY: the caller's promise; the reference is the new one's.
        unsafe { sys::thrum_conn_retain(raw.as_ptr()) };
        Conn::from_raw(raw)
    }

    pub(super) fn borrow(&self) -> BorrowedFd<'_> {
        lend(&self.lent, || self.raw.fd())
    }
}

impl Drop for Conn {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: our reference.
        unsafe { sys::thrum_conn_release(self.raw.0.as_ptr()) };
    }
}

/// The connection itself, for as long as its [`Conn`] lives.
///
/// Its calls take it by value, and the streams' methods are inlined to where they are
/// used: so a stream that is a local variable lives in a register. In its frame it would
/// lie above the buffers, often on a page of the stack that nothing else touches between
/// two waits.
#[derive(Clone, Copy)]
pub(crate) struct Raw(NonNull<sys::thrum_conn>);

// SAFETY: a connection is for any thread.
unsafe impl Send for Raw {}
// SAFETY: as above.
unsafe impl Sync for Raw {}

impl Raw {
    /// Closes it for all who share it: only where nobody asks for its descriptor.
    pub(crate) fn close(self) {
        // SAFETY: it lives.
        unsafe { sys::thrum_conn_close(self.0.as_ptr()) };
    }

    /// Its descriptor, or that it is closed.
    pub(crate) fn fd(self) -> RawFd {
        // SAFETY: it lives.
        unsafe { sys::thrum_conn_fd(self.0.as_ptr()) }
    }

    pub(super) fn set_timeout(self, events: i32, timeout: Option<Duration>) -> io::Result<()> {
        let ns = timeout_ns(timeout)?;
        // SAFETY: it lives.
        check(unsafe { sys::thrum_conn_set_timeout(self.0.as_ptr(), events, ns) }.into())?;
        Ok(())
    }

    pub(super) fn timeout(self, events: i32) -> Option<Duration> {
        // SAFETY: it lives.
        match unsafe { sys::thrum_conn_timeout(self.0.as_ptr(), events) } {
            ns @ 1.. => Some(Duration::from_nanos(ns as u64)),
            _ => None,
        }
    }

    /// What its calls are given: the connection has the timeout. But a wait beside a
    /// panic is cut into pieces, which end together.
    fn deadline(self, events: i32) -> i64 {
        match panicking().then(|| self.timeout(events)).flatten() {
            None => sys::THRUM_FOREVER,
            some => crate::park::deadline(some),
        }
    }

    pub(crate) fn read(self, into: &mut [u8]) -> io::Result<usize> {
        let (deadline, at) = (self.deadline(sys::THRUM_READABLE), into.as_mut_ptr().cast());
        // SAFETY: parking; into has that much room.
        check(park(deadline, |until| unsafe {
            sys::thrum_read(self.0.as_ptr(), at, into.len(), until)
        }))
    }

    /// All of it, each read with a timeout of its own.
    pub(super) fn read_exact(self, mut into: &mut [u8]) -> io::Result<()> {
        while !into.is_empty() {
            match self.read(into)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => into = &mut into[n..],
            }
        }
        Ok(())
    }

    pub(super) fn read_vectored(self, into: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let deadline = self.deadline(sys::THRUM_READABLE);
        // IoSliceMut is the system's iovec, and so is thrum_buf.
        let (at, n) = (into.as_ptr().cast(), into.len().min(MOST) as u32);
        // SAFETY: parking; into describes room.
        check(park(deadline, |until| unsafe { sys::thrum_readv(self.0.as_ptr(), at, n, until) }))
    }

    pub(crate) fn write(self, from: &[u8]) -> io::Result<usize> {
        let (deadline, at) = (self.deadline(sys::THRUM_WRITABLE), from.as_ptr().cast());
        // SAFETY: parking; from has that many bytes.
        check(park(deadline, |until| unsafe {
            sys::thrum_write_some(self.0.as_ptr(), at, from.len(), until)
        }))
    }

    /// All of it: one call and one deadline, unless an error comes after some of it.
    pub(crate) fn write_all(self, mut from: &[u8]) -> io::Result<()> {
        let deadline = self.deadline(sys::THRUM_WRITABLE);
        while !from.is_empty() {
            let at = from.as_ptr().cast();
            // SAFETY: parking; from has that many bytes.
            let n = check(park(deadline, |until| unsafe {
                sys::thrum_write(self.0.as_ptr(), at, from.len(), until)
            }))?;
            from = &from[n..];
        }
        Ok(())
    }

    pub(super) fn write_vectored(self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        if from.is_empty() {
            return Ok(0);
        }
        let deadline = self.deadline(sys::THRUM_WRITABLE);
        let (at, n) = (from.as_ptr().cast(), from.len().min(MOST) as u32);
        // SAFETY: parking; from describes bytes. IoSlice is the system's iovec.
        check(park(deadline, |until| unsafe { sys::thrum_writev(self.0.as_ptr(), at, n, until) }))
    }

    pub(super) fn wait(self, events: i32) -> io::Result<()> {
        let deadline = self.deadline(events);
        // SAFETY: parking.
        check(i64::from(park(deadline, |until| unsafe {
            sys::thrum_conn_wait(self.0.as_ptr(), events, until)
        })))?;
        Ok(())
    }
}

/// thrum takes no more pieces at once.
const MOST: usize = 1024;

/// The methods and traits of a stream type with one field, `.0: Conn`, whose options
/// are those of std's type on the same descriptor.
macro_rules! stream {
    ($name:ident, $std:ty) => {
        impl $name {
            /// Another handle of the same connection.
            pub fn try_clone(&self) -> io::Result<$name> {
                Ok($name(self.0.another()))
            }

            /// How long a read may wait; `None`: for ever. As with std, the connection's:
            /// each of its handles has the same.
            #[inline]
            pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                self.0.raw.set_timeout(sys::THRUM_READABLE, timeout)
            }

            /// How long a write may wait; `None`: for ever. See
            /// [`set_read_timeout`](Self::set_read_timeout).
            #[inline]
            pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                self.0.raw.set_timeout(sys::THRUM_WRITABLE, timeout)
            }

            /// See [`set_read_timeout`](Self::set_read_timeout).
            #[inline]
            pub fn read_timeout(&self) -> Option<Duration> {
                self.0.raw.timeout(sys::THRUM_READABLE)
            }

            /// See [`set_write_timeout`](Self::set_write_timeout).
            #[inline]
            pub fn write_timeout(&self) -> Option<Duration> {
                self.0.raw.timeout(sys::THRUM_WRITABLE)
            }

            /// Waits until there is something to read: a server of many idle
            /// connections needs a buffer only then.
            #[inline]
            pub fn wait_readable(&self) -> io::Result<()> {
                self.0.raw.wait(sys::THRUM_READABLE)
            }

            /// Ends reading, writing or both; reads that wait return.
            #[inline]
            pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
                self.std()?.shutdown(how)
            }

            /// std's view of the descriptor, which is not closed with it; for one call.
            #[inline]
            fn std(&self) -> io::Result<ManuallyDrop<$std>> {
                let fd = check(self.0.raw.fd().into())?;
                // SAFETY: it stays open when this goes.
                Ok(ManuallyDrop::new(unsafe { <$std>::from_raw_fd(fd as RawFd) }))
            }
        }

        impl Read for $name {
            #[inline]
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                self.0.raw.read(into)
            }

            #[inline]
            fn read_exact(&mut self, into: &mut [u8]) -> io::Result<()> {
                self.0.raw.read_exact(into)
            }

            #[inline]
            fn read_vectored(&mut self, into: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.0.raw.read_vectored(into)
            }
        }

        impl Read for &$name {
            #[inline]
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                self.0.raw.read(into)
            }

            #[inline]
            fn read_exact(&mut self, into: &mut [u8]) -> io::Result<()> {
                self.0.raw.read_exact(into)
            }

            #[inline]
            fn read_vectored(&mut self, into: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.0.raw.read_vectored(into)
            }
        }

        impl Write for $name {
            #[inline]
            fn write(&mut self, from: &[u8]) -> io::Result<usize> {
                self.0.raw.write(from)
            }

            #[inline]
            fn write_all(&mut self, from: &[u8]) -> io::Result<()> {
                self.0.raw.write_all(from)
            }

            #[inline]
            fn write_vectored(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
                self.0.raw.write_vectored(from)
            }

            #[inline]
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        impl Write for &$name {
            #[inline]
            fn write(&mut self, from: &[u8]) -> io::Result<usize> {
                self.0.raw.write(from)
            }

            #[inline]
            fn write_all(&mut self, from: &[u8]) -> io::Result<()> {
                self.0.raw.write_all(from)
            }

            #[inline]
            fn write_vectored(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
                self.0.raw.write_vectored(from)
            }

            #[inline]
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
