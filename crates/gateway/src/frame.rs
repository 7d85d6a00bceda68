//! Reads length-prefixed frames from one connection into buffers of their own.
//!
//! A frame is a 4-byte big-endian length and that many bytes. Each frame gets a fresh buffer, so the record bytes of a
//! produce request can leave as slices of it. A claimed length is only a promise: the buffer grows as bytes arrive, by at
//! most a factor of [`GROWTH`] of what has arrived, or to what this connection has already shown it delivers. A
//! connection that waits for its next request holds no buffer at all.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Length of the size prefix of a frame.
const PREFIX_BYTES: usize = 4;

/// First allocation for the body of a frame from a connection that has not sent larger ones: most requests fit, and ten
/// thousand hostile prefixes cost 160 MiB of address space, of which only touched pages become resident.
const INITIAL_BYTES: usize = 16 * 1024;

/// How much larger than the received part a buffer may be. Growing moves the received bytes, so a connection's first
/// large frames are moved once in part; after that [`FrameReader::largest`] gives the whole size at once.
const GROWTH: usize = 4;

/// Why no further frame can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The length prefix is negative.
    #[error("invalid frame length {0}")]
    Negative(i32),
    /// The length prefix exceeds `socket.request.max.bytes`.
    #[error("frame of {length} bytes is larger than the maximum of {limit} bytes (socket.request.max.bytes)")]
    TooLarge {
        /// Claimed length in bytes.
        length: usize,
        /// `socket.request.max.bytes`.
        limit: usize,
    },
    /// The peer closed in the middle of a frame.
    #[error("connection closed within a frame, {received} of {expected} bytes received")]
    Truncated {
        /// Bytes received of prefix or body.
        received: usize,
        /// Bytes the prefix or body has.
        expected: usize,
    },
    /// The socket failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The incoming half of one connection: knows where frames begin and end.
pub(crate) struct FrameReader {
    /// `socket.request.max.bytes`.
    limit: usize,
    /// The length prefix, as far as received.
    prefix: [u8; PREFIX_BYTES],
    /// Received bytes of `prefix`; 4 only between reading the prefix and creating `body`.
    prefix_len: usize,
    /// The frame being received; never longer than its length plus the next prefix.
    body: Option<Body>,
    /// Length of the largest frame delivered whole.
    largest: usize,
}

struct Body {
    length: usize,
    buffer: BytesMut,
}

impl FrameReader {
    /// A reader that refuses frames longer than `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, prefix: [0; PREFIX_BYTES], prefix_len: 0, body: None, largest: 0 }
    }

    /// The next frame without its prefix, or `None` when the peer closed between two frames. Cancel safe: dropping the
    /// future loses nothing.
    pub(crate) async fn next_frame<R: AsyncRead + Unpin>(
        &mut self,
        reader: &mut R,
    ) -> Result<Option<Bytes>, FrameError> {
        loop {
            if let Some(frame) = self.take_frame()? {
                return Ok(Some(frame));
            }
            let received = match &mut self.body {
                None => {
                    let received = reader.read(&mut self.prefix[self.prefix_len..]).await?;
                    self.prefix_len += received;
                    received
                }
                Some(body) => {
                    body.make_room(self.largest);
                    // Up to four bytes more than the body: the next prefix for free, and a short read tells the
                    // runtime that the socket is drained without asking the kernel again.
                    let room = body.buffer.capacity().min(body.length + PREFIX_BYTES) - body.buffer.len();
                    reader.read_buf(&mut (&mut body.buffer).limit(room)).await?
                }
            };
            if received == 0 {
                return self.on_end_of_stream();
            }
        }
    }

    /// Splits a complete frame off, or turns a complete prefix into the body to receive.
    fn take_frame(&mut self) -> Result<Option<Bytes>, FrameError> {
        if self.body.is_none() && self.prefix_len == PREFIX_BYTES {
            let claimed = i32::from_be_bytes(self.prefix);
            let length = usize::try_from(claimed).map_err(|_| FrameError::Negative(claimed))?;
            if length > self.limit {
                return Err(FrameError::TooLarge { length, limit: self.limit });
            }
            self.prefix_len = 0;
            self.body = Some(Body { length, buffer: BytesMut::new() });
        }
        match &self.body {
            Some(body) if body.buffer.len() >= body.length => {}
            _ => return Ok(None),
        }
        let Some(Body { length, mut buffer }) = self.body.take() else { return Ok(None) };
        let frame = buffer.split_to(length).freeze();
        debug_assert!(buffer.len() <= PREFIX_BYTES);
        self.prefix[..buffer.len()].copy_from_slice(&buffer);
        self.prefix_len = buffer.len();
        self.largest = self.largest.max(length);
        Ok(Some(frame))
    }

    fn on_end_of_stream(&self) -> Result<Option<Bytes>, FrameError> {
        match &self.body {
            Some(body) => Err(FrameError::Truncated { received: body.buffer.len(), expected: body.length }),
            None if self.prefix_len > 0 => {
                Err(FrameError::Truncated { received: self.prefix_len, expected: PREFIX_BYTES })
            }
            None => Ok(None),
        }
    }

    #[cfg(test)]
    fn reserved_bytes(&self) -> usize {
        self.body.as_ref().map_or(0, |body| body.buffer.capacity())
    }
}

impl Body {
    fn make_room(&mut self, largest: usize) {
        let received = self.buffer.len();
        if received < self.buffer.capacity() {
            return;
        }
        let whole = self.length + PREFIX_BYTES;
        let allowed = INITIAL_BYTES.max(received * GROWTH).max(largest + PREFIX_BYTES);
        let target = whole.min(allowed);
        if received == 0 {
            self.buffer = BytesMut::with_capacity(target);
        } else {
            // Not `reserve`, which doubles: the bound above is the bound.
            let mut larger = BytesMut::with_capacity(target);
            larger.extend_from_slice(&self.buffer);
            self.buffer = larger;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use tokio::io::ReadBuf;

    /// A peer that sends its bytes in pieces of the given sizes, then closes.
    struct Pieces {
        bytes: Bytes,
        sizes: Vec<usize>,
        next: usize,
    }

    impl AsyncRead for Pieces {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let size = self.sizes[self.next % self.sizes.len()].max(1);
            self.next += 1;
            let size = size.min(buf.remaining()).min(self.bytes.len());
            buf.put_slice(&self.bytes.split_to(size));
            Poll::Ready(Ok(()))
        }
    }

    fn framed(frames: &[Vec<u8>]) -> Bytes {
        let mut out = BytesMut::new();
        for frame in frames {
            out.put_i32(i32::try_from(frame.len()).unwrap());
            out.put_slice(frame);
        }
        out.freeze()
    }

    async fn read_all(bytes: Bytes, sizes: Vec<usize>, limit: usize) -> (Vec<Bytes>, Result<(), FrameError>) {
        let mut reader = FrameReader::new(limit);
        let mut peer = Pieces { bytes, sizes, next: 0 };
        let mut frames = Vec::new();
        loop {
            match reader.next_frame(&mut peer).await {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return (frames, Ok(())),
                Err(error) => return (frames, Err(error)),
            }
        }
    }

    proptest! {
        #[test]
        fn frames_survive_any_fragmentation(
            frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40_000), 0..6),
            sizes in prop::collection::vec(1usize..5000, 1..8),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (got, end) = runtime.block_on(read_all(framed(&frames), sizes, 1 << 20));
            prop_assert!(end.is_ok());
            prop_assert_eq!(got.len(), frames.len());
            for (got, sent) in got.iter().zip(&frames) {
                prop_assert_eq!(&got[..], &sent[..]);
            }
        }
    }

    #[tokio::test]
    async fn lengths_out_of_range_are_refused() {
        for (prefix, text) in [
            (-1, "invalid frame length -1"),
            (i32::MIN, "invalid frame length -2147483648"),
            (1001, "frame of 1001 bytes is larger than the maximum of 1000 bytes (socket.request.max.bytes)"),
            (i32::MAX, "frame of 2147483647 bytes is larger than the maximum of 1000 bytes (socket.request.max.bytes)"),
        ] {
            let (frames, end) = read_all(Bytes::copy_from_slice(&i32::to_be_bytes(prefix)), vec![4], 1000).await;
            assert!(frames.is_empty());
            assert_eq!(end.unwrap_err().to_string(), text);
        }
    }

    #[tokio::test]
    async fn an_end_within_a_frame_is_an_error() {
        let whole = framed(&[vec![1; 10]]);
        for cut in 1..whole.len() {
            let (frames, end) = read_all(whole.slice(..cut), vec![3], 1000).await;
            assert!(frames.is_empty());
            assert!(matches!(end, Err(FrameError::Truncated { .. })), "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn a_claimed_length_reserves_little_until_bytes_arrive() {
        let mut reader = FrameReader::new(100 << 20);
        let mut stream = BytesMut::new();
        stream.put_i32(100 << 20);
        stream.put_slice(&[7; 100]);
        let mut peer = Pieces { bytes: stream.freeze(), sizes: vec![1 << 20], next: 0 };
        assert!(matches!(reader.next_frame(&mut peer).await, Err(FrameError::Truncated { received: 100, .. })));
        assert!(reader.reserved_bytes() <= INITIAL_BYTES);
    }

    #[tokio::test]
    async fn a_frame_of_a_size_seen_before_is_received_in_place() {
        let frame = vec![9; 3 << 20];
        let stream = framed(&[frame.clone(), frame]);
        let mut reader = FrameReader::new(100 << 20);
        let mut peer = Pieces { bytes: stream, sizes: vec![1 << 20], next: 0 };
        reader.next_frame(&mut peer).await.unwrap().unwrap();
        let mut moves = 0;
        let mut last = 0;
        // The second frame: one allocation of the whole size, whatever the pieces.
        while reader.body.is_none() {
            assert!(reader.take_frame().unwrap().is_none());
            if reader.body.is_none() {
                let received = peer.read(&mut reader.prefix[reader.prefix_len..]).await.unwrap();
                reader.prefix_len += received;
            }
        }
        while let Some(body) = &mut reader.body {
            body.make_room(reader.largest);
            if body.buffer.capacity() != last {
                last = body.buffer.capacity();
                moves += 1;
            }
            let room = body.buffer.capacity() - body.buffer.len();
            if peer.read_buf(&mut (&mut body.buffer).limit(room)).await.unwrap() == 0 {
                break;
            }
            if body.buffer.len() >= body.length {
                break;
            }
        }
        assert_eq!(moves, 1);
    }
}
