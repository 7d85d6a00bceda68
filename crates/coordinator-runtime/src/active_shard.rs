//! A loaded shard: one lock around it, requests in, appends and answers out, one task for its deadlines.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::Shared;
use highwater_env::clock::{mono_ms, wall_ms};
use highwater_env::lock::Mutex;
use highwater_group::{
    CommittedOffset, CoordinatorRecord, DescribedGroup, GroupCoordinatorShard, GroupFigures, JoinGroupResponse,
    ListGroupsFilter, ListedGroup, Now, Output, Reply, Request, Response, SendWhen, SyncGroupResponse, Token,
};
use highwater_records::{BatchBuilder, Compression};
use highwater_types::{ErrorCode, LeaderEpoch, MonoMs, PartitionIndex, TopicName};
use tokio::sync::{Notify, oneshot};
use tracing::{debug, warn};

use crate::lease_clock::LeaseClock;
use crate::{Committed, PartitionWriter};

/// How often the clock looks for the lease while something is to become due.
const LOOK: Duration = Duration::from_secs(1);

/// A shard whose partition this broker leads in `epoch`.
pub(crate) struct ActiveShard {
    partition: PartitionIndex,
    epoch: LeaderEpoch,
    writer: Arc<dyn PartitionWriter>,
    /// Of all shards of the coordinator.
    rebalances: Arc<AtomicU64>,
    inner: Mutex<Inner>,
    /// Wakes the deadline task: the next deadline came nearer, or the shard was closed.
    deadline_changed: Notify,
}

struct Inner {
    shard: GroupCoordinatorShard,
    /// The time of all deadlines.
    clock: LeaseClock,
    /// Requests that have no answer yet.
    waiting: BTreeMap<Token, oneshot::Sender<Answer>>,
    next_token: u64,
    /// Commit of the latest batch, as long as it is not known to be committed; earlier batches commit before it.
    last_append: Option<Shared<Committed>>,
    /// What the deadline task sleeps for.
    armed: Option<MonoMs>,
    /// Leadership is lost: nothing reaches the shard any more.
    closed: bool,
}

/// An answer and what must be committed before it may be sent.
struct Answer {
    response: Response,
    after: Option<Shared<Committed>>,
}

/// What became of a request.
pub(crate) enum Submission {
    /// It is being dealt with.
    Accepted(PendingAnswer),
    /// The shard has been closed; the request comes back.
    Closed(Request),
}

/// A request on its way.
pub(crate) struct PendingAnswer {
    receiver: oneshot::Receiver<Answer>,
    /// What to answer if the shard is closed while the request waits in it; `None` for requests that never wait there.
    if_closed: Option<Response>,
}

impl ActiveShard {
    /// Starts a shard that has been read back.
    pub(crate) fn start(
        partition: PartitionIndex,
        epoch: LeaderEpoch,
        writer: Arc<dyn PartitionWriter>,
        shard: GroupCoordinatorShard,
        rebalances: Arc<AtomicU64>,
    ) -> Arc<Self> {
        let inner = Inner {
            shard,
            clock: LeaseClock::new(mono_ms()),
            waiting: BTreeMap::new(),
            next_token: 0,
            last_append: None,
            armed: None,
            closed: false,
        };
        let (inner, deadline_changed) = (Mutex::new(inner), Notify::new());
        let active = Arc::new(Self { partition, epoch, writer, rebalances, inner, deadline_changed });
        active.step(|shard, now| shard.on_loaded(now));
        tokio::spawn(active.clone().run_deadlines());
        active
    }

    /// Hands a request to the shard.
    pub(crate) fn submit(&self, request: Request) -> Submission {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Submission::Closed(request);
        }
        let if_closed = match &request {
            Request::JoinGroup(request) => Some(Response::JoinGroup(JoinGroupResponse::error(
                ErrorCode::NotCoordinator,
                request.member_id.clone(),
            ))),
            Request::SyncGroup(_) => Some(Response::SyncGroup(SyncGroupResponse::error(ErrorCode::NotCoordinator))),
            _ => None,
        };
        let (sender, receiver) = oneshot::channel();
        let token = Token(inner.next_token);
        inner.next_token += 1;
        inner.waiting.insert(token, sender);
        let now = self.now(&mut inner);
        let output = inner.shard.handle(now, &mut highwater_env::rng::get(), token, request);
        self.carry_out(&mut inner, now, output);
        self.arm(&mut inner);
        Submission::Accepted(PendingAnswer { receiver, if_closed })
    }

    /// Forgets the offsets of deleted topics.
    pub(crate) fn on_topics_deleted(&self, topics: &[TopicName]) {
        self.step(|shard, now| shard.on_topics_deleted(now, topics));
    }

    /// Ends the shard. Requests that wait in it are answered NOT_COORDINATOR.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.closed = true;
        inner.waiting.clear();
        inner.last_append = None;
        drop(inner);
        self.deadline_changed.notify_one();
    }

    pub(crate) fn list_groups(&self, filter: &ListGroupsFilter) -> Vec<ListedGroup> {
        self.inner.lock().shard.list_groups(filter)
    }

    pub(crate) fn describe_group(&self, group_id: &str) -> DescribedGroup {
        self.inner.lock().shard.describe_group(group_id)
    }

    pub(crate) fn collect_committed_offsets(&self, offsets: &mut Vec<CommittedOffset>) {
        offsets.extend(self.inner.lock().shard.committed_offsets());
    }

    pub(crate) fn collect_group_figures(&self, figures: &mut Vec<GroupFigures>) {
        figures.extend(self.inner.lock().shard.group_figures());
    }

    fn step(&self, event: impl FnOnce(&mut GroupCoordinatorShard, Now) -> Output) {
        let mut inner = self.inner.lock();
        if !inner.closed {
            let now = self.now(&mut inner);
            let output = event(&mut inner.shard, now);
            self.carry_out(&mut inner, now, output);
            self.arm(&mut inner);
        }
    }

    /// Appends what is to be appended, reports the outcomes, which may ask for more, and gives out answers.
    fn carry_out(&self, inner: &mut Inner, now: Now, output: Output) {
        let mut outputs = VecDeque::from([output]);
        while let Some(Output { writes, replies, completed_rebalances }) = outputs.pop_front() {
            self.rebalances.fetch_add(completed_rebalances, Ordering::Relaxed);
            for write in writes {
                let result = self.append(inner, now, &write.records);
                outputs.push_back(inner.shard.on_append_result(now, write.id, result));
            }
            replies.into_iter().for_each(|reply| self.answer(inner, reply));
        }
    }

    fn append(&self, inner: &mut Inner, now: Now, records: &[CoordinatorRecord]) -> Result<(), ErrorCode> {
        let mut batch = BatchBuilder::new(Compression::None);
        for record in records {
            batch.append(now.wall, Some(&record.key), record.value.as_deref(), &[]);
        }
        match self.writer.append(self.partition, self.epoch, batch.build()) {
            Ok(committed) => {
                inner.last_append = Some(committed.shared());
                Ok(())
            }
            Err(error) => {
                warn!(partition = %self.partition, epoch = %self.epoch, error = error.name(),
                    records = records.len(), "append to __consumer_offsets refused");
                Err(error)
            }
        }
    }

    /// Gives an answer out, with what has to be committed first if it shows or promises stored state.
    fn answer(&self, inner: &mut Inner, reply: Reply) {
        let Reply { token, response, send } = reply;
        let after = match send {
            SendWhen::Now => Ok(None),
            SendWhen::Committed => self.uncommitted(inner),
        };
        let answer = match after {
            Ok(after) => Answer { response, after },
            Err(error) => Answer { response: response.into_write_failure(error), after: None },
        };
        let sender = inner.waiting.remove(&token).expect("every request is answered once");
        if sender.send(answer).is_err() {
            debug!("the client of a group request is gone");
        }
    }

    /// What to wait for until everything appended so far is committed; an error while that cannot be known. Whoever waits for an
    /// append hears of a lost lease there.
    fn uncommitted(&self, inner: &mut Inner) -> Result<Option<Shared<Committed>>, ErrorCode> {
        let failed = match inner.latest_append() {
            Ok(None) => None,
            Ok(under_way) => return Ok(under_way),
            Err(error) => Some(error),
        };
        // An append that failed for who waited for it is in the log all the same, and may be committed since: because fewer
        // replicas than the minimum were in sync when it was, or because the lease had lapsed for a while.
        if self.writer.is_committed(self.partition, self.epoch)? {
            inner.last_append = None;
            return Ok(None);
        }
        Err(failed.unwrap_or(ErrorCode::NotLeaderOrFollower))
    }

    /// Wakes the deadline task if it sleeps too long.
    fn arm(&self, inner: &mut Inner) {
        if let Some(next) = inner.shard.next_deadline()
            && inner.armed.is_none_or(|armed| next < armed)
        {
            inner.armed = Some(next);
            self.deadline_changed.notify_one();
        }
    }

    fn now(&self, inner: &mut Inner) -> Now {
        Now { wall: wall_ms(), mono: inner.clock.read(mono_ms(), self.writer.has_lease()) }
    }

    async fn run_deadlines(self: Arc<Self>) {
        loop {
            let wait = {
                let mut inner = self.inner.lock();
                if inner.closed {
                    return;
                }
                let now = self.now(&mut inner).mono;
                inner.armed = inner.shard.next_deadline();
                // Without a lease nothing becomes due.
                let has_lease = self.writer.has_lease();
                inner.armed.map(|next| if has_lease { (next - now).min(LOOK) } else { LOOK })
            };
            match wait {
                Some(Duration::ZERO) => {
                    self.step(|shard, now| shard.on_deadline(now));
                    // Many deadlines may be due at once; requests get their turn in between.
                    tokio::task::yield_now().await;
                }
                Some(wait) => {
                    // A time-out is the deadline itself: look again.
                    let _ = tokio::time::timeout(wait, self.deadline_changed.notified()).await;
                }
                None => self.deadline_changed.notified().await,
            }
        }
    }
}

impl Inner {
    /// The commit of the latest batch while it is under way, or else what became of it.
    fn latest_append(&self) -> Result<Option<Shared<Committed>>, ErrorCode> {
        let Some(latest) = &self.last_append else { return Ok(None) };
        match latest.clone().now_or_never() {
            None => Ok(Some(latest.clone())),
            Some(result) => result.map(|()| None),
        }
    }
}

impl PendingAnswer {
    /// Waits for the answer, and at most `commit_timeout` for the high watermark to pass what it shows.
    pub(crate) async fn resolve(self, commit_timeout: Duration) -> Response {
        let Ok(Answer { response, after }) = self.receiver.await else {
            return self.if_closed.expect("only JoinGroup and SyncGroup wait in a shard");
        };
        let Some(committed) = after else { return response };
        match tokio::time::timeout(commit_timeout, committed).await {
            Ok(Ok(())) => response,
            Ok(Err(error)) => response.into_write_failure(error),
            Err(_elapsed) => response.into_write_failure(ErrorCode::RequestTimedOut),
        }
    }
}
