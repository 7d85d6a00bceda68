//! Where replicas should go: to empty a broker, or to even out what brokers hold. Nothing here talks to a cluster.

use std::collections::{BTreeMap, BTreeSet};

use crate::cli::client::{BrokerInfo, Partition, TopicPartition};

/// The brokers that may get replicas, with their racks and what they hold.
#[derive(Debug, Clone)]
pub(crate) struct Spread {
    racks: BTreeMap<i32, Option<String>>,
    replicas: BTreeMap<i32, i64>,
    leaders: BTreeMap<i32, i64>,
}

impl Spread {
    /// What `partitions` puts on `targets`, the brokers that may get more. Racks of the other brokers count too.
    pub(crate) fn new(brokers: &[BrokerInfo], targets: &BTreeSet<i32>, partitions: &[Partition]) -> Self {
        let zero = || targets.iter().map(|id| (*id, 0)).collect::<BTreeMap<i32, i64>>();
        let racks = brokers.iter().map(|broker| (broker.id, broker.rack.clone())).collect();
        let mut spread = Self { racks, replicas: zero(), leaders: zero() };
        for partition in partitions {
            spread.count(&partition.replicas, 1);
        }
        spread
    }

    fn count(&mut self, replicas: &[i32], step: i64) {
        for id in replicas {
            self.replicas.entry(*id).and_modify(|held| *held += step);
        }
        if let Some(first) = replicas.first() {
            self.leaders.entry(*first).and_modify(|led| *led += step);
        }
    }

    /// The broker that should take a replica next to `others`: in a rack that has none, then the one that holds least.
    fn choose(&self, others: &[i32]) -> Option<i32> {
        let taken: BTreeSet<&String> = others.iter().filter_map(|id| self.racks.get(id)?.as_ref()).collect();
        let free = self.replicas.iter().filter(|(id, _)| !others.contains(id));
        let rank = |(id, held): (&i32, &i64)| {
            let rack = self.racks.get(id).and_then(Option::as_ref);
            (rack.is_some_and(|rack| taken.contains(rack)), *held, *id)
        };
        free.map(rank).min().map(|(_, _, id)| id)
    }

    /// How many racks `replicas` reach.
    fn rack_count(&self, replicas: &[i32]) -> usize {
        replicas.iter().filter_map(|id| self.racks.get(id)?.as_ref()).collect::<BTreeSet<_>>().len()
    }

    /// The broker that holds least, and how much.
    fn least(&self) -> Option<(i32, i64)> {
        self.replicas.iter().map(|(id, held)| (*held, *id)).min().map(|(held, id)| (id, held))
    }
}

/// New replicas of every partition that `broker` holds, without it; partitions for which no other broker is left.
pub(crate) fn empty_broker(
    broker: i32,
    spread: &mut Spread,
    partitions: &[Partition],
) -> (BTreeMap<TopicPartition, Vec<i32>>, Vec<TopicPartition>) {
    let mut targets = BTreeMap::new();
    let mut stuck = Vec::new();
    for partition in partitions.iter().filter(|one| one.replicas.contains(&broker)) {
        let others: Vec<i32> = partition.replicas.iter().copied().filter(|id| *id != broker).collect();
        let Some(substitute) = spread.choose(&others) else {
            stuck.push(partition.id.clone());
            continue;
        };
        spread.count(&partition.replicas, -1);
        // A replica that is there already leads, so that no leader starts with an empty log.
        let mut replicas = others;
        let led_elsewhere = partition.replicas.first() != Some(&broker);
        let place = partition.replicas.iter().position(|id| *id == broker).filter(|_| led_elsewhere);
        let place = place.unwrap_or(replicas.len());
        replicas.insert(place.min(replicas.len()), substitute);
        if !led_elsewhere {
            lead_by_least(spread, &mut replicas, substitute);
        }
        spread.count(&replicas, 1);
        targets.insert(partition.id.clone(), replicas);
    }
    (targets, stuck)
}

/// Puts the replica first whose broker leads least, but not `newcomer` unless it is alone.
fn lead_by_least(spread: &Spread, replicas: &mut [i32], newcomer: i32) {
    let leads = |id: i32| (id == newcomer, spread.leaders.get(&id).copied().unwrap_or(i64::MAX));
    let best = replicas.iter().enumerate().min_by_key(|(place, id)| (leads(**id), *place)).map(|(place, _)| place);
    if let Some(best) = best {
        replicas[..=best].rotate_right(1);
    }
}

/// Moves that bring what the brokers hold within one replica of each other, and then what they would lead, where racks allow.
pub(crate) fn even_out(spread: &mut Spread, partitions: &[Partition]) -> BTreeMap<TopicPartition, Vec<i32>> {
    let mut now: Vec<(TopicPartition, Vec<i32>)> =
        partitions.iter().map(|one| (one.id.clone(), one.replicas.clone())).collect();
    while move_one_replica(spread, &mut now) {}
    while move_one_leader(spread, &mut now) {}
    let before: BTreeMap<&TopicPartition, &Vec<i32>> = partitions.iter().map(|one| (&one.id, &one.replicas)).collect();
    now.into_iter().filter(|(id, replicas)| before.get(id).is_none_or(|old| *old != replicas)).collect()
}

/// Moves one replica from a broker that holds most to the one that holds least. Each step makes the spread smaller.
fn move_one_replica(spread: &mut Spread, now: &mut [(TopicPartition, Vec<i32>)]) -> bool {
    let Some((least, fewest)) = spread.least() else { return false };
    // From the fullest broker that has something to give, while that still evens out.
    let mut givers: Vec<(i64, i32)> =
        spread.replicas.iter().filter(|(_, held)| **held - fewest >= 2).map(|(id, held)| (-*held, *id)).collect();
    givers.sort_unstable();
    for (_, giver) in givers {
        let movable = now.iter_mut().find(|(_, replicas)| {
            if !replicas.contains(&giver) || replicas.contains(&least) {
                return false;
            }
            let moved: Vec<i32> = replicas.iter().map(|id| if *id == giver { least } else { *id }).collect();
            spread.rack_count(&moved) >= spread.rack_count(replicas)
        });
        if let Some((_, replicas)) = movable {
            spread.count(replicas, -1);
            replicas.iter_mut().filter(|id| **id == giver).for_each(|id| *id = least);
            spread.count(replicas, 1);
            return true;
        }
    }
    false
}

/// Lets another replica be the first of one partition, where that evens out who leads.
fn move_one_leader(spread: &mut Spread, now: &mut [(TopicPartition, Vec<i32>)]) -> bool {
    for (_, replicas) in now.iter_mut() {
        let Some(first) = replicas.first().copied() else { continue };
        let led = spread.leaders.get(&first).copied().unwrap_or(0);
        let better = replicas.iter().position(|id| spread.leaders.get(id).is_some_and(|other| led - other >= 2));
        if let Some(place) = better {
            spread.count(replicas, -1);
            replicas.swap(0, place);
            spread.count(replicas, 1);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(id: i32, rack: Option<&str>) -> BrokerInfo {
        BrokerInfo { id, host: "h".into(), port: 1, rack: rack.map(str::to_owned), fenced: false }
    }

    fn partition(number: i32, replicas: &[i32]) -> Partition {
        Partition {
            id: TopicPartition::new("t", number),
            leader: replicas.first().copied(),
            leader_epoch: 0,
            replicas: replicas.to_vec(),
            isr: replicas.to_vec(),
            offline: Vec::new(),
        }
    }

    fn spread(brokers: &[BrokerInfo], without: i32, partitions: &[Partition]) -> Spread {
        let targets = brokers.iter().map(|one| one.id).filter(|id| *id != without).collect();
        Spread::new(brokers, &targets, partitions)
    }

    #[test]
    fn an_emptied_broker_holds_nothing_and_the_others_share() {
        let brokers: Vec<BrokerInfo> = (1..=4).map(|id| broker(id, None)).collect();
        let partitions: Vec<Partition> = (0..12).map(|n| partition(n, &[n % 4 + 1, (n + 1) % 4 + 1])).collect();
        let mut spread = spread(&brokers, 2, &partitions);
        let (targets, stuck) = empty_broker(2, &mut spread, &partitions);
        assert_eq!((targets.len(), stuck.len()), (6, 0));
        for (id, replicas) in &targets {
            assert!(!replicas.contains(&2) && replicas.len() == 2 && replicas[0] != replicas[1], "{id}: {replicas:?}");
        }
        assert_eq!(spread.replicas.values().collect::<Vec<_>>(), [&8, &8, &8]);
    }

    #[test]
    fn a_leader_is_followed_by_a_replica_that_has_the_data() {
        let brokers: Vec<BrokerInfo> = (1..=4).map(|id| broker(id, None)).collect();
        let partitions = [partition(0, &[1, 2, 3]), partition(1, &[2, 1, 3])];
        let (targets, _) = empty_broker(1, &mut spread(&brokers, 1, &partitions), &partitions);
        let replicas: Vec<&Vec<i32>> = targets.values().collect();
        assert_eq!(replicas, [&vec![3, 2, 4], &vec![2, 4, 3]], "broker 3 leads less than 2; places are kept");
    }

    #[test]
    fn racks_stay_apart() {
        let brokers = [broker(1, Some("a")), broker(2, Some("a")), broker(3, Some("b")), broker(4, Some("b"))];
        let partitions: Vec<Partition> = (0..4).map(|n| partition(n, &[1, 3])).collect();
        let (targets, _) = empty_broker(1, &mut spread(&brokers, 1, &partitions), &partitions);
        assert!(targets.values().all(|replicas| replicas == &[3, 2]), "{targets:?}");
    }

    #[test]
    fn without_another_broker_a_partition_is_stuck() {
        let brokers: Vec<BrokerInfo> = (1..=3).map(|id| broker(id, None)).collect();
        let partitions = [partition(0, &[1, 2, 3]), partition(1, &[1, 2])];
        let (targets, stuck) = empty_broker(1, &mut spread(&brokers, 1, &partitions), &partitions);
        assert_eq!(stuck, [TopicPartition::new("t", 0)]);
        assert_eq!(targets[&TopicPartition::new("t", 1)], [2, 3]);
    }

    #[test]
    fn a_new_broker_gets_its_share_and_the_rest_stays() {
        let brokers: Vec<BrokerInfo> = (1..=4).map(|id| broker(id, None)).collect();
        let partitions: Vec<Partition> =
            (0..12).map(|n| partition(n, &[n % 3 + 1, (n + 1) % 3 + 1, (n + 2) % 3 + 1])).collect();
        let mut spread = spread(&brokers, 0, &partitions);
        let targets = even_out(&mut spread, &partitions);
        assert_eq!(spread.replicas.values().collect::<Vec<_>>(), [&9; 4]);
        assert_eq!(spread.leaders.values().collect::<Vec<_>>(), [&3; 4]);
        let moved: usize = targets.values().map(|replicas| replicas.iter().filter(|id| **id == 4).count()).sum();
        assert_eq!(moved, 9, "no replica moves twice");
        for replicas in targets.values() {
            assert_eq!(replicas.iter().collect::<BTreeSet<_>>().len(), 3, "{replicas:?}");
        }
    }

    #[test]
    fn what_is_even_stays() {
        let brokers: Vec<BrokerInfo> = (1..=3).map(|id| broker(id, None)).collect();
        let partitions: Vec<Partition> = (0..3).map(|n| partition(n, &[n % 3 + 1, (n + 1) % 3 + 1])).collect();
        assert!(even_out(&mut spread(&brokers, 0, &partitions), &partitions).is_empty());
    }

    #[test]
    fn evening_out_ends_for_any_layout() {
        for seed in 0..200_u64 {
            let mut state = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let mut next = |bound: u64| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) % bound
            };
            let racks = ["a", "b", "c"];
            let brokers: Vec<BrokerInfo> =
                (0..2 + next(6) as i32).map(|id| broker(id, Some(racks[next(3) as usize]))).collect();
            let partitions: Vec<Partition> = (0..next(40) as i32)
                .map(|n| {
                    let mut ids: Vec<i32> = brokers.iter().map(|one| one.id).collect();
                    let count = ids.len() as u64;
                    ids.rotate_left(next(count) as usize);
                    ids.truncate(1 + next(count) as usize);
                    partition(n, &ids)
                })
                .collect();
            let mut spread = spread(&brokers, -1, &partitions);
            for (id, replicas) in even_out(&mut spread, &partitions) {
                let distinct = replicas.iter().collect::<BTreeSet<_>>().len();
                assert_eq!(distinct, replicas.len(), "seed {seed}: {id} {replicas:?}");
            }
        }
    }
}
