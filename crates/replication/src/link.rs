//! The follower's side: one stream per lane to each broker that leads something this broker follows.
//!
//! A [`Link`] knows which partitions want its leader. Its task connects while there are any, opens them, takes in what is
//! pushed, and sends what the partitions acknowledge. A broken stream is dialled again with growing pauses.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use highwater_env::lock::Mutex;
use highwater_rpc::replication::{Lane, Slot};
use highwater_types::{BrokerId, TopicIdPartition};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::link_slot::AckQueue;
use crate::partition::Partition;

/// How long after its stream broke a leader is suspected to be dead. The controller needs some milliseconds to find out.
const SUSPICION: Duration = Duration::from_millis(500);

/// The links of this broker, by leader and lane.
#[derive(Default)]
pub(crate) struct Links {
    state: Mutex<LinksState>,
}

#[derive(Default)]
struct LinksState {
    links: BTreeMap<(BrokerId, Lane), (Arc<Link>, JoinHandle<()>)>,
    /// Whom each partition follows, and on which lane.
    followed: BTreeMap<TopicIdPartition, ((BrokerId, Lane), Arc<Partition>)>,
    stopped: bool,
}

/// One link, for as long as the process runs; idle while no partition wants it.
pub(crate) struct Link {
    pub leader: BrokerId,
    pub lane: Lane,
    pub acks: Arc<AckQueue>,
    inbox: Mutex<Inbox>,
    /// When the last stream broke, while there is no other.
    broken: Mutex<Option<Instant>>,
    next_slot: AtomicU32,
}

/// What the partitions want from the link's task.
#[derive(Default)]
pub(crate) struct Inbox {
    /// All that follow this leader.
    pub wanted: BTreeMap<TopicIdPartition, Arc<Partition>>,
    /// Those of them that must be opened (again).
    pub reopen: BTreeSet<TopicIdPartition>,
    /// Those that are not wanted any more.
    pub dropped: BTreeSet<TopicIdPartition>,
}

impl Links {
    /// `partition` may follow another leader, on another lane, or nobody from now on, or is to be opened anew. `start` starts the
    /// task of a new link.
    ///
    /// What it follows is asked here, under the lock: (1) the metadata put it on one lane, (2) a push puts it on another, (3) the
    /// second call comes first. What (1) said would make the wrong link the last one that heard of it.
    pub fn follow(&self, partition: &Arc<Partition>, start: impl FnOnce(Arc<Link>) -> JoinHandle<()>) {
        let mut state = self.state.lock();
        if state.stopped {
            return;
        }
        let source = partition.source();
        let former = state.followed.get(&partition.id).cloned();
        if let Some((former, followed)) = &former
            && Some(*former) != source
        {
            // A replica that is gone may be there again, as another one.
            if source.is_none() && !Arc::ptr_eq(followed, partition) {
                return;
            }
            state.followed.remove(&partition.id);
            if let Some((link, _)) = state.links.get(former) {
                link.unfollow(partition.id);
            }
        }
        let Some(source) = source else { return };
        state.followed.insert(partition.id, (source, partition.clone()));
        let (link, _) = state.links.entry(source).or_insert_with(|| {
            let link = Link::new(source);
            (link.clone(), start(link))
        });
        link.follow(partition);
    }

    /// This broker may have registered anew: streams that say otherwise end, and are opened again.
    pub fn on_registered(&self) {
        self.state.lock().links.values().for_each(|(link, _)| link.acks.ring());
    }

    /// Leaders that are followed here and of whom a stream has just broken: they may have died. With how long ago that was.
    pub fn suspects(&self) -> BTreeMap<BrokerId, Duration> {
        let state = self.state.lock();
        let suspects = state.links.values().filter_map(|(link, _)| Some((link.leader, link.broken_for()?)));
        suspects.filter(|(_, broken)| *broken < SUSPICION).collect()
    }

    /// Lets go of all partitions and follows none any more. Returns the tasks, to be aborted.
    pub fn stop(&self) -> Vec<JoinHandle<()>> {
        let mut state = self.state.lock();
        state.stopped = true;
        state.followed.clear();
        let links = std::mem::take(&mut state.links).into_values();
        let release = |(link, task): (Arc<Link>, JoinHandle<()>)| {
            *link.inbox.lock() = Inbox::default();
            task
        };
        links.map(release).collect()
    }
}

impl Link {
    fn new((leader, lane): (BrokerId, Lane)) -> Arc<Self> {
        Arc::new(Self {
            leader,
            lane,
            acks: Arc::default(),
            inbox: Mutex::default(),
            broken: Mutex::default(),
            next_slot: AtomicU32::new(1),
        })
    }

    /// A stream was opened.
    pub fn opened(&self) {
        *self.broken.lock() = None;
    }

    /// The stream that was open broke.
    pub fn broke(&self) {
        *self.broken.lock() = Some(Instant::now());
    }

    fn broken_for(&self) -> Option<Duration> {
        self.broken.lock().map(|at| at.elapsed())
    }

    fn follow(&self, partition: &Arc<Partition>) {
        let mut inbox = self.inbox.lock();
        inbox.wanted.insert(partition.id, partition.clone());
        inbox.dropped.remove(&partition.id);
        inbox.reopen.insert(partition.id);
        drop(inbox);
        self.acks.ring();
    }

    fn unfollow(&self, partition: TopicIdPartition) {
        let mut inbox = self.inbox.lock();
        inbox.wanted.remove(&partition);
        inbox.reopen.remove(&partition);
        inbox.dropped.insert(partition);
        drop(inbox);
        self.acks.ring();
    }

    /// A slot that no stream of this link has used.
    pub fn next_slot(&self) -> Slot {
        Slot(self.next_slot.fetch_add(1, Ordering::Relaxed))
    }

    /// Waits until a partition wants this leader.
    pub async fn wanted(&self) {
        while self.inbox.lock().wanted.is_empty() {
            self.acks.rung().await;
        }
    }

    /// Looks into the inbox.
    pub fn with_inbox<R>(&self, look: impl FnOnce(&mut Inbox) -> R) -> R {
        look(&mut self.inbox.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_is_suspected_while_its_stream_is_broken() {
        let links = Links::default();
        let source = (BrokerId(1), Lane::InSync);
        let link = Link::new(source);
        links.state.lock().links.insert(source, (link.clone(), idle_task()));
        let suspects = || links.suspects().into_keys().collect::<Vec<_>>();
        assert_eq!(suspects(), [], "never connected");
        link.broke();
        assert_eq!(suspects(), [BrokerId(1)]);
        link.opened();
        assert_eq!(suspects(), []);
        *link.broken.lock() = Instant::now().checked_sub(SUSPICION);
        assert_eq!(suspects(), [], "long ago");
    }

    fn idle_task() -> JoinHandle<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.spawn(std::future::ready(()))
    }
}
