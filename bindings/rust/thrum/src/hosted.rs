//! Runtimes of a host that owns the loop: a game, a user interface.
//!
//! SPDX-License-Identifier: MIT

use crate::error::io_error;
use crate::join::JoinHandle;
use crate::park::deadline;
use crate::runtime::{Runtime, RuntimeBuilder};
use crate::sys;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;
use std::{fmt, io};

/// A runtime without OS threads: its green threads run on the one that made it, and
/// only while that calls [`pump`](Hosted::pump) or [`run`](Hosted::run). Other threads
/// reach them through channels.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// use std::time::Duration;
/// use thrum::{Pumped, Runtime};
///
/// let game = Runtime::builder().hosted()?;
/// let script = game.spawn(|| {
///     for _ in 0..3 {
///         thrum::yield_now();
///     }
///     "the door opens"
/// });
/// // Each frame: at most 2 ms for all that is ready.
/// while game.pump(Some(Duration::from_millis(2)))? != Pumped::Ended {}
/// assert_eq!(script.join().unwrap(), "the door opens");
/// # Ok(())
/// # }
/// ```
///
/// On the thread that pumps, a wait for a green thread of it never ends: see
/// [`is_finished`](JoinHandle::is_finished) first.
///
/// It stays on its thread, and so do its green threads:
///
/// ```compile_fail,E0277
/// let game = thrum::Runtime::builder().hosted().unwrap();
/// std::thread::spawn(move || game.pump(None));
/// ```
pub struct Hosted {
    runtime: ManuallyDrop<Runtime>,
    _stays: PhantomData<*mut ()>,
}

/// What is left after [`Hosted::pump`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pumped {
    /// No green thread.
    Ended,
    /// Green threads that wait.
    Waiting,
    /// Some that could run.
    Ready,
}

impl RuntimeBuilder {
    /// Makes a runtime that runs on the calling OS thread alone, when that says so; see
    /// [`Hosted`]. Not from a green thread.
    pub fn hosted(self) -> io::Result<Hosted> {
        // SAFETY: a plain call.
        if unsafe { sys::thrum_self() } != 0 {
            return Err(io::Error::other("the host of a runtime is an OS thread"));
        }
        let runtime = ManuallyDrop::new(self.make(sys::THRUM_RT_HOSTED)?);
        Ok(Hosted { runtime, _stays: PhantomData })
    }
}

impl Hosted {
    /// Starts a green thread, which runs when this is pumped.
    ///
    /// # Panics
    /// Without memory.
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.runtime.spawn(f)
    }

    /// Runs green threads until none can go on, or until the time is over, which is
    /// looked at between them. No time at all: one of them, until it waits.
    ///
    /// # Errors
    /// From a green thread.
    pub fn pump(&self, budget: Option<Duration>) -> io::Result<Pumped> {
        let until = match budget {
            Some(Duration::ZERO) => crate::park::TRY,
            budget => deadline(budget),
        };
        // SAFETY: the runtime lives, and this is its thread.
        match unsafe { sys::thrum_pump(self.runtime.as_ptr(), until) } {
            0 => Ok(Pumped::Ended),
            1 => Ok(Pumped::Waiting),
            2 => Ok(Pumped::Ready),
            code => Err(io_error(code.into())),
        }
    }

    /// Runs `f` as a green thread, and the others, until it has ended; see
    /// [`Runtime::run`].
    ///
    /// # Panics
    /// As `f` does; from a green thread.
    pub fn run<F, T>(&self, f: F) -> T
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        self.runtime.run(f)
    }

    /// How long from now pumping is of no use, unless somebody outside wakes one of
    /// its green threads: zero if one is ready, `None`: until then.
    pub fn next_wake(&self) -> Option<Duration> {
        // SAFETY: the runtime lives; a plain call.
        let (at, now) = unsafe { (sys::thrum_next_wake(self.runtime.as_ptr()), sys::thrum_now()) };
        (at != sys::THRUM_FOREVER)
            .then(|| Duration::from_nanos(at.saturating_sub(now).max(0) as u64))
    }

    /// How many green threads there are that have not ended.
    pub fn live(&self) -> usize {
        self.runtime.live()
    }

    /// For calls of [`sys`] that are not here. Valid while this lives.
    pub fn as_ptr(&self) -> *mut sys::thrum_rt {
        self.runtime.as_ptr()
    }
}

/// A descriptor for the host's event loop: it polls readable when pumping is of use,
/// and not otherwise. Only to be polled.
impl AsFd for Hosted {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: a hosted runtime has one, as long as it lives.
        unsafe { BorrowedFd::borrow_raw(sys::thrum_wake_fd(self.runtime.as_ptr())) }
    }
}

/// Cancels what is left and runs it to its end. During a panic, and from a green thread,
/// it is left as it is.
impl Drop for Hosted {
    fn drop(&mut self) {
        // One of its own green threads can't wait for itself, nor another thread run
        // them.
        // SAFETY: a plain call.
        if unsafe { sys::thrum_self() } == 0 {
            // SAFETY: once, here.
            unsafe { ManuallyDrop::drop(&mut self.runtime) };
        }
    }
}

impl fmt::Debug for Hosted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hosted").field("live", &self.live()).finish_non_exhaustive()
    }
}
