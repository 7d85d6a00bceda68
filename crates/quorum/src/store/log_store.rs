//! openraft's log storage over the key-value database.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use highwater_env::lock::Mutex;
use highwater_env::{Kv, KvOp, run_blocking};
use highwater_rpc::pb::quorum as pb;
use openraft::OptionalSend;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use prost::Message;

use super::flusher::Flusher;
use super::{RAFT_LOG, RAFT_META};
use crate::raft_types::{Entry, LogId, TypeConfig, Vote};
use crate::wire::{
    damaged, decode_stored, entry_from_pb, entry_to_pb, log_id_from_pb, log_id_to_pb, vote_from_pb, vote_to_pb,
};

const VOTE: &[u8] = b"vote";
const PURGED: &[u8] = b"purged";
const COMMITTED: &[u8] = b"committed";

/// Entries read in one go; bounds the memory of a scan, not its result.
const SCAN_PAGE: usize = 256;
/// About how many bytes of entries one read for replication returns: large enough to catch up quickly, small enough for a
/// message and for heartbeats behind it.
const READ_BYTES: usize = 1024 * 1024;

/// The log of one controller. There is one; readers are made from it.
pub(crate) struct LogStore {
    reader: LogReader,
    flusher: Flusher,
}

/// Reads the log. Sees what was appended as soon as `append` returns.
#[derive(Clone)]
pub(crate) struct LogReader {
    kv: Arc<dyn Kv>,
    /// The vote as last saved, so that a reader need not go to the database for it.
    vote: Arc<Mutex<Option<Vote>>>,
}

impl LogStore {
    /// The log in `kv`. Starts the flusher on the current runtime.
    pub(crate) fn open(kv: Arc<dyn Kv>) -> io::Result<Self> {
        let vote = match kv.get(RAFT_META, VOTE)? {
            Some(bytes) => {
                let vote = vote_from_pb(decode_stored::<pb::Vote>(&bytes, "the vote")?);
                Some(vote.map_err(|error| damaged("the vote", &error))?)
            }
            None => None,
        };
        let flusher = Flusher::start(kv.clone());
        Ok(Self { reader: LogReader { kv, vote: Arc::new(Mutex::new(vote)) }, flusher })
    }

    /// A reader of this log.
    pub(crate) fn reader(&self) -> LogReader {
        self.reader.clone()
    }

    fn kv(&self) -> &Arc<dyn Kv> {
        &self.reader.kv
    }

    #[cfg(test)]
    pub(crate) fn kv_for_test(&self) -> Arc<dyn Kv> {
        self.kv().clone()
    }

    fn get_log_id(&self, key: &[u8], what: &str) -> io::Result<Option<LogId>> {
        let bytes = self.kv().get(RAFT_META, key)?;
        bytes.map(|bytes| Ok(log_id_from_pb(decode_stored::<pb::LogId>(&bytes, what)?))).transpose()
    }
}

impl LogReader {
    /// The first entries of `from..to`, or of what the log still has of it; nothing when there are none.
    pub(crate) fn read_some(&self, from: u64, to: u64) -> io::Result<Vec<Entry>> {
        self.read(from, to, READ_BYTES)
    }

    /// Entries of `from..to`, stopping after the one that reaches `max_bytes`.
    fn read(&self, from: u64, to: u64, max_bytes: usize) -> io::Result<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::new();
        let (mut next, mut bytes) = (from, 0);
        while next < to && bytes < max_bytes {
            let limit = SCAN_PAGE.min(usize::try_from(to - next).unwrap_or(usize::MAX));
            let page = self.kv.scan(RAFT_LOG, &next.to_be_bytes(), Some(&to.to_be_bytes()), limit)?;
            let full = page.len() == limit;
            for (_, value) in page {
                let entry = decode_entry(&value)?;
                if let Some(last) = entries.last()
                    && entry.log_id.index() != last.log_id.index() + 1
                {
                    return Err(damaged("the log", &format!("entry {} follows {}", entry.log_id, last.log_id)));
                }
                bytes += value.len();
                next = entry.log_id.index() + 1;
                entries.push(entry);
                if bytes >= max_bytes {
                    break;
                }
            }
            if !full {
                break;
            }
        }
        Ok(entries)
    }
}

impl RaftLogReader<TypeConfig> for LogReader {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let from = match range.start_bound() {
            Bound::Included(&index) => index,
            Bound::Excluded(&index) => index + 1,
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(&index) => index + 1,
            Bound::Excluded(&index) => index,
            Bound::Unbounded => u64::MAX,
        };
        self.read(from, to, usize::MAX)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(*self.vote.lock())
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(start, end, READ_BYTES)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let last_purged_log_id = self.get_log_id(PURGED, "the purge mark")?;
        let last_log_id = match self.kv().last(RAFT_LOG)? {
            Some((_, value)) => Some(decode_entry(&value)?.log_id),
            None => last_purged_log_id,
        };
        Ok(LogState { last_purged_log_id, last_log_id })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        self.reader.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let put = KvOp::Put { cf: RAFT_META, key: VOTE.to_vec(), value: vote_to_pb(vote).encode_to_vec() };
        let kv = self.kv().clone();
        run_blocking(move || kv.write(vec![put], true)).await?;
        *self.reader.vote.lock() = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let op = match committed {
            Some(log_id) => {
                KvOp::Put { cf: RAFT_META, key: COMMITTED.to_vec(), value: log_id_to_pb(&log_id).encode_to_vec() }
            }
            None => KvOp::Delete { cf: RAFT_META, key: COMMITTED.to_vec() },
        };
        self.kv().write(vec![op], false)
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        self.get_log_id(COMMITTED, "the commit mark")
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let ops = entries
            .into_iter()
            .map(|entry| KvOp::Put {
                cf: RAFT_LOG,
                key: entry.log_id.index().to_be_bytes().to_vec(),
                value: entry_to_pb(&entry).encode_to_vec(),
            })
            .collect();
        self.kv().write(ops, false)?;
        self.flusher.flush(callback).await;
        Ok(())
    }

    /// Unsynced: if a crash brings the entries back, they are uncommitted entries of an older term, as before the call.
    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> io::Result<()> {
        let from = last_log_id.map_or(0, |log_id| log_id.index() + 1);
        self.kv().write(vec![delete_log(from, u64::MAX)], false)
    }

    /// Unsynced: if a crash brings the entries back together with the old purge mark, the log is merely longer.
    async fn purge(&mut self, log_id: LogId) -> io::Result<()> {
        let mark = KvOp::Put { cf: RAFT_META, key: PURGED.to_vec(), value: log_id_to_pb(&log_id).encode_to_vec() };
        self.kv().write(vec![mark, delete_log(0, log_id.index() + 1)], false)
    }
}

fn delete_log(from: u64, to: u64) -> KvOp {
    KvOp::DeleteRange { cf: RAFT_LOG, from: from.to_be_bytes().to_vec(), to: to.to_be_bytes().to_vec() }
}

fn decode_entry(bytes: &[u8]) -> io::Result<Entry> {
    let entry = decode_stored::<pb::Entry>(bytes, "a log entry")?;
    entry_from_pb(entry).map_err(|error| damaged("a log entry", &error))
}
