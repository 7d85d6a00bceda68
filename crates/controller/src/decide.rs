//! The one entry point.

use highwater_metadata::MetadataImage;
use highwater_types::Timestamp;
use rand_core::RngCore;

use crate::event::event_of;
use crate::scratch::Scratch;
use crate::{Command, CommandError, CommandResponse, ControllerConfig, Decision};
use crate::{
    alter_partition, alter_reassignments, brokers, cluster, configs, create_partitions, create_topics, delete_topics,
    directories, elect_leaders, features, producer_ids, throttles,
};

/// Decides `command` over `image`. Pure: equal arguments give equal decisions.
///
/// The image must be the one that the records will be applied to. `rng` gives topic ids and breaks ties of placement. `now` is
/// wall-clock time: it is written into the log for people, and nothing is decided by it.
pub fn decide(
    image: &MetadataImage,
    config: &ControllerConfig,
    now: Timestamp,
    rng: &mut dyn RngCore,
    command: &Command,
) -> Decision {
    let mut scratch = Scratch::new(image, event_of(image, now, command));
    let all_or_nothing = |outcome: Result<CommandResponse, CommandError>, scratch: Scratch| match outcome {
        Ok(response) => scratch.accept(response),
        Err(error) => Decision::refuse(error),
    };
    let outcome = match command {
        Command::CreateTopics(request) => return create_topics::decide(scratch, config, rng, request),
        Command::CreatePartitions(request) => return create_partitions::decide(scratch, rng, request),
        Command::IncrementalAlterConfigs(request) => return configs::decide(scratch, config, request),
        Command::UpdateFeatures(request) => return features::decide(scratch, request),
        Command::DeleteTopics(request) => Ok(delete_topics::delete(&mut scratch, config, request)),
        Command::Bootstrap(request) => cluster::bootstrap(&mut scratch, request),
        Command::RegisterController(request) => cluster::register_controller(&mut scratch, request),
        Command::UnregisterController(id) => cluster::unregister_controller(&mut scratch, *id),
        Command::RegisterBroker(request) => brokers::register(&mut scratch, config, request),
        Command::UnfenceBroker(request) => brokers::unfence(&mut scratch, config, request),
        Command::FenceBroker(request) => brokers::fence(&mut scratch, config, request),
        Command::ControlledShutdown(session) => brokers::controlled_shutdown(&mut scratch, config, *session),
        Command::UnregisterBroker(request) => brokers::unregister(&mut scratch, config, request),
        Command::AlterPartition(request) => alter_partition::alter(&mut scratch, config, request),
        Command::AllocateProducerIds(request) => producer_ids::allocate(&mut scratch, request),
        Command::ElectLeaders(request) => Ok(elect_leaders::elect(&mut scratch, config, request)),
        Command::OfflineLogDirs(request) => directories::take_offline(&mut scratch, config, request),
        Command::AssignReplicasToDirs(request) => directories::assign(&mut scratch, config, request),
        Command::AlterPartitionReassignments(request) => alter_reassignments::alter(&mut scratch, config, request),
    };
    if outcome.is_ok() {
        throttles::maybe_release(&mut scratch);
    }
    all_or_nothing(outcome, scratch)
}
