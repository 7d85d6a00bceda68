//! Log directories: flushes, space, compaction.

use crate::metric::{Metric, PHASE_MS};
use crate::section::section;

section! {
    "Logs and log directories", Broker, "By directory where it matters which disk it is.";

    FLUSH_TIME_MS = Metric::histogram(
        "kafka_log_logflushstats_logflushrateandtimems", "milliseconds", PHASE_MS,
        "Time of one flush of one log; its count is the number of flushes.",
    )
    .by(&["logDirectory"]).always()
    .kafka("kafka.log:type=LogFlushStats,name=LogFlushRateAndTimeMs")
    .when_bad("99 of 100 above 100 ms: the disk is slow or shared. With strict durability, producers wait for it.");
    FLUSH_QUEUE_SIZE = Metric::gauge(
        "highwater_log_flush_queue_size", "logs", "Logs that wait for a flush.",
    )
    .by(&["logDirectory"]).always()
    .when_bad("Stays high: the disk does not keep up.");
    LOG_DIRECTORY_OFFLINE = Metric::gauge(
        "kafka_log_logmanager_logdirectoryoffline", "boolean", "1 if the directory failed and is out of service.",
    )
    .by(&["logDirectory"]).always()
    .kafka("kafka.log:type=LogManager,name=LogDirectoryOffline,logDirectory=*")
    .when_bad("1: the disk failed.");
    OFFLINE_LOG_DIRECTORY_COUNT = Metric::gauge(
        "kafka_log_logmanager_offlinelogdirectorycount", "directories", "Log directories out of service.",
    )
    .kafka("kafka.log:type=LogManager,name=OfflineLogDirectoryCount")
    .when_bad("Above 0: a disk failed.");
    LOG_DIRECTORY_FULL = Metric::gauge(
        "highwater_log_directory_full", "boolean",
        "1 while producers are refused, because less than highwater.disk.reserve.bytes is free.",
    )
    .by(&["logDirectory"]).always()
    .when_bad("1: delete records or topics, shorten retention, or add space; it heals by itself.");
    LOG_DIRECTORY_TOTAL_BYTES = Metric::gauge(
        "highwater_log_directory_total_bytes", "bytes", "Size of the volume that holds the directory.",
    )
    .by(&["logDirectory"]).always();
    LOG_DIRECTORY_USABLE_BYTES = Metric::gauge(
        "highwater_log_directory_usable_bytes", "bytes", "Free bytes of the volume that holds the directory.",
    )
    .by(&["logDirectory"]).always()
    .when_bad("Below a tenth of the total: shorten retention or add space. When it is 0, appends are refused.");
    MAX_DIRTY_PERCENT = Metric::gauge(
        "kafka_log_logcleanermanager_max_dirty_percent", "percent",
        "Largest share of a compacted log that waits for compaction.",
    )
    .kafka("kafka.log:type=LogCleanerManager,name=max-dirty-percent")
    .when_bad("Stays near 100: compaction does not keep up; raise log.cleaner.io.max.bytes.per.second.");
    TIME_SINCE_LAST_RUN_MS = Metric::gauge(
        "kafka_log_logcleanermanager_time_since_last_run_ms", "milliseconds",
        "Time since the compacted logs were last looked at.",
    )
    .kafka("kafka.log:type=LogCleanerManager,name=time-since-last-run-ms")
    .when_bad("Many times log.cleaner.backoff.ms while nothing is being compacted.");
    UNCLEANABLE_PARTITIONS = Metric::gauge(
        "kafka_log_logcleanermanager_uncleanable_partitions_count", "partitions",
        "Logs that cannot be compacted because they are damaged.",
    )
    .kafka("kafka.log:type=LogCleanerManager,name=uncleanable-partitions-count,logDirectory=*")
    .when_bad("Above 0: these logs only grow. The log of the broker says which, and what is wrong.");
    UNCLEANABLE_BYTES = Metric::gauge(
        "kafka_log_logcleanermanager_uncleanable_bytes", "bytes",
        "Bytes of damaged logs that would otherwise be compacted.",
    )
    .kafka("kafka.log:type=LogCleanerManager,name=uncleanable-bytes,logDirectory=*");
    MAX_COMPACTION_DELAY_SECS = Metric::gauge(
        "kafka_log_logcleaner_max_compaction_delay_secs", "seconds",
        "For how long a record has waited for compaction beyond max.compaction.lag.ms, the longest of all logs.",
    )
    .kafka("kafka.log:type=LogCleaner,name=max-compaction-delay-secs")
    .when_bad("Grows: compaction does not keep up; raise log.cleaner.io.max.bytes.per.second or log.cleaner.threads.");
    CLEANER_RECOPY_PERCENT = Metric::gauge(
        "kafka_log_logcleaner_cleaner_recopy_percent", "percent",
        "Bytes written for a hundred bytes read, of the log that was compacted last.",
    )
    .kafka("kafka.log:type=LogCleaner,name=cleaner-recopy-percent")
    .when_bad("Stays near 100: compaction finds little to drop; raise min.cleanable.dirty.ratio.");
    MAX_CLEAN_TIME_SECS = Metric::gauge(
        "kafka_log_logcleaner_max_clean_time_secs", "seconds", "Time that the log took that was compacted last.",
    )
    .kafka("kafka.log:type=LogCleaner,name=max-clean-time-secs");
    MAX_BUFFER_UTILIZATION_PERCENT = Metric::gauge(
        "kafka_log_logcleaner_max_buffer_utilization_percent", "percent",
        "Share of a cleaner's part of log.cleaner.dedupe.buffer.size that the keys took of the log that was compacted last.",
    )
    .kafka("kafka.log:type=LogCleaner,name=max-buffer-utilization-percent")
    .when_bad("At log.cleaner.io.buffer.load.factor: a log takes several passes; raise log.cleaner.dedupe.buffer.size.");
    CLEANABLE_BYTES = Metric::gauge(
        "highwater_log_cleaner_cleanable_bytes", "bytes", "Bytes that wait for compaction.",
    );
    CLEANER_RUNNING = Metric::gauge("highwater_log_cleaner_running", "logs", "Logs that are being compacted.");
    REMAINING_LOGS = Metric::gauge(
        "kafka_log_logmanager_remaininglogstorecover", "logs",
        "Logs that a crash left and that wait for recovery; their replicas are not there yet.",
    )
    .kafka("kafka.log:type=LogManager,name=remainingLogsToRecover,dir=*");
    CLEANER_PASSES = Metric::counter("highwater_log_cleaner_passes_total", "passes", "Logs compacted.");
    CLEANER_READ_BYTES = Metric::counter(
        "highwater_log_cleaner_read_bytes_total", "bytes", "Bytes read by compaction.",
    );
    CLEANER_WRITTEN_BYTES = Metric::counter(
        "highwater_log_cleaner_written_bytes_total", "bytes", "Bytes written by compaction.",
    );
    CLEANER_RECLAIMED_BYTES = Metric::counter(
        "highwater_log_cleaner_reclaimed_bytes_total", "bytes", "Bytes that compaction freed.",
    );
}
