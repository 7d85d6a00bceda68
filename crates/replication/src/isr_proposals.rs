//! Sends the proposals of all partitions to the controller, many in one command.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use highwater_env::lock::Mutex;
use highwater_partition::{Event, IsrAnswer, IsrChange};
use highwater_types::{BrokerId, ErrorCode, TopicIdPartition};
use tokio::sync::Notify;

use crate::backoff::Backoff;
use crate::node::Node;
use crate::partition::Partition;
use crate::{AlterPartitionOutcome, AlterPartitionSender, IsrProposal};

/// Most proposals in one command: one decision is one Raft entry and must stay small.
const BATCH: usize = 1000;

/// Proposals that were not sent yet. A partition has one in flight: its core proposes again only after an answer.
#[derive(Default)]
pub(crate) struct IsrProposals {
    waiting: Mutex<BTreeMap<TopicIdPartition, (Arc<Partition>, IsrChange)>>,
    notify: Notify,
}

impl IsrProposals {
    /// Sends this one soon. It replaces one of the same partition that was not sent yet.
    pub fn add(&self, partition: Arc<Partition>, change: IsrChange) {
        self.waiting.lock().insert(partition.id, (partition, change));
        self.notify.notify_one();
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.waiting.lock().clear();
    }

    async fn take(&self) -> Vec<(Arc<Partition>, IsrChange)> {
        loop {
            {
                let mut waiting = self.waiting.lock();
                if !waiting.is_empty() {
                    let count = waiting.len().min(BATCH);
                    return std::iter::from_fn(|| waiting.pop_first().map(|(_, entry)| entry)).take(count).collect();
                }
            }
            self.notify.notified().await;
        }
    }
}

/// Runs until it is aborted.
pub(crate) async fn send_proposals(queue: Arc<IsrProposals>, node: Arc<Node>, sender: Arc<dyn AlterPartitionSender>) {
    let mut backoff = Backoff::reconnect();
    loop {
        let changes = queue.take().await;
        let proposals = changes.iter().map(|(partition, change)| proposal(partition.id, change)).collect();
        let answers: Vec<IsrAnswer> = match sender.alter_partition(proposals).await {
            Ok(results) if results.len() == changes.len() => {
                results.into_iter().map(|result| answer(node.config.node_id, result)).collect()
            }
            Ok(_) => vec![IsrAnswer::Unknown; changes.len()],
            Err(code) => {
                tracing::debug!(code = code.name(), count = changes.len(), "outcome of ISR changes unknown");
                vec![IsrAnswer::Unknown; changes.len()]
            }
        };
        let failed = answers.iter().filter(|answer| !matches!(answer, IsrAnswer::Accepted { .. })).count();
        node.counters.failed_isr_updates.fetch_add(failed as u64, Ordering::Relaxed);
        if failed < answers.len() {
            tracing::info!(partitions = answers.len() - failed, "in-sync replicas changed");
        }
        // Before the answers are taken in: what they make the partitions propose again waits for the pause.
        if failed == 0 {
            backoff.reset();
        } else {
            backoff.pause().await;
        }
        for ((partition, change), answer) in changes.into_iter().zip(answers) {
            let IsrChange { leader_epoch, partition_epoch, .. } = change;
            partition.step(Event::IsrAnswered { leader_epoch, partition_epoch, answer });
        }
    }
}

fn proposal(partition: TopicIdPartition, change: &IsrChange) -> IsrProposal {
    IsrProposal {
        partition,
        leader_epoch: change.leader_epoch,
        partition_epoch: change.partition_epoch,
        new_isr: change.isr.clone(),
        leader_recovering: false,
    }
}

/// What a result says about the outcome. Whatever is not known to be final is in doubt.
fn answer(node_id: BrokerId, result: Result<AlterPartitionOutcome, ErrorCode>) -> IsrAnswer {
    match result {
        Ok(outcome) if outcome.leader == node_id => IsrAnswer::Accepted {
            isr: outcome.isr,
            elr: outcome.elr,
            leader_epoch: outcome.leader_epoch,
            partition_epoch: outcome.partition_epoch,
        },
        // The controller knows a newer state, which is on its way here.
        Ok(_) => IsrAnswer::Stale,
        Err(
            ErrorCode::FencedLeaderEpoch
            | ErrorCode::InvalidUpdateVersion
            | ErrorCode::NewLeaderElected
            | ErrorCode::UnknownTopicId
            | ErrorCode::UnknownTopicOrPartition,
        ) => IsrAnswer::Stale,
        Err(ErrorCode::IneligibleReplica | ErrorCode::OperationNotAttempted | ErrorCode::InvalidRequest) => {
            IsrAnswer::Refused
        }
        Err(_) => IsrAnswer::Unknown,
    }
}
