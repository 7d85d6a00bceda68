//! Replicas of a broker, in total.

use crate::metric::Metric;
use crate::section::section;

section! {
    "Replicas", Broker, "Counted over all replicas of the broker; a partition is counted where it is led unless said otherwise.";

    UNDER_REPLICATED_PARTITIONS = Metric::gauge(
        "kafka_server_replicamanager_underreplicatedpartitions", "partitions",
        "Partitions led here with a replica out of sync.",
    )
    .kafka("kafka.server:type=ReplicaManager,name=UnderReplicatedPartitions")
    .when_bad("Above 0 for longer than a restart takes: a broker is down, or a follower does not keep up.");
    UNDER_MIN_ISR_PARTITION_COUNT = Metric::gauge(
        "kafka_server_replicamanager_underminisrpartitioncount", "partitions",
        "Partitions led here with fewer replicas in sync than min.insync.replicas.",
    )
    .kafka("kafka.server:type=ReplicaManager,name=UnderMinIsrPartitionCount")
    .when_bad("Above 0: producers with acks=all are refused, and high watermarks stand still. Bring brokers back.");
    AT_MIN_ISR_PARTITION_COUNT = Metric::gauge(
        "kafka_server_replicamanager_atminisrpartitioncount", "partitions",
        "Partitions led here with exactly min.insync.replicas in sync.",
    )
    .kafka("kafka.server:type=ReplicaManager,name=AtMinIsrPartitionCount")
    .when_bad("Above 0 where topics have more replicas than that: one more failure, and these refuse writes.");
    OFFLINE_REPLICA_COUNT = Metric::gauge(
        "kafka_server_replicamanager_offlinereplicacount", "replicas",
        "Replicas on this broker that are out of service or have no leader.",
    )
    .kafka("kafka.server:type=ReplicaManager,name=OfflineReplicaCount")
    .when_bad("Above 0: a log could not be opened (see this broker's log), or its partition is offline.");
    PARTITION_COUNT = Metric::gauge(
        "kafka_server_replicamanager_partitioncount", "replicas", "Replicas on this broker, led or followed.",
    )
    .kafka("kafka.server:type=ReplicaManager,name=PartitionCount");
    LEADER_COUNT = Metric::gauge(
        "kafka_server_replicamanager_leadercount", "partitions", "Partitions led by this broker.",
    )
    .kafka("kafka.server:type=ReplicaManager,name=LeaderCount")
    .when_bad("Very different between brokers: load is uneven; see PreferredReplicaImbalanceCount.");
    ISR_SHRINKS = Metric::counter(
        "kafka_server_replicamanager_isrshrinks_total", "changes",
        "Times that a partition led here lost a member of its in-sync replicas.",
    )
    .kafka("kafka.server:type=ReplicaManager,name=IsrShrinksPerSec")
    .when_bad("Rises while no broker stops: followers fall behind; look at their disks and the network.");
    ISR_EXPANDS = Metric::counter(
        "kafka_server_replicamanager_isrexpands_total", "changes",
        "Times that a partition led here got a member of its in-sync replicas.",
    )
    .kafka("kafka.server:type=ReplicaManager,name=IsrExpandsPerSec")
    .when_bad("Does not follow shrinks: the replicas that left do not come back.");
    FAILED_ISR_UPDATES = Metric::counter(
        "kafka_server_replicamanager_failedisrupdates_total", "changes",
        "Changes of in-sync replicas that the controller refused or did not answer.",
    )
    .kafka("kafka.server:type=ReplicaManager,name=FailedIsrUpdatesPerSec")
    .when_bad("Rises steadily: this broker and the controllers disagree or do not reach each other.");
    PRODUCER_ID_COUNT = Metric::gauge(
        "kafka_server_replicamanager_produceridcount", "producers",
        "Idempotent producers that the open logs here remember, counted per partition. A log that nobody uses is closed.",
    )
    .kafka("kafka.server:type=ReplicaManager,name=ProducerIdCount")
    .when_bad("Grows without end: clients make a new producer for each message.");
    FOLLOWER_MAX_LAG = Metric::gauge(
        "highwater_replication_follower_max_lag", "records",
        "Largest number of records that a follower lacks of a partition led here.",
    )
    .by(&["follower"])
    .kafka("kafka.server:type=ReplicaFetcherManager,name=MaxLag,clientId=Replica")
    .when_bad("Grows: that follower does not keep up.");
    REPLICATION_BYTES_IN = Metric::counter(
        "kafka_server_brokertopicmetrics_replicationbytesin_total", "bytes",
        "Bytes of records received from the leaders of partitions followed here.",
    )
    .kafka("kafka.server:type=BrokerTopicMetrics,name=ReplicationBytesInPerSec");
    REPLICATION_BYTES_OUT = Metric::counter(
        "kafka_server_brokertopicmetrics_replicationbytesout_total", "bytes",
        "Bytes of records sent to the followers of partitions led here.",
    )
    .kafka("kafka.server:type=BrokerTopicMetrics,name=ReplicationBytesOutPerSec");
    THROTTLED_BYTES_OUT = Metric::counter(
        "kafka_server_leaderreplication_byte_total", "bytes",
        "Bytes of records sent to throttled followers, which are out of sync.",
    )
    .kafka("kafka.server:type=LeaderReplication,attribute=byte-rate");
    THROTTLED_BYTES_IN = Metric::counter(
        "kafka_server_followerreplication_byte_total", "bytes",
        "Bytes of records received for throttled replicas, which are out of sync.",
    )
    .kafka("kafka.server:type=FollowerReplication,attribute=byte-rate");
    THROTTLED_REPLICAS = Metric::gauge(
        "highwater_replication_throttled_replicas", "replicas",
        "Replicas on this broker that catch up at a limited rate.",
    )
    .when_bad("Does not fall to 0 although the bytes of throttled replicas rise at their rate: producers write as fast as that.");
}
