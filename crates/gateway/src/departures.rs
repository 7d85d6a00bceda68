//! What librdkafka must hear between a leader's death and its successor.
//!
//! librdkafka 2 ends its thread for a broker as soon as an answer does not list it any more, and that thread, when it ends, takes
//! the broker's partitions away from the new leaders which the same answer named: they have none then until it looks again a second
//! later. So a dead broker stays in its lists for a moment ([`STILL_LISTED`]). A thread that stays pauses longer before each time it
//! dials, up to ten seconds, and forgets that only after ten without a try: a broker that dies again meanwhile ([`LATELY`]) is told
//! as gone at once instead, and at first without its successor. Then librdkafka asks again after 100 ms if a request was under way,
//! by when the thread has ended. Other clients are told of the new leader at once, and of the dead no more.
//!
//! So are consumers. One whose thread stayed and pauses, when its partitions are led by that broker again, has its question where its
//! last epoch ends (KIP-320) waiting there. If the thread is ended then, two of librdkafka's threads may wait for each other for ever
//! (its issue 5476): these partitions are read no more, and the application hears nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use highwater_env::lock::Mutex;
use highwater_metadata::MetadataImage;
use highwater_types::{BrokerId, MonoMs};

/// How long a broker stays in the list after it was fenced, if that had not happened lately.
const STILL_LISTED: Duration = Duration::from_secs(1);
/// Pauses between dials grow on for as long as this is not between them: librdkafka's `reconnect.backoff.max.ms` (10 s), and a
/// pause or two of the time before.
const LATELY: Duration = Duration::from_secs(15);
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
    /// Of brokers that had died lately.
    latest: Option<Departure>,
    /// Of each broker its last.
    deaths: BTreeMap<BrokerId, Death>,
}

struct Death {
    at: MonoMs,
    /// Not the first one lately.
    is_repeated: bool,
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
    /// Follows the metadata. All that is asked here is asked with the newest, for the answer to a client may overtake this.
    pub(crate) fn follow(&self, image: &Arc<MetadataImage>, now: MonoMs) {
        self.state.lock().follow(image, now);
    }

    /// The last departure of brokers that had died lately, if it was less than [`GONE_FIRST`] ago.
    pub(crate) fn latest(&self, image: &Arc<MetadataImage>, now: MonoMs) -> Option<Departure> {
        let mut state = self.state.lock();
        state.follow(image, now);
        state.latest.clone()
    }

    /// Whether the broker was fenced a short while ago, so that if it dies now, it is told as gone.
    pub(crate) fn has_died_lately(&self, broker: BrokerId, now: MonoMs) -> bool {
        self.state.lock().deaths.get(&broker).is_some_and(|death| now - death.at < LATELY)
    }

    /// The brokers to list though they are fenced, in ascending order.
    pub(crate) fn still_listed(&self, image: &Arc<MetadataImage>, now: MonoMs) -> Vec<BrokerId> {
        let mut state = self.state.lock();
        state.follow(image, now);
        let listed = |death: &Death| !death.is_repeated && now - death.at < STILL_LISTED;
        state.deaths.iter().filter(|(_, death)| listed(death)).map(|(&id, _)| id).collect()
    }
}

impl State {
    fn follow(&mut self, image: &Arc<MetadataImage>, now: MonoMs) {
        self.latest = self.latest.take().filter(|departure| now - departure.at < GONE_FIRST);
        if self.image.as_ref().is_some_and(|known| known.offset() >= image.offset()) {
            return;
        }
        let Some(before) = self.image.replace(Arc::clone(image)) else { return };
        let alive = before.brokers().filter(|broker| !broker.fenced).map(|broker| broker.id);
        let dead: Vec<BrokerId> = alive.filter(|&id| !image.is_unfenced(id)).collect();
        if dead.is_empty() {
            return;
        }
        self.deaths.retain(|_, death| now - death.at < LATELY);
        for &id in &dead {
            let is_repeated = self.deaths.contains_key(&id);
            self.deaths.insert(id, Death { at: now, is_repeated });
        }
        let gone: Vec<BrokerId> = dead.into_iter().filter(|id| self.deaths[id].is_repeated).collect();
        self.latest = (!gone.is_empty()).then(|| Departure::new(now, before, gone));
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

    /// Metadata in which two brokers live, and the same after 2 was fenced, came back, and so on.
    fn dying_again_and_again() -> impl Iterator<Item = Arc<MetadataImage>> {
        let alive = Arc::new(image(&[("t", TOPIC_ID, &[1, 2])]));
        let fence_or_not = |image: &Arc<MetadataImage>| {
            let fenced = Some(image.is_unfenced(BrokerId(2)));
            let change = BrokerChange { fenced, ..BrokerChange::nothing(BrokerId(2), BrokerEpoch(2)) };
            let end = MetadataOffset(image.offset().get() + 1);
            Some(Arc::new(image.apply(&[MetadataRecord::BrokerChange(change)], end).0))
        };
        std::iter::successors(Some(alive), fence_or_not)
    }

    #[test]
    fn a_broker_that_dies_stays_in_the_list_for_a_second() {
        let departures = Departures::default();
        let images: Vec<_> = dying_again_and_again().take(2).collect();
        assert_eq!(departures.still_listed(&images[0], MonoMs(5)), [], "who was fenced from the start did not depart");
        assert_eq!(
            departures.still_listed(&images[1], MonoMs(1000)),
            [BrokerId(2)],
            "nobody had told of this metadata"
        );
        assert!(departures.latest(&images[1], MonoMs(1000)).is_none(), "not told as gone");
        assert_eq!(departures.still_listed(&images[0], MonoMs(1999)), [BrokerId(2)], "asked with the metadata before");
        assert_eq!(departures.still_listed(&images[1], MonoMs(2000)), []);
    }

    #[test]
    fn a_broker_that_dies_again_is_told_as_gone_for_a_moment() {
        let departures = Departures::default();
        let images: Vec<_> = dying_again_and_again().take(6).collect();
        assert!(!departures.has_died_lately(BrokerId(2), MonoMs(0)));
        for (image, at) in images.iter().zip([0, 1_000, 1_500]) {
            assert!(departures.latest(image, MonoMs(at)).is_none());
        }
        assert!(departures.has_died_lately(BrokerId(2), MonoMs(15_999)));
        let departure = departures.latest(&images[3], MonoMs(15_999)).unwrap();
        assert_eq!(departure.brokers, [BrokerId(2)]);
        assert!(departure.before.is_unfenced(BrokerId(2)));
        assert_eq!(departures.still_listed(&images[3], MonoMs(15_999)), []);
        assert!(departures.latest(&images[2], MonoMs(16_038)).is_some(), "asked with the metadata before");
        assert!(departures.latest(&images[4], MonoMs(16_038)).is_some(), "another change follows");
        assert!(departures.latest(&images[4], MonoMs(16_039)).is_none());
        assert!(!departures.has_died_lately(BrokerId(2), MonoMs(30_999)));
        assert!(departures.latest(&images[5], MonoMs(30_999)).is_none(), "long after its last death");
        assert_eq!(departures.still_listed(&images[5], MonoMs(30_999)), [BrokerId(2)]);
    }
}
