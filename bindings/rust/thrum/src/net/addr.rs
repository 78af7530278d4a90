//! Names and addresses.
//!
//! SPDX-License-Identifier: MIT

use super::{check, opened};
use crate::park::park_whole;
use crate::sys;
use std::ffi::{CStr, CString};
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

const MOST: usize = 16;
pub(super) const NOWHERE: sys::thrum_addr = sys::thrum_addr { opaque: [0; 17] };

/// A host, by name or number, and a port: `"localhost:80"`, `("::1", 80)`, a
/// [`SocketAddr`]. Names are resolved while the green thread waits.
pub trait ToHost {
    /// Both, or why there are not both.
    fn to_host(&self) -> io::Result<(String, u16)>;
}

impl ToHost for str {
    fn to_host(&self) -> io::Result<(String, u16)> {
        let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "not HOST:PORT");
        let (host, port) = self.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        // [::1]:80
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        Ok((inner.unwrap_or(host).to_string(), port))
    }
}

impl ToHost for String {
    fn to_host(&self) -> io::Result<(String, u16)> {
        self.as_str().to_host()
    }
}

impl ToHost for (&str, u16) {
    fn to_host(&self) -> io::Result<(String, u16)> {
        Ok((self.0.to_string(), self.1))
    }
}

impl ToHost for (IpAddr, u16) {
    fn to_host(&self) -> io::Result<(String, u16)> {
        Ok((self.0.to_string(), self.1))
    }
}

impl ToHost for SocketAddr {
    fn to_host(&self) -> io::Result<(String, u16)> {
        match self {
            SocketAddr::V6(at) if at.scope_id() != 0 => {
                Ok((format!("{}%{}", at.ip(), at.scope_id()), at.port()))
            }
            _ => Ok((self.ip().to_string(), self.port())),
        }
    }
}

impl<T: ToHost + ?Sized> ToHost for &T {
    fn to_host(&self) -> io::Result<(String, u16)> {
        (**self).to_host()
    }
}

fn c_string(text: &[u8]) -> io::Result<CString> {
    CString::new(text).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a zero in a name"))
}

/// As C takes it.
pub(super) fn host_and_port(to: &(impl ToHost + ?Sized)) -> io::Result<(CString, u16)> {
    let (host, port) = to.to_host()?;
    Ok((c_string(host.as_bytes())?, port))
}

/// All addresses of a host, as far as there is room.
pub(super) fn resolve(to: &(impl ToHost + ?Sized)) -> io::Result<Vec<sys::thrum_addr>> {
    let (host, port) = host_and_port(to)?;
    // A number needs no runtime. What is not one may be a path to this parser.
    if !host.as_bytes().iter().any(|byte| b"/@".contains(byte)) {
        if let Ok(at) = literal(host.as_bytes(), port) {
            return Ok(vec![at]);
        }
    }
    let mut found = [NOWHERE; MOST];
    let (out, room) = (found.as_mut_ptr(), MOST as u32);
    // SAFETY: parking; found has that much room.
    let n = opened(i64::from(park_whole(sys::THRUM_FOREVER, || unsafe {
        sys::thrum_resolve(ptr::null_mut(), host.as_ptr(), port, out, room, sys::THRUM_FOREVER)
    })))?;
    Ok(found[..n].to_vec())
}

/// What `attempt` makes of the first address that it can use.
pub(super) fn first<T>(
    to: &(impl ToHost + ?Sized),
    mut attempt: impl FnMut(&sys::thrum_addr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = Err(io::Error::new(io::ErrorKind::InvalidInput, "no address"));
    for at in resolve(to)? {
        last = attempt(&at);
        if last.is_ok() {
            break;
        }
    }
    last
}

/// One address, without a name to be resolved.
pub(super) fn literal(text: &[u8], port: u16) -> io::Result<sys::thrum_addr> {
    let text = c_string(text)?;
    let mut out = NOWHERE;
    // SAFETY: both point to what they say.
    check(unsafe { sys::thrum_addr_parse(&mut out, text.as_ptr(), port) }.into())?;
    Ok(out)
}

/// Of a Unix socket: relative paths too; `@name` is Linux's abstract namespace.
pub(super) fn path(path: &Path) -> io::Result<sys::thrum_addr> {
    let bytes = path.as_os_str().as_bytes();
    if bytes.contains(&b'/') || bytes.starts_with(b"@") {
        return literal(bytes, 0);
    }
    literal(&[b"./", bytes].concat(), 0)
}

pub(super) fn socket_addr(at: &sys::thrum_addr) -> io::Result<SocketAddr> {
    let mut text = [0; 128];
    // SAFETY: text has that much room.
    check(unsafe { sys::thrum_addr_text(at, text.as_mut_ptr(), text.len()) }.into())?;
    // SAFETY: a zero is behind it.
    let text = unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy().into_owned();
    // SAFETY: a plain call.
    let port = unsafe { sys::thrum_addr_port(at) } as u16;
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, format!("no IP address: {text}"));
    match text.split_once('%') {
        None => Ok(SocketAddr::new(text.parse().map_err(|_| wrong())?, port)),
        Some((ip, scope)) => {
            let (ip, scope) = (ip.parse().map_err(|_| wrong())?, scope_id(scope));
            Ok(SocketAddrV6::new(ip, port, 0, scope).into())
        }
    }
}

/// An interface by number, or by its name as Linux's sysfs knows it.
fn scope_id(scope: &str) -> u32 {
    let index = || std::fs::read_to_string(format!("/sys/class/net/{scope}/ifindex"));
    scope.parse().or_else(|_| index().unwrap_or_default().trim().parse()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read() {
        assert_eq!("localhost:80".to_host().unwrap(), ("localhost".to_string(), 80));
        assert_eq!("[::1]:80".to_host().unwrap(), ("::1".to_string(), 80));
        assert_eq!(("::1", 80).to_host().unwrap(), ("::1".to_string(), 80));
        for wrong in ["localhost", "localhost:", "localhost:70000", ":x"] {
            assert_eq!(wrong.to_host().unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[cfg(not(miri))]
    #[test]
    fn addresses_come_back_as_they_went() {
        for text in ["127.0.0.1:80", "[::1]:0", "[fe80::1%1]:65535", "0.0.0.0:1"] {
            let at: SocketAddr = text.parse().unwrap();
            let (host, port) = at.to_host().unwrap();
            assert_eq!(socket_addr(&literal(host.as_bytes(), port).unwrap()).unwrap(), at);
        }
        assert!(socket_addr(&path(Path::new("a.sock")).unwrap()).is_err());
        assert!(literal(b"a\0b", 1).is_err());
    }
}
