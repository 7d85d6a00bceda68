//! Traffic of topics.

use crate::metric::Metric;
use crate::section::section;

section! {
    "Topics", Broker,
    "As the JMX exporter gives them, each has one series per topic, from the first use on, and one without the label: the total \
     of the broker, also of topics that are deleted. Add up either `{topic=\"\"}` or `{topic!=\"\"}`, never both.";

    BYTES_IN = Metric::counter(
        "kafka_server_brokertopicmetrics_bytesin_total", "bytes", "Bytes of record batches appended for clients.",
    )
    .by(&["topic"]).always()
    .kafka("kafka.server:type=BrokerTopicMetrics,name=BytesInPerSec,topic=*");
    BYTES_OUT = Metric::counter(
        "kafka_server_brokertopicmetrics_bytesout_total", "bytes", "Bytes of record batches sent to clients.",
    )
    .by(&["topic"]).always()
    .kafka("kafka.server:type=BrokerTopicMetrics,name=BytesOutPerSec,topic=*");
    MESSAGES_IN = Metric::counter(
        "kafka_server_brokertopicmetrics_messagesin_total", "records", "Records appended for clients.",
    )
    .by(&["topic"]).always()
    .kafka("kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec,topic=*");
    TOTAL_PRODUCE_REQUESTS = Metric::counter(
        "kafka_server_brokertopicmetrics_totalproducerequests_total", "requests",
        "Produce requests, counted for each topic that they name.",
    )
    .by(&["topic"]).always()
    .kafka("kafka.server:type=BrokerTopicMetrics,name=TotalProduceRequestsPerSec,topic=*");
    FAILED_PRODUCE_REQUESTS = Metric::counter(
        "kafka_server_brokertopicmetrics_failedproducerequests_total", "partitions",
        "Partitions of produce requests that were refused.",
    )
    .by(&["topic"]).always()
    .kafka("kafka.server:type=BrokerTopicMetrics,name=FailedProduceRequestsPerSec,topic=*")
    .when_bad("Rises for more than some seconds after an election; the errors by API say why.");
    TOTAL_FETCH_REQUESTS = Metric::counter(
        "kafka_server_brokertopicmetrics_totalfetchrequests_total", "requests",
        "Fetch requests, counted for each partition that they name.",
    )
    .by(&["topic"]).always()
    .kafka("kafka.server:type=BrokerTopicMetrics,name=TotalFetchRequestsPerSec,topic=*");
    FAILED_FETCH_REQUESTS = Metric::counter(
        "kafka_server_brokertopicmetrics_failedfetchrequests_total", "partitions",
        "Partitions of fetch requests that were refused.",
    )
    .by(&["topic"]).always()
    .kafka("kafka.server:type=BrokerTopicMetrics,name=FailedFetchRequestsPerSec,topic=*")
    .when_bad("Rises for more than some seconds after an election; the errors by API say why.");
}
