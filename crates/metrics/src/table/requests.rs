//! Requests of clients.

use crate::metric::{LATENCY_MS, Metric, PHASE_MS, SIZE_BYTES};
use crate::section::section;

section! {
    "Requests of clients", Broker,
    "By API, from the first request on. A request's time is the sum of its parts: queue, local, remote, response queue, send. \
     Time that a request spends in the socket before it is read is in none of them: a connection is not read while 64 of its \
     requests are unanswered, or while one must be answered before the next may start. Requests that produce no response \
     (produce with acks=0) count as answered at once.";

    REQUESTS = Metric::counter(
        "kafka_network_requestmetrics_requests_total", "requests", "Requests received.",
    )
    .by(&["request"])
    .kafka("kafka.network:type=RequestMetrics,name=RequestsPerSec,request=*,version=*");
    ERRORS = Metric::counter(
        "kafka_network_requestmetrics_errors_total", "errors",
        "Error codes in responses, each partition, group or other resource counted by itself; NONE is not counted.",
    )
    .by(&["request", "error"])
    .kafka("kafka.network:type=RequestMetrics,name=ErrorsPerSec,request=*,error=*")
    .when_bad("Rises for codes that are no part of normal work. NOT_LEADER_OR_FOLLOWER after an election is normal; \
               NOT_ENOUGH_REPLICAS, REQUEST_TIMED_OUT, KAFKA_STORAGE_ERROR and CORRUPT_MESSAGE never are.");
    TOTAL_TIME_MS = Metric::histogram(
        "kafka_network_requestmetrics_totaltimems", "milliseconds", LATENCY_MS,
        "Time from the last byte of a request to the last byte of its response handed to the system.",
    )
    .by(&["request"])
    .kafka("kafka.network:type=RequestMetrics,name=TotalTimeMs,request=*")
    .when_bad("See which part grew. For Fetch, waiting for records up to fetch.max.wait.ms is normal.");
    REQUEST_QUEUE_TIME_MS = Metric::histogram(
        "kafka_network_requestmetrics_requestqueuetimems", "milliseconds", PHASE_MS,
        "Time from the last byte of a request until its handler starts. There is no queue: this is decoding.",
    )
    .by(&["request"])
    .kafka("kafka.network:type=RequestMetrics,name=RequestQueueTimeMs,request=*");
    LOCAL_TIME_MS = Metric::histogram(
        "kafka_network_requestmetrics_localtimems", "milliseconds", PHASE_MS,
        "Time in which this node worked on the request: validation, append, read, encoding.",
    )
    .by(&["request"])
    .kafka("kafka.network:type=RequestMetrics,name=LocalTimeMs,request=*")
    .when_bad("Grows for Produce or Fetch: appends wait for the page cache (a disk that does not keep up), or CPU is short.");
    REMOTE_TIME_MS = Metric::histogram(
        "kafka_network_requestmetrics_remotetimems", "milliseconds", PHASE_MS,
        "Time in which the request waited: Produce for the flushes of the in-sync replicas, Fetch for records, JoinGroup for \
         other members, administration for the controllers.",
    )
    .by(&["request"])
    .kafka("kafka.network:type=RequestMetrics,name=RemoteTimeMs,request=*")
    .when_bad("Grows for Produce: a slow disk or network of some replica; compare log flush times of all brokers.");
    RESPONSE_QUEUE_TIME_MS = Metric::histogram(
        "kafka_network_requestmetrics_responsequeuetimems", "milliseconds", PHASE_MS,
        "Time in which the response was ready and waited for the responses before it on its connection.",
    )
    .by(&["request"])
    .kafka("kafka.network:type=RequestMetrics,name=ResponseQueueTimeMs,request=*");
    RESPONSE_SEND_TIME_MS = Metric::histogram(
        "kafka_network_requestmetrics_responsesendtimems", "milliseconds", PHASE_MS,
        "Time until the system had taken the response, and those sent together with it.",
    )
    .by(&["request"])
    .kafka("kafka.network:type=RequestMetrics,name=ResponseSendTimeMs,request=*")
    .when_bad("Grows: clients or the network take responses more slowly than they ask for them.");
    REQUEST_BYTES = Metric::histogram(
        "kafka_network_requestmetrics_requestbytes", "bytes", SIZE_BYTES, "Size of requests.",
    )
    .by(&["request"])
    .kafka("kafka.network:type=RequestMetrics,name=RequestBytes,request=*");
    RESPONSE_BYTES = Metric::histogram(
        "highwater_network_requestmetrics_responsebytes", "bytes", SIZE_BYTES, "Size of responses.",
    )
    .by(&["request"]);
    UNDECODABLE_REQUESTS = Metric::counter(
        "highwater_network_undecodable_requests_total", "requests",
        "Requests that could not be decoded: unknown APIs or versions, malformed or hostile bytes.",
    )
    .when_bad("Rises: a client that is no Kafka client, or speaks a version that is not served. The log names its address.");
    FETCH_SESSIONS = Metric::gauge(
        "kafka_server_fetchsessioncache_numincrementalfetchsessions", "sessions",
        "Fetch sessions that are kept for clients.",
    )
    .kafka("kafka.server:type=FetchSessionCache,name=NumIncrementalFetchSessions");
    FETCH_SESSION_PARTITIONS = Metric::gauge(
        "kafka_server_fetchsessioncache_numincrementalfetchpartitionscached", "partitions",
        "Partitions in all fetch sessions together; each takes some 120 bytes.",
    )
    .kafka("kafka.server:type=FetchSessionCache,name=NumIncrementalFetchPartitionsCached");
    FETCH_SESSION_EVICTIONS = Metric::counter(
        "kafka_server_fetchsessioncache_incrementalfetchsessionevictions_total", "sessions",
        "Fetch sessions that had to go for others.",
    )
    .kafka("kafka.server:type=FetchSessionCache,name=IncrementalFetchSessionEvictionsPerSec")
    .when_bad("Rises all the time: more consumers than max.incremental.fetch.session.cache.slots. They go on with full fetches.");
    FETCH_REDIRECTS = Metric::counter(
        "highwater_server_fetch_redirects_total", "partitions",
        "Partitions in fetches whose client was sent to an in-sync follower in its own rack (KIP-392).",
    )
    .when_bad("Rises as fast as fetches do: clients come back to the leader, because followers refuse them or cannot be reached.");
    CONNECTION_COUNT = Metric::gauge(
        "kafka_server_socketservermetrics_connection_count", "connections", "Open client connections.",
    )
    .by(&["listener"])
    .always()
    .kafka("kafka.server:type=socket-server-metrics,listener=*,networkProcessor=*,attribute=connection-count")
    .when_bad("Near max.connections: further clients wait to be accepted.");
    CONNECTION_CREATIONS = Metric::counter(
        "kafka_server_socketservermetrics_connection_creation_total", "connections", "Client connections accepted.",
    )
    .by(&["listener"])
    .always()
    .kafka("kafka.server:type=socket-server-metrics,listener=*,networkProcessor=*,attribute=connection-creation-total")
    .when_bad("Rises fast: clients that connect for each request, or are thrown out and come back.");
    CONNECTIONS_REFUSED = Metric::counter(
        "highwater_network_connections_refused_total", "connections",
        "Connections closed at once because their address had max.connections.per.ip already.",
    )
    .by(&["listener"])
    .always();
    CONNECTION_FAULTS = Metric::counter(
        "highwater_network_connection_faults_total", "connections",
        "Connections closed by the broker because of what the client sent.",
    )
    .by(&["listener"])
    .always();
}
