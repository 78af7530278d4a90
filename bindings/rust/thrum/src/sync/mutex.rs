//! SPDX-License-Identifier: MIT

use crate::park::{deadline, park_whole, TRY};
use crate::sys;
use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// One at a time. [`lock`](Mutex::lock) is not ended by a cancel.
///
/// ```
/// # thrum::run(|| {
/// let total = std::sync::Arc::new(thrum::sync::Mutex::new(0));
/// let adders: Vec<_> = (0..10)
///     .map(|n| {
///         let total = total.clone();
///         thrum::spawn(move || *total.lock() += n)
///     })
///     .collect();
/// adders.into_iter().for_each(|adder| adder.join().unwrap());
/// assert_eq!(*total.lock(), 45);
/// # });
/// ```
pub struct Mutex<T: ?Sized> {
    raw: UnsafeCell<sys::thrum_mutex>,
    value: UnsafeCell<T>,
}

// SAFETY: who holds the lock has the value for itself.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// An unlocked one.
    pub const fn new(value: T) -> Mutex<T> {
        let raw = sys::thrum_mutex { opaque: [0; 4] };
        Mutex { raw: UnsafeCell::new(raw), value: UnsafeCell::new(value) }
    }

    /// What is in it.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits for it. Holding it may be long, and a wait in between is fine.
    ///
    /// # Panics
    /// If the caller holds it already.
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let got = self.lock_until(sys::THRUM_FOREVER);
        got.expect("nothing else ends this wait")
    }

    /// Takes it if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.lock_until(TRY)
    }

    /// Waits so long for it.
    #[track_caller]
    pub fn lock_timeout(&self, timeout: Duration) -> Option<MutexGuard<'_, T>> {
        self.lock_until(deadline(Some(timeout)))
    }

    #[track_caller]
    fn lock_until(&self, deadline: i64) -> Option<MutexGuard<'_, T>> {
        // SAFETY: parking; it does not move while it is borrowed.
        let code =
            park_whole(deadline, || unsafe { sys::thrum_mutex_lock(self.raw.get(), deadline) });
        super::locked(code).then(|| MutexGuard { mutex: self, _stays: PhantomData })
    }

    /// What is in it: nobody else can look.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Mutex::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Mutex::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_lock() {
            Some(guard) => f.debug_tuple("Mutex").field(&&*guard).finish(),
            None => f.write_str("Mutex(<locked>)"),
        }
    }
}

/// The lock, held until it is dropped.
#[must_use]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    // Only who locked may unlock: not Send.
    _stays: PhantomData<*mut ()>,
}

// SAFETY: through a shared guard the value is only shared.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<T: ?Sized> MutexGuard<'_, T> {
    /// The lock beneath, for the wait that gives it up.
    pub(super) fn raw(&self) -> *mut sys::thrum_mutex {
        self.mutex.raw.get()
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the lock is held.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held, and this guard is borrowed alone.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: the lock is held by the caller, or thrum says no.
        super::unlocked(unsafe { sys::thrum_mutex_unlock(self.mutex.raw.get()) });
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
