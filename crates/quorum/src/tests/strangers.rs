//! Who is not let in: senders of Raft's messages, and observers, that the quorum does not know, or knows otherwise.

use bytes::Bytes;
use highwater_rpc::pb::quorum as pb;
use highwater_types::ErrorCode;

use super::*;
use crate::admission::{Announced, admit};
use crate::credentials::Credentials;
use crate::feed::MetadataFeed;
use crate::peers::PeerIdentity as _;
use crate::raft_types::{RaftId, RaftNode};
use crate::voters::VotersAnswer;
use crate::wire::MAX_MEMBERS;

impl Cluster {
    /// What the active controller says to an announcement.
    fn announced(&self, announced: Announced) -> Result<(), ErrorCode> {
        let active = self.controller(self.active()).core();
        match self.within_patience(admit(active, announced)) {
            VotersAnswer::Done => Ok(()),
            VotersAnswer::Refused(error) => Err(error.code),
            VotersAnswer::NotController { .. } => Err(ErrorCode::NotController),
        }
    }
}

/// A controller that nobody knows yet.
fn newcomer(id: i32) -> Announced {
    let endpoint = Some(HostPort { host: "127.0.0.3".to_owned(), port: 1 });
    Announced {
        id: RaftId { node: BrokerId(id), directory: DirectoryId::from_random(900 + id as u128) },
        node: RaftNode { endpoint, directory: DirectoryId::ZERO },
        cluster_id: String::new(),
        software: NodeSoftware::of_this_build(),
    }
}

#[test]
fn messages_are_taken_from_members_with_their_directories_only() {
    let mut cluster = Cluster::started([1, 2, 3]);
    cluster.join(4);
    cluster.add(4).unwrap();
    let (sender, receiver) =
        (cluster.controller(BrokerId(1)).core().clone(), cluster.controller(BrokerId(2)).core().clone());
    cluster.eventually("both to know the cluster and its controllers", || {
        let knows = |core: &crate::controller_core::Core| {
            core.identity.cluster_id().is_some() && core.feed.image().controllers().count() == 4
        };
        (knows(&sender) && knows(&receiver)).then_some(())
    });
    let check = |peer: pb::Peer| receiver.credentials.check(Some(peer));
    let good = sender.credentials.peer(receiver.raft_id);
    assert_eq!(check(good.clone()).unwrap(), BrokerId(1));
    let other = Bytes::from(DirectoryId::from_random(9).to_bytes().to_vec());
    let refused = [
        ("the sender's directory is another one", pb::Peer { from_directory: other.clone(), ..good.clone() }),
        ("the sender names no directory", pb::Peer { from_directory: Bytes::new(), ..good.clone() }),
        ("the sender is no member", pb::Peer { from_node: 9, ..good.clone() }),
        ("the sender is no node", pb::Peer { from_node: u64::MAX, ..good.clone() }),
        ("another node is meant", pb::Peer { to_node: 3, ..good.clone() }),
        ("another directory is meant", pb::Peer { to_directory: other.clone(), ..good.clone() }),
        ("another cluster is meant", pb::Peer { cluster_id: "another".to_owned(), ..good.clone() }),
    ];
    for (why, peer) in refused {
        assert_eq!(check(peer).expect_err(why).code(), tonic::Code::FailedPrecondition, "{why}");
    }
    assert!(receiver.credentials.check(None).is_err());
    // Who has a newer membership may be in it. It knows then which directory it means.
    let membership = good.membership.map(|known| pb::LogId { index: known.index + 1, ..known });
    let unheard_of = pb::Peer { from_node: 9, from_directory: other, membership, ..good };
    assert_eq!(check(unheard_of.clone()).unwrap(), BrokerId(9));
    assert!(check(pb::Peer { to_directory: Bytes::new(), ..unheard_of }).is_err());
    // A founder's directory may not be known to all; a controller that joined has no other name.
    let joined = cluster.controller(BrokerId(4)).core();
    let named = sender.credentials.peer(joined.raft_id);
    assert_eq!(joined.credentials.check(Some(named.clone())).unwrap(), BrokerId(1));
    assert!(joined.credentials.check(Some(pb::Peer { to_directory: Bytes::new(), ..named.clone() })).is_err());
    // With an empty disk it knows no founder's directory until it hears from the one that leads, whose membership may be older: what
    // the leader before wrote and nobody else has.
    let feed = Arc::new(MetadataFeed::new(Arc::default(), 0));
    let fresh = Credentials::new(BrokerId(4), joined.identity.clone(), feed, joined.members.clone());
    assert_eq!(fresh.known_directory(BrokerId(1)), None);
    assert_eq!(fresh.check(Some(named.clone())).unwrap(), BrokerId(1));
    assert!(fresh.check(Some(pb::Peer { from_node: 9, ..named.clone() })).is_err());
    assert!(fresh.check(Some(pb::Peer { to_directory: Bytes::new(), ..named })).is_err());
}

#[test]
fn an_observer_that_does_not_fit_is_not_taken_in() {
    let cluster = Cluster::started([1, 2, 3]);
    cluster.works(0);
    let voter_with_another_disk = RaftId { node: BrokerId(2), ..newcomer(9).id };
    let refused = [
        (ErrorCode::DuplicateVoter, Announced { id: voter_with_another_disk, ..newcomer(9) }),
        (ErrorCode::InconsistentClusterId, Announced { cluster_id: "another".to_owned(), ..newcomer(9) }),
        (ErrorCode::InvalidRequest, Announced { node: RaftNode::default(), ..newcomer(9) }),
        (ErrorCode::UnsupportedVersion, Announced { software: NodeSoftware::default(), ..newcomer(9) }),
    ];
    for (code, announced) in refused {
        assert_eq!(cluster.announced(announced), Err(code));
    }
    assert!(cluster.described().observers.is_empty());
    cluster.voters_are(&[1, 2, 3]);
    cluster.announced(newcomer(9)).unwrap();
    cluster.observer(9);
}

#[test]
fn there_is_a_limit_to_observers() {
    let cluster = Cluster::started([1]);
    cluster.works(0);
    let taken = (2..).take_while(|&id| match cluster.announced(newcomer(id)) {
        Ok(()) => true,
        Err(code) => {
            assert_eq!(code, ErrorCode::InvalidRequest);
            false
        }
    });
    assert_eq!(1 + taken.count(), MAX_MEMBERS - 1);
    // One that is known can still move.
    let mut moved = newcomer(2);
    moved.node.endpoint = Some(HostPort { host: "127.0.0.3".to_owned(), port: 2 });
    cluster.announced(moved).unwrap();
    cluster.works(1);
}
