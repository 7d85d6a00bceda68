//! Why a controller or a broker's link cannot run.

use std::io;
use std::path::PathBuf;

use highwater_types::{BrokerId, DirectoryId};

/// A node that gets one of these must stop: going on would endanger the quorum, or cannot work.
#[derive(Debug, thiserror::Error)]
pub enum QuorumError {
    /// The configuration cannot work.
    #[error("{0}")]
    Config(String),
    /// The metadata directory failed.
    #[error("the metadata directory cannot be used: {0}")]
    Storage(#[from] io::Error),
    /// `meta.properties` is there, the database behind it is not.
    #[error(
        "{} holds meta.properties of metadata directory {lost}, but its database is gone. A voter that forgot its votes \
         and its log could undo what the cluster has committed, so it is not started. Restore the directory from the disk \
         it was on. If this node never was part of a cluster, remove meta.properties too",
        directory.display()
    )]
    EmptiedDirectory {
        /// `metadata.log.dir`.
        directory: PathBuf,
        /// The directory id in the file.
        lost: String,
    },
    /// The directory belongs to another `node.id`.
    #[error(
        "{} belongs to node {owner}, but node.id is {node_id}. Set node.id={owner}, or give this node a metadata directory \
         of its own",
        directory.display()
    )]
    WrongNode {
        /// `metadata.log.dir`.
        directory: PathBuf,
        /// Whose it is.
        owner: String,
        /// Who asks.
        node_id: BrokerId,
    },
    /// The cluster knows this voter with another metadata directory.
    #[error(
        "the cluster knows voter {node_id} with metadata directory {expected}, but the one here is {found}: the disk was \
         emptied or exchanged. A voter that forgot its votes and its log could undo what the cluster has committed, so it \
         is not readmitted. Stop this node and restore the metadata directory that holds directory.id={expected} in \
         meta.properties (metadata.log.dir, or the first of log.dirs); the other voters keep the cluster going meanwhile. If \
         it is lost, replace the voter: `highwater cluster controller remove {node_id}`, take {node_id} out of \
         controller.quorum.voters of this node, start it, and `highwater cluster controller add {node_id}`"
    )]
    ForeignDirectory {
        /// This node.
        node_id: BrokerId,
        /// The id that the cluster knows.
        expected: DirectoryId,
        /// The id found on disk.
        found: DirectoryId,
    },
    /// Two nodes that want to form a quorum have different `controller.quorum.voters`.
    #[error(
        "controller.quorum.voters names the nodes {ours:?} here, but {theirs:?} on node {peer}. All controllers must have \
         the same list before they can form a quorum; correct it and start again"
    )]
    VotersDiffer {
        /// The other node.
        peer: BrokerId,
        /// Its voters.
        theirs: Vec<u64>,
        /// Our voters.
        ours: Vec<u64>,
    },
    /// There is a quorum, and this node has no vote in it.
    #[error(
        "node {node_id} is in controller.quorum.voters here, but the quorum that node {peer} is of has no such voter. To join \
         it, take {node_id} out of controller.quorum.voters of this node, start it, and `highwater cluster controller add {node_id}`"
    )]
    NotAVoter {
        /// This node.
        node_id: BrokerId,
        /// Who told.
        peer: BrokerId,
    },
    /// The directory, or a peer, belongs to another cluster.
    #[error("cluster.id is {configured} in the configuration, but this is cluster {found}")]
    WrongCluster {
        /// In the configuration.
        configured: String,
        /// In the store or on the peer.
        found: String,
    },
    /// Raft stopped: a disk error, damaged state or a bug.
    #[error("the metadata quorum of this node has stopped: {0}")]
    Fatal(String),
}
