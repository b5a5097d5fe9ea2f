//! Free ports on the loopback address.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};

/// Below the ports that Linux gives to outgoing connections, so that none of
/// them takes a port while its server is restarted.
const PORTS: Range<u16> = 12_000..32_000;

/// What this process has given out; no port is given twice.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port on 127.0.0.1 that nothing listens on, by UDP or TCP. Another program
/// may still take it first: who starts a server tries again then.
///
/// # Errors
/// When no port is free.
pub fn free_port() -> Result<u16> {
    let mut given = match GIVEN.lock() {
        Ok(given) => given,
        Err(poisoned) => poisoned.into_inner(),
    };
    let size = PORTS.end - PORTS.start;
    let first = anywhere(size);
    for step in 0..size {
        let port = PORTS.start + (first + step) % size;
        if !given.contains(&port) && is_free(port) {
            given.insert(port);
            return Ok(port);
        }
    }
    bail!("no port is free on 127.0.0.1 from {PORTS:?}");
}

/// [`free_port`] with its address.
///
/// # Errors
/// When no port is free.
pub fn free_address() -> Result<SocketAddr> {
    Ok((Ipv4Addr::LOCALHOST, free_port()?).into())
}

fn is_free(port: u16) -> bool {
    let address = (Ipv4Addr::LOCALHOST, port);
    TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok()
}

/// Processes that look at the same time shall not meet at the same port.
fn anywhere(size: u16) -> u16 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanoseconds = now.map_or(0, |now| now.subsec_nanos());
    let mixed = (nanoseconds ^ std::process::id()).wrapping_mul(0x9E37_79B1);
    u16::try_from((mixed >> 8) % u32::from(size)).unwrap_or_default()
}
