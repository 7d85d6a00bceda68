//! A decision in the making.

use highwater_metadata::{MetadataEvent, MetadataImage, MetadataRecord};
use highwater_types::MetadataOffset;

use crate::{CommandError, CommandResponse, Decision};

/// The image with the records decided so far on top: what comes next is decided over it.
pub(crate) struct Scratch {
    image: MetadataImage,
    records: Vec<MetadataRecord>,
    /// Goes before the first of the records, if there are any.
    event: Option<MetadataEvent>,
}

impl Scratch {
    pub(crate) fn new(image: &MetadataImage, event: Option<MetadataEvent>) -> Self {
        Self { image: image.clone(), records: Vec::new(), event }
    }

    /// The image after the records so far.
    pub(crate) fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// Where the metadata log will end after the records so far.
    pub(crate) fn offset(&self) -> MetadataOffset {
        self.image.offset()
    }

    /// Where in the metadata log the next record will be.
    pub(crate) fn next_offset(&self) -> MetadataOffset {
        MetadataOffset(self.offset().get() + i64::from(self.event.is_some()))
    }

    /// Adds records, and applies them.
    pub(crate) fn extend(&mut self, mut records: Vec<MetadataRecord>) {
        if records.is_empty() {
            return;
        }
        if let Some(event) = self.event.take() {
            records.insert(0, MetadataRecord::Event(event));
        }
        let count = i64::try_from(records.len()).expect("fewer than 2^63 records");
        let (image, _) = self.image.apply(&records, MetadataOffset(self.offset().get() + count));
        self.image = image;
        self.records.extend(records);
    }

    pub(crate) fn push(&mut self, record: MetadataRecord) {
        self.extend(vec![record]);
    }

    /// The decision to commit all records and answer `response`.
    pub(crate) fn accept(self, response: CommandResponse) -> Decision {
        Decision { records: self.records, response: Ok(response) }
    }

    /// The decision to answer `response` and change nothing after all.
    pub(crate) fn only_validate(response: CommandResponse) -> Decision {
        Decision { records: Vec::new(), response: Ok(response) }
    }
}

impl Decision {
    /// The decision to refuse.
    pub(crate) fn refuse(error: CommandError) -> Self {
        Self { records: Vec::new(), response: Err(error) }
    }
}
