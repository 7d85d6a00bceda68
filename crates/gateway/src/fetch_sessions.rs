//! The fetch sessions of this broker's clients, shared by all connections.

use std::sync::Arc;

use highwater_env::lock::Mutex;
use highwater_env::{clock, rng};
use highwater_protocol::messages::FetchRequest;
use highwater_types::ErrorCode;
use rand::RngCore as _;

use crate::fetch_session::{FetchSession, SessionEpoch};
use crate::fetch_session_cache::{FetchSessionCache, SessionId};
use crate::metrics::FetchSessionMetrics;

/// Holds the sessions. Locks are taken one at a time: that of the cache to find a session, that of the session to work on it.
pub(crate) struct FetchSessions {
    cache: Mutex<FetchSessionCache<Arc<Mutex<FetchSession>>>>,
    metrics: FetchSessionMetrics,
}

/// How a fetch stands to sessions.
pub(crate) enum SessionUse {
    /// It names all its partitions and wants no session.
    None,
    /// It names all its partitions, and asks for a session.
    Create,
    /// It continues this one.
    Continue(ContinuedSession),
}

/// A session with the request that continues it.
pub(crate) struct ContinuedSession {
    pub(crate) id: SessionId,
    /// Of the request.
    pub(crate) epoch: SessionEpoch,
    pub(crate) session: Arc<Mutex<FetchSession>>,
}

impl FetchSessions {
    /// No sessions, and room for so many.
    pub(crate) fn new(slots: usize, metrics: FetchSessionMetrics) -> Self {
        Self { cache: Mutex::new(FetchSessionCache::new(slots)), metrics }
    }

    /// What a request wants. A request for all its partitions ends the session it names.
    ///
    /// # Errors
    /// FETCH_SESSION_ID_NOT_FOUND if it continues a session that is not there (any more).
    pub(crate) fn find(&self, request: &FetchRequest) -> Result<SessionUse, ErrorCode> {
        let (id, epoch) = (SessionId(request.session_id), SessionEpoch(request.session_epoch));
        if epoch.is_full() {
            if id.0 != 0 {
                self.remove(id);
            }
            return Ok(if epoch == SessionEpoch::FINAL { SessionUse::None } else { SessionUse::Create });
        }
        let session = self.cache.lock().get(id).map(Arc::clone).ok_or(ErrorCode::FetchSessionIdNotFound)?;
        Ok(SessionUse::Continue(ContinuedSession { id, epoch, session }))
    }

    /// The session was used.
    pub(crate) fn touch(&self, id: SessionId, size: usize) {
        let mut cache = self.cache.lock();
        cache.touch(id, clock::mono_ms(), size);
        self.metrics.show(&cache);
    }

    /// Ends a session.
    pub(crate) fn remove(&self, id: SessionId) {
        let mut cache = self.cache.lock();
        cache.remove(id);
        self.metrics.show(&cache);
    }

    /// Keeps a new session of `size` partitions if there is room for it. Its first request, which has epoch 0, is still to be
    /// answered. `None`: the client must go on with full fetches.
    pub(crate) fn create(&self, size: usize, make: impl FnOnce() -> FetchSession) -> Option<ContinuedSession> {
        let mut made = None;
        let mut cache = self.cache.lock();
        let id = cache.insert(
            clock::mono_ms(),
            size,
            || rng::get().next_u32(),
            || Arc::clone(made.insert(Arc::new(Mutex::new(make())))),
        );
        self.metrics.show(&cache);
        Some(ContinuedSession { id: id?, epoch: SessionEpoch::INITIAL, session: made? })
    }
}
