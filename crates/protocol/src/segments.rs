//! An encoded response as pieces that leave with one vectored write: headers that were encoded here, record data that was not
//! copied.

use bytes::{Bytes, BytesMut};

/// One piece of an encoded frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Bytes in memory.
    Bytes(Bytes),
}

impl Segment {
    /// Length in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// True for a piece of zero bytes; [`Segments`] holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A whole frame, its 4-byte length prefix included, in the order of the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Segments {
    segments: Vec<Segment>,
    /// Sum of the segments' lengths.
    len_bytes: usize,
}

impl Segments {
    /// Length of the frame in bytes, the length prefix included.
    pub fn len_bytes(&self) -> usize {
        self.len_bytes
    }

    /// The pieces in order; none is empty.
    pub fn as_slice(&self) -> &[Segment] {
        &self.segments
    }

    /// The pieces in order; none is empty.
    pub fn into_vec(self) -> Vec<Segment> {
        self.segments
    }

    /// The frame as one piece. Copies unless there is just one: for tests, clients and small frames.
    pub fn into_bytes(mut self) -> Bytes {
        if self.segments.len() == 1
            && let Some(Segment::Bytes(bytes)) = self.segments.pop()
        {
            return bytes;
        }
        let mut whole = BytesMut::with_capacity(self.len_bytes);
        for Segment::Bytes(bytes) in &self.segments {
            whole.extend_from_slice(bytes);
        }
        whole.freeze()
    }

    /// Appends a piece; an empty one is dropped.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.len_bytes += bytes.len();
            self.segments.push(Segment::Bytes(bytes));
        }
    }
}

impl IntoIterator for Segments {
    type Item = Segment;
    type IntoIter = std::vec::IntoIter<Segment>;

    fn into_iter(self) -> Self::IntoIter {
        self.segments.into_iter()
    }
}
