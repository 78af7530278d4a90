//! Runtimes seen from outside, deterministic and hosted ones, other processes.
//!
//! SPDX-License-Identifier: MIT

use crate::*;
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd};
use thrum::{offload, shield, sleep, sys, time, Builder, Hosted, Pumped};

fn make(procs: u32) -> Runtime {
    Runtime::builder().procs(procs).build().unwrap()
}

/// How many threads and descriptors the process has.
fn own() -> (usize, usize) {
    let entries = |of| std::fs::read_dir(of).unwrap().count();
    (entries("/proc/self/task"), entries("/proc/self/fd"))
}

/// Waits for `f`, on an OS thread.
fn comes(f: impl Fn() -> bool) {
    while !f() {
        std::thread::sleep(MOMENT / 10);
    }
}

/// What ran in which order.
fn trace(seed: u64) -> Vec<(u32, u64)> {
    Runtime::builder().deterministic(seed).run(|| {
        let (tx, rx) = channel(100);
        let (a, b) = (channel(10), channel(10));
        for n in 0..6u32 {
            let (tx, a, b) = (tx.clone(), a.clone(), b.clone());
            spawn(move || {
                for k in 0..4u64 {
                    yield_now();
                    sleep(Duration::from_millis(k % 2));
                    thrum::select! {
                        sent = a.0.send(n) => sent.unwrap(),
                        sent = b.0.send(n) => sent.unwrap(),
                        default => {}
                    }
                    tx.send((n, time::now().as_nanos() as u64 + a.0.len() as u64)).unwrap();
                }
            });
        }
        drop(tx);
        rx.iter().collect()
    })
}

extern "C" {
    fn fork() -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    fn _exit(status: i32) -> !;
    fn poll(fds: *mut PollFd, n: u64, timeout: i32) -> i32;
}

#[repr(C)]
struct PollFd {
    fd: i32,
    events: i16,
    revents: i16,
}

/// Whether `f` holds in a child of a fork.
pub(crate) fn forked(f: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child ends here, and other threads hold nothing that it needs.
    unsafe {
        let pid = fork();
        if pid == 0 {
            _exit(!catch_unwind(AssertUnwindSafe(f)).unwrap_or(false) as i32);
        }
        let mut status = 1;
        assert_eq!(waitpid(pid, &mut status, 0), pid);
        status == 0
    }
}

fn readable(hosted: &Hosted, timeout_ms: i32) -> bool {
    let mut at = PollFd { fd: hosted.as_fd().as_raw_fd(), events: 1, revents: 0 };
    // SAFETY: one descriptor, which is open.
    unsafe { poll(&mut at, 1, timeout_ms) == 1 }
}

/// How many of `n` green threads were seen to run at once, when each waits (computing)
/// for `together`.
fn at_once(runtime: &Runtime, n: usize, together: usize) -> usize {
    let (inside, most) = (counter(), counter());
    let run = |_| {
        let (inside, most) = (inside.clone(), most.clone());
        runtime.spawn(move || {
            most.fetch_max(inside.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            while count(&most) < together {
                std::hint::spin_loop();
            }
            (0..20_000).for_each(|_| std::hint::spin_loop());
            inside.fetch_sub(1, Ordering::SeqCst);
        })
    };
    let all: Vec<_> = (0..n).map(run).collect();
    all.into_iter().for_each(|handle| handle.join().unwrap());
    count(&most)
}

/// What the program does when it is run as a part.
pub(crate) fn part(name: &str) {
    match name {
        "procs" => print!("{}", Runtime::new().unwrap().procs()),
        "trace" => print!("{:?}", trace(7)),
        "exit" => {
            let runtime = make(2);
            for _ in 0..20 {
                runtime.spawn(|| until(|| false));
            }
            runtime.run(|| sleep(MOMENT));
            std::process::exit(7);
        }
        "deadlock" => Runtime::builder().deterministic(1).run(|| {
            let (_tx, rx) = channel::<()>(0);
            Builder::new().name("prophet").spawn(move || rx.recv()).unwrap().join().ok();
        }),
        other => panic!("no part is called {other}"),
    }
}

fn printed(name: &str, env: &[(&str, &str)]) -> String {
    String::from_utf8(child(name, env).stdout).unwrap()
}

pub(crate) fn add(list: &mut List) {
    list.outside("runtime.stop_twice", |procs| {
        let runtime = make(procs);
        runtime.run(|| ());
        (0..3).for_each(|_| runtime.stop(None).unwrap());
    });
    list.outside("runtime.stop_own", |procs| {
        let runtime = make(procs);
        runtime.run(|| assert!(runtime.stop(None).is_err() && runtime.stop(Some(MOMENT)).is_err()));
        assert_eq!(runtime.run(|| spawn(|| 1).join().unwrap()), 1);
    });
    list.outside("runtime.stop_deadline", |procs| {
        let runtime = make(procs);
        let (tx, rx) = gate();
        let stays = runtime.spawn(move || shield(|| rx.recv()));
        for _ in 0..2 {
            let late = runtime.stop(Some(MOMENT)).unwrap_err();
            assert_eq!(late.kind(), ErrorKind::TimedOut);
        }
        let closed = Builder::new().spawn_in(&runtime, || ()).unwrap_err();
        assert_eq!(closed.kind(), ErrorKind::NotConnected);
        tx.send(()).unwrap();
        runtime.stop(None).unwrap();
        assert!(stays.join().unwrap().is_ok());
    });
    list.outside("runtime.stop_waits", |procs| {
        let runtime = make(procs);
        let (tx, rx) = gate();
        let stays = runtime.spawn(move || shield(|| rx.recv()));
        std::thread::scope(|threads| {
            let second = || {
                runtime.stop(None).unwrap();
                assert!(stays.is_finished());
            };
            threads.spawn(second);
            threads.spawn(second);
            std::thread::sleep(MOMENT);
            assert!(!stays.is_finished());
            tx.send(()).unwrap();
        });
    });
    list.outside("runtime.stop_cancels", |procs| {
        let runtime = make(procs);
        let (tx, rx) = channel(1);
        let handle = runtime.spawn(move || {
            tx.send(()).unwrap();
            let ended = (0..3).filter(|_| {
                let ended = cancelled(|| sleep(LONG));
                thrum::clear_cancel();
                ended
            });
            ended.count()
        });
        rx.recv().unwrap();
        runtime.stop(None).unwrap();
        assert_eq!(handle.join().unwrap(), 3);
    });
    list.outside("runtime.stop_drops", |procs| {
        let (runtime, dropped) = (make(procs), counter());
        for _ in 0..500 {
            let counted = Counted(dropped.clone());
            runtime.spawn(move || {
                let _counted = counted;
                sleep(LONG);
            });
        }
        runtime.stop(None).unwrap();
        assert_eq!(count(&dropped), 500);
        drop(runtime);
        assert_eq!(count(&dropped), 500);
    });
    list.outside("runtime.after_stop", |procs| {
        let runtime = make(procs);
        runtime.stop(None).unwrap();
        let closed = Builder::new().spawn_in(&runtime, || ()).unwrap_err();
        assert_eq!(closed.kind(), ErrorKind::NotConnected);
        assert!(fails(|| runtime.run(|| ())).contains("no green thread"));
        assert!(runtime.set_procs(2).is_err());
    });
    list.outside("runtime.leaves_nothing", |procs| {
        let round = || {
            let runtime = make(procs);
            runtime.run(|| {
                let _listener = thrum::net::TcpListener::bind("127.0.0.1:0").unwrap();
                offload(|| ());
                spawn(|| sleep(LONG));
                sleep(MOMENT);
            });
            own()
        };
        round(); // what the process keeps
                 // Threads that were joined may still be on their way out of /proc.
        std::thread::sleep(MOMENT);
        let before = own();
        let inside = round();
        assert!(inside.0 > before.0 && inside.1 > before.1);
        comes(|| own().0 <= before.0 && own().1 <= before.1);
    });
    list.once("runtime.procs_default", || {
        assert_eq!(make(3).procs(), 3);
        assert_eq!(printed("procs", &[("THRUM_PROCS", "5")]), "5");
        // SAFETY: a plain call.
        let granted = unsafe { sys::thrum_available_procs() };
        assert_eq!(printed("procs", &[("THRUM_PROCS", "")]), granted.to_string());
    });
    list.once("runtime.set_procs", || {
        // No slice ends: who computes keeps its P.
        let runtime = Runtime::builder().procs(1).slice(LONG).build().unwrap();
        assert_eq!(at_once(&runtime, 20, 1), 1);
        let load: Vec<_> = (0..10).map(|_| runtime.spawn(|| until(|| false))).collect();
        for (was, n) in [(1, 3), (3, 2), (2, 1), (1, 2)] {
            assert_eq!(runtime.procs(), was);
            runtime.set_procs(n).unwrap();
            std::thread::sleep(MOMENT);
        }
        load.iter().for_each(|handle| handle.cancel());
        assert!(load.into_iter().all(was_cancelled));
        runtime.set_procs(3).unwrap();
        assert_eq!(at_once(&runtime, 3, 3), 3);
        runtime.set_procs(2).unwrap();
        assert_eq!(at_once(&runtime, 30, 2), 2);
    });
    list.once("runtime.exit", || assert_eq!(child("exit", &[]).status.code(), Some(7)));
    list.outside("runtime.fork", |procs| {
        let runtime = make(procs);
        runtime.run(|| ());
        let mut running = Some(runtime.spawn(|| sleep(LONG)));
        assert!(forked(|| {
            let ours = running.take().unwrap();
            assert!(fails(move || ours.join()).contains("parent"));
            let parents = Builder::new().spawn_in(&runtime, || ()).unwrap_err();
            parents.to_string().contains("parent")
                && make(procs).run(|| spawn(|| 1).join().unwrap()) == 1
        }));
        assert_eq!(runtime.run(|| 1), 1);
    });

    list.once("seed.replays", || {
        assert_eq!(trace(7), trace(7));
        let here = format!("{:?}", trace(7));
        (0..2).for_each(|_| assert_eq!(printed("trace", &[]), here));
    });
    list.once("seed.differs", || {
        let others = (1..20).filter(|seed| trace(*seed) != trace(7)).count();
        assert!(others > 10);
    });
    list.once("seed.virtual_time", || {
        let builder = Runtime::builder().deterministic(1);
        builder.run(|| {
            assert_eq!(time::now(), Duration::from_secs(1));
            (0..100).for_each(|_| yield_now());
            assert_eq!(time::now(), Duration::from_secs(1));
            spawn(|| sleep(Duration::from_nanos(7))).join().unwrap();
            assert_eq!(time::now(), Duration::new(1, 7));
            let (_tx, rx) = channel::<()>(0);
            assert!(rx.recv_timeout(LONG).is_err());
            assert_eq!(time::now(), Duration::new(1, 7) + LONG);
        });
    });
    list.once("seed.deadlock_report", || {
        let said = String::from_utf8(child("deadlock", &[]).stderr).unwrap();
        assert!(said.contains("deadlock") && said.contains("prophet"), "{said}");
        assert!(said.contains("recv") && said.contains("join"), "{said}");
    });

    list.once("pump.results", || {
        let hosted = Runtime::builder().hosted().unwrap();
        assert_eq!(hosted.pump(None).unwrap(), Pumped::Ended);
        let (tx, rx) = gate();
        let one = hosted.spawn(move || rx.recv());
        assert_eq!(hosted.pump(None).unwrap(), Pumped::Waiting);
        let other = hosted.spawn(|| loop {
            yield_now();
        });
        assert_eq!(hosted.pump(Some(Duration::ZERO)).unwrap(), Pumped::Ready);
        other.cancel();
        tx.send(()).unwrap();
        assert_eq!(hosted.pump(None).unwrap(), Pumped::Ended);
        assert!(one.join().unwrap().is_ok() && was_cancelled::<()>(other));
        assert!(hosted.run(hosted_in_g));
    });
    list.once("pump.budget", || {
        let hosted = Runtime::builder().hosted().unwrap();
        let rounds = counter();
        let theirs = rounds.clone();
        let endless = hosted.spawn(move || loop {
            theirs.fetch_add(1, Ordering::Relaxed);
            yield_now();
        });
        let mut last = 0;
        for _ in 0..3 {
            assert_eq!(hosted.pump(Some(MOMENT)).unwrap(), Pumped::Ready);
            assert!(count(&rounds) > last);
            last = count(&rounds);
        }
        drop(hosted);
        assert!(was_cancelled::<()>(endless));
    });
    list.once("pump.hosted", || {
        let before = own().0;
        let hosted = Runtime::builder().hosted().unwrap();
        let ran = hosted.spawn(|| std::thread::current().id());
        std::thread::sleep(MOMENT);
        assert!(!ran.is_finished() && own().0 <= before);
        hosted.pump(None).unwrap();
        assert!(own().0 <= before);
        assert_eq!(ran.join().unwrap(), std::thread::current().id());
    });
    list.once("pump.wake_fd", || {
        let hosted = Runtime::builder().hosted().unwrap();
        assert!(!readable(&hosted, 0) && hosted.next_wake().is_none());
        let sleeper = hosted.spawn(|| sleep(MOMENT * 10));
        assert!(readable(&hosted, -1) && hosted.next_wake() == Some(Duration::ZERO));
        assert_eq!(hosted.pump(None).unwrap(), Pumped::Waiting);
        assert!(hosted.next_wake().unwrap() <= MOMENT * 10);
        while hosted.pump(None).unwrap() != Pumped::Ended {
            assert!(readable(&hosted, -1));
        }
        assert!(sleeper.join().is_ok() && !readable(&hosted, 0));
    });
    list.once("pump.wake_from_thread", || {
        let hosted = Runtime::builder().hosted().unwrap();
        let (tx, rx) = gate();
        let waits = hosted.spawn(move || rx.recv());
        hosted.pump(None).unwrap();
        assert!(!readable(&hosted, 0));
        let other = std::thread::spawn(move || tx.send(()));
        assert!(readable(&hosted, -1));
        other.join().unwrap().unwrap();
        assert_eq!(hosted.pump(None).unwrap(), Pumped::Ended);
        assert!(waits.join().unwrap().is_ok());
    });
}

/// In a green thread no other runtime is hosted.
fn hosted_in_g() -> bool {
    Runtime::builder().hosted().is_err()
}
