//! Finds the active controller from any node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use highwater_env::lock::Mutex;
use highwater_env::{GRPC_MAX_MESSAGE_BYTES, GrpcOptions, Net, grpc_channel, rng};
use highwater_rpc::pb::quorum as pb;
use highwater_rpc::pb::quorum::controller_client::ControllerClient as Rpc;
use highwater_types::BrokerId;
use rand::Rng as _;
use tonic::transport::Channel;

use crate::config::{Voter, broker_id};
use crate::credentials::node_of;
use crate::node::ControllerNode;

/// First and longest pause between two attempts to find a controller that is not there.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// A controller that is up accepts at once; another voter may know more.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// What this node knows of where the active controller is. Shared by all that talk to it.
pub(crate) struct Finder {
    voters: Vec<BrokerId>,
    channels: BTreeMap<BrokerId, Rpc<Channel>>,
    local: Option<ControllerNode>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The controller that was heard of in the highest term, and the term.
    leader: Option<BrokerId>,
    term: u64,
    /// The next voter to ask while there is none.
    next: usize,
}

impl Finder {
    /// `local` is this node's own controller, if it has one.
    pub(crate) fn new(net: Net, voters: &[Voter], local: Option<ControllerNode>) -> Arc<Self> {
        let options = GrpcOptions { connect_timeout: CONNECT_TIMEOUT, ..GrpcOptions::default() };
        let channels = voters
            .iter()
            .map(|voter| {
                let rpc = Rpc::new(grpc_channel(net, &voter.endpoint.to_string(), options))
                    .max_decoding_message_size(GRPC_MAX_MESSAGE_BYTES)
                    .max_encoding_message_size(GRPC_MAX_MESSAGE_BYTES);
                (voter.id, rpc)
            })
            .collect();
        let voters = voters.iter().map(|voter| voter.id).collect();
        Arc::new(Self { voters, channels, local, known: Mutex::default() })
    }

    /// Whom to ask now: the active controller as far as is known, otherwise one voter after the other.
    pub(crate) fn target(&self) -> BrokerId {
        if let Some(local) = &self.local {
            let (leader, term) = local.core().leader_hint();
            self.heard(leader.map(broker_id), term);
        }
        let mut known = self.known.lock();
        known.leader.unwrap_or_else(|| {
            let target = self.voters[known.next % self.voters.len()];
            known.next = known.next.wrapping_add(1);
            target
        })
    }

    /// All controllers.
    pub(crate) fn voters(&self) -> &[BrokerId] {
        &self.voters
    }

    /// This node's own controller, if it is the one to ask.
    pub(crate) fn local(&self, target: BrokerId) -> Option<&ControllerNode> {
        self.local.as_ref().filter(|local| local.core().config.node_id == target)
    }

    /// The connection to a voter.
    pub(crate) fn rpc(&self, target: BrokerId) -> Rpc<Channel> {
        self.channels[&target].clone()
    }

    /// The term that the known controller leads in, if it is `target`.
    pub(crate) fn term_of(&self, target: BrokerId) -> Option<u64> {
        let known = self.known.lock();
        (known.leader == Some(target) && known.term > 0).then_some(known.term)
    }

    /// Somebody told who leads in `term`.
    pub(crate) fn heard(&self, leader: Option<BrokerId>, term: u64) {
        let mut known = self.known.lock();
        if term > known.term || (term == known.term && leader.is_some()) {
            known.leader = leader.filter(|leader| self.channels.contains_key(leader));
            known.term = term;
        }
    }

    /// As [`Self::heard`], from a message.
    pub(crate) fn heard_hint(&self, hint: &pb::NotController) {
        self.heard(hint.leader.and_then(node_of), hint.term);
    }

    /// `target` did not answer as the active controller does.
    pub(crate) fn not_active(&self, target: BrokerId) {
        let mut known = self.known.lock();
        if known.leader == Some(target) {
            known.leader = None;
        }
    }
}

/// The pauses between attempts: doubling, with some randomness so that nodes do not ask in step.
pub(crate) struct Pauses(Duration);

impl Pauses {
    pub(crate) fn new() -> Self {
        Self(FIRST_PAUSE)
    }

    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.0.mul_f64(rng::get().random_range(0.5..1.0))).await;
        self.0 = (self.0 * 2).min(LONGEST_PAUSE);
    }
}
