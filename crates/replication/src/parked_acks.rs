//! Requests that wait for an offset to be passed, in the order of their offsets: Produce with acks=all for the high watermark,
//! DeleteRecords for the low watermark.

use std::collections::BTreeMap;

use highwater_types::{ErrorCode, Offset};
use tokio::sync::oneshot;

/// Most requests that may wait on one partition. Each connection has a bounded number in flight, so this is reached only when
/// the in-sync replicas have stalled for long under thousands of clients; further ones are told to retry.
pub(crate) const MAX_PARKED: usize = 100_000;

/// One waiting request.
pub(crate) type Reply = oneshot::Sender<Result<(), ErrorCode>>;

/// The waiting requests of one partition. One that nobody uses has no room for them.
#[derive(Debug, Default)]
pub(crate) struct ParkedAcks {
    queue: Option<Box<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    /// By the watermark each needs, then by arrival.
    waiting: BTreeMap<(Offset, u64), Reply>,
    arrivals: u64,
}

impl ParkedAcks {
    /// Whether no further request can wait.
    pub fn is_full(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| queue.waiting.len() >= MAX_PARKED)
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.queue.as_ref().is_none_or(|queue| queue.waiting.is_empty())
    }

    /// Waits until the high watermark has reached `needed`.
    pub fn park(&mut self, needed: Offset) -> oneshot::Receiver<Result<(), ErrorCode>> {
        let (reply, receiver) = oneshot::channel();
        let queue = self.queue.get_or_insert_default();
        queue.arrivals += 1;
        queue.waiting.insert((needed, queue.arrivals), reply);
        receiver
    }

    /// Takes out those that `watermark` satisfies, in the order of their offsets.
    pub fn release(&mut self, watermark: Offset) -> impl Iterator<Item = Reply> {
        let released = self.queue.as_mut().map(|queue| {
            let later = queue.waiting.split_off(&(watermark.plus(1), 0));
            std::mem::replace(&mut queue.waiting, later)
        });
        released.unwrap_or_default().into_values()
    }

    /// Takes out those that wait for more than `log_end`, as after a cut of the log.
    pub fn take_above(&mut self, log_end: Offset) -> impl Iterator<Item = Reply> {
        let above = self.queue.as_mut().map(|queue| queue.waiting.split_off(&(log_end.plus(1), 0)));
        above.unwrap_or_default().into_values()
    }

    /// Forgets those who have given up waiting.
    pub fn forget_abandoned(&mut self) {
        if let Some(queue) = &mut self.queue {
            queue.waiting.retain(|_, reply| !reply.is_closed());
        }
    }

    /// Takes out all, and gives up the room.
    pub fn take(&mut self) -> impl Iterator<Item = Reply> {
        self.queue.take().map(|queue| queue.waiting).unwrap_or_default().into_values()
    }

    /// Gives up the room, if nobody waits.
    pub fn shrink(&mut self) {
        if self.is_empty() {
            self.queue = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn released_in_the_order_of_offsets() {
        let mut parked = ParkedAcks::default();
        let mut receivers: Vec<_> = [5, 3, 5, 9].map(|needed| parked.park(Offset(needed))).into();
        for reply in parked.release(Offset(5)) {
            reply.send(Ok(())).unwrap();
        }
        let released: Vec<bool> = receivers.iter_mut().map(|receiver| receiver.try_recv().is_ok()).collect();
        assert_eq!(released, [true, true, true, false]);
        assert_eq!(parked.take().count(), 1);
        assert_eq!(parked.release(Offset(100)).count(), 0);
    }

    #[test]
    fn a_cut_takes_those_above_it() {
        let mut parked = ParkedAcks::default();
        let mut receivers: Vec<_> = [3, 5, 6].map(|needed| parked.park(Offset(needed))).into();
        for reply in parked.take_above(Offset(5)) {
            reply.send(Err(ErrorCode::NotLeaderOrFollower)).unwrap();
        }
        let refused: Vec<bool> = receivers.iter_mut().map(|receiver| receiver.try_recv().is_ok()).collect();
        assert_eq!(refused, [false, false, true]);
        assert_eq!(parked.take().count(), 2);
    }

    #[test]
    fn the_abandoned_are_forgotten() {
        let mut parked = ParkedAcks::default();
        let waits = parked.park(Offset(5));
        drop(parked.park(Offset(5)));
        parked.forget_abandoned();
        drop(waits);
        assert_eq!(parked.take().count(), 1);
    }
}
