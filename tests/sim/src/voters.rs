//! An administrator of the quorum: gives votes and takes them while faults are active, also that of the active controller.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use highwater_protocol::messages::add_raft_voter_request::Listener;
use highwater_protocol::messages::describe_quorum_request::{PartitionData as AskedPartition, TopicData};
use highwater_protocol::messages::describe_quorum_response::{PartitionData, ReplicaState};
use highwater_protocol::messages::{AddRaftVoterRequest, DescribeQuorumRequest, RemoveRaftVoterRequest, TopicName};
use highwater_protocol::{KafkaRequest, StrBytes};
use highwater_types::ErrorCode;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::cluster::address;
use crate::plan::NODES;

/// Fewer voters are never asked for: a disk may be lost at any time, and two voters do not bear that.
const LEAST_VOTERS: usize = 3;
/// A voter that the active controller did not hear of for so long has lost its disk, once all nodes run.
const LOST_AFTER_MS: i64 = 5000;
/// A voter that was not heard of for so long, several heartbeats, may have lost its disk a moment ago.
const HEARD_WITHIN_MS: i64 = 1000;
/// For so long a node tries to have a vote taken, whoever has been asked meanwhile.
const REMOVED_WITHIN: Duration = Duration::from_secs(30);
/// Attempts to give all controllers a vote in the end.
const ATTEMPTS: usize = 400;
const PAUSE: Duration = Duration::from_millis(100);

/// What is asked of the quorum.
pub struct VoterAdministrator {
    rng: SmallRng,
    controllers: BTreeSet<i32>,
    next: usize,
    /// What was asked for without an answer that tells whether it is over. It may be carried out yet, or taken back: what the
    /// quorum says of its voters meanwhile is no ground for another change.
    in_doubt: Option<(Change, ReplicaState)>,
    /// When a vote was asked to be taken without such an answer. What was asked again since may be carried out twice.
    maybe_under_way: Vec<Instant>,
}

/// What is asked for of a controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Add,
    Remove,
}

impl VoterAdministrator {
    /// `controllers` are the ids of all there are.
    pub fn new(seed: u64, controllers: impl Iterator<Item = usize>) -> Self {
        let controllers = controllers.map(|id| id as i32).collect();
        let rng = SmallRng::seed_from_u64(seed ^ 0x0853_u64.rotate_left(40));
        Self { rng, controllers, next: 0, in_doubt: None, maybe_under_way: Vec::new() }
    }

    /// Acts until `stop`. Then takes the vote of one more, the active controller's if the dice say so, and gives all controllers
    /// that run a vote.
    pub async fn run(mut self, stop: impl Fn() -> bool) -> Result<()> {
        while !stop() {
            sleep(Duration::from_millis(self.rng.random_range(100..1500))).await;
            // Whether it succeeds depends on the faults; what is asked is valid at any time.
            let _ = self.change().await;
        }
        let mut to_remove = true;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            match self.settle(&mut to_remove).await {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            }
            sleep(PAUSE).await;
        }
        bail!("not all controllers were given a vote: {last:?}")
    }

    /// Asks for one change.
    pub async fn change(&mut self) -> Result<()> {
        self.end_doubt().await?;
        let quorum = self.describe().await?;
        let observers: Vec<_> = controllers_without_vote(&quorum).collect();
        match observers.choose(&mut self.rng) {
            Some(observer) if self.rng.random_bool(0.7) => self.ask_for(Change::Add, observer).await,
            _ => self.remove_one(&quorum).await,
        }
    }

    async fn remove_one(&mut self, quorum: &PartitionData) -> Result<()> {
        self.maybe_under_way.retain(|asked| asked.elapsed() < REMOVED_WITHIN);
        ensure!(quorum.current_voters.len() > LEAST_VOTERS + self.maybe_under_way.len(), "they are few, or may be");
        let leader = quorum.current_voters.iter().find(|voter| voter.replica_id == quorum.leader_id);
        let any = quorum.current_voters.choose(&mut self.rng);
        let voter = if self.rng.random_bool(0.4) { leader } else { any };
        self.ask_for(Change::Remove, voter.context("no voters")?).await
    }

    /// Asks again for what is in doubt, unless the directory that was to have a vote is gone.
    async fn end_doubt(&mut self) -> Result<()> {
        let Some((change, whose)) = self.in_doubt.clone() else { return Ok(()) };
        if change == Change::Add {
            let quorum = self.describe().await?;
            let mut known = quorum.current_voters.iter().chain(&quorum.observers);
            if !known.any(|one| one.replica_directory_id == whose.replica_directory_id) {
                self.in_doubt = None;
                return Ok(());
            }
        }
        self.ask_for(change, &whose).await
    }

    /// One step towards votes for all controllers, and for no directory that is lost.
    pub async fn settle(&mut self, to_remove: &mut bool) -> Result<()> {
        self.end_doubt().await?;
        let quorum = self.describe().await?;
        let now = quorum.current_voters.iter().map(|voter| voter.last_fetch_timestamp).max().unwrap_or(-1);
        let silent_for = |voter: &ReplicaState| now - voter.last_fetch_timestamp;
        if let Some(lost) = quorum.current_voters.iter().find(|voter| silent_for(voter) > LOST_AFTER_MS) {
            self.ask_for(Change::Remove, lost).await?;
            bail!("controller {} was lost", lost.replica_id.0);
        }
        if let Some(observer) = controllers_without_vote(&quorum).next() {
            self.ask_for(Change::Add, observer).await?;
            bail!("controller {} has got a vote", observer.replica_id.0);
        }
        let voters: BTreeSet<i32> = quorum.current_voters.iter().map(|voter| voter.replica_id.0).collect();
        ensure!(voters == self.controllers, "{voters:?} vote");
        let silent = quorum.current_voters.iter().find(|voter| silent_for(voter) > HEARD_WITHIN_MS);
        ensure!(silent.is_none(), "whether {silent:?} lost its disk is not known");
        if std::mem::take(to_remove) {
            self.remove_one(&quorum).await?;
            bail!("the one without a vote comes back");
        }
        Ok(())
    }

    async fn ask<R: KafkaRequest>(&mut self, version: i16, request: &R) -> Result<R::Response> {
        self.next = (self.next + 1) % NODES;
        Client::connect(&address(self.next)).await?.call(version, request).await
    }

    async fn describe(&mut self) -> Result<PartitionData> {
        let topic = TopicData::default()
            .with_topic_name(TopicName(StrBytes::from_static_str("__cluster_metadata")))
            .with_partitions(vec![AskedPartition::default().with_partition_index(0)]);
        let answer = self.ask(2, &DescribeQuorumRequest::default().with_topics(vec![topic])).await?;
        ensure!(answer.error_code == 0, "not described: {}", answer.error_code);
        answer.topics.into_iter().flat_map(|topic| topic.partitions).next().context("no answer")
    }

    async fn ask_for(&mut self, change: Change, whose: &ReplicaState) -> Result<()> {
        self.in_doubt = Some((change, whose.clone()));
        if change == Change::Remove {
            self.maybe_under_way.push(Instant::now());
        }
        let (code, message) = match change {
            Change::Add => self.add(whose).await?,
            Change::Remove => self.remove(whose).await?,
        };
        let over = [ErrorCode::None, ErrorCode::DuplicateVoter, ErrorCode::VoterNotFound, ErrorCode::InvalidRequest];
        if over.map(ErrorCode::code).contains(&code) {
            self.in_doubt = None;
            if change == Change::Remove {
                self.maybe_under_way.pop();
            }
        }
        ensure!(code == 0, "{change:?} of {}: {code} {message:?}", whose.replica_id.0);
        Ok(())
    }

    async fn add(&mut self, observer: &ReplicaState) -> Result<(i16, Option<StrBytes>)> {
        let listener = Listener::default()
            .with_name(StrBytes::from_static_str("CONTROLLER"))
            .with_host(StrBytes::from_static_str("where-it-said"))
            .with_port(9093);
        let request = AddRaftVoterRequest::default()
            .with_cluster_id(None)
            .with_timeout_ms(2000)
            .with_voter_id(observer.replica_id.0)
            .with_voter_directory_id(observer.replica_directory_id)
            .with_listeners(vec![listener]);
        let answer = self.ask(0, &request).await?;
        Ok((answer.error_code, answer.error_message))
    }

    async fn remove(&mut self, voter: &ReplicaState) -> Result<(i16, Option<StrBytes>)> {
        let request = RemoveRaftVoterRequest::default()
            .with_cluster_id(None)
            .with_voter_id(voter.replica_id.0)
            .with_voter_directory_id(voter.replica_directory_id);
        let answer = self.ask(0, &request).await?;
        Ok((answer.error_code, answer.error_message))
    }
}

/// Brokers that follow have no metadata directory.
fn controllers_without_vote(quorum: &PartitionData) -> impl Iterator<Item = &ReplicaState> {
    quorum.observers.iter().filter(|observer| !observer.replica_directory_id.is_nil())
}
