//! SPDX-License-Identifier: MIT

use crate::park::{deadline, park_whole, TRY};
use crate::sys;
use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// Many readers or one writer. A writer that waits keeps new readers out, so a reader
/// must not read again, nor ask to write. A cancel ends neither wait.
///
/// ```
/// # thrum::run(|| {
/// let lock = thrum::sync::RwLock::new(vec![1, 2]);
/// lock.write().push(3);
/// let readers = (lock.read(), lock.read());
/// assert_eq!(readers.0.len() + readers.1.len(), 6);
/// # });
/// ```
pub struct RwLock<T: ?Sized> {
    raw: UnsafeCell<sys::thrum_rwmutex>,
    value: UnsafeCell<T>,
}

// SAFETY: the value goes to the writer as a whole, and is shared among readers.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

impl<T> RwLock<T> {
    /// An unlocked one.
    pub const fn new(value: T) -> RwLock<T> {
        let raw = sys::thrum_rwmutex { opaque: [0; 8] };
        RwLock { raw: UnsafeCell::new(raw), value: UnsafeCell::new(value) }
    }

    /// What is in it.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until there is no writer.
    ///
    /// # Panics
    /// If the caller is the writer.
    #[track_caller]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.read_until(sys::THRUM_FOREVER).expect("nothing else ends this wait")
    }

    /// Reads if there is no writer.
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.read_until(TRY)
    }

    /// Waits so long to read.
    #[track_caller]
    pub fn read_timeout(&self, timeout: Duration) -> Option<RwLockReadGuard<'_, T>> {
        self.read_until(deadline(Some(timeout)))
    }

    /// Waits until there is nobody.
    ///
    /// # Panics
    /// If the caller is the writer.
    #[track_caller]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.write_until(sys::THRUM_FOREVER).expect("nothing else ends this wait")
    }

    /// Writes if there is nobody.
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        self.write_until(TRY)
    }

    /// Waits so long to write.
    #[track_caller]
    pub fn write_timeout(&self, timeout: Duration) -> Option<RwLockWriteGuard<'_, T>> {
        self.write_until(deadline(Some(timeout)))
    }

    #[track_caller]
    fn read_until(&self, deadline: i64) -> Option<RwLockReadGuard<'_, T>> {
        // SAFETY: parking; it does not move while it is borrowed.
        let code =
            park_whole(deadline, || unsafe { sys::thrum_rwmutex_rlock(self.raw.get(), deadline) });
        super::locked(code).then(|| RwLockReadGuard { lock: self, _stays: PhantomData })
    }

    #[track_caller]
    fn write_until(&self, deadline: i64) -> Option<RwLockWriteGuard<'_, T>> {
        // SAFETY: as above.
        let code =
            park_whole(deadline, || unsafe { sys::thrum_rwmutex_lock(self.raw.get(), deadline) });
        super::locked(code).then(|| RwLockWriteGuard { lock: self, _stays: PhantomData })
    }

    /// What is in it: nobody else can look.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        RwLock::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_read() {
            Some(guard) => f.debug_tuple("RwLock").field(&&*guard).finish(),
            None => f.write_str("RwLock(<locked>)"),
        }
    }
}

/// One reader's lock, held until it is dropped.
#[must_use]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    _stays: PhantomData<*mut ()>,
}

/// The writer's lock, held until it is dropped.
#[must_use]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    _stays: PhantomData<*mut ()>,
}

// SAFETY: through a shared guard the value is only shared.
unsafe impl<T: ?Sized + Sync> Sync for RwLockReadGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: held, together with readers only.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: held, alone.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: held, alone, and this guard is borrowed alone.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: a reader holds it.
        super::unlocked(unsafe { sys::thrum_rwmutex_runlock(self.lock.raw.get()) });
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: the caller holds it, or thrum says no.
        super::unlocked(unsafe { sys::thrum_rwmutex_unlock(self.lock.raw.get()) });
    }
}
