//! Ports chosen by the system on a loopback address of the caller's own.

use std::fmt;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::Result;

/// One address of 127.0.0.0/8, different for each process, so that suites that run at once do not meet.
#[derive(Debug, Clone, Copy)]
pub struct Loopback(Ipv4Addr);

impl Loopback {
    /// An address derived from this process's id.
    pub fn pick() -> Self {
        let id = std::process::id();
        let [_, _, high, low] = id.to_be_bytes();
        Self(Ipv4Addr::new(127, 1, high, low.clamp(2, 254)))
    }
}

impl fmt::Display for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// `count` different ports that are free on that address now.
pub fn free_ports(host: &Loopback, count: usize) -> Result<Vec<u16>> {
    let listeners = (0..count).map(|_| TcpListener::bind((host.0, 0))).collect::<Result<Vec<_>, _>>()?;
    Ok(listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect::<Result<Vec<_>, std::io::Error>>()?)
}
