//! `highwater group describe`: what is committed, what there is, and the difference.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use serde_json::{Value, json};

use super::members::member_json;
use crate::cli::client::{ClusterClient, Group, LATEST, TopicPartition};
use crate::cli::output::{Column, facts, or_dash, table};
use crate::cli::{ClientArgs, Failure};

const EXAMPLES: &str = "\
Examples:
  highwater group describe counters
  highwater group describe counters archive --json | jq '.[] | {group, lag}'
  highwater group describe --all";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DescribeArgs {
    /// Ids of the groups.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    groups: Vec<String>,
    /// All groups.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    client: ClientArgs,
}

/// How far a group is in a partition.
#[derive(Debug, Clone)]
pub(crate) struct PartitionLag {
    pub(crate) id: TopicPartition,
    pub(crate) committed: Option<i64>,
    /// The next offset to be written; `None` if the partition is gone or has no leader.
    pub(crate) end: Option<i64>,
    pub(crate) member: Option<String>,
}

impl PartitionLag {
    /// Records that are committed by their producers, but not by the group.
    pub(crate) fn lag(&self) -> Option<i64> {
        Some((self.end? - self.committed?).max(0))
    }
}

/// A group that must exist.
pub(crate) async fn existing_group(client: &mut ClusterClient, id: &str) -> Result<Group, Failure> {
    let group = client.describe_group(id).await?;
    if group.state == "Dead" && client.committed_offsets(id).await?.is_empty() {
        let failure = Failure::new(format!("group {id} does not exist"));
        return Err(failure.hint("`highwater group list` shows those that do"));
    }
    Ok(group)
}

pub(crate) async fn run(args: DescribeArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    let ids = match args.all {
        true => client.groups().await?.into_iter().map(|group| group.id).collect(),
        false => args.groups,
    };
    let mut described = Vec::new();
    for id in &ids {
        let group = existing_group(&mut client, id).await?;
        let lags = lags(&mut client, &group).await?;
        described.push((group, lags));
    }
    args.client.print(
        || described.iter().map(|(group, lags)| group_json(group, lags)).collect(),
        || described.iter().map(|(group, lags)| group_text(group, lags)).collect::<Vec<_>>().join("\n\n"),
    )
}

/// Every partition that a group has committed or that one of its members reads.
pub(crate) async fn lags(client: &mut ClusterClient, group: &Group) -> Result<Vec<PartitionLag>, Failure> {
    let committed = client.committed_offsets(&group.id).await?;
    let mut owners: BTreeMap<&TopicPartition, &str> = BTreeMap::new();
    for member in &group.members {
        owners.extend(member.partitions.iter().map(|partition| (partition, member.id.as_str())));
    }
    let all: BTreeSet<TopicPartition> = committed.keys().chain(owners.keys().copied()).cloned().collect();
    let names: BTreeSet<String> = all.iter().map(|id| id.topic.clone()).collect();
    // A topic that was deleted since has no end.
    let topics = client.existing_topics(&Vec::from_iter(names)).await?;
    let partitions: Vec<_> =
        topics.into_iter().flat_map(|topic| topic.partitions).filter(|one| all.contains(&one.id)).collect();
    let ends = client.offsets_at(&partitions, LATEST).await?;
    let lag = |id: &TopicPartition| PartitionLag {
        committed: committed.get(id).copied(),
        end: ends.get(id).map(|found| found.offset),
        member: owners.get(id).map(|member| (*member).to_owned()),
        id: id.clone(),
    };
    Ok(all.iter().map(lag).collect())
}

fn total(lags: &[PartitionLag]) -> i64 {
    lags.iter().filter_map(PartitionLag::lag).sum()
}

fn group_text(group: &Group, lags: &[PartitionLag]) -> String {
    let protocol = [group.protocol_type.as_str(), group.protocol.as_str()].join(" ");
    let head = facts([
        ("group", group.id.clone()),
        ("state", group.state.clone()),
        ("protocol", if protocol.trim().is_empty() { "-".to_owned() } else { protocol.trim().to_owned() }),
        ("coordinator", group.coordinator.to_string()),
        ("members", group.members.len().to_string()),
        ("lag", total(lags).to_string()),
    ]);
    let columns = [
        Column::Text("TOPIC"),
        Column::Number("PARTITION"),
        Column::Number("COMMITTED"),
        Column::Number("END"),
        Column::Number("LAG"),
        Column::Text("MEMBER"),
    ];
    let row = |lag: &PartitionLag| {
        let (committed, end, behind) = (or_dash(lag.committed), or_dash(lag.end), or_dash(lag.lag()));
        let partition = lag.id.partition.to_string();
        vec![lag.id.topic.clone(), partition, committed, end, behind, or_dash(lag.member.as_ref())]
    };
    format!("{head}\n\n{}", table(&columns, lags.iter().map(row)))
}

fn group_json(group: &Group, lags: &[PartitionLag]) -> Value {
    let partition = |lag: &PartitionLag| {
        json!({
            "topic": lag.id.topic,
            "partition": lag.id.partition,
            "committed": lag.committed,
            "end": lag.end,
            "lag": lag.lag(),
            "member": lag.member,
        })
    };
    json!({
        "group": group.id,
        "state": group.state,
        "protocol_type": group.protocol_type,
        "protocol": group.protocol,
        "coordinator": group.coordinator,
        "lag": total(lags),
        "members": group.members.iter().map(member_json).collect::<Vec<_>>(),
        "partitions": lags.iter().map(partition).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::plain;

    #[test]
    fn lag_is_summed_where_it_is_known() {
        let group = Group {
            id: "g".into(),
            state: "Stable".into(),
            protocol_type: "consumer".into(),
            protocol: "range".into(),
            coordinator: 2,
            members: Vec::new(),
        };
        let lag = |partition, committed, end, member: Option<&str>| PartitionLag {
            id: TopicPartition::new("t", partition),
            committed,
            end,
            member: member.map(str::to_owned),
        };
        let lags =
            [lag(0, Some(3), Some(10), Some("m-1")), lag(1, None, Some(5), None), lag(2, Some(9), Some(8), None)];
        let expected = "\
group        g
state        Stable
protocol     consumer range
coordinator  2
members      0
lag          7

TOPIC  PARTITION  COMMITTED  END  LAG  MEMBER
t              0          3   10    7  m-1
t              1          -    5    -  -
t              2          9    8    0  -";
        assert_eq!(plain(&group_text(&group, &lags)), expected);
        let json = group_json(&group, &lags);
        assert_eq!((json["lag"].as_i64(), json["partitions"][1]["lag"].is_null()), (Some(7), true));
    }
}
