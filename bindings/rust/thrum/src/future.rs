//! Futures in green threads.
//!
//! SPDX-License-Identifier: MIT

use crate::park::park;
use crate::sys;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

/// Runs a future to its end: the green thread parks while it is pending, and is woken
/// from whatever thread or executor the waker came to. On an OS thread that blocks.
///
/// A future that needs an executor around it (tokio's timers and sockets do) is spawned
/// there: `block_on(tokio.spawn(future))` with a handle of it, or is polled inside, as
/// what borrows must be:
/// `block_on(poll_fn(|cx| { let _inside = tokio.enter(); future.as_mut().poll(cx) }))`.
/// To enter around the whole wait is wrong: others run on the OS thread meanwhile, and
/// the executor counts what is entered there.
///
/// ```
/// # thrum::run(|| {
/// let answer = thrum::spawn(|| 42);
/// assert_eq!(thrum::block_on(async { answer.await.unwrap() + 1 }), 43);
/// # });
/// ```
pub fn block_on<F: Future>(future: F) -> F::Output {
    block_on_until(future, sys::THRUM_FOREVER).expect("nothing else ends this wait")
}

/// The same until a deadline; None: the future was pending then.
pub(crate) fn block_on_until<F: Future>(future: F, deadline: i64) -> Option<F::Output> {
    let mut future = pin!(future);
    match Green::current() {
        Some(green) => {
            let green = Arc::new(green);
            let waker = Waker::from(green.clone());
            poll_until(|cx| future.as_mut().poll(cx), &waker, || green.wait(deadline))
        }
        None => {
            let os = Arc::new(Os { thread: thread::current(), woken: AtomicBool::new(false) });
            let waker = Waker::from(os.clone());
            poll_until(|cx| future.as_mut().poll(cx), &waker, || os.wait(deadline))
        }
    }
}

/// `wait` says whether there was still time.
fn poll_until<T>(
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    waker: &Waker,
    mut wait: impl FnMut() -> bool,
) -> Option<T> {
    let mut cx = Context::from_waker(waker);
    loop {
        match poll(&mut cx) {
            Poll::Ready(value) => return Some(value),
            Poll::Pending if wait() => {}
            Poll::Pending => return None,
        }
    }
}

/// Wakes a green thread, from anywhere, also after its end and its runtime's stop.
struct Green {
    rt: *mut sys::thrum_rt,
    g: sys::thrum_g,
    /// The permit alone does not tell whose it is: a poll may wait in between.
    woken: AtomicBool,
}

// SAFETY: a reference to the runtime, and a number; both are for any thread.
unsafe impl Send for Green {}
// SAFETY: as above.
unsafe impl Sync for Green {}

impl Green {
    fn current() -> Option<Green> {
        // SAFETY: plain calls; the reference is given back in drop.
        unsafe {
            let rt = sys::thrum_rt_current();
            sys::thrum_rt_retain(rt);
            let woken = AtomicBool::new(false);
            (!rt.is_null()).then(|| Green { rt, g: sys::thrum_self(), woken })
        }
    }

    fn wait(&self, deadline: i64) -> bool {
        // Release and acquire: what the waker did is seen by the next poll.
        while !self.woken.swap(false, Ordering::Acquire) {
            // SAFETY: parking, from a G; the reason is static.
            let code =
                park(deadline, |until| unsafe { sys::thrum_park(c"future".as_ptr(), until) });
            if code != 0 {
                return false;
            }
        }
        true
    }
}

impl Wake for Green {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        // SAFETY: the runtime is held; a G that has ended is told apart.
        unsafe { sys::thrum_unpark(self.rt, self.g) };
    }
}

impl Drop for Green {
    fn drop(&mut self) {
        // SAFETY: the reference of current().
        unsafe { sys::thrum_rt_free(self.rt) };
    }
}

struct Os {
    thread: Thread,
    woken: AtomicBool,
}

impl Os {
    fn wait(&self, deadline: i64) -> bool {
        // Release and acquire: what the waker did is seen by the next poll.
        while !self.woken.swap(false, Ordering::Acquire) {
            if deadline == sys::THRUM_FOREVER {
                thread::park();
                continue;
            }
            // SAFETY: a plain call.
            let left = deadline - unsafe { sys::thrum_now() };
            if left <= 0 {
                return false;
            }
            thread::park_timeout(Duration::from_nanos(left as u64));
        }
        true
    }
}

impl Wake for Os {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
