//! Answers and records as lines of a script.

use std::fmt::Write as _;

use highwater_controller::{CommandError, CommandResponse};
use highwater_metadata::{
    BrokerChange, LeaderRecoveryState, MetadataImage, MetadataRecord, PartitionChange, PartitionImage,
};
use highwater_types::{BrokerId, DirectoryId, LeaderEpoch, TopicId};

pub fn response(response: &Result<CommandResponse, CommandError>) -> String {
    match response {
        Err(error) => format!("! {error}\n"),
        Ok(CommandResponse::RegisterBroker { epoch }) => format!("ok epoch {epoch}\n"),
        Ok(CommandResponse::ControlledShutdown { may_stop, offset }) => {
            format!("ok {} at {offset}\n", if *may_stop { "may stop" } else { "not yet" })
        }
        Ok(CommandResponse::AllocateProducerIds(block)) => {
            format!("ok {} to {}\n", block.first, block.first.get() + i64::from(block.length) - 1)
        }
        Ok(CommandResponse::CreateTopics(topics)) => lines(topics.iter().map(|(name, result)| {
            let created =
                result.as_ref().map(|topic| format!(" {} x {}", topic.num_partitions, topic.replication_factor));
            (name.clone(), created.map_err(Clone::clone))
        })),
        Ok(CommandResponse::CreatePartitions(topics)) => {
            lines(topics.iter().map(|(name, result)| (name.clone(), result.clone().map(|()| String::new()))))
        }
        Ok(CommandResponse::DeleteTopics(topics)) => lines(topics.iter().map(|topic| {
            (topic.name.clone().unwrap_or_else(|| "(id)".to_owned()), topic.result.clone().map(|()| String::new()))
        })),
        Ok(CommandResponse::AlterPartition(partitions)) => lines(partitions.iter().map(|partition| {
            let state = partition.result.as_ref().map(|state| {
                format!(
                    " isr {:?}{} leader {} epochs {}/{}",
                    state.isr,
                    list("elr", &state.elr),
                    state.leader,
                    state.leader_epoch,
                    state.partition_epoch
                )
            });
            (partition.target.partition.to_string(), state.map_err(Clone::clone))
        })),
        Ok(CommandResponse::IncrementalAlterConfigs(resources)) => lines(
            resources.iter().map(|(resource, result)| (resource.to_string(), result.clone().map(|()| String::new()))),
        ),
        Ok(CommandResponse::ElectLeaders(partitions)) => {
            lines(partitions.iter().map(|election| {
                (election.target.partition.to_string(), election.result.clone().map(|()| String::new()))
            }))
        }
        Ok(CommandResponse::AssignReplicasToDirs(partitions)) => lines(
            partitions.iter().map(|one| (one.target.partition.to_string(), one.result.clone().map(|()| String::new()))),
        ),
        Ok(CommandResponse::AlterPartitionReassignments(partitions)) => lines(
            partitions
                .iter()
                .map(|one| (format!("{}-{}", one.topic, one.partition), one.result.clone().map(|()| String::new()))),
        ),
        Ok(_) => "ok\n".to_owned(),
    }
}

fn lines(results: impl Iterator<Item = (String, Result<String, CommandError>)>) -> String {
    let line = |(name, result)| match result {
        Ok(text) => format!("ok {name}{text}\n"),
        Err(error) => format!("! {name} {error}\n"),
    };
    let text: String = results.map(line).collect();
    if text.is_empty() { "ok nothing\n".to_owned() } else { text }
}

pub fn record(before: &MetadataImage, after: &MetadataImage, record: &MetadataRecord) -> String {
    let name = |id: TopicId| after.topic(id).or(before.topic(id)).unwrap().name.clone();
    let text = match record {
        MetadataRecord::NoOp => "nothing".to_owned(),
        MetadataRecord::Event(event) => {
            let broker = event.broker.map_or(String::new(), |broker| format!(" {broker}"));
            let detail = if event.detail.is_empty() { String::new() } else { format!(", {}", event.detail) };
            format!("because {}{broker}{detail}", event.kind.name())
        }
        MetadataRecord::ClusterId(id) => format!("cluster {id}"),
        MetadataRecord::FeatureLevel { name, level } => format!("feature {name} {level}"),
        MetadataRecord::RegisterController(controller) => {
            format!("controller {} at {} directory {}", controller.id, controller.endpoint, controller.directory_id)
        }
        MetadataRecord::RegisterBroker(broker) => {
            let rack = broker.rack.as_ref().map_or(String::new(), |rack| format!(" rack {rack}"));
            format!("broker {} epoch {}{rack} fenced {}", broker.id, broker.epoch, broker.fenced)
        }
        MetadataRecord::BrokerChange(BrokerChange { id, fenced, in_controlled_shutdown, log_dirs, .. }) => {
            let mut text = format!("broker {id}");
            let _ = fenced.map(|fenced| write!(text, " fenced {fenced}"));
            let _ = in_controlled_shutdown.map(|stopping| write!(text, " stopping {stopping}"));
            let number = |directory: &DirectoryId| u128::from_be_bytes(directory.to_bytes());
            let numbers = log_dirs.as_ref().map(|ids| ids.iter().map(number).collect::<Vec<_>>());
            let _ = numbers.map(|numbers| write!(text, " directories {numbers:?}"));
            text
        }
        MetadataRecord::UnregisterController { id } => format!("controller {id} gone"),
        MetadataRecord::UnregisterBroker { id, .. } => format!("broker {id} gone"),
        MetadataRecord::Topic { name, .. } => format!("topic {name}"),
        MetadataRecord::Partition { topic_id, partition, state } => {
            format!("partition {}-{partition} {}", name(*topic_id), partition_state(state))
        }
        MetadataRecord::PartitionChange(change) => {
            format!("partition {}-{} {}", name(change.topic_id), change.partition, partition_change(change))
        }
        MetadataRecord::RemoveTopic { id } => format!("topic {} gone", name(*id)),
        MetadataRecord::Config { resource, name, value } => {
            format!(
                "config of {resource}: {name}{}",
                value.as_ref().map_or(" gone".to_owned(), |value| format!(" = {value}"))
            )
        }
        MetadataRecord::ProducerIds { broker, next, .. } => format!("producer ids up to {next} for {broker}"),
    };
    format!("  {text}\n")
}

fn partition_state(state: &PartitionImage) -> String {
    let recovering = if state.leader_recovery == LeaderRecoveryState::Recovering { " recovering" } else { "" };
    let unclean = if state.unclean_epoch == LeaderEpoch::NONE {
        String::new()
    } else {
        format!(" unclean in {}", state.unclean_epoch)
    };
    format!(
        "replicas {:?} isr {:?}{}{}{}{} leader {}{recovering} epochs {}/{}{unclean}",
        state.replicas,
        state.isr,
        list("elr", &state.elr),
        list("last", &state.last_known_elr),
        list("adding", &state.adding),
        list("removing", &state.removing),
        state.leader,
        state.leader_epoch,
        state.partition_epoch
    )
}

fn list(name: &str, ids: &[BrokerId]) -> String {
    if ids.is_empty() { String::new() } else { format!(" {name} {ids:?}") }
}

fn partition_change(change: &PartitionChange) -> String {
    let mut text = String::new();
    let lists = [
        ("replicas", &change.replicas),
        ("isr", &change.isr),
        ("elr", &change.elr),
        ("last", &change.last_known_elr),
        ("adding", &change.adding),
        ("removing", &change.removing),
    ];
    if change.directories.is_some() && change.replicas.is_none() {
        text.push_str("other directory ");
    }
    for (name, ids) in lists {
        let _ = ids.as_ref().map(|ids| write!(text, "{name} {ids:?} "));
    }
    let _ = change.leader.map(|leader| write!(text, "leader {leader} "));
    let _ = change.leader_recovery.map(|state| write!(text, "{state:?} "));
    text + &format!("epochs {}/{}", change.leader_epoch, change.partition_epoch)
}

/// All partitions of a topic.
pub fn topic(image: &MetadataImage, name: &str) -> String {
    let topic = image.topic_by_name(name).unwrap();
    topic.iter().map(|(index, state)| format!("{index}: {}\n", partition_state(state))).collect()
}
