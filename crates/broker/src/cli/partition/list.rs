//! `highwater partition list`.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::client::{ClusterClient, Partition, Resource, Topic};
use crate::cli::output::{Column, Mood, Row, ids, or_dash, table};
use crate::cli::{ClientArgs, Failure};

const MIN_ISR: &str = "min.insync.replicas";

const EXAMPLES: &str = "\
Examples:
  highwater partition list                        # all
  highwater partition list orders
  highwater partition list --offline --under-min-isr --under-replicated   # whatever is unwell
  highwater partition list --leader 2 --json | jq length

Several states: partitions in any of them.";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ListArgs {
    /// Only these topics; all, internal ones too, by default.
    topics: Vec<String>,
    /// Those without a leader.
    #[arg(long)]
    offline: bool,
    /// Those with fewer in-sync replicas than min.insync.replicas: acks=all is refused.
    #[arg(long)]
    under_min_isr: bool,
    /// Those with just min.insync.replicas: the next failure stops acks=all.
    #[arg(long)]
    at_min_isr: bool,
    /// Those with replicas that are not in sync.
    #[arg(long)]
    under_replicated: bool,
    /// Those led by another replica than the first.
    #[arg(long)]
    not_preferred: bool,
    /// Only those that this broker leads.
    #[arg(long, value_name = "ID")]
    leader: Option<i32>,
    /// Only those that this broker holds.
    #[arg(long, value_name = "ID")]
    replica: Option<i32>,
    #[command(flatten)]
    client: ClientArgs,
}

/// A partition with what its topic asks of it.
#[derive(Debug, Clone)]
pub(crate) struct Judged {
    pub(crate) partition: Partition,
    pub(crate) min_isr: usize,
}

/// How a partition is, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Offline,
    UnderMinIsr,
    UnderReplicated,
    Healthy,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::UnderMinIsr => "under-min-isr",
            Self::UnderReplicated => "under-replicated",
            Self::Healthy => "healthy",
        }
    }
}

impl Judged {
    pub(crate) fn state(&self) -> State {
        match &self.partition {
            one if one.is_offline() => State::Offline,
            one if one.isr.len() < self.min_isr => State::UnderMinIsr,
            one if one.is_under_replicated() => State::UnderReplicated,
            _ => State::Healthy,
        }
    }
}

/// Partitions of topics with their `min.insync.replicas`.
pub(crate) async fn judge(client: &mut ClusterClient, topics: Vec<Topic>) -> Result<Vec<Judged>, Failure> {
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    let resources: Vec<Resource> = topics.iter().map(|topic| Resource::Topic(topic.name.clone())).collect();
    let configs = client.describe_all_configs(&resources, Some(&[MIN_ISR.to_owned()])).await?;
    let mut judged = Vec::new();
    for (topic, entries) in topics.into_iter().zip(configs) {
        let min_isr = entries.first().and_then(|entry| entry.value.as_ref()).and_then(|value| value.parse().ok());
        let min_isr: usize = min_isr.unwrap_or(1);
        // A topic with fewer replicas than that is asked for all of them (KIP-966).
        let of = |partition: Partition| Judged { min_isr: min_isr.min(partition.replicas.len().max(1)), partition };
        judged.extend(topic.partitions.into_iter().map(of));
    }
    Ok(judged)
}

pub(crate) async fn run(args: ListArgs) -> Result<(), Failure> {
    let mut client = args.client.connect().await?;
    let topics = client.topics(&args.topics).await?;
    let mut listed = judge(&mut client, topics).await?;
    listed.retain(|one| args.wants(one));
    args.client.print(|| listed.iter().map(partition_json).collect(), || text(&listed))
}

impl ListArgs {
    fn wants(&self, judged: &Judged) -> bool {
        let partition = &judged.partition;
        let states = [
            (self.offline, partition.is_offline()),
            (self.under_min_isr, partition.isr.len() < judged.min_isr),
            (self.at_min_isr, partition.isr.len() == judged.min_isr && partition.is_under_replicated()),
            (self.under_replicated, partition.is_under_replicated()),
            (self.not_preferred, !partition.has_preferred_leader()),
        ];
        let any_state = states.iter().all(|(asked, _)| !asked) || states.iter().any(|(asked, is)| *asked && *is);
        let led = self.leader.is_none_or(|leader| partition.leader == Some(leader));
        let held = self.replica.is_none_or(|replica| partition.replicas.contains(&replica));
        any_state && led && held
    }
}

fn text(listed: &[Judged]) -> String {
    if listed.is_empty() {
        return "no such partition".to_owned();
    }
    let columns = [
        Column::Text("TOPIC"),
        Column::Number("PARTITION"),
        Column::Number("LEADER"),
        Column::Text("REPLICAS"),
        Column::Text("ISR"),
        Column::Number("MIN ISR"),
        Column::Text("STATE"),
    ];
    let row = |judged: &Judged| {
        let partition = &judged.partition;
        let cells = vec![
            partition.id.topic.clone(),
            partition.id.partition.to_string(),
            or_dash(partition.leader),
            ids(&partition.replicas),
            ids(&partition.isr),
            judged.min_isr.to_string(),
            judged.state().name().to_owned(),
        ];
        let mood = match judged.state() {
            State::Offline | State::UnderMinIsr => Mood::Alarm,
            State::UnderReplicated => Mood::Attention,
            State::Healthy => Mood::Fine,
        };
        Row::new(cells, mood)
    };
    table(&columns, listed.iter().map(row))
}

fn partition_json(judged: &Judged) -> Value {
    let partition = &judged.partition;
    json!({
        "topic": partition.id.topic,
        "partition": partition.id.partition,
        "leader": partition.leader,
        "leader_epoch": partition.leader_epoch,
        "replicas": partition.replicas,
        "isr": partition.isr,
        "offline_replicas": partition.offline,
        "min_isr": judged.min_isr,
        "state": judged.state().name(),
    })
}

/// How many partitions are in each state.
pub(crate) fn count_states(partitions: &[Judged]) -> BTreeMap<State, usize> {
    let mut counts = BTreeMap::new();
    for judged in partitions {
        *counts.entry(judged.state()).or_insert(0) += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::client::TopicPartition;
    use crate::cli::output::plain;

    fn judged(partition: i32, leader: Option<i32>, isr: &[i32]) -> Judged {
        let partition = Partition {
            id: TopicPartition::new("t", partition),
            leader,
            leader_epoch: 4,
            replicas: vec![1, 2, 3],
            isr: isr.to_vec(),
            offline: Vec::new(),
        };
        Judged { partition, min_isr: 2 }
    }

    #[test]
    fn states_are_told_apart() {
        let listed = [
            judged(0, Some(1), &[1, 2, 3]),
            judged(1, Some(2), &[2, 3]),
            judged(2, Some(3), &[3]),
            judged(3, None, &[]),
        ];
        let expected = "\
TOPIC  PARTITION  LEADER  REPLICAS  ISR    MIN ISR  STATE
t              0       1  1,2,3     1,2,3        2  healthy
t              1       2  1,2,3     2,3          2  under-replicated
t              2       3  1,2,3     3            2  under-min-isr
t              3       -  1,2,3     -            2  offline";
        assert_eq!(plain(&text(&listed)), expected);
        assert_eq!(count_states(&listed).into_values().collect::<Vec<_>>(), [1, 1, 1, 1]);
    }
}
