//! A broker's link to the quorum: metadata comes in, and a lease is kept.

mod follow;
mod lease;
mod session;

use std::sync::Arc;
use std::time::Duration;

use highwater_controller::{CommandError, RegisterBroker};
use highwater_env::lock::Mutex;
use highwater_metadata::MetadataImage;
use highwater_types::{BrokerEpoch, DirectoryId, MonoMs};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::{ControllerClient, MetadataHandle, MetadataPublisher};
use lease::LeaseState;
use session::{Progress, Session};

/// The link of one broker process. Clones are handles to the same one.
#[derive(Clone)]
pub struct BrokerLink {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    metadata: MetadataHandle,
    client: ControllerClient,
    lease: Arc<LeaseState>,
    progress: watch::Sender<Progress>,
    requests: mpsc::Sender<session::Ask>,
    registration: Arc<Mutex<RegisterBroker>>,
    tasks: Mutex<JoinSet<()>>,
}

impl BrokerLink {
    /// Starts to follow the metadata, by the way that `client` knows, and to register this broker. `publisher` is told of every
    /// change. `heartbeat_interval` is `broker.heartbeat.interval.ms`; heartbeats go out at least four times per lease, whatever
    /// it says.
    pub fn start(
        client: ControllerClient,
        heartbeat_interval: Duration,
        registration: RegisterBroker,
        publisher: Arc<dyn MetadataPublisher>,
    ) -> Self {
        let finder = client.finder().clone();
        let metadata = MetadataHandle::new(Arc::new(MetadataImage::empty()));
        let lease = Arc::new(LeaseState::default());
        let progress = watch::Sender::new(Progress::default());
        let (requests, asked) = mpsc::channel(session::ASKS);
        let mut tasks = JoinSet::new();
        let (id, registration) = (registration.id, Arc::new(Mutex::new(registration)));
        match finder.local(id) {
            Some(controller) => {
                let feed = controller.feed.clone();
                tasks.spawn(follow::local(feed, finder.clone(), metadata.clone(), publisher));
            }
            None => {
                tasks.spawn(follow::remote(finder.clone(), id, metadata.clone(), publisher));
            }
        }
        let session = Session {
            finder,
            registration: registration.clone(),
            heartbeat_interval,
            metadata: metadata.clone(),
            lease: lease.clone(),
            progress: progress.clone(),
        };
        tasks.spawn(session.run(asked));
        let tasks = Mutex::new(tasks);
        Self { shared: Arc::new(Shared { metadata, client, lease, progress, requests, registration, tasks }) }
    }

    /// The metadata as this broker knows it.
    pub fn metadata(&self) -> MetadataHandle {
        self.shared.metadata.clone()
    }

    /// A client for commands, which shares what this link knows of the active controller.
    pub fn controller_client(&self) -> ControllerClient {
        self.shared.client.clone()
    }

    /// The epoch of this process's registration, or [`BrokerEpoch::NONE`] before it has one.
    pub fn broker_epoch(&self) -> BrokerEpoch {
        self.shared.lease.epoch()
    }

    /// Whether this broker may serve at `now` (`clock::mono_ms`): it is unfenced and its lease has not lapsed (M9).
    pub fn lease_valid(&self, now: MonoMs) -> bool {
        self.shared.lease.is_valid(now)
    }

    /// When the lease lapses, if no other comes: for a test that has no clock of this node.
    pub fn lease_until(&self) -> MonoMs {
        self.shared.lease.until()
    }

    /// A log directory failed: registrations to come, which every new session needs, do not name it.
    pub fn on_log_dir_failed(&self, directory: DirectoryId) {
        self.shared.registration.lock().log_dirs.retain(|&other| other != directory);
    }

    /// Waits until the broker is registered, unfenced and has a lease.
    ///
    /// # Errors
    /// When the cluster refuses this broker for good: another process has its id, or the cluster is another one.
    pub async fn unfenced(&self) -> Result<(), CommandError> {
        let done = |progress: &Progress| progress.serving || progress.refused.is_some();
        // The sender lives in `self`.
        match self.shared.progress.subscribe().wait_for(done).await {
            Ok(progress) => progress.refused.clone().map_or(Ok(()), Err),
            Err(_) => Ok(()),
        }
    }

    /// Waits until the cluster has refused this broker for good. The process had better stop then.
    pub async fn refused(&self) -> CommandError {
        loop {
            let mut progress = self.shared.progress.subscribe();
            if let Ok(progress) = progress.wait_for(|progress| progress.refused.is_some()).await
                && let Some(error) = &progress.refused
            {
                return error.clone();
            }
            std::future::pending::<()>().await;
        }
    }

    /// Asks the active controller to move leaderships away, until this broker leads nothing that another could lead and
    /// knows it. True if that succeeded within `timeout`.
    pub async fn controlled_shutdown(&self, timeout: Duration) -> bool {
        tokio::time::timeout(timeout, self.hand_over()).await.unwrap_or(false)
    }

    async fn hand_over(&self) -> bool {
        let mut progress = self.shared.progress.subscribe();
        if self.shared.requests.send(session::Ask::ControlledShutdown).await.is_err() {
            return false;
        }
        let Ok(offset) = progress.wait_for(|progress| progress.may_stop.is_some()).await.map(|now| now.may_stop) else {
            return false;
        };
        if let Some(offset) = offset {
            self.shared.metadata.reached(offset).await;
        }
        true
    }

    /// Gives the lease up, says goodbye and stops following. Nothing is served afterwards.
    pub async fn stop(&self) {
        self.shared.lease.give_up();
        if self.shared.requests.send(session::Ask::Goodbye).await.is_ok() {
            let mut progress = self.shared.progress.subscribe();
            let said = progress.wait_for(|progress| progress.said_goodbye);
            let _ = tokio::time::timeout(session::GOODBYE, said).await;
        }
        let mut tasks = std::mem::take(&mut *self.shared.tasks.lock());
        // Aborted, and gone with all they hold when this returns.
        tasks.shutdown().await;
    }
}
