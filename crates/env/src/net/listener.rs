//! A bound socket that accepts connections.

#![expect(clippy::disallowed_types, reason = "wraps the sockets that nothing else may name")]

use std::fmt;
use std::io;
use std::net::SocketAddr;

use super::Conn;

/// A listening socket. Dropping it closes it.
pub enum Listener {
    /// The operating system's.
    Tcp(tokio::net::TcpListener),
    /// turmoil's.
    #[cfg(feature = "sim")]
    Sim(turmoil::net::TcpListener, super::reachable::Bound),
}

impl Listener {
    /// The next connection, with Nagle's algorithm off, and the peer's address. Cancel safe.
    ///
    /// # Errors
    /// Those of the system; most (too many open files, connection aborted) pass, so callers wait a little and go on.
    pub async fn accept(&self) -> io::Result<(Conn, SocketAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Conn::Tcp(stream), peer))
            }
            #[cfg(feature = "sim")]
            Self::Sim(listener, _) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Conn::Sim(stream), peer))
            }
        }
    }

    /// The bound address: with port 0 asked for, it has the port received.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr(),
            #[cfg(feature = "sim")]
            Self::Sim(listener, _) => listener.local_addr(),
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener").field(&self.local_addr()).finish()
    }
}
