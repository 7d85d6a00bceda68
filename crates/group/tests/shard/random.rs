//! Seeded clients against one shard, with failed appends, fail-overs, silent members and zombies.
//!
//! Checked after every step:
//! - P15: within a generation no partition is assigned to two members;
//! - P14: a committed offset never goes back, although zombies keep committing old ones;
//! - what another broker would read back from the log equals what this one holds;
//! - every request is answered exactly once (those of a shard that was dropped excepted).
//!
//! Clients behave like Kafka's: rejoin when told, commit what they own, forget everything when fenced.

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::{Event, Harness};
use highwater_group::*;
use highwater_types::{ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId};
use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};

const GROUP: &str = "g";
const PARTITIONS: i32 = 6;
const CLIENTS: usize = 6;

/// One consumer, as far as it matters here.
#[derive(Debug, Clone, Default)]
struct Client {
    instance: Option<String>,
    member_id: String,
    generation: i32,
    phase: Phase,
    owned: BTreeSet<i32>,
    /// Members the leader must assign.
    to_assign: Vec<String>,
    /// Next offset of each partition it owns.
    positions: BTreeMap<i32, i64>,
    /// Sends nothing until then.
    silent_until_ms: u64,
    /// Identity of a static member before its restart; fenced by its next join.
    previous: Option<(String, i32)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    #[default]
    Unjoined,
    Joining,
    Joined,
    Syncing,
    Stable,
}

struct World {
    seed: u64,
    harness: Harness,
    /// Another broker that reads along.
    mirror: GroupCoordinatorShard,
    /// How much of the log it has read.
    mirrored: usize,
    rng: SmallRng,
    clients: Vec<Client>,
    /// Requests without an answer: who sent them.
    open: BTreeMap<Token, usize>,
    /// A state that was accepted before the client was fenced: commits with it must fail.
    zombies: Vec<(String, i32)>,
    /// generation -> partition -> owner (static id or member id), as handed out by SyncGroup.
    owners: BTreeMap<(i32, i32), String>,
    committed: BTreeMap<i32, i64>,
    /// The last group record could not be appended, so the log holds an older generation.
    log_is_behind: bool,
    answered: usize,
    stable_generations: BTreeSet<i32>,
}

#[test]
fn invariants_hold_for_many_seeds() {
    let mut answered = 0;
    let mut generations = 0;
    for seed in 0..150 {
        let world = World::run(seed, 1_500);
        answered += world.answered;
        generations += world.stable_generations.len();
    }
    // The test must have tested something.
    assert!(answered > 80_000 && generations > 900, "{answered} answers, {generations} generations");
}

#[test]
fn equal_seeds_give_equal_logs() {
    for seed in [3, 77] {
        assert_eq!(World::run(seed, 300).harness.log, World::run(seed, 300).harness.log, "seed {seed}");
    }
}

impl World {
    fn run(seed: u64, steps: usize) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let ids: Box<dyn RngCore> = Box::new(SmallRng::seed_from_u64(seed ^ 0xabcd));
        let config = GroupConfig {
            initial_rebalance_delay_ms: rng.random_range(0..2) * 3000,
            max_size: rng.random_range(3..8),
            ..GroupConfig::default()
        };
        let clients = (0..CLIENTS)
            .map(|index| Client { instance: (index % 3 == 2).then(|| format!("static-{index}")), ..Client::default() });
        let mut world = Self {
            seed,
            mirror: GroupCoordinatorShard::new(config.clone()),
            mirrored: 0,
            harness: Harness::new(config, ids),
            clients: clients.collect(),
            rng,
            open: BTreeMap::new(),
            zombies: Vec::new(),
            owners: BTreeMap::new(),
            committed: BTreeMap::new(),
            log_is_behind: false,
            answered: 0,
            stable_generations: BTreeSet::new(),
        };
        for _ in 0..steps {
            world.step();
            world.check();
        }
        world.finish();
        world
    }

    fn step(&mut self) {
        let index = self.rng.random_range(0..CLIENTS);
        match self.rng.random_range(0..1000) {
            0..3 => return self.fail_over(),
            3..20 => {
                let errors = [ErrorCode::NotEnoughReplicas, ErrorCode::MessageTooLarge, ErrorCode::KafkaStorageError];
                self.harness.fail_next = Some(errors[self.rng.random_range(0..errors.len())]);
            }
            20..30 => self.clients[index].silent_until_ms = self.harness.now_ms + self.rng.random_range(5_000..60_000),
            30..40 => return self.restart(index),
            40..50 => return self.leave(index),
            50..120 => {
                let ms = self.rng.random_range(1..4_000);
                let events = self.harness.sleep(ms);
                return self.on_events(events);
            }
            120..160 => return self.commit_as_zombie(),
            _ => {}
        }
        let waits = self.open.values().any(|&owner| owner == index);
        if !waits && self.clients[index].silent_until_ms <= self.harness.now_ms {
            self.act(index);
        }
    }

    /// The next request a client would send.
    fn act(&mut self, index: usize) {
        let client = self.clients[index].clone();
        let request = match client.phase {
            Phase::Unjoined => join_request(&client, self.rng.random_range(0..10) < 8),
            Phase::Joined => sync_request(&client),
            Phase::Stable if self.rng.random_range(0..2) == 0 => self.commit_request(index),
            Phase::Stable => Request::Heartbeat(HeartbeatRequest {
                group_id: GROUP.into(),
                generation_id: client.generation,
                member_id: client.member_id.clone(),
                group_instance_id: client.instance.clone(),
            }),
            Phase::Joining | Phase::Syncing => return,
        };
        match client.phase {
            Phase::Unjoined => self.clients[index].phase = Phase::Joining,
            Phase::Joined => self.clients[index].phase = Phase::Syncing,
            _ => {}
        }
        self.send(index, request);
    }

    fn commit_request(&mut self, index: usize) -> Request {
        let client = &mut self.clients[index];
        let mut partitions = Vec::new();
        for &partition in &client.owned {
            let position = client.positions.entry(partition).or_default();
            *position += 1;
            partitions.push((partition, *position));
        }
        commit(&client.member_id, client.generation, client.instance.clone(), &partitions)
    }

    fn send(&mut self, index: usize, request: Request) {
        let commits = committed_positions(&request);
        let (token, events) = self.harness.request(request);
        self.open.insert(token, index);
        let accepted = events.iter().any(|event| {
            matches!(event, Event::Answered(reply) if reply.token == token
            && matches!(&reply.response, Response::OffsetCommit(commit) if all_ok(commit)))
        });
        if accepted {
            for (partition, offset) in commits {
                let previous = self.committed.insert(partition, offset);
                assert!(previous <= Some(offset), "seed {}: partition {partition} went back to {offset}", self.seed);
            }
        }
        self.on_events(events);
    }

    /// Offset 0 with a generation and id that were fenced: would go back.
    fn commit_as_zombie(&mut self) {
        if self.zombies.is_empty() {
            return;
        }
        let (member_id, generation) = self.zombies[self.rng.random_range(0..self.zombies.len())].clone();
        let partitions: Vec<_> = (0..PARTITIONS).map(|partition| (partition, 0)).collect();
        let (_, events) = self.harness.request(commit(&member_id, generation, None, &partitions));
        for event in events {
            if let Event::Answered(Reply { response: Response::OffsetCommit(response), .. }) = event {
                assert!(!all_ok(&response), "seed {}: a zombie committed in generation {generation}", self.seed);
            }
        }
    }

    fn restart(&mut self, index: usize) {
        // A dynamic member stays one until its session ends, a static one until it is replaced.
        let client = &mut self.clients[index];
        let instance = client.instance.clone();
        let previous = instance.is_some().then(|| (client.member_id.clone(), client.generation));
        let previous = previous.filter(|(member_id, _)| !member_id.is_empty()).or(client.previous.take());
        *client = Client { instance, previous, ..Client::default() };
        // What it had sent is answered to nobody.
        for owner in self.open.values_mut().filter(|owner| **owner == index) {
            *owner = usize::MAX;
        }
    }

    fn leave(&mut self, index: usize) {
        let client = self.clients[index].clone();
        if client.member_id.is_empty() || client.instance.is_some() {
            return;
        }
        let member = LeaveGroupMember { member_id: client.member_id, group_instance_id: None, reason: None };
        let request = Request::LeaveGroup(LeaveGroupRequest { group_id: GROUP.into(), members: vec![member] });
        self.send(index, request);
        self.reset(index);
    }

    fn fail_over(&mut self) {
        // Requests that waited are answered NOT_COORDINATOR by the runtime; their clients start over.
        for index in std::mem::take(&mut self.open).into_values().filter(|index| *index < CLIENTS) {
            let phase = &mut self.clients[index].phase;
            match phase {
                Phase::Joining | Phase::Syncing => *phase = Phase::Unjoined,
                Phase::Unjoined | Phase::Joined | Phase::Stable => {}
            }
        }
        self.log_is_behind = false;
        self.harness.fail_next = None;
        // A member that was removed without a new generation in the log is a member again, as in Kafka.
        self.zombies.clear();
        let events = self.harness.fail_over();
        self.on_events(events);
    }

    fn on_events(&mut self, events: Vec<Event>) {
        for event in events {
            match event {
                Event::Answered(reply) => self.on_reply(reply),
                Event::Appended(records) if is_group_record(&records) => self.log_is_behind = false,
                Event::Refused(records, _) if is_group_record(&records) => self.log_is_behind = true,
                Event::Appended(_) | Event::Refused(..) => {}
            }
        }
    }

    fn on_reply(&mut self, reply: Reply) {
        let index = self.open.remove(&reply.token);
        let index = index.unwrap_or_else(|| panic!("seed {}: {:?} was answered twice", self.seed, reply.token));
        self.answered += 1;
        if index >= CLIENTS {
            return;
        }
        match reply.response {
            Response::JoinGroup(response) => self.on_join_answer(index, response),
            Response::SyncGroup(response) => self.on_sync_answer(index, response),
            Response::Heartbeat(error) => self.on_error(index, error),
            Response::OffsetCommit(response) => {
                let first = response.topics.iter().flat_map(|topic| &topic.partitions).next();
                self.on_error(index, first.map_or(ErrorCode::None, |partition| partition.error));
            }
            _ => {}
        }
    }

    fn on_join_answer(&mut self, index: usize, response: JoinGroupResponse) {
        let client = &mut self.clients[index];
        match response.error {
            ErrorCode::None => {
                if client.generation < response.generation_id {
                    // Commits of the generation before may still be on their way.
                    self.zombies.push((response.member_id.clone(), client.generation));
                }
                client.member_id = response.member_id;
                client.generation = response.generation_id;
                client.phase = Phase::Joined;
                self.zombies.extend(client.previous.take());
                let ids = response.members.into_iter().map(|member| member.member_id);
                client.to_assign = if response.skip_assignment { Vec::new() } else { ids.collect() };
            }
            ErrorCode::MemberIdRequired => {
                client.member_id = response.member_id;
                client.phase = Phase::Unjoined;
            }
            error => {
                client.phase = Phase::Unjoined;
                self.on_error(index, error);
            }
        }
    }

    fn on_sync_answer(&mut self, index: usize, response: SyncGroupResponse) {
        if response.error != ErrorCode::None {
            self.clients[index].phase = Phase::Unjoined;
            return self.on_error(index, response.error);
        }
        let offsets: BTreeMap<i32, i64> = self.offsets_of(&self.harness.shard);
        let client = &mut self.clients[index];
        client.phase = Phase::Stable;
        client.owned = response.assignment.iter().map(|&partition| i32::from(partition)).collect();
        client.positions = client.owned.iter().map(|p| (*p, offsets.get(p).copied().unwrap_or(0))).collect();
        let owner = client.instance.clone().unwrap_or_else(|| client.member_id.clone());
        let generation = client.generation;
        self.stable_generations.insert(generation);
        for partition in client.owned.clone() {
            let previous = self.owners.entry((generation, partition)).or_insert_with(|| owner.clone());
            assert_eq!(previous, &owner, "seed {}: partition {partition} in generation {generation}", self.seed);
        }
    }

    fn on_error(&mut self, index: usize, error: ErrorCode) {
        match error {
            ErrorCode::UnknownMemberId | ErrorCode::FencedInstanceId | ErrorCode::GroupMaxSizeReached => {
                self.reset(index)
            }
            ErrorCode::IllegalGeneration | ErrorCode::RebalanceInProgress => {
                let phase = &mut self.clients[index].phase;
                if *phase == Phase::Stable {
                    *phase = Phase::Unjoined;
                }
            }
            _ => {}
        }
    }

    /// The client is told that it is no member: from now on its old identity is a zombie's.
    fn reset(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if !client.member_id.is_empty() {
            self.zombies.push((client.member_id.clone(), client.generation));
        }
        let silent_until_ms = client.silent_until_ms;
        *client = Client { instance: client.instance.clone(), silent_until_ms, ..Client::default() };
        for owner in self.open.values_mut().filter(|owner| **owner == index) {
            *owner = usize::MAX;
        }
    }

    fn check(&mut self) {
        let seed = self.seed;
        for record in &self.harness.log[self.mirrored..] {
            self.mirror.replay(&record.key, record.value.as_deref()).expect("own records can be read back");
        }
        self.mirrored = self.harness.log.len();
        let (here, there) = (&self.harness.shard, &self.mirror);
        assert!(here.committed_offsets().eq(there.committed_offsets()), "seed {seed}: offsets differ from the log");
        assert_eq!(self.offsets_of(here), self.committed, "seed {seed}: offsets are not those acknowledged");
        let group = here.describe_group(GROUP);
        if (group.state == "Stable" || group.state == "Empty") && !self.log_is_behind {
            let stored = there.describe_group(GROUP);
            assert_eq!(group, stored, "seed {seed}: the group differs from the log");
        }
    }

    /// Once nobody sends anything, every request is answered and every member gone.
    fn finish(&mut self) {
        self.harness.fail_next = None;
        let events = self.harness.sleep(3_600_000);
        self.on_events(events);
        assert!(self.open.is_empty(), "seed {}: {} requests are never answered", self.seed, self.open.len());
        let group = self.harness.shard.describe_group(GROUP);
        assert!(group.members.is_empty(), "seed {}: {group:?}", self.seed);
    }

    fn offsets_of(&self, shard: &GroupCoordinatorShard) -> BTreeMap<i32, i64> {
        shard.committed_offsets().map(|committed| (committed.partition.0, committed.offset.0)).collect()
    }
}

fn join_request(client: &Client, requires_known_member_id: bool) -> Request {
    let metadata = bytes::Bytes::from_static(&[0, 0, 0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 0]);
    let protocol = |name: &str| JoinGroupProtocol { name: name.into(), metadata: metadata.clone() };
    Request::JoinGroup(JoinGroupRequest {
        group_id: GROUP.into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 20_000,
        member_id: client.member_id.clone(),
        group_instance_id: client.instance.clone(),
        protocol_type: "consumer".into(),
        protocols: vec![protocol("range"), protocol("sticky")],
        reason: None,
        client_id: "client".into(),
        client_host: "/127.0.0.1".into(),
        requires_known_member_id,
        supports_skip_assignment: true,
    })
}

/// The leader deals partitions out in turn.
fn sync_request(client: &Client) -> Request {
    let members = client.to_assign.iter().enumerate();
    let deal = |index: usize| -> Vec<u8> {
        (0..PARTITIONS as usize).filter(|p| p % client.to_assign.len() == index).map(|p| p as u8).collect()
    };
    let assignments = members
        .map(|(index, member_id)| SyncGroupAssignment { member_id: member_id.clone(), assignment: deal(index).into() });
    Request::SyncGroup(SyncGroupRequest {
        group_id: GROUP.into(),
        generation_id: client.generation,
        member_id: client.member_id.clone(),
        group_instance_id: client.instance.clone(),
        protocol_type: None,
        protocol_name: None,
        assignments: assignments.collect(),
    })
}

fn commit(member_id: &str, generation_id: i32, instance: Option<String>, partitions: &[(i32, i64)]) -> Request {
    let partition = |&(partition, offset): &(i32, i64)| OffsetCommitPartition {
        partition: PartitionIndex(partition),
        committed_offset: Offset(offset),
        committed_leader_epoch: LeaderEpoch::NONE,
        committed_metadata: None,
    };
    let partitions = partitions.iter().map(partition).collect();
    Request::OffsetCommit(OffsetCommitRequest {
        group_id: GROUP.into(),
        generation_id,
        member_id: member_id.into(),
        group_instance_id: instance,
        retention_time_ms: None,
        knows_group_id_not_found: true,
        topics: vec![OffsetCommitTopic { name: "t".into(), topic_id: TopicId::ZERO, partitions }],
    })
}

fn committed_positions(request: &Request) -> Vec<(i32, i64)> {
    let Request::OffsetCommit(commit) = request else { return Vec::new() };
    let partitions = commit.topics.iter().flat_map(|topic| &topic.partitions);
    partitions.map(|partition| (partition.partition.0, partition.committed_offset.0)).collect()
}

fn all_ok(response: &OffsetCommitResponse) -> bool {
    response.topics.iter().flat_map(|topic| &topic.partitions).all(|partition| partition.error == ErrorCode::None)
}

fn is_group_record(records: &[CoordinatorRecord]) -> bool {
    records.iter().any(|record| record.key.starts_with(&[0, 2]))
}
