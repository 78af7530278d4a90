//! Sockets: bytes arrive, timeouts and cancels end waits, descriptors are lent.
//!
//! SPDX-License-Identifier: MIT

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::time::Duration;
use thrum::net::{TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream};
use thrum::{run, spawn, Cancelled};

const MOMENT: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_secs(600);

fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let one = TcpStream::connect(listener.local_addr()).unwrap();
    let (other, from) = listener.accept().unwrap();
    assert_eq!(one.local_addr().unwrap(), from);
    assert_eq!(one.peer_addr().unwrap(), listener.local_addr());
    (one, other)
}

#[test]
fn large_transfers_are_whole() {
    run(|| {
        let (mut a, mut b) = tcp_pair();
        let sent: Vec<u8> =
            (0..3_000_000u32).map(|n| (n.wrapping_mul(2654435761) >> 11) as u8).collect();
        let copy = sent.clone();
        let writer = spawn(move || {
            a.write_all(&copy[..1_000_000]).unwrap();
            let (x, y) = copy[1_000_000..].split_at(1_000_000);
            let n = a.write_vectored(&[IoSlice::new(x), IoSlice::new(y)]).unwrap();
            a.write_all(&copy[1_000_000 + n..]).unwrap();
            assert_eq!(a.write_vectored(&[]).unwrap(), 0);
        });
        let (mut first, mut second, mut got) = ([0; 10], [0; 10], Vec::new());
        let bufs = &mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        let n = b.read_vectored(bufs).unwrap();
        got.extend_from_slice(&[first, second].concat()[..n]);
        b.read_to_end(&mut got).unwrap();
        assert!(got == sent);
        writer.join().unwrap();
    });
}

#[test]
fn waits_end_in_time() {
    run(|| {
        let (a, mut b) = tcp_pair();
        assert_eq!(b.read_timeout(), None);
        b.set_read_timeout(Some(MOMENT)).unwrap();
        assert_eq!(b.read_timeout(), Some(MOMENT));
        let mut buffer = [0; 1];
        assert_eq!(b.read(&mut buffer).unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(b.wait_readable().unwrap_err().kind(), ErrorKind::TimedOut);
        let zero = b.set_write_timeout(Some(Duration::ZERO));
        assert_eq!(zero.unwrap_err().kind(), ErrorKind::InvalidInput);
        b.set_write_timeout(Some(MOMENT)).unwrap();
        let full = loop {
            if let Err(error) = b.write_all(&[0; 1 << 20]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::TimedOut);
        // The clock of an enclosing timeout unwinds, and is told apart from our own.
        b.set_read_timeout(None).unwrap();
        assert!(thrum::time::timeout(MOMENT, || b.read(&mut buffer)).is_err());
        // Whichever is the earlier; all handles have the same, also on an OS thread.
        let mut twin = b.try_clone().unwrap();
        twin.set_read_timeout(Some(MOMENT)).unwrap();
        let ended = thrum::time::timeout(LONG, || b.read(&mut buffer)).unwrap();
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::TimedOut);
        let ended = std::thread::spawn(move || twin.read_exact(&mut [0; 1]).unwrap_err());
        assert_eq!(ended.join().unwrap().kind(), ErrorKind::TimedOut);
        b.set_read_timeout(Some(LONG)).unwrap();
        assert!(thrum::time::timeout(MOMENT, || b.read(&mut buffer)).is_err());
        drop(a);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_accept_timeout(Some(MOMENT)).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::TimedOut);
    });
}

#[test]
fn a_cancel_ends_a_read_and_an_accept() {
    run(|| {
        let (_a, mut b) = tcp_pair();
        let reader = spawn(move || b.read(&mut [0; 1]).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let acceptor = spawn(move || listener.incoming().next().is_some());
        thrum::sleep(MOMENT);
        reader.cancel();
        acceptor.cancel();
        assert!(reader.join().unwrap_err().is::<Cancelled>());
        assert!(acceptor.join().unwrap_err().is::<Cancelled>());
    });
}

#[test]
fn both_directions_at_once_and_a_shutdown() {
    run(|| {
        let (a, b) = tcp_pair();
        let reads = a.try_clone().unwrap();
        let reader = spawn(move || {
            let mut text = String::new();
            (&reads).read_to_string(&mut text).map(|_| text)
        });
        (&a).write_all(b"to b").unwrap();
        let mut buffer = [0; 4];
        (&b).read_exact(&mut buffer).unwrap();
        (&b).write_all(b"to a").unwrap();
        b.shutdown(Shutdown::Write).unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), "to a");
        a.shutdown(Shutdown::Both).unwrap();
        assert_eq!((&b).read(&mut buffer).unwrap(), 0);
    });
}

#[test]
fn options_go_through_the_descriptor() {
    run(|| {
        let (a, _b) = tcp_pair();
        assert!(a.nodelay().unwrap());
        a.set_nodelay(false).unwrap();
        assert!(!a.nodelay().unwrap());
        // Another descriptor of the same socket, as std knows it.
        let twin = std::net::TcpStream::from(a.as_fd().try_clone_to_owned().unwrap());
        assert_eq!(twin.local_addr().unwrap(), a.local_addr().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let twin = std::net::TcpListener::from(listener.as_fd().try_clone_to_owned().unwrap());
        assert_eq!(twin.local_addr().unwrap(), listener.local_addr());
        let udp = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let twin = std::net::UdpSocket::from(udp.as_fd().try_clone_to_owned().unwrap());
        assert_eq!(twin.local_addr().unwrap(), udp.local_addr().unwrap());
    });
}

#[test]
fn errors_are_std_s() {
    run(|| {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        assert_eq!(TcpStream::connect(gone).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let again = TcpListener::bind(taken.local_addr()).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AddrInUse);
        assert_eq!(TcpStream::connect("nowhere").unwrap_err().kind(), ErrorKind::InvalidInput);
        let missing = UnixStream::connect("/nonexistent/socket").unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    });
    // Outside a green thread there is no runtime to belong to.
    assert!(TcpListener::bind("127.0.0.1:0").is_err());
}

#[test]
fn names_are_resolved() {
    run(|| {
        let listener = TcpListener::bind("localhost:0").unwrap();
        let port = listener.local_addr().port();
        let client = spawn(move || {
            TcpStream::connect_timeout(("localhost", port), Duration::from_secs(60)).unwrap()
        });
        listener.accept().unwrap();
        client.join().unwrap();
    });
}

#[test]
fn datagrams() {
    run(|| {
        let (a, b) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("[::1]:0"));
        let c = UdpSocket::bind("127.0.0.1:0").unwrap();
        drop(b); // IPv6 may be off here
        a.connect(c.local_addr().unwrap()).unwrap();
        let mut buffer = [0; 8];
        c.set_read_timeout(Some(MOMENT)).unwrap();
        assert_eq!(c.recv(&mut buffer).unwrap_err().kind(), ErrorKind::TimedOut);
        c.set_read_timeout(None).unwrap();
        let receiver = spawn(move || c.recv_from(&mut buffer).map(|got| (got, buffer)));
        assert_eq!(a.send(b"datagram").unwrap(), 8);
        let ((n, from), text) = receiver.join().unwrap().unwrap();
        assert_eq!((n, from, &text), (8, a.local_addr().unwrap(), b"datagram"));
    });
}

#[test]
fn unix_sockets() {
    let dir = std::env::temp_dir().join(format!("thrum-rust-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("socket");
    run(|| {
        let listener = UnixListener::bind(&path).unwrap();
        let client = spawn({
            let path = path.clone();
            move || UnixStream::connect(path).unwrap().write_all(b"over a path").unwrap()
        });
        let mut text = String::new();
        listener.accept().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "over a path");
        client.join().unwrap();
        assert!(UnixListener::bind(&path).is_err());
    });
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn an_os_thread_may_read() {
    let runtime = thrum::Runtime::new().unwrap();
    let (mut a, mut b) = runtime.run(tcp_pair);
    let writer = runtime.spawn(move || {
        thrum::sleep(MOMENT);
        a.write_all(b"outside").unwrap();
    });
    let mut text = String::new();
    b.read_to_string(&mut text).unwrap();
    assert_eq!(text, "outside");
    writer.join().unwrap();
}

/// Closes with a reset instead of an end.
fn reset(stream: std::net::TcpStream) {
    extern "C" {
        fn setsockopt(fd: i32, level: i32, name: i32, value: *const i32, size: u32) -> i32;
    }
    let (socket, linger, at_once) = (1, 13, [1, 0]);
    use std::os::fd::AsRawFd;
    // SAFETY: a struct linger is two ints.
    let code = unsafe { setsockopt(stream.as_raw_fd(), socket, linger, at_once.as_ptr(), 8) };
    assert_eq!(code, 0);
}

#[test]
fn a_peer_that_has_reset_does_not_end_the_server() {
    run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr();
        reset(std::net::TcpStream::connect(at).unwrap());
        let good = std::net::TcpStream::connect(at).unwrap();
        assert_eq!(listener.accept().unwrap().1, good.local_addr().unwrap());
        reset(std::net::TcpStream::connect(at).unwrap());
        assert!(listener.incoming().next().unwrap().is_ok());
    });
}

#[test]
fn a_datagram_to_a_number_from_an_os_thread() {
    run(|| {
        let a = UdpSocket::bind("127.0.0.1:0").unwrap();
        let b = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = b.local_addr().unwrap();
        let sent = std::thread::spawn(move || a.send_to(b"thrum", to)).join().unwrap();
        assert_eq!(sent.unwrap(), 5);
        assert_eq!(b.recv(&mut [0; 8]).unwrap(), 5);
    });
}

#[test]
fn sockets_outlive_their_runtime() {
    use std::os::fd::{AsRawFd, BorrowedFd};
    let runtime = thrum::Runtime::builder().procs(1).build().unwrap();
    let (listener, stream, datagrams, (one, other)) = runtime.run(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr()).unwrap();
        (listener, stream, UdpSocket::bind("127.0.0.1:0").unwrap(), UnixStream::pair().unwrap())
    });
    // What was borrowed is good however the runtime ends.
    let lent = [listener.as_fd(), stream.as_fd(), datagrams.as_fd(), one.as_fd()];
    let inode = |fd: &BorrowedFd<'_>| {
        std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap()
    };
    let before = lent.each_ref().map(inode);
    drop(runtime);
    assert_eq!(lent.each_ref().map(inode), before);
    assert_eq!(stream.as_fd().as_raw_fd(), lent[1].as_raw_fd());
    let closed = [
        listener.accept().map(drop).unwrap_err(),
        stream.peer_addr().map(drop).unwrap_err(),
        (&stream).read(&mut [0]).map(drop).unwrap_err(),
        stream.shutdown(Shutdown::Both).unwrap_err(),
        datagrams.recv(&mut [0]).map(drop).unwrap_err(),
        (&one).write(b"1").map(drop).unwrap_err(),
    ];
    assert!(closed.iter().all(|error| error.kind() == ErrorKind::NotConnected), "{closed:?}");
    assert_eq!(format!("{stream:?}"), "TcpStream { closed }");
    let nothing = std::panic::AssertUnwindSafe(|| other.as_fd().as_raw_fd());
    assert!(std::panic::catch_unwind(nothing).is_err());
}

#[test]
fn outside_a_runtime_nothing_is_opened() {
    let errors = [
        TcpStream::connect("127.0.0.1:1").map(drop).unwrap_err(),
        TcpListener::bind("127.0.0.1:0").map(drop).unwrap_err(),
        UdpSocket::bind("localhost:0").map(drop).unwrap_err(),
        UnixStream::pair().map(drop).unwrap_err(),
        thrum::process::Command::new("true").spawn().map(drop).unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().contains("green thread"), "{error}");
    }
}
