//! Raft of the metadata quorum.

use crate::metric::Metric;
use crate::section::section;

section! {
    "The metadata quorum", Controller,
    "The controllers agree by Raft; an entry holds many records of metadata, so indexes are smaller than metadata offsets.";

    TERM = Metric::gauge(
        "highwater_raft_term", "terms", "Raft term of the metadata quorum, which is the controller epoch.",
    )
    .kafka("kafka.server:type=raft-metrics,attribute=current-epoch")
    .when_bad("Rises again and again: controllers lose sight of each other.");
    LEADER_ID = Metric::gauge(
        "highwater_raft_leader_id", "node id", "Node id of the Raft leader as this node knows it; -1 if none.",
    )
    .kafka("kafka.server:type=raft-metrics,attribute=current-leader")
    .when_bad("-1 for longer than some seconds: no majority of controllers is up and connected.");
    VOTERS = Metric::gauge(
        "highwater_raft_voters", "controllers", "Voters of the quorum.",
    )
    .kafka("kafka.server:type=raft-metrics,attribute=number-of-voters");
    LAST_LOG_INDEX = Metric::gauge(
        "highwater_raft_last_log_index", "entries", "Index of the last entry in this node's metadata log.",
    )
    .kafka("kafka.server:type=raft-metrics,attribute=log-end-offset");
    COMMITTED_INDEX = Metric::gauge(
        "highwater_raft_committed_index", "entries", "Index up to which this node knows entries to be committed.",
    )
    .kafka("kafka.server:type=raft-metrics,attribute=high-watermark");
    LAST_APPLIED_INDEX = Metric::gauge(
        "highwater_raft_last_applied_index", "entries", "Index of the last entry this node has applied.",
    );
    COMMIT_LAG = Metric::gauge(
        "highwater_raft_commit_lag", "entries",
        "Entries that the quorum has committed and this node has not applied yet.",
    )
    .when_bad("Stays above 0: this controller does not keep up; look at its disk and CPU.");
    FOLLOWER_LAG = Metric::gauge(
        "highwater_raft_follower_lag", "entries",
        "On the Raft leader: entries of its log that a voter has not acknowledged.",
    )
    .by(&["node"])
    .when_bad("Stays above 0 or grows: that controller is down or slow. With a majority behind, nothing commits.");
    QUORUM_ACK_AGE = Metric::gauge(
        "highwater_raft_quorum_ack_age_ms", "milliseconds",
        "On the Raft leader: time since a majority last confirmed it; -1 elsewhere.",
    )
    .when_bad("Above 1000: the leader is about to lose its quorum, and with it the right to renew brokers' leases.");
    SNAPSHOT_INDEX = Metric::gauge(
        "highwater_raft_snapshot_index", "entries", "Index of the last entry in the newest snapshot; -1 without one.",
    )
    .kafka("kafka.server:type=SnapshotEmitter,name=LatestSnapshotGeneratedBytes")
    .when_bad("Falls ever further behind the last applied index: snapshots fail, and the log grows.");
    PURGED_INDEX = Metric::gauge(
        "highwater_raft_purged_index", "entries", "Index up to which entries were deleted from the log; -1 if none were.",
    );
}
