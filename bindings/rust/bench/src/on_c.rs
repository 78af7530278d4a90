//! The same by calls of the C interface alone: what the crate costs over it.
//!
//! SPDX-License-Identifier: MIT

use crate::on_thrum::{BATCH, SPAWNS, TRIPS, YIELDERS, YIELDS};
use crate::PROCS;
use std::ffi::c_void;
use std::mem::{size_of, zeroed};
use std::ptr::{addr_of, addr_of_mut, null, null_mut};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;
use thrum::sys::*;

extern "C" {
    fn malloc(bytes: usize) -> *mut c_void;
    fn free(block: *mut c_void);
}

fn check(code: i32) {
    assert!(code >= 0, "{code}");
}

/// A G as the crate makes it, by hand.
unsafe fn go(rt: *mut thrum_rt, f: unsafe extern "C" fn(*mut c_void), arg: *mut c_void) -> thrum_g {
    let mut opts: thrum_spawn_opts = zeroed();
    opts.struct_size = size_of::<thrum_spawn_opts>() as u32;
    opts.affinity = THRUM_PIN_STARTED;
    let mut g = 0;
    check(thrum_spawn(rt, &opts, Some(f), arg, &mut g));
    g
}

struct Main {
    f: fn(),
    n: u32,
    took: f64,
}

unsafe extern "C" fn main(arg: *mut c_void) {
    let main = &mut *arg.cast::<Main>();
    let start = Instant::now();
    (main.f)();
    main.took = start.elapsed().as_nanos() as f64 / f64::from(main.n);
}

fn per(n: u32, f: fn()) -> f64 {
    let mut arg = Main { f, n, took: 0.0 };
    // SAFETY: each call gets what it is declared with.
    unsafe {
        let mut config: thrum_config = zeroed();
        config.struct_size = size_of::<thrum_config>() as u32;
        config.procs = PROCS as u32;
        let mut rt = null_mut();
        check(thrum_rt_new(&mut rt, &config));
        let g = go(rt, main, addr_of_mut!(arg).cast());
        check(thrum_join(rt, g, THRUM_FOREVER));
        check(thrum_rt_stop(rt, THRUM_FOREVER));
        thrum_rt_free(rt);
    }
    arg.took
}

/// Moves what it was given to where its result goes.
unsafe extern "C" fn result(arg: *mut c_void) {
    let slots = &mut *arg.cast::<(u32, u32)>();
    slots.1 = slots.0;
}

pub fn spawn_join() -> f64 {
    per(SPAWNS, || {
        for n in 0..SPAWNS {
            let mut slots = (n, 0);
            // SAFETY: slots outlives the G.
            unsafe {
                let g = go(null_mut(), result, addr_of_mut!(slots).cast());
                check(thrum_join(null_mut(), g, THRUM_FOREVER));
                assert_eq!(addr_of!(slots.1).read_volatile(), n);
            }
        }
    })
}

/// What a closure and a handle are in C: both in one block, which the last of the two frees.
#[repr(C)]
struct Kept {
    /// 0, and 1 for each of the two that has done with it.
    done: AtomicU32,
    argument: u32,
    result: u32,
}

unsafe extern "C" fn kept(arg: *mut c_void) {
    let block = arg.cast::<Kept>();
    (*block).result = (*block).argument;
    leave(block);
}

unsafe fn leave(block: *mut Kept) {
    if (*block).done.fetch_add(1, Ordering::AcqRel) == 1 {
        free(block.cast());
    }
}

unsafe fn keep(n: u32) -> (thrum_g, *mut Kept) {
    let block = malloc(size_of::<Kept>()).cast::<Kept>();
    block.write(Kept { done: AtomicU32::new(0), argument: n, result: 0 });
    (go(null_mut(), kept, block.cast()), block)
}

unsafe fn join_kept((g, block): (thrum_g, *mut Kept)) -> u32 {
    check(thrum_join(null_mut(), g, THRUM_FOREVER));
    let result = (*block).result;
    leave(block);
    result
}

pub fn spawn_join_kept() -> f64 {
    per(SPAWNS, || {
        for n in 0..SPAWNS {
            // SAFETY: the block is there until both have left it.
            assert_eq!(unsafe { join_kept(keep(n)) }, n);
        }
    })
}

pub fn spawn_many_kept() -> f64 {
    per(SPAWNS, || {
        for _ in 0..SPAWNS / BATCH {
            // SAFETY: as above.
            unsafe {
                let all: Vec<_> = (0..BATCH).map(|n| keep(n)).collect();
                all.into_iter().for_each(|one| _ = join_kept(one));
            }
        }
    })
}

pub fn spawn_many() -> f64 {
    per(SPAWNS, || {
        for _ in 0..SPAWNS / BATCH {
            let mut slots: Vec<(u32, u32)> = (0..BATCH).map(|n| (n, 0)).collect();
            // SAFETY: slots outlives the Gs.
            unsafe {
                let mut all = Vec::new();
                for one in &mut slots {
                    all.push(go(null_mut(), result, addr_of_mut!(*one).cast()));
                }
                for g in all {
                    check(thrum_join(null_mut(), g, THRUM_FOREVER));
                }
            }
        }
    })
}

struct Pair(*mut thrum_chan, *mut thrum_chan);

unsafe extern "C" fn back(arg: *mut c_void) {
    let pair = &*arg.cast::<Pair>();
    let mut n = 0u32;
    while thrum_chan_recv(pair.0, addr_of_mut!(n).cast(), THRUM_FOREVER) == 0 {
        check(thrum_chan_send(pair.1, addr_of!(n).cast(), THRUM_FOREVER));
    }
}

pub fn ping_pong() -> f64 {
    per(TRIPS, || {
        // SAFETY: pair outlives the G, elements are u32.
        unsafe {
            let mut pair = Pair(null_mut(), null_mut());
            check(thrum_chan_new(4, 1, &mut pair.0));
            check(thrum_chan_new(4, 1, &mut pair.1));
            let g = go(null_mut(), back, addr_of_mut!(pair).cast());
            for n in 0..TRIPS {
                let mut got = 0u32;
                check(thrum_chan_send(pair.0, addr_of!(n).cast(), THRUM_FOREVER));
                check(thrum_chan_recv(pair.1, addr_of_mut!(got).cast(), THRUM_FOREVER));
                assert_eq!(got, n);
            }
            check(thrum_chan_close(pair.0));
            check(thrum_join(null_mut(), g, THRUM_FOREVER));
            thrum_chan_release(pair.0);
            thrum_chan_release(pair.1);
        }
    })
}

unsafe extern "C" fn yielder(_: *mut c_void) {
    for _ in 0..YIELDS {
        check(thrum_yield());
    }
}

pub fn yields() -> f64 {
    per(YIELDERS * YIELDS, || {
        // SAFETY: a G without an argument.
        unsafe {
            let all: Vec<_> =
                (0..YIELDERS).map(|_| go(null_mut(), yielder, null::<u8>() as *mut _)).collect();
            for g in all {
                check(thrum_join(null_mut(), g, THRUM_FOREVER));
            }
        }
    })
}
