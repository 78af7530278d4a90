//! Runtimes: where green threads run.
//!
//! SPDX-License-Identifier: MIT

use crate::error::{io_error, must, text};
use crate::join::JoinHandle;
use crate::offload::{self, Pool};
use crate::park::deadline;
use crate::spawn::{expect, Builder as SpawnBuilder};
use crate::sys;
use std::ffi::c_void;
use std::mem;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::ptr::{self, NonNull};
use std::time::Duration;
use std::{fmt, io, thread};

/// Runs `f` as the first green thread of a new runtime on all cores, and stops the
/// runtime when `f` has returned: what else still runs is cancelled.
///
/// ```
/// let sum = thrum::run(|| {
///     let squares: Vec<_> = (1..=3).map(|n| thrum::spawn(move || n * n)).collect();
///     squares.into_iter().map(|square| square.join().unwrap()).sum::<i32>()
/// });
/// assert_eq!(sum, 14);
/// ```
pub fn run<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    Runtime::builder().run(f)
}

/// How a [`Runtime`] is made.
#[derive(Debug, Default, Clone)]
pub struct RuntimeBuilder {
    procs: u32,
    max_threads: u32,
    stack_size: usize,
    slice: Duration,
    seed: Option<u64>,
    overflow: bool,
}

impl RuntimeBuilder {
    /// How many green threads run at once; by default as many as the system grants
    /// CPUs, by affinity and quota (or `$THRUM_PROCS`).
    pub fn procs(mut self, n: u32) -> Self {
        self.procs = n;
        self
    }

    /// How many OS threads it may make at most; by default 10000.
    pub fn max_threads(mut self, n: u32) -> Self {
        self.max_threads = n;
        self
    }

    /// Bytes of stack of each green thread, of which only what is touched takes
    /// memory; by default 256 KiB.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = bytes;
        self
    }

    /// How long a green thread may go on while others wait; by default 10 ms.
    pub fn slice(mut self, span: Duration) -> Self {
        self.slice = span;
        self
    }

    /// One OS thread, a virtual clock that jumps when all sleep, and an order of
    /// events that the seed decides: the same seed replays the same run. It has no world
    /// outside: no sockets, no futures that others wake, and `offload` runs in place.
    /// Its green threads stay on the OS thread that calls [`Runtime::run`]: drop it there,
    /// or what has begun there is waited for in vain.
    pub fn deterministic(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Installs a handler of SIGSEGV that names the green thread whose stack
    /// overflowed. Without it an overflow ends the process all the same.
    pub fn report_overflow(mut self) -> Self {
        self.overflow = true;
        self
    }

    /// Makes the runtime. It starts no thread yet. There are at most 255 at once.
    pub fn build(self) -> io::Result<Runtime> {
        self.make(0)
    }

    pub(crate) fn make(self, flags: u32) -> io::Result<Runtime> {
        // SAFETY: zero is a value of each field, and its default.
        let mut config: sys::thrum_config = unsafe { mem::zeroed() };
        config.struct_size = mem::size_of::<sys::thrum_config>() as u32;
        config.procs = self.procs;
        config.max_threads = self.max_threads;
        config.flags = flags | self.seed.map_or(0, |_| sys::THRUM_RT_DETERMINISTIC);
        config.stack_size = self.stack_size as u64;
        config.slice_ns = crate::park::nanoseconds(self.slice);
        config.seed = self.seed.unwrap_or(0);
        let mut rt = ptr::null_mut();
        // SAFETY: both point to what they say.
        let code = unsafe { sys::thrum_rt_new(&mut rt, &config) };
        let Some(rt) = NonNull::new(rt).filter(|_| code >= 0) else {
            return Err(io_error(code.into()));
        };
        let runtime = Runtime { rt, lent: config.flags != 0 };
        if self.seed.is_none() {
            offload::open(rt.as_ptr());
        }
        if self.overflow {
            // SAFETY: the runtime is there, and has no green thread yet.
            let code = unsafe { sys::thrum_overflow_enable(rt.as_ptr()) };
            if code < 0 {
                return Err(io_error(code.into()));
            }
        }
        Ok(runtime)
    }

    /// Makes the runtime, runs `f` in it and stops it.
    ///
    /// # Panics
    /// As `f` does, and if the runtime can't be made.
    pub fn run<F, T>(self, f: F) -> T
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        let runtime = self.build().unwrap_or_else(|error| panic!("thrum: no runtime: {error}"));
        // Caught, for its end is not to be a part of an unwinding: see Runtime's drop.
        let result = catch_unwind(AssertUnwindSafe(|| runtime.run(f)));
        drop(runtime);
        result.unwrap_or_else(|payload| resume_unwind(payload))
    }
}

/// A set of OS threads and the green threads that run on them. Dropping it cancels
/// those that are left and waits for their end; but a deterministic one that a panic
/// drops is left as it is.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let runtime = thrum::Runtime::builder().procs(2).build()?;
/// let from_outside = runtime.spawn(|| "green");
/// assert_eq!(from_outside.join().unwrap(), "green");
/// # Ok(())
/// # }
/// ```
pub struct Runtime {
    rt: NonNull<sys::thrum_rt>,
    /// It has no OS thread of its own: run lends it the caller's.
    lent: bool,
}

// SAFETY: a runtime is called from any thread.
unsafe impl Send for Runtime {}
// SAFETY: as above.
unsafe impl Sync for Runtime {}

impl Runtime {
    /// With the defaults: all cores.
    pub fn new() -> io::Result<Runtime> {
        RuntimeBuilder::default().build()
    }

    /// To say otherwise.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }

    /// Starts a green thread from anywhere; see [`spawn`](crate::spawn()).
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        expect(SpawnBuilder::new().spawn_in(self, f))
    }

    /// Runs `f` as a green thread and waits for its end, as an OS thread waits.
    ///
    /// # Panics
    /// As `f` does; from a green thread; if a deterministic runtime finds that all its
    /// green threads wait for each other.
    pub fn run<F, T>(&self, f: F) -> T
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        // SAFETY: a plain call.
        assert!(unsafe { sys::thrum_self() } == 0, "thrum: run() is for OS threads");
        // SAFETY: what f borrows stays, for this returns after its end.
        let begun = unsafe {
            let rt = self.rt.as_ptr();
            SpawnBuilder::new().begin(rt, rt, sys::THRUM_PIN_STARTED, (), f)
        };
        let mut handle = expect(begun);
        let g = handle.g;
        let mut code = self.join(g);
        let deadlock = code == sys::THRUM_EDEADLOCK;
        if deadlock {
            // Only a lent thread is told. f has to end before what it has borrowed.
            // SAFETY: the runtime lives.
            unsafe { sys::thrum_cancel(self.rt.as_ptr(), g) };
            code = self.join(g);
        }
        if code != 0 {
            eprintln!("thrum: run() can't wait for its green thread: {}", text(code));
            std::process::abort();
        }
        assert!(!deadlock, "thrum: all green threads wait for each other");
        handle.take().unwrap_or_else(|payload| resume_unwind(payload))
    }

    fn join(&self, g: sys::thrum_g) -> i32 {
        /// Where green threads run on lent threads alone, one of them has to wait.
        unsafe extern "C" fn wait(g: *mut c_void) {
            // SAFETY: parking; shielded, so that it returns after the other's end.
            unsafe {
                sys::thrum_shield(1);
                sys::thrum_join(ptr::null_mut(), g as sys::thrum_g, sys::THRUM_FOREVER);
            }
        }
        let rt = self.rt.as_ptr();
        if self.lent {
            // SAFETY: wait takes the handle itself for its argument.
            unsafe { sys::thrum_run(rt, Some(wait), g as *mut c_void) }
        } else {
            // SAFETY: an OS thread waits; nothing can cancel it.
            unsafe { sys::thrum_join(rt, g, sys::THRUM_FOREVER) }
        }
    }

    /// How many green threads run at once.
    pub fn procs(&self) -> u32 {
        // SAFETY: the runtime lives.
        unsafe { sys::thrum_procs(self.rt.as_ptr()) }.max(1) as u32
    }

    /// Changes that, at any time.
    pub fn set_procs(&self, n: u32) -> io::Result<()> {
        // SAFETY: the runtime lives.
        match unsafe { sys::thrum_set_procs(self.rt.as_ptr(), n) } {
            code if code < 0 => Err(io_error(code.into())),
            _ => Ok(()),
        }
    }

    /// How many green threads there are that have not ended.
    pub fn live(&self) -> usize {
        // SAFETY: the runtime lives.
        unsafe { sys::thrum_live(self.rt.as_ptr()) }.max(0) as usize
    }

    /// Stops it: no more green threads are started, those that are left are cancelled,
    /// and their end is awaited so long (`None`: for ever). If that was not long enough
    /// the error is `TimedOut`, and it goes on to stop; call again. What was stopped
    /// stays so.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let runtime = thrum::Runtime::new()?;
    /// let sleeper = runtime.spawn(|| thrum::sleep(std::time::Duration::from_secs(1000)));
    /// runtime.stop(None)?;
    /// assert!(sleeper.join().unwrap_err().is::<thrum::Cancelled>());
    /// assert!(thrum::Builder::new().spawn_in(&runtime, || ()).is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Also from one of its own green threads, and then nothing is stopped.
    pub fn stop(&self, timeout: Option<Duration>) -> io::Result<()> {
        let deadline = deadline(timeout);
        // SAFETY: the runtime lives; no cancel ends this wait.
        match unsafe { sys::thrum_rt_stop(self.rt.as_ptr(), deadline) } {
            code if code < 0 => Err(io_error(code.into())),
            _ => Ok(()),
        }
    }

    /// For calls of [`sys`] that are not here. Valid while the runtime lives.
    pub fn as_ptr(&self) -> *mut sys::thrum_rt {
        self.rt.as_ptr()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // The pool's threads end after the green threads that wait for them.
        struct Last(NonNull<sys::thrum_rt>, #[allow(dead_code)] Option<Pool>);
        // SAFETY: a runtime may be stopped from any thread.
        unsafe impl Send for Last {}
        fn stop(last: Last) -> Result<(), Last> {
            // SAFETY: our reference; nobody calls the runtime any more.
            match unsafe { sys::thrum_rt_stop(last.0.as_ptr(), sys::THRUM_FOREVER) } {
                sys::THRUM_EDEADLOCK => return Err(last),
                // The parent has it still, and the threads.
                sys::THRUM_EFORKED => {
                    mem::forget(last);
                    return Ok(());
                }
                code => must(code),
            }
            // SAFETY: as above.
            unsafe { sys::thrum_rt_free(last.0.as_ptr()) };
            Ok(())
        }
        // What runs on this very thread could not be told from who unwinds, and so not be
        // cancelled: it is left as it is.
        if self.lent && thread::panicking() {
            return;
        }
        let rt = self.rt.as_ptr();
        let last = Last(self.rt, offload::close(rt));
        if let Err(last) = if offload::serves(rt) { Err(last) } else { stop(last) } {
            // One of its own green threads drops it, or waits for who does: that one has
            // to end first.
            thread::spawn(move || stop(last).ok());
        }
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("procs", &self.procs()).finish_non_exhaustive()
    }
}
