//! What librdkafka must hear between a leader's death and its successor.
//!
//! librdkafka 2 ends its thread for a broker as soon as an answer does not list it any more, and that thread, when it ends, takes
//! the broker's partitions away from the new leaders which the same answer named: they have none then until it looks again a second
//! later. Told at first that the broker is gone and its partitions have no leader, it asks again after 100 ms, by when the thread has
//! ended. Other clients are told of the new leader at once.

use std::sync::Arc;
use std::time::Duration;

use highwater_env::lock::Mutex;
use highwater_metadata::MetadataImage;
use highwater_types::{BrokerId, MonoMs};

/// How long after a leader was suspected, and again after it was fenced, it is told as gone without a successor. librdkafka asks
/// within some milliseconds, and again 80 to 120 ms later.
pub(crate) const GONE_FIRST: Duration = Duration::from_millis(40);

/// The brokers that were fenced last.
#[derive(Default)]
pub(crate) struct Departures {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The newest metadata.
    image: Option<Arc<MetadataImage>>,
    latest: Option<Departure>,
}

/// Brokers that were fenced together.
#[derive(Clone)]
pub(crate) struct Departure {
    at: MonoMs,
    /// The metadata before, in which they were alive.
    pub(crate) before: Arc<MetadataImage>,
    /// In ascending order.
    pub(crate) brokers: Vec<BrokerId>,
}

impl Departures {
    /// Follows the metadata, and gives the last departure if it was less than [`GONE_FIRST`] ago.
    pub(crate) fn follow(&self, image: &Arc<MetadataImage>, now: MonoMs) -> Option<Departure> {
        let mut state = self.state.lock();
        state.latest = state.latest.take().filter(|departure| now - departure.at < GONE_FIRST);
        if state.image.as_ref().is_none_or(|known| known.offset() < image.offset())
            && let Some(before) = state.image.replace(Arc::clone(image))
        {
            let alive = before.brokers().filter(|broker| !broker.fenced).map(|broker| broker.id);
            let brokers: Vec<BrokerId> = alive.filter(|&id| !image.is_unfenced(id)).collect();
            if !brokers.is_empty() {
                state.latest = Some(Departure::new(now, before, brokers));
            }
        }
        state.latest.clone()
    }
}

impl Departure {
    /// `brokers`, alive in `before`, were fenced.
    pub(crate) fn new(at: MonoMs, before: Arc<MetadataImage>, brokers: Vec<BrokerId>) -> Self {
        Self { at, before, brokers }
    }
}

#[cfg(test)]
mod tests {
    use highwater_metadata::{BrokerChange, MetadataRecord};
    use highwater_types::{BrokerEpoch, MetadataOffset};

    use super::*;
    use crate::endpoints::tests::{TOPIC_ID, image};

    #[test]
    fn a_broker_that_was_fenced_is_remembered_for_a_moment() {
        let departures = Departures::default();
        let before = Arc::new(image(&[("t", TOPIC_ID, &[1, 2])]));
        assert!(departures.follow(&before, MonoMs(5)).is_none(), "who was fenced from the start did not depart");
        let following = |image: &MetadataImage| MetadataOffset(image.offset().get() + 1);
        let nothing = || BrokerChange::nothing(BrokerId(2), BrokerEpoch(2));
        let fencing = BrokerChange { fenced: Some(true), ..nothing() };
        let (after, _) = before.apply(&[MetadataRecord::BrokerChange(fencing)], following(&before));
        let later = Arc::new(after.apply(&[MetadataRecord::BrokerChange(nothing())], following(&after)).0);
        let departure = departures.follow(&Arc::new(after), MonoMs(1000)).unwrap();
        assert_eq!(departure.brokers, [BrokerId(2)]);
        assert!(departure.before.is_unfenced(BrokerId(2)));
        assert!(departures.follow(&later, MonoMs(1039)).is_some(), "another change follows");
        assert!(departures.follow(&before, MonoMs(1039)).is_some(), "asked with the metadata before");
        assert!(departures.follow(&later, MonoMs(1040)).is_none());
    }
}
