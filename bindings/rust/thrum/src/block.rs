//! Memory for what a green thread and its handle share. Many come and go at once, more
//! than malloc keeps at hand for a thread, so each OS thread keeps some of its own.
//! Nothing here calls thrum, so that Miri can run it.
//!
//! SPDX-License-Identifier: MIT

use crate::os_thread;
use std::alloc::{alloc, dealloc, handle_alloc_error, Layout};
use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::{self, NonNull};

/// A kept block is that large, or twice.
const UNIT: usize = 64;
const ALIGN: usize = 16;
/// Bytes that a thread keeps of each size: those of a thousand small green threads.
const MOST: usize = 64 << 10;

/// A box from the calling OS thread's blocks; it may go back to another's.
pub(crate) struct Block<T> {
    at: NonNull<T>,
    owns: PhantomData<T>,
}

// SAFETY: as a box.
unsafe impl<T: Send> Send for Block<T> {}

impl<T> Block<T> {
    const UNITS: usize = match std::mem::size_of::<T>().div_ceil(UNIT) {
        units @ (1 | 2) if std::mem::align_of::<T>() <= ALIGN => units,
        _ => 0, // none of those that are kept
    };

    const LAYOUT: Layout = match Self::UNITS {
        0 => Layout::new::<T>(),
        units => match Layout::from_size_align(units * UNIT, ALIGN) {
            Ok(layout) => layout,
            Err(_) => unreachable!(),
        },
    };

    #[inline]
    pub(crate) fn new(value: T) -> Block<T> {
        assert!(std::mem::size_of::<T>() > 0);
        let kept = match Self::UNITS {
            0 => None,
            units => os_thread::spare(|spare| spare.take(units)).flatten(),
        };
        let at = kept.unwrap_or_else(|| more(Self::LAYOUT)).cast::<T>();
        // SAFETY: as large and as aligned as a T, and ours.
        unsafe { at.as_ptr().write(value) };
        Block { at, owns: PhantomData }
    }

    pub(crate) fn into_raw(self) -> NonNull<T> {
        ManuallyDrop::new(self).at
    }

    /// # Safety
    /// `at` came from into_raw, once.
    pub(crate) unsafe fn from_raw(at: NonNull<T>) -> Block<T> {
        Block { at, owns: PhantomData }
    }

    pub(crate) fn into_inner(self) -> T {
        let memory = Memory(self.into_raw());
        // SAFETY: it is there, and nobody uses it any more.
        unsafe { memory.0.as_ptr().read() }
    }
}

impl<T> Deref for Block<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: it is there as long as its block.
        unsafe { self.at.as_ref() }
    }
}

impl<T> Drop for Block<T> {
    #[inline]
    fn drop(&mut self) {
        let memory = Memory(self.at);
        // SAFETY: once. A panic of it lets go of the memory too.
        unsafe { ptr::drop_in_place(memory.0.as_ptr()) };
    }
}

#[cold]
fn more(layout: Layout) -> NonNull<u8> {
    // SAFETY: not of zero bytes.
    NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}

/// A block without its contents.
struct Memory<T>(NonNull<T>);

impl<T> Drop for Memory<T> {
    #[inline]
    fn drop(&mut self) {
        let at = self.0.cast();
        let kept = match Block::<T>::UNITS {
            0 => None,
            // SAFETY: of that size, and nobody uses it any more.
            units => os_thread::spare(|spare| unsafe { spare.put(units, at) }),
        };
        if kept != Some(true) {
            // SAFETY: made with this layout, by whichever thread.
            unsafe { dealloc(at.as_ptr(), Block::<T>::LAYOUT) };
        }
    }
}

/// What an OS thread keeps, by size.
pub(crate) struct Spare([List; 2]);

struct List {
    first: Cell<*mut Free>,
    bytes: Cell<usize>,
}

struct Free {
    next: *mut Free,
}

impl Spare {
    pub(crate) const fn new() -> Spare {
        Spare([List::new(), List::new()])
    }

    #[inline]
    fn take(&self, units: usize) -> Option<NonNull<u8>> {
        let list = &self.0[units - 1];
        let block = NonNull::new(list.first.get())?;
        // SAFETY: what is in the list is free and ours.
        list.first.set(unsafe { block.as_ref() }.next);
        list.bytes.set(list.bytes.get() - units * UNIT);
        Some(block.cast())
    }

    /// False: there are enough.
    ///
    /// # Safety
    /// `at` is a block of so many units that nobody uses.
    #[inline]
    unsafe fn put(&self, units: usize, at: NonNull<u8>) -> bool {
        let list = &self.0[units - 1];
        let room = list.bytes.get() < MOST;
        if room {
            let block = at.cast::<Free>();
            // SAFETY: as promised, and large enough.
            unsafe { block.as_ptr().write(Free { next: list.first.get() }) };
            list.first.set(block.as_ptr());
            list.bytes.set(list.bytes.get() + units * UNIT);
        }
        room
    }
}

impl Drop for Spare {
    fn drop(&mut self) {
        for units in [1, 2] {
            while let Some(block) = self.take(units) {
                // SAFETY: a block of this size was made with this layout.
                unsafe {
                    let layout = Layout::from_size_align_unchecked(units * UNIT, ALIGN);
                    dealloc(block.as_ptr(), layout);
                }
            }
        }
    }
}

impl List {
    const fn new() -> List {
        List { first: Cell::new(ptr::null_mut()), bytes: Cell::new(0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{catch_unwind, AssertUnwindSafe};
    use std::thread;

    fn spares(units: usize) -> usize {
        os_thread::spare(|spare| spare.0[units - 1].bytes.get() / UNIT / units).unwrap()
    }

    #[test]
    fn one_size_is_used_again() {
        let first = Block::new(1u8).into_raw();
        // SAFETY: from into_raw.
        assert_eq!(unsafe { Block::from_raw(first) }.into_inner(), 1);
        let second = Block::new([2u64; 8]);
        assert_eq!(second.at.as_ptr() as usize, first.as_ptr() as usize);
        let third = Block::new([3u64; 16]);
        assert_ne!(third.at.as_ptr() as usize, first.as_ptr() as usize);
        assert_eq!((*second, *third), ([2; 8], [3; 16]));
        drop((second, third));
        assert!(spares(1) > 0 && spares(2) > 0);
    }

    #[test]
    fn what_fits_none_is_a_box() {
        #[repr(align(64))]
        struct Aligned(u8);
        let before = (spares(1), spares(2));
        let aligned = Block::new(Aligned(4));
        assert_eq!(aligned.at.as_ptr() as usize % 64, 0);
        let large = Block::new([5u8; 129]);
        assert_eq!((aligned.0, large[128]), (4, 5));
        drop((aligned, large));
        assert_eq!((spares(1), spares(2)), before);
    }

    #[test]
    fn contents_go_once() {
        let text = Block::new(String::from("to the heap"));
        assert_eq!(text.into_inner(), "to the heap");
        drop(Block::new(String::from("dropped")));
    }

    #[test]
    fn a_panic_of_the_contents_lets_the_block_go() {
        struct Bad(#[allow(dead_code)] [u64; 12]);
        impl Drop for Bad {
            fn drop(&mut self) {
                panic!("oh");
            }
        }
        let bad = Block::new(Bad([0; 12]));
        let before = spares(2);
        assert!(catch_unwind(AssertUnwindSafe(|| drop(bad))).is_err());
        assert_eq!(spares(2), before + 1);
    }

    #[test]
    fn a_thread_keeps_a_bounded_number() {
        let all = thread::spawn(|| (0..1500).map(Block::new).collect::<Vec<_>>()).join().unwrap();
        assert!(all.iter().enumerate().all(|(n, block)| n == **block));
        drop(all);
        assert_eq!(spares(1), MOST / UNIT);
        // Who makes them and who lets them go need not be the same.
        let other = thread::spawn(|| {
            let mine = Block::new(6);
            drop(Block::new(7));
            (mine, spares(1))
        });
        let (block, kept) = other.join().unwrap();
        assert_eq!((*block, kept), (6, 1));
    }
}
