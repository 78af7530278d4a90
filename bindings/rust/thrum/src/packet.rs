//! What a green thread and its handle share: the function on its way in, the
//! result on its way out. Nothing here calls thrum, so that Miri can run it.
//!
//! SPDX-License-Identifier: MIT

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::task::Waker;
use std::{ptr, thread};

/// The result is there; set once, by the green thread.
const DONE: usize = 1;
/// There is a waker; set by a handle that is polled.
const WAKER: usize = 2;
/// There is no handle any more; set once.
const LEFT: usize = 4;
/// The result was taken; set after DONE, by the handle, which nobody else has then.
const TAKEN: usize = 8;
/// One thread is inside [`Packet::unless_done`].
const GUARDED: usize = 16;

/// Small: a thousand of them are to fit in a CPU's nearest cache.
pub(crate) struct Packet<T> {
    state: AtomicUsize,
    /// Null, or a box.
    waker: AtomicPtr<Waker>,
    /// The green thread's until DONE (release), then the handle's (acquire); there while
    /// DONE and not TAKEN.
    result: UnsafeCell<MaybeUninit<thread::Result<T>>>,
}

// SAFETY: the result goes from one owner to the next, in the order of DONE.
unsafe impl<T: Send> Sync for Packet<T> {}

impl<T> Packet<T> {
    pub(crate) fn new() -> Self {
        Packet {
            state: AtomicUsize::new(0),
            waker: AtomicPtr::new(ptr::null_mut()),
            result: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state.load(Ordering::Acquire) & DONE != 0
    }

    /// Leaves the result and wakes whoever polled for it. Returns whether the handle
    /// had gone: then the packet is the caller's, else the handle's from now on.
    ///
    /// # Safety
    /// Called once, by the green thread.
    #[inline]
    pub(crate) unsafe fn finish(&self, result: thread::Result<T>) -> bool {
        // SAFETY: before DONE the result is ours, and nothing is there.
        unsafe { (*self.result.get()).write(result) };
        // Release: the result.
        match self.state.compare_exchange(0, DONE, Ordering::Release, Ordering::Acquire) {
            Ok(_) => false,
            Err(state) => self.finish_told(state),
        }
    }

    /// The same for a packet of which somebody has said something.
    #[inline(never)]
    fn finish_told(&self, mut state: usize) -> bool {
        let mut waker = None;
        loop {
            if state >= GUARDED {
                // Who is between its look at DONE and its call counts on our being here.
                thread::yield_now();
                state = self.state.load(Ordering::Acquire);
            } else if state & WAKER != 0 {
                // What is registered later sets the bit again, and is taken then.
                state = self.state.fetch_and(!WAKER, Ordering::AcqRel) & !WAKER;
                waker = self.swap_waker(ptr::null_mut()).or(waker);
            } else {
                // Release: the result. Acquire: what the handle did before it went.
                let done = state | DONE;
                match self.state.compare_exchange_weak(
                    state,
                    done,
                    Ordering::AcqRel,
                    Ordering::Acquire,
                ) {
                    Ok(_) => break,
                    Err(now) => state = now,
                }
            }
        }
        // The packet is not touched again.
        if let Some(waker) = waker {
            // A foreign executor's panic is not ours to spread.
            let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
        state & LEFT != 0
    }

    /// The handle goes. Returns whether the green thread had ended: then the packet is
    /// the caller's, else the green thread's from now on.
    pub(crate) fn leave(&self) -> bool {
        // Acquire: after DONE nobody else touches it. Release: what the handle did.
        self.is_done() || self.state.fetch_or(LEFT, Ordering::AcqRel) & DONE != 0
    }

    /// Runs `f` while the green thread has not ended and can't: `f` must not wait.
    pub(crate) fn unless_done(&self, f: impl FnOnce()) {
        let before = self.state.fetch_add(GUARDED, Ordering::AcqRel);
        if before & DONE == 0 {
            f();
        }
        self.state.fetch_sub(GUARDED, Ordering::Release);
    }

    /// The result, once.
    ///
    /// # Safety
    /// Of those who share the packet only one handle takes.
    pub(crate) unsafe fn take(&self) -> Option<thread::Result<T>> {
        let state = self.state.load(Ordering::Acquire);
        if state & (DONE | TAKEN) != DONE {
            return None;
        }
        self.state.store(state | TAKEN, Ordering::Relaxed);
        // SAFETY: after DONE the result is the handle's, once.
        Some(unsafe { (*self.result.get()).assume_init_read() })
    }

    /// Whether a result that nobody took is a panic, but for those of `but`.
    ///
    /// # Safety
    /// Called by who has the packet alone.
    pub(crate) unsafe fn left_panic(&self, but: fn(&(dyn std::any::Any + Send)) -> bool) -> bool {
        if self.state.load(Ordering::Relaxed) & (DONE | TAKEN) != DONE {
            return false;
        }
        // SAFETY: nobody else is there, and the result is.
        match unsafe { (*self.result.get()).assume_init_ref() } {
            Err(payload) => !but(&**payload),
            Ok(_) => false,
        }
    }

    /// Has `waker` woken at the end; false: it has ended already.
    pub(crate) fn register(&self, waker: &Waker) -> bool {
        let _former = self.swap_waker(Box::into_raw(Box::new(waker.clone())));
        self.state.fetch_or(WAKER, Ordering::AcqRel) & DONE == 0
    }

    fn swap_waker(&self, to: *mut Waker) -> Option<Box<Waker>> {
        // AcqRel: the waker in its box.
        let former = self.waker.swap(to, Ordering::AcqRel);
        // SAFETY: a box of register's, which nobody else has any more.
        (!former.is_null()).then(|| unsafe { Box::from_raw(former) })
    }
}

impl<T> Drop for Packet<T> {
    fn drop(&mut self) {
        let waker = *self.waker.get_mut();
        // SAFETY: a box of register's, which nobody else has any more.
        let _waker = (!waker.is_null()).then(|| unsafe { Box::from_raw(waker) });
        if *self.state.get_mut() & (DONE | TAKEN) == DONE {
            // SAFETY: it is there, and goes once.
            unsafe { self.result.get_mut().assume_init_drop() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicPtr};
    use std::sync::Arc;
    use std::task::Wake;

    struct Flag(AtomicBool);

    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_result_is_taken_once() {
        let packet = Packet::new();
        // SAFETY: one thread plays both parts.
        unsafe {
            assert!(packet.take().is_none());
            assert!(!packet.finish(Ok(String::from("done"))));
            assert_eq!(packet.take().unwrap().unwrap(), "done");
            assert!(packet.take().is_none());
        }
    }

    #[test]
    fn a_waker_is_woken_or_told() {
        for _ in 0..if cfg!(miri) { 20 } else { 2000 } {
            let packet = Arc::new(Packet::<Box<u32>>::new());
            let flag = Arc::new(Flag(AtomicBool::new(false)));
            let end = thread::spawn({
                let packet = packet.clone();
                // SAFETY: this thread alone ends it.
                move || unsafe { packet.finish(Ok(Box::new(7))) }
            });
            let waits = packet.register(&Waker::from(flag.clone()));
            end.join().unwrap();
            assert!(!waits || flag.0.load(Ordering::SeqCst));
            // SAFETY: this thread alone takes.
            assert_eq!(*unsafe { packet.take() }.unwrap().unwrap(), 7);
        }
    }

    #[test]
    fn the_end_waits_for_who_counts_on_it() {
        for _ in 0..if cfg!(miri) { 20 } else { 2000 } {
            let packet = Arc::new(Packet::<()>::new());
            let alive = Arc::new(AtomicBool::new(true));
            let end = thread::spawn({
                let (packet, alive) = (packet.clone(), alive.clone());
                move || {
                    // SAFETY: this thread alone ends it.
                    unsafe { packet.finish(Ok(())) };
                    alive.store(false, Ordering::SeqCst);
                }
            });
            packet.unless_done(|| assert!(alive.load(Ordering::SeqCst)));
            end.join().unwrap();
        }
    }

    #[test]
    fn one_of_both_gets_the_packet() {
        for _ in 0..if cfg!(miri) { 20 } else { 2000 } {
            let packet = Box::into_raw(Box::new(Packet::<Box<u32>>::new()));
            let shared = AtomicPtr::new(packet);
            let end = thread::spawn(move || {
                let packet = shared.into_inner();
                // SAFETY: this thread alone ends it, and frees it if it may.
                unsafe { (*packet).finish(Ok(Box::new(7))).then(|| drop(Box::from_raw(packet))) }
            });
            // SAFETY: this thread alone leaves, and frees it if it may.
            let here = unsafe { (*packet).leave().then(|| drop(Box::from_raw(packet))) };
            assert_ne!(end.join().unwrap().is_some(), here.is_some());
        }
    }

    #[test]
    fn a_panic_that_nobody_took_is_told() {
        let packet = Packet::<()>::new();
        // SAFETY: one thread plays all parts.
        unsafe {
            packet.finish(Err(Box::new("oh")));
            assert!(packet.left_panic(|_| false));
            assert!(!packet.left_panic(|payload| payload.is::<&str>()));
            drop(packet.take());
            assert!(!packet.left_panic(|_| false));
        }
    }
}
