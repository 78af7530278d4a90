//! The scenarios of tests/conform/scenarios.txt as Rust says them: each is here by its
//! name, or is skipped with the reason. With an argument only those whose names hold it.
//!
//! SPDX-License-Identifier: MIT

mod basic;
mod chans;
mod cond;
mod gs;
mod locks;
mod outer;
mod sockets;

use std::collections::BTreeMap;
use std::ffi::{c_void, CStr};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::Duration;
use thrum::{channel, spawn, sys, yield_now, JoinHandle, Runtime};

pub(crate) const LONG: Duration = Duration::from_secs(1000);
pub(crate) const MOMENT: Duration = Duration::from_millis(2);

/// How a scenario is shown.
enum Show {
    /// In a green thread, with 1 P and with several.
    Green(fn()),
    /// In one, where who says that he is about to wait then waits.
    Ordered(fn()),
    /// By an OS thread; the argument: how many Ps.
    Outside(fn(u32)),
    /// By an OS thread, once.
    Once(fn()),
    Skip(&'static str),
}

#[derive(Default)]
pub(crate) struct List(BTreeMap<&'static str, Show>);

impl List {
    fn add(&mut self, name: &'static str, show: Show) {
        assert!(self.0.insert(name, show).is_none(), "{name} is here twice");
    }
    pub(crate) fn green(&mut self, name: &'static str, f: fn()) {
        self.add(name, Show::Green(f));
    }
    pub(crate) fn ordered(&mut self, name: &'static str, f: fn()) {
        self.add(name, Show::Ordered(f));
    }
    pub(crate) fn outside(&mut self, name: &'static str, f: fn(u32)) {
        self.add(name, Show::Outside(f));
    }
    pub(crate) fn once(&mut self, name: &'static str, f: fn()) {
        self.add(name, Show::Once(f));
    }
    pub(crate) fn skip(&mut self, reason: &'static str, names: &'static str) {
        names.split_whitespace().for_each(|name| self.add(name, Show::Skip(reason)));
    }
}

const SEVERAL: [u32; 2] = [1, 3];

fn run(show: &Show) {
    match show {
        Show::Green(f) => {
            SEVERAL.iter().for_each(|procs| Runtime::builder().procs(*procs).run(f));
        }
        Show::Ordered(f) => {
            Runtime::builder().procs(1).slice(LONG).run(f);
            (1..4).for_each(|seed| Runtime::builder().deterministic(seed).run(f));
        }
        Show::Outside(f) => SEVERAL.iter().for_each(|procs| f(*procs)),
        Show::Once(f) => f(),
        Show::Skip(_) => {}
    }
}

// ---- what scenarios are written with --------------------------------------------

/// Lets others run until `f` says so.
pub(crate) fn until(f: impl Fn() -> bool) {
    while !f() {
        yield_now();
    }
}

/// A green thread that has begun, and in an ordered scenario waits in `f`.
pub(crate) fn begun<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let there = Arc::new(AtomicBool::new(false));
    let theirs = there.clone();
    let handle = spawn(move || {
        theirs.store(true, Ordering::SeqCst);
        f()
    });
    until(|| there.load(Ordering::SeqCst));
    // A lock is tried again a few times before it is waited for.
    (0..5).for_each(|_| yield_now());
    handle
}

/// The text of the panic that `f` ends with.
pub(crate) fn fails<T>(f: impl FnOnce() -> T) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).err().expect("it fails");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().expect("a text").to_string(),
    }
}

/// Whether a cancel ended `f`.
pub(crate) fn cancelled<T>(f: impl FnOnce() -> T) -> bool {
    let payload = catch_unwind(AssertUnwindSafe(f)).err();
    payload.is_some_and(|payload| payload.is::<thrum::Cancelled>())
}

/// Whether it has ended by a cancel.
pub(crate) fn was_cancelled<T>(handle: JoinHandle<T>) -> bool {
    handle.join().err().is_some_and(|payload| payload.is::<thrum::Cancelled>())
}

/// Counts how often it was dropped.
pub(crate) struct Counted(pub Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

pub(crate) fn counter() -> Arc<AtomicUsize> {
    Arc::default()
}

pub(crate) fn count(of: &Arc<AtomicUsize>) -> usize {
    of.load(Ordering::SeqCst)
}

/// What `f` says of each green thread of a runtime.
pub(crate) fn each<T>(rt: *mut sys::thrum_rt, f: fn(&sys::thrum_g_info) -> T) -> Vec<T> {
    struct To<T>(fn(&sys::thrum_g_info) -> T, Vec<T>);
    unsafe extern "C" fn note<T>(arg: *mut c_void, info: *const sys::thrum_g_info) {
        // SAFETY: arg is what is below, info is there for the while.
        let (to, info) = unsafe { (&mut *arg.cast::<To<T>>(), &*info) };
        to.1.push((to.0)(info));
    }
    let mut to = To(f, Vec::new());
    let arg = std::ptr::from_mut(&mut to).cast();
    // SAFETY: note gets what it casts to.
    assert!(unsafe { sys::thrum_g_each(rt, Some(note::<T>), arg) } >= 0);
    to.1
}

/// How many of them wait, for what begins so.
pub(crate) fn waiting(rt: *mut sys::thrum_rt, reason: &str) -> usize {
    let why = |info: &sys::thrum_g_info| {
        if info.state != sys::THRUM_STATE_WAITING {
            return "";
        }
        // SAFETY: a waiting one has a reason, which is a string.
        unsafe { CStr::from_ptr(info.reason) }.to_str().unwrap()
    };
    each(rt, why).into_iter().filter(|why| why.starts_with(reason)).count()
}

/// A thread that sleeps in `f`, by what the kernel says.
pub(crate) fn asleep(f: impl FnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        tell.send(std::fs::read_link("/proc/thread-self").unwrap()).unwrap();
        f();
    });
    let stat = Path::new("/proc").join(told.recv().unwrap()).join("stat");
    let mut seen = 0;
    while seen < 5 {
        let stat = std::fs::read_to_string(&stat).unwrap();
        let sleeps = stat.rsplit(") ").next().unwrap().starts_with('S');
        seen = if sleeps { seen + 1 } else { 0 };
        std::thread::sleep(MOMENT / 10);
    }
    thread
}

/// A gate that a thread of the host opens.
pub(crate) fn gate() -> (thrum::Sender<()>, thrum::Receiver<()>) {
    channel(1)
}

/// This program again, as one of the parts below.
pub(crate) fn child(part: &str, env: &[(&str, &str)]) -> Output {
    let program = std::env::current_exe().unwrap();
    let mut command = Command::new(program);
    command.env("CONFORM_PART", part).envs(env.iter().copied());
    command.output().unwrap()
}

// ---- all of the list, and nothing else ----------------------------------------------

fn main() {
    if let Ok(part) = std::env::var("CONFORM_PART") {
        return outer::part(&part);
    }
    let mut shows = List::default();
    for add in [basic::add, gs::add, chans::add, locks::add, cond::add, outer::add, sockets::add] {
        add(&mut shows);
    }
    let only = std::env::args().nth(1).filter(|arg| !arg.starts_with('-'));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../tests/conform/scenarios.txt");
    let list = std::fs::read_to_string(path).unwrap();
    let mut listed = 0;
    let mut wrong = Vec::new();
    // What fails is said below; what is expected to panic does so in silence.
    std::panic::set_hook(Box::new(|info| {
        LAST.lock().unwrap().push_str(&format!("{info}\n"));
    }));
    for line in list.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let mut fields = line.split(" | ");
        let (name, who) = (fields.next().unwrap(), fields.next().unwrap());
        listed += usize::from(shows.0.contains_key(name));
        if only.as_deref().is_some_and(|only| !name.contains(only)) {
            continue;
        }
        let show = match shows.0.get(name) {
            Some(Show::Skip(reason)) => {
                println!("skipped: {name}: {reason}");
                continue;
            }
            Some(show) => show,
            None if who == "all" => {
                println!("FAILED: {name} is neither shown nor skipped");
                wrong.push(name);
                continue;
            }
            None => continue,
        };
        LAST.lock().unwrap().clear();
        if catch_unwind(AssertUnwindSafe(|| run(show))).is_ok() {
            println!("passed: {name}");
        } else {
            println!("FAILED: {name}: {}", LAST.lock().unwrap());
            wrong.push(name);
        }
    }
    if listed != shows.0.len() {
        wrong.extend(shows.0.keys().filter(|name| !list.contains(&format!("\n{name} | "))));
    }
    if !wrong.is_empty() {
        println!("not right: {wrong:?}");
        std::process::exit(1);
    }
}

static LAST: std::sync::Mutex<String> = std::sync::Mutex::new(String::new());
