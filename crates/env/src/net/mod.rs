//! Sockets: TCP, or turmoil's simulated TCP.

mod conn;
mod listener;
#[cfg(feature = "sim")]
mod reachable;

use std::io;
#[cfg(feature = "sim")]
use std::net::Ipv4Addr;
use std::net::{Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

pub use conn::{Conn, ConnReader, ConnWriter};
pub use listener::Listener;

/// Connections waiting to be accepted, per listener; the kernel caps it at `net.core.somaxconn` (4096 on current Linux).
/// A restart of a busy broker is met by all its clients at once.
const BACKLOG: i32 = 4096;

/// Where connections come from and go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Net {
    /// The operating system's TCP.
    Tcp,
    /// The network of the running turmoil simulation.
    #[cfg(feature = "sim")]
    Sim,
}

impl Net {
    /// Listens at `address` (`host:port`, `[v6]:port`, or `:port` for every interface; port 0 takes any free port).
    ///
    /// The address may be reused at once after a crash. In simulation the host part is ignored: each host has one address.
    ///
    /// # Errors
    /// With the address in the text, when it cannot be resolved or bound.
    pub async fn bind(&self, address: &str) -> io::Result<Listener> {
        let bound = match self {
            Self::Tcp => bind_tcp(address).await.map(Listener::Tcp),
            #[cfg(feature = "sim")]
            Self::Sim => bind_sim(address).await,
        };
        bound.map_err(|error| io::Error::new(error.kind(), format!("cannot listen at {address}: {error}")))
    }

    /// Connects to `address` (`host:port`), with Nagle's algorithm off. No time-out of its own.
    ///
    /// # Errors
    /// With the address in the text, when it cannot be resolved or reached.
    #[expect(clippy::disallowed_types, reason = "the one place that opens connections")]
    pub async fn connect(&self, address: &str) -> io::Result<Conn> {
        let connected = match self {
            Self::Tcp => match tokio::net::TcpStream::connect(address).await {
                Ok(stream) => stream.set_nodelay(true).map(|()| Conn::Tcp(stream)),
                Err(error) => Err(error),
            },
            #[cfg(feature = "sim")]
            Self::Sim => connect_sim(address).await,
        };
        connected.map_err(|error| io::Error::new(error.kind(), format!("cannot connect to {address}: {error}")))
    }
}

#[expect(clippy::disallowed_types, reason = "the one place that binds sockets")]
async fn bind_tcp(address: &str) -> io::Result<tokio::net::TcpListener> {
    let (host, port) = split_address(address)?;
    if host.is_empty() {
        // Every interface of both families; where IPv6 is switched off, of IPv4 alone.
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        return bind_socket(any, false).or_else(|_| bind_socket(SocketAddr::from(([0, 0, 0, 0], port)), true));
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    for candidate in tokio::net::lookup_host((host, port)).await? {
        match bind_socket(candidate, true) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[expect(clippy::disallowed_types, reason = "the one place that binds sockets")]
fn bind_socket(address: SocketAddr, only_this_family: bool) -> io::Result<tokio::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(only_this_family)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    tokio::net::TcpListener::from_std(socket.into())
}

#[cfg(feature = "sim")]
async fn bind_sim(address: &str) -> io::Result<Listener> {
    let (_, port) = split_address(address)?;
    let listener = turmoil::net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await?;
    Ok(Listener::Sim(listener, reachable::Bound::new(address)))
}

/// turmoil refuses a connection whose first message a cut link lost. A real network is silent then, and much depends on the
/// difference: only a refusal proves that nobody listens. So silence it is, until the caller's time-out.
#[cfg(feature = "sim")]
async fn connect_sim(address: &str) -> io::Result<Conn> {
    match turmoil::net::TcpStream::connect(address).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && reachable::is_bound(address) => {
            std::future::pending().await
        }
        connected => connected.map(Conn::Sim),
    }
}

/// Splits `host:port`; brackets around an IPv6 address are removed.
fn split_address(address: &str) -> io::Result<(&str, u16)> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, "expected host:port");
    let (host, port) = address.rsplit_once(':').ok_or_else(invalid)?;
    let host = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
    Ok((host, port.parse().map_err(|_| invalid())?))
}

#[cfg(test)]
mod tests;
