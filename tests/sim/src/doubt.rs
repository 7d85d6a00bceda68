//! A change of the ISR in doubt, as TCP can make one: a request is on its way to the controller when its connection stalls; the
//! broker gives the connection up and asks again on another one; what was on the first one arrives after the answer to the second.
//!
//! Faults that are drawn do not meet in this way, so this one looks at the nodes and does each step when the one before has worked:
//! 1. a follower dies and starts again, cut from its leader: it is unfenced, but not in sync;
//! 2. it is cut from the controllers, and shortly before they fence it, the leader does not hear them any more either;
//! 3. the follower comes back to the leader, which proposes that it joins: the headers arrive, the rest is held under way, with all
//!    that comes later on the connections that there are, while new connections work;
//! 4. the leader gives up the old connections and asks again; the controller refuses, for the follower is fenced;
//! 5. the follower comes back to the controllers, which unfence it, and is cut from the leader, which asks for nothing therefore;
//! 6. the rest of the first proposal arrives. A leader that has forgotten it counts without the follower, which is in the
//!    controller's ISR now;
//! 7. the other two die, so that the follower leads if the controllers take it to be in sync. Then acknowledged records are lost.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use highwater_broker::NodeInspection;
use highwater_env::CrashMode;
use highwater_metadata::MetadataImage;
use highwater_replication::PartitionStatus;
use highwater_types::{BrokerId, PartitionIndex};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use turmoil::{Protocol, Segment, SentRef, Sim};

use crate::cluster::{SimCluster, host, id};
use crate::plan::NODES;
use crate::workload::{PARTITIONS, TOPIC};

/// After a broker is cut off, the controllers fence it between eight and nine seconds later: its heartbeats come every second, and the
/// session lasts for nine.
const DEAF_AFTER: Range<u64> = 6_300..7_000;
/// From when the leader is deaf until the follower can come back. The leader looks for other controllers after three seconds, and
/// gives its connections up after six. A controller gives a connection up six seconds after the headers of the proposal: the time
/// between the two is what the last steps have.
const BACK_AFTER: Range<u64> = 700..1_000;
/// From the new connection to the active controller until it has answered on it.
const ANSWERED_WITHIN: Duration = Duration::from_millis(200);
/// What was held arrives in this time, a message of each connection at a time, and has taken effect.
const ARRIVES_WITHIN: Duration = Duration::from_millis(200);
/// For how long the follower is the only broker.
const ALONE_FOR: Range<u64> = 500..1_500;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The topic's replicas come in sync.
    Forming,
    /// The follower is dead.
    Dead,
    /// It registers again.
    Returning,
    /// It is cut from the controllers; at this time the leader becomes deaf.
    Cut {
        deaf_at: Duration,
    },
    /// The leader is deaf; at this time the follower comes back to it.
    Deaf {
        back_at: Duration,
    },
    /// The follower comes back.
    Back,
    /// The proposal is held.
    Held,
    /// The leader came with a new connection; at this time it knows that it was refused.
    AskedAgain {
        refused_at: Duration,
    },
    /// The controllers unfence the follower.
    Unfencing,
    /// What the leader had sent arrives; the old connections hear of nothing else.
    Arriving {
        until: Duration,
    },
    /// The other brokers are dead.
    Alone {
        until: Duration,
    },
    Over,
}

/// The fault.
pub struct Doubt {
    rng: SmallRng,
    stage: Stage,
    /// When it has to be over.
    until: Duration,
    partition: PartitionIndex,
    /// Brokers, from 0.
    leader: usize,
    follower: usize,
    controllers: Range<usize>,
    /// Both directions of the connections that were opened since others are held.
    opened: BTreeSet<(SocketAddr, SocketAddr)>,
    /// Connections that there were before, on which one more message of the leader arrived since: the headers, where it proposes.
    heard: BTreeSet<(SocketAddr, SocketAddr)>,
}

impl Doubt {
    /// One that is over at `until`. The seed decides on partition and follower, and on some times.
    pub fn new(seed: u64, cluster: &SimCluster, until: Duration) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed ^ 0xd0b7_u64.rotate_left(40));
        let partition = PartitionIndex(rng.random_range(0..PARTITIONS));
        let (stage, controllers) = (Stage::Forming, cluster.controllers());
        Self {
            rng,
            stage,
            until,
            partition,
            leader: 0,
            follower: 0,
            controllers,
            opened: BTreeSet::new(),
            heard: BTreeSet::new(),
        }
    }

    /// Does what is due, after each tick.
    pub fn step(&mut self, sim: &mut Sim<'_>, cluster: &mut SimCluster, nodes: &[NodeInspection]) {
        let now = sim.elapsed();
        if self.stage == Stage::Over {
            return;
        }
        if now >= self.until {
            return self.end(sim, cluster);
        }
        let Some(image) = nodes.iter().map(|node| &node.image).max_by_key(|image| image.offset()) else { return };
        let stage = self.stage;
        self.stage = match stage {
            Stage::Forming if self.choose(image) => {
                sim.partition(host(self.follower), host(self.leader));
                cluster.crash(sim, self.follower, CrashMode::Keep, 0);
                Stage::Dead
            }
            Stage::Dead if !image.is_unfenced(broker(self.follower)) => {
                cluster.restart(sim, self.follower);
                Stage::Returning
            }
            Stage::Returning if image.is_unfenced(broker(self.follower)) && self.follows(nodes) => {
                self.each_controller(|controller| sim.partition(controller, host(self.follower)));
                Stage::Cut { deaf_at: now + self.draw(DEAF_AFTER) }
            }
            Stage::Cut { deaf_at } if now >= deaf_at => {
                self.each_controller(|controller| sim.partition_oneway(controller, host(self.leader)));
                Stage::Deaf { back_at: now + self.draw(BACK_AFTER) }
            }
            Stage::Arriving { until } if now >= until => {
                // Then the controllers find out at once that the leader is dead.
                self.forget_held(sim);
                (0..NODES)
                    .filter(|&node| node != self.follower)
                    .for_each(|node| cluster.crash(sim, node, CrashMode::Keep, 0));
                Stage::Alone { until: now + self.draw(ALONE_FOR) }
            }
            stage => self.bring_in_doubt(stage, sim, image, nodes),
        };
        if self.stage != stage {
            tracing::info!(?now, leader = self.leader, follower = self.follower, "doubt: {:?}", self.stage);
        }
        if self.stage == Stage::Over {
            self.end(sim, cluster);
        }
    }

    /// The steps from the proposal on.
    fn bring_in_doubt(
        &mut self,
        stage: Stage,
        sim: &Sim<'_>,
        image: &MetadataImage,
        nodes: &[NodeInspection],
    ) -> Stage {
        let now = sim.elapsed();
        if stage == Stage::Held {
            self.deliver_next(sim);
        }
        if matches!(stage, Stage::Held | Stage::AskedAgain { .. } | Stage::Unfencing | Stage::Arriving { .. }) {
            self.let_new_connections_through(sim);
        }
        match stage {
            Stage::Deaf { back_at } if now >= back_at => {
                sim.repair(host(self.follower), host(self.leader));
                Stage::Back
            }
            Stage::Back if self.is_proposed(nodes) => {
                self.each_controller(|controller| sim.hold(controller, host(self.leader)));
                Stage::Held
            }
            Stage::Held if self.has_come_again(sim, nodes) => Stage::AskedAgain { refused_at: now + ANSWERED_WITHIN },
            Stage::AskedAgain { refused_at } if now >= refused_at => {
                sim.partition(host(self.follower), host(self.leader));
                self.each_controller(|controller| sim.repair(controller, host(self.follower)));
                Stage::Unfencing
            }
            Stage::Unfencing if image.is_unfenced(broker(self.follower)) => {
                Stage::Arriving { until: now + ARRIVES_WITHIN }
            }
            Stage::Arriving { .. } => {
                self.heard.clear();
                self.deliver_next(sim);
                stage
            }
            Stage::Alone { until } if now >= until => Stage::Over,
            stage => stage,
        }
    }

    fn draw(&mut self, milliseconds: Range<u64>) -> Duration {
        Duration::from_millis(self.rng.random_range(milliseconds))
    }

    /// Chooses the leader and one of its followers, once all are in sync.
    fn choose(&mut self, image: &MetadataImage) -> bool {
        let topic = image.topic_by_name(TOPIC);
        let Some(partition) = topic.and_then(|topic| topic.partition(self.partition)) else { return false };
        let Some(leader) = index(partition.leader).filter(|_| partition.isr.len() == NODES) else { return false };
        self.leader = leader;
        self.follower = (leader + self.rng.random_range(1..NODES)) % NODES;
        true
    }

    fn each_controller(&self, act: impl Fn(String)) {
        self.controllers.clone().map(host).for_each(act);
    }

    /// Whether the follower knows that it has to follow.
    fn follows(&self, nodes: &[NodeInspection]) -> bool {
        self.replica(nodes, self.follower).is_some_and(|replica| replica.leader == broker(self.leader))
    }

    /// Whether the leader wants the follower in sync.
    fn is_proposed(&self, nodes: &[NodeInspection]) -> bool {
        self.replica(nodes, self.leader).is_some_and(|replica| replica.maximal_isr.contains(&broker(self.follower)))
    }

    fn replica<'a>(&self, nodes: &'a [NodeInspection], index: usize) -> Option<&'a PartitionStatus> {
        let node = nodes.iter().find(|node| node.node == broker(index))?;
        node.replicas.iter().find(|replica| replica.topic.as_str() == TOPIC && replica.partition == self.partition)
    }

    fn let_new_connections_through(&mut self, sim: &Sim<'_>) {
        let mut opened = std::mem::take(&mut self.opened);
        self.each_held(sim, |message| {
            let (from, to) = message.pair();
            if matches!(message.protocol(), Protocol::Tcp(Segment::Syn(_))) {
                opened.extend([(from, to), (to, from)]);
            }
            if opened.contains(&(from, to)) {
                message.deliver();
            }
        });
        self.opened = opened;
    }

    /// Whether the leader has a new connection to the active controller.
    fn has_come_again(&self, sim: &Sim<'_>, nodes: &[NodeInspection]) -> bool {
        let is_active = |index: &usize| {
            let id = BrokerId(id(*index) as i32);
            nodes.iter().any(|node| node.node == id && node.controller.is_some_and(|controller| controller.active))
        };
        let Some(active) = self.controllers.clone().find(is_active) else { return false };
        let (leader, active) = (sim.lookup(host(self.leader)), sim.lookup(host(active)));
        self.opened.iter().any(|(from, to)| from.ip() == leader && to.ip() == active)
    }

    /// Lets the next message that the leader sent arrive on each old connection on which none was heard.
    fn deliver_next(&mut self, sim: &Sim<'_>) {
        let (leader, mut heard) = (sim.lookup(host(self.leader)), std::mem::take(&mut self.heard));
        self.each_held(sim, |message| {
            let is_data = matches!(message.protocol(), Protocol::Tcp(Segment::Data(..)));
            let is_old = message.pair().0.ip() == leader && !self.opened.contains(&message.pair());
            if is_data && is_old && heard.insert(message.pair()) {
                message.deliver();
            }
        });
        self.heard = heard;
    }

    /// What is under way between leader and controllers.
    fn each_held(&self, sim: &Sim<'_>, mut act: impl FnMut(SentRef<'_>)) {
        let leader = sim.lookup(host(self.leader));
        let controllers: Vec<_> = self.controllers.clone().map(|node| sim.lookup(host(node))).collect();
        sim.links(|links| {
            let held = |(a, b)| (a == leader && controllers.contains(&b)) || (b == leader && controllers.contains(&a));
            links.filter(|link| held(link.pair())).flatten().for_each(&mut act);
        });
    }

    /// What is still held between leader and controllers never arrives.
    fn forget_held(&self, sim: &Sim<'_>) {
        self.each_controller(|controller| {
            // Cut first: a link that is repaired keeps what it held.
            sim.partition(controller.clone(), host(self.leader));
            sim.repair(controller, host(self.leader));
        });
    }

    /// Ends it, however far it came.
    fn end(&mut self, sim: &mut Sim<'_>, cluster: &mut SimCluster) {
        if self.stage != Stage::Forming {
            self.forget_held(sim);
            self.each_controller(|controller| sim.repair(controller, host(self.follower)));
            sim.repair(host(self.follower), host(self.leader));
            (0..NODES).for_each(|node| cluster.restart(sim, node));
        }
        self.stage = Stage::Over;
    }
}

fn broker(index: usize) -> BrokerId {
    BrokerId(index as i32 + 1)
}

fn index(broker: BrokerId) -> Option<usize> {
    usize::try_from(broker.0 - 1).ok()
}
