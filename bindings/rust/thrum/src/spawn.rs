//! Green threads: how they begin and how they end.
//!
//! SPDX-License-Identifier: MIT

use crate::block::Block;
use crate::cancel::{cancelled, Cancelled};
use crate::error::io_error;
use crate::join::{Handle, JoinHandle};
use crate::packet::Packet;
use crate::park::Shield;
use crate::runtime::Runtime;
use crate::sys;
use std::cell::UnsafeCell;
use std::ffi::{c_void, CString};
use std::mem::ManuallyDrop;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::thread::panicking;
use std::{io, mem, ptr};

/// Starts a green thread of the calling one's runtime.
///
/// It may begin on any OS thread and then stays there, so that `thread_local!` and
/// what std keeps in the thread mean the same before and after each wait.
///
/// # Panics
/// Outside a green thread (see [`Runtime::spawn`](crate::Runtime::spawn)), and when no
/// memory is left; [`Builder`] returns these. When the runtime is stopping it unwinds
/// as a wait does.
///
/// ```
/// # thrum::run(|| {
/// let sum = thrum::spawn(|| (1..=10).sum::<i32>());
/// assert_eq!(sum.join().unwrap(), 55);
/// # });
/// ```
///
/// What is not [`Send`] can't go along:
///
/// ```compile_fail,E0277
/// let shared = std::rc::Rc::new(1);
/// thrum::spawn(move || println!("{shared}"));
/// ```
///
/// Nor what is borrowed (see [`scope`](crate::scope)):
///
/// ```compile_fail,E0373
/// let list = vec![1, 2, 3];
/// thrum::spawn(|| println!("{}", list.len()));
/// ```
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    expect(Builder::new().spawn(f))
}

/// Starts a green thread on the calling one's OS thread, where it stays: so neither
/// what it captures nor what it returns need be [`Send`].
///
/// # Panics
/// As [`spawn`], and from a green thread that may migrate.
///
/// ```
/// # thrum::run(|| {
/// let shared = std::rc::Rc::new(std::cell::Cell::new(1));
/// let theirs = shared.clone();
/// thrum::spawn_local(move || theirs.set(2)).join().unwrap();
/// assert_eq!(shared.get(), 2);
/// # });
/// ```
///
/// Its handle leaves the OS thread only with a result that may:
///
/// ```compile_fail,E0277
/// thrum::run(|| {
///     let local = thrum::spawn_local(|| std::rc::Rc::new(1));
///     thrum::spawn(move || local.join());
/// });
/// ```
#[track_caller]
pub fn spawn_local<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    expect(Builder::new().spawn_local(f))
}

/// What a spawn without a Result makes of an error. One that its runtime's stop has
/// cancelled meets that here, if it was not at a wait before.
#[track_caller]
pub(crate) fn expect<T>(spawned: io::Result<T>) -> T {
    match spawned {
        Ok(handle) => handle,
        Err(error) => not_started(error),
    }
}

#[cold]
#[track_caller]
fn not_started(error: io::Error) -> ! {
    if error.kind() == io::ErrorKind::NotConnected && cancelled() && !panicking() {
        resume_unwind(Box::new(Cancelled));
    }
    // SAFETY: a plain call.
    if unsafe { sys::thrum_rt_current() }.is_null() && error.kind() == io::ErrorKind::InvalidInput {
        panic!(
            "thrum: no green thread could be started outside of one: Runtime::spawn, thrum::run"
        );
    }
    panic!("thrum: no green thread could be started: {error}")
}

/// How a green thread is made.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # thrum::run(|| {
/// let deep = thrum::Builder::new().name("deep").stack_size(8 << 20).spawn(|| 1)?;
/// assert_eq!(deep.join().unwrap(), 1);
/// # Ok(())
/// # })
/// # }
/// ```
#[derive(Debug, Default, Clone)]
pub struct Builder {
    name: Option<CString>,
    stack_size: usize,
    priority: u32,
}

impl Builder {
    /// With the runtime's defaults.
    pub const fn new() -> Builder {
        Builder { name: None, stack_size: 0, priority: 0 }
    }

    /// The name that traces, reports and debuggers show, of at most 47 bytes.
    pub fn name(mut self, name: &str) -> Builder {
        let name = name.bytes().filter(|byte| *byte != 0).collect::<Vec<u8>>();
        self.name = CString::new(name).ok();
        self
    }

    /// Bytes of stack, of which only what is touched takes memory.
    pub fn stack_size(mut self, bytes: usize) -> Builder {
        self.stack_size = bytes;
        self
    }

    /// Comes before others that wait for their turn.
    pub fn high_priority(mut self) -> Builder {
        self.priority = sys::THRUM_PRIO_HIGH;
        self
    }

    /// Comes after others that wait for their turn.
    pub fn low_priority(mut self) -> Builder {
        self.priority = sys::THRUM_PRIO_LOW;
        self
    }

    /// As [`spawn()`].
    pub fn spawn<F, T>(&self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // SAFETY: what goes along is Send and 'static.
        unsafe { self.spawn_on(ptr::null_mut(), sys::THRUM_PIN_STARTED, f) }
    }

    /// As [`Runtime::spawn`].
    pub fn spawn_in<F, T>(&self, runtime: &Runtime, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // SAFETY: what goes along is Send and 'static; the runtime lives.
        unsafe { self.spawn_on(runtime.as_ptr(), sys::THRUM_PIN_STARTED, f) }
    }

    /// As [`spawn_local`].
    pub fn spawn_local<F, T>(&self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        if is_migratable() {
            return Err(io::Error::other("a migratable green thread has no OS thread of its own"));
        }
        // SAFETY: it runs on this OS thread alone, where the caller stays as well.
        unsafe { self.spawn_on(ptr::null_mut(), sys::THRUM_PIN_M, f) }
    }

    /// Starts a green thread that may go on on another OS thread after each wait:
    /// for Rust that computes in parallel and lets go of nothing when it waits.
    ///
    /// # Safety
    /// Nothing that belongs to the OS thread may live across a wait of `f`, or of
    /// what it calls: no reference into a `thread_local!`, no guard of std's locks,
    /// no value that is not [`Send`]. In a dynamic library not even two separate
    /// uses of one `thread_local!` in one function: compilers keep its address.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # thrum::run(|| {
    /// // SAFETY: only numbers live across the waits.
    /// let moves = unsafe {
    ///     thrum::Builder::new().spawn_migratable(|| {
    ///         (1..=10).inspect(|_| thrum::yield_now()).sum::<i32>()
    ///     })?
    /// };
    /// assert_eq!(moves.join().unwrap(), 55);
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub unsafe fn spawn_migratable<F, T>(&self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let f = move || {
            mark_migratable();
            f()
        };
        // SAFETY: what goes along is Send and 'static; the rest is promised.
        unsafe { self.spawn_on(ptr::null_mut(), sys::THRUM_MIGRATE, f) }
    }

    /// # Safety
    /// What `f` holds and returns may go where `affinity` lets it run; `rt` is null,
    /// for the calling green thread's, or a runtime that lives.
    pub(crate) unsafe fn spawn_on<F, T>(
        &self,
        rt: *mut sys::thrum_rt,
        affinity: u32,
        f: F,
    ) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        // First: after the spawn each instruction is time in which others steal it.
        // SAFETY: a plain call.
        let home = if rt.is_null() { unsafe { sys::thrum_rt_current() } } else { rt };
        // SAFETY: the caller's promise.
        let handle = unsafe { self.begin(rt, home, affinity, (), f) }?;
        Ok(JoinHandle(handle))
    }

    /// The one place where green threads are made: of `rt`, which is `home` or null.
    /// `ends` is told as their last act.
    ///
    /// # Safety
    /// As [`Builder::spawn_on`]; and what `f` borrows outlives the green thread.
    pub(crate) unsafe fn begin<'a, F, T, E>(
        &self,
        rt: *mut sys::thrum_rt,
        home: *mut sys::thrum_rt,
        affinity: u32,
        ends: E,
        f: F,
    ) -> io::Result<Handle<'a, T>>
    where
        F: FnOnce() -> T + 'a,
        T: 'a,
        E: Ends + 'a,
    {
        let shared = Shared { packet: Packet::new(), free: free::<F, T, E> };
        let start = Start { shared, ends, f: UnsafeCell::new(ManuallyDrop::new(f)) };
        let start = Block::new(start).into_raw();
        let opts = sys::thrum_spawn_opts {
            struct_size: mem::size_of::<sys::thrum_spawn_opts>() as u32,
            affinity,
            stack_size: self.stack_size as u64,
            name: self.name.as_ref().map_or(ptr::null(), |name| name.as_ptr()),
            drop: None,
            priority: self.priority,
            flags: 0,
            domain: ptr::null_mut(),
        };
        let (mut g, arg) = (0, start.as_ptr().cast());
        // SAFETY: run knows what arg is.
        let code = unsafe { sys::thrum_spawn(rt, &opts, Some(run::<F, T, E>), arg, &mut g) };
        if code < 0 {
            // SAFETY: it was not taken, so neither was f.
            let start = unsafe { Block::from_raw(start) }.into_inner();
            drop(ManuallyDrop::into_inner(start.f.into_inner()));
            return Err(io_error(code.into()));
        }
        Ok(Handle::new(start.cast(), home, g))
    }
}

/// Who is told of a green thread's end.
pub(crate) trait Ends: Copy {
    /// Its panic was taken by nobody.
    fn panicked(self) {}
    /// It has ended: nothing that was borrowed is used again.
    fn ended(self) {}
}

/// Nobody.
impl Ends for () {}

/// What a handle knows of a [`Start`], which begins with it.
pub(crate) struct Shared<T> {
    pub(crate) packet: Packet<T>,
    /// Frees the Start; for who has it alone.
    pub(crate) free: unsafe fn(NonNull<Shared<T>>),
}

#[repr(C)]
struct Start<F, T, E> {
    shared: Shared<T>,
    ends: E,
    /// The green thread's; taken as it begins.
    f: UnsafeCell<ManuallyDrop<F>>,
}

/// # Safety
/// `shared` is that of a `Start<F, T, E>` whose function was taken, and nobody else has it
/// any more.
unsafe fn free<F, T, E: Ends>(shared: NonNull<Shared<T>>) {
    // SAFETY: as promised; both are at one address.
    let start = unsafe { Block::from_raw(shared.cast::<Start<F, T, E>>()) };
    // SAFETY: nobody else has it any more.
    if unsafe { start.shared.packet.left_panic(|payload| payload.is::<Cancelled>()) } {
        start.ends.panicked();
    }
}

/// The first frame of each green thread, also of one whose runtime is stopping by now:
/// what has a drop in thrum_spawn_opts costs a third more. No unwinding leaves it.
unsafe extern "C" fn run<F: FnOnce() -> T, T, E: Ends>(arg: *mut c_void) {
    let start = arg as *mut Start<F, T, E>;
    // SAFETY: it is there until finish says whose it is; run alone takes f, once.
    let (f, ends) = unsafe { (ManuallyDrop::take(&mut *(*start).f.get()), (*start).ends) };
    let result = catch_unwind(AssertUnwindSafe(f));
    // SAFETY: once, here.
    if unsafe { (*start).shared.packet.finish(result) } {
        // Nobody is left to catch what a result's drop throws: no cancel may.
        let _shield = Shield::new();
        // SAFETY: nobody else has it.
        unsafe { free::<F, T, E>(NonNull::new_unchecked(start).cast()) };
    }
    ends.ended();
}

// ---- which may migrate --------------------------------------------------------

static MIGRATABLE: OnceLock<u32> = OnceLock::new();

fn mark_migratable() {
    let key = *MIGRATABLE.get_or_init(|| {
        let mut key = 0;
        // SAFETY: a key without a drop.
        let code = unsafe { sys::thrum_local_new(None, &mut key) };
        assert!(code == 0, "thrum: no key is left");
        key
    });
    // SAFETY: a mark, not a pointer that anybody follows.
    let code = unsafe { sys::thrum_local_set(key, ptr::NonNull::<u8>::dangling().as_ptr().cast()) };
    assert!(code == 0, "thrum: no memory");
}

/// Whether the calling green thread was made by `spawn_migratable`.
pub(crate) fn is_migratable() -> bool {
    // SAFETY: a plain call.
    MIGRATABLE.get().is_some_and(|key| !unsafe { sys::thrum_local_get(*key) }.is_null())
}
