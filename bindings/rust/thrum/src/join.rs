//! Waiting for a green thread.
//!
//! SPDX-License-Identifier: MIT

use crate::future::{block_on, block_on_until};
use crate::packet::Packet;
use crate::park::{deadline, park, FORKED, TRY};
use crate::spawn::Shared;
use crate::sys;
use std::future::{poll_fn, Future};
use std::marker::PhantomData;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, thread};

/// The end of a green thread, and what it returns. Dropping it lets the green
/// thread run on by itself.
///
/// It is a [`Future`] too, which any executor can await.
pub struct JoinHandle<T>(pub(crate) Handle<'static, T>);

/// What [`JoinHandle`] and the handles of a scope are made of.
pub(crate) struct Handle<'a, T> {
    /// Ours once the green thread has ended; see Packet::leave.
    shared: NonNull<Shared<T>>,
    /// What the green thread may borrow.
    borrows: PhantomData<*mut &'a ()>,
    /// To be called while the green thread has not ended.
    rt: *mut sys::thrum_rt,
    pub(crate) g: sys::thrum_g,
}

// SAFETY: the function has gone when anybody else looks; the result goes to one of
// them, so it must be Send.
unsafe impl<T: Send> Send for Handle<'_, T> {}
// SAFETY: what works through a shared handle are atomics.
unsafe impl<T: Send> Sync for Handle<'_, T> {}

impl<'a, T> Handle<'a, T> {
    pub(crate) fn new(shared: NonNull<Shared<T>>, rt: *mut sys::thrum_rt, g: sys::thrum_g) -> Self {
        Handle { shared, borrows: PhantomData, rt, g }
    }

    fn packet(&self) -> &Packet<T> {
        // SAFETY: it is there as long as this handle.
        unsafe { &self.shared.as_ref().packet }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.packet().is_done()
    }

    pub(crate) fn cancel(&self) {
        // SAFETY: it has not ended, so its runtime is there.
        self.packet().unless_done(|| unsafe {
            sys::thrum_cancel(self.rt, self.g);
        });
    }

    /// Inline: each frame between the wait and its caller is a return that the CPU
    /// predicts wrongly.
    #[inline(always)]
    pub(crate) fn join(mut self) -> thread::Result<T> {
        if !self.is_finished() && !self.join_neighbour() {
            self.join_stranger();
        }
        self.take()
    }

    /// The result of a green thread that has ended, once.
    #[inline]
    pub(crate) fn take(&mut self) -> thread::Result<T> {
        // SAFETY: this is the one handle.
        unsafe { self.packet().take() }.expect("a green thread ends with one result")
    }

    /// False: it is none of the calling green thread's runtime. (It has not ended, so
    /// its runtime lives, and no other has the tag that is in the handle.)
    #[inline(always)]
    fn join_neighbour(&self) -> bool {
        // SAFETY: parking.
        let code = park(sys::THRUM_FOREVER, |until| unsafe {
            sys::thrum_join(std::ptr::null_mut(), self.g, until)
        });
        code == 0 || not_a_neighbour(code)
    }

    #[cold]
    fn join_stranger(&self) {
        let mut code = 0;
        // SAFETY: it has not ended, so its runtime is there; TRY never waits.
        self.packet().unless_done(|| unsafe { code = sys::thrum_join(self.rt, self.g, TRY) });
        // In the child of a fork nobody would ever say that it has ended.
        assert!(code != sys::THRUM_EFORKED, "{FORKED}");
        block_on(poll_fn(|cx| self.poll_end(cx)));
    }

    fn poll_end(&self, cx: &Context<'_>) -> Poll<()> {
        if !self.is_finished() && self.packet().register(cx.waker()) {
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

#[cold]
fn not_a_neighbour(code: i32) -> bool {
    assert!(code != sys::THRUM_EDEADLOCK, "thrum: a green thread can't join itself");
    false
}

impl<T> Drop for Handle<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.packet().leave() {
            // SAFETY: the green thread has left it to us.
            unsafe { (self.shared.as_ref().free)(self.shared) };
        }
    }
}

impl<T> Future for Handle<'_, T> {
    type Output = thread::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<thread::Result<T>> {
        self.poll_end(cx).map(|()| self.take())
    }
}

impl<T> JoinHandle<T> {
    /// Waits until it has ended and returns what it did, or the payload of its panic;
    /// of one that was cancelled that is [`Cancelled`](crate::Cancelled). Also from
    /// an OS thread, which then blocks.
    ///
    /// ```
    /// # std::panic::set_hook(Box::new(|_| {}));
    /// # thrum::run(|| {
    /// let fails = thrum::spawn(|| panic!("no luck"));
    /// assert_eq!(fails.join().unwrap_err().downcast_ref(), Some(&"no luck"));
    /// # });
    /// ```
    #[inline(always)]
    pub fn join(self) -> thread::Result<T> {
        self.0.join()
    }

    /// Waits so long for its end; else the handle comes back.
    ///
    /// ```
    /// # thrum::run(|| {
    /// use std::time::Duration;
    /// let sleeper = thrum::spawn(|| thrum::sleep(Duration::from_millis(5)));
    /// let sleeper = sleeper.join_timeout(Duration::ZERO).unwrap_err();
    /// assert!(sleeper.join_timeout(Duration::from_secs(60)).unwrap().is_ok());
    /// # });
    /// ```
    pub fn join_timeout(mut self, timeout: Duration) -> Result<thread::Result<T>, JoinHandle<T>> {
        block_on_until(&mut self, deadline(Some(timeout))).ok_or(self)
    }

    /// Has it unwind at its next wait, or at the one that it is in; it counts as a
    /// panic that no hook reports. What completes at once completes first.
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// Whether the result is there.
    pub fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = thread::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<thread::Result<T>> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("g", &self.0.g).finish_non_exhaustive()
    }
}
