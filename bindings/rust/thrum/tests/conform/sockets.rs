//! Sockets.
//!
//! SPDX-License-Identifier: MIT

use crate::*;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use thrum::net::{TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream};
use thrum::{sleep, time};

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = TcpStream::connect(listener.local_addr()).unwrap();
    (one, listener.accept().unwrap().0)
}

/// What is written at one end is read at the other, both ways.
fn echoes<S: Read + Write + Send + 'static>(mut one: S, mut other: S) {
    let sent: Vec<u8> =
        (0..200_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let n = sent.len();
    let echo = spawn(move || {
        let mut all = vec![0; n];
        other.read_exact(&mut all).unwrap();
        other.write_all(&all).unwrap();
    });
    one.write_all(&sent).unwrap();
    let mut back = vec![0; n];
    one.read_exact(&mut back).unwrap();
    assert!(back == sent);
    echo.join().unwrap();
    assert_eq!(one.read(&mut back).unwrap(), 0);
}

/// Over a listener at `host`; false: there is no such address here.
fn echoes_at(host: &str) -> bool {
    let Ok(listener) = TcpListener::bind((host, 0)) else { return false };
    let to = (String::from(host), listener.local_addr().port());
    let dial = spawn(move || TcpStream::connect((&*to.0, to.1)).unwrap());
    let accepted = listener.accept().unwrap().0;
    echoes(dial.join().unwrap(), accepted);
    true
}

const NOFILE: i32 = 7;
const SIGPIPE: i32 = 13;

extern "C" {
    fn getrlimit(what: i32, limit: *mut [u64; 2]) -> i32;
    fn setrlimit(what: i32, limit: *const [u64; 2]) -> i32;
    fn signal(signo: i32, handler: usize) -> usize;
}

fn limit_files(soft: u64) -> u64 {
    let mut limit = [0; 2];
    // SAFETY: both get a limit's two numbers.
    unsafe {
        assert_eq!(getrlimit(NOFILE, &mut limit), 0);
        assert_eq!(setrlimit(NOFILE, &[soft, limit[1]]), 0);
    }
    limit[0]
}

/// How many green threads wait for descriptors.
fn in_net() -> usize {
    // SAFETY: a plain call.
    waiting(unsafe { sys::thrum_rt_current() }, "net")
}

fn fill(stream: &mut impl Write) -> (u64, std::io::Error) {
    let mut written = 0;
    loop {
        match stream.write(&[7; 1 << 16]) {
            Ok(n) => written += n as u64,
            Err(error) => return (written, error),
        }
    }
}

pub(crate) fn add(list: &mut List) {
    list.skip(
        "cannot be expressed: a socket is closed when nobody has it, so nobody waits for it",
        "net.close",
    );

    list.green("net.echo", || {
        assert!(echoes_at("127.0.0.1") && echoes_at("localhost"));
        if !echoes_at("::1") {
            println!("skipped: net.echo: part of it: there is no IPv6 here");
        }
        let path = std::env::temp_dir().join(format!("thrum-conform-{}", std::process::id()));
        let listener = UnixListener::bind(&path).unwrap();
        let dialled = UnixStream::connect(&path).unwrap();
        echoes(dialled, listener.accept().unwrap());
        drop(listener);
        let _ = std::fs::remove_file(&path);
    });
    list.green("net.order", || {
        const PIECE: usize = 100_000;
        let (one, mut other) = tcp_pair();
        let one = Arc::new(one);
        let write = |n: u8| {
            let one = one.clone();
            begun(move || (&*one).write_all(&vec![n; PIECE]).unwrap())
        };
        let all: Vec<_> = (0..4).map(write).collect();
        let mut got = vec![0; 4 * PIECE];
        other.read_exact(&mut got).unwrap();
        all.into_iter().for_each(|handle| handle.join().unwrap());
        let mut pieces: Vec<_> = got.chunks(PIECE).map(|piece| (piece[0], piece)).collect();
        assert!(pieces.iter().all(|(n, piece)| piece.iter().all(|byte| byte == n)));
        pieces.sort();
        assert!(pieces.iter().enumerate().all(|(at, (n, _))| at == usize::from(*n)));
        // Reads queue: each gets what is written while it is first.
        let read = || {
            let one = one.clone();
            begun(move || {
                let mut byte = [0];
                (&*one).read_exact(&mut byte).unwrap();
                byte[0]
            })
        };
        let all: Vec<_> = (0..4).map(|_| read()).collect();
        other.write_all(&[1, 2, 3, 4]).unwrap();
        let mut got: Vec<_> = all.into_iter().map(|handle| handle.join().unwrap()).collect();
        got.sort();
        assert_eq!(got, [1, 2, 3, 4]);
    });
    list.green("net.deadlines", || {
        let (mut one, mut other) = tcp_pair();
        other.set_read_timeout(Some(Duration::from_nanos(1))).unwrap();
        assert_eq!(other.read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
        one.set_write_timeout(Some(MOMENT)).unwrap();
        let (written, why) = fill(&mut one);
        assert_eq!(why.kind(), ErrorKind::TimedOut);
        // What is there is read, however late; and all that went out was told.
        drop(one);
        sleep(MOMENT);
        other.set_read_timeout(Some(LONG)).unwrap();
        let read = std::io::copy(&mut other, &mut std::io::sink()).unwrap();
        assert_eq!(read, written);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_accept_timeout(Some(MOMENT)).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::TimedOut);
    });
    list.green("net.cancel", || {
        // Each in its turn and one behind it, all of them waiting.
        let (mut one, other) = tcp_pair();
        let other = Arc::new(other);
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let udp = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        let mut all = Vec::new();
        for _ in 0..2 {
            let (other, listener, udp) = (other.clone(), listener.clone(), udp.clone());
            all.push(spawn(move || (&*other).read(&mut [0]).map(drop)));
            all.push(spawn(move || listener.accept().map(drop)));
            all.push(spawn(move || udp.recv(&mut [0]).map(drop)));
        }
        until(|| in_net() == 6);
        // Those behind first.
        while let Some(last) = all.pop() {
            last.cancel();
            assert!(was_cancelled(last));
            until(|| in_net() == all.len());
        }
        // They have taken nothing with them: what comes is there for the next.
        one.write_all(&[5]).unwrap();
        let mut byte = [0];
        assert_eq!(((&*other).read(&mut byte).unwrap(), byte), (1, [5]));
        let to = listener.local_addr();
        let call = spawn(move || TcpStream::connect(to).map(drop));
        listener.accept().unwrap();
        call.join().unwrap().unwrap();
        // A write that waits; what went out before was told.
        let (mut one, mut other) = tcp_pair();
        let (filled, is_filled) = channel(1);
        let write = spawn(move || {
            one.set_write_timeout(Some(MOMENT)).unwrap();
            let written = fill(&mut one).0;
            one.set_write_timeout(None).unwrap();
            filled.send(()).unwrap();
            let went = cancelled(|| one.write(&[7; 10]));
            (written, went)
        });
        is_filled.recv().unwrap();
        until(|| in_net() == 1);
        write.cancel();
        let (written, went) = write.join().unwrap();
        assert!(went);
        assert_eq!(std::io::copy(&mut other, &mut std::io::sink()).unwrap(), written);
    });
    list.green("net.half_close", || {
        let (mut one, mut other) = tcp_pair();
        one.write_all(b"to the end").unwrap();
        one.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        other.read_to_string(&mut text).unwrap();
        assert_eq!(text, "to the end");
        other.write_all(b"back").unwrap();
        let mut back = [0; 4];
        one.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"back");
    });
    list.green("net.refused", || {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        assert_eq!(TcpStream::connect(gone).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
    list.green("net.reset", || {
        let (mut one, other) = tcp_pair();
        one.write_all(b"never read").unwrap();
        other.wait_readable().unwrap();
        drop(other); // with data that nobody has read: a reset
        assert_eq!(one.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(one.read(&mut [0]).unwrap(), 0);
    });
    list.green("net.no_sigpipe", || {
        // std ignores it; here it would end the process.
        // SAFETY: the default is a handler.
        let former = unsafe { signal(SIGPIPE, 0) };
        let (mut one, other) = UnixStream::pair().unwrap();
        drop(other);
        let why = one.write(&[1]).unwrap_err();
        // SAFETY: as before.
        unsafe { signal(SIGPIPE, former) };
        assert_eq!(why.kind(), ErrorKind::BrokenPipe);
    });
    list.green("net.no_descriptors", || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _one = TcpStream::connect(listener.local_addr()).unwrap();
        let former = limit_files(0);
        let why = listener.accept().unwrap_err();
        limit_files(former);
        assert_eq!(why.raw_os_error(), Some(24));
        listener.accept().unwrap();
    });
    list.green("net.udp", || {
        let bind = || UdpSocket::bind("127.0.0.1:0").unwrap();
        let (a, b, c) = (bind(), bind(), bind());
        let mut into = [0; 8];
        a.send_to(b"whole", b.local_addr().unwrap()).unwrap();
        assert_eq!(b.recv_from(&mut into).unwrap(), (5, a.local_addr().unwrap()));
        assert_eq!(&into[..5], b"whole");
        b.connect(c.local_addr().unwrap()).unwrap();
        a.send_to(b"unheard", b.local_addr().unwrap()).unwrap();
        c.send_to(b"peer", b.local_addr().unwrap()).unwrap();
        assert_eq!(b.recv(&mut into).unwrap(), 4);
        assert_eq!(&into[..4], b"peer");
    });
    list.outside("net.threads", |procs| {
        let runtime = Runtime::builder().procs(procs).build().unwrap();
        let (mut one, mut other) = runtime.run(tcp_pair);
        let echo = std::thread::spawn(move || {
            let mut bytes = [0; 5];
            other.read_exact(&mut bytes).unwrap();
            other.write_all(&bytes).unwrap();
            other.set_read_timeout(Some(MOMENT)).unwrap();
            other.read(&mut bytes).unwrap_err().kind()
        });
        std::thread::sleep(MOMENT);
        one.write_all(b"thrum").unwrap();
        let mut back = [0; 5];
        one.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"thrum");
        assert_eq!(echo.join().unwrap(), ErrorKind::TimedOut);
    });
    list.once("net.deterministic", || {
        Runtime::builder().deterministic(1).run(|| {
            let why = TcpListener::bind("127.0.0.1:0").unwrap_err();
            assert_eq!(why.kind(), ErrorKind::Unsupported);
        });
    });
    list.outside("net.stop", |procs| {
        let runtime = Runtime::builder().procs(procs).build().unwrap();
        let (mut one, mut other) = runtime.run(tcp_pair);
        let listener = runtime.run(|| TcpListener::bind("127.0.0.1:0").unwrap());
        let waits = std::thread::spawn(move || {
            let began = time::now();
            (other.read(&mut [0]).unwrap_err().kind(), began, other)
        });
        std::thread::sleep(MOMENT);
        runtime.stop(None).unwrap();
        let (why, _, mut other) = waits.join().unwrap();
        assert_eq!(why, ErrorKind::NotConnected);
        drop(runtime);
        for stream in [&mut one, &mut other] {
            assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::NotConnected);
            assert_eq!(stream.write(&[0]).unwrap_err().kind(), ErrorKind::NotConnected);
        }
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::NotConnected);
    });
    list.outside("net.fork", |procs| {
        let runtime = Runtime::builder().procs(procs).build().unwrap();
        let (one, other) = runtime.run(tcp_pair);
        let mut streams = Some((one, other));
        let told = outer::forked(|| {
            let (mut one, other) = streams.take().unwrap();
            let told = fails(|| one.read(&mut [0]));
            drop((one, other));
            told.contains("parent process")
        });
        assert!(told);
        // The child closed its copies alone.
        let (mut one, mut other) = streams.take().unwrap();
        runtime.run(move || {
            one.write_all(&[1]).unwrap();
            drop(one);
            let mut all = Vec::new();
            other.read_to_end(&mut all).unwrap();
            assert_eq!(all, [1]);
        });
    });
}
