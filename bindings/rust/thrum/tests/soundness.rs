//! What a stackful runtime in Rust gets wrong if its green threads move (the programs of
//! the project's notes on Rust, t1 to t7), in the mode that safe code gets.
//!
//! `$THRUM_ROUNDS` says how often each; the stress build of the library, which moves
//! every green thread that may move at every resume, runs them too (tests/rust/run.sh).
//!
//! SPDX-License-Identifier: MIT

use std::cell::{Cell, RefCell};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as StdMutex};
use std::thread::{self, ThreadId};
use std::time::Duration;
use thrum::{channel, spawn, yield_now, JoinHandle, Runtime};

fn rounds() -> usize {
    std::env::var("THRUM_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(100)
}

/// Many green threads on several Ps that wait in all ways there are.
fn crowd<T: Send + 'static>(f: fn(usize) -> T) -> Vec<T> {
    Runtime::builder().procs(4).run(move || {
        let churn: Vec<_> = (0..4).map(|_| spawn(busy)).collect();
        let crowd: Vec<_> = (0..16).map(|n| spawn(move || f(n))).collect();
        let results = crowd.into_iter().map(|one| one.join().unwrap()).collect();
        churn.iter().for_each(JoinHandle::cancel);
        results
    })
}

/// Has work now and then, so that Ps run out of it and steal what they may.
fn busy() {
    loop {
        let bursts: Vec<_> = (0..8).map(|_| spawn(yield_now)).collect();
        bursts.into_iter().for_each(|burst| burst.join().unwrap());
        thrum::sleep(Duration::from_micros(50));
    }
}

/// Parks, one way or another.
fn hop(n: usize) {
    match n % 4 {
        0 => thrum::sleep(Duration::from_micros(20)),
        1 => spawn(|| ()).join().unwrap(),
        2 => {
            let (tx, rx) = channel(0);
            spawn(move || tx.send(1));
            assert_eq!(rx.recv(), Ok(1));
        }
        _ => yield_now(),
    }
}

#[test]
fn t1_a_green_thread_stays_on_its_os_thread() {
    crowd(|_| {
        let home: ThreadId = thread::current().id();
        for n in 0..rounds() {
            hop(n);
            assert_eq!(thread::current().id(), home);
        }
    });
}

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static BORROWED: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

#[test]
fn t2_a_reference_into_a_thread_local_across_waits() {
    crowd(|_| {
        COUNT.with(|count| {
            let here: *const Cell<u64> = count;
            for n in 0..rounds() {
                let before = count.get();
                count.set(before + 1);
                assert_eq!(count.get(), before + 1);
                hop(n);
                // Neighbours on this OS thread may have counted; nobody elsewhere has.
                assert!(count.get() > before);
                COUNT.with(|again| assert!(std::ptr::eq(here, again)));
            }
        });
    });
}

#[test]
fn t3_separate_uses_of_a_thread_local_in_one_function() {
    crowd(|_| {
        for n in 0..rounds() {
            COUNT.with(|count| count.set(count.get() + 1));
            let (here, before) = COUNT.with(|count| (count as *const _ as usize, count.get()));
            hop(n);
            let (there, after) = COUNT.with(|count| (count as *const _ as usize, count.get()));
            assert_eq!(here, there);
            assert!(after >= before);
        }
    });
}

#[test]
fn t3_the_same_in_a_dynamic_library() {
    // Position-independent code: compilers keep a thread-local's address there.
    let path = std::env::current_exe().unwrap();
    let path = path.ancestors().nth(2).unwrap().join("examples/libplugin.so");
    let path = std::ffi::CString::new(path.into_os_string().into_encoded_bytes()).unwrap();
    // SAFETY: the plugin's function takes and gives a number, on its own copy of thrum.
    let moved = unsafe {
        let plugin = dlopen(path.as_ptr(), 2);
        assert!(!plugin.is_null(), "examples/plugin.rs was not built: {path:?}");
        let symbol = dlsym(plugin, c"thrum_plugin_moved".as_ptr());
        assert!(!symbol.is_null());
        let moved: extern "C" fn(u64) -> u64 = std::mem::transmute(symbol);
        moved(rounds() as u64)
    };
    assert_eq!(moved, 0);
}

extern "C" {
    fn dlopen(path: *const std::ffi::c_char, flags: i32) -> *mut std::ffi::c_void;
    fn dlsym(
        library: *mut std::ffi::c_void,
        name: *const std::ffi::c_char,
    ) -> *mut std::ffi::c_void;
}

/// Parks while its owner unwinds, and looks whether std still knows that it does.
struct ParksInDrop(Arc<AtomicUsize>);

impl Drop for ParksInDrop {
    fn drop(&mut self) {
        for n in 0..4 {
            assert!(thread::panicking());
            hop(n);
            assert!(thread::panicking());
        }
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A panic with something to be awaited on the way out.
fn panics_slowly(dropped: &Arc<AtomicUsize>) {
    let _parks = ParksInDrop(dropped.clone());
    std::panic::resume_unwind(Box::new("slow"));
}

#[test]
fn t4_a_park_in_drop_while_unwinding() {
    let dropped: Vec<_> = crowd(|_| {
        let dropped = Arc::new(AtomicUsize::new(0));
        for _ in 0..rounds() / 10 {
            let theirs = dropped.clone();
            let result = catch_unwind(AssertUnwindSafe(|| panics_slowly(&theirs)));
            assert_eq!(result.unwrap_err().downcast_ref(), Some(&"slow"));
        }
        dropped.load(Ordering::Relaxed)
    });
    assert!(dropped.iter().all(|n| *n == rounds() / 10));
    assert!(!thread::panicking());
    // No OS thread has kept a count: a fresh crowd does not panic.
    crowd(|n| {
        (0..20).for_each(|k| hop(n + k));
        assert!(!thread::panicking());
    });
}

#[test]
fn t4_the_same_in_a_migratable_one() {
    Runtime::builder().procs(4).run(|| {
        let churn: Vec<_> = (0..4).map(|_| spawn(busy)).collect();
        let dropped = Arc::new(AtomicUsize::new(0));
        let slow: Vec<_> = (0..64)
            .map(|_| {
                let dropped = dropped.clone();
                // SAFETY: nothing of a thread's lives across a wait, but for the
                // panic, which is what is looked at.
                unsafe { thrum::Builder::new().spawn_migratable(move || panics_slowly(&dropped)) }
            })
            .collect();
        for one in slow {
            assert!(one.unwrap().join().is_err());
        }
        assert_eq!(dropped.load(Ordering::Relaxed), 64);
        churn.iter().for_each(JoinHandle::cancel);
    });
    crowd(|_| assert!(!thread::panicking()));
}

#[test]
fn t5_panics_never_leave_a_green_thread() {
    crowd(|_| {
        for n in 0..rounds() {
            let payload = spawn(move || {
                let caught = catch_unwind(|| {
                    hop(n);
                    std::panic::resume_unwind(Box::new(n))
                });
                hop(n + 1);
                let inner: Result<(), _> = caught;
                std::panic::resume_unwind(inner.unwrap_err());
            })
            .join();
            let payload: Result<(), _> = payload;
            assert_eq!(payload.unwrap_err().downcast_ref(), Some(&n));
        }
    });
}

#[test]
fn t6_a_guard_of_std_s_is_dropped_where_it_was_made() {
    // With one green thread per lock nobody else wants it: std's rule is kept if the
    // green thread has not moved.
    crowd(|_| {
        let lock = StdMutex::new(0);
        for n in 0..rounds() {
            let mut guard = lock.lock().unwrap();
            let home = thread::current().id();
            *guard += 1;
            hop(n);
            assert_eq!(thread::current().id(), home);
            drop(guard);
        }
        assert_eq!(lock.into_inner().unwrap(), rounds());
    });
}

#[test]
fn t6_a_borrow_across_a_wait_panics_and_is_no_race() {
    Runtime::builder().procs(1).run(|| {
        let (tx, rx) = channel::<()>(0);
        let holder = spawn(move || {
            BORROWED.with(|list| {
                let mut list = list.borrow_mut();
                list.push(1);
                rx.recv().ok();
                list.push(2);
                (thread::current().id(), list.len())
            })
        });
        let other = spawn(move || {
            let seen = BORROWED.with(|list| list.try_borrow().map(|list| list.len()));
            drop(tx);
            (thread::current().id(), seen.ok())
        });
        let ((there, list), (here, seen)) = (holder.join().unwrap(), other.join().unwrap());
        assert_eq!(list, 2);
        // On one OS thread the second borrow is refused; elsewhere it is another list.
        assert!(if here == there { seen != Some(1) } else { seen == Some(0) });
    });
}

#[test]
fn t7_an_overflow_is_a_fault_with_a_name() {
    const CHILD: &str = "THRUM_TEST_OVERFLOW";
    #[allow(unconditional_recursion)]
    fn deep(n: u64) -> u64 {
        let page = std::hint::black_box([n; 512]);
        deep(n + 1) + page[n as usize % 512]
    }
    if std::env::var_os(CHILD).is_some() {
        let report = Runtime::builder().procs(1).report_overflow();
        report.run(|| {
            let builder = thrum::Builder::new().name("deep one").stack_size(64 << 10);
            builder.spawn(|| deep(0)).unwrap().join().unwrap()
        });
        unreachable!();
    }
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "t7_an_overflow_is_a_fault_with_a_name", "--nocapture"]);
    let ended = child.env(CHILD, "1").output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    use std::os::unix::process::ExitStatusExt;
    let sigsegv = 11;
    assert_eq!(ended.status.signal(), Some(sigsegv), "{said}");
    assert!(said.contains("deep one"), "{said}");
}
