//! A broker as a member of the cluster.

use crate::metric::Metric;
use crate::section::section;

section! {
    "The broker in its cluster", Broker, "Whether it may serve, and how far it follows the metadata.";

    BROKER_STATE = Metric::gauge(
        "kafka_server_kafkaserver_brokerstate", "state",
        "1 starting (not registered, or reading its logs), 3 running, 7 stopping.",
    )
    .kafka("kafka.server:type=KafkaServer,name=BrokerState")
    .when_bad("1 for long: it finds no active controller, or recovers large logs; its log says which.");
    FENCED = Metric::gauge(
        "highwater_broker_fenced", "boolean",
        "1 while this broker has no valid lease from the active controller, and so acknowledges and answers nothing.",
    )
    .when_bad("1 outside of start and stop: it does not reach the active controller, or hangs.");
    LAST_APPLIED_RECORD_OFFSET = Metric::gauge(
        "kafka_server_broker_metadata_metrics_last_applied_record_offset", "records",
        "Where the metadata log ends as far as this broker has applied it.",
    )
    .kafka("kafka.server:type=broker-metadata-metrics,attribute=last-applied-record-offset")
    .when_bad("Stays behind max(kafka_controller_kafkacontroller_lastappliedrecordoffset): clients of this broker see an old \
               cluster.");
}
