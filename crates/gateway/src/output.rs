//! Response bytes on their way to one connection: written with vectored writes, never gathered into one buffer.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Most pieces handed to one vectored write; the kernel takes up to 1024, and 64 slices already carry several responses.
const MAX_SLICES: usize = 64;

/// A queue of byte pieces to write in order.
#[derive(Default)]
pub(crate) struct Output {
    /// Pieces not yet written; none is empty.
    pieces: VecDeque<Bytes>,
}

impl Output {
    /// Appends one piece.
    pub(crate) fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.pieces.push_back(piece);
        }
    }

    /// True when everything has been written.
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Writes all pieces. Cancel safe: what has been written is forgotten, the rest stays.
    pub(crate) async fn write_to<W: AsyncWrite + Unpin>(&mut self, writer: &mut W) -> io::Result<()> {
        while !self.pieces.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let mut count = 0;
            for (slot, piece) in slices.iter_mut().zip(&self.pieces) {
                *slot = IoSlice::new(piece);
                count += 1;
            }
            let written = writer.write_vectored(&slices[..count]).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.advance(written);
        }
        Ok(())
    }

    fn advance(&mut self, mut written: usize) {
        while written > 0 {
            let Some(front) = self.pieces.front_mut() else { return };
            if front.len() > written {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn pieces_arrive_in_order_through_a_narrow_pipe() {
        let (mut near, mut far) = tokio::io::duplex(7);
        let mut output = Output::default();
        let mut expected = Vec::new();
        for index in 0..200u8 {
            let piece = vec![index; usize::from(index % 5)];
            expected.extend_from_slice(&piece);
            output.push(Bytes::from(piece));
        }
        let writer = tokio::spawn(async move {
            output.write_to(&mut near).await.unwrap();
            assert!(output.is_empty());
        });
        let mut got = Vec::new();
        far.read_to_end(&mut got).await.unwrap();
        writer.await.unwrap();
        assert_eq!(got, expected);
    }
}
