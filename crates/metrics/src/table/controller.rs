//! The cluster as the active controller sees it.

use crate::metric::{Metric, PHASE_MS};
use crate::section::section;

section! {
    "The cluster, as controllers see it", Controller,
    "Counts of brokers, topics and partitions are 0 on controllers that are not active, so that a sum over all nodes is right.";

    ACTIVE_CONTROLLER_COUNT = Metric::gauge(
        "kafka_controller_kafkacontroller_activecontrollercount", "controllers",
        "1 on the active controller, 0 on the others.",
    )
    .kafka("kafka.controller:type=KafkaController,name=ActiveControllerCount")
    .when_bad("The sum over all nodes is not 1 for longer than an election takes: no quorum of controllers, or scrapes fail. \
               Without an active controller nothing fails over and no topic is made; produce and fetch go on.");
    OFFLINE_PARTITIONS_COUNT = Metric::gauge(
        "kafka_controller_kafkacontroller_offlinepartitionscount", "partitions",
        "Partitions without a leader.",
    )
    .kafka("kafka.controller:type=KafkaController,name=OfflinePartitionsCount")
    .when_bad("Above 0: these partitions serve nobody. Bring back the brokers that hold their replicas; `highwater topic \
               describe` names them.");
    PREFERRED_REPLICA_IMBALANCE_COUNT = Metric::gauge(
        "kafka_controller_kafkacontroller_preferredreplicaimbalancecount", "partitions",
        "Partitions that are not led by their preferred leader.",
    )
    .kafka("kafka.controller:type=KafkaController,name=PreferredReplicaImbalanceCount")
    .when_bad("Stays above 0 although all brokers are back: `auto.leader.rebalance.enable=false`, or preferred replicas that \
               do not get in sync.");
    GLOBAL_TOPIC_COUNT = Metric::gauge(
        "kafka_controller_kafkacontroller_globaltopiccount", "topics", "Topics of the cluster.",
    )
    .kafka("kafka.controller:type=KafkaController,name=GlobalTopicCount");
    GLOBAL_PARTITION_COUNT = Metric::gauge(
        "kafka_controller_kafkacontroller_globalpartitioncount", "partitions", "Partitions of the cluster.",
    )
    .kafka("kafka.controller:type=KafkaController,name=GlobalPartitionCount");
    ACTIVE_BROKER_COUNT = Metric::gauge(
        "kafka_controller_kafkacontroller_activebrokercount", "brokers", "Registered brokers that are not fenced.",
    )
    .kafka("kafka.controller:type=KafkaController,name=ActiveBrokerCount")
    .when_bad("Lower than the number of brokers you run: see the fenced ones.");
    FENCED_BROKER_COUNT = Metric::gauge(
        "kafka_controller_kafkacontroller_fencedbrokercount", "brokers", "Registered brokers that are fenced.",
    )
    .kafka("kafka.controller:type=KafkaController,name=FencedBrokerCount")
    .when_bad("Above 0 outside of restarts: a broker is down, hangs or cannot reach the controllers. One that is gone for good \
               is to be unregistered.");
    REASSIGNING_PARTITIONS = Metric::gauge(
        "highwater_controller_reassigning_partitions", "partitions", "Partitions whose replicas are being moved.",
    )
    .when_bad("Does not go down for hours: an added replica does not catch up. See the lag of its follower.");
    LEADER_ELECTIONS = Metric::counter(
        "kafka_controller_controllerstats_leaderelections_total", "elections",
        "Changes of a partition's leader to another broker, in the metadata this controller has applied since it started. \
         Every controller counts them: take the maximum over the nodes.",
    )
    .kafka("kafka.controller:type=ControllerStats,name=LeaderElectionRateAndTimeMs")
    .when_bad("Rises while nobody restarts brokers: brokers are fenced and come back; look for hung disks and lost networks.");
    UNCLEAN_LEADER_ELECTIONS = Metric::counter(
        "kafka_controller_controllerstats_uncleanleaderelections_total", "elections",
        "Elections of leaders that may lack acknowledged records, in the metadata that this controller has applied since it \
         started. Every controller counts them: take the maximum over the nodes.",
    )
    .kafka("kafka.controller:type=ControllerStats,name=UncleanLeaderElectionsPerSec")
    .when_bad("Any: somebody allowed it, and acknowledged records may be gone. The partition's metadata keeps a note.");
    EVENT_QUEUE_TIME_MS = Metric::histogram(
        "kafka_controller_controllereventmanager_eventqueuetimems", "milliseconds", PHASE_MS,
        "Time that commands waited until the active controller decided them.",
    )
    .kafka("kafka.controller:type=ControllerEventManager,name=EventQueueTimeMs")
    .when_bad("99 of 100 above a second: the controller is overloaded, or its disk is slow; see the processing time.");
    EVENT_QUEUE_PROCESSING_TIME_MS = Metric::histogram(
        "kafka_controller_controllereventmanager_eventqueueprocessingtimems", "milliseconds", PHASE_MS,
        "Time from the decision of a batch of commands to its commit by the quorum and the replies.",
    )
    .kafka("kafka.controller:type=ControllerEventManager,name=EventQueueProcessingTimeMs")
    .when_bad("99 of 100 above a second: a slow disk or network between controllers.");
    EVENT_QUEUE_SIZE = Metric::gauge(
        "highwater_controller_event_queue_size", "commands", "Commands that wait for the active controller's decision.",
    )
    .when_bad("Stays above 0. At 4096 further commands wait with their callers.");
    LAST_APPLIED_RECORD_OFFSET = Metric::gauge(
        "kafka_controller_kafkacontroller_lastappliedrecordoffset", "records",
        "Where the metadata log ends as far as this controller has applied it.",
    )
    .kafka("kafka.controller:type=KafkaController,name=LastAppliedRecordOffset")
    .when_bad("Differs between controllers for long: one does not follow. See the commit lag of Raft.");
}
