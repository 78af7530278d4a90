//! Channels: values move from one green thread, or OS thread, to another.
//!
//! SPDX-License-Identifier: MIT

use crate::error::must;
use crate::park::{deadline, park, TRY};
use crate::sys;
use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{size_of, ManuallyDrop, MaybeUninit};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// Makes a channel that holds up to `capacity` values; with 0 a send waits until its
/// value is received. Both ends can be cloned, and work from OS threads too.
///
/// ```
/// # thrum::run(|| {
/// let (tx, rx) = thrum::channel(4);
/// thrum::spawn(move || (0..10).for_each(|n| tx.send(n).unwrap()));
/// assert_eq!(rx.iter().sum::<i32>(), 45);
/// # });
/// ```
///
/// Values that may not leave their thread can't be sent from another:
///
/// ```compile_fail,E0277
/// let (tx, rx) = thrum::channel::<std::rc::Rc<i32>>(4);
/// thrum::spawn(move || tx.send(std::rc::Rc::new(1)));
/// ```
///
/// Nor can what is borrowed for less time than the other end counts on:
///
/// ```compile_fail,E0597
/// let (tx, rx) = thrum::channel::<&'static str>(1);
/// let gone = String::from("gone");
/// tx.send(&gone).unwrap();
/// drop(gone);
/// println!("{:?}", rx.recv());
/// ```
///
/// # Panics
/// Without memory, and for more than 2³² − 1 values, or values of as many bytes.
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let size = u32::try_from(size_of::<T>()).expect("a value of less than 4 GiB");
    let capacity = u32::try_from(capacity).expect("a capacity below 2³²");
    let mut chan = ptr::null_mut();
    // SAFETY: chan is where it may write.
    must(unsafe { sys::thrum_chan_new(size, capacity, &mut chan) });
    let chan = NonNull::new(chan).expect("it was made");
    let core = Arc::new(Core {
        chan,
        senders: AtomicUsize::new(1),
        receivers: AtomicUsize::new(1),
        _values: PhantomData,
    });
    (Sender { core: core.clone() }, Receiver { core })
}

/// The channel is closed: nobody is left to receive. The value comes back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// Why [`Sender::try_send`] or [`Sender::send_timeout`] gave the value back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// There was no room, in time.
    Full(T),
    /// The channel is closed.
    Closed(T),
}

/// The channel is closed and empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecvError;

/// Why [`Receiver::try_recv`] or [`Receiver::recv_timeout`] has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TryRecvError {
    /// There was none, in time.
    Empty,
    /// The channel is closed and empty.
    Closed,
}

/// What both ends share.
struct Core<T> {
    chan: NonNull<sys::thrum_chan>,
    senders: AtomicUsize,
    receivers: AtomicUsize,
    // Invariant: what one end takes for a shorter borrow the other end still has.
    _values: PhantomData<Cell<T>>,
}

// SAFETY: values go from thread to thread, the channel is for any.
unsafe impl<T: Send> Send for Core<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Core<T> {}

impl<T> Core<T> {
    /// Sends what is at `value`, which is then gone: 0, or an error and it is not.
    fn send(&self, value: &ManuallyDrop<T>, deadline: i64) -> i32 {
        let source = ptr::from_ref(value).cast();
        // SAFETY: parking; elements have the size of T.
        park(deadline, |until| unsafe { sys::thrum_chan_send(self.chan.as_ptr(), source, until) })
    }

    fn recv(&self, deadline: i64) -> Result<T, i32> {
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: parking; elements have the size of T.
        let code = park(deadline, |until| unsafe {
            sys::thrum_chan_recv(self.chan.as_ptr(), value.as_mut_ptr().cast(), until)
        });
        match code {
            // SAFETY: a sender's value has moved here.
            0 => Ok(unsafe { value.assume_init() }),
            code => Err(code),
        }
    }

    fn close(&self) {
        // SAFETY: the channel lives; closing it again is an answer.
        unsafe { sys::thrum_chan_close(self.chan.as_ptr()) };
    }

    fn capacity(&self) -> usize {
        // SAFETY: a plain call.
        unsafe { sys::thrum_chan_cap(self.chan.as_ptr()) as usize }
    }

    fn len(&self) -> usize {
        // SAFETY: a plain call.
        unsafe { sys::thrum_chan_len(self.chan.as_ptr()) as usize }
    }
}

impl<T> Drop for Core<T> {
    fn drop(&mut self) {
        // SAFETY: the reference of channel(). It is empty: see Receiver's drop.
        unsafe { sys::thrum_chan_release(self.chan.as_ptr()) };
    }
}

/// The sending end.
pub struct Sender<T> {
    core: Arc<Core<T>>,
}

impl<T> Sender<T> {
    pub(crate) fn raw(&self) -> *mut sys::thrum_chan {
        self.core.chan.as_ptr()
    }

    /// Sends, and waits for room first.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        let value = ManuallyDrop::new(value);
        match self.send_until(value, sys::THRUM_FOREVER) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(value) | TrySendError::Closed(value)) => Err(SendError(value)),
        }
    }

    /// Sends if there is room, or somebody waits for it.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        self.send_until(ManuallyDrop::new(value), TRY)
    }

    /// Sends, and waits so long for room.
    pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), TrySendError<T>> {
        self.send_until(ManuallyDrop::new(value), deadline(Some(timeout)))
    }

    fn send_until(&self, value: ManuallyDrop<T>, deadline: i64) -> Result<(), TrySendError<T>> {
        // Its drop, unless it was sent; also when the wait unwinds.
        struct Unsent<T>(ManuallyDrop<T>);
        impl<T> Drop for Unsent<T> {
            fn drop(&mut self) {
                // SAFETY: dropped once; who sent or gave it back has forgotten this.
                unsafe { ManuallyDrop::drop(&mut self.0) };
            }
        }
        let unsent = Unsent(value);
        let code = self.core.send(&unsent.0, deadline);
        let mut unsent = ManuallyDrop::new(unsent);
        if code == 0 {
            return Ok(());
        }
        // SAFETY: it was not sent, and unsent is forgotten.
        let value = unsafe { ManuallyDrop::take(&mut unsent.0) };
        match code {
            sys::THRUM_ECLOSED => Err(TrySendError::Closed(value)),
            _ => Err(TrySendError::Full(value)),
        }
    }

    /// Closes the channel: later sends give their value back, and receivers come to
    /// an end when it is empty. The last sender's drop does the same.
    pub fn close(&self) {
        self.core.close();
    }

    /// How many values are in it.
    pub fn len(&self) -> usize {
        self.core.len()
    }

    /// How many values it can hold.
    ///
    /// ```
    /// let (tx, rx) = thrum::channel::<i32>(4);
    /// assert_eq!((tx.capacity(), rx.len()), (4, 0));
    /// ```
    pub fn capacity(&self) -> usize {
        self.core.capacity()
    }

    /// Whether no value is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.core.senders.fetch_add(1, Ordering::Relaxed);
        Sender { core: self.core.clone() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // The last one sees all that the others did.
        if self.core.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.core.close();
        }
    }
}

/// The receiving end.
pub struct Receiver<T> {
    core: Arc<Core<T>>,
}

impl<T> Receiver<T> {
    pub(crate) fn raw(&self) -> *mut sys::thrum_chan {
        self.core.chan.as_ptr()
    }

    /// Waits for a value.
    pub fn recv(&self) -> Result<T, RecvError> {
        self.core.recv(sys::THRUM_FOREVER).map_err(|_| RecvError)
    }

    /// A value that is there, or whose sender waits.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.recv_until(TRY)
    }

    /// Waits so long for a value.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, TryRecvError> {
        self.recv_until(deadline(Some(timeout)))
    }

    fn recv_until(&self, deadline: i64) -> Result<T, TryRecvError> {
        self.core.recv(deadline).map_err(|code| match code {
            sys::THRUM_ECLOSED => TryRecvError::Closed,
            _ => TryRecvError::Empty,
        })
    }

    /// Receives until the channel is closed and empty.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// Closes the channel: senders get their values back, what is in it can still be
    /// received. The last receiver's drop closes it too, and drops what is in it.
    pub fn close(&self) {
        self.core.close();
    }

    /// How many values are in it.
    pub fn len(&self) -> usize {
        self.core.len()
    }

    /// How many values it can hold.
    pub fn capacity(&self) -> usize {
        self.core.capacity()
    }

    /// Whether no value is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.core.receivers.fetch_add(1, Ordering::Relaxed);
        Receiver { core: self.core.clone() }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if self.core.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.core.close();
            // What a value's drop does (it may wait) is no business of the release.
            let rest = Rest(&self.core);
            rest.drop_all();
        }
    }
}

/// Drops what is in a channel: also what comes after a value whose drop panics.
struct Rest<'a, T>(&'a Core<T>);

impl<T> Rest<'_, T> {
    fn drop_all(&self) {
        while let Ok(value) = self.0.recv(TRY) {
            drop(value);
        }
    }
}

impl<T> Drop for Rest<'_, T> {
    fn drop(&mut self) {
        self.drop_all();
    }
}

/// See [`Receiver::iter`].
pub struct Iter<'a, T> {
    receiver: &'a Receiver<T>,
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

/// A receiver that is iterated by value.
pub struct IntoIter<T> {
    receiver: Receiver<T>,
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self }
    }
}

// ---- what they say --------------------------------------------------------------

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SendError(..)")
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the channel is closed")
    }
}

impl<T> Error for SendError<T> {}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySendError::Full(_) => "Full(..)",
            TrySendError::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrySendError::Full(_) => "the channel is full",
            TrySendError::Closed(_) => "the channel is closed",
        })
    }
}

impl<T> Error for TrySendError<T> {}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the channel is closed and empty")
    }
}

impl Error for RecvError {}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryRecvError::Empty => "the channel is empty",
            TryRecvError::Closed => "the channel is closed and empty",
        })
    }
}

impl Error for TryRecvError {}
