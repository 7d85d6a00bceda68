//! A decision in the making.

use highwater_metadata::{MetadataImage, MetadataRecord};
use highwater_types::MetadataOffset;

use crate::{CommandError, CommandResponse, Decision};

/// The image with the records decided so far on top: what comes next is decided over it.
pub(crate) struct Scratch {
    image: MetadataImage,
    records: Vec<MetadataRecord>,
}

impl Scratch {
    pub(crate) fn new(image: &MetadataImage) -> Self {
        Self { image: image.clone(), records: Vec::new() }
    }

    /// The image after the records so far.
    pub(crate) fn image(&self) -> &MetadataImage {
        &self.image
    }

    /// Where the metadata log will end after the records so far.
    pub(crate) fn offset(&self) -> MetadataOffset {
        self.image.offset()
    }

    /// Adds records, and applies them.
    pub(crate) fn extend(&mut self, records: Vec<MetadataRecord>) {
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
