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
fn the_environment_is_ours_but_for_what_is_said() {
    run(|| {
        let said = |command: Command| String::from_utf8(command.output().unwrap().stdout).unwrap();
        let both = || shell("echo $HOME,$THRUM_TEST");
        let home = std::env::var("HOME").unwrap_or_default();
        assert_eq!(said(both().env("THRUM_TEST", "a b")), format!("{home},a b\n"));
        assert_eq!(said(both().env("HOME", "x").env_remove("HOME")), ",\n");
        assert_eq!(said(both().env_clear().env("THRUM_TEST", "=")), ",=\n");
        let zero = shell("exit 0").env("A", "b\0c").spawn().unwrap_err();
        assert_eq!(zero.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn output_takes_in_both_pipes() {
    run(|| {
        // More than the pipes hold, and nothing to read.
        let much = "head -c 300000 /dev/zero >&2; head -c 200000 /dev/zero; cat; exit 3";
        let output = shell(much).output().unwrap();
        assert_eq!((output.stdout.len(), output.stderr.len()), (200_000, 300_000));
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(shell("exit 4").status().unwrap().code(), Some(4));
    });
}

/// Reads the number that a shell has written, as soon as it is there.
fn pid_in(path: &std::path::Path) -> i32 {
    loop {
        match std::fs::read_to_string(path).unwrap_or_default().strip_suffix('\n') {
            Some(pid) => return pid.parse().unwrap(),
            None => thrum::sleep(Duration::from_millis(1)),
        }
    }
}

#[test]
fn a_cancelled_output_unwinds_and_leaves_nobody() {
    extern "C" {
        fn kill(pid: i32, signo: i32) -> i32;
    }
    let path = std::env::temp_dir().join(format!("thrum-output-{}", std::process::id()));
    let runtime = thrum::Runtime::new().unwrap();
    runtime.run(|| {
        let script = format!("echo $$ >{}; exec sleep 1000", path.display());
        let (dropped, was_dropped) = thrum::channel::<()>(1);
        let waits = spawn(move || {
            let _dropped = dropped;
            shell(&script).output()
        });
        let pid = pid_in(&path);
        waits.cancel();
        assert!(waits.join().unwrap_err().is::<Cancelled>());
        assert!(was_dropped.recv().is_err());
        // The program is nobody's now, and goes on.
        // SAFETY: a process of ours, which nobody has waited for.
        assert_eq!(unsafe { kill(pid, 9) }, 0);
        // Nor has it left the reader of the other pipe behind.
        while runtime.live() > 1 {
            thrum::yield_now();
        }
    });
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_group_is_ended_as_a_whole() {
    run(|| {
        let mut parent =
            shell("sleep 1000 & wait").group(true).stdout(Stdio::Pipe).spawn().unwrap();
        let mut stdout = parent.stdout.take().unwrap();
        parent.kill().unwrap();
        // Its end comes once the last that has the pipe is gone.
        assert_eq!(stdout.read(&mut [0]).unwrap(), 0);
        assert_eq!(parent.wait().unwrap().signal(), Some(9));
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
