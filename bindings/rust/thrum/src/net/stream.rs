//! What TCP and Unix streams have in common.
//!
//! SPDX-License-Identifier: MIT

use super::{check, Timeout};
use crate::park::park;
use crate::sys;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};

/// One reference to a thrum_conn. But for pipes it is closed by the last one's release
/// and never before, so its descriptor is good as long as this is there.
pub(crate) struct Conn {
    raw: NonNull<sys::thrum_conn>,
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
        check(make(&mut out).into())?;
        let raw = NonNull::new(out).expect("it was made");
        Ok(Conn { raw, read: Timeout::none(), write: Timeout::none() })
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
        Conn { raw, read: Timeout::none(), write: Timeout::none() }
    }

    /// Closes it for all who share it: only where nobody asks for its descriptor.
    pub(crate) fn close(&self) {
        // SAFETY: it lives.
        unsafe { sys::thrum_conn_close(self.raw.as_ptr()) };
    }

    pub(crate) fn fd(&self) -> RawFd {
        // SAFETY: it lives, and is not closed.
        unsafe { sys::thrum_conn_fd(self.raw.as_ptr()) }
    }

    pub(super) fn borrow(&self) -> BorrowedFd<'_> {
        // SAFETY: it is open while this is borrowed.
        unsafe { BorrowedFd::borrow_raw(self.fd()) }
    }

    pub(crate) fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let (deadline, at) = (self.read.deadline(), into.as_mut_ptr().cast());
        // SAFETY: parking; into has that much room.
        check(park(deadline, || unsafe {
            sys::thrum_read(self.raw.as_ptr(), at, into.len(), deadline)
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
        check(park(deadline, || unsafe { sys::thrum_readv(self.raw.as_ptr(), at, n, deadline) }))
    }

    pub(crate) fn write(&self, from: &[u8]) -> io::Result<usize> {
        let (deadline, at) = (self.write.deadline(), from.as_ptr().cast());
        // SAFETY: parking; from has that many bytes.
        check(park(deadline, || unsafe {
            sys::thrum_write_some(self.raw.as_ptr(), at, from.len(), deadline)
        }))
    }

    /// All of it: one call and one deadline, unless an error comes after some of it.
    pub(crate) fn write_all(&self, mut from: &[u8]) -> io::Result<()> {
        let deadline = self.write.deadline();
        while !from.is_empty() {
            let at = from.as_ptr().cast();
            // SAFETY: parking; from has that many bytes.
            let n = check(park(deadline, || unsafe {
                sys::thrum_write(self.raw.as_ptr(), at, from.len(), deadline)
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
        check(park(deadline, || unsafe { sys::thrum_writev(self.raw.as_ptr(), at, n, deadline) }))
    }

    pub(super) fn wait(&self, events: i32, timeout: &Timeout) -> io::Result<()> {
        let deadline = timeout.deadline();
        // SAFETY: parking.
        check(i64::from(park(deadline, || unsafe {
            sys::thrum_conn_wait(self.raw.as_ptr(), events, deadline)
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
                self.std().shutdown(how)
            }

            /// std's view of the descriptor, which is not closed with it.
            fn std(&self) -> ManuallyDrop<$std> {
                // SAFETY: the descriptor is open, and stays so when this goes.
                ManuallyDrop::new(unsafe { <$std>::from_raw_fd(self.0.fd()) })
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
                self.std().fmt(f)
            }
        }
    };
}

pub(super) use stream;
