//! Blocks of producer ids (KIP-730).

use highwater_metadata::MetadataRecord;
use highwater_types::{ErrorCode, ProducerId};

use crate::brokers::check_session;
use crate::scratch::Scratch;
use crate::{AllocateProducerIds, CommandError, CommandResponse, ProducerIdBlock};

/// Ids per block: Kafka's number. A broker that restarts forgets the rest of its block.
const BLOCK_LENGTH: i32 = 1000;

pub(crate) fn allocate(scratch: &mut Scratch, request: &AllocateProducerIds) -> Result<CommandResponse, CommandError> {
    check_session(scratch.image(), request.session)?;
    let first = scratch.image().next_producer_id();
    let Some(next) = first.get().checked_add(i64::from(BLOCK_LENGTH)) else {
        return Err(CommandError::new(ErrorCode::UnknownServerError, "Exhausted all producerIds."));
    };
    let (broker, broker_epoch) = (request.session.id, request.session.epoch);
    scratch.push(MetadataRecord::ProducerIds { broker, broker_epoch, next: ProducerId(next) });
    Ok(CommandResponse::AllocateProducerIds(ProducerIdBlock { first, length: BLOCK_LENGTH }))
}
