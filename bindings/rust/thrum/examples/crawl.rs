//! A crawler: follows the links of a site, some pages at a time, each for some seconds
//! at most. `cargo run --example crawl [HOST:PORT/PATH]`; without one it makes a little
//! site of its own and crawls that.
//!
//! SPDX-License-Identifier: MIT

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::time::Duration;
use thrum::net::{TcpListener, TcpStream};
use thrum::sync::Semaphore;
use thrum::{channel, scope};

const AT_ONCE: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(5);
const MOST: usize = 1000;

fn fetch(host: &str, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(host)?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
    let mut page = Vec::new();
    stream.take(1 << 20).read_to_end(&mut page)?;
    Ok(String::from_utf8_lossy(&page).into_owned())
}

/// The links of a page that stay on its host.
fn links(page: &str) -> Vec<String> {
    let after = page.split("href=\"").skip(1);
    let targets = after.filter_map(|text| text.split_once('"')).map(|(target, _)| target);
    targets.filter(|target| target.starts_with('/')).map(str::to_string).collect()
}

/// Fetches what can be reached from `first`; the pages that were there.
fn crawl(host: &str, first: &str) -> usize {
    let permits = Semaphore::new(AT_ONCE);
    let (found, pages) = channel(64);
    let mut seen = HashSet::from([first.to_string()]);
    let (mut waiting, mut there) = (vec![first.to_string()], 0);
    scope(|s| {
        let mut asked = 0;
        while !waiting.is_empty() || asked > 0 {
            for path in waiting.drain(..) {
                asked += 1;
                let (found, permits) = (found.clone(), &permits);
                s.spawn(move || {
                    let _permit = permits.acquire();
                    let page = thrum::time::timeout(PATIENCE, || fetch(host, &path));
                    let page = page.map_err(io::Error::from).and_then(|page| page);
                    found.send((path, page)).ok();
                });
            }
            let Ok((path, page)) = pages.recv() else { break };
            asked -= 1;
            match page {
                Ok(page) => {
                    there += 1;
                    println!("{path}: {} bytes", page.len());
                    let fresh = links(&page).into_iter().filter(|link| seen.insert(link.clone()));
                    waiting.extend(fresh.take(MOST.saturating_sub(there)));
                }
                Err(error) => println!("{path}: {error}"),
            }
        }
    });
    there
}

/// Serves twenty pages, each with links to two others.
fn serve(listener: TcpListener) {
    for mut stream in listener.incoming().flatten() {
        thrum::spawn(move || -> io::Result<()> {
            let mut request = [0; 1024];
            let n = stream.read(&mut request)?;
            let text = String::from_utf8_lossy(&request[..n]);
            let path = text.split(' ').nth(1).unwrap_or("/");
            let number: u32 = path[1..].parse().unwrap_or(0);
            let (a, b) = ((number * 2 + 1) % 20, (number * 3 + 2) % 20);
            let page = format!("<a href=\"/{a}\">one</a> <a href=\"/{b}\">other</a>");
            stream.write_all(format!("HTTP/1.0 200 OK\r\n\r\n{page}").as_bytes())
        });
    }
}

fn main() -> io::Result<()> {
    let wanted = std::env::args().nth(1);
    thrum::run(|| {
        let (host, path) = match wanted {
            Some(url) => match url.split_once('/') {
                Some((host, path)) => (host.to_string(), format!("/{path}")),
                None => (url, "/".to_string()),
            },
            None => {
                let listener = TcpListener::bind("127.0.0.1:0")?;
                let host = listener.local_addr().to_string();
                thrum::spawn(|| serve(listener));
                (host, "/0".to_string())
            }
        };
        println!("{} pages", crawl(&host, &path));
        Ok(())
    })
}
