//! Processes: green threads wait for them, and read and write their pipes.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! # thrum::run(|| {
//! use std::io::{Read, Write};
//! use thrum::process::{Command, Stdio};
//!
//! let mut sort = Command::new("sort").stdin(Stdio::Pipe).stdout(Stdio::Pipe).spawn()?;
//! sort.stdin.take().unwrap().write_all(b"b\na\n")?; // and its drop closes it
//! let mut sorted = String::new();
//! sort.stdout.take().unwrap().read_to_string(&mut sorted)?;
//! assert_eq!(sorted, "a\nb\n");
//! assert!(sort.wait()?.success());
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! SPDX-License-Identifier: MIT

use crate::error::io_error;
use crate::net::{opened, stream::Conn};
use crate::park::{deadline, park, park_whole};
use crate::sys;
use std::collections::BTreeMap;
use std::ffi::{c_char, CString, OsStr};
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::ExitStatusExt;
use std::panic::resume_unwind;
use std::path::Path;
use std::process::{ExitStatus, Output};
use std::ptr::{self, NonNull};
use std::time::Duration;
use std::{fmt, mem};

/// What a process gets for one of its standard descriptors.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Stdio {
    /// Ours.
    #[default]
    Inherit,
    /// Nothing: `/dev/null`.
    Null,
    /// A pipe, whose other end is in [`Child`].
    Pipe,
}

/// A program to be run, with its arguments.
#[derive(Debug, Clone)]
pub struct Command {
    argv: Vec<Vec<u8>>,
    dir: Option<Vec<u8>>,
    env: Option<BTreeMap<Vec<u8>, Vec<u8>>>, // None: as ours
    group: bool,
    stdio: [Stdio; 3],
}

impl Command {
    /// The program, which is looked for in `PATH` unless it has a slash.
    pub fn new(program: impl AsRef<OsStr>) -> Command {
        let argv = vec![program.as_ref().as_bytes().to_vec()];
        Command { argv, dir: None, env: None, group: false, stdio: [Stdio::Inherit; 3] }
    }

    /// One argument more.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Command {
        self.argv.push(arg.as_ref().as_bytes().to_vec());
        self
    }

    /// Several.
    pub fn args(self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        args.into_iter().fold(self, Command::arg)
    }

    /// The directory in which it begins; by default ours.
    pub fn current_dir(mut self, dir: impl AsRef<Path>) -> Command {
        self.dir = Some(dir.as_ref().as_os_str().as_bytes().to_vec());
        self
    }

    /// A variable of its environment, which begins as a copy of ours.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Command {
        let (name, value) = (name.as_ref().as_bytes(), value.as_ref().as_bytes());
        self.environment().insert(name.to_vec(), value.to_vec());
        self
    }

    /// One that it is not to have.
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Command {
        self.environment().remove(name.as_ref().as_bytes());
        self
    }

    /// None but those that are named from here on.
    pub fn env_clear(mut self) -> Command {
        self.env = Some(BTreeMap::new());
        self
    }

    fn environment(&mut self) -> &mut BTreeMap<Vec<u8>, Vec<u8>> {
        self.env.get_or_insert_with(|| {
            std::env::vars_os().map(|(name, value)| (name.into_vec(), value.into_vec())).collect()
        })
    }

    /// A process group of its own, to all of which [`Child::signal`] and
    /// [`Child::kill`] then go.
    pub fn group(mut self, own: bool) -> Command {
        self.group = own;
        self
    }

    /// What it reads.
    pub fn stdin(mut self, stdio: Stdio) -> Command {
        self.stdio[0] = stdio;
        self
    }

    /// Where it writes.
    pub fn stdout(mut self, stdio: Stdio) -> Command {
        self.stdio[1] = stdio;
        self
    }

    /// Where it complains.
    pub fn stderr(mut self, stdio: Stdio) -> Command {
        self.stdio[2] = stdio;
        self
    }

    /// Starts it, in the calling green thread's runtime.
    ///
    /// # Errors
    /// The system's, and outside a green thread.
    pub fn spawn(&self) -> io::Result<Child> {
        let strings = self.argv.iter().cloned().map(CString::new);
        let strings = strings.collect::<Result<Vec<_>, _>>()?;
        let mut argv: Vec<*const c_char> = strings.iter().map(|arg| arg.as_ptr()).collect();
        argv.push(ptr::null());
        let dir = self.dir.clone().map(CString::new).transpose()?;
        let variables = self.env.iter().flatten();
        let variables =
            variables.map(|(name, value)| CString::new([name, &b"="[..], value].concat()));
        let variables = variables.collect::<Result<Vec<_>, _>>()?;
        let mut env: Vec<*const c_char> = variables.iter().map(|each| each.as_ptr()).collect();
        env.push(ptr::null());
        // SAFETY: zero is a value of each field, and its default.
        let mut opts: sys::thrum_process_opts = unsafe { mem::zeroed() };
        opts.struct_size = mem::size_of::<sys::thrum_process_opts>() as u32;
        opts.dir = dir.as_ref().map_or(ptr::null(), |dir| dir.as_ptr());
        opts.env = if self.env.is_some() { env.as_ptr() } else { ptr::null() };
        opts.flags = if self.group { sys::THRUM_PROCESS_GROUP } else { 0 };
        opts.stdio = self.stdio.map(|stdio| match stdio {
            Stdio::Inherit => sys::THRUM_STDIO_INHERIT,
            Stdio::Null => sys::THRUM_STDIO_NULL,
            Stdio::Pipe => sys::THRUM_STDIO_PIPE,
        });
        let mut out = ptr::null_mut();
        // SAFETY: parking; strings that end with a zero, and both arrays live.
        let code = park_whole(sys::THRUM_FOREVER, || unsafe {
            sys::thrum_process_new(ptr::null_mut(), argv.as_ptr(), &opts, &mut out)
        });
        opened(code.into())?;
        let raw = NonNull::new(out).expect("it was made");
        let pipe = |which| {
            // SAFETY: the process lives, and its pipes as long.
            let conn = unsafe { sys::thrum_process_stdio(raw.as_ptr(), which) };
            // SAFETY: as above.
            NonNull::new(conn).map(|conn| Pipe(unsafe { Conn::shared(conn) }))
        };
        let (stdin, stdout, stderr) = (pipe(0), pipe(1), pipe(2));
        Ok(Child { raw, stdin, stdout, stderr })
    }

    /// Starts it and waits for its end.
    pub fn status(&self) -> io::Result<ExitStatus> {
        self.spawn()?.wait()
    }

    /// The same, with all that it has written; it reads nothing unless told what.
    ///
    /// ```
    /// # thrum::run(|| {
    /// let said = thrum::process::Command::new("echo").arg("hello").output().unwrap();
    /// assert_eq!(said.stdout, b"hello\n");
    /// # });
    /// ```
    pub fn output(&self) -> io::Result<Output> {
        let mut command = self.clone().stdout(Stdio::Pipe).stderr(Stdio::Pipe);
        if command.stdio[0] == Stdio::Inherit {
            command.stdio[0] = Stdio::Null;
        }
        let mut child = command.spawn()?;
        drop(child.stdin.take());
        let (from_out, from_err) = (child.stdout.take(), child.stderr.take());
        let (stdout, stderr) = crate::scope(|s| {
            let beside = s.spawn(move || all_of(from_err));
            let stdout = all_of(from_out);
            (stdout, beside.join().unwrap_or_else(|payload| resume_unwind(payload)))
        });
        Ok(Output { status: child.wait()?, stdout: stdout?, stderr: stderr? })
    }
}

fn all_of(pipe: Option<Pipe>) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    pipe.map_or(Ok(0), |mut pipe| pipe.read_to_end(&mut all))?;
    Ok(all)
}

/// A process that was started. It goes on when this is dropped; what nobody has waited
/// for may stay a zombie.
pub struct Child {
    raw: NonNull<sys::thrum_process>,
    /// To be written, if it was to be a pipe.
    pub stdin: Option<Pipe>,
    /// To be read, if it was to be a pipe.
    pub stdout: Option<Pipe>,
    /// To be read, if it was to be a pipe.
    pub stderr: Option<Pipe>,
}

// SAFETY: a process is for any thread.
unsafe impl Send for Child {}
// SAFETY: as above.
unsafe impl Sync for Child {}

impl Child {
    /// Its number.
    pub fn id(&self) -> u32 {
        // SAFETY: it lives.
        unsafe { sys::thrum_process_pid(self.raw.as_ptr()) as u32 }
    }

    /// Waits for its end, as often as one likes. A pipe to it that is still open may
    /// keep it from ending: drop `stdin`.
    pub fn wait(&self) -> io::Result<ExitStatus> {
        self.wait_until(sys::THRUM_FOREVER)
    }

    /// The same, for so long; then the error is of the kind `TimedOut`.
    pub fn wait_timeout(&self, timeout: Duration) -> io::Result<ExitStatus> {
        self.wait_until(deadline(Some(timeout)))
    }

    fn wait_until(&self, deadline: i64) -> io::Result<ExitStatus> {
        let (mut code, mut signo) = (0, 0);
        // SAFETY: parking; it lives, and both are there to be written.
        let result = park(deadline, |until| unsafe {
            sys::thrum_process_wait(self.raw.as_ptr(), &mut code, &mut signo, until)
        });
        if result < 0 {
            return Err(io_error(result.into()));
        }
        // As wait(2) has it.
        Ok(ExitStatus::from_raw(if signo != 0 { signo } else { code << 8 }))
    }

    /// Sends it a signal, by its number.
    pub fn signal(&self, signo: i32) -> io::Result<()> {
        // SAFETY: it lives.
        match unsafe { sys::thrum_process_kill(self.raw.as_ptr(), signo) } {
            code if code < 0 => Err(io_error(code.into())),
            _ => Ok(()),
        }
    }

    /// Ends it: SIGKILL.
    pub fn kill(&self) -> io::Result<()> {
        self.signal(9)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: our handle.
        unsafe { sys::thrum_process_release(self.raw.as_ptr()) };
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// Our end of a pipe to a process, closed when it is dropped.
pub struct Pipe(Conn);

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.raw.read(into)
    }
}

impl Write for Pipe {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.0.raw.write(from)
    }

    fn write_all(&mut self, from: &[u8]) -> io::Result<()> {
        self.0.raw.write_all(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.0.raw.close();
    }
}

impl fmt::Debug for Pipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pipe").field(&self.0.raw.fd()).finish()
    }
}
