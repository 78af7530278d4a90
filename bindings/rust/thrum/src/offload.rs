//! Code that blocks, on OS threads that run no green threads.
//!
//! SPDX-License-Identifier: MIT

use crate::future::block_on;
use crate::os_thread;
use crate::packet::Packet;
use crate::park::Shield;
use crate::sys;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Runs `f`, which may block (files, processes, foreign libraries), on a thread of its
/// own kind while the calling green thread waits, and returns what it returns. The
/// threads are kept for the next for ten seconds; a runtime has at most 512.
///
/// A green thread that blocks without it holds up those that began on the same OS
/// thread, and no others: they can't move.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # thrum::run(|| {
/// let path = String::from("/proc/self/status");
/// let status = thrum::offload(|| std::fs::read_to_string(&path))?;
/// assert!(status.contains("Threads"));
/// # Ok(())
/// # })
/// # }
/// ```
///
/// A cancel does not end it; the green thread unwinds at its next wait.
///
/// # Panics
/// As `f` does.
pub fn offload<F, T>(f: F) -> T
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    // SAFETY: a plain call.
    let rt = unsafe { sys::thrum_rt_current() };
    let Some(pool) = find(rt) else {
        // An OS thread may block by itself; so may one whose runtime others made.
        return crate::enter_blocking(f);
    };
    // Shared: the thread is still in finish() when the result can be seen.
    let packet = Arc::new(Packet::new());
    let theirs = packet.clone();
    let run = move || {
        let result = catch_unwind(AssertUnwindSafe(f));
        // SAFETY: once, here.
        unsafe { theirs.finish(result) };
    };
    let run: Box<dyn FnOnce() + Send + '_> = Box::new(run);
    // SAFETY: f borrows from our callers, and we wait for its end: see Finished.
    let run: Box<dyn FnOnce() + Send> = unsafe { std::mem::transmute(run) };
    let finished = Finished(&packet);
    pool.push(run);
    drop(finished);
    // SAFETY: taken once, here.
    let result = unsafe { packet.take() };
    result.expect("it has run").unwrap_or_else(|payload| resume_unwind(payload))
}

/// Waits for the result when it is dropped, whatever comes.
struct Finished<'a, T>(&'a Packet<T>);

impl<T> Drop for Finished<'_, T> {
    fn drop(&mut self) {
        let _shield = Shield::new();
        block_on(poll_fn(|cx| {
            if self.0.is_done() || !self.0.register(cx.waker()) {
                return Poll::Ready(());
            }
            Poll::Pending
        }));
    }
}

// ---- the threads ------------------------------------------------------------------

const MOST: usize = 512;
const IDLE: Duration = Duration::from_secs(10);

/// Which pool is which runtime's.
static POOLS: Mutex<Vec<(usize, Arc<Shared>)>> = Mutex::new(Vec::new());

fn pools() -> MutexGuard<'static, Vec<(usize, Arc<Shared>)>> {
    POOLS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn find(rt: *mut sys::thrum_rt) -> Option<Arc<Shared>> {
    let pools = pools();
    pools.iter().find(|(key, _)| *key == rt as usize).map(|(_, pool)| pool.clone())
}

/// Whether a green thread of that runtime may wait for the calling thread.
pub(crate) fn serves(rt: *mut sys::thrum_rt) -> bool {
    os_thread::serves() == rt as usize
}

/// A runtime begins.
pub(crate) fn open(rt: *mut sys::thrum_rt) {
    let key = rt as usize;
    pools().push((key, Arc::new(Shared { key, ..Shared::default() })));
}

/// A runtime is to end: the pool goes after its last green thread has.
pub(crate) fn close(rt: *mut sys::thrum_rt) -> Option<Pool> {
    find(rt).map(|shared| Pool { shared })
}

/// Ends the threads when it is dropped.
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

impl Drop for Pool {
    fn drop(&mut self) {
        pools().retain(|(_, pool)| !Arc::ptr_eq(pool, &self.shared));
        let threads = {
            let mut state = self.shared.lock();
            state.ending = true;
            std::mem::take(&mut state.threads)
        };
        self.shared.work.notify_all();
        for thread in threads {
            let _ = thread.join();
        }
    }
}

#[derive(Default)]
struct Shared {
    key: usize,
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Box<dyn FnOnce() + Send>>,
    threads: Vec<JoinHandle<()>>,
    alive: usize,
    idle: usize,
    ending: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues `run`, or runs it here if no thread can be had.
    fn push(self: &Arc<Self>, run: Box<dyn FnOnce() + Send>) {
        let mut state = self.lock();
        state.queue.push_back(run);
        if state.idle >= state.queue.len() || state.alive == MOST {
            drop(state);
            self.work.notify_one();
            return;
        }
        let shared = self.clone();
        let builder = thread::Builder::new().name("thrum-offload".into());
        match builder.spawn(move || shared.serve()) {
            Ok(thread) => {
                state.alive += 1;
                state.threads.retain(|thread| !thread.is_finished());
                state.threads.push(thread);
            }
            Err(_) if state.alive > 0 => {}
            Err(_) => {
                let run = state.queue.pop_back();
                drop(state);
                crate::enter_blocking(|| run.into_iter().for_each(|run| run()));
            }
        }
    }

    fn serve(&self) {
        os_thread::set_serves(self.key);
        let mut state = self.lock();
        loop {
            if let Some(run) = state.queue.pop_front() {
                drop(state);
                run();
                state = self.lock();
            } else if state.ending {
                break;
            } else {
                state.idle += 1;
                let waited = self.work.wait_timeout(state, IDLE);
                let (woken, why) = waited.unwrap_or_else(PoisonError::into_inner);
                state = woken;
                state.idle -= 1;
                if why.timed_out() && state.queue.is_empty() {
                    break;
                }
            }
        }
        state.alive -= 1;
    }
}
