//! Finds the active controller from any node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use highwater_env::lock::Mutex;
use highwater_env::{GRPC_MAX_MESSAGE_BYTES, GrpcOptions, Net, clock, grpc_channel, rng};
use highwater_metadata::{HostPort, MetadataImage};
use highwater_rpc::pb::quorum as pb;
use highwater_rpc::pb::quorum::controller_client::ControllerClient as Rpc;
use highwater_types::{BrokerId, MonoMs};
use rand::Rng as _;
use tonic::transport::Channel;

use crate::config::Voter;
use crate::controller_core::Core;
use crate::credentials::node_of;

/// First and longest pause between two attempts to find a controller that is not there.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// A controller that answers nothing is not asked for so long, though others that do not know yet go on naming it: if it hangs, it
/// costs seconds each time, while the others elect the next one and tell.
const PASSED_OVER: Duration = Duration::from_secs(3);
/// A controller that is up accepts at once; another voter may know more.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// What this node knows of where the active controller is. Shared by all that talk to it.
pub(crate) struct Finder {
    net: Net,
    /// `controller.quorum.voters`: where to begin.
    configured: BTreeMap<BrokerId, HostPort>,
    controllers: Mutex<BTreeMap<BrokerId, Controller>>,
    local: Option<Arc<Core>>,
    known: Mutex<Known>,
}

struct Controller {
    endpoint: HostPort,
    rpc: Rpc<Channel>,
}

#[derive(Default)]
struct Known {
    /// The controller that was heard of in the highest term, and the term.
    leader: Option<BrokerId>,
    term: u64,
    /// The leader that did not answer as one, and its term. This node's own controller may go on naming it: after a restart, or when
    /// it was cut off or lost its vote, it knows no better until the active one sends it something.
    denied: Option<(BrokerId, u64)>,
    /// Who answered nothing at all, the latest term that was known, and when.
    silent: Option<(BrokerId, u64, MonoMs)>,
    /// The next voter to ask while there is none.
    next: usize,
}

impl Finder {
    /// `local` is this node's own controller, if it has one.
    pub(crate) fn new(net: Net, voters: &[Voter], local: Option<Arc<Core>>) -> Arc<Self> {
        let configured: BTreeMap<_, _> = voters.iter().map(|voter| (voter.id, voter.endpoint.clone())).collect();
        let controllers = configured.iter().map(|(&id, endpoint)| (id, Controller::new(net, endpoint.clone())));
        let controllers = Mutex::new(controllers.collect());
        Arc::new(Self { net, configured, controllers, local, known: Mutex::default() })
    }

    /// Takes over which controllers there are from the metadata. Those of the configuration stay as well: the metadata of a node
    /// that was cut off for long may name nobody who is left.
    pub(crate) fn learn(&self, image: &MetadataImage) {
        let mut controllers = self.controllers.lock();
        let stays = |id: &BrokerId| image.controller(*id).is_some() || self.configured.contains_key(id);
        controllers.retain(|id, _| stays(id));
        for registered in image.controllers() {
            if controllers.get(&registered.id).is_none_or(|known| known.endpoint != registered.endpoint) {
                controllers.insert(registered.id, Controller::new(self.net, registered.endpoint.clone()));
            }
        }
    }

    /// Whom to ask now: the active controller as far as is known, otherwise one voter after the other.
    pub(crate) fn target(&self) -> BrokerId {
        if let Some(local) = &self.local {
            let (leader, term) = local.leader_hint();
            if leader.is_some_and(|leader| !self.controllers.lock().contains_key(&leader)) {
                self.learn(&local.feed.image());
            }
            let denied = self.known.lock().denied;
            self.heard(leader.filter(|&leader| denied != Some((leader, term))), term);
        }
        let known = self.known.lock().leader;
        known.unwrap_or_else(|| {
            let controllers = self.voters();
            self.known.lock().next_of(&controllers, clock::mono_ms())
        })
    }

    /// All controllers. Never empty: the configuration names some.
    pub(crate) fn voters(&self) -> Vec<BrokerId> {
        self.controllers.lock().keys().copied().collect()
    }

    /// This node's own controller, if it is the one to ask.
    pub(crate) fn local(&self, target: BrokerId) -> Option<&Arc<Core>> {
        self.local.as_ref().filter(|local| local.config.node_id == target)
    }

    /// The connection to a controller; `None` for one that is not known, or not any more.
    pub(crate) fn rpc(&self, target: BrokerId) -> Option<Rpc<Channel>> {
        self.controllers.lock().get(&target).map(|controller| controller.rpc.clone())
    }

    /// The term that the known controller leads in, if it is `target`.
    pub(crate) fn term_of(&self, target: BrokerId) -> Option<u64> {
        let known = self.known.lock();
        (known.leader == Some(target) && known.term > 0).then_some(known.term)
    }

    /// Somebody told who leads in `term`.
    pub(crate) fn heard(&self, leader: Option<BrokerId>, term: u64) {
        let mut known = self.known.lock();
        let leader = leader.filter(|&leader| !known.is_silent(leader, term, clock::mono_ms()));
        if term > known.term || (term == known.term && leader.is_some()) {
            known.leader = leader.filter(|leader| self.controllers.lock().contains_key(leader));
            known.term = term;
        }
    }

    /// As [`Self::heard`], from a message.
    pub(crate) fn heard_hint(&self, hint: &pb::NotController) {
        self.heard(hint.leader.and_then(node_of), hint.term);
    }

    /// `target` answered nothing in time.
    pub(crate) fn silent(&self, target: BrokerId) {
        let mut known = self.known.lock();
        known.silent = Some((target, known.term, clock::mono_ms()));
        drop(known);
        self.not_active(target);
    }

    /// `target` did not answer as the active controller does.
    pub(crate) fn not_active(&self, target: BrokerId) {
        let mut known = self.known.lock();
        if known.leader == Some(target) {
            known.denied = Some((target, known.term));
            known.leader = None;
        }
    }
}

impl Known {
    /// Whether it answered nothing a moment ago, and cannot have come to lead in that term since.
    fn is_silent(&self, id: BrokerId, term: u64, now: MonoMs) -> bool {
        self.silent.is_some_and(|(silent, until, at)| silent == id && term <= until && now - at < PASSED_OVER)
    }

    /// One of the controllers after the other, without the one that answered nothing a moment ago if there are others.
    fn next_of(&mut self, controllers: &[BrokerId], now: MonoMs) -> BrokerId {
        let passed_over = self.silent.filter(|&(.., at)| now - at < PASSED_OVER).map(|(id, ..)| id);
        let mut others = controllers.iter().cycle().skip(self.next % controllers.len()).take(controllers.len());
        let steps = others.position(|id| Some(*id) != passed_over).unwrap_or(0);
        let chosen = self.next.wrapping_add(steps);
        self.next = chosen.wrapping_add(1);
        controllers[chosen % controllers.len()]
    }
}

impl Controller {
    /// Nothing is dialled yet.
    fn new(net: Net, endpoint: HostPort) -> Self {
        let options = GrpcOptions { connect_timeout: CONNECT_TIMEOUT, ..GrpcOptions::default() };
        let rpc = Rpc::new(grpc_channel(net, &endpoint.to_string(), options))
            .max_decoding_message_size(GRPC_MAX_MESSAGE_BYTES)
            .max_encoding_message_size(GRPC_MAX_MESSAGE_BYTES);
        Self { endpoint, rpc }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_that_answers_nothing_is_passed_over_for_a_while() {
        let controllers = [1, 2, 3].map(BrokerId);
        // Also while the others elect another one, in a later term.
        let mut known = Known { term: 8, silent: Some((BrokerId(2), 7, MonoMs(1_000))), ..Known::default() };
        let mut asked = |now| [0; 5].map(|_| known.next_of(&controllers, MonoMs(now)).0);
        assert_eq!(asked(1_000), [1, 3, 1, 3, 1]);
        assert_eq!(asked(3_999), [3, 1, 3, 1, 3]);
        assert_eq!(asked(4_000), [1, 2, 3, 1, 2]);
        assert_eq!(known.next_of(&controllers[1..2], MonoMs(1_000)), BrokerId(2), "there is no other");
    }

    #[tokio::test]
    async fn who_names_a_controller_that_answers_nothing_may_not_know_yet() {
        let voter = |id| Voter { id: BrokerId(id), endpoint: HostPort { host: "127.0.0.1".to_owned(), port: 1 } };
        let finder = Finder::new(Net::Tcp, &[1, 2, 3].map(voter), None);
        let heard = |leader, term| {
            finder.heard(Some(BrokerId(leader)), term);
            finder.target().0
        };
        assert_eq!(heard(2, 7), 2);
        finder.silent(BrokerId(2));
        assert_ne!(heard(2, 7), 2);
        assert_ne!(finder.target(), BrokerId(2));
        assert_eq!(heard(2, 8), 2, "it leads again");
        finder.not_active(BrokerId(2));
        assert_eq!(heard(2, 8), 2, "it only lost the connection");
        assert_eq!(heard(3, 9), 3);
    }
}
