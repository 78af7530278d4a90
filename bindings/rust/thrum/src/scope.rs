//! Green threads that borrow.
//!
//! SPDX-License-Identifier: MIT

use crate::error::must;
use crate::join::Handle;
use crate::park::{park, park_shielded};
use crate::spawn::{expect, Builder, Ends};
use crate::sys;
use std::cell::UnsafeCell;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread;

/// Runs `f` with a [`Scope`] whose green threads may borrow what outlives this call:
/// it returns when all of them have ended.
///
/// If `f` panics, or the calling green thread is cancelled, they are cancelled too.
///
/// # Panics
/// As `f` does; if one of them panicked and was not joined; outside a green thread.
///
/// ```
/// # thrum::run(|| {
/// let mut words = vec!["warp", "weft"];
/// let letters = std::sync::atomic::AtomicUsize::new(0);
/// thrum::scope(|s| {
///     for word in &words {
///         s.spawn(|| letters.fetch_add(word.len(), std::sync::atomic::Ordering::Relaxed));
///     }
/// });
/// words.push("thrum");
/// assert_eq!(letters.into_inner(), 8);
/// # });
/// ```
///
/// What ends before the scope does can't be borrowed:
///
/// ```compile_fail,E0597
/// thrum::scope(|s| {
///     let inner = 1;
///     s.spawn(|| println!("{}", &inner));
/// });
/// ```
///
/// The scope can't be taken out:
///
/// ```compile_fail
/// let escaped = thrum::scope(|s| s);
/// ```
///
/// Nor can a handle:
///
/// ```compile_fail
/// let handle = thrum::scope(|s| s.spawn(|| 1));
/// ```
#[track_caller]
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    // SAFETY: a plain call.
    let rt = unsafe { sys::thrum_rt_current() };
    assert!(!rt.is_null(), "thrum: scope() is for green threads");
    let scope = Scope { data: Data::new(rt), scope: PhantomData, env: PhantomData };
    let result = catch_unwind(AssertUnwindSafe(|| {
        let result = f(&scope);
        scope.data.wait();
        result
    }));
    if result.is_err() {
        scope.data.cancel();
    }
    scope.data.wait_shielded();
    match result {
        Err(payload) => resume_unwind(payload),
        Ok(_) if scope.data.panicked.load(Ordering::Relaxed) => {
            panic!("a green thread of the scope panicked")
        }
        Ok(result) => result,
    }
}

/// Where [`scope`] starts its green threads.
#[derive(Debug)]
pub struct Scope<'scope, 'env: 'scope> {
    data: Data,
    // Invariant in both, as std's: 'scope must not shrink.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl<'scope> Scope<'scope, '_> {
    /// As [`spawn`](crate::spawn()), and `f` may borrow.
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        self.data.add();
        // SAFETY: what goes along is Send, and the scope waits for its end; the
        // scope's own green thread keeps the runtime.
        let begun = unsafe {
            let ends = &self.data;
            let rt = self.data.rt;
            Builder::new().begin(rt, rt, sys::THRUM_PIN_STARTED, ends, f)
        };
        match begun {
            Ok(handle) => {
                self.data.remember(handle.g);
                ScopedJoinHandle(handle)
            }
            Err(error) => {
                (&self.data).ended();
                expect(Err(error))
            }
        }
    }
}

/// A [`JoinHandle`](crate::JoinHandle) of a scope's green thread.
pub struct ScopedJoinHandle<'scope, T>(Handle<'scope, T>);

impl<T> ScopedJoinHandle<'_, T> {
    /// See [`JoinHandle::join`](crate::JoinHandle::join).
    pub fn join(self) -> thread::Result<T> {
        self.0.join()
    }

    /// See [`JoinHandle::cancel`](crate::JoinHandle::cancel).
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Whether the result is there.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Future for ScopedJoinHandle<'_, T> {
    type Output = thread::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<thread::Result<T>> {
        Pin::new(&mut self.0).poll(cx)
    }
}

/// Lies in the frame of scope(), which ends only after the last `ended`.
struct Data {
    rt: *mut sys::thrum_rt,
    running: UnsafeCell<sys::thrum_wg>,
    panicked: AtomicBool,
    members: Mutex<Members>,
}

#[derive(Default)]
struct Members {
    /// Those to be cancelled; some of them have ended.
    all: Vec<sys::thrum_g>,
    /// So are those that come later.
    cancelled: bool,
}

// SAFETY: the runtime and the wait group are for any thread.
unsafe impl Sync for Data {}
// SAFETY: as above.
unsafe impl Send for Data {}

impl Data {
    fn new(rt: *mut sys::thrum_rt) -> Data {
        Data {
            rt,
            running: UnsafeCell::new(sys::thrum_wg { opaque: [0; 4] }),
            panicked: AtomicBool::new(false),
            members: Mutex::default(),
        }
    }

    fn add(&self) {
        // SAFETY: the wait group is where it was made.
        must(unsafe { sys::thrum_wg_add(self.running.get(), 1) });
    }

    fn remember(&self, g: sys::thrum_g) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        if members.cancelled {
            // SAFETY: as in cancel.
            unsafe { sys::thrum_cancel(self.rt, g) };
        }
        let all = &mut members.all;
        if all.len() == all.capacity() {
            // SAFETY: TRY never waits; the runtime lives.
            all.retain(|g| unsafe {
                sys::thrum_join(self.rt, *g, crate::park::TRY) == sys::THRUM_EAGAIN
            });
            let alive = all.len();
            all.reserve(alive.max(16));
        }
        all.push(g);
    }

    fn cancel(&self) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.cancelled = true;
        for g in members.all.iter() {
            // SAFETY: the runtime lives; one that has ended is told apart.
            unsafe { sys::thrum_cancel(self.rt, *g) };
        }
    }

    fn wait(&self) {
        // SAFETY: parking; it may unwind, and scope() waits again then.
        must(park(sys::THRUM_FOREVER, |until| unsafe {
            sys::thrum_wg_wait(self.running.get(), until)
        }));
    }

    /// Comes back when all have ended, or not at all.
    fn wait_shielded(&self) {
        let wait = || {
            let running = self.running.get();
            // SAFETY: parking.
            park_shielded(|| unsafe { sys::thrum_wg_wait(running, sys::THRUM_FOREVER) })
        };
        let code = catch_unwind(AssertUnwindSafe(wait));
        if !matches!(code, Ok(0)) {
            eprintln!("thrum: a scope can't wait for its green threads");
            std::process::abort();
        }
    }
}

impl Ends for &Data {
    fn panicked(self) {
        self.panicked.store(true, Ordering::Relaxed);
    }

    fn ended(self) {
        // SAFETY: the last touch: the scope may go as soon as the count is seen.
        must(unsafe { sys::thrum_wg_done(self.running.get()) });
    }
}

impl std::fmt::Debug for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Data")
    }
}
