//! The partitions one fetch reads, within its budgets: which reads to do, when there is enough, what to answer.
//!
//! Knows no request encoding and no waiting; reads through a function that it is given.

use highwater_replication::{FetchError, FetchRead, FetchResult};
use highwater_types::{BrokerId, ErrorCode, PartitionIndex, TopicIdPartition};

use crate::fetch_session::AskedPartition;

/// One partition of a fetch, and what is known of it so far.
#[derive(Debug)]
pub(crate) struct FetchEntry {
    /// Position of the topic in the request.
    pub(crate) topic: usize,
    /// The partition as the request names it.
    pub(crate) partition: PartitionIndex,
    /// What is asked of it.
    pub(crate) asked: AskedPartition,
    /// How to read it, or why it cannot be.
    pub(crate) target: Result<FetchRead, ErrorCode>,
    /// What the newest read found; `None` before the first.
    pub(crate) outcome: Option<Result<FetchResult, FetchError>>,
}

impl FetchEntry {
    fn size_bytes(&self) -> usize {
        match &self.outcome {
            Some(Ok(result)) => result.size_bytes,
            _ => 0,
        }
    }

    /// The client must hear of this at once.
    fn is_urgent(&self) -> bool {
        match &self.outcome {
            None => self.target.is_err(),
            Some(Err(_)) => true,
            Some(Ok(result)) => result.diverging.is_some() || result.preferred_read_replica != BrokerId::NONE,
        }
    }
}

/// All partitions of one fetch, in the order of the request.
#[derive(Debug)]
pub(crate) struct FetchPlan {
    /// The partitions.
    pub(crate) entries: Vec<FetchEntry>,
    /// Most record bytes of the answer; the first batch is returned even if it is larger (KIP-74).
    max_bytes: usize,
    /// The answer can wait while it has fewer record bytes.
    min_bytes: usize,
}

impl FetchPlan {
    /// A plan without reads done.
    pub(crate) fn new(entries: Vec<FetchEntry>, max_bytes: usize, min_bytes: usize) -> Self {
        Self { entries, max_bytes, min_bytes: min_bytes.min(max_bytes) }
    }

    /// Reads every partition, earlier ones first at the budget.
    pub(crate) fn read_all(&mut self, read: impl Fn(&FetchRead) -> Result<FetchResult, FetchError>) {
        let mut taken = 0;
        for entry in &mut self.entries {
            taken += read_entry(entry, self.max_bytes, taken, &read);
        }
    }

    /// Reads the partition at that position of [`Self::readable`] again.
    pub(crate) fn read_again(&mut self, position: usize, read: impl Fn(&FetchRead) -> Result<FetchResult, FetchError>) {
        let Some(index) =
            self.entries.iter().enumerate().filter(|(_, e)| e.target.is_ok()).nth(position).map(|(i, _)| i)
        else {
            return;
        };
        self.entries[index].outcome = None;
        let taken = self.size_bytes();
        read_entry(&mut self.entries[index], self.max_bytes, taken, &read);
    }

    /// The partitions that can be read, in order.
    pub(crate) fn readable(&self) -> Vec<TopicIdPartition> {
        self.entries.iter().filter_map(|entry| entry.target.as_ref().ok()).map(|read| read.partition).collect()
    }

    /// Whether the answer should go out now: enough bytes, nothing to wait for, or news that cannot wait.
    pub(crate) fn is_satisfied(&self) -> bool {
        self.entries.is_empty() || self.size_bytes() >= self.min_bytes || self.entries.iter().any(FetchEntry::is_urgent)
    }

    fn size_bytes(&self) -> usize {
        self.entries.iter().map(FetchEntry::size_bytes).sum()
    }
}

/// Reads one partition given that `taken` bytes of the budget are used; returns the bytes it took.
fn read_entry(
    entry: &mut FetchEntry,
    max_bytes: usize,
    taken: usize,
    read: impl Fn(&FetchRead) -> Result<FetchResult, FetchError>,
) -> usize {
    let Ok(target) = &mut entry.target else { return 0 };
    let partition_max_bytes = usize::try_from(entry.asked.max_bytes).unwrap_or(0);
    target.max_bytes = partition_max_bytes.min(max_bytes.saturating_sub(taken));
    target.min_one_batch = taken == 0;
    entry.outcome = Some(read(target));
    entry.size_bytes()
}

#[cfg(test)]
mod tests;
