//! The process and its runtime.

use crate::metric::Metric;
use crate::section::section;

section! {
    "The process", Node, "What the operating system, the allocator and the asynchronous runtime say.";

    BUILD_INFO = Metric::gauge("highwater_build_info", "constant", "1; the labels say what runs.")
        .by(&["version", "node_id", "roles"]).always()
        .kafka("kafka.server:type=app-info,id=*,attribute=Version");
    REQUEST_HANDLER_AVG_IDLE = Metric::gauge(
        "kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent", "ratio",
        "Share of time, from 0 to 1, in which the runtime's worker threads had nothing to do, over the last minute of scrapes. \
         There are no request handler threads: the workers do all but what blocks on disks.",
    )
    .kafka("kafka.server:type=KafkaRequestHandlerPool,name=RequestHandlerAvgIdlePercent")
    .when_bad("Below 0.3 for long: CPU is short. Spread leaders, or add brokers.");
    RUNTIME_WORKERS = Metric::gauge("highwater_runtime_workers", "threads", "Worker threads of the runtime.");
    RUNTIME_BUSY_SECONDS = Metric::counter(
        "highwater_runtime_busy_seconds_total", "seconds", "Time in which worker threads were busy, summed.",
    )
    .when_bad("Its rate divided by the workers is 1 minus the idle ratio.");
    RUNTIME_ALIVE_TASKS = Metric::gauge(
        "highwater_runtime_alive_tasks", "tasks", "Tasks that are not finished: connections, streams and the like.",
    );
    RUNTIME_GLOBAL_QUEUE = Metric::gauge(
        "highwater_runtime_global_queue_size", "tasks", "Tasks that are ready and wait in the queue shared by all workers.",
    )
    .when_bad("Stays above 0: workers are overloaded or blocked.");
    CPU_SECONDS = Metric::counter("process_cpu_seconds_total", "seconds", "CPU time in user and system mode.");
    RESIDENT_BYTES = Metric::gauge("process_resident_memory_bytes", "bytes", "Resident memory.");
    VIRTUAL_BYTES = Metric::gauge("process_virtual_memory_bytes", "bytes", "Virtual memory.");
    THREADS = Metric::gauge("process_threads", "threads", "Threads, those for blocking work included.");
    OPEN_FDS = Metric::gauge("process_open_fds", "files", "Open file descriptors.")
        .when_bad("Near the limit: connections are refused and segments cannot be opened.");
    MAX_FDS = Metric::gauge("process_max_fds", "files", "Most file descriptors that the process may open.");
    START_TIME = Metric::gauge("process_start_time_seconds", "seconds", "When the process started, in seconds since 1970.")
        .when_bad("Changes without your doing: it was restarted.");
}
