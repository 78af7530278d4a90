//! Processes.
//!
//! SPDX-License-Identifier: MIT

use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;
use thrum::process::{Command, Stdio};
use thrum::{run, spawn, Cancelled};

fn shell(script: &str) -> Command {
    Command::new("/bin/sh").args(["-c", script])
}

#[test]
fn ends_are_told() {
    run(|| {
        assert!(shell("exit 0").spawn().unwrap().wait().unwrap().success());
        let seven = shell("exit 7").spawn().unwrap();
        assert_eq!(seven.wait().unwrap().code(), Some(7));
        assert_eq!(seven.wait().unwrap().code(), Some(7));
        let sleeper = shell("exec sleep 1000").spawn().unwrap();
        let late = sleeper.wait_timeout(Duration::from_millis(2)).unwrap_err();
        assert_eq!(late.kind(), ErrorKind::TimedOut);
        sleeper.kill().unwrap();
        assert_eq!(sleeper.wait().unwrap().signal(), Some(9));
        assert!(sleeper.signal(15).is_err());
    });
}

#[test]
fn pipes_carry_both_ways() {
    run(|| {
        let command = shell("cat; echo there >&2; pwd").current_dir("/");
        let command = command.stdin(Stdio::Pipe).stdout(Stdio::Pipe).stderr(Stdio::Pipe);
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let writer = spawn(move || stdin.write_all(&[b'x'; 300_000]).unwrap());
        let (mut out, mut err) = (String::new(), String::new());
        child.stdout.as_mut().unwrap().read_to_string(&mut out).unwrap();
        child.stderr.as_mut().unwrap().read_to_string(&mut err).unwrap();
        writer.join().unwrap();
        assert_eq!((out.len(), out.ends_with("x/\n")), (300_002, true));
        assert_eq!(err, "there\n");
        assert!(child.wait().unwrap().success());
    });
}

#[test]
fn null_is_empty_and_a_wait_can_be_cancelled() {
    run(|| {
        let nothing = Command::new("cat").stdin(Stdio::Null).spawn().unwrap();
        assert!(nothing.wait().unwrap().success());
        let child = std::sync::Arc::new(shell("exec sleep 1000").spawn().unwrap());
        let theirs = child.clone();
        let waits = spawn(move || theirs.wait());
        waits.cancel();
        assert!(waits.join().unwrap_err().is::<Cancelled>());
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success());
    });
}

#[test]
fn what_cannot_be_started() {
    run(|| {
        let missing = Command::new("/nonexistent/program").spawn().unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        let zero = Command::new("a\0b").spawn().unwrap_err();
        assert_eq!(zero.kind(), ErrorKind::InvalidInput);
    });
    assert!(Command::new("true").spawn().is_err());
}
