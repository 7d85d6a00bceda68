//! Reassignments that belong together: shown, started a few at a time, and waited for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::Failure;
use crate::cli::client::{ClusterClient, Partition, TopicPartition};
use crate::cli::output::{Column, ids, table};
use crate::cli::progress::Progress;

/// Pause between two looks at what is under way.
const POLL_PAUSE: Duration = Duration::from_millis(300);
/// Looks after which a move that nobody lists and that did not happen counts as cancelled. The broker that is asked may learn of it
/// later than the controller that accepted it.
const QUIET_POLLS: u32 = 20;

/// New replicas of partitions, with those they have now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Moves {
    targets: BTreeMap<TopicPartition, Vec<i32>>,
    before: BTreeMap<TopicPartition, Vec<i32>>,
    rate: Option<i64>,
}

impl Moves {
    /// `targets`, of partitions that are as in `now`.
    pub(crate) fn new(targets: BTreeMap<TopicPartition, Vec<i32>>, now: &[Partition]) -> Self {
        let before = now.iter().filter(|one| targets.contains_key(&one.id));
        let before = before.map(|one| (one.id.clone(), one.replicas.clone())).collect();
        Self { targets, before, rate: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.targets.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    pub(crate) fn ids(&self) -> Vec<TopicPartition> {
        self.targets.keys().cloned().collect()
    }

    pub(crate) fn text(&self) -> String {
        let columns = [
            Column::Text("TOPIC"),
            Column::Number("PARTITION"),
            Column::Text("REPLICAS NOW"),
            Column::Text("NEW REPLICAS"),
        ];
        let row = |(id, replicas): (&TopicPartition, &Vec<i32>)| {
            let before = self.before.get(id).map_or(&[][..], Vec::as_slice);
            vec![id.topic.clone(), id.partition.to_string(), ids(before), ids(replicas)]
        };
        table(&columns, self.targets.iter().map(row))
    }

    pub(crate) fn json(&self) -> Value {
        let one = |(id, replicas): (&TopicPartition, &Vec<i32>)| {
            json!({
                "topic": id.topic,
                "partition": id.partition,
                "replicas_before": self.before.get(id),
                "replicas": replicas,
            })
        };
        self.targets.iter().map(one).collect()
    }

    /// Bytes per second that each broker sends to, and takes in for, replicas that are added. The controller removes the limit
    /// when the last reassignment ends.
    pub(crate) fn throttled_at(self, bytes_per_second: Option<u64>) -> Self {
        Self { rate: bytes_per_second.map(|rate| i64::try_from(rate).unwrap_or(i64::MAX)), ..self }
    }

    /// Starts all moves and does not wait for them.
    pub(crate) async fn start(&self, client: &mut ClusterClient) -> Result<(), Failure> {
        let targets = self.targets.iter().map(|(id, replicas)| (id.clone(), Some(replicas.clone()))).collect();
        let outcomes = client.alter_reassignments(&targets, self.rate).await?;
        Failure::all(outcomes.into_values().filter_map(Result::err).collect()).map_or(Ok(()), Err)
    }

    /// Carries the moves out, at most `at_once` at a time, and waits until each is complete.
    pub(crate) async fn carry_out(&self, client: &mut ClusterClient, at_once: usize) -> Result<(), Failure> {
        let progress = Progress::new(self.targets.len() as u64, "moving partitions");
        let mut waiting: Vec<&TopicPartition> = self.targets.keys().rev().collect();
        let mut moving: BTreeSet<TopicPartition> = BTreeSet::new();
        let mut quiet: BTreeMap<TopicPartition, u32> = BTreeMap::new();
        let mut refused = BTreeMap::new();
        while !waiting.is_empty() || !moving.is_empty() {
            let room = at_once.saturating_sub(moving.len()).min(waiting.len());
            let next: BTreeMap<_, _> = waiting
                .split_off(waiting.len() - room)
                .into_iter()
                .map(|id| (id.clone(), Some(self.targets[id].clone())))
                .collect();
            if !next.is_empty() {
                for (id, outcome) in client.alter_reassignments(&next, self.rate).await? {
                    match outcome {
                        Ok(()) => drop(moving.insert(id)),
                        Err(failure) => drop(refused.insert(id, failure)),
                    }
                }
            }
            tokio::time::sleep(POLL_PAUSE).await;
            let under_way: BTreeSet<TopicPartition> =
                client.reassignments().await?.into_iter().map(|one| one.id).collect();
            let now = self.replicas_now(client).await?;
            moving.retain(|id| {
                if under_way.contains(id) {
                    quiet.remove(id);
                    return true;
                }
                let polls = quiet.entry(id.clone()).or_insert(0);
                *polls += 1;
                now.get(id) != self.targets.get(id) && *polls < QUIET_POLLS
            });
            progress.done((self.targets.len() - waiting.len() - moving.len()) as u64);
        }
        drop(progress);
        let changed = self.check(client, |id| !refused.contains_key(id)).await?;
        Failure::all(refused.into_values().chain(changed).collect()).map_or(Ok(()), Err)
    }

    async fn replicas_now(&self, client: &mut ClusterClient) -> Result<BTreeMap<TopicPartition, Vec<i32>>, Failure> {
        let names: BTreeSet<String> = self.targets.keys().map(|id| id.topic.clone()).collect();
        let topics = client.existing_topics(&Vec::from_iter(names)).await?;
        let partitions = topics.into_iter().flat_map(|topic| topic.partitions);
        Ok(partitions.filter(|one| self.targets.contains_key(&one.id)).map(|one| (one.id, one.replicas)).collect())
    }

    /// A reassignment that nobody lists any more was completed, or cancelled by somebody else.
    async fn check(
        &self,
        client: &mut ClusterClient,
        was_begun: impl Fn(&TopicPartition) -> bool,
    ) -> Result<Option<Failure>, Failure> {
        let now = self.replicas_now(client).await?;
        let other = now.iter().filter(|(id, replicas)| was_begun(id) && self.targets.get(*id) != Some(*replicas));
        let other: Vec<String> = other.map(|(id, replicas)| format!("{id} has replicas {}", ids(replicas))).collect();
        let failure = || {
            Failure::new(format!("not as asked for: {}", other.join("; ")))
                .hint("somebody else cancelled or changed the reassignment: `highwater partition reassignments`")
        };
        Ok((!other.is_empty()).then(failure))
    }
}
