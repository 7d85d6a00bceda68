//! Four nodes, of which three hold the partition, the network between them, and the shell around each core.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use highwater_types::{BrokerEpoch, BrokerId, LeaderEpoch, MonoMs, Offset, PartitionEpoch};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::controller::{BROKERS, Controller, brokers, index};
use super::log::{Entry, ModelLog};
use crate::{
    Action, Actions, Durability, Event, IsrAnswer, IsrChange, Mutation, OpenCheck, OpenedFollower, Replica, RoleKind,
    SessionId, Settings, check_open,
};

/// What travels. A session's messages stay in order; everything else overtakes.
#[derive(Debug, Clone)]
pub(super) enum Body {
    Open {
        leader_epoch: LeaderEpoch,
        broker_epoch: BrokerEpoch,
        log_end: Offset,
        flushed: Offset,
        last_epoch: LeaderEpoch,
    },
    OpenReply {
        leader_epoch: LeaderEpoch,
        check: OpenCheck,
        high_watermark: Offset,
        log_start: Offset,
    },
    Push {
        leader_epoch: LeaderEpoch,
        base: i64,
        entries: Vec<Entry>,
        high_watermark: Offset,
        log_start: Offset,
    },
    Ack {
        leader_epoch: LeaderEpoch,
        log_end: Offset,
        flushed: Offset,
    },
    Closed,
    Metadata(Box<Controller>),
    Propose(IsrChange),
    Answer {
        leader_epoch: LeaderEpoch,
        partition_epoch: PartitionEpoch,
        answer: IsrAnswer,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Message {
    pub from: BrokerId,
    /// `None`: the controller.
    pub to: Option<BrokerId>,
    /// The session whose order it keeps; 0 for metadata; `None` for what overtakes.
    pub stream: Option<u64>,
    pub body: Body,
}

#[derive(Debug, Default)]
pub(super) struct Node {
    /// `None` while the process is down.
    pub core: Option<Replica>,
    pub log: ModelLog,
    /// High watermark checkpoint on disk.
    pub checkpoint: i64,
    pub broker_epoch: BrokerEpoch,
    /// The process stopped in order, with everything on disk.
    pub stopped_in_order: bool,
    /// As follower: the session with the leader.
    pub session: Option<(SessionId, BrokerId)>,
    /// As leader: next offset to push, by follower.
    pub senders: BTreeMap<BrokerId, (SessionId, i64)>,
    /// acks=all appends that wait: (required high watermark, offset, entry).
    pub parked: Vec<(i64, Entry)>,
    /// Proposals without an answer.
    pub outstanding: Vec<(LeaderEpoch, PartitionEpoch)>,
}

/// What is slow in this run. Bugs hide behind one slow thing at a time; all things equally slow find few of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Profile {
    /// Chance that a message to or from the controller is left for later when its turn comes.
    pub slow_control: f64,
    /// The same for acknowledgements.
    pub slow_acks: f64,
    /// The same for the messages of one follower.
    pub slow_follower: (BrokerId, f64),
    /// Chance per step that leadership moves although nothing failed.
    pub moves: f64,
    /// Chance per step that a reassignment begins, changes or is cancelled.
    pub reassigns: f64,
    /// Chance per step that `min.insync.replicas` changes.
    pub configures: f64,
    /// What counts as held.
    pub durability: Durability,
}

impl Profile {
    fn random(rng: &mut SmallRng) -> Self {
        let mut slow = || if rng.random_bool(0.5) { 0.0 } else { rng.random_range(0.5..0.98) };
        let (slow_control, slow_acks, slow_one) = (slow(), slow(), slow());
        let one = BrokerId(rng.random_range(0..BROKERS));
        let moves = [0.004, 0.02, 0.06][rng.random_range(0..3)];
        let reassigns = [0.0, 0.0, 0.01, 0.03][rng.random_range(0..4)];
        let configures = [0.0, 0.01][rng.random_range(0..2)];
        let durability = if rng.random_bool(0.25) { Durability::Relaxed } else { Durability::Strict };
        let slow_follower = (one, slow_one);
        Self { slow_control, slow_acks, slow_follower, moves, reassigns, configures, durability }
    }

    /// Chance that this message is left for later.
    pub fn delay(&self, message: &Message) -> f64 {
        let follower = match &message.body {
            Body::Push { .. } | Body::OpenReply { .. } => message.to,
            _ => Some(message.from),
        };
        let by_follower = if follower == Some(self.slow_follower.0) { self.slow_follower.1 } else { 0.0 };
        match &message.body {
            Body::Metadata(_) | Body::Propose(_) | Body::Answer { .. } => self.slow_control,
            Body::Ack { .. } => self.slow_acks.max(by_follower),
            _ => by_follower,
        }
    }
}

pub(super) struct Cluster {
    pub profile: Profile,
    pub rng: SmallRng,
    pub now: MonoMs,
    pub nodes: Vec<Node>,
    pub controller: Controller,
    pub network: VecDeque<Message>,
    pub mutation: Option<Mutation>,
    pub trace: bool,
    next_session: u64,
    next_value: u32,
    // What the checks remember.
    pub committed: Vec<Entry>,
    pub acked: BTreeSet<i64>,
    pub exposed: i64,
    pub leaders: BTreeMap<LeaderEpoch, BrokerId>,
}

impl Cluster {
    pub fn new(seed: u64, mutation: Option<Mutation>, trace: bool) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mut cluster = Self {
            profile: Profile::random(&mut rng),
            rng,
            now: MonoMs(1_000),
            nodes: (0..BROKERS).map(|_| Node::default()).collect(),
            controller: Controller::new(),
            network: VecDeque::new(),
            mutation,
            trace,
            next_session: 1,
            next_value: 0,
            committed: Vec::new(),
            acked: BTreeSet::new(),
            exposed: 0,
            leaders: BTreeMap::new(),
        };
        for broker in brokers() {
            cluster.nodes[index(broker)].broker_epoch = cluster.controller.broker_epochs[index(broker)];
            cluster.boot(broker);
        }
        cluster.publish_metadata();
        cluster
    }

    pub fn log_line(&self, line: impl FnOnce() -> String) {
        if self.trace {
            println!("{:?} {}", self.now, line());
        }
    }

    /// What a broker obeys that has heard of that minimum.
    pub fn settings(&self, min_isr: usize) -> Settings {
        Settings { durability: self.profile.durability, min_isr, lag_max: Duration::from_millis(300) }
    }

    fn boot(&mut self, broker: BrokerId) {
        let settings = self.settings(self.controller.min_isr);
        let node = &mut self.nodes[index(broker)];
        let core = Replica::new(broker, settings, node.log.cursors(), Offset(node.checkpoint));
        node.core = Some(core.with_mutation(self.mutation));
    }

    /// The process and the machine stop: unflushed entries are lost but for the first few.
    pub fn crash(&mut self, broker: BrokerId) {
        let node = &mut self.nodes[index(broker)];
        let unflushed = node.log.end() - node.log.flushed();
        let kept = self.rng.random_range(0..=unflushed);
        node.log.crash(kept);
        *node = Node { log: std::mem::take(&mut node.log), checkpoint: node.checkpoint, ..Node::default() };
        self.network.retain(|message| message.to != Some(broker));
        self.log_line(|| format!("crash {broker}"));
    }

    /// The process stops in order: everything is on disk.
    pub fn stop(&mut self, broker: BrokerId) {
        let node = &mut self.nodes[index(broker)];
        node.log.flush(i64::MAX);
        let (log, checkpoint) = (std::mem::take(&mut node.log), node.checkpoint);
        *node = Node { log, checkpoint, stopped_in_order: true, ..Node::default() };
        self.network.retain(|message| message.to != Some(broker));
        self.log_line(|| format!("stop {broker}"));
    }

    pub fn restart(&mut self, broker: BrokerId) {
        // P10: with strict durability what it acknowledged was flushed.
        let in_order = std::mem::take(&mut self.nodes[index(broker)].stopped_in_order);
        let may_have_lost = !in_order && self.profile.durability == Durability::Relaxed;
        let epoch = self.controller.register(broker, may_have_lost, &mut self.rng);
        self.nodes[index(broker)].broker_epoch = epoch;
        self.boot(broker);
        self.log_line(|| format!("restart {broker} with epoch {epoch}"));
        self.publish_metadata();
    }

    pub fn publish_metadata(&mut self) {
        // A slow broker skips states, as one does that is sent the latest image.
        if self.rng.random_bool(0.5) {
            self.network.retain(|message| !matches!(message.body, Body::Metadata(_)));
        }
        for broker in brokers().filter(|&broker| self.nodes[index(broker)].core.is_some()) {
            let body = Body::Metadata(Box::new(self.controller.clone()));
            self.network.push_back(Message { from: broker, to: Some(broker), stream: Some(0), body });
        }
    }

    /// Feeds one event to a core and carries out what it wants.
    pub fn step(&mut self, broker: BrokerId, event: Event) {
        let mut actions = Actions::new();
        let Some(core) = &mut self.nodes[index(broker)].core else { return };
        if self.trace {
            println!("{:?} {broker} <- {event:?}", self.now);
        }
        core.step(self.now, event, &mut actions);
        for action in actions {
            if self.trace {
                println!("{:?} {broker} -> {action:?}", self.now);
            }
            self.act(broker, action);
        }
    }

    fn act(&mut self, broker: BrokerId, action: Action) {
        let node = &mut self.nodes[index(broker)];
        match action {
            Action::StartLeaderEpoch { leader_epoch, start } => {
                node.log.start_epoch(leader_epoch, start.get());
                let other = self.leaders.insert(leader_epoch, broker);
                assert!(other.is_none_or(|other| other == broker), "P7: two leaders in epoch {leader_epoch}");
            }
            Action::Resign => {
                node.senders.clear();
                self.forget_if_offline(broker);
            }
            Action::Follow { .. } | Action::StopFollowing => {
                node.session = None;
                self.forget_if_offline(broker);
            }
            Action::HighWatermarkMoved { high_watermark, enough_in_sync } => {
                let (done, parked) = node.parked.iter().partition(|(offset, _)| *offset < high_watermark.get());
                node.parked = parked;
                self.on_commit(broker, done, enough_in_sync);
            }
            Action::ProposeIsr(change) => {
                node.outstanding.push((change.leader_epoch, change.partition_epoch));
                self.network.push_back(Message { from: broker, to: None, stream: None, body: Body::Propose(change) });
            }
            Action::IsrCommitted { .. } => {}
            Action::TruncateTo { offset } => {
                self.check_truncation(broker, offset);
                let node = &mut self.nodes[index(broker)];
                node.log.truncate(offset.get());
                node.parked.retain(|(parked, _)| *parked < offset.get());
                self.reopen(broker);
            }
            Action::StartAt { offset } => {
                node.log.start_at(offset.get());
                node.parked.clear();
                self.reopen(broker);
            }
            Action::RefuseTruncation { offset, high_watermark } => {
                panic!("P9: {broker} was to cut at {offset}, below its high watermark {high_watermark}")
            }
            Action::AdvanceLogStart { log_start } => {
                node.log.set_log_start(log_start.get());
                self.step(broker, Event::LogStartMoved { log_start });
            }
            Action::Acknowledge { log_end, flushed } => self.acknowledge(broker, log_end, flushed),
        }
    }

    fn forget_if_offline(&mut self, broker: BrokerId) {
        let node = &mut self.nodes[index(broker)];
        if node.core.as_ref().is_none_or(|core| core.role() == RoleKind::Offline) {
            node.parked.clear();
        }
    }

    fn reopen(&mut self, broker: BrokerId) {
        let node = &mut self.nodes[index(broker)];
        node.session = None;
        let cursors = node.log.cursors();
        self.step(broker, Event::Truncated { cursors });
    }

    fn acknowledge(&mut self, broker: BrokerId, log_end: Offset, flushed: Offset) {
        let node = &self.nodes[index(broker)];
        let (Some((session, leader)), Some(core)) = (node.session, &node.core) else { return };
        let body = Body::Ack { leader_epoch: core.leader_epoch(), log_end, flushed };
        self.network.push_back(Message { from: broker, to: Some(leader), stream: Some(session.0), body });
    }

    /// The follower opens the partition with its leader, if it is not open.
    pub fn open(&mut self, broker: BrokerId) {
        let node = &mut self.nodes[index(broker)];
        let Some(core) = &node.core else { return };
        if !core.wants_open() || node.session.is_some() {
            return;
        }
        let session = SessionId(self.next_session);
        self.next_session += 1;
        node.session = Some((session, core.leader()));
        let cursors = node.log.cursors();
        let body = Body::Open {
            leader_epoch: core.leader_epoch(),
            broker_epoch: node.broker_epoch,
            log_end: cursors.log_end,
            flushed: cursors.flushed,
            last_epoch: node.log.latest_epoch(),
        };
        self.network.push_back(Message { from: broker, to: Some(core.leader()), stream: Some(session.0), body });
    }

    /// The stream to the leader breaks; the leader may or may not notice.
    pub fn break_link(&mut self, broker: BrokerId) {
        let node = &mut self.nodes[index(broker)];
        let Some((session, leader)) = node.session.take() else { return };
        // What the follower sent may still be read by the leader.
        self.network.retain(|message| message.stream != Some(session.0) || message.to == Some(leader));
        if self.rng.random_bool(0.5) {
            let body = Body::Closed;
            self.network.push_back(Message { from: broker, to: Some(leader), stream: Some(session.0), body });
        }
        self.step(broker, Event::LinkLost);
    }

    /// A client appends one record to whoever takes itself for the leader.
    pub fn append(&mut self, broker: BrokerId) {
        let acks_all = self.rng.random_bool(0.7);
        let node = &mut self.nodes[index(broker)];
        let Some(core) = &node.core else { return };
        let Ok(epoch) = core.check_append(acks_all) else { return };
        let entry = Entry { epoch, value: self.next_value };
        self.next_value += 1;
        if acks_all {
            node.parked.push((node.log.end(), entry));
        }
        node.log.append(entry);
        let log_end = node.log.cursors().log_end;
        self.step(broker, Event::Appended { log_end });
    }

    /// The leader pushes what one follower lacks, or just its positions.
    pub fn push(&mut self, broker: BrokerId, follower: BrokerId) {
        let count = self.rng.random_range(0..4);
        let node = &mut self.nodes[index(broker)];
        let (Some(core), Some((session, next))) = (&node.core, node.senders.get_mut(&follower)) else { return };
        let base = *next;
        if base < node.log.start() {
            return;
        }
        let entries = node.log.from(base, count);
        *next += entries.len() as i64;
        let body = Body::Push {
            leader_epoch: core.leader_epoch(),
            base,
            entries,
            high_watermark: core.high_watermark(),
            log_start: node.log.cursors().log_start,
        };
        self.network.push_back(Message { from: broker, to: Some(follower), stream: Some(session.0), body });
    }

    pub fn flush(&mut self, broker: BrokerId, to: i64) {
        let node = &mut self.nodes[index(broker)];
        if node.core.is_some() {
            node.log.flush(to);
            let flushed = node.log.cursors().flushed;
            self.step(broker, Event::Flushed { flushed });
        }
    }

    /// Hands over one message.
    pub fn deliver(&mut self, message: Message) {
        let Message { from, to, stream, body } = message;
        match (to, body) {
            (None, Body::Propose(change)) => {
                let answer = self.controller.alter(from, &change, &mut self.rng);
                self.log_line(|| format!("controller: {change:?} from {from}: {answer:?}"));
                let body =
                    Body::Answer { leader_epoch: change.leader_epoch, partition_epoch: change.partition_epoch, answer };
                self.network.push_back(Message { from, to: Some(from), stream: None, body });
                self.publish_metadata();
            }
            (Some(to), Body::Metadata(state)) => self.on_metadata(to, &state),
            (Some(to), Body::Answer { leader_epoch, partition_epoch, answer }) => {
                let outstanding = &mut self.nodes[index(to)].outstanding;
                // An attempt that timed out has been answered already.
                if let Some(position) = outstanding.iter().position(|&key| key == (leader_epoch, partition_epoch)) {
                    outstanding.remove(position);
                    self.step(to, Event::IsrAnswered { leader_epoch, partition_epoch, answer });
                }
            }
            (Some(to), body) => self.on_stream(from, to, SessionId(stream.expect("a session")), body),
            (None, body) => unreachable!("{body:?} to the controller"),
        }
    }

    fn on_metadata(&mut self, to: BrokerId, state: &Controller) {
        // A broker acts only on metadata that knows its own registration.
        if state.broker_epochs[index(to)] != self.nodes[index(to)].broker_epoch {
            return;
        }
        if !state.replicas.contains(&to) {
            self.delete(to);
            return;
        }
        self.step(to, Event::ActiveBrokers(state.active()));
        self.step(to, Event::Assigned(state.assignment()));
        self.step(to, Event::Configured(self.settings(state.min_isr)));
    }

    /// The partition was moved away from this broker.
    fn delete(&mut self, broker: BrokerId) {
        let node = &mut self.nodes[index(broker)];
        if node.log.end() == 0 && node.core.as_ref().is_some_and(|core| core.role() == RoleKind::Offline) {
            return;
        }
        *node = Node { broker_epoch: node.broker_epoch, ..Node::default() };
        self.boot(broker);
        self.log_line(|| format!("delete the replica of {broker}"));
    }

    fn on_stream(&mut self, from: BrokerId, to: BrokerId, session: SessionId, body: Body) {
        let node = &mut self.nodes[index(to)];
        let Some(core) = &node.core else { return };
        match body {
            Body::Open { leader_epoch, broker_epoch, log_end, flushed, last_epoch } => {
                if core.role() != RoleKind::Leader || core.leader_epoch() != leader_epoch {
                    return;
                }
                let mut check = check_open(core.cursors(), log_end, last_epoch, node.log.epoch_end(last_epoch));
                if self.mutation == Some(Mutation::NoTruncation) && matches!(check, OpenCheck::Diverged(_)) {
                    check = OpenCheck::Accept;
                }
                if check == OpenCheck::Accept {
                    node.senders.insert(from, (session, log_end.get()));
                    let follower = OpenedFollower { replica: from, broker_epoch, session, log_end, flushed };
                    self.step(to, Event::FollowerOpened { leader_epoch, follower });
                }
                let node = &self.nodes[index(to)];
                let high_watermark = node.core.as_ref().map_or(Offset::ZERO, Replica::high_watermark);
                let body =
                    Body::OpenReply { leader_epoch, check, high_watermark, log_start: node.log.cursors().log_start };
                self.network.push_back(Message { from: to, to: Some(from), stream: Some(session.0), body });
            }
            Body::OpenReply { leader_epoch, check, high_watermark, log_start } => {
                if node.session != Some((session, from)) {
                    return;
                }
                let event = match check {
                    OpenCheck::Accept => Event::OpenAccepted { leader_epoch, high_watermark, log_start },
                    OpenCheck::Diverged(leader) => {
                        Event::Diverged { leader_epoch, leader, local: node.log.epoch_end(leader.epoch) }
                    }
                    OpenCheck::OutOfRange { log_start } => Event::OutOfRange { leader_epoch, log_start },
                };
                self.step(to, event);
            }
            Body::Push { leader_epoch, base, entries, high_watermark, log_start } => {
                if node.session != Some((session, from)) || !core.accepts_push(leader_epoch) || base != node.log.end() {
                    return;
                }
                for entry in entries {
                    node.log.append(entry);
                }
                let log_end = node.log.cursors().log_end;
                self.step(to, Event::Appended { log_end });
                self.step(to, Event::LeaderMoved { leader_epoch, high_watermark, log_start });
            }
            Body::Ack { leader_epoch, log_end, flushed } => {
                self.step(to, Event::FollowerAcked { replica: from, session, leader_epoch, log_end, flushed });
            }
            Body::Closed => {
                if node.senders.get(&from).is_some_and(|&(open, _)| open == session) {
                    node.senders.remove(&from);
                }
                self.step(to, Event::FollowerClosed { replica: from, session });
            }
            Body::Metadata(_) | Body::Propose(_) | Body::Answer { .. } => unreachable!("not a stream's message"),
        }
    }
}
