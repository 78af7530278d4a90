//! The echo server in tokio. `--procs N`: a multi-threaded runtime of N threads;
//! `--current 1`: the runtime that runs on the calling thread alone.
//!
//! SPDX-License-Identifier: MIT

use std::io::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

async fn echo(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 4096];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n]).await?;
    }
}

async fn serve() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(echo(stream));
    }
}

fn flag(name: &str) -> usize {
    let args: Vec<String> = std::env::args().collect();
    let at = args.iter().rposition(|arg| arg == name);
    at.and_then(|at| args.get(at + 1)?.parse().ok()).unwrap_or(0)
}

fn main() -> Result<()> {
    let mut builder = if flag("--current") == 1 {
        Builder::new_current_thread()
    } else {
        let mut many = Builder::new_multi_thread();
        many.worker_threads(flag("--procs").max(1));
        many
    };
    let runtime = builder.enable_io().build()?;
    // Spawned, so that accepting too happens on the runtime's own threads.
    runtime.block_on(runtime.spawn(serve()))?
}
