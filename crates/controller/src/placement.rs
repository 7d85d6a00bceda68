//! Rack-aware placement of the replicas of new partitions.
//!
//! As in Kafka's striped placement: leaders go round the racks and, within a rack, round its brokers; the other replicas go
//! round the racks from there, so that they share a rack only when there are fewer racks than replicas; a fenced broker never
//! leads at first and is taken in a rack only after the available ones. Brokers without a rack form one of their own.
//!
//! Unlike Kafka's, the choice within a rack is the broker with the fewest leaders (replicas) of this topic so far, ties broken
//! at random: leaders differ by at most one within a rack, and the followers of one leader are spread over all brokers.

use std::collections::BTreeMap;

use highwater_metadata::MetadataImage;
use highwater_types::{BrokerId, ErrorCode};
use rand_core::RngCore;

use crate::CommandError;

/// Places the partitions of one request, one by one.
pub(crate) struct Placer<'a> {
    racks: Vec<Vec<Candidate>>,
    /// Rack that the next leader comes from, if it has an available broker.
    next_rack: usize,
    rng: &'a mut dyn RngCore,
}

struct Candidate {
    id: BrokerId,
    fenced: bool,
    leaders: u32,
    replicas: u32,
}

impl<'a> Placer<'a> {
    /// A placer over the brokers of `image` that are not about to stop.
    pub(crate) fn new(image: &MetadataImage, rng: &'a mut dyn RngCore) -> Self {
        let mut racks: BTreeMap<Option<&str>, Vec<Candidate>> = BTreeMap::new();
        for broker in image.brokers().filter(|broker| !broker.in_controlled_shutdown) {
            let candidate = Candidate { id: broker.id, fenced: broker.fenced, leaders: 0, replicas: 0 };
            racks.entry(broker.rack.as_deref()).or_default().push(candidate);
        }
        let racks: Vec<_> = racks.into_values().collect();
        let next_rack = if racks.is_empty() { 0 } else { below(rng, racks.len()) };
        Self { racks, next_rack, rng }
    }

    /// Replicas for one more partition, the leader first.
    pub(crate) fn place(&mut self, replication_factor: i16) -> Result<Vec<BrokerId>, CommandError> {
        let count = self.check(replication_factor)?;
        let has_available = |rack: &Vec<Candidate>| rack.iter().any(|broker| !broker.fenced);
        let rounds = (0..self.racks.len()).map(|step| (self.next_rack + step) % self.racks.len());
        let leader_rack =
            rounds.into_iter().find(|&rack| has_available(&self.racks[rack])).expect("a broker is available");
        self.next_rack = (leader_rack + 1) % self.racks.len();

        let mut replicas = vec![self.choose(leader_rack, &[], true).expect("the rack has an available broker")];
        let mut rack = leader_rack;
        while replicas.len() < count {
            rack = (rack + 1) % self.racks.len();
            replicas.extend(self.choose(rack, &replicas, false));
        }
        Ok(replicas)
    }

    fn check(&self, replication_factor: i16) -> Result<usize, CommandError> {
        let refuse = |message| Err(CommandError::new(ErrorCode::InvalidReplicationFactor, message));
        let brokers = self.racks.iter().flatten();
        let total = brokers.clone().count();
        match usize::try_from(replication_factor) {
            Err(_) | Ok(0) => refuse(format!(
                "Invalid replication factor {replication_factor}: the replication factor must be positive."
            )),
            Ok(count) if count > total => refuse(format!(
                "Unable to replicate the partition {count} time(s): The target replication factor of {count} cannot be reached \
                 because only {total} broker(s) are registered."
            )),
            Ok(count) if brokers.clone().all(|broker| broker.fenced) => {
                refuse(format!("Unable to replicate the partition {count} time(s): All brokers are currently fenced."))
            }
            Ok(count) => Ok(count),
        }
    }

    /// The least used broker of the rack that is not in `taken`, or `None` when all are.
    fn choose(&mut self, rack: usize, taken: &[BrokerId], as_leader: bool) -> Option<BrokerId> {
        let rng = &mut *self.rng;
        let free =
            self.racks[rack].iter_mut().filter(|broker| !(taken.contains(&broker.id) || as_leader && broker.fenced));
        let mut ranked: Vec<_> = free
            .map(|broker| {
                ((broker.fenced, if as_leader { broker.leaders } else { 0 }, broker.replicas, rng.next_u64()), broker)
            })
            .collect();
        ranked.sort_by_key(|(rank, broker)| (*rank, broker.id));
        let (_, chosen) = ranked.into_iter().next()?;
        chosen.replicas += 1;
        chosen.leaders += u32::from(as_leader);
        Some(chosen.id)
    }
}

/// A random number below `bound`. The tiny bias of the remainder does not matter to a starting point.
fn below(rng: &mut dyn RngCore, bound: usize) -> usize {
    let bound = u64::try_from(bound).expect("usize fits u64");
    usize::try_from(rng.next_u64() % bound).expect("below a usize")
}
