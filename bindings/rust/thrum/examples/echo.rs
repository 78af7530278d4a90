//! An echo server: `cargo run --release --example echo [HOST:PORT]`; then
//! `nc localhost 7777`. Ctrl-C ends it.
//!
//! SPDX-License-Identifier: MIT

use std::io::{Read, Result, Write};
use thrum::net::{TcpListener, TcpStream};

fn echo(mut stream: TcpStream) -> Result<()> {
    loop {
        // A buffer only when there is something to put into it.
        stream.wait_readable()?;
        let mut buffer = [0; 4096];
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n])?;
    }
}

fn main() -> Result<()> {
    let at = std::env::args().nth(1).unwrap_or("127.0.0.1:7777".to_string());
    thrum::run(|| {
        let listener = TcpListener::bind(at)?;
        println!("listening on {}", listener.local_addr());
        loop {
            let (stream, from) = listener.accept()?;
            thrum::spawn(move || {
                if let Err(error) = echo(stream) {
                    eprintln!("{from}: {error}");
                }
            });
        }
    })
}
