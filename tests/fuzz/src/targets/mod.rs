//! One file for each target.

pub(crate) mod batch_validation;
pub(crate) mod codecs;
pub(crate) mod leader_epoch_checkpoint;
pub(crate) mod offset_index;
pub(crate) mod producer_snapshot;
pub(crate) mod recovery;
pub(crate) mod time_index;
