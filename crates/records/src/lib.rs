//! Kafka's record batches, format v2 (KIP-98): views, validation, lazy iteration, building, compression, control batches.
//!
//! In: bytes from clients, peers and disks. Out: [`ValidatedBatch`], the only type that the log's leader append accepts;
//! [`RecordBatch`] for whole batches whose structure and CRC hold; [`RecordView`]s borrowed from a batch.
//!
//! This crate knows nothing of topics' logs, of offsets other than those in a batch, of requests or of storage. It keeps no
//! state, reads no clock (`now` is an argument) and does no I/O.
//!
//! Architecture invariant: no allocation by a length that the input claims; decompression stops at a limit.
//! Architecture invariant: the bytes of a batch are never changed in place. What the broker must set lies in the 61-byte
//! header, which [`patched_header`] makes anew.

mod attributes;
mod batch;
mod builder;
mod compacted;
mod compression;
mod control;
mod error;
mod header;
mod inspect;
mod patch;
mod record;
mod record_reader;
mod rejection;
mod split;
mod validate;
mod validation_limits;
mod varint;

pub use attributes::{Attributes, TimestampType};
pub use batch::{RecordBatch, Records, TimestampMatch};
pub use builder::BatchBuilder;
pub use compression::{Compression, MAX_DECOMPRESSED_BYTES};
pub use control::{ControlRecordType, EndTransactionMarker};
pub use error::BatchError;
pub use header::{BatchHeader, HEADER_LENGTH, LOG_OVERHEAD};
pub use patch::patched_header;
pub use record::{Header, Headers, RecordView};
pub use rejection::{MAX_RECORD_ERRORS, ProduceRejection, RecordError};
pub use split::{Batches, split_batches};
pub use validate::{ValidatedBatch, validate_produce};
pub use validation_limits::{AppendOrigin, ValidationLimits};
