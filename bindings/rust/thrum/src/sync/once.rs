//! SPDX-License-Identifier: MIT

use crate::park::park_shielded;
use crate::sys;
use std::any::Any;
use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU8, Ordering};

const NEW: u8 = 0;
const DONE: u8 = 1;
const FAILED: u8 = 2;

/// Something that is done once, however many ask for it; they wait until it is done.
/// No cancel or timeout comes in between.
///
/// ```
/// # thrum::run(|| {
/// static START: thrum::sync::Once = thrum::sync::Once::new();
/// START.call_once(|| println!("once"));
/// START.call_once(|| unreachable!());
/// # });
/// ```
pub struct Once {
    raw: UnsafeCell<sys::thrum_once>,
    state: AtomicU8,
}

// SAFETY: made for any number of threads.
unsafe impl Send for Once {}
// SAFETY: as above.
unsafe impl Sync for Once {}

/// What call_once hands through C.
struct Call<F> {
    f: Option<F>,
    panic: Option<Box<dyn Any + Send>>,
}

unsafe extern "C" fn call<F: FnOnce()>(arg: *mut c_void) {
    // SAFETY: call_once's, which waits for this.
    let call = unsafe { &mut *(arg as *mut Call<F>) };
    if let Some(f) = call.f.take() {
        call.panic = catch_unwind(AssertUnwindSafe(f)).err();
    }
}

impl Once {
    /// One that is not done.
    pub const fn new() -> Once {
        let raw = sys::thrum_once { opaque: [0; 4] };
        Once { raw: UnsafeCell::new(raw), state: AtomicU8::new(NEW) }
    }

    /// Whether it is done.
    pub fn is_completed(&self) -> bool {
        self.state.load(Ordering::Acquire) == DONE
    }

    /// Does it with `f`, unless another has.
    ///
    /// # Panics
    /// As `f` does, and whenever an earlier `f` has; from `f` itself.
    #[track_caller]
    pub fn call_once<F: FnOnce()>(&self, f: F) {
        if self.is_completed() {
            return;
        }
        let state = &self.state;
        let f = move || {
            let mut failed = Failed { state, to: FAILED };
            f();
            failed.to = DONE;
        };
        let mut once = Call { f: Some(f), panic: None };
        let code = Self::run(self.raw.get(), &mut once);
        if let Some(payload) = once.panic {
            resume_unwind(payload);
        }
        assert!(code != sys::THRUM_EDEADLOCK, "thrum: a once that waits for itself");
        crate::error::must(code);
        assert!(self.is_completed(), "thrum: this once has panicked before");
    }

    fn run<F: FnOnce()>(raw: *mut sys::thrum_once, once: &mut Call<F>) -> i32 {
        // SAFETY: parking; call gets what it casts to. It does not move meanwhile.
        park_shielded(|| unsafe {
            sys::thrum_once_do(raw, Some(call::<F>), std::ptr::from_mut(once).cast())
        })
    }
}

/// Stores how it went, also when f unwinds.
struct Failed<'a> {
    state: &'a AtomicU8,
    to: u8,
}

impl Drop for Failed<'_> {
    fn drop(&mut self) {
        // Release: who sees DONE sees what f did.
        self.state.store(self.to, Ordering::Release);
    }
}

impl Default for Once {
    fn default() -> Self {
        Once::new()
    }
}

impl std::fmt::Debug for Once {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Once").field("done", &self.is_completed()).finish()
    }
}

/// A value that is made once, by the first who asks for it.
///
/// ```
/// # thrum::run(|| {
/// static NAME: thrum::sync::OnceLock<String> = thrum::sync::OnceLock::new();
/// assert_eq!(NAME.get_or_init(|| "thrum".to_string()), "thrum");
/// assert_eq!(NAME.get().unwrap(), "thrum");
/// # });
/// ```
pub struct OnceLock<T> {
    once: Once,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: the value is made by one and read by all.
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// One without a value.
    pub const fn new() -> OnceLock<T> {
        OnceLock { once: Once::new(), value: UnsafeCell::new(None) }
    }

    /// The value, if it was made.
    pub fn get(&self) -> Option<&T> {
        // SAFETY: after the once nobody writes.
        self.once.is_completed().then(|| unsafe { (*self.value.get()).as_ref() }).flatten()
    }

    /// The value, which `init` makes if nobody has.
    ///
    /// # Panics
    /// As [`Once::call_once`].
    #[track_caller]
    pub fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        // SAFETY: the one call of the once writes, and nobody reads before it.
        self.once.call_once(|| unsafe { *self.value.get() = Some(init()) });
        self.get().expect("it was made")
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        OnceLock::new()
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("OnceLock").field(&self.get()).finish()
    }
}
