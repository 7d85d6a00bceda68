//! What is known of a log that was closed properly, without a look at its files, and `clean-logs-checkpoint`, which holds
//! it from a clean stop to the next start.
//!
//! The file is not Kafka's. It is believed only with the marker of a clean shutdown beside it, and of a log only if its
//! recovery point is still where the log ended; without it every log is opened at start, which takes longer and changes no
//! answer.

use std::collections::BTreeMap;

use highwater_types::{LeaderEpoch, Offset, PartitionIndex, Timestamp, TopicId, TopicName, TopicPartition};

use crate::text_file::{Lines, Malformed};

const VERSION: &str = "0";

/// A log as it was when it was closed. All of it is durable, and no transaction is open in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSummary {
    /// The first offset that may be read.
    pub log_start: Offset,
    /// The offset the next record will get.
    pub log_end: Offset,
    /// The newest leader epoch with records.
    pub latest_epoch: LeaderEpoch,
    /// Bytes of batches.
    pub size_bytes: u64,
    /// Largest timestamp in the oldest segment; -1 if it has none.
    pub oldest_timestamp: Timestamp,
}

/// Partition -> which topic's, and what is in it.
pub(crate) type Summaries = BTreeMap<TopicPartition, (TopicId, LogSummary)>;

impl LogSummary {
    /// A log that has nothing on disk: it gets its directory with its first batch.
    pub const EMPTY: Self = Self {
        log_start: Offset::ZERO,
        log_end: Offset::ZERO,
        latest_epoch: LeaderEpoch::NONE,
        size_bytes: 0,
        oldest_timestamp: Timestamp::NONE,
    };

    /// Whether retention may find something to delete, so that the log is worth opening.
    pub fn may_retain_too_much(&self, config: &crate::LogConfig, now: Timestamp) -> bool {
        let expires = config.delete_policy && config.retention_ms >= 0;
        // Of a timestamp of the future, or none, only the log itself can say what it means.
        let unclear = self.oldest_timestamp < Timestamp(0) || self.oldest_timestamp > now;
        let expired = expires && (unclear || now.0.saturating_sub(self.oldest_timestamp.0) > config.retention_ms);
        let bound = u64::try_from(config.retention_bytes).ok().filter(|_| config.delete_policy);
        self.size_bytes > 0 && (expired || bound.is_some_and(|bound| self.size_bytes > bound))
    }
}

/// Reads the file's text.
pub(crate) fn parse(text: &[u8]) -> Result<Summaries, Malformed> {
    let mut lines = Lines::new(text)?;
    lines.expect_version(VERSION)?;
    let count = lines.entry_count()?;
    let mut summaries = Summaries::new();
    for fields in lines {
        let fields = fields?;
        let [topic, partition, topic_id, log_start, log_end, epoch, size, oldest] = fields[..] else {
            return Err(Malformed::new("an entry needs eight fields"));
        };
        let topic = TopicName::new(topic).map_err(|error| Malformed::new(error.to_string()))?;
        let topic_id = topic_id.parse().map_err(|_| Malformed::new("a topic id is none"))?;
        let summary = LogSummary {
            log_start: Offset(number(log_start)?),
            log_end: Offset(number(log_end)?),
            latest_epoch: LeaderEpoch(number(epoch)?),
            size_bytes: number(size)?,
            oldest_timestamp: Timestamp(number(oldest)?),
        };
        summaries.insert(TopicPartition { topic, partition: PartitionIndex(number(partition)?) }, (topic_id, summary));
    }
    if summaries.len() != count {
        return Err(Malformed::new("the number of entries is not the one in the second line"));
    }
    Ok(summaries)
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, Malformed> {
    text.parse().map_err(|_| Malformed::new(format!("{text:?} is not the number that belongs there")))
}

/// The file's text.
pub(crate) fn encode(summaries: &Summaries) -> String {
    let mut text = format!("{VERSION}\n{}\n", summaries.len());
    for (partition, (topic_id, summary)) in summaries {
        let LogSummary { log_start, log_end, latest_epoch, size_bytes, oldest_timestamp } = summary;
        text.push_str(&format!(
            "{} {} {topic_id} {log_start} {log_end} {latest_epoch} {size_bytes} {}\n",
            partition.topic, partition.partition, oldest_timestamp.0
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogConfig;

    #[test]
    fn text_round_trips() {
        let text =
            "0\n2\na-b 0 DMF3TiLi6dy5bf3C4lJ5Zw 5 17 3 999 1700000000000\nz 10 DMF3TiLi6dy5bf3C4lJ5Zw 0 0 -1 0 -1\n";
        let summaries = parse(text.as_bytes()).unwrap();
        assert_eq!(encode(&summaries), text);
        for broken in
            ["", "1\n0\n", "0\n1\n", "0\n1\na 0 x 0 0 0 0 0\n", "0\n1\na 0 DMF3TiLi6dy5bf3C4lJ5Zw 0 0 0 -1 0\n"]
        {
            assert!(parse(broken.as_bytes()).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn retention_opens_a_log_only_if_it_may_find_something() {
        let now = Timestamp(1_000_000);
        let log = LogSummary {
            size_bytes: 500,
            oldest_timestamp: Timestamp(400_000),
            log_end: Offset(5),
            ..LogSummary::EMPTY
        };
        let config =
            |retention_ms, retention_bytes| LogConfig { retention_ms, retention_bytes, ..LogConfig::default() };
        for (summary, config, expected) in [
            (LogSummary::EMPTY, config(1, 0), false),
            (log, config(-1, -1), false),
            (log, config(600_000, -1), false),
            (log, config(599_999, -1), true),
            (log, LogConfig { delete_policy: false, ..config(1, 1) }, false),
            (log, config(-1, 500), false),
            (log, config(-1, 499), true),
            (LogSummary { oldest_timestamp: Timestamp(1_000_001), ..log }, config(i64::MAX, -1), true),
            (LogSummary { oldest_timestamp: Timestamp::NONE, ..log }, config(i64::MAX, -1), true),
            (LogSummary { oldest_timestamp: Timestamp::NONE, ..log }, config(-1, -1), false),
        ] {
            assert_eq!(summary.may_retain_too_much(&config, now), expected, "{summary:?} {config:?}");
        }
    }
}
