//! Consumer groups and their lag.

use crate::metric::Metric;
use crate::section::section;

section! {
    "Consumer groups", Broker,
    "Each group is shown by the broker that coordinates it. Lag needs no exporter. It is compared with the replica on the \
     coordinator's broker; a partition that has none there has no lag series, and the recording rule \
     `highwater:consumergroup_lag:records` in `deploy/prometheus/` joins what the leader shows. *Seconds* are the age of the \
     record that the group reads next: the time of the scrape less the newest timestamp of the batch that holds the committed \
     offset, and 0 when nothing is left to read. It follows the timestamps of the records: those of producers, unless the topic \
     has message.timestamp.type=LogAppendTime. It is looked up again only when the committed offset has moved, at most 1000 \
     times per scrape; what exceeds that keeps the older, larger figure until its turn comes.";

    NUM_GROUPS = Metric::gauge(
        "kafka_coordinator_group_groupmetadatamanager_numgroups", "groups", "Groups coordinated here.",
    )
    .kafka("kafka.coordinator.group:type=GroupMetadataManager,name=NumGroups");
    NUM_GROUPS_EMPTY = Metric::gauge(
        "kafka_coordinator_group_groupmetadatamanager_numgroupsempty", "groups", "Groups without members.",
    )
    .kafka("kafka.coordinator.group:type=GroupMetadataManager,name=NumGroupsEmpty");
    NUM_GROUPS_PREPARING_REBALANCE = Metric::gauge(
        "kafka_coordinator_group_groupmetadatamanager_numgroupspreparingrebalance", "groups",
        "Groups that wait for their members to join.",
    )
    .kafka("kafka.coordinator.group:type=GroupMetadataManager,name=NumGroupsPreparingRebalance")
    .when_bad("Above 0 again and again: members come and go, or miss max.poll.interval.ms.");
    NUM_GROUPS_COMPLETING_REBALANCE = Metric::gauge(
        "kafka_coordinator_group_groupmetadatamanager_numgroupscompletingrebalance", "groups",
        "Groups that wait for their leader's assignment.",
    )
    .kafka("kafka.coordinator.group:type=GroupMetadataManager,name=NumGroupsCompletingRebalance");
    NUM_GROUPS_STABLE = Metric::gauge(
        "kafka_coordinator_group_groupmetadatamanager_numgroupsstable", "groups", "Groups at work.",
    )
    .kafka("kafka.coordinator.group:type=GroupMetadataManager,name=NumGroupsStable");
    NUM_GROUPS_DEAD = Metric::gauge(
        "kafka_coordinator_group_groupmetadatamanager_numgroupsdead", "groups", "Groups that are being removed.",
    )
    .kafka("kafka.coordinator.group:type=GroupMetadataManager,name=NumGroupsDead");
    NUM_OFFSETS = Metric::gauge(
        "kafka_coordinator_group_groupmetadatamanager_numoffsets", "offsets", "Committed offsets kept here.",
    )
    .kafka("kafka.coordinator.group:type=GroupMetadataManager,name=NumOffsets");
    COMPLETED_REBALANCES = Metric::counter(
        "kafka_server_group_coordinator_metrics_group_completed_rebalance_total", "rebalances",
        "Rebalances completed here since the start.",
    )
    .kafka("kafka.server:type=group-coordinator-metrics,attribute=group-completed-rebalance-count")
    .when_bad("Rises steadily: some group never comes to rest; find it by its generation.");
    NUM_PARTITIONS = Metric::gauge(
        "kafka_server_group_coordinator_metrics_num_partitions", "partitions",
        "Partitions of __consumer_offsets led here, by state: loading, active, failed.",
    )
    .by(&["state"]).always()
    .kafka("kafka.server:type=group-coordinator-metrics,state=*,attribute=num-partitions")
    .when_bad("`loading` for long, or any `failed`: groups of these partitions are not served. The log says why.");
    MEMBERS = Metric::gauge(
        "kafka_consumergroup_members", "members", "Members of a group.",
    )
    .by(&["consumergroup"])
    .when_bad("0 for a group that should be at work.");
    GENERATION = Metric::gauge(
        "highwater_consumergroup_generation", "generations", "Generation of a group: rebalances it has completed.",
    )
    .by(&["consumergroup"])
    .when_bad("Rises steadily: members come and go.");
    CURRENT_OFFSET = Metric::gauge(
        "kafka_consumergroup_current_offset", "offset", "Offset that a group has committed for a partition.",
    )
    .by(&["consumergroup", "topic", "partition"]);
    LAG = Metric::gauge(
        "kafka_consumergroup_lag", "records", "Records between a group's committed offset and the high watermark.",
    )
    .by(&["consumergroup", "topic", "partition"])
    .when_bad("Grows: consumers are slower than producers, or stand still. Compare with the seconds.");
    LAG_SECONDS = Metric::gauge(
        "kafka_consumergroup_lag_seconds", "seconds", "Age of the record that a group reads next; 0 if there is none.",
    )
    .by(&["consumergroup", "topic", "partition"])
    .when_bad("Above what the use of the data allows. Near retention.ms: records are deleted unread.");
    LAG_SUM = Metric::gauge(
        "kafka_consumergroup_lag_sum", "records", "Lag of a group, summed over the partitions of a topic.",
    )
    .by(&["consumergroup", "topic"])
    .when_bad("Grows: as the lag of a partition.");
    LAG_SECONDS_MAX = Metric::gauge(
        "kafka_consumergroup_lag_seconds_max", "seconds", "Largest lag of a group in seconds, over the partitions of a topic.",
    )
    .by(&["consumergroup", "topic"])
    .when_bad("Above what the use of the data allows.");
}
