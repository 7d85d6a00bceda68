//! The batches of one `.log` file.

use std::path::Path;
use std::sync::Arc;

use highwater_env::{Fs, OpenMode};
use highwater_records::{BatchHeader, HEADER_LENGTH, RecordBatch};

use super::InspectionError;
use crate::room;

/// Walks over the batches of a segment's file.
#[derive(Debug)]
pub struct BatchFile {
    path: std::path::PathBuf,
    file: Arc<highwater_env::File>,
    position: u64,
    end: u64,
}

/// A batch as it is on disk.
#[derive(Debug, Clone)]
pub struct InspectedBatch {
    /// Where it starts in the file.
    pub position: u64,
    /// The batch; its checksum may be wrong.
    pub batch: RecordBatch,
    /// What is wrong with the checksum or the records, if anything.
    pub damage: Option<String>,
}

impl BatchFile {
    /// Opens a segment's file for reading.
    pub fn open(fs: &Fs, path: &Path) -> Result<Self, InspectionError> {
        let file = fs.open(path, OpenMode::Read).map_err(InspectionError::io(path))?;
        let end = file.len().map_err(InspectionError::io(path))?;
        Ok(Self { path: path.to_owned(), file: Arc::new(file), position: 0, end })
    }

    /// The next batch, `None` at the end: where the file ends, or has nothing but zeros, which are room that was written ahead.
    ///
    /// # Errors
    /// [`InspectionError::Damaged`] where no batch can be; the walk cannot go on behind that.
    pub fn next_batch(&mut self) -> Result<Option<InspectedBatch>, InspectionError> {
        let remaining = self.end - self.position;
        if remaining == 0 {
            return Ok(None);
        }
        let header = match remaining < HEADER_LENGTH as u64 {
            true => Err(format!("{remaining} bytes are no batch")),
            false => BatchHeader::parse(&self.read(HEADER_LENGTH)?).map_err(|error| error.to_string()),
        };
        let header = match header {
            Ok(header) => header,
            Err(_) if self.rest_is_blank()? => return Ok(None),
            Err(reason) => return Err(self.damaged(reason)),
        };
        let size = header.size_in_bytes();
        if size as u64 > remaining {
            return Err(self.damaged(format!("a batch of {size} bytes, of which {remaining} are there")));
        }
        let bytes = self.read(size)?.into();
        let batch = RecordBatch::parse_without_crc(&bytes).map_err(|error| self.damaged(error.to_string()))?;
        let damage = damage_of(&batch);
        let position = self.position;
        self.position += size as u64;
        Ok(Some(InspectedBatch { position, batch, damage }))
    }

    /// Where the last batch that was read ends, and how many bytes are behind it.
    pub fn position_and_rest(&self) -> (u64, u64) {
        (self.position, self.end - self.position)
    }

    fn rest_is_blank(&self) -> Result<bool, InspectionError> {
        room::is_blank(&self.file, self.position, self.end).map_err(InspectionError::io(&self.path))
    }

    fn read(&self, length: usize) -> Result<Vec<u8>, InspectionError> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, self.position).map_err(InspectionError::io(&self.path))?;
        Ok(bytes)
    }

    fn damaged(&self, reason: String) -> InspectionError {
        InspectionError::Damaged { path: self.path.clone(), position: self.position, reason }
    }
}

/// Checksum first: without it the records say nothing.
fn damage_of(batch: &RecordBatch) -> Option<String> {
    if let Err(error) = batch.verify_crc() {
        return Some(error.to_string());
    }
    let records = match batch.records() {
        Ok(records) => records,
        Err(error) => return Some(error.to_string()),
    };
    let (mut count, mut previous) = (0, -1);
    for record in &records {
        match record {
            Ok(record) if record.offset_delta <= previous => {
                return Some(format!("record {count} has the offset {}, not above the one before", record.offset));
            }
            Ok(record) => (count, previous) = (count + 1, record.offset_delta),
            Err(error) => return Some(error.to_string()),
        }
    }
    let header = batch.header();
    if previous > header.last_offset_delta {
        return Some(format!("its last record is at {}, behind its end", header.base_offset.plus(previous.into())));
    }
    (count != header.record_count).then(|| format!("{count} records, where the header says {}", header.record_count))
}
