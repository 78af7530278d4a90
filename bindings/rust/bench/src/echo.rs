//! Echo: a server of each kind in a process of its own, and one client for both.
//!
//! SPDX-License-Identifier: MIT

use crate::PROCS;
use std::io::{BufRead, BufReader, Read, Result, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};
use thrum::net::{TcpListener, TcpStream};
use thrum::Runtime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const MESSAGE: usize = 64;
const WARM: Duration = Duration::from_millis(200);
const TIMED: Duration = Duration::from_millis(1500);

pub fn serve(kind: &str) -> ExitCode {
    match kind {
        "thrum" => serve_thrum(|stream| drop(thrum::spawn(move || echo(stream)))),
        "moves" => serve_thrum(|stream| {
            // SAFETY: nothing of an OS thread's lives across its waits.
            let spawned = unsafe { thrum::Builder::new().spawn_migratable(move || echo(stream)) };
            drop(spawned.unwrap());
        }),
        _ => serve_tokio(),
    }
    .map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

fn echo(mut stream: TcpStream) -> Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n])?;
    }
}

fn serve_thrum(start: fn(TcpStream)) -> Result<()> {
    Runtime::builder().procs(PROCS as u32).run(move || {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        println!("{}", listener.local_addr().port());
        for stream in listener.incoming() {
            start(stream?);
        }
        Ok(())
    })
}

async fn echo_async(mut stream: tokio::net::TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n]).await?;
    }
}

async fn accept_async() -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(echo_async(stream));
    }
}

fn serve_tokio() -> Result<()> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(PROCS).enable_io().build()?;
    runtime.block_on(runtime.spawn(accept_async()))?
}

/// Requests a second of a server with so many connections, each of which waits for its
/// answer before it asks again.
pub fn load(kind: &str, connections: usize) -> f64 {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut server = command.args(["serve", kind]).stdout(Stdio::piped()).spawn().unwrap();
    let mut port = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let port = port.trim().parse().unwrap();
    let per_second = Runtime::builder().procs(PROCS as u32).run(|| ask(port, connections));
    server.kill().unwrap();
    server.wait().unwrap();
    per_second
}

fn ask(port: u16, connections: usize) -> f64 {
    let (count, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..connections)
        .map(|_| {
            let (count, over) = (count.clone(), over.clone());
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            thrum::spawn(move || {
                let mut message = [7; MESSAGE];
                while !over.load(Ordering::Relaxed) {
                    stream.write_all(&message).unwrap();
                    stream.read_exact(&mut message).unwrap();
                    count.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    thrum::sleep(WARM);
    let (start, before) = (Instant::now(), count.load(Ordering::Relaxed));
    thrum::sleep(TIMED);
    let (took, after) = (start.elapsed(), count.load(Ordering::Relaxed));
    over.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
    (after - before) as f64 / took.as_secs_f64()
}
