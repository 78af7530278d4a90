//! Green threads, scopes, cancels, timeouts, offload, locals.
//!
//! SPDX-License-Identifier: MIT

use std::cell::{Cell, RefCell};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;
use thrum::time::{timeout, Elapsed};
use thrum::{channel, offload, run, scope, sleep, spawn, spawn_local, yield_now};
use thrum::{Builder, Cancelled};

const LONG: Duration = Duration::from_secs(1000);
const MOMENT: Duration = Duration::from_millis(2);

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Panics without a word of the hook.
fn quiet(what: &'static str) -> ! {
    resume_unwind(Box::new(what))
}

#[test]
fn many_are_joined() {
    let sum: usize = run(|| {
        let all: Vec<_> = (0..10_000).map(|n| spawn(move || n)).collect();
        all.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert_eq!(sum, 9_999 * 10_000 / 2);
}

#[test]
fn results_and_captures_are_dropped_once() {
    let drops = Arc::new(AtomicUsize::new(0));
    run(|| {
        for n in 0..100 {
            let (captured, returned) = (Counted(drops.clone()), Counted(drops.clone()));
            let one = spawn(move || {
                let _captured = captured;
                returned
            });
            match n % 3 {
                0 => drop(one.join().unwrap()),
                1 => drop(one),
                _ => {
                    yield_now();
                    drop(one);
                }
            }
        }
    });
    assert_eq!(drops.load(Ordering::Relaxed), 200);
}

#[test]
fn a_panic_is_returned_and_hurts_nobody_else() {
    run(|| {
        let bad = spawn(|| -> u32 { quiet("bad") });
        let good = spawn(|| 1);
        assert_eq!(bad.join().unwrap_err().downcast_ref(), Some(&"bad"));
        assert_eq!(good.join().unwrap(), 1);
    });
    let first = catch_unwind(|| run(|| -> u32 { quiet("first") }));
    assert_eq!(first.unwrap_err().downcast_ref(), Some(&"first"));
}

#[test]
fn a_cancel_unwinds_at_the_next_wait_and_drops_what_lives() {
    run(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let theirs = Counted(drops.clone());
        let (ready, is_ready) = channel(1);
        let sleeper = spawn(move || {
            let _theirs = theirs;
            ready.send(()).unwrap();
            sleep(LONG);
            unreachable!();
        });
        is_ready.recv().unwrap();
        sleeper.cancel();
        assert!(sleeper.join().unwrap_err().is::<Cancelled>());
        assert_eq!(drops.load(Ordering::Relaxed), 1);
        // One that has ended is not hurt, and its result stays.
        let ended = spawn(|| 5);
        while !ended.is_finished() {
            yield_now();
        }
        ended.cancel();
        assert_eq!(ended.join().unwrap(), 5);
    });
}

#[test]
fn a_caught_cancel_is_over() {
    run(|| {
        let one = spawn(|| {
            let caught = catch_unwind(|| sleep(LONG)).unwrap_err();
            assert!(caught.is::<Cancelled>() && thrum::cancelled());
            assert!(thrum::clear_cancel() && !thrum::cancelled());
            sleep(Duration::from_micros(1));
            7
        });
        one.cancel();
        assert_eq!(one.join().unwrap(), 7);
    });
}

#[test]
fn a_cancelled_joiner_leaves_the_other_alone() {
    run(|| {
        let (tx, rx) = channel(0);
        let inner = spawn(move || rx.recv().unwrap());
        let outer = spawn(move || inner.join().unwrap());
        yield_now();
        outer.cancel();
        assert!(outer.join().unwrap_err().is::<Cancelled>());
        tx.send(1).unwrap(); // it still receives
    });
}

#[test]
fn a_stop_cancels_what_is_left() {
    let drops = Arc::new(AtomicUsize::new(0));
    run(|| {
        for n in 0..20 {
            let left = Counted(drops.clone());
            spawn(move || {
                let _left = left;
                loop {
                    if n % 2 == 0 {
                        sleep(LONG);
                    } else {
                        let _ = spawn(|| ()).join();
                    }
                }
            });
        }
        yield_now();
    });
    assert_eq!(drops.load(Ordering::Relaxed), 20);
}

#[test]
fn scopes_borrow_and_wait() {
    run(|| {
        let mut list: Vec<u32> = (0..1000).collect();
        scope(|s| {
            for half in list.chunks_mut(500) {
                s.spawn(|| {
                    yield_now();
                    half.iter_mut().for_each(|n| *n += 1);
                });
            }
        });
        assert_eq!(list.iter().sum::<u32>(), 500_500);
        let nested = scope(|s| {
            let list = &list;
            s.spawn(move || s.spawn(move || list.len()).join().unwrap()).join().unwrap()
        });
        assert_eq!(nested, 1000);
        // More than its list of members begins with.
        let count = AtomicUsize::new(0);
        scope(|s| {
            for _ in 0..1000 {
                s.spawn(|| count.fetch_add(1, Ordering::Relaxed));
                if count.load(Ordering::Relaxed) % 7 == 0 {
                    yield_now();
                }
            }
        });
        assert_eq!(count.into_inner(), 1000);
    });
}

#[test]
fn a_scope_ends_after_its_members_however_it_ends() {
    run(|| {
        let ended = AtomicUsize::new(0);
        let member = || {
            struct Ends<'a>(&'a AtomicUsize);
            impl Drop for Ends<'_> {
                fn drop(&mut self) {
                    thrum::shield(|| sleep(MOMENT));
                    self.0.fetch_add(1, Ordering::SeqCst);
                }
            }
            let _ends = Ends(&ended);
            sleep(LONG);
        };
        // By a panic of its body.
        let body = catch_unwind(AssertUnwindSafe(|| {
            scope(|s| {
                s.spawn(member);
                s.spawn(member);
                yield_now();
                quiet("body");
            })
        }));
        assert_eq!(body.unwrap_err().downcast_ref(), Some(&"body"));
        let begun = ended.load(Ordering::SeqCst);
        assert_eq!(begun, 2);
        // By its timeout.
        let late = timeout(MOMENT, || {
            scope(|s| {
                s.spawn(member);
            })
        });
        assert_eq!(late, Err(Elapsed));
        assert_eq!(ended.load(Ordering::SeqCst), 3);
    });
}

#[test]
fn a_scope_ends_when_its_green_thread_is_cancelled() {
    run(|| {
        let (ready, is_ready) = channel(1);
        let outer = spawn(move || {
            let borrowed = [1, 2, 3];
            scope(|s| {
                s.spawn(|| {
                    ready.send(()).unwrap();
                    sleep(LONG);
                    borrowed.len()
                });
            });
        });
        is_ready.recv().unwrap();
        outer.cancel();
        assert!(outer.join().unwrap_err().is::<Cancelled>());
    });
}

#[test]
fn a_panic_that_was_not_joined_is_the_scope_s() {
    run(|| {
        let unjoined = catch_unwind(|| scope(|s| drop(s.spawn(|| quiet("member")))));
        assert!(unjoined.is_err());
        let joined = scope(|s| s.spawn(|| -> u32 { quiet("member") }).join().is_err());
        assert!(joined);
    });
}

#[test]
fn local_ones_share_what_is_not_send() {
    run(|| {
        let list = Rc::new(RefCell::new(Vec::new()));
        let all: Vec<_> = (0..10)
            .map(|n| {
                let list = list.clone();
                spawn_local(move || {
                    yield_now();
                    list.borrow_mut().push(n);
                    Rc::new(n)
                })
            })
            .collect();
        let sum: i32 = all.into_iter().map(|one| *one.join().unwrap()).sum();
        assert_eq!((sum, list.borrow().len()), (45, 10));
        // SAFETY: nothing lives across a wait.
        let refused = unsafe {
            Builder::new().spawn_migratable(|| Builder::new().spawn_local(|| ()).is_err())
        };
        assert!(refused.unwrap().join().unwrap());
    });
    assert!(Builder::new().spawn_local(|| ()).is_err());
    assert!(Builder::new().spawn(|| ()).is_err());
}

#[test]
fn timeouts_nest() {
    run(|| {
        assert_eq!(timeout(LONG, || timeout(MOMENT, || sleep(LONG))), Ok(Err(Elapsed)));
        assert_eq!(timeout(MOMENT, || timeout(LONG, || sleep(LONG))), Err(Elapsed));
        // What is caught on the way comes again, and the limit is gone afterwards.
        let stubborn = timeout(MOMENT, || {
            let _ = catch_unwind(|| sleep(LONG));
            sleep(LONG);
        });
        assert_eq!(stubborn, Err(Elapsed));
        sleep(MOMENT);
        let (_tx, rx) = channel::<()>(0);
        assert_eq!(rx.recv_timeout(MOMENT), Err(thrum::TryRecvError::Empty));
        assert!(timeout(MOMENT, || rx.recv_timeout(LONG)).is_err());
    });
}

#[test]
fn offload_runs_elsewhere_and_borrows() {
    run(|| {
        let home = std::thread::current().id();
        let text = String::from("borrowed");
        let (len, there) = offload(|| (text.len(), std::thread::current().id()));
        assert_eq!(len, 8);
        assert_ne!(there, home);
        let bad = catch_unwind(|| offload(|| -> u32 { quiet("off") }));
        assert_eq!(bad.unwrap_err().downcast_ref(), Some(&"off"));
        // A neighbour on the same OS thread goes on meanwhile.
        let (tx, rx) = std::sync::mpsc::channel::<()>();
        let neighbour = spawn_local(move || tx.send(()).unwrap());
        offload(move || rx.recv().unwrap());
        neighbour.join().unwrap();
        let all: Vec<_> = (0..200).map(|n| spawn(move || offload(move || n))).collect();
        assert_eq!(all.into_iter().map(|one| one.join().unwrap()).sum::<i32>(), 19_900);
        // A cancel waits for its end.
        let done = Arc::new(AtomicBool::new(false));
        let theirs = done.clone();
        let one = spawn(move || {
            offload(move || {
                std::thread::sleep(MOMENT);
                theirs.store(true, Ordering::Relaxed);
            })
        });
        one.cancel();
        assert!(one.join().is_ok());
        assert!(done.load(Ordering::Relaxed));
    });
    assert_eq!(offload(|| 1), 1);
}

#[test]
fn blocking_is_declared_and_undone_by_a_panic() {
    run(|| {
        let bad = catch_unwind(|| thrum::enter_blocking(|| quiet("in there")));
        assert!(bad.is_err());
        assert_eq!(thrum::enter_blocking(|| spawn(|| 2).join().unwrap()), 2);
    });
    assert_eq!(thrum::enter_blocking(|| 3), 3);
}

thrum::local! {
    static NUMBER: Cell<u32> = Cell::new(1);
    static KEPT: RefCell<Vec<Counted>> = RefCell::new(Vec::new());
    static RECURSIVE: u32 = RECURSIVE_DEPTH.with(|depth| {
        depth.set(depth.get() + 1);
        if depth.get() == 1 { RECURSIVE.with(|inner| *inner) } else { 9 }
    });
    static RECURSIVE_DEPTH: Cell<u32> = Cell::new(0);
}

#[test]
fn locals_are_each_one_s_own() {
    let drops = Arc::new(AtomicUsize::new(0));
    run(|| {
        let all: Vec<_> = (0..50)
            .map(|n| {
                let counted = Counted(drops.clone());
                spawn(move || {
                    NUMBER.with(|number| number.set(number.get() + n));
                    KEPT.with(|kept| kept.borrow_mut().push(counted));
                    yield_now();
                    NUMBER.with(|number| assert_eq!(number.get(), 1 + n));
                })
            })
            .collect();
        all.into_iter().for_each(|one| one.join().unwrap());
        assert_eq!(RECURSIVE.with(|n| *n), 9);
    });
    assert_eq!(drops.load(Ordering::Relaxed), 50);
    assert!(NUMBER.try_with(|_| ()).is_err());
}

#[test]
fn names_and_stacks_are_given() {
    run(|| {
        let deep = Builder::new().name("deep\0er").stack_size(4 << 20).high_priority();
        let used = deep.spawn(|| {
            let big = std::hint::black_box([1u8; 2 << 20]);
            big.iter().map(|n| u32::from(*n)).sum::<u32>()
        });
        assert_eq!(used.unwrap().join().unwrap(), 2 << 20);
        let backtrace = spawn(|| std::backtrace::Backtrace::force_capture().to_string());
        assert!(backtrace.join().unwrap().contains("spawn"));
    });
    assert!(thrum::build_info().contains("thrum 0."));
}

#[test]
fn a_cancelled_scope_cancels_what_is_begun_later() {
    /// One generation after the other, which the cancel of their parents finds busy.
    fn descend<'scope>(s: &'scope thrum::Scope<'scope, '_>, depth: u32) {
        let begun = std::time::Instant::now();
        while begun.elapsed() < MOMENT {}
        if depth > 0 {
            s.spawn(move || descend(s, depth - 1));
        }
        sleep(LONG);
    }
    run(|| {
        let above = spawn(|| {
            scope(|s| {
                s.spawn(move || descend(s, 8));
            });
        });
        sleep(MOMENT / 2);
        above.cancel();
        assert!(above.join().unwrap_err().is::<Cancelled>());
    });
}

/// A value whose drop waits.
struct Waits(Arc<AtomicUsize>);

impl Drop for Waits {
    fn drop(&mut self) {
        sleep(MOMENT);
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn no_cancel_comes_into_the_drop_of_a_result_that_nobody_has() {
    let dropped = Arc::new(AtomicUsize::new(0));
    run(|| {
        for _ in 0..4 {
            let dropped = dropped.clone();
            drop(spawn(move || {
                catch_unwind(|| sleep(LONG)).ok();
                Waits(dropped)
            }));
        }
        sleep(MOMENT);
    });
    assert_eq!(dropped.load(Ordering::Relaxed), 4);
}
