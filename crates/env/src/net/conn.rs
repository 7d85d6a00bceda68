//! One connection and its two halves.

#![expect(clippy::disallowed_types, reason = "wraps the sockets that nothing else may name")]

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// An open connection. Dropping it closes both directions.
#[derive(Debug)]
pub enum Conn {
    /// The operating system's.
    Tcp(tokio::net::TcpStream),
    /// turmoil's.
    #[cfg(feature = "sim")]
    Sim(turmoil::net::TcpStream),
}

/// The receiving half of a [`Conn`].
#[derive(Debug)]
pub enum ConnReader {
    /// The operating system's.
    Tcp(tokio::net::tcp::OwnedReadHalf),
    /// turmoil's.
    #[cfg(feature = "sim")]
    Sim(turmoil::net::tcp::OwnedReadHalf),
}

/// The sending half of a [`Conn`]. Dropping it ends the stream for the peer.
#[derive(Debug)]
pub enum ConnWriter {
    /// The operating system's.
    Tcp(tokio::net::tcp::OwnedWriteHalf),
    /// turmoil's.
    #[cfg(feature = "sim")]
    Sim(turmoil::net::tcp::OwnedWriteHalf),
}

impl Conn {
    /// Address of the other end.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr(),
            #[cfg(feature = "sim")]
            Self::Sim(stream) => stream.peer_addr(),
        }
    }

    /// Address of this end.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr(),
            #[cfg(feature = "sim")]
            Self::Sim(stream) => stream.local_addr(),
        }
    }

    /// Separates reading from writing, without locks.
    pub fn into_split(self) -> (ConnReader, ConnWriter) {
        match self {
            Self::Tcp(stream) => {
                let (reader, writer) = stream.into_split();
                (ConnReader::Tcp(reader), ConnWriter::Tcp(writer))
            }
            #[cfg(feature = "sim")]
            Self::Sim(stream) => {
                let (reader, writer) = stream.into_split();
                (ConnReader::Sim(reader), ConnWriter::Sim(writer))
            }
        }
    }
}

/// Forwards a trait's poll methods to whichever variant is there.
macro_rules! delegate_read {
    ($name:ident) => {
        impl AsyncRead for $name {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    Self::Tcp(inner) => Pin::new(inner).poll_read(cx, buf),
                    #[cfg(feature = "sim")]
                    Self::Sim(inner) => Pin::new(inner).poll_read(cx, buf),
                }
            }
        }
    };
}

macro_rules! delegate_write {
    ($name:ident) => {
        impl AsyncWrite for $name {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    Self::Tcp(inner) => Pin::new(inner).poll_write(cx, buf),
                    #[cfg(feature = "sim")]
                    Self::Sim(inner) => Pin::new(inner).poll_write(cx, buf),
                }
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    Self::Tcp(inner) => Pin::new(inner).poll_write_vectored(cx, bufs),
                    #[cfg(feature = "sim")]
                    Self::Sim(inner) => Pin::new(inner).poll_write_vectored(cx, bufs),
                }
            }

            fn is_write_vectored(&self) -> bool {
                match self {
                    Self::Tcp(inner) => inner.is_write_vectored(),
                    #[cfg(feature = "sim")]
                    Self::Sim(inner) => inner.is_write_vectored(),
                }
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    Self::Tcp(inner) => Pin::new(inner).poll_flush(cx),
                    #[cfg(feature = "sim")]
                    Self::Sim(inner) => Pin::new(inner).poll_flush(cx),
                }
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() {
                    Self::Tcp(inner) => Pin::new(inner).poll_shutdown(cx),
                    #[cfg(feature = "sim")]
                    Self::Sim(inner) => Pin::new(inner).poll_shutdown(cx),
                }
            }
        }
    };
}

delegate_read!(Conn);
delegate_write!(Conn);
delegate_read!(ConnReader);
delegate_write!(ConnWriter);
