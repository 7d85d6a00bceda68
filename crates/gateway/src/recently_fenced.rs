//! Brokers that were fenced a moment ago, and stay in Metadata answers for a while.
//!
//! librdkafka gives up its handle of a broker that an answer does not list. When the same answer names another leader for its
//! partitions, they fall between the two handles, and are looked for only a second later. Listed some seconds longer, the broker
//! goes in a later answer, when nothing belongs to it any more.

use std::collections::BTreeMap;
use std::time::Duration;

use highwater_metadata::MetadataImage;
use highwater_types::BrokerId;
use parking_lot::Mutex;
use tokio::time::Instant;

/// How long a fenced broker is listed: some rounds of looking for leaders (librdkafka: one a second).
const LISTED_FOR: Duration = Duration::from_secs(10);

/// What was seen of each registered broker.
#[derive(Debug, Default)]
pub(crate) struct RecentlyFenced {
    brokers: Mutex<BTreeMap<BrokerId, Seen>>,
}

#[derive(Debug, Clone, Copy)]
enum Seen {
    Alive,
    Fenced {
        /// Until when it is listed.
        until: Instant,
    },
}

impl RecentlyFenced {
    /// Brokers that are fenced in `image`, the newest at `now`, were alive in an image before, and have been fenced for a few seconds only. One
    /// that was never seen alive is not among them.
    pub(crate) fn in_image(&self, image: &MetadataImage, now: Instant) -> Vec<BrokerId> {
        let mut brokers = self.brokers.lock();
        brokers.retain(|&id, _| image.broker(id).is_some());
        let mut recent = Vec::new();
        for broker in image.brokers() {
            if !broker.fenced {
                brokers.insert(broker.id, Seen::Alive);
                continue;
            }
            let Some(seen) = brokers.get_mut(&broker.id) else { continue };
            let until = match *seen {
                Seen::Alive => now + LISTED_FOR,
                Seen::Fenced { until } => until,
            };
            *seen = Seen::Fenced { until };
            if now < until {
                recent.push(broker.id);
            }
        }
        recent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::tests::{fence, image};

    #[test]
    fn a_broker_is_listed_for_a_while_after_it_was_fenced() {
        let (recently, start) = (RecentlyFenced::default(), Instant::now());
        let alive = image(&[]);
        assert_eq!(recently.in_image(&alive, start), [], "broker 3 was fenced all along");
        let fenced = fence(&alive, 2);
        assert_eq!(recently.in_image(&fenced, start), [BrokerId(2)]);
        let end = start + LISTED_FOR;
        assert_eq!(recently.in_image(&fenced, end - Duration::from_millis(1)), [BrokerId(2)]);
        assert_eq!(recently.in_image(&fenced, end), []);
        assert_eq!(recently.in_image(&alive, end), []);
        assert_eq!(recently.in_image(&fenced, end), [BrokerId(2)], "it came back, and went again");
    }
}
