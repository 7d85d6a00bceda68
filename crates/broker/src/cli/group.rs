//! `highwater group`.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes};
use clap::{Args, Subcommand};
use highwater_protocol::StrBytes;
use highwater_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use highwater_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use highwater_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use highwater_protocol::messages::{
    ConsumerProtocolAssignment, DescribeGroupsRequest, GroupId, ListGroupsRequest, OffsetCommitRequest,
    OffsetFetchRequest,
};
use kafka_protocol::protocol::Decodable;
use serde_json::{Value, json};

use super::cluster_client::{ClusterClient, topic_name};
use super::output::{Column, Format, print_json, print_line, table};
use super::{ClientArgs, Failure};

/// ListOffsets' word for the high watermark.
const LATEST: i64 = -1;
/// Generation of a commit from outside the group: allowed while it has no members.
const NO_GENERATION: i32 = -1;
/// Highest version of the assignment that a consumer's leader writes.
const ASSIGNMENT_VERSION: i16 = 3;

/// Committed offsets by topic and partition.
pub(super) type Offsets = BTreeMap<(String, i32), i64>;

#[derive(Debug, Subcommand)]
pub(super) enum GroupCommand {
    /// List the consumer groups.
    List {
        #[command(flatten)]
        client: ClientArgs,
    },
    /// Show members, committed offsets and lag of a group.
    Describe(DescribeArgs),
}

#[derive(Debug, Args)]
pub(super) struct DescribeArgs {
    /// Id of the group.
    group: String,
    #[command(flatten)]
    client: ClientArgs,
}

pub(super) async fn run(command: GroupCommand) -> Result<(), Failure> {
    match command {
        GroupCommand::List { client } => list(client).await,
        GroupCommand::Describe(args) => describe(args).await,
    }
}

async fn list(args: ClientArgs) -> Result<(), Failure> {
    let mut client = args.connect().await?;
    client.metadata(Some(&[])).await?;
    let mut groups = BTreeMap::new();
    for broker in client.broker_ids() {
        let response = client.call_broker(broker, &ListGroupsRequest::default(), 0..=5).await?;
        if response.error_code != 0 {
            return Err(Failure::refused(&format!("broker {broker}"), response.error_code, None));
        }
        groups.extend(response.groups.into_iter().map(|group| (group.group_id.0.to_string(), (broker, group))));
    }
    match args.format() {
        Format::Json => print_json(
            &groups
                .iter()
                .map(|(id, (broker, group))| {
                    json!({
                        "group": id,
                        "state": group.group_state.as_str(),
                        "protocol_type": group.protocol_type.as_str(),
                        "coordinator": broker,
                    })
                })
                .collect(),
        ),
        Format::Table => {
            let columns =
                [Column::Text("GROUP"), Column::Text("STATE"), Column::Text("PROTOCOL"), Column::Number("COORDINATOR")];
            let rows = groups.into_iter().map(|(id, (broker, group))| {
                vec![id, group.group_state.to_string(), group.protocol_type.to_string(), broker.to_string()]
            });
            print_line(&table(&columns, rows.collect()))
        }
    }
}

/// One line of a group's description.
struct PartitionLine {
    topic: String,
    partition: i32,
    committed: Option<i64>,
    end: Option<i64>,
    member: Option<String>,
}

impl PartitionLine {
    fn lag(&self) -> Option<i64> {
        Some((self.end? - self.committed?).max(0))
    }
}

async fn describe(args: DescribeArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    let coordinator = client.coordinator(&args.group).await?;
    let request = DescribeGroupsRequest::default().with_groups(vec![group_id(&args.group)]);
    let response = client.call_broker(coordinator, &request, 0..=6).await?;
    let group =
        response.groups.into_iter().next().ok_or_else(|| Failure::new("the broker says nothing of the group"))?;
    if group.error_code != 0 {
        let message = group.error_message.as_ref().map(|message| message.as_str());
        return Err(Failure::refused(&format!("group {}", args.group), group.error_code, message));
    }
    let committed = committed_offsets(&mut client, &args.group).await?;
    if group.group_state.as_str() == "Dead" && committed.is_empty() {
        return Err(Failure::new(format!("group {} does not exist", args.group))
            .hint("`highwater group list` shows those that do"));
    }
    let lines = partition_lines(&mut client, &group, committed).await?;
    match args.client.format() {
        Format::Json => print_json(&group_json(&args.group, coordinator, &group, &lines)),
        Format::Table => print_line(&group_text(&args.group, coordinator, &group, lines)),
    }
}

async fn partition_lines(
    client: &mut ClusterClient,
    group: &DescribedGroup,
    committed: Offsets,
) -> Result<Vec<PartitionLine>, Failure> {
    let mut owners: BTreeMap<(String, i32), String> = BTreeMap::new();
    for member in &group.members {
        owners
            .extend(assigned_partitions(member).into_iter().map(|partition| (partition, member.member_id.to_string())));
    }
    let mut topics: Vec<String> = committed.keys().chain(owners.keys()).map(|(topic, _)| topic.clone()).collect();
    topics.dedup();
    topics.sort();
    topics.dedup();
    let mut ends = Offsets::new();
    for name in &topics {
        // A topic that was deleted since has no end.
        let Ok(topic) = client.topic(name).await else { continue };
        let leaders = topic.partitions.iter().filter(|one| one.leader_id.0 >= 0);
        let leaders = leaders.map(|one| (one.partition_index, one.leader_id.0)).collect();
        let offsets = client.list_offsets(name, &leaders, LATEST).await?;
        ends.extend(offsets.into_iter().map(|(partition, offset)| ((name.clone(), partition), offset)));
    }
    let mut keys: Vec<_> = committed.keys().chain(owners.keys()).cloned().collect();
    keys.sort();
    keys.dedup();
    let line = |key: (String, i32)| PartitionLine {
        committed: committed.get(&key).copied(),
        end: ends.get(&key).copied(),
        member: owners.get(&key).cloned(),
        topic: key.0,
        partition: key.1,
    };
    Ok(keys.into_iter().map(line).collect())
}

/// What a member of a consumer group was given; nothing for members of other kinds of groups.
fn assigned_partitions(member: &DescribedGroupMember) -> Vec<(String, i32)> {
    let mut assignment: Bytes = member.member_assignment.clone();
    if assignment.remaining() < 2 {
        return Vec::new();
    }
    let version = assignment.get_i16().clamp(0, ASSIGNMENT_VERSION);
    let Ok(assignment) = ConsumerProtocolAssignment::decode(&mut assignment, version) else { return Vec::new() };
    let of_topic = |topic: highwater_protocol::messages::consumer_protocol_assignment::TopicPartition| {
        let name = topic.topic.0.to_string();
        topic.partitions.into_iter().map(move |partition| (name.clone(), partition))
    };
    assignment.assigned_partitions.into_iter().flat_map(of_topic).collect()
}

fn group_text(id: &str, coordinator: i32, group: &DescribedGroup, lines: Vec<PartitionLine>) -> String {
    let protocol = [group.protocol_type.as_str(), group.protocol_data.as_str()].join(" ");
    let protocol = if protocol.trim().is_empty() { "-" } else { protocol.trim() };
    let head = format!(
        "group        {id}\nstate        {}\nprotocol     {protocol}\ncoordinator  {coordinator}\nmembers      {}",
        group.group_state.as_str(),
        group.members.len(),
    );
    let columns = [
        Column::Text("TOPIC"),
        Column::Number("PARTITION"),
        Column::Number("COMMITTED"),
        Column::Number("END"),
        Column::Number("LAG"),
        Column::Text("MEMBER"),
    ];
    let number = |number: Option<i64>| number.map_or("-".to_owned(), |number| number.to_string());
    let row = |line: PartitionLine| {
        let (committed, end, lag) = (number(line.committed), number(line.end), number(line.lag()));
        vec![line.topic, line.partition.to_string(), committed, end, lag, line.member.unwrap_or_else(|| "-".to_owned())]
    };
    format!("{head}\n\n{}", table(&columns, lines.into_iter().map(row).collect()))
}

fn group_json(id: &str, coordinator: i32, group: &DescribedGroup, lines: &[PartitionLine]) -> Value {
    let member = |member: &DescribedGroupMember| {
        json!({
            "member": member.member_id.as_str(),
            "client_id": member.client_id.as_str(),
            "host": member.client_host.as_str(),
            "instance_id": member.group_instance_id.as_ref().map(|id| id.as_str()),
        })
    };
    let partition = |line: &PartitionLine| {
        json!({
            "topic": line.topic,
            "partition": line.partition,
            "committed": line.committed,
            "end": line.end,
            "lag": line.lag(),
            "member": line.member,
        })
    };
    json!({
        "group": id,
        "state": group.group_state.as_str(),
        "protocol_type": group.protocol_type.as_str(),
        "protocol": group.protocol_data.as_str(),
        "coordinator": coordinator,
        "members": group.members.iter().map(member).collect::<Vec<_>>(),
        "partitions": lines.iter().map(partition).collect::<Vec<_>>(),
    })
}

fn group_id(group: &str) -> GroupId {
    GroupId(StrBytes::from_string(group.to_owned()))
}

/// All offsets that `group` has committed.
pub(super) async fn committed_offsets(client: &mut ClusterClient, group: &str) -> Result<Offsets, Failure> {
    let coordinator = client.coordinator(group).await?;
    let ask = OffsetFetchRequestGroup::default().with_group_id(group_id(group)).with_topics(None).with_member_epoch(-1);
    let request = OffsetFetchRequest::default().with_groups(vec![ask]);
    let response = client.call_broker(coordinator, &request, 8..=9).await?;
    let mut offsets = Offsets::new();
    for answer in response.groups {
        if answer.error_code != 0 {
            return Err(Failure::refused(&format!("group {group}"), answer.error_code, None));
        }
        for topic in answer.topics {
            let known = topic.partitions.iter().filter(|one| one.error_code == 0 && one.committed_offset >= 0);
            let name = topic.name.0.to_string();
            offsets.extend(known.map(|one| ((name.clone(), one.partition_index), one.committed_offset)));
        }
    }
    Ok(offsets)
}

/// Commits offsets from outside the group, which must have no members.
pub(super) async fn commit_offsets(
    client: &mut ClusterClient,
    group: &str,
    topic: &str,
    offsets: BTreeMap<i32, i64>,
) -> Result<(), Failure> {
    let coordinator = client.coordinator(group).await?;
    let partition = |(partition, offset): (i32, i64)| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(partition)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(-1)
            .with_committed_metadata(Some(StrBytes::from_static_str("")))
    };
    let partitions = offsets.into_iter().map(partition).collect();
    let topics = vec![OffsetCommitRequestTopic::default().with_name(topic_name(topic)).with_partitions(partitions)];
    let request = OffsetCommitRequest::default()
        .with_group_id(group_id(group))
        .with_generation_id_or_member_epoch(NO_GENERATION)
        .with_topics(topics);
    let response = client.call_broker(coordinator, &request, 2..=9).await?;
    let refused = response.topics.iter().flat_map(|topic| &topic.partitions).find(|one| one.error_code != 0);
    refused.map_or(Ok(()), |one| {
        let failure = Failure::refused(&format!("commit of group {group}"), one.error_code, None);
        Err(failure.hint("a group that has members takes commits from them only: stop them, or use another group"))
    })
}
